//! The set-up code: how whoever ordered an app makes its first account. Pure. Invariants: the code is said only on a call that
//! ordered the app or was told its news, and only when it is asked for; a reply that holds it is `secret`: no transcript, no
//! recording, and a repetition of it is secret as well; it is kept in no state that outlives the reply to it but for that
//! repetition. Deliberately absent: looking it up (the app has it, `pipeline`).

use super::{Dialogue, Question};
use crate::conversation::{Expectation, Heard, Intent, Reply, SetUpCode, spoken};

const NOT_YOURS: &str =
    "I tell the set-up code only to whoever ordered the app, on that call. It is also shown with the build.";

impl Dialogue {
    /// A question about how to sign in; `None`: something else.
    pub(super) fn hear_sign_in(&mut self, heard: &Heard) -> Option<Reply> {
        let idle =
            matches!(self.question, Question::What | Question::Nothing | Question::ReturnCall | Question::OfBuild);
        if !idle || self.is_ordering() || !asks(&heard.text, self.code_told) {
            return None;
        }
        self.failures = 0;
        if self.building() {
            return Some(self.say(&["It is not live yet.", "Ask me again when it is."]));
        }
        let Some(slug) = self.own_app.clone() else { return Some(self.say(&[NOT_YOURS])) };
        Some(Reply { expect: self.last_expect, intent: Some(Intent::SetUpCode { slug }), ..Reply::default() })
    }

    /// The answer to [`Intent::SetUpCode`]; `None`: the app did not answer.
    pub fn set_up_code(&mut self, found: Option<SetUpCode>) -> Reply {
        let code = match found {
            None => return self.say(&["I cannot reach it right now.", "Please ask me again in a moment."]),
            Some(SetUpCode::Used) => {
                return self.say(&["Its first account has been made already.", "Sign in with that."]);
            }
            Some(SetUpCode::Code(code)) => code,
        };
        self.code_told = true;
        let say = vec![
            "Open it and make the first account.".to_owned(),
            format!("The set-up code is {}.", spoken::groups(&code)),
            "Say repeat to hear it again.".to_owned(),
        ];
        let reply = self.reply(say, Expectation::Open);
        self.secret(reply)
    }

    /// The same as something that nobody else is to read or hear.
    pub(super) fn secret(&mut self, reply: Reply) -> Reply {
        self.last_secret = true;
        Reply { secret: true, ..reply }
    }
}

/// Whether a text asks how to sign in, or for the code; `told`: it was said before, so that "the code again" is enough.
fn asks(text: &str, told: bool) -> bool {
    let text = text.to_lowercase().replace(|c: char| !c.is_alphanumeric() && c != '\'', " ");
    let text = format!(" {} ", text.split_whitespace().collect::<Vec<_>>().join(" "));
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(&format!(" {phrase} ")));
    let about = has(&[
        "sign in",
        "sign into",
        "sign on",
        "log in",
        "log into",
        "log on",
        "login",
        "set up code",
        "setup code",
        "set up's code",
        "first account",
    ]) || told && has(&["code", "digits"]);
    about
        && has(&[
            "how", "what", "what's", "where", "which", "tell me", "say", "repeat", "again", "give me", "once more", "i need",
        ])
        // "Build me an app where people log in, and tell me …" is an order.
        && !has(&["build", "make", "create", "add", "want", "would like", "customers", "people", "users", "members"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{BuildStage, BuildUpdate, Outcome, Persona};

    fn says(dialogue: &mut Dialogue, text: &str) -> Reply {
        let reply = dialogue.hear(&Heard::certain(text));
        dialogue.cut_off(&reply.text(), usize::MAX);
        reply
    }

    fn served() -> Dialogue {
        let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
        dialogue.greet();
        says(&mut dialogue, "build us a website with a blog");
        assert!(matches!(says(&mut dialogue, "yes").intent, Some(Intent::Build(_))));
        dialogue.build_accepted("b1");
        assert!(says(&mut dialogue, "how do I sign in").text().contains("not live yet"));
        let outcome = Some(Outcome::Live { url: "http://127.0.0.1:8100/".into(), app: "website".into() });
        dialogue.build_update(&BuildUpdate {
            build_id: "b1".into(),
            stage: BuildStage::Live,
            say: None,
            outcome,
            ask: None,
        });
        dialogue
    }

    fn code() -> Option<SetUpCode> {
        Some(SetUpCode::Code("481-207-936".into()))
    }

    #[test]
    fn whoever_ordered_it_hears_the_code_in_groups_and_again() {
        let mut dialogue = served();
        for asked in
            ["how do I sign in", "How can I log in to it?", "what's the set-up code", "tell me the setup code again"]
        {
            let reply = says(&mut dialogue, asked);
            assert_eq!(reply.intent, Some(Intent::SetUpCode { slug: "website".into() }), "{asked}: {}", reply.text());
        }
        let reply = dialogue.set_up_code(code());
        assert!(reply.secret);
        assert!(reply.text().contains("four eight one, two zero seven, nine three six"), "{}", reply.text());
        let again = says(&mut dialogue, "say that again please");
        assert!(again.secret && again.text() == reply.text(), "{again:?}");
        assert!(!says(&mut dialogue, "thank you").secret);
        assert!(says(&mut dialogue, "what was the code once more").intent.is_some(), "it was told before");
    }

    #[test]
    fn nobody_else_hears_it_and_an_account_that_is_there_is_said_to_be() {
        let mut stranger = Dialogue::new(Persona::named("Grace"), "conv_2");
        stranger.greet();
        let reply = says(&mut stranger, "how do I sign in");
        assert!(reply.intent.is_none() && reply.text() == NOT_YOURS, "{}", reply.text());
        let mut dialogue = served();
        let used = dialogue.set_up_code(Some(SetUpCode::Used));
        assert!(!used.secret && used.text().contains("made already"));
        assert!(!dialogue.set_up_code(None).secret);
    }

    #[test]
    fn the_code_is_in_no_print() {
        assert!(!format!("{:?}", code()).contains("481"));
    }

    #[test]
    fn orders_and_other_talk_ask_for_no_code() {
        for other in [
            "build me an app where customers log in",
            "how is it doing",
            "add a login",
            "I want people to sign in",
            "yes",
            "what is the post code",
            "how many contacts are there",
        ] {
            assert!(!asks(other, false), "{other}");
        }
    }
}
