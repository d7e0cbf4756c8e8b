//! Numbers for the ear. Purpose: figures in spoken lines are short and countable. Pure.
//! Deliberately absent: how digits are pronounced (the speech plane reads "5" and "10" well).

use super::spoken::SMALL;

/// "one" to "ten" as words, else digits; for revisions and small counts.
#[must_use]
pub(super) fn word(n: u32) -> String {
    match n {
        0..=10 => SMALL[n as usize].to_owned(),
        _ => n.to_string(),
    }
}

/// A count that one can take in by ear: exact below ten thousand, then rounded down to thousands or millions.
#[must_use]
pub(super) fn count(n: u64) -> String {
    match n {
        0..=9_999 => n.to_string(),
        10_000..=999_999 => format!("about {} thousand", n / 1000),
        _ => format!("about {} million", n / 1_000_000),
    }
}

/// `count` and its noun: "1 record", "10 records".
#[must_use]
pub(super) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// "a, b and c".
#[must_use]
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The first of them, and how many more there are: "a, b and six more".
#[must_use]
pub(super) fn first(items: &[String], most: usize) -> String {
    match items.get(..most) {
        Some(named) if named.len() < items.len() => and_more(&named.join(", "), items.len() - named.len()),
        _ => list(items),
    }
}

/// "… and six more".
#[must_use]
pub(super) fn and_more(named: &str, more: usize) -> String {
    format!("{named} and {} more", word(more.try_into().unwrap_or(u32::MAX)))
}

/// "a, b or c".
#[must_use]
pub(super) fn either(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The port of a URL, digit by digit: `http://127.0.0.1:8301/` is "8 3 0 1"; `None` when it names none.
#[must_use]
pub(super) fn port_digits(url: &str) -> Option<String> {
    let authority = url.split("://").nth(1)?.split(['/', '?', '#']).next()?;
    let (_, port) = authority.rsplit_once(':')?;
    let digits: Vec<String> = port.chars().map(|c| c.to_string()).collect();
    (!port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.len() <= 5).then(|| digits.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_ear() {
        assert_eq!(word(3), "three");
        assert_eq!(word(12), "12");
        assert_eq!(counted(1, "record", "records"), "1 record");
        assert_eq!(counted(10, "record", "records"), "10 records");
        assert_eq!(counted(12_345, "record", "records"), "about 12 thousand records");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
        let all = ["a", "b", "c", "d"].map(str::to_owned);
        assert_eq!((first(&all, 4).as_str(), first(&all, 2).as_str()), ("a, b, c and d", "a, b and two more"));
        assert_eq!(port_digits("http://127.0.0.1:8301/").as_deref(), Some("8 3 0 1"));
        assert_eq!(port_digits("http://[::1]:81/x").as_deref(), Some("8 1"));
        assert_eq!(port_digits("https://crm.example/"), None);
        assert_eq!(port_digits(""), None);
    }
}
