//! What may be built on or told again, found by its words. Purpose: the documents that `knowledge` looks among. Invariants: of a
//! type and key there is one document, the newest; a document and its words change together (triggers). Deliberately absent:
//! choosing how much of it is of use (`knowledge`), meaning beyond words.

use super::{Commit, Store, StoreError};
use crate::time::Wallclock;
use rusqlite::params;

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memo {
    /// `build_spec`, `execution_outcome`, `code_pattern`.
    pub source_type: String,
    /// The build's id, the pattern's name.
    pub key: String,
    /// What it is called.
    pub title: String,
    /// What it is of, and how it went: `build_crm`, `successful`.
    pub tags: Vec<String>,
    /// Its words.
    pub body: String,
    /// When it was put.
    pub time: Wallclock,
}

/// The memory of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct Memory<'a>(pub(super) &'a Store);

impl Memory<'_> {
    /// Keeps a document; one of the same type and key is replaced.
    #[must_use = "a document that is not awaited may not be on disk"]
    pub fn put(&self, memo: Memo) -> Commit<()> {
        self.0.write(move |db| {
            db.execute(
                "INSERT INTO memory(source_type, key, title, tags, body, time) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT(source_type, key) DO UPDATE SET
                   title = excluded.title, tags = excluded.tags, body = excluded.body, time = excluded.time
                 WHERE (title, tags, body) IS NOT (excluded.title, excluded.tags, excluded.body)",
                params![
                    memo.source_type,
                    memo.key,
                    memo.title,
                    serde_json::Value::from(memo.tags).to_string(),
                    memo.body,
                    memo.time.0.cast_signed()
                ],
            )?;
            Ok(())
        })
    }

    /// Documents of these types with all of these tags in which any of `words` stands, the best first: rare words and those of a
    /// title count for more (BM25).
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn find(
        &self,
        words: &[&str],
        source_types: &[&str],
        tags: &[&str],
        most: usize,
    ) -> Result<Vec<Memo>, StoreError> {
        // A word in quotes is no operator of FTS5.
        let words: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.replace('"', ""))).collect();
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let (types, tags) = (serde_json::Value::from(source_types.to_vec()), serde_json::Value::from(tags.to_vec()));
        self.0.read(|db| {
            let mut rows = db.prepare_cached(
                "SELECT source_type, key, m.title, tags, m.body, time FROM memory_words
                 JOIN memory m ON m.id = memory_words.rowid
                 WHERE memory_words MATCH ?1 AND source_type IN (SELECT value FROM json_each(?2))
                   AND NOT EXISTS (SELECT 1 FROM json_each(?3) AS wanted
                                   WHERE wanted.value NOT IN (SELECT value FROM json_each(m.tags)))
                 ORDER BY bm25(memory_words, 4.0, 1.0), time DESC, key LIMIT ?4",
            )?;
            let found = rows.query_map(
                params![
                    words.join(" OR "),
                    types.to_string(),
                    tags.to_string(),
                    i64::try_from(most).unwrap_or(i64::MAX)
                ],
                |row| {
                    let tags: String = row.get(3)?;
                    Ok(Memo {
                        source_type: row.get(0)?,
                        key: row.get(1)?,
                        title: row.get(2)?,
                        tags: serde_json::from_str(&tags).unwrap_or_default(),
                        body: row.get(4)?,
                        time: Wallclock(row.get::<_, i64>(5)?.cast_unsigned()),
                    })
                },
            )?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }
}
