//! The threads that synthesise. Purpose: each holds every voice and speaks one clause at a time, so that a slow engine
//! holds up one clause of one call. Owning threads: "voice-N". Invariants: audio is handed on within [`BATCH_TIME`] of being
//! made; a clause that nobody wants any more ends within 16 ms of audio (where its engine can be stopped); a voice that
//! fails is told of, and the mouth has another say what is left. Deliberately absent: lanes, rings, cache (`mouth`).

use super::lane::Piece;
use super::source::VoiceSource;
use super::voice::{Ending, Rendered, Voice};
use crate::id::{CallId, Generation};
use crossbeam_channel::{Receiver, Sender};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Audio is handed on in pieces of this many samples (100 ms) …
const BATCH_SAMPLES: usize = 800;
/// … or after this time; the first of a clause at once.
const BATCH_TIME: Duration = Duration::from_millis(10);

/// One clause to speak.
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) piece: Piece,
    pub(super) voice: usize,
    /// The call that waits for it, its oldest generation of worth, and the clause's own. None: nobody waits, it is for the
    /// cache.
    pub(super) call: Option<(CallId, Arc<AtomicU32>, Generation)>,
}

/// What a seat tells the mouth.
pub(super) enum Voiced {
    /// More audio of a clause that somebody waits for.
    Samples { call: CallId, job: u64, samples: Vec<i16> },
    /// A clause is over, and the seat free.
    Done {
        seat: usize,
        job: u64,
        call: Option<CallId>,
        piece: Piece,
        /// Who spoke it.
        voice: usize,
        rendered: Arc<Rendered>,
        ending: Ending,
    },
}

/// A seat's voices, in the order of the sources, or why they are missing.
pub(super) type Voices = Vec<Result<Voice, String>>;

/// Makes every voice. An engine's panic while it is made costs that voice.
pub(super) fn open(sources: &[VoiceSource]) -> Voices {
    let one = |source: &VoiceSource| {
        catch_unwind(AssertUnwindSafe(|| source.open()))
            .unwrap_or_else(|_| Err(format!("{} failed while it was made ready; see the log", source.name())))
    };
    sources.iter().map(one).collect()
}

/// Speaks until the mouth is gone.
pub(super) fn run(seat: usize, mut voices: Voices, jobs: &Receiver<Job>, out: &Sender<Voiced>) {
    while let Ok(job) = jobs.recv() {
        let (rendered, ending) = speak(&mut voices, job.voice, &job, out);
        let call = job.call.map(|(call, ..)| call);
        let done = Voiced::Done {
            seat,
            job: job.number,
            call,
            piece: job.piece,
            voice: job.voice,
            rendered: Arc::new(rendered),
            ending,
        };
        if out.send(done).is_err() {
            return;
        }
    }
}

fn speak(voices: &mut Voices, voice: usize, job: &Job, out: &Sender<Voiced>) -> (Rendered, Ending) {
    let engine = match voices.get_mut(voice) {
        Some(Ok(engine)) => engine,
        Some(Err(what)) => return (Rendered::default(), Ending::Failed(what.clone())),
        None => return (Rendered::default(), Ending::Failed("there is no such voice".to_owned())),
    };
    let mut batch: Vec<i16> = Vec::new();
    let mut handed: Option<Instant> = None;
    let hand_on = |batch: &mut Vec<i16>| match &job.call {
        Some((call, ..)) if !batch.is_empty() => {
            let samples = std::mem::take(batch);
            out.send(Voiced::Samples { call: *call, job: job.number, samples }).is_ok()
        }
        _ => true,
    };
    let unwanted = || job.call.as_ref().is_some_and(|(_, oldest, mine)| oldest.load(Ordering::Acquire) > mine.0);
    let spoken = catch_unwind(AssertUnwindSafe(|| {
        engine.render_unless(&job.piece.clause, &unwanted, &mut |samples| {
            if job.call.is_none() {
                return ControlFlow::Continue(());
            }
            if unwanted() {
                return ControlFlow::Break(());
            }
            batch.extend_from_slice(samples);
            let due = batch.len() >= BATCH_SAMPLES || handed.is_none_or(|at| at.elapsed() >= BATCH_TIME);
            if due {
                handed = Some(Instant::now());
                if !hand_on(&mut batch) {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })
    }));
    match spoken {
        Ok((rendered, ending)) => {
            hand_on(&mut batch);
            (rendered, ending)
        }
        // What came before the panic has been heard; nothing is known of its words.
        Err(_) => {
            let heard = if handed.is_some() { vec![0] } else { Vec::new() };
            let what = "the voice's engine failed; see the log".to_owned();
            (Rendered { samples: heard, words: Vec::new() }, Ending::Failed(what))
        }
    }
}
