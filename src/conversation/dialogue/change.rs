//! What changes or destroys what there is: going back to the version before, deleting, calling a build off, adding to an app.
//! Pure. Purpose: nothing of this by a stranger's voice, nor by a word that was misheard.
//!
//! The app is looked up by the name that the caller gave it, so that the question names what would be touched. Then: the
//! question, an explicit yes or key 1, the PIN, the deed, and what came of it. Of a change to an app only the change is read
//! back. Invariants: an [`Intent::Change`], and a build that replaces a live app, leave only after the right PIN of this
//! call; where no PIN is set up they never leave; a wrong PIN is told outward ([`Reply::pin`]) for the lock-out across calls.
//! Deliberately absent: doing it (`pipeline`), counting wrong PINs across calls (`store`).

use super::prompt::{ASK_PIN, HOW_TO_APPROVE};
use super::{Dialogue, Draft, Question};
use crate::conversation::{AppFacts, Change, Changed, Expectation, Heard, Intent, Reply};
use crate::pipeline::intent::{Act, Context, Label, Understanding, extract, subject, understand_of};
use crate::pipeline::manifest::BuildType;
use serde_json::Value;

/// A spoken yes to what changes or destroys takes this confidence of the recogniser, however often it is said.
const SURE_CONFIDENCE_MIN: f32 = 0.5;
const NO_PIN: &str = "That takes a PIN, and none is set up here. It can be done on the console.";
pub(super) const LOCKED: &str = "There have been too many wrong PINs. Please try again later, or use the console.";
const LEFT: &str = "I leave it as it is.";

/// What the caller wants done to what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    RollBack,
    Delete,
    Cancel,
}

/// A deed on its way.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    step: Step,
    /// What is asked again when this is over.
    before: Question,
}

#[derive(Clone, Debug)]
enum Step {
    /// The app is being looked up for this.
    LookUp(Deed),
    /// The app is being looked up for this change to it.
    LookUpToAmend(Box<Understanding>),
    /// "Shall I …?"
    Sure { deed: Deed, change: Change, title: String },
    /// The PIN is asked for, then this is done.
    PinFor { change: Change, title: String },
    /// The PIN is asked for, then the draft is built.
    PinForBuild(Value),
    /// It is being done.
    Doing { change: Change, title: String },
}

impl Dialogue {
    /// What a turn wants of what there is already; `None`: nothing.
    pub(super) fn hear_change(&mut self, heard: &Heard) -> Option<Reply> {
        // In an order, "delete the deals" is about the order.
        if self.is_ordering() || !self.takes_wishes() || heard.text.is_empty() {
            return None;
        }
        let wanted = extract(&heard.text, &[]);
        let named = subject(&heard.text);
        let deed = match wanted.intent {
            _ if !wanted.fires() => None,
            Label::Rollback => Some(Deed::RollBack),
            // "Delete the blog of the website" takes the blog out.
            Label::Delete if !self.takes_out_a_part(&heard.text, named.as_deref()) => Some(Deed::Delete),
            Label::Cancel if self.building() => Some(Deed::Cancel),
            _ => None,
        };
        if self.building() {
            return (deed == Some(Deed::Cancel)).then(|| self.ask_to_cancel());
        }
        if let Some(deed) = deed.filter(|deed| *deed != Deed::Cancel) {
            return Some(self.look_up_for(Step::LookUp(deed), named));
        }
        // "Add invoices to it", "the website needs a blog": of an app that is there.
        if self.question != Question::Nothing && named.is_none() {
            return None;
        }
        let kind = named.as_deref().or(self.subject.as_deref()).and_then(BuildType::of_noun);
        let understood = understand_of(&heard.text, Context::AskedApproval, kind);
        let sure = wanted.fires() && wanted.intent == Label::Amend || orders_a_change(&heard.text);
        let changes =
            sure && understood.act == Act::Features && !matches!(wanted.intent, Label::Other if wanted.fires());
        changes.then(|| self.look_up_for(Step::LookUpToAmend(Box::new(understood)), named))
    }

    /// Whether an order is being talked about; one that is being built is not.
    pub(super) fn is_ordering(&self) -> bool {
        self.draft.is_some() && !self.building()
    }

    fn takes_out_a_part(&self, text: &str, named: Option<&str>) -> bool {
        let kind = named.or(self.subject.as_deref()).and_then(BuildType::of_noun);
        kind.is_some() && !understand_of(text, Context::AskedApproval, kind).edit.remove.is_empty()
    }

    fn look_up_for(&mut self, step: Step, named: Option<String>) -> Reply {
        self.change = Some(Wanted { step, before: self.question });
        self.report(named)
    }

    fn ask_to_cancel(&mut self) -> Reply {
        let Some(build) = &self.build else { return Reply::default() };
        let Some(id) = build.id.clone() else { return self.say(&["One moment, I am still on it."]) };
        let title = build.title.clone();
        self.ask_sure(Deed::Cancel, Change::Cancel { build_id: id }, title)
    }

    /// What was looked up for a change; `None`: it was a report.
    pub(super) fn facts_for_change(&mut self, facts: &AppFacts) -> Option<Reply> {
        let Wanted { step, before } = self.change.take_if(|wanted| wanted.is_looking())?;
        self.question = before;
        if facts.unknown.is_some() {
            return None; // told as of any app that is not known
        }
        let (slug, title) = (facts.slug.clone(), facts.name.clone());
        if !facts.deployed || slug.is_empty() {
            return Some(self.back_to(vec![format!("The {title} is not deployed.")]));
        }
        match step {
            Step::LookUp(Deed::Delete) => Some(self.ask_sure(Deed::Delete, Change::Delete { slug }, title)),
            Step::LookUp(_) => Some(self.ask_sure(Deed::RollBack, Change::RollBack { slug, lose_data: false }, title)),
            Step::LookUpToAmend(understood) => {
                let Some(manifest) = &facts.manifest else {
                    return Some(self.back_to(vec![format!("I do not know what the {title} was made from.")]));
                };
                let mut draft = Draft::of(manifest, &slug);
                let delta = draft.amend(&understood);
                if !delta.changed {
                    let mut say = delta.say;
                    say.push("Nothing changes.".to_owned());
                    return Some(self.back_to(say));
                }
                self.revision = draft.revision;
                self.draft = Some(draft);
                self.failures = 0;
                // Only the change is read back: the rest is what there is.
                self.read_back_heard = true;
                let mut say = vec![format!("About your {title}.")];
                say.extend(delta.say);
                let reply = self.ask_approval(say);
                self.reads_back = true;
                Some(reply)
            }
            _ => None,
        }
    }

    fn ask_sure(&mut self, deed: Deed, change: Change, title: String) -> Reply {
        let before = self.question;
        self.failures = 0;
        self.question = Question::Sure;
        self.change = Some(Wanted { step: Step::Sure { deed, change, title }, before });
        self.repeat_sure(Vec::new())
    }

    fn repeat_sure(&mut self, mut say: Vec<String>) -> Reply {
        let Some(Wanted { step: Step::Sure { deed, change, title }, .. }) = &self.change else {
            return self.ask_what();
        };
        match (deed, change) {
            (Deed::RollBack, Change::RollBack { lose_data: true, .. }) => {
                say.push("The version before does not know the data of today.".to_owned());
                say.push(format!("Shall I bring it back with the data of its own time, your {title} of then?"));
            }
            (Deed::RollBack, _) => say.push(format!("Shall I bring back the version before of your {title}?")),
            (Deed::Delete, _) => {
                say.push(format!("Shall I delete your {title}? It goes off line, with all that is in it."));
            }
            (Deed::Cancel, _) => say.push(format!("Shall I stop building your {title}?")),
        }
        say.push(HOW_TO_APPROVE.to_owned());
        self.reply(say, Expectation::YesNo)
    }

    /// An answer to "Shall I …?".
    pub(super) fn hear_sure(&mut self, heard: &Heard) -> Reply {
        let understood = understand_of(&heard.text, Context::AskedApproval, None);
        match understood.act {
            Act::Approve if heard.confidence >= SURE_CONFIDENCE_MIN => self.authorise(),
            Act::Reject | Act::Cancel => self.leave_change(LEFT),
            Act::Repeat => self.repeat_sure(Vec::new()),
            Act::Goodbye => self.hang_up(&[LEFT, "Goodbye."]),
            Act::Operator => {
                self.drop_change();
                self.operator()
            }
            _ => self.fail_sure("I need a clear yes or no."),
        }
    }

    /// A key while "Shall I …?" is asked.
    pub(super) fn sure_key(&mut self, key: char) -> Option<Reply> {
        if self.question != Question::Sure {
            return None;
        }
        Some(match key {
            '1' => self.authorise(),
            '2' | '*' => self.leave_change(LEFT),
            '3' => self.repeat_sure(Vec::new()),
            '0' => {
                self.drop_change();
                self.operator()
            }
            _ => self.fail_sure("That key does nothing here."),
        })
    }

    fn fail_sure(&mut self, why: &str) -> Reply {
        self.failures += 1;
        if self.failures >= super::prompt::PROMPTS_MAX {
            return self.leave_change(LEFT);
        }
        self.repeat_sure(vec![why.to_owned()])
    }

    /// Nothing was said to "Shall I …?".
    pub(super) fn silent_at_sure(&mut self) -> Reply {
        self.fail_sure("Are you still there?")
    }

    /// The caller is sure: the PIN, unless it has come in this call.
    fn authorise(&mut self) -> Reply {
        let Some(Wanted { step: Step::Sure { change, title, .. }, before }) = self.change.take() else {
            return self.ask_what();
        };
        self.failures = 0;
        if let Some(why) = self.cannot_be_authorised() {
            self.question = before;
            return self.back_to(vec![why.to_owned()]);
        }
        if self.pin_passed {
            self.question = before;
            return self.perform_change(change, title);
        }
        self.change = Some(Wanted { step: Step::PinFor { change, title }, before });
        self.ask_pin()
    }

    /// Before a build that replaces a live app: what is to be said instead of handing it over; `None`: it may go.
    pub(super) fn hold_for_pin(&mut self, approval: &Value) -> Option<Reply> {
        if !self.draft.as_ref().is_some_and(Draft::amends) || self.pin_passed {
            return None;
        }
        if let Some(why) = self.cannot_be_authorised() {
            self.draft = None;
            self.question = Question::Nothing;
            return Some(self.say(&[why]));
        }
        self.change = Some(Wanted { step: Step::PinForBuild(approval.clone()), before: Question::Approval });
        Some(self.ask_pin())
    }

    fn cannot_be_authorised(&self) -> Option<&'static str> {
        match &self.persona.pin {
            _ if self.pin_passed => None,
            None => Some(NO_PIN),
            Some(_) if self.persona.locked => Some(LOCKED),
            Some(_) => None,
        }
    }

    fn ask_pin(&mut self) -> Reply {
        self.collector = None;
        self.question = Question::Pin;
        let expect = self.pin_expectation();
        self.reply(vec![ASK_PIN.to_owned()], expect)
    }

    /// Whether the PIN that is asked for now opens a change, and not the call.
    pub(super) const fn pin_is_for_change(&self) -> bool {
        matches!(&self.change, Some(Wanted { step: Step::PinFor { .. } | Step::PinForBuild(_), .. }))
    }

    /// The right PIN for a change.
    pub(super) fn pin_right(&mut self) -> Reply {
        let Some(Wanted { step, before }) = self.change.take() else { return self.ask_what() };
        self.question = before;
        match step {
            Step::PinFor { change, title } => self.perform_change(change, title),
            Step::PinForBuild(approval) => self.approve(approval),
            _ => self.ask_what(),
        }
    }

    /// The caller would rather not.
    pub(super) fn pin_failed_by_choice(&mut self) -> Reply {
        self.leave_change(LEFT)
    }

    /// Too many wrong PINs for a change.
    pub(super) fn pin_failed(&mut self, why: &str) -> Reply {
        self.persona.locked = true;
        self.leave_change(why)
    }

    fn perform_change(&mut self, change: Change, title: String) -> Reply {
        let before = self.question;
        let doing = Step::Doing { change: change.clone(), title };
        self.change = Some(Wanted { step: doing, before });
        Reply { intent: Some(Intent::Change(change)), ..self.say(&["One moment."]) }
    }

    /// Whether what ends this build is the caller's own wish, which is told by [`Self::changed`].
    pub(super) fn is_cancelling(&self) -> bool {
        matches!(&self.change, Some(Wanted { step: Step::Doing { change: Change::Cancel { .. }, .. }, .. }))
    }

    /// What came of [`Intent::Change`].
    pub fn changed(&mut self, outcome: Changed) -> Reply {
        let Some(Wanted { step: Step::Doing { change, title }, before }) = self.change.take() else {
            return Reply::default();
        };
        self.question = before;
        let line = match (outcome, &change) {
            (Changed::Done, Change::RollBack { .. }) => format!("The version before of your {title} is live again."),
            (Changed::Done, Change::Delete { .. }) => {
                self.subject = None;
                format!("Your {title} is deleted.")
            }
            // The build's own end says so as well; once is enough.
            (Changed::Done, Change::Cancel { .. }) => {
                self.build = None;
                format!("I have stopped. Your {title} is not being built.")
            }
            (Changed::LosesData, Change::RollBack { slug, .. }) => {
                let change = Change::RollBack { slug: slug.clone(), lose_data: true };
                return self.ask_sure(Deed::RollBack, change, title);
            }
            (Changed::First, _) => format!("There is no version before this one of your {title}. {LEFT}"),
            (Changed::TooLate, _) => format!("It is too late for that. Your {title} is going live."),
            (Changed::NotThere, _) => format!("There is no {title} any more."),
            (Changed::LosesData | Changed::Failed, _) => {
                format!("That did not work. Your {title} is as it was. The log of this machine says why.")
            }
        };
        self.back_to(vec![line])
    }

    /// The caller changed the subject, or the line of thought: nothing is done.
    pub(super) fn drop_change(&mut self) {
        if let Some(wanted) = self.change.take() {
            self.question = match wanted.step {
                Step::PinForBuild(_) => {
                    self.draft = None;
                    Question::Nothing
                }
                _ => wanted.before,
            };
        }
        self.collector = None;
    }

    fn leave_change(&mut self, line: &str) -> Reply {
        self.drop_change();
        self.failures = 0;
        self.back_to(vec![line.to_owned()])
    }

    fn back_to(&mut self, mut say: Vec<String>) -> Reply {
        let expect = self.ask_again(&mut say);
        self.reply(say, expect)
    }
}

/// Whether a turn begins, but for courtesies, with a verb of changing: "please add …", "can you remove …".
fn orders_a_change(text: &str) -> bool {
    const COURTESY: &[&str] = &[
        "please", "can", "could", "would", "you", "now", "okay", "so", "and", "then", "also", "i", "want", "to", "we",
        "like",
    ];
    const CHANGES: &[&str] = &["add", "include", "remove", "drop", "delete", "put", "take", "leave", "without"];
    let text = text.to_lowercase();
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
    words.find(|word| !COURTESY.contains(word)).is_some_and(|word| CHANGES.contains(&word))
}

impl Wanted {
    const fn is_looking(&self) -> bool {
        matches!(self.step, Step::LookUp(_) | Step::LookUpToAmend(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{BuildStage, BuildUpdate, Outcome, Persona, Pin};
    use crate::pipeline::manifest::BuildManifest;

    const PIN: &str = "47114711";

    fn says(dialogue: &mut Dialogue, text: &str) -> Reply {
        let reply = dialogue.hear(&Heard::certain(text));
        dialogue.cut_off(&reply.text(), usize::MAX);
        reply
    }

    fn keyed(dialogue: &mut Dialogue, keys: &str) -> Reply {
        keys.chars().map(|key| dialogue.key(key)).last().expect("a key")
    }

    /// A website with a blog went live in this call; the agent has a PIN for changes, or none.
    fn served(pin: Option<&str>) -> (Dialogue, BuildManifest) {
        let mut persona = Persona::named("Grace");
        persona.pin = pin.and_then(Pin::new);
        persona.pin_at_start = false;
        let mut dialogue = Dialogue::new(persona, "conv_1");
        assert!(dialogue.greet().text().contains("What shall I build"), "no PIN for what changes nothing");
        says(&mut dialogue, "build us a website with a blog");
        let Some(Intent::Build(manifest)) = says(&mut dialogue, "yes").intent else { panic!("a build") };
        let live = Outcome::Live { url: "http://127.0.0.1:8100/".into(), app: "website".into() };
        dialogue.build_update(&BuildUpdate {
            build_id: "b1".into(),
            stage: BuildStage::Live,
            say: None,
            outcome: Some(live),
            ask: None,
        });
        (dialogue, manifest)
    }

    fn known(manifest: &BuildManifest) -> AppFacts {
        AppFacts {
            name: "Website".into(),
            slug: "website".into(),
            deployed: true,
            manifest: Some(Box::new(manifest.clone())),
            ..AppFacts::default()
        }
    }

    #[test]
    fn going_back_takes_a_question_a_yes_and_the_pin() {
        let (mut dialogue, manifest) = served(Some(PIN));
        let reply = says(&mut dialogue, "please roll back the website");
        assert_eq!(reply.intent, Some(Intent::Report { subject: "website".into() }));
        let reply = dialogue.facts(&known(&manifest));
        assert!(reply.text().starts_with("Shall I bring back the version before of your Website?"), "{}", reply.text());
        let reply = says(&mut dialogue, "yes");
        assert!(reply.intent.is_none() && reply.text() == ASK_PIN && dialogue.masks(), "{}", reply.text());
        let wrong = keyed(&mut dialogue, "47114712");
        assert!(wrong.intent.is_none() && wrong.pin == Some(false), "{wrong:?}");
        let right = keyed(&mut dialogue, PIN);
        let change = Change::RollBack { slug: "website".into(), lose_data: false };
        assert_eq!((right.intent, right.pin), (Some(Intent::Change(change)), Some(true)));
        let lost = dialogue.changed(Changed::LosesData);
        assert!(lost.intent.is_none() && lost.text().contains("data of its own time"), "{}", lost.text());
        let change = Change::RollBack { slug: "website".into(), lose_data: true };
        assert_eq!(says(&mut dialogue, "yes").intent, Some(Intent::Change(change)), "the PIN holds for this call");
        let done = dialogue.changed(Changed::Done);
        assert_eq!(done.text(), "The version before of your Website is live again.");
        assert_eq!(dialogue.changed(Changed::Done), Reply::default(), "told once");
    }

    #[test]
    fn an_extension_that_is_trusted_takes_the_place_of_the_pin() {
        for pin in [Some(PIN), None] {
            let mut persona = Persona::named("Grace");
            (persona.pin, persona.pin_at_start, persona.trusted) = (pin.and_then(Pin::new), true, true);
            let mut dialogue = Dialogue::new(persona, "conv_1");
            assert!(dialogue.greet().text().contains("What shall I build"), "nothing is asked first");
            says(&mut dialogue, "please roll back the website");
            dialogue.facts(&known(&served(None).1));
            let change = Change::RollBack { slug: "website".into(), lose_data: false };
            assert_eq!(says(&mut dialogue, "yes").intent, Some(Intent::Change(change)));
        }
    }

    #[test]
    fn nothing_is_deleted_without_all_of_it() {
        let (mut dialogue, manifest) = served(Some(PIN));
        says(&mut dialogue, "delete the website");
        assert!(dialogue.facts(&known(&manifest)).text().contains("Shall I delete your Website?"));
        let no = says(&mut dialogue, "no");
        assert!(no.intent.is_none() && no.text() == LEFT, "{}", no.text());
        says(&mut dialogue, "delete the website");
        dialogue.facts(&known(&manifest));
        dialogue.key('1');
        for attempt in 1..=3 {
            let wrong = keyed(&mut dialogue, "00000000");
            assert!(wrong.intent.is_none() && !wrong.hang_up && wrong.pin == Some(false), "{attempt}: {wrong:?}");
        }
        says(&mut dialogue, "delete the website");
        dialogue.facts(&known(&manifest));
        let locked = dialogue.key('1');
        assert_eq!((locked.text().as_str(), locked.intent), (LOCKED, None), "no fourth try in this call");
    }

    #[test]
    fn a_pin_that_other_calls_have_closed_changes_nothing() {
        let (mut dialogue, manifest) = served(Some(PIN));
        says(&mut dialogue, "delete the website");
        dialogue.facts(&known(&manifest));
        assert_eq!(dialogue.key('1').text(), ASK_PIN);
        dialogue.close_pin();
        let right = keyed(&mut dialogue, PIN);
        assert_eq!((right.intent.clone(), right.pin, right.hang_up), (None, None, false));
        assert!(right.text().starts_with(LOCKED) && !dialogue.masks(), "{}", right.text());
    }

    #[test]
    fn without_a_pin_set_up_nothing_is_changed_by_voice() {
        let (mut dialogue, manifest) = served(None);
        for text in ["delete the website", "roll back the website"] {
            says(&mut dialogue, text);
            dialogue.facts(&known(&manifest));
            let refused = dialogue.key('1');
            assert_eq!((refused.text().as_str(), refused.intent), (NO_PIN, None));
        }
        says(&mut dialogue, "add a contact form to the website");
        assert!(dialogue.facts(&known(&manifest)).text().contains("Shall I build it?"));
        let refused = says(&mut dialogue, "yes");
        assert_eq!((refused.text().as_str(), refused.intent), (NO_PIN, None));
        assert!(dialogue.slots().title.is_none(), "the order is over");
    }

    #[test]
    fn an_addition_reads_back_only_itself_and_replaces_the_app_after_the_pin() {
        let (mut dialogue, manifest) = served(Some(PIN));
        says(&mut dialogue, "add a contact form to the website");
        let reply = dialogue.facts(&known(&manifest));
        assert_eq!(
            reply.text(),
            "About your Website. A contact form is in. This is revision two. Shall I build it? Say yes or press one."
        );
        dialogue.cut_off(&reply.text(), usize::MAX);
        let reply = says(&mut dialogue, "no, without the blog");
        assert_eq!(reply.text(), "A blog is out. This is revision three. Shall I build it? Say yes or press one.");
        assert_eq!(says(&mut dialogue, "yes").text(), ASK_PIN);
        let reply = keyed(&mut dialogue, PIN);
        let Some(Intent::Build(amended)) = reply.intent else { panic!("a build: {}", reply.text()) };
        assert_eq!(amended.amends(), Some("website"));
        assert!(
            amended.features.contains(&"contact_form".to_owned()) && !amended.features.contains(&"blog".to_owned())
        );
        assert_eq!(amended.metadata["revision"], 3);
        assert_ne!(amended.manifest_id, manifest.manifest_id);
    }

    #[test]
    fn a_build_is_stopped_after_a_yes_and_the_pin() {
        let mut persona = Persona::named("Grace");
        (persona.pin, persona.pin_at_start) = (Pin::new(PIN), false);
        let mut dialogue = Dialogue::new(persona, "conv_1");
        dialogue.greet();
        says(&mut dialogue, "build us a website with a blog");
        says(&mut dialogue, "yes");
        dialogue.build_accepted("b7");
        let reply = says(&mut dialogue, "please cancel the build");
        assert!(reply.text().contains("Shall I stop building your Website?"), "{}", reply.text());
        says(&mut dialogue, "yes");
        let change = Change::Cancel { build_id: "b7".into() };
        assert_eq!(keyed(&mut dialogue, PIN).intent, Some(Intent::Change(change)));
        assert!(dialogue.changed(Changed::Done).text().contains("I have stopped."));
        assert!(!dialogue.building());
    }

    #[test]
    fn talk_of_deleting_that_is_no_order_changes_nothing() {
        let (mut dialogue, _) = served(Some(PIN));
        for text in [
            "don't delete the website",
            "what would happen if I deleted the website",
            "my brother deleted his website",
            "we never roll back anything",
        ] {
            let reply = says(&mut dialogue, text);
            assert!(dialogue.change.is_none(), "{text}: {}", reply.text());
        }
    }
}
