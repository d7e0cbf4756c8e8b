//! What the callers of this bench say and where they hesitate. Purpose: sentences that nothing was tuned on. Pure and seeded.
//! Fixed before the endpointing was: neither its sentences nor its voices (`awb`, `kal16`) are any trainer's. A `|` is a
//! place where a caller may stop to think.

use callwright::conversation::Expectation;

/// A small generator of our own: the same numbers everywhere and for ever.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }
}

/// One turn of a caller.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) voice: &'static str,
    pub(crate) expect: Expectation,
    /// Stretches of speech; between them the caller hesitates.
    pub(crate) stretches: Vec<String>,
    /// One fewer: how long each hesitation is, ms.
    pub(crate) pauses_ms: Vec<u32>,
}

pub(crate) const VOICES: [&str; 2] = ["awb", "kal16"];

const OPEN: &[&str] = &[
    "we are looking for | something to keep track of | our {people} | and their {things}",
    "what i have in mind is | a list of {people} | where i can see | the {things}",
    "could it be | that you make me | a crm with {things} | and {things}",
    "i run a {shop} | and i want to know | who my {people} are",
    "the thing is | we lose {things} | all the time | and i would like | a crm for that",
    "put the {things} in | and the {things} too",
    "my partner said | you can build a crm | is that right",
    "how is it going | with the crm",
    "tell me | how many {things} | there are now",
    "is the crm | already up",
    "actually | leave the {things} | out of it",
    "we have about {number} | {people} | and it has to be simple",
    "well | i think | {things} would be enough",
    "um | i need | uh | a crm",
    "so | for the {shop} | it should have | {things} and {things}",
    "can you also | add the {things}",
    "i am calling because | my {people} | are on paper",
    "what does it do | with the {things}",
    "thank you | that was all",
    "let me think | maybe with {things}",
];
const YES_NO: &[&str] = &[
    "yes",
    "no",
    "yes please",
    "that is right",
    "yes | but without the {things}",
    "no | i said {things}",
    "sure",
    "okay | go ahead",
    "no | wait",
    "yes that is | exactly what i want",
    "correct",
    "not yet",
    "um | yes",
    "well | no",
];
const NAMES: &[&str] = &[
    "it is | {name}",
    "{name} | {name}",
    "my name is {name} | {name}",
    "that is {letter} | {letter} {letter} | {letter}",
    "{letter} {letter} | {letter} {letter} {letter}",
];
const PEOPLE: &[&str] = &["customers", "clients", "patients", "members", "contacts", "guests"];
const THINGS: &[&str] = &["deals", "notes", "companies", "contacts", "phone calls", "requests"];
const SHOPS: &[&str] = &["bakery", "garage", "law firm", "small shop", "hotel", "school"];
const NUMBERS: &[&str] =
    &["twenty | five", "three hundred | and ten", "forty", "a hundred", "two thousand", "sixty | two"];
const NAME_WORDS: &[&str] = &["martin", "olivia", "peterson", "clark", "hannah", "wilson", "george", "baker"];
const LETTERS: &[&str] = &["a", "b", "e", "k", "l", "m", "o", "r", "s", "t"];
const DIGITS: &[&str] = &["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// Turns with at least so many hesitations in them, the same for every seed.
pub(crate) fn turns(seed: u64, pauses: usize) -> Vec<Turn> {
    let mut random = Random::new(seed);
    let (mut turns, mut made) = (Vec::new(), 0);
    while made < pauses {
        let turn = turn(&mut random);
        made += turn.pauses_ms.len();
        turns.push(turn);
    }
    turns
}

fn turn(random: &mut Random) -> Turn {
    let (expect, text) = match random.next() % 20 {
        0..=10 => (Expectation::Open, fill(random, OPEN)),
        11..=13 => (Expectation::YesNo, fill(random, YES_NO)),
        14..=15 => (Expectation::Name, fill(random, NAMES)),
        _ => digits(random),
    };
    // Not everybody hesitates everywhere.
    let mut stretches: Vec<String> = Vec::new();
    for part in text.split('|').map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")) {
        match stretches.last_mut() {
            Some(last) if random.share() < 0.45 => {
                last.push(' ');
                last.push_str(&part);
            }
            _ => stretches.push(part),
        }
    }
    let pauses_ms = (1..stretches.len()).map(|_| pause(random)).collect();
    Turn { voice: random.pick(&VOICES), expect, stretches, pauses_ms }
}

/// Log-normal, median 0.6 s, 95th percentile 2.5 s, cut at 0.15 and 3.5 s: fixed before anything was measured.
fn pause(random: &mut Random) -> u32 {
    let (a, b) = (random.share().max(1e-12), random.share());
    let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
    (600.0 * (0.867 * normal).exp()).clamp(150.0, 3500.0) as u32
}

fn digits(random: &mut Random) -> (Expectation, String) {
    let count = random.pick(&[4_u8, 6, 10]);
    let mut text = String::new();
    for n in 0..count {
        if n > 0 {
            // People read numbers in groups of two to four.
            text.push_str(if n % 3 == 0 || (n % 3 == 2 && random.share() < 0.3) { " | " } else { " " });
        }
        text.push_str(random.pick(DIGITS));
    }
    (Expectation::Digits { max: count }, text)
}

fn fill(random: &mut Random, templates: &[&str]) -> String {
    let mut text = random.pick(templates).to_owned();
    for (slot, words) in [
        ("{people}", PEOPLE),
        ("{things}", THINGS),
        ("{shop}", SHOPS),
        ("{number}", NUMBERS),
        ("{name}", NAME_WORDS),
        ("{letter}", LETTERS),
    ] {
        while let Some(at) = text.find(slot) {
            text.replace_range(at..at + slot.len(), random.pick(words));
        }
    }
    text
}

/// A sound made while the agent speaks, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    /// Meant for the agent: it must stop.
    Interruption(&'static str),
    /// "I am listening": it must go on.
    Backchannel(&'static str),
    /// Coughs, knocks, keys, breath.
    Noise(Noise),
    /// Somebody else in the room, 18 to 24 dB below the caller.
    SideTalk(&'static str),
    /// The agent's own voice, back from the caller's speaker.
    Echo,
    /// An interruption by a caller whose speaker returns the agent's voice all the time. Came later than the others and
    /// after the guard against echoes; counted apart.
    OverEcho(&'static str),
}

/// Noises without a voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noise {
    Cough,
    Knock,
    Keyboard,
    Breath,
    Street,
    // Of the rehearsal alone.
    Laugh,
    Sneeze,
    Door,
    Ring,
    Babble,
}

const INTERRUPTIONS: &[&str] = &[
    "wait a moment",
    "no that is wrong",
    "stop",
    "hold on please",
    "i have a question",
    "can i say something",
    "that is not what i meant",
    "leave the notes out",
    "could you repeat that",
    "i want something else",
    "no no no",
    "how long will that take",
    "please add the companies",
    "let me tell you first",
    "sorry i was not ready",
];
const BACKCHANNELS: &[&str] =
    &["yeah", "okay", "right", "uh huh", "i see", "mm", "yes", "sure", "oh okay", "got it", "alright", "good"];
const SIDE_TALK: &[&str] =
    &["do you want some coffee", "the printer is empty again", "did you see the game last night", "close the door"];

/// What the interruptions are developed on, so that the sentences and voices above stay unseen.
mod rehearsed {
    pub(super) const VOICES: [&str; 2] = ["rms", "rms"];
    pub(super) const INTERRUPTIONS: &[&str] = &[
        "just a second",
        "no not that",
        "wait",
        "stop it please",
        "what did you say",
        "but i need invoices",
        "hang on a minute",
        "excuse me",
        "i would rather have tasks",
        "actually i changed my mind",
        "when can i see it",
        "you got that wrong",
        "one more thing",
        "listen to me",
        "make it simpler",
    ];
    pub(super) const BACKCHANNELS: &[&str] = &[
        "yep",
        "mhm",
        "yeah yeah",
        "okay good",
        "i know",
        "right right",
        "ah okay",
        "fine",
        "great",
        "aha",
        "yes yes",
        "cool",
        "perfect",
        "~mm",
        "~mm-hm",
        "~hm",
    ];
    pub(super) const SIDE_TALK: &[&str] =
        &["dinner is ready", "have you seen my keys", "turn that down please", "i will be there in a minute"];
}

/// Sounds over the agent's voice: two fifths interruptions, the others asides; and a tenth more over an echo.
pub(crate) fn sounds(seed: u64, count: usize) -> Vec<(&'static str, Sound)> {
    let texts = Texts { interruptions: INTERRUPTIONS, backchannels: BACKCHANNELS, side_talk: SIDE_TALK };
    over_the_agent(seed ^ 0x5eed, count, &VOICES, &texts)
}

/// The same of what is for development.
pub(crate) fn rehearsal(seed: u64, count: usize) -> Vec<(&'static str, Sound)> {
    let texts = Texts {
        interruptions: rehearsed::INTERRUPTIONS,
        backchannels: rehearsed::BACKCHANNELS,
        side_talk: rehearsed::SIDE_TALK,
    };
    let mut sounds = over_the_agent(seed ^ 0xdecade, count, &rehearsed::VOICES, &texts);
    let more = [Noise::Laugh, Noise::Sneeze, Noise::Door, Noise::Ring, Noise::Babble];
    let noises = sounds.iter_mut().filter_map(|(_, sound)| match sound {
        Sound::Noise(noise) => Some(noise),
        _ => None,
    });
    // Half of them, each as often as the others.
    for (n, noise) in noises.enumerate().filter(|(n, _)| n % 2 == 0) {
        *noise = more[n / 2 % more.len()];
    }
    sounds
}

struct Texts {
    interruptions: &'static [&'static str],
    backchannels: &'static [&'static str],
    side_talk: &'static [&'static str],
}

fn over_the_agent(seed: u64, count: usize, voices: &[&'static str], texts: &Texts) -> Vec<(&'static str, Sound)> {
    let mut random = Random::new(seed);
    let mut sounds: Vec<(&'static str, Sound)> = (0..count)
        .map(|n| {
            let sound = match n % 10 {
                0..=3 => Sound::Interruption(random.pick(texts.interruptions)),
                4..=6 => Sound::Backchannel(random.pick(texts.backchannels)),
                7 => Sound::Noise(random.pick(&[
                    Noise::Cough,
                    Noise::Knock,
                    Noise::Keyboard,
                    Noise::Breath,
                    Noise::Street,
                ])),
                8 => Sound::SideTalk(random.pick(texts.side_talk)),
                _ => Sound::Echo,
            };
            (random.pick(voices), sound)
        })
        .collect();
    sounds.extend((0..count / 10).map(|_| (random.pick(voices), Sound::OverEcho(random.pick(texts.interruptions)))));
    sounds
}
