//! What a client is told: words with their times, in seconds from the first sample that it sent. Pure.

use crate::speech::SpeechEvent;
use crate::time::MediaTime;
use serde::Serialize;

/// One message to the client.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Caption {
    /// Words; may still change unless they are final.
    Words {
        text: String,
        ts_start: f64,
        ts_end: f64,
        #[serde(rename = "final", skip_serializing_if = "std::ops::Not::not")]
        is_final: bool,
    },
    /// Something else: `slow`, `ok`, `end`, or `error` with its reason.
    Notice {
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

impl Caption {
    /// A notice without a reason.
    pub(super) const fn notice(kind: &'static str) -> Self {
        Self::Notice { kind, detail: None }
    }

    /// As sent.
    pub(super) fn to_json(&self) -> String {
        // Text and numbers always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Turns what the plane says into what the client is told.
#[derive(Debug, Default)]
pub(super) struct Captions {
    /// Words of this utterance have been shown, which its final must replace.
    shown: bool,
}

impl Captions {
    pub(super) fn handle(&mut self, event: SpeechEvent) -> Option<Caption> {
        match event {
            SpeechEvent::Partial { text, started, until } if !text.is_empty() => {
                self.shown = true;
                Some(words(text, started, until, false))
            }
            SpeechEvent::Final { text, started, ended, .. } => {
                let shown = std::mem::take(&mut self.shown);
                (shown || !text.is_empty()).then(|| words(text, started, ended, true))
            }
            SpeechEvent::Failed { what, .. } => Some(Caption::Notice { kind: "error", detail: Some(what) }),
            SpeechEvent::Partial { .. }
            | SpeechEvent::EndOfTurn { .. }
            | SpeechEvent::Onset { .. }
            | SpeechEvent::Stirring { .. }
            | SpeechEvent::Voice { .. }
            | SpeechEvent::Heard { .. }
            | SpeechEvent::SpeakStarted { .. }
            | SpeechEvent::Spoken { .. } => None,
        }
    }
}

fn words(text: String, started: MediaTime, ended: MediaTime, is_final: bool) -> Caption {
    let seconds = |at: MediaTime| at.since(MediaTime(0)).as_millis() as f64 / 1e3;
    Caption::Words { text, ts_start: seconds(started), ts_end: seconds(ended), is_final }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ended(text: &str) -> SpeechEvent {
        let (started, ended) = (MediaTime(8000), MediaTime(20_000));
        SpeechEvent::Final {
            text: text.into(),
            confidence: 0.8,
            alternatives: Vec::new(),
            started,
            ended,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn the_json_is_that_of_the_interface() {
        let mut captions = Captions::default();
        let partial =
            |text: &str| SpeechEvent::Partial { text: text.into(), started: MediaTime(8000), until: MediaTime(10_001) };
        let mut told = |event| captions.handle(event).map(|caption| caption.to_json());
        assert_eq!(told(partial("build me")).unwrap(), r#"{"text":"build me","ts_start":1.0,"ts_end":1.25}"#);
        assert_eq!(
            told(ended("build me an app")).unwrap(),
            r#"{"text":"build me an app","ts_start":1.0,"ts_end":2.5,"final":true}"#
        );
        assert_eq!(told(partial("")), None);
        assert_eq!(told(ended("")), None, "noise is no utterance");
        told(partial("a"));
        assert!(told(ended("")).is_some(), "what was shown is taken back");
        assert_eq!(Caption::notice("slow").to_json(), r#"{"type":"slow"}"#);
    }
}
