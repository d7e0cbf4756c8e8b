//! What stands in for packets that are not there: the decoder's own concealment, else the last pitch period, dying away into
//! the background's noise; and how it is joined to the next packet: cross-faded, and where the delay is off its aim shifted to
//! where the two resemble each other best.

use super::audio::mix;
use super::buffer::{Operation, PlayoutBuffer};
use super::input::Decode;
use super::queue::Waiting;

/// Samples that are made up at once: 20 ms at 16 kHz.
const FILL_MAX: usize = 320;
/// The decoder's concealment works in these, ms × 2.
const DECODER_HALF_MS: usize = 5;
/// What is made up beyond the end, to look for the best place to join: the longest period, and what is compared, ms.
const LOOK_MS: usize = 15 + COMPARED_MS;
const COMPARED_MS: usize = 8;
/// A delay nearer to its aim, ms, is not worth a shift.
const SHIFTED_MS: i64 = 4;
/// Made-up and decoded audio must resemble each other this much to be shifted.
const LIKENESS: f32 = 0.4;

impl PlayoutBuffer {
    /// Appends `count` samples that no packet brought.
    pub(super) fn make_up(&mut self, count: usize, decoder: &mut impl Decode) -> Operation {
        let mut filled = [0i16; FILL_MAX];
        let pcm = &mut filled[..count.clamp(1, FILL_MAX)];
        let made = pcm.len() as u64;
        if self.next.is_none() && self.statistics.packets_played == 0 {
            self.statistics.waiting_samples += made;
            self.audio.push(pcm);
            return Operation::Wait;
        }
        self.count_event();
        let halves = 2 * pcm.len() / self.per_ms as usize;
        let whole = 2 * pcm.len() == halves * self.per_ms as usize && halves.is_multiple_of(DECODER_HALF_MS);
        let may = self.next.is_some() && !self.quiet && !self.concealing && whole;
        self.made_by_decoder = may && decoder.conceal(pcm);
        if !self.made_by_decoder {
            self.conceal(pcm);
        }
        let silent = !self.made_by_decoder && self.concealment.level() <= 0.0;
        self.audio.push(pcm);
        self.made_up += made as i64;
        if self.quiet {
            self.statistics.comfort_noise_samples += made;
            return Operation::ComfortNoise;
        }
        self.statistics.concealed_samples += made;
        if silent {
            self.statistics.silent_concealed_samples += made;
            return Operation::ComfortNoise;
        }
        Operation::Expand
    }

    fn count_event(&mut self) {
        if self.made_up == 0 && !self.quiet {
            self.statistics.concealment_events += 1;
            if self.queue.len() == 0 {
                self.statistics.underruns += 1;
            }
        }
    }

    /// The last period, dying away into noise.
    fn conceal(&mut self, pcm: &mut [i16]) {
        self.continue_concealment();
        let before = self.concealment.level();
        self.concealment.conceal(pcm);
        let step = (self.concealment.level() - before) / pcm.len() as f32;
        self.noise.add(pcm, |n| 1.0 - step.mul_add(n as f32, before));
    }

    fn continue_concealment(&mut self) {
        if !self.concealing {
            self.concealment.continue_from(self.audio.all());
            self.concealing = true;
            if !self.quiet {
                self.noise.handle_background(&self.background);
            }
        }
    }

    /// Restores the `missing` last samples of the packet before `packet` from it, when it carries them.
    pub(super) fn recover(&mut self, packet: &Waiting, missing: i64, decoder: &mut impl Decode) -> bool {
        let count = usize::try_from(packet.samples).unwrap_or(0).min(self.decoded.len());
        let missing = usize::try_from(missing).unwrap_or(0).min(count);
        if missing == 0 || !decoder.recover(self.queue.payload(packet), &mut self.decoded[..count]) {
            return false;
        }
        if self.made_up == 0 || self.made_by_decoder {
            self.audio.push(&self.decoded[count - missing..count]);
        } else {
            self.merge(count - missing, count);
        }
        self.statistics.packets_recovered += 1;
        self.next = Some(packet.position);
        (self.made_up, self.made_by_decoder, self.concealing) = (0, false, false);
        true
    }

    /// Joins `decoded[from..to]` to what is there: late audio is entered where it resembles what was made up, and made-up
    /// audio goes on until it resembles what comes, whichever brings the delay nearer to its aim.
    pub(super) fn merge(&mut self, from: usize, to: usize) {
        self.continue_concealment();
        let ms = self.per_ms as usize;
        let mut ahead = [0i16; LOOK_MS * 16];
        let ahead = &mut ahead[..LOOK_MS * ms];
        let audible = self.concealment.level() > 0.0;
        let fade = self.concealment.merge_length();
        // A copy: the concealment itself ends here.
        let mut concealment = self.concealment.clone();
        concealment.conceal(ahead);
        let good = &self.decoded[from..to];
        let compared = COMPARED_MS * ms;
        let (mut inserted, mut removed) = (0, 0);
        if audible && good.len() > 2 * compared {
            let period = concealment.period();
            let deviation = self.played_after - self.aim(0);
            if deviation > SHIFTED_MS * self.per_ms {
                let reach = (period + compared).min(good.len() - compared);
                removed = place(&ahead[..compared], &good[..reach]);
            } else if deviation < -SHIFTED_MS * self.per_ms {
                inserted = place(&good[..compared], &ahead[..(period + compared).min(ahead.len())]);
            }
        }
        let fade = if self.made_up == 0 { concealment.period() / 4 } else { fade };
        let fade = fade.min(good.len() - removed).min(ahead.len() - inserted);
        self.audio.push(&ahead[..inserted]);
        self.decoded.copy_within(from + removed..to, from);
        for n in 0..fade {
            self.decoded[from + n] = mix(ahead[inserted + n], self.decoded[from + n], n, fade);
        }
        self.audio.push(&self.decoded[from..to - removed]);
        self.statistics.concealed_samples += inserted as u64;
        self.statistics.removed_samples_for_acceleration += removed as u64;
        self.played_after += inserted as i64 - removed as i64;
    }
}

/// Where in `searched` the `pattern` fits best; 0 when nowhere well.
fn place(pattern: &[i16], searched: &[i16]) -> usize {
    crate::pitch::best_match(pattern, searched).filter(|found| found.likeness > LIKENESS).map_or(0, |m| m.offset)
}
