//! Turns to train and to develop an endpointing on, so that those of `corpus` stay unseen. Purpose: other sentences, other
//! voices, heard by the same engines; `models/endpoint.py` fits the scorer's constants to what is kept of them. Seeded.
//! Deliberately absent: anything that `corpus` says.

use super::corpus::{Random, Turn};
use callwright::conversation::Expectation;

/// Sentences, a `|` where a caller may stop to think; the words' table is trained on them too, by halves.
const OPEN: &str = include_str!("../../models/endpoint_sentences.txt");
const VOICES: [&str; 2] = ["rms", "slt"];
const YES_NO: &[&str] = &[
    "yeah",
    "yep",
    "no",
    "yes",
    "nope",
    "absolutely",
    "of course",
    "yes it is",
    "no it is not",
    "that's correct",
    "right",
    "exactly",
    "yes go ahead",
    "yes | that's fine",
    "yes | and reminders | please",
    "no | leave out the tasks",
    "sure | why not",
    "okay | and then",
    "uh | yeah",
    "hm | i think so",
    "no | that is not right",
    "yeah | but change the name",
    "not really",
    "i do not think so",
    "definitely",
    "perfect | thank you",
    "no thank you",
    "okay",
    "fine",
    "go on",
];
const NAMES: &[&str] = &[
    "{first}",
    "{first} | {last}",
    "this is {first} | {last}",
    "{last}",
    "the name is | {last}",
    "i am | {first} {last}",
    "{first} {last}",
    "it's {last} | {letter} {letter} | {letter} {letter}",
    "{letter} {letter} {letter} | {letter} {letter}",
    "{first} | {letter} {letter} | {letter}",
];
const FIRST: &[&str] = &["alice", "david", "sophie", "robert", "emma", "daniel", "laura", "simon"];
const LAST: &[&str] = &["miller", "jansen", "cooper", "fraser", "taylor", "bennett", "hughes", "foster"];
const LETTERS: &[&str] = &["c", "d", "f", "g", "h", "i", "n", "p", "u", "w"];
const DIGITS: &[&str] = &["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// Turns with at least so many hesitations in them, the same for every seed; as often of each kind as `corpus` has them.
pub(crate) fn turns(seed: u64, pauses: usize) -> Vec<Turn> {
    let mut random = Random::new(seed ^ 0x7ea2);
    let (mut turns, mut made) = (Vec::new(), 0);
    let open: Vec<&'static str> = OPEN.lines().filter(|line| !line.is_empty()).collect();
    while made < pauses {
        let (expect, text) = match random.next() % 20 {
            0..=10 => (Expectation::Open, random.pick(&open).to_owned()),
            11..=13 => (Expectation::YesNo, random.pick(YES_NO).to_owned()),
            14..=15 => (Expectation::Name, name(&mut random)),
            _ => digits(&mut random),
        };
        let mut stretches: Vec<String> = Vec::new();
        for part in text.split('|').map(str::trim) {
            match stretches.last_mut() {
                Some(last) if random.share() < 0.4 => *last = format!("{last} {part}"),
                _ => stretches.push(part.to_owned()),
            }
        }
        let pauses_ms: Vec<u32> = (1..stretches.len()).map(|_| pause(&mut random)).collect();
        made += pauses_ms.len();
        turns.push(Turn { voice: random.pick(&VOICES), expect, stretches, pauses_ms });
    }
    turns
}

/// Log-normal, median 0.6 s, 95th percentile 2.5 s.
fn pause(random: &mut Random) -> u32 {
    // The sum of twelve evenly spread numbers is normal enough.
    let normal = (0..12).map(|_| random.share()).sum::<f64>() - 6.0;
    (600.0 * (0.867 * normal).exp()).clamp(160.0, 3600.0) as u32
}

fn name(random: &mut Random) -> String {
    let mut text = random.pick(NAMES).to_owned();
    for (slot, words) in [("{first}", FIRST), ("{last}", LAST), ("{letter}", LETTERS)] {
        while let Some(at) = text.find(slot) {
            text.replace_range(at..at + slot.len(), random.pick(words));
        }
    }
    text
}

fn digits(random: &mut Random) -> (Expectation, String) {
    let count = random.pick(&[3_u8, 5, 8, 10]);
    let mut text = String::new();
    let mut group = 2 + random.next() % 3;
    for n in 0..count {
        if group == 0 {
            text.push_str(" |");
            group = 2 + random.next() % 3;
        }
        group -= 1;
        text.push_str(if n > 0 { " " } else { "" });
        text.push_str(random.pick(DIGITS));
    }
    (Expectation::Digits { max: count }, text)
}
