//! Whether a turn asks for something to be built: verb × artefact × cue, with guards.
//!
//! Pure. The verb nearest to the left of an artefact governs it; `mood` reads the words before the verb; what else the turn
//! says can only lower the result. Confidence 0..=1; strictly more than [`super::FIRES`] starts the dialogue about a build.
//! Deliberately absent: starting anything (that takes a read-back and a yes).

use super::Transcript;
use super::artefact::{Artefact, Determiner, Mention, mentions};
use super::mood::{Clause, LIKELY, REFUSED, SOMEBODY_ELSE, SUPPOSED, Verb};
use super::transcript::PAUSE;
use super::words::*;

/// How far left of an artefact its verb may stand.
const REACH: usize = 9;

/// A request for an artefact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) what: Artefact,
    /// 0..=1.
    pub(super) confidence: f64,
}

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

impl Clause<'_> {
    fn confidence(&self, mention: &Mention, asked: bool) -> f64 {
        let (at, verb, mood) = match self.verb(mention) {
            Some((at, verb)) => (at, Some(verb), self.mood(at, verb, 0)),
            None => (mention.start, None, self.verbless(mention, asked)),
        };
        let (at, verb, mood) = if self.nothing_but(mention) { (mention.start, None, LIKELY) } else { (at, verb, mood) };
        let mut score: f64 = mood;
        if mention.described {
            score -= 0.03;
        }
        if mention.plural {
            score -= 0.3;
        }
        score = score.min(match (mention.determiner, verb) {
            (Determiner::Indefinite, _) => 1.0,
            (Determiner::Definite, None) if self.is_the_one(mention) => 1.0,
            (_, None) => 0.4,
            (Determiner::Others, _) => 0.2,
            (Determiner::Definite, Some(Verb::Make | Verb::Gerund)) => 0.88,
            // "I want the CRM", to the question what to build: there is none yet that it could be.
            (Determiner::Definite, Some(Verb::Wish))
                if asked && mention.what == Artefact::Crm && self.goes_on(mention) =>
            {
                0.8
            }
            (Determiner::Definite, Some(_)) => 0.6,
            // "make our CRM faster" is no new one.
            (Determiner::Own, Some(Verb::Make)) if self.heard.at(at) == "make" => 0.6,
            (Determiner::Own, Some(Verb::Make | Verb::Gerund)) => 0.8,
            (Determiner::Own, Some(_)) => 0.4,
        });
        score.min(self.guards(at, mention)).clamp(0.0, 0.99)
    }

    /// "I don't want anything fancy, just a plain CRM".
    fn nothing_but(&self, mention: &Mention) -> bool {
        let only = (mention.start.saturating_sub(5)..mention.start)
            .rev()
            .find(|k| matches!(self.heard.at(*k), "just" | "only" | "simply"));
        mention.determiner == Determiner::Indefinite
            && only.is_some_and(|k| {
                (k.saturating_sub(5)..k).any(|m| matches!(self.heard.at(m), "anything" | "nothing"))
                    && (k.saturating_sub(7)..k).any(|m| matches!(self.heard.at(m), "want" | "need" | "nothing"))
                    && !(k.saturating_sub(9)..k).any(|m| matches!(self.heard.at(m), "he" | "she" | "they" | "if"))
            })
    }

    /// Behind the artefact comes what it shall have, or nothing: not "back", nor "to be faster".
    fn goes_on(&self, mention: &Mention) -> bool {
        matches!(
            self.heard.at(mention.end),
            "" | PAUSE | "with" | "for" | "that" | "which" | "please" | "and" | "now" | "too"
        )
    }

    /// "that's the CRM I want": wished for behind its name.
    fn is_the_one(&self, mention: &Mention) -> bool {
        let at = |k: usize| self.heard.at(mention.end + k);
        let verb = match (at(0), at(1)) {
            ("i" | "we", "want" | "need") => 2,
            ("i'd" | "we'd", "like") => 2,
            ("i" | "we", "would") if at(2) == "like" => 3,
            _ => return false,
        };
        self.within(mention.start, 3, &["that's", "is", "it's"])
            && !self.within(mention.start, 4, NEGATORS)
            && matches!(at(verb), "" | PAUSE | "please" | "with" | "for")
    }

    /// The verb that governs a mention: the nearest to its left that is not cut off by a preposition or a subject.
    fn verb(&self, mention: &Mention) -> Option<(usize, Verb)> {
        if let Some(at) = self.put_into(mention) {
            return Some((at, Verb::Make));
        }
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
                || (matches!(after, "me" | "us") && PARTICLES.contains(&self.heard.at(at + 2)))
                || PARTICLES.contains(&self.heard.at(mention.end))
                || (at + 1..mention.start).any(|k| self.heard.at(k) == "together");
            let verb = match word {
                "is" | "be" | "was" if self.cleft(at) => Some(Verb::Wish),
                // "it has to be a CRM".
                "be" if before == "to"
                    && matches!(self.before(at - 1), "has" | "needs" | "ought")
                    && at >= 3
                    && self.before(at - 2) == "it" =>
                {
                    Some(Verb::Wish)
                }
                // "I've come to you for a CRM".
                "for" if before == "you" && self.before(at - 1) == "to" && at >= 3 => {
                    return matches!(self.before(at - 2), "come" | "came" | "turn" | "coming")
                        .then_some((at - 3, Verb::Wish));
                }
                // "we all want to use one CRM".
                "use" if before == "to" && at >= 2 && matches!(self.before(at - 1), "want" | "like" | "need") => {
                    return Some((at - 2, Verb::Wish));
                }
                "built" | "made" | "created" if before == "you" && self.before(at - 1) == "if" => Some(Verb::Make),
                "with" if before == "up" => {
                    let set = (at.saturating_sub(4)..at)
                        .rev()
                        .find(|k| matches!(self.heard.at(*k), "set" | "hook" | "fix"))?;
                    return Some((set, Verb::Make));
                }
                "for" if WISH_FOR.contains(&before) => return Some((at - 1, Verb::Wish)),
                "for" if ASK.contains(&before) => return Some((at - 1, Verb::Ask)),
                "about" if matches!(before, "how" | "what") => Some(Verb::Wish),
                "after" if matches!(before, "i'm" | "we're" | "am" | "are") => Some(Verb::Wish),
                "with" if before == "do" => return Some((at - 1, Verb::Wish)),
                "use" if before == "could" => Some(Verb::Wish),
                "on" | "with" if matches!(before, "started" | "going" | "cracking") && self.before(at - 1) == "get" => {
                    return Some((at - 2, Verb::Make));
                }
                // "get us started with a CRM".
                "on" | "with"
                    if before == "started"
                        && matches!(self.before(at - 1), "me" | "us")
                        && at >= 3
                        && self.before(at - 2) == "get" =>
                {
                    return Some((at - 3, Verb::Make));
                }
                "with" if matches!(before, "start" | "begin") && !self.within(at, 4, &["to"]) => {
                    return Some((at - 1, Verb::Make));
                }
                "on" if matches!(before, "start" | "begin" | "work") => return Some((at - 1, Verb::Make)),
                "of" if before == "need" && self.before(at - 1) == "in" => return Some((at - 1, Verb::Wish)),
                "in" if before == "interested" => return Some((at - 1, Verb::Wish)),
                "for" if before == "time" => return Some((at - 1, Verb::Wish)),
                // "it's about time we had".
                "had" | "got" if matches!(before, "we" | "i") && self.within(at, 3, &["time"]) => Some(Verb::Wish),
                "like" | "love" | "appreciate" | "prefer" => {
                    matches!(before, "i'd" | "we'd" | "would" | "really" | "should" | "also" | "just")
                        .then_some(Verb::Wish)
                }
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
            // "some kind of CRM", "something like a CRM", "make it a CRM".
            let kind = (word == "of" && matches!(before, "kind" | "sort" | "type" | "version"))
                || (word == "like" && before == "something")
                || (word == "it" && before == "make");
            if (BLOCKERS.contains(&word) || word == "is") && !kind {
                return None;
            }
            after = word;
        }
        None
    }

    /// "put contacts, deals and notes into a CRM", "turn my list into a CRM": a new one, whatever goes into it.
    fn put_into(&self, mention: &Mention) -> Option<usize> {
        if mention.determiner != Determiner::Indefinite {
            return None;
        }
        let into = (mention.start.saturating_sub(3)..mention.start).rev().find(|k| self.heard.at(*k) == "into")?;
        let article = (into + 1..mention.start).any(|k| matches!(self.heard.at(k), "a" | "one" | "some"));
        let at = (into.saturating_sub(12)..into)
            .rev()
            .find(|k| matches!(self.heard.at(*k), "put" | "turn" | "make" | "bring" | "gather" | "collect" | "get"))?;
        // A comma stands in a list of things only.
        let one_list = (at + 1..into).all(|k| {
            self.heard.at(k) != PAUSE
                || matches!(self.heard.at(k + 2), PAUSE | "and" | "into")
                || matches!(self.heard.at(k + 1), "and" | "my" | "our" | "please")
        });
        (article && one_list).then_some(at)
    }

    /// "what I need is", "all we want is", "the job for you is".
    fn cleft(&self, at: usize) -> bool {
        if self.within(at, 7, &["job", "order", "project", "request", "wish", "plan", "idea", "dream", "goal"])
            && !self.within(at, 8, &["his", "her", "their", "your", "old", "last"])
            && self.heard.at(at) == "is"
        {
            return true;
        }
        self.within(at, 8, &["what", "all", "thing"])
            && self.within(at, 7, &["i", "we", "i'd", "we'd", "i'm", "we're", "me", "us"])
            && !self.within(at, 6, &["last"])
            && self.within(
                at,
                5,
                &[
                    "help", "need", "want", "like", "love", "after", "require", "for", "wanted", "needed", "missing",
                    "lack", "lacking", "short",
                ],
            )
    }

    /// No verb governs the artefact: "a CRM please", "a CRM is what we need", or an answer to "what shall I build?".
    fn verbless(&self, mention: &Mention, asked: bool) -> f64 {
        let next = self.heard.at(mention.end);
        let rest: Vec<&str> = (mention.end..self.heard.words().len()).map(|k| self.heard.at(k)).collect();
        let wanted = next == "is"
            && rest.windows(2).any(|w| matches!(w, ["what", "i" | "we" | "i'd" | "we'd" | "i'm" | "we're"]));
        let good = |w: &str| matches!(w, "great" | "nice" | "good" | "lovely" | "perfect" | "fine" | "wonderful");
        // "a CRM would be great", "a CRM with notes would be great".
        let nice = matches!(next, "would" | "that'd") && rest.iter().any(|w| good(w))
            || mention.determiner == Determiner::Indefinite
                && !mention.plural
                && next == "with"
                && rest.windows(3).any(|w| matches!(w, ["would", "be", last] if good(last)))
                && !rest.contains(&"but")
                && !self.within(mention.start, 5, &["if", "that", "whether", "no", "not", "having", "they"]);
        // "a CRM is needed", "can a CRM be built for us".
        let needed = matches!(rest.get(..2), Some(["is" | "was", "needed" | "required" | "wanted"])) && next == "is"
            || self.is_the_one(mention)
            || matches!(rest.get(..2), Some(["be", "built" | "made" | "created"]))
                && self.within(mention.start, 3, &["can", "could"])
                && !self.within(mention.start, 5, QUESTION_WORDS);
        let needed = needed
            && (mention.determiner == Determiner::Indefinite || self.is_the_one(mention))
            && !mention.plural
            && !self.within(mention.start, 5, &["if", "that", "whether", "no", "not"]);
        if (wanted || nice || needed) && !rest.iter().any(|w| NEGATORS.contains(w)) {
            return LIKELY;
        }
        // "nothing fancy, a CRM please", "no website, just a CRM": what is not wanted stands apart.
        let apart = match self.heard.at(0) {
            "nothing" | "no" | "not" => (2..mention.start.min(5)).find(|k| self.heard.at(*k) == PAUSE).unwrap_or(0),
            // "for my sales team a CRM please".
            "for" if matches!(self.heard.at(1), "my" | "our" | "the" | "us" | "me") => {
                (2..mention.start.min(7)).rev().find(|k| matches!(self.heard.at(*k), "a" | "an" | "one")).unwrap_or(0)
            }
            _ => 0,
        };
        let lead_in = (apart..mention.start).map(|k| self.heard.at(k)).all(|w| {
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
        ) || (next == "no" && matches!(rest.get(1), Some(&("thank" | "thanks" | "way"))));
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
        let supposing = self.within(verb, 6, &["suppose"]) && !heard.says(&["i suppose", "we suppose"]);
        if supposing || self.within(verb, 6, &["imagine", "pretend", "hypothetically", "unless", "whenever"]) {
            most = most.min(SUPPOSED);
        }
        if self.within(verb, 4, &["way"]) && heard.says(&["no way"]) {
            most = most.min(REFUSED);
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
            "I don't want anything fancy, just a plain CRM",
            "we do not need anything special just a CRM with notes",
            "can your people write us a CRM",
            "I don't want a website I want a CRM",
            "I told you to build a CRM",
            "we could do with a CRM",
            "I am looking for a customer database",
            "please get started on a CRM",
            "can you start on a CRM for us",
            "it's about time we had a CRM",
            "we are in need of a CRM",
            "I'm interested in a CRM",
            "it's time for a CRM",
            "the job I have for you is a CRM",
            "what we're missing is a CRM",
            "let's get a CRM built for the studio",
            "I need you to code us a CRM",
            "can I get you to write me a CRM",
            "we would be lost without a proper CRM, so please make one that has contacts",
            "we have been without a CRM for years, could you set one up for us",
            "my partner keeps telling me that I should get you people to build me a CRM",
            "it would make my life a lot easier if you set up a CRM",
            "put contacts, deals and notes into a CRM for me",
            "can you turn my list of contacts into a CRM",
            "can somebody make me a CRM",
            "what we lack is a CRM",
            "our bakery could use a CRM",
            "would you be so kind as to build a CRM",
            "let us have a CRM please",
            "might I ask you to build me a CRM",
            "can we start with a CRM",
            "get us started with a CRM",
            "I really must have a CRM",
            "I have to have a CRM by Monday",
            "I am supposed to order a CRM",
            "I want you and your team to build us a CRM",
            "we opened a store and now a CRM is needed",
            "can a CRM be built for our gym",
            "my idea is a CRM",
            "nothing fancy, a CRM please",
            "no website, just a CRM please",
            "what we're short of is a CRM",
            "it has to be a CRM with invoices",
            "I've come to you for a CRM",
            "for our sales team a CRM with deals please",
            "that's the CRM I want",
            "we all want to use one CRM",
            "it's dark in here, a CRM with notes would be great",
            "how soon can you get a CRM going for us",
            "when can you start on a CRM",
            "I decided that we get a CRM",
            "is it possible that you make a CRM for us",
            "I was hoping you might build a CRM",
            "every morning I search for numbers please make a CRM for me",
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
            "they got started on a CRM",
            "they don't want anything fancy, just a CRM",
            "when can your people make a CRM",
            "it's not time for a CRM",
            "we're not interested in a CRM",
            "he is in need of a CRM",
            "his last job was a CRM",
            "we were lost without a CRM, and somebody should make one that works",
            "we had a CRM, make one more call please",
            "my CRM is fine, make me one offer for the support",
            "my brother has a CRM and he wants me to have one",
            "I don't think I should get you to build a CRM",
            "my boss said he should get people to build a CRM",
            "it would be easier for them if they set up a CRM",
            "it was easier when you set up a CRM",
            "they put contacts and deals into a CRM",
            "I put my contacts into a CRM years ago",
            "put my contacts into the CRM",
            "don't turn my list into a CRM",
            "I wonder if somebody could make a CRM",
            "what they lack is a CRM",
            "our competitor could use a CRM",
            "let us know what a CRM is",
            "they start with a CRM",
            "his idea was a CRM",
            "no thanks, no CRM please",
            "nothing doing, the CRM is fine, please",
            "they got us started with a CRM",
            "must I have a CRM",
            "do I have to have a CRM",
            "I don't have to get a CRM",
            "you are supposed to get a CRM",
            "he wants you and your team to build a CRM",
            "they say that a CRM is needed",
            "no CRM is needed",
            "how can a CRM be built",
            "that's the CRM I want deleted",
            "that's not the CRM I want",
            "it doesn't have to be a CRM",
            "they came to you for a CRM",
            "how soon can they get a CRM",
            "he decided that they get a CRM",
            "is it possible that they make a CRM",
            "if we had time a CRM with notes would be great",
            "a CRM with notes would be great but we have no money",
            "for my brother a CRM is nothing",
            "she told him please make a CRM",
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
    fn the_crm_is_a_new_one_to_whoever_asks_what_to_build() {
        let wanted = |text: &str, asked| request(&Transcript::new(text), asked).is_some_and(|r| r.confidence > 0.75);
        for text in ["I want the CRM", "we need the CRM with contacts", "and now I would like the CRM for my bakery"] {
            assert!(wanted(text, true) && !wanted(text, false), "{text}");
        }
        for text in ["I want the CRM back", "I need the CRM to be faster", "they want the CRM", "I don't want the CRM"]
        {
            assert!(!wanted(text, true), "{text}");
        }
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
