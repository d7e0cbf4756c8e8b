//! Answers "how is the CRM?" from what is so now. Purpose: find the app that is meant, by name as people say it, and count.
//! Invariant: every figure is asked of the app itself or measured by the gateway at this moment; a kind means the only app of it;
//! an unknown name gets the known ones, never a guess. Deliberately absent: words (`conversation`).

use super::deploy::Fleet;
use super::manifest::BuildType;
use crate::conversation::AppFacts;
use crate::store::{App, Build, RunState, Store, StoreError};
use tokio::task::spawn_blocking;

/// Builds among which the newest of an app is looked for.
const BUILDS_READ: usize = 50;
/// Names offered at most when the asked one is unknown.
const KNOWN_MAX: usize = 5;
/// Words that do not name anything.
const FILLERS: [&str; 14] =
    ["the", "my", "our", "your", "a", "an", "this", "that", "app", "application", "system", "please", "now", "one"];

/// What is known of the app called `subject`.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn facts(store: &Store, fleet: &Fleet, subject: &str) -> Result<AppFacts, StoreError> {
    let reader = store.clone();
    let listed = spawn_blocking(move || Ok((reader.apps().list()?, reader.builds().open()?)));
    let (apps, builds) = listed.await.unwrap_or(Err(StoreError::Stopped))?;
    let named = find(subject, &apps, |app: &App| (&app.slug, &app.title));
    let build = find(subject, &builds, |build: &Build| (&build.slug, &build.title));
    // What is being built under the name is meant rather than what merely is of the kind.
    let kin = if named.is_none() && build.is_none() { of_kind(subject, &apps) } else { Vec::new() };
    let alone = if let [app] = kin.as_slice() { Some(*app) } else { None };
    if let Some(app) = named.or(alone) {
        let facts = AppFacts { by_kind: named.is_none(), ..of(app, fleet).await };
        let (reader, build) = (store.clone(), app.build_id.clone());
        let slug = app.slug.clone();
        let read = move || {
            let manifest = match reader.builds().get(&build)? {
                Some(build) => reader.manifests().get(&build.manifest_id)?,
                None => None,
            };
            let newest = reader.builds().list(None, BUILDS_READ)?.items.into_iter().find(|build| build.slug == slug);
            Ok((manifest, newest.and_then(|build| build.failure)))
        };
        let (manifest, stopped) = spawn_blocking(read).await.unwrap_or(Err(StoreError::Stopped))?;
        let (slug, manifest) = (app.slug.clone(), manifest.map(Box::new));
        return Ok(AppFacts { slug, manifest, stopped, version: app.version, ..facts });
    }
    if let Some(build) = build {
        return Ok(AppFacts { name: build.title.clone(), ..AppFacts::default() });
    }
    let known = if kin.is_empty() { apps.iter().collect() } else { kin };
    let known = known.into_iter().map(|app| app.title.clone()).take(KNOWN_MAX).collect();
    Ok(AppFacts { name: subject.to_owned(), unknown: Some(known), ..AppFacts::default() })
}

/// A code as it is read out: its digits one by one, a pause between groups ("four eight one, two zero seven").
#[must_use]
pub fn code_in_words(code: &str) -> String {
    const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let group = |group: &str| {
        let digits = group.chars().filter_map(|c| c.to_digit(10)).filter_map(|d| DIGITS.get(d as usize).copied());
        digits.collect::<Vec<_>>().join(" ")
    };
    code.split('-').map(group).collect::<Vec<_>>().join(", ")
}

async fn of(app: &App, fleet: &Fleet) -> AppFacts {
    let traffic = fleet.traffic(&app.slug);
    let base = AppFacts {
        name: app.title.clone(),
        requests_per_minute: traffic.as_ref().map_or(0.0, |traffic| traffic.requests_per_minute),
        server_errors: traffic.as_ref().map_or(0, |traffic| traffic.server_errors),
        latency_ms: traffic.and_then(|traffic| traffic.p95_ms),
        ..AppFacts::default()
    };
    if app.state != RunState::Live {
        return base;
    }
    match fleet.meta(&app.slug).await {
        Ok(meta) => AppFacts {
            deployed: true,
            apis_live: meta.apis,
            records: meta.records,
            figures: meta.figures,
            currency: meta.currency,
            ..base
        },
        Err(error) => {
            tracing::warn!(app = app.slug, %error, "an app does not report");
            AppFacts { silent: true, ..base }
        }
    }
}

/// The entry meant by `subject`: the same name first, else one whose name has all the words; the first of several (lists are
/// newest first). No word at all means the only or newest one.
fn find<'a, T>(subject: &str, entries: &'a [T], names: impl Fn(&T) -> (&String, &String)) -> Option<&'a T> {
    let asked = words(subject);
    if asked.is_empty() {
        return entries.first();
    }
    let exact = entries.iter().find(|entry| {
        let (slug, title) = names(entry);
        words(slug) == asked || words(title) == asked
    });
    exact.or_else(|| {
        entries.iter().find(|entry| {
            let (slug, title) = names(entry);
            let (slug, title) = (words(slug), words(title));
            asked.iter().all(|word| slug.contains(word) || title.contains(word))
        })
    })
}

/// The apps of the kind that `subject` names ("dashboard"), whatever they are called.
fn of_kind<'a>(subject: &str, apps: &'a [App]) -> Vec<&'a App> {
    let Some(kind) = BuildType::of_noun(&words(subject).join(" ")) else { return Vec::new() };
    let kind = serde_json::to_value(kind).unwrap_or_default();
    apps.iter().filter(|app| kind == app.build_type.as_str()).collect()
}

/// The words of a name that tell it from others; spelled letters ("c r m") become one word.
fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace("'s", "");
    let mut words: Vec<String> = Vec::new();
    let mut spelling = false;
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        let letter = word.chars().count() == 1 && word != "a";
        match words.last_mut() {
            Some(last) if letter && spelling => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
        spelling = letter;
    }
    words.retain(|word| !FILLERS.contains(&word.as_str()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_out_in_groups() {
        assert_eq!(code_in_words("481-207-936"), "four eight one, two zero seven, nine three six");
    }

    #[test]
    fn names_are_found_as_people_say_them() {
        let apps: Vec<(String, String)> =
            [("crm-2", "CRM"), ("crm", "CRM"), ("harbour-crm", "Harbour CRM"), ("shop", "Web Shop")]
                .map(|(slug, title)| (slug.to_owned(), title.to_owned()))
                .into();
        let found = |subject: &str| find(subject, &apps, |(slug, title)| (slug, title)).map(|(slug, _)| slug.as_str());
        for (subject, slug) in [
            ("crm", "crm-2"),
            ("the CRM", "crm-2"),
            ("my c r m", "crm-2"),
            ("the C.R.M. please", "crm-2"),
            ("CRM's", "crm-2"),
            ("harbour", "harbour-crm"),
            ("the Harbour CRM", "harbour-crm"),
            ("crm 2", "crm-2"),
            ("our web shop", "shop"),
            ("shop", "shop"),
            ("", "crm-2"),
            ("the app", "crm-2"),
        ] {
            assert_eq!(found(subject), Some(slug), "{subject:?}");
        }
        assert_eq!(found("website"), None);
        assert_eq!(found("crm shop"), None);
    }
}
