//! Thirty spoken requests for a CRM and thirty spoken sentences that are none, written by somebody who has seen neither the
//! grammar nor the training text: synthesised by a voice that is not the agent's, sent over a G.711 line, heard by the
//! product's recogniser, understood by the product's grammar. No sentence stands in the language model's training text
//! (`tests/vocabulary.rs`).
#![allow(clippy::print_stderr, reason = "what was heard is printed")]

mod ears;

use callwright::conversation::{Dialogue, Expectation, Heard, Intent, Persona};
use ears::{config, start, turn};

/// Requests that must be taken for one, of thirty. The embedded recogniser has a vocabulary of some 800 words, and the
/// sentences were not written for it: what it misses, the agent asks for again.
const REQUESTS_UNDERSTOOD_MIN: usize = 20;
/// Other sentences that may be taken for a request. Nothing is built then: the read-back is still to be approved.
const FALSE_REQUESTS_MAX: usize = 2;

/// Spoken as letters, as people say it.
fn spoken(sentence: &str) -> String {
    sentence.replace("CRM", "C R M")
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

/// What the agent makes of a first sentence: whether it reads a CRM back (or asks what it shall keep), and whether it
/// has started anything.
fn taken_for_a_request(heard: &str, confidence: f32) -> (bool, bool) {
    let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
    let _ = dialogue.greet();
    let reply = dialogue.hear(&Heard { text: heard.to_owned(), confidence });
    let started = matches!(reply.intent, Some(Intent::Build(_)));
    let text = reply.text();
    (text.contains("Here is what I have") || text.contains("What shall it keep"), started)
}

#[test]
fn requests_by_another_author_are_understood_and_nothing_else_starts_anything() {
    let Some(rig) = start(&config()) else { return };
    let hear = |sentence: &str| rig.call().hear(Expectation::Open, &turn("rms", &spoken(sentence)));
    let (mut understood, mut mistaken, mut started) = (0, 0, 0);
    for sentence in sentences(include_str!("fixtures/spoken_requests.txt")) {
        let (heard, confidence) = hear(sentence);
        let (request, start) = taken_for_a_request(&heard, confidence);
        understood += usize::from(request);
        started += usize::from(start);
        eprintln!("{} {sentence}\n     {heard}", if request { "  +" } else { "  -" });
    }
    for sentence in sentences(include_str!("fixtures/spoken_not_requests.txt")) {
        let (heard, confidence) = hear(sentence);
        let (request, start) = taken_for_a_request(&heard, confidence);
        mistaken += usize::from(request);
        started += usize::from(start);
        eprintln!("{} {sentence}\n     {heard}", if request { "  !" } else { "   " });
    }
    eprintln!("understood {understood} of 30, mistaken for a request {mistaken} of 30, started {started}");
    assert_eq!(started, 0, "nothing starts without a yes");
    assert!(understood >= REQUESTS_UNDERSTOOD_MIN, "understood {understood} of 30");
    assert!(mistaken <= FALSE_REQUESTS_MAX, "{mistaken} of 30 were taken for a request");
}
