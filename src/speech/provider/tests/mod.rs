//! Providers against doubles on the loopback: what they are sent, what is made of what they say, and what happens when they
//! fail. No account has been at hand; the doubles hold to the public documents that they cite.
//!
//! | file | holds |
//! |---|---|
//! | `hearing` | turns that go well |
//! | `hearing_faults` | turns that the local engine has to hear |
//! | `speaking` | clauses, well and otherwise |
//! | `connection` | certificates, proxies, urls |

mod connection;
#[allow(dead_code, reason = "each test file uses its part")]
#[path = "../../../../tests/provider_doubles/mod.rs"]
mod doubles;
mod hearing;
mod hearing_faults;
mod speaking;

use super::cloud::Cloud;
use super::gate::Gate;
use super::request::endpoint;
use super::turns::RemoteRecogniser;
use super::*;
use crate::config::Secret;
use crate::conversation::Expectation;
use crate::speech::event::Part;
use crate::speech::recogniser::{Finished, Recogniser};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Deadlines that only a fault of ours can miss, however busy the machine is.
fn config(url: String) -> ProviderConfig {
    let key = Secret::from("k-123".to_owned());
    ProviderConfig { url: Some(url), final_within: PATIENCE, first_audio_within: PATIENCE, ..ProviderConfig::new(key) }
}

/// Deadlines that are to be missed.
fn impatient(url: String) -> ProviderConfig {
    let soon = Duration::from_millis(200);
    ProviderConfig { final_within: soon, first_audio_within: soon, ..config(url) }
}

/// An engine of two places, and its gate.
fn listener(provider: Provider, config: ProviderConfig) -> (RemoteRecogniser, Arc<Gate>) {
    let cloud = Cloud::start().unwrap();
    let hearing = hearing(provider, &cloud, config, &["Callwright".into(), "deal flow".into()]).unwrap();
    (hearing.recogniser(2), cloud.gate(provider, Part::Asr))
}

/// Does what a recogniser thread does until `done` says so.
fn drive<T>(engine: &mut dyn Recogniser, mut done: impl FnMut(&mut dyn Recogniser) -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        engine.advance();
        if let Some(result) = done(engine) {
            return result;
        }
        assert!(Instant::now() < until, "nothing happened");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn finished(engine: &mut dyn Recogniser) -> (usize, Finished) {
    drive(engine, |engine| engine.poll_finished())
}

/// Something that is no silence; every turn another.
fn audio(seed: i16) -> Vec<i16> {
    (0..8000_i16).map(|n| n.wrapping_mul(31).wrapping_add(seed)).collect()
}

/// A whole turn at `place`, in frames.
fn say(engine: &mut dyn Recogniser, place: usize, samples: &[i16]) {
    for frame in samples.chunks(160) {
        engine.accept(place, frame).unwrap();
    }
    engine.finish(place);
}

const DIGITS: Expectation = Expectation::Digits { max: 4 };
