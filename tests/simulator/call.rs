//! Everything around a call's machine, in virtual time of milliseconds: the caller's voice judged every 32 ms, a recogniser
//! that brings words late, the voice and its playout, tools that take their time, an actor that may stall.

use super::mouth::{Mouth, Report};
use callwright::call::machine::{CallAction, CallInput, CallMachine, Mark, Patience, Speaker};
use callwright::conversation::{
    AppFacts, Change, Changed, Consent, Dialogue, FILLER, Failure, Kept, Persona, Pin, ReturnCalls, SetUpCode,
    failure_lines, prompts,
};
use callwright::time::{MediaTime, Tick};
use callwright::turn::{Sound, TurnConfig, TurnMachine};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CHUNK_MS: u64 = 32;
const FRAME_MS: u64 = 20;
/// From an order to the report that it was carried out.
const WIRE_MS: u64 = 20;

/// What this call is like.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) persona: Persona,
    pub(crate) patience: Patience,
    pub(crate) turn: TurnConfig,
    pub(crate) recogniser: u64,
    pub(crate) partials: u64,
    pub(crate) voice: u64,
    pub(crate) lookup: u64,
    pub(crate) build: u64,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            persona: Persona::named("Grace"),
            patience: Patience::default(),
            turn: TurnConfig::default(),
            recogniser: 120,
            partials: 150,
            voice: 60,
            lookup: 200,
            build: 200,
        }
    }
}

/// What can be told of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Says(String),
    Filler,
    Ducks,
    GoesOn,
    StopsAfter(String),
    Hears(String),
    Builds(String),
    LooksUp(String),
    CallsBack(String),
    /// What there is, by the app or the build.
    Changes(String),
    /// Whether a call is promised for when the build is over.
    Returns(bool),
    /// What a build asked is answered.
    Answers(String),
    /// How this build ended was heard.
    Tells(String),
    /// Of this app.
    AsksCode(String),
    WrongPin,
    Cancels,
    PutsThrough,
    Records(bool),
    Withholds(bool),
    Keeps,
    Forgets,
    HangsUp(String),
    /// Response time as it goes into the figures.
    Measured(Duration),
}

impl Told {
    /// Scripts need not say so.
    pub(crate) fn is_implied(&self) -> bool {
        matches!(
            self,
            Self::Cancels
                | Self::WrongPin
                | Self::Tells(_)
                | Self::Keeps
                | Self::Forgets
                | Self::Ducks
                | Self::GoesOn
                | Self::Measured(_)
        )
    }

    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Says(text) => format!("says {text}"),
            Self::Filler => "filler".into(),
            Self::Ducks => "ducks".into(),
            Self::GoesOn => "goes on".into(),
            Self::StopsAfter(heard) => format!("stops after {heard}").trim_end().into(),
            Self::Hears(text) => format!("hears {text}").trim_end().into(),
            Self::Builds(features) => format!("builds {features}"),
            Self::LooksUp(subject) => format!("looks up {subject}"),
            Self::Cancels => "cancels".into(),
            Self::PutsThrough => "puts through".into(),
            Self::CallsBack(number) => format!("calls back {number}"),
            Self::Changes(what) => format!("changes {what}"),
            Self::Returns(true) => "promises a call".into(),
            Self::Returns(false) => "promises no call".into(),
            Self::Answers(what) => format!("answers that {what}"),
            Self::Tells(build) => format!("tells {build}"),
            Self::AsksCode(app) => format!("asks {app} for its code"),
            Self::WrongPin => "counts a wrong PIN".into(),
            Self::Records(true) => "records".into(),
            Self::Records(false) => "does not record".into(),
            Self::Withholds(true) => "withholds".into(),
            Self::Withholds(false) => "shows again".into(),
            Self::Keeps => "keeps".into(),
            Self::Forgets => "forgets".into(),
            Self::HangsUp(class) => format!("hangs up {class}"),
            Self::Measured(took) => format!("measured {:.3} s", took.as_secs_f64()),
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: u64,
    pub(crate) told: Told,
    /// The last thing that the caller or a tool had done, and the last sound, by then.
    pub(crate) since_cause: u64,
    pub(crate) since_sound: u64,
}

/// A stretch of the caller's voice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) far: bool,
}

/// What the recogniser does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recogniser {
    Works,
    Silent,
    Fails,
}

/// What answers a build that is handed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Builder {
    Takes,
    Refuses(String),
    Ignores,
}

/// One call and all around it.
pub(crate) struct Call {
    pub(crate) setting: Setting,
    machine: CallMachine,
    pub(crate) now: u64,
    began: u64,
    pub(crate) mouth: Mouth,
    voices: Vec<Voice>,
    /// Words that the recogniser will know, by when each ends.
    words: Vec<(u64, String)>,
    finalised: usize,
    pub(crate) confidence: f32,
    pub(crate) recogniser: Recogniser,
    pub(crate) builder: Builder,
    /// What a look-up brings; `None`: it fails.
    pub(crate) facts: Option<AppFacts>,
    due: BTreeMap<(u64, u64), CallInput>,
    number: u64,
    stalled_until: u64,
    waiting: Vec<CallInput>,
    /// The recogniser says nothing until then, and then all that it knows.
    deaf_until: u64,
    /// So long it takes to think about the next text.
    pub(crate) thinks: Option<u64>,
    pub(crate) events: Vec<Event>,
    pub(crate) said_by_caller: BTreeSet<String>,
    pub(crate) last_voice: u64,
    pub(crate) last_cause: u64,
    /// Our last sound before this frame.
    sound_before: u64,
    kept: Option<Kept>,
    pub(crate) ended: bool,
}

fn by_heart(persona: &Persona) -> Vec<String> {
    let mut known = prompts(persona);
    known.extend(failure_lines().map(str::to_owned));
    known
}

fn machine(setting: &Setting, conversation: &str, kept: Option<Kept>) -> CallMachine {
    let dialogue = Dialogue::new(setting.persona.clone(), conversation);
    let dialogue = match &kept {
        Some(kept) => dialogue.after(kept.clone()),
        None => dialogue,
    };
    let machine = CallMachine::new(dialogue, TurnMachine::new(setting.turn)).with_patience(setting.patience);
    match kept {
        Some(kept) => machine.remembering(kept),
        None => machine,
    }
}

impl Call {
    pub(crate) fn answered(setting: Setting) -> Self {
        let mut mouth = Mouth::new(by_heart(&setting.persona));
        mouth.delay = setting.voice;
        let mut call = Self {
            machine: machine(&setting, "conv_1", None),
            setting,
            now: 0,
            began: 0,
            mouth,
            voices: Vec::new(),
            words: Vec::new(),
            finalised: 0,
            confidence: 0.95,
            recogniser: Recogniser::Works,
            builder: Builder::Takes,
            facts: Some(AppFacts {
                name: "CRM".into(),
                deployed: true,
                apis_live: 5,
                records: 10,
                ..AppFacts::default()
            }),
            due: BTreeMap::new(),
            number: 0,
            stalled_until: 0,
            waiting: Vec::new(),
            deaf_until: 0,
            thinks: None,
            events: Vec::new(),
            said_by_caller: BTreeSet::new(),
            last_voice: 0,
            last_cause: 0,
            sound_before: 0,
            kept: None,
            ended: false,
        };
        call.tell(CallInput::FirstPacket);
        call.tell(CallInput::Confirmed);
        call
    }

    /// The same caller, later.
    pub(crate) fn call_again(&mut self, after: u64) {
        self.now += after;
        self.began = self.now;
        self.ended = false;
        self.machine = machine(&self.setting, "conv_2", self.kept.clone());
        self.mouth = Mouth::new(by_heart(&self.setting.persona));
        self.mouth.delay = self.setting.voice;
        (self.voices, self.words, self.finalised) = (Vec::new(), Vec::new(), 0);
        self.due.clear();
        self.cause();
        self.tell(CallInput::FirstPacket);
        self.tell(CallInput::Confirmed);
    }

    pub(crate) fn cause(&mut self) {
        self.last_cause = self.now;
    }

    fn last_sound(&self) -> u64 {
        self.sound_before.max(self.last_voice.min(self.now)).max(self.last_cause)
    }

    fn note(&mut self, told: Told) {
        let cause = self.last_cause.max(self.last_voice.min(self.now));
        let event =
            Event { at: self.now, told, since_cause: self.now - cause, since_sound: self.now - self.last_sound() };
        self.events.push(event);
    }

    /// Whether the caller is quiet and nothing is being said.
    pub(crate) fn is_quiet(&self) -> bool {
        self.mouth.is_silent() && self.voices.iter().all(|voice| voice.to <= self.now)
    }

    /// The caller will speak: stretches of voice, and words by when each ends.
    pub(crate) fn speak(&mut self, voices: &[Voice], words: &[(u64, String)]) {
        self.voices.extend_from_slice(voices);
        let before = self.words.len();
        self.words.extend_from_slice(words);
        for n in before..self.words.len() {
            let at = self.words[n].0 + self.setting.partials;
            // The text is made when it is due: what was finalised meanwhile is no part of it.
            self.later(at, CallInput::Partial(String::new(), MediaTime(0)));
        }
    }

    pub(crate) fn later(&mut self, at: u64, input: CallInput) {
        self.number += 1;
        self.due.insert((at, self.number), input);
    }

    /// The actor handles nothing for so long.
    pub(crate) fn stall(&mut self, ms: u64) {
        self.stalled_until = self.now + ms;
    }

    /// The recogniser brings nothing for so long.
    pub(crate) fn stall_recogniser(&mut self, ms: u64) {
        self.deaf_until = self.now + ms;
    }

    pub(crate) fn tell(&mut self, input: CallInput) {
        if matches!(input, CallInput::Final { .. })
            && let Some(ms) = self.thinks.take()
        {
            self.stall(ms);
        }
        if self.now < self.stalled_until {
            self.waiting.push(input);
            return;
        }
        self.machine.handle(Tick(self.now * 1_000_000), input);
        while let Some(action) = self.machine.poll_action() {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: CallAction) {
        match action {
            CallAction::Speak { utterance, generation, text } => {
                let reports = self.mouth.speak(self.now, utterance, generation, &text, false);
                self.report(reports);
            }
            CallAction::Fill { utterance, generation, text } => {
                let reports = self.mouth.speak(self.now, utterance, generation, &text, true);
                self.report(reports);
            }
            CallAction::Duck(ducked) => {
                self.note(if ducked { Told::Ducks } else { Told::GoesOn });
                let reports = self.mouth.duck(ducked);
                self.report(reports);
            }
            CallAction::Flush(generation) => {
                let reports = self.mouth.flush(generation);
                self.report(reports);
            }
            CallAction::Finalize => self.finalise(),
            // A guess is not heard.
            CallAction::Prepare(_) => {}
            CallAction::Forget => self.finalised = self.heard(),
            CallAction::Submit(manifest) => {
                self.note(Told::Builds(manifest.features.join("+")));
                let answer = match &self.builder {
                    Builder::Takes => CallInput::BuildAccepted("build_1".into()),
                    Builder::Refuses(why) => CallInput::BuildRefused(why.clone()),
                    Builder::Ignores => return,
                };
                self.later(self.now + self.setting.build, answer);
            }
            CallAction::LookUp { run, subject } => {
                self.note(Told::LooksUp(subject));
                // Comes also when it was cancelled: an answer may be on its way then.
                self.later(self.now + self.setting.lookup, CallInput::Found(run, self.facts.clone()));
            }
            CallAction::Cancel(_) => self.note(Told::Cancels),
            CallAction::PutThrough => {
                self.note(Told::PutsThrough);
                self.later(self.now + 1, CallInput::Away(true));
            }
            CallAction::CallBack { number, name } => {
                let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
                self.note(Told::CallsBack(format!("{number}{name}")));
            }
            CallAction::Change(change) => {
                self.note(Told::Changes(match change {
                    Change::RollBack { slug, lose_data } => {
                        format!("{slug} back{}", if lose_data { " with its data" } else { "" })
                    }
                    Change::Delete { slug } => format!("{slug} to nothing"),
                    Change::Cancel { build_id } => format!("{build_id} to cancelled"),
                }));
                self.later(self.now + self.setting.build, CallInput::Changed(Changed::Done));
            }
            CallAction::ReturnCall(wanted) => self.note(Told::Returns(wanted)),
            CallAction::Answer { question, value, .. } => {
                self.note(Told::Answers(format!("{} is {value}", question.name)));
            }
            CallAction::Told(build) => self.note(Told::Tells(build)),
            CallAction::SetUpCode(app) => {
                self.note(Told::AsksCode(app));
                let code = Some(SetUpCode::Code("481-207-936".into()));
                self.later(self.now + self.setting.lookup, CallInput::SetUpCode(code));
            }
            CallAction::PinTried(false) => self.note(Told::WrongPin),
            CallAction::PinTried(true) => {}
            CallAction::Record(allowed) => self.note(Told::Records(allowed)),
            CallAction::Withhold(withheld) => self.note(Told::Withholds(withheld)),
            CallAction::Keep(kept) => {
                self.kept = kept.map(|kept| *kept);
                self.note(if self.kept.is_some() { Told::Keeps } else { Told::Forgets });
            }
            CallAction::Note(said) if said.speaker == Speaker::Agent => {
                let was_heard = |event: &Event| event.told == Told::Says(said.text.clone());
                if let Some(heard) = said.heard.filter(|_| self.events.iter().any(was_heard)) {
                    self.note(Told::StopsAfter(heard));
                }
            }
            CallAction::Note(said) => {
                if !self.said_by_caller.contains(&said.text) {
                    self.note(Told::Hears(said.text));
                }
            }
            CallAction::HangUp(end) => {
                self.ended = true;
                self.note(Told::HangsUp(end.class.name().to_owned()));
            }
            CallAction::Measure(Mark::TurnResponse, took) => self.note(Told::Measured(took)),
            CallAction::Listen(_) | CallAction::Measure(..) => {}
        }
    }

    /// The end of a turn was asked for.
    /// Words of the caller until now.
    fn heard(&self) -> usize {
        self.words.iter().take_while(|(end, _)| *end <= self.now).count().max(self.finalised)
    }

    fn finalise(&mut self) {
        let known = self.heard();
        let text: Vec<&str> = self.words[self.finalised..known].iter().map(|(_, word)| word.as_str()).collect();
        let text = text.join(" ");
        self.finalised = known;
        let (text, confidence) = match self.recogniser {
            Recogniser::Silent => return,
            Recogniser::Works if text.is_empty() => (text, 0.0),
            Recogniser::Works => (text, self.confidence),
            Recogniser::Fails => {
                self.later(self.now + self.setting.recogniser, CallInput::Failed(Failure::Hearing));
                (String::new(), 0.0)
            }
        };
        let ended = MediaTime((self.last_voice.min(self.now) - self.began.min(self.last_voice)) * 8);
        let heard = CallInput::Final { text, confidence, alternatives: Vec::new(), ended };
        self.later(self.now + self.setting.recogniser, heard);
    }

    fn report(&mut self, reports: Vec<Report>) {
        for report in reports {
            let tick = Tick((self.now + WIRE_MS) * 1_000_000);
            let input = match report {
                Report::Started(utterance) => CallInput::SpeakStarted(utterance),
                Report::Spoken(utterance, words) => CallInput::Spoken { utterance, words },
                Report::Audible(utterance, text) => {
                    self.note(if text == FILLER { Told::Filler } else { Told::Says(text) });
                    CallInput::FirstAudible(utterance, Tick(self.now * 1_000_000))
                }
                Report::Played(utterance, samples, end) => CallInput::Played { utterance, samples, end },
                Report::Ducked(utterance) => CallInput::Ducked(utterance, tick),
                Report::Flushed(generation, utterance, samples) => {
                    let last_audible = Some(Tick(self.mouth.last_sound * 1_000_000));
                    CallInput::Flushed { generation, utterance, samples, last_audible }
                }
            };
            // What an order leads to is reported after it.
            self.later(self.now, input);
        }
    }

    /// Time goes on to the next thing, at most to `until`.
    pub(crate) fn step(&mut self, until: u64) {
        let mut next = until.max(self.now);
        next = next.min((self.now / CHUNK_MS + 1) * CHUNK_MS).min((self.now / FRAME_MS + 1) * FRAME_MS);
        if let Some(((at, _), _)) = self.due.first_key_value() {
            next = next.min((*at).max(self.now));
        }
        if let Some(due) = self.machine.poll_timeout().filter(|_| !self.ended && self.now >= self.stalled_until) {
            next = next.min(due.0.div_ceil(1_000_000).max(self.now));
        }
        let moved = next > self.now;
        self.now = next;
        if self.ended {
            self.due.clear();
            return;
        }
        if self.now >= self.stalled_until {
            for input in std::mem::take(&mut self.waiting) {
                self.tell(input);
            }
        }
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let input = entry.remove();
            self.hand_over(input);
        }
        if self.now.is_multiple_of(FRAME_MS) && moved {
            self.sound_before = self.mouth.last_sound;
            let reports = self.mouth.frame(self.now);
            self.report(reports);
            self.sound_before = self.mouth.last_sound;
        }
        if self.now.is_multiple_of(CHUNK_MS) && moved {
            self.judge();
        }
        let due = self.machine.poll_timeout().is_some_and(|due| due.0 <= self.now * 1_000_000);
        if due && !self.ended && self.now >= self.stalled_until {
            self.tell(CallInput::Timeout);
        }
    }

    fn hand_over(&mut self, input: CallInput) {
        if self.now < self.deaf_until && matches!(input, CallInput::Partial(..) | CallInput::Final { .. }) {
            return self.later(self.deaf_until, input);
        }
        match &input {
            CallInput::Partial(..) => {
                if self.recogniser != Recogniser::Works {
                    return;
                }
                let known = self.words.iter().take_while(|(end, _)| end + self.setting.partials <= self.now).count();
                if known <= self.finalised {
                    return;
                }
                let text: Vec<&str> = self.words[self.finalised..known].iter().map(|(_, word)| word.as_str()).collect();
                let text = text.join(" ");
                return self.tell(CallInput::Partial(text, MediaTime(self.now * 8)));
            }
            CallInput::Digit(..)
            | CallInput::Found(..)
            | CallInput::NotPutThrough
            | CallInput::Failed(_)
            | CallInput::Build(_)
            | CallInput::BuildRefused(_) => {
                self.cause();
            }
            _ => {}
        }
        self.tell(input);
    }

    /// The voice of the last 32 ms, judged.
    fn judge(&mut self) {
        let from = self.now - CHUNK_MS;
        let voice =
            self.voices.iter().find(|v| v.from < self.now && v.to.min(self.now) >= v.from.max(from) + 16).copied();
        if let Some(voice) = voice {
            self.last_voice = voice.to.min(self.now);
        }
        let media = |at: u64| MediaTime(at.saturating_sub(self.began) * 8);
        let level_dbfs = voice.map_or(-70.0, |voice| if voice.far { -45.0 } else { -20.0 });
        self.tell(CallInput::Voice {
            at: media(self.now),
            voiced: voice.is_some(),
            last_voiced: media(self.last_voice),
            last_voiced_tick: Tick(self.last_voice * 1_000_000),
            onset_tick: voice.map(|voice| Tick(voice.from * 1_000_000)),
            sound: Sound { level_dbfs, pitched: if voice.is_some() { 0.8 } else { 0.0 }, ..Sound::default() },
        });
    }

    /// A key now.
    pub(crate) fn key_at(&mut self, at: u64, key: char) {
        let media = MediaTime(at.saturating_sub(self.began) * 8);
        self.later(at, CallInput::Digit(key, media));
    }
}

/// A PIN or a wish about recordings as a script writes it.
pub(crate) fn persona_with(persona: &mut Persona, key: &str, value: &str) -> Result<(), String> {
    match (key, value) {
        ("change-pin", digits) => {
            persona.pin = Some(Pin::new(digits).ok_or("a PIN has 4 to 12 digits")?);
            persona.pin_at_start = false;
        }
        ("return-call", "ask") => persona.return_call = ReturnCalls::Ask,
        ("return-call", "always") => persona.return_call = ReturnCalls::Always,
        ("pin", digits) => persona.pin = Some(Pin::new(digits).ok_or("a PIN has 4 to 12 digits")?),
        ("consent", "ask") => persona.consent = Consent::Ask("May I record this call?".into()),
        ("consent", "announce") => persona.consent = Consent::Announce("This call is recorded.".into()),
        ("operator", line) => persona.putting_through = Some(line.to_owned()),
        ("prompts", number) => persona.idle_prompts = number.parse().map_err(|_| "prompts is a number")?,
        _ => return Err(format!("with {key} {value}: there is no such thing")),
    }
    Ok(())
}
