//! Scripted voices in place of engines: slow ones, ones that fail, ones that never end. Time passes only where a test says.

use super::super::event::SpeechEvent;
use super::super::normalise::{Lexicon, Reading};
use super::super::synthesiser::{Haste, Sink, SpeakOptions, Synthesiser};
use super::lane::pieces;
use super::mouth::{LOCAL, Manner, Mouth, MouthCommand, start};
use super::source::VoiceSource;
use crate::conversation::{FILLER, WordTime, failure_lines};
use crate::id::{CallId, Generation, UtteranceId};
use crate::media::{OutFrame, OutboundConsumer};
use callwright_models::tts::WordTime as EngineWord;
use crossbeam_channel::{Receiver, bounded};
use ringbuf::HeapRb;
use ringbuf::traits::{Consumer, Observer, Split};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Samples of one spoken word of a scripted voice: 100 ms.
const WORD: usize = 800;

/// What a scripted voice does with a clause that holds its word.
#[derive(Clone, Default)]
struct Script {
    /// Level of its samples: who spoke is heard by that.
    level: i16,
    /// Clauses with this word wait for a ticket before every 16 ms of audio.
    slow: Option<(&'static str, Receiver<()>)>,
    /// Clauses with this word fail after so many spoken words.
    fails: Option<(&'static str, usize)>,
    /// Clauses spoken, by anybody with this script.
    spoken: Arc<AtomicUsize>,
    remote: bool,
    tells_times: bool,
    /// Set: it says nothing more, whatever the clause.
    dead: Arc<AtomicBool>,
}

struct Scripted(Script);

impl Synthesiser for Scripted {
    fn sample_rate(&self) -> u32 {
        8000
    }

    fn speak(&mut self, text: &str, sink: Sink<'_>) -> Result<Vec<EngineWord>, String> {
        self.speak_with(text, &SpeakOptions::default(), sink)
    }

    fn speak_with(
        &mut self,
        text: &str,
        _options: &SpeakOptions<'_>,
        sink: Sink<'_>,
    ) -> Result<Vec<EngineWord>, String> {
        self.0.spoken.fetch_add(1, Ordering::SeqCst);
        if self.0.dead.load(Ordering::SeqCst) {
            return Err("the voice is gone".to_owned());
        }
        let mut times = Vec::new();
        for (n, word) in text.split_whitespace().enumerate() {
            if self.0.fails.is_some_and(|(trigger, after)| text.contains(trigger) && n == after) {
                return Err("the line is dead".to_owned());
            }
            assert!(word != "panic", "a scripted panic");
            // A square wave: no sample of it is silent.
            let samples: Vec<i16> =
                (0..WORD).map(|n| if n / 8 % 2 == 0 { self.0.level } else { -self.0.level }).collect();
            for chunk in samples.chunks(128) {
                if let Some((_, tickets)) = self.0.slow.as_ref().filter(|(trigger, _)| text.contains(trigger)) {
                    // An error: the test is over.
                    let _ = tickets.recv();
                }
                if sink(chunk).is_break() {
                    return Ok(times);
                }
            }
            let start_ms = (n * WORD / 8) as u32;
            times.push(EngineWord { word: word.to_owned(), start_ms, end_ms: start_ms + 100 });
        }
        Ok(if self.0.tells_times { times } else { Vec::new() })
    }

    fn is_local(&self) -> bool {
        !self.0.remote
    }
}

fn source(name: &'static str, script: &Script) -> VoiceSource {
    let script = script.clone();
    VoiceSource::each(name, move || Ok(Box::new(Scripted(script.clone())) as Box<_>))
}

fn plain() -> Script {
    Script { level: 3277, tells_times: true, ..Script::default() }
}

struct Rig {
    mouth: Option<Mouth>,
}

impl Rig {
    fn new(sources: Vec<VoiceSource>, seats: usize) -> Self {
        Self { mouth: Some(start(sources, seats).unwrap()) }
    }

    fn send(&self, command: MouthCommand) {
        self.mouth.as_ref().unwrap().commands.send(command).unwrap();
    }

    fn call(&self, number: u64, manner: Manner) -> Call {
        let (outbound, ring) = HeapRb::<OutFrame>::new(100).split();
        let (events, told) = mpsc::channel(256);
        let generation = Arc::new(AtomicU32::new(0));
        let call = CallId(number);
        self.send(MouthCommand::Attach { call, outbound, events, generation: Arc::clone(&generation), manner });
        Call { call, ring, told, generation, seen: Vec::new() }
    }

    fn speak(&self, call: &Call, utterance: u32, text: &str) {
        self.order(call, utterance, text, false);
    }

    fn order(&self, call: &Call, utterance: u32, text: &str, ahead: bool) {
        self.send(MouthCommand::Speak {
            call: call.call,
            utterance: UtteranceId(utterance),
            generation: Generation(call.generation.load(Ordering::SeqCst)),
            text: text.to_owned(),
            ahead,
            asked: Instant::now(),
        });
    }

    fn flush(&self, call: &Call) {
        call.generation.fetch_add(1, Ordering::SeqCst);
        self.send(MouthCommand::Flush { call: call.call });
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(mouth) = self.mouth.take() {
            let _ = mouth.commands.send(MouthCommand::Stop);
            for thread in mouth.threads {
                let _ = thread.join();
            }
        }
    }
}

struct Call {
    call: CallId,
    ring: OutboundConsumer,
    told: mpsc::Receiver<SpeechEvent>,
    generation: Arc<AtomicU32>,
    seen: Vec<SpeechEvent>,
}

impl Call {
    fn wait<T>(&mut self, what: &str, want: impl Fn(&SpeechEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Ok(event) = self.told.try_recv() {
                self.seen.push(event);
            }
            if let Some((at, found)) = self.seen.iter().enumerate().find_map(|(at, event)| Some((at, want(event)?))) {
                self.seen.remove(at);
                return found;
            }
            assert!(Instant::now() < deadline, "no {what}; seen: {:?}", self.seen);
            std::thread::yield_now();
        }
    }

    fn spoken(&mut self, utterance: u32) -> (Vec<WordTime>, u64) {
        self.wait("spoken", |event| match event {
            SpeechEvent::Spoken { utterance: done, words, samples } if done.0 == utterance => {
                Some((words.clone(), *samples))
            }
            _ => None,
        })
    }

    /// Takes frames until one ends `utterance`.
    fn play(&mut self, utterance: u32) -> Vec<i16> {
        let deadline = Instant::now() + PATIENCE;
        let mut samples = Vec::new();
        loop {
            if let Some(frame) = self.ring.try_pop() {
                samples.extend_from_slice(frame.samples());
                if frame.end && frame.utterance == UtteranceId(utterance) {
                    return samples;
                }
            } else {
                assert!(Instant::now() < deadline, "utterance {utterance} does not end; seen: {:?}", self.seen);
                std::thread::yield_now();
            }
        }
    }
}

fn written(words: &[WordTime]) -> String {
    words.iter().map(|word| word.word.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_slow_clause_of_one_call_does_not_hold_up_another() {
    let (tickets, gate) = bounded(1000);
    let script = Script { slow: Some(("snail", gate)), ..plain() };
    let rig = Rig::new(vec![source("scripted", &script)], 2);
    let (mut slow, mut quick) = (rig.call(1, Manner::default()), rig.call(2, Manner::default()));
    rig.speak(&slow, 1, "the snail speaks");
    // The one free seat serves everybody else, however often.
    for n in 1..=5 {
        rig.speak(&quick, n, "number one, two.");
        assert!(!quick.play(n).is_empty());
    }
    assert!(slow.ring.is_empty());
    for _ in 0..100 {
        tickets.send(()).unwrap();
    }
    slow.play(1);
    assert_eq!(written(&slow.spoken(1).0), "the snail speaks");
}

#[test]
fn a_flush_during_slow_synthesis_stops_it_and_nothing_comes_after() {
    let (tickets, gate) = bounded(1000);
    let script = Script { slow: Some(("snail", gate)), tells_times: false, ..plain() };
    let rig = Rig::new(vec![source("scripted", &script)], 2);
    let mut call = rig.call(1, Manner::default());
    rig.speak(&call, 1, "this snail is slow to say five words");
    // 21 chunks of 16 ms are 336 ms of audio: some of the words.
    for _ in 0..21 {
        tickets.send(()).unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    while heard.len() < 2 * WORD {
        match call.ring.try_pop() {
            Some(frame) => heard.extend_from_slice(frame.samples()),
            None => assert!(Instant::now() < deadline, "{}", heard.len()),
        }
    }
    rig.flush(&call);
    // Answered while the engine still hangs, with words that surely ended.
    let (words, samples) = call.spoken(1);
    assert!(words.len() < 4 && samples < 4 * WORD as u64, "{words:?} {samples}");
    assert!(words.iter().all(|word| u64::from(word.end_ms) * 8 <= samples));
    let late: Vec<_> = std::iter::from_fn(|| call.ring.try_pop()).collect();
    // The engine comes back to life: what it brings is nobody's.
    for _ in 0..200 {
        tickets.send(()).unwrap();
    }
    rig.speak(&call, 2, "go on");
    let samples = call.play(2);
    assert_eq!(samples.len(), 2 * WORD, "only the new words");
    assert!(late.iter().all(|frame| frame.generation == Generation(0)) && late.len() <= 21);
    // The clause was given up at its next chunk, not spoken to its end.
    assert!(tickets.len() > 100, "{} tickets are left", tickets.len());
}

#[test]
fn after_a_flush_not_one_frame_of_it_reaches_the_ring() {
    let rig = Rig::new(vec![source("scripted", &plain())], 3);
    let text = "one two three four five six seven eight nine ten. ".repeat(20);
    let mut calls: Vec<Call> = (1..=4).map(|n| rig.call(n, Manner::default())).collect();
    for round in 0..20_u32 {
        for call in &calls {
            rig.speak(call, round * 2 + 1, &text);
        }
        for call in &mut calls {
            while call.ring.occupied_len() < 3 {
                std::thread::yield_now();
            }
            rig.flush(call);
            let old = call.generation.load(Ordering::SeqCst) - 1;
            // Commands are taken in order: once this one is answered, the flush has been.
            rig.speak(call, round * 2 + 2, "");
            call.spoken(round * 2 + 1);
            call.spoken(round * 2 + 2);
            while call.ring.try_pop().is_some() {}
            std::thread::yield_now();
            let late = std::iter::from_fn(|| call.ring.try_pop()).filter(|frame| frame.generation.0 <= old).count();
            assert_eq!(late, 0, "round {round}");
        }
    }
}

#[test]
fn the_call_with_the_least_audio_is_served_first() {
    let (tickets, gate) = bounded(10_000);
    let script = Script { slow: Some(("word", gate)), ..plain() };
    let rig = Rig::new(vec![source("scripted", &script)], 1);
    let (full, mut empty) = (rig.call(1, Manner::default()), rig.call(2, Manner::default()));
    // Ten clauses of one call, then one of another which has nothing in its ring.
    rig.speak(&full, 1, &"word one two three four. ".repeat(10));
    while script.spoken.load(Ordering::SeqCst) < 2 {
        std::thread::yield_now();
    }
    rig.speak(&empty, 1, "word here.");
    for _ in 0..400 {
        tickets.send(()).unwrap();
    }
    empty.play(1);
    // The measurement, the clause under way, perhaps one more, and this one; not all ten.
    assert!(script.spoken.load(Ordering::SeqCst) <= 6, "{}", script.spoken.load(Ordering::SeqCst));
    drop(tickets);
}

#[test]
fn a_voice_that_fails_before_a_sound_is_stood_in_for_and_one_that_fails_later_too() {
    let local = Script { level: 1000, ..plain() };
    let remote = Script { level: 3000, remote: true, fails: Some(("broken", 0)), ..plain() };
    let rig = Rig::new(vec![source("local", &local), source("remote", &remote)], 2);
    assert_eq!(
        remote.spoken.load(Ordering::SeqCst),
        0,
        "a voice elsewhere is not asked before there is something to say"
    );
    let mut call = rig.call(1, Manner { voice: 1, ..Manner::default() });
    rig.speak(&call, 1, "this is broken here.");
    let samples = call.play(1);
    let (words, total) = call.spoken(1);
    assert_eq!((written(&words).as_str(), total as usize), ("this is broken here.", samples.len()));
    let down = Arc::clone(&rig.mouth.as_ref().unwrap().down);
    assert!(down[1].load(Ordering::SeqCst) && !down[0].load(Ordering::SeqCst));
    // It works again for the next.
    rig.speak(&call, 2, "all well.");
    call.play(2);
    assert!(!down[1].load(Ordering::SeqCst));
    // In the middle: two words are out; the local voice says the others, once each.
    let half = Script { fails: Some(("broken", 2)), ..remote };
    let rig = Rig::new(vec![source("local", &local), source("remote", &half)], 1);
    let mut call = rig.call(1, Manner { voice: 1, ..Manner::default() });
    rig.speak(&call, 1, "half is broken here, and the rest of it.");
    let samples = call.play(1);
    let (words, total) = call.spoken(1);
    assert_eq!(written(&words), "half is broken here, and the rest of it.");
    assert_eq!(total as usize, samples.len());
    assert!(words.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms), "{words:?}");
    assert!(words.iter().all(|word| u64::from(word.end_ms) * 8 <= total), "{words:?}");
    assert!(call.seen.iter().all(|event| !matches!(event, SpeechEvent::Failed { .. })), "nobody missed anything");
}

#[test]
fn when_the_local_voice_fails_the_call_is_told_and_goes_on() {
    let script = Script { fails: Some(("broken", 1)), ..plain() };
    let rig = Rig::new(vec![source("local", &script)], 1);
    let mut call = rig.call(1, Manner::default());
    rig.speak(&call, 1, "it broken down. More.");
    call.wait("failure", |event| matches!(event, SpeechEvent::Failed { .. }).then_some(()));
    let (words, samples) = call.spoken(1);
    assert!(words.len() <= 1 && samples as usize <= 2 * WORD, "{words:?}");
    call.play(1);
    rig.speak(&call, 2, "and on.");
    call.play(2);
    // A panic is one clause's.
    rig.speak(&call, 3, "say panic now.");
    call.wait("failure", |event| matches!(event, SpeechEvent::Failed { .. }).then_some(()));
    call.play(3);
    rig.speak(&call, 4, "and on again.");
    assert_eq!(call.play(4).len(), 3 * WORD + 2000);
}

#[test]
fn fallback_audio_is_there_before_the_voice_elsewhere_fails() {
    let local = Script { level: 1000, ..plain() };
    let remote = Script { level: 3000, remote: true, fails: Some(("sorry", 0)), ..plain() };
    let (voice, count) = (remote.clone(), |script: &Script| script.spoken.load(Ordering::SeqCst));
    let elsewhere = VoiceSource::elsewhere("remote", move || Ok(Box::new(Scripted(voice.clone())) as Box<_>));
    let rig = Rig::new(vec![source("local", &local), elsewhere], 2);
    let measured = count(&local);
    let manner = Manner { voice: 1, ..Manner::default() };
    rig.send(MouthCommand::Warm { text: "I am sorry.".into(), greeting: false, manner: manner.clone() });
    let deadline = Instant::now() + PATIENCE;
    while count(&local) < measured + 1 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert_eq!(count(&remote), 0, "what is no greeting is not paid for");
    // A call with the local voice sees to it that what was warmed has arrived.
    let mut first = rig.call(1, Manner::default());
    rig.speak(&first, 1, "I am sorry.");
    first.play(1);
    let asked = count(&local);
    let mut call = rig.call(2, manner);
    for utterance in 1..=3 {
        rig.speak(&call, utterance, "I am sorry.");
        assert!(!call.play(utterance).is_empty());
        assert_eq!(written(&call.spoken(utterance).0), "I am sorry.");
    }
    assert_eq!(count(&local), asked, "known by heart");
    assert_eq!(count(&remote), 1, "a voice that does not answer is not asked again for what is known");
}

#[test]
fn a_likely_answer_is_synthesised_ahead_and_not_heard_before_it_is_asked_for() {
    let (local, remote) = (plain(), Script { remote: true, ..plain() });
    let (voice, count) = (remote.clone(), |script: &Script| script.spoken.load(Ordering::SeqCst));
    let elsewhere = VoiceSource::elsewhere("remote", move || Ok(Box::new(Scripted(voice.clone())) as Box<_>));
    let rig = Rig::new(vec![source("local", &local), elsewhere], 2);
    let measured = count(&local);
    let mut call = rig.call(1, Manner::default());
    let mut other = rig.call(2, Manner { voice: 1, ..Manner::default() });
    rig.send(MouthCommand::Prepare { call: CallId(1), text: "It is ready. Shall I go on?".into() });
    rig.send(MouthCommand::Prepare { call: CallId(2), text: "It is ready.".into() });
    rig.send(MouthCommand::Prepare { call: CallId(9), text: "Nobody is there.".into() });
    let deadline = Instant::now() + PATIENCE;
    while count(&local) < measured + 1 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    // That it was begun is no sign that it has arrived: what is said by heart or not at all shows that, and asks nobody.
    let mut known = rig.call(3, Manner::default());
    for n in 1.. {
        rig.order(&known, n, "It is ready.", true);
        known.play(n);
        if known.spoken(n).1 > 0 {
            break;
        }
        assert!(Instant::now() < deadline, "it does not arrive");
    }
    rig.speak(&other, 1, "something else.");
    other.play(1);
    let (asked, paid) = (count(&local), count(&remote));
    assert_eq!(asked, measured + 1, "the first clause, once, and for whoever is there");
    assert_eq!(paid, 1, "a guess is not paid for");
    assert!(call.ring.try_pop().is_none() && call.told.try_recv().is_err(), "nothing of it is heard");
    rig.speak(&call, 1, "It is ready.");
    assert!(!call.play(1).is_empty());
    assert_eq!(count(&local), asked, "it was there");
}

#[test]
fn a_voice_that_speaks_one_clause_at_a_time_holds_one_seat() {
    let (tickets, gate) = bounded(10_000);
    let script = Script { slow: Some(("slow", gate)), ..plain() };
    let one = VoiceSource::shared("one", Box::new(Scripted(script.clone())));
    let rig = Rig::new(vec![source("local", &plain()), one], 2);
    let slow = Manner { voice: 1, ..Manner::default() };
    let waiting = [rig.call(1, slow.clone()), rig.call(2, slow)];
    for call in &waiting {
        rig.speak(call, 1, "slow as can be.");
    }
    let mut other = rig.call(3, Manner::default());
    rig.speak(&other, 1, "and me.");
    assert!(!other.play(1).is_empty());
    drop(tickets);
    for mut call in waiting {
        assert!(!call.play(1).is_empty());
    }
}

#[test]
fn prompts_are_known_by_heart_per_voice_and_lexicon() {
    let (one, two) = (plain(), plain());
    let rig = Rig::new(vec![source("one", &one), source("two", &two)], 1);
    let measured = one.spoken.load(Ordering::SeqCst);
    let lexicon = Lexicon::new([("Nguyen", "win")]).unwrap();
    let manners = [
        Manner::default(),
        Manner { reading: Arc::new(Reading { lexicon, ..Reading::default() }), ..Manner::default() },
        Manner { voice: 1, ..Manner::default() },
    ];
    for round in 0..3 {
        for (n, manner) in manners.iter().enumerate() {
            let mut call = rig.call(round * 10 + n as u64, manner.clone());
            rig.speak(&call, 1, "Hello Nguyen.");
            call.play(1);
            assert_eq!(written(&call.spoken(1).0), "Hello Nguyen.");
        }
    }
    assert_eq!(one.spoken.load(Ordering::SeqCst), measured + 2);
    assert_eq!(two.spoken.load(Ordering::SeqCst), 2);
}

#[test]
fn a_voice_that_cannot_be_loaded_is_named_and_the_local_one_must_load() {
    let broken = || VoiceSource::each("broken", || Err("install it with: make voices".to_owned()));
    let rig = Rig::new(vec![source("local", &plain()), broken()], 2);
    assert_eq!(rig.mouth.as_ref().unwrap().missing, [(1, "install it with: make voices".to_owned())]);
    let mut call = rig.call(1, Manner { voice: 1, ..Manner::default() });
    rig.speak(&call, 1, "still heard.");
    assert!(!call.play(1).is_empty());
    let error = start(vec![broken(), source("other", &plain())], 1).err().unwrap().to_string();
    assert!(error.contains("make voices"), "{error}");
    assert!(start(Vec::new(), 1).is_err());
}

#[test]
fn one_engine_for_all_threads_takes_turns() {
    let script = plain();
    let rig = Rig::new(vec![VoiceSource::shared("one", Box::new(Scripted(script.clone())))], 3);
    let mut calls: Vec<Call> = (1..=6).map(|n| rig.call(n, Manner::default())).collect();
    for (n, call) in (0..).zip(&calls) {
        rig.speak(call, 1, &format!("call number {n} is here."));
    }
    for call in &mut calls {
        call.play(1);
        assert_eq!(call.spoken(1).0.len(), 5);
    }
}

/// Any order of orders: every `Speak` is answered once, frames of an utterance are in one piece and in order, the
/// utterance that was not flushed is heard in full.
#[test]
fn whatever_is_asked_every_utterance_is_answered_once() {
    let mut seed = 7_u32;
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % below
    };
    for seats in [1, 3] {
        let rig = Rig::new(
            vec![source("one", &plain()), source("two", &Script { fails: Some(("three", 1)), ..plain() })],
            seats,
        );
        let mut calls: Vec<Call> =
            (1..=3).map(|n| rig.call(n, Manner { voice: (n % 2) as usize, ..Manner::default() })).collect();
        let mut asked: BTreeMap<(usize, u32), usize> = BTreeMap::new();
        let texts = ["", "-", "one.", "one two three four.", "42 and $5, at 10:30. Then three more words here."];
        for utterance in 1..=40 {
            for (n, call) in calls.iter_mut().enumerate() {
                let text = texts[random(5) as usize];
                rig.speak(call, utterance, text);
                asked.insert((n, utterance), text.split_whitespace().count());
                if random(4) == 0 {
                    rig.flush(call);
                }
                while random(3) > 0 && call.ring.try_pop().is_some() {}
            }
        }
        for (n, call) in calls.iter_mut().enumerate() {
            // Not flushed any more: it plays to its end.
            rig.speak(call, 41, "the very last.");
            call.play(41);
            for utterance in 1..=41 {
                let words = call.spoken(utterance).0.len();
                let of = asked.get(&(n, utterance)).copied().unwrap_or(3);
                assert!(words <= of, "{words} of {of} words");
                assert!(utterance < 41 || words == 3);
            }
            assert!(call.seen.iter().all(|event| !matches!(event, SpeechEvent::Spoken { .. })), "answered once");
        }
    }
}

#[test]
fn the_sink_is_told_to_stop_within_a_chunk() {
    use super::super::clause::clauses;
    use super::super::normalise::normalise;
    use super::voice::{Ending, Voice};
    let (mut voice, _) = Voice::new(Box::new(Scripted(plain()))).unwrap();
    let clause = clauses(normalise("one two three four")).remove(0);
    let mut heard = 0;
    let (rendered, ending) = voice.render(&clause, &mut |samples| {
        heard += samples.len();
        if heard >= WORD { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(ending, Ending::Stopped);
    assert!(heard <= WORD + 128 && rendered.samples.len() == heard, "{heard}");
    assert!(rendered.words.len() <= 1, "{:?}", rendered.words);
}

/// Waits until everything that was to be warmed before has been.
fn warmed(rig: &Rig, script: &Script, clauses: usize) {
    let deadline = Instant::now() + PATIENCE;
    while script.spoken.load(Ordering::SeqCst) < clauses {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    // What a seat has said is known when a later clause has come back from it.
    let mut last = rig.call(999, Manner::default());
    rig.speak(&last, 1, "something else");
    last.play(1);
}

#[test]
fn every_line_of_a_failure_is_said_with_the_voice_gone() {
    let script = plain();
    let rig = Rig::new(vec![source("local", &script)], 1);
    let measured = script.spoken.load(Ordering::SeqCst);
    let mut clauses = BTreeSet::new();
    for line in failure_lines() {
        clauses.extend(pieces(line, &Manner::default(), Haste::default()).iter().map(|piece| piece.key(LOCAL)));
        rig.send(MouthCommand::Warm { text: line.into(), greeting: false, manner: Manner::default() });
    }
    warmed(&rig, &script, measured + clauses.len());
    script.dead.store(true, Ordering::SeqCst);
    let mut call = rig.call(1, Manner::default());
    rig.speak(&call, 1, "this is not known by heart");
    let (words, samples) = call.spoken(1);
    assert!(words.is_empty() && samples == 0, "the voice is gone");
    for (utterance, line) in (2..).zip(failure_lines()) {
        rig.speak(&call, utterance, line);
        let heard = call.play(utterance);
        assert!(heard.len() >= line.split_whitespace().count() * WORD, "{line}: {} samples", heard.len());
        assert_eq!(written(&call.spoken(utterance).0), line);
    }
}

#[test]
fn a_filler_goes_ahead_of_a_voice_that_is_late_and_never_of_one_that_is_heard() {
    let (tickets, gate) = bounded(10_000);
    let script = Script { slow: Some(("snail", gate)), ..plain() };
    let rig = Rig::new(vec![source("scripted", &script)], 1);
    let measured = script.spoken.load(Ordering::SeqCst);
    rig.send(MouthCommand::Warm { text: FILLER.into(), greeting: false, manner: Manner::default() });
    warmed(&rig, &script, measured + 1);
    let mut call = rig.call(1, Manner::default());
    rig.speak(&call, 1, "the snail speaks");
    rig.order(&call, 2, FILLER, true);
    assert!(call.play(2).len() >= 2 * WORD, "while the one voice is busy");
    for _ in 0..1000 {
        tickets.send(()).unwrap();
    }
    assert!(call.play(1).len() >= 3 * WORD, "and what it announced follows");
    rig.speak(&call, 3, "number one, two. And more of it.");
    call.wait("start", |event| {
        matches!(event, SpeechEvent::SpeakStarted { utterance, .. } if utterance.0 == 3).then_some(())
    });
    rig.order(&call, 4, FILLER, true);
    let refused = call.spoken(4);
    assert!(refused.0.is_empty() && refused.1 == 0, "an answer that has begun is not broken into");
    rig.speak(&call, 5, "the end");
    assert!(call.play(5).len() >= 2 * WORD);
}
