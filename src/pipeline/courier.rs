//! Brings apps' messages to webhooks. Purpose: take them over from the apps into the store, send them, try again later and
//! later, give up at last. Owning thread: one tokio task, one more for each message on its way. Invariants: a message is in the
//! app or in the store at any moment, so a kill loses none (at least once; receivers tell repeats by `webhook-id`); at most
//! `COURIERS_MAX` are on their way, one to a webhook; redirects are not followed and nothing inside this site is reached
//! ([`address`]). Deliberately absent: an order among messages, and the secrets (asked of the app each time).

mod address;
mod patience;

pub use patience::Patience;

use super::deploy::{Fleet, Letter};
use super::stage::Works;
use crate::apphost;
use crate::config::Network;
use crate::limits::COURIERS_MAX;
use crate::os::{clock, random};
use crate::store::{Due, Failed, Store, StoreError, WebhookMessage, after};
use crate::telemetry::metric;
use address::{Guard, Inside};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};

/// Of what is due so many are looked at.
const LOOK_AT: usize = 4 * COURIERS_MAX;
/// Apps without requests are asked too, this often: one may have written a message when the daemon was killed.
const ALL_EVERY: Duration = Duration::from_secs(30);
/// A message of an app that does not run is looked at again after this.
const APP_WAIT: Duration = Duration::from_secs(30);
/// The store is asked again after this when it failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Why the courier does not run.
#[derive(Debug, thiserror::Error)]
#[error("messages to webhooks cannot be sent: {0}")]
pub struct CourierError(String);

/// What the courier works with.
#[derive(Debug)]
pub(super) struct Courier {
    desk: Arc<Desk>,
    /// Requests that each app had answered when it was last asked.
    asked: BTreeMap<String, u64>,
    all_at: Instant,
    look_at: Instant,
    sending: JoinSet<String>,
    /// Webhooks that a message is on its way to.
    busy: BTreeSet<String>,
}

#[derive(Debug)]
struct Desk {
    store: Store,
    works: Arc<Works>,
    client: Client,
    guard: Guard,
    patience: Patience,
}

impl Courier {
    pub(super) fn new(works: Arc<Works>, patience: Patience, networks: Vec<Network>) -> Result<Self, CourierError> {
        // The client asks for it when it is built. Somebody else may have installed the same one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = Guard::new(networks);
        let client = Client::builder()
            .redirect(Policy::none())
            // A proxy would look names up by itself, and reach what it may reach.
            .no_proxy()
            .dns_resolver(guard.clone())
            .timeout(patience.answer)
            .connect_timeout(patience.answer)
            .user_agent(concat!("callwright/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| CourierError(words(&e)))?;
        let now = Instant::now();
        let desk = Desk { store: works.store.clone(), works, client, guard, patience };
        Ok(Self {
            desk: Arc::new(desk),
            asked: BTreeMap::new(),
            all_at: now,
            look_at: now,
            sending: JoinSet::new(),
            busy: BTreeSet::new(),
        })
    }

    /// Until it is dropped; what is on its way then is sent again by the next one.
    pub(super) async fn run(mut self) {
        loop {
            if Instant::now() >= self.look_at {
                self.collect().await;
                self.look_at = Instant::now() + self.desk.patience.look;
            }
            if let Err(error) = self.send_out().await {
                tracing::warn!(%error, "messages to webhooks wait for the store");
                tokio::time::sleep(STORE_RETRY).await;
            }
            tokio::select! {
                Some(done) = self.sending.join_next(), if !self.sending.is_empty() => match done {
                    Ok(url) => _ = self.busy.remove(&url),
                    // A panic was printed; which webhook it was is not known, so all that wait are looked at anew.
                    Err(_) if self.sending.is_empty() => self.busy.clear(),
                    Err(_) => {}
                },
                () = sleep_until(self.look_at) => {}
            }
        }
    }

    /// Takes over what the apps have written since they were last asked.
    async fn collect(&mut self) {
        let now = Instant::now();
        let all = now >= self.all_at;
        if all {
            self.all_at = now + ALL_EVERY;
        }
        let apps = self.desk.works.fleet.on_line();
        self.asked.retain(|app, _| apps.iter().any(|(slug, _)| slug == app));
        for (app, answered) in apps {
            if !all && self.asked.get(&app) == Some(&answered) {
                continue;
            }
            match self.desk.take_over(&app).await {
                Ok(()) => _ = self.asked.insert(app, answered),
                Err(error) => tracing::debug!(app, %error, "an app's messages stay with it"),
            }
        }
        let store = self.desk.store.clone();
        if let Ok(Ok(counts)) = spawn_blocking(move || store.deliveries().counts()).await {
            metric::deliveries(counts.waiting, counts.dead);
        }
    }

    async fn send_out(&mut self) -> Result<(), StoreError> {
        if self.sending.len() >= COURIERS_MAX {
            return Ok(());
        }
        let store = self.desk.store.clone();
        let found = spawn_blocking(move || store.deliveries().due(clock::wall(), LOOK_AT)).await;
        for due in found.map_err(|e| StoreError::Other(e.to_string()))?? {
            if self.sending.len() >= COURIERS_MAX || !self.busy.insert(due.message.url.clone()) {
                continue;
            }
            let desk = Arc::clone(&self.desk);
            self.sending.spawn(async move {
                let url = due.message.url.clone();
                if let Err(error) = desk.deliver(due).await {
                    tracing::warn!(%error, "what became of a message to a webhook was not written; it is sent again");
                    tokio::time::sleep(STORE_RETRY).await;
                }
                url
            });
        }
        Ok(())
    }
}

impl Desk {
    async fn take_over(&self, app: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
        loop {
            let letters = self.works.fleet.outbox(app).await?;
            let Some(last) = letters.last().map(|letter| letter.id) else { return Ok(()) };
            let messages = letters.into_iter().map(|letter| message(app, letter)).collect();
            if !self.store.deliveries().take(messages, clock::wall()).await? {
                return Err("too many messages to webhooks wait".into());
            }
            // Killed before this, it hands them over again under the same names.
            self.works.fleet.taken(app, last).await?;
        }
    }

    async fn deliver(&self, due: Due) -> Result<(), StoreError> {
        let Due { message, tries, .. } = due;
        let outcome = match self.secret(&message).await? {
            Ok(secret) => self.send(&message, &secret).await,
            Err(failed) => Err(failed),
        };
        let now = clock::wall();
        let Refused { status, why, again } = match outcome {
            Ok(status) => {
                metric::delivery("delivered");
                return self.store.deliveries().delivered(&message.id, status.as_u16(), now).await;
            }
            Err(refused) => refused,
        };
        let (counts, wait) = match again {
            Again::Never => (true, None),
            Again::Later(wait) => (false, Some(wait)),
            Again::AsLongAs(asked) => {
                let wait = self.patience.after(tries + 1, random::u32());
                (true, wait.map(|wait| wait.max(asked.min(self.patience.longest))))
            }
        };
        let again = wait.map(|wait| after(now, wait));
        metric::delivery(if again.is_some() { "retry" } else { "dead" });
        if again.is_none() {
            let WebhookMessage { id, app, .. } = &message;
            tracing::warn!(
                id,
                app,
                why,
                "a message to a webhook is given up; POST /v1/deliveries/{{id}}/retry sends it"
            );
        }
        self.store.deliveries().failed(&message.id, Failed { status, why, again, counts }, now).await
    }

    /// What the app signs its messages with, or why it cannot be asked.
    async fn secret(&self, message: &WebhookMessage) -> Result<Result<String, Refused>, StoreError> {
        let refused = |why: &str, again| Ok(Err(Refused { status: None, why: why.to_owned(), again }));
        match self.works.fleet.hook_secret(&message.app, &message.url).await {
            Ok(Some(secret)) => Ok(Ok(secret)),
            Ok(None) => refused("its webhook was removed", Again::Never),
            Err(_) => {
                let (store, app) = (self.store.clone(), message.app.clone());
                let known = spawn_blocking(move || store.apps().get(&app)).await;
                match known.map_err(|e| StoreError::Other(e.to_string()))?? {
                    Some(_) => refused("its app does not run now", Again::Later(APP_WAIT)),
                    None => refused("its app was deleted", Again::Never),
                }
            }
        }
    }

    async fn send(&self, message: &WebhookMessage, secret: &str) -> Result<StatusCode, Refused> {
        let never = |why: String| Refused { status: None, why, again: Again::Never };
        let url = Url::parse(&message.url).map_err(|e| never(format!("its address cannot be read: {e}")))?;
        self.guard.judge(&url).map_err(|inside| never(inside.to_string()))?;
        let at = i64::try_from(clock::wall().0 / 1000).unwrap_or(i64::MAX);
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-event", &message.event)
            .header("x-signature", apphost::sign(secret, at, message.body.as_bytes()))
            .body(message.body.clone());
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(response.status()),
            Ok(response) => Err(answered(&response)),
            Err(error) if error.is_timeout() => {
                let why = format!("no answer within {} s", self.patience.answer.as_secs_f64());
                Err(Refused { status: None, why, again: Again::AsLongAs(Duration::ZERO) })
            }
            Err(error) => {
                let again = if is_inside(&error) { Again::Never } else { Again::AsLongAs(Duration::ZERO) };
                Err(Refused { status: None, why: words(&error), again })
            }
        }
    }
}

/// Why a message did not arrive.
struct Refused {
    status: Option<u16>,
    why: String,
    again: Again,
}

enum Again {
    /// It makes no sense.
    Never,
    /// After this, and the try does not count.
    Later(Duration),
    /// As long as there is patience, not before this.
    AsLongAs(Duration),
}

fn answered(response: &Response) -> Refused {
    let status = response.status();
    let asked = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0);
    let (why, again) = match status {
        // The receiver wants no more of them (RFC 9110 section 15.5.11).
        StatusCode::GONE => ("it answered 410: it is gone for good".to_owned(), Again::Never),
        status if status.is_redirection() => {
            let why = format!("it answered {}: redirects are not followed", status.as_u16());
            (why, Again::AsLongAs(Duration::ZERO))
        }
        status => (format!("it answered {}", status.as_u16()), Again::AsLongAs(Duration::from_secs(asked))),
    };
    Refused { status: Some(status.as_u16()), why, again }
}

/// The same name each time an app hands the letter over; another one after older data came back.
fn message(app: &str, letter: Letter) -> WebhookMessage {
    let mut digest = Sha256::new();
    let (id, at) = (letter.id.to_string(), letter.at.to_string());
    for part in [app, &id, &at, &letter.url, &letter.event, &letter.body] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    let name: String = digest.finalize().iter().take(16).map(|octet| format!("{octet:02x}")).collect();
    let Letter { url, event, body, .. } = letter;
    WebhookMessage { id: format!("msg_{name}"), app: app.to_owned(), url, event, body }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

fn is_inside(error: &reqwest::Error) -> bool {
    chain(error).any(|error| error.is::<Inside>())
}

/// Without the address, which may hold a secret; the innermost reason says most.
fn words(error: &reqwest::Error) -> String {
    let last = chain(error).last().map(ToString::to_string).unwrap_or_default();
    format!("it cannot be reached: {last}")
}

impl Fleet {
    /// Forgets what an app that is gone wanted to send.
    pub(super) async fn forget_messages(&self, store: &Store, app: &str) {
        if let Err(error) = store.deliveries().forget(app).await {
            tracing::warn!(app, %error, "messages of a deleted app stay in the queue; they are given up one by one");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_keeps_its_name_and_shares_it_with_no_other() {
        let letter = Letter { id: 1, at: 5, url: "http://a.example/".into(), event: "e".into(), body: "{}".into() };
        let name = |app: &str, letter: &Letter| message(app, letter.clone()).id;
        assert_eq!(name("crm", &letter), name("crm", &letter));
        for other in [Letter { id: 2, ..letter.clone() }, Letter { at: 6, ..letter.clone() }] {
            assert_ne!(name("crm", &letter), name("crm", &other));
        }
        assert_ne!(name("crm", &letter), name("shop", &letter));
    }
}
