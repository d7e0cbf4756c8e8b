//! A draft for the ear. Purpose: the caller hears what will be built, and approves that. Pure. Invariants: read-back and question
//! take [`READ_BACK_MAX`] at most; what is not named for want of time is counted aloud, never left out. Deliberately absent: what
//! a change did (`amend`).

use super::{Draft, capitalised, title_case};
use crate::conversation::{aloud, numbers};
use crate::pipeline::intent::Feature;
use serde_json::Value;

/// Of speech, seconds, by the reckoning of `aloud`. The question whether to build it is part of it.
const READ_BACK_MAX: f32 = 20.0;
/// Who asks for nothing but the read-back adds this question.
const QUESTION: &str = "Shall I build it? Say yes or press one.";

/// How many of each are named, how many letters of what only the caller knows, and whether in fewer words.
#[derive(Clone, Copy)]
struct Measure {
    features: usize,
    open: usize,
    technology: usize,
    letters: usize,
    brief: bool,
}

const fn measure(features: usize, open: usize, technology: usize, letters: usize) -> Measure {
    Measure { features, open, technology, letters, brief: false }
}

const fn brief(features: usize, open: usize, letters: usize) -> Measure {
    Measure { features, open, technology: 1, letters, brief: true }
}

/// The first that is short enough is said. What every app of the type has goes first, then technology, which changes nothing.
const MEASURES: [Measure; 13] = [
    measure(usize::MAX, 3, usize::MAX, usize::MAX),
    measure(usize::MAX, 3, 3, 60),
    brief(12, 3, 60),
    brief(12, 2, 60),
    brief(10, 1, 60),
    brief(8, 1, 48),
    brief(7, 1, 36),
    brief(6, 1, 30),
    brief(5, 1, 30),
    brief(4, 1, 30),
    brief(3, 1, 24),
    brief(2, 0, 24),
    brief(1, 0, 24),
];
/// Of a feature's name so many letters are said in any case.
const NAME_LETTERS: usize = 32;

impl Draft {
    /// What will be built: in full where there is time.
    pub(in crate::conversation) fn read_back(&self) -> Vec<String> {
        let [longest @ .., shortest] = MEASURES;
        let left = READ_BACK_MAX - aloud::seconds(&[QUESTION]);
        let fits = |say: &Vec<String>| aloud::seconds(say) <= left;
        longest.iter().map(|by| self.read_back_by(*by)).find(fits).unwrap_or_else(|| self.read_back_by(shortest))
    }

    fn read_back_by(&self, by: Measure) -> Vec<String> {
        let comma = if self.purpose.is_some() { "," } else { "" };
        let name = |feature: &Feature| short(&feature.spoken, by.letters.max(NAME_LETTERS));
        let named: Vec<String> = self.named(by.features).into_iter().map(name).collect();
        let features = match self.features.len() - named.len() {
            0 => numbers::list(&named),
            more => numbers::and_more(&named.join(", "), more),
        };
        let mut say = vec!["Here is what I have.".to_owned(), format!("{}{comma} with {features}.", self.what_by(by))];
        if by.brief {
            say.remove(0);
        }
        say.extend(self.limits_by(by));
        let open: Vec<String> = self.open.iter().map(name).collect();
        let count = capitalised(&numbers::word(open.len().try_into().unwrap_or(u32::MAX)));
        let named = numbers::first(&open, by.open);
        match open.len() {
            0 => {}
            // There is no time to name any.
            _ if by.open == 0 => say.push(format!("{count} of your wishes I can't build yet.")),
            _ if by.brief => say.push(format!("I can't build {named} yet.")),
            1 => say.extend([format!("One thing stays open: {named}."), "I can't build that yet.".to_owned()]),
            _ => say.extend([format!("{count} things stay open: {named}."), "I can't build those yet.".to_owned()]),
        }
        say
    }

    /// So many of its features at most, in their order: rather those that were asked for than those that every app of the type has.
    fn named(&self, most: usize) -> Vec<&Feature> {
        let mut order: Vec<usize> = (0..self.features.len()).collect();
        order.sort_by_key(|at| (self.is_basic(&self.features[*at].key), *at));
        order.truncate(most);
        order.sort_unstable();
        order.into_iter().map(|at| &self.features[at]).collect()
    }

    /// "A CRM called Acme for your bakery".
    pub(in crate::conversation) fn what(&self) -> String {
        self.what_by(MEASURES[0])
    }

    fn what_by(&self, by: Measure) -> String {
        let name = self.name.as_ref().map(|name| format!(" called {}", title_case(name))).unwrap_or_default();
        let purpose = self.purpose.as_ref().map(|purpose| format!(" for {purpose}")).unwrap_or_default();
        let (article, noun) = (capitalised(self.build_type.article()), self.build_type.noun());
        format!("{article} {noun}{}", short(&(name + &purpose), by.letters))
    }

    /// Limits and technology for the ear; nothing when none were named.
    pub(super) fn limits(&self) -> Vec<String> {
        self.limits_by(MEASURES[0])
    }

    fn limits_by(&self, by: Measure) -> Vec<String> {
        let mut parts = Vec::new();
        if let Some(budget) = self.constraints.get("budget") {
            let amount = budget["amount"].as_f64().unwrap_or_default();
            let currency = match budget["currency"].as_str().unwrap_or_default() {
                "USD" => "dollars",
                "EUR" => "euros",
                "GBP" => "pounds",
                "INR" => "rupees",
                other => other,
            };
            // A million and more is taken in by ear as such.
            let is_rounded = by.brief || amount >= 1e6;
            let amount = if is_rounded { numbers::count(amount as u64) } else { amount.to_string() };
            parts.push(format!("a budget of {amount} {currency}"));
        }
        if let Some(term) = self.constraints.get("timeline").and_then(Value::as_str) {
            parts.push(short(&spoken_term(term), by.letters));
        }
        if let Some(users) = self.constraints.get("scale").and_then(Value::as_u64) {
            parts.push(format!("{} users", numbers::count(users)));
        }
        let mut say = Vec::new();
        if !parts.is_empty() {
            say.push(format!("I noted {}.", numbers::list(&parts)));
        }
        if !self.tech_stack.is_empty() {
            let named: Vec<String> = self.tech_stack.iter().map(|name| short(name, NAME_LETTERS)).collect();
            let named = numbers::first(&named, by.technology);
            say.push(if by.brief {
                format!("I build without {named}.")
            } else {
                format!("You named {named}. I build with what is on this box.")
            });
        }
        say
    }
}

/// The words of it that have so many letters, and that there are more.
fn short(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let begin: String = text.chars().take(letters).collect();
    // One word that is as long as that is none: as much of it as there is time for.
    let words = begin.rsplit_once(' ').map_or(begin.as_str(), |(words, _)| words);
    format!("{words} and so on")
}

/// "P2W" is "two weeks"; a date as it was said.
fn spoken_term(term: &str) -> String {
    let Some(designators) = term.strip_prefix("PT").or(term.strip_prefix('P')) else { return term.to_owned() };
    let (count, unit) = designators.split_at(designators.len().saturating_sub(1));
    let unit = match (unit, term.starts_with("PT")) {
        ("M", true) => "minute",
        ("H", _) => "hour",
        ("D", _) => "day",
        ("W", _) => "week",
        ("M", false) => "month",
        ("Y", _) => "year",
        _ => return term.to_owned(),
    };
    match count.parse() {
        Ok(1) => format!("one {unit}"),
        Ok(n) => format!("{} {unit}s", numbers::word(n)),
        Err(_) => term.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_says_so() {
        assert_eq!(short("Blue Harbour", 60), "Blue Harbour");
        assert_eq!(short("Blue Harbour Company", 14), "Blue Harbour and so on");
        assert_eq!(short(&"x".repeat(90), 4), "xxxx and so on");
        assert_eq!(spoken_term("P2W"), "two weeks");
    }
}
