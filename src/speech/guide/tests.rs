//! What guides give for texts, and what comes of it with the real model.

use super::*;
use crate::conversation::domain;
use crate::limits::VOCABULARY_MAX;
use callwright_dsp::codec::g711;
use callwright_dsp::resample::half_band::Downsampler2;
use callwright_models::asr::Moonshine;
use callwright_models::tts::Flite;
use callwright_models::{Assets, MoonshineSize};
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::sync::LazyLock;

static GUIDE: LazyLock<DomainGuide> = LazyLock::new(|| DomainGuide::new(&domain(), &[]));

/// What the guide adds for a text, cut before each of `cuts`.
fn worth_in_pieces(guide: &ExpectationGuide, text: &str, cuts: &[usize]) -> f32 {
    let (mut state, mut sum, mut from) = (guide.start(), 0.0, 0);
    for to in cuts.iter().copied().chain([text.len()]) {
        let (next, bonus) = guide.extend(&state, &text[from..to]);
        (state, from) = (next, to);
        sum += bonus;
    }
    sum + guide.end(&state)
}

fn worth(expectation: Expectation, text: &str) -> f32 {
    worth_in_pieces(&GUIDE.under(expectation), text, &[])
}

#[test]
fn what_callers_say_is_worth_more_than_what_sounds_like_it() {
    for (expectation, said, heard) in [
        (Expectation::Open, " Please build a CRM.", " Please build a sea arm."),
        (Expectation::Open, " a CRM with contacts and deals", " a CRM with context and deals"),
        (Expectation::Open, " with contacts and deals", " with contacts and dealers"),
        (Expectation::YesNo, " Yes.", " Worse."),
        (Expectation::YesNo, " No.", " Know."),
        (Expectation::YesNo, " Yes.", ""),
        (Expectation::Name, " S M I T H", " Ass am"),
        (Expectation::Digits { max: 10 }, " nine two three", " nine to three"),
    ] {
        assert!(worth(expectation, said) > worth(expectation, heard) + 1.0, "{said} {heard}");
    }
}

#[test]
fn an_acronym_is_the_same_word_however_it_is_written() {
    let spelled = worth(Expectation::Open, " build me a CRM please");
    for text in [
        " Build me a C.R.M. Please.",
        " build me a C. R. M., please",
        " Build me a C-R-M please",
        " build me a c r m please",
    ] {
        assert!((worth(Expectation::Open, text) - spelled).abs() < 1e-4, "{text}");
    }
    // Letters that become none are words of their own.
    assert!(worth(Expectation::Open, " build me a C R and please") < spelled - 2.0);
    assert!(worth(Expectation::Open, " build me a C") < worth(Expectation::Open, " build me a CRM") - 2.0);
}

#[test]
fn a_bonus_is_given_early_and_taken_back() {
    let guide = GUIDE.under(Expectation::Open);
    let (state, _) = guide.extend(&guide.start(), " I need a");
    let (whole, given) = guide.extend(&state, " CRM");
    assert!(given > 1.0, "{given}");
    let (_, back) = guide.extend(&whole, "L");
    assert!(given + back < 0.0, "{given} {back}");
    let (letter, begun) = guide.extend(&state, " C");
    assert!(begun > 0.5 && begun < given, "{begun}");
    let (_, back) = guide.extend(&letter, "AT");
    assert!(begun + back < 0.0, "{begun} {back}");
}

#[test]
fn two_capitals_of_an_acronym_are_worth_the_whole_and_its_place_is_kept() {
    let guide = GUIDE.under(Expectation::Open);
    let (state, _) = guide.extend(&guide.start(), " I want a");
    let (whole, full) = guide.extend(&state, " CRM");
    let (two, given) = guide.extend(&state, " CR");
    assert!((given - full).abs() < 1e-4, "{given} {full}");
    assert!(guide.extend(&two, "M").1.abs() < 1e-4);
    // As any other word, it is no acronym.
    let (_, back) = guide.extend(&two, "USH");
    assert!(given + back < 0.0, "{given} {back}");
    assert!(guide.extend(&state, " cr").1 < 0.0);
    // Before it, its place is known; behind it, there is none for another.
    assert!(guide.ahead(&state) > full - 1e-4, "{} {full}", guide.ahead(&state));
    let (again, _) = guide.extend(&whole, " and another");
    assert!(guide.ahead(&state) > guide.ahead(&again) + 3.0, "{}", guide.ahead(&again));
}

#[test]
fn an_acronym_is_called_for_once_and_not_where_an_answer_is() {
    let bonus = |expectation, before| {
        let guide = GUIDE.under(expectation);
        let (state, _) = guide.extend(&guide.start(), before);
        guide.extend(&state, " CRM").1
    };
    let first = bonus(Expectation::Open, " build me a");
    assert!(first > bonus(Expectation::Open, " the CRM and build me a") + 3.0);
    assert!(first > bonus(Expectation::YesNo, " build me a") + 3.0);
}

#[test]
fn what_the_dialogue_can_use_is_worth_more() {
    for (expectation, more, less) in [
        (Expectation::Open, " Make us a CRM, please.", " Make us as we are, please."),
        (Expectation::Open, " Notes would be nice.", " No, it would be nice."),
        (Expectation::YesNo, " Nope.", " Note."),
        (Expectation::YesNo, " Yes, go ahead.", " Yes, go to bed."),
    ] {
        let guide = GUIDE.under(expectation);
        assert!(guide.sense(more) > guide.sense(less) + 0.5, "{more} {less}");
    }
    assert!(GUIDE.under(Expectation::Digits { max: 4 }).sense(" stop").abs() < 1e-4);
}

#[test]
fn outside_the_domain_little_is_lost_and_nothing_forbidden() {
    for expectation in [Expectation::Open, Expectation::YesNo, Expectation::Name] {
        let text = " Zygmunt Grzegorzewski sells Überraschungseier, 14.50 $ each 🎉";
        let words = 6.0;
        assert!(worth(expectation, text) > -0.5 * words - 0.5, "{expectation:?} {}", worth(expectation, text));
    }
}

#[test]
fn the_agents_own_words_are_known() {
    let mut text = domain();
    let words = ["Zendora".to_owned(), "KLX".to_owned()];
    text.know(&words);
    let guide = DomainGuide::new(&text, &words);
    let worth = |text| worth_in_pieces(&guide.under(Expectation::Open), text, &[]);
    assert!(worth(" how is Zendora") > worth(" how is sandora") + 1.0);
    assert!((worth(" how is K. L. X.") - worth(" how is KLX")).abs() < 1e-4);
    assert!(worth_in_pieces(&guide.under(Expectation::Name), " Zendora", &[]) > 1.0);
}

#[test]
fn what_is_remembered_is_small_and_what_is_known_is_bounded() {
    assert!(size_of::<State>() <= 96, "{}", size_of::<State>());
    let mut text = domain();
    let letters = |n: usize| char::from(b'a' + (n % 26) as u8);
    let words: Vec<String> = (0..2 * VOCABULARY_MAX)
        .map(|n| format!("z{}{}{}en corp{}", letters(n), letters(n / 26), letters(n / 676), letters(n)))
        .collect();
    let before = DomainGuide::new(&text, &[]).size();
    text.know(&words);
    let after = DomainGuide::new(&text, &words).size();
    assert!(before < 300_000 && after < before + 200_000, "{before} {after}");
}

#[test]
fn a_state_of_another_guide_is_no_harm() {
    let (open, digits) = (GUIDE.under(Expectation::Open), GUIDE.under(Expectation::Digits { max: 4 }));
    let (state, bonus) = digits.extend(&open.start(), " five");
    assert_eq!((bonus, digits.end(&state)), (0.0, 0.0));
}

proptest! {
    #[test]
    fn a_text_is_worth_the_same_however_it_is_cut(
        words in proptest::collection::vec(prop::sample::select(vec![
            "a", "CRM", "C.R.M.", "c", "r", "m", "with", "contacts", "deals", "12", "$14.50", "yes", "no,", "it's", "crml",
            "Überfahrt", "five", "double", "oh", "forty", "smith", "-", "'crm'", "api",
        ]), 0..9),
        cuts in proptest::collection::vec(0_usize..60, 0..8),
        max in 1_u8..12,
    ) {
        let text = format!(" {}", words.join(" "));
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| text.is_char_boundary(*cut) && *cut <= text.len()).collect();
        cuts.sort_unstable();
        for expectation in
            [Expectation::Open, Expectation::YesNo, Expectation::Name, Expectation::Digits { max }]
        {
            let guide = GUIDE.under(expectation);
            let (whole, cut) = (worth_in_pieces(&guide, &text, &[]), worth_in_pieces(&guide, &text, &cuts));
            prop_assert!(whole == cut || (whole - cut).abs() < 1e-3, "{:?} {}: {} {}", expectation, text, whole, cut);
        }
    }

    #[test]
    fn any_characters_are_judged(text in "\\PC{0,40}") {
        for expectation in [Expectation::Open, Expectation::YesNo, Expectation::Name] {
            prop_assert!(worth(expectation, &text).is_finite());
        }
    }
}

/// A sentence over a telephone line: 8 kHz, μ-law and back.
fn say(voice: &str, sentence: &str) -> Option<Vec<i16>> {
    let mut flite = Flite::load(&Assets::locate(), voice).ok()?;
    let mut wide = vec![0_i16; 1600];
    flite.speak(sentence, &mut |chunk| {
        wide.extend_from_slice(chunk);
        ControlFlow::Continue(())
    });
    wide.resize(wide.len() + 1600, 0);
    let mut samples = vec![0_i16; wide.len() / 2 + 1];
    let made = Downsampler2::default().process(&wide, &mut samples);
    samples.truncate(made);
    let mut octets = vec![0_u8; samples.len()];
    g711::encode_ulaw(&samples, &mut octets);
    g711::decode_ulaw(&octets, &mut samples);
    Some(samples)
}

/// With the real model, where it is installed: a request, talk of something else, an answer and a number.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn the_model_hears_the_domain_and_the_rest() {
    let mut engine = match Moonshine::load(&Assets::locate(), MoonshineSize::Tiny) {
        Ok(engine) => engine,
        Err(error) => {
            assert!(std::env::var_os("CALLWRIGHT_TEST_COMPLETE").is_none(), "{error}");
            eprintln!("skipped: {error}");
            return;
        }
    };
    let said = [
        ("slt", Expectation::Open, "I need a C R M for my bakery.", "i need a crm for my bakery"),
        ("rms", Expectation::Open, "My brother works at the hospital.", "my brother works at the hospital"),
        ("awb", Expectation::YesNo, "Yes.", "yes"),
        ("rms", Expectation::Digits { max: 6 }, "nine five two, two three eight", "nine five two two three eight"),
    ];
    let mut exact = 0;
    for (voice, expectation, sentence, expected) in said {
        let Some(samples) = say(voice, sentence) else { return };
        let heard = engine.recognise(&samples, &GUIDE.under(expectation), 4).expect("a turn").text;
        let heard = heard.replace("c r m", "crm");
        exact += usize::from(heard == expected);
        // An unrelated sentence becomes no request.
        assert!(expected.contains("crm") || !heard.contains("crm"), "{heard}");
        if heard != expected {
            eprintln!("{voice}: {expected:?} heard as {heard:?}");
        }
    }
    // The voice's noise is another one each time.
    assert!(exact >= 3, "{exact} of {}", said.len());
}

/// A caller who pauses within a number has said what was said.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn the_model_makes_up_no_digits() {
    let mut engine = match Moonshine::load(&Assets::locate(), MoonshineSize::Tiny) {
        Ok(engine) => engine,
        Err(error) => {
            assert!(std::env::var_os("CALLWRIGHT_TEST_COMPLETE").is_none(), "{error}");
            eprintln!("skipped: {error}");
            return;
        }
    };
    let (mut exact, mut more) = (0, 0);
    let said = [
        ("rms", 10, "nine five two"),
        ("slt", 10, "four one six, two eight three"),
        ("rms", 10, "four seven nine, two four one, three five"),
        ("slt", 7, "five one four"),
        ("rms", 7, "two eight one, six four nine"),
        ("rms", 4, "nine four"),
    ];
    for (voice, max, sentence) in said {
        let Some(samples) = say(voice, sentence) else { return };
        let heard = engine.recognise(&samples, &GUIDE.under(Expectation::Digits { max }), 8).expect("a turn").text;
        let expected = sentence.replace(',', "");
        exact += usize::from(heard == expected);
        more += usize::from(heard.split(' ').count() > expected.split(' ').count());
        if heard != expected {
            eprintln!("{voice}: {expected:?} heard as {heard:?}");
        }
    }
    // The voice's noise is another one each time.
    assert!(exact >= 4 && more <= 1, "{exact} of {}, {more} with more digits", said.len());
}
