//! Build manifests as approved. Invariant: never changed; a change is a new revision with a new id.

use super::{Store, StoreError};
use crate::pipeline::manifest::BuildManifest;
use crate::time::Wallclock;
use rusqlite::{Connection, OptionalExtension, params};

/// The manifests of a [`Store`]. They are written together with their build ([`super::Builds::submit`]).
#[derive(Debug, Clone, Copy)]
pub struct Manifests<'a>(pub(super) &'a Store);

impl Manifests<'_> {
    /// One manifest.
    ///
    /// # Errors
    /// The database cannot be read, or the document does not parse.
    pub fn get(&self, id: &str) -> Result<Option<BuildManifest>, StoreError> {
        self.0.read(|db| {
            let found =
                db.query_row("SELECT document FROM manifests WHERE id = ?1", [id], |row| row.get::<_, String>(0));
            found.optional()?.map(|text| serde_json::from_str(&text).map_err(StoreError::from)).transpose()
        })
    }
}

/// Writes a manifest in the running transaction; a repeat changes nothing.
pub(super) fn insert(db: &Connection, manifest: &BuildManifest, now: Wallclock) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO manifests(id, document, created) VALUES(?1, ?2, ?3) ON CONFLICT(id) DO NOTHING",
        params![manifest.manifest_id, serde_json::to_string(manifest)?, now.0.cast_signed()],
    )?;
    Ok(())
}
