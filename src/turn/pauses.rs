//! How a caller pauses and comes to an end. Purpose: callers who think aloud get more patience, brisk ones less; a voice whose
//! ends do not sound like ends (flat, synthetic, of another melody) is known after some turns.
//! Pure, one a call. A log-normal, as pauses in speech are (Campione and Véronis, "A large-scale multilingual study of silent
//! pause duration", 2002); what is known beforehand counts as much as [`KNOWN`] pauses of this caller.
//! Invariants: finite whatever is fed; the survival never rises with the silence. Deliberately absent: what follows from it
//! (`endpoint`).

use std::time::Duration;

/// Shorter gaps are stops within words and lie below what the voice detector tells.
const PAUSE_MIN: Duration = Duration::from_millis(150);
/// Longer ones ended a turn, whatever came after.
const PAUSE_MAX: Duration = Duration::from_secs(4);
/// Median of callers' pauses within a turn, ms; with [`SPREAD`] nineteen in twenty are below 2.5 s, which is what call centres
/// see (LiveKit's figures).
const MEDIAN_MS: f32 = 600.0;
/// Standard deviation of the logarithm.
const SPREAD: f32 = 0.87;
/// Pauses that what is known beforehand counts for.
const KNOWN: f32 = 8.0;

/// Log odds that the end-of-turn model gives to people's ends, and ends of a caller that this counts for.
const SOUNDED: f32 = 2.5;
const SOUNDED_KNOWN: f32 = 2.0;
/// Of what is missing to that, so much is the voice's.
const FLATNESS_SHARE: f32 = 0.8;
/// So often the model is right about people in a pause; so often it is beforehand of a caller who may be anybody, or a
/// machine (of synthetic voices it knows nothing); and judgements of a caller that this counts for.
const RIGHT: f32 = 0.8;
const RIGHT_BEFOREHAND: f32 = 0.62;
const RIGHT_KNOWN: f32 = 4.0;
/// Further from even odds the model does not tell apart.
const ODDS_MAX: f32 = 4.0;

/// What has been learnt of one caller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pauses {
    count: f32,
    /// Of them, those of turns that are over.
    settled: f32,
    /// Of the pauses' logarithms, relative to the median.
    sum: f32,
    squares: f32,
    ends: f32,
    /// Of the end-of-turn model's log odds at ends, with how many there were.
    sounded: f32,
    judged: f32,
    /// Judgements of the model that came true, and that did not.
    right: f32,
    wrong: f32,
}

impl Default for Pauses {
    /// A caller of whom nothing is known.
    fn default() -> Self {
        Self {
            count: 0.0,
            settled: 0.0,
            sum: 0.0,
            squares: 0.0,
            ends: 0.0,
            sounded: 0.0,
            judged: 0.0,
            right: 0.0,
            wrong: 0.0,
        }
    }
}

impl Pauses {
    /// The caller went on after this pause.
    pub fn learn(&mut self, pause: Duration) {
        if !(PAUSE_MIN..=PAUSE_MAX).contains(&pause) {
            return;
        }
        let log = (pause.as_secs_f32() * 1000.0 / MEDIAN_MS).ln();
        self.count += 1.0;
        self.sum += log;
        self.squares += log * log;
    }

    /// The caller went on after a pause that sounded so: the probability by the end-of-turn model that they would not.
    pub fn went_on(&mut self, sounded: f32) {
        self.judge(sounded, false);
    }

    fn judge(&mut self, sounded: f32, over: bool) {
        if !sounded.is_nan() {
            let came_true = if (sounded >= 0.5) == over { &mut self.right } else { &mut self.wrong };
            *came_true += 1.0;
        }
    }

    /// How far the model is to be believed about this caller: 1 as about people, 0 where it guesses; 0.4 beforehand.
    #[must_use]
    pub(super) fn reliability(&self) -> f32 {
        let right = (RIGHT_BEFOREHAND * RIGHT_KNOWN + self.right) / (RIGHT_KNOWN + self.right + self.wrong);
        ((right - 0.5) / (RIGHT - 0.5)).clamp(0.0, 1.0)
    }

    /// A turn came to its end, and the caller did not go on; `sounded`: the probability of that by the end-of-turn model.
    pub fn end(&mut self, sounded: Option<f32>) {
        self.ends += 1.0;
        self.settled = self.count;
        if let Some(sounded) = sounded.filter(|sounded| *sounded >= 0.5) {
            self.judge(sounded, true);
        }
        if let Some(odds) = sounded.and_then(log_odds) {
            self.sounded += odds;
            self.judged += 1.0;
        }
    }

    /// How much less this caller's ends sound like ends than others' do, in the model's log odds; never negative.
    #[must_use]
    pub(super) fn flatness(&self) -> f32 {
        let own = (SOUNDED * SOUNDED_KNOWN + self.sounded) / (SOUNDED_KNOWN + self.judged);
        (FLATNESS_SHARE * (SOUNDED - own)).max(0.0)
    }

    /// Of a pause within a turn of this caller: the chance that it lasts longer than this.
    #[must_use]
    pub fn survival(&self, silence: Duration) -> f32 {
        let (mean, spread) = self.habit();
        let log = (silence.as_secs_f32() * 1000.0 / MEDIAN_MS).max(1e-6).ln();
        1.0 - normal((log - mean) / spread)
    }

    /// How much rarer than with others a silence of this caller is a pause: log odds, bounded. Of turns that are over: one
    /// in which somebody has hesitated often is no further from its end.
    #[must_use]
    pub(super) fn steadiness(&self) -> f32 {
        ((self.ends + KNOWN) / (self.settled + KNOWN)).ln().clamp(-1.0, 1.0)
    }

    fn habit(&self) -> (f32, f32) {
        let n = self.count + KNOWN;
        let mean = self.sum / n;
        let variance = (KNOWN * SPREAD * SPREAD + self.squares) / n - mean * mean;
        (mean, variance.max(0.25).sqrt())
    }
}

/// Of a probability, bounded; none of what is no number.
pub(super) fn log_odds(probability: f32) -> Option<f32> {
    let probability = Some(probability).filter(|p| !p.is_nan())?.clamp(1e-3, 1.0 - 1e-3);
    Some((probability / (1.0 - probability)).ln().clamp(-ODDS_MAX, ODDS_MAX))
}

/// Distribution function of the normal distribution, to 0.0002 (Bowling et al., "A logistic approximation to the cumulative
/// normal distribution", 2009).
fn normal(x: f32) -> f32 {
    let x = x.clamp(-6.0, 6.0);
    1.0 / (1.0 + (-(0.070_56 * x * x * x + 1.597_6 * x)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn beforehand_half_of_the_pauses_outlast_600_ms_and_one_in_twenty_2500() {
        let pauses = Pauses::default();
        assert!((pauses.survival(ms(600)) - 0.5).abs() < 0.01);
        assert!((pauses.survival(ms(2500)) - 0.05).abs() < 0.01);
        assert!(pauses.survival(ms(0)) > 0.999);
    }

    #[test]
    fn a_caller_who_thinks_long_is_learnt_in_some_pauses_and_a_brisk_one_too() {
        let (mut slow, mut brisk) = (Pauses::default(), Pauses::default());
        for _ in 0..6 {
            slow.learn(ms(1800));
            brisk.learn(ms(220));
        }
        let known = Pauses::default().survival(ms(1000));
        assert!(slow.survival(ms(1000)) > known + 0.1 && brisk.survival(ms(1000)) < known - 0.05);
        assert_eq!(slow.steadiness(), 0.0, "the turn is not over");
        slow.end(None);
        assert!(slow.steadiness() < 0.0);
        // Gaps within words and silences after which a turn was over teach nothing.
        let mut other = Pauses::default();
        other.learn(ms(60));
        other.learn(ms(9000));
        assert_eq!(other, Pauses::default());
    }

    #[test]
    fn a_voice_whose_ends_do_not_sound_like_ends_is_known_after_some_turns() {
        let (mut flat, mut lively) = (Pauses::default(), Pauses::default());
        assert_eq!(flat.flatness(), 0.0);
        let mut before = 0.0;
        for _ in 0..4 {
            flat.end(Some(0.02));
            lively.end(Some(0.97));
            assert!(flat.flatness() > before);
            before = flat.flatness();
        }
        assert!(before > 2.0 && lively.flatness() == 0.0);
        let mut unknown = Pauses::default();
        unknown.end(None);
        unknown.end(Some(f32::NAN));
        assert_eq!(unknown.flatness(), 0.0);
    }

    #[test]
    fn a_model_that_took_pauses_for_ends_is_believed_less_until_it_is_right_again() {
        let mut pauses = Pauses::default();
        assert!((pauses.reliability() - 0.4).abs() < 0.01);
        pauses.went_on(f32::NAN);
        assert!((pauses.reliability() - 0.4).abs() < 0.01);
        pauses.went_on(0.95);
        assert!(pauses.reliability() < 0.1);
        for _ in 0..4 {
            pauses.end(Some(0.95));
        }
        let before = pauses.reliability();
        assert!(before > 0.6, "{before}");
        // Who is expected to go on, and does, teaches the same.
        pauses.went_on(0.03);
        assert!(pauses.reliability() > before);
    }

    proptest! {
        #[test]
        fn the_longer_the_silence_the_fewer_outlast_it(
            learnt in proptest::collection::vec(0u64..6000, 0..200), a in 0u64..5000, b in 0u64..5000,
        ) {
            let mut pauses = Pauses::default();
            for pause in learnt {
                pauses.learn(ms(pause));
                pauses.end(Some(a as f32 / 5000.0));
            }
            let (shorter, longer) = (pauses.survival(ms(a.min(b))), pauses.survival(ms(a.max(b))));
            prop_assert!((0.0..=1.0).contains(&shorter) && longer <= shorter + 1e-6);
            prop_assert!(pauses.steadiness().abs() <= 1.0 && (0.0..10.0).contains(&pauses.flatness()));
        }
    }
}
