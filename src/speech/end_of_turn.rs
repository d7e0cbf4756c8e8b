//! Whether a pause sounds like the end: where the end-of-turn model is asked.
//!
//! Purpose: a model that looks at seconds of audio at once costs milliseconds a pause, which the ears do not have; here is
//! what they keep for it, and the thread that asks it. Owning threads: a [`TurnAudio`] belongs to its call's ear, the model
//! to "end-of-turn". Invariants: one question a pause; questions and answers are dropped rather than waited for, and what
//! comes too late to matter is not asked; without a model nothing of this exists and no audio is kept. Deliberately absent:
//! what an answer leads to (`turn`), the model (`models::eot`).

use super::ears::EVENT_RESERVE;
use super::event::SpeechEvent;
use crate::limits::END_OF_TURN_QUESTIONS_MAX;
use crate::time::MediaTime;
use callwright_dsp::resample::half_band::Upsampler2;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a model looks at, at most: 8 s at 8 kHz.
const KEPT_SAMPLES: usize = 64_000;
/// Quiet that makes a pause. smart-turn was trained to be asked after 200 ms; of a person's sentences on the telephone that
/// were cut off it takes fewer for finished after 100 ms (18 % against 32 %), of whole ones nearly as many (91 %, 94 %).
const PAUSE: Duration = Duration::from_millis(120);
/// An answer later than this finds the turn ended by the clock, or going on.
const WORTHLESS_AFTER: Duration = Duration::from_millis(300);

/// One question: does this turn sound finished?
pub(super) struct Pause {
    /// Where the answer goes.
    events: mpsc::Sender<SpeechEvent>,
    /// End of the audio.
    at: MediaTime,
    /// The turn so far, 8 kHz, at most the last 8 s.
    samples: Box<[i16]>,
    asked: Instant,
}

/// Where pauses are judged.
pub(super) type Pauses = Sender<Pause>;

/// A place for questions, and what [`run`] takes them from.
pub(super) fn pauses() -> (Pauses, Receiver<Pause>) {
    bounded(END_OF_TURN_QUESTIONS_MAX)
}

/// What one call's ear keeps of the turn for the model.
pub(super) struct TurnAudio {
    pauses: Pauses,
    samples: VecDeque<i16>,
    /// The last voice after which it was asked.
    asked: MediaTime,
}

impl TurnAudio {
    pub(super) fn new(pauses: Pauses) -> Self {
        Self { pauses, samples: VecDeque::with_capacity(KEPT_SAMPLES), asked: MediaTime(0) }
    }

    /// A turn begins with these samples.
    pub(super) fn begin(&mut self, samples: impl IntoIterator<Item = i16>) {
        self.samples.clear();
        self.samples.extend(samples.into_iter().take(KEPT_SAMPLES));
    }

    /// The turn goes on, with voice or without; `end`: end of these samples.
    pub(super) fn hear(
        &mut self,
        samples: &[i16],
        end: MediaTime,
        last_voiced: MediaTime,
        events: &mpsc::Sender<SpeechEvent>,
    ) {
        let over = (self.samples.len() + samples.len()).saturating_sub(KEPT_SAMPLES);
        self.samples.drain(..over.min(self.samples.len()));
        self.samples.extend(samples);
        if last_voiced > self.asked && end.since(last_voiced) >= PAUSE {
            self.asked = last_voiced;
            let samples = self.samples.iter().copied().collect();
            // Full: the model is behind, and the clock decides as it does without one.
            drop(self.pauses.try_send(Pause { events: events.clone(), at: end, samples, asked: Instant::now() }));
        }
    }
}

/// Answers questions until nobody is left to ask. `judge` takes 16 kHz samples and gives the probability that the turn is
/// over; when it fails, that is said once and nothing is answered.
pub(super) fn run(mut judge: impl FnMut(&[i16]) -> Result<f32, String>, pauses: &Receiver<Pause>) {
    let mut wide = Vec::with_capacity(2 * KEPT_SAMPLES);
    let mut failed = false;
    for pause in pauses {
        if pause.asked.elapsed() > WORTHLESS_AFTER || pause.events.capacity() <= EVENT_RESERVE {
            continue;
        }
        wide.clear();
        wide.resize(2 * pause.samples.len(), 0);
        let made = Upsampler2::default().process(&pause.samples, &mut wide);
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&wide[..made])));
        match judged.unwrap_or_else(|_| Err("the model failed; see the log".to_owned())) {
            // A closed channel belongs to a call that is over.
            Ok(probability) => drop(pause.events.try_send(SpeechEvent::EndOfTurn { at: pause.at, probability })),
            Err(why) if !failed => {
                failed = true;
                tracing::error!(why, "ends of turns are judged by the clock alone");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const CHUNK: usize = 256;

    /// However slow this machine is.
    fn in_time() -> Instant {
        Instant::now() + Duration::from_secs(600)
    }

    /// A turn of voiced and quiet chunks by turns; returns what was asked: when, how much audio.
    fn asked(stretches: &[(usize, bool)]) -> Vec<(u64, usize)> {
        let (pauses, inbox) = pauses();
        let (events, _events) = mpsc::channel(64);
        let mut audio = TurnAudio::new(pauses);
        audio.begin([7; 100]);
        let (mut end, mut last_voiced) = (0, 0);
        for (chunks, voiced) in stretches {
            for _ in 0..*chunks {
                end += CHUNK as u64;
                last_voiced = if *voiced { end } else { last_voiced };
                audio.hear(&[1; CHUNK], MediaTime(end), MediaTime(last_voiced), &events);
            }
        }
        inbox.try_iter().map(|pause| (pause.at.0, pause.samples.len())).collect()
    }

    #[test]
    fn each_pause_is_one_question_about_the_turn_so_far() {
        // 120 ms are 3.75 chunks, so the fourth chunk of quiet asks.
        let chunks = |n: usize| (n * CHUNK) as u64;
        let heard = |n: usize| 100 + n * CHUNK;
        assert_eq!(asked(&[(20, true), (3, false)]), []);
        assert_eq!(asked(&[(20, true), (30, false)]), [(chunks(24), heard(24))]);
        assert_eq!(
            asked(&[(20, true), (10, false), (5, true), (9, false)]),
            [(chunks(24), heard(24)), (chunks(39), heard(39))]
        );
    }

    #[test]
    fn eight_seconds_are_kept_and_a_model_that_is_behind_is_not_waited_for() {
        assert_eq!(asked(&[(300, true), (7, false)]), [(304 * CHUNK as u64, KEPT_SAMPLES)]);
        let many: Vec<(usize, bool)> = (0..4 * END_OF_TURN_QUESTIONS_MAX).map(|n| (8, n % 2 == 0)).collect();
        assert_eq!(asked(&many).len(), END_OF_TURN_QUESTIONS_MAX);
    }

    #[test]
    fn answers_reach_the_call_unless_they_are_late_or_there_is_no_room() {
        let (questions, inbox) = pauses();
        let (events, mut answers) = mpsc::channel(EVENT_RESERVE + 1);
        let (crowded, mut nothing) = mpsc::channel(EVENT_RESERVE);
        let pause = |events: &mpsc::Sender<SpeechEvent>, at: u64, asked| {
            let samples = vec![100; 800].into_boxed_slice();
            questions.send(Pause { events: events.clone(), at: MediaTime(at), samples, asked }).unwrap();
        };
        let now = in_time();
        pause(&events, 1, Instant::now() - Duration::from_secs(1));
        pause(&crowded, 2, now);
        pause(&events, 3, now);
        drop(questions);
        thread::spawn(move || run(|samples| Ok(samples.len() as f32 / 3200.0), &inbox)).join().unwrap();
        assert_eq!(answers.try_recv(), Ok(SpeechEvent::EndOfTurn { at: MediaTime(3), probability: 0.5 }));
        assert!(answers.try_recv().is_err() && nothing.try_recv().is_err());
    }

    #[test]
    fn a_model_that_fails_or_panics_stops_nobody() {
        let (questions, inbox) = pauses();
        let (events, mut answers) = mpsc::channel(64);
        for at in 0..3 {
            let samples = Box::from([0; 8]);
            questions.send(Pause { events: events.clone(), at: MediaTime(at), samples, asked: in_time() }).unwrap();
        }
        drop(questions);
        let mut calls = 0;
        run(
            |_| {
                calls += 1;
                match calls {
                    1 => Err("broken".to_owned()),
                    2 => panic!("broken"),
                    _ => Ok(1.0),
                }
            },
            &inbox,
        );
        assert_eq!(answers.try_recv(), Ok(SpeechEvent::EndOfTurn { at: MediaTime(2), probability: 1.0 }));
    }
}
