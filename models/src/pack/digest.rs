//! SHA-256 of files and streams (FIPS 180-4), in hexadecimal. Any thread; blocks on the disk.
//! Deliberately absent: signatures: a digest from the manifest is as trustworthy as the binary that it is compiled into.

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Octets read at once.
const BLOCK: usize = 1 << 16;

/// A digest in the making.
#[derive(Clone, Default)]
pub struct Running(Sha256);

impl Running {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next octets.
    pub fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    /// Takes the rest of a stream; returns how much that was.
    ///
    /// # Errors
    /// The stream's.
    pub fn read_from(&mut self, source: &mut impl Read) -> io::Result<u64> {
        let mut block = vec![0; BLOCK];
        let mut total = 0;
        loop {
            match source.read(&mut block) {
                Ok(0) => return Ok(total),
                Ok(n) => {
                    self.update(&block[..n]);
                    total += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// 64 hexadecimal digits, lower case.
    #[must_use]
    pub fn finish(self) -> String {
        let mut text = String::with_capacity(64);
        for octet in self.0.finalize() {
            for nibble in [octet >> 4, octet & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
        text
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

/// Digest of a whole file.
///
/// # Errors
/// It cannot be read.
pub fn of_file(path: &Path) -> io::Result<String> {
    let mut running = Running::new();
    running.read_from(&mut File::open(path)?)?;
    Ok(running.finish())
}

/// Whether this is a SHA-256 in hexadecimal.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|octet| octet.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_standards_examples() {
        // FIPS 180-4, examples of NIST: one block and two.
        let of = |text: &str| {
            let mut running = Running::new();
            running.update(text.as_bytes());
            running.finish()
        };
        assert_eq!(of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(
            of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        );
    }

    #[test]
    fn a_file_in_two_reads_is_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let octets: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        std::fs::write(&path, &octets).unwrap();
        let mut running = Running::new();
        running.update(&octets[..77_777]);
        assert_eq!(running.read_from(&mut &octets[77_777..]).unwrap(), 122_223);
        assert_eq!(running.finish(), of_file(&path).unwrap());
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_digest() {
        assert!(is_digest(&"aF0".repeat(22)[..64]));
        for wrong in ["", "abc", &"g".repeat(64), &"a".repeat(65), &"ä".repeat(32)] {
            assert!(!is_digest(wrong), "{wrong}");
        }
    }
}
