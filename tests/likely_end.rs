//! Answers that are prepared while it is still being waited for the end of a turn, in virtual time.

use callwright::call::machine::{CallAction, CallInput, CallMachine};
use callwright::conversation::{Dialogue, Persona};
use callwright::id::UtteranceId;
use callwright::time::{MediaTime, Tick};
use callwright::turn::{Sound, TurnConfig, TurnMachine};

/// A caller, a clock and everything that the call did.
struct Rig {
    machine: CallMachine,
    now_ms: u64,
    last_voiced_ms: u64,
    utterance: UtteranceId,
    done: Vec<CallAction>,
}

impl Rig {
    /// The greeting has been heard.
    fn greeted() -> Self {
        let (dialogue, turn) =
            (Dialogue::new(Persona::named("Grace"), "conv_1"), TurnMachine::new(TurnConfig::default()));
        let machine = CallMachine::new(dialogue, turn);
        let mut rig = Self { machine, now_ms: 1000, last_voiced_ms: 0, utterance: UtteranceId(0), done: Vec::new() };
        rig.tell(CallInput::FirstPacket);
        rig.tell(CallInput::Confirmed);
        rig.agent_finishes();
        rig
    }

    fn tell(&mut self, input: CallInput) {
        self.machine.handle(Tick(self.now_ms * 1_000_000), input);
        while let Some(action) = self.machine.poll_action() {
            if let CallAction::Speak { utterance, .. } = &action {
                self.utterance = *utterance;
            }
            self.done.push(action);
        }
    }

    fn pass(&mut self, ms: u64, voiced: bool) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.now_ms += 32;
            if voiced {
                self.last_voiced_ms = self.now_ms;
            }
            let last_voiced_tick = Tick(self.last_voiced_ms * 1_000_000);
            let (at, last_voiced) = (MediaTime(self.now_ms * 8), MediaTime(self.last_voiced_ms * 8));
            let sound = Sound { level_dbfs: if voiced { -20.0 } else { -70.0 }, ..Sound::default() };
            self.tell(CallInput::Voice { at, voiced, last_voiced, last_voiced_tick, onset_tick: None, sound });
        }
    }

    /// The agent's utterance is synthesised whole and heard whole.
    fn agent_finishes(&mut self) {
        let utterance = self.utterance;
        let words = self.said().last().map_or(Vec::new(), |text| {
            let word = |(n, word): (u32, &str)| callwright::conversation::WordTime {
                word: word.to_owned(),
                start_ms: n * 10,
                end_ms: n * 10 + 10,
            };
            (0..).zip(text.split_whitespace()).map(word).collect()
        });
        self.tell(CallInput::SpeakStarted(utterance));
        self.tell(CallInput::Spoken { utterance, words });
        self.tell(CallInput::FirstAudible(utterance, Tick(self.now_ms * 1_000_000)));
        self.pass(640, false);
        self.tell(CallInput::Played { utterance, samples: 16_000, end: true });
    }

    /// The caller says something and pauses; the end-of-turn model takes it for the end.
    fn caller_pauses_after(&mut self, text: &str) {
        self.pass(960, true);
        self.tell(CallInput::Partial(text.to_owned(), MediaTime(self.now_ms * 8)));
        self.pass(128, false);
        self.tell(CallInput::EndOfTurn { at: MediaTime(self.now_ms * 8), probability: 0.97 });
        self.pass(64, false);
    }

    /// The pause lasts until the turn is over, and the recogniser delivers.
    fn turn_ends(&mut self, text: &str) {
        let before = self.count(|a| matches!(a, CallAction::Finalize));
        while self.count(|a| matches!(a, CallAction::Finalize)) == before {
            self.pass(32, false);
            assert!(self.now_ms - self.last_voiced_ms <= 3_100, "no end of turn within three seconds");
        }
        let (text, ended) = (text.to_owned(), MediaTime(self.last_voiced_ms * 8));
        self.tell(CallInput::Final { text, confidence: 0.95, alternatives: Vec::new(), ended });
    }

    fn count(&self, is: impl Fn(&CallAction) -> bool) -> usize {
        self.done.iter().filter(|a| is(a)).count()
    }

    fn said(&self) -> Vec<&str> {
        self.done
            .iter()
            .filter_map(|a| if let CallAction::Speak { text, .. } = a { Some(&**text) } else { None })
            .collect()
    }

    fn prepared(&self) -> Vec<&str> {
        self.done.iter().filter_map(|a| if let CallAction::Prepare(text) = a { Some(&**text) } else { None }).collect()
    }

    fn submitted(&self) -> usize {
        self.count(|a| matches!(a, CallAction::Submit(_)))
    }
}

const ORDER: &str = "build me a crm with contacts and deals";

#[test]
fn the_likely_answer_is_prepared_in_the_pause_and_is_the_answer_that_is_given() {
    let mut rig = Rig::greeted();
    let before = rig.said().len();
    rig.caller_pauses_after(ORDER);
    assert_eq!((rig.prepared().len(), rig.said().len()), (1, before), "prepared, and nothing said");
    assert_eq!(rig.count(|a| matches!(a, CallAction::Finalize)), 0, "the turn is not over yet");
    rig.turn_ends(ORDER);
    assert_eq!(rig.said().len(), before + 1);
    assert_eq!(rig.prepared(), [rig.said()[before]]);
}

#[test]
fn what_was_prepared_for_a_caller_who_goes_on_was_neither_said_nor_done() {
    let mut rig = Rig::greeted();
    rig.caller_pauses_after(ORDER);
    rig.turn_ends(ORDER);
    rig.agent_finishes();
    let (said, prepared) = (rig.said().len(), rig.prepared().len());
    rig.caller_pauses_after("yes");
    assert_eq!(rig.prepared().len(), prepared + 1, "the answer to a yes is on its way");
    assert_eq!((rig.submitted(), rig.said().len()), (0, said), "and the yes has done nothing");
    // "yes… but leave out the deals": the dialogue is where it was.
    rig.pass(960, true);
    rig.tell(CallInput::Partial("yes but leave out the deals".to_owned(), MediaTime(rig.now_ms * 8)));
    rig.turn_ends("yes but leave out the deals");
    assert_eq!(rig.submitted(), 0, "{:?}", rig.said().last());
    rig.agent_finishes();
    rig.caller_pauses_after("yes");
    rig.turn_ends("yes");
    assert_eq!(rig.submitted(), 1, "once, at the end that was confirmed: {:?}", rig.said().last());
}
