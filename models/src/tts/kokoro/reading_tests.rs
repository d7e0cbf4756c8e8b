//! Clauses as the model is given them, with a dictionary of a dozen words.

use super::*;
use crate::pack::kokoro::SYMBOLS;

const GENERAL: &str = "a. EY\nbe B IY\nc. S IY\ncontacts K AA N T AE K T S\ncrm S IY AA R EH M\nhello HH AH L OW\ni AY\n\
    information IH N F ER M EY SH AH N\nit IH T\nm. EH M\noffice AO F AH S\nr. AA R\nrecord R AH K AO R D\nthe DH AH\nto T UW\n\
    yes Y EH S\n";

fn reading(accent: Accent) -> Option<Reading> {
    let rules = match LetterToSound::load(&Assets::locate()) {
        Ok(rules) => rules,
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        Err(error) => {
            eprintln!("skipped: {error}");
            return None;
        }
    };
    Some(Reading { dictionary: Dictionary::of(GENERAL.into()), rules, accent })
}

#[test]
fn clauses_keep_their_marks_and_swallow_what_people_swallow() {
    let Some(us) = reading(Accent::American) else { return };
    assert_eq!(us.clause("Hello, the office!", &[]), "həlˈO, ði ˈɔfəs!");
    assert_eq!(us.clause("the contacts to it", &[]), "ðə kˈɑntˌækts tʊ ˈɪt");
    assert_eq!(us.clause("Yes. — To be?", &[]), "jˈɛs. tə bˈi?");
    assert_eq!(us.clause(" — ", &[]), "");
    assert_eq!(us.clause("information", &[]), "ˌɪnfəɹmˈAʃᵊn");
}

#[test]
fn initials_are_one_name_and_no_word_is_lost() {
    let Some(us) = reading(Accent::American) else { return };
    assert_eq!(us.clause("C R M, hello", &[]), "sˌiˌɑɹˈɛm, həlˈO");
    assert_eq!(us.clause("hello A", &[]), "həlˈO ˈA");
    assert_eq!(us.clause("x7", &[]), "sˈɛvən", "a letter that the dictionary lacks is left out, the digit stays");
    let said = us.clause("zendora's callwright", &[]);
    assert!(said.contains("z k") && said.matches('ˈ').count() == 2, "{said}");
}

#[test]
fn sounds_that_are_given_are_said() {
    let Some(us) = reading(Accent::American) else { return };
    assert_eq!(us.clause("hello CRM, hello", &[(1, "s iy0 aa0 r eh1 m")]), "həlˈO siɑɹˈɛm, həlˈO");
    assert_eq!(us.clause("the zzq", &[(1, "ey1 b l ax0")]), "ði ˈAblə");
    assert_eq!(us.clause("A Nguyen", &[(0, "ey1"), (1, "w ih1 n")]), "ˈA wˈɪn");
}

#[test]
fn verbs_are_told_from_nouns_by_what_stands_before_them() {
    let Some(us) = reading(Accent::American) else { return };
    assert_eq!(us.clause("to record the record", &[]), "tə ɹɪkˈɔɹd ðə ɹˈɛkəɹd");
    assert_eq!(us.clause("read it", &[]), "ɹˈid ˈɪt");
    assert!(us.clause("it is live", &[]).ends_with("lˈIv"));
}

#[test]
fn the_british_link_their_r() {
    let Some(gb) = reading(Accent::British) else { return };
    assert_eq!(gb.clause("for it", &[]), "fɔːɹ ˈɪt");
    assert_eq!(gb.clause("for the office", &[]), "fɔː ði ˈɒfəs");
    assert_eq!(gb.clause("C R M", &[]), "sˌiːˌɑːɹˈɛm");
}

#[test]
fn tables_are_in_symbols_that_the_model_knows() {
    for (word, american, british) in WEAK {
        assert!(american.chars().chain(british.chars()).all(|c| SYMBOLS.contains(c)), "{word}");
    }
    for (word, linked) in LINKED {
        assert!(linked.chars().all(|c| SYMBOLS.contains(c)) && WEAK.iter().any(|(known, ..)| *known == word), "{word}");
    }
    assert!("ðitʊə".chars().all(|c| SYMBOLS.contains(c)));
}

#[test]
fn strange_texts_do_no_harm() {
    let Some(us) = reading(Accent::American) else { return };
    for text in ["日本語", "naïve café", "\u{0}", "'", "--", "a'b'c", "ʃ", "....", "I", "I I I I I I", "X Y Z A B C D"]
    {
        let said = us.clause(text, &[(0, "??")]);
        assert!(said.chars().all(|c| SYMBOLS.contains(c)), "{text}: {said}");
    }
}
