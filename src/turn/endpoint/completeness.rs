//! How likely words are a finished utterance. Pure: a logistic regression over word classes (`word`), its constants in
//! `table`, and over the words themselves (`wording`), trained by `models/endpoint_words.py` on sentences and their
//! beginnings. Log odds, where as many silences are ends as are not. Deliberately absent: what was asked for, short answers,
//! digits and spelling (`said`).

use super::word::Class;
use super::{table, wording};

/// Log odds that nothing more belongs to these words, lower case. Of no words: those of a beginning.
pub(super) fn completeness(words: &[&str]) -> f32 {
    let classes: Vec<Class> = words.iter().map(|word| Class::of(word)).collect();
    let at = |n: usize| classes.len().checked_sub(n).map_or(Class::Start, |n| classes[n]);
    let (last, before, third) = (at(1), at(2), at(3));
    let ends = one(table::LAST, last) + one(table::BEFORE, before);
    let pairs = two(table::PAIR, before, last) + two(table::THIRD, third, last);
    table::BIAS + ends + pairs + shape(words, &classes) + wording::odds(words, &classes)
}

fn shape(words: &[&str], classes: &[Class]) -> f32 {
    let opens = |class: &Class| !matches!(class, Class::Filler | Class::Opener | Class::Answer | Class::Coordinator);
    let joins = |class: &Class| matches!(class, Class::Coordinator | Class::Subordinator);
    let sentence = &classes[classes.iter().position(opens).unwrap_or(classes.len())..];
    // The clause begins after the last word that joins two.
    let joint = sentence.iter().skip(1).rposition(joins).map(|n| n + 1);
    let clause = &sentence[joint.map_or(0, |n| n + 1)..];
    let bucket = |table: &[f32], n: usize| table[n.min(table.len() - 1)];
    let mut odds = bucket(&table::WORDS, sentence.len()) + bucket(&table::CLAUSE, clause.len());
    let since = clause.iter().rev().position(|class| class.is_verb());
    odds += since.map_or(table::NO_VERB, |since| bucket(&table::SINCE_VERB, since));
    if let Some(first) = sentence.first() {
        odds += one(table::FIRST, *first);
        if *first == Class::Subordinator && joint.is_none() {
            odds += table::ONLY_SUBORDINATE;
        }
        if !first.is_verb() && clause.iter().filter(|class| class.is_verb()).count() == 1 {
            odds += table::ONE_VERB;
        }
    }
    odds + missing(words, classes, sentence, clause, joint.map(|n| sentence[n]), since)
}

/// What grammar knows to be missing, or not to be.
fn missing(
    words: &[&str],
    classes: &[Class],
    sentence: &[Class],
    clause: &[Class],
    joint: Option<Class>,
    since: Option<usize>,
) -> f32 {
    let at = |n: usize| classes.len().checked_sub(n).map_or(Class::Start, |n| classes[n]);
    let (last, before, third) = (at(1), at(2), at(3));
    let (mut odds, mut asked) = (0.0, false);
    // "how many companies", "i know who": what was begun has no verb yet. "who my guests are" has.
    let wh = (0..classes.len()).rev().find(|n| classes[*n] == Class::Wh || (*n > 0 && words[*n] == "who"));
    if let Some(after) = wh.map(|n| &classes[n + 1..]) {
        if !after.iter().any(|class| class.is_verb()) {
            odds += table::ASKS_WITHOUT_VERB;
        } else if after.len() > 1 && !after[0].is_verb() && (last.is_verb() || last == Class::Preposition) {
            asked = true;
            odds += if last == Class::Be { table::ASKED_WHO_IT_IS } else { table::ASKED_BEFORE };
        }
    }
    // "because my contacts".
    let subordinate = joint.or(clause.first().copied()) == Some(Class::Subordinator);
    if subordinate && since.is_none() {
        odds += table::SUBORDINATE_WITHOUT_VERB;
    }
    if asks_of_nothing(sentence) {
        odds += table::ASKS_OF_NOTHING;
    }
    // "make me": what, is still to be said.
    if last == Class::Object && matches!(before, Class::Give | Class::Say) {
        odds += table::GIVES_NOTHING;
    }
    // "it has to be quick".
    if matches!(last, Class::Adjective | Class::Past | Class::Answer) && (before == Class::Be || third == Class::Be) {
        odds += table::IS_SOMETHING;
    }
    // "for the restaurant": nothing is said of it.
    if sentence.first() == Some(&Class::Preposition) && !classes.iter().any(|class| class.is_verb()) {
        odds += table::PREPOSITION_ALONE;
    }
    // "the thing is": a sentence about to be said.
    if last == Class::Be && since == Some(0) && !asked {
        odds += table::ENDS_IN_BE;
    }
    odds
}

/// "is the door", "can the others": of a question there is only who it is about. "is it" may be all.
fn asks_of_nothing(sentence: &[Class]) -> bool {
    let [ask @ (Class::Be | Class::Do | Class::Modal | Class::Have), about, rest @ ..] = sentence else { return false };
    let alone = matches!(about, Class::Pronoun | Class::Subject | Class::Demonstrative | Class::Thing);
    let named = |class: &Class| {
        matches!(
            class,
            Class::Article
                | Class::Noun
                | Class::Possessive
                | Class::Quantifier
                | Class::Demonstrative
                | Class::Letter
                | Class::Subject
                | Class::Pronoun
        )
    };
    let only_named = (alone || named(about)) && rest.iter().all(named);
    only_named && !(*ask == Class::Be && alone && !rest.is_empty())
}

fn one(table: &[(Class, f32)], class: Class) -> f32 {
    table.iter().find(|(other, _)| *other == class).map_or(0.0, |(_, odds)| *odds)
}

fn two(table: &[(Class, Class, f32)], first: Class, second: Class) -> f32 {
    table.iter().find(|(a, b, _)| *a == first && *b == second).map_or(0.0, |(_, _, odds)| *odds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odds(text: &str) -> f32 {
        completeness(&text.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn the_script_that_made_the_table_counts_the_same() {
        for (text, by_the_script) in [
            ("build me a crm", 1.17),
            ("build me a crm with the", -4.66),
            ("i want to know who my friends are", 1.78),
            ("because my sister", -2.86),
            ("is the door", -1.18),
            ("give me", -2.38),
            ("it has to be cheap", 0.76),
            ("for the restaurant", -1.33),
            ("what do you need", 0.47),
            ("the question is", -4.04),
            ("so um we might", -2.55),
            ("that was all", 0.46),
            ("leave it out please", 1.80),
            ("peter's car", -0.66),
            ("um", -4.01),
            ("i think so but", -1.72),
        ] {
            assert!((odds(text) - by_the_script).abs() < 0.011, "{text}: {} {by_the_script}", odds(text));
        }
    }

    #[test]
    fn a_sentence_is_likelier_finished_than_its_beginnings() {
        for (beginning, whole) in [
            ("could you send us the", "could you send us the menu"),
            ("i need to know who", "i need to know who my neighbours are"),
            ("because my sister", "because my sister was ill"),
            ("is the shop", "is the shop open"),
            ("give me", "give me everything"),
            ("how many people", "how many people are coming"),
            ("it has to be", "it has to be cheap"),
            ("the problem is", "the problem is the noise"),
            ("for the garden and", "for the garden and the house"),
            ("i think", "i think it works"),
        ] {
            assert!(odds(beginning) + 1.0 < odds(whole), "{beginning}: {} {}", odds(beginning), odds(whole));
        }
    }
}
