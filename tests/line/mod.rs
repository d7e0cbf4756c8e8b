//! A line in virtual time: audio comes as 32 ms judgements, nothing sleeps. Purpose: one script of voice and silence for the
//! tests of turns and of interruptions. Deliberately absent: what a test expects.

#![allow(dead_code, unreachable_pub, reason = "each test uses some")]
use callwright::id::UtteranceId;
use callwright::time::MediaTime;
use callwright::turn::{Sound, TurnConfig, TurnEvent, TurnMachine};

/// A voice as loud as any, or silence.
pub fn sound(voiced: bool) -> Sound {
    let voice = Sound { level_dbfs: -20.0, pitched: 0.8, ..Sound::default() };
    if voiced { voice } else { Sound::default() }
}

/// A call whose audio is a script.
pub struct Line {
    pub machine: TurnMachine,
    pub now: MediaTime,
    pub last_voiced: MediaTime,
    pub events: Vec<TurnEvent>,
}

impl Line {
    pub fn new() -> Self {
        Self {
            machine: TurnMachine::new(TurnConfig::default()),
            now: MediaTime(0),
            last_voiced: MediaTime(0),
            events: Vec::new(),
        }
    }

    pub fn audio(&mut self, ms: u64, voiced: bool) -> &mut Self {
        for _ in 0..ms.div_ceil(32) {
            self.now = self.now.plus_ms(32);
            if voiced {
                self.last_voiced = self.now;
            }
            self.machine.handle_sound(self.now, sound(voiced));
            self.machine.handle_voice(self.now, voiced, self.last_voiced);
            self.drain();
        }
        self
    }

    pub fn voice(&mut self, ms: u64) -> &mut Self {
        self.audio(ms, true)
    }

    /// A sound that the detector takes for voice.
    pub fn sounds(&mut self, sound: Sound, ms: u64) -> &mut Self {
        for _ in 0..ms / 32 {
            self.now = self.now.plus_ms(32);
            self.last_voiced = self.now;
            self.machine.handle_sound(self.now, sound);
            self.machine.handle_voice(self.now, true, self.last_voiced);
        }
        self.drain();
        self
    }

    /// A voice to which the recogniser listens and finds no words in.
    pub fn wordless(&mut self, ms: u64) -> &mut Self {
        self.voice(224).machine.handle_partial("");
        self.voice(ms - 224)
    }

    /// Packets come up to `ms` after the last judgement.
    pub fn heard(&mut self, ms: u64) {
        self.machine.handle_heard(self.now.plus_ms(ms));
    }

    pub fn silence(&mut self, ms: u64) -> &mut Self {
        self.audio(ms, false)
    }

    pub fn agent_speaks(&mut self, utterance: u32) -> &mut Self {
        self.machine.agent_speaking(UtteranceId(utterance));
        self
    }

    pub fn drain(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            self.events.push(event);
        }
    }

    pub fn names(&mut self) -> Vec<&'static str> {
        self.drain();
        let names = self.events.iter().filter_map(|e| match e {
            TurnEvent::UserStarted { continues: false, .. } => Some("started"),
            TurnEvent::UserStarted { continues: true, .. } => Some("continued"),
            TurnEvent::Duck { .. } => Some("duck"),
            TurnEvent::Resume { .. } => Some("resume"),
            TurnEvent::Floor { .. } => Some("floor"),
            TurnEvent::BargeIn { .. } => Some("barge-in"),
            TurnEvent::EndOfTurn { .. } => Some("end"),
            TurnEvent::LikelyEnd { .. } | TurnEvent::AsideOver { .. } => None,
            TurnEvent::NoInput { .. } => Some("no input"),
        });
        names.collect()
    }

    /// Silence that the last end of turn waited for.
    pub fn waited(&self) -> u128 {
        self.events
            .iter()
            .rev()
            .find_map(|e| match e {
                TurnEvent::EndOfTurn { waited, .. } => Some(waited.as_millis()),
                _ => None,
            })
            .expect("an end of turn")
    }
}
