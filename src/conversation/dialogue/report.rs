//! How a build goes, how an app is, what is wrong with it and what was before. Pure. Purpose: short sentences with numbers that
//! one can take in by ear. Invariants: every figure was counted or measured; at most one line a stage of a build.
//! Deliberately absent: looking anything up (`pipeline::report`).

use super::{Build, Dialogue, Question};
use crate::conversation::{
    AppFacts, BuildQuestion, BuildStage, BuildUpdate, Expectation, Heard, Intent, Outcome, Reply, figures, numbers,
};
use crate::pipeline::intent::{Label, extract, subject};

/// What is asked about an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum About {
    /// How it is.
    #[default]
    State,
    /// What is wrong with it.
    Problems,
    /// What was before.
    History,
}

/// What is wrong with an app that should serve.
const SILENT: &str = "is deployed, but does not answer at the moment";

impl Dialogue {
    /// A question about what is wrong, what was before, or how far a build is; `None`: none of these.
    pub(super) fn hear_question(&mut self, heard: &Heard) -> Option<Reply> {
        // In an order, words are about the order.
        if heard.text.is_empty() || self.is_ordering() || !self.takes_wishes() {
            return None;
        }
        let asked = extract(&heard.text, &[]);
        let about = match asked.intent {
            _ if !asked.fires() => return None,
            Label::Problems => About::Problems,
            Label::History => About::History,
            Label::Progress if self.building() => return Some(self.tell_progress()),
            _ => return None,
        };
        let named = subject(&heard.text);
        // A question about something that is not known here is no question about an app.
        if named.is_none() && self.subject.is_none() {
            return None;
        }
        self.asked_about = about;
        Some(self.report(named))
    }

    /// How far the build of this call is.
    fn tell_progress(&mut self) -> Reply {
        self.failures = 0;
        let line = self.build.as_ref().and_then(|Build { stage, .. }| progress(*stage));
        let line = line.unwrap_or_else(|| "It waits for its turn.".to_owned());
        self.reply(vec!["It is not live yet.".to_owned(), line], Expectation::Open)
    }

    /// A build came further. At most one line a stage; the reply may say nothing. While the agent or the caller speaks, hold
    /// updates back and hand in only the newest: stages that were passed over are not told.
    pub fn build_update(&mut self, update: &BuildUpdate) -> Reply {
        let cancelling = self.is_cancelling();
        let Some(build) = &mut self.build else { return Reply::default() };
        if cancelling && update.outcome.is_some() && build.id.as_ref() == Some(&update.build_id) {
            build.over = true;
            return Reply::default();
        }
        let title = build.title.clone();
        // A build that waits for an answer comes no further.
        let waits = update.ask.is_some() && update.outcome.is_none();
        let other = build.id.as_ref().is_some_and(|id| *id != update.build_id);
        if other || build.over || (update.stage <= build.stage && update.outcome.is_none() && !waits) {
            return Reply::default();
        }
        build.stage = update.stage.max(build.stage);
        build.id.get_or_insert_with(|| update.build_id.clone());
        let mut own_app = None;
        let mut say: Vec<String> = match &update.outcome {
            Some(Outcome::Live { url, app }) => {
                build.over = true;
                own_app = Some(app.clone());
                let mut say = vec![format!("Your {title} is live.")];
                if let Some(port) = numbers::port_digits(url) {
                    say.push(format!("You find it at port {port}."));
                }
                say.push("Ask me any time how it is doing, or how to sign in.".to_owned());
                say
            }
            Some(Outcome::Parked { say }) => {
                build.over = true;
                vec![format!("I had to stop. Your {title} is not live."), say.clone()]
            }
            None => match (&update.say, update.stage) {
                (Some(line), _) => vec![line.clone()],
                (None, BuildStage::Generated) => vec!["The program is written.".to_owned()],
                (None, BuildStage::Tested) => vec!["It has passed its own tests.".to_owned()],
                (None, _) => Vec::new(),
            },
        };
        let ours = !self.inherited || self.pin_passed || self.persona.proved;
        self.own_app = own_app.filter(|_| ours).or(self.own_app.take());
        if let Some(outcome) = &update.outcome {
            self.failures = 0;
            self.draft = None;
            self.overtake_return_call(outcome);
        }
        // A live app is changed by whoever ordered it, and by nobody without the PIN where there is one.
        let may = ours && (waits || self.persona.pin.is_none() || self.pin_passed || self.persona.proved);
        let known = |ask: &&BuildQuestion| self.asked_by_build.as_ref().is_none_or(|asked| asked.name != ask.name);
        let ask = update.ask.as_ref().filter(|_| may && self.question != Question::ReturnCall).filter(known).cloned();
        let line = say.first().cloned();
        if line.is_none() && ask.is_none() {
            return Reply::default();
        }
        // What was asked is asked still.
        let expect = match ask {
            Some(ask) => self.put_build_question(ask, &mut say),
            None if self.question == Question::ReturnCall => self.last_expect,
            None => Expectation::Open,
        };
        let line = line.unwrap_or_default();
        let told = update.outcome.is_some().then(|| Intent::Told { build_id: update.build_id.clone(), line });
        Reply { intent: told, ..self.reply(say, expect) }
    }

    /// The answer to [`Intent::Report`].
    pub fn facts(&mut self, facts: &AppFacts) -> Reply {
        if let Some(reply) = self.facts_for_change(facts) {
            return reply;
        }
        let about = std::mem::take(&mut self.asked_about);
        let mut say = Vec::new();
        if let Some(names) = &facts.unknown {
            say.push("I have no build called that.".to_owned());
            say.push(match names.as_slice() {
                [] => "Nothing has been built here yet.".to_owned(),
                names => format!("I know {}.", numbers::list(names)),
            });
        } else if about == About::Problems && !self.building() && !facts.name.is_empty() {
            say.extend(problems(facts));
        } else if about == About::History && !self.building() && !facts.name.is_empty() {
            say.extend(history(facts));
        } else if facts.deployed {
            if facts.by_kind {
                say.push(format!("That is the {}.", facts.name));
            }
            say.push(format!(
                "Deployed, {} live, {}.",
                numbers::counted(facts.apis_live.into(), "API", "APIs"),
                numbers::counted(facts.records, "record", "records")
            ));
            say.extend(figures::say(&facts.figures, &facts.currency));
            say.extend(traffic(facts));
        } else if facts.silent {
            say.push(format!("The {} {SILENT}.", facts.name));
            say.extend(traffic(facts));
        } else if self.building() {
            say.push(match self.build.as_ref().and_then(|build| progress(build.stage)) {
                Some(progress) => format!("It is not live yet. {progress}"),
                None => "It is not live yet. I am still on it.".to_owned(),
            });
        } else {
            let name = if facts.name.is_empty() { "It".to_owned() } else { format!("The {}", facts.name) };
            say.push(format!("{name} is not deployed."));
        }
        let expect = self.ask_again(&mut say);
        self.reply(say, expect)
    }

    /// Has it looked up how an app is; `None`: the one that was talked about last.
    pub(super) fn report(&mut self, subject: Option<String>) -> Reply {
        let subject = subject.or_else(|| self.subject.clone()).unwrap_or_else(|| "crm".to_owned());
        if !self.building() {
            self.subject = Some(subject.clone());
        }
        self.failures = 0;
        Reply { expect: self.last_expect, intent: Some(Intent::Report { subject }), ..Reply::default() }
    }
}

/// How far a build is, for the ear; `None` before anything is done.
fn progress(stage: BuildStage) -> Option<String> {
    let (step, line) = match stage {
        BuildStage::Requested | BuildStage::Drafted | BuildStage::Approved => return None,
        BuildStage::Specified => (1, "The plan is made."),
        BuildStage::Planned => (2, "The work is split up."),
        BuildStage::Generated => (3, "The program is written, and is being tested."),
        BuildStage::Tested => (4, "It has passed its own tests."),
        BuildStage::Staged => (5, "It runs on trial, and goes live next."),
        BuildStage::Live | BuildStage::Tracked => (6, "It is going live now."),
        BuildStage::Parked | BuildStage::Failed => return Some("I had to stop.".to_owned()),
    };
    Some(format!("{line} That is step {} of six.", numbers::word(step)))
}

/// What is asked of an app, how fast it answers, and what it could not answer: one sentence, of what was measured.
fn traffic(facts: &AppFacts) -> Option<String> {
    let rate = facts.requests_per_minute;
    let mut parts = Vec::new();
    if rate.is_finite() && rate > 0.0 {
        parts.push(match rate.round() {
            r if r < 1.0 => "Less than one request a minute".to_owned(),
            // Rounded and positive; a figure beyond u64 is no rate.
            r => {
                let requests = numbers::counted(r as u64, "request", "requests");
                // Large numbers are rounded already, and say so.
                format!("About {} a minute", requests.strip_prefix("about ").unwrap_or(&requests))
            }
        });
        parts.extend(facts.latency_ms.and_then(latency).map(|time| format!("most answered within {time}")));
    }
    if facts.server_errors > 0 {
        let failed = numbers::counted(facts.server_errors, "has failed", "have failed");
        let alone = numbers::counted(facts.server_errors, "request has failed", "requests have failed");
        parts.push(if parts.is_empty() { alone } else { failed });
    }
    (!parts.is_empty()).then(|| format!("{}.", capitalised(&parts.join(", "))))
}

/// As people say how long something takes; `None`: it is no time.
fn latency(ms: f64) -> Option<String> {
    // Within what a gateway waits for.
    let ms = ms.is_finite().then(|| ms.ceil().clamp(0.0, 3_600_000.0) as u64)?;
    Some(match ms {
        0..=1 => "a millisecond".to_owned(),
        2..1_000 => numbers::counted(ms, "millisecond", "milliseconds"),
        _ => numbers::counted(ms.div_ceil(1_000), "second", "seconds"),
    })
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What is wrong with an app.
fn problems(facts: &AppFacts) -> Vec<String> {
    let mut say = Vec::new();
    if facts.silent {
        say.push(format!("The {} {SILENT}.", facts.name));
    } else if !facts.deployed {
        say.push(format!("The {} is not deployed.", facts.name));
    } else if facts.server_errors == 0 {
        say.push(format!("No request to the {} has failed.", facts.name));
    } else {
        say.push(format!(
            "{} to the {} failed.",
            numbers::counted(facts.server_errors, "request", "requests"),
            facts.name
        ));
    }
    if let Some(why) = &facts.stopped {
        say.push(format!("The last build of it had to stop. {why}"));
    }
    say
}

/// What was before.
fn history(facts: &AppFacts) -> Vec<String> {
    let before = facts.version.saturating_sub(1);
    let deployed = facts.deployed || facts.silent;
    let mut say = vec![match (deployed, facts.version) {
        (false, _) | (_, 0) => format!("The {} is not deployed.", facts.name),
        (true, version) => format!("Version {} of the {} is live.", numbers::word(version), facts.name),
    }];
    if deployed {
        say.push(match before {
            0 => "There was none before it.".to_owned(),
            n => format!(
                "{} before it.",
                match n {
                    1 => "There was one".to_owned(),
                    n => format!("There were {}", numbers::word(n)),
                }
            ),
        });
    }
    if let Some(why) = &facts.stopped {
        say.push(format!("The last build of it had to stop. {why}"));
    }
    say
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Persona;

    fn says(dialogue: &mut Dialogue, text: &str) -> Reply {
        let reply = dialogue.hear(&Heard::certain(text));
        dialogue.cut_off(&reply.text(), usize::MAX);
        reply
    }

    fn building() -> Dialogue {
        let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
        dialogue.greet();
        says(&mut dialogue, "build us a website with a blog");
        assert!(matches!(says(&mut dialogue, "yes").intent, Some(Intent::Build(_))));
        dialogue.build_accepted("b1");
        dialogue
    }

    #[test]
    fn a_caller_who_waits_is_told_how_far_it_is() {
        let mut dialogue = building();
        assert_eq!(says(&mut dialogue, "how far are you").text(), "It is not live yet. It waits for its turn.");
        let reached = |stage| BuildUpdate { build_id: "b1".into(), stage, say: None, outcome: None, ask: None };
        for (stage, said) in [
            (BuildStage::Specified, "It is not live yet. The plan is made. That is step one of six."),
            (
                BuildStage::Generated,
                "It is not live yet. The program is written, and is being tested. That is step three of six.",
            ),
            (BuildStage::Staged, "It is not live yet. It runs on trial, and goes live next. That is step five of six."),
        ] {
            dialogue.build_update(&reached(stage));
            assert_eq!(says(&mut dialogue, "how far are you").text(), said);
        }
    }

    #[test]
    fn an_app_that_does_not_answer_is_deployed_all_the_same() {
        let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
        dialogue.greet();
        let silent = AppFacts { name: "CRM".into(), silent: true, version: 2, ..AppFacts::default() };
        for (question, told) in [
            ("how is the crm", "The CRM is deployed, but does not answer at the moment."),
            ("are there any problems with the crm", "The CRM is deployed, but does not answer at the moment."),
            ("what were the last changes to the crm", "Version two of the CRM is live. There was one before it."),
        ] {
            says(&mut dialogue, question);
            let text = dialogue.facts(&silent).text();
            assert!(text.starts_with(told), "{question}: {text}");
        }
    }

    #[test]
    fn an_app_that_was_asked_for_by_its_kind_is_named() {
        let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
        dialogue.greet();
        let reply = says(&mut dialogue, "tell me how a dashboard is doing");
        assert_eq!(reply.intent, Some(Intent::Report { subject: "dashboard".into() }), "{}", reply.text());
        let facts = AppFacts {
            name: "Harbour Board".into(),
            by_kind: true,
            deployed: true,
            apis_live: 2,
            records: 7,
            ..AppFacts::default()
        };
        let text = dialogue.facts(&facts).text();
        assert!(text.starts_with("That is the Harbour Board. Deployed, 2 APIs live, 7 records."), "{text}");
        // None of that kind, or several.
        says(&mut dialogue, "tell me how a dashboard is doing");
        let unknown = AppFacts { unknown: Some(vec!["Ward".into(), "Quay".into()]), ..AppFacts::default() };
        let text = dialogue.facts(&unknown).text();
        assert!(text.starts_with("I have no build called that. I know Ward and Quay."), "{text}");
    }

    #[test]
    fn problems_and_history_are_told_of_what_was_measured() {
        let mut dialogue = building();
        let live = Outcome::Live { url: "http://127.0.0.1:8100/".into(), app: "website".into() };
        dialogue.build_update(&BuildUpdate {
            build_id: "b1".into(),
            stage: BuildStage::Live,
            say: None,
            outcome: Some(live),
            ask: None,
        });
        let facts = AppFacts {
            name: "Website".into(),
            deployed: true,
            version: 2,
            server_errors: 3,
            stopped: Some("The page about us did not answer.".into()),
            ..AppFacts::default()
        };
        let asked = |dialogue: &mut Dialogue, text: &str| {
            assert!(matches!(says(dialogue, text).intent, Some(Intent::Report { .. })), "{text}");
            dialogue.facts(&facts).text()
        };
        assert_eq!(
            asked(&mut dialogue, "are there any problems with the website"),
            "3 requests to the Website failed. The last build of it had to stop. The page about us did not answer."
        );
        assert_eq!(
            asked(&mut dialogue, "what were the last changes to the website"),
            "Version two of the Website is live. There was one before it. The last build of it had to stop. The page about us did \
             not answer."
        );
        assert!(asked(&mut dialogue, "how is the website doing").starts_with("Deployed"), "only what was asked about");
    }
}
