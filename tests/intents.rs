//! How well intents and slots are read: the held-out turns of `fixtures/intents`, written before and apart from what trains the
//! classifier, which nobody tunes on. Prints the figures; fails below the promised ones.
#![allow(clippy::print_stderr, reason = "the figures are printed")]

#[path = "held_out/mod.rs"]
mod held_out;

use callwright::pipeline::intent::{Label, extract};
use held_out::{Tally, found, turns, wanted};

#[test]
fn held_out_turns_are_read_as_well_as_promised() {
    let turns = turns();
    let mut tally = Tally::default();
    let shown = std::env::var_os("CALLWRIGHT_SHOW_TURNS").is_some();
    for turn in &turns {
        assert!(Label::ALL.iter().any(|label| label.name() == turn.label), "{}", turn.label);
        let extraction = extract(turn.text, &[]);
        tally.add(turn, &extraction);
        let said = extraction.intent.name();
        if shown && said != turn.label {
            eprintln!("{:18} {said:18} {:.2} {}", turn.label, extraction.confidence, turn.text);
        }
        if shown && !turn.slots.is_empty() && found(&extraction) != wanted(turn) {
            eprintln!("{}\n  found  {:?}\n  wanted {:?}", turn.text, found(&extraction), wanted(turn));
        }
    }
    assert!(tally.turns >= 500 && tally.negatives >= 250, "{} turns, {} negatives", tally.turns, tally.negatives);
    for (label, count) in &tally.labels {
        eprintln!("{label:20} F1 {:.3}  {:3} turns", count.f1(), count.meant);
    }
    eprintln!("confidence: mean, right, turns of each tenth");
    for (sum, count, right) in tally.bins.iter().filter(|bin| bin.1 > 0) {
        eprintln!("  {:.2} {:.2} {count}", sum / *count as f64, *right as f64 / *count as f64);
    }
    let (macro_f1, slots, precision) = (tally.macro_f1(), tally.slots.f1(), tally.fired_precision());
    let (per_hundred, error) = (tally.false_triggers_percent(), tally.calibration_error());
    eprintln!(
        "{} turns, {} negatives: right {:.3}, macro-F1 {macro_f1:.3}, slots F1 {slots:.3}, fired {} with precision \
         {precision:.3}, false triggers {} ({per_hundred:.2} in 100 negatives; builds {}), ECE {error:.3}",
        tally.turns,
        tally.negatives,
        tally.right as f64 / tally.turns as f64,
        tally.fired,
        tally.false_triggers,
        tally.false_builds,
    );
    // The aim is 0.93; 0.926 was reached.
    assert!(macro_f1 >= 0.91, "macro-F1 {macro_f1:.3}");
    assert!(slots >= 0.90, "slots F1 {slots:.3}");
    assert!(precision >= 0.97, "fired precision {precision:.3}");
    assert!(per_hundred <= 1.0, "{} false triggers", tally.false_triggers);
    assert!(error <= 0.05, "ECE {error:.3}");
}
