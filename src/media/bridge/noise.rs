//! Noise that stands for the other leg's pause. Purpose: where a sender that falls silent says what its pause sounds like
//! (RFC 3389, or an Opus frame of discontinuous transmission) and that cannot go on as it is, the far phone hears that noise
//! and not a line that has died. Media workers; due times only while a pause lasts. Invariants: one frame each 20 ms, each
//! half a frame after its time, so that the sender's next word, early or late by less, finds the pause filled to where it
//! begins; it ends with whatever else the sender sends, and by itself after
//! [`MEDIA_TIMEOUT`]; what is older than the description is late. Deliberately absent: packets of RFC 3389 of our own
//! making, the recording (a pause stays silent there: the time of a file is the senders').

use super::*;
use crate::limits::MEDIA_TIMEOUT;
use crate::media::coders::BRIDGE_RATE_MAX;
use callwright_dsp::cng::{Background, ComfortNoise};
use callwright_dsp::codec::Codec;
use callwright_dsp::codec::comfort_noise::NoiseParameters;

/// Octets of a frame of Opus that says no more than that a pause goes on (RFC 7587 section 3.1.3; RFC 6716 section 2.1.9).
const OPUS_PAUSE_MAX: usize = 2;
/// A frame is late by this: half of it.
const PATIENCE: Duration = Duration::from_millis(10);
/// Any number: the same call makes the same noise.
const SEED: u32 = 1;
/// Samples of 20 ms at the highest rate of a path.
const FRAME_MAX: usize = BRIDGE_RATE_MAX as usize / 50;

/// What stands for the pause, while there is one.
pub(super) struct Noise {
    source: ComfortNoise,
    /// Hz, of the noise.
    rate: u32,
    due: Option<Tick>,
    until: Tick,
    /// Number, with its cycles, of the packet that described it.
    since: u64,
}

impl Noise {
    pub(super) fn new() -> Self {
        Self { source: ComfortNoise::new(SEED), rate: SPEECH_RATE, due: None, until: Tick(0), since: 0 }
    }

    /// When the next frame is due.
    pub(super) fn due(&self) -> Option<Tick> {
        self.due
    }

    /// The pause is over.
    pub(super) fn stop(&mut self) {
        self.due = None;
    }

    /// Whether a packet with this number was sent before the pause began.
    pub(super) fn is_after(&self, extended: u64) -> bool {
        self.due.is_some() && extended < self.since
    }

    /// A pause at `rate` Hz goes on; `from`: when what was sent of it ends, unless it began before.
    fn go_on(&mut self, now: Tick, from: Tick, rate: u32, extended: u64) {
        self.due.get_or_insert(from + PATIENCE);
        // Nothing else is made in 20 ms at a rate of more than that.
        self.rate = rate.min(BRIDGE_RATE_MAX);
        (self.until, self.since) = (now + MEDIA_TIMEOUT, extended);
    }
}

/// Whether a payload only says that the pause goes on.
pub(super) fn is_pause(codec: Codec, octets: &[u8]) -> bool {
    codec == Codec::Opus && octets.len() <= OPUS_PAUSE_MAX
}

impl Bridge {
    /// The other leg describes its pause, on a clock in Hz, and the packet itself cannot go on.
    pub(super) fn render(&mut self, pass: &mut Pass<'_>, formats: &Formats, clock: u32, onward: &Onward<'_>) {
        self.omit(pass, formats, onward);
        let Some(parameters) = NoiseParameters::parse(onward.packet.octets) else { return };
        self.noise.source.handle_parameters(&parameters);
        self.noise.go_on(pass.now, pass.now, clock, onward.extended);
    }

    /// The other leg's decoder has made `pcm` at `rate` Hz, which has left, of a frame that says that the pause goes on.
    pub(super) fn handle_pause_heard(&mut self, now: Tick, pcm: &[i16], rate: u32, extended: u64) {
        let mut background = Background::default();
        background.handle_received(pcm);
        // The end of the word before is no background.
        if background.rms() > 0.0 {
            self.noise.source.handle_background(&background);
        }
        self.noise.go_on(now, now + FRAME, rate, extended);
    }

    /// Sends the frame that is due.
    pub(super) fn send_noise(&mut self, pass: &mut Pass<'_>, ours: &mut Coders, formats: &Formats) {
        let Some(due) = self.noise.due.filter(|due| pass.now >= *due) else { return };
        if pass.now >= self.noise.until {
            self.noise.stop();
            return;
        }
        let next = due + FRAME;
        self.noise.due = Some(if next > pass.now { next } else { pass.now + FRAME });
        let rate = self.noise.rate;
        let mut pcm = [0; FRAME_MAX];
        let pcm = &mut pcm[..rate as usize / 50];
        self.noise.source.fill(pcm);
        self.relaying = false;
        let (numbering, received) = (&mut self.numbering, pass.now);
        let mut out = Outlet { pass, numbering, encoder: ours.encoder(), send: formats.send, received };
        self.transcode.handle_samples(&mut out, pcm, rate);
        self.transcode.handle_time(pcm.len() as u32, rate);
    }
}
