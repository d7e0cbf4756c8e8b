//! Which packet is played when. A packet that is due is played when it is there and its time has come; its time has come
//! when what is missing before it has been filled, or when its delay is as large as the aim: waiting longer would only add
//! delay. After a pause only the delay counts. A delay off its aim is corrected by stretching decoded audio.

use super::buffer::{Operation, PlayoutBuffer};
use super::input::{DELAY_MAX_MS, Decode};
use super::queue::Waiting;
use crate::plc::MUTE_FOR_EARS_MS;

/// Made-up audio after which the stream counts as paused, ms: the concealment is silent by then.
const PAUSED_MS: i64 = MUTE_FOR_EARS_MS as i64;
/// The delay may be this much above its aim before audio is shortened, ms, and this part of the aim (a long one is less
/// certain, and every cut is heard a little); and this much below before it is lengthened.
const TOO_LATE_MS: i64 = 8;
const TOO_LATE_SHARE: i64 = 4;
const TOO_EARLY_MS: i64 = 5;
/// A correction may miss the aim by this much, ms: audio is cut at its own period.
const MISS_MS: i64 = 6;
/// Further above, audio is shortened with less care and without a pause, ms.
const FAR_TOO_LATE_MS: i64 = 60;
/// Pause between two changes of length, ms.
const STRETCH_PAUSE_MS: i64 = 40;
/// Pause between a late packet and a change of length, ms.
const LATE_PAUSE_MS: i64 = 500;
/// Audio is decoded ahead up to here to have more to choose from, ms.
const AHEAD_MS: usize = 60;
/// Packets in a row that came more than 500 ms late, after which the path is taken to have become slower.
const STALE_PACKETS_MAX: u32 = 5;
/// Shortest step that the aim reckons with, ms.
const STEP_MS: i64 = 10;

impl PlayoutBuffer {
    /// Makes samples, or takes a packet away; `step` samples are wanted in all.
    pub(super) fn produce(&mut self, now: i64, step: usize, decoder: &mut impl Decode) -> Operation {
        let Some(packet) = self.due(now) else { return self.make_up(step, decoder) };
        let (delay, aim) = (self.delay(now, &packet), self.aim(step));
        let paused = self.next.is_none() || self.quiet || self.made_up >= PAUSED_MS * self.per_ms;
        let missing = self.next.map_or(0, |next| packet.position - next) - self.made_up;
        if paused {
            if delay < aim {
                return self.make_up(usize::try_from(aim - delay).unwrap_or(step).min(step), decoder);
            }
        } else if missing > 0 && delay < aim {
            // The packet can restore its predecessor only.
            let others = missing - packet.samples;
            if others <= 0 && self.recover(&packet, missing, decoder) {
                return Operation::Normal;
            }
            let fill = if others > 0 { others } else { missing };
            return self.make_up(usize::try_from(fill).unwrap_or(step).min(step), decoder);
        }
        self.play(now, &packet, delay, decoder)
    }

    /// The front packet, after those are dropped that are too old by now.
    fn due(&mut self, now: i64) -> Option<Waiting> {
        loop {
            let packet = self.queue.front()?;
            if self.next.is_some_and(|next| packet.position < next && packet.end() <= next) {
                self.queue.remove_front();
                self.discard_late();
            } else if self.delay(now, &packet) > i64::from(DELAY_MAX_MS) * self.per_ms {
                self.catch_up(now);
            } else {
                return Some(packet);
            }
        }
    }

    /// The stream has fallen too far behind: drops what brings it back to the aim.
    fn catch_up(&mut self, now: i64) {
        let aim = self.aim(0);
        while self.queue.front().is_some_and(|packet| self.delay(now, &packet) > aim) {
            self.skip();
            self.stale_packets += 1;
        }
        if self.stale_packets >= STALE_PACKETS_MAX {
            self.arrivals.reset();
            self.stale_packets = 0;
        }
    }

    /// How long after the time at which the fastest packet would have brought it the packet is played, if that is now.
    fn delay(&self, now: i64, packet: &Waiting) -> i64 {
        let fastest = self.arrivals.fastest().unwrap_or(packet.arrived - packet.position);
        now + self.audio.pending() as i64 - packet.position - fastest
    }

    /// The delay aimed at, when audio is fetched `step` samples at a time.
    pub(super) fn aim(&self, step: usize) -> i64 {
        self.target.target((step as i64).max(STEP_MS * self.per_ms))
    }

    /// Decodes the front packet, whose delay is `delay`, joins it to what came before, and corrects the delay.
    fn play(&mut self, now: i64, packet: &Waiting, delay: i64, decoder: &mut impl Decode) -> Operation {
        self.stale_packets = 0;
        if let Some(noise) = packet.noise {
            self.queue.remove_front();
            self.statistics.packets_played += 1;
            self.noise.handle_parameters(&noise);
            (self.next, self.quiet) = (Some(packet.position), true);
            self.made_up = 0;
            return Operation::ComfortNoise;
        }
        let gap = self.next.map(|next| packet.position - next);
        let Some(count) = self.decode(now, packet, decoder) else { return Operation::Expand };
        // What was played already is not played twice.
        let skipped = usize::try_from(-gap.unwrap_or(0)).unwrap_or(0).min(count - 1);
        let continues = self.made_up == 0 && gap.is_some_and(|gap| gap <= 0);
        let decoder_continues = self.made_by_decoder && gap == Some(self.made_up);
        self.made_up = 0;
        if continues && !self.quiet {
            self.audio.push(&self.decoded[skipped..count]);
            self.played_after += (delay - self.played_after) / 4;
            return self.stretch(now, decoder);
        }
        self.played_after = delay;
        if gap.is_some_and(|gap| gap <= 0) {
            // It was late, and others may be: the aim learns of it within half a second.
            self.since_stretch = -LATE_PAUSE_MS * self.per_ms;
        }
        if decoder_continues {
            self.audio.push(&self.decoded[skipped..count]);
        } else {
            self.merge(skipped, count);
        }
        (self.quiet, self.made_by_decoder, self.concealing) = (false, false, false);
        Operation::Merge
    }

    /// Takes the front packet into `decoded`; returns its samples.
    fn decode(&mut self, now: i64, packet: &Waiting, decoder: &mut impl Decode) -> Option<usize> {
        self.queue.remove_front();
        let decoded = decoder.decode(self.queue.payload(packet), &mut self.decoded);
        let Some(count) = decoded.filter(|count| (1..=self.decoded.len()).contains(count)) else {
            self.discard_invalid();
            return None;
        };
        self.background.handle_received(&self.decoded[..count]);
        self.next = Some(packet.position + count as i64);
        let samples = count as u64;
        let waited = (now + self.audio.pending() as i64 - packet.arrived).max(0);
        self.statistics.packets_played += 1;
        self.statistics.jitter_buffer_delay += samples * waited.unsigned_abs();
        self.statistics.jitter_buffer_target_delay += samples * self.aim(0).unsigned_abs();
        self.statistics.jitter_buffer_emitted_count += samples;
        Some(count)
    }

    /// Corrects the delay by the length of what is about to be played.
    fn stretch(&mut self, now: i64, decoder: &mut impl Decode) -> Operation {
        let (ms, aim) = (self.per_ms, self.aim(0));
        let deviation = self.played_after - aim;
        let most = usize::try_from(deviation.abs() + MISS_MS * ms).unwrap_or(0);
        let far = deviation > FAR_TOO_LATE_MS * ms;
        if !far && self.since_stretch < STRETCH_PAUSE_MS * ms {
            return Operation::Normal;
        }
        if deviation > (TOO_LATE_MS * ms).max(aim / TOO_LATE_SHARE) {
            self.decode_ahead(now, decoder);
            if let Some(removed) = self.audio.shorten(most, far) {
                self.statistics.removed_samples_for_acceleration += removed as u64;
                self.played_after -= removed as i64;
                self.since_stretch = 0;
                return Operation::Accelerate(removed);
            }
        } else if deviation < -TOO_EARLY_MS * ms
            && let Some(inserted) = self.audio.lengthen(most)
        {
            self.statistics.inserted_samples_for_deceleration += inserted as u64;
            self.played_after += inserted as i64;
            self.since_stretch = 0;
            return Operation::PreemptiveExpand(inserted);
        }
        Operation::Normal
    }

    /// Decodes the packet that continues what is pending, when there is one.
    fn decode_ahead(&mut self, now: i64, decoder: &mut impl Decode) {
        let Some(packet) = self.queue.front() else { return };
        let short = self.audio.pending() < AHEAD_MS * self.per_ms as usize / 2;
        if short
            && packet.noise.is_none()
            && Some(packet.position) == self.next
            && packet.samples <= AHEAD_MS as i64 * self.per_ms
            && let Some(count) = self.decode(now, &packet, decoder)
        {
            self.audio.push(&self.decoded[..count]);
        }
    }
}
