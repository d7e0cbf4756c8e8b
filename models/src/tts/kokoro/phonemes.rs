//! ARPAbet in the symbols that Kokoro was trained on: IPA, with one letter for each diphthong (`A` ɛɪ, `I` aɪ, `O` oʊ, `Q` əʊ,
//! `W` aʊ, `Y` ɔɪ), `T` for the American flap, `ᵊ` for a swallowed vowel and `ᵻ` for that of endings; stress before the vowel.
//!
//! Pure. Invariant: nothing is written that is not in `pack::kokoro::SYMBOLS`. Deliberately absent: which sounds a word has
//! (`reading`).

/// Whose English.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accent {
    American,
    /// Without an R where no vowel follows.
    British,
}

/// Stress of a vowel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stress {
    None,
    Secondary,
    Primary,
}

/// One sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phone {
    /// ARPAbet, upper case.
    pub(super) name: &'static str,
    pub(super) stress: Stress,
}

const VOWELS: [&str; 16] =
    ["AA", "AE", "AH", "AO", "AW", "AX", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"];

const CONSONANTS: [(&str, &str); 24] = [
    ("B", "b"),
    ("CH", "ʧ"),
    ("D", "d"),
    ("DH", "ð"),
    ("F", "f"),
    ("G", "ɡ"),
    ("HH", "h"),
    ("JH", "ʤ"),
    ("K", "k"),
    ("L", "l"),
    ("M", "m"),
    ("N", "n"),
    ("NG", "ŋ"),
    ("P", "p"),
    ("R", "ɹ"),
    ("S", "s"),
    ("SH", "ʃ"),
    ("T", "t"),
    ("TH", "θ"),
    ("V", "v"),
    ("W", "w"),
    ("Y", "j"),
    ("Z", "z"),
    ("ZH", "ʒ"),
];

impl Phone {
    pub(super) fn is_vowel(self) -> bool {
        VOWELS.contains(&self.name)
    }
}

/// Reads blank-separated ARPAbet of any case, with stress digits or without; what is none of it is left out.
pub(super) fn read(text: &str) -> Vec<Phone> {
    let names = || VOWELS.iter().copied().chain(CONSONANTS.iter().map(|(name, _)| *name));
    text.split_whitespace()
        .filter_map(|phone| {
            let bare = phone.trim_end_matches(|c: char| c.is_ascii_digit());
            let name = names().find(|name| name.eq_ignore_ascii_case(bare))?;
            let stress = match phone.as_bytes().last() {
                Some(b'1') => Stress::Primary,
                Some(b'2') => Stress::Secondary,
                _ => Stress::None,
            };
            Some(Phone { name, stress })
        })
        .collect()
}

/// One word. `vowel_follows`: the next word begins with one, without a pause between.
pub(super) fn write(phones: &[Phone], accent: Accent, vowel_follows: bool) -> String {
    let mut text = String::new();
    for (at, phone) in phones.iter().enumerate() {
        let word = Around { phones, at, vowel_follows };
        match phone.stress {
            Stress::Primary => text.push('ˈ'),
            Stress::Secondary => text.push('ˌ'),
            Stress::None => {}
        }
        text.push_str(match accent {
            Accent::American => word.american(),
            Accent::British => word.british(),
        });
    }
    text
}

/// A phone among its neighbours.
struct Around<'a> {
    phones: &'a [Phone],
    at: usize,
    vowel_follows: bool,
}

impl Around<'_> {
    fn name(&self) -> &'static str {
        self.phones[self.at].name
    }

    fn next(&self) -> Option<Phone> {
        self.phones.get(self.at + 1).copied()
    }

    fn before(&self) -> Option<Phone> {
        self.at.checked_sub(1).map(|at| self.phones[at])
    }

    fn is_last(&self) -> bool {
        self.at + 1 == self.phones.len()
    }

    fn stressed(&self) -> bool {
        self.phones[self.at].stress != Stress::None
    }

    fn next_is(&self, names: &[&str]) -> bool {
        self.next().is_some_and(|next| names.contains(&next.name))
    }

    /// A vowel comes next, in this word or at the beginning of the next.
    fn before_vowel(&self) -> bool {
        self.next().map_or(self.vowel_follows, Phone::is_vowel)
    }

    /// An R comes next that no vowel follows.
    fn before_lost_r(&self) -> bool {
        self.next_is(&["R"]) && !self.phones.get(self.at + 2).map_or(self.vowel_follows, |phone| phone.is_vowel())
    }

    /// What is left of an unstressed vowel.
    fn reduced(&self) -> Option<&'static str> {
        let swallowed = |by: &[&str]| self.before().is_some_and(|before| by.contains(&before.name));
        let closes = self.at + 2 == self.phones.len();
        match (self.name(), self.next()?.name) {
            _ if self.stressed() => None,
            // "boxes", "needed"
            ("IH" | "AH" | "AX", "Z") if closes && swallowed(&["S", "Z", "SH", "ZH", "CH", "JH"]) => Some("ᵻ"),
            ("IH" | "AH" | "AX", "D") if closes && swallowed(&["T", "D"]) => Some("ᵻ"),
            // "model", "button"
            ("AH" | "AX", "L") if self.phones.get(self.at + 2).is_none_or(|phone| !phone.is_vowel()) => self
                .before()
                .filter(|before| !before.is_vowel() && !["R", "W", "Y"].contains(&before.name))
                .map(|_| "ᵊ"),
            ("AH" | "AX", "N")
                if self.phones.get(self.at + 2).is_none_or(|phone| !phone.is_vowel())
                    && swallowed(&["T", "D", "S", "Z", "SH", "ZH", "CH", "JH"]) =>
            {
                Some("ᵊ")
            }
            _ => None,
        }
    }

    /// Americans say "city" with a tap of the tongue, not "contain" and not "button".
    fn is_flap(&self) -> bool {
        let after = self.before().is_some_and(|before| before.is_vowel() || before.name == "R");
        let weak = self.next().is_some_and(|next| next.is_vowel() && next.stress == Stress::None);
        let button = self.next_is(&["AH", "AX", "IH"])
            && self.phones.get(self.at + 2).is_some_and(|phone| phone.name == "N")
            && self.phones.get(self.at + 3).is_none_or(|phone| !phone.is_vowel());
        after && weak && !button
    }

    fn american(&self) -> &'static str {
        if let Some(reduced) = self.reduced() {
            return reduced;
        }
        match self.name() {
            "AA" => "ɑ",
            "AE" => "æ",
            "AH" if self.stressed() => "ʌ",
            "AH" | "AX" => "ə",
            "AO" => "ɔ",
            "AW" => "W",
            "AY" => "I",
            "EH" => "ɛ",
            "ER" if self.stressed() => "ɜɹ",
            "ER" => "əɹ",
            "EY" => "A",
            "IH" => "ɪ",
            "IY" => "i",
            "OW" => "O",
            "OY" => "Y",
            "UH" => "ʊ",
            "UW" => "u",
            "T" if self.is_flap() => "T",
            name => consonant(name),
        }
    }

    fn british(&self) -> &'static str {
        if let Some(reduced) = self.reduced() {
            return reduced;
        }
        match self.name() {
            "AA" if self.next_is(&["R", "DH"]) || self.is_last() => "ɑː",
            "AA" => "ɒ",
            "AE" => "a",
            "AH" if self.stressed() => "ʌ",
            "AH" | "AX" => "ə",
            // "off", "cost", "long", as Americans lengthen them
            "AO" if self.next_is(&["F", "S", "TH", "NG", "G"]) => "ɒ",
            "AO" => "ɔː",
            "AW" => "W",
            "AY" => "I",
            "EH" if self.before_lost_r() => "ɛː",
            "EH" => "ɛ",
            "ER" => match (self.stressed(), self.before_vowel()) {
                (true, true) => "ɜːɹ",
                (true, false) => "ɜː",
                (false, true) => "əɹ",
                (false, false) => "ə",
            },
            "EY" => "A",
            "IH" | "IY" if self.before_lost_r() => "ɪə",
            "IH" => "ɪ",
            "IY" if self.is_last() && !self.stressed() => "i",
            "IY" => "iː",
            "OW" => "Q",
            "OY" => "Y",
            "UH" if self.before_lost_r() => "ʊə",
            "UH" => "ʊ",
            "UW" => "uː",
            "R" if !self.before_vowel() => "",
            name => consonant(name),
        }
    }
}

fn consonant(name: &str) -> &'static str {
    CONSONANTS.iter().find(|(known, _)| *known == name).map_or("", |(_, symbol)| *symbol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::kokoro::SYMBOLS;
    use proptest::prelude::*;

    fn us(phones: &str) -> String {
        write(&read(phones), Accent::American, false)
    }

    fn gb(phones: &str) -> String {
        write(&read(phones), Accent::British, false)
    }

    #[test]
    fn american_words_are_written_as_the_model_learnt_them() {
        for (phones, symbols) in [
            ("HH AH0 L OW1", "həlˈO"),
            ("K AH1 S T AH0 M ER0", "kˈʌstəməɹ"),
            ("W ER1 L D", "wˈɜɹld"),
            ("S IH1 T IY0", "sˈɪTi"),
            ("M AA1 D AH0 L", "mˈɑdᵊl"),
            ("B AH1 T AH0 N", "bˈʌtᵊn"),
            ("S T EY1 SH AH0 N", "stˈAʃᵊn"),
            ("S EH1 V AH0 N", "sˈɛvən"),
            ("IH1 N V OY0 S IH0 Z", "ˈɪnvYsᵻz"),
            ("W AA1 N T AH0 D", "wˈɑntᵻd"),
            ("JH AH1 JH", "ʤˈʌʤ"),
            ("K AH0 N T EY1 N", "kəntˈA\u{6e}"),
            ("D EY1 T AH0 B EY2 S", "dˈATəbˌAs"),
            ("F AO1 R T IY0", "fˈɔɹTi"),
            ("N AW1", "nˈW"),
            ("th iy1 dh ax0", "θˈiðə"),
        ] {
            assert_eq!(us(phones), symbols, "{phones}");
        }
        assert_eq!(us("frob 12 ?"), "");
    }

    #[test]
    fn british_words_lose_their_r_unless_a_vowel_follows() {
        for (phones, symbols) in [
            ("N AH1 M B ER0", "nˈʌmbə"),
            ("W ER1 L D", "wˈɜːld"),
            ("HH IH1 R", "hˈɪə"),
            ("DH EH1 R", "ðˈɛː"),
            ("S T AA1 R T", "stˈɑːt"),
            ("L AA1 T", "lˈɒt"),
            ("K AO1 S T", "kˈɒst"),
            ("F AO1 R", "fˈɔː"),
            ("K AO1 L", "kˈɔːl"),
            ("S AA1 R IY0", "sˈɑːɹi"),
            ("G OW1", "ɡˈQ"),
            ("S IH1 T IY0", "sˈɪti"),
            ("HH AE1 P IY0", "hˈapi"),
        ] {
            assert_eq!(gb(phones), symbols, "{phones}");
        }
        assert_eq!(write(&read("F AO1 R"), Accent::British, true), "fˈɔːɹ");
        assert_eq!(write(&read("N AH1 M B ER0"), Accent::British, true), "nˈʌmbəɹ");
    }

    proptest! {
        #[test]
        fn nothing_is_written_that_the_model_does_not_know(
            numbers in proptest::collection::vec((0_usize..40, 0_u8..4), 0..30), british: bool, follows: bool,
        ) {
            let names: Vec<&str> = VOWELS.iter().copied().chain(CONSONANTS.iter().map(|(name, _)| *name)).collect();
            let text: Vec<String> = numbers.iter().map(|(n, stress)| format!("{}{stress}", names[*n])).collect();
            let accent = if british { Accent::British } else { Accent::American };
            let written = write(&read(&text.join(" ")), accent, follows);
            prop_assert!(written.chars().all(|c| SYMBOLS.contains(c)), "{written}");
        }
    }
}
