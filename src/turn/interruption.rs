//! Whether somebody who makes a sound while the agent speaks means to take the turn.
//!
//! Pure function of what has been heard since the onset; audio time only. The agent has fallen silent already
//! (`TurnEvent::Duck`) and goes on from the very sample when the verdict is [`Verdict::Aside`], so a wrong suspicion costs a
//! short gap and a wrong verdict a repetition or a lost sentence.
//! Half a second into a voice nobody can tell who will only agree: "okay" begins as many sentences as it ends, and a recogniser
//! makes "no" of the first half of "nice". So it is decided by then who has the floor, and whoever still speaks has it
//! ([`Verdict::Floor`]); what was said is judged when they have ended and the recogniser has listened with care, or when they
//! have spoken for longer than anybody does who only agrees. The agent is silent all that time: two do not speak at once.
//! A voice with closed lips of which nothing was recognised agrees.
//! Invariants: what is no voice is let pass, and a voice has the floor or the turn, [`DECIDE_MAX`] after the onset at the
//! latest (one that was found late, `LATE_MAX` later); whoever has the floor is judged when they have ended, or [`FLOOR_MAX`]
//! after it; a pitched sound whose words interrupt is never an aside. Deliberately absent: what a caller's words mean (`conversation`), sound
//! other than what [`Evidence`] names.

use std::time::Duration;

use crate::conversation::Expectation;
use crate::conversation::spoken::SMALL;

/// By then it is known who has the floor.
pub const DECIDE_MAX: Duration = Duration::from_millis(500);
/// It is decided this early, as audio comes in packets of 20 ms.
const DECIDE_AFTER: Duration = Duration::from_millis(456);
/// Whoever is a voice for certain and speaks on is given the floor sooner.
const FLOOR_AFTER: Duration = Duration::from_millis(400);
/// So is, in the end, a voice that is shorter but may have been a word.
const FLOOR_VOICE: Duration = Duration::from_millis(160);
/// Voice so long is no cough, whatever the recogniser makes of it.
const CERTAIN_VOICE: Duration = Duration::from_millis(250);
/// Voice so long may have been an answer.
const ANSWER_VOICE: Duration = Duration::from_millis(160);
/// A sound that is no voice by then, or as faint as somebody's across the room, is none.
const VOICE_BY: Duration = Duration::from_millis(160);
/// A detector knows some voices later, if their beginning is soft: one that sounds on is waited for until then.
const VOICE_LATE: Duration = Duration::from_millis(256);
/// One that was known still later is waited for so much longer until there is enough of it.
const LATE_MAX: Duration = Duration::from_millis(192);
/// Of somebody who seems to be far away so many words in so much voice are meant for the agent.
const INSISTING_WORDS: usize = 3;
const INSISTING_VOICE: Duration = Duration::from_millis(380);
/// One word of a voice shorter than this is what a recogniser makes of any grunt, unless it is one that interrupts.
const WORD_VOICE: Duration = Duration::from_millis(250);
/// With less pitch than this it was no voice: a cough, a knock, wind.
const VOICE_PITCHED: Duration = Duration::from_millis(60);
/// Whoever has the floor and speaks for so long does more than to agree, whatever it was taken for; if all of that is agreement,
/// for so long.
const LONG_VOICE: Duration = Duration::from_millis(900);
const LONG_AGREEMENT: Duration = Duration::from_millis(1500);
/// Nor does whoever stops and begins again for so long.
pub const FLOOR_MAX: Duration = Duration::from_millis(2400);
/// Of a voice shorter than this in which no words are found, there were none.
const WORDLESS_VOICE: Duration = Duration::from_millis(700);
/// Agreement has ended after so much silence: stops in words are shorter.
const AGREED: Duration = Duration::from_millis(160);
/// Other words are taken for what was said after so much of it: by then the recogniser has listened with care, which it begins
/// when it has been quiet for 192 ms.
const SAID: Duration = Duration::from_millis(360);
/// Agreement is heard where all that is agreement is at least so likely together: half a word may be so much else. Chosen by
/// rehearsal, when half a word decided: with 0.1 twelve more of 400 agreements stop the agent, and six fewer of 400 interruptions are taken for asides.
const MAY_AGREE: f32 = 0.04;
/// A word takes this long, ms, spoken fast.
const WORD_MS: u32 = 100;
/// A sound that ended so long ago is over; until then a word may still come.
pub const OVER: Duration = Duration::from_millis(200);
/// Nor does it go on if it has been so much quieter than its loudest for so long: a voice detector hangs on, and stops in a
/// word are shorter.
pub const FALLEN_DB: f32 = 20.0;
const ENDED: Duration = Duration::from_millis(128);

/// What has been heard since the onset.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Audio time since the first voiced sample.
    pub elapsed: Duration,
    /// For the first of that it was let pass as no voice.
    pub late: bool,
    /// Of that, voice.
    pub voiced: Duration,
    /// Voice just before the onset that was taken for an aside, without a pause between: what was judged then goes on.
    pub before: Duration,
    /// The recogniser has listened to it with care since it ended: its words are of so much silence, too.
    pub heard_out: bool,
    /// Of the voice, what had a pitch.
    pub pitched: Duration,
    /// Silence since the last voice.
    pub quiet: Duration,
    /// Time for which it has been [`FALLEN_DB`] below its loudest.
    pub fallen: Duration,
    /// It is a voice, or looks like one; else it is only known to be a sound.
    pub voice: bool,
    /// It is about as loud as it was, or has just been.
    pub sounding: bool,
    /// It has been made with closed lips: "mm-hm".
    pub murmur: bool,
    /// It is too quiet to be the caller, so far.
    pub faint: bool,
    /// It is much quieter than the caller is: somebody else in the room, a television.
    pub far: bool,
    /// It may be the agent's own voice out of the caller's speaker.
    pub maybe_echo: bool,
    /// That speaker returns the agent's voice, so that its words may be among those recognised.
    pub echoes: bool,
    /// Whoever makes it has been given the floor ([`Verdict::Floor`]).
    pub floor: bool,
    /// Words recognised so far, lower case.
    pub words: &'a str,
    /// What the agent said last, lower case: an echo is recognised as this.
    pub agent: &'a str,
    /// What the agent is asking for, or asked for last.
    pub expect: Expectation,
    /// The agent has come to its question, so that "yes" is an answer and no "I am listening".
    pub asked: bool,
}

/// What it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not known yet.
    Undecided,
    /// Whoever speaks is let speak: the agent stays silent for as long as they do. When they have ended, or said more than
    /// anybody does who only agrees, there is another verdict.
    Floor,
    /// The caller takes the turn.
    Interruption,
    /// A backchannel, a cough, a noise, an echo: the agent goes on.
    Aside,
}

/// Words that take the turn however short they are.
const INTERRUPTING: &[&str] = &[
    "stop", "wait", "no", "nope", "cancel", "hold", "but", "actually", "sorry", "excuse", "pardon", "what", "repeat",
    "again", "change", "instead", "without", "wrong", "hey", "listen", "operator", "help", "don't", "not", "never",
    "goodbye", "bye", "quiet", "enough", "slow", "slower", "question", "how", "why", "when", "where", "who", "which",
    "can", "could", "hello",
];

/// Words that only say "I am listening"; a sentence of nothing else is an aside.
const BACKCHANNEL: &[&str] = &[
    "absolutely",
    "agreed",
    "ah",
    "aha",
    "alright",
    "amazing",
    "awesome",
    "brilliant",
    "certainly",
    "cool",
    "correct",
    "definitely",
    "exactly",
    "excellent",
    "fantastic",
    "fine",
    "good",
    "gotcha",
    "great",
    "hm",
    "hmm",
    "huh",
    "indeed",
    "interesting",
    "lovely",
    "mhm",
    "mhmm",
    "mm",
    "mmm",
    "naturally",
    "neat",
    "nice",
    "noted",
    "oh",
    "ok",
    "okay",
    "ooh",
    "perfect",
    "really",
    "right",
    "super",
    "superb",
    "sure",
    "terrific",
    "thanks",
    "totally",
    "true",
    "uh",
    "uhhuh",
    "um",
    "understood",
    "well",
    "wonderful",
    "wow",
    "yea",
    "yeah",
    "yep",
    "yes",
    "yup",
];

/// What recognisers make of "mm-hm": "and me", "and the", "amen". So begins a sentence, too, and its third word will show it.
const MURMURED: &[&str] = &["me", "make", "made", "the", "they"];

/// Several that say so together, and alone may begin a sentence.
const BACKCHANNEL_PHRASES: &[&[&str]] = &[
    &["i", "see"],
    &["i", "know"],
    &["i", "understand"],
    &["i", "get", "it"],
    &["i", "agree"],
    &["i", "hear", "you"],
    &["fair", "enough"],
    &["for", "sure"],
    &["good", "idea"],
    &["good", "point"],
    &["good", "stuff"],
    &["good", "to", "know"],
    &["got", "it"],
    &["of", "course"],
    &["go", "on"],
    &["go", "ahead"],
    &["all", "right", "then"],
    &["all", "right"],
    &["okay", "then"],
    &["right", "then"],
    &["sure", "thing"],
    &["very", "good"],
    &["very", "nice"],
    &["very", "well"],
    &["that's", "amazing"],
    &["that's", "awesome"],
    &["that's", "cool"],
    &["that's", "good"],
    &["that's", "fine"],
    &["that's", "great"],
    &["that's", "right"],
    &["that's", "nice"],
    &["that's", "true"],
    &["that's", "lovely"],
    &["that's", "perfect"],
    &["that's", "wonderful"],
    &["that", "makes", "sense"],
    &["that", "works"],
    &["sounds", "good"],
    &["sounds", "great"],
    &["sounds", "fine"],
    &["sounds", "lovely"],
    &["sounds", "nice"],
    &["sounds", "perfect"],
    &["sounds", "right"],
    &["makes", "sense"],
    &["no", "doubt"],
    &["no", "problem"],
    &["no", "worries"],
    &["thank", "you"],
    &["you", "bet"],
    &["you're", "right"],
];

/// Phrases or words of these begin like this, as far as a recogniser knows by then, and sentences hardly ever.
const BACKCHANNEL_BEGINNINGS: &[&str] = &[
    "absolute", "certain", "definite", "exact", "fair", "interest", "makes", "sounds", "very", "wonder", "wondered",
    "wonders",
];

/// Words that answer a question that can be answered with yes.
const AGREEING: &[&str] =
    &["yes", "yeah", "yep", "yup", "sure", "correct", "right", "okay", "ok", "exactly", "perfect", "please", "fine"];

/// Words of dictated digits beside their names: an answer that comes before the question is over.
const DIGIT_WORDS: &[&str] = &["oh", "double", "triple"];

/// Judges what has been heard so far.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let said: Vec<&str> = words(evidence.agent).collect();
    // The agent's own words are nobody's while they may be its echo.
    let words: Vec<&str> = words(evidence.words).filter(|word| !(evidence.echoes && said.contains(word))).collect();
    let is_voice = evidence.pitched >= VOICE_PITCHED;
    let answers = |word: &&str| match evidence.expect {
        Expectation::Digits { .. } => SMALL[..10].contains(word) || DIGIT_WORDS.contains(word),
        Expectation::YesNo => evidence.asked && AGREEING.contains(word),
        Expectation::Open | Expectation::Name => false,
    };
    if is_voice && evidence.voiced >= ANSWER_VOICE && words.iter().any(answers) {
        return Verdict::Interruption;
    }
    let hummed = evidence.murmur && words.is_empty() && evidence.pitched * 5 >= evidence.voiced * 3;
    let agrees = hummed || is_murmured(&words) || !words.is_empty() && is_backchannel(&words);
    if evidence.floor {
        return judge_floor(evidence, &words, agrees);
    }
    if evidence.quiet >= OVER && (agrees || !is_voice && !evidence.sounding) {
        return Verdict::Aside;
    }
    // Nobody says so many words in so little time.
    let guessed = words.len() as u32 > 1 + ((evidence.before + evidence.voiced).as_millis() as u32) / WORD_MS;
    let interrupts =
        is_voice && !guessed && !is_backchannel(&words) && words.iter().any(|word| INTERRUPTING.contains(word));
    let voice_by = if evidence.sounding { VOICE_LATE } else { VOICE_BY };
    if evidence.elapsed >= voice_by && (evidence.faint || !evidence.voice) && !interrupts {
        return Verdict::Aside;
    }
    if evidence.far {
        let insists = evidence.voiced >= INSISTING_VOICE && words.len() >= INSISTING_WORDS && !agrees && !guessed;
        return match () {
            () if interrupts || is_voice && insists => Verdict::Interruption,
            () if evidence.elapsed >= DECIDE_AFTER => Verdict::Aside,
            () => Verdict::Undecided,
        };
    }
    let ended = evidence.quiet >= ENDED || evidence.fallen >= ENDED;
    let certain = evidence.pitched * 3 >= evidence.voiced && evidence.voiced >= CERTAIN_VOICE;
    if interrupts || certain && !ended && evidence.elapsed >= FLOOR_AFTER {
        return Verdict::Floor;
    }
    let waits = evidence.late && !ended && evidence.voiced < CERTAIN_VOICE;
    match () {
        () if evidence.elapsed < DECIDE_AFTER + if waits { LATE_MAX } else { Duration::ZERO } => Verdict::Undecided,
        () if is_voice && evidence.voiced >= FLOOR_VOICE => Verdict::Floor,
        () => Verdict::Aside,
    }
}

/// The same of whoever has the floor: what was said is known when it has ended, or has become long.
fn judge_floor(evidence: &Evidence<'_>, words: &[&str], agrees: bool) -> Verdict {
    let silent = evidence.quiet.max(evidence.fallen);
    let takes = words.iter().any(|word| INTERRUPTING.contains(word));
    // One word may be made of the agent's own voice.
    let echo = evidence.maybe_echo && words.len() < 2 && !takes;
    if silent < ENDED {
        let long = evidence.voiced >= if agrees { LONG_AGREEMENT } else { LONG_VOICE } || evidence.elapsed >= FLOOR_MAX;
        return match () {
            () if !long => Verdict::Undecided,
            () if echo => Verdict::Aside,
            () => Verdict::Interruption,
        };
    }
    let grunt = words.len() == 1 && !takes && evidence.voiced < WORD_VOICE;
    match () {
        () if agrees || echo => {
            if silent >= AGREED {
                Verdict::Aside
            } else {
                Verdict::Undecided
            }
        }
        () if silent < SAID && !evidence.heard_out => Verdict::Undecided,
        () if grunt || words.is_empty() && evidence.voiced < WORDLESS_VOICE => Verdict::Aside,
        () => Verdict::Interruption,
    }
}

/// What somebody says who has just begun to speak over the agent. `readings`: what a recogniser takes it for, the likeliest
/// first, with probabilities. Whether it is agreement matters, not which ("yeah" or "yes"), so all that agree count
/// together: of a word's first half no one text is likely. But they outweigh words that take the turn only where they are
/// likelier than all of those. Empty where it is known to be a word, but not which.
#[must_use]
pub fn likeliest(readings: &[(String, f32)]) -> &str {
    let (mut agreeing, mut interrupting) = (Kind::default(), Kind::default());
    for (text, probability) in readings {
        let words: Vec<&str> = words(text).collect();
        if !words.is_empty() && is_backchannel(&words) {
            agreeing.add(text, *probability);
        } else if words.iter().any(|word| INTERRUPTING.contains(word)) {
            interrupting.add(text, *probability);
        }
    }
    match (readings.first(), agreeing.likeliest, interrupting.likeliest) {
        (_, Some(agreement), interruption) if agreeing.together >= MAY_AGREE => match interruption {
            Some(text) if interrupting.together >= agreeing.together => text,
            _ => agreement,
        },
        (Some((first, _)), agreement, _) if agreement != Some(first.as_str()) => first,
        _ => "",
    }
}

/// Readings of a kind.
#[derive(Default)]
struct Kind<'a> {
    likeliest: Option<&'a str>,
    together: f32,
}

impl<'a> Kind<'a> {
    fn add(&mut self, text: &'a str, probability: f32) {
        self.likeliest.get_or_insert(text);
        self.together += probability;
    }
}

/// They may be nothing but a murmur.
fn is_murmured(words: &[&str]) -> bool {
    match words {
        [word] => *word == "amen" || (word.starts_with("and") && *word != "and"),
        ["and", second] => MURMURED.contains(second),
        _ => false,
    }
}

/// They say "I am listening" and nothing else; so do none.
fn is_backchannel(words: &[&str]) -> bool {
    let mut rest = words;
    while let [first, others @ ..] = rest {
        let phrase = BACKCHANNEL_PHRASES.iter().find(|phrase| rest.starts_with(phrase));
        rest = match phrase {
            Some(phrase) => &rest[phrase.len()..],
            None if BACKCHANNEL.contains(first) => others,
            None if others.is_empty() && BACKCHANNEL_BEGINNINGS.contains(first) => others,
            None => return false,
        };
    }
    true
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: Evidence<'_> = Evidence {
        elapsed: Duration::ZERO,
        late: false,
        voiced: Duration::ZERO,
        before: Duration::ZERO,
        heard_out: false,
        pitched: Duration::ZERO,
        quiet: Duration::ZERO,
        fallen: Duration::ZERO,
        voice: true,
        sounding: false,
        murmur: false,
        faint: false,
        far: false,
        maybe_echo: false,
        echoes: false,
        floor: false,
        words: "",
        agent: "",
        expect: Expectation::Open,
        asked: false,
    };

    /// A voice, pitched for the most part.
    fn heard(elapsed: u64, voiced: u64, quiet: u64, words: &str) -> Evidence<'_> {
        Evidence {
            elapsed: Duration::from_millis(elapsed),
            voiced: Duration::from_millis(voiced),
            pitched: Duration::from_millis(voiced * 2 / 3),
            quiet: Duration::from_millis(quiet),
            words,
            ..BASE
        }
    }

    #[test]
    fn each_kind_of_sound_gets_its_verdict() {
        use Verdict::{Aside, Floor, Interruption, Undecided};
        let unpitched = |elapsed, voiced, quiet, words| Evidence {
            pitched: Duration::from_millis(20),
            ..heard(elapsed, voiced, quiet, words)
        };
        let fallen = |e: Evidence<'static>, ms| Evidence { fallen: Duration::from_millis(ms), ..e };
        let late = |e: Evidence<'static>| Evidence { late: true, ..e };
        let far = |e: Evidence<'static>| Evidence { far: true, ..e };
        let asked = |e: Evidence<'static>| Evidence { expect: Expectation::YesNo, asked: true, ..e };
        let digits = |e: Evidence<'static>| Evidence { expect: Expectation::Digits { max: 4 }, ..e };
        let echo =
            |e: Evidence<'static>| Evidence { maybe_echo: true, echoes: true, agent: "say stop if that is wrong", ..e };
        let table = [
            // Words decide before time does.
            (heard(160, 160, 0, "no"), Floor, "an interrupting word, or the first half of another"),
            (heard(300, 280, 0, "how long"), Floor, "a question"),
            (heard(320, 300, 0, "yeah but"), Floor, "agreement that goes on"),
            (heard(399, 380, 0, "i need a"), Undecided, "several words, which agreement may be misheard as"),
            (heard(324, 256, 0, "you know what i mean"), Undecided, "five words in a quarter of a second are a guess"),
            (heard(300, 280, 0, "no problem"), Undecided, "agreement, whatever its first word is by itself"),
            (heard(320, 300, 0, "yeah"), Undecided, "more may come"),
            // Whoever speaks on is let speak.
            (heard(399, 380, 0, ""), Undecided, "not yet"),
            (heard(400, 380, 0, ""), Floor, "still at it"),
            (heard(400, 380, 0, "shoe"), Floor, "with a word"),
            (heard(400, 380, 0, "okay"), Floor, "it may go on"),
            (fallen(heard(400, 380, 0, "leave"), 96), Floor, "a stop in a word"),
            (heard(440, 240, 0, ""), Undecided, "there is too little voice in it to be sure"),
            (heard(456, 240, 0, ""), Floor, "it is time"),
            (heard(456, 280, 160, "tell me"), Floor, "it has ended: what was said is still to be known"),
            (heard(456, 200, 130, ""), Floor, "a short voice: its word may come"),
            (heard(456, 150, 130, ""), Aside, "too short for a word that nobody has found"),
            (late(heard(500, 160, 0, "")), Undecided, "found late: there is hardly any of it"),
            (late(heard(648, 240, 0, "")), Floor, "it has had its time"),
            // Asides.
            (heard(380, 180, 200, "yeah"), Aside, "a backchannel"),
            (Evidence { murmur: true, ..heard(380, 180, 200, "") }, Aside, "a short one with closed lips"),
            (Evidence { voice: false, ..heard(170, 0, 170, "") }, Aside, "a sound that is no voice"),
            (Evidence { faint: true, ..heard(170, 90, 0, "") }, Aside, "somebody across the room"),
            (unpitched(320, 100, 210, "no"), Aside, "a cough is no word"),
            (unpitched(460, 440, 0, ""), Aside, "wind"),
            (far(heard(456, 450, 0, "")), Aside, "a television"),
            (far(heard(456, 420, 0, "dinner is")), Aside, "somebody else's words"),
            (far(heard(300, 280, 0, "wait please")), Interruption, "from afar, but meant"),
            (far(heard(400, 380, 0, "leave it there")), Interruption, "so is this"),
            (Evidence { faint: true, ..heard(300, 280, 0, "wait please") }, Floor, "faint, but meant"),
            // Answers.
            (asked(heard(300, 280, 0, "yes")), Interruption, "an answer to the question"),
            (Evidence { asked: false, ..asked(heard(500, 280, 200, "yes")) }, Aside, "in the middle of a read-back"),
            (digits(heard(300, 280, 0, "oh")), Interruption, "a digit that was asked for"),
            (digits(heard(300, 280, 0, "mm")), Undecided, "no digit"),
            // The agent's own words are nobody's.
            (echo(heard(300, 280, 0, "stop if")), Undecided, "an echo"),
            (echo(heard(300, 280, 0, "stop no wait")), Floor, "a caller over the echo"),
        ];
        for (evidence, verdict, what) in table {
            assert_eq!(judge(&evidence), verdict, "{what}: {evidence:?}");
        }
        // Whoever has the floor.
        let table = [
            (heard(500, 480, 0, "no"), Undecided, "nothing is known before it has ended"),
            (heard(960, 899, 0, "shoe"), Undecided, "or has become long"),
            (heard(960, 900, 0, "shoe"), Interruption, "as this one"),
            (
                Evidence { before: Duration::from_millis(900), ..heard(660, 600, 0, "") },
                Undecided,
                "noise before it is none",
            ),
            (heard(1500, 1400, 0, "okay yes right good"), Undecided, "agreement may be longer"),
            (heard(1600, 1500, 0, "okay yes right good"), Interruption, "but not without end"),
            (heard(2400, 800, 64, "okay"), Interruption, "nor for ever in pieces"),
            (heard(560, 400, 96, "okay"), Undecided, "a stop in a word"),
            (heard(620, 400, 160, "okay"), Aside, "it has ended"),
            (fallen(heard(620, 560, 0, "okay"), 160), Aside, "so it has if the detector hangs on"),
            (heard(620, 400, 160, "no problem"), Aside, "a phrase"),
            (heard(620, 400, 160, "all right then"), Aside, "another"),
            (heard(620, 400, 160, "very"), Aside, "the beginning of one"),
            (heard(620, 400, 160, "and me"), Aside, "what is made of a murmur"),
            (heard(800, 400, 300, "and the deals"), Undecided, "this is none, if the recogniser keeps to it"),
            (heard(860, 400, 360, "and the deals"), Interruption, "which it has"),
            (
                Evidence { heard_out: true, ..heard(750, 400, 250, "shoe") },
                Interruption,
                "and sooner where that is known",
            ),
            (Evidence { heard_out: true, ..heard(750, 400, 250, "sure") }, Aside, "what it has become"),
            (Evidence { murmur: true, ..heard(620, 400, 160, "") }, Aside, "closed lips"),
            (heard(800, 400, 300, ""), Undecided, "its words may come"),
            (heard(860, 400, 360, ""), Aside, "it had none"),
            (heard(1100, 700, 360, ""), Interruption, "so long a voice had"),
            (heard(400, 160, 200, "no"), Undecided, "a word that takes the turn, if it stays one"),
            (heard(560, 160, 360, "no"), Interruption, "it has"),
            (asked(heard(500, 480, 0, "yes")), Interruption, "an answer"),
            (echo(heard(620, 350, 160, "stop if")), Aside, "an echo"),
            (echo(heard(620, 350, 160, "chop")), Aside, "a misheard one"),
            (echo(heard(1000, 900, 0, "")), Aside, "one without end"),
            (heard(600, 240, 360, "shoe"), Aside, "a grunt"),
            (heard(600, 250, 360, "shoe"), Interruption, "a word"),
            (heard(600, 240, 360, "tell me"), Interruption, "two words"),
            (echo(heard(860, 400, 360, "no stop")), Interruption, "a caller over it"),
        ];
        for (evidence, verdict, what) in table {
            let evidence = Evidence { floor: true, ..evidence };
            assert_eq!(judge(&evidence), verdict, "with the floor, {what}: {evidence:?}");
        }
    }

    #[test]
    fn whatever_agrees_counts_together() {
        let heard = |readings: &[(&str, f32)]| {
            likeliest(&readings.iter().map(|(text, p)| ((*text).to_owned(), *p)).collect::<Vec<_>>()).to_owned()
        };
        let other = ("you are", 0.3);
        assert_eq!(heard(&[other, ("yeah", 0.03), ("yes", 0.02)]), "yeah", "likely together");
        assert_eq!(
            heard(&[other, ("yeah", 0.02), ("yes", 0.01), ("yeah so", 0.2)]),
            "you are",
            "a sentence adds nothing"
        );
        assert_eq!(heard(&[("yeah", 0.03), ("you are", 0.02)]), "", "the first of many, none of them likely");
        assert_eq!(heard(&[("fair enough", 0.4), other]), "fair enough", "a phrase");
        assert_eq!(heard(&[("no", 0.6), ("oh", 0.15)]), "no", "a word that takes the turn");
        assert_eq!(heard(&[("oh", 0.5), ("no", 0.2)]), "oh", "it is less likely");
        assert_eq!(heard(&[("oh", 0.2), ("no", 0.15), ("stop", 0.1)]), "no", "together they are likelier");
        assert_eq!(heard(&[("you are", 0.3), ("no", 0.1), ("but", 0.1), ("oh", 0.05)]), "no", "and than agreement");
        let unlikely = heard(&[("you are", 0.3), ("no", 0.03), ("oh", 0.02)]);
        assert_eq!(unlikely, "you are", "what agrees is too unlikely to be weighed at all");
        assert_eq!(heard(&[]), "");
        assert_eq!(heard(&[("", 0.9), ("mm", 0.02)]), "", "nothing is no agreement");
        assert_eq!(heard(&[("wait", f32::NAN), ("okay", f32::NAN)]), "wait", "no number is no likelihood");
    }

    proptest! {
        #[test]
        fn what_is_heard_is_a_reading_or_nothing(
            readings in proptest::collection::vec(("(yeah|okay|you|stop| |'){0,3}", any::<f32>()), 0..6),
        ) {
            let heard = likeliest(&readings);
            prop_assert!(heard.is_empty() || readings.iter().any(|(text, _)| text == heard));
        }

        #[test]
        fn there_is_a_verdict_in_time(
            (elapsed, voiced, pitched, quiet, fallen) in (500u64..3000, 0u64..1200, 0u64..800, 0u64..800, 0u64..800),
            (far, maybe_echo, asked, floor) in any::<(bool, bool, bool, bool)>(),
            (words, agent) in ("[a-z ']{0,30}", "[a-z ']{0,30}"),
        ) {
            let evidence = Evidence {
                pitched: Duration::from_millis(pitched), fallen: Duration::from_millis(fallen),
                far, maybe_echo, echoes: maybe_echo || asked, asked, floor, agent: &agent,
                ..heard(elapsed, voiced, quiet, &words)
            };
            let known = !floor || elapsed >= 2400 && quiet.max(fallen) < 128 || quiet.max(fallen) >= 360;
            prop_assert!(judge(&evidence) != Verdict::Undecided || !known, "{evidence:?}");
        }

        #[test]
        fn an_interrupting_word_of_a_voice_is_never_an_aside(
            (elapsed, voiced, quiet) in (100u64..3000, 100u64..1200, 0u64..800),
            (far, faint, floor, heard_out) in any::<(bool, bool, bool, bool)>(),
        ) {
            let evidence = Evidence { far, faint, floor, heard_out, ..heard(elapsed, voiced, quiet, "oh stop") };
            prop_assert_ne!(judge(&evidence), Verdict::Aside);
            prop_assert!(floor || judge(&evidence) != Verdict::Undecided);
        }
    }
}
