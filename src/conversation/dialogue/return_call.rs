//! Callers who will not wait on the line, and the calls that bring them the news. Pure. Purpose: consent to be called, and the
//! news at the beginning of a call. Invariants: [`Intent::ReturnCall`] with true leaves only on a clear yes, or on a wish in
//! the caller's own words; neither yes nor no is no consent; news are told after the PIN where one is asked for, and count as
//! told when their first sentence was heard ([`Intent::Told`]). Deliberately absent: when it rings, and where (`call`).

use super::{Build, Dialogue, Question, YES_TWICE_CONFIDENCE_MIN};
use crate::conversation::{
    BuildQuestion, BuildStage, BuildUpdate, Expectation, Heard, Intent, Outcome, Reply, ReturnCalls,
};
use crate::pipeline::intent::{Act, Context, understand};

pub(super) const ASK_RETURN_CALL: &str = "Should the line drop, shall I call you when it is live?";
const ASK_BEFORE_LEAVING: &str = "Your build goes on. Shall I call you when it is live?";
/// Told where callers are called without being asked.
const SAID_RETURN_CALL: &str = "Should the line drop, I will call you.";
const PROMISED: &str = "I will call you when it is live.";
/// Told whoever says yes to either question when the news have come already.
const LIVE_ALREADY: &str = "It is live already, so I need not call you.";
const STOPPED_ALREADY: &str = "It has stopped already, so there is nothing to call you for.";

/// Words of either question up to "shall I call".
pub(super) const OFFER_WORDS_MIN: usize = 7;

/// Whether this asks whether to call.
pub(super) fn is_offer(clause: &str) -> bool {
    clause == ASK_RETURN_CALL || clause == ASK_BEFORE_LEAVING
}

/// How a build ended, or what it asks, that the other side of this call waits to hear.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// The build.
    pub build_id: String,
    /// Its spoken name.
    pub title: String,
    /// How it ended; `None`: it goes on, and waits for an answer.
    pub outcome: Option<Outcome>,
    /// Whether we have called.
    pub called: bool,
}

/// A promise of a call, while a build goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Promise {
    /// Neither asked nor given.
    #[default]
    Open,
    /// The caller will be called.
    Given,
    /// The caller wants none.
    Refused,
}

impl Dialogue {
    /// The same, with news to tell first.
    #[must_use]
    pub fn with_news(mut self, news: News) -> Self {
        self.news = Some(news);
        self
    }

    /// The same, with what the build of the news asks.
    #[must_use]
    pub fn with_build_question(mut self, ask: Option<BuildQuestion>) -> Self {
        self.asked_by_build = ask;
        self
    }

    /// What is said of it when an order is taken.
    pub(super) fn offer_return_call(&mut self, say: &mut Vec<String>) -> Expectation {
        match self.persona.return_call {
            ReturnCalls::Never => Expectation::Open,
            ReturnCalls::Always => {
                self.promise = Promise::Given;
                say.push(SAID_RETURN_CALL.to_owned());
                Expectation::Open
            }
            ReturnCalls::Ask => {
                // Another order is another question.
                self.promise = Promise::Open;
                self.question = Question::ReturnCall;
                say.push(ASK_RETURN_CALL.to_owned());
                Expectation::YesNo
            }
        }
    }

    /// The news have come: there is nothing to call for any more. Where the question was heard its answer may yet come, behind
    /// another question that the news bring.
    pub(super) fn overtake_return_call(&mut self, outcome: &Outcome) {
        self.overtaken = (self.question == Question::ReturnCall && self.offer_heard).then_some(match outcome {
            Outcome::Live { .. } => LIVE_ALREADY,
            Outcome::Parked { .. } => STOPPED_ALREADY,
        });
        self.leave_return_call();
    }

    /// A yes or a no (`wanted`) to the question that the news have overtaken: says so, and then `say`.
    pub(super) fn answer_overtaken(&mut self, wanted: bool, say: Vec<String>) -> Option<Reply> {
        let line = self.overtaken.take()?;
        self.failures = 0;
        let first = if wanted { line } else { "All right." };
        Some(self.reply(std::iter::once(first.to_owned()).chain(say).collect(), Expectation::Open))
    }

    /// An answer to the question, or a wish to be called or not; `None`: neither.
    pub(super) fn hear_return_call(&mut self, heard: &Heard) -> Option<Reply> {
        if !self.building() {
            self.leave_return_call();
            if self.overtaken.is_none() || heard.text.is_empty() {
                return None;
            }
            return match understand(&heard.text, Context::AskedApproval).act {
                Act::Approve => self.answer_overtaken(true, Vec::new()),
                Act::Reject => self.answer_overtaken(false, Vec::new()),
                _ => {
                    self.overtaken = None;
                    None
                }
            };
        }
        if self.persona.return_call == ReturnCalls::Never {
            return None;
        }
        let sure = heard.confidence >= YES_TWICE_CONFIDENCE_MIN;
        if let Some(wanted) = wish(&heard.text).filter(|wanted| sure || !wanted) {
            return Some(self.settle_return_call(wanted));
        }
        if self.question != Question::ReturnCall {
            return None;
        }
        let understood = understand(&heard.text, Context::AskedApproval);
        let answer = &understood.answer;
        // An impatient yes to what came before the question is no answer to it.
        let sure = sure && self.offer_heard;
        match understood.act {
            Act::Approve if sure => Some(self.settle_return_call(true)),
            Act::Reject => Some(self.settle_return_call(false)),
            _ if answer.yes > 0.0 && answer.no == 0.0 && sure => Some(self.settle_return_call(true)),
            _ if answer.no >= 0.9 && answer.yes == 0.0 => Some(self.settle_return_call(false)),
            // Said over and over, or nothing: it stays asked.
            Act::Repeat | Act::Nothing => None,
            // Neither yes nor no is no consent, and something else is answered as ever.
            _ => {
                if self.leaving {
                    self.promise = Promise::Refused;
                }
                self.leave_return_call();
                None
            }
        }
    }

    /// Keys 1 and 2 while it is asked.
    pub(super) fn return_call_key(&mut self, key: char) -> Option<Reply> {
        match (self.question, key) {
            (Question::ReturnCall, '1') if self.offer_heard => Some(self.settle_return_call(true)),
            (Question::ReturnCall, '2') => Some(self.settle_return_call(false)),
            (Question::Nothing | Question::OfBuild, '1' | '2') => {
                let say = self.build_question_again();
                self.answer_overtaken(key == '1', say)
            }
            _ => None,
        }
    }

    /// Nothing is asked of it any more.
    pub(super) fn leave_return_call(&mut self) {
        if self.question == Question::ReturnCall {
            (self.question, self.leaving) = (Question::Nothing, false);
        }
    }

    /// The caller says goodbye while a build goes on.
    pub(super) fn leave_a_build(&mut self) -> Reply {
        let ask = self.persona.return_call == ReturnCalls::Ask && self.promise == Promise::Open;
        if ask {
            (self.question, self.leaving) = (Question::ReturnCall, true);
            return self.reply(vec![ASK_BEFORE_LEAVING.to_owned()], Expectation::YesNo);
        }
        if self.promise == Promise::Given {
            return self.hang_up(&[PROMISED, "Goodbye."]);
        }
        self.hang_up(&["Your build goes on.", "Goodbye."])
    }

    fn settle_return_call(&mut self, wanted: bool) -> Reply {
        self.promise = if wanted { Promise::Given } else { Promise::Refused };
        self.failures = 0;
        let leaving = self.leaving;
        self.leave_return_call();
        let line = if wanted { PROMISED } else { "All right, I will not call you." };
        let reply = if leaving {
            self.hang_up(&[line, "Goodbye."])
        } else {
            self.say(&["All right.", line][usize::from(!wanted)..])
        };
        Reply { intent: Some(Intent::ReturnCall(wanted)), ..reply }
    }

    /// Whose news wait is told why we call, before anything else is asked.
    pub(super) fn say_why_we_call(&self, say: &mut Vec<String>) {
        if self.news.as_ref().is_some_and(|news| news.called) {
            say.push("You asked me to call you back.".to_owned());
        }
    }

    /// Tells the news, where there are any.
    pub(super) fn tell_news(&mut self, say: &mut Vec<String>) -> Option<Reply> {
        let News { build_id, title, outcome, called } = self.news.take()?;
        let ask = self.asked_by_build.take();
        // Who calls us with somebody's number is not somebody.
        self.inherited = !called;
        self.subject = Some(title.to_lowercase());
        self.question = Question::Nothing;
        self.pending = None;
        let stage = match outcome {
            Some(Outcome::Live { .. }) => BuildStage::Live,
            Some(Outcome::Parked { .. }) => BuildStage::Parked,
            None => BuildStage::Planned,
        };
        // Whoever was called for a question is called for the end, too.
        if called && outcome.is_none() {
            self.promise = Promise::Given;
        }
        let line = outcome.is_none().then(|| match ask {
            Some(_) => format!("Your {title} waits for an answer."),
            None => format!("Your {title} goes on without an answer."),
        });
        self.build = Some(Build { id: Some(build_id.clone()), title, stage: BuildStage::Approved, over: false });
        let told = self.build_update(&BuildUpdate { build_id, stage, say: line, outcome, ask });
        say.extend(told.say);
        let expect = told.expect;
        Some(Reply { intent: told.intent, ..self.reply(std::mem::take(say), expect) })
    }
}

/// What may follow a wish to be called.
const AFTER_CALL_ME: [&str; 22] = [
    "about", "after", "again", "and", "anymore", "as", "at", "back", "for", "if", "in", "later", "now", "on", "once",
    "or", "please", "then", "tomorrow", "when", "with", "you",
];
const DENIALS: [&str; 12] =
    ["no", "not", "never", "dont", "neednt", "without", "rather", "stop", "cannot", "nobody", "instead", "unnecessary"];

/// Whether a text asks for a call (true), or for none (false).
fn wish(text: &str) -> Option<bool> {
    let text = text.to_lowercase().replace('\u{2019}', "'").replace(|c: char| !c.is_alphanumeric() && c != '\'', " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let given = words.windows(4).any(|w| matches!(w, ["give", "me", "a", "call" | "ring"]));
    // "You can call me Ann" is a name.
    let called = words.windows(2).enumerate().any(|(at, w)| {
        matches!(w, ["call" | "ring" | "phone", "me"])
            && words.get(at + 2).is_none_or(|next| AFTER_CALL_ME.contains(next))
    });
    // Whoever denies anything beside it is not called: that can be said again, a ring cannot be taken back.
    let denied = words.iter().any(|word| word.ends_with("n't") || DENIALS.contains(word));
    (given || called).then_some(!denied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Persona, Pin};

    fn ordered(return_call: ReturnCalls) -> (Dialogue, Reply) {
        let persona = Persona { return_call, ..Persona::named("Grace") };
        let mut dialogue = Dialogue::new(persona, "conv_1");
        dialogue.greet();
        says(&mut dialogue, "build us a website with a blog");
        let reply = says(&mut dialogue, "yes");
        assert!(matches!(reply.intent, Some(Intent::Build(_))));
        dialogue.build_accepted("b1");
        (dialogue, reply)
    }

    fn says(dialogue: &mut Dialogue, text: &str) -> Reply {
        let reply = dialogue.hear(&Heard::certain(text));
        dialogue.cut_off(&reply.text(), usize::MAX);
        reply
    }

    fn live() -> Outcome {
        Outcome::Live { url: "http://127.0.0.1:8100/".into(), app: "website".into() }
    }

    fn update(outcome: Outcome) -> BuildUpdate {
        BuildUpdate { build_id: "b1".into(), stage: BuildStage::Live, say: None, outcome: Some(outcome), ask: None }
    }

    #[test]
    fn who_says_yes_is_called_and_who_says_no_or_neither_is_not() {
        let (mut dialogue, reply) = ordered(ReturnCalls::Ask);
        assert!(reply.text().ends_with(ASK_RETURN_CALL), "{}", reply.text());
        assert_eq!(reply.expect, Expectation::YesNo);
        let reply = says(&mut dialogue, "yes please");
        assert_eq!(reply.intent, Some(Intent::ReturnCall(true)), "{}", reply.text());
        assert_eq!(says(&mut dialogue, "goodbye").text(), "I will call you when it is live. Goodbye.");
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        assert_eq!(says(&mut dialogue, "no thanks").intent, Some(Intent::ReturnCall(false)));
        let reply = says(&mut dialogue, "goodbye");
        assert!(reply.hang_up && reply.text() == "Your build goes on. Goodbye.", "asked once: {}", reply.text());
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        let reply = says(&mut dialogue, "how far are you");
        assert!(reply.intent.is_none() && reply.text().contains("not live yet"), "{}", reply.text());
        assert!(says(&mut dialogue, "yes").intent.is_none(), "it is not asked any more");
    }

    #[test]
    fn keys_answer_it_and_a_doubtful_yes_does_not() {
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        assert_eq!(dialogue.key('1').intent, Some(Intent::ReturnCall(true)));
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        assert_eq!(dialogue.key('2').intent, Some(Intent::ReturnCall(false)));
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        assert_eq!(dialogue.hear(&Heard::once("yes", 0.1)).intent, None);
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        assert_eq!(dialogue.hear(&Heard::once("call me", 0.1)).intent, None);
    }

    #[test]
    fn a_second_yes_to_the_order_is_no_answer_to_a_question_that_was_not_heard() {
        for heard in [0, 3, 12] {
            let (mut dialogue, reply) = ordered(ReturnCalls::Ask);
            dialogue.cut_off(&reply.text(), heard);
            assert_eq!(dialogue.key('1').intent, None, "{heard} words");
            let (mut dialogue, reply) = ordered(ReturnCalls::Ask);
            dialogue.cut_off(&reply.text(), heard);
            assert_eq!(dialogue.hear(&Heard::certain("yes")).intent, None, "{heard} words");
            assert_eq!(says(&mut dialogue, "goodbye").text(), ASK_BEFORE_LEAVING);
        }
        let (mut dialogue, reply) = ordered(ReturnCalls::Ask);
        let words = reply.text().split_whitespace().count();
        dialogue.cut_off(&reply.text(), words - 4);
        assert_eq!(dialogue.key('1').intent, Some(Intent::ReturnCall(true)), "at \"shall I call\"");
    }

    #[test]
    fn a_yes_to_what_the_news_have_overtaken_answers_nothing_else() {
        let choices = [("USD", "US dollars"), ("EUR", "euros")].map(|(v, s)| (v.to_owned(), s.to_owned())).to_vec();
        let ask = BuildQuestion {
            build_id: "b1".into(),
            name: "currency".into(),
            question: "Which currency are your prices in?".into(),
            choices,
            default: "USD".into(),
        };
        let asked = |ask: Option<&BuildQuestion>, words: usize, outcome: Outcome| {
            let (mut dialogue, reply) = ordered(ReturnCalls::Ask);
            dialogue.cut_off(&reply.text(), words);
            let news = dialogue.build_update(&BuildUpdate { ask: ask.cloned(), ..update(outcome) });
            dialogue.cut_off(&news.text(), usize::MAX);
            dialogue
        };
        let again = "Which currency are your prices in? I take US dollars unless you say euros.";
        for (says_so, first) in [("Yes, please.", LIVE_ALREADY), ("yes", LIVE_ALREADY), ("No, thanks.", "All right.")] {
            let mut dialogue = asked(Some(&ask), usize::MAX, live());
            let reply = says(&mut dialogue, says_so);
            assert_eq!((reply.text(), reply.intent), (format!("{first} {again}"), None), "{says_so}");
            // From now on it is the only question.
            let reply = says(&mut dialogue, "yes");
            assert!(matches!(&reply.intent, Some(Intent::Answer { value, .. }) if value == "USD"), "{reply:?}");
        }
        for (key, first) in [('1', LIVE_ALREADY), ('2', "All right.")] {
            let mut dialogue = asked(Some(&ask), usize::MAX, live());
            assert_eq!(dialogue.key(key).text(), format!("{first} {again}"));
            assert!(matches!(dialogue.key('2').intent, Some(Intent::Answer { ref value, .. }) if value == "EUR"));
        }
        // A choice answers the question that it belongs to, whatever stands before it.
        for choice in ["euros", "yes, euros please"] {
            let reply = says(&mut asked(Some(&ask), usize::MAX, live()), choice);
            assert!(
                matches!(&reply.intent, Some(Intent::Answer { value, .. }) if value == "EUR"),
                "{choice}: {reply:?}"
            );
        }
        // Whoever did not hear it has answered the other.
        let reply = says(&mut asked(Some(&ask), 3, live()), "yes please");
        assert!(matches!(&reply.intent, Some(Intent::Answer { value, .. }) if value == "USD"), "{reply:?}");
        // Nothing else is asked.
        assert_eq!(says(&mut asked(None, usize::MAX, live()), "Yes, please.").text(), LIVE_ALREADY);
        let parked = Outcome::Parked { say: "The page about us did not answer.".into() };
        assert_eq!(says(&mut asked(None, usize::MAX, parked), "yes please").text(), STOPPED_ALREADY);
        let mut dialogue = asked(None, usize::MAX, live());
        says(&mut dialogue, "how is it doing");
        assert_ne!(says(&mut dialogue, "yes please").text(), LIVE_ALREADY, "only at once");
    }

    #[test]
    fn who_is_called_for_a_question_hears_why_answers_and_is_called_again() {
        let ask = BuildQuestion {
            build_id: "b1".into(),
            name: "currency".into(),
            question: "Which currency are your prices in?".into(),
            choices: [("USD", "US dollars"), ("EUR", "euros")].map(|(v, s)| (v.to_owned(), s.to_owned())).to_vec(),
            default: "USD".into(),
        };
        let persona = || Persona { return_call: ReturnCalls::Ask, ..Persona::named("Grace") };
        let news = |called| News { build_id: "b1".into(), title: "Shop".into(), outcome: None, called };
        let mut dialogue =
            Dialogue::new(persona(), "conv_2").with_news(news(true)).with_build_question(Some(ask.clone()));
        let opened = dialogue.greet();
        dialogue.cut_off(&opened.text(), usize::MAX);
        let said = opened.text();
        for part in ["You asked me to call you back.", "Your Shop waits for an answer.", "Which currency", "euros"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(opened.intent, None, "the news of the end are not told yet");
        let reply = says(&mut dialogue, "euros please");
        assert!(
            matches!(&reply.intent, Some(Intent::Answer { value, follow_up: false, .. }) if value == "EUR"),
            "{reply:?}"
        );
        assert_eq!(says(&mut dialogue, "goodbye").text(), "I will call you when it is live. Goodbye.");
        // The time for it was up while it rang.
        let mut late = Dialogue::new(persona(), "conv_3").with_news(news(true)).with_build_question(None);
        assert!(late.greet().text().contains("Your Shop goes on without an answer."));
    }

    #[test]
    fn each_order_has_its_own_promise() {
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        assert_eq!(says(&mut dialogue, "yes").intent, Some(Intent::ReturnCall(true)));
        dialogue.build_update(&update(live()));
        says(&mut dialogue, "build us a shop");
        assert!(matches!(says(&mut dialogue, "yes").intent, Some(Intent::Build(_))));
        dialogue.build_accepted("b2");
        says(&mut dialogue, "how far are you");
        assert_eq!(says(&mut dialogue, "goodbye").text(), ASK_BEFORE_LEAVING);
    }

    #[test]
    fn only_whoever_is_known_hears_the_code_of_an_app_of_another_call() {
        let news = |called| News { build_id: "b1".into(), title: "CRM".into(), outcome: Some(live()), called };
        let asked = |persona: Persona, called: bool| {
            let mut dialogue = Dialogue::new(persona, "conv_2").with_news(news(called));
            dialogue.greet();
            says(&mut dialogue, "how do i sign in").intent.is_some()
        };
        assert!(!asked(Persona::named("Grace"), false), "a number alone is easily forged");
        assert!(asked(Persona::named("Grace"), true));
        assert!(asked(Persona { proved: true, ..Persona::named("Grace") }, false));
    }

    #[test]
    fn who_leaves_is_asked_once_and_whoever_wishes_it_need_not_be() {
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        says(&mut dialogue, "how far are you");
        let reply = says(&mut dialogue, "goodbye");
        assert!(!reply.hang_up && reply.text() == ASK_BEFORE_LEAVING, "{}", reply.text());
        let reply = says(&mut dialogue, "yes");
        assert!(reply.hang_up && reply.intent == Some(Intent::ReturnCall(true)), "{reply:?}");
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        says(&mut dialogue, "how far are you");
        says(&mut dialogue, "goodbye");
        assert!(says(&mut dialogue, "goodbye").hang_up, "said twice, it is meant");
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        says(&mut dialogue, "how far are you");
        assert_eq!(says(&mut dialogue, "can you call me when it is done").intent, Some(Intent::ReturnCall(true)));
    }

    #[test]
    fn where_it_is_configured_callers_are_told_and_may_refuse() {
        let (mut dialogue, reply) = ordered(ReturnCalls::Always);
        assert!(reply.text().ends_with(SAID_RETURN_CALL) && reply.expect == Expectation::Open, "{}", reply.text());
        assert_eq!(says(&mut dialogue, "please don't call me").intent, Some(Intent::ReturnCall(false)));
        let (mut dialogue, reply) = ordered(ReturnCalls::Never);
        assert!(!reply.text().contains("call you"), "{}", reply.text());
        assert!(says(&mut dialogue, "goodbye").hang_up);
    }

    #[test]
    fn news_end_the_question() {
        let (mut dialogue, _) = ordered(ReturnCalls::Ask);
        let reply = dialogue.build_update(&update(live()));
        assert!(reply.text().starts_with("Your Website is live."), "{}", reply.text());
        let told = Intent::Told { build_id: "b1".into(), line: "Your Website is live.".into() };
        assert_eq!(reply.intent, Some(told));
        assert!(says(&mut dialogue, "yes").intent.is_none());
    }

    #[test]
    fn who_is_called_hears_why_and_how_it_ended() {
        let news = |called| News { build_id: "b1".into(), title: "CRM".into(), outcome: Some(live()), called };
        let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_2").with_news(news(true));
        let reply = dialogue.greet();
        assert!(
            reply.text().starts_with("Hello, this is Grace. You asked me to call you back. Your CRM is live."),
            "{}",
            reply.text()
        );
        assert!(matches!(&reply.intent, Some(Intent::Told { build_id, .. }) if build_id == "b1"));
        assert!(
            matches!(says(&mut dialogue, "how is it doing").intent, Some(Intent::Report { subject }) if subject == "crm")
        );
        let parked = Outcome::Parked { say: "The page about us did not answer.".into() };
        let mut dialogue =
            Dialogue::new(Persona::named("Grace"), "conv_3").with_news(News { outcome: Some(parked), ..news(false) });
        let text = dialogue.greet().text();
        assert!(text.contains("I had to stop. Your CRM is not live. The page about us did not answer."), "{text}");
        assert!(!text.contains("call you back"), "{text}");
    }

    #[test]
    fn news_come_after_the_pin() {
        let persona = Persona { pin: Pin::new("471100"), ..Persona::named("Grace") };
        let news = News { build_id: "b1".into(), title: "CRM".into(), outcome: Some(live()), called: true };
        let mut dialogue = Dialogue::new(persona, "conv_2").with_news(news);
        let first = dialogue.greet();
        assert!(first.text().contains("call you back") && !first.text().contains("CRM"), "{}", first.text());
        assert!(first.intent.is_none());
        let last = "471100".chars().map(|key| dialogue.key(key)).last().unwrap();
        assert!(last.text().contains("Your CRM is live."), "{}", last.text());
    }

    #[test]
    fn wishes_are_told_from_other_calls() {
        for yes in ["call me when it's live", "Please give me a call.", "ring me back", "can you call me"] {
            assert_eq!(wish(yes), Some(true), "{yes}");
        }
        for no in [
            "don't call me",
            "don\u{2019}t call me",
            "please do not call me",
            "no need to call me back",
            "no, you don't need to call me",
            "I don't want you to call me",
            "I'd rather you didn't call me",
            "please never ring me",
        ] {
            assert_eq!(wish(no), Some(false), "{no}");
        }
        for neither in [
            "",
            "you can call me Ann",
            "call it harbour",
            "my call centre",
            "recall me",
            "a call log",
            "name it call mentor",
        ] {
            assert_eq!(wish(neither), None, "{neither}");
        }
    }
}
