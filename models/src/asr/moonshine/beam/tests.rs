//! The search for texts with models small enough to be foretold. Purpose: what greed misses, guides, circles, silence and
//! what is no number. Owning thread: the test. Invariants: fakes check the rows that they are asked for. Deliberately
//! absent: the real model (`tests/moonshine.rs`).

use super::super::tokens::pieces_of;
use super::*;
use proptest::prelude::*;
use std::convert::Infallible;

const A: u32 = 3;
const B: u32 = 4;
const C: u32 = 5;
/// Of one text alone nobody is ever sure.
const NEVER: f32 = f32::INFINITY;

fn abc() -> Pieces {
    pieces_of(&["▁a", "▁b", "▁c"])
}

/// A model that answers by what was written so far; it checks that it is asked for what it was told before.
struct Fake<F> {
    answer: F,
    texts: Vec<Vec<u32>>,
    out: Vec<f32>,
    steps: usize,
    /// Texts asked for in each.
    rows: Vec<usize>,
}

impl<F: FnMut(&[u32]) -> Vec<f32>> Fake<F> {
    fn new(answer: F) -> Self {
        Self { answer, texts: vec![Vec::new()], out: Vec::new(), steps: 0, rows: Vec::new() }
    }
}

impl<F: FnMut(&[u32]) -> Vec<f32>> Steps for Fake<F> {
    type Error = Infallible;

    fn step(&mut self, asked: &[Continuation]) -> Result<&[f32], Infallible> {
        self.steps += 1;
        self.rows.push(asked.len());
        let extended = |next: &Continuation| {
            let mut text = self.texts[next.row].clone();
            text.push(next.token);
            text
        };
        self.texts = asked.iter().map(extended).collect();
        self.out.clear();
        for text in &self.texts {
            assert_eq!(text[0], START);
            self.out.extend((self.answer)(&text[1..]));
        }
        Ok(&self.out)
    }
}

/// Logits of the six tokens from probabilities of end, a, b, c.
fn odds([end, a, b, c]: [f32; 4]) -> Vec<f32> {
    let never = f32::NEG_INFINITY;
    vec![never, never, end.ln(), a.ln(), b.ln(), c.ln()]
}

/// The likelier beginning leads to nothing much: only whoever keeps both finds "b c".
fn trap(text: &[u32]) -> Vec<f32> {
    odds(match text {
        [] => [0.0, 0.6, 0.4, 0.0],
        [A] => [0.0, 0.34, 0.33, 0.33],
        [B] => [0.0, 0.0, 0.05, 0.95],
        _ => [0.97, 0.01, 0.01, 0.01],
    })
}

fn found<G: Guide>(answer: impl FnMut(&[u32]) -> Vec<f32>, guide: &G, width: usize, tokens: usize) -> Vec<Reading> {
    let Ok(readings) = search(&mut Fake::new(answer), &abc(), guide, Plan { width, ahead: 0, sure: NEVER, tokens });
    readings
}

/// Likes one word, and how much it is said.
struct Likes(&'static str, f32);

impl Guide for Likes {
    type State = usize;

    fn start(&self) -> usize {
        0
    }

    fn extend(&self, state: &usize, piece: &str) -> (usize, f32) {
        (state + 1, if piece == self.0 { self.1 } else { 0.0 })
    }

    fn end(&self, state: &usize) -> f32 {
        f32::from(u8::from(*state == 0))
    }
}

/// Believes nothing that is less likely.
struct Doubts(f32);

impl Guide for Doubts {
    type State = usize;

    fn start(&self) -> usize {
        0
    }

    fn extend(&self, state: &usize, _piece: &str) -> (usize, f32) {
        (state + 1, 0.0)
    }

    fn end(&self, _state: &usize) -> f32 {
        0.0
    }

    fn least(&self, state: &usize) -> f32 {
        *state as f32 * self.0
    }
}

/// Knows that "b" leads on, and which whole text is meant.
struct Knows {
    ahead: f32,
    meant: &'static str,
}

impl Guide for Knows {
    type State = bool;

    fn start(&self) -> bool {
        false
    }

    fn extend(&self, _state: &bool, piece: &str) -> (bool, f32) {
        (piece == " b", 0.0)
    }

    fn end(&self, _state: &bool) -> f32 {
        0.0
    }

    fn ahead(&self, state: &bool) -> f32 {
        if *state { self.ahead } else { 0.0 }
    }

    fn sense(&self, text: &str) -> f32 {
        if text.trim() == self.meant { 3.0 } else { 0.0 }
    }
}

#[test]
fn what_leads_on_is_pursued_and_never_counted() {
    let search = |guide: Knows, ahead| {
        let Ok(readings) =
            search(&mut Fake::new(trap), &abc(), &guide, Plan { width: 1, ahead, sure: NEVER, tokens: 10 });
        readings
    };
    let knows = |ahead| Knows { ahead, meant: "" };
    assert_eq!(search(knows(9.0), 0)[0].tokens[..1], [A]);
    let best = &search(knows(9.0), 1)[0];
    assert_eq!(best.tokens, [B, C]);
    assert!((best.score - (0.4_f32 * 0.95 * 0.97).ln()).abs() < 1e-5, "{best:?}");
    // Nothing to come: no place beside the best.
    assert_eq!(search(knows(0.0), 1)[0].tokens[..1], [A]);
}

#[test]
fn a_text_that_makes_sense_goes_before_one_that_sounds_a_little_better() {
    let likely = |text: &[u32]| odds(if text.is_empty() { [0.0, 0.6, 0.3, 0.1] } else { [1.0, 0.0, 0.0, 0.0] });
    let meant = |meant| found(likely, &Knows { ahead: 0.0, meant }, 3, 10)[0].tokens.clone();
    assert_eq!((meant(""), meant("b")), (vec![A], vec![B]));
}

/// Wants to end.
struct Stops;

impl Guide for Stops {
    type State = ();

    fn start(&self) {}

    fn extend(&self, (): &(), _piece: &str) -> ((), f32) {
        ((), 0.0)
    }

    fn end(&self, (): &()) -> f32 {
        5.0
    }
}

#[test]
fn silence_is_the_models_word_and_no_guide_overrules_it() {
    let silence = |sure: f32| {
        move |text: &[u32]| odds(if text.is_empty() { [sure, 1.0 - sure, 0.0, 0.0] } else { [1.0, 0.0, 0.0, 0.0] })
    };
    assert!(found(silence(0.9), &Unguided, 4, 10).is_empty());
    assert!(found(silence(0.9), &Likes(" a", 20.0), 4, 10).is_empty());
    // Below that, somebody has said something: what, is the likeliest.
    assert_eq!(found(silence(0.8), &Unguided, 1, 10)[0].tokens, [A]);
    assert_eq!(found(silence(0.8), &Stops, 1, 10)[0].tokens, [A]);
}

#[test]
fn what_the_guide_does_not_believe_is_nothing_and_not_the_next_best() {
    // The best is b, c: 0.4 · 0.95 · 0.97, two tokens long.
    assert_eq!(found(trap, &Doubts(-0.6), 2, 10)[0].tokens, [B, C]);
    assert!(found(trap, &Doubts(-0.4), 2, 10).is_empty());
}

#[test]
fn more_texts_at_once_find_what_greed_misses() {
    assert_eq!(found(trap, &Unguided, 1, 10)[0].tokens[..1], [A]);
    let readings = found(trap, &Unguided, 2, 10);
    assert_eq!(readings[0].tokens, [B, C]);
    let best = &readings[0];
    let sum = best.log_probabilities.iter().sum::<f32>() + best.end;
    assert!((sum - (0.4_f32 * 0.95 * 0.97).ln()).abs() < 1e-5 && (best.score - sum).abs() < 1e-5, "{best:?}");
    assert!(readings.windows(2).all(|pair| pair[0].score >= pair[1].score));
}

#[test]
fn one_text_is_enough_until_another_word_comes_near() {
    // The rows asked for in each step.
    fn rows<G: Guide>(answer: impl FnMut(&[u32]) -> Vec<f32>, guide: &G, ahead: usize) -> (Vec<usize>, Vec<Reading>) {
        let mut fake = Fake::new(answer);
        let Ok(readings) = search(&mut fake, &abc(), guide, Plan { width: 2, ahead, sure: 1.5, tokens: 10 });
        (fake.rows, readings)
    }
    let sure = |text: &[u32]| {
        odds(match text {
            [] => [0.0, 0.9, 0.1, 0.0],
            [A] => [0.0, 0.1, 0.0, 0.9],
            _ => [0.9, 0.05, 0.05, 0.0],
        })
    };
    let (asked, readings) = rows(sure, &Unguided, 0);
    assert_eq!((asked.as_slice(), readings.len(), readings[0].tokens.as_slice()), (&[1, 1, 1][..], 1, &[A, C][..]));
    // What may come next would bring the other before it.
    assert!(rows(sure, &Knows { ahead: 9.0, meant: "" }, 1).0.iter().any(|rows| *rows > 1));
    // Near from the first word on: the search is as wide as ever, and finds what greed misses.
    let (asked, readings) = rows(trap, &Unguided, 0);
    assert_eq!((asked[1], readings[0].tokens.as_slice()), (2, &[B, C][..]));
    // Doubt comes late, and stays.
    let late = |text: &[u32]| {
        odds(match text {
            [] => [0.0, 0.9, 0.1, 0.0],
            [A] => [0.0, 0.0, 0.55, 0.45],
            [A, _] => [0.0, 1.0, 0.0, 0.0],
            _ => [1.0, 0.0, 0.0, 0.0],
        })
    };
    let (asked, readings) = rows(late, &Unguided, 0);
    assert_eq!((asked.as_slice(), readings.len()), (&[1, 1, 2, 2][..], 2));
}

/// Lets nothing come after "a".
struct Forbids;

impl Guide for Forbids {
    type State = bool;

    fn start(&self) -> bool {
        false
    }

    fn extend(&self, state: &bool, piece: &str) -> (bool, f32) {
        (piece == " a", if *state { f32::NEG_INFINITY } else { 0.0 })
    }

    fn end(&self, state: &bool) -> f32 {
        if *state { f32::NEG_INFINITY } else { 0.0 }
    }

    fn forbids(&self) -> bool {
        true
    }
}

#[test]
fn the_likeliest_text_is_not_pursued_alone_where_a_guide_may_forbid_its_end() {
    let plan = Plan { width: 2, ahead: 0, sure: 0.1, tokens: 10 };
    let Ok(readings) = search(&mut Fake::new(trap), &abc(), &Forbids, plan);
    assert_eq!(readings.first().map(|best| best.tokens.as_slice()), Some(&[B, C][..]));
}

#[test]
fn how_a_word_is_written_is_no_doubt() {
    let pieces = pieces_of(&["▁a", "▁A", ","]);
    let candidate =
        |token: u32, score: f32| Candidate { row: 0, token, log_probability: score, score, state: Some(()) };
    let plan = Plan { width: 4, ahead: 0, sure: 1.5, tokens: 10 };
    let other_case = [candidate(3, -0.7), candidate(4, -0.8), candidate(5, -0.9)];
    assert!(is_sure(&other_case, &pieces, &Unguided, plan));
    assert!(
        is_sure(&[candidate(5, -0.7), candidate(3, -0.8)], &pieces, &Unguided, plan),
        "after a comma it looks again"
    );
    let end = Candidate { state: None, ..candidate(END, -0.8) };
    assert!(!is_sure(&[candidate(3, -0.7), end], &pieces, &Unguided, plan), "to end is another text");
    assert!(is_sure::<Unguided>(&[], &pieces, &Unguided, plan));
}

#[test]
fn a_guide_changes_the_choice_but_not_the_probabilities() {
    // "c" is the model's last choice at the first word and yet wins, even where a single text is kept.
    let heard = |text: &[u32]| odds(if text.is_empty() { [0.001, 0.7, 0.2, 0.099] } else { [0.97, 0.01, 0.01, 0.01] });
    assert_eq!(found(heard, &Unguided, 1, 10)[0].tokens, [A]);
    let readings = found(heard, &Likes(" c", 3.0), 1, 10);
    assert_eq!(readings[0].tokens, [C]);
    assert!((readings[0].log_probabilities[0] - 0.099_f32.ln()).abs() < 1e-4);
    assert!((readings[0].score - (0.099_f32.ln() + 3.0 + 0.97_f32.ln())).abs() < 1e-4);
    // Its opinion of the end counts as well.
    let on = |text: &[u32]| odds(if text.len() < 3 { [0.1, 0.9, 0.0, 0.0] } else { [1.0, 0.0, 0.0, 0.0] });
    assert_eq!(found(on, &Unguided, 1, 10)[0].tokens, [A; 3]);
    assert_eq!(found(on, &Stops, 1, 10)[0].tokens, [A]);
}

#[test]
fn a_text_that_runs_in_circles_is_cut_after_the_first_round() {
    let circles =
        |text: &[u32]| odds(if text.len().is_multiple_of(2) { [0.0, 1.0, 0.0, 0.0] } else { [0.0, 0.0, 1.0, 0.0] });
    let readings = found(circles, &Unguided, 1, 100);
    assert_eq!((readings.len(), readings[0].circular, readings[0].tokens.as_slice()), (1, true, &[A, B][..]));
    // One that ends is better, however unlikely it is.
    let or_end = |text: &[u32]| odds(if text.len() == 1 { [0.1, 0.9, 0.0, 0.0] } else { [0.0, 1.0, 0.0, 0.0] });
    assert!(!found(or_end, &Unguided, 2, 100)[0].circular);
}

#[test]
fn people_repeat_words_and_digits() {
    for kept in [&[A; 7][..], &[A, B, A, B, A, B, A, B, A, B], &[A, B, C, A, B, C, A, B, C], &[A, B, C, 6, 7, 8, 9, 10]]
    {
        assert_eq!(once_around(kept), None, "{kept:?}");
    }
    assert_eq!(once_around(&[C, B, A, A, A, A, A, A, A, A]), Some(3));
    assert_eq!(once_around(&[C, A, B, C, A, B, C, A, B, C, A, B]), Some(3));
    let sentence = [A, B, C, 6, 7, 8, 9];
    assert_eq!(once_around(&sentence.repeat(3)), Some(7));
}

#[test]
fn a_sentence_that_is_written_twice_is_found() {
    let once = [A, B, C, A, A, B, C];
    assert_eq!(said_twice(&once.repeat(2), &abc()), Some(7));
    let mut other = once.repeat(2);
    other[13] = A;
    assert_eq!(said_twice(&other, &abc()), None);
    // The full stop is one of them alone.
    let [take, the, deals, away, stop] = [A, B, C, A, 6];
    let pieces = pieces_of(&["▁a", "▁b", "▁c", "."]);
    assert_eq!(said_twice(&[take, the, deals, away, C, stop, take, the, deals, away, C], &pieces), Some(5));
    assert_eq!(said_twice(&once[..4].repeat(2), &abc()), None);
}

#[test]
fn a_text_without_an_end_stops_at_the_limit() {
    let on = |text: &[u32]| odds([0.0, [0.5, 0.3, 0.2][text.len() % 3], 0.3, 0.2]);
    let readings = found(on, &Unguided, 3, 5);
    assert!(readings.iter().all(|reading| reading.tokens.len() <= 5 && reading.end == 0.0), "{readings:?}");
}

#[test]
fn what_is_no_number_is_no_choice() {
    assert!(found(|_| vec![f32::NAN; 6], &Unguided, 4, 10).is_empty());
    assert!(found(|_| Vec::new(), &Unguided, 4, 10).is_empty());
    let half = |text: &[u32]| {
        let mut logits = trap(text);
        logits[A as usize] = f32::NAN;
        logits
    };
    assert_eq!(found(half, &Unguided, 2, 10)[0].tokens, [B, C]);
    assert_eq!(found(trap, &Likes(" b", f32::NAN), 2, 10)[0].tokens[..1], [A]);
    assert!(found(trap, &Likes(" b", f32::INFINITY), 2, 10).iter().all(|reading| reading.score.is_finite()));
}

proptest! {
    #[test]
    fn any_model_gives_texts_in_order(
        table in prop::collection::vec(prop_oneof![8 => -30.0_f32..30.0, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY)], 7 * 6),
        width in 0_usize..6,
        ahead in 0_usize..3,
        sure in prop_oneof![0.0_f32..4.0, Just(NEVER)],
        tokens in 0_usize..30,
    ) {
        // What follows depends on the last token and on whether the text is of even length.
        let answer = |text: &[u32]| {
            let row = text.last().map_or(6, |last| (*last as usize + text.len() % 2) % 6);
            table[row * 6..row * 6 + 6].to_vec()
        };
        let mut fake = Fake::new(answer);
        let plan = Plan { width, ahead, sure, tokens };
        let Ok(readings) = search(&mut fake, &abc(), &Knows { ahead: 2.0, meant: "b a" }, plan);
        prop_assert!(fake.steps <= tokens);
        prop_assert!(readings.len() <= 4 * width.max(1));
        for reading in &readings {
            prop_assert!(reading.tokens.len() <= tokens && reading.tokens.len() == reading.log_probabilities.len());
            prop_assert!(reading.tokens.iter().all(|token| (A..=C).contains(token)));
            prop_assert!(reading.log_probabilities.iter().all(|log| *log <= 0.0) && reading.score.is_finite());
        }
        for pair in readings.windows(2) {
            prop_assert!(pair[1].circular || !pair[0].circular);
            prop_assert!(pair[1].circular || pair[0].score >= pair[1].score);
        }
    }
}
