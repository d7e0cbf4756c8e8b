//! Sounds of American English in ARPAbet. Pure. Purpose: checks what an operator wrote, hands it to voices that take
//! phones, and spells it for those that take only text. Deliberately absent: guessing sounds from spelling (the voices do).

use std::sync::Arc;

/// Sounds of one word as Flite names them: lower case, blank-separated, `1` or `0` behind a vowel for its stress.
pub type Phones = Arc<str>;

/// Each phone, whether it is a vowel, and letters that an English reader says nearly so.
const PHONES: [(&str, bool, &str); 40] = [
    ("AA", true, "ah"),
    ("AE", true, "a"),
    ("AH", true, "uh"),
    ("AO", true, "aw"),
    ("AW", true, "ow"),
    ("AX", true, "uh"),
    ("AY", true, "eye"),
    ("B", false, "b"),
    ("CH", false, "ch"),
    ("D", false, "d"),
    ("DH", false, "th"),
    ("EH", true, "eh"),
    ("ER", true, "er"),
    ("EY", true, "ay"),
    ("F", false, "f"),
    ("G", false, "g"),
    ("HH", false, "h"),
    ("IH", true, "ih"),
    ("IY", true, "ee"),
    ("JH", false, "j"),
    ("K", false, "k"),
    ("L", false, "l"),
    ("M", false, "m"),
    ("N", false, "n"),
    ("NG", false, "ng"),
    ("OW", true, "oh"),
    ("OY", true, "oy"),
    ("P", false, "p"),
    ("R", false, "r"),
    ("S", false, "s"),
    ("SH", false, "sh"),
    ("T", false, "t"),
    ("TH", false, "th"),
    ("UH", true, "oo"),
    ("UW", true, "oo"),
    ("V", false, "v"),
    ("W", false, "w"),
    ("Y", false, "y"),
    ("Z", false, "z"),
    ("ZH", false, "zh"),
];

/// Why phones cannot be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PhonesFault {
    Unknown(String),
    NoVowel,
}

/// Phones between slashes, checked: what a voice is given, and letters for the others.
pub(super) fn read(text: &str) -> Result<(Phones, String), PhonesFault> {
    let (mut phones, mut letters) = (Vec::new(), String::new());
    let stressed = text.contains(['1', '2']);
    let mut vowels = 0;
    for written in text.split_whitespace() {
        let upper = written.to_ascii_uppercase();
        let (name, stress) = match upper.strip_suffix(['0', '1', '2']) {
            Some(name) => (name, upper.chars().last()),
            None => (upper.as_str(), None),
        };
        let known = PHONES.iter().find(|(phone, vowel, _)| *phone == name && (*vowel || stress.is_none()));
        let Some((phone, vowel, spelling)) = known else { return Err(PhonesFault::Unknown(written.to_owned())) };
        letters.push_str(spelling);
        let phone = phone.to_ascii_lowercase();
        if *vowel {
            vowels += 1;
            // Nobody wrote a stress: the first vowel has it.
            let heavy = if stressed { matches!(stress, Some('1' | '2')) } else { vowels == 1 };
            phones.push(format!("{phone}{}", u8::from(heavy)));
        } else {
            phones.push(phone);
        }
    }
    if vowels == 0 {
        return Err(PhonesFault::NoVowel);
    }
    Ok((phones.join(" ").into(), letters))
}

/// The same word with a genitive or plural ending.
pub(super) fn with_s(phones: &str) -> Phones {
    let ending = match phones.rsplit(' ').next().unwrap_or_default() {
        "s" | "z" | "sh" | "zh" | "ch" | "jh" => "ih0 z",
        "f" | "k" | "p" | "t" | "th" => "s",
        _ => "z",
    };
    format!("{phones} {ending}").into()
}

/// Every phone's name, for messages.
pub(super) fn names() -> String {
    PHONES.map(|(name, ..)| name).join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_checked_and_spelled() {
        let (phones, letters) = read("S IY AA R EH1 M").unwrap();
        assert_eq!(&*phones, "s iy0 aa0 r eh1 m");
        assert_eq!(letters, "seeahrehm");
        assert_eq!(&*read("n g uw y eh n").unwrap().0, "n g uw1 y eh0 n");
        assert_eq!(&*with_s("k ae1 t"), "k ae1 t s");
        assert_eq!(&*with_s("b uh1 sh"), "b uh1 sh ih0 z");
        assert_eq!(read("S QQ M"), Err(PhonesFault::Unknown("QQ".into())));
        assert_eq!(read("S T1 M"), Err(PhonesFault::Unknown("T1".into())));
        assert_eq!(read("S T M"), Err(PhonesFault::NoVowel));
        assert_eq!(read(""), Err(PhonesFault::NoVowel));
    }
}
