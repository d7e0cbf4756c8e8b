//! A stand-in for the calls of a daemon, for tests of the API alone: it knows one live call, notes what it is told to do, and
//! answers as asked.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

use callwright::api::{CallControl, LiveCall};
use callwright::call::outgoing::{NotPlaced, Wish};
use callwright::call::steer::{Order, OrderError, Outcome};
use callwright::call::transfer::Transfer;
use callwright::id::CallId;
use callwright::store::Direction;
use futures_util::future::BoxFuture;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The call that is up.
pub const LIVE: CallId = CallId(7);

#[derive(Default)]
pub struct Noted(pub Mutex<Vec<String>>);

impl Noted {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("no test has failed").push(what.into());
    }
}

pub fn live(call: CallId) -> LiveCall {
    LiveCall {
        id: call.to_string(),
        caller: "sip:bob@192.0.2.2".into(),
        callee: "100".into(),
        direction: Direction::Inbound,
        app: "echo".into(),
        state: "answered".into(),
        conversation_id: None,
    }
}

impl CallControl for Noted {
    fn place(&self, call: CallId, wish: Wish) -> Result<LiveCall, NotPlaced> {
        self.note(format!("place {} {} {:?}", wish.to, wish.app, wish.headers));
        if wish.to == "nonsense" {
            return Err(NotPlaced::Wrong("no address".to_owned()));
        }
        Ok(LiveCall { state: "calling".into(), ..live(call) })
    }

    fn order(&self, call: CallId, order: Order) -> BoxFuture<'static, Result<Outcome, OrderError>> {
        self.note(match &order {
            Order::Play { pcm } => format!("{call} play {} samples", pcm.len()),
            Order::Join { after, .. } => format!("{call} join {after:?}"),
            other => format!("{call} {other:?}"),
        });
        let outcome = match (call, order) {
            (LIVE, Order::Answer { .. }) => Err(OrderError::Conflict("the call has been answered already".to_owned())),
            (LIVE, Order::Say { .. } | Order::Play { .. }) => Ok(Outcome::Queued { utterance: 3 }),
            (LIVE, _) => Ok(Outcome::Done),
            _ => Err(OrderError::NoCall),
        };
        Box::pin(std::future::ready(outcome))
    }

    fn transfer(&self, call: CallId, transfer: Transfer) -> BoxFuture<'static, Result<Option<CallId>, OrderError>> {
        self.note(format!("{call} transfer {} {:?}", transfer.to, transfer.announce));
        Box::pin(std::future::ready(if call == LIVE { Ok(Some(CallId(8))) } else { Err(OrderError::NoCall) }))
    }

    fn audio(&self, file: &Path) -> Result<Arc<[i16]>, String> {
        if file.ends_with("audio/there.wav") { Ok(vec![1; 800].into()) } else { Err("not there".to_owned()) }
    }
}
