//! Whole conversations, as readable fixtures: `tests/fixtures/dialogues/NAME.txt` says what happens, `NAME.golden` what was said.
//! `CALLWRIGHT_BLESS=1` writes the goldens anew; read the difference before committing it.

use std::fmt::Write as _;
use std::path::PathBuf;

use callwright::conversation::{
    AppFacts, BuildStage, BuildUpdate, Dialogue, Expectation, Heard, Intent, Outcome, Persona, Reply,
};
use callwright::pipeline::manifest::BuildManifest;
use proptest::prelude::*;

fn dialogue() -> Dialogue {
    Dialogue::new(Persona::default(), "conv_1")
}

fn stage(word: &str) -> BuildStage {
    serde_json::from_value(word.into()).unwrap_or_else(|e| panic!("stage {word}: {e}"))
}

fn facts(text: &str) -> AppFacts {
    if let Some(names) = text.strip_prefix("unknown") {
        let names = names.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
        return AppFacts { unknown: Some(names), ..AppFacts::default() };
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let before = |unit: &str| {
        words
            .iter()
            .position(|w| *w == unit)
            .and_then(|n| words.get(n - 1))
            .and_then(|w| w.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    AppFacts {
        name: words[0].to_owned(),
        deployed: !text.contains("not deployed"),
        apis_live: before("apis") as u32,
        records: before("records") as u64,
        requests_per_minute: before("rpm"),
        ..AppFacts::default()
    }
}

/// Plays one line of a fixture.
fn play(d: &mut Dialogue, line: &str, said: &str) -> Option<Reply> {
    let (who, what) = line.split_once('>').unwrap_or_else(|| panic!("no '>' in {line}"));
    let what = what.trim();
    Some(match who {
        "start" => d.greet(),
        "caller" => d.hear(&Heard::certain(what)),
        "key" => d.key(what.chars().next().expect("a key")),
        "silence" => d.no_input(),
        "cut" => {
            d.cut_off(said, what.parse().expect("words heard"));
            return None;
        }
        "facts" => d.facts(&facts(what)),
        "build" => {
            let (word, rest) = what.split_once(' ').unwrap_or((what, ""));
            let outcome = match word {
                "live" => Some(Outcome::Live { url: rest.to_owned(), app: "crm".into() }),
                "parked" => Some(Outcome::Parked { say: rest.to_owned() }),
                _ => None,
            };
            d.build_update(&BuildUpdate { build_id: "b1".into(), stage: stage(word), say: None, outcome, ask: None })
        }
        who => {
            let confidence =
                who.strip_prefix("caller ").and_then(|c| c.parse().ok()).unwrap_or_else(|| panic!("who is {who}"));
            d.hear(&Heard::once(what, confidence))
        }
    })
}

fn written(reply: &Reply) -> String {
    let mut out = String::new();
    if !reply.say.is_empty() {
        let _ = writeln!(out, "    grace: {}", reply.text());
    }
    match &reply.intent {
        Some(Intent::Record(allowed)) => {
            let _ = writeln!(out, "    => record {allowed}");
        }
        Some(Intent::Build(m)) => {
            let _ = writeln!(
                out,
                "    => build {:?} features {} open {} revision {}",
                m.title,
                m.features.join("+"),
                m.open_points().join("+"),
                m.revision()
            );
        }
        Some(Intent::Report { subject }) => {
            let _ = writeln!(out, "    => report {subject}");
        }
        Some(Intent::Change(change)) => {
            let _ = writeln!(out, "    => change {change:?}");
        }
        Some(Intent::PutThrough) => out.push_str("    => put through\n"),
        Some(Intent::Operator) => out.push_str("    => operator\n"),
        Some(Intent::CallBack { number, name }) => {
            let _ = writeln!(out, "    => call back {number} {}", name.as_deref().unwrap_or("(no name)"));
        }
        Some(Intent::ReturnCall(wanted)) => {
            let _ = writeln!(out, "    => return call {wanted}");
        }
        Some(Intent::Answer { question, value, .. }) => {
            let _ = writeln!(out, "    => {} is {value}", question.name);
        }
        Some(Intent::SetUpCode { slug }) => {
            let _ = writeln!(out, "    => set-up code of {slug}");
        }
        // That news are heard is the machine's business.
        Some(Intent::Told { .. }) | None => {}
    }
    if reply.expect != Expectation::Open {
        let _ = writeln!(out, "    (expects {:?})", reply.expect);
    }
    if reply.hang_up {
        out.push_str("    (hangs up)\n");
    }
    out
}

#[track_caller]
fn check(name: &str) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialogues");
    let script = std::fs::read_to_string(dir.join(format!("{name}.txt"))).expect("a fixture");
    let mut d = dialogue();
    let (mut out, mut said) = (String::new(), String::new());
    for line in script.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let _ = writeln!(out, "{line}");
        if let Some(reply) = play(&mut d, line, &said) {
            said = reply.text();
            out.push_str(&written(&reply));
        }
    }
    let golden = dir.join(format!("{name}.golden"));
    if std::env::var_os("CALLWRIGHT_BLESS").is_some() {
        std::fs::write(&golden, &out).expect("a writable golden");
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(out == expected, "{name} went otherwise:\n{out}\nexpected:\n{expected}");
}

macro_rules! conversations {
    ($($name:ident),* $(,)?) => { $(#[test] fn $name() { check(stringify!($name)); })* };
}

conversations!(
    called_back,
    called_back_by_keys,
    crm_by_voice,
    missing_slots,
    amended_in_the_read_back,
    never_yes,
    silence,
    keys,
    stop_key,
    yes_before_the_question,
    doubtful_yes,
    other_things,
    unknown_app,
    parked,
    rejected,
    small_talk,
    offer_taken_up,
    offer_declined,
    offer_unclear,
    offer_amended,
    no_offer,
);

/// A dialogue that has just read back contacts and deals.
fn read_back() -> Dialogue {
    let mut d = dialogue();
    d.greet();
    let reply = d.hear(&Heard::certain("build a CRM with contacts and deals"));
    assert_eq!(reply.expect, Expectation::YesNo);
    d
}

fn built(reply: &Reply) -> Option<&BuildManifest> {
    match &reply.intent {
        Some(Intent::Build(m)) => Some(m),
        _ => None,
    }
}

#[test]
fn the_golden_report() {
    let mut d = dialogue();
    d.greet();
    let asked = d.hear(&Heard::certain("How's the CRM?"));
    assert_eq!(asked.intent, Some(Intent::Report { subject: "crm".into() }));
    let report =
        d.facts(&AppFacts { name: "CRM".into(), deployed: true, apis_live: 5, records: 10, ..AppFacts::default() });
    assert_eq!(report.say[0], "Deployed, 5 APIs live, 10 records.");
    let rate = d.facts(&AppFacts {
        deployed: true,
        apis_live: 1,
        records: 1,
        requests_per_minute: 4.6,
        ..AppFacts::default()
    });
    assert_eq!(rate.say[..2], ["Deployed, 1 API live, 1 record.", "About 5 requests a minute."]);
}

#[test]
fn nothing_but_a_yes_starts_a_build() {
    for text in [
        "",
        "hmm",
        "um",
        "no",
        "nope",
        "yes but",
        "yes, but cheaper",
        "yeah no",
        "okay",
        "right",
        "sure",
        "wait",
        "maybe",
        "yes and no",
        "not yes",
        "yes if it is free",
        "I'll think about it",
        "the weather is yes",
        "say yes",
        "yesterday",
        "what happens if I say yes",
        "build me a CRM",
        "hello",
        "can you hear me",
        "go ahead and wait",
    ] {
        let mut d = read_back();
        let reply = d.hear(&Heard::certain(text));
        assert!(built(&reply).is_none(), "{text:?} started a build: {reply:?}");
    }
    let mut d = read_back();
    assert!(built(&d.no_input()).is_none());
    for key in "0234567890*#".chars() {
        assert!(built(&read_back().key(key)).is_none(), "{key}");
    }
}

/// A dialogue that has just asked whether a CRM is wanted.
fn offered() -> Dialogue {
    let mut d = dialogue();
    d.greet();
    let reply = d.hear(&Heard::certain("get good should on a crm with notes would you"));
    assert_eq!((reply.text().as_str(), reply.expect), ("Shall I build a CRM for you?", Expectation::YesNo));
    d
}

#[test]
fn an_offer_starts_nothing_and_only_a_yes_leads_to_the_read_back() {
    use callwright::conversation::Question;
    for (text, asked) in [
        ("yes", Question::Approval),
        ("Yes.", Question::Approval),
        ("sure", Question::Approval),
        ("okay", Question::Approval),
        ("yes please, that would be lovely", Question::Approval),
        ("yes but with deals", Question::Approval),
        ("no, I said build a CRM with deals", Question::Approval),
        ("no", Question::What),
        ("no thanks", Question::What),
        ("nope, not today", Question::What),
        ("don't build anything", Question::What),
        ("no I only called about my invoice", Question::What),
        ("build me a blockchain", Question::Instead),
        ("", Question::Offer),
        ("hmm", Question::Offer),
        ("yeah no", Question::Offer),
        ("maybe later", Question::Offer),
        ("what happens if I say yes", Question::Offer),
        ("right I am calling about the parcel from last week", Question::Offer),
        ("the garden is a swamp", Question::Offer),
    ] {
        let mut d = offered();
        let reply = d.hear(&Heard::certain(text));
        assert!(built(&reply).is_none(), "{text:?} started a build");
        assert_eq!(d.slots().asked, asked, "{text:?}: {}", reply.text());
        assert_eq!(reply.text().contains("Here is what I have"), asked == Question::Approval, "{text:?}");
        assert!(asked == Question::Approval || d.slots().features.is_empty(), "{text:?}");
        if asked == Question::Approval {
            assert!(d.slots().features.contains(&"notes".to_owned()), "{text:?}: what was heard is kept");
            assert!(built(&d.hear(&Heard::certain("yes"))).is_some(), "{text:?}: its own yes starts it");
        }
    }
    for (key, asked) in
        [('1', Question::Approval), ('2', Question::What), ('*', Question::What), ('3', Question::Offer)]
    {
        let mut d = offered();
        assert!(built(&d.key(key)).is_none());
        assert_eq!(d.slots().asked, asked, "{key}");
    }
    let mut d = offered();
    let doubtful = d.hear(&Heard::once("yes", 0.3));
    assert!(built(&doubtful).is_none() && d.slots().asked == Question::Offer);
}

#[test]
fn a_declined_offer_is_not_made_again_and_an_old_yes_takes_nothing_up() {
    use callwright::conversation::Question;
    let mut d = offered();
    d.hear(&Heard::certain("no"));
    for text in ["yes", "get good should on a crm with notes would you"] {
        let reply = d.hear(&Heard::certain(text));
        assert!(built(&reply).is_none() && reply.expect == Expectation::Open, "{text:?}: {}", reply.text());
        assert_eq!(d.slots().asked, Question::What);
    }
}

#[test]
fn a_yes_a_go_ahead_or_the_key_starts_it() {
    for text in ["yes", "Yes.", "yeah, go ahead", "go ahead", "build it", "yes please, thank you"] {
        let mut d = read_back();
        let reply = d.hear(&Heard::certain(text));
        let manifest = built(&reply).unwrap_or_else(|| panic!("{text:?}: {reply:?}"));
        assert_eq!(manifest.features, ["contacts", "deals"]);
        assert_eq!(manifest.metadata["approval"]["by"], "voice");
        assert!(manifest.confidence > 0.75);
        assert!(built(&d.hear(&Heard::certain("yes"))).is_none(), "a second yes builds nothing more");
    }
    assert!(built(&read_back().key('1')).is_some());
}

#[test]
fn the_read_back_takes_at_most_twenty_seconds() {
    let mut d = dialogue();
    d.greet();
    let reply = d.hear(&Heard::certain(
        "build a CRM for my small plumbing business called Pipe Dreams with contacts, companies, deals, stages, notes, search, \
         export, invoices, payments, reminders, a calendar, quotes, tickets, newsletters and whatsapp",
    ));
    // The slowest voice speaks 2.5 words a second; "CRM" counts as three.
    let words = reply.text().split_whitespace().map(|w| if w.contains("CRM") { 3 } else { 1 }).sum::<usize>();
    assert!(words <= 50, "{words} words: {}", reply.text());
    assert!(reply.say.iter().all(|c| c.split_whitespace().count() <= 20), "{:?}", reply.say);
}

#[test]
fn the_state_is_explicit() {
    use callwright::conversation::{Question, Slot};
    let mut d = dialogue();
    d.greet();
    assert_eq!(d.slots().missing, [Slot::Artefact, Slot::Features, Slot::Approval]);
    d.hear(&Heard::certain("build a CRM"));
    assert_eq!((d.slots().asked, d.slots().missing), (Question::Features, vec![Slot::Features, Slot::Approval]));
    d.hear(&Heard::certain("deals and invoices"));
    let slots = d.slots();
    assert_eq!((slots.asked, slots.missing), (Question::Approval, vec![Slot::Approval]));
    assert_eq!(
        (slots.features, slots.open_points),
        (vec!["contacts".to_owned(), "deals".to_owned()], vec!["invoices".to_owned()])
    );
    d.key('1');
    assert!(d.slots().missing.is_empty());
}

#[test]
fn updates_of_other_builds_are_not_told() {
    let update = |id: &str, stage| BuildUpdate { build_id: id.into(), stage, say: None, outcome: None, ask: None };
    let mut d = read_back();
    assert!(d.build_update(&update("mine", BuildStage::Tested)).say.is_empty(), "nothing was started yet");
    d.key('1');
    d.build_accepted("mine");
    assert!(d.build_update(&update("other", BuildStage::Tested)).say.is_empty());
    assert!(!d.build_update(&update("mine", BuildStage::Tested)).say.is_empty());
    assert!(d.build_update(&update("mine", BuildStage::Tested)).say.is_empty(), "one line a stage");
    assert!(d.build_update(&update("mine", BuildStage::Generated)).say.is_empty(), "never backwards");
}

#[test]
fn late_news_of_an_interrupted_reply_does_not_touch_the_next() {
    let mut d = read_back();
    let first = d.key('3').text();
    let again = d.key('0').text();
    assert_ne!(first, again);
    d.cut_off(&first, 2);
    assert!(built(&d.hear(&Heard::certain("yes"))).is_some(), "the question was asked again and heard");
    let mut d = read_back();
    let said = d.key('3').text();
    d.cut_off(&said, 2);
    assert!(built(&d.hear(&Heard::certain("yes"))).is_none());
}

#[test]
fn a_refused_build_may_be_approved_again() {
    let mut d = read_back();
    d.key('1');
    let reply = d.build_refused("Four builds are waiting already.");
    assert_eq!(reply.expect, Expectation::YesNo);
    assert!(reply.text().contains("Four builds are waiting already.") && !d.building());
    assert!(built(&d.key('1')).is_some());
}

#[test]
fn the_same_call_gives_the_same_manifest() {
    let (mut a, mut b) = (read_back(), read_back());
    assert_eq!(built(&a.key('1')), built(&b.key('1')));
}

proptest! {
    #[test]
    fn no_conversation_panics_and_no_build_without_a_yes(
        steps in proptest::collection::vec((0u8..10, "[a-z ,.']{0,40}"), 0..30)
    ) {
        let said = ["build a crm", "with deals", "no", "hmm", "how is the crm", "without deals", "okay", "add invoices", "a website"];
        let mut d = dialogue();
        d.greet();
        for (n, text) in steps {
            let reply = match n {
                0 => d.no_input(),
                1 => d.key(text.chars().next().filter(|c| *c != '1').unwrap_or('3')),
                2 => d.build_update(&BuildUpdate { build_id: "b".into(), stage: BuildStage::Tested, say: Some(text), outcome: None, ask: None }),
                3 => d.facts(&AppFacts { name: text, requests_per_minute: f64::NAN, ..AppFacts::default() }),
                4 => { let said = d.greet().text(); d.cut_off(&said, text.len()); continue }
                5 => d.hear(&Heard::certain("good should on a crm for the garage")),
                6 => d.hear(&Heard::certain(text.replace("yes", "no"))),
                _ => d.hear(&Heard::certain(said[text.len() % said.len()])),
            };
            prop_assert!(built(&reply).is_none());
        }
    }
}

#[test]
fn another_reading_helps_and_never_approves() {
    let mut d = dialogue();
    d.greet();
    let heard = |text: &str, others: &[&str]| Heard {
        text: text.to_owned(),
        confidence: 0.9,
        alternatives: others.iter().map(|o| (*o).to_owned()).collect(),
    };
    let asked = d.hear(&heard("filled me assyrian weather", &["build me a salad", "build me a CRM with contacts"]));
    assert!(asked.text().contains("Shall I build a CRM for you?"), "asked back, not begun: {}", asked.text());
    let unsure = d.hear(&heard("less", &["yes", "yes please"]));
    assert!(!unsure.text().contains("Here is what I have"), "a yes of another reading agrees to nothing");
    let read_back = d.hear(&heard("yes", &[]));
    assert_eq!(read_back.expect, Expectation::YesNo);
    assert!(built(&d.hear(&heard("less", &["yes", "go ahead"]))).is_none(), "and approves nothing");
    let changed = d.hear(&heard("and roads", &["add notes"]));
    assert!(changed.text().contains("notes") || changed.text().contains("Notes"), "{}", changed.text());
    assert!(built(&d.hear(&heard("yes", &[]))).is_some());
}

#[test]
fn a_yes_of_another_reading_agrees_to_nothing() {
    use callwright::conversation::Question;
    let heard = Heard {
        text: "less".to_owned(),
        confidence: 0.9,
        alternatives: vec!["yes build me a crm with contacts".to_owned(), "operator".to_owned()],
    };
    let mut d = offered();
    d.hear(&heard);
    assert_eq!(d.slots().asked, Question::Offer);
    let mut d = dialogue();
    d.greet();
    d.hear(&Heard::certain("build me a blockchain"));
    assert_eq!(d.slots().asked, Question::Instead);
    let reply = d.hear(&heard);
    assert!(d.slots().title.is_none() && reply.intent.is_none(), "{}", reply.text());
    assert_ne!(d.slots().asked, Question::Features);
}

#[test]
fn a_person_is_only_asked_for_by_the_best_reading() {
    let mut d = read_back();
    let heard = Heard {
        text: "less".to_owned(),
        confidence: 0.9,
        alternatives: vec!["operator".to_owned(), "help".to_owned()],
    };
    assert!(d.hear(&heard).intent.is_none());
    let mut d = dialogue();
    d.greet();
    for _ in 0..2 {
        d.no_input();
        d.key('0');
        if d.hear(&Heard::certain("no")).hang_up {
            return;
        }
    }
    assert!(d.no_input().hang_up, "being led to a person and back is no progress");
}

#[test]
fn nothing_is_approved_whose_read_back_was_cut_off() {
    type Answer = fn(&mut Dialogue) -> Reply;
    let answers: [Answer; 6] = [
        |d| d.hear(&Heard::certain("yes")),
        |d| d.hear(&Heard::certain("")),
        |d| d.hear(&Heard::certain("operator")),
        |d| d.hear(&Heard::certain("help")),
        |d| d.key('0'),
        |d| d.key('1'),
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        let mut d = dialogue();
        d.greet();
        let said = d.hear(&Heard::certain("build a CRM with contacts and deals")).text();
        d.cut_off(&said, 5);
        let again = answer(&mut d);
        assert!(built(&again).is_none(), "{n}");
        assert!(again.text().contains("Here is what I have"), "{n}: {}", again.text());
        d.cut_off(&again.text(), 3);
        assert!(built(&d.key('1')).is_none(), "{n}: cut off once more");
        assert!(built(&d.key('1')).is_some(), "{n}: heard at last");
    }
    // A change that was cut off is no part of what was read back.
    let mut d = read_back();
    let said = d.hear(&Heard::certain("add notes")).text();
    assert!(!said.contains("Here is what I have"), "{said}");
    d.cut_off(&said, 0);
    let again = d.hear(&Heard::certain("yes"));
    assert!(built(&again).is_none() && again.text().contains("Here is what I have"), "{}", again.text());
    assert!(built(&d.hear(&Heard::certain("yes"))).is_some());
    // A no to half a read-back does not make it whole.
    let mut d = dialogue();
    d.greet();
    let said = d.hear(&Heard::certain("build a CRM with contacts and deals")).text();
    d.cut_off(&said, 5);
    d.hear(&Heard::certain("no"));
    assert!(d.key('1').text().contains("Here is what I have"));
}

#[test]
fn a_recogniser_that_does_not_know_how_sure_it_is_needs_a_second_yes() {
    let mut d = read_back();
    let unsure = Heard::once("yes", 0.45);
    assert!(built(&d.hear(&unsure)).is_none());
    assert!(built(&d.hear(&unsure)).is_some());
    let mut d = read_back();
    d.hear(&unsure);
    d.key('3');
    assert!(built(&d.hear(&unsure)).is_none(), "not in a row");
    let mut d = read_back();
    d.hear(&Heard::once("yes", 0.3));
    assert!(built(&d.hear(&Heard::once("yes", 0.3))).is_none(), "too unsure however often");
}

#[test]
fn digits_keyed_before_the_question_came_again_do_not_count() {
    let mut d = dialogue();
    d.greet();
    for key in "0155".chars() {
        d.key(key);
    }
    assert!(d.no_input().text().contains("key the number in"));
    let mut last = Reply::default();
    for key in "247#".chars() {
        last = d.key(key);
    }
    assert!(last.text().contains(&"two four seven".to_owned()) || last.text().contains("2 4 7"), "{}", last.text());
    assert!(!last.text().contains("five") && !last.text().contains('5'), "{}", last.text());
}
