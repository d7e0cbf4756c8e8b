//! Thirty spoken requests for a CRM and thirty spoken sentences that are none, written by somebody who has seen neither the
//! grammar nor the training text: synthesised by a voice that is not the agent's, sent over a G.711 line, heard by the
//! product's recogniser, understood by the product's grammar. No sentence stands in the language model's training text
//! (`tests/vocabulary.rs`).
#![allow(clippy::print_stderr, reason = "what was heard is printed")]

mod ears;

use callwright::conversation::{Dialogue, Expectation, Heard, Intent, Persona, Reply};
use ears::{Rig, config, start, turn};

/// Requests that must lead on, of thirty: read back at once, or asked back whether a CRM is wanted. Measured: 27.
const LED_ON_MIN: usize = 26;
/// Requests that must be understood without asking back: 26 were.
const UNDERSTOOD_MIN: usize = 24;
/// Other sentences that may be read back as a request. Nothing is built then: the read-back is still to be approved.
const FALSE_READ_BACKS_MAX: usize = 1;

/// Spoken as letters, as people say it.
fn spoken(sentence: &str) -> String {
    sentence.replace("CRM", "C R M")
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

/// What the agent makes of a first sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Reads a CRM back, or asks what it shall keep.
    Understood,
    /// Asks whether a CRM is wanted.
    Asked,
    /// Takes it for something else, or for nothing.
    Missed,
}

/// A caller's conversation, by voice.
struct Talk<'a> {
    rig: &'a Rig,
    dialogue: Dialogue,
    started: bool,
}

impl<'a> Talk<'a> {
    fn new(rig: &'a Rig) -> Self {
        let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
        let _ = dialogue.greet();
        Self { rig, dialogue, started: false }
    }

    /// Says a sentence over the line. Returns what was heard and what the agent answers.
    fn say(&mut self, sentence: &str, expectation: Expectation) -> (String, Reply) {
        let (text, confidence) = self.rig.call().hear(expectation, &turn("rms", &spoken(sentence)));
        let reply = self.dialogue.hear(&Heard::once(text.clone(), confidence));
        self.started |= matches!(reply.intent, Some(Intent::Build(_)));
        (text, reply)
    }
}

fn taken(reply: &Reply) -> Taken {
    let text = reply.text();
    if text.contains("Here is what I have") || text.contains("What shall it keep") {
        Taken::Understood
    } else if text.contains("Shall I build a CRM for you?") {
        Taken::Asked
    } else {
        Taken::Missed
    }
}

/// What must be reached, of thirty each.
struct Gates {
    led_on_min: usize,
    understood_min: usize,
    false_read_backs_max: usize,
}

/// The set that the training text was widened with (never taught, but looked at).
#[test]
fn requests_by_another_author_lead_on_and_nothing_else_starts_anything() {
    let gates =
        Gates { led_on_min: LED_ON_MIN, understood_min: UNDERSTOOD_MIN, false_read_backs_max: FALSE_READ_BACKS_MAX };
    converse(include_str!("fixtures/spoken_requests.txt"), include_str!("fixtures/spoken_not_requests.txt"), &gates);
}

/// A set by a third author, first heard after everything was done: what a stranger meets. Then 24 were understood, 4 asked
/// back and none of the others was read back; later runs gave 23 to 24, 4, and up to 2 (a synthetic voice and the
/// recogniser's start differ a little each time), and the gates leave room for that.
#[test]
fn a_blind_set_leads_on_and_starts_nothing() {
    let gates = Gates { led_on_min: 25, understood_min: 21, false_read_backs_max: 3 };
    converse(
        include_str!("fixtures/spoken_requests_blind.txt"),
        include_str!("fixtures/spoken_not_requests_blind.txt"),
        &gates,
    );
}

fn converse(requests: &str, others: &str, gates: &Gates) {
    let Some(rig) = start(&config()) else { return };
    let (mut understood, mut asked) = (0, 0);
    for sentence in sentences(requests) {
        let mut talk = Talk::new(&rig);
        let (heard, reply) = talk.say(sentence, Expectation::Open);
        let first = taken(&reply);
        let sign = match first {
            Taken::Understood => "+",
            Taken::Asked => "?",
            Taken::Missed => "-",
        };
        eprintln!("  {sign} {sentence}\n     {heard}");
        assert!(!talk.started, "{sentence:?} started a build without a yes");
        understood += usize::from(first == Taken::Understood);
        asked += usize::from(first == Taken::Asked);
        if reply.expect == Expectation::YesNo {
            let read_back = reply.text().contains("Here is what I have");
            // A lone "yes" is misheard now and then; the agent asks again, and people answer again.
            let led_on = (0..3).any(|_| {
                let (heard, reply) = talk.say("Yes.", Expectation::YesNo);
                eprintln!("     yes: {heard}");
                // An approved read-back starts; an offer that is taken up is read back, or what it shall keep is asked.
                if read_back { talk.started } else { taken(&reply) == Taken::Understood }
            });
            assert!(led_on, "{sentence:?}: three spoken yeses led nowhere");
            assert_eq!(talk.started, read_back, "{sentence:?}: only an approved read-back starts a build");
        }
    }
    let (mut read_back, mut offered) = (0, 0);
    for sentence in sentences(others) {
        let mut talk = Talk::new(&rig);
        let (heard, reply) = talk.say(sentence, Expectation::Open);
        let first = taken(&reply);
        let sign = match first {
            Taken::Understood => "!",
            Taken::Asked => "?",
            Taken::Missed => " ",
        };
        eprintln!("  {sign} {sentence}\n     {heard}");
        assert!(!talk.started, "{sentence:?} started a build");
        read_back += usize::from(first == Taken::Understood);
        offered += usize::from(first == Taken::Asked);
    }
    eprintln!("requests: understood {understood}, asked back {asked}, missed {} of 30", 30 - understood - asked);
    eprintln!("others: read back {read_back}, asked back {offered} of 30; nothing started");
    assert!(understood + asked >= gates.led_on_min, "understood {understood}, asked back {asked} of 30");
    assert!(understood >= gates.understood_min, "understood {understood} of 30");
    assert!(read_back <= gates.false_read_backs_max, "{read_back} of 30 were read back as a request");
}
