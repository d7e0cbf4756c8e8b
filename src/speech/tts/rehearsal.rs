//! One text through the very path of a call, without the call: for an operator who wants to hear a voice or a lexicon
//! entry. Any thread that may wait. Deliberately absent: playing it (the command line writes a file).

use super::super::event::SpeechEvent;
use super::super::normalise::{Reading, normalise_as};
use super::mouth::{LOCAL, Manner, MouthCommand, MouthError, start};
use super::source::VoiceSource;
use crate::conversation::WordTime;
use crate::id::{CallId, Generation, UtteranceId};
use crate::limits::{CALL_EVENTS_MAX, OUTBOUND_RING_FRAMES};
use crate::media::OutFrame;
use ringbuf::HeapRb;
use ringbuf::traits::{Consumer, Split};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A voice that brings nothing for this long never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a caller would have heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// 8 kHz.
    pub samples: Vec<i16>,
    /// The written words with their times.
    pub words: Vec<WordTime>,
    /// Each written word as it is said.
    pub said: Vec<(String, String)>,
    /// Until the first audio was there.
    pub first_audio: Duration,
}

/// Speaks a text as an agent would on the line.
///
/// # Errors
/// In words: what failed.
pub(in crate::speech) fn rehearse_with(source: VoiceSource, reading: Reading, text: &str) -> Result<Rehearsal, String> {
    let said = normalise_as(text, &reading).into_iter().map(|word| (word.written, word.spoken)).collect();
    let mouth = start(vec![source], 1).map_err(|error: MouthError| error.to_string())?;
    let (outbound, mut ring) = HeapRb::<OutFrame>::new(OUTBOUND_RING_FRAMES).split();
    let (events, mut told) = mpsc::channel(CALL_EVENTS_MAX);
    let call = CallId(1);
    let manner = Manner { voice: LOCAL, reading: Arc::new(reading) };
    let attach = MouthCommand::Attach { call, outbound, events, generation: Arc::new(AtomicU32::new(0)), manner };
    let asked = Instant::now();
    let speak = MouthCommand::Speak {
        call,
        utterance: UtteranceId(1),
        generation: Generation(0),
        text: text.to_owned(),
        ahead: false,
        asked,
    };
    for command in [attach, speak] {
        mouth.commands.send(command).map_err(|_| "the voice's thread has ended; see the log".to_owned())?;
    }
    let mut heard = Rehearsal { samples: Vec::new(), words: Vec::new(), said, first_audio: Duration::ZERO };
    let mut failure = None;
    let mut last = Instant::now();
    let mut ended = false;
    while !ended && last.elapsed() < PATIENCE {
        while let Some(frame) = ring.try_pop() {
            heard.samples.extend_from_slice(frame.samples());
            ended |= frame.end;
            last = Instant::now();
        }
        while let Ok(event) = told.try_recv() {
            match event {
                SpeechEvent::Spoken { words, .. } => heard.words = words,
                SpeechEvent::SpeakStarted { took, .. } => heard.first_audio = took,
                SpeechEvent::Failed { what, .. } => failure = Some(what),
                _ => {}
            }
        }
        if !ended {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let _ = mouth.commands.send(MouthCommand::Stop);
    for thread in mouth.threads {
        // A thread that panicked has said so.
        let _ = thread.join();
    }
    match failure {
        Some(what) => Err(what),
        None if !ended => Err(format!("the voice brought nothing for {} s", PATIENCE.as_secs())),
        None => Ok(heard),
    }
}
