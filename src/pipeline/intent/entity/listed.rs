//! Lists in a request: technology, integrations, features. Pure.
//!
//! Names are found anywhere; a feature is a noun phrase of a list that a cue opens ("with", "including", "it needs") or a word of
//! the product's own vocabulary where a list may stand. Invariant: refused features are not in. Deliberately absent: which of it
//! can be built.

use super::super::sound::sounds;
use super::super::vectorise::is_plain;
use super::finder;
use super::names::{Name, SYSTEMS, TECHNOLOGY};
use super::token::{Token, before, begins, is_tied, joined, low};
use crate::limits::OPEN_POINTS_MAX;
use std::sync::LazyLock;

/// Words that people ask software for, and the key that is one for all of a meaning.
#[rustfmt::skip]
const FEATURES: &[(&str, &[&str])] = &[
    ("contacts", &["contacts", "contact", "leads", "lead", "prospects", "addresses", "contact management"]),
    ("customers", &["customers", "clients", "customer", "client"]),
    ("deals", &["deals", "deal", "opportunities", "pipeline", "pipelines"]), ("stages", &["stages", "kanban"]), ("notes", &["notes", "remarks", "memos"]),
    ("search", &["search", "searching", "search box", "search function", "search bar"]), ("companies", &["companies", "organisations", "organizations"]),
    ("tasks", &["tasks", "task", "todos", "activities"]), ("reminders", &["reminders", "reminder"]), ("calendar", &["calendar", "calendars", "appointments", "scheduling", "appointment"]),
    ("invoices", &["invoices", "invoice", "invoicing", "billing", "bills"]), ("payments", &["payments", "payment", "card payments", "online payments", "credit card payments"]),
    ("quotes", &["quotes", "quotations", "estimates"]), ("email", &["email", "emails", "mailing"]), ("messages", &["sms", "texting"]),
    ("newsletter", &["newsletter", "newsletters"]), ("reports", &["reports", "reporting", "report"]), ("charts", &["charts", "graphs", "chart", "diagrams"]),
    ("documents", &["documents", "attachments", "uploads", "file uploads"]), ("import", &["import", "imports", "csv import"]), ("export", &["export", "exports", "csv export", "exporting"]),
    ("logins", &["logins", "login", "passwords", "authentication", "accounts", "user authentication", "user logins", "user accounts", "sign in", "registration"]),
    ("roles", &["roles", "permissions", "user roles"]), ("products", &["products", "product", "catalogue", "catalog", "catalogs", "inventory"]), ("stock", &["stock", "stock control"]),
    ("cart", &["cart", "basket", "shopping cart"]), ("checkout", &["checkout"]), ("orders", &["orders", "order tracking"]), ("reviews", &["reviews", "ratings"]),
    ("coupons", &["coupons", "discounts", "vouchers", "discount codes"]), ("wishlist", &["wishlist", "wish list"]), ("delivery", &["delivery", "shipping"]),
    ("gallery", &["gallery", "pictures", "photos", "images", "photo gallery"]), ("blog", &["blog"]), ("news", &["news", "news page"]), ("menu", &["menu"]), ("map", &["map", "maps"]),
    ("contact form", &["contact form", "enquiry form"]), ("booking", &["booking", "bookings", "reservations", "online booking"]), ("forum", &["forum"]), ("chat", &["chat", "live chat"]),
    ("tickets", &["tickets", "complaints", "ticketing"]), ("webhooks", &["webhooks", "webhook", "web hooks"]), ("rate limiting", &["rate limiting", "rate limits"]),
    ("alerts", &["alerts", "alarms"]), ("notifications", &["notifications", "push notifications"]), ("wallets", &["wallets", "wallet"]), ("tokens", &["tokens", "token"]),
    ("nodes", &["nodes"]), ("smart contracts", &["smart contracts"]), ("filters", &["filters"]), ("dark mode", &["dark mode"]), ("audit log", &["audit log", "audit trail"]),
    ("call log", &["call log", "calls"]), ("comments", &["comments"]), ("videos", &["videos", "video"]), ("sales", &["sales", "revenue"]), ("members", &["members", "membership"]),
];

/// Open a list of features.
#[rustfmt::skip]
const OPENS: &[&str] = &[
    "with", "including", "includes", "include", "has", "have", "having", "plus", "add", "adding", "features", "feature", "needs", "need", "keeps", "tracks",
    "shows", "show", "containing", "contains", "supports", "support", "offers", "like", "manages", "manage", "track", "keep", "store", "stores", "handle", "handles",
    "taking", "want", "wants", "also", "contain", "needing", "featuring", "offering", "tracking", "managing", "showing", "storing", "put", "display", "displays",
];
/// Only these take words that the product does not know.
#[rustfmt::skip]
const OPENS_WIDE: &[&str] =
    &["with", "including", "includes", "include", "features", "featuring", "has", "have", "plus", "add", "adding", "containing", "contains", "offering", "having"];
/// Close it.
#[rustfmt::skip]
const CLOSES: &[&str] = &[
    "for", "in", "by", "using", "on", "called", "named", "which", "please", "of", "to", "from", "about", "at", "so", "because", "where", "who", "that", "connected",
    "integrated", "written", "built", "i", "we", "you", "it", "they", "my", "our", "your", "is", "are", "was", "if", "when", "within", "until", "over", "top", "into",
    "budget", "ready", "but", "can", "could", "would", "should", "must", "will", "thanks", "instead", "via", "through", "as", "under", "be", "between", "while", "linked",
    "hooked", "syncing", "running", "made", "me", "us", "talks", "based",
];
/// Refuse what follows.
#[rustfmt::skip]
const REFUSES: &[&str] = &[
    "without", "no", "not", "remove", "drop", "skip", "except", "minus", "omit", "exclude", "don't", "forget", "ditch", "swap", "replace", "isn't", "never", "dont", "lose", "delete",
];
/// Say nothing of a feature.
#[rustfmt::skip]
const EMPTY: &[&str] = &[
    "a", "an", "the", "some", "any", "simple", "nice", "good", "basic", "proper", "little", "small", "new", "also", "just", "only", "really", "maybe", "all", "full", "great", "big",
    "usual", "their", "both", "easy", "pretty", "own", "few", "lots", "easy", "modern", "beautiful", "clean", "its", "this", "these", "those", "more", "other", "too", "well", "either", "again", "maybe",
];
/// Heads of phrases that are no feature: what is built itself, people, times, money.
#[rustfmt::skip]
const NO_FEATURE: &[&str] = &[
    "crm", "website", "site", "shop", "store", "api", "dashboard", "blockchain", "app", "application", "system", "software", "program", "tool", "page", "wife", "brother", "person",
    "somebody", "someone", "people", "users", "time", "money", "budget", "thing", "things", "stuff", "look", "one", "ones", "team", "company", "business", "help", "day", "week", "weeks",
    "month", "months", "thank", "dollars", "euros", "pounds", "integration", "integrations", "everything", "nothing", "anything", "something", "that's", "today", "tomorrow", "him", "her", "them", "lot",
    "question", "idea", "problem", "word", "moment", "look", "minute", "it's", "call", "care", "out", "up", "going", "got", "get", "been", "had", "done", "human", "operator", "manager",
    "friends", "family", "background", "colours", "colors", "corners", "deadline", "timeline", "bigger", "smaller", "year", "years", "days", "seats", "backend", "frontend", "database", "integrate", "integrated", "connect", "sync",
];

/// The key of a feature, the same for all words of a meaning; unknown ones are their own.
#[must_use]
pub fn canonical_feature(said: &str) -> String {
    let low = said.to_lowercase().replace('-', " ");
    let found = |word: &str| FEATURES.iter().find(|(_, words)| words.contains(&word)).map(|(key, _)| (*key).to_owned());
    found(&low).or_else(|| low.rsplit(' ').next().filter(|last| *last != low).and_then(found)).unwrap_or(low)
}

/// A technology or system as its makers write it; what no table knows as it was said.
#[must_use]
pub fn canonical_name(said: &str) -> String {
    let low = said.to_lowercase();
    let known = TECHNOLOGY.iter().chain(SYSTEMS).find(|name| name.said.contains(&low.as_str()));
    known.map_or_else(|| said.to_owned(), |name| name.written.to_owned())
}

/// The word's part in a list, as the finder sees it.
pub(super) fn kind(word: &str) -> &'static str {
    let table: [(&'static str, &[&str]); 5] =
        [("E", EMPTY), ("O", OPENS), ("C", CLOSES), ("N", NO_FEATURE), ("R", REFUSES)];
    match word {
        "," => ",",
        "." => ".",
        _ if is_feature_word(word) => "K",
        _ => table.iter().find(|(_, words)| words.contains(&word)).map_or_else(
            || match word {
                "and" | "or" => "&",
                _ if word.starts_with(|c: char| c.is_ascii_digit()) => "#",
                _ if word.ends_with('s') => "s",
                _ => "x",
            },
            |(sign, _)| *sign,
        ),
    }
}

pub(super) fn is_feature_word(word: &str) -> bool {
    FEATURES.iter().any(|(_, words)| words.contains(&word))
}

/// Whether a name of technology or of a system begins at `k`.
pub(super) fn is_known(tokens: &[Token], k: usize) -> bool {
    [TECHNOLOGY, SYSTEMS]
        .iter()
        .any(|table| table.iter().any(|name| name.said.iter().any(|said| begins(tokens, k, said).is_some())))
}

/// Technology and integrations, as their makers write them; marks their words.
pub(super) fn named(tokens: &[Token], used: &mut [bool]) -> (Vec<String>, Vec<String>) {
    let (mut technology, mut systems): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut k = 0;
    while k < tokens.len() {
        let best = [(TECHNOLOGY, true), (SYSTEMS, false)]
            .into_iter()
            .flat_map(|(table, tech)| table.iter().map(move |name| (name, tech)))
            .filter_map(|(name, tech)| Some((longest(tokens, k, name)?, name, tech)))
            .filter(|(count, name, tech)| !used[k] && (!name.ambiguous || cued(tokens, k, *count, name, *tech)))
            .max_by_key(|(count, ..)| *count);
        let by_sound = || leads_to_name(tokens, used, k).then(|| sounding(tokens, used, k)).flatten();
        let Some((count, name, tech)) = best.or_else(by_sound) else {
            k += 1;
            continue;
        };
        let list = if tech || is_ground(tokens, k, name) { &mut technology } else { &mut systems };
        let refused = given_up(tokens, k, count, name) || is_denied(tokens, k);
        if refused && matches!(before(tokens, k, 1), "not" | "no") {
            // "HubSpot, no, not HubSpot".
            list.retain(|known| known != name.written);
        }
        if !refused && list.len() < OPEN_POINTS_MAX && !list.iter().any(|known| known == name.written) {
            list.push(name.written.to_owned());
        }
        for flag in used.iter_mut().skip(k).take(count) {
            *flag = true;
        }
        k += count;
    }
    unknown_systems(tokens, used, &mut systems);
    (technology, systems)
}

/// Whether a name is said not to be wanted: "not HubSpot", "instead of React".
pub(super) fn is_denied(tokens: &[Token], k: usize) -> bool {
    let denies = |back: usize| match before(tokens, k, back) {
        "no" | "not" | "without" | "don't" => true,
        "of" | "than" => matches!(before(tokens, k, back + 1), "instead" | "rather"),
        _ => false,
    };
    let pause = (1..=2).any(|back| tokens.get(k.wrapping_sub(back)).is_some_and(Token::is_pause));
    matches!(before(tokens, k, 1), "not" | "without") || !pause && (1..=3).any(denies)
}

/// What the thing stands on rather than talks to: "a shop on Shopify".
fn is_ground(tokens: &[Token], k: usize, name: &Name) -> bool {
    name.written == "Shopify" && before(tokens, k, 1) == "on"
}

/// Whether a name is what is done without: "swap Stripe for Square", "something like Shopify", "we've outgrown Pipedrive", "in
/// Excel".
pub(super) fn given_up(tokens: &[Token], k: usize, count: usize, name: &Name) -> bool {
    #[rustfmt::skip]
    const GIVES_UP: &[&str] = &[
        "swap", "swapping", "replace", "replacing", "ditch", "ditching", "outgrew", "outgrown", "hate", "hates", "unlike", "leaving", "drop", "dropping", "scrap", "paying",
        "resembling",
    ];
    let lead = if matches!(before(tokens, k, 1), "out" | "from" | "the" | "our" | "for" | "using") { 2 } else { 1 };
    let to = low(tokens, k + count);
    let of_it = low(tokens, k + count + 1);
    let tells = matches!(to, "takes" | "keeps" | "costs" | "charges" | "licence" | "license")
        || to == "is" && matches!(of_it, "killing" | "too" | "a" | "awful" | "rubbish" | "expensive" | "gone" | "dead");
    let left = before(tokens, k, 1) == "off"
        && matches!(before(tokens, k, 2), "move" | "moving" | "moved" | "get" | "getting" | "come" | "coming");
    let off =
        matches!(to, "off" | "away" | "style" | "ish" | "clone") || to == "out" && before(tokens, k, 1) != "check";
    let like = before(tokens, k, 1) == "like"
        && matches!(before(tokens, k, 2), "something" | "sort" | "bit" | "much" | "anything");
    // A sheet of figures is brought and taken, or told of.
    let sheet = name.written == "Excel"
        && !(1..=4).any(|back| {
            matches!(
                before(tokens, k, back),
                "connect" | "connected" | "sync" | "synced" | "integrate" | "integrated" | "integration" | "linked"
            )
        })
        && !matches!(to, "integration" | "sync");
    // "So that people find us on Google."
    let found_on = name.written == "Google" && matches!(before(tokens, k, 1), "on" | "in" | "by");
    found_on || left || GIVES_UP.contains(&before(tokens, k, lead)) || off || like || sheet || tells
}

/// Whether a name may stand at `k` that is known by its sound alone.
fn leads_to_name(tokens: &[Token], used: &[bool], k: usize) -> bool {
    let lists = matches!(before(tokens, k, 1), "and" | "or" | ",") && k >= 2 && used[k - 2];
    let lead = matches!(
        before(tokens, k, 1),
        "with" | "to" | "into" | "via" | "through" | "using" | "use" | "from" | "in" | "on"
    );
    lists || lead || (1..=3).any(|n| matches!(low(tokens, k + n), "integration" | "integrations" | "sync"))
}

pub(super) fn longest(tokens: &[Token], k: usize, name: &Name) -> Option<usize> {
    // "PayPal's fine".
    let own = |said: &str| low(tokens, k).strip_suffix("'s") == Some(said) && low(tokens, k + 1) == "fine";
    name.said.iter().filter_map(|said| begins(tokens, k, said).or_else(|| own(said).then_some(1))).max()
}

/// Sounds of a name that is known by them; a shorter one sounds like too many words.
const SOUNDS_MIN: usize = 6;

/// A name with what it sounds like and whether it is technology.
type Sounding = (Vec<u8>, &'static Name, bool);

/// The name that one to three words sound like: "male chimp", "hubs pot". Everyday words sound like none.
fn sounding(tokens: &[Token], used: &[bool], k: usize) -> Option<(usize, &'static Name, bool)> {
    static NAMES: LazyLock<Vec<Sounding>> = LazyLock::new(|| {
        let all = TECHNOLOGY.iter().map(|name| (name, true)).chain(SYSTEMS.iter().map(|name| (name, false)));
        all.filter(|(name, _)| !name.ambiguous)
            .map(|(name, tech)| (sounds(&name.said[0].replace(' ', "")), name, tech))
            .filter(|(sounds, ..)| sounds.len() >= SOUNDS_MIN)
            .collect()
    });
    (1..=3).rev().find_map(|count| {
        let words = tokens.get(k..k + count)?;
        let strange = |(n, token): (usize, &Token)| {
            !used[k + n] && !token.is_pause() && !is_plain(&token.low) && !is_feature_word(&token.low)
        };
        if !words.iter().enumerate().all(strange) {
            return None;
        }
        // "Express" stands for itself, and takes a cue.
        let mut all = TECHNOLOGY.iter().chain(SYSTEMS);
        if count == 1 && all.any(|name| name.ambiguous && name.said.contains(&words[0].low.as_str())) {
            return None;
        }
        let heard = words.iter().flat_map(|token| sounds(&token.low)).collect::<Vec<u8>>();
        let best = NAMES.iter().find(|(target, ..)| *target == heard)?;
        Some((count, best.1, best.2))
    })
}

/// The known feature that a word is a homophone of: "webbooks", "remainders".
fn homophone(word: &str) -> Option<&'static str> {
    static WORDS: LazyLock<Vec<(Vec<u8>, &'static str)>> = LazyLock::new(|| {
        let words = FEATURES.iter().flat_map(|(_, words)| words.iter()).filter(|word| !word.contains(' '));
        words.map(|word| (sounds(word), *word)).filter(|(sounds, _)| sounds.len() >= SOUNDS_MIN - 1).collect()
    });
    let heard = sounds(word);
    WORDS.iter().find(|(sounds, known)| *sounds == heard && known[..1] == word[..1]).map(|(_, known)| *known)
}

/// Whether a name that is also a word stands where a name does.
pub(super) fn cued(tokens: &[Token], k: usize, count: usize, name: &Name, tech: bool) -> bool {
    let prev = before(tokens, k, 1);
    // "go ahead", "go live": an order.
    if name.written == "Go" {
        let leads = matches!(prev, "in" | "using" | "use")
            || tokens[k].raw == "Go" && k > 0 && matches!(prev, "with" | "and" | "," | "or");
        let named =
            tokens[k].raw == "Go" && matches!(low(tokens, k + 1), "language" | "microservice" | "service" | "backend");
        // "An API in Go for couriers".
        let written = prev == "in" && tokens[k].raw == "Go";
        return named
            || written
            || leads && !matches!(low(tokens, k + 1), "ahead" | "live" | "for" | "with" | "to" | "back");
    }
    // "Node and MongoDB." at the beginning of a sentence.
    let lists = tech && matches!(low(tokens, k + count), "and" | ",") && is_known(tokens, k + count + 1);
    let capital = tokens[k].is_capital() && (k > 0 && !matches!(prev, ".") || lists);
    let leads: &[&str] = if tech {
        &["in", "using", "with", "on", "use", "react", "of", "and", "or", ","]
    } else {
        &["with", "to", "into", "and", "from", "via", "using", "through", "on", ",", "or", "use"]
    };
    let follows = matches!(
        low(tokens, k + count),
        "integration" | "integrations" | "sync" | "frontend" | "backend" | "app" | "api" | "meetings" | "calls"
    );
    #[rustfmt::skip]
    let common = matches!(
        name.written,
        "Spring" | "Microsoft Teams" | "Square" | "Next.js" | "Base" | "Material" | "Anchor" | "Ghost" | "Toast" | "Segment" | "Meta" | "Greenhouse" | "Phantom" | "Pix" | "Tally" | "Wise" | "Plausible" | "Figma"
    );
    capital || follows || !common && leads.contains(&prev)
}

/// What a request wants to be connected to though the product does not know it: "integrate it with our till".
fn unknown_systems(tokens: &[Token], used: &mut [bool], systems: &mut Vec<String>) {
    #[rustfmt::skip]
    const CONNECTS: &[&str] = &[
        "integrated with", "integrate with", "integrate it with", "integrates with", "integration with", "connected to", "connect to", "connect it to", "connects to", "synced with",
        "sync with", "sync it with", "syncs with", "hooked up to", "hook it up to", "hook it up with", "linked to", "link it to", "talks to", "talk to", "plugged into", "plugs into",
    ];
    for k in 1..tokens.len() {
        // "pay with Pix", "cash out with GCash", "payment via PayFast".
        let pays = matches!(before(tokens, k, 1), "with" | "via" | "through" | "by")
            && matches!(before(tokens, k, 2), "pay" | "payment" | "payments" | "paying" | "out" | "checkout");
        let after = matches!(low(tokens, k + 1), "for" | "at")
            && matches!(low(tokens, k + 2), "payment" | "payments" | "checkout");
        if (pays || after) && tokens[k].is_capital() && !used[k] && systems.len() < OPEN_POINTS_MAX {
            systems.push(tokens[k].raw.clone());
            used[k] = true;
        }
    }
    for k in 0..tokens.len() {
        let Some(count) = CONNECTS.iter().find_map(|lead| begins(tokens, k, lead)) else { continue };
        if low(tokens, k) == "talk" && !matches!(before(tokens, k, 1), "must" | "should" | "can" | "will") {
            continue;
        }
        let mut from = k + count;
        if matches!(low(tokens, from), "our" | "my" | "the" | "a" | "an") {
            from += 1;
        }
        let mut to = from;
        while to < tokens.len()
            && to < from + 3
            && !tokens[to].is_pause()
            && !used[to]
            && !CLOSES.contains(&low(tokens, to))
            && low(tokens, to) != "and"
        {
            to += 1;
        }
        let plain = to > from
            && !matches!(
                low(tokens, from),
                "person"
                    | "human"
                    | "someone"
                    | "somebody"
                    | "manager"
                    | "operator"
                    | "agent"
                    | "people"
                    | "customers"
                    | "nothing"
                    | "any"
                    | "anything"
                    | "everything"
            );
        if plain && systems.len() < OPEN_POINTS_MAX {
            systems.push(joined(&tokens[from..to], |t| &t.raw));
            used[from..to].iter_mut().for_each(|flag| *flag = true);
        }
    }
}

/// Features wanted, as said: what stands where features are named; where nothing does, what the lists of the grammar have.
pub(super) fn features(tokens: &[Token], used: &[bool]) -> Vec<String> {
    let (listed, refused) = of_lists(tokens, used);
    let mut found = finder::spans(tokens, used);
    // "Products card payments" are two where the list has two.
    found = found.into_iter().flat_map(|span| split(span, &listed)).collect();
    // "Invoices famines", as heard: of two in the plural none belongs to the other.
    let plural = |k: usize| low(tokens, k).ends_with('s') && !matches!(low(tokens, k), "sales" | "news" | "address");
    found = found
        .into_iter()
        .flat_map(|(from, to)| {
            let two = to - from == 2 && plural(from) && plural(from + 1) && is_feature_word(low(tokens, from));
            if two { vec![(from, from + 1), (from + 1, to)] } else { vec![(from, to)] }
        })
        .collect();
    // "A connection to Google Sheets" is that system.
    found.retain(|&(_, to)| {
        let system = matches!(low(tokens, to), "to" | "with") && used.get(to + 1).is_some_and(|used| *used);
        !(system && matches!(low(tokens, to - 1), "connection" | "connections"))
    });
    // "sales reports" is one where the list has it as one.
    for (from, to, _) in &listed {
        let inside = |(f, t): &(usize, usize)| from <= f && t <= to;
        if found.iter().filter(|span| inside(span)).map(|(f, t)| t - f).sum::<usize>() == to - from {
            found.retain(|span| !inside(span));
            found.push((*from, *to));
        }
    }
    let mut all: Vec<(usize, String)> = Vec::new();
    for &(from, to) in &found {
        let name = joined(&tokens[from..to], |t| &t.low);
        let name = if to - from == 1 { homophone(&name).map_or(name, str::to_owned) } else { name };
        if !refused.contains(&canonical_feature(&name)) {
            all.push((from, name));
        }
    }
    if found.is_empty() {
        all.extend(listed.into_iter().map(|(from, _, name)| (from, name)));
    }
    all.sort_by_key(|(from, _)| *from);
    let mut seen: Vec<String> = Vec::new();
    all.retain(|(_, name)| {
        let key = canonical_feature(name);
        let new = !seen.contains(&key) && seen.len() < OPEN_POINTS_MAX;
        if new {
            seen.push(key);
        }
        new
    });
    all.into_iter().map(|(_, name)| name).collect()
}

/// The items of the grammar's list that make up a span, where they do.
fn split((from, to): (usize, usize), listed: &[(usize, usize, String)]) -> Vec<(usize, usize)> {
    let inside: Vec<(usize, usize)> =
        listed.iter().map(|(f, t, _)| (*f, *t)).filter(|(f, t)| from <= *f && *t <= to).collect();
    if inside.iter().map(|(f, t)| t - f).sum::<usize>() == to - from { inside } else { vec![(from, to)] }
}

/// Features of the grammar's lists, each with where it stands; and the keys of those that are refused.
fn of_lists(tokens: &[Token], used: &[bool]) -> (Vec<(usize, usize, String)>, Vec<String>) {
    let mut wanted: Vec<(String, (usize, usize, String))> = Vec::new();
    let mut without: Vec<String> = Vec::new();
    // A list may stand at the beginning of a clause; "for our orders" closes it.
    let (mut open, mut wide, mut refused) = (true, false, false);
    let mut k = 0;
    while k < tokens.len() {
        let word = low(tokens, k);
        if tokens[k].is_pause() {
            if word == "." {
                (wide, refused) = (false, false);
            }
            open = true;
            k += 1;
            continue;
        }
        if used[k] {
            k += 1;
            continue;
        }
        // "A do-not-mail flag" refuses nothing, "a sign-in page" closes nothing.
        let whole = !is_tied(tokens, k) && !is_tied(tokens, k + 1);
        let drops = whole && REFUSES.contains(&word)
            || matches!(word, "leave" | "take") && (k + 1..k + 6).any(|m| matches!(low(tokens, m), "out" | "away"))
            || word == "rid"
            || word == "instead" && low(tokens, k + 1) == "of"
            || word == "rather" && low(tokens, k + 1) == "than";
        // "don't forget the invoices", "no, add notes".
        let turned = word == "don't" && low(tokens, k + 1) == "forget";
        if turned {
            (open, wide, refused) = (true, true, false);
            k += 2;
            continue;
        }
        if drops && !(word == "no" && tokens.get(k + 1).is_some_and(Token::is_pause)) {
            (open, wide, refused) = (true, false, true);
            k += 1 + usize::from(matches!(low(tokens, k + 1), "of" | "than"));
            while matches!(low(tokens, k), "want" | "need" | "add" | "include" | "have") {
                k += 1;
            }
            continue;
        }
        if whole && OPENS.contains(&word) {
            // "swap the invoices for quotes" comes below; "put the calendar in" opens.
            (open, wide, refused) = (true, OPENS_WIDE.contains(&word), false);
            k += 1;
            continue;
        }
        // "no deals, only contacts and search".
        if refused && (matches!(word, "for" | "by" | "with" | "keep" | "but") || matches!(word, "only" | "just")) {
            (open, refused) = (true, false);
            k += 1;
            continue;
        }
        if whole && (matches!(word, "and" | "or" | "both" | "then") || EMPTY.contains(&word)) {
            k += 1;
            continue;
        }
        if whole && CLOSES.contains(&word) {
            (open, wide) = (false, false);
            k += 1;
            continue;
        }
        let mut end = phrase_end(tokens, used, k);
        // "Leave the calendar out."
        end -= usize::from(refused && end > k + 1 && matches!(low(tokens, end - 1), "out" | "away"));
        if open && let Some(phrase) = phrase(tokens, k, end, wide) {
            let key = canonical_feature(&phrase);
            if refused {
                wanted.retain(|(known, _)| *known != key);
                without.push(key);
            } else {
                without.retain(|known| *known != key);
                if wanted.len() < OPEN_POINTS_MAX && !wanted.iter().any(|(known, _)| *known == key) {
                    wanted.push((key, (k, end, phrase)));
                }
            }
        } else {
            // Some other clause.
            open = wide && open;
        }
        k = end;
    }
    (wanted.into_iter().map(|(_, said)| said).collect(), without)
}

/// One past the noun phrase at `k`.
fn phrase_end(tokens: &[Token], used: &[bool], k: usize) -> usize {
    let mut end = k + 1;
    while end < tokens.len()
        && !tokens[end].is_pause()
        && !used[end]
        && (is_tied(tokens, end)
            || !matches!(low(tokens, end), "and" | "or" | "too" | "as")
                && !CLOSES.contains(&low(tokens, end))
                && (!OPENS.contains(&low(tokens, end))
                    || is_feature_word(&format!("{} {}", low(tokens, end - 1), low(tokens, end))))
                && !REFUSES.contains(&low(tokens, end))
                && !EMPTY.contains(&low(tokens, end)))
    {
        end += 1;
    }
    // No ear writes a comma: "contacts deals notes" are three, "contact form" is one.
    let named = |from: usize, to: usize| {
        to <= end && is_feature_word(&tokens[from..to].iter().map(|t| t.low.as_str()).collect::<Vec<_>>().join(" "))
    };
    let ends = |to: &usize| {
        let many = low(tokens, to - 1).ends_with('s') && !matches!(low(tokens, to - 1), "sales" | "news" | "address");
        many && (k..*to).any(|from| named(from, *to)) && (1..=3).any(|more| named(*to, to + more))
    };
    (k + 1..end).find(ends).unwrap_or(end)
}

/// The feature that words `k..end` name, if they do: the longest known one, or with `wide` all of up to three.
fn phrase(tokens: &[Token], k: usize, end: usize, wide: bool) -> Option<String> {
    let words: Vec<&str> = tokens[k..end].iter().map(|t| t.low.as_str()).collect();
    let head = *words.last()?;
    if words.len() <= 3 && is_feature_word(head) && !words.iter().any(|w| NO_FEATURE.contains(w)) {
        return Some(words.join(" "));
    }
    if words.len() == 1
        && head.is_ascii()
        && !NO_FEATURE.contains(&head)
        && let Some(known) = homophone(head)
    {
        return Some(known.to_owned());
    }
    let known = (0..words.len()).find_map(|from| {
        (from + 1..=words.len().min(from + 3))
            .rev()
            .find(|to| is_feature_word(&words[from..*to].join(" ")))
            .map(|to| words[from..to].join(" "))
    });
    let plain = |w: &&str| {
        w.len() > 2 && w.chars().all(|c| c.is_alphabetic() || c == '\'') && !NO_FEATURE.contains(w) && !w.contains('\'')
    };
    known
        .filter(|_| !NO_FEATURE.contains(&head) || wide)
        .or_else(|| (wide && words.len() <= 3 && words.iter().all(plain)).then(|| words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::super::entities;
    use super::*;

    #[test]
    fn features_of_lists() {
        for (text, features) in [
            ("a CRM with contacts, deals and notes", "contacts,deals,notes"),
            ("crm for my crew, contacts and deals", "contacts,deals"),
            ("CRM please. Contacts, companies, tasks.", "contacts,companies,tasks"),
            ("a shop with a cart but without reviews", "cart"),
            ("a CRM with deals, no, not deals, with tasks", "tasks"),
            ("an API for our orders", "orders"),
            ("a website with a contact form and a wine tasting calendar", "contact form,wine tasting calendar"),
            ("add invoices too", "invoices"),
            ("leave the calendar out", ""),
            ("don't forget the invoices", "invoices"),
            ("an API with webbooks and remainders", "webhooks,reminders"),
            ("with contracts and recipes", "contracts,recipes"),
            ("a crm with contacts deals tasks and a calendar", "contacts,deals,tasks,calendar"),
            ("a shop with products card payments", "products,card payments"),
            ("a dashboard with sales reports", "sales reports"),
            ("a CRM, no deals, only contacts and search", "contacts,search"),
            ("a shop with a cart and order tracking", "cart,order tracking"),
            ("one CRM with contacts, thank you", "contacts"),
            ("with loyalty points", "loyalty points"),
            ("a crm with contacts and a connection to Google Sheets", "contacts"),
            ("I was there with my wife", ""),
            ("a client tracker with follow-ups and doctors' profiles", "follow-ups,doctors' profiles"),
            ("a shop with a cart and take the e-mails out", "cart"),
            ("'-in", ""),
            ("a CRM with a do-not-mail flag, deposits and notes", "do-not-mail flag,deposits,notes"),
        ] {
            assert_eq!(entities(text).features.join(","), features, "{text}");
        }
        assert_eq!(canonical_feature("shopping cart"), canonical_feature("cart"));
    }

    #[test]
    fn technology_and_systems() {
        let read = |text: &str| {
            let found = entities(text);
            (found.tech_stack.join(","), found.integrations.join(","))
        };
        for (text, technology, systems) in [
            ("an API in Go on top of MySQL", "Go,MySQL", ""),
            ("written in node with mongo please", "Node.js,MongoDB", ""),
            ("go ahead and build a site in react", "React", ""),
            ("an API in Go for blood couriers", "Go", ""),
            ("with Salesforce and Slack integration", "", "Salesforce,Slack"),
            ("connect it to google calendar and zoom", "", "Google Calendar,Zoom"),
            ("integrate it with our till", "", "till"),
            ("use Vue instead of React", "Vue", ""),
            ("how do people react to it", "", ""),
            ("a shop connected to male chimp and hubs pot", "", "Mailchimp,HubSpot"),
            ("a dashboard with charts", "", ""),
            ("we sell hats and boots", "", ""),
            ("I don't trust the rust on my car, no express delivery", "", ""),
            ("hi, I'm calling about a website for the bakery", "", ""),
            ("swap Stripe for Square on the shop", "", "Square"),
            ("take Stripe off and put Klarna on", "", "Klarna"),
            ("we've outgrown Pipedrive, so build us a CRM with Gmail", "", "Gmail"),
            ("connect HubSpot, oh no, sorry, not HubSpot, just Gmail", "", "Gmail"),
            ("something like Shopify, but our own, in Vue", "Vue", ""),
            ("a shop on Shopify with Stripe", "Shopify", "Stripe"),
            ("a Grafana style dashboard with import from Excel", "", ""),
            ("Node and MongoDB, user accounts", "Node.js,MongoDB", ""),
            ("Node is fine", "", ""),
            ("a CRM next week, and next to it a blog", "", ""),
            ("a stablecoin on Base", "Base", ""),
            ("a shop for records, PayPal's fine", "", "PayPal"),
            ("three buttons and a tally counter", "", ""),
            ("people pay with Tikkie at the door", "", "Tikkie"),
            ("so that people find us on Google", "", ""),
        ] {
            assert_eq!(read(text), (technology.to_owned(), systems.to_owned()), "{text}");
        }
    }
}
