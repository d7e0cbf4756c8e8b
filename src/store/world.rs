//! Versioned documents about the world, by category. Invariant: a version is never changed; putting an equal document adds
//! none. Deliberately absent: search (that is `knowledge`).

use super::{Commit, Store, StoreError};
use crate::time::Wallclock;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

/// One version of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// `build_spec`, `deployment`.
    pub category: String,
    /// The build's or app's id.
    pub key: String,
    /// Counted from 1.
    pub version: u32,
    /// Its content.
    pub document: Value,
    /// When it was put.
    pub time: Wallclock,
}

/// The documents of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct World<'a>(pub(super) &'a Store);

impl World<'_> {
    /// Puts a new version unless the newest is equal; returns the newest version's number.
    #[must_use = "a document that is not awaited may not be on disk"]
    pub fn put(&self, category: &str, key: &str, document: Value, now: Wallclock) -> Commit<u32> {
        let (category, key) = (category.to_owned(), key.to_owned());
        self.0.write(move |db| {
            let newest = newest(db, &category, &key)?;
            let version = match newest {
                Some(newest) if newest.document == document => return Ok(newest.version),
                Some(newest) => newest.version + 1,
                None => 1,
            };
            db.execute(
                "INSERT INTO world(category, key, version, document, time) VALUES(?1, ?2, ?3, ?4, ?5)",
                params![category, key, version, document.to_string(), now.0.cast_signed()],
            )?;
            Ok(version)
        })
    }

    /// The newest version.
    ///
    /// # Errors
    /// The database cannot be read, or the document does not parse.
    pub fn get(&self, category: &str, key: &str) -> Result<Option<Document>, StoreError> {
        self.0.read(|db| newest(db, category, key))
    }
}

fn newest(db: &Connection, category: &str, key: &str) -> Result<Option<Document>, StoreError> {
    let found = db.query_row(
        "SELECT version, document, time FROM world WHERE category = ?1 AND key = ?2 ORDER BY version DESC LIMIT 1",
        [category, key],
        |row| Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)),
    );
    let Some((version, text, time)) = found.optional()? else { return Ok(None) };
    Ok(Some(Document {
        category: category.to_owned(),
        key: key.to_owned(),
        version,
        document: serde_json::from_str(&text)?,
        time: Wallclock(time.cast_unsigned()),
    }))
}
