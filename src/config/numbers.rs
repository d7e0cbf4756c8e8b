//! `[numbers]`: how telephone numbers are written around here, and the one form in which routes compare them. Pure.
//!
//! Purpose: "030 1234", "0049 30 1234", "+49301234" are one number, +49301234 (ITU-T E.164), whoever wrote it. Invariants: a
//! number that is normal stays as it is; what is no public number (an extension, a name, an emergency number) is left alone.
//! Deliberately absent: which numbers exist.

use super::ConfigError;
use serde::{Deserialize, Serialize};

/// Digits of a public number, country code included (E.164 section 6.2.1; nobody has fewer than 7).
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Digits of a subscriber's number that is dialled without its area.
const SUBSCRIBER: std::ops::RangeInclusive<usize> = 5..=10;

/// Section `[numbers]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Numbers {
    /// Country code, as "49"; empty: only numbers with a plus are known to be public ones.
    pub country: String,
    /// Area code without its prefix, as "30"; empty: numbers without one are extensions.
    pub area: String,
    /// What stands before an area code.
    pub national_prefix: String,
    /// What stands before a country code.
    pub international_prefix: String,
    /// Numbers without any prefix begin with the country code (some trunks leave the plus out).
    pub bare_international: bool,
    /// Calls to these go out before all others, whatever caps say, and are told of.
    pub emergency: Vec<String>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            country: String::new(),
            area: String::new(),
            national_prefix: "0".to_owned(),
            international_prefix: "00".to_owned(),
            bare_international: false,
            emergency: ["112", "911"].map(str::to_owned).to_vec(),
        }
    }
}

/// How a number is written for somebody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberForm {
    /// +49301234.
    #[default]
    E164,
    /// 0049301234.
    International,
    /// 0301234 within the country, 0044… outside of it.
    National,
    /// 49301234.
    Bare,
}

impl Numbers {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let value = |key, message: &str| Err(ConfigError::Value { key, message: message.to_owned() });
        let digits = |text: &str, most: usize| text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
        match self {
            _ if !digits(&self.country, 3) || self.country.starts_with('0') => {
                value("numbers.country", "write the country code alone, as \"49\"")
            }
            _ if !digits(&self.area, 6) => value("numbers.area", "write the area code without its prefix, as \"30\""),
            _ if !self.area.is_empty() && self.country.is_empty() => {
                value("numbers.area", "an area lies in a country: write numbers.country as well")
            }
            _ if !digits(&self.national_prefix, 4) => value("numbers.national_prefix", "write digits, as \"0\""),
            _ if !digits(&self.international_prefix, 5) || self.international_prefix.is_empty() => {
                value("numbers.international_prefix", "write digits, as \"00\" or \"011\"")
            }
            _ if self.emergency.len() > 32
                || !self.emergency.iter().all(|n| (2..=6).contains(&n.len()) && digits(n, 6)) =>
            {
                value("numbers.emergency", "write numbers of 2 to 6 digits, as \"112\"")
            }
            _ => Ok(()),
        }
    }

    /// The public number that was written: `+` and 7 to 15 digits. `None` where it is none.
    #[must_use]
    pub fn e164(&self, written: &str) -> Option<String> {
        let (plus, digits) = bare(written)?;
        if self.is_emergency(written) {
            return None;
        }
        let public =
            |digits: String| (DIGITS.contains(&digits.len()) && !digits.starts_with('0')).then(|| format!("+{digits}"));
        let in_country = |rest: &str| {
            let known = !self.country.is_empty() && !rest.is_empty();
            known.then(|| format!("{}{rest}", self.country)).and_then(public)
        };
        if plus {
            return public(digits);
        }
        if let Some(rest) = digits.strip_prefix(&self.international_prefix)
            && let Some(number) = public(rest.to_owned())
        {
            return Some(number);
        }
        if !self.national_prefix.is_empty()
            && let Some(rest) = digits.strip_prefix(&self.national_prefix)
        {
            return in_country(rest);
        }
        if self.bare_international {
            return public(digits);
        }
        if !self.area.is_empty() && SUBSCRIBER.contains(&digits.len()) {
            return in_country(&format!("{}{digits}", self.area));
        }
        // Where areas have no prefix (North America has ten digits), the national number stands alone.
        if self.national_prefix.is_empty() && digits.len() > *SUBSCRIBER.start() { in_country(&digits) } else { None }
    }

    /// The same where it is a public number, else as written.
    #[must_use]
    pub fn normal(&self, written: &str) -> String {
        self.e164(written).unwrap_or_else(|| written.to_owned())
    }

    /// A number as somebody else wants it written; what is no public number stays as it is.
    #[must_use]
    pub fn written(&self, number: &str, form: NumberForm) -> String {
        let Some(normal) = self.e164(number) else { return number.to_owned() };
        let digits = &normal[1..];
        match form {
            NumberForm::E164 => normal,
            NumberForm::Bare => digits.to_owned(),
            NumberForm::International => format!("{}{digits}", self.international_prefix),
            NumberForm::National => match digits.strip_prefix(&self.country).filter(|_| !self.country.is_empty()) {
                Some(rest) => format!("{}{rest}", self.national_prefix),
                None => format!("{}{digits}", self.international_prefix),
            },
        }
    }

    /// Whether a call to it must not fail for want of room.
    #[must_use]
    pub fn is_emergency(&self, written: &str) -> bool {
        bare(written).is_some_and(|(plus, digits)| !plus && self.emergency.contains(&digits))
    }
}

/// Whether there is a plus, and the digits; `None` for anything but digits and what people put between them.
fn bare(written: &str) -> Option<(bool, String)> {
    // Parameters of a telephone URI's user part (RFC 3966), and visual separators.
    let number = written.split(';').next().unwrap_or_default().trim();
    let (plus, rest) = number.strip_prefix('+').map_or((false, number), |rest| (true, rest));
    // "+49 (0)30 …" is how people write it.
    let rest = if plus { rest.replace("(0)", "") } else { rest.to_owned() };
    let digits: String = rest.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '/' | '(' | ')')).collect();
    (!digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|b| b.is_ascii_digit())).then_some((plus, digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn berlin() -> Numbers {
        Numbers { country: "49".into(), area: "30".into(), ..Numbers::default() }
    }

    fn new_york() -> Numbers {
        Numbers {
            country: "1".into(),
            area: "212".into(),
            national_prefix: "1".into(),
            international_prefix: "011".into(),
            ..Numbers::default()
        }
    }

    fn madrid() -> Numbers {
        Numbers { country: "34".into(), national_prefix: String::new(), ..Numbers::default() }
    }

    #[test]
    fn numbers_have_one_form() {
        let bare = Numbers { bare_international: true, ..berlin() };
        for (plan, written, normal) in [
            (berlin(), "+49301234567", Some("+49301234567")),
            (berlin(), "+49 (0)30 / 123-45.67", Some("+49301234567")),
            (berlin(), "0049301234567", Some("+49301234567")),
            (berlin(), "030 1234567", Some("+49301234567")),
            (berlin(), "1234567", Some("+49301234567")),
            (berlin(), "01711234567", Some("+491711234567")),
            (berlin(), "0012125550100", Some("+12125550100")),
            (berlin(), "+12125550100;phone-context=x", Some("+12125550100")),
            (berlin(), "300", None),
            (berlin(), "112", None),
            (berlin(), "echo", None),
            (berlin(), "", None),
            (berlin(), "+", None),
            (berlin(), "+0301234567", None),
            (berlin(), "12345678901234567890", None),
            (berlin(), "49301234567", None),
            (bare.clone(), "49301234567", Some("+49301234567")),
            (bare, "0301234567", Some("+49301234567")),
            (new_york(), "12125550100", Some("+12125550100")),
            (new_york(), "5550100", Some("+12125550100")),
            (new_york(), "011493012345", Some("+493012345")),
            (new_york(), "911", None),
            (madrid(), "912345678", Some("+34912345678")),
            (madrid(), "00493012345", Some("+493012345")),
            (Numbers::default(), "0301234567", None),
            (Numbers::default(), "+49301234567", Some("+49301234567")),
            (Numbers::default(), "0049301234567", Some("+49301234567")),
        ] {
            assert_eq!(plan.e164(written).as_deref(), normal, "{written} around +{} {}", plan.country, plan.area);
        }
    }

    #[test]
    fn they_are_written_as_a_trunk_wants_them() {
        for (form, number, written) in [
            (NumberForm::E164, "030 1234567", "+49301234567"),
            (NumberForm::International, "030 1234567", "0049301234567"),
            (NumberForm::National, "+49301234567", "0301234567"),
            (NumberForm::National, "+12125550100", "0012125550100"),
            (NumberForm::Bare, "030 1234567", "49301234567"),
            (NumberForm::Bare, "112", "112"),
            (NumberForm::E164, "300", "300"),
            (NumberForm::National, "echo", "echo"),
        ] {
            assert_eq!(berlin().written(number, form), written, "{form:?} {number}");
        }
        assert!(berlin().is_emergency("112") && berlin().is_emergency("1-1-2"));
        assert!(!berlin().is_emergency("+112") && !berlin().is_emergency("1121"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for wrong in [
            Numbers { country: "049".into(), ..Numbers::default() },
            Numbers { country: "+49".into(), ..Numbers::default() },
            Numbers { area: "30".into(), ..Numbers::default() },
            Numbers { international_prefix: String::new(), ..Numbers::default() },
            Numbers { emergency: vec!["sos".into()], ..Numbers::default() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert!(berlin().check().is_ok() && new_york().check().is_ok() && madrid().check().is_ok());
    }

    proptest! {
        #[test]
        fn a_normal_number_is_its_own(written in "[+0-9 ()/.-]{0,24}|\\PC{0,12}") {
            for plan in [berlin(), new_york(), madrid(), Numbers::default()] {
                if let Some(normal) = plan.e164(&written) {
                    prop_assert_eq!(plan.e164(&normal), Some(normal.clone()));
                    for form in [NumberForm::E164, NumberForm::International, NumberForm::National] {
                        prop_assert_eq!(plan.e164(&plan.written(&normal, form)), Some(normal.clone()), "{:?}", form);
                    }
                }
            }
        }
    }
}
