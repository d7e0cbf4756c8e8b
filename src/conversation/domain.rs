//! What callers may say, as text that the recogniser's language model is trained on.
//!
//! Pure and deterministic: templates × fillers, a fixed sample of each product, so that the model is small and the same on
//! every start. Invariants: at most [`DOMAIN_SENTENCES_MAX`] lines; lower case, no punctuation but the apostrophe; no
//! sentence of the tests or of the demonstration is in it (test `domain_text`).
//! Everyday talk that asks for nothing is part of it on purpose: a recogniser that knows only requests hears only requests.
//! Deliberately absent: n-grams (`speech`), yes/no and digit grammars (`speech`), understanding (`pipeline::intent`).

use super::classes::*;
use super::{kinds, values, wants};
use crate::limits::DOMAIN_SENTENCES_MAX;

/// Training text and lexicon for a small language model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DomainText {
    /// Lower-case sentences, one a line, no punctuation but the apostrophe.
    pub sentences: String,
    /// What callers of a box that has built something say most, one a line; worth many of the other sentences.
    pub usual: String,
    /// What stands for more sentences than can be written down: products of word classes.
    pub patterns: Vec<Pattern>,
    /// The same of what callers want of any kind: for engines that hear every word; a closed vocabulary is small to be sure.
    pub wants: Vec<Pattern>,
    /// Those of them that answer a question.
    pub replies: Vec<Pattern>,
    /// Names that callers give, lower case.
    pub names: Vec<String>,
    /// Words that the CMU dictionary may lack or say otherwise, with ARPAbet phones separated by blanks; a word may come
    /// twice when it is said in two ways.
    pub pronunciations: Vec<(String, String)>,
    /// Words and how they are said, in other words: `sqlite` is "see quell light".
    pub respellings: Vec<(String, String)>,
}

/// A word class: phrases and how often each is said, relative to the others of its class. An empty phrase leaves it out.
pub type Class = Vec<(String, f64)>;

/// A product of word classes: every sentence that takes one member of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pattern {
    /// In the order in which they are said.
    pub parts: Vec<Class>,
    /// How many sentences of the text it is worth.
    pub weight: f64,
}

/// Sentences of everyday talk, one a line.
const EVERYDAY: &str = include_str!("everyday.txt");

/// The question that every later call begins with. Short, so the recogniser has little else to go by.
const USUAL: &str =
    "how is the crm\nhow's my crm\nhow is my crm\nhow's the crm doing\nhow is the crm doing\nhow's our crm\n";

/// The demonstration asks this; it proves nothing about sentences that were taught, so this one is not.
const HELD_OUT: &str = "how's the crm";

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
    // Requests: how they begin, then what may follow. A model of three words needs every pair of neighbours, not every sentence.
    t(&[HELLO, WOULD_YOU, BUILD, THING, PLEASE], 1000),
    t(&[HELLO, WISH, THING, PLEASE], 420),
    t(&[HELLO, DOING, BUILDING, THING, PLEASE], 100),
    t(&[HELLO, HAVE, A_CRM, BUILT, &["", "", "please", "for the office", "this week"]], 120),
    t(&[HELLO, PUT, A_CRM, TOGETHER, PLEASE], 70),
    t(&[PUT, &["together", "up"], &["for me", "for us", ""], A_CRM], 30),
    t(&[&["", "i think"], A_CRM, &["is what we need", "is what i want", "is what i'm after", "is what we're missing", "would be great", "would be nice"]], 20),
    t(&[ASK, THING, WITH, FEATURE, PLEASE], 200),
    t(&[ASK, A_CRM, &["with", "with", "that has", "including"], FEATURE, AND_FEATURE, BY_THE_WAY], 240),
    t(&[ASK, THING, &["with"], CORE, CORE, AND_FEATURE, PLEASE], 150),
    t(&[ASK, A_CRM, THAT_KEEPS, KEPT, PLEASE], 300),
    t(&[ASK, A_CRM, MY, BUSINESS, PLEASE], 430),
    t(&[ASK, A_CRM, MY, BUSINESS, &["with", "that keeps"], CORE, AND_FEATURE], 120),
    t(&[ASK, A_CRM, FOR, &["", "with", "that keeps"], CORE], 80),
    t(&[ASK, A_CRM, &["", "for us", "for the shop"], BY_THE_WAY], 180),
    t(&[ASK, A_CRM, &["", "for me", "for us", "for the office"], WHEN, PLEASE], 120),
    t(&[HELLO, INTRODUCTION, A_BUSINESS, BUSINESS, &["and", "so", "and we", "and i"], &["i'd like", "we need", "we want", "could you build us", "want", "need", "would like"], A_CRM], 260),
    t(&[HELLO, I_AM, TRADE, &["and"], &["i need", "i'd like you to make", "i want", "we need", "could you build me"], A_CRM], 120),
    t(&[TROUBLE, SO, &["please build", "i need", "we need", "could you make", "i want you to build", "we need you to make", "please make us", "can you set up"], A_CRM], 180),
    t(&[&["a crm", "just a crm", "a simple crm", "a crm please", "a crm i think", "one crm please"], &["", "with"], CORE, AND_FEATURE], 60),
    t(&[&["a crm", "just a crm", "a simple crm", "a crm please", "a customer database", "a new crm thank you"]], 6),
    // Features alone, as answers.
    t(&[&["", "just", "only", "i want", "we need", "i'd like", "with", "mainly", "well", "um", "i think"], FEATURE, PLEASE], 180),
    t(&[&["", "just", "only", "i want", "we need", "i'd like", "with", "it should have", "well"], CORE, AND_FEATURE, PLEASE], 200),
    t(&[&["", "i want", "we need"], CORE, CORE, AND_FEATURE], 90),
    t(&[&["", "", "i want", "i need", "we'd like", "let's take", "i think"], &["both", "both of them", "everything", "all of it", "all of them", "the usual"], PLEASE], 60),
    t(&[&["", "", "i think", "yes", "well"], &["both", "both", "both of them", "both of those", "all of them", "everything"], &["would be great", "would be fine", "would be nice", "would be best", "is fine", "are fine", "are good", "are important"], PLEASE], 40),
    t(&[&["give me", "give us", "let us have", "i'd take", "we'd take", "i'll have", "make it"], &["both", "both of them", "both of those", "all of them", "all of those"], PLEASE], 24),
    t(&[&["i don't know", "you choose", "you decide", "whatever you think", "i don't mind", "what do you recommend", "anything is fine"]], 7),
    // Changes to the read-back.
    t(&[&["", "no", "no no", "yes but", "but", "okay but", "wait", "um"], &["without", "remove", "leave out", "drop", "skip", "take out", "i don't need", "we don't need", "i don't want", "not", "no need for", "delete", "please remove", "except"], THE_FEATURE, PLEASE], 180),
    t(&[&["", "no", "yes and", "yes but", "and", "okay and", "wait", "please"], &["add", "also", "with", "plus", "and add", "include", "also add", "i also want", "we also need", "put in"], THE_FEATURE, PLEASE], 180),
    t(&[&["", "no", "wait"], &["change", "replace", "swap"], THE_FEATURE, &["to", "with", "for"], CORE], 90),
    t(&[&["", "no", "wait", "please"], &["leave", "take"], THE_FEATURE, &["out", "out please"]], 60),
    t(&[&["", "no"], CORE, &["instead of", "but not", "and not", "but no", "rather than"], CORE], 60),
    t(&[&["call it", "please call it", "name it", "it is called", "the name is"], &["acme", "sunshine", "blue sky", "silver line", "green garden", "golden gate", "pioneer", "summit"], &["", "please", "crm"]], 60),
    // Reports.
    t(&[&["", "", "hello", "and", "so", "okay", "tell me"], &["how is", "how's", "how are things with", "what is the status of", "what's the status of", "what about", "what's happening with", "any news about", "give me a report on", "give me an update on", "can you check on", "what's new with"], CRM, &["", "", "doing", "today", "now", "going", "please"]], 220),
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
    t(&[HELLO, ASK, &["a website", "a web page", "an online shop", "a blockchain", "a dashboard", "an app", "a game", "a shop"], PLEASE], 120),
    t(&[OUR_CRM, IS_BROKEN], 160),
    t(&[SOMEBODY, HAS_BUILT, &["a crm", "a crm", "a new crm", "the crm", "a database", "a website"], ONCE], 200),
    t(&[DO_NOT, &["a crm", "a crm", "anything", "another crm", "the crm", "a website"], &["", "thank you", "now", "today", "i only called about my bill"]], 110),
    t(&[SUPPOSE, A_CRM, THEN], 110),
    t(&[WHAT_IS, &["a crm", "a crm", "the crm", "that crm", "crms", "crm systems"]], 90),
    t(&[I_WORK_IN_IT, OUR_CRM, &["", "and now it's gone", "this morning", "every day", "and it lost everything"]], 60),
    t(&[&["customers", "contacts", "deals", "relationships", "sales", "clients", "companies", "notes"], &["are", "were", "can be", "are always", "are not"], &["important", "everything", "difficult", "expensive", "good for us", "hard to find", "very nice", "the problem"]], 80),
    // Answers to a read-back and to the question about features, in more words.
    t(&[&["", "yes", "no", "well", "okay", "actually", "um"], &["that's", "that is", "this is", "it's"], &["what i want", "what i need", "what we need", "what i meant", "what i said", "not what i said", "not what i want", "not what i asked for", "quite right", "all correct", "almost right", "not quite right", "wrong", "fine", "fine by me", "just what we need", "everything", "good enough", "a mistake"], PLEASE], 70),
    t(&[&["", "yes", "yeah", "sure", "okay"], &["go on", "go on then", "let's go", "start", "start it", "start building", "get going", "get started", "carry on", "you can start", "you may start", "please start", "please build it", "please go on", "i agree", "i approve", "make it", "make it so", "that will do", "that works", "that works for me", "let's do that", "let's do it", "by all means"], &["", "then", "please", "now", "right away"]], 70),
    t(&[&["", "no", "yes but", "wait", "but", "actually", "okay but"], THE_FEATURE, &["should be in there", "should be in it", "should be in there too", "should go", "can go", "are missing", "is missing", "are not needed", "must be in it", "have to go", "should come out", "should stay", "can stay out", "are too much", "can wait", "are enough"]], 90),
    t(&[&["", "no", "wait", "yes but", "please"], &["take", "leave", "put", "keep", "kick", "throw", "bring"], THE_FEATURE, &["out", "in", "off", "out again", "in as well", "back in", "away", "too", "as well", "out of it", "off the list", "for now"], PLEASE], 90),
    t(&[&["", "no", "yes", "wait"], &["i forgot", "you forgot", "i also need", "we also want", "there should be", "it needs", "it should have", "it must have", "i would rather have", "we'd rather have", "i'd prefer", "can it have", "could it have", "can you add", "could you also add", "could you leave out", "can you take out", "make it"], CORE, AND_FEATURE, PLEASE], 90),
    t(&[&["", "mostly", "mainly", "only", "just", "above all", "first of all", "for now", "maybe", "probably", "definitely"], CORE, &["are the most important", "are what matters", "would be enough", "would be good", "will do", "is enough", "are all we need", "is all i need", "are fine", "for a start", "to start with", "first", "for the moment"]], 80),
    t(&[&["", "well", "we'd like", "i'd like", "we want", "i want", "it should", "we need", "i need", "it has to", "it must"], &["to keep", "to track", "to store", "to see", "to save", "to write down", "to search", "keep", "track", "store", "show"], &["our", "the", "my", "all the", "all our", "all my"], CORE, AND_FEATURE], 90),
    t(&[&["the first", "the second", "both", "the first one", "the second one", "the last one", "all three", "either", "neither", "none of them", "no idea", "the usual things", "what most people have", "what others take", "just the basics", "the basics"], PLEASE], 24),
    t(&[&["", "so", "okay", "hello"], &["where were we", "where did we stop", "where did we leave off", "what were we talking about"]], 16),
    // After the build.
    t(&[&["", "so", "hello", "hi grace", "and", "okay"], &["has it been", "was it", "is it", "is that", "is my crm", "is the crm", "has the crm been", "was the build"], &["built", "finished", "deployed", "finished yet", "built yet", "a success", "online now", "working now", "successful", "there", "running yet", "still running", "still up", "on the web"]], 60),
    t(&[&["", "can you tell me", "please tell me", "tell me", "i want to know", "i'd like to know", "do you know", "could you tell me"], &["how it's going", "how it is doing", "how far you are", "how far it is", "what it's doing", "whether it's ready", "if it's ready", "if it works", "if everything is fine", "where i can find it", "where to find it", "the address", "what the address is", "how many people use it", "how much it is used", "how my crm is doing", "what the status is", "when it will be ready"], PLEASE], 70),
    t(&[&["where", "when", "why", "how"], &["is", "can i find", "do i find", "can we open", "can i open", "do i open", "will", "did", "do we use", "can i use"], &["the crm", "it", "my crm", "the app", "our new crm", "that"], &["", "now", "then", "be ready", "be finished", "stop", "please"]], 50),
    t(&[&["any", "are there any", "have there been any", "were there any", "did you see any"], &["errors", "problems", "mistakes", "news", "changes", "new records", "new contacts", "new customers", "calls", "requests"], &["", "today", "since yesterday", "this week", "so far", "in the crm", "with it", "in the meantime"]], 40),
    t(&[&["thanks", "thank you", "great", "perfect", "wonderful", "good"], &["that's all", "that was all", "that helped", "that helped a lot", "i'll have a look", "i'll call again", "talk to you later", "that's good to hear", "good job", "well done", "you've been very helpful"], &["", "goodbye", "bye", "for today", "for now"]], 40),
    // Everyday talk by template, for other words in other orders.
    t(&[&["i", "we", "they", "you", "she", "he", "my sister", "the children", "our neighbors", "people"], &["saw", "found", "lost", "bought", "forgot", "like", "remember", "need", "want", "wanted", "called about", "talked about", "brought", "opened", "painted"], &["the car", "a dog", "some bread", "the house", "a letter", "the garden", "two tickets", "the doctor", "a new phone", "the movie", "some money", "a present", "the train", "the window", "a good book"], &["", "", "today", "yesterday", "last week", "on monday", "in town", "this morning", "with my mother", "again"]], 150),
    t(&[&["can you", "could you", "would you", "please"], &["bring", "send", "show", "tell", "give", "find"], &["me", "us", "him", "my wife"], &["the bill", "a taxi", "some water", "the way", "a number", "the menu", "the news", "a picture", "the key", "your address"], &["", "please", "tomorrow", "now"]], 90),
    t(&[&["it is", "it was", "that is", "this is", "today is", "everything is"], &["very", "really", "not", "too", "so"], &["cold", "late", "nice", "loud", "early", "strange", "far", "hot", "expensive", "quiet", "difficult", "good", "bad", "funny", "dark"], &["", "here", "outside", "today", "in the morning"]], 100),
];

/// Ways to say words that the dictionary may lack, or that people say in more than one way.
const PRONUNCIATIONS: &[(&str, &str)] = &[
    ("crm", "S IY AA R EH M"),
    ("crm", "S IY ER EH M"),
    ("crms", "S IY AA R EH M Z"),
    ("api", "EY P IY AY"),
    ("apis", "EY P IY AY Z"),
];

/// What a sentence of what the intent classifier learns from is worth, of those that this text has.
const WANTS_WEIGHT: f64 = 1.5;
/// The same where an answer is asked for, and what answers "Shall I build it?".
const REPLIES_WEIGHT: f64 = 1.0;
const REPLIES: [&str; 4] = ["approve", "reject", "amend", "cancel"];

/// The text of the built-in agent's domain; the same on every call.
#[must_use]
pub fn domain() -> DomainText {
    let mut lines: Vec<String> = EVERYDAY.lines().map(str::to_owned).collect();
    for template in TEMPLATES {
        lines.extend(template.sample());
    }
    lines.extend(kinds::changes());
    lines.sort_unstable();
    lines.dedup();
    lines.retain(|line| line != HELD_OUT);
    debug_assert!(lines.len() <= DOMAIN_SENTENCES_MAX, "{} sentences", lines.len());
    lines.truncate(DOMAIN_SENTENCES_MAX);
    let mut sentences = lines.join("\n");
    sentences.push('\n');
    let pronunciations = PRONUNCIATIONS.iter().map(|(w, p)| ((*w).to_owned(), (*p).to_owned())).collect();
    let mut patterns: Vec<Pattern> = TEMPLATES.iter().map(Template::pattern).collect();
    patterns.extend(values::patterns());
    patterns.extend(kinds::patterns());
    DomainText {
        sentences,
        usual: USUAL.to_owned(),
        patterns,
        wants: wants::patterns(WANTS_WEIGHT, |_| true),
        replies: wants::patterns(REPLIES_WEIGHT, |label| REPLIES.contains(&label)),
        names: values::names(),
        pronunciations,
        respellings: Vec::new(),
    }
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

    /// All of its sentences.
    fn pattern(&self) -> Pattern {
        let class = |words: &Words| words.iter().map(|phrase| ((*phrase).to_owned(), 1.0)).collect();
        Pattern { parts: self.parts.iter().map(class).collect(), weight: self.most as f64 }
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
