//! What numbers count: money, percentages, units, ranges. Pure. Deliberately absent: converting anything.

use super::cardinal::{amount, by_digit, cardinal, fraction, in_pairs, ordinal, small};
use super::token::Token;
use super::{Reading, Said};

/// A currency: sign or code, one of it, several, a hundredth, several hundredths.
struct Currency(&'static str, &'static str, &'static str, &'static str, &'static str);

const CURRENCIES: [Currency; 16] = [
    Currency("US$", "dollar", "dollars", "cent", "cents"),
    Currency("$", "dollar", "dollars", "cent", "cents"),
    Currency("€", "euro", "euros", "cent", "cents"),
    Currency("£", "pound", "pounds", "penny", "pence"),
    Currency("¥", "yen", "yen", "", ""),
    Currency("USD", "dollar", "dollars", "cent", "cents"),
    Currency("EUR", "euro", "euros", "cent", "cents"),
    Currency("GBP", "pound", "pounds", "penny", "pence"),
    Currency("CHF", "franc", "francs", "centime", "centimes"),
    Currency("JPY", "yen", "yen", "", ""),
    Currency("CAD", "Canadian dollar", "Canadian dollars", "cent", "cents"),
    Currency("AUD", "Australian dollar", "Australian dollars", "cent", "cents"),
    Currency("SEK", "krona", "kronor", "", ""),
    Currency("PLN", "zloty", "zlotys", "", ""),
    Currency("INR", "rupee", "rupees", "paisa", "paise"),
    Currency("CNY", "yuan", "yuan", "", ""),
];
/// Large numbers behind an amount, glued to it or as the next word.
const SCALES: [(&str, &str); 10] = [
    ("million", "million"),
    ("billion", "billion"),
    ("trillion", "trillion"),
    ("thousand", "thousand"),
    ("bn", "billion"),
    ("mn", "million"),
    ("m", "million"),
    ("M", "million"),
    ("k", "thousand"),
    ("K", "thousand"),
];
/// Units: as written, one, several. Longer ones first where one begins like another.
const UNITS: [(&str, &str, &str); 58] = [
    ("km/h", "kilometer per hour", "kilometers per hour"),
    ("m/s", "meter per second", "meters per second"),
    ("mph", "mile per hour", "miles per hour"),
    ("kWh", "kilowatt hour", "kilowatt hours"),
    ("kbps", "kilobit per second", "kilobits per second"),
    ("kbit/s", "kilobit per second", "kilobits per second"),
    ("Mbps", "megabit per second", "megabits per second"),
    ("Mbit/s", "megabit per second", "megabits per second"),
    ("Gbps", "gigabit per second", "gigabits per second"),
    ("Gbit/s", "gigabit per second", "gigabits per second"),
    ("°C", "degree celsius", "degrees celsius"),
    ("°F", "degree fahrenheit", "degrees fahrenheit"),
    ("°", "degree", "degrees"),
    ("GHz", "gigahertz", "gigahertz"),
    ("MHz", "megahertz", "megahertz"),
    ("kHz", "kilohertz", "kilohertz"),
    ("Hz", "hertz", "hertz"),
    ("TB", "terabyte", "terabytes"),
    ("GB", "gigabyte", "gigabytes"),
    ("MB", "megabyte", "megabytes"),
    ("KB", "kilobyte", "kilobytes"),
    ("kB", "kilobyte", "kilobytes"),
    ("TiB", "tebibyte", "tebibytes"),
    ("GiB", "gibibyte", "gibibytes"),
    ("MiB", "mebibyte", "mebibytes"),
    ("KiB", "kibibyte", "kibibytes"),
    ("dBm", "D B M", "D B M"),
    ("dB", "decibel", "decibels"),
    ("km²", "square kilometer", "square kilometers"),
    ("m²", "square meter", "square meters"),
    ("m2", "square meter", "square meters"),
    ("m³", "cubic meter", "cubic meters"),
    ("km", "kilometer", "kilometers"),
    ("cm", "centimeter", "centimeters"),
    ("mm", "millimeter", "millimeters"),
    ("µm", "micrometer", "micrometers"),
    ("kg", "kilogram", "kilograms"),
    ("mg", "milligram", "milligrams"),
    ("lbs", "pound", "pounds"),
    ("lb", "pound", "pounds"),
    ("oz", "ounce", "ounces"),
    ("ft", "foot", "feet"),
    ("mi", "mile", "miles"),
    ("ml", "milliliter", "milliliters"),
    ("kW", "kilowatt", "kilowatts"),
    ("MW", "megawatt", "megawatts"),
    ("mA", "milliampere", "milliamperes"),
    ("kV", "kilovolt", "kilovolts"),
    ("µs", "microsecond", "microseconds"),
    ("ms", "millisecond", "milliseconds"),
    ("min", "minute", "minutes"),
    ("sec", "second", "seconds"),
    ("hrs", "hour", "hours"),
    ("hr", "hour", "hours"),
    ("h", "hour", "hours"),
    ("fps", "frame per second", "frames per second"),
    ("rpm", "revolution per minute", "revolutions per minute"),
    ("px", "pixel", "pixels"),
];
/// Units of one letter, which are also words or names: only glued to a number.
const GLUED: [(&str, &str, &str); 8] = [
    ("g", "gram", "grams"),
    ("m", "meter", "meters"),
    ("l", "liter", "liters"),
    ("L", "liter", "liters"),
    ("s", "second", "seconds"),
    ("W", "watt", "watts"),
    ("V", "volt", "volts"),
    ("x", "times", "times"),
];

/// Several words that are one amount: "$1.5 million", "5 €", "20 USD", "EUR 5", "10 kg", "5 %".
pub(super) fn words(_before: Option<&Token>, rest: &[Token], _reading: &Reading) -> Option<Vec<Said>> {
    let (first, second) = (rest.first()?, rest.get(1)?);
    if first.mark.is_some() {
        return None;
    }
    if let Some((sign, number)) = signed_money(&first.body) {
        let (_, scale) = SCALES.iter().find(|(word, _)| word.len() > 3 && *word == second.body)?;
        // Whose hundredths do not matter: "$1.5 million".
        return Some(vec![Said::from(amount(number)?), Said::from(format!("{scale} {}", sign.2))]);
    }
    if let Some(currency) = CURRENCIES.iter().find(|currency| currency.0 == first.body) {
        let said = money(currency, &second.body)?;
        return Some(vec![Said::from(String::new()), Said::from(said)]);
    }
    let number = range(&first.body).or_else(|| amount(&first.body)).or_else(|| mixed(&first.body))?;
    if second.body == "%" {
        return Some(vec![Said::from(number), Said::from("percent")]);
    }
    let one = matches!(first.body.as_str(), "1" | "-1");
    if let Some(currency) = CURRENCIES.iter().find(|currency| currency.0 == second.body) {
        let said = money(currency, &first.body)?;
        let (number, name) = split_name(&said, currency);
        return Some(vec![Said::from(number), Said::from(name)]);
    }
    let (_, single, several) = UNITS.iter().find(|(unit, ..)| *unit == second.body)?;
    Some(vec![Said::from(number), Said::from(if one { *single } else { *several })])
}

/// "five dollars and …" → "five", "dollars and …".
fn split_name(said: &str, currency: &Currency) -> (String, String) {
    let at = [currency.2, currency.1, currency.4, currency.3]
        .iter()
        .filter(|name| !name.is_empty())
        .filter_map(|name| said.find(&format!(" {name}")))
        .min()
        .unwrap_or(said.len());
    (said[..at].to_owned(), said[at..].trim_start().to_owned())
}

/// The currency whose sign the word begins with, and the rest.
fn signed_money(body: &str) -> Option<(&'static Currency, &str)> {
    CURRENCIES[..5].iter().find_map(|currency| body.strip_prefix(currency.0).map(|rest| (currency, rest)))
}

/// One word that is money: "$5", "-$5", "$5.50", "€1.5m", "5€", "99¢", "$5/month", "$5-10".
pub(super) fn amount_of_money(body: &str) -> Option<String> {
    if let Some(rest) = body.strip_prefix('-') {
        return signed_money(rest).and_then(|_| amount_of_money(rest)).map(|said| format!("minus {said}"));
    }
    if let Some(cents) = body.strip_suffix('¢') {
        return Some(format!("{} {}", amount(cents)?, if cents == "1" { "cent" } else { "cents" }));
    }
    let (money_part, per) = match body.split_once('/') {
        Some((money, unit)) if unit.chars().all(|c| c.is_ascii_alphabetic()) => (money, Some(unit)),
        Some(_) => return None,
        None => (body, None),
    };
    let said = match signed_money(money_part) {
        Some((currency, rest)) => money(currency, rest.trim_end_matches('+'))?,
        None => {
            let currency = CURRENCIES[..5].iter().find(|currency| money_part.ends_with(currency.0))?;
            money(currency, money_part.strip_suffix(currency.0)?)?
        }
    };
    let said = if money_part.ends_with('+') { format!("more than {said}") } else { said };
    Some(match per {
        Some("mo") => format!("{said} per month"),
        Some("yr") => format!("{said} per year"),
        Some("hr" | "h") => format!("{said} per hour"),
        Some(unit) => format!("{said} per {}", unit.to_ascii_lowercase()),
        None => said,
    })
}

fn money(currency: &Currency, number: &str) -> Option<String> {
    let Currency(_, one, several, hundredth, hundredths) = currency;
    if let Some((from, to)) = number.split_once('-') {
        return Some(format!("{} to {} {several}", amount(from)?, amount(to)?));
    }
    let scaled =
        SCALES[3..].iter().chain(&SCALES[..3]).find_map(|(end, scale)| Some((number.strip_suffix(end)?, scale)));
    if let Some((number, scale)) = scaled {
        return Some(format!("{} {scale} {several}", amount(number)?));
    }
    if let Some((whole, cents)) = number.split_once('.')
        && cents.len() == 2
        && !hundredth.is_empty()
    {
        let n = small(cents)?;
        let cents = format!("{} {}", cardinal(n), if n == 1 { hundredth } else { hundredths });
        return Some(match (whole, n) {
            (_, 0) => money(currency, whole)?,
            ("0" | "", _) => cents,
            _ => format!("{} and {cents}", money(currency, whole)?),
        });
    }
    Some(format!("{} {}", amount(number)?, if number == "1" { one } else { several }))
}

/// One word that is a share: "5%", "99.9%", "5-10%".
pub(super) fn percentage(body: &str) -> Option<String> {
    let number = body.strip_suffix('%')?;
    let said = range(number)
        .or_else(|| amount(number))
        .or_else(|| number.strip_prefix('+').and_then(amount).map(|said| format!("plus {said}")))?;
    Some(format!("{said} percent"))
}

/// One word that is a measure: "5km", "3.5GHz", "20°C", "5′10", "2x".
pub(super) fn measure(body: &str) -> Option<String> {
    let digits = body.trim_start_matches('-');
    let unit_at = digits.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')? + body.len() - digits.len();
    let (number, unit) = body.split_at(unit_at);
    if let Some(inches) = unit.strip_prefix('′') {
        return Some(format!("{} foot {}", amount(number)?, amount(inches)?));
    }
    let (_, one, several) = UNITS.iter().chain(&GLUED).find(|(name, ..)| *name == unit)?;
    Some(format!("{} {}", amount(number)?, if number == "1" { one } else { several }))
}

/// "10-20", "1.5-2".
pub(super) fn range(body: &str) -> Option<String> {
    let (from, to) = body.split_once('-')?;
    let short = |text: &str| text.len() <= 6 && !(text.len() > 1 && text.starts_with('0') && !text.starts_with("0."));
    (short(from) && short(to) && !from.is_empty()).then_some(())?;
    Some(format!("{} to {}", amount(from)?, amount(to)?))
}

/// "½", "2½", "1/2", "24/7", "3x4", "3×4", "5*3".
pub(super) fn mixed(body: &str) -> Option<String> {
    const PARTS: [(char, &str); 3] = [('½', "half"), ('¼', "quarter"), ('¾', "three quarters")];
    if let Some((number, part)) = PARTS.iter().find_map(|(sign, part)| Some((body.strip_suffix(*sign)?, *part))) {
        let a = if part.starts_with("three") { "" } else { "a " };
        return Some(if number.is_empty() {
            if part == "half" { "one half".to_owned() } else { format!("{a}{part}") }
        } else {
            format!("{} and {a}{part}", amount(number)?)
        });
    }
    if body == "24/7" {
        return Some("twenty four seven".to_owned());
    }
    if let Some((over, under)) = body.split_once('/') {
        return fraction(over, under)
            .or_else(|| Some(format!("{} over {}", cardinal(small(over)?), cardinal(small(under)?))));
    }
    let by = |sign: char, word: &str| {
        let (a, b) = body.split_once(sign)?;
        Some(format!("{} {word} {}", amount(a)?, amount(b)?))
    };
    by('x', "by")
        .or_else(|| by('×', "times"))
        .or_else(|| by('*', "times"))
        .or_else(|| by('÷', "divided by"))
        .or_else(|| {
            let (a, b) = body.split_once('+')?;
            Some(format!("{} plus {}", amount(a)?, amount(b)?))
        })
        .or_else(|| {
            let (a, b) = body.split_once('=')?;
            Some(format!("{} equals {}", amount(a)?, amount(b)?))
        })
}

/// A number with a sign of comparison or of rank: "~5", "<5", ">=5", "100+", "#1", "-3", "21st", "±2".
pub(super) fn compared(body: &str) -> Option<String> {
    const SIGNS: [(&str, &str); 11] = [
        ("~", "about"),
        ("≈", "about"),
        (">=", "at least"),
        ("≥", "at least"),
        ("<=", "at most"),
        ("≤", "at most"),
        ("<", "less than"),
        (">", "more than"),
        ("±", "plus or minus"),
        ("+", "plus"),
        ("#", "number"),
    ];
    if let Some((rest, word)) = SIGNS.iter().find_map(|(sign, word)| Some((body.strip_prefix(sign)?, word))) {
        let said =
            percentage(rest).or_else(|| amount_of_money(rest)).or_else(|| measure(rest)).or_else(|| amount(rest))?;
        return Some(format!("{word} {said}"));
    }
    if let Some(rest) = body.strip_suffix('+') {
        return amount(rest).map(|said| format!("more than {said}"));
    }
    let number = ["st", "nd", "rd", "th"].iter().find_map(|end| body.strip_suffix(end));
    if let Some(n) = number.and_then(|digits| small(&digits.replace(',', ""))) {
        return Some(ordinal(n));
    }
    amount(body)
}

/// "v2.0.1", "2.0.1", "10.15.7-beta": a version, number by number.
pub(super) fn version(body: &str) -> Option<String> {
    let (said, rest) = match body.strip_prefix(['v', 'V']) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => ("version ", rest),
        _ => ("", body),
    };
    let numbers: Vec<&str> = rest.split('.').collect();
    let least = if said.is_empty() { 3 } else { 1 };
    if numbers.len() < least || numbers.len() > 5 || numbers.iter().any(|n| small(n).is_none()) {
        return None;
    }
    let parts: Vec<String> = numbers
        .iter()
        .map(|n| {
            if n.len() > 1 && n.starts_with('0') { by_digit(n) } else { small(n).map_or_else(|| in_pairs(n), cardinal) }
        })
        .collect();
    Some(format!("{said}{}", parts.join(" point ")))
}
