//! Whole calls in virtual time, as anybody can read and write them: each file of `tests/scenarios` is one call.
//!
//! ```text
//! point 2: a cough while the agent speaks stops nothing      which pain, and what must happen
//! with voice 300 ms                                          how this call differs from the usual one (see below)
//!
//! > says Hello, this is Grace. What shall I build for you?   what happens next (lines with ">"), in exactly this order
//! caller: build a crm with contacts and deals                what the caller does
//! > says Here is what I have…                                "…" stands for the rest, or for what lies between
//! ```
//!
//! **The caller.** `caller: TEXT` speaks 400 ms after the agent has finished, 300 ms a word; `caller after 2 s: TEXT` so long
//! after; `caller over 1.2 s: TEXT` so long into what the agent is saying; `caller at once: TEXT` now. In TEXT, `(800 ms)`
//! is a pause, `[200 ms]` a sound without words, `[far 400 ms]` one from across the room. `TEXT => WORDS`: that is what the
//! recogniser makes of it; `TEXT (sure 0.42)`: how sure it is. `keys 4711#` presses keys, 200 ms apart, 400 ms after the
//! agent has finished; `keys over 1 s: 1`, `keys at once: 1`, `keys after 2 s: 1` as above. `wait 20 s`, `hold`, `unhold`,
//! `line cut` (no goodbye), `no audio for a minute`, `calls back after 2 min`.
//!
//! **What fails or is late.** `recogniser takes 3 s | is silent | fails | works`, `voice takes 3 s | is gone | breaks after
//! 3 words | works`, `lookup takes 20 s | fails | works`, `lookup finds crm 5 apis 10 records`, `build is refused TEXT | is
//! ignored | is taken`, `build reaches tested`, `build live URL`, `build parked TEXT`, `brain slow | fails | refuses`,
//! `nobody takes the call` (to whom the caller was put through), `overload`, `disk fails`, `actor stalls 3 s` (nothing is handled meanwhile), `recogniser stalls 500 ms` (brings nothing from now on, and then all at once), `brain
//! stalls 500 ms` (over the next text; nothing is handled meanwhile), `voice stalls 500 ms` (synthesises nothing from now on; what is
//! known by heart or on its way is heard), `daemon stops`.
//!
//! **What happens.** `> says TEXT` (heard by the caller from its first sample on), `> filler` ("One moment."), `> ducks`,
//! `> goes on`, `> stops after WORDS` (the words of it that the caller can have heard; nothing: none), `> hears TEXT` (only
//! where it is not what the caller said), `> builds FEATURES`, `> looks up SUBJECT`, `> calls back NUMBER`, `> cancels` (a look-up),
//! `> changes WHAT` (what there is, after the PIN), `> counts a wrong PIN`, `> promises a call` and `> promises no call` (for when the
//! build is over), `> tells BUILD` (how it ended was heard), `> asks APP for its code`,
//! `> puts through`, `> records`,
//! `> does not record`, `> withholds` and `> shows again` (recording), `> keeps`, `> forgets`, `> hangs up CLASS`,
//! `> measured 3.…` (the response time in the figures, seconds), `> nothing for 5 s`. `> cancels`, `> counts a wrong PIN`, `> tells`, `> keeps`,
//! `> forgets`, `> ducks`, `> goes on` and `> measured` need not be written. At the end, `[within 900 ms]`
//! counts from the last thing that the caller or a tool did, `[after 15 s]` (give or take 150 ms) from the last sound.
//!
//! **Usual call**, changed by `with`: `recogniser 120 ms` after the end of a turn, `partials 150 ms` after each word, `voice
//! 60 ms` to the first sample (what is synthesised ahead: 10 ms), `lookup 200 ms`, `build 200 ms`, `idle 15 s`, `prompts 2`,
//! `filler 1500 ms`, `longest 60 min`, `consent none | announce | ask`, `pin none`,
//! `change-pin DIGITS` (none: before what changes or destroys only), `operator LINE` (none), `return-call ask | always` (never).
//!
//! `SCENARIO=NAME cargo test --test scenarios -- --nocapture` prints all that happens in one file.

mod simulator;

use simulator::script;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(directory).expect("part of the tree");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.sort();
    files
}

fn name(file: &Path) -> String {
    file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

#[test]
#[expect(clippy::print_stdout, reason = "the trace that was asked for")]
fn every_scenario_goes_as_written() {
    let wanted = std::env::var("SCENARIO").ok();
    let mut failed = Vec::new();
    for file in files().iter().filter(|file| wanted.as_ref().is_none_or(|wanted| name(file) == *wanted)) {
        let text = std::fs::read_to_string(file).expect("a readable file");
        match script::run(&text) {
            Ok(trace) if wanted.is_some() => println!("{trace}"),
            Ok(_) => {}
            Err(story) => failed.push(format!("── {} ──\n{story}", name(file))),
        }
    }
    assert!(failed.is_empty(), "{} went otherwise:\n\n{}", failed.len(), failed.join("\n"));
}

/// Order, words and times of all of them, to the millisecond: what changes here is to be read before it is committed.
#[test]
fn every_scenario_goes_to_the_millisecond_as_it_is_kept() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scenarios.trace");
    let mut now = String::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let trace = script::trace(&text).unwrap_or_else(|story| panic!("{}:\n{story}", name(&file)));
        let _ = write!(now, "{}\n{trace}", name(&file));
    }
    if std::env::var_os("CALLWRIGHT_BLESS").is_some() {
        return std::fs::write(kept, now).expect("the traces are written");
    }
    let was = std::fs::read_to_string(kept).expect("part of the tree");
    let of = |text: &str| -> BTreeMap<String, String> {
        let mut traces = BTreeMap::new();
        let mut at = String::new();
        for line in text.lines() {
            if line.starts_with(' ') {
                let _ = writeln!(traces.entry(at.clone()).or_insert_with(String::new), "{line}");
            } else {
                line.clone_into(&mut at);
            }
        }
        traces
    };
    let (was, now) = (of(&was), of(&now));
    let names: BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let none = String::new();
    let otherwise: Vec<String> = names
        .into_iter()
        .map(|name| (name, was.get(name).unwrap_or(&none), now.get(name).unwrap_or(&none)))
        .filter(|(_, was, now)| was != now)
        .map(|(name, was, now)| format!("── {name}: was\n{was}   is\n{now}"))
        .collect();
    let tell = "CALLWRIGHT_BLESS=1 keeps them as they are now";
    assert!(otherwise.is_empty(), "{} go otherwise; {tell}\n{}", otherwise.len(), otherwise.join("\n"));
}

/// Over whatever the agent says in any scenario, once of each text, with somebody to put callers through to; not over the
/// last words of a daemon that must hang up.
#[test]
fn a_zero_reaches_a_person_whatever_was_asked() {
    let (mut said, mut missed) = (BTreeSet::new(), Vec::new());
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let with = if text.contains("\nwith operator ") { "" } else { "with operator One moment, please.\n" };
        let lines: Vec<&str> = text.lines().collect();
        for (end, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("> says ")) {
            if !said.insert((*line).to_owned()) {
                continue;
            }
            let so_far = format!("{with}{}", lines[..=end].join("\n"));
            // Scenarios that need nobody to be there go otherwise.
            let Some(happened) = script::then(&so_far, "keys over 200 ms: 0", 12_000) else { continue };
            let has_failed =
                |what: &String| ["drained", "failed", "too_long"].iter().any(|end| what == &format!("hangs up {end}"));
            if !happened.iter().any(|what| what == "puts through" || has_failed(what)) {
                missed.push(format!("{} after {line:?}: {happened:?}", name(&file)));
            }
        }
    }
    assert!(
        missed.is_empty() && said.len() > 90,
        "of {} texts {} not:\n{}",
        said.len(),
        missed.len(),
        missed.join("\n")
    );
}

#[test]
fn every_pain_point_has_its_scenarios() {
    let mut points = BTreeSet::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let of = script::points(&text);
        assert!(!of.is_empty(), "{} names no point", file.display());
        points.extend(of);
    }
    assert!(files().len() >= 60, "{} scenarios", files().len());
    assert_eq!(points.iter().copied().filter(|point| *point <= 15).collect::<Vec<_>>(), (1..=15).collect::<Vec<u32>>());
}

#[test]
fn news_count_as_told_when_their_sentence_was_heard() {
    const ORDER: &str = "point 12: news\n\n> says Hello…\ncaller: build a crm with contacts and deals\n> says Here is what I have…\n\
        caller: yes\n> builds contacts+deals\n> says I'm on it…\nbuild live http://127.0.0.1:8100/\n> says Your CRM is live…\n";
    let played = |end: &str| script::run(&format!("{ORDER}{end}")).unwrap_or_else(|story| panic!("{story}"));
    let heard = played("caller: goodbye\n> says Thank you for calling. Goodbye.\n> hangs up agent_hung_up");
    assert_eq!(heard.matches("tells build_1").count(), 1, "{heard}");
    let cut = played("wait 300 ms\nline cut\n> stops after …");
    assert!(!cut.contains("tells build_1"), "{cut}");
}

#[test]
fn a_scenario_that_goes_otherwise_tells_what_happened() {
    let story = script::run("point 12: the wrong greeting\n\n> says Good day.").expect_err("it is wrong");
    for told in ["✗ > says Good day.", "instead: says Hello, this is Grace. What shall I build for you?"] {
        assert!(story.contains(told), "{story}");
    }
    let late = script::run("point 12: too slow\nwith voice 60 ms\n\n> says Hello… [within 1 ms]").expect_err("late");
    assert!(late.contains("within 1 ms"), "{late}");
    let more = script::run("point 6: more than was said\n\n").expect_err("there is a greeting");
    assert!(more.contains("says Hello"), "{more}");
    assert!(script::run("point 1: x\n\nsings a song").expect_err("no such step").contains("sings a song"));
}
