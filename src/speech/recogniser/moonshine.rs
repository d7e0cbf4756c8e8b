//! The embedded recogniser of people's speech: Moonshine, which hears whole turns. Purpose: words while the caller speaks
//! and a result that is there when the turn ends, from a model that knows neither: the turn so far is decoded again and
//! again, greedily while somebody speaks, with care as soon as it is quiet, because most pauses are the end, and with less
//! care while others wait. The first words over the agent's voice are heard in a way of their own ([`Effort::Overheard`]).
//!
//! Owning thread: the recogniser thread, which decodes (some 5 to 30 ms for each second of turn). Invariants: one look at
//! the engine decodes once at most, so that orders are never further behind than one decoding; what is finished comes
//! before what may be, and that before words so far; but for the looks in its first seconds while the agent speaks, words so
//! far cost each turn a forty-eighth of its time at most, or a look each time it has trebled, and all turns together a third
//! of the thread, so results have the rest; a result made in a pause counts only when nothing was said after it; a panic or
//! an error of the model costs its turn, which is answered and says so. Time comes from the clock it was made with.
//! Deliberately absent: which words are likely (the guides), where a turn ends (`turn`).

use super::{Caller, Finished, LineMemory, Recogniser};
use crate::conversation::Expectation;
use crate::limits::UTTERANCE_MAX;
use crate::time::Tick;
use callwright_models::asr::{Draft, Hypothesis};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Samples of the line in a millisecond.
const PER_MS: usize = 8;
/// Samples that a turn keeps; what comes after is left out.
const SAMPLES_MAX: usize = UTTERANCE_MAX.as_secs() as usize * 1000 * PER_MS;
/// Audio after the first piece of a turn, which ends 64 ms into the speech, until the first words are looked for.
const FIRST_PARTIAL: usize = 224 * PER_MS;
/// What a first piece may hold: more is a turn that has waited for its place.
const FIRST_PIECE_MAX: usize = 450 * PER_MS;
/// New audio between two looks at the words.
const PARTIAL_EVERY: usize = 400 * PER_MS;
/// The same of the two looks that follow the first in a turn that began while the agent spoke: the last of them is there, its
/// decoding included, when one that has ended by then is judged (`turn::interruption`).
const VERDICT_WORDS_EVERY: usize = 64 * PER_MS;
/// After them, in the first [`EARLY_WORDS`] of a turn that began while the agent spoke, whatever was found: whether the agent goes
/// on is judged by these words, and the first look often finds half of one, of which the model makes nothing, or another
/// ("yeah" of "actually"). These looks are few and short, and wait for nobody's rest.
const EARLY_WORDS_EVERY: usize = 96 * PER_MS;
const EARLY_WORDS: usize = 900 * PER_MS;
/// And after that, as long as what was taken for an aside may turn out to be none.
const LATER_WORDS_EVERY: usize = 160 * PER_MS;
const LATER_WORDS: usize = 2000 * PER_MS;
/// Words so far are not looked for more often than this by the clock, however fast the audio comes.
const PARTIAL_APART: Duration = Duration::from_millis(240);
/// A look at the words is due after so many times what it will cost.
const PARTIAL_SHARE: f64 = 48.0;
/// But at the latest when so many times what the last look heard has come: a slow machine would have none after its first.
const PARTIAL_GROWTH: usize = 2;
/// A look costs as much as of so much audio before any of it is heard: what short ones take says less of long ones.
const LOOK_FIXED: usize = 750 * PER_MS;
/// After a look at the words the thread is kept free of others for so many times what it took: for results.
const PARTIAL_REST: u32 = 2;
/// Turns that are longer have new words at pauses only: every other turn waits for such a decoding.
const PARTIAL_TURN_MAX: usize = 15_000 * PER_MS;
/// Quiet in which a result is made in advance. Turns end after 300 ms of it at the soonest; with less of it a lone yes is in
/// doubt.
const EARLY_QUIET: usize = 192 * PER_MS;
/// Quiet in which it is made whatever that costs: the last that the ears send before they wait for more speech.
const EARLY_QUIET_SURE: usize = 280 * PER_MS;
/// Before that, a result is worth its cost once speech of so many times that has come since the last one.
const EARLY_SHARE: f64 = 4.0;
/// Results that wait and would take longer than this together are made in a hurry.
const PATIENCE: usize = 250 * PER_MS;
/// The same of one that waits alone: whoever speaks for so long says most that can be misheard.
const PATIENCE_ALONE: usize = 1000 * PER_MS;
/// What a result made with care is thought to cost falls by so much with each that is hurried: one stall of the machine is
/// not remembered for ever.
const FORGOTTEN: f64 = 0.98;
/// A result that waited longer for this thread is worth a line in the log.
const LATE: Duration = Duration::from_millis(500);
/// But not more often than this.
const LATE_SAID_EVERY: Duration = Duration::from_secs(60);

/// What a turn hears when the model panicked.
const PANICKED: &str = "recognition failed for this turn; the engine's fault, see the log";

/// How carefully a turn is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::speech) enum Effort {
    /// Words so far, soon.
    Words,
    /// The first words of a turn that began over the agent's voice or just after it, by which it is judged whether somebody only
    /// agrees: it is likelier to be agreement than other turns are.
    Overheard,
    /// A result, but soon: others wait.
    Hurried,
    /// A result.
    Result,
}

/// What a turn answers.
#[derive(Clone, Copy, Debug)]
pub(in crate::speech) struct Asked {
    /// Who asked, by number.
    pub(in crate::speech) agent: usize,
    pub(in crate::speech) expectation: Expectation,
}

/// The model: a turn of 8 kHz samples → words. It keeps in the draft what spares it work when the turn goes on.
pub(in crate::speech) type Decode =
    Box<dyn FnMut(&[i16], Asked, Effort, &mut Draft) -> Result<Hypothesis, String> + Send>;

/// What time it is.
pub(in crate::speech) type Clock = Box<dyn Fn() -> Tick + Send>;

/// What decoding costs on this machine, of one effort.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// Nanoseconds a sample, of the last turns.
    per_sample: f64,
    /// Samples that cost as much as a turn of none does.
    fixed: usize,
}

impl Cost {
    fn learn(&mut self, samples: usize, took: Duration) {
        let now = took.as_nanos() as f64 / (samples + self.fixed).max(1) as f64;
        self.per_sample = if self.per_sample > 0.0 { 0.75 * self.per_sample + 0.25 * now } else { now };
    }

    /// Samples of audio that last as long as decoding so many does.
    fn samples(self, of: usize) -> f64 {
        self.per_sample * (of + self.fixed) as f64 * (PER_MS as f64 / 1e6)
    }
}

/// A result made in a pause.
struct Early {
    /// The end of the speech that it knows.
    spoken_to: usize,
    heard: Result<Hypothesis, String>,
}

/// One caller's turn.
struct Turn {
    asked: Asked,
    /// The agent was speaking when it began.
    over: bool,
    draft: Draft,
    samples: Vec<i16>,
    /// Samples from which on the first words are looked for.
    first_at: usize,
    /// End of the speech.
    spoken_to: usize,
    /// Samples and time of the last decoding.
    decoded_to: usize,
    decoded_at: Tick,
    words: String,
    /// They have not been asked for.
    news: bool,
    early: Option<Early>,
    /// It is over: its number among those that are, and since when.
    ending: Option<(u64, Tick)>,
    /// Words so far failed; the result may not.
    failed: bool,
    /// Why, until it is told.
    refused: Option<String>,
}

impl Turn {
    fn quiet(&self) -> usize {
        self.samples.len() - self.spoken_to
    }

    /// Its next look is one of those that decide whether the agent goes on.
    fn is_eager(&self) -> bool {
        self.over && self.decoded_to > 0 && self.samples.len() <= LATER_WORDS
    }

    /// The result is there already.
    fn is_known(&self) -> bool {
        self.early.as_ref().is_some_and(|early| early.spoken_to >= self.spoken_to)
    }
}

/// The model with a number of places, which cost nothing but the audio in them.
pub(in crate::speech) struct MoonshineRecogniser {
    decode: Decode,
    clock: Clock,
    places: Vec<Option<Turn>>,
    finished: VecDeque<(usize, Finished)>,
    /// Turns that have ended.
    ended: u64,
    words_cost: Cost,
    result_cost: Cost,
    /// Words so far have had their share of the thread until then.
    rest_until: Tick,
    /// When a late result was last said.
    late_said: Option<Tick>,
}

impl MoonshineRecogniser {
    /// `places`: turns that may go on at the same moment.
    pub(in crate::speech) fn new(decode: Decode, places: usize, clock: Clock) -> Self {
        Self {
            decode,
            clock,
            places: (0..places.max(1)).map(|_| None).collect(),
            finished: VecDeque::new(),
            ended: 0,
            words_cost: Cost { fixed: LOOK_FIXED, ..Cost::default() },
            result_cost: Cost::default(),
            rest_until: Tick(0),
            late_said: None,
        }
    }

    fn is_early_due(&self, turn: &Turn) -> bool {
        let quiet = turn.quiet();
        if turn.ending.is_some() || turn.is_known() || quiet < EARLY_QUIET {
            return false;
        }
        let known = turn.early.as_ref().map_or(0, |early| early.spoken_to);
        let worth = EARLY_SHARE * self.result_cost.samples(turn.samples.len());
        quiet >= EARLY_QUIET_SURE || (turn.spoken_to - known) as f64 >= worth
    }

    fn are_words_due(&self, turn: &Turn, now: Tick) -> bool {
        let held = turn.samples.len();
        if turn.ending.is_some() || turn.failed || turn.quiet() >= EARLY_QUIET || held > PARTIAL_TURN_MAX {
            return false;
        }
        if turn.decoded_to == 0 {
            return held >= turn.first_at;
        }
        if turn.is_eager() {
            let every = if held <= turn.first_at + 2 * VERDICT_WORDS_EVERY {
                VERDICT_WORDS_EVERY
            } else if held <= EARLY_WORDS {
                EARLY_WORDS_EVERY
            } else {
                LATER_WORDS_EVERY
            };
            return held - turn.decoded_to >= every;
        }
        let due = PARTIAL_SHARE * self.words_cost.samples(held);
        let due = due.min((PARTIAL_GROWTH * turn.decoded_to) as f64).max(PARTIAL_EVERY as f64);
        (held - turn.decoded_to) as f64 >= due && now.since(turn.decoded_at) >= PARTIAL_APART && now >= self.rest_until
    }

    /// What is to be decoded now: what has ended, the first first; then results in advance, of whoever has been quiet
    /// longest; then words, of whoever has none or waits longest.
    fn next(&self, now: Tick) -> Option<(usize, Effort)> {
        let turns = || self.places.iter().enumerate().filter_map(|(at, turn)| Some((at, turn.as_ref()?)));
        let ended = turns().filter_map(|(at, turn)| Some((turn.ending?.0, at))).min();
        if let Some((_, at)) = ended {
            return Some((at, Effort::Result));
        }
        let quiet = turns().filter(|(_, turn)| self.is_early_due(turn)).max_by_key(|(_, turn)| turn.quiet());
        if let Some((at, _)) = quiet {
            return Some((at, Effort::Result));
        }
        let speaks = turns().filter(|(_, turn)| self.are_words_due(turn, now));
        let (at, turn) = speaks.min_by_key(|(_, turn)| (turn.decoded_to > 0, turn.decoded_at))?;
        let overheard = turn.over && turn.samples.len() <= EARLY_WORDS;
        Some((at, if overheard { Effort::Overheard } else { Effort::Words }))
    }

    /// All results that are due, made with care, would keep the last of them waiting for too long.
    fn is_pressed(&self) -> bool {
        let due = self.places.iter().flatten().filter(|turn| turn.ending.is_some() || self.is_early_due(turn));
        let (turns, samples) = due.fold((0, 0), |(turns, samples), turn| (turns + 1, samples + turn.samples.len()));
        let patience = if turns > 1 { PATIENCE } else { PATIENCE_ALONE };
        self.result_cost.samples(samples) > patience as f64
    }

    fn hear(&mut self, at: usize, effort: Effort) {
        let effort = if effort == Effort::Result && self.is_pressed() { Effort::Hurried } else { effort };
        let Some(turn) = self.places[at].as_mut() else { return };
        let began = (self.clock)();
        let rests = !turn.is_eager();
        let decode = &mut self.decode;
        let heard = match turn.samples.as_slice() {
            [] => Ok(Hypothesis::default()),
            samples => catch_unwind(AssertUnwindSafe(|| decode(samples, turn.asked, effort, &mut turn.draft)))
                .unwrap_or_else(|_| Err(PANICKED.to_owned())),
        };
        let ended = (self.clock)();
        let took = ended.since(began);
        (turn.decoded_to, turn.decoded_at) = (turn.samples.len(), ended);
        if let Ok(heard) = &heard
            && heard.text != turn.words
        {
            turn.words.clone_from(&heard.text);
            turn.news = true;
        }
        match effort {
            Effort::Words | Effort::Overheard => {
                // Only what waits for its share is measured.
                if effort == Effort::Words {
                    self.words_cost.learn(turn.samples.len(), took);
                }
                // A look that waits for nobody's rest makes nobody wait for one: others would have none beside it.
                if rests {
                    self.rest_until = ended + took * PARTIAL_REST;
                }
                if let Err(what) = heard {
                    turn.failed = true;
                    turn.refused = Some(what);
                }
            }
            Effort::Hurried | Effort::Result => {
                if effort == Effort::Result {
                    self.result_cost.learn(turn.samples.len(), took);
                } else {
                    self.result_cost.per_sample *= FORGOTTEN;
                }
                if let Some((_, since)) = turn.ending {
                    self.places[at] = None;
                    self.finished.push_back((at, Finished { heard, memory: None }));
                    self.say_late(began.since(since), ended);
                } else {
                    turn.early = Some(Early { spoken_to: turn.spoken_to, heard });
                }
            }
        }
    }

    fn say_late(&mut self, waited: Duration, now: Tick) {
        if waited >= LATE && self.late_said.is_none_or(|said| now.since(said) >= LATE_SAID_EVERY) {
            self.late_said = Some(now);
            let speaking = self.places.iter().flatten().count();
            tracing::warn!(
                waited_ms = waited.as_millis() as u64,
                speaking,
                "recognition is behind: more callers speak at once than one thread hears; more cores, or fewer sip.max_calls"
            );
        }
    }
}

impl Recogniser for MoonshineRecogniser {
    fn places(&self) -> usize {
        self.places.len()
    }

    fn orders_at_once(&self) -> usize {
        // They are only kept; a decoding is as long as ten callers' next ten.
        256
    }

    fn begin(&mut self, place: usize, expectation: Expectation, _memory: &LineMemory) -> Result<(), String> {
        self.places[place] = Some(Turn {
            asked: Asked { agent: 0, expectation },
            over: false,
            draft: Draft::default(),
            samples: Vec::new(),
            first_at: usize::MAX,
            spoken_to: 0,
            decoded_to: 0,
            decoded_at: (self.clock)(),
            words: String::new(),
            news: false,
            early: None,
            ending: None,
            failed: false,
            refused: None,
        });
        Ok(())
    }

    fn serve(&mut self, place: usize, caller: Caller) {
        if let Some(turn) = self.places[place].as_mut() {
            (turn.asked.agent, turn.over) = (caller.agent, caller.over);
        }
    }

    fn accept(&mut self, place: usize, samples: &[i16]) -> Result<(), String> {
        let Some(turn) = self.places[place].as_mut().filter(|turn| turn.ending.is_none()) else { return Ok(()) };
        if turn.samples.is_empty() {
            turn.first_at = samples.len().min(FIRST_PIECE_MAX) + FIRST_PARTIAL;
        }
        let room = SAMPLES_MAX - turn.samples.len();
        turn.samples.extend_from_slice(&samples[..samples.len().min(room)]);
        turn.spoken_to = turn.samples.len();
        turn.refused.take().map_or(Ok(()), Err)
    }

    fn quiet(&mut self, place: usize, samples: usize) {
        if let Some(turn) = self.places[place].as_mut() {
            let known = turn.early.as_ref().map_or(0, |early| early.spoken_to);
            // What was speech remains speech.
            turn.spoken_to = turn.samples.len().saturating_sub(samples).max(known);
        }
    }

    fn advance(&mut self) {
        let now = (self.clock)();
        if let Some((place, effort)) = self.next(now) {
            self.hear(place, effort);
        }
    }

    fn is_behind(&self, place: usize) -> bool {
        self.places[place].as_ref().is_some_and(|turn| turn.ending.is_some() || self.is_early_due(turn))
    }

    fn has_news(&self, place: usize) -> bool {
        self.places[place].as_ref().is_some_and(|turn| turn.news)
    }

    fn has_looked(&self, place: usize) -> bool {
        self.places[place].as_ref().is_some_and(|turn| turn.decoded_to > 0)
    }

    fn partial(&mut self, place: usize) -> String {
        let Some(turn) = self.places[place].as_mut() else { return String::new() };
        turn.news = false;
        turn.words.clone()
    }

    fn finish(&mut self, place: usize) {
        let now = (self.clock)();
        let known = self.places[place].take_if(|turn| turn.is_known()).and_then(|turn| turn.early);
        if let Some(early) = known {
            self.finished.push_back((place, Finished { heard: early.heard, memory: None }));
            return;
        }
        self.ended += 1;
        match self.places[place].as_mut() {
            Some(turn) => turn.ending = Some((self.ended, now)),
            // Every end is answered, also that of a turn which has none.
            None => {
                self.finished.push_back((place, Finished { heard: Err("there was no turn".into()), memory: None }));
            }
        }
    }

    fn poll_finished(&mut self) -> Option<(usize, Finished)> {
        self.finished.pop_front()
    }

    fn is_pending(&self) -> bool {
        !self.finished.is_empty() || self.places.iter().flatten().any(|turn| turn.ending.is_some())
    }

    fn abandon(&mut self, place: usize) {
        self.places[place] = None;
        self.finished.retain(|(other, _)| *other != place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    mod beside;

    const MS: u64 = 1_000_000;
    /// What comes at an onset: 300 ms from before it and the 64 ms that made it.
    const FIRST_PIECE: usize = 2400 + 512;
    /// Samples that make the model panic, and that make it fail.
    const PANICS: i16 = -1;
    const FAILS: i16 = -2;

    /// A model that says how much it has heard, and takes its time on a clock of the test's own.
    struct Rig {
        recogniser: MoonshineRecogniser,
        now: Arc<AtomicU64>,
        decoded: Arc<Mutex<Vec<(usize, Effort)>>>,
    }

    impl Rig {
        /// `cost_us`: what a second of audio costs, microseconds.
        fn new(places: usize, cost_us: u64) -> Self {
            let (now, decoded) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
            let (clock, time, log) = (Arc::clone(&now), Arc::clone(&now), Arc::clone(&decoded));
            let decode = move |samples: &[i16], _: Asked, effort: Effort, _: &mut Draft| {
                log.lock().unwrap().push((samples.len(), effort));
                time.fetch_add(samples.len() as u64 * cost_us / 8, Ordering::Relaxed);
                match samples.last() {
                    Some(&PANICS) => std::panic::resume_unwind(Box::new("a test's panic")),
                    Some(&FAILS) => Err("refused".to_owned()),
                    _ => Ok(Hypothesis { text: samples.len().to_string(), ..Hypothesis::default() }),
                }
            };
            let clock = Box::new(move || Tick(clock.load(Ordering::Relaxed)));
            Self { recogniser: MoonshineRecogniser::new(Box::new(decode), places, clock), now, decoded }
        }

        fn begin(&mut self, place: usize) {
            self.recogniser.begin(place, Expectation::Open, &None).unwrap();
            self.recogniser.accept(place, &[1; FIRST_PIECE]).unwrap();
            self.recogniser.quiet(place, 0);
        }

        /// The next 32 ms of each of these places, at the pace of a call; what was decoded meanwhile.
        fn hear(&mut self, places: &[usize], quiet: usize) {
            self.now.fetch_add(32 * MS, Ordering::Relaxed);
            for place in places {
                self.recogniser.accept(*place, &[1; 256]).unwrap();
                self.recogniser.quiet(*place, quiet);
            }
            self.recogniser.advance();
            while places.iter().any(|place| self.recogniser.is_behind(*place)) {
                self.recogniser.advance();
            }
        }

        fn decoded(&self) -> Vec<(usize, Effort)> {
            std::mem::take(&mut *self.decoded.lock().unwrap())
        }

        /// Results as they are there now.
        fn results(&mut self) -> Vec<(usize, Result<String, String>)> {
            let next =
                || self.recogniser.poll_finished().map(|(place, end)| (place, end.heard.map(|heard| heard.text)));
            std::iter::from_fn(next).collect()
        }
    }

    #[test]
    fn turns_at_the_same_time_are_heard_each_for_its_own_agent() {
        let served = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&served);
        let decode = move |samples: &[i16], asked: Asked, _: Effort, _: &mut Draft| {
            log.lock().unwrap().push((samples.first().copied(), asked.agent));
            Ok(Hypothesis::default())
        };
        let mut recogniser = MoonshineRecogniser::new(Box::new(decode), 3, Box::new(|| Tick(0)));
        // By place: which agent is called. The sound says who is heard.
        let agents = [1_usize, 0, 2];
        for turn in 0..2 {
            for (place, agent) in agents.iter().enumerate() {
                recogniser.begin(place, Expectation::Open, &None).unwrap();
                recogniser.serve(place, Caller { agent: (agent + turn) % 3, over: false });
                recogniser.accept(place, &[10 + ((agent + turn) % 3) as i16; 4000]).unwrap();
            }
            (0..3).for_each(|place| recogniser.finish(place));
            while recogniser.is_pending() {
                recogniser.advance();
                while recogniser.poll_finished().is_some() {}
            }
        }
        let served = served.lock().unwrap();
        assert!(
            served.len() >= 6 && served.iter().all(|(sound, agent)| *sound == Some(10 + *agent as i16)),
            "{served:?}"
        );
    }

    #[test]
    fn first_words_are_there_within_half_a_second_of_the_onset() {
        let mut rig = Rig::new(1, 20_000);
        rig.begin(0);
        let chunks = (1..).find(|_| {
            rig.hear(&[0], 0);
            rig.recogniser.has_news(0)
        });
        // 64 ms made the onset.
        assert_eq!(chunks, Some(7), "after 288 ms of speech");
        assert_eq!(rig.recogniser.partial(0), (FIRST_PIECE + 7 * 256).to_string());
        assert!(!rig.recogniser.has_news(0));
        assert!(rig.now.load(Ordering::Relaxed) < 400 * MS);
    }

    #[test]
    fn what_the_first_look_made_of_half_a_word_is_looked_at_again_at_once_while_the_agent_speaks() {
        for (over, expected) in [(true, vec![7, 9, 11, 14, 19, 24, 29]), (false, vec![7])] {
            let mut rig = Rig::new(1, 20_000);
            rig.begin(0);
            rig.recogniser.serve(0, Caller { agent: 0, over });
            let looks: Vec<usize> = (1..=30)
                .filter(|_| {
                    rig.hear(&[0], 0);
                    rig.recogniser.has_news(0) && !rig.recogniser.partial(0).is_empty()
                })
                .collect();
            // 288, 352 and 416 ms into the speech, and on.
            assert_eq!(looks, expected);
            let overheard = |length| over && length <= EARLY_WORDS;
            for (length, effort) in rig.decoded() {
                assert_eq!(effort == Effort::Overheard, overheard(length), "{length}: {effort:?}");
            }
        }
    }

    #[test]
    fn a_result_is_made_in_the_pause_and_is_there_at_the_end() {
        let mut rig = Rig::new(1, 20_000);
        rig.begin(0);
        (0..40).for_each(|_| rig.hear(&[0], 0));
        assert!(rig.decoded().iter().all(|(_, effort)| *effort == Effort::Words));
        let pauses: Vec<usize> = (1..=9)
            .filter(|n| {
                rig.hear(&[0], n * 256);
                rig.decoded().iter().any(|(_, effort)| *effort == Effort::Result)
            })
            .collect();
        assert_eq!(pauses, [6], "once, after 192 ms");
        assert!(rig.recogniser.has_news(0), "its words are told");
        rig.recogniser.finish(0);
        assert!(rig.recogniser.is_pending() && !rig.recogniser.is_behind(0));
        assert_eq!(rig.results(), [(0, Ok((FIRST_PIECE + 46 * 256).to_string()))]);
        assert_eq!(rig.decoded(), []);
        assert!(!rig.recogniser.is_pending());
    }

    #[test]
    fn what_is_said_after_a_pause_makes_its_result_void() {
        let mut rig = Rig::new(1, 20_000);
        rig.begin(0);
        (0..30).for_each(|_| rig.hear(&[0], 0));
        for n in 1..=8 {
            rig.hear(&[0], n * 256);
        }
        rig.decoded();
        rig.hear(&[0], 0);
        rig.recogniser.finish(0);
        assert!(rig.recogniser.is_behind(0) && rig.results().is_empty());
        rig.recogniser.advance();
        assert_eq!(rig.results(), [(0, Ok((FIRST_PIECE + 39 * 256).to_string()))]);
        assert_eq!(rig.decoded(), [(FIRST_PIECE + 39 * 256, Effort::Result)]);
    }

    #[test]
    fn short_pauses_of_a_long_turn_are_not_worth_a_result_each() {
        let mut rig = Rig::new(1, 30_000);
        rig.begin(0);
        let mut results = 0;
        for _ in 0..20 {
            // Half a second of speech, 200 ms of quiet.
            for n in 0..22_usize {
                rig.hear(&[0], n.saturating_sub(15) * 256);
            }
            results += rig.decoded().iter().filter(|(_, effort)| *effort == Effort::Result).count();
        }
        assert!((5..=12).contains(&results), "{results} of 20");
        // The last pause is a long one.
        for n in 7..=9 {
            rig.hear(&[0], n * 256);
        }
        rig.recogniser.finish(0);
        assert_eq!(rig.results().len(), 1);
    }

    #[test]
    fn words_so_far_cost_a_small_part_of_a_turn_and_a_long_turn_has_none() {
        for cost_us in [5_000, 30_000, 60_000] {
            let mut rig = Rig::new(1, cost_us);
            rig.begin(0);
            (0..920).for_each(|_| rig.hear(&[0], 0));
            // The first looks are few, and short.
            let mut decoded = rig.decoded();
            decoded.retain(|(length, _)| *length > EARLY_WORDS);
            let longest = decoded.iter().map(|(length, _)| *length).max().unwrap();
            assert!((12_000..=PARTIAL_TURN_MAX).contains(&longest), "{longest}");
            let cost: u64 = decoded.iter().map(|(length, _)| *length as u64 * cost_us / 8000).sum();
            assert!(cost * 11 <= longest as u64 * 125, "{cost} us of {longest} samples");
            let mut apart = decoded.windows(2).map(|pair| pair[1].0 - pair[0].0);
            assert!(apart.all(|apart| apart >= PARTIAL_EVERY));
        }
    }

    #[test]
    fn audio_that_comes_faster_than_it_was_said_is_not_decoded_for_words_again_and_again() {
        // The first looks over the agent's voice, which do not wait for the clock, and no other.
        for (over, expected, longest) in [(true, 11, LATER_WORDS), (false, 1, EARLY_WORDS)] {
            let mut rig = Rig::new(1, 20_000);
            rig.begin(0);
            rig.recogniser.serve(0, Caller { agent: 0, over });
            for _ in 0..400 {
                rig.recogniser.accept(0, &[1; 256]).unwrap();
                rig.recogniser.quiet(0, 0);
                rig.recogniser.advance();
            }
            let looks: Vec<usize> = rig.decoded().into_iter().map(|(length, _)| length).collect();
            assert!(looks.len() == expected && looks.iter().all(|length| *length <= longest), "{looks:?}");
            rig.recogniser.finish(0);
            rig.recogniser.advance();
            assert_eq!(rig.results().len(), 1);
        }
    }

    #[test]
    fn results_come_before_words_and_in_the_order_of_their_ends() {
        let mut rig = Rig::new(4, 20_000);
        for place in 0..4 {
            rig.begin(place);
        }
        for _ in 0..30 {
            rig.hear(&[0, 1, 2, 3], 0);
        }
        rig.decoded();
        for place in [2, 0, 3] {
            rig.recogniser.finish(place);
        }
        for _ in 0..3 {
            rig.recogniser.advance();
        }
        let order: Vec<usize> = rig.results().into_iter().map(|(place, _)| place).collect();
        assert_eq!(order, [2, 0, 3]);
        assert!(rig.decoded().iter().all(|(_, effort)| *effort == Effort::Result));
    }

    #[test]
    fn results_are_hurried_while_many_wait_and_one_stall_is_forgotten() {
        let mut rig = Rig::new(12, 60_000);
        // What care costs is learnt by the first.
        rig.begin(0);
        (0..30).for_each(|_| rig.hear(&[0], 0));
        rig.recogniser.finish(0);
        rig.recogniser.advance();
        assert_eq!(rig.decoded().last().unwrap().1, Effort::Result);
        rig.results();
        let places: Vec<usize> = (0..12).collect();
        places.iter().for_each(|place| rig.begin(*place));
        (0..60).for_each(|_| rig.hear(&places, 0));
        rig.decoded();
        places.iter().for_each(|place| rig.recogniser.finish(*place));
        (0..12).for_each(|_| rig.recogniser.advance());
        let efforts: Vec<Effort> = rig.decoded().into_iter().map(|(_, effort)| effort).collect();
        // 2.3 s of each at 60 ms a second: two of them are a quarter of a second's work.
        let hurried = efforts.iter().take_while(|effort| **effort == Effort::Hurried).count();
        assert!((9..=10).contains(&hurried), "{efforts:?}");
        assert!(efforts[hurried..].iter().all(|effort| *effort == Effort::Result), "{efforts:?}");
        assert_eq!(rig.results().len(), 12);
        // A machine that stood still for one result.
        rig.recogniser.result_cost.per_sample *= 20.0;
        let turns = (1..100).find(|_| {
            rig.begin(0);
            (0..30).for_each(|_| rig.hear(&[0], 0));
            rig.decoded();
            rig.recogniser.finish(0);
            rig.recogniser.advance();
            rig.results();
            rig.decoded().last().unwrap().1 == Effort::Result
        });
        assert!(turns.is_some_and(|turns| (5..90).contains(&turns)), "{turns:?}");
    }

    #[test]
    fn words_of_many_callers_leave_most_of_the_thread_to_results() {
        let mut rig = Rig::new(16, 30_000);
        let places: Vec<usize> = (0..16).collect();
        for place in &places {
            rig.begin(*place);
            rig.recogniser.serve(*place, Caller { agent: 0, over: true });
        }
        let (mut cost, mut heard) = (0, [0_usize; 16]);
        for n in 0..300 {
            rig.hear(&places, 0);
            for place in &places {
                heard[*place] += usize::from(rig.recogniser.has_news(*place));
                rig.recogniser.partial(*place);
            }
            let now: u64 = rig.decoded().iter().map(|(length, _)| *length as u64 * 30 / 8000).sum();
            // First words come when they are due, whatever there is: those of the first two seconds.
            cost += if n > 64 { now } else { 0 };
        }
        assert!(cost <= rig.now.load(Ordering::Relaxed) / MS * 38 / 100, "{cost} ms");
        let (least, most) = (heard.iter().min().unwrap(), heard.iter().max().unwrap());
        assert!(*least >= 3 && most - least <= 2, "{heard:?}");
    }

    #[test]
    fn a_panic_or_an_error_costs_its_turn_and_is_said() {
        let mut rig = Rig::new(2, 20_000);
        rig.begin(0);
        rig.begin(1);
        for (place, bad) in [(0, PANICS), (1, FAILS)] {
            rig.recogniser.accept(place, &[bad; 2560]).unwrap();
            rig.recogniser.advance();
            rig.recogniser.advance();
        }
        // Told once, with the next samples.
        assert!(rig.recogniser.accept(0, &[PANICS; 256]).unwrap_err().contains("engine's fault"));
        rig.recogniser.accept(0, &[PANICS; 256]).unwrap();
        assert_eq!(rig.recogniser.accept(1, &[1; 256]), Err("refused".to_owned()));
        rig.recogniser.finish(0);
        rig.recogniser.finish(1);
        rig.recogniser.advance();
        rig.recogniser.advance();
        let results = rig.results();
        assert!(results[0].1.as_ref().unwrap_err().contains("engine's fault"), "{results:?}");
        // Words that failed are not the result.
        assert!(results[1].1.is_ok());
        rig.begin(0);
        rig.recogniser.finish(0);
        rig.recogniser.advance();
        assert!(rig.results()[0].1.is_ok());
    }

    #[test]
    fn what_is_abandoned_is_never_answered_and_every_end_is() {
        let mut rig = Rig::new(2, 20_000);
        for ended in [false, true] {
            rig.begin(0);
            if ended {
                rig.recogniser.finish(0);
            }
            rig.recogniser.abandon(0);
            rig.recogniser.advance();
            assert!(rig.results().is_empty() && !rig.recogniser.is_pending());
        }
        // One whose result was there, but not fetched.
        rig.begin(0);
        for n in 1..=9 {
            rig.hear(&[0], n * 256);
        }
        rig.recogniser.finish(0);
        rig.recogniser.abandon(0);
        assert!(rig.results().is_empty());
        rig.recogniser.finish(1);
        assert!(rig.results()[0].1.is_err());
        rig.begin(1);
        rig.recogniser.accept(1, &vec![1; SAMPLES_MAX]).unwrap();
        rig.recogniser.finish(1);
        rig.recogniser.advance();
        assert_eq!(rig.results(), [(1, Ok(SAMPLES_MAX.to_string()))]);
    }
}
