//! Sounds over the agent's voice that were written down (`rehearsed_sounds`), given to the turn machine as it is now: what a
//! change of its rules does is known in a second. Purpose: development; no figure of it is published, for the voices are the
//! trainers'. Deliberately absent: audio and recogniser, so what the agent's going on would change in them.

use super::interruptions::{AGENT, at};
use callwright::id::UtteranceId;
use callwright::time::MediaTime;
use callwright::turn::{Sound, TurnConfig, TurnEvent, TurnMachine};
use serde_json::Value;
use std::path::Path;

/// Samples in a packet, and in a judgement of voice.
const PACKET: u64 = 160;
const CHUNK: u64 = 256;
/// A sound is followed for so long, samples.
const FOLLOWED: u64 = 2000 * 8;

/// What became of one sound, ms since its onset.
#[derive(Default)]
struct Outcome {
    kind: String,
    text: String,
    decided: Option<f64>,
    meant: Option<f64>,
    wavered: bool,
    silent_ms: f64,
    /// Events, and words as they were recognised.
    story: Vec<String>,
}

/// Replays what is in `file` and prints what became of it; with `TURNS_VERBOSE` also each sound that went wrong.
pub(crate) fn run(file: &Path) {
    let text = std::fs::read_to_string(file).expect("made by `-- 0 1000 0 rehearsal trace`");
    let sounds = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    let outcomes: Vec<Outcome> = sounds.map(|sound: Value| follow(&sound)).collect();
    for kind in ["interruption", "backchannel", "side talk", "noise"] {
        let these: Vec<&Outcome> = outcomes.iter().filter(|o| o.kind == kind).collect();
        let meant = kind == "interruption";
        let wrong = |o: &&&Outcome| if meant { o.meant.is_none() || o.wavered } else { o.meant.is_some() };
        let mut decided: Vec<f64> = these.iter().filter_map(|o| o.decided).collect();
        let mut silent: Vec<f64> = these.iter().filter(|o| o.meant.is_none()).map(|o| o.silent_ms).collect();
        let share = these.iter().filter(|o| o.meant.is_some()).count() as f64 / these.len().max(1) as f64;
        println!(
            "{:>4} of {kind:<12} stop the agent in {:>5.1} %, {} wrong; floor p50 {:.0}, p95 {:.0} ms; silent p50 {:.0}, p95 {:.0} ms",
            these.len(),
            100.0 * share,
            these.iter().filter(wrong).count(),
            at(&mut decided, 0.5),
            at(&mut decided, 0.95),
            at(&mut silent, 0.5),
            at(&mut silent, 0.95),
        );
        if std::env::var_os("TURNS_VERBOSE").is_some() {
            these.iter().filter(wrong).for_each(|o| println!("     {:?}: {}", o.text, o.story.join(", ")));
        }
    }
}

fn follow(sound: &Value) -> Outcome {
    let sample = |value: &Value| value.as_u64().expect("samples");
    let (onset, begins) = (sample(&sound["onset"]), sample(&sound["begins"]));
    let heard = sound["heard"].as_array().expect("what was heard");
    let text = |key: &str| sound[key].as_str().expect("text").to_owned();
    let mut outcome = Outcome { kind: text("kind"), text: text("text"), ..Outcome::default() };
    let mut machine = TurnMachine::new(TurnConfig::default());
    let (mut next, mut judged, mut silent, mut speaking) = (0, 0, false, false);
    // What was recognised of an aside that is over is no part of what comes next.
    let (mut words, mut forgotten) = (String::new(), 0);
    for fed in (PACKET..onset + FOLLOWED).step_by(PACKET as usize) {
        if !std::mem::replace(&mut speaking, fed - PACKET >= begins) && speaking {
            machine.agent_speaking(UtteranceId(1));
        }
        outcome.silent_ms += if silent { 20.0 } else { 0.0 };
        while let Some(event) = heard.get(next).filter(|event| sample(&event[1]) <= fed) {
            next += 1;
            let time = |n: usize| MediaTime(sample(&event[n]));
            let share = |n: usize| event[n].as_f64().unwrap_or(0.0) as f32;
            match event[0].as_str() {
                Some("stirs") => machine.handle_stirring(time(2), time(3)),
                Some("onset") => machine.handle_onset(time(2)),
                Some("voice") => {
                    judged = sample(&event[2]);
                    let (level_dbfs, pitched, bright_db) = (share(5), share(7), share(8));
                    let stirring = event[6] == true;
                    machine
                        .handle_sound(time(2), Sound { level_dbfs, stirring, pitched, bright_db, ..Sound::default() });
                    machine.handle_voice(time(2), event[3] == true, time(4));
                }
                Some("words") => {
                    event[2].as_str().expect("words").clone_into(&mut words);
                    let new: Vec<&str> = words.split_whitespace().skip(forgotten).collect();
                    machine.agent_has_said(&AGENT.to_lowercase(), false);
                    machine.handle_partial_to(&new.join(" "), time(3));
                    outcome.story.push(format!("{words:?}"));
                }
                _ => {}
            }
        }
        // As the ears tell of packets that complete no chunk.
        if fed % CHUNK != 0 && fed - judged < CHUNK {
            machine.handle_heard(MediaTime(fed));
        }
        let since = (fed as f64 - onset as f64) / 8.0;
        while let Some(event) = machine.poll_event() {
            let name = match event {
                TurnEvent::Duck { .. } => {
                    silent = true;
                    "silent"
                }
                TurnEvent::Floor { .. } => {
                    outcome.decided = Some(since);
                    "floor"
                }
                TurnEvent::Resume { .. } => {
                    (outcome.wavered, outcome.decided, silent) = (true, None, false);
                    "goes on"
                }
                TurnEvent::BargeIn { .. } => {
                    outcome.meant = Some(since);
                    outcome.decided.get_or_insert(since);
                    "stops"
                }
                TurnEvent::AsideOver { .. } => {
                    forgotten = words.split_whitespace().count();
                    continue;
                }
                _ => continue,
            };
            outcome.story.push(format!("{since:.0} ms {name}"));
        }
        if outcome.meant.is_some() {
            break;
        }
    }
    outcome
}
