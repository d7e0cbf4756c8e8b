//! Whole calls in virtual time: what a caller does, what the call does then, to the millisecond and without audio.

use callwright::call::machine::{CallAction, CallInput, CallMachine, Mark, Speaker};
use callwright::call::record::EndClass;
use callwright::conversation::{
    AppFacts, BuildStage, BuildUpdate, Dialogue, Expectation, Failure, Outcome, Persona, WordTime,
};
use callwright::id::{Generation, UtteranceId};
use callwright::time::{MediaTime, Tick};
use callwright::turn::{Sound, TurnConfig, TurnMachine};
use std::time::Duration;

/// A caller, a clock and everything that the call did.
struct Rig {
    machine: CallMachine,
    now_ms: u64,
    last_voiced_ms: u64,
    onset_ms: Option<u64>,
    utterance: UtteranceId,
    generation: Generation,
    done: Vec<CallAction>,
}

impl Rig {
    fn answered() -> Self {
        let mut rig = Self {
            machine: CallMachine::new(
                Dialogue::new(Persona::named("Grace"), "conv_1"),
                TurnMachine::new(TurnConfig::default()),
            ),
            now_ms: 1000,
            last_voiced_ms: 0,
            onset_ms: None,
            utterance: UtteranceId(0),
            generation: Generation(0),
            done: Vec::new(),
        };
        rig.tell(CallInput::FirstPacket);
        rig.tell(CallInput::Confirmed);
        rig
    }

    fn tick(&self) -> Tick {
        Tick(self.now_ms * 1_000_000)
    }

    fn found(&mut self, facts: AppFacts) {
        let run = |action: &CallAction| if let CallAction::LookUp { run, .. } = action { Some(*run) } else { None };
        let run = self.done.iter().rev().find_map(run).expect("a look-up");
        self.tell(CallInput::Found(run, Some(facts)));
    }

    fn tell(&mut self, input: CallInput) {
        self.machine.handle(self.tick(), input);
        while let Some(action) = self.machine.poll_action() {
            match &action {
                CallAction::Speak { utterance, generation, .. } => {
                    assert!(*generation >= self.generation, "what is said belongs to the newest generation");
                    self.utterance = *utterance;
                }
                CallAction::Flush(generation) => self.generation = *generation,
                _ => {}
            }
            self.done.push(action);
        }
    }

    /// Time passes with the caller silent or speaking, judged every 32 ms.
    fn pass(&mut self, ms: u64, voiced: bool) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.now_ms += 32;
            if voiced {
                self.onset_ms.get_or_insert(self.now_ms - 32);
                self.last_voiced_ms = self.now_ms;
            } else {
                self.onset_ms = None;
            }
            let onset_tick = self.onset_ms.map(|ms| Tick(ms * 1_000_000));
            let (at, last) = (MediaTime(self.now_ms * 8), MediaTime(self.last_voiced_ms * 8));
            let last_voiced_tick = Tick(self.last_voiced_ms * 1_000_000);
            let sound = Sound {
                level_dbfs: if voiced { -20.0 } else { -70.0 },
                pitched: if voiced { 0.8 } else { 0.0 },
                ..Sound::default()
            };
            self.tell(CallInput::Voice { at, voiced, last_voiced: last, last_voiced_tick, onset_tick, sound });
        }
    }

    /// The agent's utterance is synthesised, starts to be heard and is played to its end.
    fn agent_finishes(&mut self) {
        let utterance = self.utterance;
        self.agent_begins(usize::MAX);
        self.pass(640, false);
        self.tell(CallInput::Played { utterance, samples: 16_000, end: true });
    }

    /// So many words of the agent's utterance are synthesised, each 100 ms long, and it starts to be heard.
    fn agent_begins(&mut self, words: usize) {
        let utterance = self.utterance;
        let words = (0_u32..)
            .zip(self.last_spoken().split_whitespace().take(words))
            .map(|(n, word)| WordTime { word: word.to_owned(), start_ms: n * 100, end_ms: (n + 1) * 100 })
            .collect();
        self.tell(CallInput::SpeakStarted(utterance));
        self.tell(CallInput::Spoken { utterance, words });
        self.tell(CallInput::FirstAudible(utterance, self.tick()));
    }

    /// The caller says something, is judged to have finished, and the recogniser delivers.
    fn caller_says(&mut self, text: &str) {
        self.pass(960, true);
        self.tell(CallInput::Partial(text.to_owned(), MediaTime(self.now_ms * 8)));
        let before = self.count(|a| matches!(a, CallAction::Finalize));
        while self.count(|a| matches!(a, CallAction::Finalize)) == before {
            self.pass(32, false);
            assert!(self.now_ms - self.last_voiced_ms <= 3_100, "no end of turn within three seconds");
        }
        self.now_ms += 80;
        self.recognised(text);
    }

    /// The recogniser delivers what was said up to the last voiced sample.
    fn recognised(&mut self, text: &str) {
        let ended = MediaTime(self.last_voiced_ms * 8);
        self.tell(CallInput::Final { text: text.to_owned(), confidence: 0.95, alternatives: Vec::new(), ended });
    }

    /// The caller speaks until the turn is judged to be over; the recogniser has not delivered yet.
    fn caller_speaks(&mut self) {
        self.pass(960, true);
        let before = self.count(|a| matches!(a, CallAction::Finalize));
        while self.count(|a| matches!(a, CallAction::Finalize)) == before {
            self.pass(32, false);
            assert!(self.now_ms - self.last_voiced_ms <= 3_100, "no end of turn within three seconds");
        }
    }

    fn flushed(&mut self, generation: u32, utterance: Option<UtteranceId>, samples: u64) {
        let last_audible = Some(self.tick());
        let generation = Generation(generation);
        self.tell(CallInput::Flushed { generation, utterance, samples, last_audible });
    }

    /// What the caller said, as the transcript has it.
    fn heard(&self) -> Vec<&str> {
        self.done
            .iter()
            .filter_map(|a| match a {
                CallAction::Note(said) if said.speaker == Speaker::Caller => Some(said.text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// What was heard of what the agent was cut off in.
    fn cuts(&self) -> Vec<String> {
        let cut = |a: &CallAction| match a {
            CallAction::Note(said) if said.speaker == Speaker::Agent => said.heard.clone(),
            _ => None,
        };
        self.done.iter().filter_map(cut).collect()
    }

    fn spoken(&self) -> usize {
        self.count(|a| matches!(a, CallAction::Speak { .. }))
    }

    fn count(&self, is: impl Fn(&CallAction) -> bool) -> usize {
        self.done.iter().filter(|a| is(a)).count()
    }

    fn last_spoken(&self) -> &str {
        self.done
            .iter()
            .rev()
            .find_map(|a| if let CallAction::Speak { text, .. } = a { Some(text.as_str()) } else { None })
            .unwrap_or("")
    }

    fn submitted(&self) -> usize {
        self.count(|a| matches!(a, CallAction::Submit(_)))
    }

    fn ended(&self) -> Option<EndClass> {
        self.done.iter().find_map(|a| if let CallAction::HangUp(end) = a { Some(end.class) } else { None })
    }

    fn measured(&self, mark: Mark) -> Vec<Duration> {
        let took = |a: &CallAction| match a {
            CallAction::Measure(m, took) if *m == mark => Some(*took),
            _ => None,
        };
        self.done.iter().filter_map(took).collect()
    }

    /// Nothing happens but time, until that holds.
    fn wait_for(&mut self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..20 {
            if holds(self) {
                return;
            }
            let due = self.machine.poll_timeout().expect("a deadline");
            self.now_ms = self.now_ms.max(due.0.div_ceil(1_000_000));
            self.tell(CallInput::Timeout);
        }
        panic!("it never came: {:?}", self.done);
    }

    fn reach_read_back(&mut self) {
        self.agent_finishes();
        self.caller_says("i need a crm with contacts and deals");
        self.agent_finishes();
        assert!(self.last_spoken().contains("Shall I build it"), "{}", self.last_spoken());
    }
}

fn update(stage: BuildStage, outcome: Option<Outcome>) -> BuildUpdate {
    BuildUpdate { build_id: "build_1".to_owned(), stage, say: None, outcome, ask: None }
}

#[test]
fn the_whole_line_from_greeting_to_report() {
    let mut rig = Rig::answered();
    assert!(rig.last_spoken().contains("Grace"));
    rig.reach_read_back();
    assert_eq!(rig.submitted(), 0, "nothing starts before the yes");
    rig.caller_says("yes");
    assert_eq!(rig.submitted(), 1);
    rig.tell(CallInput::BuildAccepted("build_1".to_owned()));
    rig.tell(CallInput::Build(update(BuildStage::Planned, None)));
    rig.tell(CallInput::Build(update(BuildStage::Generated, None)));
    let live = Outcome::Live { url: "http://127.0.0.1:8100/".to_owned(), app: "crm".to_owned() };
    rig.tell(CallInput::Build(update(BuildStage::Live, Some(live))));
    rig.agent_finishes();
    assert!(rig.last_spoken().contains("is live"), "{}", rig.last_spoken());
    rig.agent_finishes();
    rig.caller_says("how is the crm");
    assert!(rig.done.iter().any(|a| matches!(a, CallAction::LookUp { subject, .. } if subject == "crm")));
    rig.found(AppFacts {
        name: "CRM".to_owned(),
        deployed: true,
        apis_live: 5,
        records: 10,
        requests_per_minute: 0.0,
        ..AppFacts::default()
    });
    assert!(rig.last_spoken().starts_with("Deployed, 5 APIs live, 10 records."), "{}", rig.last_spoken());
    rig.agent_finishes();
    rig.caller_says("thank you goodbye");
    assert_eq!(rig.ended(), None, "the goodbye is not cut by the hang-up");
    rig.agent_finishes();
    assert_eq!(rig.ended(), Some(EndClass::AgentHungUp));
    assert_eq!(rig.submitted(), 1);
}

#[test]
fn the_key_one_approves_like_a_yes() {
    let mut rig = Rig::answered();
    rig.reach_read_back();
    rig.tell(CallInput::Digit('1', MediaTime(rig.now_ms * 8)));
    assert_eq!(rig.submitted(), 1);
}

#[test]
fn a_voice_that_fails_in_the_read_back_has_not_read_it_back() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.caller_says("i need a crm with contacts and deals");
    rig.agent_begins(4);
    let utterance = rig.utterance;
    rig.pass(640, false);
    rig.tell(CallInput::Played { utterance, samples: 3_200, end: true });
    let cut = rig.cuts().pop();
    assert_eq!(cut.as_deref(), Some("Here is"), "of 400 ms, 160 ms may still be under way");
    rig.caller_says("yes");
    assert_eq!(rig.submitted(), 0, "nobody can approve what was not said");
    assert!(rig.last_spoken().starts_with("Here is what I have"), "{}", rig.last_spoken());
    rig.agent_finishes();
    rig.caller_says("yes");
    assert_eq!(rig.submitted(), 1);
}

#[test]
fn a_voice_that_cannot_say_a_word_ends_the_call() {
    let mut rig = Rig::answered();
    let utterance = rig.utterance;
    rig.tell(CallInput::Spoken { utterance, words: Vec::new() });
    rig.tell(CallInput::Played { utterance, samples: 0, end: true });
    assert_eq!((rig.ended(), rig.last_spoken()), (None, Failure::Voice.line()), "it was synthesised beforehand");
    let utterance = rig.utterance;
    rig.tell(CallInput::Spoken { utterance, words: Vec::new() });
    rig.tell(CallInput::Played { utterance, samples: 0, end: true });
    assert_eq!(rig.ended(), Some(EndClass::Failed));
}

#[test]
fn the_key_one_approves_only_what_was_read_back() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.caller_says("i need a crm with contacts and deals");
    rig.agent_begins(usize::MAX);
    let utterance = rig.utterance;
    rig.tell(CallInput::Played { utterance, samples: 3_200, end: false });
    rig.tell(CallInput::Digit('1', MediaTime(rig.now_ms * 8)));
    assert_eq!(rig.submitted(), 0, "within the read-back");
    assert!(rig.last_spoken().starts_with("Here is what I have"), "{}", rig.last_spoken());
    rig.flushed(1, Some(utterance), 3_200);
    rig.now_ms += 500;
    rig.agent_begins(usize::MAX);
    let utterance = rig.utterance;
    let until = rig.last_spoken().split_whitespace().take_while(|word| *word != "Shall").count() as u64;
    rig.tell(CallInput::Played { utterance, samples: (until * 100 + 200) * 8, end: false });
    rig.tell(CallInput::Digit('1', MediaTime(rig.now_ms * 8)));
    assert_eq!(rig.submitted(), 1, "within the question that follows it");
}

#[test]
fn a_wish_to_be_called_back_leaves_the_call() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    for says in ["i want to speak to a person", "yes", "five five five one two three four", "yes"] {
        rig.caller_says(says);
        rig.agent_finishes();
    }
    let wished = |rig: &Rig| {
        rig.done.iter().find_map(|a| match a {
            CallAction::CallBack { number, name } => Some((number.clone(), name.clone())),
            _ => None,
        })
    };
    assert_eq!(wished(&rig), None, "the name is still asked for");
    rig.tell(CallInput::Digit('#', MediaTime(rig.now_ms * 8)));
    assert_eq!(wished(&rig), Some(("5551234".to_owned(), None)));
}

#[test]
fn a_key_cuts_the_agent_short_and_is_answered() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.caller_says("i need a crm with contacts and deals");
    rig.tell(CallInput::FirstAudible(rig.utterance, rig.tick()));
    rig.tell(CallInput::Digit('3', MediaTime(rig.now_ms * 8)));
    assert_eq!(rig.count(|a| matches!(a, CallAction::Flush(_))), 1);
    assert!(rig.last_spoken().contains("CRM"), "key three repeats: {}", rig.last_spoken());
}

#[test]
fn a_barge_in_flushes_and_the_transcript_keeps_what_was_heard() {
    for (round_trip, of_it) in [(None, "Hello, this"), (Some(Duration::from_millis(400)), "Hello,")] {
        let mut rig = Rig::answered();
        rig.machine.set_behind(round_trip);
        let utterance = rig.utterance;
        let word = |word: &str, end_ms| WordTime { word: word.to_owned(), start_ms: end_ms - 200, end_ms };
        rig.tell(CallInput::FirstAudible(utterance, rig.tick()));
        rig.tell(CallInput::Spoken {
            utterance,
            words: vec![word("Hello,", 300), word("this", 700), word("is", 1500)],
        });
        let onset = rig.now_ms;
        rig.tell(CallInput::Onset(MediaTime(onset * 8)));
        rig.pass(32, true);
        assert_eq!(rig.count(|a| matches!(a, CallAction::Duck(true))), 1, "it falls silent with the first voice");
        rig.tell(CallInput::Ducked(utterance, Tick((onset + 45) * 1_000_000)));
        rig.pass(128, true);
        rig.tell(CallInput::Partial("wait".to_owned(), MediaTime(rig.now_ms * 8)));
        assert_eq!(rig.measured(Mark::BargeInFloor), [Duration::from_millis(160)], "with the first word");
        rig.pass(384, false);
        assert_eq!(rig.count(|a| matches!(a, CallAction::Flush(Generation(1)))), 1, "it has not");
        assert_eq!(rig.measured(Mark::BargeInDuck), [Duration::from_micros(49_500)]);
        let (utterance, last_audible) = (Some(utterance), Some(Tick((onset + 160) * 1_000_000)));
        rig.tell(CallInput::Flushed { generation: Generation(1), utterance, samples: 8_480, last_audible });
        // 1060 ms were sent, 160 ms of them after the onset; of the rest 160 ms count as still under way, or the round trip and 60.
        assert_eq!(rig.cuts(), [of_it], "{round_trip:?}");
        assert_eq!(rig.measured(Mark::BargeInStop), [Duration::from_millis(160)], "from the first voiced sample on");
    }
}

#[test]
fn an_aside_stops_nothing_and_is_no_part_of_the_next_turn() {
    let mut rig = Rig::answered();
    rig.tell(CallInput::FirstAudible(rig.utterance, rig.tick()));
    rig.pass(288, true);
    rig.tell(CallInput::Partial("yeah".to_owned(), MediaTime(rig.now_ms * 8)));
    rig.pass(320, false);
    assert_eq!(rig.count(|a| matches!(a, CallAction::Duck(true))), 1);
    assert_eq!(rig.count(|a| matches!(a, CallAction::Duck(false))), 1, "it goes on");
    assert_eq!(rig.count(|a| matches!(a, CallAction::Flush(_))), 0);
    assert_eq!(rig.count(|a| matches!(a, CallAction::Forget)), 1, "it is not recognised");
    assert_eq!(rig.count(|a| matches!(a, CallAction::Finalize)), 0, "nobody waits for its words");
    // They were on their way already.
    rig.recognised("yeah");
    rig.agent_finishes();
    rig.caller_says("i need a crm with contacts and deals");
    let turn = rig.done.iter().rev().find_map(|a| match a {
        CallAction::Note(said) if said.speaker == Speaker::Caller => Some(said.text.clone()),
        _ => None,
    });
    assert_eq!(turn.as_deref(), Some("i need a crm with contacts and deals"));
}

#[test]
fn an_utterance_that_was_over_when_it_was_to_fall_silent_leaves_the_next_one_audible() {
    let mut rig = Rig::answered();
    let utterance = rig.utterance;
    rig.tell(CallInput::FirstAudible(utterance, rig.tick()));
    rig.pass(64, true);
    assert_eq!(rig.count(|a| matches!(a, CallAction::Duck(true))), 1);
    rig.tell(CallInput::Played { utterance, samples: 16_000, end: true });
    assert_eq!(rig.count(|a| matches!(a, CallAction::Duck(false))), 1);
}

#[test]
fn a_caller_who_only_hums_gets_nothing_built_and_a_polite_end() {
    let mut rig = Rig::answered();
    rig.reach_read_back();
    for _ in 0..6 {
        if rig.ended().is_some() {
            break;
        }
        rig.caller_says("hmm");
        rig.agent_finishes();
    }
    assert_eq!(rig.submitted(), 0);
    assert_eq!(rig.ended(), Some(EndClass::AgentHungUp));
}

#[test]
fn response_time_runs_from_the_last_voiced_sample_to_the_first_audible_one() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.caller_says("i need a crm with contacts and deals");
    let voiced = rig.last_voiced_ms;
    rig.now_ms += 30;
    rig.tell(CallInput::SpeakStarted(rig.utterance));
    rig.now_ms += 10;
    rig.tell(CallInput::FirstAudible(rig.utterance, rig.tick()));
    let total = rig.measured(Mark::TurnResponse);
    assert_eq!(total, [Duration::from_millis(rig.now_ms - voiced)]);
    let parts: Duration = [Mark::Endpoint, Mark::AsrFinal, Mark::Think, Mark::TtsFirstAudio, Mark::Playout]
        .into_iter()
        .flat_map(|m| rig.measured(m))
        .sum();
    assert_eq!(parts, total[0], "the parts add up to the whole");
}

#[test]
fn a_recogniser_that_never_answers_is_not_waited_for() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.pass(960, true);
    while rig.count(|a| matches!(a, CallAction::Finalize)) == 0 {
        rig.pass(32, false);
    }
    let (before, since) = (rig.spoken(), rig.now_ms);
    rig.wait_for(|rig| rig.count(|a| matches!(a, CallAction::Fill { .. })) == 1);
    assert_eq!(rig.now_ms - since, 1_500, "something is heard of it");
    rig.wait_for(|rig| rig.spoken() > before);
    assert_eq!((rig.now_ms - since, rig.last_spoken()), (5_000, Failure::Hearing.line()), "the caller is asked again");
}

#[test]
fn a_synthesiser_that_brings_no_audio_ends_the_call() {
    let mut rig = Rig::answered();
    rig.wait_for(|rig| rig.last_spoken() == Failure::Voice.line());
    rig.wait_for(|rig| rig.ended().is_some());
    assert_eq!(rig.ended(), Some(EndClass::Failed));
}

#[test]
fn news_wait_for_a_pause_and_the_newest_is_told() {
    let mut rig = Rig::answered();
    rig.reach_read_back();
    rig.caller_says("yes");
    rig.tell(CallInput::BuildAccepted("build_1".to_owned()));
    let said = rig.count(|a| matches!(a, CallAction::Speak { .. }));
    for stage in [BuildStage::Specified, BuildStage::Planned, BuildStage::Generated, BuildStage::Tested] {
        rig.tell(CallInput::Build(update(stage, None)));
    }
    assert_eq!(rig.count(|a| matches!(a, CallAction::Speak { .. })), said, "nobody is talked over");
    rig.agent_finishes();
    assert_eq!(rig.count(|a| matches!(a, CallAction::Speak { .. })), said + 1);
    assert!(rig.last_spoken().contains("tests"), "{}", rig.last_spoken());
}

#[test]
fn a_refused_build_is_said_and_can_be_approved_again() {
    let mut rig = Rig::answered();
    rig.reach_read_back();
    rig.caller_says("yes");
    rig.tell(CallInput::BuildRefused("I have 4 builds waiting.".to_owned()));
    rig.agent_finishes();
    assert!(rig.last_spoken().contains("4 builds waiting"), "{}", rig.last_spoken());
    rig.agent_finishes();
    rig.caller_says("yes");
    assert_eq!(rig.submitted(), 2);
}

#[test]
fn after_the_end_nothing_moves() {
    let mut rig = Rig::answered();
    rig.tell(CallInput::Drain);
    assert_eq!((rig.ended(), rig.last_spoken()), (None, Failure::Stopping.line()));
    rig.agent_finishes();
    assert_eq!(rig.ended(), Some(EndClass::Drained));
    let done = rig.done.len();
    rig.tell(CallInput::Digit('1', MediaTime(0)));
    rig.pass(500, true);
    assert_eq!(rig.done.len(), done);
    assert!(!rig.done.iter().any(|a| matches!(a, CallAction::Listen(Expectation::Name))));
}

#[test]
fn a_transcript_that_comes_after_a_key_belongs_to_no_later_turn() {
    let mut rig = Rig::answered();
    rig.reach_read_back();
    rig.caller_speaks();
    rig.tell(CallInput::Digit('2', MediaTime(rig.now_ms * 8)));
    assert!(rig.last_spoken().contains("change"), "{}", rig.last_spoken());
    rig.recognised("yes");
    assert_eq!(rig.submitted(), 0, "the key has answered already");
    rig.agent_finishes();
    rig.caller_says("without deals");
    assert_eq!(rig.heard().last(), Some(&"without deals"));
}

#[test]
fn a_transcript_that_comes_too_late_belongs_to_no_later_turn() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.caller_speaks();
    let before = rig.spoken();
    rig.wait_for(|rig| rig.spoken() > before);
    rig.recognised("i need a website");
    rig.agent_finishes();
    rig.caller_says("i need a crm with contacts and deals");
    assert_eq!(rig.heard(), ["", "i need a crm with contacts and deals"]);
}

#[test]
fn a_murmur_while_the_agent_speaks_is_no_part_of_the_answer() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.caller_says("i need a crm with contacts and deals");
    rig.tell(CallInput::FirstAudible(rig.utterance, rig.tick()));
    rig.pass(64, true);
    rig.pass(2000, false);
    rig.recognised("no"); // nobody asked: the recogniser ended it by itself
    rig.agent_finishes();
    rig.caller_says("yes");
    assert_eq!(rig.heard().last(), Some(&"yes"));
    assert_eq!(rig.submitted(), 1);
}

#[test]
fn a_turn_in_two_parts_is_one_answer_whenever_the_first_part_is_recognised() {
    for late in [false, true] {
        let mut rig = Rig::answered();
        rig.agent_finishes();
        rig.caller_speaks();
        let first = MediaTime(rig.last_voiced_ms * 8);
        let part = CallInput::Final {
            text: "i need a crm".to_owned(),
            confidence: 0.9,
            alternatives: Vec::new(),
            ended: first,
        };
        rig.pass(320, true);
        if !late {
            rig.tell(part.clone());
        }
        rig.caller_speaks();
        if late {
            rig.tell(part);
            assert!(rig.heard().is_empty(), "half a turn is not answered");
        }
        rig.recognised("with contacts and deals");
        assert_eq!(rig.heard(), ["i need a crm with contacts and deals"], "late: {late}");
    }
}

#[test]
fn noise_after_the_end_of_a_turn_delays_no_answer() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.caller_speaks();
    let ended = MediaTime(rig.last_voiced_ms * 8);
    rig.pass(320, false);
    rig.pass(32, true);
    rig.tell(CallInput::Final {
        text: "i need a crm with contacts and deals".to_owned(),
        confidence: 0.9,
        alternatives: Vec::new(),
        ended,
    });
    assert_eq!(rig.heard().len(), 1);
}

#[test]
fn a_yes_and_a_pause_too_long_keep_the_confidence_of_the_yes() {
    let mut rig = Rig::answered();
    rig.reach_read_back();
    rig.caller_speaks();
    rig.pass(96, true);
    let ended = MediaTime((rig.last_voiced_ms - 500) * 8);
    rig.tell(CallInput::Final { text: "yes".to_owned(), confidence: 0.95, alternatives: Vec::new(), ended });
    rig.caller_speaks();
    rig.tell(CallInput::Final {
        text: String::new(),
        confidence: 0.0,
        alternatives: Vec::new(),
        ended: MediaTime(rig.now_ms * 8),
    });
    assert_eq!(rig.submitted(), 1);
}

#[test]
fn who_interrupts_the_goodbye_with_words_goes_on_talking() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.caller_says("goodbye");
    let goodbye = rig.utterance;
    rig.tell(CallInput::FirstAudible(goodbye, rig.tick()));
    rig.pass(160, true);
    rig.flushed(1, Some(goodbye), 1_600);
    rig.caller_says("how is the crm");
    assert_eq!(rig.ended(), None, "the question is answered first");
    rig.found(AppFacts { name: "CRM".to_owned(), ..AppFacts::default() });
    rig.agent_finishes();
    assert_eq!(rig.ended(), None);
    rig.caller_says("goodbye");
    rig.agent_finishes();
    assert_eq!(rig.ended(), Some(EndClass::AgentHungUp));
}

#[test]
fn a_noise_over_the_goodbye_holds_nobody_on_the_line() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.caller_says("goodbye");
    let goodbye = rig.utterance;
    rig.tell(CallInput::FirstAudible(goodbye, rig.tick()));
    rig.pass(160, true);
    rig.flushed(1, Some(goodbye), 1_600);
    rig.caller_says("");
    assert_eq!(rig.ended(), Some(EndClass::AgentHungUp));
}

#[test]
fn facts_wait_until_the_caller_has_finished() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    rig.caller_says("how is the crm");
    rig.pass(320, true);
    let spoken = rig.spoken();
    rig.found(AppFacts { name: "CRM".to_owned(), deployed: true, ..AppFacts::default() });
    assert_eq!(rig.spoken(), spoken, "nobody is talked over");
    rig.caller_says("thank you");
    rig.agent_finishes();
    assert!(rig.last_spoken().starts_with("Deployed"), "{}", rig.last_spoken());
}

#[test]
fn news_that_came_during_a_noise_are_told_after_it() {
    let mut rig = Rig::answered();
    rig.reach_read_back();
    rig.caller_says("yes");
    rig.tell(CallInput::BuildAccepted("build_1".to_owned()));
    rig.agent_finishes();
    rig.pass(160, true);
    let live = Outcome::Live { url: "http://127.0.0.1:8100/".to_owned(), app: "crm".to_owned() };
    rig.tell(CallInput::Build(update(BuildStage::Live, Some(live))));
    rig.caller_says("");
    assert!(rig.last_spoken().contains("is live"), "{}", rig.last_spoken());
}

#[test]
fn two_keys_in_a_row_keep_both_accounts() {
    let mut rig = Rig::answered();
    let first = rig.utterance;
    rig.tell(CallInput::FirstAudible(first, rig.tick()));
    rig.tell(CallInput::Played { utterance: first, samples: 8_000, end: false });
    let word = |word: &str, end_ms| WordTime { word: word.to_owned(), start_ms: 0, end_ms };
    rig.tell(CallInput::Spoken { utterance: first, words: vec![word("Hello,", 300), word("this", 5000)] });
    rig.tell(CallInput::Digit('7', MediaTime(rig.now_ms * 8)));
    let second = rig.utterance;
    rig.now_ms += 100;
    rig.tell(CallInput::Digit('7', MediaTime(rig.now_ms * 8)));
    rig.flushed(1, Some(first), 8_000);
    rig.flushed(2, None, 0);
    assert_eq!(rig.cuts(), ["Hello,", ""]);
    assert_ne!(first, second);
}

#[test]
fn what_was_being_said_when_the_caller_hung_up_is_in_the_transcript() {
    let mut rig = Rig::answered();
    let utterance = rig.utterance;
    let words = vec![WordTime { word: "Hello,".to_owned(), start_ms: 0, end_ms: 300 }];
    rig.tell(CallInput::Spoken { utterance, words });
    rig.tell(CallInput::Played { utterance, samples: 8_000, end: false });
    rig.tell(CallInput::Over);
    let said = rig.done.iter().find_map(|a| if let CallAction::Note(said) = a { Some(said.clone()) } else { None });
    assert_eq!(said.expect("a turn of the agent").heard.as_deref(), Some("Hello,"));
    assert_eq!(rig.ended(), None, "it has ended already");
}

#[test]
fn a_caller_on_hold_is_neither_prompted_nor_dropped() {
    let mut rig = Rig::answered();
    rig.reach_read_back();
    rig.caller_says("yes");
    rig.tell(CallInput::BuildAccepted("build_1".to_owned()));
    rig.tell(CallInput::Held(true));
    assert!(rig.machine.poll_timeout().is_none_or(|due| due.0 > 1_000_000_000_000), "what is being said waits");
    let spoken = rig.spoken();
    let live = Outcome::Live { url: "http://127.0.0.1:8100/".to_owned(), app: "crm".to_owned() };
    rig.tell(CallInput::Build(update(BuildStage::Live, Some(live))));
    rig.pass(60_000, false);
    rig.tell(CallInput::Timeout);
    assert_eq!((rig.spoken(), rig.ended()), (spoken, None));
    rig.tell(CallInput::Held(false));
    rig.agent_finishes();
    assert!(rig.last_spoken().contains("is live"), "{}", rig.last_spoken());
    rig.agent_finishes();
    rig.pass(10_000, false);
    assert!(rig.last_spoken().contains("is live"), "not prompted at once");
    assert_eq!(rig.ended(), None);
}

#[test]
fn an_idle_caller_on_hold_is_not_prompted() {
    let mut rig = Rig::answered();
    rig.agent_finishes();
    let spoken = rig.spoken();
    rig.tell(CallInput::Held(true));
    rig.pass(100_000, false);
    assert_eq!(rig.spoken(), spoken);
    rig.tell(CallInput::Held(false));
    rig.pass(12_000, false);
    assert_eq!(rig.spoken(), spoken);
    rig.pass(5_000, false);
    assert_eq!(rig.spoken(), spoken + 1);
}

#[test]
fn an_utterance_whose_end_is_never_reported_does_not_silence_the_agent() {
    let mut rig = Rig::answered();
    rig.tell(CallInput::FirstAudible(rig.utterance, rig.tick()));
    rig.now_ms = rig.machine.poll_timeout().expect("a deadline").0 / 1_000_000;
    rig.tell(CallInput::Timeout);
    assert_eq!(rig.ended(), None);
    rig.pass(16_000, false);
    assert_eq!(rig.spoken(), 2, "the caller is prompted");
}

#[test]
fn a_phone_that_sends_nothing_is_left_to_the_media_timeout() {
    let mut rig = Rig::answered();
    let mut silent = Rig {
        machine: CallMachine::new(
            Dialogue::new(Persona::named("Grace"), "conv_2"),
            TurnMachine::new(TurnConfig::default()),
        ),
        ..Rig::answered()
    };
    silent.tell(CallInput::Confirmed);
    assert!(silent.machine.poll_timeout().is_none_or(|due| due.0 > 1_000_000_000_000), "but for the longest call");
    silent.tell(CallInput::MediaTimeout);
    assert_eq!(silent.ended(), Some(EndClass::MediaTimeout));
    rig.tell(CallInput::MediaTimeout);
    assert_eq!(rig.ended(), Some(EndClass::MediaTimeout));
}

#[test]
fn nothing_is_said_or_heard_before_the_ack() {
    let mut rig = Rig::answered();
    rig.machine =
        CallMachine::new(Dialogue::new(Persona::named("Grace"), "conv_3"), TurnMachine::new(TurnConfig::default()));
    rig.done.clear();
    rig.pass(20_000, false);
    rig.pass(960, true);
    rig.pass(3_000, false);
    rig.tell(CallInput::Digit('1', MediaTime(rig.now_ms * 8)));
    assert!(rig.done.is_empty(), "{:?}", rig.done);
    rig.tell(CallInput::Confirmed);
    assert!(rig.last_spoken().contains("Grace"));
}

#[test]
fn a_flood_of_keys_is_answered_at_the_pace_of_keys() {
    let mut rig = Rig::answered();
    let spoken = rig.spoken();
    for _ in 0..1000 {
        rig.now_ms += 1;
        rig.tell(CallInput::Digit('3', MediaTime(rig.now_ms * 8)));
    }
    assert!(rig.spoken() - spoken <= 25, "{} answers in a second", rig.spoken() - spoken);
}
