//! What is deleted with time. Purpose: what callers have said does not lie about for longer than the operator wants, and the
//! database does not grow for ever. Invariants: of what is up nothing goes; whatever belongs to a call goes with it, its events
//! included; a batch is small, so that no other write waits long; what was deleted is overwritten in the database
//! (`secure_delete`), and [`Retention::settle`] takes it out of the log of changes too. Deliberately absent: when (`daemon`), sound
//! (`media::recorder`), builds and apps, which are nobody's call.

use super::{Commit, EventKind, Store, StoreError};
use crate::limits::PURGE_BATCH;
use crate::time::Wallclock;
use rusqlite::{Connection, params};

/// Events that hold what was said or keyed.
const OF_WORDS: [EventKind; 4] =
    [EventKind::ConversationTurn, EventKind::CallHeard, EventKind::CallDigit, EventKind::IntentRecognised];
/// Events that tell who called whom, and what came of it.
const OF_CALLS: [EventKind; 17] = [
    EventKind::CallStarted,
    EventKind::CallRinging,
    EventKind::CallAnswered,
    EventKind::CallHeld,
    EventKind::CallPlayed,
    EventKind::CallBridged,
    EventKind::CallTransfer,
    EventKind::CallDetected,
    EventKind::CallEmergency,
    EventKind::CallEnded,
    EventKind::MessageTaken,
    EventKind::RecordingStarted,
    EventKind::RecordingEnded,
    EventKind::CallBackRequested,
    EventKind::ReturnCallPromised,
    EventKind::ReturnCallPlaced,
    EventKind::ReturnCallOver,
];

/// What is too old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TooOld {
    /// What was said before; `None`: nothing is.
    pub words: Option<Wallclock>,
    /// Calls that ended before, with messages, conversations, recordings' rows and all events; `None`: none is.
    pub calls: Option<Wallclock>,
}

/// What a batch has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Turns of conversations, those of deleted calls included.
    pub turns: usize,
    /// Calls.
    pub calls: usize,
    /// Events.
    pub events: usize,
}

impl Purged {
    /// Whether nothing was left to delete.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What a [`Store`] forgets.
#[derive(Debug, Clone, Copy)]
pub struct Retention<'a>(pub(super) &'a Store);

impl Retention<'_> {
    /// Deletes the oldest of what is too old: a batch, to be asked for again until there is nothing.
    #[must_use = "await it to know what is left"]
    pub fn purge(&self, old: TooOld) -> Commit<Purged> {
        self.0.write(move |db| {
            let mut purged = Purged::default();
            if let Some(before) = old.words {
                purged.turns += delete_turns(db, before)?;
                purged.events += delete_events(db, &OF_WORDS, before)?;
                // Of no use after a day, but replaced only when the next line is cut.
                db.prepare_cached("DELETE FROM kept WHERE updated < ?1")?.execute([before.0.cast_signed()])?;
            }
            if let Some(before) = old.calls {
                let (calls, turns) = delete_calls(db, before)?;
                purged.calls += calls;
                purged.turns += turns;
                purged.events += delete_events(db, &OF_WORDS, before)? + delete_events(db, &OF_CALLS, before)?;
            }
            Ok(purged)
        })
    }

    /// After a purge: brings the log of changes into the database and empties it, since it holds what was deleted. Waits for the
    /// disk. `false`: readers are in the way; the next one makes up for it.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn settle(&self) -> Result<bool, StoreError> {
        self.0.read(|db| {
            let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            Ok(busy == 0)
        })
    }
}

fn batch() -> i64 {
    i64::try_from(PURGE_BATCH).unwrap_or(i64::MAX)
}

fn delete_turns(db: &Connection, before: Wallclock) -> Result<usize, StoreError> {
    let sql = "DELETE FROM turns WHERE (conversation_id, seq) IN
               (SELECT conversation_id, seq FROM turns WHERE started < ?1 ORDER BY started LIMIT ?2)";
    Ok(db.prepare_cached(sql)?.execute(params![before.0.cast_signed(), batch()])?)
}

fn delete_events(db: &Connection, kinds: &[EventKind], before: Wallclock) -> Result<usize, StoreError> {
    let sql = "DELETE FROM events WHERE seq IN
               (SELECT seq FROM events WHERE type = ?1 AND time < ?2 ORDER BY time LIMIT ?3)";
    let mut delete = db.prepare_cached(sql)?;
    let mut deleted = 0;
    for kind in kinds {
        deleted += delete.execute(params![kind.name(), before.0.cast_signed(), batch()])?;
    }
    Ok(deleted)
}

/// Calls and their turns.
fn delete_calls(db: &Connection, before: Wallclock) -> Result<(usize, usize), StoreError> {
    let mut oldest =
        db.prepare_cached("SELECT id FROM calls WHERE ended IS NOT NULL AND ended < ?1 ORDER BY ended LIMIT ?2")?;
    let found = oldest.query_map(params![before.0.cast_signed(), batch()], |row| row.get::<_, String>(0))?;
    let calls = found.collect::<Result<Vec<_>, _>>()?;
    let mut turns = 0;
    for call in &calls {
        let of_call = "SELECT id FROM conversations WHERE call_id = ?1";
        turns +=
            db.prepare_cached(&format!("DELETE FROM turns WHERE conversation_id IN ({of_call})"))?.execute([call])?;
        for sql in [
            "DELETE FROM conversations WHERE call_id = ?1",
            "DELETE FROM messages WHERE call_id = ?1",
            "DELETE FROM recordings WHERE call_id = ?1",
            "DELETE FROM calls WHERE id = ?1",
        ] {
            db.prepare_cached(sql)?.execute([call])?;
        }
    }
    // A promise may outlive the call in which it was given.
    let returns = "DELETE FROM return_calls WHERE state NOT IN ('waiting', 'ringing') AND updated < ?1";
    db.prepare_cached(returns)?.execute([before.0.cast_signed()])?;
    Ok((calls.len(), turns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        CallRecord, CallRecording, Conversation, Direction, Message, RecordingState, ReturnConsent, ReturnWish,
        Speaker, Turn,
    };

    const DAY: u64 = 86_400_000;
    const SAID: &str = "my secret is Rumpelstiltskin";

    fn day(number: u64) -> Wallclock {
        Wallclock(1_700_000_000_000 + number * DAY)
    }

    /// A call of that day with all that may belong to one; without an end when it is up.
    fn write(store: &Store, number: u64, up: bool) {
        let (id, conversation) = (format!("call_{number}"), format!("conv_{number}"));
        let call = CallRecord {
            answered: Some(day(number)),
            ended: (!up).then(|| day(number)),
            conversation_id: Some(conversation.clone()),
            ..CallRecord::begun(id.clone(), Direction::Inbound, day(number))
        };
        store.calls().record(call).wait().unwrap();
        let begun = Conversation {
            id: conversation.clone(),
            call_id: Some(id.clone()),
            agent: "grace".into(),
            started: day(number),
            ended: None,
        };
        store.conversations().record(begun).wait().unwrap();
        for seq in 1..=3 {
            let turn = Turn {
                conversation_id: conversation.clone(),
                seq,
                who: Speaker::Caller,
                text: SAID.into(),
                heard: Some(SAID.into()),
                started: day(number),
                ended: None,
                confidence: None,
            };
            store.conversations().turn(turn).wait().unwrap();
        }
        let wish = ReturnWish {
            build_id: format!("build_{number}"),
            conversation_id: conversation.clone(),
            agent: "grace".into(),
            caller: "ann@192.0.2.1".into(),
            target: "sip:ann@192.0.2.1".into(),
            consent: ReturnConsent::Asked,
            on_call: id.clone(),
        };
        store.return_calls().promise(wish, day(number)).wait().unwrap();
        store.return_calls().withdraw(&format!("build_{number}"), "told", day(number)).wait().unwrap();
        let message = Message {
            call_id: id.clone(),
            caller: "sip:ann@192.0.2.1".into(),
            callee: "300".into(),
            text: "call me back".into(),
            seconds: 7,
            time: day(number),
        };
        store.messages().take(message).wait().unwrap();
        let recording = CallRecording {
            call_id: id,
            file: "recordings/x.wav".into(),
            format: "wav".into(),
            state: RecordingState::Deleted,
            reason: None,
            samples: 1,
            octets: 1,
            lost_frames: 0,
            withheld_frames: 0,
        };
        store.recordings().record(recording, day(number)).wait().unwrap();
    }

    /// Batches until nothing is left: how many, and the sum.
    fn purge(store: &Store, old: TooOld) -> (usize, Purged) {
        let (mut batches, mut all) = (0, Purged::default());
        loop {
            let one = store.retention().purge(old).wait().unwrap();
            if one.is_nothing() {
                return (batches, all);
            }
            assert!(one.turns <= 4 * PURGE_BATCH && one.calls <= PURGE_BATCH, "{one:?}");
            batches += 1;
            all.turns += one.turns;
            all.calls += one.calls;
            all.events += one.events;
        }
    }

    fn kinds(store: &Store) -> Vec<(String, String)> {
        store.events().after(0, 1000).unwrap().into_iter().map(|e| (e.kind, e.subject)).collect()
    }

    #[test]
    fn old_calls_go_with_all_that_is_theirs_and_what_is_up_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        write(&store, 0, true);
        write(&store, 1, false);
        write(&store, 9, false);
        assert_eq!(purge(&store, TooOld::default()), (0, Purged::default()));
        let (_, purged) = purge(&store, TooOld { words: None, calls: Some(day(2)) });
        assert_eq!((purged.calls, purged.turns), (1, 3));
        assert_eq!(store.calls().get("call_1"), Ok(None));
        assert_eq!(store.conversations().get("conv_1"), Ok(None));
        assert_eq!(store.recordings().get("call_1"), Ok(None));
        assert!(!kinds(&store).iter().any(|(_, subject)| subject.ends_with("_1")), "{:?}", kinds(&store));
        assert_eq!(store.messages().list(None, 10).unwrap().items.len(), 2);
        assert_eq!(store.return_calls().list(None, 10).unwrap().items.len(), 1);
        for number in [0, 9] {
            assert!(store.calls().get(&format!("call_{number}")).unwrap().is_some(), "{number}");
            assert_eq!(store.conversations().get(&format!("conv_{number}")).unwrap().unwrap().1.len(), 3, "{number}");
        }
        assert!(kinds(&store).contains(&("call.ended".into(), "call_9".into())));
        let returns = |kind: &str| kinds(&store).iter().filter(|(k, _)| k == kind).count();
        assert_eq!(
            (returns("return_call.promised"), returns("return_call.over")),
            (1, 1),
            "they have the numbers in them"
        );
    }

    #[test]
    fn what_was_said_goes_before_the_record_of_the_call_and_leaves_no_trace_in_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for number in 0..40 {
            write(&store, number, false);
        }
        let (_, purged) = purge(&store, TooOld { words: Some(day(40)), calls: None });
        assert_eq!((purged.turns, purged.calls, purged.events), (120, 0, 120));
        let (conversation, turns) = store.conversations().get("conv_5").unwrap().unwrap();
        assert!(conversation.call_id.is_some() && turns.is_empty());
        assert!(store.calls().get("call_5").unwrap().is_some());
        assert_eq!(store.messages().list(None, 100).unwrap().items.len(), 40);
        assert_eq!(store.retention().settle(), Ok(true));
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let path = file.unwrap().path();
            let octets = std::fs::read(&path).unwrap();
            let found = octets.windows(SAID.len()).any(|window| window == SAID.as_bytes());
            assert!(!found, "{} still holds it", path.display());
        }
        store.calls().record(CallRecord::begun("call_after", Direction::Inbound, day(41))).wait().unwrap();
    }

    #[test]
    fn it_goes_in_batches_so_that_others_are_written_between() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let of_many = |n: usize| CallRecord {
            ended: Some(day(0)),
            ..CallRecord::begun(format!("call_{n}"), Direction::Inbound, day(0))
        };
        let commits: Vec<_> = (0..2 * PURGE_BATCH + 1).map(|n| store.calls().record(of_many(n))).collect();
        commits.into_iter().for_each(|commit| commit.wait().unwrap());
        let (batches, purged) = purge(&store, TooOld { words: None, calls: Some(day(1)) });
        assert_eq!(purged.calls, 2 * PURGE_BATCH + 1);
        assert!(batches >= 3, "{batches}");
    }
}
