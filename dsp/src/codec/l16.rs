//! Linear 16 bit, RFC 3551 section 4.5.11. Purpose: samples in network order, one channel. Any thread.
//! Deliberately absent: 44.1 kHz and stereo (their static payload types 10 and 11 are for studios).

/// Reads samples; stops at the shorter side, an odd last octet is not read. Returns how many.
pub fn decode(octets: &[u8], pcm: &mut [i16]) -> usize {
    let (pairs, _) = octets.as_chunks::<2>();
    for (sample, pair) in pcm.iter_mut().zip(pairs) {
        *sample = i16::from_be_bytes(*pair);
    }
    pairs.len().min(pcm.len())
}

/// Writes samples; stops at the shorter side. Returns how many octets.
pub fn encode(pcm: &[i16], octets: &mut [u8]) -> usize {
    let (pairs, _) = octets.as_chunks_mut::<2>();
    for (pair, sample) in pairs.iter_mut().zip(pcm) {
        *pair = sample.to_be_bytes();
    }
    2 * pcm.len().min(pairs.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_in_network_order() {
        let mut octets = [0; 6];
        assert_eq!(encode(&[1, -2, i16::MIN], &mut octets), 6);
        assert_eq!(octets, [0, 1, 0xff, 0xfe, 0x80, 0]);
        let mut pcm = [0; 3];
        assert_eq!(decode(&octets, &mut pcm), 3);
        assert_eq!(pcm, [1, -2, i16::MIN]);
    }

    #[test]
    fn the_shorter_side_ends_it() {
        let (mut octets, mut pcm) = ([9; 5], [0; 8]);
        assert_eq!(encode(&[1; 8], &mut octets), 4);
        assert_eq!(octets, [0, 1, 0, 1, 9]);
        assert_eq!(decode(&octets, &mut pcm), 2);
        assert_eq!(decode(&[], &mut pcm), 0);
    }
}
