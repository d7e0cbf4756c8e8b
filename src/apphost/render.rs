//! Templates. Purpose: the bundle's views, compiled once, with the few filters that pages need.
//! Invariants: everything is escaped for HTML unless a template says `safe` of its own text; a name that does not exist
//! is an error; a page costs at most a fixed number of steps.

use super::bundle::Bundle;
use super::chart;
use super::field::show_money;
use super::prose::prose;
use crate::limits::APP_TEMPLATE_FUEL;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The compiled views.
#[derive(Debug)]
pub(super) struct Pages {
    environment: Environment<'static>,
    build: String,
}

impl Pages {
    pub(super) fn new(bundle: &Bundle) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(APP_TEMPLATE_FUEL));
        environment.set_recursion_limit(50);
        let sign = currency_sign(&bundle.app.currency);
        let before = sign.clone();
        environment.add_filter("money", move |cents: Option<i64>| format!("{sign}{}", show_money(cents.unwrap_or(0))));
        environment.add_filter("money_whole", move |cents: Option<i64>| {
            // To the nearest whole unit, for figures that are read at a glance.
            let rounded = show_money((cents.unwrap_or(0).saturating_add(50)).div_euclid(100) * 100);
            format!("{before}{}", rounded.trim_end_matches(".00"))
        });
        environment.add_filter("day", |text: Option<String>| text.map_or_else(String::new, |t| day(&t)));
        environment.add_filter("moment", |text: Option<String>| text.map_or_else(String::new, |t| moment(&t)));
        environment.add_filter("prose", |text: Option<String>| {
            minijinja::Value::from_safe_string(prose(&text.unwrap_or_default()))
        });
        environment.add_filter("count", |n: Option<i64>| count(n.unwrap_or(0)));
        let sign = currency_sign(&bundle.app.currency);
        environment.add_function(
            "chart",
            move |form: String, title: String, rows: Vec<minijinja::Value>, unit: Option<String>| {
                let form = chart::Form::of(&form).ok_or_else(|| wrong("there is no such chart"))?;
                let point = |row: minijinja::Value| -> Result<chart::Point, minijinja::Error> {
                    let (label, value) = (row.get_attr("label")?, row.get_attr("value")?);
                    let value = if value.is_none() { 0.0 } else { f64::try_from(value)? };
                    Ok(chart::Point { label: label.to_string(), value })
                };
                let points = rows.into_iter().map(point).collect::<Result<Vec<_>, _>>()?;
                let show = |value: f64| match unit.as_deref() {
                    // Amounts come in hundredths.
                    Some("money") => format!("{sign}{}", figure(value / 100.0)),
                    Some(unit) if !unit.is_empty() => format!("{} {unit}", figure(value)),
                    _ => figure(value),
                };
                Ok::<_, minijinja::Error>(minijinja::Value::from_safe_string(chart::draw(form, &title, &points, &show)))
            },
        );
        environment.add_filter("figure", |n: Option<f64>| figure(n.unwrap_or(0.0)));
        environment.add_filter("initials", |text: String| initials(&text));
        environment.add_filter("shorten", |text: String, chars: usize| shorten(&text, chars));
        // Error messages go to the log, which is no place for people's data.
        environment.set_debug(false);
        let mut digest = Sha256::new();
        for (name, source) in &bundle.views {
            digest.update(source);
            environment
                .add_template_owned(format!("{name}.html"), source.clone())
                .map_err(|e| format!("{name}.html: {e:#}"))?;
        }
        for bytes in bundle.assets.values() {
            digest.update(bytes);
        }
        let build = digest.finalize().iter().take(4).map(|b| format!("{b:02x}")).collect();
        Ok(Self { environment, build })
    }

    /// Short name of this set of views and static files.
    pub(super) fn build(&self) -> &str {
        &self.build
    }

    /// Whether there is a view called `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.environment.get_template(&format!("{name}.html")).is_ok()
    }

    pub(super) fn render(&self, name: &str, context: &Value) -> Result<String, String> {
        let template = self.environment.get_template(&format!("{name}.html")).map_err(|e| e.to_string())?;
        template.render(minijinja::value::Serde(context)).map_err(|e| e.to_string())
    }
}

/// What stands before an amount of the currency `code` (ISO 4217).
#[must_use]
pub fn currency_sign(code: &str) -> String {
    match code {
        "EUR" => "€".to_owned(),
        "GBP" => "£".to_owned(),
        "JPY" => "¥".to_owned(),
        "USD" => "$".to_owned(),
        other => format!("{other}\u{a0}"),
    }
}

fn wrong(what: &'static str) -> minijinja::Error {
    minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, what)
}

/// 12345 → "12,345".
fn count(n: i64) -> String {
    show_money(n.saturating_mul(100)).trim_end_matches(".00").to_owned()
}

/// A number as it stands beside a chart: thousands grouped, at most two decimals.
fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    // Beyond this the hundredths do not fit; nobody reads such a figure on an axis.
    let hundredths = (value * 100.0).round().clamp(-9e17, 9e17) as i64;
    let text = show_money(hundredths);
    text.strip_suffix(".00").map_or_else(|| text.clone(), str::to_owned)
}

/// "2026-11-20" → "20 Nov 2026"; anything else unchanged.
pub(super) fn day(text: &str) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return text.to_owned() };
    let name = month.parse::<usize>().ok().and_then(|m| MONTHS.get(m.wrapping_sub(1)));
    name.map_or_else(|| text.to_owned(), |name| format!("{} {name} {year}", day.trim_start_matches('0')))
}

/// "2026-11-20T10:30:00Z" → "20 Nov 2026, 10:30 UTC".
fn moment(text: &str) -> String {
    match text.split_once('T') {
        Some((date, time)) => format!("{}, {} UTC", day(date), time.get(..5).unwrap_or(time)),
        None => day(text),
    }
}

/// At most `chars` characters, the last one an ellipsis where more would follow.
fn shorten(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some(_) => text.chars().take(chars.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// "Ada King Lovelace" → "AL".
fn initials(text: &str) -> String {
    let firsts: Vec<char> = text.split_whitespace().filter_map(|w| w.chars().find(|c| c.is_alphanumeric())).collect();
    let picked = match firsts.as_slice() {
        [] => vec!['?'],
        [only] => vec![*only],
        [first, .., last] => vec![*first, *last],
    };
    picked.into_iter().flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_read_well() {
        assert_eq!(day("2026-01-05"), "5 Jan 2026");
        assert_eq!(day("soon"), "soon");
        assert_eq!(day("2026-13-05"), "2026-13-05");
        assert_eq!(moment("2026-11-20T10:30:59Z"), "20 Nov 2026, 10:30 UTC");
    }

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüx", 3), "äö…");
    }

    #[test]
    fn initials_take_first_and_last() {
        assert_eq!(initials("ada king lovelace"), "AL");
        assert_eq!(initials("Plato"), "P");
        assert_eq!(initials(" - "), "?");
    }
}
