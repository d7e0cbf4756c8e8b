//! Held-out turns and their score. Purpose: one way to count labels, slots and false triggers, for the test that reads them
//! as written and for the bench that speaks them first. Pure. Deliberately absent: what is enough.

#![allow(dead_code, unreachable_pub, reason = "the test and the bench each use some")]
use callwright::pipeline::intent::{Extraction, canonical_feature, canonical_name};
use std::collections::{BTreeMap, BTreeSet};

/// One of them.
pub struct Turn {
    pub label: &'static str,
    pub text: &'static str,
    pub slots: BTreeMap<&'static str, &'static str>,
}

/// All of them, in their order.
pub fn turns() -> Vec<Turn> {
    set(
        include_str!("../fixtures/intents/held_out_wanted.txt"),
        include_str!("../fixtures/intents/held_out_others.txt"),
    )
}

/// A second set, by callers of other trades.
pub fn second() -> Vec<Turn> {
    set(include_str!("../fixtures/intents/second_wanted.txt"), include_str!("../fixtures/intents/second_others.txt"))
}

/// A third set, by an author who saw nothing of this project; slots of orders only.
pub fn third() -> Vec<Turn> {
    set(include_str!("../fixtures/intents/third_wanted.txt"), include_str!("../fixtures/intents/third_others.txt"))
}

/// A fourth set, by another author who saw nothing of this project.
pub fn fourth() -> Vec<Turn> {
    set(include_str!("../fixtures/intents/fourth_wanted.txt"), include_str!("../fixtures/intents/fourth_others.txt"))
}

/// A fifth set, by one more author who saw nothing of this project.
pub fn fifth() -> Vec<Turn> {
    set(include_str!("../fixtures/intents/fifth_wanted.txt"), include_str!("../fixtures/intents/fifth_others.txt"))
}

/// A sixth set, by the last author who saw nothing of this project.
pub fn sixth() -> Vec<Turn> {
    set(include_str!("../fixtures/intents/sixth_wanted.txt"), include_str!("../fixtures/intents/sixth_others.txt"))
}

/// Turns that may be looked at, by a third author; none of them trains.
pub fn development() -> Vec<Turn> {
    set(include_str!("../../models/intents_dev.txt"), "")
}

/// Turns that sound like orders, half of which are none; they may be looked at, and none of them trains.
pub fn guarded() -> Vec<Turn> {
    set(include_str!("../../models/intents_guarded.txt"), "")
}

/// The same as our own recogniser heard them once, over a telephone line.
pub fn guarded_heard() -> Vec<Turn> {
    set(include_str!("../fixtures/intents/guarded_heard.txt"), "")
}

/// Those of [`development`] as our own recogniser heard them once, over a telephone line.
pub fn development_heard() -> Vec<Turn> {
    set(include_str!("../fixtures/intents/dev_heard.txt"), "")
}

fn set(wanted: &'static str, others: &'static str) -> Vec<Turn> {
    let lines = |text: &'static str| text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    let wanted = lines(wanted).map(|line| {
        let mut parts = line.split(" |");
        let (label, text) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default().trim());
        let slots = parts.next().unwrap_or_default().split(';').filter_map(|slot| slot.trim().split_once('='));
        Turn { label, text, slots: slots.collect() }
    });
    wanted.chain(lines(others).map(|text| Turn { label: "other", text, slots: BTreeMap::new() })).collect()
}

/// Slots found as comparable pairs; features by what they mean.
pub fn found(extraction: &Extraction) -> BTreeSet<String> {
    let entities = &extraction.entities;
    let mut out = BTreeSet::new();
    out.extend(entities.title.iter().map(|title| format!("title={}", title.to_lowercase())));
    out.extend(entities.features.iter().map(|feature| format!("features={}", canonical_feature(feature))));
    out.extend(entities.tech_stack.iter().map(|name| format!("stack={}", name.to_lowercase())));
    out.extend(entities.integrations.iter().map(|name| format!("integrations={}", name.to_lowercase())));
    let limits = &entities.constraints;
    out.extend(limits.budget.iter().map(|budget| format!("budget={} {}", budget.cents / 100, budget.currency)));
    out.extend(limits.timeline.iter().map(|timeline| format!("timeline={}", timeline.as_str())));
    out.extend(limits.scale.iter().map(|scale| format!("scale={scale}")));
    out
}

/// Slots meant, as comparable pairs.
pub fn wanted(turn: &Turn) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (slot, values) in turn.slots.iter().filter(|(slot, _)| **slot != "remove") {
        match *slot {
            "features" => out.extend(values.split(',').map(|value| format!("features={}", canonical_feature(value)))),
            "stack" | "integrations" => {
                out.extend(values.split(',').map(|value| format!("{slot}={}", canonical_name(value).to_lowercase())))
            }
            "title" => {
                out.insert(format!("title={}", values.to_lowercase()));
            }
            _ => {
                out.insert(format!("{slot}={values}"));
            }
        }
    }
    out
}

/// How often one label or slot was right, said and meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub right: usize,
    pub said: usize,
    pub meant: usize,
}

impl Count {
    /// Harmonic mean of precision and recall, 0..=1; one when there was nothing to find.
    pub fn f1(&self) -> f64 {
        if self.said + self.meant == 0 { 1.0 } else { 2.0 * self.right as f64 / (self.said + self.meant) as f64 }
    }
}

/// The score of some of the turns.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub turns: usize,
    pub negatives: usize,
    pub right: usize,
    pub labels: BTreeMap<&'static str, Count>,
    pub slots: Count,
    /// Turns that want something.
    pub wants: usize,
    pub fired: usize,
    pub fired_right: usize,
    /// Negatives that fired, and those among them that would build.
    pub false_triggers: usize,
    pub false_builds: usize,
    /// Of each tenth of confidence: sum of confidences, turns, turns that were right.
    pub bins: [(f64, usize, usize); 10],
}

impl Tally {
    /// Counts what was made of one turn.
    pub fn add(&mut self, turn: &Turn, extraction: &Extraction) {
        let said = extraction.intent.name();
        let (negative, right) = (turn.label == "other", said == turn.label);
        self.turns += 1;
        self.negatives += usize::from(negative);
        self.right += usize::from(right);
        self.wants += usize::from(!negative);
        self.labels.entry(turn.label).or_default().meant += 1;
        let label = self.labels.entry(said).or_default();
        label.said += 1;
        label.right += usize::from(right);
        if extraction.fires() {
            self.fired += 1;
            self.fired_right += usize::from(right);
            self.false_triggers += usize::from(negative);
            self.false_builds += usize::from(negative && extraction.intent.builds());
        }
        let bin = &mut self.bins[((extraction.confidence * 10.0) as usize).min(9)];
        *bin = (bin.0 + extraction.confidence, bin.1 + 1, bin.2 + usize::from(right));
        if !turn.slots.is_empty() {
            let (found, wanted) = (found(extraction), wanted(turn));
            self.slots.right += found.intersection(&wanted).count();
            self.slots.said += found.len();
            self.slots.meant += wanted.len();
        }
    }

    /// Mean of the labels' F1.
    pub fn macro_f1(&self) -> f64 {
        self.labels.values().map(Count::f1).sum::<f64>() / self.labels.len().max(1) as f64
    }

    /// Share of what is wanted that fires as what it is.
    pub fn fired_recall(&self) -> f64 {
        self.fired_right as f64 / self.wants.max(1) as f64
    }

    /// Share of those that fired that were right.
    pub fn fired_precision(&self) -> f64 {
        self.fired_right as f64 / self.fired.max(1) as f64
    }

    /// False triggers in a hundred negatives.
    pub fn false_triggers_percent(&self) -> f64 {
        100.0 * self.false_triggers as f64 / self.negatives.max(1) as f64
    }

    /// Expected calibration error.
    pub fn calibration_error(&self) -> f64 {
        self.bins.iter().map(|(sum, _, right)| (sum - *right as f64).abs()).sum::<f64>() / self.turns.max(1) as f64
    }
}
