//! What the phone hears of an agent that is made to fall silent and let go on at any moment.

use super::*;
use proptest::prelude::*;
use std::collections::{HashMap, VecDeque};

/// Samples of a fade.
const FADE: usize = 40;
/// The largest step from a sample to the next where it fades: an utterance's own, and a fortieth of its amplitude.
const STEP_MAX: i32 = 400;
const FORMAT: Format = Format { payload_type: 96, codec: Codec::L16At8k };

#[derive(Clone, Copy, Debug)]
enum Order {
    Duck,
    Resume,
    /// An utterance of so many frames, the last of so many samples.
    Say(usize, usize),
    Flush,
    Digit,
    /// Nothing for so many milliseconds.
    Wait(u64),
    /// The worker wakes up so many milliseconds after the next frame was due.
    Oversleep(u64),
}

fn orders() -> impl Strategy<Value = Vec<Order>> {
    let order = prop_oneof![
        6 => Just(Order::Duck),
        6 => Just(Order::Resume),
        3 => (1usize..=12, 80usize..=160).prop_map(|(frames, last)| Order::Say(frames, last)),
        1 => Just(Order::Flush),
        1 => Just(Order::Digit),
        8 => (1u64..=70).prop_map(Order::Wait),
        1 => (1u64..=70).prop_map(Order::Oversleep),
    ];
    prop::collection::vec(order, 1..60)
}

/// What a packet was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    Silence,
    /// A frame whole.
    Whole,
    FadeIn,
    FadeOut,
    /// A key, no audio.
    Key,
}

/// The phone, and what it is to hear.
struct Listener {
    rig: Rig,
    expected: VecDeque<OutFrame>,
    generation: u32,
    utterances: u32,
    /// Of `rig.sent`, what has been judged.
    judged: usize,
    ducked: bool,
    /// It has been silent since a duck.
    fell_silent: bool,
    /// What the packet before was, with its last sample.
    before: (Slot, i16),
    /// The utterance that goes on after the packet before.
    sounding: Option<UtteranceId>,
    /// Samples that were heard of each.
    heard: HashMap<u32, u64>,
    /// Frames that were heard whole.
    frames: usize,
}

impl Listener {
    fn new() -> Self {
        let formats = Formats::of(FORMAT).with_events(EVENTS);
        let mut rig = Rig::with(Role::Speech, |plan| plan.formats = formats);
        rig.packet_from(phone(), ms(1), Header { payload_type: 96, ssrc: 7, ..Header::default() }, &[1; 320]);
        Self {
            rig,
            expected: VecDeque::new(),
            generation: 0,
            utterances: 0,
            judged: 0,
            ducked: false,
            fell_silent: false,
            before: (Slot::Silence, 0),
            sounding: None,
            heard: HashMap::new(),
            frames: 0,
        }
    }

    /// It rises from nothing and returns to it; every sample tells where it is.
    fn say(&mut self, frames: usize, last: usize) {
        self.utterances += 1;
        let total = (frames - 1) * FRAME_SAMPLES + last;
        for n in 0..frames {
            let pcm = core::array::from_fn(|k| {
                let at = n * FRAME_SAMPLES + k;
                let loudness = (at + 1).min(total.saturating_sub(at)).min(FRAME_SAMPLES);
                ((8000 + at) * loudness / FRAME_SAMPLES) as i16
            });
            let end = n + 1 == frames;
            let len = if end { last } else { FRAME_SAMPLES } as u16;
            let utterance = UtteranceId(self.utterances);
            let frame = OutFrame { generation: Generation(self.generation), utterance, end, len, pcm };
            if self.rig.outbound.as_mut().unwrap().try_push(frame).is_err() {
                break; // no room: the utterance has no end, as when its voice fails
            }
            self.expected.push_back(frame);
        }
    }

    fn follow(&mut self, order: Order) {
        let now = self.rig.now;
        match order {
            Order::Duck | Order::Resume => {
                self.ducked = matches!(order, Order::Duck);
                let ducked = self.ducked;
                self.rig.pass(now, |s, _| s.handle_duck(ducked));
            }
            Order::Say(frames, last) => self.say(frames, last),
            Order::Flush => {
                self.generation += 1;
                self.expected.clear();
                (self.ducked, self.fell_silent, self.sounding) = (false, false, None);
                let generation = Generation(self.generation);
                self.rig.pass(now, |s, p| s.handle_flush(p, generation));
            }
            Order::Digit => self.rig.session.handle_digits(now, "5".parse().unwrap()),
            Order::Wait(wait) => self.rig.run(now + Duration::from_millis(wait)),
            Order::Oversleep(late) => {
                let due = self.rig.session.poll_timeout().max(now);
                self.rig.pass(due + Duration::from_millis(late), |s, p| s.handle_timeout(p));
            }
        }
        let fades = self.judge_packets();
        self.judge_reports(fades);
    }

    /// Returns how many times it was heard to fade out.
    fn judge_packets(&mut self) -> usize {
        let mut fades = 0;
        for n in self.judged..self.rig.sent.len() {
            let (_, header, payload) = &self.rig.sent[n];
            let gap = n > 0 && header.timestamp != self.rig.sent[n - 1].1.timestamp.wrapping_add(160);
            if header.payload_type == EVENTS {
                // Its packets share one timestamp.
                (self.before, self.sounding) = ((Slot::Key, 0), None);
                continue;
            }
            let mut pcm = [0; FRAME_SAMPLES];
            assert_eq!(Decoder::new(FORMAT.codec, 8_000).unwrap().decode(payload, &mut pcm).unwrap(), FRAME_SAMPLES);
            if gap && self.before.0 != Slot::Key {
                (self.before, self.sounding) = ((Slot::Silence, 0), None);
            }
            let slot = self.judge_audio(&pcm);
            fades += usize::from(slot == Slot::FadeOut);
            let fading = |slot| matches!(slot, Slot::FadeIn | Slot::FadeOut);
            let step = |a: i16, b: i16| (i32::from(a) - i32::from(b)).abs();
            if fading(slot) || self.before.0 == Slot::FadeOut {
                assert!(step(self.before.1, pcm[0]) <= STEP_MAX, "from {:?} to {slot:?}: {}", self.before, pcm[0]);
            }
            if fading(slot) {
                assert!(pcm.windows(2).all(|p| step(p[0], p[1]) <= STEP_MAX), "{slot:?}: {pcm:?}");
            }
            self.before = (slot, pcm[FRAME_SAMPLES - 1]);
        }
        self.judged = self.rig.sent.len();
        fades
    }

    /// What 20 ms of audio are, which has to be what is due.
    fn judge_audio(&mut self, pcm: &[i16; FRAME_SAMPLES]) -> Slot {
        let sounding = self.sounding.take();
        let silent = pcm.iter().all(|s| *s == 0);
        let next = self.expected.front().copied();
        if self.ducked {
            self.fell_silent = true;
            if silent {
                let goes_on = next.is_some_and(|next| sounding == Some(next.utterance));
                assert!(!goes_on, "it breaks off");
                return Slot::Silence;
            }
            let next = next.expect("nothing is left to say");
            assert_eq!(sounding, Some(next.utterance), "it fades out from silence: {pcm:?}");
            assert!((0..FADE).all(|n| i32::from(pcm[n]) == i32::from(next.pcm[n]) * (FADE - n) as i32 / FADE as i32));
            assert!(pcm[FADE..].iter().all(|s| *s == 0), "it is not silent");
            return Slot::FadeOut;
        }
        let Some(next) = next else {
            assert!(silent, "nothing is left to say: {pcm:?}");
            return Slot::Silence;
        };
        let mut whole = [0; FRAME_SAMPLES];
        whole[..usize::from(next.len)].copy_from_slice(next.samples());
        let fading = std::mem::take(&mut self.fell_silent);
        assert_eq!(pcm[FADE..], whole[FADE..], "another frame than is due, or not all of it");
        if fading {
            assert!((0..FADE).all(|n| i32::from(pcm[n]) == i32::from(whole[n]) * (n + 1) as i32 / FADE as i32));
        } else {
            assert_eq!(*pcm, whole);
        }
        self.expected.pop_front();
        self.frames += 1;
        *self.heard.entry(next.utterance.0).or_default() += u64::from(next.len);
        self.sounding = (!next.end).then_some(next.utterance);
        if fading { Slot::FadeIn } else { Slot::Whole }
    }

    fn judge_reports(&mut self, fades: usize) {
        let mut ducked = 0;
        for event in self.rig.events() {
            match event {
                MediaEvent::Played { utterance, samples, end, .. } => {
                    let heard = self.heard.get(&utterance.0).copied().unwrap_or(0);
                    assert!(samples <= heard, "{samples} samples credited, {heard} heard");
                    assert!(!end || samples == heard, "{samples} of {heard} samples credited at the end");
                }
                MediaEvent::Flushed { utterance: Some(utterance), samples, .. } => {
                    assert_eq!(Some(&samples), self.heard.get(&utterance.0));
                }
                MediaEvent::Ducked { .. } => ducked += 1,
                _ => {}
            }
        }
        assert!(fades <= ducked, "{fades} fades, {ducked} reported");
    }
}

/// Whatever is ordered in whatever order, at whatever moment of a frame: every sample once and in order.
fn listen(orders: &[Order]) {
    let mut listener = Listener::new();
    for order in orders {
        listener.follow(*order);
    }
    let (frames, left) = (listener.frames, listener.expected.len());
    listener.follow(Order::Resume);
    // Keys that still wait take their time as well.
    let keys = orders.iter().filter(|order| matches!(order, Order::Digit)).count();
    listener.follow(Order::Wait(20 * (left + 2 + 40 * keys) as u64));
    assert!(listener.expected.is_empty(), "it does not go on");
    assert_eq!(listener.frames, frames + left);
}

#[test]
fn held_back_again_before_it_went_on_it_stays_silent() {
    for wait in [1, 19, 20, 21, 39, 40, 41] {
        let say = [Order::Say(12, 160), Order::Wait(45), Order::Duck, Order::Wait(100)];
        let again = [Order::Resume, Order::Wait(wait), Order::Duck, Order::Wait(100), Order::Resume, Order::Duck];
        listen(&[&say[..], &again[..], &again[..]].concat());
    }
    // Nothing was said yet: the beginning of what is to come is not heard before its time.
    listen(&[Order::Wait(45), Order::Say(5, 160), Order::Duck, Order::Wait(100)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn between_the_fades_every_sample_is_heard_once_and_in_order(orders in orders()) {
        listen(&orders);
    }
}
