//! How long sentences take to say. Purpose: what is read back is bounded before anybody has heard too much of it. Pure.
//! Invariant: the embedded voice is not slower than this for anything that is read back (`tests/read_back_length.rs` counts its
//! samples). Deliberately absent: how texts are read (`speech::normalise`); the figures allow for it.

/// Of a letter within a word, seconds.
const LETTER: f32 = 0.057;
/// Of a word, beside its letters.
const WORD: f32 = 0.05;
/// Of a letter that is spelled, as in "CRM".
const SPELLED: f32 = 0.26;
/// Of a digit: "1234" is "one thousand two hundred thirty four".
const DIGIT: f32 = 0.42;
/// At a comma, and behind a sentence.
const COMMA: f32 = 0.15;
const STOP: f32 = 0.45;

/// Seconds that all of it takes at most.
pub(super) fn seconds<S: AsRef<str>>(sentences: &[S]) -> f32 {
    sentences.iter().flat_map(|sentence| sentence.as_ref().split_whitespace()).map(of_word).sum()
}

fn of_word(word: &str) -> f32 {
    let spelled = word.chars().filter(|c| c.is_uppercase()).count() > 1;
    let of_char = |c: char| match c {
        '0'..='9' => DIGIT,
        ',' | ';' | ':' => COMMA,
        '.' | '?' | '!' => STOP,
        _ if spelled && c.is_uppercase() => SPELLED,
        _ => LETTER,
    };
    WORD + word.chars().map(of_char).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_texts_take_longer_and_spelled_ones_longest() {
        assert!(seconds::<&str>(&[]) < f32::EPSILON);
        let of = |text: &str| seconds(&[text]);
        assert!(of("Shall I build it?") < of("Shall I build it now?"));
        assert!(of("a crm") < of("a CRM") && of("ten") < of("1234"));
        assert!((10.0..20.0).contains(&(of("A CRM with contacts, deals and notes.") * 4.0)));
    }
}
