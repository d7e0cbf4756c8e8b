//! Field values from people and programs. Purpose: turn what a form or a JSON body holds into values for SQL, or say
//! beside each field what is wrong with it.
//! Pure. Invariant: a value that passes satisfies the field's kind, length and choices; the schema checks again.

use super::database::{Parameters, Row};
use crate::pipeline::spec::{Entity, Field, FieldKind};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Largest amount, hundredths: a hundred billion.
pub(crate) const MONEY_MAX: i64 = 10_000_000_000_000;

/// Largest count.
pub(crate) const NUMBER_MAX: i64 = 1_000_000_000;
/// Largest measure, of either sign.
pub(crate) const DECIMAL_MAX: f64 = 1e12;

/// Values, and what is wrong with those that are missing from them.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) values: Parameters,
    /// Field name → one sentence.
    pub(super) errors: BTreeMap<String, String>,
}

impl Checked {
    fn take(&mut self, field: &Field, result: Result<Value, String>) {
        match result {
            Ok(value) => _ = self.values.insert(field.name.clone(), value),
            Err(sentence) => _ = self.errors.insert(field.name.clone(), sentence),
        }
    }
}

/// Values of `fields` from a submitted form, all of them text.
pub(super) fn from_form<'a>(fields: impl Iterator<Item = &'a Field>, form: &BTreeMap<String, String>) -> Checked {
    let mut checked = Checked::default();
    for field in fields {
        let text = form.get(&field.name).map_or("", String::as_str);
        let value = if field.kind == FieldKind::Money { money(field, text) } else { from_text(field, text) };
        checked.take(field, value);
    }
    checked
}

/// Values of `entity` from a JSON object over `base` (the stored record, for a partial change).
pub(super) fn from_json(entity: &Entity, object: &Map<String, Value>, base: Option<&Row>) -> Checked {
    let mut checked = Checked::default();
    for name in object.keys().filter(|name| entity.field(name).is_none()) {
        checked.errors.insert(name.clone(), format!("There is no field called {name}."));
    }
    for field in &entity.fields {
        let value = object.get(&field.name).or_else(|| base.and_then(|b| b.get(&field.name))).unwrap_or(&Value::Null);
        let result = match (field.kind, value) {
            (FieldKind::Money, Value::Null) => Ok(0.into()),
            (FieldKind::Money, Value::Number(n)) => match n.as_i64().filter(|n| (0..=MONEY_MAX).contains(n)) {
                Some(n) => Ok(n.into()),
                None => Err(format!("{} is a whole number of hundredths, 0 or more.", field.label)),
            },
            (FieldKind::Money, _) => Err(format!("{} is a whole number of hundredths, 0 or more.", field.label)),
            (FieldKind::Number | FieldKind::Decimal, Value::Number(n)) => from_text(field, &n.to_string()),
            (FieldKind::Number | FieldKind::Decimal, Value::Null) => from_text(field, ""),
            (FieldKind::Number | FieldKind::Decimal, _) => Err(format!("{} is a number.", field.label)),
            (FieldKind::Reference, Value::Number(n)) => from_text(field, &n.to_string()),
            (FieldKind::Reference, Value::Null) => from_text(field, ""),
            (FieldKind::Reference, _) => Err(format!("{} is a record's id.", field.label)),
            (_, Value::Null) => from_text(field, ""),
            (_, Value::String(text)) => from_text(field, text),
            _ => Err(format!("{} is text.", field.label)),
        };
        checked.take(field, result);
    }
    checked
}

fn from_text(field: &Field, text: &str) -> Result<Value, String> {
    let label = &field.label;
    let text = text.replace("\r\n", "\n");
    let text = text.trim();
    if text.is_empty() {
        return match field.kind {
            FieldKind::Choice if !field.required => Ok("".into()),
            FieldKind::Choice => Ok(field.choices.first().map_or("", |c| c.value.as_str()).into()),
            _ if field.required => Err(format!("{label} is needed.")),
            FieldKind::Date | FieldKind::Reference => Ok(Value::Null),
            FieldKind::Decimal | FieldKind::Money | FieldKind::Number => Ok(0.into()),
            _ => Ok("".into()),
        };
    }
    if text.chars().any(|c| c.is_control() && !(c == '\n' && field.kind == FieldKind::LongText) && c != '\t') {
        return Err(format!("{label} holds a character that cannot be shown."));
    }
    if field.chars_max > 0 && text.chars().count() > field.chars_max as usize {
        return Err(format!("{label} is too long: {} characters at most.", field.chars_max));
    }
    match field.kind {
        FieldKind::Text | FieldKind::LongText => Ok(text.into()),
        FieldKind::Email if is_email(text) => Ok(text.into()),
        FieldKind::Email => Err("Write an address like name@example.com.".to_owned()),
        FieldKind::Phone if is_phone(text) => Ok(text.into()),
        FieldKind::Phone => Err("Write a number like +1 555 0100.".to_owned()),
        FieldKind::Date if is_date(text) => Ok(text.into()),
        FieldKind::Date => Err("Write a day as year-month-day, like 2027-01-31.".to_owned()),
        FieldKind::Choice if field.choices.iter().any(|c| c.value == text) => Ok(text.into()),
        FieldKind::Choice => {
            let known: Vec<_> = field.choices.iter().map(|c| c.value.as_str()).collect();
            Err(format!("{label} is one of {}.", known.join(", ")))
        }
        FieldKind::Reference => match text.parse::<i64>() {
            Ok(id) if id > 0 => Ok(id.into()),
            _ => Err(format!("Choose a {}.", label.to_lowercase())),
        },
        FieldKind::Money => money(field, text),
        FieldKind::Number => match text.parse::<i64>() {
            Ok(n) if (0..=NUMBER_MAX).contains(&n) && text.bytes().all(|b| b.is_ascii_digit()) => Ok(n.into()),
            _ => Err(format!("{label} is a whole number, 0 or more.")),
        },
        FieldKind::Decimal => match text.parse::<f64>() {
            Ok(n) if n.abs() <= DECIMAL_MAX && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => {
                Ok(n.into())
            }
            _ => Err(format!("{label} is a number like 12 or 3.5.")),
        },
        FieldKind::Slug if is_slug(text) => Ok(text.into()),
        FieldKind::Slug => Err("Write small letters, digits and dashes, like our-story.".to_owned()),
    }
}

fn is_slug(text: &str) -> bool {
    text.len() <= 80
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// "1,250.50", "$ 99" or "12" → hundredths. A comma only separates thousands.
fn money(field: &Field, text: &str) -> Result<Value, String> {
    let text = text.trim().trim_start_matches(|c: char| "$€£¥".contains(c)).trim();
    if text.is_empty() {
        return if field.required { Err(format!("{} is needed.", field.label)) } else { Ok(0.into()) };
    }
    let wrong = || "Write an amount like 1250 or 1,250.00.".to_owned();
    let (whole, cents) = text.split_once('.').unwrap_or((text, ""));
    let groups: Vec<&str> = whole.split(',').collect();
    let grouped = groups.len() == 1 || (groups[0].len() <= 3 && groups[1..].iter().all(|g| g.len() == 3));
    let digits = groups.concat();
    let plain = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if !grouped || digits.is_empty() || digits.len() > 15 || !plain(&digits) || !plain(cents) || cents.len() > 2 {
        return Err(wrong());
    }
    let cents: i64 = format!("{cents:0<2}").parse().map_err(|_| wrong())?;
    let total = digits.parse::<i64>().map_err(|_| wrong())? * 100 + cents;
    if total > MONEY_MAX { Err(format!("{} is too large.", field.label)) } else { Ok(total.into()) }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    !local.is_empty()
        && !local.contains('@')
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
        && !text.chars().any(|c| c.is_whitespace() || "<>()[],;:\\\"".contains(c))
}

fn is_phone(text: &str) -> bool {
    text.chars().filter(char::is_ascii_digit).count() >= 3
        && text.chars().all(|c| c.is_ascii_digit() || " +-().//x".contains(c))
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [y, m, d] = parts.as_slice() else { return false };
    if (y.len(), m.len(), d.len()) != (4, 2, 2) || !text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return false;
    }
    let (Ok(y), Ok(m), Ok(d)) = (y.parse::<u32>(), m.parse::<u32>(), d.parse::<u32>()) else { return false };
    let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let days = match m {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1900..=2200).contains(&y) && (1..=days).contains(&d)
}

/// 125050 → "1,250.50".
pub(super) fn show_money(cents: i64) -> String {
    let whole = (cents / 100).unsigned_abs().to_string();
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{out}.{:02}", (cents % 100).abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(kind: FieldKind) -> Field {
        let json = serde_json::json!({"name": "f", "label": "F", "kind": kind, "chars_max": 20});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let read = |text| money(&field(FieldKind::Money), text).ok().and_then(|v| v.as_i64());
        assert_eq!(read("1250"), Some(125_000));
        assert_eq!(read(" $1,250.5 "), Some(125_050));
        assert_eq!(read("0.07"), Some(7));
        assert_eq!(read(""), Some(0));
        for bad in ["1,25", "1.250,00", "-5", "1e3", "1.234", "1,2345", ".", "٣", "100000000001", "99999999999999999"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn days_are_real() {
        assert!(is_date("2028-02-29"));
        for bad in ["2027-02-29", "2027-13-01", "2027-00-10", "2027-1-1", "+027-01-01", "2027-01-32", "1-2-3-4", ""] {
            assert!(!is_date(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_and_numbers() {
        assert!(is_email("ada.l+x@math.example"));
        for bad in ["ada", "@x.y", "a@b", "a b@c.d", "a@b@c.d", "a@b..c", "<a@b.c>"] {
            assert!(!is_email(bad), "{bad}");
        }
        assert!(is_phone("+49 (30) 555-0100"));
        for bad in ["12", "call me", "555-0100; DROP"] {
            assert!(!is_phone(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn shown_amounts_are_read_back(cents in 0..=MONEY_MAX) {
            prop_assert_eq!(money(&field(FieldKind::Money), &show_money(cents)).unwrap(), Value::from(cents));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}", kind in 0usize..11) {
            use FieldKind::{Choice, Date, Decimal, Email, LongText, Money, Number, Phone, Reference, Slug, Text};
            let kind = [Choice, Date, Decimal, Email, LongText, Money, Number, Phone, Reference, Slug, Text][kind];
            _ = from_text(&field(kind), &text);
            _ = money(&field(Money), &text);
        }
    }
}
