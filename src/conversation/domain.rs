//! What callers may say, as text that the recogniser's language model is trained on.
//!
//! Pure and deterministic: templates × fillers, a fixed sample of each product, so that the model is small and the same on
//! every start. Invariants: at most [`DOMAIN_SENTENCES_MAX`] lines; lower case, no punctuation but the apostrophe; no
//! sentence of the tests or of the demonstration is in it (test `domain_text`).
//! Everyday talk that asks for nothing is part of it on purpose: a recogniser that knows only requests hears only requests.
//! Deliberately absent: n-grams (`speech`), yes/no and digit grammars (`speech`), understanding (`pipeline::intent`).

use crate::limits::DOMAIN_SENTENCES_MAX;

/// Training text and lexicon for a small language model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainText {
    /// Lower-case sentences, one a line, no punctuation but the apostrophe.
    pub sentences: String,
    /// Words that the CMU dictionary may lack or say otherwise, with ARPAbet phones separated by blanks; a word may come
    /// twice when it is said in two ways.
    pub pronunciations: Vec<(String, String)>,
}

/// Sentences of everyday talk, one a line.
const EVERYDAY: &str = include_str!("everyday.txt");

type Words = &'static [&'static str];

const HELLO: Words = &[
    "",
    "",
    "",
    "",
    "hi",
    "hello",
    "hello grace",
    "hey grace",
    "good morning",
    "good afternoon",
    "yes hello",
    "okay",
    "well",
    "yes",
    "right",
    "um",
    "so",
    "hi there",
    "listen",
    "great",
];
const ASKING: Words = &[
    "build",
    "build me",
    "build us",
    "please build",
    "please build me",
    "please make",
    "please make us",
    "make me",
    "make us",
    "create",
    "create me",
    "please create",
    "set up",
    "please set up",
    "set me up",
    "put together",
    "please put together",
    "can you build",
    "can you build me",
    "can you build us",
    "can you make",
    "can you make me",
    "can you create",
    "can you set up",
    "can you please build",
    "could you build",
    "could you build me",
    "could you build us",
    "could you make",
    "could you make us",
    "could you create",
    "could you set up",
    "could you please build",
    "could you please make",
    "could you please create",
    "could you put together",
    "would you build",
    "would you please build",
    "would you make",
    "would you mind building",
    "will you build",
    "i want",
    "i want you to build",
    "i want to have",
    "i want to order",
    "i need",
    "i need you to build",
    "i need you to make",
    "i would like",
    "i would like to have",
    "i would like to order",
    "i would like you to build",
    "i would like you to make",
    "i'd like",
    "i'd like to have",
    "i'd like to order",
    "i'd like you to build",
    "i'd like you to create",
    "i am looking for",
    "i'm looking for",
    "i'm calling to order",
    "i'm calling about getting",
    "we want",
    "we want you to build",
    "we need",
    "we need you to build",
    "we would like",
    "we'd like",
    "we'd like to have",
    "we'd like you to build",
    "we are looking for",
    "we're looking for",
    "we could use",
    "my company needs",
    "our office needs",
    "my boss wants",
    "can i get",
    "can i have",
    "can we get",
    "can we have",
    "could i get",
    "could we have",
    "may i order",
    "get me",
    "get us",
    "give me",
    "give us",
    "how about",
    "what we need is",
    "what i want is",
    "what i need is",
    "let us build",
    "is it possible to build",
    "are you able to build",
    "start building",
    "go ahead and build",
    "i'd love to have",
    "we were hoping for",
    "develop",
    "design",
    "generate",
    "please develop",
    "please generate",
    "can you develop",
    "could you develop",
    "can you design",
];
const THING: Words = &[
    "a crm",
    "a crm",
    "a crm",
    "a crm",
    "a crm",
    "a crm",
    "a new crm",
    "a simple crm",
    "a small crm",
    "a little crm",
    "a good crm",
    "a basic crm",
    "a crm system",
    "a crm application",
    "a crm app",
    "a crm program",
    "one crm",
    "some crm",
    "another crm",
    "our own crm",
    "my own crm",
    "a customer database",
    "a client database",
    "a contact manager",
    "a customer relationship management system",
    "a customer management system",
    "a program to keep track of customers",
    "something to manage my contacts",
    "something to keep track of deals",
    "software to manage our customers",
];
const FEATURE: Words = &[
    "contacts",
    "contacts",
    "contacts",
    "deals",
    "deals",
    "deals",
    "notes",
    "notes",
    "search",
    "companies",
    "stages",
    "deal stages",
    "customers",
    "clients",
    "leads",
    "a search",
    "a sales pipeline",
    "a pipeline",
    "tasks",
    "invoices",
    "reminders",
    "a calendar",
    "export",
    "reports",
    "opportunities",
    "appointments",
    "e mail",
    "payments",
    "documents",
    "accounts",
];
const CORE: Words = &["contacts", "deals", "notes", "search", "companies", "stages"];
const THE_FEATURE: Words = &[
    "the contacts",
    "the deals",
    "the notes",
    "the search",
    "the companies",
    "the stages",
    "deals",
    "notes",
    "contacts",
    "search",
    "companies",
    "stages",
    "invoices",
    "reminders",
    "tasks",
    "reports",
    "the calendar",
    "the invoices",
    "the pipeline",
    "export",
];
const BUSINESS: Words = &[
    "business",
    "company",
    "shop",
    "bakery",
    "law firm",
    "dental practice",
    "garage",
    "restaurant",
    "flower shop",
    "studio",
    "real estate office",
    "insurance agency",
    "travel agency",
    "consulting company",
    "cleaning company",
    "construction company",
    "sales team",
    "gym",
    "hotel",
    "marketing agency",
    "book store",
    "farm",
    "moving company",
    "photo studio",
    "software company",
    "furniture store",
    "driving school",
    "yoga studio",
    "pet shop",
    "building company",
    "trading company",
    "family business",
];
const MY: Words = &["for my", "for our", "for a", "for the", "for my small", "for our little", "for my new"];
const AND_FEATURE: Words = &[
    "and contacts",
    "and deals",
    "and notes",
    "and search",
    "and companies",
    "and stages",
    "and a search",
    "and invoices",
    "and tasks",
    "and reminders",
];
const PLEASE: Words = &["", "", "", "please", "thank you", "thanks"];
const CRM: Words = &[
    "the crm",
    "the crm",
    "the crm",
    "my crm",
    "our crm",
    "the new crm",
    "it",
    "the app",
    "the system",
    "the website",
    "the build",
];

/// A product of word lists and how many of its sentences go into the text.
struct Template {
    parts: &'static [Words],
    most: usize,
}

const fn t(parts: &'static [Words], most: usize) -> Template {
    Template { parts, most }
}

#[rustfmt::skip]
const TEMPLATES: &[Template] = &[
    // Requests.
    t(&[HELLO, ASKING, THING, PLEASE], 750),
    t(&[HELLO, ASKING, THING, &["with", "that has", "with just", "that can do", "including"], FEATURE, PLEASE], 450),
    t(&[HELLO, ASKING, THING, &["with", "with", "that has", "including"], FEATURE, AND_FEATURE, PLEASE], 850),
    t(&[HELLO, ASKING, THING, &["with"], CORE, CORE, AND_FEATURE, PLEASE], 400),
    t(&[HELLO, ASKING, THING, MY, BUSINESS, PLEASE], 450),
    t(&[HELLO, ASKING, THING, MY, BUSINESS, &["with"], CORE, AND_FEATURE], 350),
    t(&[&["a crm", "just a crm", "a simple crm", "a crm please", "a crm i think", "one crm please"], &["", "with"], CORE, AND_FEATURE], 60),
    t(&[&["a crm", "just a crm", "a simple crm", "a crm please", "a customer database", "a new crm thank you"]], 6),
    // Features alone, as answers.
    t(&[&["", "just", "only", "i want", "we need", "i'd like", "with", "mainly", "well", "um", "i think"], FEATURE, PLEASE], 240),
    t(&[&["", "just", "only", "i want", "we need", "i'd like", "with", "it should have", "well"], CORE, AND_FEATURE, PLEASE], 260),
    t(&[&["", "i want", "we need"], CORE, CORE, AND_FEATURE], 90),
    t(&[&["", "", "i want", "i need", "we'd like", "let's take", "i think"], &["both", "both of them", "everything", "all of it", "all of them", "the usual"], PLEASE], 60),
    t(&[&["i don't know", "you choose", "you decide", "whatever you think", "i don't mind", "what do you recommend", "anything is fine"]], 7),
    // Changes to the read-back.
    t(&[&["", "no", "no no", "yes but", "but", "okay but", "wait", "um"], &["without", "remove", "leave out", "drop", "skip", "take out", "i don't need", "we don't need", "i don't want", "not", "no need for", "delete", "please remove", "except"], THE_FEATURE, PLEASE], 420),
    t(&[&["", "no", "yes and", "yes but", "and", "okay and", "wait", "please"], &["add", "also", "with", "plus", "and add", "include", "also add", "i also want", "we also need", "put in"], THE_FEATURE, PLEASE], 420),
    t(&[&["", "no", "wait"], &["change", "replace", "swap"], THE_FEATURE, &["to", "with", "for"], CORE], 90),
    t(&[&["", "no", "wait", "please"], &["leave", "take"], THE_FEATURE, &["out", "out please"]], 60),
    t(&[&["", "no"], CORE, &["instead of", "but not", "and not", "but no", "rather than"], CORE], 60),
    t(&[&["call it", "please call it", "name it", "it is called", "the name is"], &["acme", "sunshine", "blue sky", "silver line", "green garden", "golden gate", "pioneer", "summit"], &["", "please", "crm"]], 60),
    // Reports.
    t(&[&["", "", "hello", "and", "so", "okay", "tell me"], &["how is", "how's", "how are things with", "what is the status of", "what's the status of", "what about", "what's happening with", "any news about", "give me a report on", "give me an update on", "can you check on", "what's new with"], CRM, &["", "", "doing", "today", "now", "going", "please"]], 420),
    t(&[&["", "hello", "and"], &["is"], CRM, &["up", "up yet", "ready", "ready yet", "live", "running", "done", "online", "finished", "working", "deployed", "down"], &["", "now"]], 160),
    t(&[&["how many"], &["records", "contacts", "deals", "requests", "calls", "users", "customers", "notes"], &["are there", "do we have", "are in the crm", "does the crm have", "are in it", "did we get today"]], 40),
    t(&[&["status", "status please", "status report", "how busy is it", "how busy is the crm", "how far is it", "how is it going", "is it up", "is it there yet", "how long will it take"]], 10),
    // Answers and ways out; the speech plane weighs answers of its own where one is asked for.
    t(&[&["yes", "yeah", "yep", "yes please", "yes go ahead", "go ahead", "yes do it", "do it", "build it", "yes build it", "please do", "go for it", "okay", "right", "sure"], &["", "", "thank you", "please", "now"]], 60),
    t(&[&["no", "nope", "no no", "no thanks", "no thank you", "no not yet", "not yet", "don't", "don't do it", "don't build it", "no don't build it", "do not build it", "don't build anything yet", "stop", "cancel", "cancel that", "never mind", "forget it", "wait", "wait a moment", "hold on", "maybe later", "i changed my mind", "not now"], &["", "", "please"]], 60),
    t(&[&["", "sorry", "can you", "could you", "please"], &["repeat", "repeat that", "say that again", "say it again", "read it again", "go over that again"], &["", "please"]], 40),
    t(&[&["", "no", "okay", "thank you", "thanks", "well"], &["goodbye", "bye", "bye bye", "that's all", "that was all", "i'm done", "see you later", "have a nice day", "hang up please"]], 50),
    t(&[&["can i", "could i", "i want to", "i need to", "let me", "i'd like to"], &["speak to", "talk to", "speak with"], &["a person", "somebody", "an operator", "a human", "the manager", "someone", "a real person"], PLEASE], 80),
    t(&[&["help", "help please", "what can you do", "what can i say", "what can you build", "how does this work", "who are you", "what are my options", "operator", "operator please"]], 10),
    t(&[&["hello", "hi", "hello hello", "good morning", "good evening", "hello grace", "are you there", "is anybody there", "can you hear me now", "how are you", "how are you today", "hello how are you"]], 12),
    t(&[&["", "press", "number"], &["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero"]], 30),
    // Requests for other things, and talk about CRMs that asks for none.
    t(&[HELLO, ASKING, &["a website", "a web page", "an online shop", "a blockchain", "a dashboard", "an app", "a game", "a shop"], PLEASE], 150),
    t(&[&["our", "my", "the", "their", "your", "his"], &["crm", "old crm", "database", "website", "crm system"], &["is broken", "is slow", "does not work", "is very good", "was expensive", "is a mess", "crashed again", "was made by a friend", "is too old", "belongs to my boss", "lost some data", "costs too much"]], 110),
    t(&[&["he", "she", "they", "my brother", "somebody", "the other company", "my friend", "we"], &["built", "made", "bought", "had", "sold", "wanted", "lost", "ordered", "uses", "used"], &["a crm", "a new crm", "the crm", "a database", "a website"], &["", "last month", "a year ago", "yesterday", "for a customer", "before", "once"]], 170),
    t(&[&["don't build", "please don't build", "do not build", "don't make", "i don't want", "we don't need", "i don't need", "nobody needs", "i did not order", "never build"], &["a crm", "anything", "another crm", "the crm", "a website"], &["", "please", "now", "today"]], 100),
    t(&[&["what is", "who needs", "who made", "why do people use", "do you like", "do you know", "have you ever seen", "tell me what is", "i heard about", "i read about", "i know"], &["a crm", "the crm", "that crm", "crms"]], 40),
    t(&[&["customers", "contacts", "deals", "relationships", "sales", "clients", "companies", "notes"], &["are", "were", "can be", "are always", "are not"], &["important", "everything", "difficult", "expensive", "good for us", "hard to find", "very nice", "the problem"]], 110),
    // Everyday talk by template, for other words in other orders.
    t(&[&["i", "we", "they", "you", "she", "he", "my sister", "the children", "our neighbors", "people"], &["saw", "found", "lost", "bought", "forgot", "like", "remember", "need", "want", "wanted", "called about", "talked about", "brought", "opened", "painted"], &["the car", "a dog", "some bread", "the house", "a letter", "the garden", "two tickets", "the doctor", "a new phone", "the movie", "some money", "a present", "the train", "the window", "a good book"], &["", "", "today", "yesterday", "last week", "on monday", "in town", "this morning", "with my mother", "again"]], 480),
    t(&[&["can you", "could you", "would you", "please"], &["bring", "send", "show", "tell", "give", "find"], &["me", "us", "him", "my wife"], &["the bill", "a taxi", "some water", "the way", "a number", "the menu", "the news", "a picture", "the key", "your address"], &["", "please", "tomorrow", "now"]], 200),
    t(&[&["it is", "it was", "that is", "this is", "today is", "everything is"], &["very", "really", "not", "too", "so"], &["cold", "late", "nice", "loud", "early", "strange", "far", "hot", "expensive", "quiet", "difficult", "good", "bad", "funny", "dark"], &["", "here", "outside", "today", "in the morning"]], 150),
];

/// Ways to say words that the dictionary may lack, or that people say in more than one way.
const PRONUNCIATIONS: &[(&str, &str)] = &[
    ("crm", "S IY AA R EH M"),
    ("crm", "S IY ER EH M"),
    ("crms", "S IY AA R EH M Z"),
    ("api", "EY P IY AY"),
    ("apis", "EY P IY AY Z"),
];

/// The text of the built-in agent's domain; the same on every call.
#[must_use]
pub fn domain() -> DomainText {
    let mut lines: Vec<String> = EVERYDAY.lines().map(str::to_owned).collect();
    for template in TEMPLATES {
        lines.extend(template.sample());
    }
    lines.sort_unstable();
    lines.dedup();
    debug_assert!(lines.len() <= DOMAIN_SENTENCES_MAX, "{} sentences", lines.len());
    lines.truncate(DOMAIN_SENTENCES_MAX);
    let mut sentences = lines.join("\n");
    sentences.push('\n');
    let pronunciations = PRONUNCIATIONS.iter().map(|(w, p)| ((*w).to_owned(), (*p).to_owned())).collect();
    DomainText { sentences, pronunciations }
}

impl Template {
    /// `most` sentences spread evenly over the product of the parts, in a fixed order.
    fn sample(&self) -> impl Iterator<Item = String> {
        let all: usize = self.parts.iter().map(|p| p.len()).product();
        let count = all.min(self.most);
        // A step near the golden section visits every part of the product before it comes close to where it was.
        let mut step = (all as f64 * 0.618_033_988_749_894_9) as usize;
        while gcd(step.max(1), all.max(1)) != 1 {
            step += 1;
        }
        (0..count).map(move |n| self.sentence(n * step.max(1) % all.max(1))).filter(|s| !stutters(s))
    }

    fn sentence(&self, mut index: usize) -> String {
        let mut sentence = String::new();
        for part in self.parts {
            let word = part[index % part.len()];
            index /= part.len();
            if !word.is_empty() {
                if !sentence.is_empty() {
                    sentence.push(' ');
                }
                sentence.push_str(word);
            }
        }
        sentence
    }
}

/// "notes notes", "notes and notes": fillers met themselves.
fn stutters(sentence: &str) -> bool {
    let words: Vec<&str> = sentence.split(' ').filter(|w| !matches!(*w, "and" | "a" | "the")).collect();
    words.windows(2).any(|w| w[0] == w[1] && w[0].ends_with('s'))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_and_repeats_nothing() {
        let template = t(&[&["a", "b", "c"], &["x", "y"], &["", "z"]], 12);
        let mut lines: Vec<String> = template.sample().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 12);
    }

    #[test]
    fn thousands_of_plain_lines_always_the_same() {
        let text = domain();
        let lines: Vec<&str> = text.sentences.lines().collect();
        assert!((4000..=DOMAIN_SENTENCES_MAX).contains(&lines.len()), "{}", lines.len());
        for line in &lines {
            assert!(line.bytes().all(|b| b.is_ascii_lowercase() || b == b' ' || b == b'\''), "{line}");
            assert!(!line.is_empty() && !line.contains("  ") && line.trim() == *line, "{line}");
        }
        assert_eq!(text, domain());
    }
}
