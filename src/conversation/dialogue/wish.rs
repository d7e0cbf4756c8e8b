//! When a request is acted on: what answers "What shall I build for you?" at once, what comes up in other talk only after the
//! trigger's pause or cue (`pipeline::intent`). Pure. Invariants: talk of what is refused, supposed, over or somebody else's
//! opens nothing; the same words within the trigger's rest open nothing twice; whatever opens leads to the read-back and its
//! own yes. Texts without a clock (`Dialogue::hear`) count as followed by silence. Deliberately absent: reading (`intent`).

use super::{Dialogue, Question};
use crate::conversation::{Heard, Reply};
use crate::pipeline::intent::{Act, Context, Fired, Label, SILENCE_MS, Understanding, understand_of};
use crate::pipeline::manifest::BuildType;
use crate::time::MediaTime;

impl Dialogue {
    /// The caller's turn is over, its last voice was at `ended`, and it was recognised as `heard`.
    pub fn hear_at(&mut self, heard: &Heard, ended: MediaTime) -> Reply {
        self.heard_until = Some(ended);
        let reply = self.hear(heard);
        self.heard_until = None;
        if !reply.say.is_empty() {
            self.trigger.forget();
        }
        reply
    }

    /// The caller's voice was heard at this time: silence begins anew.
    pub fn caller_voice(&mut self, at: MediaTime) {
        self.trigger.handle_voice(at);
    }

    /// What a request that was waiting for silence leads to at `now`; to be asked while nobody speaks.
    pub fn poll_wish(&mut self, now: MediaTime) -> Option<Reply> {
        while let Some(fired) = self.trigger.poll_fired(now) {
            if fired.extraction.intent.builds() && self.takes_wishes() && !self.building() {
                return self.take_wish(fired);
            }
        }
        None
    }

    /// Whether the turn may be one of several that ask for something together.
    pub(super) const fn takes_wishes(&self) -> bool {
        matches!(self.question, Question::What | Question::Offer | Question::Instead | Question::Nothing)
    }

    /// Lets the trigger have a turn that is about to be answered.
    pub(super) fn note_wish(&mut self, heard: &Heard) {
        if !self.takes_wishes() || heard.text.is_empty() {
            return;
        }
        // Without a clock, turns are so far apart that each is followed by silence.
        let at = self.heard_until.unwrap_or_else(|| self.unclocked.plus_ms(SILENCE_MS * 10));
        self.unclocked = self.unclocked.max(at);
        self.trigger.handle_sentence(&heard.text, at);
    }

    /// What the trigger makes of the turn that was noted; `None`: it is to be answered by itself.
    pub(super) fn hear_wish(&mut self, understood: &Understanding) -> Option<Reply> {
        let request = match understood.act {
            Act::BuildCrm => understood.fires(),
            Act::BuildOther(noun) => BuildType::of_noun(noun).is_some(),
            _ => false,
        };
        let now = self.heard_until.unwrap_or(self.unclocked);
        if request && self.question != Question::Nothing {
            // The agent's own question was the cue.
            self.fired = self.trigger.handle_asked(now);
            return None;
        }
        let unclear = understood.act == Act::Other
            && !understood.hinted
            && understood.answer.yes == 0.0
            && understood.answer.no == 0.0;
        if !request && !unclear {
            return None;
        }
        if !self.trigger.is_pending() {
            // Named in talk of something else, or said a moment ago.
            return request.then(|| self.fail(&["Sorry, I did not get that."]));
        }
        let silent = if self.heard_until.is_some() { now } else { now.plus_ms(SILENCE_MS) };
        // Nothing is said to what may go on.
        Some(self.poll_wish(silent).unwrap_or(Reply { expect: self.last_expect, ..Reply::default() }))
    }

    /// Begins what has been asked for.
    fn take_wish(&mut self, fired: Fired) -> Option<Reply> {
        let noun = noun_of(fired.extraction.intent)?;
        let mut asked = understand_of(&fired.text, Context::AskedWhat, BuildType::of_noun(noun));
        let is_request = asked.fires() || matches!(asked.act, Act::BuildOther(_));
        if !is_request {
            asked.act = if noun == BuildType::BuildCrm.noun() { Act::BuildCrm } else { Act::BuildOther(noun) };
            asked.confidence = fired.extraction.confidence;
        }
        self.fired = Some(fired);
        Some(self.hear_request(&asked))
    }
}

/// What is to be built, as it is spoken.
const fn noun_of(label: Label) -> Option<&'static str> {
    Some(match label {
        Label::BuildCrm => BuildType::BuildCrm.noun(),
        Label::BuildWebsite => BuildType::BuildWebsite.noun(),
        Label::BuildEcommerce => BuildType::BuildEcommerce.noun(),
        Label::BuildApi => BuildType::BuildApi.noun(),
        Label::BuildDashboard => BuildType::BuildDashboard.noun(),
        Label::BuildBlockchain => BuildType::BuildBlockchain.noun(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{BuildStage, BuildUpdate, Intent, Outcome, Persona};

    fn ms(ms: u64) -> MediaTime {
        MediaTime(0).plus_ms(ms)
    }

    fn asked() -> Dialogue {
        let mut dialogue = Dialogue::new(Persona::named("Grace"), "conv_1");
        dialogue.greet();
        dialogue
    }

    /// A CRM has just gone live in this call.
    fn served() -> Dialogue {
        let mut dialogue = asked();
        dialogue.hear_at(&Heard::certain("build me a CRM with contacts and deals"), ms(2_000));
        assert!(matches!(dialogue.hear_at(&Heard::certain("yes"), ms(9_000)).intent, Some(Intent::Build(_))));
        let live = Outcome::Live { url: "http://127.0.0.1:8100/".into(), app: "crm".into() };
        let update =
            BuildUpdate { build_id: "b1".into(), stage: BuildStage::Live, say: None, outcome: Some(live), ask: None };
        assert!(dialogue.build_update(&update).text().contains("is live"));
        dialogue
    }

    fn heard(dialogue: &mut Dialogue, text: &str, at: u64) -> Reply {
        dialogue.hear_at(&Heard::certain(text), ms(at))
    }

    #[test]
    fn the_answer_to_the_agents_question_is_taken_at_once_and_known_by_its_words() {
        let mut dialogue = asked();
        let reply = heard(&mut dialogue, "build us a website with a blog", 2_000);
        assert!(reply.text().contains("Shall I build it?"), "{}", reply.text());
        assert_eq!(dialogue.poll_wish(ms(60_000)), None, "once");
        let Some(Intent::Build(manifest)) = heard(&mut dialogue, "yes", 9_000).intent else { panic!("a build") };
        let id = |key: &str| manifest.metadata[key].as_str().map(str::to_owned).expect(key);
        assert!(id("spec_id").starts_with("spec_") && id("utterance_id").starts_with("utt_"));
    }

    #[test]
    fn a_request_in_other_talk_waits_for_silence_to_the_millisecond() {
        let mut dialogue = served();
        let reply = heard(&mut dialogue, "we also need a website for our bakery", 20_000);
        assert_eq!(reply.say, Vec::<String>::new(), "nothing is said to what may go on");
        assert_eq!(dialogue.poll_wish(ms(21_499)), None);
        dialogue.caller_voice(ms(21_400));
        assert_eq!(dialogue.poll_wish(ms(22_899)), None, "the caller went on");
        let reply = dialogue.poll_wish(ms(22_900)).expect("silence");
        assert!(reply.text().contains("A website for your bakery"), "{}", reply.text());
        assert!(reply.intent.is_none(), "it takes its own yes");
        assert_eq!(dialogue.poll_wish(ms(90_000)), None, "once");
    }

    #[test]
    fn a_cue_in_other_talk_is_taken_at_once() {
        let mut dialogue = served();
        let reply = heard(&mut dialogue, "let's build a dashboard with charts", 20_000);
        assert!(reply.text().contains("A dashboard"), "{}", reply.text());
    }

    #[test]
    fn what_is_refused_supposed_over_or_others_opens_nothing() {
        for text in [
            "don't build a website",
            "please do not build us a website",
            "if we ever build a website we will call you",
            "they built a website for us last year",
            "my brother built himself an online shop",
            "our neighbors want to build a website",
            "what would happen if you built an online shop",
            "we had a dashboard once and nobody used it",
            "I would never order a website",
        ] {
            for (name, mut dialogue) in [("asked", asked()), ("later", served())] {
                let reply = heard(&mut dialogue, text, 20_000);
                assert!(!reply.text().contains("Here is what I have"), "{name}: {text}: {}", reply.text());
                let later = dialogue.poll_wish(ms(60_000));
                assert_eq!(later, None, "{name}: {text}");
                assert!(dialogue.slots().title.is_none(), "{name}: {text}");
            }
        }
    }

    #[test]
    fn three_sentences_together_are_one_request() {
        let mut dialogue = asked();
        heard(&mut dialogue, "we sell candles", 2_000);
        heard(&mut dialogue, "people keep asking for a webshop", 8_000);
        let at_once = heard(&mut dialogue, "so please build one", 14_000);
        let reply = if at_once.say.is_empty() { dialogue.poll_wish(ms(15_500)).expect("silence") } else { at_once };
        assert!(reply.text().to_lowercase().contains("an online shop"), "{}", reply.text());
    }

    #[test]
    fn the_same_words_within_the_rest_open_nothing_twice() {
        let mut dialogue = served();
        assert!(heard(&mut dialogue, "let's build a dashboard", 20_000).text().contains("A dashboard"));
        heard(&mut dialogue, "no, cancel that", 22_000);
        dialogue.question = Question::Nothing;
        let again = heard(&mut dialogue, "let's build a dashboard", 24_000);
        assert!(!again.text().contains("A dashboard"), "{}", again.text());
        assert!(heard(&mut dialogue, "let's build a dashboard", 40_000).text().contains("A dashboard"));
    }
}
