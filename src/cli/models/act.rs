//! What each action does, and what it says of it. Deliberately absent: how (`packs`).
#![expect(clippy::print_stdout, reason = "this subcommand's product is its output")]

use super::bar::Bar;
use super::{Install, table};
use crate::limits::OFFER_MAX;
use crate::packs::fetch::Patience;
use crate::packs::install::{Outcome, by_name};
use crate::packs::offer::Skipped;
use crate::packs::{Installer, PackError, Step, offer, verify};
use callwright_models::pack::{Kind, Pack, Shelf, catalogue};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

fn environment(key: &str) -> Option<String> {
    std::env::var(key).ok()
}

fn program() -> Result<PathBuf, PackError> {
    std::env::current_exe().map_err(|source| PackError::Io {
        doing: "finding the path of",
        path: PathBuf::from("this program"),
        source,
    })
}

fn installer(shelf: Shelf, mirror: Option<String>) -> Result<Installer, PackError> {
    let installer = Installer::new(shelf, program()?, Patience::default());
    let mirror = mirror.or_else(|| environment(offer::MIRROR_KEY));
    Ok(installer.from_mirror(mirror).offline(offer::is_offline(&environment)))
}

pub(super) fn install(shelf: Shelf, wanted: &Install) -> Result<(), PackError> {
    let installer = installer(shelf, wanted.mirror.clone())?;
    if let Some(path) = &wanted.from_file {
        let mut bar = Bar::new(&path.display().to_string());
        let mut watch = |step: Step<'_>| bar.show(step);
        let outcome = offer::block_on(installer.install_from(path, wanted.name.as_deref(), &mut watch));
        bar.end();
        return outcome.map(|outcome| say(&outcome));
    }
    if wanted.quick {
        quick(&installer);
        return Ok(());
    }
    let packs: Vec<&Pack> = if wanted.recommended {
        catalogue().iter().filter(|pack| pack.recommended).collect()
    } else {
        wanted.names.iter().map(|name| by_name(name)).collect::<Result<_, _>>()?
    };
    for pack in packs {
        let mut bar = Bar::new(&pack.name);
        let outcome = offer::block_on(installer.install(pack, &mut |step| bar.show(step)));
        bar.end();
        say(&outcome?);
    }
    Ok(())
}

/// Never a failure: whatever is in the way, the embedded engines serve.
fn quick(installer: &Installer) {
    let packs = match offer::wanted(installer.shelf(), &environment, SystemTime::now()) {
        Ok(packs) => packs,
        // Said when it was done, and when it was asked.
        Err(Skipped::Complete | Skipped::AskedLately) => return,
        Err(skipped) => {
            println!("models: {skipped}");
            return;
        }
    };
    let mut bar = Bar::new("");
    let outcome = offer::block_on(offer::fetch(installer, &packs, Some(OFFER_MAX), &mut |pack, step| {
        bar.about(&pack.name);
        bar.show(step);
    }));
    bar.end();
    match outcome {
        Ok(outcomes) => outcomes.iter().for_each(say),
        Err(error) => println!(
            "models: no packs were fetched, the embedded engines serve ({}); later: callwright models install --recommended",
            error.brief()
        ),
    }
}

fn say(outcome: &Outcome) {
    let pack = &outcome.installed.pack;
    if outcome.was_there {
        println!("{} is installed and serves ({})", pack.name, outcome.verified);
    } else {
        println!("{} is installed and serves from the daemon's next start ({})", pack.name, outcome.verified);
        if !outcome.pinned && !pack.url.is_empty() {
            println!("  its digest was not known before: it was trusted, and recorded for the next time");
        }
        println!("  licence: {}", pack.licence);
    }
    for note in &outcome.notes {
        println!("  {note}");
    }
}

pub(super) fn verify(shelf: Shelf, name: Option<&str>) -> Result<(), PackError> {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => shelf.installed().into_iter().map(|installed| installed.pack.name).collect(),
    };
    if names.is_empty() {
        println!("no pack is installed: the embedded engines serve");
    }
    let broken = if name.is_none() { shelf.broken() } else { Vec::new() };
    let installer = installer(shelf, None)?;
    let mut worst = None;
    for name in names {
        match installer.verify(&name) {
            Ok(what) => println!("{name} works ({what})"),
            Err(error) => {
                println!("{error}\n  mend it with: callwright models install {name}");
                worst = Some(error);
            }
        }
    }
    // All are looked at before the first failure is reported.
    match broken.into_iter().map(PackError::from).next().or(worst) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

pub(super) fn remove(shelf: &Shelf, name: &str) -> Result<(), PackError> {
    let lock = shelf.lock()?;
    match shelf.remove(&lock, name)? {
        Some(kind) => {
            println!("{name} is removed; it served for {}: from the daemon's next start {}", kind.name(), INSTEAD);
        }
        None => println!("{name} is removed"),
    }
    Ok(())
}

const INSTEAD: &str = "the embedded engine does";

pub(super) fn choose(shelf: &Shelf, name: &str) -> Result<(), PackError> {
    let lock = shelf.lock()?;
    if let Some(kind) = name.strip_prefix("embedded:") {
        let Some(kind) = Kind::ALL.into_iter().find(|known| known.name() == kind) else {
            let nearest = Some("embedded:streaming-asr, embedded:offline-asr, embedded:tts or embedded:end-of-turn");
            return Err(PackError::Unknown { name: name.to_owned(), nearest: nearest.map(str::to_owned) });
        };
        shelf.deactivate(&lock, kind)?;
        println!("no pack serves for {}: from the daemon's next start {}", kind.name(), INSTEAD);
        return Ok(());
    }
    let installed = shelf.activate(&lock, name)?;
    println!("{name} serves for {} from the daemon's next start", installed.pack.kind.name());
    Ok(())
}

pub(super) fn bench(shelf: &Shelf, name: &str) -> Result<(), PackError> {
    let record = shelf.record(name)?;
    let directory: &Path = &shelf.directory().join(name);
    let figures = verify::in_child(&program()?, name, directory, true)?;
    println!("{name}, {}\n{figures}", table::facts(&record.pack));
    Ok(())
}
