//! The search for the best text (pure). Purpose: the likeliest texts by the model's probabilities and by a guide that knows
//! the language of the caller. Owning thread: the engine's. Invariants: a step costs one run of the model whatever the
//! width; what the model or a guide answers (not-a-numbers too) ends in a text or in none, never in a panic; a text that
//! runs in circles is cut. Deliberately absent: what tokens sound like, times, when a text is too unlikely to be believed.
//!
//! A guide can lift a token that the model does not rank first, so more tokens are offered to it than texts are kept.

use super::likeliest::likeliest;
use super::tokens::{END, Pieces, START};
use std::cmp::Ordering;

/// What is known of the language: added to the model's own log probability while texts are extended.
pub trait Guide {
    /// What it remembers of a text.
    type State: Clone;
    /// Before the first piece.
    fn start(&self) -> Self::State;
    /// `piece`: text that a token appends (a leading blank begins a word; empty for a part of a character). Returns the next
    /// state and a bonus (natural log, may be negative).
    fn extend(&self, state: &Self::State, piece: &str) -> (Self::State, f32);
    /// Bonus for ending here.
    fn end(&self, state: &Self::State) -> f32;
    /// The least score, of model and guide together, at which a text that ends here is believed when it is the best: with
    /// less, nothing was heard.
    fn least(&self, _state: &Self::State) -> f32 {
        f32::NEG_INFINITY
    }
    /// Bonus of a whole text, beside what its pieces were given.
    fn sense(&self, _text: &str) -> f32 {
        0.0
    }
    /// The most that a word which may come next would add: texts that lead there are pursued though others are likelier by
    /// now. It is never counted.
    fn ahead(&self, _state: &Self::State) -> f32 {
        0.0
    }
    /// It forbids what the model may write (its bonus is infinitely bad): the likeliest text alone may then have no end.
    fn forbids(&self) -> bool {
        false
    }
    /// The second half of a text may be its first once more, as that of a number may.
    fn may_repeat(&self) -> bool {
        false
    }
    /// Groups of words (lower case) that mean the same: what is written as one or the other is no doubt.
    fn alike(&self) -> &[&[&str]] {
        &[]
    }
}

/// Nothing is known of the language: the model alone decides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unguided;

impl Guide for Unguided {
    type State = ();

    fn start(&self) -> Self::State {}

    fn extend(&self, (): &(), _piece: &str) -> ((), f32) {
        ((), 0.0)
    }

    fn end(&self, (): &()) -> f32 {
        0.0
    }
}

/// One more token of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Continuation {
    /// Row of the run before that it continues; 0 in the first.
    pub(super) row: usize,
    /// What it appends.
    pub(super) token: u32,
}

/// A model that writes token by token.
pub(super) trait Steps {
    type Error;
    /// Unnormalised log probabilities of what follows each, one vocabulary after the other.
    fn step(&mut self, asked: &[Continuation]) -> Result<&[f32], Self::Error>;
}

/// How far to search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Texts that are kept; 1 is greedy.
    pub(super) width: usize,
    /// Texts that are kept beside them because of what may come next.
    pub(super) ahead: usize,
    /// Until another word is less than so much less likely than the best (natural log), only one text is pursued.
    pub(super) sure: f32,
    /// Tokens after which a text is cut.
    pub(super) tokens: usize,
}

/// A text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    /// Without start and end.
    pub(super) tokens: Vec<u32>,
    /// Natural log of each token's probability by the model.
    pub(super) log_probabilities: Vec<f32>,
    /// That of the end; 0 when it was cut.
    pub(super) end: f32,
    /// Model and guide together.
    pub(super) score: f32,
    /// The guide says that it is too unlikely.
    pub(super) doubtful: bool,
    /// It ran in circles, and was cut after the first round.
    pub(super) circular: bool,
}

/// Tokens of each text that are offered to the guide, at least. Of 41 sentences about a CRM, 16 lost it in 11, 64 in 9.
const OFFERED: usize = 64;
/// A text that is this much less likely than one that has ended (natural log) is not pursued.
const HOPELESS: f32 = 6.0;
/// What is pursued for what may come next is, with that, at most so much less likely than the best (natural log).
const AHEAD_HOPE: f32 = 12.0;
/// Probability of an end before any word from which on nobody has spoken (natural log of 0.85). Measured at the line's rate:
/// noise, tones, clicks and coughs of 1–5 s give 0.94 or more by both models (one hum of twelve 0.82), 117 sentences in noise
/// of 20–30 dB 0.59 or less by the smaller. With 0.94 hardly a turn more was heard, and more noise was taken for words.
const SILENT: f32 = -0.163;
/// Longest round of tokens that is looked for.
const ROUND_MAX: usize = 16;

struct Beam<S> {
    tokens: Vec<u32>,
    log_probabilities: Vec<f32>,
    /// Sum of them and of the guide's bonuses.
    score: f32,
    state: S,
}

struct Candidate<S> {
    row: usize,
    token: u32,
    log_probability: f32,
    score: f32,
    /// `None` at the end of a text.
    state: Option<S>,
}

/// The likeliest texts, the best first, none empty; none when the model hears no speech or answers nothing usable,
/// or when the best is one that the guide does not believe.
///
/// # Errors
/// The model's.
pub(super) fn search<M: Steps, G: Guide>(
    model: &mut M,
    pieces: &Pieces,
    guide: &G,
    plan: Plan,
) -> Result<Vec<Reading>, M::Error> {
    let width = plan.width.max(1);
    let offered = OFFERED.max(2 * width);
    let mut beams = vec![Beam { tokens: Vec::new(), log_probabilities: Vec::new(), score: 0.0, state: guide.start() }];
    let mut asked = vec![Continuation { row: 0, token: START }];
    let mut done: Vec<Reading> = Vec::new();
    let mut tokens: Vec<(u32, f32)> = Vec::with_capacity(offered + 1);
    let mut candidates: Vec<Candidate<G::State>> = Vec::new();
    let mut alone = !guide.forbids();
    for _ in 0..plan.tokens {
        let logits = model.step(&asked)?;
        let vocabulary = (logits.len() / asked.len()).max(1);
        candidates.clear();
        for (row, (beam, logits)) in beams.iter().zip(logits.chunks_exact(vocabulary)).enumerate() {
            likeliest(logits, offered, &mut tokens);
            let first = beam.tokens.is_empty();
            // Asked of the model alone: a guide's wishes make no speech of noise.
            if first && tokens.iter().any(|(token, log)| *token == END && *log > SILENT) {
                return Ok(Vec::new());
            }
            for &(token, log_probability) in &tokens {
                let (state, bonus) = if token == END {
                    if first {
                        continue;
                    }
                    (None, guide.end(&beam.state))
                } else {
                    let Some(piece) = pieces.text(token) else { continue };
                    let (state, bonus) = guide.extend(&beam.state, piece);
                    (Some(state), bonus)
                };
                let score = beam.score + log_probability + bonus;
                if score.is_finite() {
                    candidates.push(Candidate { row, token, log_probability, score, state });
                }
            }
        }
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        alone = alone && is_sure(&candidates, pieces, guide, plan);
        let (width, ahead) = if alone { (1, 0) } else { (width, plan.ahead) };
        let mut next: Vec<Beam<G::State>> = Vec::with_capacity(width + ahead);
        asked.clear();
        promote(&mut candidates, guide, width, ahead);
        for (rank, candidate) in candidates.drain(..).enumerate() {
            let before = &beams[candidate.row];
            let Some(state) = candidate.state else {
                // An end that others beat is not one: each text has one in every step.
                if rank < width {
                    done.push(Reading {
                        tokens: before.tokens.clone(),
                        log_probabilities: before.log_probabilities.clone(),
                        end: candidate.log_probability,
                        score: candidate.score,
                        doubtful: candidate.score < guide.least(&before.state),
                        circular: false,
                    });
                }
                continue;
            };
            let mut tokens = before.tokens.clone();
            let mut log_probabilities = before.log_probabilities.clone();
            tokens.push(candidate.token);
            log_probabilities.push(candidate.log_probability);
            if let Some(length) = once_around(&tokens) {
                tokens.truncate(length);
                log_probabilities.truncate(length);
                let score = candidate.score;
                done.push(Reading { tokens, log_probabilities, end: 0.0, score, doubtful: false, circular: true });
                continue;
            }
            asked.push(Continuation { row: candidate.row, token: candidate.token });
            next.push(Beam { tokens, log_probabilities, score: candidate.score, state });
            if next.len() == width + ahead {
                break;
            }
        }
        beams = next;
        let best = done.iter().filter(|reading| !reading.circular).map(|reading| reading.score).reduce(f32::max);
        let hopeless = best.is_some_and(|best| beams.iter().all(|beam| beam.score < best - HOPELESS));
        // Texts of fewer tokens end first: that alone makes them no better than one that is still ahead of them.
        let open = best.is_some_and(|best| beams.iter().any(|beam| beam.score > best));
        if beams.is_empty() || hopeless || done.len() >= 2 * width || (done.len() >= width && !open) {
            beams.clear();
            break;
        }
    }
    // Those that were still being written when the tokens ran out.
    done.extend(beams.into_iter().map(|beam| Reading {
        tokens: beam.tokens,
        log_probabilities: beam.log_probabilities,
        end: 0.0,
        score: beam.score,
        doubtful: beam.score < guide.least(&beam.state),
        circular: false,
    }));
    for reading in &mut done {
        if let Some(once) = said_twice(&reading.tokens, pieces).filter(|_| !guide.may_repeat()) {
            reading.tokens.truncate(once);
            reading.log_probabilities.truncate(once);
        }
        reading.score += guide.sense(&pieces.decode(&reading.tokens));
    }
    done.sort_by(order);
    if done.first().is_some_and(|best| best.doubtful) {
        done.clear();
    }
    Ok(done)
}

/// Whether the best candidate is the only one that matters: no other word comes near it, and none that may come next would
/// bring another text before it. How a word is written and where a comma stands is no other word.
fn is_sure<G: Guide>(candidates: &[Candidate<G::State>], pieces: &Pieces, guide: &G, plan: Plan) -> bool {
    let Some((best, others)) = candidates.split_first() else { return true };
    let text = |candidate: &Candidate<G::State>| pieces.text(candidate.token).unwrap_or_default();
    let divides = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_whitespace() || c.is_ascii_punctuation());
    let ours = text(best);
    let near = |other: &Candidate<G::State>| other.score > best.score - plan.sure;
    let differs = |other: &Candidate<G::State>| {
        let text = text(other);
        !divides(ours)
            && !divides(text)
            && (best.state.is_none() || other.state.is_none() || !text.eq_ignore_ascii_case(ours))
    };
    let awaited = |other: &Candidate<G::State>| {
        plan.ahead > 0 && other.state.as_ref().is_some_and(|state| other.score + guide.ahead(state) > best.score)
    };
    !others.iter().any(|other| near(other) && differs(other) || awaited(other))
}

/// Leaves the best `width` candidates that go on (and the ends among them), and behind them the `ahead` best of the others by
/// what may come next.
fn promote<G: Guide>(candidates: &mut Vec<Candidate<G::State>>, guide: &G, width: usize, ahead: usize) {
    let mut going = 0;
    let kept = candidates.iter().position(|candidate| {
        going += usize::from(candidate.state.is_some());
        going == width
    });
    let Some(kept) = kept.map(|at| at + 1).filter(|kept| *kept < candidates.len()) else { return };
    let least = candidates[0].score - AHEAD_HOPE;
    let mut rest: Vec<(f32, Candidate<G::State>)> = Vec::new();
    if ahead > 0 {
        for candidate in candidates.drain(kept..) {
            let Some(state) = &candidate.state else { continue };
            let more = guide.ahead(state);
            if more > 0.0 && candidate.score + more > least {
                rest.push((candidate.score + more, candidate));
            }
        }
        rest.sort_by(|a, b| b.0.total_cmp(&a.0));
    }
    candidates.truncate(kept);
    candidates.extend(rest.into_iter().take(ahead).map(|(_, candidate)| candidate));
}

/// The best first; a text that was cut only where there is no other.
fn order(a: &Reading, b: &Reading) -> Ordering {
    a.circular.cmp(&b.circular).then(b.score.total_cmp(&a.score))
}

/// Tokens of a sentence that may have been written twice.
const TWICE_MIN: usize = 10;

/// Tokens after which a text only says again, in the very same words, what it has said: the base model writes a sentence twice
/// where the line falls silent behind it. Whoever does say it twice has said it once.
fn said_twice(tokens: &[u32], pieces: &Pieces) -> Option<usize> {
    if tokens.len() < TWICE_MIN {
        return None;
    }
    let words = |tokens: &[u32]| -> String {
        let text = pieces.decode(tokens).to_lowercase();
        text.chars().filter(|c| c.is_alphanumeric()).collect()
    };
    // Only one of them may have a full stop.
    let middle = tokens.len() / 2;
    (middle - 1..=middle + 1).find(|at| {
        let (first, second) = (words(&tokens[..*at]), words(&tokens[*at..]));
        !first.is_empty() && first == second
    })
}

/// Where to cut a text whose end is the same round of tokens again and again: after the first round. `None` for what people
/// may say: they repeat a digit or a yes, but not a sentence three times in the very same words.
fn once_around(tokens: &[u32]) -> Option<usize> {
    (1..=ROUND_MAX).find_map(|round| {
        let times = match round {
            1 => 8,
            2 => 6,
            3..=6 => 4,
            _ => 3,
        };
        let tail = tokens.len().checked_sub(round * times).map(|start| &tokens[start..])?;
        let same = tail.iter().zip(&tail[round..]).all(|(a, b)| a == b);
        same.then_some(tokens.len() - round * (times - 1))
    })
}

#[cfg(test)]
mod tests;
