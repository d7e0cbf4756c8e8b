//! The way to one provider in one direction. Purpose: leave to ask it, the outcomes, and what they cost, in one place that
//! all threads share. Invariants: the lock is held for a few comparisons; a breaker that opens or closes is said once, in
//! the log, in metrics and in [`Gate::note`]; every [`Permit`] ends in one outcome or is given back.
//! Deliberately absent: when to open (`breaker`), what to do instead (`with_local`, the mouth).

use super::Provider;
use super::breaker::{Admission, Breaker, Change, Policy, Shown};
use super::failure::ProviderError;
use super::key::redact;
use crate::config::Secret;
use crate::os::{clock, random};
use crate::speech::event::Part;
use crate::telemetry::metric;
use crate::time::Tick;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

struct Guarded {
    breaker: Breaker,
    note: Option<String>,
}

/// Shared by every engine of one provider and part.
pub(super) struct Gate {
    provider: Provider,
    part: Part,
    guarded: Mutex<Guarded>,
    now: fn() -> Tick,
    /// What no word about this provider may hold.
    secrets: Mutex<Vec<Secret>>,
    /// Samples heard that do not make a whole second yet, 8 kHz.
    samples: AtomicU64,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("provider", &self.provider).field("part", &self.part).finish_non_exhaustive()
    }
}

impl Gate {
    /// Closed breaker, nothing counted.
    pub(super) fn new(provider: Provider, part: Part) -> Arc<Self> {
        metric::provider_breaker(provider.name(), part.name(), 0);
        let guarded = Mutex::new(Guarded { breaker: Breaker::new(Policy::default()), note: None });
        let (now, secrets, samples) = (clock::monotonic as fn() -> Tick, Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { provider, part, guarded, now, secrets, samples })
    }

    /// From now on this key is struck out of whatever is said of the provider.
    pub(super) fn hide(&self, key: &Secret) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if !secrets.iter().any(|known| known.expose() == key.expose()) {
            secrets.push(key.clone());
        }
    }

    /// What went wrong, for people. Servers put keys into the oddest places of their answers.
    pub(super) fn said(&self, error: &ProviderError) -> String {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.iter().fold(error.to_string(), |words, key| redact(key, &words))
    }

    /// The part that it serves.
    pub(super) fn part(&self) -> Part {
        self.part
    }

    /// For people, while the provider is left alone: why, and what serves instead.
    pub(super) fn note(&self) -> Option<String> {
        self.guarded().note.clone()
    }

    pub(super) fn provider(&self) -> Provider {
        self.provider
    }

    /// Leave to ask the provider once.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Permit, ProviderError> {
        let mut guarded = self.guarded();
        let admission = guarded.breaker.admit((self.now)());
        self.show(&guarded.breaker);
        match admission {
            Admission::Ask | Admission::Probe => Ok(Permit { gate: Some(Arc::clone(self)) }),
            Admission::Wait(wait) => Err(ProviderError::Paused(wait)),
        }
    }

    /// Counts audio sent for recognition, 8 kHz samples.
    pub(super) fn heard(&self, samples: usize) {
        let before = self.samples.fetch_add(samples as u64, Ordering::Relaxed);
        let seconds = (before + samples as u64) / 8000 - before / 8000;
        if seconds > 0 {
            metric::provider_audio_seconds(self.provider.name(), seconds);
        }
    }

    /// Counts characters sent for synthesis.
    pub(super) fn spoken(&self, text: &str) {
        metric::provider_characters(self.provider.name(), text.chars().count() as u64);
    }

    fn guarded(&self) -> std::sync::MutexGuard<'_, Guarded> {
        // Nothing between lock and unlock panics half-way.
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, breaker: &Breaker) {
        let value = match breaker.shown() {
            Shown::Closed => 0,
            Shown::HalfOpen => 1,
            Shown::Open => 2,
        };
        metric::provider_breaker(self.provider.name(), self.part.name(), value);
    }

    fn settle(&self, outcome: Result<(), &ProviderError>) {
        let (provider, part) = (self.provider.name(), self.part.name());
        let now = (self.now)();
        let mut guarded = self.guarded();
        let change = match outcome {
            Ok(()) => guarded.breaker.handle_success(now),
            Err(error) => guarded.breaker.handle_failure(now, error.fault(), random::u32()),
        };
        self.show(&guarded.breaker);
        let why = outcome.err().map(|error| self.said(error)).unwrap_or_default();
        match change {
            Some(Change::Opened(pause)) => {
                let seconds = pause.as_secs().max(1);
                tracing::warn!(
                    provider,
                    part,
                    "{provider} is left alone for {seconds} s, the local engine serves: {why}"
                );
                guarded.note = Some(format!("{provider} is left alone for now, the local engine serves: {why}"));
            }
            Some(Change::Barred) => {
                tracing::error!(provider, part, "{provider} is not asked any more, the local engine serves: {why}");
                guarded.note = Some(format!("{provider} is not asked any more, the local engine serves: {why}"));
            }
            Some(Change::Closed) => {
                tracing::info!(provider, part, "{provider} answers again");
                guarded.note = None;
            }
            None => {}
        }
        drop(guarded);
        metric::provider_request(provider, part, outcome.map_or_else(ProviderError::outcome, |()| "ok"));
    }
}

/// Leave to ask once. Dropped without a report, nothing is held against the provider.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Option<Arc<Gate>>,
}

impl Permit {
    pub(super) fn succeed(mut self) {
        if let Some(gate) = self.gate.take() {
            gate.settle(Ok(()));
        }
    }

    pub(super) fn fail(mut self, error: &ProviderError) {
        if let Some(gate) = self.gate.take() {
            gate.settle(Err(error));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            let mut guarded = gate.guarded();
            guarded.breaker.handle_abandoned((gate.now)());
            gate.show(&guarded.breaker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_is_noted_until_it_closes() {
        let gate = Gate::new(Provider::Deepgram, Part::Asr);
        assert_eq!(gate.note(), None);
        for _ in 0..3 {
            gate.admit().unwrap().fail(&ProviderError::Server("500".into()));
        }
        let note = gate.note().unwrap();
        assert!(note.starts_with("deepgram is left alone") && note.contains("500"), "{note}");
        assert!(matches!(gate.admit(), Err(ProviderError::Paused(Some(_)))));
    }

    #[test]
    fn a_refused_key_asks_the_operator_and_is_not_tried_again() {
        let gate = Gate::new(Provider::ElevenLabs, Part::Tts);
        gate.admit().unwrap().fail(&ProviderError::BadKey("401 invalid_api_key".into()));
        assert!(gate.note().unwrap().contains("put a valid one"), "{:?}", gate.note());
        assert_eq!(gate.admit().unwrap_err(), ProviderError::Paused(None));
    }

    #[test]
    fn no_key_is_said_whatever_the_server_sends_back() {
        let gate = Gate::new(Provider::Deepgram, Part::Asr);
        gate.hide(&Secret::from("sk-abc".to_owned()));
        for _ in 0..3 {
            let echo = "invalid type: string \"sk-abc\", expected f32".to_owned();
            gate.admit().unwrap().fail(&ProviderError::Garbage(echo));
        }
        let note = gate.note().unwrap();
        assert!(note.contains("string \"…\"") && !note.contains("sk-abc"), "{note}");
    }

    #[test]
    fn what_it_costs_is_counted() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let gate = Gate::new(Provider::Deepgram, Part::Asr);
            for _ in 0..125 {
                gate.heard(160);
            }
            gate.spoken("Grüße");
            gate.admit().unwrap().succeed();
            gate.admit().unwrap().fail(&ProviderError::BadKey("401".into()));
        });
        let text = recorder.handle().render();
        for line in [
            "provider_audio_seconds_total{provider=\"deepgram\"} 2\n",
            "provider_characters_total{provider=\"deepgram\"} 5\n",
            "provider_requests_total{provider=\"deepgram\",part=\"asr\",outcome=\"ok\"} 1\n",
            "provider_requests_total{provider=\"deepgram\",part=\"asr\",outcome=\"bad_key\"} 1\n",
            "provider_breaker{provider=\"deepgram\",part=\"asr\"} 2\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn what_is_given_up_is_held_against_nobody() {
        let gate = Gate::new(Provider::OpenAi, Part::Asr);
        for _ in 0..100 {
            drop(gate.admit().unwrap());
        }
        assert!(gate.admit().is_ok());
    }
}
