//! A caller's script. Purpose: TOML → checked steps, with `${NAME}` filled in from the command line. Pure, any thread.
//! Invariants: unknown keys are refused; a step does exactly one thing; every time is finite and bounded; filling in
//! happens after parsing, so that a value can never add a step. Deliberately absent: doing any of it (that is `act`).
//!
//! ```toml
//! voice = "rms"                                   # who speaks; the agent's own voice is refused
//! about = "what this shows"                       # for those who list scenarios
//! echo = { delay_ms = 150, level = -15 }          # the caller's speaker returns the agent's voice
//! phrases = ["one moment please"]                 # more that the agent may say: helps the ear, is not required
//! [pronounce]                                     # CMU phones of words that no dictionary has
//! callwright = "K AO L R AY T"
//!
//! [[step]]
//! label = "greeting"
//! expect = ["how can i help"]                     # all of these; "a|b" means either; [] means anything
//! timeout = 10                                    # seconds, default 20
//! [[step]]
//! say = "I need a C R M with contacts and deals"  # once the agent was quiet for 0.5 s
//! [[step]]
//! expect = ["is that right"]
//! [[step]]
//! press = "1"
//! [[step]]
//! expect = ["${RECORDS} records"]                 # --set RECORDS=7: hears "seven records"
//! [[step]]
//! say = "stop"
//! interrupt_after = 0.8                           # into the agent's next speech: barge in
//! agent = "stops"                                 # judged on the wire; or "goes_on"
//! [[step]]
//! sound = "cough"                                 # or knock, keys, breath, fan, babble
//! level = -6                                      # dB louder (quieter) than usual; also of say and play
//! interrupt_after = 0.8
//! [[step]]
//! say = "with [0.9] contacts"                     # a pause of 0.9 s
//! [[step]]
//! hang_up = true
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::noise::Noise;
use super::react::Reaction;
use super::stream::EchoPath;
use crate::limits;

/// The agent's own voice: a caller that spoke with it would test the agent against itself.
const AGENT_VOICE: &str = "slt";
const EXPECT_TIMEOUT: Duration = Duration::from_secs(20);
const LONGEST: f64 = 3600.0;

/// What is wrong with a script; the operator's to mend.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScriptError {
    /// Not TOML, an unknown key or a value of the wrong type.
    #[error("the script cannot be read: {0}")]
    Syntax(String),
    /// A step that does nothing, two things, or something impossible.
    #[error("step {step}{}: {what}", label.as_ref().map(|l| format!(" ({l})")).unwrap_or_default())]
    Step {
        /// Counted from 1.
        step: usize,
        /// The step's label, when it has one.
        label: Option<String>,
        /// What to change.
        what: String,
    },
    /// Something outside the steps.
    #[error("{0}")]
    Script(String),
}

/// A checked script.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Script {
    /// What it shows, in a sentence.
    pub about: Option<String>,
    /// The way by which the agent's voice comes back to it.
    pub echo: Option<EchoPath>,
    /// Name of the voice that speaks, when the script sets one.
    pub voice: Option<String>,
    /// Further sentences that the agent may say.
    pub phrases: Vec<String>,
    /// Word → CMU phones.
    pub pronounce: BTreeMap<String, String>,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Shown in the transcript and the report.
    pub label: Option<String>,
    /// The one thing that it does.
    pub action: Action,
    /// What the agent should do meanwhile.
    pub reaction: Option<Reaction>,
    /// Louder or quieter than usual, dB.
    pub level_db: f32,
}

impl Step {
    /// A step that nothing more is said about.
    pub const fn bare(action: Action) -> Self {
        Self { label: None, action, reaction: None, level_db: 0.0 }
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Waits until the agent has said all of these.
    Expect {
        /// Phrases; `a|b` means either.
        phrases: Vec<String>,
        /// From the start of the step.
        timeout: Duration,
    },
    /// Speaks.
    Say {
        /// What is said.
        text: String,
        /// When.
        entry: Entry,
    },
    /// Plays a WAV file.
    Play {
        /// Any integer PCM WAV; mono or the mean of its channels.
        file: PathBuf,
        /// When.
        entry: Entry,
    },
    /// Makes a noise.
    Sound {
        /// Which.
        noise: Noise,
        /// When.
        entry: Entry,
    },
    /// Sends these digits as telephone-events.
    Press {
        /// Of `0-9*#A-D`.
        digits: String,
    },
    /// Does nothing for a time.
    Wait {
        /// That time.
        time: Duration,
    },
    /// Ends the call.
    HangUp,
}

/// When the caller starts to speak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entry {
    /// After the agent was quiet for this long.
    Quiet {
        /// Quiet needed.
        quiet: Duration,
        /// Fails when the agent is not quiet within this.
        patience: Duration,
    },
    /// This long after the agent began to speak: barge-in.
    Interrupt {
        /// From the agent's first audible sample.
        after: Duration,
        /// Fails when the agent does not speak within this.
        patience: Duration,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    about: Option<String>,
    echo: Option<RawEcho>,
    voice: Option<String>,
    #[serde(default)]
    phrases: Vec<String>,
    #[serde(default)]
    pronounce: BTreeMap<String, String>,
    #[serde(default)]
    step: Vec<RawStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEcho {
    delay_ms: u32,
    level: f32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    label: Option<String>,
    expect: Option<Vec<String>>,
    timeout: Option<f64>,
    say: Option<String>,
    play: Option<String>,
    sound: Option<String>,
    level: Option<f32>,
    agent: Option<String>,
    press: Option<String>,
    wait: Option<f64>,
    hang_up: Option<bool>,
    quiet: Option<f64>,
    interrupt_after: Option<f64>,
}

impl Script {
    /// Parses and checks a script. `values` fill in `${NAME}`; `$$` is a dollar sign.
    ///
    /// # Errors
    /// [`ScriptError`] names the step and what to change.
    pub fn parse(text: &str, values: &BTreeMap<String, String>) -> Result<Self, ScriptError> {
        let raw: RawScript = toml::from_str(text).map_err(|e| ScriptError::Syntax(e.to_string()))?;
        let bare = |what: String| ScriptError::Script(what);
        if raw.step.is_empty() {
            return Err(bare("the script has no [[step]]".into()));
        }
        if raw.step.len() > limits::DIAL_STEPS_MAX {
            return Err(bare(format!("the script has more than {} steps", limits::DIAL_STEPS_MAX)));
        }
        if let Some(voice) = &raw.voice {
            check_voice(voice).map_err(bare)?;
        }
        let echo = match raw.echo {
            Some(RawEcho { delay_ms: 0..=1000, level }) if (-60.0..=0.0).contains(&level) => Some(EchoPath {
                delay: Duration::from_millis(raw.echo.map_or(0, |e| e.delay_ms).into()),
                level_db: level,
            }),
            Some(_) => return Err(bare("echo: give delay_ms from 0 to 1000 and level from -60 to 0 dB".into())),
            None => None,
        };
        let phrases = raw.phrases.iter().map(|p| fill(p, values)).collect::<Result<_, _>>().map_err(bare)?;
        let mut steps = Vec::with_capacity(raw.step.len());
        for (i, step) in raw.step.into_iter().enumerate() {
            let label = step.label.clone();
            let step = step.check(values).map_err(|what| ScriptError::Step { step: i + 1, label, what })?;
            steps.push(step);
        }
        Ok(Self { about: raw.about, echo, voice: raw.voice, phrases, pronounce: raw.pronounce, steps })
    }
}

/// Refuses the agent's own voice.
///
/// # Errors
/// A sentence for the operator.
pub fn check_voice(voice: &str) -> Result<(), String> {
    if voice.is_empty() || !voice.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(format!("voice {voice:?} is not the name of a voice; rms and awb are installed by `make setup`"));
    }
    if voice == AGENT_VOICE {
        return Err(format!("voice {voice:?} is the agent's own; a caller needs another one: rms or awb"));
    }
    Ok(())
}

impl RawStep {
    fn check(self, values: &BTreeMap<String, String>) -> Result<Step, String> {
        let label = self.label.as_deref().map(|l| fill(l, values)).transpose()?;
        let timeout = self.timeout.map(|t| seconds("timeout", t)).transpose()?;
        let actions = [
            ("expect", self.expect.is_some()),
            ("say", self.say.is_some()),
            ("play", self.play.is_some()),
            ("sound", self.sound.is_some()),
            ("press", self.press.is_some()),
            ("wait", self.wait.is_some()),
            ("hang_up", self.hang_up.is_some()),
        ];
        let named: Vec<&str> = actions.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
        let [named] = named[..] else {
            return Err(if named.is_empty() {
                "does nothing; give one of expect, say, play, sound, press, wait, hang_up".into()
            } else {
                format!("does {} at once; split it into several steps", named.join(" and "))
            });
        };
        let speaks = matches!(named, "say" | "play" | "sound");
        if !speaks && (self.level.is_some() || self.agent.is_some()) {
            return Err(format!("level and agent belong to say, play and sound, not to {named}"));
        }
        let level_db = self.level.unwrap_or(0.0);
        if !(-40.0..=12.0).contains(&level_db) {
            return Err(format!("level = {level_db}: give dB from -40 to 12"));
        }
        let reaction = self.agent.as_deref().map(Reaction::parse).transpose()?;
        if !speaks && (self.quiet.is_some() || self.interrupt_after.is_some()) {
            return Err(format!("quiet and interrupt_after belong to say, play and sound, not to {named}"));
        }
        if self.timeout.is_some() && !speaks && named != "expect" {
            return Err(format!("timeout belongs to expect, say, play and sound, not to {named}"));
        }
        let patience = timeout.unwrap_or(EXPECT_TIMEOUT);
        let entry = match (self.quiet, self.interrupt_after) {
            (Some(_), Some(_)) => return Err("quiet and interrupt_after contradict each other".into()),
            (None, Some(after)) => Entry::Interrupt { after: seconds("interrupt_after", after)?, patience },
            (quiet, None) => Entry::Quiet { quiet: seconds("quiet", quiet.unwrap_or(0.5))?, patience },
        };
        let action = if let Some(phrases) = self.expect {
            let phrases = phrases.iter().map(|p| fill(p, values)).collect::<Result<Vec<_>, _>>()?;
            Action::Expect { phrases, timeout: patience }
        } else if let Some(text) = self.say {
            let text = fill(&text, values)?;
            if text.trim().is_empty() || text.chars().count() > limits::SPOKEN_TEXT_MAX {
                return Err(format!("say needs 1 to {} characters", limits::SPOKEN_TEXT_MAX));
            }
            Action::Say { text, entry }
        } else if let Some(file) = self.play {
            Action::Play { file: fill(&file, values)?.into(), entry }
        } else if let Some(name) = self.sound {
            Action::Sound { noise: Noise::parse(&name)?, entry }
        } else if let Some(digits) = self.press {
            Action::Press { digits: check_digits(&fill(&digits, values)?)? }
        } else if let Some(time) = self.wait {
            Action::Wait { time: seconds("wait", time)? }
        } else if self.hang_up == Some(true) {
            Action::HangUp
        } else {
            return Err("hang_up = false does nothing; leave the step out".into());
        };
        if let Action::Say { text, .. } = &action {
            spoken_and_pauses(text)?;
        }
        Ok(Step { label, action, reaction, level_db })
    }
}

/// Digits as they can be sent: upper case, 1 to 64 of `0-9*#A-D`.
///
/// # Errors
/// A sentence for the operator.
pub fn check_digits(digits: &str) -> Result<String, String> {
    let digits = digits.to_ascii_uppercase();
    let known = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D'));
    if !known || digits.is_empty() || digits.len() > limits::DIAL_DIGITS_MAX {
        return Err(format!("digits {digits:?}: give 1 to {} of 0-9 * # A-D", limits::DIAL_DIGITS_MAX));
    }
    Ok(digits)
}

/// What is said, and how long the pause after it is: "with [0.9] contacts" is "with" and 0.9 s, then "contacts" and none.
///
/// # Errors
/// A sentence for the operator.
pub fn spoken_and_pauses(text: &str) -> Result<Vec<(&str, Duration)>, String> {
    let (mut parts, mut rest, mut from) = (Vec::new(), text, 0);
    while let Some(open) = rest[from..].find('[').map(|at| from + at) {
        let pause =
            rest[open + 1..].split_once(']').and_then(|(pause, after)| Some((pause.trim().parse().ok()?, after)));
        // Any other bracket is part of what is said.
        let Some((pause, after)) = pause else {
            from = open + 1;
            continue;
        };
        parts.push((rest[..open].trim(), seconds("[pause]", pause)?));
        (rest, from) = (after, 0);
    }
    parts.push((rest.trim(), Duration::ZERO));
    Ok(parts)
}

fn seconds(key: &str, value: f64) -> Result<Duration, String> {
    if (0.0..=LONGEST).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(format!("{key} = {value}: give seconds from 0 to {LONGEST}"))
    }
}

/// Replaces `${NAME}` by its value and `$$` by `$`; nothing is replaced twice.
fn fill(text: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!("{text:?} has a ${{ without a }}"));
            };
            let Some(value) = values.get(name) else {
                return Err(format!("${{{name}}} has no value; add --set {name}=…"));
            };
            out.push_str(value);
            rest = after;
        } else {
            return Err(format!("{text:?} has a single $; write $$ for a dollar sign or ${{NAME}} for a value"));
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn none() -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn parse(text: &str) -> Result<Script, ScriptError> {
        Script::parse(text, &none())
    }

    #[test]
    fn every_action_is_read() {
        let text = r##"
            voice = "awb"
            phrases = ["one moment"]
            pronounce = { callwright = "K AO L R AY T" }
            [[step]]
            label = "greeting"
            expect = ["how can i help"]
            timeout = 7.5
            [[step]]
            say = "hello"
            [[step]]
            say = "stop"
            interrupt_after = 0.8
            [[step]]
            play = "a.wav"
            quiet = 1
            [[step]]
            press = "1#a"
            [[step]]
            wait = 2
            [[step]]
            hang_up = true
        "##;
        let script = parse(text).unwrap();
        assert_eq!(script.voice.as_deref(), Some("awb"));
        assert_eq!(script.pronounce["callwright"], "K AO L R AY T");
        let actions: Vec<Action> = script.steps.iter().map(|s| s.action.clone()).collect();
        let half = Entry::Quiet { quiet: Duration::from_millis(500), patience: EXPECT_TIMEOUT };
        assert_eq!(
            actions,
            vec![
                Action::Expect { phrases: vec!["how can i help".into()], timeout: Duration::from_millis(7500) },
                Action::Say { text: "hello".into(), entry: half },
                Action::Say {
                    text: "stop".into(),
                    entry: Entry::Interrupt { after: Duration::from_millis(800), patience: EXPECT_TIMEOUT }
                },
                Action::Play {
                    file: "a.wav".into(),
                    entry: Entry::Quiet { quiet: Duration::from_secs(1), patience: EXPECT_TIMEOUT }
                },
                Action::Press { digits: "1#A".into() },
                Action::Wait { time: Duration::from_secs(2) },
                Action::HangUp,
            ]
        );
        assert_eq!(script.steps[0].label.as_deref(), Some("greeting"));
    }

    #[test]
    fn values_are_filled_in_once() {
        let values =
            BTreeMap::from([("N".to_owned(), "7".to_owned()), ("X".to_owned(), "${N}\"\n[[step]]".to_owned())]);
        let script =
            Script::parse("[[step]]\nexpect = [\"${N} records for $$5\"]\n[[step]]\nsay = \"${X}\"", &values).unwrap();
        assert_eq!(script.steps.len(), 2);
        let Action::Expect { phrases, .. } = &script.steps[0].action else { panic!("not an expect") };
        assert_eq!(phrases[0], "7 records for $5");
        let Action::Say { text, .. } = &script.steps[1].action else { panic!("not a say") };
        assert_eq!(text, "${N}\"\n[[step]]");
    }

    #[test]
    fn mistakes_name_the_step_and_the_way_out() {
        let cases = [
            ("", "no [[step]]"),
            ("[[step]]", "step 1: does nothing"),
            ("[[step]]\nsay = \"a\"\nlabel = \"x\"\npress = \"1\"", "step 1 (x): does say and press at once"),
            ("[[step]]\nshout = \"a\"", "unknown field `shout`"),
            ("nonsense = 1\n[[step]]\nwait = 1", "unknown field `nonsense`"),
            ("[[step]]\nwait = -1", "seconds from 0 to 3600"),
            ("[[step]]\nwait = nan", "seconds from 0 to 3600"),
            ("[[step]]\npress = \"x\"", "0-9 * # A-D"),
            ("[[step]]\nsay = \" \"", "1 to 2000 characters"),
            ("[[step]]\nhang_up = false", "leave the step out"),
            ("[[step]]\nwait = 1\ninterrupt_after = 1", "belong to say, play and sound"),
            ("[[step]]\npress = \"1\"\ntimeout = 1", "timeout belongs to"),
            ("[[step]]\nsay = \"a\"\nquiet = 1\ninterrupt_after = 1", "contradict"),
            ("[[step]]\nexpect = [\"${N} records\"]", "add --set N="),
            ("[[step]]\nexpect = [\"${N records\"]", "without a }"),
            ("[[step]]\nsay = \"$5\"", "write $$"),
            ("voice = \"slt\"\n[[step]]\nwait = 1", "agent's own"),
        ];
        for (text, want) in cases {
            let got = parse(text).unwrap_err().to_string();
            assert!(got.contains(want), "{text:?} said {got:?}, not {want:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,400}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_step_makes_it_panic(key in "(say|play|press|expect|wait|timeout|quiet|interrupt_after|hang_up|label)",
                                  value in "(\"[$a-z{}0-9 ]{0,20}\"|[0-9.e-]{1,8}|true|\\[\"[${}a-z]*\"\\]|nan|inf)",
                                  other in "(say = \"a\"|wait = 1|)") {
            let _ = parse(&format!("[[step]]\n{key} = {value}\n{other}\n"));
        }

        #[test]
        fn filling_in_never_panics(text in "\\PC{0,80}", name in "[A-Z]{0,3}", value in "\\PC{0,20}") {
            let _ = fill(&text, &BTreeMap::from([(name, value)]));
        }
    }
}
