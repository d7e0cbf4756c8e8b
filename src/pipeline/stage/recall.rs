//! The memory of builds: what a new one may build on, and what is kept of each. Purpose: similar builds that went live and the
//! patterns of packs reach the spec with their sources (ledger S0-11, S0-17, S0-57). Invariant: without memory a build goes on as
//! if there were none. Deliberately absent: looking among documents (`knowledge`), what is taken over (`spec::reuse`).

use super::{StageError, Works};
use crate::knowledge::{Query, Recalled, retrieve_with_citations};
use crate::os::clock;
use crate::pipeline::manifest::catalogue::{self, Offer};
use crate::pipeline::manifest::{BuildManifest, BuildType};
use crate::pipeline::spec::{Spec, currency_words};
use crate::store::{Build, Memo, OUTCOMES, Store, StoreError};

const PATTERNS: &str = "code_pattern";
const SPECS: &str = super::specify::CATEGORY;
/// Of whatever has passed its tests.
const SUCCESSFUL: &str = "successful";
/// Ledger N19.
const TOKENS_MAX: usize = 3000;

/// Puts the patterns of all packs where they are found; those that are there as they are stay.
pub(in crate::pipeline) async fn seed(store: &Store) {
    let now = clock::wall();
    let mut commits = Vec::new();
    for kind in BuildType::ALL.into_iter().filter(|kind| kind.is_buildable()) {
        for offer in catalogue::offers(kind) {
            commits.push(store.memory().put(Memo {
                source_type: PATTERNS.to_owned(),
                key: pattern_key(kind, offer),
                title: offer.spoken.to_owned(),
                tags: vec![tag(kind), SUCCESSFUL.to_owned()],
                body: [&[offer.pack], offer.words].concat().join(", ").replace('_', " "),
                time: now,
            }));
        }
    }
    for commit in commits {
        if let Err(error) = commit.await {
            tracing::warn!(%error, "the patterns of packs are not in the memory: builds cite none");
            return;
        }
    }
}

/// Lets `spec` build on what is known. What the caller should hear of it, if anything.
pub(super) fn build_on(works: &Works, build: &Build, manifest: &BuildManifest, spec: &mut Spec) -> Option<String> {
    build_on_known(works, build, manifest, spec).unwrap_or_else(|error| {
        tracing::warn!(build = build.id, %error, "the memory cannot be asked: this build goes without");
        None
    })
}

fn build_on_known(
    works: &Works,
    build: &Build,
    manifest: &BuildManifest,
    spec: &mut Spec,
) -> Result<Option<String>, StoreError> {
    let kind = tag(spec.build_type);
    let text = format!("{} {} {}", spec.title, spec.description, words(spec));
    let known = retrieve_with_citations(
        &works.store,
        &Query { text: &text, source_types: &[PATTERNS, OUTCOMES], tags: &[&kind, SUCCESSFUL], max_tokens: TOKENS_MAX },
    )?;
    let (patterns, outcomes): (Vec<Recalled>, Vec<Recalled>) =
        known.into_iter().partition(|found| found.memo.source_type == PATTERNS);
    for pack in spec.features.iter().map(|feature| feature.pack.clone()).collect::<Vec<_>>() {
        let key = format!("{kind}/{pack}");
        if let Some(found) = patterns.iter().find(|found| found.memo.key == key) {
            spec.cite(&format!("pack {pack}"), &found.citation);
        }
    }
    if manifest.amends().is_some() {
        let live = works.store.apps().get(&build.slug)?.map(|app| app.build_id);
        let Some(id) = live else { return Ok(None) };
        if let Some(earlier) = spec_of(works, &id)? {
            spec.build_on(manifest, &earlier, &format!("{SPECS} {id}: {}", earlier.title));
        }
        return Ok(None);
    }
    for found in outcomes {
        let Some(earlier) = spec_of(works, &found.memo.key)? else { continue };
        let before = spec.currency.clone();
        spec.build_on(manifest, &earlier, &found.citation);
        let tells = spec.currency != before && spec.shows_money();
        return Ok(
            tells.then(|| format!("Amounts are in {}, as in {}.", currency_words(&spec.currency), found.memo.title))
        );
    }
    Ok(None)
}

/// The spec of a build, if it is kept and of today's shape.
fn spec_of(works: &Works, build_id: &str) -> Result<Option<Spec>, StoreError> {
    let found = works.store.world().get(SPECS, build_id)?;
    Ok(found.and_then(|found| serde_json::from_value(found.document).ok()))
}

/// Keeps how a build went. It is live: that it is not remembered costs the next build no more than a precedent.
pub(super) fn note_live(works: &Works, build: &Build) -> Result<(), StageError> {
    let spec = works.spec(build)?;
    let memo = Memo {
        source_type: OUTCOMES.to_owned(),
        key: build.id.clone(),
        title: spec.title.clone(),
        tags: vec![tag(spec.build_type), SUCCESSFUL.to_owned()],
        body: format!("{} {}", spec.description, words(&spec)).trim().to_owned(),
        time: clock::wall(),
    };
    if let Err(error) = works.store.memory().put(memo).wait() {
        tracing::warn!(build = build.id, %error, "how the build went was not kept in the memory");
    }
    Ok(())
}

/// What it keeps and can do, as it is spoken.
fn words(spec: &Spec) -> String {
    let spoken = |pack: &str| catalogue::find(spec.build_type, pack).map(|offer: &Offer| offer.spoken);
    let packs = spec.features.iter().filter(|feature| feature.asked).filter_map(|feature| spoken(&feature.pack));
    packs.chain(spec.entities.iter().map(|entity| entity.label.as_str())).collect::<Vec<_>>().join(", ")
}

fn pattern_key(kind: BuildType, offer: &Offer) -> String {
    format!("{}/{}", tag(kind), offer.pack)
}

/// `build_crm`.
fn tag(kind: BuildType) -> String {
    serde_json::to_value(kind).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
