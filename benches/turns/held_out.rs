//! What the callers say who are measured: the published figures are theirs. Purpose: an evaluation that nothing was tuned
//! on. Pure and seeded.
//!
//! Fixed, in a commit of its own, before the scorer and the verdicts over the agent were worked on again; how long
//! hesitations are was fixed before that and for all corpora alike (`pause`). The first scorer is older, and its weights with it.
//! No template of three words or more trains what the words say of an end (`models/endpoint_words.py` leaves out the few that
//! its texts have, too), and none is of `corpus`, whose callers had been looked at. Voices: `awb` and `kal16` (the trainers have `rms` and
//! `slt`), each as three people: at its own size, and shorter and longer by an eighth, which moves pitch, formants and pace.
//! Murmurs are hummed: Flite spells "mm" as two letters. Deliberately absent: what any of it sounds like (`audio`).

use super::corpus::{Noise, Random, Sound, Turn};
use callwright::conversation::Expectation;

/// A voice, and after the `@` its size in hundredths.
const VOICES: [&str; 6] = ["awb", "kal16", "awb@112", "kal16@112", "awb@89", "kal16@89"];

/// A "|" is a place where a caller may stop to think.
const OPEN: &[&str] = &[
    "good afternoon | my name is on the contract | and i would like to end it",
    "we run a small {shop} | in the old town | and we would like | a website",
    "there should be | a page for the {things} | and one for the {people}",
    "uh | it is about | the bill | i got yesterday",
    "i would like | to sell {things} | over the internet",
    "can people pay | by card",
    "could somebody ring me back | this evening",
    "the last one | you built for us | does not open any more",
    "what i need | is some kind of overview | of the {things} | per month",
    "every {person} should have | a number | and an address",
    "add a column | for the date | to the {things}",
    "rename the {things} | to {things}",
    "i cannot log in | since this morning",
    "well | my husband usually does this | but he is away",
    "do you know | whether the technician | is on his way",
    "we are a club | with | roughly {number} | {people}",
    "at the moment | we write the {things} | in a big book",
    "so basically | it is a shop | for {things}",
    "i am looking at your offer | and i do not understand | the second page",
    "the driver said | he would come back | after lunch",
    "i have to cancel | the appointment | of tomorrow morning",
    "which of the two | would you take",
    "i want them sorted | by name",
    "remove the field | for the phone number",
    "what does the small one cost",
    "is it possible | to see | who changed the {things}",
    "my daughter | has a fever | and she cannot come | to school",
    "erm | the thing with the {things} | did that work",
    "it stopped | in the middle of the night | and then | it started again",
    "make it blue",
    "that is all i know",
    "you sent me a letter | saying | that i owe you money",
    "last week | a colleague of yours | promised me a refund",
    "we would be | about {number} | at the table",
    "could i have it | by the end of the month",
    "please | tell her | that i called",
    "i do not want {things} | i want {things}",
    "there is water | coming through the ceiling",
    "the {people} must not see | what the others pay",
    "it depends | on how many {people} | there will be",
    "yes hello | i am standing | in front of your door | and nobody opens",
    "okay | so first | the {things} | and then the {things}",
    "and a chart | would be nice",
    "oh | and one question | can my {people} use it | from home",
    "it is a company | that makes windows",
    "my car broke down | on the motorway | near the bridge",
    "i was told | to ask | for the evening rate",
    "i have been waiting | for an hour",
    "you may delete it",
    "how do i change | my password",
    "send it | to the other address",
    "let me look | i have it here somewhere | one second",
    "as far as i remember | it was green",
    "the room is booked | from friday | to sunday",
    "we will need it | in french | too",
    "never mind | i found it",
    "i would prefer | something | with fewer buttons",
    "he lives in | the yellow house | behind the church",
    "if that works | we would take | a second one",
    "that sounds right | but | can you check it again",
];
const YES_NO: &[&str] = &[
    "yes",
    "no",
    "yeah",
    "yes | do that",
    "no | not today",
    "of course | go on",
    "sure | but | call it something else",
    "i am afraid not",
    "i guess so",
    "no no | the first was right",
    "yes | and | a page for prices",
    "uh | no",
    "hm | yes | why not",
    "by all means",
    "yes i would",
    "no | nothing like that",
    "that is it",
    "well | almost",
    "okay",
    "no | it was | the other way round",
    "right",
    "yes | with the {things} please",
];
const NAMES: &[&str] = &[
    "{first} | {last}",
    "{last}",
    "i am called | {first} {last}",
    "{first} {last} | with a {letter}",
    "the surname is {last}",
    "{last} | {letter} {letter} | {letter} {letter} {letter}",
    "{letter} {letter} {letter} | {letter}",
    "you can put | {first}",
];
const PEOPLE: &[&str] = &["parents", "tenants", "buyers", "students", "drivers", "neighbours"];
const PERSON: &[&str] = &["tenant", "student", "driver", "buyer"];
const THINGS: &[&str] = &["bookings", "prices", "repairs", "lessons", "photos", "payments", "keys"];
const SHOPS: &[&str] = &["flower shop", "pharmacy", "gym", "bookstore", "workshop", "farm"];
const NUMBERS: &[&str] =
    &["thirty | four", "eighteen", "two hundred | and twenty", "fifty | or sixty", "nine", "six hundred"];
const FIRST: &[&str] = &["edward", "julia", "victor", "helen", "patrick", "irene"];
const LAST: &[&str] = &["morgan", "sanders", "walsh", "turner", "hamilton", "dixon"];
const LETTERS: &[&str] = &["d", "f", "h", "i", "j", "n", "p", "u", "v", "w"];
const DIGITS: &[&str] = &["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// Turns with at least so many hesitations in them, the same for every seed; of each kind as many as `corpus` has.
pub(crate) fn turns(seed: u64, pauses: usize) -> Vec<Turn> {
    let mut random = Random::new(seed ^ 0xb11d);
    let (mut turns, mut made) = (Vec::new(), 0);
    while made < pauses {
        let (expect, text) = match random.next() % 20 {
            0..=10 => (Expectation::Open, fill(&mut random, OPEN)),
            11..=13 => (Expectation::YesNo, fill(&mut random, YES_NO)),
            14..=15 => (Expectation::Name, fill(&mut random, NAMES)),
            _ => digits(&mut random),
        };
        let mut stretches: Vec<String> = Vec::new();
        for part in text.split('|').map(str::trim) {
            match stretches.last_mut() {
                Some(last) if random.share() < 0.45 => *last = format!("{last} {part}"),
                _ => stretches.push(part.to_owned()),
            }
        }
        let pauses_ms: Vec<u32> = (1..stretches.len()).map(|_| pause(&mut random)).collect();
        made += pauses_ms.len();
        turns.push(Turn { voice: random.pick(&VOICES), expect, stretches, pauses_ms });
    }
    turns
}

/// Log-normal, median 0.6 s, 95th percentile 2.5 s, cut at 0.15 and 3.5 s, as `corpus` has had it from its beginning.
fn pause(random: &mut Random) -> u32 {
    let (a, b) = (random.share().max(1e-12), random.share());
    let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
    (600.0 * (0.867 * normal).exp()).clamp(150.0, 3500.0) as u32
}

/// In groups, as people read numbers from a paper.
fn digits(random: &mut Random) -> (Expectation, String) {
    let count = random.pick(&[4_u8, 5, 7, 9]);
    let (mut text, mut left) = (String::new(), 0);
    for n in 0..count {
        if left == 0 {
            left = random.pick(&[2_u8, 3, 3, 4]);
            text.push_str(if n > 0 { " |" } else { "" });
        }
        left -= 1;
        text.push_str(if n > 0 { " " } else { "" });
        text.push_str(random.pick(DIGITS));
    }
    (Expectation::Digits { max: count }, text)
}

fn fill(random: &mut Random, templates: &[&str]) -> String {
    let mut text = random.pick(templates).to_owned();
    for (slot, words) in [
        ("{people}", PEOPLE),
        ("{person}", PERSON),
        ("{things}", THINGS),
        ("{shop}", SHOPS),
        ("{number}", NUMBERS),
        ("{first}", FIRST),
        ("{last}", LAST),
        ("{letter}", LETTERS),
    ] {
        while let Some(at) = text.find(slot) {
            text.replace_range(at..at + slot.len(), random.pick(words));
        }
    }
    text
}

const INTERRUPTIONS: &[&str] = &[
    "excuse me for a second",
    "no not the prices",
    "wait wait",
    "stop there",
    "hang on",
    "i meant something else",
    "may i ask something",
    "that is the wrong one",
    "forget about the photos",
    "what was the first part",
    "we need bookings too",
    "sorry can you slow down",
    "the name is different",
    "one second please",
    "who told you that",
    "i already have a website",
    "it should be a shop",
    "cancel the whole thing",
    "tell me what it costs",
    "could i speak to a human",
    "but not on sundays",
    "actually make that two",
    "there is one thing missing",
    "my mistake it was the other",
];
/// Those that begin with `~` are hummed.
const BACKCHANNELS: &[&str] = &[
    "~mm",
    "~mm-hm",
    "~mm-hm",
    "~hm",
    "uh huh",
    "yeah",
    "yeah",
    "okay",
    "okay",
    "yes",
    "right",
    "ah okay",
    "yeah sure",
    "all right",
    "i see",
    "good",
    "oh right",
    "okay yeah",
    "sure sure",
    "that's good",
    "lovely",
    "yes right",
    "oh i see",
    "ah",
];
const SIDE_TALK: &[&str] = &[
    "put it on the table",
    "are you hungry",
    "the bus is late again",
    "where did you park",
    "tell him i am on the phone",
];

/// Sounds over the agent's voice: two fifths interruptions, the others asides; and a tenth more over an echo.
pub(crate) fn sounds(seed: u64, count: usize) -> Vec<(&'static str, Sound)> {
    let mut random = Random::new(seed ^ 0x0ff5);
    let mut sounds: Vec<(&'static str, Sound)> = (0..count)
        .map(|n| {
            let sound = match n % 10 {
                0..=3 => Sound::Interruption(random.pick(INTERRUPTIONS)),
                4..=6 => Sound::Backchannel(random.pick(BACKCHANNELS)),
                7 => Sound::Noise(random.pick(&[
                    Noise::Cough,
                    Noise::Knock,
                    Noise::Keyboard,
                    Noise::Breath,
                    Noise::Street,
                ])),
                8 => Sound::SideTalk(random.pick(SIDE_TALK)),
                _ => Sound::Echo,
            };
            (random.pick(&VOICES), sound)
        })
        .collect();
    sounds.extend((0..count / 10).map(|_| (random.pick(&VOICES), Sound::OverEcho(random.pick(INTERRUPTIONS)))));
    sounds
}
