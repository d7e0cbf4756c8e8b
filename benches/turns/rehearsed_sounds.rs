//! Sounds over the agent's voice to learn verdicts from. Purpose: what callers do while the agent speaks, followed for two
//! seconds and written down as the turn machine would get it, one sound a line of JSON; `replay` gives it to the turn machine.
//! Texts, voices and speeds are none that is measured. Deliberately absent: verdicts.

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
const FOLLOWED_MS: f64 = 2000.0;
/// The agent falls silent so long after that.
const DUCKED_AFTER_MS: f64 = 60.0;

/// A letter for the kind, and what is said.
const SAID: &str = include_str!("../../models/interruption_said.txt");

/// One sound over the agent's voice, to learn verdicts from: two of five are meant. The third value stretches it in time,
/// and with it lowers it in pitch: two voices are not many.
fn sounds(seed: u64, count: usize) -> Vec<(&'static str, Sound, f64)> {
    let said = |kind: &str| -> Vec<&'static str> {
        SAID.lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(of, _)| *of == kind)
            .map(|(_, text)| text)
            .collect()
    };
    let (meant, agreed, aside) = (said("i"), said("b"), said("s"));
    let mut random = Random::new(seed ^ 0x0dd5);
    (0..count)
        .map(|n| {
            let sound = match n % 10 {
                0..=3 => Sound::Interruption(random.pick(&meant)),
                4..=7 => Sound::Backchannel(random.pick(&agreed)),
                8 => Sound::SideTalk(random.pick(&aside)),
                _ => Sound::Noise(random.pick(&[
                    Noise::Cough,
                    Noise::Knock,
                    Noise::Keyboard,
                    Noise::Breath,
                    Noise::Laugh,
                ])),
            };
            (random.pick(&VOICES), sound, 0.84 + 0.32 * random.share())
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
        let mut over = stretched(&over, *stretch);
        soften(&mut over, &mut random);
        let heard = follow(rig, &over, &agent);
        let (kind, text) = match sound {
            Sound::Interruption(text) => ("interruption", *text),
            Sound::Backchannel(text) => ("backchannel", *text),
            Sound::SideTalk(text) => ("side talk", *text),
            _ => ("noise", ""),
        };
        json!({
            "kind": kind, "text": text, "voice": voice, "stretch": stretch, "begins": over.begins, "onset": over.onset,
            "heard": heard,
        })
        .to_string()
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

/// People do not all speak up: somewhat quieter than before, and every other one begins softly.
fn soften(over: &mut Over, random: &mut Random) {
    let (level_db, soft_db) = (-8.0 * random.share(), if random.share() < 0.5 { -16.0 * random.share() } else { 0.0 });
    for (n, sample) in over.pcm.iter_mut().skip(over.onset).enumerate() {
        let rising = (1.0 - n as f64 / (200 * PER_MS) as f64).max(0.0);
        *sample = (f64::from(*sample) * 10_f64.powf((level_db + soft_db * rising) / 20.0)) as i16;
    }
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
                SpeechEvent::Stirring { at, now, .. } => Some(json!(["stirs", call.at, at.0, now.0])),
                SpeechEvent::Onset { at, .. } => Some(json!(["onset", call.at, at.0])),
                SpeechEvent::Voice { at, voiced, last_voiced, sound, .. } => Some(json!([
                    "voice",
                    call.at,
                    at.0,
                    voiced,
                    last_voiced.0,
                    sound.level_dbfs,
                    sound.stirring,
                    sound.pitched,
                    sound.bright_db,
                ])),
                SpeechEvent::Partial { text, until, .. } => Some(json!(["words", call.at, text, until.0])),
                _ => None,
            });
        }
        if now > FOLLOWED_MS {
            break;
        }
    }
    heard
}
