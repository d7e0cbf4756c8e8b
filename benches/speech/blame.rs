//! Where errors come from. Purpose: for whoever mends the recogniser: by turn of a call, by noise, by unknown words, and what
//! is heard as what, as a page of Markdown. Pure. Invariant: words of the held half are never shown, or somebody would tune
//! to them. Deliberately absent: what to do about it.

use super::corpus::Asked;
use super::score::{Confusions, Errors, errors, words};
use super::turns::{Job, Outcome, Run, calls};
use callwright::conversation::domain;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

/// Rows of each list.
const ROWS: usize = 40;

/// The page.
pub fn page(engine: &str, run: &Run<'_>) -> String {
    let domain = domain();
    let taught: HashSet<String> = words(&domain.sentences).into_iter().collect();
    let unknown = |text: &str| words(text).into_iter().filter(|word| !taught.contains(word)).collect::<Vec<_>>();
    let mut groups: BTreeMap<(&str, String), Errors> = BTreeMap::new();
    let mut confusions = Confusions::default();
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    let jobs: Vec<Job<'_>> = run.outcomes.iter().map(|outcome| outcome.job).collect();
    let positions = calls(&jobs).into_iter().flat_map(|call| 1..=call.len());
    for (outcome, position) in run.outcomes.iter().zip(positions) {
        let job = &outcome.job;
        if job.line.asked == Asked::Digits {
            continue;
        }
        let found = errors(&job.line.text, &outcome.text);
        let strange = !unknown(&job.line.text).is_empty();
        let snr = job.channel.snr_db.map_or_else(|| "no noise".to_owned(), |snr| format!("{snr} dB"));
        let mut add = |group: &'static str, name: String| *groups.entry((group, name)).or_default() += found;
        add("voice and noise", format!("{}, {snr}", job.voice));
        add("turn of the call", format!("turn {position}, {snr}"));
        add("kind of noise", format!("{}, {snr}", if job.babbles() { "babble" } else { "pink" }));
        add(
            "words",
            format!("{}, {snr}", if strange { "some word is not in the text" } else { "every word is in the text" }),
        );
        add("question", format!("{:?}, {snr}", job.line.asked));
        if !job.line.held {
            confusions.add(&job.line.text, &outcome.text);
            for word in unknown(&job.line.text) {
                *missing.entry(word).or_default() += 1;
            }
        }
    }
    let mut page = format!("# Where the errors of {engine} come from\n\n");
    let mut last = "";
    for ((group, name), errors) in &groups {
        if *group != last {
            let _ = writeln!(
                page,
                "\n## By {group}\n\n| | word errors, % | substituted | missed | extra | words |\n|---|---|---|---|---|---|"
            );
            last = group;
        }
        let share = |count: usize| 100.0 * count as f64 / errors.words.max(1) as f64;
        let _ = writeln!(
            page,
            "| {name} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
            errors.percent(),
            share(errors.substituted),
            share(errors.deleted),
            share(errors.inserted),
            errors.words
        );
    }
    let _ = writeln!(page, "\n## Heard as what (dev half)\n\n| said | heard | times |\n|---|---|---|");
    for (said, heard, count) in confusions.most(ROWS) {
        let or_nothing = |word: &str| if word.is_empty() { "(nothing)".to_owned() } else { word.to_owned() };
        let _ = writeln!(page, "| {} | {} | {count} |", or_nothing(said), or_nothing(heard));
    }
    let mut missing: Vec<_> = missing.into_iter().collect();
    missing.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let missing: Vec<String> = missing.into_iter().map(|(word, _)| word).collect();
    let _ = writeln!(page, "\n## Words of the dev half that are not in the agent's text\n\n{}", missing.join(", "));
    let _ = writeln!(page, "\n## Worst turns (dev half, 20 dB and better)\n\n| voice | said | heard |\n|---|---|---|");
    let mut worst: Vec<(usize, &Outcome<'_>)> = run
        .outcomes
        .iter()
        .filter(|o| !o.job.line.held && o.job.channel.snr_db >= Some(20) && o.job.line.asked != Asked::Digits)
        .map(|outcome| {
            let found = errors(&outcome.job.line.text, &outcome.text);
            (100 * (found.substituted + found.deleted + found.inserted) / found.words.max(1), outcome)
        })
        .collect();
    worst.sort_by_key(|(percent, _)| std::cmp::Reverse(*percent));
    for (_, outcome) in worst.into_iter().take(ROWS) {
        let _ = writeln!(page, "| {} | {} | {} |", outcome.job.voice, outcome.job.line.text, outcome.text);
    }
    page
}
