//! Whether a turn asks for something to be built: verb × artefact × cue, with guards.
//!
//! Pure. The verb nearest to the left of an artefact governs it; the words before the verb are read right to left until
//! they say who does it and in which mood: an order, a wish, a polite question, or a report about somebody, a refusal, a
//! supposition. Confidence 0..=1; strictly more than [`super::FIRES`] starts the dialogue about a build.
//! Deliberately absent: starting anything (that takes a read-back and a yes).

use super::Transcript;
use super::artefact::{Artefact, Determiner, Mention, mentions};
use super::transcript::PAUSE;

/// How far left of an artefact its verb may stand.
const REACH: usize = 9;
/// A chain of verbs ("I asked you to try to build") is followed this deep.
const DEPTH_MAX: u8 = 4;

const REFUSED: f64 = 0.05;
const SOMEBODY_ELSE: f64 = 0.1;
const SUPPOSED: f64 = 0.3;
const UNCLEAR: f64 = 0.5;
const LIKELY: f64 = 0.85;
const POLITE: f64 = 0.92;
const CLEAR: f64 = 0.96;

/// A request for an artefact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) what: Artefact,
    /// 0..=1.
    pub(super) confidence: f64,
}

/// What kind of verb governs the artefact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    /// Brings a thing into being: "build", "set up".
    Make,
    /// Obtains it: "get", "give", "order".
    Get,
    /// "building", "getting".
    Gerund,
    /// "want", "need", "looking for".
    Wish,
    /// "wants", "needs".
    WishOfThird,
    /// "asked", "told".
    Ask,
}

const MAKE: &[&str] = &[
    "build",
    "make",
    "create",
    "develop",
    "generate",
    "design",
    "write",
    "code",
    "program",
    "produce",
    "construct",
    "craft",
    "deploy",
    "launch",
    "implement",
    "prepare",
    "start",
    "do",
    "assemble",
    "arrange",
    "rebuild",
    "built",
];
/// Verbs that need a particle to mean making: "set up", "put together", "spin up".
const MAKE_WITH: &[&str] =
    &["set", "put", "spin", "stand", "whip", "knock", "throw", "rig", "cook", "rustle", "fire", "bring"];
const PARTICLES: &[&str] = &["up", "together", "in", "out"];
const GET: &[&str] =
    &["get", "give", "have", "send", "sell", "order", "buy", "provide", "deliver", "purchase", "commission", "add"];
const GERUND: &[&str] = &[
    "building",
    "making",
    "creating",
    "developing",
    "generating",
    "designing",
    "writing",
    "getting",
    "having",
    "setting",
    "putting",
    "ordering",
    "buying",
    "programming",
];
const WISH: &[&str] = &[
    "want",
    "need",
    "require",
    "like",
    "love",
    "wanted",
    "needed",
    "fancy",
    "appreciate",
    "wish",
    "request",
    "prefer",
];
const WISH_OF_THIRD: &[&str] = &["wants", "needs", "requires"];
/// Heads of "… for": "looking for", "asked for".
const WISH_FOR: &[&str] =
    &["looking", "look", "hoping", "calling", "call", "ringing", "wish", "market", "hunting", "searching", "need"];
const ASK: &[&str] = &["asked", "ask", "asking", "told", "tell", "instructed", "begged"];

const ADVERBS: &[&str] = &[
    "please",
    "just",
    "now",
    "also",
    "kindly",
    "quickly",
    "really",
    "actually",
    "basically",
    "simply",
    "probably",
    "even",
    "possibly",
    "only",
    "still",
    "then",
    "all",
    "help",
    "definitely",
    "maybe",
    "perhaps",
    "quite",
    "very",
    "much",
    "urgently",
    "badly",
    "immediately",
    "currently",
    "desperately",
];
const INTERJECTIONS: &[&str] = &[
    "hi",
    "hello",
    "hey",
    "okay",
    "yes",
    "yeah",
    "yep",
    "no",
    "well",
    "so",
    "right",
    "alright",
    "grace",
    "listen",
    "look",
    "good",
    "morning",
    "afternoon",
    "evening",
    "thanks",
    "sure",
    "first",
    "today",
    "oh",
    "there",
    "cool",
    "great",
    "fine",
    "and",
    "but",
    "then",
    "because",
    "again",
    "you",
];
const NEGATORS: &[&str] = &[
    "don't",
    "not",
    "never",
    "won't",
    "didn't",
    "doesn't",
    "can't",
    "cannot",
    "couldn't",
    "wouldn't",
    "shouldn't",
    "isn't",
    "haven't",
    "hardly",
    "without",
    "neither",
    "nobody",
    "dare",
    "ain't",
    "nor",
    "stop",
    "avoid",
    "against",
    "aren't",
];
const QUESTION_WORDS: &[&str] = &["how", "when", "why", "where", "who", "whom", "which", "whose"];
/// Before "if you could": the question is a request.
const EMBEDS: &[&str] = &[
    "wondering",
    "wonder",
    "see",
    "ask",
    "asking",
    "know",
    "nice",
    "great",
    "good",
    "lovely",
    "grateful",
    "appreciate",
    "happy",
    "glad",
    "check",
    "hoping",
    "brilliant",
    "fantastic",
    "love",
];
/// Those who may be asked to do it.
const DOERS: &[&str] = &["you", "someone", "somebody", "me", "us", "guys", "folks", "team", "grace", "anyone"];
/// Words that end the way from an artefact to its verb.
const BLOCKERS: &[&str] = &[
    "about", "of", "on", "into", "from", "with", "without", "at", "by", "to", "rid", "who", "what", "where", "how",
    "are", "was", "were", "i", "you", "he", "she", "they", "we", "it", "if", "because", "that's", "it's", "not", "no",
    "never", "than", "has", "had", "does", "did", "called", "like", "through", "over", "after",
];

/// The best request of a turn; `asked` when the agent has just asked what to build.
pub(super) fn request(heard: &Transcript, asked: bool) -> Option<Request> {
    let clause = Clause { heard };
    let mut best: Option<Request> = None;
    for mention in mentions(heard) {
        let confidence = clause.confidence(&mention, asked);
        let better = best.is_none_or(|b| {
            let crm = |w| w == Artefact::Crm;
            // A CRM that is asked for goes before another thing that is.
            (crm(mention.what) && confidence > super::FIRES && !crm(b.what)) || confidence > b.confidence
        });
        if better && !(best.is_some_and(|b| b.what == Artefact::Crm && b.confidence > super::FIRES)) {
            best = Some(Request { what: mention.what, confidence });
        }
    }
    best
}

/// Things other than a CRM that the turn asks for beside it.
pub(super) fn other_requests(heard: &Transcript) -> Vec<&'static str> {
    let clause = Clause { heard };
    let mut names = Vec::new();
    for mention in mentions(heard) {
        if let Artefact::Other(name) = mention.what
            && !matches!(name, "app" | "program" | "database" | "API")
            && clause.confidence(&mention, false) > super::FIRES
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// The words of a turn, read right to left.
struct Clause<'a> {
    heard: &'a Transcript,
}

impl Clause<'_> {
    /// The word before index `i`; empty at the beginning and after a pause.
    fn before(&self, i: usize) -> &str {
        match i.checked_sub(1).map_or("", |k| self.heard.at(k)) {
            PAUSE => "",
            word => word,
        }
    }

    /// Whether one of `words` stands within `count` words before `i`, in the same clause.
    fn within(&self, i: usize, count: usize, words: &[&str]) -> bool {
        (1..=count)
            .map_while(|back| i.checked_sub(back).map(|k| self.heard.at(k)).filter(|w| *w != PAUSE))
            .any(|w| words.contains(&w))
    }

    fn confidence(&self, mention: &Mention, asked: bool) -> f64 {
        let (at, verb, mood) = match self.verb(mention) {
            Some((at, verb)) => (at, Some(verb), self.mood(at, verb, 0)),
            None => (mention.start, None, self.verbless(mention, asked)),
        };
        let mut score: f64 = mood;
        if mention.described {
            score -= 0.03;
        }
        if mention.plural {
            score -= 0.3;
        }
        score = score.min(match (mention.determiner, verb) {
            (Determiner::Indefinite, _) => 1.0,
            (_, None) => 0.4,
            (Determiner::Others, _) => 0.2,
            (Determiner::Definite, Some(Verb::Make | Verb::Gerund)) => 0.88,
            (Determiner::Definite, Some(_)) => 0.6,
            // "make our CRM faster" is no new one.
            (Determiner::Own, Some(Verb::Make)) if self.heard.at(at) == "make" => 0.6,
            (Determiner::Own, Some(Verb::Make | Verb::Gerund)) => 0.8,
            (Determiner::Own, Some(_)) => 0.4,
        });
        score.min(self.guards(at, mention)).clamp(0.0, 0.99)
    }

    /// The verb that governs a mention: the nearest to its left that is not cut off by a preposition or a subject.
    fn verb(&self, mention: &Mention) -> Option<(usize, Verb)> {
        let mut after = self.heard.at(mention.start);
        for back in 1..=REACH {
            let at = mention.start.checked_sub(back)?;
            let word = self.heard.at(at);
            if word == PAUSE {
                return None;
            }
            let before = self.before(at);
            // "put together a CRM" and "put a CRM together".
            let particle = PARTICLES.contains(&after)
                || PARTICLES.contains(&self.heard.at(mention.end))
                || (at + 1..mention.start).any(|k| self.heard.at(k) == "together");
            let verb = match word {
                "is" | "be" | "was" if self.cleft(at) => Some(Verb::Wish),
                "for" if WISH_FOR.contains(&before) => return Some((at - 1, Verb::Wish)),
                "for" if ASK.contains(&before) => return Some((at - 1, Verb::Ask)),
                "about" if matches!(before, "how" | "what") => Some(Verb::Wish),
                "after" if matches!(before, "i'm" | "we're" | "am" | "are") => Some(Verb::Wish),
                "with" if before == "do" => return Some((at - 1, Verb::Wish)),
                "use" if before == "could" => Some(Verb::Wish),
                "like" | "love" | "appreciate" | "prefer" => {
                    matches!(before, "i'd" | "we'd" | "would" | "really" | "should" | "also" | "just")
                        .then_some(Verb::Wish)
                }
                "built" => None,
                w if WISH.contains(&w) => Some(Verb::Wish),
                w if WISH_OF_THIRD.contains(&w) => Some(Verb::WishOfThird),
                w if MAKE.contains(&w) => Some(Verb::Make),
                w if MAKE_WITH.contains(&w) && particle => Some(Verb::Make),
                w if GET.contains(&w) => Some(Verb::Get),
                w if GERUND.contains(&w) => Some(Verb::Gerund),
                _ => None,
            };
            if let Some(verb) = verb {
                return Some((at, verb));
            }
            let kind = word == "of" && matches!(before, "kind" | "sort" | "type" | "version");
            if (BLOCKERS.contains(&word) || word == "is") && !kind {
                return None;
            }
            after = word;
        }
        None
    }

    /// "what I need is", "all we want is".
    fn cleft(&self, at: usize) -> bool {
        self.within(at, 8, &["what", "all", "thing"])
            && self.within(at, 7, &["i", "we", "i'd", "we'd", "i'm", "we're"])
            && self.within(
                at,
                5,
                &["need", "want", "like", "love", "after", "require", "for", "wanted", "needed", "missing"],
            )
    }

    /// How much the words before index `i`, where a verb stands, make it a request.
    fn mood(&self, mut i: usize, verb: Verb, depth: u8) -> f64 {
        if depth > DEPTH_MAX {
            return SUPPOSED;
        }
        let at = i;
        if matches!(self.heard.at(i), "is" | "be" | "was") {
            return if self.within(i, 6, NEGATORS) { REFUSED } else { CLEAR };
        }
        if self.heard.at(i) == "about" {
            return if self.before(i) == "how" || self.heard.at(i + 1) == "a" { LIKELY } else { UNCLEAR };
        }
        loop {
            let p = self.before(i);
            if NEGATORS.contains(&p) || (p == "no" && verb == Verb::Wish) {
                return REFUSED;
            }
            if ADVERBS.contains(&p) {
                i -= 1;
            } else if p == "and" && matches!(self.before(i - 1), "ahead" | "come" | "go" | "try") {
                i -= 2;
                if self.before(i) == "go" {
                    i -= 1;
                }
            } else if (p == "and" && (MAKE.contains(&self.before(i - 1)) || GET.contains(&self.before(i - 1))))
                || (matches!(p, "me" | "us") && matches!(self.before(i - 1), "help" | "let"))
            {
                // "design and build", "help me build".
                i -= 2;
            } else {
                break;
            }
        }
        let p = self.before(i);
        let r = self.before(i.saturating_sub(1));
        match p {
            "" => match verb {
                Verb::Make => CLEAR,
                Verb::Get if self.heard.at(at) == "have" => SUPPOSED,
                Verb::Get | Verb::Wish => POLITE,
                Verb::Ask => LIKELY,
                Verb::Gerund | Verb::WishOfThird => SUPPOSED,
            },
            "let's" => CLEAR,
            _ if verb == Verb::Gerund => self.gerund(p, r, i),
            "to" => self.infinitive(i - 1, depth),
            "you" => self.you(i, r, verb),
            "i" | "we" => self.first_person(i, r, verb),
            "i'd" | "we'd" if matches!(verb, Verb::Wish | Verb::Ask) => CLEAR,
            "i'm" | "we're" | "i've" | "we've" if matches!(verb, Verb::Wish | Verb::Ask) => {
                if self.within(i - 1, 3, &["if"]) { SUPPOSED } else { CLEAR }
            }
            "am" | "are" | "was" | "were" | "been" | "have" if matches!(verb, Verb::Wish | Verb::Ask) => {
                if self.within(i - 1, 2, NEGATORS) {
                    REFUSED
                } else if self.within(i - 1, 3, &["i", "we", "i've", "we've"]) {
                    POLITE
                } else {
                    SOMEBODY_ELSE
                }
            }
            "i'll" | "we'll" => match verb {
                Verb::Wish | Verb::Get => LIKELY,
                _ => SUPPOSED,
            },
            "can" | "could" | "would" | "will" | "should" | "shall" | "might" | "may" | "must" => {
                self.modal(p, i - 1, verb)
            }
            "he" | "she" | "they" | "people" | "everybody" | "everyone" | "he's" | "she's" | "they're" | "someone"
            | "somebody" | "anyone" | "it" | "who" | "that" | "which" => SOMEBODY_ELSE,
            "guys" | "folks" if r == "you" => self.you(i - 1, self.before(i - 2), verb),
            "in" if verb == Verb::Wish && self.heard.at(at) == "market" => LIKELY,
            _ if self.heard.at(at) == "market" => {
                if self.within(i, 4, &["i'm", "we're", "are", "am"]) {
                    POLITE
                } else {
                    UNCLEAR
                }
            }
            _ if INTERJECTIONS.contains(&p) => match verb {
                Verb::Make | Verb::Get | Verb::Wish => POLITE,
                _ => UNCLEAR,
            },
            _ => self.noun_subject(i, at, verb),
        }
    }

    /// A noun stands where the subject is: "our team needs", "my boss asked", "… a mess build us".
    fn noun_subject(&self, i: usize, at: usize, verb: Verb) -> f64 {
        let ours = self.within(i, 4, &["my", "our"]);
        let firm = ["company", "team", "office", "business", "boss", "shop", "department", "firm", "management"];
        match verb {
            Verb::Wish | Verb::WishOfThird | Verb::Ask if ours || firm.contains(&self.before(i)) => LIKELY,
            Verb::Make | Verb::Get if matches!(self.heard.at(at + 1), "me" | "us") => LIKELY,
            Verb::Make | Verb::Get if matches!(self.heard.at(at + 2), "me" | "us") => LIKELY,
            Verb::Make | Verb::Get => UNCLEAR,
            _ => SUPPOSED,
        }
    }

    /// A verb with "to"; `to` is the index of "to".
    fn infinitive(&self, to: usize, depth: u8) -> f64 {
        let mut j = to;
        if DOERS.contains(&self.before(j)) {
            j -= 1;
            if matches!(self.before(j), "your" | "you" | "of") {
                j -= 1;
            }
        }
        while ADVERBS.contains(&self.before(j)) {
            j -= 1;
        }
        let m = self.before(j);
        let head = j.saturating_sub(1);
        match m {
            "want" | "need" | "wanted" | "needed" | "like" | "love" | "prefer" | "wish" | "hoping" | "hope"
            | "looking" | "expect" | "trying" | "rather" | "require" => self.mood(head, Verb::Wish, depth + 1),
            "wants" | "needs" => self.mood(head, Verb::WishOfThird, depth + 1),
            m if ASK.contains(&m) => self.mood(head, Verb::Ask, depth + 1),
            "calling" | "call" | "called" | "ringing" | "phoning" | "here" | "phoned" | "rang" => {
                if self.within(head, 3, &["they", "he", "she", "you", "someone"]) { SOMEBODY_ELSE } else { POLITE }
            }
            "get" => self.mood(head, Verb::Get, depth + 1),
            "able" | "possible" | "great" | "nice" | "good" | "lovely" | "cool" | "helpful" | "useful" | "handy"
            | "ready" | "keen" | "happy" | "time" | "glad" | "fantastic" | "brilliant" | "wonderful" | "interested"
            | "perfect" => {
                if self.within(head, 4, NEGATORS) {
                    REFUSED
                } else if self.within(head, 4, QUESTION_WORDS)
                    || self.within(head, 3, &["they", "he", "she", "was", "were"])
                {
                    SUPPOSED
                } else {
                    LIKELY
                }
            }
            "for" if j < to => LIKELY,
            "is" | "was" if self.within(head, 7, &["i", "we", "my", "our", "i'd"]) => {
                if self.within(head, 6, NEGATORS) { REFUSED } else { POLITE }
            }
            "not" | "never" => REFUSED,
            m if QUESTION_WORDS.contains(&m) || m == "what" => SUPPOSED,
            "have" | "going" | "planning" => UNCLEAR,
            _ => 0.4,
        }
    }

    /// "you" stands before the verb; `i` is one past it, `r` the word before it.
    fn you(&self, i: usize, r: &str, verb: Verb) -> f64 {
        if matches!(verb, Verb::Wish | Verb::WishOfThird) {
            // "would you like a CRM", "you need a CRM".
            return SOMEBODY_ELSE;
        }
        let left = i.saturating_sub(2);
        match r {
            "can" | "could" | "would" | "will" | "can't" | "couldn't" | "won't" | "wouldn't" | "please" => {
                if self.within(left, 4, QUESTION_WORDS) { SUPPOSED } else { CLEAR }
            }
            "don't" if self.before(left) == "why" => POLITE,
            "don't" => REFUSED,
            "about" if matches!(self.before(left), "how" | "what") => POLITE,
            "if" | "whether" => self.conditional(left),
            "have" | "let" | "want" | "like" | "need" | "rather" | "hope" | "suggest" | "wish" => {
                if self.within(left, 3, NEGATORS) { REFUSED } else { LIKELY }
            }
            "" | "okay" | "so" | "and" | "then" | "now" if matches!(self.heard.at(i + 1), "me" | "us") => LIKELY,
            "" | "okay" | "and" | "then" | "do" => UNCLEAR,
            _ => SUPPOSED,
        }
    }

    /// "I" or "we" stands before the verb.
    fn first_person(&self, i: usize, r: &str, verb: Verb) -> f64 {
        let left = i.saturating_sub(2);
        let wish = matches!(verb, Verb::Wish | Verb::Ask);
        match r {
            "do" | "did" | "didn't" | "have" | "had" | "does" => SUPPOSED,
            "don't" if self.before(left) == "why" => LIKELY,
            "don't" => REFUSED,
            "can" | "could" | "may" => {
                if self.within(left, 4, QUESTION_WORDS) {
                    UNCLEAR
                } else {
                    POLITE
                }
            }
            "shall" | "should" | "must" | "might" => UNCLEAR,
            "if" | "whether" if wish => SUPPOSED,
            "if" | "whether" => self.conditional(left),
            w if QUESTION_WORDS.contains(&w) => SUPPOSED,
            // "I don't think we need"; but not "I don't want a website I want".
            "think" | "believe" | "sure" | "that" | "see" | "suppose" if wish && self.within(left + 1, 4, NEGATORS) => {
                REFUSED
            }
            _ if wish => CLEAR,
            _ => SOMEBODY_ELSE,
        }
    }

    /// A modal verb stands at `m`, before the verb: "you could build", "we will need".
    fn modal(&self, modal: &str, m: usize, verb: Verb) -> f64 {
        let subject = self.before(m);
        let left = m.saturating_sub(1);
        let r = self.before(left);
        let wish = matches!(verb, Verb::Wish | Verb::Ask);
        if self.within(left, 4, NEGATORS) {
            return REFUSED;
        }
        match subject {
            "you" if wish => SOMEBODY_ELSE,
            "you" if self.within(left, 3, QUESTION_WORDS) => SUPPOSED,
            "you" if matches!(r, "if" | "whether") => self.conditional(left.saturating_sub(1)),
            "you" => match modal {
                "can" | "could" | "would" | "will" => LIKELY,
                "should" | "must" => UNCLEAR,
                _ => 0.4,
            },
            "i" | "we" if matches!(r, "if" | "whether" | "hoping" | "hope") && !wish => {
                self.conditional(left.saturating_sub(usize::from(r == "if" || r == "whether")))
            }
            "i" | "we" if wish => match modal {
                "would" | "could" | "should" if r != "if" => POLITE,
                "will" => LIKELY,
                _ => 0.4,
            },
            "i" | "we" => match modal {
                "should" | "must" => 0.6,
                _ => 0.4,
            },
            "someone" | "somebody" | "anyone" | "who" | "that" => {
                if self.within(left, 6, &["need", "want", "looking", "like"])
                    && self.within(left, 8, &["i", "we", "i'd", "i'm", "we're"])
                {
                    0.8
                } else {
                    0.2
                }
            }
            _ => SOMEBODY_ELSE,
        }
    }

    /// "if you could": a request when it is embedded in courtesy, before or after.
    fn conditional(&self, end: usize) -> f64 {
        let courteous = self.within(end, 6, EMBEDS)
            || self.heard.says(&[
                "would be great",
                "would be nice",
                "would be good",
                "would be lovely",
                "that'd be great",
                "be wonderful",
                "i'd appreciate",
                "i would appreciate",
                "be grateful",
                "be perfect",
                "i'd love it",
                "be fantastic",
                "would help",
                "please",
            ]);
        if courteous { 0.88 } else { 0.4 }
    }

    /// "would you mind building", "I'm calling about getting".
    fn gerund(&self, p: &str, r: &str, i: usize) -> f64 {
        match p {
            "mind" if r == "you" => CLEAR,
            "about" => match r {
                "how" | "what" => POLITE,
                _ if self.within(
                    i,
                    5,
                    &["calling", "phoning", "ringing", "talk", "speak", "call", "enquire", "inquire", "ask"],
                ) && !self.within(i, 6, &["was", "were", "they", "he", "she"]) =>
                {
                    LIKELY
                }
                _ => 0.6,
            },
            "in" if r == "interested" && !self.within(i, 5, NEGATORS) => LIKELY,
            "with" if self.within(i, 4, &["help"]) => LIKELY,
            "start" | "begin" | "appreciate" => LIKELY,
            "you" | "your" if matches!(r, "appreciate" | "mind" | "have" | "like") => LIKELY,
            "of" if r == "chance" => LIKELY,
            "of" | "consider" | "considering" => 0.6,
            _ => 0.15,
        }
    }

    /// No verb governs the artefact: "a CRM please", "a CRM is what we need", or an answer to "what shall I build?".
    fn verbless(&self, mention: &Mention, asked: bool) -> f64 {
        let next = self.heard.at(mention.end);
        let rest: Vec<&str> = (mention.end..self.heard.words().len()).map(|k| self.heard.at(k)).collect();
        let wanted = next == "is"
            && rest.windows(2).any(|w| matches!(w, ["what", "i" | "we" | "i'd" | "we'd" | "i'm" | "we're"]));
        let nice = matches!(next, "would" | "that'd")
            && rest
                .iter()
                .any(|w| matches!(*w, "great" | "nice" | "good" | "lovely" | "perfect" | "fine" | "wonderful"));
        if (wanted || nice) && !rest.iter().any(|w| NEGATORS.contains(w)) {
            return LIKELY;
        }
        let lead_in = (0..mention.start).map(|k| self.heard.at(k)).all(|w| {
            INTERJECTIONS.contains(&w) && w != "you" && w != "no"
                || ADVERBS.contains(&w)
                || matches!(
                    w,
                    "a" | "an"
                        | "one"
                        | "new"
                        | "simple"
                        | "small"
                        | "little"
                        | "basic"
                        | "proper"
                        | "i"
                        | "think"
                        | PAUSE
                        | "it's"
                        | "with"
                )
        });
        let verb_follows = matches!(
            next,
            "is" | "was"
                | "are"
                | "has"
                | "does"
                | "isn't"
                | "keeps"
                | "won't"
                | "can't"
                | "doesn't"
                | "stopped"
                | "went"
                | "you"
        );
        let polite = self.heard.says(&["please"]);
        match (lead_in && !verb_follows && !rest.iter().any(|w| NEGATORS.contains(w) && *w != "without"), asked, polite)
        {
            (true, true, _) => 0.9,
            (true, false, true) => LIKELY,
            (true, false, false) => 0.6,
            (false, ..) => 0.2,
        }
    }

    /// The most that the rest of the turn allows.
    fn guards(&self, verb: usize, mention: &Mention) -> f64 {
        let heard = self.heard;
        let mut most: f64 = 1.0;
        // Taken back at once, or put off.
        let tail: Vec<&str> = (mention.end..heard.words().len()).map(|k| heard.at(k)).collect();
        let tail = format!(" {} ", tail.join(" "));
        let tail_has = |phrases: &[&str]| phrases.iter().any(|p| tail.contains(&format!(" {p} ")));
        if tail_has(&[
            "never mind",
            "forget it",
            "scratch that",
            "or not",
            "actually no",
            "just kidding",
            "i'm kidding",
        ]) {
            most = most.min(SUPPOSED);
        }
        if tail_has(&[
            "some day",
            "someday",
            "one day",
            "eventually",
            "not now",
            "not yet",
            "next year",
            "not today",
            "down the road",
        ]) || self.within(verb, 6, &["someday", "eventually"])
        {
            most = most.min(0.4);
        }
        // Over and done.
        if tail_has(&[
            "ago",
            "last year",
            "last month",
            "last week",
            "last time",
            "yesterday",
            "back then",
            "last summer",
        ]) {
            most = most.min(SOMEBODY_ELSE);
        }
        if self.within(verb, 4, &["already", "used"]) && !self.within(verb, 1, &["to"]) {
            most = most.min(SOMEBODY_ELSE);
        }
        // Somebody's words.
        if let Some(k) = (verb.saturating_sub(8)..verb)
            .rev()
            .find(|k| matches!(heard.at(*k), "said" | "says" | "goes" | "told" | "tells" | "asked" | "wrote"))
        {
            let mine = matches!(self.before(k), "i" | "we" | "was" | "been" | "i've" | "i'm")
                || self.within(k, 4, &["my", "our"]);
            if !mine && !matches!(heard.at(k), "asked") {
                most = most.min(0.2);
            } else if !mine && !self.within(k, 2, &["i", "we"]) {
                most = most.min(0.4);
            }
        }
        // Supposed, not asked.
        if self.within(verb, 6, &["imagine", "suppose", "pretend", "hypothetically", "unless", "whenever"]) {
            most = most.min(SUPPOSED);
        }
        if heard.says(&[
            "how much",
            "how long",
            "how hard",
            "how difficult",
            "how expensive",
            "how do i",
            "how do you",
            "how would",
        ]) {
            most = most.min(0.4);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn crm(text: &str) -> f64 {
        request(&Transcript::new(text), false).filter(|r| r.what == Artefact::Crm).map_or(0.0, |r| r.confidence)
    }

    #[test]
    fn orders_wishes_and_polite_questions() {
        for text in [
            "build a CRM",
            "build me a C R M with contacts",
            "I want a CRM",
            "could you make a CRM for my shop",
            "we'd like to order a CRM",
            "I'd like you to create a CRM",
            "go ahead and set up a CRM",
            "put a simple CRM together for us",
            "would you mind building a CRM",
            "how about a CRM",
            "why don't you build us a CRM",
            "I was hoping you could make a CRM",
            "our office needs a CRM",
            "if you could build a CRM that would be great",
            "a CRM is what we need",
            "I don't want a website I want a CRM",
            "I told you to build a CRM",
            "we could do with a CRM",
            "I am looking for a customer database",
        ] {
            assert!(crm(text) > 0.75, "{text}: {}", crm(text));
        }
    }

    #[test]
    fn reports_refusals_and_suppositions() {
        for text in [
            "",
            "CRM",
            "don't build a CRM",
            "I don't want you to build a CRM",
            "I don't think we need a CRM",
            "they want to build a CRM",
            "he asked if we build CRMs",
            "did you build a CRM",
            "if I ever want a CRM I will call",
            "the CRM is broken",
            "I built a CRM",
            "no CRM please",
            "how long does it take to build a CRM",
            "what is a CRM",
            "my CRM vendor is awful",
            "nobody wants a CRM",
            "make our CRM faster",
            "I need our CRM back",
            "get rid of the CRM",
            "give me the status of the CRM",
            "she told me to build a CRM",
            "build a CRM, actually no, forget it",
            "would you like a CRM",
            "why would you build a CRM",
            "build a website, not a CRM",
            "tell me about the CRM",
            "when you build a CRM you need data",
        ] {
            assert!(crm(text) <= 0.75, "{text}: {}", crm(text));
        }
    }

    #[test]
    fn other_things_are_told_apart() {
        let other = |text: &str| request(&Transcript::new(text), false).map(|r| (r.what, r.confidence > 0.75));
        assert_eq!(other("build me a website"), Some((Artefact::Other("website"), true)));
        assert_eq!(other("our website is down"), Some((Artefact::Other("website"), false)));
        assert_eq!(other("what a nice day"), None);
    }

    #[test]
    fn a_bare_answer_counts_only_when_asked() {
        let t = Transcript::new("a CRM with contacts");
        assert!(request(&t, true).is_some_and(|r| r.confidence > 0.75));
        assert!(request(&t, false).is_some_and(|r| r.confidence <= 0.75));
    }

    proptest! {
        #[test]
        fn no_sequence_of_its_own_words_panics(picks in proptest::collection::vec(0usize..400, 0..24)) {
            let all: Vec<&str> = [MAKE, MAKE_WITH, GET, GERUND, WISH, ASK, ADVERBS, INTERJECTIONS, NEGATORS, DOERS, BLOCKERS]
                .concat().into_iter().chain(["crm", "website", "a", "our", ",", "could", "would", "to", "for", "and"]).collect();
            let text: Vec<&str> = picks.iter().map(|n| all[n % all.len()]).collect();
            let _ = request(&Transcript::new(&text.join(" ")), picks.len() % 2 == 0);
        }
    }
}
