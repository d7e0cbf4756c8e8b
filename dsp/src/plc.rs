//! Concealment of lost packets, the plain kind. Purpose: repeat what was last heard, halving it every 10 ms, so that a
//! short loss is no hole and a long one is silence. Media workers; inline state, no heap. Invariant: output fades to zero
//! within 60 ms. Deliberately absent: pitch-synchronous repetition (G.711 Appendix I).

/// Samples repeated: 10 ms at 8 kHz, at least one pitch period of nearly every voice.
const PERIOD: usize = 80;
/// Halvings after which silence follows.
const HALVINGS: u32 = 6;

/// Remembers the last 10 ms of one stream.
#[derive(Clone, Copy, Debug)]
pub struct RepeatFade {
    last: [i16; PERIOD],
    position: usize,
    halvings: u32,
}

impl Default for RepeatFade {
    fn default() -> Self {
        Self { last: [0; PERIOD], position: 0, halvings: HALVINGS }
    }
}

impl RepeatFade {
    /// Takes samples that were received.
    pub fn handle_received(&mut self, pcm: &[i16]) {
        let keep = pcm.len().min(PERIOD);
        self.last.copy_within(keep.., 0);
        self.last[PERIOD - keep..].copy_from_slice(&pcm[pcm.len() - keep..]);
        self.position = 0;
        self.halvings = 0;
    }

    /// Fills `pcm` with what stands in for lost samples; continues where the previous call stopped.
    pub fn conceal(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            if self.halvings >= HALVINGS {
                *sample = 0;
                continue;
            }
            *sample = self.last[self.position] / (2 << self.halvings);
            self.position += 1;
            if self.position == PERIOD {
                self.position = 0;
                self.halvings += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_fades_and_then_is_silent() {
        let mut plc = RepeatFade::default();
        plc.handle_received(&[8000; 160]);
        let mut pcm = [1i16; 640];
        plc.conceal(&mut pcm);
        assert_eq!((pcm[0], pcm[80], pcm[160]), (4000, 2000, 1000));
        assert!(pcm[480..].iter().all(|s| *s == 0));
    }

    #[test]
    fn nothing_heard_yet_is_silence_and_pieces_continue() {
        let mut plc = RepeatFade::default();
        let mut pcm = [1i16; 10];
        plc.conceal(&mut pcm);
        assert_eq!(pcm, [0; 10]);

        let heard: Vec<i16> = (0..160).collect();
        plc.handle_received(&heard);
        let (mut whole, mut pieces) = ([0i16; 300], [0i16; 300]);
        let mut copy = plc;
        plc.conceal(&mut whole);
        for part in pieces.chunks_mut(7) {
            copy.conceal(part);
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn short_packets_are_joined() {
        let mut plc = RepeatFade::default();
        plc.handle_received(&[100; 40]);
        plc.handle_received(&[200; 40]);
        let mut pcm = [0i16; 80];
        plc.conceal(&mut pcm);
        assert_eq!((pcm[0], pcm[79]), (50, 100));
    }
}
