//! The report: one flat JSON object and a table for people. Purpose: the same figures for machines and eyes.
//! Pure. Deliberately absent: computing them (`score`).
//!
//! Keys (all there in every report unless said; times in milliseconds unless named otherwise):
//!
//! | key | meaning |
//! |---|---|
//! | `passed`, `failure` | everything expected happened; else the first thing that did not (empty) |
//! | `target`, `codec`, `scheduling` | who was called, the codec in use, how our RTP thread was scheduled |
//! | `ringing_ms`, `answered_ms` | INVITE → 18x (null: none came), INVITE → 200 |
//! | `greeting_ms` | ACK → first audible sample (null: none) |
//! | `total_s`, `ended_by` | ACK → end, and who hung up |
//! | `turns`, `turns_answered` | what the caller said, played or pressed; how many got an answer |
//! | `response_ms_p50`, `_p99`, `_max` | last voiced sample → first audible sample (null: no turn was answered) |
//! | `turn_N_label`, `_kind`, `_content` | turn N from 1: label (null), say/play/press, words/file/digits |
//! | `turn_N_at_s`, `_response_ms` | its first voiced sample after the ACK; its response (null) |
//! | `turn_N_overlapped` | the agent talked while it ended, so there is no response |
//! | `turn_N_interrupts`, `_duck_ms`, `_stop_ms` | meant to barge in; onset → 20 dB down, → last audible sample (null) |
//! | `turn_N_heard_over_ms` | onset → last audible sample of the agent before ours; short silences between count for nothing (null) |
//! | `turn_N_resume_ms`, `_reacted_well` | onset → audible again after that (null); what the step's `agent` asks (where it does) |
//! | `barge_in_stop_ms_max` | the slowest stop among interrupting turns (null) |
//! | `packets_received`, `_lost`, `_expected`, `_duplicated`, `_reordered`, `_forged`, `_garbage` | the agent's packets |
//! | `loss_percent` | lost of expected |
//! | `lateness_ms_p50`, `_p99`, `_p999`, `_max` | arrival against the 20 ms grid |
//! | `gaps_over_20_ms`, `gaps_over_60_ms` | 20 ms slots whose audio came later than that, or never |
//! | `longest_silence_ms` | longest time without a packet |
//! | `packets_sent`, `own_lateness_ms_p99`, `_max` | our own sending against our schedule: trust in the figures |
//! | `unheard_frames` | frames that the recogniser was too slow for |
//! | `steps`, `steps_met` | of the script |
//! | `step_N_label`, `_what`, `_met`, `_at_s`, `_heard`, `_failure` | step N from 1, as far as it was reached |
//! | `transcript` | one line per utterance |

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::conduct::Performed;
use super::score::{Score, Turn};
use super::script::{Action, Step};
use crate::rtp::Formats;
use crate::time::Tick;

/// What is known about the call apart from its course.
#[derive(Debug, Clone)]
pub struct Call {
    /// URI.
    pub target: String,
    /// Codec and events.
    pub agreed: Formats,
    /// Of our RTP thread.
    pub scheduling: String,
    /// When the ACK had left.
    pub answered: Tick,
    /// INVITE → 18x.
    pub ringing_after: Option<Duration>,
    /// INVITE → 200.
    pub answered_after: Duration,
}

/// Everything about one call.
#[derive(Debug)]
pub struct Report {
    /// The call.
    pub call: Call,
    /// Its course.
    pub performed: Performed,
    /// Its figures.
    pub score: Score,
}

fn ms(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e6).round() / 1e3
}

fn opt_ms(d: Option<Duration>) -> Value {
    d.map_or(Value::Null, |d| json!(ms(d)))
}

fn round(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

impl Report {
    /// The first thing that went wrong.
    pub fn failure(&self) -> Option<String> {
        let step = self.performed.outcomes.iter().find_map(|o| {
            let label = self.performed.steps.get(o.step).and_then(|s| s.label.as_deref());
            let name = label.map_or_else(|| format!("step {}", o.step + 1), |l| format!("step {} ({l})", o.step + 1));
            o.failure.as_ref().map(|f| format!("{name}: {f}"))
        });
        step.or_else(|| self.performed.trouble.clone()).or_else(|| {
            let judged = self.reactions().find_map(|(n, turn, judged)| {
                let name = turn.part.label.as_deref().unwrap_or(&turn.part.content);
                judged.err().map(|why| format!("turn {n} ({name}): {why}"))
            });
            let unseen = self
                .performed
                .parts
                .iter()
                .find(|part| part.reaction.is_some() && !self.score.turns.iter().any(|turn| turn.part == **part));
            judged.or_else(|| unseen.map(|part| format!("{:?} was too quiet to be measured", part.content)))
        })
    }

    /// What the agent did about the turns of which the script says what it should do.
    fn reactions(&self) -> impl Iterator<Item = (usize, &Turn, Result<(), String>)> {
        let turns = (1..).zip(&self.score.turns);
        turns.filter_map(|(n, turn)| Some((n, turn, turn.part.reaction?.judge(turn))))
    }

    /// The flat object that is documented above.
    pub fn to_json(&self) -> Map<String, Value> {
        let Self { call, performed, score } = self;
        let mut o = Map::new();
        let mut put = |key: &str, value: Value| o.insert(key.to_owned(), value);
        let since = |t: Tick| round(t.since(call.answered).as_secs_f64());
        let failure = self.failure();
        put("passed", json!(failure.is_none()));
        put("failure", json!(failure.unwrap_or_default()));
        put("target", json!(call.target));
        put("codec", json!(call.agreed.send.codec.encoding_name()));
        put("scheduling", json!(call.scheduling));
        put("ringing_ms", opt_ms(call.ringing_after));
        put("answered_ms", json!(ms(call.answered_after)));
        put("greeting_ms", opt_ms(score.greeting));
        put("total_s", json!(since(performed.recorded.ended)));
        put("ended_by", json!(performed.ended_by));
        put("turns", json!(score.turns.len()));
        put("turns_answered", json!(score.response.count));
        let answered = |value: f64| if score.response.count > 0 { json!(round(value)) } else { Value::Null };
        put("response_ms_p50", answered(score.response.p50));
        put("response_ms_p99", answered(score.response.p99));
        put("response_ms_max", answered(score.response.max));
        for (n, turn) in (1..).zip(&score.turns) {
            put(&format!("turn_{n}_label"), json!(turn.part.label));
            put(&format!("turn_{n}_kind"), json!(turn.part.kind.name()));
            put(&format!("turn_{n}_content"), json!(turn.part.content));
            put(&format!("turn_{n}_at_s"), json!(since(turn.onset)));
            put(&format!("turn_{n}_response_ms"), opt_ms(turn.response));
            put(&format!("turn_{n}_overlapped"), json!(turn.overlapped));
            put(&format!("turn_{n}_interrupts"), json!(turn.part.interrupts));
            put(&format!("turn_{n}_duck_ms"), opt_ms(turn.yielded.and_then(|y| y.duck)));
            put(&format!("turn_{n}_stop_ms"), opt_ms(turn.yielded.and_then(|y| y.stop)));
            put(&format!("turn_{n}_heard_over_ms"), opt_ms(turn.heard_over));
            put(&format!("turn_{n}_resume_ms"), opt_ms(turn.yielded.and_then(|y| y.resume)));
        }
        for (n, _, judged) in self.reactions() {
            put(&format!("turn_{n}_reacted_well"), json!(judged.is_ok()));
        }
        put("barge_in_stop_ms_max", opt_ms(score.turns.iter().filter_map(stopped).max()));
        put("packets_received", json!(score.packets_received));
        put("packets_lost", json!(score.packets_lost));
        put("packets_expected", json!(score.packets_expected));
        put("packets_duplicated", json!(score.packets_duplicated));
        put("packets_reordered", json!(score.packets_reordered));
        put("packets_forged", json!(performed.recorded.forged));
        put("packets_garbage", json!(performed.recorded.strays.garbage));
        put("loss_percent", json!(round(loss_percent(score))));
        put("lateness_ms_p50", json!(round(score.lateness.p50)));
        put("lateness_ms_p99", json!(round(score.lateness.p99)));
        put("lateness_ms_p999", json!(round(score.lateness.p999)));
        put("lateness_ms_max", json!(round(score.lateness.max)));
        put("gaps_over_20_ms", json!(score.gaps_20_ms));
        put("gaps_over_60_ms", json!(score.gaps_60_ms));
        put("longest_silence_ms", json!(ms(score.longest_silence)));
        put("packets_sent", json!(score.packets_sent));
        put("own_lateness_ms_p99", json!(round(score.own_lateness.p99)));
        put("own_lateness_ms_max", json!(round(score.own_lateness.max)));
        put("unheard_frames", json!(performed.recorded.unheard));
        put("steps", json!(performed.steps.len()));
        put("steps_met", json!(self.steps_met()));
        for outcome in &performed.outcomes {
            let Some(step) = performed.steps.get(outcome.step) else { continue };
            let n = outcome.step + 1;
            put(&format!("step_{n}_label"), json!(step.label));
            put(&format!("step_{n}_what"), json!(what(step)));
            put(&format!("step_{n}_met"), json!(outcome.failure.is_none()));
            put(&format!("step_{n}_at_s"), json!(since(outcome.at)));
            put(&format!("step_{n}_heard"), json!(outcome.heard));
            put(&format!("step_{n}_failure"), json!(outcome.failure.as_deref().unwrap_or_default()));
        }
        let transcript: Vec<String> = performed.transcript.iter().map(ToString::to_string).collect();
        put("transcript", json!(transcript.join("\n")));
        o
    }

    fn steps_met(&self) -> usize {
        self.performed.outcomes.iter().filter(|o| o.failure.is_none()).count()
    }

    /// The table for people.
    pub fn to_table(&self) -> String {
        let Self { call, performed, score } = self;
        let mut t = String::from("\n");
        // Writing to a String cannot fail.
        let mut row = |name: &str, text: String| {
            let _ = writeln!(t, "{name:<10} {text}");
        };
        row(
            "call",
            format!(
                "{}, {}, answered after {:.0} ms, lasted {:.1} s, ended by: {}",
                call.target,
                call.agreed.send.codec.encoding_name(),
                ms(call.answered_after),
                performed.recorded.ended.since(call.answered).as_secs_f64(),
                performed.ended_by
            ),
        );
        let greeting = score.greeting.map_or_else(|| "none heard".into(), |d| format!("{:.0} ms after the ACK", ms(d)));
        row("greeting", greeting);
        if score.response.count > 0 {
            let r = score.response;
            row("response", format!("{} turns answered: p50 {:.0} ms, max {:.0} ms", r.count, r.p50, r.max));
        }
        for (n, turn) in (1..).zip(&score.turns) {
            row(&format!("  turn {n}"), turn_row(turn));
        }
        row(
            "agent",
            format!(
                "{} packets, {} lost ({:.2} %), {} out of order, late p50 {:.2} p99 {:.2} p99.9 {:.2} max {:.2} ms",
                score.packets_received,
                score.packets_lost,
                loss_percent(score),
                score.packets_reordered,
                score.lateness.p50,
                score.lateness.p99,
                score.lateness.p999,
                score.lateness.max
            ),
        );
        row(
            "gaps",
            format!(
                "{} slots over 20 ms, {} over 60 ms, longest time without a packet {:.0} ms",
                score.gaps_20_ms,
                score.gaps_60_ms,
                ms(score.longest_silence)
            ),
        );
        row(
            "ourselves",
            format!(
                "{} packets, late p99 {:.2} max {:.2} ms ({})",
                score.packets_sent, score.own_lateness.p99, score.own_lateness.max, call.scheduling
            ),
        );
        if !performed.steps.is_empty() {
            row("steps", format!("{} of {} done", self.steps_met(), performed.steps.len()));
        }
        match self.failure() {
            None => row("PASSED", String::new()),
            Some(why) => row("FAILED", why),
        }
        t
    }
}

fn stopped(turn: &Turn) -> Option<Duration> {
    turn.yielded.filter(|_| turn.part.interrupts).and_then(|y| y.stop)
}

fn loss_percent(score: &Score) -> f64 {
    if score.packets_expected == 0 {
        return 0.0;
    }
    100.0 * score.packets_lost as f64 / score.packets_expected as f64
}

fn turn_row(turn: &Turn) -> String {
    let name = turn.part.label.as_deref().unwrap_or(&turn.part.content);
    let mut text: String = name.chars().take(40).collect();
    match (turn.response, turn.overlapped) {
        (Some(d), _) => {
            let _ = write!(text, ": answered after {:.0} ms", ms(d));
        }
        (None, true) => text.push_str(": the agent talked over its end"),
        (None, false) => text.push_str(": no answer"),
    }
    if let Some(yielded) = turn.yielded.filter(|_| turn.part.interrupts) {
        let part = |d: Option<Duration>| d.map_or_else(|| "never".into(), |d| format!("after {:.0} ms", ms(d)));
        let _ = write!(text, ", agent ducked {}, stopped {}", part(yielded.duck), part(yielded.stop));
        if let Some(resume) = yielded.resume {
            let _ = write!(text, ", spoke again {}", part(Some(resume)));
        }
    }
    text
}

/// A step in a few words.
fn what(step: &Step) -> String {
    match &step.action {
        Action::Expect { phrases, .. } if phrases.is_empty() => "expect anything".into(),
        Action::Expect { phrases, .. } => format!("expect {}", phrases.join(" and ")),
        Action::Say { text, .. } => format!("say {text}"),
        Action::Play { file, .. } => format!("play {}", file.display()),
        Action::Sound { noise, .. } => format!("sound {}", noise.name()),
        Action::Press { digits } => format!("press {digits}"),
        Action::Wait { time } => format!("wait {} s", time.as_secs_f64()),
        Action::HangUp => "hang up".into(),
    }
}
