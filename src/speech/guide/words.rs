//! The domain's words in their order, for open speech. Purpose: how much likelier a text is from a caller of this agent than
//! from anybody. Pure. Invariants: a word that the domain does not know costs a little and no more, whatever stands around
//! it; a word's bonus is given with its first letters that make a known word, and taken back when more letters follow.
//! Deliberately absent: what is forbidden (nothing is).
//!
//! A word's bonus is `λ·ln((1 − γ) + γ·p(word | two words before) / q(word))`: a mixture of the domain's 3-gram `p` and of
//! speech at large `q`, against speech at large alone, which the engine's own model stands for. `q` falls with the word's
//! length: nothing better is known of words without a corpus, and less is enough to tell "contacts" from "the".

use super::NOTHING;
use super::partial::{Partial, Sign, sign};
use crate::conversation::DomainText;
use crate::speech::language_model::{LanguageModel, START_WORD, Word};
use std::collections::BTreeMap;

/// λ: how much the domain counts against the sound.
const WEIGHT: f32 = 0.5;
/// γ: how much of what callers say is said as the domain has it.
const IN_DOMAIN: f32 = 0.5;
/// −ln q: of any word, and of each of its letters up to so many.
const ANY_WORD: f32 = 3.0;
const EACH_LETTER: f32 = 1.2;
const LETTERS_MAX: usize = 8;
/// Added for acronyms, which engines know least of all words and hear as many others ("sea alarm", "see our end").
const ACRONYM: f32 = 4.0;
/// Added for the agent's own words, which the engine has never read.
const OWN: f32 = 2.0;
/// Added to that where the domain expects such a word at least as much as anywhere, and only the first time: with all of it
/// for every mention, whatever noise leaves open becomes acronyms. Chosen on synthetic sentences that the recogniser had got
/// wrong without it, none of which that asks for nothing may become a request.
pub(super) const CALLED_FOR: f32 = 4.0;
/// How much likelier than in speech at large such a word then is (natural log).
const EXPECTED: f32 = 2.5;
/// The part of its bonus that such a word gets when it is said again.
const AGAIN: f32 = 0.5;
/// The least by which a word has to be expected to be waited for.
const AWAITED: f32 = 1.0;
/// The part of an acronym's bonus that its first letters get: they are seldom anything else.
const SPELLING: f32 = 0.7;
/// Longest acronym that is told from single letters.
const SPELLED_MAX: usize = 5;

/// The words of one domain under one expectation.
#[derive(Debug)]
pub(super) struct Words {
    language: LanguageModel,
    /// Words that are said letter by letter.
    acronyms: Vec<(String, Word)>,
    /// Added for words that the agent is about.
    lifts: BTreeMap<Word, f32>,
    /// Added to that where such a word is expected.
    called_for: f32,
}

/// What is remembered of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct WordState {
    /// The last two words, the older first.
    history: [Option<Word>; 2],
    /// Letters said one by one that may become an acronym.
    spelled: [u8; SPELLED_MAX],
    spelled_count: u8,
    partial: Partial,
    /// All its letters are capitals.
    capitals: bool,
    /// One of the agent's own words has been said.
    own: bool,
    /// A word has been said.
    said: bool,
    /// Given for what is not yet a whole word.
    given: f32,
}

impl Default for WordState {
    fn default() -> Self {
        Self {
            history: [None, Some(START_WORD)],
            spelled: [0; SPELLED_MAX],
            spelled_count: 0,
            partial: Partial::default(),
            capitals: false,
            own: false,
            said: false,
            given: 0.0,
        }
    }
}

impl WordState {
    fn spelled(&self) -> &str {
        // Only ASCII letters get in.
        std::str::from_utf8(&self.spelled[..usize::from(self.spelled_count)]).unwrap_or_default()
    }

    fn passed(&mut self, word: Option<Word>) {
        self.history = [self.history[1], word];
    }
}

impl Words {
    pub(super) fn new(language: LanguageModel, domain: &DomainText, vocabulary: &[String], called_for: f32) -> Self {
        let spelled_in_capitals = vocabulary
            .iter()
            .flat_map(|phrase| phrase.split(|c: char| !c.is_ascii_alphabetic()))
            .filter(|word| word.bytes().all(|b| b.is_ascii_uppercase()))
            .map(str::to_ascii_lowercase);
        let acronyms: Vec<(String, Word)> = domain
            .pronunciations
            .iter()
            .filter(|(word, phones)| is_spelled(word, phones))
            .map(|(word, _)| word.clone())
            .chain(spelled_in_capitals)
            .filter(|word| (2..=SPELLED_MAX).contains(&word.len()))
            .filter_map(|word| language.word(&word).map(|number| (word, number)))
            .collect();
        // The domain's own names are lifted, not the words around them ("blue sky crm").
        let own = vocabulary.iter().filter(|phrase| phrase.bytes().all(|b| b.is_ascii_alphabetic()));
        let mut lifts: BTreeMap<Word, f32> =
            own.filter_map(|word| language.word(&word.to_ascii_lowercase())).map(|word| (word, OWN)).collect();
        lifts.extend(acronyms.iter().map(|(_, word)| (*word, ACRONYM)));
        Self { language, acronyms, lifts, called_for }
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.language.size()
    }

    pub(super) fn extend(&self, mut state: WordState, piece: &str) -> (WordState, f32) {
        let mut bonus = -state.given;
        for character in piece.chars() {
            match sign(character) {
                Sign::Letter(letter) => {
                    state.capitals = (state.capitals || state.partial.is_empty()) && character.is_ascii_uppercase();
                    state.partial.push(letter);
                }
                Sign::Divider => bonus += self.close(&mut state),
            }
        }
        state.given = self.promise(state);
        (state, bonus + state.given)
    }

    pub(super) fn end(&self, mut state: WordState) -> f32 {
        let given = state.given;
        let bonus = self.close(&mut state) + self.flush(&mut state) - given;
        if state.said { bonus } else { bonus + NOTHING }
    }

    /// The most that one of the agent's own words would add if it came next.
    pub(super) fn ahead(&self, mut state: WordState) -> f32 {
        let given = state.given.max(0.0);
        let begun = self.begun(&state).map(|word| self.bonus(&state, word) - given);
        let begun = begun.fold(0.0, f32::max);
        if begun > 0.0 || state.spelled_count > 0 {
            return begun;
        }
        self.close(&mut state);
        self.flush(&mut state);
        let expected = self.lifts.keys().filter(|word| self.likelier(&state, **word) > AWAITED);
        expected.map(|word| self.bonus(&state, *word)).fold(0.0, f32::max)
    }

    /// The acronyms whose first letters the text ends with, in one piece ("CR") or one by one.
    fn begun(&self, state: &WordState) -> impl Iterator<Item = Word> {
        let letters = match state.spelled_count {
            0 if state.capitals => state.partial.word(),
            0 => "",
            _ if state.partial.is_empty() => state.spelled(),
            _ => "",
        };
        let begun =
            move |acronym: &str| !letters.is_empty() && acronym.len() > letters.len() && acronym.starts_with(letters);
        self.acronyms.iter().filter(move |(acronym, _)| begun(acronym)).map(|(_, word)| *word)
    }

    /// What the text's open end is worth as it stands.
    fn promise(&self, mut state: WordState) -> f32 {
        if state.capitals && state.partial.letter().is_none() && (state.spelled_count == 0 || !state.partial.is_empty())
        {
            // Two letters or more: nothing else begins so, and a letter before them ("a CR", as in "API") was a word.
            let mut after = state;
            let before = self.flush(&mut after);
            let begun = self.begun(&after).map(|word| before + self.bonus(&after, word)).fold(f32::MIN, f32::max);
            return self.close(&mut state).max(begun);
        }
        let bonus = self.close(&mut state);
        if state.spelled_count == 0 {
            return bonus;
        }
        let begun =
            self.begun(&state).map(|word| SPELLING * (self.bonus(&state, word) - self.called_for(&state, word)));
        bonus + begun.fold(f32::MIN, f32::max).max(self.flush(&mut state))
    }

    /// The word is over.
    fn close(&self, state: &mut WordState) -> f32 {
        let partial = std::mem::take(&mut state.partial);
        if partial.is_empty() {
            return 0.0;
        }
        state.said = true;
        if partial.is_number() {
            let bonus = self.flush(state);
            state.passed(None);
            return bonus;
        }
        match partial.letter() {
            Some(letter) => self.spell(state, letter),
            None => self.flush(state) + self.say(state, partial.word()),
        }
    }

    /// A letter alone: perhaps one of an acronym.
    fn spell(&self, state: &mut WordState, letter: u8) -> f32 {
        let mut bonus = 0.0;
        loop {
            let count = usize::from(state.spelled_count);
            if count < SPELLED_MAX {
                state.spelled[count] = letter;
                state.spelled_count += 1;
                let spelled = state.spelled();
                if let Some((_, word)) = self.acronyms.iter().find(|(acronym, _)| acronym == spelled) {
                    bonus += self.bonus(state, *word);
                    state.own = true;
                    state.spelled_count = 0;
                    state.passed(Some(*word));
                    return bonus;
                }
                if self.acronyms.iter().any(|(acronym, _)| acronym.starts_with(spelled)) {
                    return bonus;
                }
                state.spelled_count -= 1;
            }
            if state.spelled_count == 0 {
                let alone = [letter];
                return bonus + self.say(state, std::str::from_utf8(&alone).unwrap_or_default());
            }
            // The first letter was a word of its own.
            bonus += self.say_first(state);
        }
    }

    /// Letters that became no acronym are words.
    fn flush(&self, state: &mut WordState) -> f32 {
        let mut bonus = 0.0;
        while state.spelled_count > 0 {
            bonus += self.say_first(state);
        }
        bonus
    }

    fn say_first(&self, state: &mut WordState) -> f32 {
        let first = [state.spelled[0]];
        state.spelled.rotate_left(1);
        state.spelled_count -= 1;
        self.say(state, std::str::from_utf8(&first).unwrap_or_default())
    }

    fn say(&self, state: &mut WordState, word: &str) -> f32 {
        let known = self.language.word(word);
        let bonus = known.map_or_else(|| WEIGHT * (1.0 - IN_DOMAIN).ln(), |word| self.bonus(state, word));
        state.own |= known.is_some_and(|word| self.lifts.contains_key(&word));
        state.passed(known);
        bonus
    }

    fn bonus(&self, state: &WordState, word: Word) -> f32 {
        let likelier = self.likelier(state, word);
        let lift = match self.lifts.get(&word) {
            Some(lift) if state.own => lift * AGAIN,
            Some(lift) => lift + self.called_for(state, word),
            None => 0.0,
        };
        WEIGHT * (1.0 - IN_DOMAIN + IN_DOMAIN * likelier.exp()).ln() + lift
    }

    /// What is added to one of the agent's own words because it was expected.
    fn called_for(&self, state: &WordState, word: Word) -> f32 {
        let first = !state.own && self.lifts.contains_key(&word);
        if first && self.likelier(state, word) > EXPECTED { self.called_for } else { 0.0 }
    }

    /// How much likelier the domain has the word here than speech at large (natural log).
    fn likelier(&self, state: &WordState, word: Word) -> f32 {
        let letters = self.language.name(word).len().min(LETTERS_MAX);
        self.language.log_probability(state.history, word) + ANY_WORD + EACH_LETTER * letters as f32
    }
}

/// The names of the letters, in phones.
#[rustfmt::skip]
const LETTERS: [&str; 26] = [
    "EY", "B IY", "S IY", "D IY", "IY", "EH F", "JH IY", "EY CH", "AY", "JH EY", "K EY", "EH L", "EH M", "EH N", "OW",
    "P IY", "K Y UW", "AA R", "EH S", "T IY", "Y UW", "V IY", "D AH B AH L Y UW", "EH K S", "W AY", "Z IY",
];

/// Whether `phones` say the word letter by letter.
fn is_spelled(word: &str, phones: &str) -> bool {
    let names: Option<Vec<&str>> =
        word.bytes().map(|b| LETTERS.get(usize::from(b.wrapping_sub(b'a'))).copied()).collect();
    names.is_some_and(|names| names.join(" ") == phones)
}
