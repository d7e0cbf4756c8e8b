//! The head of a WAV file. Purpose: 80 octets that make a file play at any moment of its writing. Pure. The head is
//! RIFF/WAVE with PCM 16 bit, stereo, 8 kHz; the `JUNK` chunk keeps the place of `ds64`, which it becomes when the file
//! passes 4 GiB (RF64, EBU Tech 3306). No call lasts that long, but a file with a wrong length is worse than 36 octets.
//! Deliberately absent: reading other people's files.

/// Length of the head; samples follow.
pub(super) const HEAD_LEN: usize = 80;
/// Octets of one stereo sample.
pub(super) const PAIR_LEN: u64 = 4;
const RATE: u32 = 8000;
/// What the first 8 octets do not count.
const OUTSIDE: u64 = 8;

/// The head of a file with `data` octets of samples.
pub(super) fn head(data: u64) -> [u8; HEAD_LEN] {
    let whole = HEAD_LEN as u64 - OUTSIDE + data;
    let short = u32::try_from(whole).ok();
    let mut head = [0; HEAD_LEN];
    let mut put = |at: usize, octets: &[u8]| head[at..at + octets.len()].copy_from_slice(octets);
    put(0, if short.is_some() { b"RIFF" } else { b"RF64" });
    put(4, &short.unwrap_or(u32::MAX).to_le_bytes());
    put(8, b"WAVE");
    put(12, if short.is_some() { b"JUNK" } else { b"ds64" });
    put(16, &28_u32.to_le_bytes());
    if short.is_none() {
        put(20, &whole.to_le_bytes());
        put(28, &data.to_le_bytes());
        put(36, &(data / PAIR_LEN).to_le_bytes());
    }
    put(48, b"fmt ");
    put(52, &16_u32.to_le_bytes());
    put(56, &1_u16.to_le_bytes()); // PCM
    put(58, &2_u16.to_le_bytes());
    put(60, &RATE.to_le_bytes());
    put(64, &(RATE * PAIR_LEN as u32).to_le_bytes());
    put(68, &(PAIR_LEN as u16).to_le_bytes());
    put(70, &16_u16.to_le_bytes());
    put(72, b"data");
    put(76, &short.map_or(u32::MAX, |_| u32::try_from(data).unwrap_or(u32::MAX)).to_le_bytes());
    head
}

/// The head that a file of `length` octets should have, which was left without its last sizes. `None`: no file of ours.
pub(super) fn repaired(found: &[u8; HEAD_LEN], length: u64) -> Option<([u8; HEAD_LEN], u64)> {
    let data = length.checked_sub(HEAD_LEN as u64)? / PAIR_LEN * PAIR_LEN;
    let ours = head(0);
    let same = |range: std::ops::Range<usize>| found[range.clone()] == ours[range];
    let kind = matches!((&found[..4], &found[12..16]), (b"RIFF", b"JUNK") | (b"RF64", b"ds64"));
    (kind && same(8..12) && same(16..20) && same(48..76)).then(|| (head(data), data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(head: &[u8], at: usize) -> u64 {
        u64::from(u32::from_le_bytes(head[at..at + 4].try_into().unwrap()))
    }

    #[test]
    fn a_foreign_reader_reads_it() {
        let mut file = head(12).to_vec();
        for sample in [1_i16, -1, 2, -2, 3, -3] {
            file.extend_from_slice(&sample.to_le_bytes());
        }
        let mut reader = hound::WavReader::new(file.as_slice()).unwrap();
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 8000, 16));
        assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), [1, -1, 2, -2, 3, -3]);
    }

    #[test]
    fn beyond_four_gigabytes_the_sizes_are_64_bits_wide() {
        let most = u64::from(u32::MAX) - (HEAD_LEN as u64 - OUTSIDE);
        let small = head(most / 4 * 4);
        assert_eq!((&small[..4], number(&small, 76)), (&b"RIFF"[..], most / 4 * 4));
        let data = most / 4 * 4 + 4;
        let large = head(data);
        assert_eq!((&large[..4], &large[12..16]), (&b"RF64"[..], &b"ds64"[..]));
        assert_eq!((number(&large, 4), number(&large, 76)), (u64::from(u32::MAX), u64::from(u32::MAX)));
        let wide = |at: usize| u64::from_le_bytes(large[at..at + 8].try_into().unwrap());
        assert_eq!((wide(20), wide(28), wide(36)), (data + 72, data, data / 4));
        assert_eq!(repaired(&large, data + HEAD_LEN as u64 + 3), Some((large, data)));
    }

    #[test]
    fn a_head_that_lags_behind_is_brought_up_to_the_length() {
        assert_eq!(repaired(&head(4000), 80 + 4803), Some((head(4800), 4800)));
        assert_eq!(repaired(&head(4000), 79), None);
        let mut foreign = head(0);
        foreign[58] = 1;
        assert_eq!(repaired(&foreign, 800), None);
    }

    proptest! {
        #[test]
        fn any_head_is_refused_or_repaired(found in proptest::array::uniform32(any::<u8>()), length: u64) {
            let mut whole = head(0);
            prop_assert!(repaired(&whole, length).is_none_or(|(_, data)| data % 4 == 0 && data < length));
            whole[..32].copy_from_slice(&found);
            let _ = repaired(&whole, length);
        }
    }
}
