//! Sounds over the agent's voice to learn verdicts from. Purpose: what callers do while the agent speaks, followed for a
//! second and written down as the turn machine would get it, one sound a line of JSON; `models/interruption.py` learns from
//! it. Texts, voices and speeds are none that is measured. Deliberately absent: verdicts.

use super::audio::{self, Over, PER_MS, Studio};
use super::corpus::{Noise, Random, Sound};
use super::ears::Rig;
use super::interruptions::{AGENT, Agent, FRAME};
use super::{SEED, on_lanes};
use callwright::speech::SpeechEvent;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Mutex;

const VOICES: [&str; 2] = ["rms", "slt"];
/// A sound is followed for so long after its beginning.
const FOLLOWED_MS: f64 = 1100.0;
/// The agent falls silent so long after that.
const DUCKED_AFTER_MS: f64 = 60.0;

const INTERRUPTIONS: &[&str] = &[
    "just a second",
    "no not that",
    "wait",
    "stop it please",
    "what did you say",
    "but i need invoices",
    "hang on a minute",
    "excuse me",
    "i would rather have tasks",
    "actually i changed my mind",
    "when can i see it",
    "you got that wrong",
    "one more thing",
    "listen to me",
    "make it simpler",
    "can you hear me",
    "who is this",
    "i do not want that",
    "we need a calendar",
    "take out the tasks",
    "please do not do that",
    "there is something else",
    "how much does it cost",
    "my name is spelled differently",
    "could we start again",
    "that was not right",
    "sorry what was that",
    "hello are you there",
    "let us leave it",
    "the leads should come first",
    "and add a search",
    "give me a moment",
    "is it ready",
    "show me the orders",
    "no wait",
    "cancel that",
    "you forgot the suppliers",
    "will it work on a phone",
    "tell me the price first",
    "put me through to somebody",
];
const BACKCHANNELS: &[&str] = &[
    "yep",
    "mhm",
    "yeah yeah",
    "okay good",
    "i know",
    "right right",
    "ah okay",
    "fine",
    "great",
    "aha",
    "yes yes",
    "cool",
    "perfect",
    "exactly",
    "of course",
    "hm",
    "oh",
    "true",
    "very good",
    "all right then",
    "ah",
    "sounds good",
    "really",
    "wow",
    "nice",
    "um",
    "correct",
    "oh yes",
    "hm okay",
    "uh yeah",
    "~mm",
    "~mm",
    "~mm-hm",
    "~mm-hm",
    "~hm",
    "~hm",
];
const SIDE_TALK: &[&str] = &[
    "dinner is ready",
    "have you seen my keys",
    "turn that down please",
    "i will be there in a minute",
    "the dog needs a walk",
    "where is the remote",
];

/// One sound over the agent's voice, to learn verdicts from: two of five are meant. The third value stretches it in time,
/// and with it lowers it in pitch: two voices are not many.
fn sounds(seed: u64, count: usize) -> Vec<(&'static str, Sound, f64)> {
    let mut random = Random::new(seed ^ 0x0dd5);
    (0..count)
        .map(|n| {
            let sound = match n % 10 {
                0..=3 => Sound::Interruption(random.pick(INTERRUPTIONS)),
                4..=7 => Sound::Backchannel(random.pick(BACKCHANNELS)),
                8 => Sound::SideTalk(random.pick(SIDE_TALK)),
                _ => Sound::Noise(random.pick(&[Noise::Cough, Noise::Knock, Noise::Keyboard, Noise::Breath])),
            };
            (random.pick(&VOICES), sound, 0.85 + 0.3 * random.share())
        })
        .collect()
}

/// Follows so many sounds and writes what was heard of each to `file`.
pub(crate) fn write(rig: &Rig, count: usize, file: &Path) {
    let studio = Mutex::new(Studio::new());
    let agent = studio.lock().expect("alone").say("slt", AGENT).0;
    let lines = on_lanes("sounds to learn from", 2, &sounds(SEED, count), |n, (voice, sound, stretch)| {
        let mut random = Random::new(SEED + 131 * n as u64);
        let over = studio.lock().expect("no lane panicked").sound(voice, *sound, agent.len(), &mut random);
        let heard = follow(rig, &stretched(&over, *stretch), &agent);
        let (kind, text) = match sound {
            Sound::Interruption(text) => ("interruption", *text),
            Sound::Backchannel(text) => ("backchannel", *text),
            Sound::SideTalk(text) => ("side talk", *text),
            _ => ("noise", ""),
        };
        json!({ "kind": kind, "text": text, "voice": voice, "stretch": stretch, "heard": heard }).to_string()
    });
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("target/bench");
    std::fs::write(file, lines.join("\n") + "\n").expect("what was heard is written");
}

/// Slower and lower, or faster and higher.
fn stretched(over: &Over, by: f64) -> Over {
    let at = |sample: usize| (sample as f64 * by) as usize;
    let pcm = (0..at(over.pcm.len()).saturating_sub(2))
        .map(|n| {
            let from = n as f64 / by;
            let (n, share) = (from as usize, from.fract());
            let next = over.pcm.get(n + 1).copied().unwrap_or(0);
            (f64::from(over.pcm[n]) * (1.0 - share) + f64::from(next) * share) as i16
        })
        .collect();
    Over { begins: at(over.begins), onset: at(over.onset), echo: over.echo, pcm }
}

fn follow(rig: &Rig, over: &Over, agent: &[i16]) -> Vec<Value> {
    let mut call = rig.followed_call();
    let mut playout = Agent::new(agent);
    let (mut heard, mut ended) = (Vec::new(), false);
    for (n, frame) in over.pcm.chunks(FRAME).enumerate() {
        let from = n * FRAME;
        let since = |at: u64| (at as f64 - over.onset as f64) / PER_MS as f64;
        if from >= over.begins && !std::mem::replace(&mut ended, from >= over.begins) {
            // What the caller said before the agent spoke.
            call.lane.finalize();
        }
        playout.speaking = from >= over.begins;
        if since(from as u64) >= DUCKED_AFTER_MS && !playout.ducked {
            playout.duck(true);
        }
        playout.frame();
        let mut pcm = frame.to_vec();
        audio::through_g711(&mut pcm);
        call.feed_said(&pcm, playout.said);
        call.settle();
        let now = since(call.at);
        call.drain();
        for event in call.seen.drain(..) {
            heard.extend(match event {
                _ if now < -400.0 => None,
                SpeechEvent::Stirring { at, .. } => Some(json!({ "ms": now, "stirs": since(at.0) })),
                SpeechEvent::Onset { at, .. } => Some(json!({ "ms": now, "onset": since(at.0) })),
                SpeechEvent::Voice { at, voiced, last_voiced, sound, .. } => Some(json!({
                    "ms": now, "at": since(at.0), "voiced": voiced, "last_voiced": since(last_voiced.0),
                    "dbfs": sound.level_dbfs, "stirring": sound.stirring, "pitched": sound.pitched,
                })),
                SpeechEvent::Partial { text, until, .. } => {
                    Some(json!({ "ms": now, "words": text, "until": since(until.0) }))
                }
                _ => None,
            });
        }
        if now > FOLLOWED_MS {
            break;
        }
    }
    heard
}
