//! One call from the answer to the end: line, ear and script together. Purpose: the loop that lets each of them do its
//! part, 100 times a second. Owner: the command's task. Invariant: whatever ends the loop, the recording comes back.
//! Deliberately absent: what to do next (`act`), what it all amounted to (`report`).

use std::collections::BTreeMap;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::act::{Actor, Deed, Outcome};
use super::ear::{Ear, EarError, Frame, Piece, listen};
use super::line::Recorded;
use super::live::{Live, Said};
use super::phone::{Phone, PhoneEvent};
use super::score::{Part, PartKind};
use super::script::{Action, Step};
use super::stream::Job;
use crate::limits::DIAL_PIECES_MAX;
use crate::os::clock;

/// How often script and ear are looked after.
const TURN: Duration = Duration::from_millis(10);

/// What happens when all steps are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// We hang up.
    HangUp,
    /// We stay until the call has lasted its length.
    Stay,
}

/// What is to be performed.
#[derive(Debug)]
pub struct Piecework {
    /// Steps.
    pub steps: Vec<Step>,
    /// What to send in a step, by its index.
    pub jobs: BTreeMap<usize, Job>,
    /// Needed when a step expects words.
    pub ear: Option<Ear>,
    /// Then.
    pub afterwards: Afterwards,
    /// The call is ended when it has lasted this long; steps that are not done by then have failed.
    pub length: Duration,
    /// Print nothing.
    pub quiet: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Performed {
    /// Both directions.
    pub recorded: Recorded,
    /// All steps.
    pub steps: Vec<Step>,
    /// How they went, as far as they were reached.
    pub outcomes: Vec<Outcome>,
    /// What the caller sent.
    pub parts: Vec<Part>,
    /// Who said what.
    pub transcript: Vec<Said>,
    /// Who ended the call.
    pub ended_by: String,
    /// What went wrong outside of the steps.
    pub trouble: Option<String>,
}

/// Runs an answered call to its end.
///
/// # Errors
/// A sentence when a thread of ours failed.
pub async fn conduct(mut phone: Phone, frames: Receiver<Frame>, mut work: Piecework) -> Result<Performed, String> {
    let answered = phone.answered;
    let mut live = Live::new(work.quiet, answered);
    let mut actor = Actor::new(std::mem::take(&mut work.steps), answered);
    let (piece_sender, pieces) = bounded(DIAL_PIECES_MAX);
    let ear = match work.ear.take() {
        Some(ear) => {
            let thread = std::thread::Builder::new().name("dial-ear".into());
            Some(thread.spawn(move || listen(ear, &frames, &piece_sender)).map_err(|e| format!("no thread: {e}"))?)
        }
        None => None,
    };
    let mut trouble = None;
    let presses = actor.steps().iter().any(|s| matches!(s.action, Action::Press { .. }));
    if presses && phone.agreed().telephone_event.is_none() {
        trouble = Some("the agent takes no telephone-events (RFC 4733), so digits cannot be pressed".to_owned());
    }
    let mut turns = tokio::time::interval(TURN);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let ended_by = loop {
        if trouble.is_some() {
            break "we hung up".to_owned();
        }
        tokio::select! {
            PhoneEvent::HungUp(who) = phone.next_event() => {
                actor.handle_hung_up(clock::monotonic());
                break who;
            }
            _ = &mut interrupted => {
                trouble = Some("interrupted".into());
                break "we were interrupted".into();
            }
            _ = turns.tick() => {}
        }
        trouble = hear(&pieces, &mut actor, &mut live);
        let now = clock::monotonic();
        match actor.poll(now, &phone.line().view()) {
            Some(Deed::Send { step, part }) => {
                announce(&mut live, &actor, part);
                let job = work.jobs.remove(&step).unwrap_or_else(|| Job::Audio(Vec::new()));
                trouble = phone.line().send(part, job).err();
            }
            Some(Deed::HangUp) if work.afterwards == Afterwards::HangUp => break "we hung up".into(),
            Some(Deed::HangUp) | None => {}
        }
        let failed = actor.outcomes().last().is_some_and(|o| o.failure.is_some());
        if failed {
            break "we hung up".into();
        }
        if now.since(answered) >= work.length {
            if !actor.is_done() {
                trouble = Some(format!("the call reached its {} s (--duration)", work.length.as_secs_f64()));
            }
            break "we hung up".into();
        }
    };
    live.say(clock::monotonic(), "call", &ended_by[..]);
    let recorded = phone.hang_up().await?;
    // The line is closed, so the ear comes to its end.
    if let Some(ear) = ear {
        ear.join().map_err(|_| "the ear's thread failed; please report this")?;
    }
    trouble = trouble.or(hear(&pieces, &mut actor, &mut live));
    actor.finish(recorded.ended, trouble.as_deref().unwrap_or(&ended_by));
    Ok(Performed {
        recorded,
        steps: actor.steps().to_vec(),
        outcomes: actor.outcomes().to_vec(),
        parts: actor.parts().to_vec(),
        transcript: live.into_transcript(),
        ended_by,
        trouble,
    })
}

/// Takes what the ear has recognised; returns its trouble.
fn hear(pieces: &Receiver<Result<Piece, EarError>>, actor: &mut Actor, live: &mut Live) -> Option<String> {
    for piece in pieces.try_iter() {
        match piece {
            Ok(piece) => {
                let shown = [&piece.text, &piece.also].into_iter().find(|text| !text.is_empty());
                live.say(piece.from, "agent", shown.map_or("(no words)", |text| &text[..]));
                if shown.is_some() {
                    actor.handle_words(piece.from, &piece.text);
                    actor.handle_other_reading(piece.from, &piece.also);
                }
            }
            Err(error) => return Some(format!("the ear failed: {error}")),
        }
    }
    None
}

fn announce(live: &mut Live, actor: &Actor, part: u32) {
    let Some(part) = usize::try_from(part).ok().and_then(|n| actor.parts().get(n.checked_sub(1)?)) else { return };
    let text = match part.kind {
        PartKind::Say => part.content.clone(),
        PartKind::Play => format!("[plays {}]", part.content),
        PartKind::Press => format!("[presses {}]", part.content),
    };
    let text = if part.interrupts { format!("(interrupting) {text}") } else { text };
    live.say(clock::monotonic(), "caller", text);
}
