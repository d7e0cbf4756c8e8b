//! Where telephones are reached. Purpose: a restart of the daemon is no outage of telephones that register every few minutes.
//! Invariant: the rows of an extension are replaced together; what has expired is neither given out nor kept for long.
//! Deliberately absent: passwords, connections (they end with the daemon).

use super::{Commit, Store, StoreError};
use crate::time::Wallclock;
use rusqlite::params;
use std::net::SocketAddr;

/// One place where an extension is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBinding {
    /// Number.
    pub extension: String,
    /// Contact URI.
    pub contact: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Where it registered from.
    pub address: SocketAddr,
    /// Routes towards it.
    pub path: Vec<String>,
    /// The telephone's own identity.
    pub instance: Option<String>,
    /// Call-ID of its registrations.
    pub call_id: String,
    /// CSeq number of the last one.
    pub sequence: u32,
    /// Preference, thousandths.
    pub q: u16,
    /// Product.
    pub user_agent: String,
    /// End.
    pub until: Wallclock,
}

/// The bindings in a [`Store`].
#[derive(Debug, Clone, Copy)]
pub struct KeptBindings<'a>(pub(super) &'a Store);

impl KeptBindings<'_> {
    /// Writes where an extension is reached now, instead of what was known before.
    #[must_use = "what is not awaited may not be on disk"]
    pub fn replace(&self, extension: String, bindings: Vec<KeptBinding>, now: Wallclock) -> Commit<()> {
        self.0.write(move |db| {
            let now = now.0.cast_signed();
            db.execute("DELETE FROM bindings WHERE extension = ?1 OR until <= ?2", params![extension, now])?;
            for b in bindings {
                db.execute(
                    "INSERT OR REPLACE INTO bindings(extension, contact, transport, address, path, instance, call_id, sequence,
                       q, user_agent, until) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                    params![
                        extension,
                        b.contact,
                        b.transport,
                        b.address.to_string(),
                        b.path.join("\n"),
                        b.instance,
                        b.call_id,
                        b.sequence,
                        b.q,
                        b.user_agent,
                        b.until.0.cast_signed()
                    ],
                )?;
            }
            Ok(())
        })
    }

    /// Everything that has not expired, by extension.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn live(&self, now: Wallclock) -> Result<Vec<KeptBinding>, StoreError> {
        self.0.read(|db| {
            let mut query = db.prepare(
                "SELECT extension, contact, transport, address, path, instance, call_id, sequence, q, user_agent, until
                 FROM bindings WHERE until > ?1 ORDER BY extension, until",
            )?;
            let rows = query.query_map([now.0.cast_signed()], |row| {
                let (address, path): (String, String) = (row.get(3)?, row.get(4)?);
                let until: i64 = row.get(10)?;
                let address = address.parse::<SocketAddr>().ok();
                let path = path.split('\n').filter(|p| !p.is_empty()).map(str::to_owned).collect();
                Ok((
                    address,
                    path,
                    until,
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(5)?,
                    row.get(6)?,
                    row.get(7)?,
                    row.get(8)?,
                    row.get(9)?,
                ))
            })?;
            let mut found = Vec::new();
            for row in rows {
                let (address, path, until, extension, contact, transport, instance, call_id, sequence, q, user_agent) =
                    row?;
                // What we did not write ourselves is no address to call.
                let Some(address) = address else { continue };
                let until = Wallclock(until.cast_unsigned());
                found.push(KeptBinding {
                    extension,
                    contact,
                    transport,
                    address,
                    path,
                    instance,
                    call_id,
                    sequence,
                    q,
                    user_agent,
                    until,
                });
            }
            Ok(found)
        })
    }
}
