//! Whether a span that may be a feature is one: each is weighed as a whole, with its turn in view.
//!
//! Pure; some microseconds a span. The chain of `finder` sees a few words at a time. What it finds at all probable is weighed again
//! by a logistic regression over how probable it and what overlaps it are, what else the turn names, which word opens the clause,
//! the span's edges, and how often its words are words of features. `models/intent_spans.py` trains it, on spans of authors whom
//! the chain did not know. Invariants: the trainer finds the same features (test `as_trained` of `finder`); no span is
//! found that the chain finds improbable. Deliberately absent: what is enough (`finder`).

use super::super::vectorise::hash;
use super::finder::{CHAIN_END, LONGEST, WEIGHTS, digit, ending};
use super::token::Token;

/// Behind the weights of the chain: what one step of a weight of a feature is worth, those weights by bucket, the weights of the
/// numbers, and by bucket of a word how much more often it is in a feature than not.
const SCALE: f64 = number(CHAIN_END);
const FEATURES: usize = CHAIN_END + 4;
const BUCKETS: usize = 65_536;
const NUMBERS: usize = FEATURES + BUCKETS;
const NUMBERS_COUNT: usize = 15;
const ODDS: usize = NUMBERS + NUMBERS_COUNT * 4;
const WORDS: usize = 32_768;
const _: () = assert!(WEIGHTS.len() == ODDS + WORDS);
/// Steps of a word's odds in one.
const ODDS_STEP: f64 = 32.0;
/// What the chain finds less probable is not looked at.
const LOOKED_AT: f64 = 0.04;
/// What a feature counts beside a number.
const FEATURE: f64 = 0.5;

/// The number in four octets.
const fn number(at: usize) -> f64 {
    f32::from_le_bytes([WEIGHTS[at], WEIGHTS[at + 1], WEIGHTS[at + 2], WEIGHTS[at + 3]]) as f64
}

fn steps(at: usize) -> i32 {
    i32::from(WEIGHTS[at].cast_signed())
}

/// Words `from..to`, and how probable the chain finds that they are a feature.
struct Span {
    from: usize,
    to: usize,
    likely: f64,
}

/// A third of the logarithm of the odds.
fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-4, 1.0 - 1e-4);
    (p / (1.0 - p)).ln() / 3.0
}

/// By first word and length less one, how probable it is that these words are a feature, as `likely` says it by the chain alone.
pub(super) fn probable(tokens: &[Token], kinds: &[&str], likely: &[[f64; LONGEST]]) -> Vec<[f64; LONGEST]> {
    let spans: Vec<Span> = likely
        .iter()
        .enumerate()
        .flat_map(|(from, lengths)| {
            lengths.iter().enumerate().map(move |(more, likely)| Span { from, to: from + more + 1, likely: *likely })
        })
        .filter(|span| span.likely > LOOKED_AT)
        .collect();
    let total: f64 = spans.iter().map(|span| span.likely).sum();
    let odds: Vec<f64> = tokens
        .iter()
        .map(|token| f64::from(steps(ODDS + hash("word", &[&token.low]) as usize % WORDS)) / ODDS_STEP)
        .collect();
    let mut out = vec![[0.0; LONGEST]; likely.len()];
    for span in &spans {
        let (numbers, others) = numbers(span, &spans, total, &odds);
        let of_numbers: f64 = numbers.iter().enumerate().map(|(k, value)| number(NUMBERS + k * 4) * value).sum();
        let of_features = f64::from(features(span, tokens, kinds, others)) * SCALE;
        out[span.from][span.to - span.from - 1] = 1.0 / (1.0 + (-(of_numbers + FEATURE * of_features)).exp());
    }
    out
}

/// What is measured of a span, and how many other features its turn may have.
fn numbers(span: &Span, spans: &[Span], total: f64, odds: &[f64]) -> ([f64; NUMBERS_COUNT], f64) {
    let (mut across, mut best_across) = (0.0, 0.0_f64);
    let (mut before, mut after, mut just_before, mut just_after) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    for other in spans {
        if other.to <= span.from {
            before = before.max(other.likely);
            if other.to + 2 >= span.from {
                just_before = just_before.max(other.likely);
            }
        } else if other.from >= span.to {
            after = after.max(other.likely);
            if other.from <= span.to + 2 {
                just_after = just_after.max(other.likely);
            }
        } else if (other.from, other.to) != (span.from, span.to) {
            across += other.likely;
            best_across = best_across.max(other.likely);
        }
    }
    let others = total - span.likely - across;
    let (p, alone) = (logit(span.likely), if others < 0.5 { 1.0 } else { 0.0 });
    let length = (span.to - span.from) as f64;
    let inside = &odds[span.from..span.to];
    let numbers = [
        1.0,
        p,
        p * p,
        logit(best_across),
        logit((span.likely + across).min(0.999)),
        before,
        after,
        just_before,
        just_after,
        others.min(6.0) / 3.0,
        alone,
        alone * p,
        length / 5.0,
        inside.iter().sum::<f64>() / length,
        odds[span.to - 1],
    ];
    (numbers, others)
}

/// The sum of the weights of what is seen of a span, in steps.
fn features(span: &Span, tokens: &[Token], kinds: &[&str], others: f64) -> i32 {
    let word = |k: usize| tokens.get(k).map_or(">", |token| token.low.as_str());
    let kind = |k: usize| kinds.get(k).copied().unwrap_or(">");
    let back = span.from.checked_sub(1);
    let (before, kind_before) = (back.map_or("<", word), back.map_or("<", kind));
    let (first, head, after) = (word(span.from), word(span.to - 1), word(span.to));
    let opener = (0..span.from).rev().find(|k| matches!(kinds[*k], "O" | "C" | "R")).map_or("-", word);
    let length = span.to - span.from;
    // Shares and counts are positive and small.
    let (fifth, eighth) = (digit((span.likely * 5.0) as usize), digit((span.likely * 8.0) as usize));
    let see = |name: &str, words: &[&str]| steps(FEATURES + hash(name, words) as usize % BUCKETS);
    see("a", &[before])
        + see("b", &[after])
        + see("c", &[head])
        + see("d", &[first])
        + see("e", &[opener])
        + see("f", &[kind_before, kind(span.to)])
        + see("g", &kinds[span.from..span.to])
        + see("h", &[digit(length.min(6))])
        + see("i", &[ending(head, 3)])
        + see("j", &[ending(first, 3)])
        + see("k", &[eighth, digit(((others + 0.5).max(0.0) as usize).min(3))])
        + see("l", &[fifth, before])
        + see("m", &[fifth, opener])
        + see("n", &[fifth, digit(length.min(5))])
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    /// Words that are one kind each, and what the chain would find of them.
    fn looked_at(text: &str, likely: &[(usize, usize, f64)]) -> Vec<[f64; LONGEST]> {
        let tokens = tokens(text);
        let mut chain = vec![[0.0; LONGEST]; tokens.len()];
        for &(from, to, p) in likely {
            chain[from][to - from - 1] = p;
        }
        probable(&tokens, &vec!["x"; tokens.len()], &chain)
    }

    #[test]
    fn what_the_chain_finds_improbable_is_none() {
        let found = looked_at("a shop with gift vouchers", &[(3, 5, 0.9), (4, 5, LOOKED_AT)]);
        assert!(found[3][1] > 0.5, "{}", found[3][1]);
        assert_eq!(found.iter().flatten().filter(|p| **p > 0.0).count(), 1);
        assert!(looked_at("", &[]).is_empty());
    }

    #[test]
    fn more_probable_is_more_and_certain_is_a_number() {
        let of = |p: f64| looked_at("a shop with gift vouchers", &[(3, 5, p)])[3][1];
        assert!(of(0.1) < of(0.5) && of(0.5) < of(0.9));
        // Sums of probabilities may go beyond one by their last bit.
        assert!(of(1.000_001).is_finite() && of(1.000_001) <= 1.0);
    }
}
