//! Answers that leave out what was asked: "it is", "i do not", "we think so", "why not". Pure. They are whole, though their last
//! words open a sentence elsewhere (Quirk et al., "A comprehensive grammar of the English language", 1985, 12.31).
//! Deliberately absent: a yes or no before them, and whether one was asked for (`said`).

const SUBJECT: &[&str] = &["i", "you", "it", "he", "she", "we", "they", "that", "this", "there"];
const AUXILIARY: &[&str] = &[
    "am", "are", "can", "could", "did", "do", "does", "had", "has", "have", "is", "might", "should", "was", "were",
    "will", "would",
];
const NEGATED: &[&str] = &[
    "aren't",
    "can't",
    "cannot",
    "couldn't",
    "didn't",
    "doesn't",
    "don't",
    "hadn't",
    "hasn't",
    "haven't",
    "isn't",
    "shouldn't",
    "wasn't",
    "weren't",
    "won't",
    "wouldn't",
];
const OPINION: &[&str] = &["believe", "guess", "hope", "suppose", "think"];
const PHRASES: &[&[&str]] = &[
    &["why", "not"],
    &["of", "course"],
    &["of", "course", "not"],
    &["go", "on"],
    &["not", "really"],
    // To a question that was not understood.
    &["what"],
    &["pardon"],
    &["sorry"],
];

/// Log odds that nothing more belongs to it. A clause that says no is gone on with more often: "i am not sure".
const WHOLE: f32 = 1.3;
const CLAUSE: f32 = 1.0;
const DENIAL: f32 = 0.6;

/// Of these words, lower case, without a yes or no before them; `None`: they are no such answer.
pub(super) fn odds(words: &[&str]) -> Option<f32> {
    if PHRASES.contains(&words) {
        return Some(WHOLE);
    }
    let opinion = match words {
        ["i" | "we", "do", "not", opinion, "so" | "not"]
        | ["i" | "we", "don't", opinion, "so" | "not"]
        | ["i" | "we", opinion, "so" | "not"] => Some(*opinion),
        _ => None,
    };
    if opinion.is_some_and(|opinion| OPINION.contains(&opinion)) {
        return Some(WHOLE);
    }
    match words {
        // "that is…": what?
        ["that", "is"] => None,
        [subject, verb] if SUBJECT.contains(subject) && AUXILIARY.contains(verb) => Some(CLAUSE),
        [subject, verb] if SUBJECT.contains(subject) && NEGATED.contains(verb) => Some(DENIAL),
        [subject, verb, "not"] if SUBJECT.contains(subject) && AUXILIARY.contains(verb) => Some(DENIAL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_that_leave_out_what_was_asked() {
        let of = |text: &str| odds(&text.split(' ').collect::<Vec<_>>());
        for (text, expected) in [
            ("it is", Some(CLAUSE)),
            ("we have", Some(CLAUSE)),
            ("i do not", Some(DENIAL)),
            ("they don't", Some(DENIAL)),
            ("i think so", Some(WHOLE)),
            ("we do not hope so", Some(WHOLE)),
            ("i hope not", Some(WHOLE)),
            ("why not", Some(WHOLE)),
            ("that is", None),
            ("i think", None),
            ("i have a", None),
            ("it", None),
            ("the is", None),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(odds(&[]), None);
    }
}
