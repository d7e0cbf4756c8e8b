//! What callers are told of their apps and builds, as it is written and as it is said: `tests/fixtures/reports.golden`.
//! `CALLWRIGHT_BLESS=1` writes it anew; read the difference before committing it.

use callwright::conversation::{AppFacts, BuildStage, BuildUpdate, Dialogue, Heard, Intent, Outcome, Persona, Reply};
use callwright::speech::normalise;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// What may be asked of an app: each in words that people use.
const QUESTIONS: [(&str, &str); 5] = [
    ("status", "how is the crm"),
    ("metrics", "how many requests does the crm get"),
    ("problems", "are there any problems with the crm"),
    ("history", "what were the last changes to the crm"),
    ("status of it", "how is it doing"),
];

fn facts(name: &str) -> AppFacts {
    AppFacts { name: name.into(), deployed: true, version: 1, apis_live: 5, records: 10, ..AppFacts::default() }
}

fn figures(all: &[(&str, i64)]) -> BTreeMap<String, i64> {
    all.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

fn cases() -> Vec<(&'static str, AppFacts)> {
    let stopped = || Some("The page about us did not answer.".to_owned());
    vec![
        ("five APIs, ten records", facts("CRM")),
        ("one of each, hardly used", AppFacts { apis_live: 1, records: 1, requests_per_minute: 0.3, ..facts("CRM") }),
        ("nothing in it", AppFacts { records: 0, ..facts("CRM") }),
        ("five calls a minute", AppFacts { requests_per_minute: 5.0, ..facts("CRM") }),
        ("half a request is rounded", AppFacts { requests_per_minute: 1.5, ..facts("CRM") }),
        (
            "large numbers",
            AppFacts {
                apis_live: 42,
                records: 12_345,
                requests_per_minute: 1_234.4,
                server_errors: 10_000,
                version: 12,
                ..facts("CRM")
            },
        ),
        (
            "very large numbers",
            AppFacts {
                records: 7_654_321,
                requests_per_minute: 1e6,
                server_errors: 2_000_000,
                version: 101,
                ..facts("CRM")
            },
        ),
        ("fast", AppFacts { requests_per_minute: 12.0, latency_ms: Some(8.0), ..facts("CRM") }),
        ("too fast to say", AppFacts { requests_per_minute: 12.0, latency_ms: Some(0.25), ..facts("CRM") }),
        (
            "slow, and failing",
            AppFacts { requests_per_minute: 2.0, latency_ms: Some(4_000.0), server_errors: 3, ..facts("CRM") },
        ),
        ("a time that is none", AppFacts { requests_per_minute: 2.0, latency_ms: Some(f64::INFINITY), ..facts("CRM") }),
        ("failed before, quiet now", AppFacts { latency_ms: Some(8.0), server_errors: 1, ..facts("CRM") }),
        ("a rate that is none", AppFacts { requests_per_minute: f64::NAN, ..facts("CRM") }),
        ("one failed request", AppFacts { server_errors: 1, version: 2, ..facts("CRM") }),
        ("the last build had to stop", AppFacts { server_errors: 3, version: 3, stopped: stopped(), ..facts("CRM") }),
        ("not deployed", AppFacts { deployed: false, stopped: stopped(), ..facts("CRM") }),
        (
            "an online shop",
            AppFacts {
                figures: figures(&[
                    ("orders_today", 3),
                    ("orders_open", 1),
                    ("sales_today_cents", 4_990),
                    ("sales_cents", 1_250_050),
                    ("stock_low", 2),
                ]),
                currency: "EUR".into(),
                ..facts("Online Shop")
            },
        ),
        (
            "a website",
            AppFacts {
                figures: figures(&[
                    ("visits_today", 40),
                    ("pages", 4),
                    ("enquiries_new", 1),
                    ("bookings_requested", 2),
                ]),
                ..facts("Website")
            },
        ),
        (
            "an API",
            AppFacts { figures: figures(&[("calls_today", 1_500), ("keys", 2), ("refused_today", 7)]), ..facts("API") },
        ),
        (
            "a dashboard of this box",
            AppFacts {
                figures: figures(&[
                    ("box_calls_today", 1_412),
                    ("box_minutes_today", 95),
                    ("measured", 0),
                    ("series", 0),
                    ("measured_today", 0),
                ]),
                requests_per_minute: 3.0,
                latency_ms: Some(16.0),
                ..facts("Dashboard")
            },
        ),
        ("a dashboard", AppFacts { figures: figures(&[("series", 3), ("measured_today", 480)]), ..facts("Dashboard") }),
        (
            "no such app",
            AppFacts { unknown: Some(vec!["CRM".into(), "Web Shop".into(), "API".into()]), ..AppFacts::default() },
        ),
        ("no app at all", AppFacts { unknown: Some(vec![]), ..AppFacts::default() }),
    ]
}

/// A dialogue whose CRM is being built, or is live.
fn dialogue(live: bool) -> Dialogue {
    let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
    dialogue.greet();
    dialogue.hear(&Heard::certain("build a crm with contacts and deals"));
    assert!(matches!(dialogue.hear(&Heard::certain("yes")).intent, Some(Intent::Build(_))));
    dialogue.build_accepted("b1");
    if live {
        let outcome = Some(Outcome::Live { url: "http://127.0.0.1:8100/".into(), app: "crm".into() });
        dialogue.build_update(&BuildUpdate {
            build_id: "b1".into(),
            stage: BuildStage::Live,
            say: None,
            outcome,
            ask: None,
        });
    }
    dialogue
}

fn write(out: &mut String, asked: &str, reply: &Reply) {
    let spoken: Vec<String> = normalise(&reply.text()).into_iter().map(|word| word.spoken).collect();
    let spoken = spoken.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ");
    let _ = writeln!(out, "  {asked}: {}\n    said: {spoken}", reply.text());
    assert!(!spoken.bytes().any(|b| b.is_ascii_digit()), "digits are no words: {spoken}");
    // What one can take in by ear.
    assert!(reply.say.len() <= 6 && spoken.split_whitespace().count() <= 45, "too long for the ear: {spoken}");
}

fn written() -> String {
    let mut out = String::new();
    for (name, facts) in cases() {
        let _ = writeln!(out, "{name}");
        for (asked, question) in QUESTIONS {
            let mut dialogue = dialogue(true);
            let reply = dialogue.hear(&Heard::certain(question));
            assert!(matches!(reply.intent, Some(Intent::Report { .. })), "{question}: {reply:?}");
            let reply = dialogue.facts(&facts);
            write(&mut out, asked, &reply);
        }
    }
    let _ = writeln!(out, "a build, stage by stage");
    let mut waits = dialogue(false);
    write(&mut out, "waiting", &waits.hear(&Heard::certain("how far are you")));
    for (word, stage) in [
        ("specified", BuildStage::Specified),
        ("planned", BuildStage::Planned),
        ("generated", BuildStage::Generated),
        ("tested", BuildStage::Tested),
        ("staged", BuildStage::Staged),
        ("live", BuildStage::Live),
    ] {
        let mut dialogue = dialogue(false);
        dialogue.build_update(&BuildUpdate { build_id: "b1".into(), stage, say: None, outcome: None, ask: None });
        write(&mut out, word, &dialogue.hear(&Heard::certain("how far are you")));
    }
    let ends = [
        ("goes live", Outcome::Live { url: "http://127.0.0.1:8100/".into(), app: "crm".into() }),
        ("stops", Outcome::Parked { say: "The page about us did not answer.".into() }),
    ];
    for (word, outcome) in ends {
        let mut dialogue = dialogue(false);
        let update = BuildUpdate {
            build_id: "b1".into(),
            stage: BuildStage::Live,
            say: None,
            outcome: Some(outcome),
            ask: None,
        };
        write(&mut out, word, &dialogue.build_update(&update));
    }
    out
}

#[test]
fn reports_are_as_written_and_can_be_taken_in_by_ear() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reports.golden");
    let out = written();
    if std::env::var_os("CALLWRIGHT_BLESS").is_some() {
        std::fs::write(&golden, &out).expect("a writable golden");
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    for (n, (is, should)) in out.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, should, "line {} of {}", n + 1, golden.display());
    }
    assert_eq!(out.lines().count(), expected.lines().count());
}
