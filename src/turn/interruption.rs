//! Whether somebody who makes a sound while the agent speaks means to take the turn.
//!
//! Pure function of what has been heard since the onset; audio time only. The agent has fallen silent already
//! (`TurnEvent::Duck`) and goes on from the very sample when the verdict is [`Verdict::Aside`], so a wrong suspicion costs a
//! short gap and a wrong verdict a repetition or a lost sentence.
//! A voice with closed lips of which nothing was recognised agrees; what was taken for an aside and goes on is looked at
//! again with every word that comes.
//! The verdict goes by audio time and by what was said in it, not by how fast the recogniser was: a voice to which it has not
//! listened yet is waited for until [`DECIDE_LATE`]; then its length decides, and a short one leaves the agent its turn.
//! Invariants: there is a verdict [`DECIDE_MAX`] after the onset at the latest, [`DECIDE_LATE`] where the recogniser is late; a pitched sound in which an interrupting word
//! of the caller's was recognised is never an aside. Deliberately absent: what a caller's words mean (`conversation`), sound
//! other than what [`Evidence`] names.

use std::time::Duration;

use crate::conversation::Expectation;
use crate::conversation::spoken::SMALL;

/// A verdict is due this long after the onset.
pub const DECIDE_MAX: Duration = Duration::from_millis(500);
/// The same where the recogniser has not listened to a voice yet.
pub const DECIDE_LATE: Duration = Duration::from_millis(720);
/// Whoever is taken to agree is not spoken over: the agent stays silent while that voice sounds, so long after the onset at
/// most: what is taken for agreement may be the beginning of a sentence.
pub(super) const WAITS_MAX: Duration = Duration::from_millis(720);
/// It is given this early: audio comes in packets of 20 ms. The last words that it goes by have only just come.
const DECIDE_AFTER: Duration = Duration::from_millis(456);
/// The same of one that goes on and of which nothing was made out.
const DECIDE_UNHEARD: Duration = Duration::from_millis(448);
/// The same of one without words that has ended by then: only its word can tell.
const DECIDE_ENDED: Duration = Duration::from_millis(466);
/// Voice so long is no cough, whatever the recogniser makes of it.
const CERTAIN_VOICE: Duration = Duration::from_millis(250);
/// Voice so long is speech if several words were recognised in it. (One word is what a recogniser makes of any grunt.)
const SPOKEN_VOICE: Duration = Duration::from_millis(220);
const SPOKEN_WORDS: usize = 2;
/// So many in so much voice are speech at once; fewer, or faster, may be what a recogniser makes of a grunt's first half.
const SURELY_WORDS: usize = 3;
const SURELY_VOICE: Duration = Duration::from_millis(380);
const PROBABLY_VOICE: Duration = Duration::from_millis(384);
/// Voice so long may have been an answer.
const ANSWER_VOICE: Duration = Duration::from_millis(160);
/// A sound that is no voice by then, or as faint as somebody's across the room, is none.
const VOICE_BY: Duration = Duration::from_millis(160);
/// A detector knows some voices later, if their beginning is soft: one that sounds on is waited for until then.
const VOICE_LATE: Duration = Duration::from_millis(256);
/// The verdict on one that was known still later waits for so long until there is enough of it.
const LATE_MAX: Duration = Duration::from_millis(192);
/// With less pitch than this it was no voice: a cough, a knock, wind.
const VOICE_PITCHED: Duration = Duration::from_millis(60);
/// Whoever speaks for so long without a pause does more than to agree.
const LONG_VOICE: Duration = Duration::from_millis(700);
/// Stops and breaths in a voice that long, at most.
const UNVOICED_MAX: Duration = Duration::from_millis(200);
/// The same after one that did agree ("right right", "okay good"): its words come again, or others.
const LONG_AFTER_AGREEING: Duration = Duration::from_millis(1000);
/// And when other words are recognised after it: one that was short ("yeah") is often followed by another that is misheard;
/// of one that lasted until its verdict was due, other words are a sentence.
const MORE_AFTER_AGREEING: Duration = Duration::from_millis(440);
/// One of [`OPENING`] in voice so long which sounds on, and not much quieter, when so much time has passed begins a sentence:
/// alone it would have ended.
const OPENING_VOICE: Duration = Duration::from_millis(300);
const OPENING_AFTER: Duration = Duration::from_millis(480);
/// Agreement is heard where all that is agreement is at least so likely together: half a word may be so much else. Chosen by
/// rehearsal: with 0.1 twelve more of 400 agreements stop the agent, and six fewer of 400 interruptions are taken for asides.
const MAY_AGREE: f32 = 0.04;
/// A word takes this long, ms, spoken fast.
const WORD_MS: u32 = 100;
/// A sound that ended so long ago is over; until then a word may still come.
pub const OVER: Duration = Duration::from_millis(200);
/// Nor does it go on if it has been so much quieter than its loudest for so long: a voice detector hangs on, and stops in a
/// word are shorter.
pub const FALLEN_DB: f32 = 20.0;
const FALLEN: Duration = Duration::from_millis(128);
/// What fell so long ago has ended, however long the detector hangs on, and two words are what a recogniser makes of its one.
const FADED: Duration = Duration::from_millis(160);
/// That holds of a sound no longer than this: one that lasted had room for two, however late they are recognised.
const ONE_WORD: Duration = Duration::from_millis(306);
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
    /// That was agreement, by its words.
    pub agreed: bool,
    /// The recogniser has listened to it, whether or not it found words.
    pub listened: bool,
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
    &["all", "right"],
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

/// Agreements with which as many sentences begin.
const OPENING: &[&str] = &["okay", "ok", "right", "yeah", "well", "oh", "yes", "um"];

/// Words of dictated digits beside their names: an answer that comes before the question is over.
const DIGIT_WORDS: &[&str] = &["oh", "double", "triple"];

/// Judges what has been heard so far.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let said: Vec<&str> = words(evidence.agent).collect();
    // The agent's own words are nobody's while they may be its echo.
    let words: Vec<&str> = words(evidence.words).filter(|word| !(evidence.echoes && said.contains(word))).collect();
    let is_voice = evidence.pitched >= VOICE_PITCHED;
    let spoken_in = evidence.before + evidence.voiced;
    // Nobody says so many words in so little time.
    let guessed = words.len() as u32 > 1 + (spoken_in.as_millis() as u32) / WORD_MS;
    let interrupts = words.iter().any(|word| INTERRUPTING.contains(word)) && !is_backchannel(&words);
    if is_voice && interrupts && !guessed {
        return Verdict::Interruption;
    }
    let answers = |word: &&&str| match evidence.expect {
        Expectation::Digits { .. } => SMALL[..10].contains(word) || DIGIT_WORDS.contains(word),
        Expectation::YesNo => evidence.asked && AGREEING.contains(word),
        Expectation::Open | Expectation::Name => false,
    };
    let answered = words.iter().any(|word| answers(&word)) && evidence.voiced >= ANSWER_VOICE;
    let meant = answered || !is_backchannel(&words);
    let murmured =
        is_murmured(&words) || evidence.murmur && words.is_empty() && evidence.pitched * 5 >= evidence.voiced * 3;
    let faded = evidence.fallen >= FADED && evidence.elapsed.saturating_sub(evidence.fallen) < ONE_WORD;
    let misheard = usize::from(faded);
    let spoken =
        |least: usize| words.len() >= least + misheard && meant && !murmured && !guessed && spoken_in >= SPOKEN_VOICE;
    let surely = evidence.voiced >= SURELY_VOICE && spoken(SURELY_WORDS)
        || evidence.voiced >= PROBABLY_VOICE && !evidence.far && spoken(SPOKEN_WORDS);
    let near = !evidence.maybe_echo && !evidence.far;
    let ended = has_ended(evidence.fallen, evidence.quiet);
    // Who was taken for agreeing and says more.
    let enough = if evidence.agreed { MORE_AFTER_AGREEING } else { SPOKEN_VOICE };
    let more = !evidence.before.is_zero() && near && !ended && spoken_in >= enough && spoken(SPOKEN_WORDS);
    if is_voice && (surely || answered || more) {
        return Verdict::Interruption;
    }
    let over = evidence.quiet >= OVER;
    let only_backchannel = murmured || !meant && !words.is_empty();
    let unbroken = evidence.quiet.is_zero() && evidence.fallen.is_zero() && evidence.before.is_zero();
    let opening =
        unbroken && evidence.voiced >= OPENING_VOICE && matches!(words[..], [word] if OPENING.contains(&word));
    let long_voice = if evidence.agreed { LONG_AFTER_AGREEING } else { LONG_VOICE };
    let long = !evidence.before.is_zero() && spoken_in >= long_voice;
    if long && is_voice && near && !ended && !only_backchannel {
        return Verdict::Interruption;
    }
    if over && (only_backchannel || !is_voice && !evidence.sounding) {
        return Verdict::Aside;
    }
    let voice_by = if evidence.sounding { VOICE_LATE } else { VOICE_BY };
    if evidence.elapsed >= voice_by && (evidence.faint || !evidence.voice) {
        return Verdict::Aside;
    }
    let due = match (words.is_empty(), ended && is_voice) {
        (false, _) if opening => OPENING_AFTER,
        (false, _) => DECIDE_AFTER,
        (true, false) => DECIDE_UNHEARD,
        (true, true) => DECIDE_ENDED,
    };
    if evidence.elapsed < due {
        return Verdict::Undecided;
    }
    if evidence.late && !ended && evidence.voiced < CERTAIN_VOICE && evidence.elapsed < due + LATE_MAX {
        return Verdict::Undecided;
    }
    let certain = evidence.pitched * 3 >= evidence.voiced && evidence.voiced >= CERTAIN_VOICE;
    let unheard = evidence.words.is_empty() && !evidence.listened && certain && near;
    if unheard && evidence.elapsed < DECIDE_LATE && evidence.voiced < LONG_VOICE {
        return Verdict::Undecided;
    }
    // Nothing but "yeah", or nothing that could be made out: its length decides, also of a "yeah" that opens a sentence. Who
    // is still at it when the verdict is due goes on speaking; who has stopped said no more than that.
    let goes_on = certain
        && !ended
        && (!only_backchannel || opening)
        && near
        && !(unheard && evidence.voiced < LONG_VOICE - UNVOICED_MAX);
    // Two words that came after an agreement, and no more, were another.
    let another = !evidence.before.is_zero() && ended && words.len() < SURELY_WORDS;
    if goes_on || (is_voice && !evidence.far && !another && spoken(SPOKEN_WORDS)) {
        return Verdict::Interruption;
    }
    Verdict::Aside
}

/// Whether a voice is over that has been so much quieter than its loudest for `fallen`, and none at all for `quiet`: stops in words
/// are shorter.
pub(super) fn has_ended(fallen: Duration, quiet: Duration) -> bool {
    fallen >= FALLEN || quiet >= ENDED
}

/// Whether the agent may go on after an aside of which so much has been made out: words that do not agree are waited for until
/// no more can come, as they may be the misheard beginning of a sentence.
pub(super) fn has_passed(fallen: Duration, quiet: Duration, said: &str) -> bool {
    let said: Vec<&str> = words(said).collect();
    if is_backchannel(&said) { has_ended(fallen, quiet) } else { fallen >= OVER || quiet >= OVER }
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
        agreed: false,
        listened: true,
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
        use Verdict::{Aside, Interruption, Undecided};
        let unpitched = |elapsed, voiced, quiet, words| Evidence {
            pitched: Duration::from_millis(20),
            ..heard(elapsed, voiced, quiet, words)
        };
        let fallen = |e: Evidence<'static>, ms| Evidence { fallen: Duration::from_millis(ms), ..e };
        let late = |e: Evidence<'static>| Evidence { listened: false, ..e };
        let on = |e: Evidence<'static>| Evidence { before: Duration::from_millis(430), ..e };
        let agreed = |e: Evidence<'static>| Evidence { agreed: true, ..on(e) };
        let shortly = |e: Evidence<'static>| Evidence { before: Duration::from_millis(180), ..agreed(e) };
        let asked = |e: Evidence<'static>| Evidence { expect: Expectation::YesNo, asked: true, ..e };
        let digits = |e: Evidence<'static>| Evidence { expect: Expectation::Digits { max: 4 }, ..e };
        let echo =
            |e: Evidence<'static>| Evidence { maybe_echo: true, echoes: true, agent: "say stop if that is wrong", ..e };
        let table = [
            // Words decide before time does.
            (heard(160, 160, 0, "no"), Interruption, "an interrupting word"),
            (heard(200, 200, 0, "wait"), Interruption, "another"),
            (heard(300, 280, 0, "how long"), Interruption, "a question"),
            (heard(400, 380, 0, "i need a"), Interruption, "several words"),
            (heard(300, 280, 0, "i hope you"), Undecided, "so many in so little voice are a recogniser's guess"),
            (heard(456, 280, 160, "tell me"), Interruption, "two, and a stop in the next"),
            (heard(300, 280, 0, "tell me"), Undecided, "two may be half a grunt"),
            (heard(320, 300, 0, "yeah but"), Interruption, "agreement that goes on"),
            (heard(320, 300, 0, "shoe"), Undecided, "one word is what any grunt is taken for"),
            (heard(320, 300, 0, "yeah"), Undecided, "more may come"),
            // Asides.
            (heard(380, 180, 200, "yeah"), Aside, "a backchannel"),
            (heard(500, 280, 200, "i see"), Aside, "another"),
            (heard(460, 450, 0, "right okay"), Aside, "still nothing but agreement"),
            (heard(460, 200, 130, ""), Undecided, "a short voice: its word may come"),
            (heard(470, 200, 130, ""), Aside, "a short voice without words"),
            (fallen(heard(460, 440, 0, "shoe"), 128), Aside, "one word that has faded, to which the detector hangs on"),
            (fallen(heard(420, 390, 0, "you are"), 160), Undecided, "two that were made of one"),
            (fallen(heard(456, 410, 0, "you are"), 160), Aside, "and no more of it"),
            (fallen(heard(456, 410, 0, "wait please"), 160), Interruption, "a word that takes the turn"),
            (fallen(heard(456, 410, 0, "leave it there"), 160), Interruption, "three are made of more than one"),
            (fallen(heard(456, 410, 0, "tell me"), 128), Interruption, "a stop after two"),
            (late(fallen(heard(620, 420, 200, "skip it"), 200)), Interruption, "two that are recognised late"),
            (late(fallen(heard(700, 400, 300, "skip it"), 300)), Interruption, "and later"),
            (heard(456, 420, 0, "i see"), Aside, "two words that say no more"),
            (Evidence { voice: false, ..heard(170, 0, 170, "") }, Aside, "a sound that is no voice"),
            (Evidence { faint: true, ..heard(170, 90, 0, "") }, Aside, "somebody across the room"),
            (unpitched(320, 100, 210, "no"), Aside, "a cough is no word"),
            (unpitched(460, 440, 0, ""), Aside, "wind"),
            (Evidence { far: true, ..heard(460, 450, 0, "") }, Aside, "a television"),
            // Whoever goes on is let speak.
            (heard(440, 400, 0, ""), Undecided, "not yet"),
            (heard(456, 400, 0, ""), Interruption, "still at it"),
            (heard(456, 400, 0, "shoe"), Interruption, "with a word, too"),
            (fallen(heard(456, 400, 0, "leave"), 96), Interruption, "a stop in a word"),
            (on(heard(290, 280, 0, "")), Interruption, "what was taken for an aside goes on and on"),
            (on(heard(290, 280, 0, "okay")), Undecided, "in nothing but agreement"),
            (shortly(heard(130, 120, 0, "right hope")), Undecided, "what a recogniser makes of the next agreement"),
            (agreed(heard(130, 120, 0, "right hope")), Interruption, "words after one that lasted"),
            (agreed(heard(456, 200, 150, "under slid")), Aside, "another agreement that was misheard"),
            (agreed(heard(456, 200, 150, "leave it there")), Interruption, "three words are none"),
            (agreed(heard(260, 250, 0, "right so when")), Interruption, "a question after it"),
            (agreed(heard(260, 250, 0, "right so leave")), Interruption, "a sentence after it"),
            (Evidence { far: true, ..heard(456, 420, 0, "dinner is") }, Aside, "somebody else's words"),
            (Evidence { far: true, ..heard(456, 420, 0, "wait please") }, Interruption, "from afar, but meant"),
            (Evidence { agreed: true, ..on(heard(290, 280, 0, "")) }, Undecided, "it was agreement, and may be again"),
            (Evidence { agreed: true, ..on(heard(590, 580, 0, "")) }, Interruption, "but not that much"),
            // What the recogniser has not listened to.
            (late(heard(450, 440, 0, "")), Undecided, "its words are to come"),
            (late(heard(600, 420, 160, "")), Undecided, "they still are"),
            (late(heard(720, 420, 280, "")), Aside, "too short to be more than agreement"),
            (late(heard(720, 710, 0, "")), Interruption, "who speaks for so long means it"),
            (late(heard(470, 200, 130, "")), Aside, "a short voice"),
            (late(heard(620, 420, 180, "wait")), Interruption, "they have come"),
            (late(heard(620, 480, 120, "okay")), Aside, "so have these"),
            // What nobody says in so little time is a guess.
            (heard(324, 256, 0, "you know what i mean"), Undecided, "five words in a quarter of a second"),
            // Agreement in words that would interrupt by themselves, and its beginning.
            (heard(460, 440, 0, "fair enough"), Aside, "enough"),
            (heard(460, 440, 0, "very"), Aside, "very good"),
            (heard(460, 440, 0, "interest"), Aside, "interesting"),
            (heard(300, 280, 0, "no problem"), Undecided, "agreement, whatever its first word is by itself"),
            (heard(460, 440, 0, "no problem"), Aside, "and no more"),
            // Agreement with which a sentence begins: alone it would be over.
            (heard(460, 430, 0, "okay"), Undecided, "it may end yet"),
            (heard(480, 440, 0, "okay"), Interruption, "okay hold on"),
            (fallen(heard(480, 440, 0, "okay"), 32), Aside, "it ends"),
            (heard(480, 440, 20, "okay"), Aside, "it has ended"),
            (heard(480, 280, 0, "okay"), Aside, "it has hardly begun"),
            (heard(480, 440, 0, "okay good"), Aside, "another one goes on with it"),
            (heard(480, 440, 0, "exactly"), Aside, "so long a word takes its time"),
            (on(heard(480, 440, 0, "okay")), Aside, "what was agreement goes on"),
            (Evidence { far: true, ..heard(480, 440, 0, "okay") }, Aside, "somebody else's"),
            // What it makes of a murmur.
            (Evidence { murmur: true, ..heard(460, 440, 0, "") }, Aside, "closed lips"),
            (Evidence { murmur: true, ..heard(460, 440, 0, "we need") }, Interruption, "dark vowels"),
            (heard(456, 430, 0, "and me"), Aside, "mm-hm"),
            (heard(456, 430, 0, "and"), Interruption, "a sentence goes on"),
            (heard(456, 430, 0, "and the deals"), Interruption, "no murmur"),
            // Answers.
            (asked(heard(300, 280, 0, "yes")), Interruption, "an answer to the question"),
            (Evidence { asked: false, ..asked(heard(500, 280, 200, "yes")) }, Aside, "in the middle of a read-back"),
            (digits(heard(300, 280, 0, "oh")), Interruption, "a digit that was asked for"),
            (digits(heard(300, 280, 0, "mm")), Undecided, "no digit"),
            // The agent's own words.
            (echo(heard(460, 450, 0, "stop if")), Aside, "an echo"),
            (echo(heard(300, 280, 0, "stop no wait")), Interruption, "a caller over the echo"),
        ];
        for (evidence, verdict, what) in table {
            assert_eq!(judge(&evidence), verdict, "{what}: {evidence:?}");
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
            (elapsed, voiced, pitched, quiet) in (500u64..2000, 0u64..800, 0u64..800, 0u64..800),
            (far, maybe_echo, asked, listened) in any::<(bool, bool, bool, bool)>(),
            (words, agent) in ("[a-z ']{0,30}", "[a-z ']{0,30}"),
        ) {
            let elapsed = if listened { elapsed } else { elapsed.max(720) };
            let evidence = Evidence {
                listened,
                pitched: Duration::from_millis(pitched), far, maybe_echo, echoes: maybe_echo || asked, asked, agent: &agent,
                ..heard(elapsed, voiced, quiet, &words)
            };
            prop_assert_ne!(judge(&evidence), Verdict::Undecided);
        }

        #[test]
        fn an_interrupting_word_of_a_voice_is_never_an_aside(
            (elapsed, voiced, quiet) in (100u64..2000, 100u64..800, 0u64..800),
            far in any::<bool>(),
        ) {
            let evidence = Evidence { far, ..heard(elapsed, voiced, quiet, "oh stop") };
            prop_assert_eq!(judge(&evidence), Verdict::Interruption);
        }
    }
}
