//! A voice that speaks elsewhere. Purpose: the mouth asks for a clause and gets samples as they arrive; a task on the
//! cloud's thread talks to the provider. Owning thread: a mouth, which waits here, but never longer than the deadline for
//! the first audio, nor longer than playing what came so far plus [`BEHIND_MAX`]. Invariants: an error before any sample
//! means that nothing was spoken; a sink that breaks ends the request at once; a clause is at most
//! `limits::PROVIDER_SPEECH_MAX` long. Deliberately absent: what providers are told (one file each), the local voice.

use super::cloud::Cloud;
use super::failure::ProviderError;
use super::gate::Gate;
use crate::limits::{PROVIDER_PIECES_MAX, PROVIDER_SPEECH_MAX};
use crate::speech::synthesiser::{Sink, Synthesiser};
use callwright_models::tts::WordTime;
use futures_util::StreamExt;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Audio may come this much later than it would be played.
const BEHIND_MAX: Duration = Duration::from_millis(1000);
/// A sink gets pieces of 20 ms, so that it can break between them.
const PIECES_PER_SECOND: usize = 50;

/// Where a provider's task puts what it receives.
pub(super) struct Spoken {
    samples: mpsc::Sender<Vec<i16>>,
    words: Arc<Mutex<Vec<WordTime>>>,
    /// Octets of a sample that was cut in two.
    odd: Option<u8>,
}

impl Spoken {
    /// 16 bit, little endian, cut anywhere.
    ///
    /// # Errors
    /// [`ProviderError::Closed`] when nobody listens any more.
    pub(super) async fn push(&mut self, octets: &[u8]) -> Result<(), ProviderError> {
        let samples = samples_of(octets, &mut self.odd);
        if samples.is_empty() {
            return Ok(());
        }
        self.samples.send(samples).await.map_err(|_| ProviderError::Closed("by us".into()))
    }

    /// The words so far, all of them.
    pub(super) fn tell(&self, words: Vec<WordTime>) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }
}

fn samples_of(octets: &[u8], odd: &mut Option<u8>) -> Vec<i16> {
    let mut samples = Vec::with_capacity(octets.len() / 2 + 1);
    let mut octets = octets;
    if let (Some(low), Some((high, rest))) = (*odd, octets.split_first()) {
        samples.push(i16::from_le_bytes([low, *high]));
        *odd = None;
        octets = rest;
    }
    let (pairs, rest) = octets.as_chunks::<2>();
    samples.extend(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
    if let [low] = rest {
        *odd = Some(*low);
    }
    samples
}

/// One clause being spoken.
pub(super) type Speaking = Pin<Box<dyn Future<Output = Result<(), ProviderError>> + Send>>;

/// A provider's way of speaking.
pub(super) trait Speaker: Send + Sync {
    /// Samples per second that it asks the provider for.
    fn sample_rate(&self) -> u32;

    /// Speaks a clause to its end.
    fn speak(self: Arc<Self>, text: String, spoken: Spoken) -> Speaking;
}

/// A provider's voice. A copy speaks beside it, through the same gate.
#[derive(Clone)]
pub(in crate::speech) struct RemoteVoice {
    cloud: Arc<Cloud>,
    speaker: Arc<dyn Speaker>,
    gate: Arc<Gate>,
    first_audio_within: Duration,
}

impl RemoteVoice {
    pub(super) fn new(
        cloud: Arc<Cloud>,
        speaker: Arc<dyn Speaker>,
        gate: Arc<Gate>,
        first_audio_within: Duration,
    ) -> Self {
        Self { cloud, speaker, gate, first_audio_within }
    }
}

/// How listening to a clause ended.
enum End {
    /// The provider closed the stream: its task says why.
    Stream,
    /// The sink broke.
    Sink,
    Failed(ProviderError),
}

impl Synthesiser for RemoteVoice {
    fn sample_rate(&self) -> u32 {
        self.speaker.sample_rate()
    }

    /// Asking costs money and time, so it is not asked before there is something to say.
    fn is_local(&self) -> bool {
        false
    }

    fn speak(&mut self, text: &str, sink: Sink<'_>) -> Result<Vec<WordTime>, String> {
        if !text.chars().any(char::is_alphanumeric) {
            return Ok(Vec::new());
        }
        let name = self.gate.provider().name();
        let said = |error: &ProviderError| format!("{name}: {}", self.gate.said(error));
        let permit = self.gate.admit().map_err(|error| said(&error))?;
        let (samples, mut pieces) = mpsc::channel(PROVIDER_PIECES_MAX);
        let words = Arc::new(Mutex::new(Vec::new()));
        let spoken = Spoken { samples, words: Arc::clone(&words), odd: None };
        self.gate.spoken(text);
        let task = self.cloud.handle().spawn(Arc::clone(&self.speaker).speak(text.to_owned(), spoken));
        let end = listen(&self.cloud, &mut pieces, self.speaker.sample_rate(), self.first_audio_within, sink);
        let outcome = match end {
            End::Stream => match self.cloud.wait(task) {
                Ok(outcome) => outcome,
                Err(_) => Err(ProviderError::Garbage("it made our reader panic".into())),
            },
            End::Sink => {
                // Dropping the request closes its connection, which is the only way to tell the provider to stop.
                task.abort();
                Ok(())
            }
            End::Failed(error) => {
                task.abort();
                Err(error)
            }
        };
        match outcome {
            Ok(()) => {
                permit.succeed();
                Ok(std::mem::take(&mut words.lock().unwrap_or_else(PoisonError::into_inner)))
            }
            Err(error) => {
                let what = said(&error);
                permit.fail(&error);
                Err(what)
            }
        }
    }
}

/// Passes on what comes until it ends, breaks or is late.
fn listen(
    cloud: &Cloud,
    pieces: &mut mpsc::Receiver<Vec<i16>>,
    sample_rate: u32,
    first_audio_within: Duration,
    sink: Sink<'_>,
) -> End {
    let mut due = Instant::now() + first_audio_within;
    let mut first_at = None;
    let mut received = 0_usize;
    let length = |samples: usize| Duration::from_secs_f64(samples as f64 / f64::from(sample_rate));
    loop {
        // Timers of the cloud's runtime: made within it.
        let piece = cloud.wait(async { timeout_at(due, pieces.recv()).await });
        let samples = match piece {
            Ok(Some(samples)) => samples,
            Ok(None) => return End::Stream,
            Err(_) if received == 0 => return End::Failed(ProviderError::Late(first_audio_within)),
            Err(_) => return End::Failed(ProviderError::Slow),
        };
        let first_at = *first_at.get_or_insert_with(Instant::now);
        received += samples.len();
        if length(received) > PROVIDER_SPEECH_MAX {
            return End::Failed(ProviderError::Oversized);
        }
        for piece in samples.chunks(sample_rate as usize / PIECES_PER_SECOND) {
            if sink(piece).is_break() {
                return End::Sink;
            }
        }
        due = first_at + length(received) + BEHIND_MAX;
    }
}

/// Passes on an answer whose body is nothing but samples.
pub(super) async fn pour(response: Response, spoken: &mut Spoken) -> Result<(), ProviderError> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/") || kind.starts_with("application/json") {
        return Err(ProviderError::Garbage(format!("{kind} instead of audio")));
    }
    let mut body = response.bytes_stream();
    let mut octets = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(ProviderError::of_request)?;
        octets += piece.len();
        spoken.push(&piece).await?;
    }
    if octets == 0 { Err(ProviderError::Garbage("an answer without audio".into())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn samples_do_not_depend_on_where_the_stream_is_cut(samples in proptest::collection::vec(any::<i16>(), 0..40), cuts in proptest::collection::vec(0..7_usize, 0..40)) {
            let octets: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            let (mut odd, mut found, mut left) = (None, Vec::new(), octets.as_slice());
            for cut in cuts {
                let (now, later) = left.split_at(cut.min(left.len()));
                left = later;
                found.extend(samples_of(now, &mut odd));
            }
            found.extend(samples_of(left, &mut odd));
            prop_assert_eq!(found, samples);
            prop_assert_eq!(odd, None);
        }
    }
}
