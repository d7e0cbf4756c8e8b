//! A time stamp inside G.711. Purpose: the delay of every single packet, measured without trusting RTP numbers. Each half
//! octet is written as one of the 16 codes 0xA0–0xAF, which decoding and encoding by G.711 give back unchanged.

/// Packet number and sending time in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    pub(super) call: u32,
    pub(super) number: u32,
    pub(super) sent: u64,
}

const MAGIC: u32 = 0xca11_0711;
/// Octets of the stamp before it is spread.
const LEN: usize = 20;
const BASE: u8 = 0xa0;

impl Stamp {
    /// Writes the stamp at the start of a payload of 160 octets.
    pub(super) fn write(self, payload: &mut [u8; 160]) {
        let mut octets = [0; LEN];
        octets[..4].copy_from_slice(&MAGIC.to_be_bytes());
        octets[4..8].copy_from_slice(&self.call.to_be_bytes());
        octets[8..12].copy_from_slice(&self.number.to_be_bytes());
        octets[12..].copy_from_slice(&self.sent.to_be_bytes());
        for (pair, octet) in payload.chunks_exact_mut(2).zip(octets) {
            pair[0] = BASE | (octet >> 4);
            pair[1] = BASE | (octet & 0x0f);
        }
    }

    /// Reads it back; `None` for other audio.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let codes = payload.get(..2 * LEN)?;
        let mut octets = [0; LEN];
        for (octet, pair) in octets.iter_mut().zip(codes.chunks_exact(2)) {
            if pair[0] & 0xf0 != BASE || pair[1] & 0xf0 != BASE {
                return None;
            }
            *octet = ((pair[0] & 0x0f) << 4) | (pair[1] & 0x0f);
        }
        let word = |at: usize| u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
        let sent = (u64::from(word(12)) << 32) | u64::from(word(16));
        (word(0) == MAGIC).then_some(Self { call: word(4), number: word(8), sent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callwright_dsp::codec::g711;

    #[test]
    fn a_stamp_survives_both_directions_of_the_codec() {
        let stamp = Stamp { call: 7, number: 1_234_567, sent: 0x0123_4567_89ab_cdef };
        let mut payload = [0xff; 160];
        stamp.write(&mut payload);
        let (mut pcm, mut back) = ([0; 160], [0; 160]);
        g711::decode_ulaw(&payload, &mut pcm);
        g711::encode_ulaw(&pcm, &mut back);
        assert_eq!(Stamp::read(&back), Some(stamp));
        assert_eq!(Stamp::read(&[0xff; 160]), None);
    }
}
