//! Randomness from the kernel. Purpose: identifiers, SSRCs, tags, tokens, keys. Control threads (a system call each).
//! Deliberately absent: seeded generators.

/// 64 random bits. Invariant: the kernel's generator is up once user space runs, so this does not fail on Linux.
#[must_use]
pub fn u64() -> u64 {
    getrandom::u64().expect("getrandom works on every Linux since 3.17")
}

/// 32 random bits.
#[must_use]
pub fn u32() -> u32 {
    getrandom::u32().expect("getrandom works on every Linux since 3.17")
}

/// Fills `octets` with random bits.
pub fn fill(octets: &mut [u8]) {
    getrandom::fill(octets).expect("getrandom works on every Linux since 3.17");
}

/// `octets` random octets as lower-case hexadecimal.
#[must_use]
pub fn hex(octets: usize) -> String {
    let mut bytes = vec![0; octets];
    fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(octets * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn hex_has_two_characters_per_octet_and_differs() {
        let (a, b) = (super::hex(16), super::hex(16));
        assert_eq!(a.len(), 32);
        assert_ne!(a, b);
        assert!(a.bytes().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(super::u64(), super::u64());
    }
}
