//! Promised calls in virtual time over the real store and the real rules, while lines are busy, nobody answers, and the daemon is
//! killed at every point between two writes: nothing rings twice for one try, nor after somebody answered or was told, nor at
//! night, nor more often than the rule says; no promise is lost.

use callwright::call::record::{CallEnd, EndClass};
use callwright::call::return_call::{after_no_answer, is_worth_a_call};
use callwright::config::{Hours, ReturnCallRule};
use callwright::conversation::BuildStage;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::store::{
    Advance, AnsweredBy, CallRecord, Direction, NewQuestion, QuestionChoice, ReturnCall, ReturnConsent, ReturnState,
    ReturnWish, Store, Submitted, build_id,
};
use callwright::time::Wallclock;
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CALLERS: usize = 300;
const LEASE: Duration = Duration::from_secs(180);

/// xorshift64*: the same run every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

fn manifest(n: usize) -> BuildManifest {
    BuildManifest {
        manifest_id: format!("m{n}"),
        build_type: BuildType::BuildCrm,
        title: format!("App {n}"),
        description: String::new(),
        features: vec![],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: format!("conv_{n}"),
        created_from: CreatedFrom::Voice,
        confidence: 1.0,
        metadata: Map::new(),
    }
}

fn wish(n: usize) -> ReturnWish {
    ReturnWish {
        build_id: build_id(&format!("m{n}")),
        conversation_id: format!("conv_{n}"),
        agent: "grace".into(),
        caller: format!("49301{n:04}"),
        target: format!("trunk:carrier:49301{n:04}"),
        consent: ReturnConsent::Asked,
        on_call: format!("call_{n:016x}"),
    }
}

fn grace() -> Vec<String> {
    vec!["grace".to_owned()]
}

fn store() -> (tempfile::TempDir, Store) {
    // In memory where the machine has such a directory: what is tried here is order, not disks.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

/// Takes a build to its end at once.
fn finish(store: &Store, n: usize, to: BuildStage, now: Wallclock) {
    let Submitted::New(build) = store.builds().submit(manifest(n), now).wait().unwrap() else { panic!("a new build") };
    let build = store.builds().claim(&build.id, now, LEASE).wait().unwrap().unwrap();
    if to == BuildStage::Failed {
        store.builds().cancel(&build.id, now).wait().unwrap();
        return;
    }
    let advance = match to {
        BuildStage::Parked => Advance { failure: Some("A page did not answer.".into()), ..Advance::default() },
        _ => Advance { url: Some(format!("http://127.0.0.1:{}/", 8100 + n)), ..Advance::default() },
    };
    let build = store.builds().advance(&build, to, advance, now, LEASE).wait().unwrap();
    if to == BuildStage::Live {
        store.builds().advance(&build, BuildStage::Tracked, Advance::default(), now, LEASE).wait().unwrap();
    }
}

/// What the ringer does next with a try that it has begun.
enum Doing {
    /// It is on disk: ring.
    Claimed(ReturnCall),
    /// It rings.
    Rings(ReturnCall),
    /// It ended so; write that down. `None`: answered.
    Ended(ReturnCall, Option<CallEnd>),
}

#[derive(Default)]
struct World {
    /// By return call: when it rang, by which call.
    rings: BTreeMap<String, Vec<(u64, String)>>,
    answered: BTreeSet<String>,
    told: BTreeSet<String>,
    /// Tries that a kill has cut short.
    cut: BTreeSet<String>,
    kills: u32,
}

struct Simulation {
    store: Store,
    dice: Dice,
    now: u64,
    rule: ReturnCallRule,
    doing: Vec<Doing>,
    world: World,
    /// Callers still on the line, until then; by the call that they are on.
    on_line: BTreeMap<String, u64>,
}

impl Simulation {
    const fn now(&self) -> Wallclock {
        Wallclock(self.now)
    }

    fn look(&mut self) {
        for (wanted, build) in self.store.return_calls().due(self.now(), &grace()).unwrap() {
            let calls = self.store.return_calls();
            if !is_worth_a_call(&build) {
                assert!(calls.withdraw(&wanted.build_id, "the build was called off", self.now()).wait().unwrap());
                continue;
            }
            let on_line = wanted.on_call.as_ref().and_then(|call| self.on_line.get(call));
            if on_line.is_some_and(|until| *until > self.now) || !self.rule.is_open(self.now()) || self.doing.len() >= 4
            {
                continue;
            }
            let call = format!("call_{:016x}", self.dice.roll(u64::MAX >> 2));
            if let Some(claimed) = calls.claim(&wanted.id, &call, self.now()).wait().unwrap() {
                self.doing.push(Doing::Claimed(claimed));
            }
        }
    }

    fn step(&mut self) {
        if self.doing.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.roll(self.doing.len() as u64)).unwrap();
        match self.doing.swap_remove(at) {
            Doing::Claimed(call) => {
                let id = call.call_id.clone().unwrap();
                let begun = Wallclock(self.now - 60_000);
                assert!(self.rule.is_open(begun) || self.rule.is_open(self.now()), "nobody is rung at night");
                assert!(!self.world.answered.contains(&call.id), "nobody is rung again who has answered");
                assert!(!self.world.told.contains(&call.id), "nobody is rung who was told");
                self.world.rings.entry(call.id.clone()).or_default().push((self.now, id));
                self.doing.push(Doing::Rings(call));
            }
            Doing::Rings(call) => {
                let end = match self.dice.roll(8) {
                    0..=2 => None,
                    3 | 4 => Some(CallEnd::refused_by(486, "Busy Here")),
                    5 => Some(CallEnd::refused_by(603, "Decline")),
                    _ => Some(CallEnd::new(EndClass::NoAnswer, "nobody answered within 30 s")),
                };
                if end.is_none() {
                    self.world.answered.insert(call.id.clone());
                    // The call's record is written when it is answered.
                    let mut record = CallRecord::begun(call.call_id.clone().unwrap(), Direction::Outbound, self.now());
                    record.answered = Some(self.now());
                    self.store.calls().record(record).wait().unwrap();
                }
                self.doing.push(Doing::Ended(call, end));
            }
            Doing::Ended(call, end) => {
                let (calls, name) = (self.store.return_calls(), call.call_id.clone().unwrap());
                match end {
                    None => calls.answered(&call.id, &name, self.now()).wait().unwrap(),
                    Some(end) => {
                        let outcome = after_no_answer(&end, call.tries, &self.rule, self.now());
                        calls.not_reached(&call.id, &name, outcome, self.now()).wait().unwrap();
                    }
                }
            }
        }
    }

    /// kill -9, then another daemon on the same directory.
    fn kill(&mut self) {
        self.world.kills += 1;
        for doing in self.doing.drain(..) {
            let (Doing::Claimed(call) | Doing::Rings(call) | Doing::Ended(call, _)) = doing;
            if !self.world.answered.contains(&call.id) {
                self.world.cut.insert(call.id);
            }
        }
        self.on_line.clear();
        self.now += 500;
        self.store.return_calls().take_over(self.now()).wait().unwrap();
    }
}

/// Every return call by its build.
fn all(store: &Store) -> BTreeMap<String, ReturnCall> {
    let (mut all, mut before) = (BTreeMap::new(), None);
    loop {
        let page = store.return_calls().list(before, 200).unwrap();
        all.extend(page.items.into_iter().map(|call| (call.build_id.clone(), call)));
        before = page.next;
        if before.is_none() {
            return all;
        }
    }
}

#[test]
fn whoever_is_killed_when_no_promise_is_lost_and_nothing_rings_twice_for_one_try() {
    let (_dir, store) = store();
    let rule = ReturnCallRule {
        hours: vec![Hours::parse("mon-fri 09:00-17:00 Europe/Berlin").unwrap()],
        tries: 3,
        pause_minutes: 10,
        ..ReturnCallRule::default()
    };
    let mut s = Simulation {
        store,
        dice: Dice(0x5eed),
        // A Saturday.
        now: 1_795_262_400_000,
        rule,
        doing: Vec::new(),
        world: World::default(),
        on_line: BTreeMap::new(),
    };
    let (mut asked, mut off) = (0, BTreeSet::new());
    loop {
        s.now += match s.doing.is_empty() {
            false => 1_000,
            true if asked == CALLERS && !s.rule.is_open(s.now()) => 1_800_000,
            true => 1_000 + s.dice.roll(240_000),
        };
        if asked < CALLERS {
            let (promised, now) = (wish(asked), s.now());
            let (id, call) = (promised.build_id.clone(), promised.on_call.clone());
            assert!(s.store.return_calls().promise(promised.clone(), now).wait().unwrap());
            // Said twice.
            assert!(s.store.return_calls().promise(promised, now).wait().unwrap());
            let to = match s.dice.roll(10) {
                0 => BuildStage::Failed,
                1 | 2 => BuildStage::Parked,
                _ => BuildStage::Live,
            };
            let ret = s.store.return_calls().list(None, 1).unwrap().items[0].id.clone();
            if s.dice.one_in(3) {
                let until = s.now + s.dice.roll(600_000);
                s.on_line.insert(call, until);
            }
            finish(&s.store, asked, to, now);
            if to == BuildStage::Failed {
                off.insert(ret);
            } else if s.dice.one_in(6) {
                // Heard on the line.
                assert!(s.store.return_calls().told(&id, now).wait().unwrap());
                s.world.told.insert(ret);
            }
            asked += 1;
        }
        s.look();
        for _ in 0..4 {
            s.step();
            if s.dice.one_in(40) {
                s.kill();
            }
        }
        let open = |call: &ReturnCall| matches!(call.state, ReturnState::Waiting | ReturnState::Ringing);
        if asked == CALLERS && s.doing.is_empty() && !all(&s.store).values().any(open) {
            break;
        }
    }
    let all = all(&s.store);
    assert_eq!(all.len(), CALLERS, "none is lost");

    let mut ended = BTreeMap::<&str, usize>::new();
    for n in 0..CALLERS {
        let call = s.store.return_calls().owed(&wish(n).caller, "grace", s.now()).unwrap();
        let found = &all[&wish(n).build_id];
        *ended.entry(found.state.word()).or_default() += 1;
        let rings = s.world.rings.get(&found.id).map_or(0, Vec::len);
        assert!(rings <= 3, "{rings} rings");
        match found.state {
            ReturnState::Answered => assert!(s.world.answered.contains(&found.id)),
            ReturnState::Told => assert!(s.world.told.contains(&found.id) && rings == 0),
            ReturnState::Withdrawn => assert!(off.contains(&found.id) && rings == 0),
            ReturnState::Interrupted => assert!(s.world.cut.contains(&found.id)),
            ReturnState::GivenUp => assert!(rings >= 1 && !s.world.answered.contains(&found.id)),
            ReturnState::Waiting | ReturnState::Ringing => panic!("{found:?}"),
        }
        // Who was not reached hears it when calling in, within the week.
        // So does who answered and hung up too soon, or whose machine did.
        let missed = matches!(found.state, ReturnState::GivenUp | ReturnState::Interrupted | ReturnState::Answered);
        let recent = s.now - found.requested.0 < 7 * 24 * 3_600_000;
        assert_eq!(call.is_some(), missed && recent, "{found:?}");
    }
    for rings in s.world.rings.values() {
        let calls: BTreeSet<&String> = rings.iter().map(|(_, call)| call).collect();
        assert_eq!(calls.len(), rings.len(), "each try rings once");
    }
    for state in ["answered", "given_up", "interrupted", "told", "withdrawn"] {
        assert!(ended.get(state).is_some_and(|n| *n >= 5), "the simulation does not try hard: {ended:?}");
    }
    assert!(s.world.kills >= 10, "{} kills", s.world.kills);
}

#[test]
fn a_promise_may_be_taken_back_and_tried_again_by_hand() {
    let (_dir, store) = store();
    let (calls, now) = (store.return_calls(), Wallclock(1_000));
    assert!(calls.promise(wish(1), now).wait().unwrap());
    assert!(calls.due(Wallclock(2_000), &grace()).unwrap().is_empty(), "its build is not over");
    assert!(calls.withdraw(&wish(1).build_id, "the caller wants no call", now).wait().unwrap());
    assert!(!calls.withdraw(&wish(1).build_id, "again", now).wait().unwrap());
    finish(&store, 1, BuildStage::Live, now);
    assert!(calls.due(Wallclock(2_000), &grace()).unwrap().is_empty());
    assert!(calls.promise(wish(1), Wallclock(1_500)).wait().unwrap(), "wanted after all");
    let (due, build) = calls.due(Wallclock(2_000), &grace()).unwrap().remove(0);
    assert_eq!((due.state, build.stage), (ReturnState::Waiting, BuildStage::Tracked));
    assert_eq!(calls.retry(&due.id, now).wait().unwrap(), Some(false), "it waits already");
    assert_eq!(calls.retry("ret_none", now).wait().unwrap(), None);
    let claimed = calls.claim(&due.id, "call_1", Wallclock(2_000)).wait().unwrap().unwrap();
    assert_eq!((claimed.tries, claimed.state), (1, ReturnState::Ringing));
    assert!(calls.claim(&due.id, "call_2", Wallclock(2_000)).wait().unwrap().is_none(), "one try at a time");
    assert_eq!(calls.of_call("call_1").unwrap().unwrap().0.id, due.id);
    calls.answered(&due.id, "call_0", Wallclock(2_500)).wait().unwrap();
    assert_eq!(calls.get(&due.id).unwrap().unwrap().state, ReturnState::Ringing, "news of another try");
    assert_eq!(calls.take_over(Wallclock(3_000)).wait().unwrap(), 1);
    assert_eq!(calls.get(&due.id).unwrap().unwrap().state, ReturnState::Interrupted);
    assert_eq!(calls.retry(&due.id, Wallclock(4_000)).wait().unwrap(), Some(true));
    let again = calls.claim(&due.id, "call_3", Wallclock(4_000)).wait().unwrap().unwrap();
    assert_eq!(again.tries, 1, "from the beginning");
    assert!(calls.told(&wish(1).build_id, Wallclock(5_000)).wait().unwrap());
    assert_eq!(calls.get(&due.id).unwrap().unwrap().state, ReturnState::Told);
    let kinds: Vec<String> = store.events().after(0, 100).unwrap().into_iter().map(|e| e.kind).collect();
    let told = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!((told("return_call.placed"), told("return_call.promised")), (2, 2), "{kinds:?}");
    assert!(told("return_call.over") >= 3, "{kinds:?}");
}

#[test]
fn callers_of_a_closed_agent_do_not_hide_those_of_an_open_one() {
    let (_dir, store) = store();
    let (calls, now) = (store.return_calls(), Wallclock(1_000));
    for n in 0..100 {
        let agent = if n == 99 { "ada" } else { "grace" };
        assert!(calls.promise(ReturnWish { agent: agent.into(), ..wish(n) }, now).wait().unwrap());
        finish(&store, n, BuildStage::Live, now);
    }
    let due = |agents: &[&str]| {
        let agents: Vec<String> = agents.iter().map(|agent| (*agent).to_owned()).collect();
        calls.due(Wallclock(2_000), &agents).unwrap()
    };
    let ada = due(&["ada"]);
    assert_eq!(ada.len(), 1, "behind 99 calls of another agent");
    assert_eq!(ada[0].0.target, wish(99).target);
    assert_eq!((due(&["ada", "grace"]).len(), due(&["nobody"]).len(), due(&[]).len()), (100, 0, 0));
}

#[test]
fn who_is_not_called_since_the_agent_calls_nobody_hears_it_when_calling_and_can_be_called_again() {
    let (_dir, store) = store();
    let (calls, now) = (store.return_calls(), Wallclock(1_000));
    for n in 0..3 {
        assert!(calls.promise(wish(n), now).wait().unwrap());
    }
    assert!(calls.promise(ReturnWish { agent: "ada".into(), ..wish(3) }, now).wait().unwrap());
    finish(&store, 0, BuildStage::Live, now);
    assert!(calls.withdraw(&wish(2).build_id, "the caller wants no call", now).wait().unwrap());
    finish(&store, 2, BuildStage::Live, now);
    let mut waited_for = calls.agents_waited_for().unwrap();
    waited_for.sort();
    assert_eq!(waited_for, ["ada", "grace"]);
    assert_eq!(calls.withdraw_agent("grace", Wallclock(2_000)).wait().unwrap(), 2, "whether its build is over or not");
    assert_eq!(calls.withdraw_agent("grace", Wallclock(2_000)).wait().unwrap(), 0);
    assert_eq!(calls.agents_waited_for().unwrap(), ["ada"]);
    assert!(calls.due(Wallclock(3_000), &grace()).unwrap().is_empty());
    let of = |n: usize| all(&store)[&wish(n).build_id].clone();
    for n in [0, 1] {
        let why = of(n).failure.unwrap_or_default();
        assert!(of(n).state == ReturnState::Withdrawn && why.contains("when = \"never\""), "{why}");
    }
    let kinds = store.events().after(0, 100).unwrap();
    let over = kinds.iter().filter(|event| event.kind == "return_call.over").count();
    assert_eq!(over, 3, "each is on the record");
    let now = Wallclock(4_000);
    assert!(calls.owed(&wish(0).caller, "grace", now).unwrap().is_some(), "the news is told to whoever calls");
    assert!(calls.owed(&wish(2).caller, "grace", now).unwrap().is_none(), "who wants no call was told so");
    assert_eq!(calls.retry(&of(2).id, now).wait().unwrap(), Some(false));
    finish(&store, 1, BuildStage::Live, now);
    assert!(calls.told(&wish(1).build_id, now).wait().unwrap());
    assert!(!calls.told(&wish(1).build_id, now).wait().unwrap());
    assert_eq!(calls.retry(&of(1).id, now).wait().unwrap(), Some(false), "who has heard it is not called");
    let owed = calls.owed(&wish(1).caller, "grace", now).unwrap();
    assert!(owed.is_none_or(|(call, _)| call.build_id != wish(1).build_id), "nor told again");
    assert_eq!(calls.retry(&of(0).id, now).wait().unwrap(), Some(true));
    assert_eq!(calls.due(now, &grace()).unwrap().len(), 1);
}

/// Order `n` is taken, comes as far as its kernel, which asks for the currency and waits an hour for the answer.
fn waits_for_an_answer(store: &Store, n: usize, now: Wallclock) -> Wallclock {
    let until = Wallclock(now.0 + 3_600_000);
    let Submitted::New(build) = store.builds().submit(manifest(n), now).wait().unwrap() else { panic!("a new build") };
    let build = store.builds().claim(&build.id, now, LEASE).wait().unwrap().unwrap();
    let build = store.builds().advance(&build, BuildStage::Planned, Advance::default(), now, LEASE).wait().unwrap();
    let choice = |value: &str, say: &str| QuestionChoice { value: value.into(), say: say.into() };
    let ask = NewQuestion {
        name: "currency".into(),
        question: "Which currency?".into(),
        choices: vec![choice("USD", "dollars"), choice("EUR", "euros")],
        default: "USD".into(),
        due: Some(until),
    };
    assert!(store.questions().ask(&build, vec![ask], now).wait().unwrap());
    store.builds().wait_for_answer(&build, until, now).wait().unwrap();
    until
}

#[test]
fn who_was_on_the_line_when_it_was_asked_is_not_called_for_it() {
    let (_dir, store) = store();
    let at = |minutes: u64| Wallclock(1_000_000 + minutes * 60_000);
    // Hung up before it was asked; after it; not yet.
    for (n, ended) in [(1, Some(at(1))), (2, Some(at(3))), (3, None)] {
        assert!(store.return_calls().promise(wish(n), at(0)).wait().unwrap());
        let call = CallRecord { ended, ..CallRecord::begun(wish(n).on_call, Direction::Inbound, at(0)) };
        store.calls().record(call).wait().unwrap();
        waits_for_an_answer(&store, n, at(2));
    }
    let rings: Vec<String> = due(&store, at(5)).into_iter().map(|call| call.build_id).collect();
    assert_eq!(rings, [wish(1).build_id]);
}

/// What the ringer's look does before it rings, as often as it likes.
fn due(store: &Store, now: Wallclock) -> Vec<ReturnCall> {
    let calls = store.return_calls();
    while calls.questions_changed(now).unwrap() {
        calls.mind_questions(now).wait().unwrap();
    }
    calls.due(now, &grace()).unwrap().into_iter().map(|(call, _)| call).collect()
}

/// The build goes on after the answer, or after its time, and is live.
fn goes_live(store: &Store, n: usize, now: Wallclock) {
    let id = build_id(&format!("m{n}"));
    let mut build = store.builds().claim(&id, now, LEASE).wait().unwrap().expect("it goes on");
    for to in [BuildStage::Live, BuildStage::Tracked] {
        let url = Some("http://127.0.0.1:8100/".to_owned());
        build = store.builds().advance(&build, to, Advance { url, ..Advance::default() }, now, LEASE).wait().unwrap();
    }
}

#[test]
fn a_question_that_waits_rings_like_news_and_the_news_ring_all_the_same() {
    let (_dir, store) = store();
    let (calls, rule) =
        (store.return_calls(), ReturnCallRule { tries: 3, pause_minutes: 10, ..ReturnCallRule::default() });
    let at = |minutes: u64| Wallclock(1_000_000 + minutes * 60_000);
    assert!(calls.promise(wish(1), at(0)).wait().unwrap());
    waits_for_an_answer(&store, 1, at(0));
    let rings = due(&store, at(0));
    assert_eq!(rings.len(), 1, "{rings:?}");
    assert_eq!((rings[0].question.as_deref(), &rings[0].target), (Some("currency"), &wish(1).target));
    assert_eq!(due(&store, at(0)), rings, "asked once, however often it is looked");
    assert!(calls.due(at(0), &["ada".to_owned()]).unwrap().is_empty(), "in the hours of its agent alone");

    // Nobody there; again after the rule's pause. Committed before it rings.
    assert!(calls.claim(&rings[0].id, "call_1", at(0)).wait().unwrap().is_some());
    assert!(calls.claim(&rings[0].id, "call_2", at(0)).wait().unwrap().is_none());
    let nobody = CallEnd::new(EndClass::NoAnswer, "nobody answered within 30 s");
    calls.not_reached(&rings[0].id, "call_1", after_no_answer(&nobody, 1, &rule, at(1)), at(1)).wait().unwrap();
    assert!(due(&store, at(10)).is_empty());
    assert_eq!(due(&store, at(11)).len(), 1);
    assert_eq!(calls.claim(&rings[0].id, "call_3", at(11)).wait().unwrap().map(|call| call.tries), Some(2));
    let (found, build) = calls.of_call("call_3").unwrap().unwrap();
    assert_eq!((found.question.as_deref(), build.stage), (Some("currency"), BuildStage::Planned));
    calls.answered(&rings[0].id, "call_3", at(11)).wait().unwrap();
    assert!(due(&store, at(12)).is_empty(), "who has answered is not rung for it again");
    let owed = calls.owed(&wish(1).caller, "grace", at(12)).unwrap().expect("but who calls hears it");
    assert_eq!(owed.0.question.as_deref(), Some("currency"));

    // The answer; the news of the end ring as promised, with all their tries.
    let id = build_id("m1");
    store.questions().answer(&id, "currency", "EUR", AnsweredBy::Voice, at(13)).wait().unwrap();
    assert!(due(&store, at(14)).is_empty());
    assert!(calls.owed(&wish(1).caller, "grace", at(14)).unwrap().is_none());
    goes_live(&store, 1, at(15));
    let news = due(&store, at(16));
    assert_eq!(news.iter().map(|call| (call.question.clone(), call.tries)).collect::<Vec<_>>(), [(None, 0)]);
    assert!(calls.told(&id, at(17)).wait().unwrap());
    assert!(due(&store, at(18)).is_empty());
    assert_eq!(calls.get(&rings[0].id).unwrap().unwrap().state, ReturnState::Answered, "each for itself");
}

#[test]
fn nobody_is_called_for_a_question_whose_time_is_up_or_who_was_not_promised_a_call() {
    let (_dir, store) = store();
    let calls = store.return_calls();
    let at = |minutes: u64| Wallclock(1_000_000 + minutes * 60_000);
    // 0: never promised. 1: taken back. 2: rings too late. 3: called off. 4: cut by a kill. 5: the agent calls nobody.
    for n in 1..6 {
        assert!(calls.promise(wish(n), at(0)).wait().unwrap());
    }
    for n in 0..6 {
        waits_for_an_answer(&store, n, at(0));
    }
    assert!(calls.withdraw(&wish(1).build_id, "the caller wants no call", at(0)).wait().unwrap());
    let rings = due(&store, at(1));
    let of = |n: usize| rings.iter().find(|call| call.build_id == wish(n).build_id).cloned();
    assert_eq!((0..6).filter(|n| of(*n).is_some()).collect::<Vec<_>>(), [2, 3, 4, 5]);
    store.builds().cancel(&wish(3).build_id, at(2)).wait().unwrap();
    assert!(due(&store, at(2)).iter().all(|call| call.question.is_none() || call.build_id != wish(3).build_id));
    // Taken back after it was on its way: neither rings.
    assert!(calls.withdraw(&wish(5).build_id, "the caller wants no call", at(2)).wait().unwrap());
    assert!(due(&store, at(2)).iter().all(|call| call.build_id != wish(5).build_id));
    // Killed while it rang: not again by itself, and the promise of the news holds.
    let cut = of(4).unwrap();
    assert!(calls.claim(&cut.id, "call_4", at(3)).wait().unwrap().is_some());
    assert_eq!(calls.take_over(at(4)).wait().unwrap(), 1);
    assert!(due(&store, at(5)).iter().all(|call| call.id != cut.id));
    // Its time is up: the default holds, whether or not it was looked at before.
    assert!(calls.due(at(59), &grace()).unwrap().iter().any(|(call, _)| call.build_id == wish(2).build_id));
    assert!(calls.due(at(60), &grace()).unwrap().iter().all(|(call, _)| call.question.is_none()));
    assert!(due(&store, at(60)).iter().all(|call| call.question.is_none()));
    assert_eq!(calls.get(&of(2).unwrap().id).unwrap().unwrap().state, ReturnState::Withdrawn);
    for n in [2, 4] {
        assert!(!store.questions().settle(&wish(n).build_id, at(60)).wait().unwrap().is_empty());
        goes_live(&store, n, at(61));
    }
    let news: BTreeSet<String> = due(&store, at(62)).into_iter().map(|call| call.build_id).collect();
    assert!(news.contains(&wish(2).build_id) && news.contains(&wish(4).build_id), "{news:?}");
    assert!(!news.contains(&wish(0).build_id) && !news.contains(&wish(1).build_id));
}
