//! What is said for what is written, and that anything may be written.

use super::read::SPOKEN_MAX;
use super::*;
use proptest::prelude::*;

fn joined(words: Vec<SpokenWord>) -> String {
    words.into_iter().map(|word| word.spoken).filter(|spoken| !spoken.is_empty()).collect::<Vec<_>>().join(" ")
}

fn spoken(text: &str) -> String {
    joined(normalise(text))
}

fn says(pairs: &[(&str, &str)]) {
    let wrong: Vec<_> = pairs
        .iter()
        .filter(|(written, said)| spoken(written) != *said)
        .map(|(written, said)| format!("{written}\n  is said  {}\n  and not  {said}", spoken(written)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_numbers_and_signs() {
    says(&[
        ("Your CRM is live.", "Your C R M is live."),
        ("5 APIs live, 10 records", "five A P I's live, ten records"),
        ("the API's URL", "the A P I's U R L"),
        ("a C.R.M. for you", "a C R M for you"),
        ("enter your PIN, OK?", "enter your pin, okay?"),
        ("I want it", "I want it"),
        ("42 contacts", "forty two contacts"),
        ("1,234 deals", "one thousand two hundred thirty four deals"),
        ("0.5 requests per minute", "zero point five requests per minute"),
        ("the 21st and 30th", "the twenty first and thirtieth"),
        ("Smith & Sons", "Smith and Sons"),
        ("R&D", "R and D"),
        ("24/7", "twenty four seven"),
        ("read-back", "read back"),
        ("order_id", "order id"),
        ("it\u{2019}s \u{201c}done\u{201d} \u{2014} really\u{2026}", "it's done really."),
        ("caf\u{e9}", "cafe"),
        ("press #1", "press number one"),
        ("-3 degrees", "minus three degrees"),
        ("(yes)", "yes"),
        ("SQLite and JSON", "S Q lite and jason"),
        ("\u{1f600} fine", "fine"),
        ("half of 1/2, then 3/4 and 5/10", "half of one half, then three quarters and five tenths"),
        ("2\u{bd} hours", "two and a half hours"),
        ("~5, >10 and \u{2264}3", "about five, more than ten and at most three"),
        ("100+ calls", "more than one hundred calls"),
        ("a + b = c", "a plus b equals c"),
        ("10-20 people", "ten to twenty people"),
        ("3\u{d7}4 and 5*3", "three times four and five times three"),
        ("wait -- no", "wait no"),
        ("\u{130}stanbul, \u{141}\u{f3}d\u{17a}, M\u{fc}nchen", "Istanbul, Lodz, Munchen"),
        ("\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442} \u{4f60}\u{597d}", ""),
    ]);
}

#[test]
fn money_shares_and_units() {
    says(&[
        ("$5 a month", "five dollars a month"),
        ("$1.", "one dollar."),
        ("$5.50 or $0.99", "five dollars and fifty cents or ninety nine cents"),
        ("$1,234.01", "one thousand two hundred thirty four dollars and one cent"),
        ("\u{20ac}1.5 million more", "one point five million euros more"),
        (
            "\u{20ac}1.5m, \u{a3}3bn and $20k",
            "one point five million euros, three billion pounds and twenty thousand dollars",
        ),
        ("5\u{20ac} or 5 \u{20ac}", "five euros or five euros"),
        ("-\u{a3}5", "minus five pounds"),
        ("USD 20 and 1 EUR", "twenty dollars and one euro"),
        ("\u{a5}500", "five hundred yen"),
        ("99\u{a2}", "ninety nine cents"),
        ("$5/month or $10-20", "five dollars per month or ten to twenty dollars"),
        ("99% up, 99.95 %", "ninety nine percent up, ninety nine point nine five percent"),
        ("5-10% of", "five to ten percent of"),
        ("10 kg, 5km and 1 GB", "ten kilograms, five kilometers and one gigabyte"),
        ("20\u{b0}C, 3.5GHz, 300 ms", "twenty degrees celsius, three point five gigahertz, three hundred milliseconds"),
        ("100 km/h", "one hundred kilometers per hour"),
        ("5'10\" tall", "five foot ten tall"),
    ]);
}

#[test]
fn dates_and_times() {
    says(&[
        ("at 10:30", "at ten thirty"),
        ("at 9:05, not 9:00", "at nine oh five, not nine o'clock"),
        ("at 14:00 or 2:05pm or 2 p.m. today", "at fourteen hundred or two oh five P M or two P M today"),
        ("from 9am", "from nine A M"),
        ("10:30-11:00", "ten thirty to eleven o'clock"),
        ("on 3 March 2026.", "on the third of March twenty twenty six."),
        ("on March 3, 2026, at", "on March third, twenty twenty six, at"),
        ("the 3rd of May", "the third of May"),
        ("Jan. 5 or 6 Feb", "January fifth or the sixth of February"),
        ("in 2026, since 1999.", "in twenty twenty six, since nineteen ninety nine."),
        ("in 2000 calls", "in two thousand calls"),
        ("2026 calls", "two thousand twenty six calls"),
        ("2026-03-05", "March fifth, twenty twenty six"),
        ("2026-03-05T14:30:00Z", "March fifth, twenty twenty six, fourteen thirty"),
        ("03/04/2026", "March fourth, twenty twenty six"),
        ("25/12/2026", "December twenty fifth, twenty twenty six"),
        ("3.4.2026", "April third, twenty twenty six"),
        ("the 1990s and '90s", "the nineteen nineties and nineties"),
        ("2024-2026", "twenty twenty four to twenty twenty six"),
        ("you may 3 times march", "you may three times march"),
        ("Mon., 3 June", "Monday, the third of June"),
    ]);
    let reading = Reading { dates: DateOrder::DayFirst, ..Reading::default() };
    assert_eq!(joined(normalise_as("03/04/2026", &reading)), "April third, twenty twenty six");
}

#[test]
fn telephone_numbers_and_codes() {
    says(&[
        ("call 5550123", "call five five five, zero one two three"),
        ("code 0042", "code zero zero four two"),
        ("PIN 4711.", "pin four seven one one."),
        ("your reference 123456", "your reference one two three, four five six"),
        ("+15551234567", "plus one, five five five, one two three, four five six seven"),
        ("+44 20 7946 0958.", "plus four four, two zero, seven nine four six, zero nine five eight."),
        ("(555) 123-4567", "five five five, one two three, four five six seven"),
        ("555-0123", "five five five, zero one two three"),
        ("1-800-555-0199", "one, eight zero zero, five five five, zero one nine nine"),
        ("555 123 4567 or", "five five five, one two three, four five six seven or"),
        ("between 100 and 200 calls", "between one hundred and two hundred calls"),
        ("A4X9B2", "A four X nine B two"),
    ]);
}

#[test]
fn addresses_files_and_versions() {
    says(&[
        ("http://127.0.0.1:8100/", "one hundred twenty seven dot zero dot zero dot one port eighty one hundred"),
        ("see https://crm.example.com.", "see C R M dot example dot com."),
        ("crm.example.com", "C R M dot example dot com"),
        ("https://example.com/a?b=c#d", "example dot com slash a"),
        ("jane.doe@example.co.uk", "jane dot doe at example dot co dot U K"),
        ("report_final.pdf and Cargo.toml", "report underscore final dot P D F and Cargo dot tommel"),
        ("/var/log/app.txt", "slash var slash log slash app dot text"),
        ("localhost:8080", "local host port eighty eighty"),
        ("v2.0.1, 10.4.7 and v2", "version two point zero point one, ten point four point seven and version two"),
        ("www.example.org", "W W W dot example dot org"),
        ("C++, C# and .NET", "C plus plus, C sharp and dot net"),
        ("@grace #launch", "at grace hashtag launch"),
    ]);
}

#[test]
fn abbreviations_acronyms_and_capitals() {
    says(&[
        ("e.g. contacts", "for example contacts"),
        ("Dr. Jones and Mr. Smith", "doctor Jones and mister Smith"),
        ("St. John lives in Main St. now", "saint John lives in Main street now"),
        ("room no. 5, no.", "room number five, no."),
        ("contacts, deals, etc.", "contacts, deals, et cetera."),
        ("Acme Inc. is", "Acme incorporated is"),
        ("NASA said", "nasa said"),
        ("an IMPORTANT note", "an important note"),
        ("PLEASE CALL BACK NOW", "please call back now"),
        ("STOP", "stop"),
        ("HTTPServer and userName", "H T T P Server and user Name"),
        ("McDonald and O'Brien", "McDonald and O'Brien"),
        ("iPhone, VoIP, GitHub", "I phone, voyp, git hub"),
        ("MP3, 3D, B2B, A380", "M P three, three D, B two B, A three hundred eighty"),
        ("Chapter IV, World War II, Henry VIII", "Chapter four, World War two, Henry the eighth"),
        ("I and V and X", "I and V and X"),
    ]);
}

#[test]
fn markup_is_not_said() {
    says(&[
        ("# Plan\n- **bold** and *soft*\n* `code`, ~~gone~~", "Plan bold and soft code, gone"),
        ("see [the docs](https://example.com/x) now", "see the docs now"),
        ("| a | b |", "a b"),
        ("---", ""),
        ("_all of it_.", "all of it."),
        ("```\nx\n```", "x"),
        ("done \u{2705} \u{1f389}!", "done"),
    ]);
}

#[test]
fn the_agents_own_words_come_first() {
    let lexicon = Lexicon::new([
        ("Callwright", "call right"),
        ("Nguyen", "/N UW1 Y EH N/"),
        ("Caf\u{e9}", "ka fay"),
        ("CRM", "customer system"),
        ("approx.", "roughly"),
    ])
    .unwrap();
    let reading = Reading { lexicon, ..Reading::default() };
    let words = normalise_as("CALLWRIGHT, Nguyen's caf\u{e9}: the CRM (Nguyen) is approx. 5.", &reading);
    assert_eq!(
        words.iter().find(|word| word.written == "Nguyen's").unwrap().phones.as_deref(),
        Some("n uw1 y eh0 n z")
    );
    assert_eq!(joined(words), "call right, nooyehn's ka fay: the customer system nooyehn is roughly five.");
    for (word, said) in [("", "x"), ("a b", "x"), ("x", ""), ("x", "//"), ("x", "/Q/"), ("x", "\u{4f60}")] {
        assert!(Lexicon::new([(word, said)]).is_err(), "{word:?} = {said:?}");
    }
    let many = (0..LEXICON_ENTRIES).map(|n| (format!("w{n}"), "x".to_owned()));
    assert_eq!(Lexicon::new(many), Err(LexiconError::TooLarge));
}

const LEXICON_ENTRIES: usize = crate::limits::LEXICON_ENTRIES_MAX + 1;

#[test]
fn words_of_noise_are_cut() {
    for noise in [
        "9".repeat(2000),
        "A".repeat(2000),
        "$".repeat(2000),
        "1/".repeat(1000),
        "a.".repeat(1000),
        "\u{20ac}".repeat(700),
    ] {
        let words = normalise(&noise);
        assert_eq!(words.len(), 1);
        assert!(words[0].spoken.len() <= SPOKEN_MAX + 1, "{}", words[0].spoken.len());
    }
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let words = normalise(text);
    let written: Vec<&str> = words.iter().map(|word| word.written.as_str()).collect();
    prop_assert_eq!(written, text.split_whitespace().collect::<Vec<_>>());
    for word in &words {
        let plain = word.spoken.chars().all(|c| c.is_ascii_alphabetic() || " ',.;:!?".contains(c));
        prop_assert!(plain, "{:?}", word);
        // Every blank-separated word of the spoken form is one that can be said.
        let sayable = word.spoken.is_empty()
            || word.spoken.split(' ').all(|part| part.contains(|c: char| c.is_ascii_alphabetic()));
        prop_assert!(sayable, "{:?}", word);
        prop_assert!(word.spoken.len() <= SPOKEN_MAX + 1, "{:?}", word);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_becomes_plain_words_one_for_one(text in "\\PC{0,80}") {
        check(&text)?;
    }

    #[test]
    fn anything_like_numbers_and_signs_does_too(text in "[0-9$\u{20ac}%+./:,#@'\"*_()\u{bd}\u{b0}TZamp\\- \n]{0,60}") {
        check(&text)?;
    }

    #[test]
    fn numbers_of_any_size_do_too(n in any::<u64>(), year in 0_u32..3000, month in 0_u8..20, day in 0_u8..40) {
        check(&format!("{n} ${n} {n}% -{n} {n}th v{n}.{n} {year}-{month:02}-{day:02} {day}/{month}/{year} {day} March {year}"))?;
    }
}
