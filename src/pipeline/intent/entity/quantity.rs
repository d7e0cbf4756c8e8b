//! Money, time and users of a request, in figures or in words: "$5,000", "ten grand", "in a fortnight", "about fifty people".
//!
//! Pure. A duration becomes ISO 8601 ("P2W"), a date stays as said ("by friday"). Invariant: a duration counts only where it is a
//! term ("in two weeks"), not a past, an age or a rate. Deliberately absent: conversion of currencies, calendars.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::token::{Token, before, begins, low};
use crate::conversation::spoken::number;

/// What may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// In hundredths of the currency's unit.
    pub cents: u64,
    /// ISO 4217 code; dollars where none was said.
    pub currency: &'static str,
}

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        if self.cents.is_multiple_of(100) {
            map.serialize_entry("amount", &(self.cents / 100))?;
        } else {
            // Exact to the cent below 2^53.
            map.serialize_entry("amount", &(self.cents as f64 / 100.0))?;
        }
        map.serialize_entry("currency", self.currency)?;
        map.end()
    }
}

/// When it is to be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Timeline {
    /// ISO 8601, e.g. `P2W`.
    Duration(String),
    /// As said, lower case, e.g. `by friday`.
    Text(String),
}

impl Timeline {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Duration(text) | Self::Text(text) => text,
        }
    }
}

/// What limits a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Constraints {
    /// Money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// Users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<u64>,
}

impl Constraints {
    /// What was said later replaces.
    pub(super) fn take(&mut self, later: &Self) {
        if later.budget.is_some() {
            self.budget.clone_from(&later.budget);
        }
        if later.timeline.is_some() {
            self.timeline.clone_from(&later.timeline);
        }
        self.scale = later.scale.or(self.scale);
    }
}

#[rustfmt::skip]
const UNITS: &[(&str, &str)] = &[
    ("$", "USD"), ("dollar", "USD"), ("dollars", "USD"), ("bucks", "USD"), ("usd", "USD"), ("€", "EUR"), ("euro", "EUR"),
    ("euros", "EUR"), ("eur", "EUR"), ("£", "GBP"), ("pound", "GBP"), ("pounds", "GBP"), ("quid", "GBP"), ("gbp", "GBP"),
    ("sterling", "GBP"), ("₹", "INR"), ("rupee", "INR"), ("rupees", "INR"), ("inr", "INR"), ("rs", "INR"), ("francs", "CHF"),
    ("franc", "CHF"), ("chf", "CHF"), ("¥", "JPY"), ("yen", "JPY"), ("cad", "CAD"), ("aud", "AUD"),
    ("rand", "ZAR"), ("zar", "ZAR"), ("naira", "NGN"), ("ngn", "NGN"), ("shillings", "KES"), ("kes", "KES"), ("pesos", "MXN"), ("reais", "BRL"), ("real", "BRL"), ("brl", "BRL"),
    ("dirhams", "AED"), ("dirham", "AED"), ("aed", "AED"), ("riyals", "SAR"), ("zloty", "PLN"), ("zlotys", "PLN"), ("lira", "TRY"), ("yuan", "CNY"), ("rmb", "CNY"), ("won", "KRW"),
    ("kroner", "NOK"), ("kronor", "SEK"), ("nok", "NOK"), ("sek", "SEK"), ("dkk", "DKK"), ("nzd", "NZD"), ("sgd", "SGD"), ("ringgit", "MYR"), ("baht", "THB"), ("cedis", "GHS"),
    ("forint", "HUF"), ("koruna", "CZK"), ("shekels", "ILS"), ("roubles", "RUB"), ("rubles", "RUB"),
];
const SIGNS: &[&str] = &["$", "€", "£", "₹", "¥"];
const BUDGET: &[&str] = &["budget", "spend", "budgeted", "cost", "price", "invest", "pay"];
#[rustfmt::skip]
pub(super) const PEOPLE: &[&str] = &[
    "users", "user", "people", "customers", "employees", "members", "visitors", "agents", "staff", "seats", "clients", "students",
    "patients", "colleagues", "accounts", "salespeople", "reps", "guests", "subscribers", "players", "tenants", "drivers",
    "doctors", "persons", "workers", "teachers", "buyers", "shoppers", "logins", "participants", "technicians", "operators",
    "readers", "salesmen", "sellers", "vendors", "citizens", "partners", "households", "families", "volunteers", "lads", "farms",
    "farmers", "folk", "folks", "fans", "dealers", "developers", "donors", "pupils", "parents", "residents", "riders", "nurses",
    "engineers", "women", "men", "kids", "children", "supporters", "followers", "owners", "landlords", "suppliers", "couriers",
    "teams", "shops", "branches", "managers", "waiters", "cooks", "growers", "artists", "musicians", "collectors", "investors",
    "travellers", "pilots", "boats", "neighbours", "neighbors", "heads", "schools", "clubs", "companies", "businesses",
    "attendees", "graduates", "alumni", "ladies", "gentlemen", "pharmacies", "officers", "inspectors", "lawyers", "attorneys", "realtors", "trainers", "coaches", "singers", "gamers",
    "walkers", "runners", "cyclists", "dancers", "learners", "trainees", "interns", "apprentices", "carers", "caregivers", "dentists", "vets", "hosts", "renters", "cleaners",
    "electricians", "plumbers", "bakers", "stylists", "hairdressers", "mechanics", "freelancers", "contractors", "consultants", "accountants", "brokers", "resellers", "retailers",
    "wholesalers", "merchants", "creators", "listeners", "viewers", "voters", "applicants", "candidates", "recruits", "hotels", "clinics", "offices", "stores", "restaurants", "churches",
    "parishioners", "congregants", "councillors", "fundraisers", "scouts", "soldiers", "firefighters", "paramedics", "therapists", "midwives", "physios", "scientists", "researchers",
    "librarians", "professors", "lecturers", "mums", "dads", "mothers", "fathers", "seniors", "pensioners", "tourists", "campers", "hikers", "bikers", "wallets", "holders", "flatmates",
    "shareholders", "stakeholders", "delegates", "exhibitors", "speakers", "sponsors", "beneficiaries", "adopters", "fosterers", "breeders", "fishermen", "foremen", "lads", "girls", "boys",
];
/// So few of these are what the thing is about rather than who uses it: "my three shops", "two vendors".
const FEW: &[&str] = &[
    "shops",
    "branches",
    "vendors",
    "accounts",
    "partners",
    "boats",
    "schools",
    "clubs",
    "companies",
    "businesses",
    "teams",
    "hotels",
    "clinics",
    "offices",
    "stores",
    "restaurants",
    "musicians",
    "artists",
    "heads",
    "churches",
    "sponsors",
    "speakers",
    "suppliers",
];
const FEW_MAX: u64 = 12;
#[rustfmt::skip]
const VAGUE: &[&str] = &[
    "about", "around", "roughly", "approximately", "maybe", "say", "just", "only", "at", "most", "the", "less", "than", "no", "more",
    "of", "is", "next", "like", "some", "under", "up", "to", "nearly", "almost", "or", "so", "be", "a", "maximum", "probably",
    "coming", "exactly", "max", "circa", "our", "my", "tops", "would", "will", "should",
];

/// Any number at `k`, in thousandths, and how many tokens it has.
pub(super) fn amount(tokens: &[Token], k: usize) -> Option<(u64, usize)> {
    let at = |n: usize| low(tokens, k + n);
    let (value, mut count): (u64, usize) = if at(0) == "hundred" && at(1) == "and" && before(tokens, k, 1) != "a" {
        // "all hundred and twelve thousand".
        let (rest, count) = amount(tokens, k + 2)?;
        let thousands = rest.is_multiple_of(1_000_000);
        (rest.checked_add(if thousands { 100_000_000 } else { 100_000 })?, count + 2)
    } else if at(0) == "a" && at(1) == "grand" && at(2) != "piano" {
        (1000, 1)
    } else if at(0).starts_with(|c: char| c.is_ascii_digit()) {
        figures(at(0)).map(|value| (value, 1))?
    } else if begins(tokens, k, "half a").is_some() && matches!(at(2), "million" | "thousand") {
        (500, 2)
    } else if begins(tokens, k, "a couple of").is_some() {
        (2000, 3)
    } else if begins(tokens, k, "a couple").is_some() || begins(tokens, k, "couple of").is_some() {
        (2000, 2)
    } else if begins(tokens, k, "a dozen").is_some() {
        (12_000, 2)
    } else if at(0) == "dozen" {
        (12_000, 1)
    } else if let Some(value) = misheard(tokens, k) {
        (value, 1)
    } else {
        let words: Vec<&str> =
            tokens[k..].iter().take(10).map(|t| t.low.as_str()).take_while(|w| !matches!(*w, "," | ".")).collect();
        let most = (1..=words.len()).rev().find_map(|n| Some((number(&words[..n])?, n)))?;
        (most.0.checked_mul(1000)?, most.1)
    };
    let mut value = value;
    // "two and a half".
    if begins(tokens, k + count, "and a half").is_some() {
        value += 500;
        count += 3;
    }
    let scale = match low(tokens, k + count) {
        "hundred" => 100,
        "thousand" | "k" | "grand" => 1000,
        "lakh" | "lakhs" => 100_000,
        "million" => 1_000_000,
        "crore" | "crores" => 10_000_000,
        _ => 1,
    };
    Some((value.checked_mul(scale)?, count + usize::from(scale > 1)))
}

/// A number of one syllable as its homophone: "in to weeks", "about for hundred users".
fn misheard(tokens: &[Token], k: usize) -> Option<u64> {
    let value = match low(tokens, k) {
        "won" => 1000,
        "to" | "too" => 2000,
        "for" | "fore" => 4000,
        "ate" => 8000,
        _ => return None,
    };
    let next = low(tokens, k + 1);
    let counted = matches!(next, "hundred" | "thousand" | "grand")
        || PEOPLE.contains(&next) && next.ends_with('s')
        || unit(next).is_some() && next.ends_with('s')
        || UNITS.iter().any(|(name, _)| *name == next) && next.ends_with('s');
    let led = matches!(before(tokens, k, 1), "in" | "within" | "about" | "around" | "roughly" | "nearly");
    (counted && led).then_some(value)
}

/// "1,500.50", "5k", "2.5m".
fn figures(word: &str) -> Option<u64> {
    let plain = word.replace(',', "");
    let digits = plain.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &plain[digits.len()..] {
        "" => 1,
        "k" => 1000,
        "m" | "mio" | "mn" => 1_000_000,
        _ => return None,
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if part.len() > 3 || whole.len() > 12 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = if part.is_empty() { 0 } else { format!("{part:0<3}").parse().ok()? };
    whole.checked_mul(1000)?.checked_add(part)?.checked_mul(scale)
}

/// Whether one of `words` stands within `count` tokens before `k`, vague words passed over, in the same clause.
fn cued(tokens: &[Token], k: usize, words: &[&str]) -> bool {
    let mut back = 1;
    while back <= 6 {
        let word = before(tokens, k, back);
        if words.contains(&word) {
            return true;
        }
        if !VAGUE.contains(&word) {
            return false;
        }
        back += 1;
    }
    false
}

fn near(tokens: &[Token], from: usize, to: usize, words: &[&str]) -> bool {
    let around = from.saturating_sub(5)..(to + 3).min(tokens.len());
    tokens.get(around).is_some_and(|near| near.iter().any(|t| words.contains(&t.low.as_str())))
}

/// Reads all three; marks what they consist of as used.
pub(super) fn constraints(tokens: &[Token], used: &mut [bool]) -> Constraints {
    let mut found = Constraints::default();
    let mut with_cue = false;
    let mut users = false;
    let mut ends = None;
    let mut k = 0;
    while k < tokens.len() {
        if used[k] {
            k += 1;
            continue;
        }
        let mut taken = 0;
        if let Some((budget, count)) = money(tokens, k) {
            let cue = near(tokens, k, k + count, BUDGET)
                || cued(tokens, k, &["than", "most", "under", "to", "below", "maximum"]);
            let rate = matches!(low(tokens, k + count), "per" | "each" | "apiece");
            if !rate && (cue || !with_cue) {
                found.budget = Some(budget);
                with_cue |= cue;
            }
            taken = count;
        } else if let Some((text, count)) = term(tokens, k) {
            // "In ten days, before the fair": the first of them is the term.
            let follows = ends == Some(k) || ends.is_some_and(|end| end + 1 == k && tokens[end].is_pause());
            let same = follows && matches!(found.timeline, Some(Timeline::Duration(_)));
            if !same || matches!(text, Timeline::Duration(_)) {
                found.timeline = Some(text);
            }
            taken = count;
            ends = Some(k + count);
        } else if let Some((scale, count, of_users)) = people(tokens, k) {
            if of_users || !users {
                found.scale = Some(scale);
                users |= of_users;
            }
            taken = count;
        }
        for flag in used.iter_mut().skip(k).take(taken) {
            *flag = true;
        }
        k += taken.max(1);
    }
    found
}

/// The ISO 4217 code of a unit of money.
pub(super) fn currency(word: &str) -> Option<&'static str> {
    UNITS.iter().find(|(name, _)| *name == word).map(|(_, currency)| *currency)
}

pub(super) fn money(tokens: &[Token], k: usize) -> Option<(Budget, usize)> {
    let budget = |thousandths: u64, currency, count| Some((Budget { cents: thousandths / 10, currency }, count));
    if SIGNS.contains(&low(tokens, k)) {
        let (value, count) = amount(tokens, k + 1)?;
        return budget(value, currency(low(tokens, k))?, count + 1);
    }
    let (value, count) = amount(tokens, k)?;
    let end = k + count;
    // "five hundred US dollars", "ten thousand of pounds".
    let new = usize::from(low(tokens, end) == "new" && low(tokens, end + 1) == "zealand");
    for skip in 0..=1 {
        let skip = skip * (1 + new);
        let between = match low(tokens, end + new) {
            "us" | "american" => Some("USD"),
            "canadian" => Some("CAD"),
            "australian" | "aussie" => Some("AUD"),
            "swiss" => Some("CHF"),
            "british" => Some("GBP"),
            "indian" => Some("INR"),
            "zealand" => Some("NZD"),
            "singapore" => Some("SGD"),
            _ => None,
        };
        if skip > 0 && between.is_none() {
            break;
        }
        if let Some(currency) = currency(low(tokens, end + skip)) {
            // "Seven hundred dollars Canadian".
            let between = between.or(match low(tokens, end + 1) {
                "canadian" => Some("CAD"),
                "australian" => Some("AUD"),
                _ => None,
            });
            let currency = between.filter(|_| low(tokens, end + skip).starts_with("dollar")).unwrap_or(currency);
            return budget(value, currency, count + skip + 1);
        }
    }
    // "six thousand Canadian", "a grand, pounds", "three thousand max".
    let pause = usize::from(low(tokens, end) == ",");
    let alone = match low(tokens, end + pause) {
        "canadian" => Some("CAD"),
        "australian" | "aussie" => Some("AUD"),
        "max" | "tops" | "maximum" if value >= 200_000 && unit(low(tokens, end + 1)).is_none() => Some("USD"),
        word if pause == 1 && low(tokens, end - 1) == "grand" => currency(word),
        _ => None,
    };
    if let Some(currency) = alone {
        return budget(value, currency, count + pause + 1);
    }
    if PEOPLE.contains(&low(tokens, end)) || PEOPLE.contains(&low(tokens, end + 1)) || unit(low(tokens, end)).is_some()
    {
        return None;
    }
    let last = low(tokens, end - 1);
    let grand = last == "grand";
    let told = cued(tokens, k, BUDGET) || low(tokens, end) == "budget";
    (grand || told).then(|| budget(value, "USD", count)).flatten()
}

/// ISO 8601 designators, and how many of them a unit is.
pub(super) type Unit = (&'static str, char, u64);

pub(super) fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "minute" | "minutes" => ("PT", 'M', 1),
        "hour" | "hours" => ("PT", 'H', 1),
        "day" | "days" => ("P", 'D', 1),
        "week" | "weeks" | "weeks'" => ("P", 'W', 1),
        "fortnight" | "fortnights" => ("P", 'W', 2),
        "month" | "months" | "months'" => ("P", 'M', 1),
        "quarter" | "quarters" => ("P", 'M', 3),
        "year" | "years" => ("P", 'Y', 1),
        _ => return None,
    })
}

#[rustfmt::skip]
const TERM: &[&str] = &[
    "in", "within", "inside", "until", "till", "deadline", "timeline", "timeframe", "have", "has", "takes", "take", "ready", "done",
    "finished", "by", "live", "during", "over", "under", "give", "time", "it", "you", "schedule", "meant", "gotta", "need", "make", "delivery", "mean", "got", "allow", "deliver",
];

/// When it is to be there, at `k`.
fn term(tokens: &[Token], k: usize) -> Option<(Timeline, usize)> {
    duration(tokens, k).or_else(|| date(tokens, k))
}

/// Any length of time at `k`: in halves of how many of which unit, and how many words it has.
pub(super) fn length(tokens: &[Token], k: usize) -> Option<(u64, usize, Unit)> {
    let at = |n: usize| low(tokens, k + n);
    let (halves, count, unit) = if begins(tokens, k, "half a").is_some() {
        // "half a year", "half a day".
        (1, 3, unit(at(2))?)
    } else if begins(tokens, k, "a quarter of a year").is_some() {
        (2, 5, ("P", 'M', 3))
    } else if begins(tokens, k, "a week or two").is_some() {
        (4, 4, ("P", 'W', 1))
    } else if matches!(at(0), "a" | "an" | "one") && unit(at(1)).is_some() {
        let half = begins(tokens, k + 2, "and a half").is_some();
        (2 + u64::from(half), if half { 5 } else { 2 }, unit(at(1))?)
    } else {
        let (value, count) = amount(tokens, k)?;
        let skip = usize::from(matches!(at(count), "working" | "business" | "full" | "more" | "short"));
        (value.checked_mul(2)? / 1000, count + skip + 1, unit(at(count + skip))?)
    };
    Some((halves, count, unit))
}

fn duration(tokens: &[Token], k: usize) -> Option<(Timeline, usize)> {
    let (halves, count, unit_of_it) = length(tokens, k)?;
    let after = low(tokens, k + count);
    let early = after == "before" && !matches!(before(tokens, k, 1), "in" | "within" | "like" | "about" | "around");
    if (early
        || matches!(
            after,
            "ago" | "old" | "earlier" | "trial" | "guarantee" | "free" | "notice" | "of" | "each" | "cliff"
        ))
        && halves > 0
    {
        return None;
    }
    if matches!(before(tokens, k, 1), "last" | "past" | "every" | "each" | "per" | "for" | "since" | "previous") {
        return None;
    }
    // "Cars that have been sitting over a week".
    let lasts = |word: &str| matches!(word, "been" | "for" | "there") || word.ends_with("ing");
    if before(tokens, k, 1) == "over" && lasts(before(tokens, k, 2)) {
        return None;
    }
    #[rustfmt::skip]
    let bounded = |word: &str| {
        matches!(
            word,
            "" | "," | "." | "and" | "please" | "max" | "tops" | "maximum" | "deadline" | "time" | "is" | "would" | "at" | "now" | "we" | "if" | "not" | "instead" | "ideally" | "or" | "but" | "should"
        )
    };
    // "Ten years" is a story; so is "four minutes".
    let story = matches!(unit(low(tokens, k + count - 1)), Some((_, 'Y', _) | ("PT", ..)));
    let lead = before(tokens, k, 1);
    let alone = matches!(
        lead,
        "" | ","
            | "."
            | "and"
            | "so"
            | "be"
            | "say"
            | "like"
            | "now"
            | "just"
            | "to"
            | "about"
            | "at"
            | "some"
            | "maybe"
            | "with"
    ) && bounded(after);
    let told = matches!(lead, "have" | "has" | "got")
        && story
        && !matches!(unit(low(tokens, k + count - 1)), Some(("PT", 'H', _)));
    // "In twelve years".
    if matches!(unit(low(tokens, k + count - 1)), Some((_, 'Y', _))) && halves >= 8 {
        return None;
    }
    let stands = alone && (!story || matches!(lead, "" | "," | "." | "and"));
    if !(stands || cued(tokens, k, TERM) && !told) || after == "long" {
        return None;
    }
    Some((iso(halves, unit_of_it)?, count))
}

/// ISO 8601, e.g. `P2W`; nothing for no time.
pub(super) fn iso(halves: u64, (prefix, sign, each): Unit) -> Option<Timeline> {
    let text = match (halves % 2, sign, prefix) {
        (0, ..) => format!("{prefix}{}{sign}", halves / 2 * each),
        // What halves have no designator of their own.
        (_, 'Y', _) => format!("P{}M", halves * 6),
        (_, 'M', "P") if each == 3 => format!("P{}D", halves * 45),
        (_, 'M', "P") => format!("P{}D", halves * 15),
        (_, 'W', _) => format!("P{}D", halves * each * 7 / 2),
        (_, 'D', _) => format!("PT{}H", halves * 12),
        (_, 'H', _) => format!("PT{}M", halves * 30),
        _ => format!("{prefix}{}{sign}", halves / 2 * each),
    };
    (halves > 0).then_some(Timeline::Duration(text))
}

#[rustfmt::skip]
pub(super) const DATES: &[&str] = &[
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february", "march", "april", "may",
    "june", "july", "august", "september", "october", "november", "december", "tomorrow", "tonight", "christmas", "easter",
    "summer", "winter", "spring", "autumn", "week", "month", "year", "quarter", "weekend", "noon", "midnight", "holidays", "eod",
    "season", "diwali", "thanksgiving", "afternoon", "morning", "evening", "today", "q1", "q2", "q3", "q4", "halloween", "hanukkah", "eid",
    "ramadan", "passover", "lent", "term", "harvest",
];
#[rustfmt::skip]
pub(super) const OF_DATES: &[&str] = &["the", "end", "of", "this", "next", "beginning", "start", "middle", "early", "late", "mid", "coming", "new", "or", "tail", "very", "black", "first", "last", "second", "mother", "father", "valentine", "boxing", "bank"];
/// What happens on a day that both know: "before the Lisbon conference".
#[rustfmt::skip]
pub(super) const EVENTS: &[&str] = &[
    "rush", "break", "sale", "meeting", "fair", "festival", "party", "games", "offsite", "conference", "launch", "exhibition", "wedding", "opening", "demo", "kickoff", "gala", "sprint",
    "audit", "inspection", "election", "elections", "show", "tournament", "race", "marathon", "exams", "exam", "snow", "frost", "season", "holidays", "holiday", "term", "semester",
    "convention", "expo", "summit", "congress", "pitch", "deadline", "ceremony", "parade", "concert", "reunion", "fundraiser", "market", "visit", "assembly", "agm", "hackathon", "review",
    "presentation", "carnival", "play", "match", "harvest", "funeral", "jubilee", "anniversary", "premiere", "tour", "trip", "retreat", "workshop", "auction", "raffle", "hajj", "monsoon", "rains",
    "round", "day",
];
/// Of a period, not of a day.
const PERIODS: &[&str] = &[
    "week",
    "month",
    "year",
    "quarter",
    "term",
    "season",
    "weekend",
    "day",
    "morning",
    "afternoon",
    "evening",
    "hour",
];
/// What a date may lead in: "the winter rush", "the august board meeting".
const DATED: &[&str] = &[
    "rush", "break", "season", "sale", "sales", "meeting", "fair", "festival", "party", "term", "eve", "day", "games",
    "board",
];

/// "3rd", "third".
pub(super) fn ordinal(word: &str) -> bool {
    word.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse::<u16>().is_ok()
        || crate::conversation::spoken::ordinal(&[word]).is_some()
}

pub(super) fn date(tokens: &[Token], k: usize) -> Option<(Timeline, usize)> {
    let take = |from: usize, most: usize| {
        let mut count = 0;
        let mut named = false;
        while count < most {
            let word = low(tokens, from + count);
            let word = word.strip_suffix("'s").unwrap_or(word);
            if DATES.contains(&word) {
                named = true;
            } else if (named || count > 0) && DATED.contains(&word) {
                named |= word == "day" || word == "season";
            } else if !(OF_DATES.contains(&word) && !named || ordinal(word) || named && word == "of") {
                break;
            }
            count += 1;
        }
        named.then_some(count)
    };
    let text = |count: usize| {
        let words: Vec<&str> = tokens[k..k + count].iter().map(|t| t.low.as_str()).collect();
        Timeline::Text(words.join(" "))
    };
    let phrase = [
        "as soon as possible",
        "as soon as you can",
        "asap",
        "tomorrow",
        "next week",
        "next month",
        "next year",
        "this week",
        "this month",
        "this weekend",
        "no later than",
    ]
    .iter()
    .find_map(|p| begins(tokens, k, p).map(|count| (*p, count)));
    let lead = match (low(tokens, k), phrase) {
        ("by" | "before" | "until" | "till", _) => 1,
        (_, Some(("no later than", count))) => count,
        // "The meeting tomorrow" is not when it is to be there.
        (_, Some(("tomorrow", _)))
            if matches!(
                before(tokens, k, 1),
                "meeting" | "pitch" | "pitching" | "something" | "presentation" | "demo" | "call" | "show"
            ) =>
        {
            return None;
        }
        (_, Some((_, count))) => return Some((text(count), count)),
        _ => return None,
    };
    // "Sales by month" groups, "not before the summer" is no term.
    if PERIODS.contains(&low(tokens, k + lead)) && !matches!(low(tokens, k), "until" | "till")
        || low(tokens, k) == "before" && before(tokens, k, 1) == "not"
    {
        return None;
    }
    let count = take(k + lead, 7).or_else(|| event(tokens, k + lead))?;
    Some((text(lead + count), lead + count))
}

/// "the Lisbon conference", "demo day", "the end of the financial year": how many words.
fn event(tokens: &[Token], k: usize) -> Option<usize> {
    let mut at = k;
    let end = begins(tokens, at, "the end of").or_else(|| begins(tokens, at, "end of"));
    at += end.unwrap_or(0);
    let of_ours = matches!(low(tokens, at), "the" | "our" | "my" | "this" | "her" | "his" | "their" | "next");
    at += usize::from(of_ours);
    let word = |n: usize| tokens.get(at + n).filter(|token| !token.is_pause()).map(|token| token.low.as_str());
    let plain = |n: usize| {
        word(n).is_some_and(|w| {
            w.chars().all(char::is_alphabetic) && !matches!(w, "and" | "or" | "with" | "i" | "we" | "that" | "is")
        })
    };
    if end.is_some() {
        // One noun, or two of which the second is a period: "q one", "financial year".
        let more = word(1).is_some_and(|w| PERIODS.contains(&w) || number(&[w]).is_some());
        return plain(0).then_some(at + 1 + usize::from(more) - k);
    }
    let last = (0..=2).take_while(|n| plain(*n)).filter(|n| word(*n).is_some_and(|w| EVENTS.contains(&w))).last()?;
    (of_ours || last > 0).then_some(at + last + 1 - k)
}

/// How many people, how many tokens that takes, and whether they were called users.
fn people(tokens: &[Token], k: usize) -> Option<(u64, usize, bool)> {
    if begins(tokens, k, "team of").is_some() || begins(tokens, k, "scale of").is_some() {
        let (value, count) = amount(tokens, k + 2)?;
        return Some((value / 1000, count + 2, false));
    }
    let (value, count) = amount(tokens, k)?;
    // "the six of us", but "between the six of us".
    let split = (1..=2).any(|back| before(tokens, k, back) == "between");
    if begins(tokens, k + count, "of us").is_some() && value >= 2000 && !split {
        return Some((value / 1000, count + 2, false));
    }
    // "Our volunteers, there's about three hundred of them".
    let of_people = || tokens[..k].iter().any(|token| PEOPLE.contains(&token.low.as_str()));
    if begins(tokens, k + count, "of them").is_some() && value >= 20_000 && of_people() {
        return Some((value / 1000, count + 2, false));
    }
    let noun = (0..=2).find(|skip| PEOPLE.contains(&low(tokens, k + count + skip)))?;
    let passed = (0..noun).map(|n| low(tokens, k + count + n));
    let plain = passed
        .clone()
        .all(|w| w.chars().all(char::is_alphabetic) && !matches!(w, "and" | "or" | "to" | "of" | "the" | "for"));
    let few = FEW.contains(&low(tokens, k + count + noun)) && value <= FEW_MAX * 1000;
    if few || split || matches!(before(tokens, k, 1), "top" | "hit") && value < 1_000_000 {
        return None;
    }
    let users = low(tokens, k + count + noun).starts_with("user");
    (plain && value >= 1000).then_some((value / 1000, count + noun + 1, users))
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;
    use serde_json::{Value, json};

    fn read(text: &str) -> Value {
        let tokens = tokens(text);
        serde_json::to_value(constraints(&tokens, &mut vec![false; tokens.len()])).unwrap()
    }

    #[test]
    fn money_in_figures_and_words() {
        for (text, amount, currency) in [
            ("for five thousand dollars", 5000.0, "USD"),
            ("$5,000", 5000.0, "USD"),
            ("5k budget", 5000.0, "USD"),
            ("a budget of 3000 euros", 3000.0, "EUR"),
            ("ten grand", 10_000.0, "USD"),
            ("£1,500.50 at most", 1500.5, "GBP"),
            ("five hundred quid tops", 500.0, "GBP"),
            ("budget is around twenty five hundred", 2500.0, "USD"),
            ("half a million dollars", 500_000.0, "USD"),
            ("two and a half thousand euros", 2500.0, "EUR"),
            ("two lakh rupees", 200_000.0, "INR"),
            ("2000 €", 2000.0, "EUR"),
            ("four thousand canadian dollars", 4000.0, "CAD"),
            ("seven hundred dollars Canadian", 700.0, "CAD"),
            ("three thousand New Zealand dollars", 3000.0, "NZD"),
            ("eight thousand Aussie dollars", 8000.0, "AUD"),
            ("five thousand, no, six thousand dollars", 6000.0, "USD"),
            ("a couple of thousand bucks", 2000.0, "USD"),
            ("1.5 million yen", 1_500_000.0, "JPY"),
            ("budget's forty thousand rand", 40_000.0, "ZAR"),
            ("six thousand Canadian is what I have", 6000.0, "CAD"),
            ("for less than a grand, pounds", 1000.0, "GBP"),
            ("four thousand max", 4000.0, "USD"),
        ] {
            let budget = &read(text)["budget"];
            assert_eq!(
                (budget["amount"].as_f64(), budget["currency"].as_str()),
                (Some(amount), Some(currency)),
                "{text}"
            );
        }
        for text in ["five thousand", "5k users", "two dollars each", "a grand piano"] {
            assert_eq!(read(text).get("budget"), None, "{text}");
        }
    }

    #[test]
    fn terms() {
        for (text, iso) in [
            ("in two weeks", "P2W"),
            ("in to weeks", "P2W"),
            ("ready within for months please", "P4M"),
            ("within ten days", "P10D"),
            ("in a fortnight", "P2W"),
            ("in half a year", "P6M"),
            ("in a quarter of a year", "P3M"),
            ("we have 48 hours", "PT48H"),
            ("ready in a month", "P1M"),
            ("in one and a half years", "P18M"),
            ("in a month and a half", "P45D"),
            ("in a couple of weeks", "P2W"),
            ("Two grand. One week.", "P1W"),
            ("a shop, eighteen months", "P18M"),
            ("until two months", "P2M"),
            ("in 3 weeks' time", "P3W"),
            ("by friday", "by friday"),
            ("by the end of the month", "by the end of the month"),
            ("before Christmas please", "before christmas"),
            ("tomorrow if possible", "tomorrow"),
            ("by the 3rd of March", "by the 3rd of march"),
            ("before the winter rush if you can", "before the winter rush"),
            ("by the tail end of February", "by the tail end of february"),
            ("up before Black Friday", "before black friday"),
            ("by Mother's Day, so make me a shop", "by mother's day"),
            ("by the end of Q3", "by the end of q3"),
            ("by next month", "by next month"),
            ("as soon as possible", "as soon as possible"),
            ("a month is what I said, but it's gotta be two weeks now", "P2W"),
            ("three weeks at the outside", "P3W"),
            ("in ten days, before the fair", "P10D"),
            ("before the Lisbon conference", "before the lisbon conference"),
            ("ship it by demo day", "by demo day"),
            ("by the end of the financial year", "by the end of the financial year"),
        ] {
            assert_eq!(read(text)["timeline"], json!(iso), "{text}");
        }
        for text in [
            "two weeks ago",
            "every two weeks",
            "I have been here for two years",
            "the last three months",
            "visitors a day",
            "sales by month",
            "not before the summer",
            "I'm pitching tomorrow",
            "this is Feldman, I have four minutes",
            "who has what in twelve years",
        ] {
            assert_eq!(read(text).get("timeline"), None, "{text}");
        }
    }

    #[test]
    fn users() {
        for (text, scale) in [
            ("about two hundred users", 200),
            ("about for hundred users", 400),
            ("for 50 people", 50),
            ("5k users", 5000),
            ("ten thousand visitors a day", 10_000),
            ("a team of twelve", 12),
            ("two hundred, no, three hundred customers", 300),
            ("for one thousand five hundred members", 1500),
            ("a dozen agents", 12),
            ("it's for the eight of us", 8),
            ("forty odd households", 40),
            ("we got about nine hundred dealers", 900),
            ("our volunteers, there's about three hundred of them", 300),
            ("for all hundred and twelve thousand households", 112_000),
            ("roughly four hundred graduates", 400),
        ] {
            assert_eq!(read(text)["scale"], json!(scale), "{text}");
        }
        for text in [
            "many users",
            "users",
            "open to users",
            "made for users",
            "it is for members",
            "200 orders a day",
            "my three shops",
            "top ten accounts",
            "split between the five of us",
        ] {
            assert_eq!(read(text).get("scale"), None, "{text}");
        }
    }
}
