//! Where a text is cut for synthesis. Pure. First audio grows with the length of what is synthesised at once (a statistical
//! voice plans the whole stretch before its first sample), and every cut costs melody: so the first piece is short and the
//! later ones end where a speaker would breathe. Deliberately absent: how words are said (`normalise`).

use super::normalise::SpokenWord;
use super::synthesiser::Haste;

/// Words of the pieces at most, the last number of all that follow; what was said before covers their synthesis. First for a
/// voice whose first sound comes early: 8 words take it about 20 ms. Then for one whose clauses come whole: of those the
/// next may be made in the time that the one before is heard, also while something else has half the core.
const EARLY_WORDS: [usize; 2] = [8, 16];
const WHOLE_WORDS: [usize; 4] = [5, 7, 10, 16];
/// Words that a first piece of a voice whose clauses come whole has at least, where it is cut without punctuation.
const SCRAP_WORDS: usize = 2;
/// Words that may begin a piece where no punctuation helps.
const JOINTS: [&str; 14] =
    ["and", "or", "but", "with", "that", "which", "because", "so", "for", "to", "in", "at", "when", "if"];

/// Words before which a short piece may end where none of those is: phrases begin with them.
const SOFT_JOINTS: [&str; 16] =
    ["a", "an", "the", "your", "my", "our", "of", "from", "by", "on", "is", "are", "has", "have", "will", "can"];

/// A stretch of words that is synthesised at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) words: Vec<SpokenWord>,
    /// Silence after it, ms.
    pub(super) pause_ms: u32,
}

impl Clause {
    /// What the synthesiser is given.
    pub(super) fn text(&self) -> String {
        self.words
            .iter()
            .map(|word| word.spoken.as_str())
            .filter(|spoken| !spoken.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// What is left of it after its first `words` written words.
    pub(super) fn after(&self, words: usize) -> Option<Self> {
        let rest = self.words.get(words..).filter(|rest| !rest.is_empty())?;
        Some(Self { words: rest.to_vec(), pause_ms: self.pause_ms })
    }
}

/// As [`clauses_for`] a voice that begins early.
#[cfg(test)]
pub(super) fn clauses(words: Vec<SpokenWord>) -> Vec<Clause> {
    clauses_for(words, Haste::Early)
}

/// Cuts words into pieces for a voice; every word is in exactly one.
pub(super) fn clauses_for(words: Vec<SpokenWord>, haste: Haste) -> Vec<Clause> {
    let longest: &[usize] = match haste {
        Haste::Early => &EARLY_WORDS,
        Haste::Whole => &WHOLE_WORDS,
    };
    let mut clauses: Vec<Clause> = Vec::new();
    let mut piece: Vec<SpokenWord> = Vec::new();
    for word in words {
        let pause_ms = pause_after(&word.spoken);
        piece.push(word);
        if pause_ms > 0 {
            clauses.push(Clause { words: std::mem::take(&mut piece), pause_ms });
            continue;
        }
        let longest = longest[clauses.len().min(longest.len() - 1)];
        if piece.len() >= longest {
            let least = if haste == Haste::Whole && clauses.is_empty() { SCRAP_WORDS } else { 3 };
            let soft = || joint(&piece, least, &SOFT_JOINTS).filter(|_| haste == Haste::Whole);
            let cut = joint(&piece, least, &JOINTS).or_else(soft).unwrap_or(piece.len());
            let rest = piece.split_off(cut);
            clauses.push(Clause { words: std::mem::replace(&mut piece, rest), pause_ms: 0 });
        }
    }
    if !piece.is_empty() {
        clauses.push(Clause { words: piece, pause_ms: 0 });
    }
    clauses
}

/// The last word at which a piece can be cut so that neither side is a scrap.
fn joint(piece: &[SpokenWord], least: usize, joints: &[&str]) -> Option<usize> {
    (least..piece.len().saturating_sub(1)).rev().find(|at| joints.contains(&piece[*at].spoken.to_lowercase().as_str()))
}

/// A breath where the punctuation asks for one.
fn pause_after(spoken: &str) -> u32 {
    match spoken.chars().last() {
        Some('.' | '!' | '?') => 250,
        Some(';' | ':') => 180,
        Some(',') => 120,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::normalise::normalise;
    use super::*;

    fn cut(text: &str) -> Vec<(String, u32)> {
        clauses_for(normalise(text), Haste::Early).iter().map(|clause| (clause.text(), clause.pause_ms)).collect()
    }

    #[test]
    fn cuts_at_punctuation_first_and_at_joints_where_there_is_none() {
        assert_eq!(cut("Hello, this is Grace."), [("Hello,".into(), 120), ("this is Grace.".into(), 250)]);
        assert_eq!(
            cut("I will build a small tool that keeps your contacts and deals together for the sales team"),
            [
                ("I will build a small tool".into(), 0),
                ("that keeps your contacts and deals together for the sales team".into(), 0)
            ]
        );
        assert_eq!(cut(""), []);
    }

    #[test]
    fn every_word_is_in_exactly_one_piece_and_the_first_is_short() {
        let text =
            "one two three four five six seven eight nine ten, eleven twelve thirteen fourteen fifteen. ".repeat(5);
        let words = normalise(&text);
        for (haste, first) in [(Haste::Early, 8), (Haste::Whole, 5)] {
            let pieces = clauses_for(words.clone(), haste);
            let joined: Vec<_> = pieces.iter().flat_map(|piece| piece.words.clone()).collect();
            assert_eq!(joined, words);
            assert!(pieces[0].words.len() <= first);
            assert!(pieces.iter().all(|piece| piece.words.len() <= 16));
        }
    }

    #[test]
    fn a_voice_whose_clauses_come_whole_begins_with_few_words_and_grows() {
        let cut = |text: &str| -> Vec<String> {
            clauses_for(normalise(text), Haste::Whole).iter().map(Clause::text).collect()
        };
        assert_eq!(
            cut(
                "I will build a small tool that keeps your contacts and deals together for the sales team in one place"
            ),
            [
                "I will build",
                "a small tool",
                "that keeps your contacts and deals together",
                "for the sales team in one place"
            ]
        );
        assert_eq!(cut("I can look for the invoice of the customer")[0], "I can look");
        assert_eq!(cut("Your build is done."), ["Your build is done."]);
    }
}
