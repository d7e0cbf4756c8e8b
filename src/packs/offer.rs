//! The recommended packs, fetched unasked: at set-up and at the first start, where their host answers.
//!
//! Owning thread: `packs`, of the lowest class, at the first start; the main thread at set-up. Invariants: nothing waits for
//! it; silence or refusal is said once and costs nothing more; nothing is fetched where `CI` or `CALLWRIGHT_OFFLINE` is set,
//! or for a kind that somebody has chosen a pack for. Deliberately absent: updates of packs that are there.

use super::error::PackError;
use super::fetch::Patience;
use super::install::{Installer, Outcome, Step};
use crate::limits::{OFFER_AGAIN_AFTER, OFFER_ANSWER_MAX};
use crate::os::batch;
use callwright_models::pack::archive::octets_in_words;
use callwright_models::pack::{Pack, Shelf, catalogue};
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;
use tracing::{info, warn};

/// Its time of change says when the host was asked in vain.
const ASKED_FILE: &str = ".asked";

/// Names a place that files are fetched from instead of the releases.
pub const MIRROR_KEY: &str = "CALLWRIGHT_MODELS_MIRROR";

/// Why nothing is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// `CALLWRIGHT_OFFLINE` is set.
    Offline,
    /// `CI` is set.
    ContinuousIntegration,
    /// A pack of each recommended kind is there.
    Complete,
    /// The host was silent a short while ago.
    AskedLately,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offline => "CALLWRIGHT_OFFLINE is set: no model packs are fetched; the embedded engines serve",
            Self::ContinuousIntegration => "CI is set: no model packs are fetched; the embedded engines serve",
            Self::Complete => "the recommended kinds of model packs are installed",
            Self::AskedLately => {
                "the host of the model packs was silent a short while ago and is not asked now; the embedded engines serve \
                 (ask it all the same: callwright models install --recommended)"
            }
        })
    }
}

/// Whether `CALLWRIGHT_OFFLINE` forbids the network; `0` and nothing do not.
#[must_use]
pub fn is_offline(environment: &dyn Fn(&str) -> Option<String>) -> bool {
    is_set(environment, "CALLWRIGHT_OFFLINE")
}

fn is_set(environment: &dyn Fn(&str) -> Option<String>, key: &str) -> bool {
    environment(key).is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// The recommended packs whose kind has none on this shelf.
#[must_use]
pub fn missing(shelf: &Shelf) -> Vec<&'static Pack> {
    let installed = shelf.installed();
    let is_missing = |pack: &&Pack| !installed.iter().any(|there| there.pack.kind == pack.kind);
    catalogue().iter().filter(|pack| pack.recommended).filter(is_missing).collect()
}

/// What is to be fetched unasked, or why nothing is.
///
/// # Errors
/// [`Skipped`].
pub fn wanted(
    shelf: &Shelf,
    environment: &dyn Fn(&str) -> Option<String>,
    now: SystemTime,
) -> Result<Vec<&'static Pack>, Skipped> {
    if is_offline(environment) {
        return Err(Skipped::Offline);
    }
    if is_set(environment, "CI") {
        return Err(Skipped::ContinuousIntegration);
    }
    let packs = missing(shelf);
    if packs.is_empty() {
        return Err(Skipped::Complete);
    }
    let asked = fs::metadata(shelf.directory().join(ASKED_FILE)).and_then(|metadata| metadata.modified()).ok();
    // A clock that was set back makes the time negative, and asking once more costs five seconds.
    let lately = asked.and_then(|asked| now.duration_since(asked).ok()).is_some_and(|ago| ago < OFFER_AGAIN_AFTER);
    if lately { Err(Skipped::AskedLately) } else { Ok(packs) }
}

/// Fetches `packs` if their host answers in time.
///
/// # Errors
/// The first [`PackError`]; packs before it are installed.
pub async fn fetch(
    installer: &Installer,
    packs: &[&'static Pack],
    watch: &mut dyn FnMut(&Pack, Step<'_>),
) -> Result<Vec<Outcome>, PackError> {
    let Some(first) = packs.first() else { return Ok(Vec::new()) };
    if let Err(error) = installer.answers(first, OFFER_ANSWER_MAX).await {
        let shelf = installer.shelf().directory();
        let asked = fs::create_dir_all(shelf).and_then(|()| fs::write(shelf.join(ASKED_FILE), ""));
        if let Err(error) = asked {
            warn!(%error, "that the release host was asked cannot be noted: it will be asked at every start");
        }
        return Err(error);
    }
    let mut outcomes = Vec::new();
    for pack in packs {
        outcomes.push(installer.install(pack, &mut |step| watch(pack, step)).await?);
    }
    Ok(outcomes)
}

/// Starts the offer of the first start, on a thread that ends by itself. `directory` is the shelf's; `program` our own.
pub fn in_background(directory: PathBuf, program: PathBuf) {
    let environment = |key: &str| std::env::var(key).ok();
    let mirror = environment(MIRROR_KEY);
    let shelf = Shelf::open(directory);
    let packs = match wanted(&shelf, &environment, SystemTime::now()) {
        Ok(packs) => packs,
        Err(Skipped::Complete) => return,
        Err(skipped) => {
            info!("{skipped}");
            return;
        }
    };
    let run = move || {
        if let Err(error) = batch::sched_idle() {
            warn!(%error, "model packs are unpacked at normal priority: the kernel refused SCHED_IDLE");
        }
        let outcome = Installer::new(shelf, program, Patience::default())
            .map(|installer| installer.from_mirror(mirror))
            .and_then(|installer| block_on(fetch_and_say(&installer, &packs)));
        if let Err(error) = outcome {
            info!(
                "no model packs were fetched, the embedded engines serve: {error}. Later, by hand: callwright models install --recommended"
            );
        }
    };
    if let Err(error) = std::thread::Builder::new().name("packs".to_owned()).spawn(run) {
        warn!(%error, "the thread that fetches model packs cannot be started");
    }
}

async fn fetch_and_say(installer: &Installer, packs: &[&'static Pack]) -> Result<(), PackError> {
    let octets = packs.iter().map(|pack| pack.download_octets()).sum();
    let names: Vec<_> = packs.iter().map(|pack| pack.name.as_str()).collect();
    let mut begun = false;
    let mut watch = |_: &Pack, step: Step<'_>| {
        if let (Step::Fetching { .. }, false) = (step, begun) {
            begun = true;
            info!(
                packs = names.join(" "),
                "fetching the recommended model packs ({}) in the background; CALLWRIGHT_OFFLINE=1 prevents it",
                octets_in_words(octets)
            );
        }
    };
    for outcome in fetch(installer, packs, &mut watch).await? {
        info!(pack = %outcome.installed.pack.name, verified = %outcome.verified, "model pack installed: it serves from the next start");
        for note in outcome.notes {
            warn!(pack = %outcome.installed.pack.name, "{note}");
        }
    }
    Ok(())
}

/// Runs to the end on this thread.
///
/// # Errors
/// The work's; [`PackError::Io`] without a runtime.
pub fn block_on<T>(work: impl Future<Output = Result<T, PackError>>) -> Result<T, PackError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(PackError::io("starting the network on", std::path::Path::new("this thread")))?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn with(set: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        move |key| set.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn nothing_is_fetched_where_it_is_not_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(directory.path());
        let now = SystemTime::now();
        assert_eq!(wanted(&shelf, &with(&[("CI", "true")]), now), Err(Skipped::ContinuousIntegration));
        assert_eq!(wanted(&shelf, &with(&[("CALLWRIGHT_OFFLINE", "1")]), now), Err(Skipped::Offline));
        let packs = wanted(&shelf, &with(&[("CALLWRIGHT_OFFLINE", "0"), ("CI", "")]), now).unwrap();
        assert_eq!(packs.len(), 2);
        fs::write(directory.path().join(ASKED_FILE), "").unwrap();
        assert_eq!(wanted(&shelf, &with(&[]), now + Duration::from_secs(60)), Err(Skipped::AskedLately));
        assert!(wanted(&shelf, &with(&[]), now + OFFER_AGAIN_AFTER * 2).is_ok());
    }
}
