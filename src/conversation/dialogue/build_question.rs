//! What a build asks in the middle of its work. Pure. Purpose: one question, told with its default, that never holds the order up.
//! Invariants: only a choice of the question is an answer ([`Intent::Answer`]), and only where one choice was named, or sounded like,
//! or its key pressed; neither yes nor no leaves the default as it is; whoever only may be the one who ordered is not asked.
//! Deliberately absent: who waits for the answer, and what comes of it (`store::questions`, `pipeline`).

use super::{Build, Dialogue, Question, YES_TWICE_CONFIDENCE_MIN};
use crate::conversation::{BuildQuestion, BuildStage, Expectation, Heard, Intent, Reply, numbers};
use crate::pipeline::intent::{Act, Context, sounds_like, understand};

/// Beside the choice; more words are about something else, unless it was asked just now.
const WORDS_MAX: usize = 6;

impl Dialogue {
    /// Tells what is asked, after `say`; returns what is expected then.
    pub(super) fn put_build_question(&mut self, ask: BuildQuestion, say: &mut Vec<String>) -> Expectation {
        say.push(format!("One question: {}", ask.question));
        say.push(how_to_answer(&ask));
        self.leave_return_call();
        (self.question, self.asked_by_build) = (Question::OfBuild, Some(ask));
        Expectation::Open
    }

    /// The same once more, where it is asked.
    pub(super) fn build_question_again(&self) -> Vec<String> {
        let asked = self.asked_by_build.iter().filter(|_| self.question == Question::OfBuild);
        asked.flat_map(|ask| [ask.question.clone(), how_to_answer(ask)]).collect()
    }

    /// An answer to what a build asks; `None`: it is something else.
    pub(super) fn hear_build_question(&mut self, heard: &Heard) -> Option<Reply> {
        let ask = self.asked_by_build.as_ref()?;
        let asked = self.question == Question::OfBuild;
        let named: Vec<&str> = ask.choices.iter().filter(|choice| names(&heard.text, choice)).map(|c| &*c.0).collect();
        let long = heard.text.split_whitespace().count() > WORDS_MAX;
        let sure = heard.confidence >= YES_TWICE_CONFIDENCE_MIN;
        if let ([value], true) = (named.as_slice(), sure && (asked || !long)) {
            let value = (*value).to_owned();
            return Some(self.settle_build_question(&value));
        }
        if !asked {
            return None;
        }
        let understood = understand(&heard.text, Context::AskedApproval);
        // Asked whether to call, told that it is live, and asked this, all in one breath: yes or no answers the first.
        if let (Act::Approve | Act::Reject, true) = (&understood.act, named.is_empty() && self.overtaken.is_some()) {
            return self.answer_overtaken(understood.act == Act::Approve, self.build_question_again());
        }
        self.overtaken = None;
        match understood.act {
            Act::Repeat | Act::Nothing => None,
            // "Yes, that is fine", "keep it".
            Act::Approve => {
                let default = ask.default.clone();
                Some(self.settle_build_question(&default))
            }
            _ if named.len() > 1 || understood.act == Act::Reject || (named.len() == 1 && !sure) => {
                let choices: Vec<String> = ask.choices.iter().map(|choice| choice.1.clone()).collect();
                self.failures = 0;
                Some(self.reply(vec![format!("Please say {}.", numbers::either(&choices))], Expectation::Open))
            }
            Act::Other if !long && sure => {
                let said: Vec<&str> = ask.choices.iter().map(|choice| choice.1.as_str()).collect();
                if let Some(at) = sounds_like(&heard.text, &said) {
                    let value = ask.choices[at].0.clone();
                    return Some(self.settle_build_question(&value));
                }
                // Once: who says something else again wants something else.
                if self.failures > 0 {
                    self.question = Question::Nothing;
                    return None;
                }
                let choices: Vec<String> = ask.choices.iter().map(|choice| choice.1.clone()).collect();
                let last = numbers::word(u32::try_from(ask.choices.len()).unwrap_or(u32::MAX));
                self.failures = 1;
                let again = format!("Please say {}, or press a key from one to {last}.", numbers::either(&choices));
                Some(self.reply(vec![again], Expectation::Open))
            }
            // It can be answered later; the default holds.
            _ => {
                self.question = Question::Nothing;
                None
            }
        }
    }

    /// The choices have keys from 1 on while it is asked.
    pub(super) fn build_question_key(&mut self, key: char) -> Option<Reply> {
        let ask = self.asked_by_build.as_ref().filter(|_| self.question == Question::OfBuild)?;
        let at = usize::try_from(key.to_digit(10)?).ok()?.checked_sub(1)?;
        let value = ask.choices.get(at)?.0.clone();
        Some(self.settle_build_question(&value))
    }

    fn settle_build_question(&mut self, value: &str) -> Reply {
        let Some(ask) = self.asked_by_build.take() else { return Reply::default() };
        (self.failures, self.overtaken) = (0, None);
        self.question = Question::Nothing;
        let said = spoken(&ask, value).to_owned();
        let over = self.build.as_ref().is_some_and(|build| build.over);
        let follow_up = over && value != ask.default;
        let say = if follow_up {
            // The build that brings it in is followed like the first.
            let title = self.build.as_ref().map(|build| build.title.clone()).unwrap_or_default();
            self.build = Some(Build { id: None, title, stage: BuildStage::Approved, over: false });
            vec![format!("All right, {said}."), "I am changing it now.".to_owned()]
        } else {
            vec![format!("All right, {said}.")]
        };
        let intent = Some(Intent::Answer { question: ask, value: value.to_owned(), follow_up });
        Reply { intent, ..self.reply(say, Expectation::Open) }
    }
}

fn how_to_answer(ask: &BuildQuestion) -> String {
    let usual = spoken(ask, &ask.default);
    let others: Vec<String> = ask.choices.iter().filter(|c| c.0 != ask.default).map(|c| c.1.clone()).collect();
    format!("I take {usual} unless you say {}.", numbers::either(&others))
}

fn spoken<'a>(ask: &'a BuildQuestion, value: &str) -> &'a str {
    ask.choices.iter().find(|choice| choice.0 == value).map_or("", |choice| &choice.1)
}

/// Whether the text names a choice: by its words, or by the last of them ("dollars").
fn names(text: &str, (value, say): &(String, String)) -> bool {
    let words = |text: &str| -> Vec<String> {
        let plain = text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " ");
        plain.split_whitespace().map(|word| word.trim_end_matches('s').to_owned()).collect()
    };
    let (text, value, say) = (words(text), words(value), words(say));
    let holds = |wanted: &[String]| !wanted.is_empty() && text.windows(wanted.len()).any(|found| found == wanted);
    holds(&value) || holds(&say) || say.last().is_some_and(|last| holds(std::slice::from_ref(last)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{BuildUpdate, Outcome, Persona};

    fn ask() -> BuildQuestion {
        let choices = [("USD", "US dollars"), ("EUR", "euros"), ("GBP", "pounds")];
        BuildQuestion {
            build_id: "b1".into(),
            name: "currency".into(),
            question: "Which currency are your prices in?".into(),
            choices: choices.map(|(value, say)| (value.to_owned(), say.to_owned())).to_vec(),
            default: "USD".into(),
        }
    }

    fn live(ask: Option<BuildQuestion>) -> BuildUpdate {
        let outcome = Outcome::Live { url: "http://127.0.0.1:8301/".into(), app: "shop".into() };
        BuildUpdate { build_id: "b1".into(), stage: BuildStage::Live, say: None, outcome: Some(outcome), ask }
    }

    /// An order whose app is live, and asks.
    fn asked() -> (Dialogue, Reply) {
        let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
        dialogue.greet();
        dialogue.hear(&Heard::certain("build a CRM with contacts"));
        let reply = dialogue.key('1');
        assert!(matches!(reply.intent, Some(Intent::Build(_))), "{}", reply.text());
        dialogue.build_accepted("b1");
        let reply = dialogue.build_update(&live(Some(ask())));
        (dialogue, reply)
    }

    fn hear(dialogue: &mut Dialogue, text: &str) -> Reply {
        dialogue.hear(&Heard::certain(text))
    }

    #[test]
    fn the_news_come_first_and_an_answer_is_another_build() {
        let (mut dialogue, reply) = asked();
        let text = reply.text();
        assert!(text.starts_with("Your CRM is live."), "{text}");
        let end = "One question: Which currency are your prices in? I take US dollars unless you say euros or pounds.";
        assert!(text.ends_with(end), "{text}");
        assert!(matches!(reply.intent, Some(Intent::Told { .. })), "{:?}", reply.intent);
        let reply = hear(&mut dialogue, "Euros, please.");
        let answer = Intent::Answer { question: ask(), value: "EUR".into(), follow_up: true };
        assert_eq!(reply.intent, Some(answer), "{}", reply.text());
        assert_eq!(reply.text(), "All right, euros. I am changing it now.");
        dialogue.build_accepted("b2");
        assert!(dialogue.building());
        let update = BuildUpdate { build_id: "b2".into(), ..live(None) };
        assert!(dialogue.build_update(&update).text().starts_with("Your CRM is live."));
        assert_eq!(hear(&mut dialogue, "make it pounds").intent, None, "it is answered");
    }

    #[test]
    fn the_default_starts_nothing_and_neither_yes_nor_no_is_asked_back() {
        for (says, value) in [("yes", "USD"), ("dollars", "USD"), ("U S D", "")] {
            let (mut dialogue, _) = asked();
            let reply = hear(&mut dialogue, says);
            let answer = Intent::Answer { question: ask(), value: value.into(), follow_up: false };
            assert_eq!(reply.intent, (!value.is_empty()).then_some(answer), "{says}: {}", reply.text());
        }
        let (mut dialogue, _) = asked();
        for unclear in ["no", "dollars or euros"] {
            let reply = hear(&mut dialogue, unclear);
            let text = reply.text();
            assert!(reply.intent.is_none() && text == "Please say US dollars, euros or pounds.", "{unclear}: {text}");
        }
        let unsure = Heard::once("euros", 0.1);
        assert_eq!(dialogue.hear(&unsure).intent, None, "hardly heard");
        let reply = dialogue.key('3');
        assert!(matches!(reply.intent, Some(Intent::Answer { ref value, .. }) if value == "GBP"), "{}", reply.text());
    }

    #[test]
    fn what_a_recogniser_makes_of_a_choice_is_it_and_what_is_not_understood_is_asked_again_once() {
        let (mut dialogue, _) = asked();
        let reply = hear(&mut dialogue, "we rose please");
        assert!(matches!(reply.intent, Some(Intent::Answer { ref value, .. }) if value == "EUR"), "{}", reply.text());
        let (mut dialogue, _) = asked();
        let text = hear(&mut dialogue, "purple cheese").text();
        assert_eq!(text, "Please say US dollars, euros or pounds, or press a key from one to three.");
        let reply = dialogue.key('2');
        assert!(matches!(reply.intent, Some(Intent::Answer { ref value, .. }) if value == "EUR"), "{}", reply.text());
        let (mut dialogue, _) = asked();
        hear(&mut dialogue, "purple cheese");
        let text = hear(&mut dialogue, "purple cheese").text();
        assert!(!text.contains("Please say"), "{text}");
    }

    #[test]
    fn something_else_is_answered_as_ever_and_the_question_can_be_answered_later() {
        let (mut dialogue, _) = asked();
        let reply = hear(&mut dialogue, "how is the CRM doing");
        assert_eq!(reply.intent, Some(Intent::Report { subject: "crm".into() }), "{}", reply.text());
        assert!(matches!(hear(&mut dialogue, "make it euros").intent, Some(Intent::Answer { .. })));
        let (mut dialogue, _) = asked();
        hear(&mut dialogue, "how is the CRM doing");
        let long = hear(&mut dialogue, "my brother pays in euros when he is in France with his friends");
        assert!(!matches!(long.intent, Some(Intent::Answer { .. })));
        assert_eq!(dialogue.key('2').intent, None, "keys are for what is asked");
    }

    #[test]
    fn a_build_that_waits_is_answered_before_it_is_live() {
        let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
        dialogue.greet();
        hear(&mut dialogue, "build a CRM with contacts");
        dialogue.key('1');
        dialogue.build_accepted("b1");
        let waits = |stage| BuildUpdate { build_id: "b1".into(), stage, say: None, outcome: None, ask: Some(ask()) };
        let reply = dialogue.build_update(&waits(BuildStage::Planned));
        assert!(reply.text().starts_with("One question:"), "{}", reply.text());
        assert_eq!(dialogue.build_update(&waits(BuildStage::Planned)).text(), "", "once");
        let reply = hear(&mut dialogue, "pounds");
        let answer = Intent::Answer { question: ask(), value: "GBP".into(), follow_up: false };
        assert_eq!(reply.intent, Some(answer), "{}", reply.text());
        assert!(dialogue.build_update(&live(None)).text().starts_with("Your CRM is live."));
    }
}
