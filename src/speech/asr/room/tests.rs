//! The room with an engine that does whatever its script says: fails, panics anywhere, answers late.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};

/// What the engine does at its next call: `Some(true)` panics, `Some(false)` refuses where it can.
type Fate = Option<bool>;

/// An engine's own view of its places, and what it was told to do.
#[derive(Default)]
struct Script {
    /// What each place in use has heard.
    seats: Vec<Option<Vec<i16>>>,
    /// Finished turns and how often they are still asked for in vain.
    late: Vec<(usize, u32, Vec<i16>)>,
    /// Fates of the next calls; after them everything goes well.
    fates: VecDeque<Fate>,
    /// Answers come after so many looks.
    delay: u32,
    /// What the room did wrong.
    wrong: Vec<String>,
}

#[derive(Clone)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn new(places: usize, delay: u32) -> Self {
        Self(Arc::new(Mutex::new(Script { seats: vec![None; places], delay, ..Script::default() })))
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Panics without a message on the terminal, or says whether the call is refused.
    fn meets_its_fate(&self) -> bool {
        let fate = self.script().fates.pop_front().flatten();
        if fate == Some(true) {
            resume_unwind(Box::new("scripted"));
        }
        fate.is_some()
    }

    fn check(&self, place: usize, in_use: bool, doing: &str) {
        let mut script = self.script();
        let late = script.late.iter().any(|(other, ..)| *other == place);
        if script.seats[place].is_some() != in_use || late {
            script.wrong.push(format!("{doing} at place {place}"));
        }
    }
}

impl Recogniser for Scripted {
    fn places(&self) -> usize {
        self.script().seats.len()
    }

    fn begin(&mut self, place: usize, _: Expectation, _: &LineMemory) -> Result<(), String> {
        self.check(place, false, "begin");
        // An engine may panic after it has taken the place.
        self.script().seats[place] = Some(Vec::new());
        if self.meets_its_fate() {
            self.script().seats[place] = None;
            return Err("refused".into());
        }
        Ok(())
    }

    fn accept(&mut self, place: usize, samples: &[i16]) -> Result<(), String> {
        self.check(place, true, "accept");
        let refused = self.meets_its_fate();
        if let Some(heard) = &mut self.script().seats[place] {
            heard.extend_from_slice(samples);
        }
        if refused { Err("refused".into()) } else { Ok(()) }
    }

    fn advance(&mut self) {
        self.meets_its_fate();
    }

    fn partial(&mut self, place: usize) -> String {
        self.check(place, true, "partial");
        self.meets_its_fate();
        text(self.script().seats[place].as_deref().unwrap_or_default())
    }

    fn finish(&mut self, place: usize) {
        self.check(place, true, "finish");
        self.meets_its_fate();
        let mut script = self.script();
        let heard = script.seats[place].take().unwrap_or_default();
        let delay = script.delay;
        script.late.push((place, delay, heard));
    }

    fn poll_finished(&mut self) -> Option<(usize, Finished)> {
        let refused = self.meets_its_fate();
        let mut script = self.script();
        let at = script.late.iter().position(|(_, looks, _)| *looks == 0);
        if let Some(at) = at {
            let (place, _, heard) = script.late.remove(at);
            let heard = Hypothesis { text: text(&heard), confidence: 0.9, ..Hypothesis::default() };
            let heard = if refused { Err("no result".into()) } else { Ok(heard) };
            return Some((place, Finished { heard, memory: Some("learnt".into()) }));
        }
        for (_, looks, _) in &mut script.late {
            *looks -= 1;
        }
        None
    }

    fn is_pending(&self) -> bool {
        !self.script().late.is_empty()
    }

    fn abandon(&mut self, place: usize) {
        {
            let mut script = self.script();
            script.late.retain(|(other, ..)| *other != place);
            script.seats[place] = None;
        }
        self.meets_its_fate();
    }
}

/// What a turn of these samples is recognised as.
fn text(samples: &[i16]) -> String {
    samples.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A room and the ears of some calls.
struct Rig {
    room: Room,
    engine: Scripted,
    calls: BTreeMap<u64, Caller>,
    next_turn: u64,
    next_sample: i16,
}

struct Caller {
    sender: mpsc::Sender<SpeechEvent>,
    events: mpsc::Receiver<SpeechEvent>,
    /// Turn that is open, with what was said in it.
    open: Option<(u64, Vec<i16>)>,
    /// The room still hears a turn that has lost its end.
    lost: bool,
    /// Turns that want an answer, in order.
    owed: Vec<(u64, Vec<i16>)>,
}

impl Rig {
    fn new(places: usize, delay: u32) -> Self {
        let engine = Scripted::new(places, delay);
        let room = Room::new(Box::new(engine.clone()));
        Self { room, engine, calls: BTreeMap::new(), next_turn: 1, next_sample: 0 }
    }

    fn fates(&self, fates: impl IntoIterator<Item = Fate>) {
        self.engine.script().fates.extend(fates);
    }

    fn begin(&mut self, call: u64) {
        let caller = self.calls.entry(call).or_insert_with(|| {
            let (sender, events) = mpsc::channel(4096);
            Caller { sender, events, open: None, lost: false, owed: Vec::new() }
        });
        if caller.open.is_some() {
            return;
        }
        let started = MediaTime(self.next_turn);
        caller.lost = false;
        caller.open = Some((self.next_turn, Vec::new()));
        self.next_turn += 1;
        let (call, events, stream) = (CallId(call), caller.sender.clone(), call >= STREAM);
        self.room.handle(Job::Begin {
            call,
            caller: crate::speech::recogniser::Caller::default(),
            expectation: Expectation::Open,
            started,
            events,
            stream,
        });
    }

    fn audio(&mut self, call: u64) {
        let Some((_, said)) = self.calls.get_mut(&call).and_then(|caller| caller.open.as_mut()) else { return };
        let sample = self.next_sample;
        self.next_sample = sample.wrapping_add(1);
        // Enough for a look at the words so far at every second piece.
        let samples = vec![sample; PARTIAL_SAMPLES / 2 + 1];
        said.extend(&samples);
        let until = MediaTime(u64::from(sample as u16));
        let owed = Owed::default();
        self.room.handle(Job::Audio { call: CallId(call), samples: samples.into_boxed_slice(), until, quiet: 0, owed });
    }

    fn end(&mut self, call: u64) {
        let Some(caller) = self.calls.get_mut(&call) else { return };
        let Some(turn) = caller.open.take() else { return };
        let started = MediaTime(turn.0);
        caller.owed.push(turn);
        self.room.handle(Job::End { call: CallId(call), started, ended: started, asked: Instant::now() });
    }

    /// The channel had no room for the end; the ears have answered the turn and say so when there is.
    fn lose_end(&mut self, call: u64) {
        if let Some(caller) = self.calls.get_mut(&call) {
            caller.lost |= caller.open.take().is_some();
        }
    }

    fn forget(&mut self, call: u64) {
        if self.calls.remove(&call).is_some() {
            self.room.handle(Job::Forget { call: CallId(call) });
        }
    }

    fn settle(&mut self) {
        self.room.settle();
    }

    /// Ends every turn and lets everything come that is to come.
    fn finish(&mut self) {
        for call in self.calls.keys().copied().collect::<Vec<_>>() {
            self.end(call);
            if std::mem::take(&mut self.calls.get_mut(&call).unwrap().lost) {
                self.room.handle(Job::Cancel { call: CallId(call) });
            }
        }
        self.settle();
        for _ in 0..10_000 {
            if !self.room.is_pending() {
                break;
            }
            self.settle();
        }
    }

    /// Finals of a call as (turn, text).
    fn finals(&mut self, call: u64) -> Vec<(u64, String)> {
        let mut finals = Vec::new();
        let caller = self.calls.get_mut(&call).unwrap();
        while let Ok(event) = caller.events.try_recv() {
            if let SpeechEvent::Final { text, started, .. } = event {
                finals.push((started.0, text));
            }
        }
        finals
    }

    /// Every turn is answered once, in order, with its own words or with nothing; no place is lost or used by nobody.
    /// Returns how many were answered with words.
    fn judge(&mut self) -> usize {
        let mut understood = 0;
        for call in self.calls.keys().copied().collect::<Vec<_>>() {
            let finals = self.finals(call);
            let owed = std::mem::take(&mut self.calls.get_mut(&call).unwrap().owed);
            let turns = |turns: &[u64]| turns.to_vec();
            let (answered, asked) = (
                finals.iter().map(|(turn, _)| *turn).collect::<Vec<_>>(),
                owed.iter().map(|(turn, _)| *turn).collect::<Vec<_>>(),
            );
            assert_eq!(turns(&answered), turns(&asked), "answers of call {call}");
            for ((turn, heard), (_, said)) in finals.iter().zip(&owed) {
                assert!(heard.is_empty() || *heard == text(said), "turn {turn} of call {call}");
                understood += usize::from(!heard.is_empty());
            }
        }
        let script = self.engine.script();
        assert!(script.wrong.is_empty(), "{:?}", script.wrong);
        for (place, state) in self.room.places.iter().enumerate() {
            match state {
                Place::Free => assert!(script.seats[place].is_none(), "place {place} is not free"),
                Place::Broken => {}
                Place::Hearing(_) | Place::Ending(..) => panic!("place {place} is still in use"),
            }
        }
        drop(script);
        assert!(self.room.waiting.is_empty(), "{} turns still wait", self.room.waiting.len());
        assert!(self.room.lines.len() <= self.calls.len(), "a call that is gone is remembered");
        understood
    }

    fn broken(&self) -> usize {
        self.room.places.iter().filter(|place| matches!(place, Place::Broken)).count()
    }
}

/// Callers from here on are streams.
const STREAM: u64 = 100;

const PANIC: Fate = Some(true);
const REFUSE: Fate = Some(false);
const FINE: Fate = None;

#[test]
fn a_turn_is_heard_with_partials_and_answered() {
    let mut rig = Rig::new(1, 0);
    rig.begin(1);
    for _ in 0..4 {
        rig.audio(1);
        rig.settle();
    }
    let mut partials = 0;
    while let Ok(event) = rig.calls.get_mut(&1).unwrap().events.try_recv() {
        if let SpeechEvent::Partial { started, until, .. } = event {
            assert_eq!(started, MediaTime(1));
            partials += 1;
            assert_eq!(until, MediaTime(2 * partials - 1));
        }
    }
    assert_eq!(partials, 2);
    rig.finish();
    assert_eq!(rig.judge(), 1);
}

#[test]
fn a_panic_at_the_beginning_costs_neither_the_place_nor_the_answer() {
    for fates in [vec![PANIC], vec![REFUSE]] {
        let mut rig = Rig::new(1, 0);
        rig.fates(fates);
        rig.begin(1);
        rig.audio(1);
        rig.finish();
        assert_eq!(rig.judge(), 0);
        rig.begin(1);
        rig.audio(1);
        rig.finish();
        assert_eq!((rig.judge(), rig.broken()), (1, 0));
    }
}

#[test]
fn a_panic_anywhere_costs_one_turn_only() {
    // The n-th call of the engine panics, for every n that this story has.
    for delay in [0, 3] {
        for n in 0..60 {
            let mut rig = Rig::new(2, delay);
            rig.fates((0..n).map(|_| FINE).chain([PANIC]));
            for call in [1, 2, 3] {
                rig.begin(call);
                rig.audio(call);
                rig.settle();
            }
            for call in [1, 2, 3] {
                rig.audio(call);
                rig.audio(call);
                rig.end(call);
                rig.begin(call);
                rig.audio(call);
                rig.settle();
            }
            rig.finish();
            // `advance` and `poll_finished` panic for all places at once.
            assert!(rig.judge() >= 3, "call {n} of the engine");
            assert!(rig.broken() <= 1);
        }
    }
}

#[test]
fn a_place_that_cannot_be_cleared_is_not_used_again_and_the_last_one_leaves_answers_behind() {
    let mut rig = Rig::new(2, 0);
    for left in [1, 0] {
        rig.fates([FINE, PANIC, PANIC]);
        rig.begin(1);
        rig.audio(1);
        rig.finish();
        assert_eq!((rig.judge(), rig.broken()), (0, 2 - left));
    }
    for call in [1, 2, 3] {
        rig.begin(call);
        rig.audio(call);
        rig.settle();
    }
    rig.finish();
    assert_eq!(rig.judge(), 0, "every turn is answered, with nothing");
}

#[test]
fn the_oldest_turn_gets_the_next_place() {
    let mut rig = Rig::new(1, 0);
    for call in [1, 2, 3] {
        rig.begin(call);
        rig.audio(call);
    }
    rig.settle();
    // The place comes back in the middle of a batch: call 4 must not overtake.
    rig.forget(1);
    rig.begin(4);
    rig.audio(4);
    rig.end(2);
    rig.settle();
    assert_eq!(rig.finals(2).len(), 1);
    assert!(rig.room.hearing(CallId(3)).is_some() && rig.room.hearing(CallId(4)).is_none());
    rig.calls.get_mut(&2).unwrap().owed.clear();
    rig.finish();
    assert_eq!(rig.judge(), 2);
}

#[test]
fn answers_that_come_late_keep_the_order_of_a_call() {
    let mut rig = Rig::new(3, 5);
    for _ in 0..3 {
        rig.begin(1);
        rig.audio(1);
        rig.end(1);
        rig.settle();
    }
    rig.finish();
    assert_eq!(rig.judge(), 3);
}

#[test]
fn a_call_that_goes_away_frees_its_place_whatever_state_its_turn_is_in() {
    let mut rig = Rig::new(1, 1_000_000);
    rig.begin(1);
    rig.begin(2);
    rig.audio(2);
    rig.end(2);
    rig.settle();
    rig.forget(1);
    rig.settle();
    assert!(rig.room.ending(CallId(2)).is_some(), "it has been taken up");
    rig.begin(3);
    rig.forget(2);
    rig.settle();
    assert!(rig.room.hearing(CallId(3)).is_some(), "nobody waits for an answer that nobody wants");
    rig.forget(3);
    assert_eq!(rig.judge(), 0);
}

#[test]
fn streams_leave_half_of_the_places_to_calls() {
    let mut rig = Rig::new(4, 0);
    for stream in STREAM..STREAM + 3 {
        rig.begin(stream);
        rig.audio(stream);
    }
    rig.settle();
    assert_eq!(rig.room.waiting.len(), 1, "the third waits");
    for call in 1..=2 {
        rig.begin(call);
        rig.audio(call);
        assert!(rig.room.hearing(CallId(call)).is_some(), "call {call} has to wait");
    }
    rig.end(STREAM);
    rig.settle();
    assert!(rig.room.hearing(CallId(STREAM + 2)).is_some(), "it has the place of the first");
    // Where there is one place only, streams are heard too.
    let mut one = Rig::new(1, 0);
    one.begin(STREAM);
    assert!(one.room.hearing(CallId(STREAM)).is_some());
    rig.finish();
    assert_eq!(rig.judge(), 5);
}

#[test]
fn a_place_that_refuses_is_not_the_next_to_be_asked() {
    let mut rig = Rig::new(2, 0);
    rig.fates([REFUSE]);
    rig.begin(1);
    let next = rig.room.free();
    assert_eq!(next, Some(1));
    rig.begin(2);
    rig.audio(2);
    rig.finish();
    assert_eq!(rig.judge(), 1);
}

#[test]
fn a_full_queue_refuses_in_order() {
    let mut rig = Rig::new(1, 0);
    rig.begin(0);
    for call in 1..=RECOGNISER_QUEUE_MAX as u64 + 5 {
        rig.begin(call);
        rig.audio(call);
    }
    rig.settle();
    let refused = rig.room.waiting.iter().filter(|waiting| waiting.kept.is_none()).count();
    assert_eq!(refused, 5);
    rig.finish();
    assert_eq!(rig.judge(), RECOGNISER_QUEUE_MAX, "call 0 said nothing");
}

#[test]
fn a_lost_end_does_not_merge_two_turns() {
    for places in [1, 2] {
        let mut rig = Rig::new(places, 0);
        rig.begin(7);
        for call in [1, 7] {
            rig.begin(call);
            rig.audio(call);
            rig.lose_end(call);
            rig.begin(call);
            rig.audio(call);
        }
        rig.finish();
        assert_eq!(rig.judge(), 2);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Begin(u64),
    Audio(u64),
    End(u64),
    LoseEnd(u64),
    Forget(u64),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let call = prop_oneof![0..4_u64, STREAM..STREAM + 2];
    prop_oneof![
        4 => call.clone().prop_map(Step::Begin),
        6 => call.clone().prop_map(Step::Audio),
        4 => call.clone().prop_map(Step::End),
        1 => call.clone().prop_map(Step::LoseEnd),
        1 => call.prop_map(Step::Forget),
        4 => Just(Step::Settle),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![16 => Just(FINE), 1 => Just(PANIC), 1 => Just(REFUSE)]
}

proptest! {
    #[test]
    fn whatever_happens_every_turn_is_answered_once_and_in_order(
        places in 1..4_usize,
        delay in 0..4_u32,
        steps in prop::collection::vec(step(), 1..120),
        fates in prop::collection::vec(fate(), 0..200),
    ) {
        let mut rig = Rig::new(places, delay);
        rig.fates(fates.iter().copied());
        for step in steps {
            match step {
                Step::Begin(call) => rig.begin(call),
                Step::Audio(call) => rig.audio(call),
                Step::End(call) => rig.end(call),
                Step::LoseEnd(call) => rig.lose_end(call),
                Step::Forget(call) => rig.forget(call),
                Step::Settle => rig.settle(),
            }
        }
        rig.finish();
        rig.judge();
    }

    #[test]
    fn with_a_sound_engine_everything_that_was_said_is_heard(
        places in 1..4_usize,
        delay in 0..4_u32,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut rig = Rig::new(places, delay);
        for step in steps {
            match step {
                Step::Begin(call) => rig.begin(call),
                Step::Audio(call) => rig.audio(call),
                Step::End(call) => rig.end(call),
                Step::LoseEnd(call) => rig.lose_end(call),
                Step::Forget(call) => rig.forget(call),
                Step::Settle => rig.settle(),
            }
        }
        rig.finish();
        let said: usize =
            rig.calls.values().flat_map(|caller| &caller.owed).filter(|(_, said)| !said.is_empty()).count();
        prop_assert_eq!(rig.judge(), said);
    }
}
