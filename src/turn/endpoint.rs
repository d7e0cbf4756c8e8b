//! How long a pause may be before the caller's turn counts as over.
//!
//! Pure. Two steps: the odds that the caller has finished, from what the agent asked, what has been recognised, how it
//! sounded and how this caller pauses; and the wait that costs least at these odds. The second is decision theory: a
//! finished caller loses the wait, one who goes on is cut off if the pause outlasts it, which costs [`CUT_COST`] of waiting.
//! As silence lasts the odds of "over" grow by the survival of pauses within a turn ([`Pauses`]), so the wait never needs to
//! be looked at again while nothing new is known.
//!
//! | file | holds |
//! |---|---|
//! | `said` | what the words say: digits, spelling, answers, names |
//! | `completeness` | whether words are a finished utterance |
//! | `elliptic` | answers that leave out what was asked: "it is", "i think so" |
//! | `word` | word classes |
//! | `wording` | what words themselves weigh beyond their classes |
//! | `table` | what word classes weigh, made by `models/endpoint_words.py` |
//! | `weights` | the other constants, and where they come from |
//!
//! Invariants: the wait lies between [`WAIT_MIN`] and [`ENDPOINT_MAX`]; never under 400 ms where a yes may start something
//! ("yes… but"); digits and spelled letters that are not complete get all there is; numbers that are no numbers change
//! nothing. Deliberately absent: time's passing (`machine`), the end-of-turn model (`models::eot`), the recogniser's full
//! stops: of a person's sentences on the telephone 72 % were written with one, of the same sentences cut off 75 %.

mod completeness;
mod elliptic;
mod said;
mod table;
mod weights;
mod word;
mod wording;

use std::time::Duration;

use callwright_dsp::prosody::Contour;

use super::pauses::{Pauses, log_odds};
use crate::conversation::{Expectation, is_whole_request};
use crate::limits::ENDPOINT_MAX;
use said::Said;
use weights::WEIGHTS;

/// Waiting that a caller who was cut off is worth.
pub const CUT_COST: Duration = Duration::from_secs(3);
/// Sooner the last words are not there: recognisers decode a pause after 200 ms of it, and nothing can be answered before.
const WAIT_MIN: Duration = Duration::from_millis(320);
/// Where a yes may start something, and after the last digit.
const CAREFUL_MIN: Duration = Duration::from_millis(400);
/// Spelled letters that sounded like the end: nobody knows how long a name is.
const SPELLED_SOUNDED_OVER: Duration = Duration::from_millis(1800);
/// The recogniser may lag: a model's word alone ends no turn of which nothing was recognised sooner than this.
const UNHEARD_MIN: Duration = Duration::from_millis(700);
/// From this probability on the model is taken at its word where words say nothing.
const SOUNDED_OVER: f32 = 0.9;
/// Nobody says a digit in less. A recogniser that expects a whole number makes one up out of its beginning.
const DIGIT_MIN: Duration = Duration::from_millis(200);
/// A digit takes people 0.3 to 0.4 s. A number of digits that took no longer than this on average may as well have one that
/// the recogniser made up; every second longer makes it so much likelier, in log odds, that it has none; at most.
const DIGIT_DOUBTFUL: Duration = Duration::from_millis(180);
const DIGITS_COMPLETE_RATE: f32 = 65.0;
const DIGITS_COMPLETE_MOST: f32 = 5.0;
/// Log odds, at least, of words that make a whole request, if a sentence can end there at all.
const WHOLE: f32 = 0.8;
const WHOLE_LEAST: f32 = -2.2;
/// The model's log odds count between these: of people's sentences cut off it took 27 % for over, so that its word for an end
/// is worth no more; it takes many an end of a flat voice for none.
const SOUNDED_LEAST: f32 = -2.0;
const SOUNDED_MOST: f32 = 2.0;
/// Words that ask for more by so much halve what melody and fading say.
const TRAILING: f32 = 2.0;
/// What the words lack counts for so much, where no word begins something more: sentences that the table does not know end more
/// often than it says (of those that it gave 4 % to be over were 15 %, of 16 % 35 %).
const LACKING: f32 = 0.5;
/// Voice that an answer usually takes: who has said so much has as often finished as not, by that alone.
const SENTENCE_VOICED: Duration = Duration::from_millis(1500);
const REPLY_VOICED: Duration = Duration::from_millis(700);
/// Shortness says less where the words are all that there is to say ("yes", "build me a crm"), and still less where they are
/// not known.
const COMPLETE_SHARE: f32 = 0.5;
/// How a short answer that is all was said counts against its being over no more than this: a word has one vowel, which is
/// stressed and so neither falls nor fades, whatever comes after it. Seen on the wire: "yes" was waited for up to 1.3 s.
const ANSWERED_DOUBT: f32 = -1.0;
const UNHEARD_SHARE: f32 = 0.3;
/// Waits are looked for in steps of this.
const STEP: Duration = Duration::from_millis(40);

/// What is known in a pause.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What the agent asked for.
    pub expect: Expectation,
    /// Text recognised so far in this turn, any case; empty when there is none.
    pub text: &'a str,
    /// They make a whole request by the dialogue's grammar ([`is_whole_request`]).
    pub whole: bool,
    /// Probability by the end-of-turn model that the caller has finished, where it has answered.
    pub sounded: Option<f32>,
    /// How the last voice ended.
    pub contour: Option<Contour>,
    /// How this caller pauses.
    pub pauses: Pauses,
    /// Voice in this turn so far, where it is known.
    pub voiced: Option<Duration>,
}

impl<'a> Evidence<'a> {
    /// Words alone, of a caller of whom nothing is known.
    #[must_use]
    pub fn words(expect: Expectation, text: &'a str) -> Self {
        let whole = is_whole_request(expect, text);
        Self { expect, text, whole, sounded: None, contour: None, pauses: Pauses::default(), voiced: None }
    }

    /// Probability that the caller has finished, before the pause's length says anything.
    #[must_use]
    pub fn probability(&self) -> f32 {
        over(self.odds(&Said::of(self.expect, self.text)))
    }

    /// The same after so much silence.
    #[must_use]
    pub fn probability_after(&self, silence: Duration) -> f32 {
        let goes_on = self.pauses.survival(silence).max(1e-6);
        over(self.odds(&Said::of(self.expect, self.text)) - goes_on.ln())
    }

    /// The pause after which the turn is over.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait_at(CUT_COST)
    }

    /// The same where being cut off is worth so much waiting.
    #[must_use]
    pub fn wait_at(&self, cut_cost: Duration) -> Duration {
        let said = Said::of(self.expect, self.text);
        let floor = self.floor(&said);
        if floor >= ENDPOINT_MAX {
            return ENDPOINT_MAX;
        }
        let (over, cost) = (over(self.odds(&said)), cut_cost.as_secs_f32());
        let (mut best, mut least) = (floor, f32::INFINITY);
        let mut wait = floor;
        while wait <= ENDPOINT_MAX {
            let loss = over * wait.as_secs_f32() + (1.0 - over) * cost * self.pauses.survival(wait);
            if loss < least {
                (best, least) = (wait, loss);
            }
            wait += STEP;
        }
        best
    }

    fn odds(&self, said: &Said) -> f32 {
        let asked = match self.expect {
            Expectation::Open | Expectation::Digits { .. } => WEIGHTS.open,
            Expectation::YesNo => WEIGHTS.yes_no,
            Expectation::Name => WEIGHTS.name,
        };
        // Numbers that were asked for are open by their count, and by nothing else.
        if let Some(counted) = self.counted_odds(said) {
            return counted + self.pauses.steadiness();
        }
        let whole = self.is_whole(said);
        let believed = self.believed(said);
        let complete = if believed > 0.0 { WEIGHTS.words * believed } else { believed };
        let words = asked + if whole { complete.max(WHOLE) } else { complete };
        // Where the words are strong they win over the tone, which does not know of a missing word; less so where both speak
        // for an end.
        let sounded = self.sounded_odds();
        let agree = believed > 0.0 && sounded > 0.0;
        let win = if agree { WEIGHTS.words_agree } else { WEIGHTS.words_win };
        let tone = WEIGHTS.sounded / (1.0 + (believed / win).powi(2));
        // So they do over how it came to an end: people trail off after "and".
        let trailing = 1.0 / (1.0 + (believed.min(0.0) / TRAILING).powi(2));
        let melody = trailing * (WEIGHTS.fell * self.fell() + WEIGHTS.faded * self.faded());
        let sound = tone * self.pauses.reliability() * sounded + melody;
        let manner = sound + WEIGHTS.length * self.length(said);
        let replied = said.answered && self.expect == Expectation::YesNo;
        words + if replied { manner.max(ANSWERED_DOUBT) } else { manner } + self.pauses.steadiness()
    }

    /// What the words say, as far as it is to be believed.
    fn believed(&self, said: &Said) -> f32 {
        let lacks = said.complete < 0.0 && said.words > 0 && !said.hangs && self.expect != Expectation::Name;
        if lacks { LACKING * said.complete } else { said.complete }
    }

    /// "with" after a whole request begins another part of it.
    fn is_whole(&self, said: &Said) -> bool {
        self.whole && !said.hangs && said.complete > WHOLE_LEAST
    }

    /// Whoever has said little has more to say: of the voice so far against what is usual, -1 to 1; 0 where it is not known.
    fn length(&self, said: &Said) -> f32 {
        let usual = match self.expect {
            Expectation::Open | Expectation::Digits { .. } => SENTENCE_VOICED,
            Expectation::YesNo | Expectation::Name => REPLY_VOICED,
        };
        let length = self.voiced.map_or(0.0, |voiced| (voiced.as_secs_f32() / usual.as_secs_f32()).max(0.01).ln());
        let length = length.clamp(-1.0, 1.0);
        match said {
            _ if length >= 0.0 => length,
            Said { words: 0, .. } => length * UNHEARD_SHARE,
            Said { answered: true, .. } => length * COMPLETE_SHARE,
            said if self.is_whole(said) => length * COMPLETE_SHARE,
            _ => length,
        }
    }

    /// Of digits that were asked for: those that were said too fast may be the recogniser's.
    fn counted_odds(&self, said: &Said) -> Option<f32> {
        let Expectation::Digits { max } = self.expect else { return None };
        let each =
            self.voiced.map(|voiced| voiced.as_secs_f32() / f32::from(max.max(1)) - DIGIT_DOUBTFUL.as_secs_f32());
        let odds = each.map_or(DIGITS_COMPLETE_MOST, |each| DIGITS_COMPLETE_RATE * each.max(0.0));
        self.counts_digits(said).then_some(odds.min(DIGITS_COMPLETE_MOST))
    }

    /// Voices fade to the end of what they have to say: 1.5 for a clear fading, -1.5 for its contrary.
    fn faded(&self) -> f32 {
        let faded = self.contour.map_or(0.0, |contour| -contour.end_level / 6.0);
        if faded.is_finite() { faded.clamp(-1.5, 1.5) } else { 0.0 }
    }

    fn sounded_odds(&self) -> f32 {
        let Some(odds) = self.sounded.and_then(log_odds) else { return 0.0 };
        (odds + self.pauses.flatness()).clamp(SOUNDED_LEAST, SOUNDED_MOST)
    }

    /// Voices fall to the end of what they have to say: 1 for a clear fall, -1 for a clear rise.
    fn fell(&self) -> f32 {
        let Some(contour) = self.contour else { return 0.0 };
        let fell = -(contour.end / 4.0 + contour.slope / 30.0) / 2.0;
        if fell.is_finite() { fell.clamp(-1.0, 1.0) } else { 0.0 }
    }

    /// The caller dictates a number that was asked for.
    fn counts_digits(&self, said: &Said) -> bool {
        matches!(self.expect, Expectation::Digits { .. }) && (said.digits > 0 || said.words <= 1)
    }

    /// Never sooner than this.
    fn floor(&self, said: &Said) -> Duration {
        let sounded_over = self.sounded.is_some_and(|sounded| sounded >= SOUNDED_OVER);
        match self.expect {
            Expectation::Digits { max } if self.counts_digits(said) => {
                let max = max.max(1);
                let sayable = self.voiced.is_none_or(|voiced| voiced >= DIGIT_MIN * u32::from(max));
                if said.digits >= usize::from(max) && sayable { CAREFUL_MIN } else { ENDPOINT_MAX }
            }
            Expectation::Name if said.letters >= 2 || (said.letters == 1 && said.words == 1) => {
                if said.spelled_out {
                    CAREFUL_MIN
                } else if sounded_over {
                    SPELLED_SOUNDED_OVER
                } else {
                    ENDPOINT_MAX
                }
            }
            Expectation::YesNo => CAREFUL_MIN,
            _ if said.words == 0 => UNHEARD_MIN,
            _ => WAIT_MIN,
        }
    }
}

fn over(odds: f32) -> f32 {
    1.0 / (1.0 + (-odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FOUR: Expectation = Expectation::Digits { max: 4 };

    fn ms(expect: Expectation, text: &str) -> u128 {
        Evidence::words(expect, text).wait().as_millis()
    }

    fn sounded(expect: Expectation, text: &str, probability: f32) -> u128 {
        Evidence { sounded: Some(probability), ..Evidence::words(expect, text) }.wait().as_millis()
    }

    #[test]
    fn how_long_each_answer_is_waited_for() {
        use Expectation::{Name, Open, YesNo};
        for (expect, text, from, to) in [
            (YesNo, "yes", 400, 500),
            (YesNo, "no", 400, 500),
            (YesNo, "that's right", 400, 500),
            (YesNo, "yes but", 1400, 3000),
            (YesNo, "no leave the deals out", 400, 900),
            (Open, "build me a crm", 400, 1200),
            (Open, "thank you", 320, 600),
            (Open, "build me a CRM with the", 1600, 3000),
            (Open, "contacts and, um", 1600, 3000),
            (Open, "we have twenty", 1000, 3000),
            (Open, "call four one", 1000, 2600),
            (Open, "", 700, 2000),
            (Name, "grace", 900, 1500),
            (Name, "g r", 3000, 3000),
            (Name, "clark c l a r k", 400, 1200),
            (FOUR, "", 3000, 3000),
            (FOUR, "five five", 3000, 3000),
            (FOUR, "five five one two", 400, 500),
            (FOUR, "double five double one", 400, 500),
            (FOUR, "4711", 400, 500),
            (FOUR, "i do not know", 320, 2000),
        ] {
            let wait = ms(expect, text);
            assert!((from..=to).contains(&wait), "{expect:?} {text:?}: {wait} ms");
        }
    }

    #[test]
    fn a_voice_that_came_to_an_end_shortens_the_wait_and_one_that_did_not_lengthens_it() {
        for text in ["build me a crm", "contacts and, um", "we have twenty", ""] {
            let (over, none, on) = (
                sounded(Expectation::Open, text, 0.97),
                ms(Expectation::Open, text),
                sounded(Expectation::Open, text, 0.03),
            );
            assert!(over <= none && none <= on && over < on, "{text}: {over} {none} {on}");
        }
        assert!(sounded(Expectation::Open, "build me a crm", 0.97) <= 560);
        assert!(
            sounded(Expectation::Open, "build me a crm with", 0.97) >= 400,
            "the tone does not know of a missing word"
        );
    }

    #[test]
    fn digits_and_spelling_are_not_cut_however_they_sounded() {
        assert_eq!(sounded(FOUR, "five five one", 0.999), 3000);
        assert_eq!(sounded(Expectation::Name, "m a r", 0.5), 3000);
        assert!(sounded(Expectation::Name, "m a r", 0.95) >= 1800);
        assert_eq!(sounded(Expectation::YesNo, "yes", 0.999), 400);
    }

    #[test]
    fn a_number_that_took_less_time_than_it_takes_is_not_complete() {
        let heard =
            Evidence::words(Expectation::Digits { max: 10 }, "three five six one two four eight eight nine zero");
        let after = |ms| Evidence { voiced: Some(Duration::from_millis(ms)), ..heard }.wait().as_millis();
        assert_eq!(after(1100), 3000, "three of them were said, the rest is the recogniser's");
        assert!(after(3000) <= 500);
    }

    #[test]
    fn a_caller_who_thinks_aloud_is_waited_for_longer() {
        let mut pauses = Pauses::default();
        let brisk = ms(Expectation::Open, "we run a garage");
        for _ in 0..5 {
            pauses.learn(Duration::from_millis(1500));
        }
        let evidence = Evidence { pauses, ..Evidence::words(Expectation::Open, "we run a garage") };
        assert!(evidence.wait().as_millis() >= brisk + 200, "{:?} {brisk}", evidence.wait());
    }

    #[test]
    fn who_has_said_little_is_waited_for_longer_unless_that_is_all_there_is_to_say() {
        let after = |expect, text: &str, ms| {
            let evidence = Evidence { voiced: Some(Duration::from_millis(ms)), ..Evidence::words(expect, text) };
            evidence.wait().as_millis()
        };
        let open = |ms| after(Expectation::Open, "we run a garage", ms);
        assert!(open(600) > open(1500) && open(1500) > open(3000), "{} {} {}", open(600), open(1500), open(3000));
        assert!(after(Expectation::YesNo, "yes", 250) <= 600 && after(Expectation::Open, "thank you", 500) <= 900);
    }

    #[test]
    fn a_yes_is_answered_soon_however_it_was_said() {
        // As "Yes." comes from a voice that stresses it: the "s" has no pitch, and all of the vowel is loud.
        let stressed = Contour { end: 2.0, slope: 10.0, end_level: 6.0, last_voice_ms: 120 };
        for text in ["yes", "no", "yes please", "that is right", "what", "pardon"] {
            for sounded in [None, Some(0.02), Some(0.5), Some(0.98)] {
                let voiced = Some(Duration::from_millis(260));
                let said =
                    Evidence { sounded, contour: Some(stressed), voiced, ..Evidence::words(Expectation::YesNo, text) };
                let wait = said.wait().as_millis();
                assert!((400..=680).contains(&wait), "{text} {sounded:?}: {wait} ms");
                let asked = Evidence { expect: Expectation::Open, ..said };
                assert!(asked.wait() >= said.wait(), "{text}: only where it answers");
            }
        }
        let but = Evidence { contour: Some(stressed), ..Evidence::words(Expectation::YesNo, "yes but") };
        assert!(but.wait().as_millis() >= 1400);
    }

    #[test]
    fn a_falling_melody_counts_a_little() {
        let plain = Evidence::words(Expectation::Open, "build me a crm");
        let contour = |end, slope| Some(Contour { end, slope, end_level: 0.0, last_voice_ms: 200 });
        let fallen = Evidence { contour: contour(-6.0, -30.0), ..plain };
        let risen = Evidence { contour: contour(4.0, 20.0), ..plain };
        assert!(fallen.probability() > plain.probability() && plain.probability() > risen.probability());
    }

    fn any_expectation() -> impl Strategy<Value = Expectation> {
        prop_oneof![
            Just(Expectation::Open),
            Just(Expectation::YesNo),
            Just(Expectation::Name),
            any::<u8>().prop_map(|max| Expectation::Digits { max }),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_known_the_wait_lies_within_its_bounds(
            text in "\\PC{0,60}",
            expect in any_expectation(),
            sounded in any::<Option<f32>>(),
            end in any::<f32>(),
            slope in any::<f32>(),
            cost_ms in 0u64..100_000,
        ) {
            let contour = Some(Contour { end, slope, end_level: 0.0, last_voice_ms: 0 });
            let evidence = Evidence { sounded, contour, ..Evidence::words(expect, &text) };
            let wait = evidence.wait_at(Duration::from_millis(cost_ms));
            prop_assert!(wait >= WAIT_MIN && wait <= ENDPOINT_MAX);
            prop_assert!(expect != Expectation::YesNo || wait >= Duration::from_millis(400));
            prop_assert!((0.0..=1.0).contains(&evidence.probability()));
        }

        #[test]
        fn silence_makes_an_end_likelier_and_a_dearer_cut_is_waited_longer_for(
            text in "[a-z ]{0,40}",
            expect in any_expectation(),
            sounded in proptest::option::of(0.0f32..1.0),
            a in 0u64..4000,
            b in 0u64..4000,
        ) {
            let evidence = Evidence { sounded, ..Evidence::words(expect, &text) };
            let after = |ms| evidence.probability_after(Duration::from_millis(ms));
            prop_assert!(after(a.min(b)) <= after(a.max(b)) + 1e-5);
            let at = |ms| evidence.wait_at(Duration::from_millis(ms));
            prop_assert!(at(a.min(b)) <= at(a.max(b)));
        }

        #[test]
        fn the_surer_it_sounded_the_shorter_the_wait(
            text in "[a-z ]{0,40}", expect in any_expectation(), a in 0.0f32..1.0, b in 0.0f32..1.0,
        ) {
            let at = |sounded| Evidence { sounded: Some(sounded), ..Evidence::words(expect, &text) }.wait();
            prop_assert!(at(a.max(b)) <= at(a.min(b)));
        }
    }
}
