//! The store as the daemon uses it: nothing acknowledged is lost, errors say what to do, events come out once and in order.

use callwright::bus::Bus;
use callwright::pipeline::manifest::{BuildManifest, BuildType, CreatedFrom};
use callwright::store::{
    Advance, Build, CallBackRequest, CallRecord, Cancelled, Conversation, Direction, EventKind, KeptBinding, KeptFor,
    Message, OpenOptions, Speaker, Store, StoreError, Submitted, TooOld, Turn,
};
use callwright::time::Wallclock;
use proptest::prelude::*;
use serde_json::{Map, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

fn manifest(id: &str, title: &str) -> BuildManifest {
    BuildManifest {
        manifest_id: id.into(),
        build_type: BuildType::BuildCrm,
        title: title.into(),
        description: "Keeps customers.".into(),
        features: vec!["contacts".into(), "deals".into()],
        tech_stack: vec![],
        constraints: Map::new(),
        integrations: vec![],
        conversation_id: "conv_1".into(),
        created_from: CreatedFrom::Voice,
        confidence: 0.93,
        metadata: Map::from_iter([("approval".to_owned(), json!("yes"))]),
    }
}

fn call(id: &str) -> CallRecord {
    CallRecord {
        id: id.into(),
        direction: Direction::Inbound,
        caller: "sip:ann@192.0.2.1".into(),
        callee: "100".into(),
        source: "192.0.2.1:5060".into(),
        app: "agent:grace".into(),
        conversation_id: None,
        started: Wallclock(1000),
        answered: None,
        ..CallRecord::begun("", Direction::Inbound, Wallclock(0))
    }
}

/// The other half of `nothing_acknowledged_is_lost_by_kill_9`: writes and says what was acknowledged, until it is killed.
#[test]
fn writer_that_is_killed() {
    let Some(dir) = std::env::var_os("STORE_TEST_DIR") else { return };
    let first: u64 = std::env::var("STORE_TEST_FIRST").unwrap().parse().unwrap();
    let store = Store::open(dir.as_ref()).unwrap();
    let mut out = std::io::stdout().lock();
    for number in first.. {
        // Several under way at once, as in the daemon.
        let commits: Vec<_> = (0..3).map(|part| store.calls().record(call(&format!("call_{number}_{part}")))).collect();
        for (part, commit) in commits.into_iter().enumerate() {
            commit.wait().unwrap();
            writeln!(out, "ack call_{number}_{part}").unwrap();
        }
        out.flush().unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..3_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_that_is_killed", "--nocapture"])
            .env("STORE_TEST_DIR", dir.path())
            .env("STORE_TEST_FIRST", (round * 1_000_000).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed in the middle of its work, at another point each round.
        for _ in 0..50 + 37 * round {
            let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains("ack ")).unwrap();
            acknowledged.push(line.rsplit(' ').next().unwrap().to_owned());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(lines.map_while(Result::ok).filter_map(|l| l.strip_prefix("ack ").map(str::to_owned)));
    }
    let store = Store::open(dir.path()).unwrap();
    for id in &acknowledged {
        assert!(store.calls().get(id).unwrap().is_some(), "{id} was acknowledged and is gone");
    }
    let events = store.events().after(0, usize::MAX).unwrap();
    let started = events.iter().filter(|e| e.kind == "call.started").count();
    let mut calls = 0;
    let mut before = None;
    loop {
        let page = store.calls().list(before, 200).unwrap();
        calls += page.items.len();
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(started, calls, "each call has its one event");
    assert!(acknowledged.len() > 250);
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let small = OpenOptions { size_max: Some(300_000), ..OpenOptions::default() };
    let store = Store::open_with(dir.path(), &small).unwrap();
    let big = "x".repeat(20_000);
    let mut kept = Vec::new();
    let error = loop {
        let id = format!("call_{}", kept.len());
        match store.calls().record(CallRecord { reason: Some(big.clone()), ..call(&id) }).wait() {
            Ok(()) => kept.push(id),
            Err(error) => break error,
        }
    };
    assert_eq!(error, StoreError::DiskFull);
    assert!(error.retry() && !kept.is_empty());
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert!(kept.iter().all(|id| store.calls().get(id).unwrap().is_some()));
    store.calls().record(call("call_after")).wait().unwrap();
}

#[test]
fn a_read_only_store_a_foreign_lock_and_a_second_daemon_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.calls().record(call("call_1")).wait().unwrap();
    let quick = OpenOptions { lock_wait: Duration::from_millis(20), ..OpenOptions::default() };
    assert!(matches!(Store::open_with(dir.path(), &quick), Err(StoreError::InUse(_))));
    drop(store);

    let reader = Store::open_with(dir.path(), &OpenOptions { read_only: true, ..OpenOptions::default() }).unwrap();
    assert!(reader.calls().get("call_1").unwrap().is_some());
    let error = reader.calls().record(call("call_2")).wait().unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
    drop(reader);

    let store = Store::open_with(dir.path(), &quick).unwrap();
    let blocker = rusqlite::Connection::open(dir.path().join("callwright.db")).unwrap();
    // Often, since what is written right after a failure must not share it.
    for _ in 0..10 {
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(store.calls().record(call("call_3")).wait(), Err(StoreError::Locked));
        blocker.execute_batch("COMMIT").unwrap();
        store.calls().record(call("call_3")).wait().unwrap();
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("callwright.db"), vec![7_u8; 8192]).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("backup"));
}

#[test]
fn a_call_and_its_talk_are_kept_and_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut record = call("call_1");
    record.details = Some(json!({"headers": [{"name": "X-Order", "value": "42"}]}));
    store.calls().record(record.clone()).wait().unwrap();
    record.answered = Some(Wallclock(2000));
    record.conversation_id = Some("conv_1".into());
    store.calls().record(record.clone()).wait().unwrap();
    let conversation = Conversation {
        id: "conv_1".into(),
        call_id: Some("call_1".into()),
        agent: "grace".into(),
        started: Wallclock(2000),
        ended: None,
    };
    store.conversations().record(conversation.clone()).wait().unwrap();
    let turn = Turn {
        conversation_id: "conv_1".into(),
        seq: 1,
        who: Speaker::Agent,
        text: "Hello, this is Grace.".into(),
        heard: None,
        started: Wallclock(2100),
        ended: Some(Wallclock(3100)),
        confidence: None,
    };
    store.conversations().turn(turn.clone()).wait().unwrap();
    store.conversations().turn(turn.clone()).wait().unwrap();
    let corrected = Turn { heard: Some("Hello,".into()), ..turn };
    store.conversations().turn(corrected.clone()).wait().unwrap();
    record.ended = Some(Wallclock(9000));
    record.ended_by = Some("remote".into());
    record.media = Some(json!({"received": 350}));
    store.calls().record(record.clone()).wait().unwrap();
    store.calls().record(record.clone()).wait().unwrap();

    assert_eq!(store.calls().get("call_1").unwrap(), Some(record));
    assert_eq!(store.conversations().get("conv_1").unwrap(), Some((conversation, vec![corrected])));
    let events = store.events().after(0, 100).unwrap();
    let kinds: Vec<_> = events.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["call.started", "call.answered", "conversation.turn", "conversation.turn", "call.ended"]);
    assert_eq!(events[0].data["headers"][0], json!({"name": "X-Order", "value": "42"}));
    assert_eq!(events[4].data["answered_seconds"], 7);
    let envelope = serde_json::to_value(&events[0]).unwrap();
    let names: Vec<_> = envelope.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["seq", "id", "type", "time", "subject", "data"]);
    assert_eq!(envelope["time"], "1970-01-01T00:00:01.000Z");
}

#[test]
fn a_wish_to_be_called_back_is_told_once_and_lasts() {
    let directory = tempfile::tempdir().unwrap();
    let wish = CallBackRequest {
        conversation_id: "conv_1".into(),
        number: "5551234".into(),
        name: Some("Smith".into()),
        time: Wallclock(2100),
    };
    let store = Store::open(directory.path()).unwrap();
    store.conversations().call_back(wish.clone()).wait().unwrap();
    store.conversations().call_back(wish.clone()).wait().unwrap();
    store.conversations().call_back(CallBackRequest { name: None, ..wish }).wait().unwrap();
    drop(store);
    let events = Store::open(directory.path()).unwrap().events().after(0, 100).unwrap();
    let told: Vec<_> = events.iter().map(|e| (e.kind.as_str(), e.subject.as_str(), e.data.clone())).collect();
    let data = |name: Option<&str>| json!({ "conversation_id": "conv_1", "number": "5551234", "name": name });
    assert_eq!(
        told,
        [("call_back.requested", "conv_1", data(Some("Smith"))), ("call_back.requested", "conv_1", data(None))]
    );
}

#[test]
fn a_turn_of_no_conversation_undoes_itself_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let lost = store.conversations().turn(Turn {
        conversation_id: "nowhere".into(),
        seq: 1,
        who: Speaker::Caller,
        text: "hi".into(),
        heard: None,
        started: Wallclock(1),
        ended: None,
        confidence: Some(0.5),
    });
    let kept = store.calls().record(call("call_1"));
    assert!(matches!(lost.wait(), Err(StoreError::Conflict(_))));
    kept.wait().unwrap();
    assert_eq!(store.events().after(0, 10).unwrap().len(), 1);
}

/// A conversation of a call with one turn, said then.
fn said(store: &Store, call: &str, conversation: &str, at: Wallclock) {
    let begun = Conversation {
        id: conversation.into(),
        call_id: Some(call.into()),
        agent: "grace".into(),
        started: Wallclock(1000),
        ended: None,
    };
    store.conversations().record(begun).wait().unwrap();
    store.conversations().turn(turn(conversation, at)).wait().unwrap();
}

fn turn(conversation: &str, at: Wallclock) -> Turn {
    Turn {
        conversation_id: conversation.into(),
        seq: 1,
        who: Speaker::Caller,
        text: "hi".into(),
        heard: None,
        started: at,
        ended: None,
        confidence: Some(0.5),
    }
}

#[test]
fn calls_that_were_up_when_the_daemon_died_end_at_their_last_sign_of_life() {
    const HOUR: u64 = 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let answered = |id: &str, conversation: Option<&str>| CallRecord {
        answered: Some(Wallclock(2000)),
        conversation_id: conversation.map(str::to_owned),
        ..call(id)
    };
    let talked = answered("call_talked", Some("conv_talked"));
    for up in [
        talked,
        answered("call_silent", None),
        answered("call_seen", None),
        answered("call_odd", None),
        call("call_rang"),
    ] {
        store.calls().record(up).wait().unwrap();
    }
    said(&store, "call_talked", "conv_talked", Wallclock(62_000));
    let seen = ["call_seen", "call_over"].map(str::to_owned).to_vec();
    store.calls().seen(seen, Wallclock(HOUR)).wait().unwrap();
    // A clock that was wrong makes no call of days.
    store.calls().seen(vec!["call_odd".to_owned()], Wallclock(1000 * HOUR)).wait().unwrap();
    let over =
        CallRecord { ended: Some(Wallclock(3000)), ended_by: Some("remote".into()), ..answered("call_over", None) };
    store.calls().record(over.clone()).wait().unwrap();
    said(&store, "call_over", "conv_over", Wallclock(2500));

    assert_eq!(store.calls().close_abandoned(Wallclock(15 * HOUR)).wait(), Ok(5));
    assert_eq!(store.calls().close_abandoned(Wallclock(16 * HOUR)).wait(), Ok(0));
    let ends = [
        ("call_talked", 62_000, Some(60)),
        ("call_silent", 2000, Some(0)),
        ("call_seen", HOUR, Some(HOUR / 1000 - 2)),
        ("call_odd", 2000 + 4 * HOUR, Some(4 * HOUR / 1000)),
        ("call_rang", 1000, None),
    ];
    let events = store.events().after(0, 100).unwrap();
    for (id, end, seconds) in ends {
        let record = store.calls().get(id).unwrap().unwrap();
        let shown = (record.ended, record.ended_by.as_deref(), record.cause);
        assert_eq!(shown, (Some(Wallclock(end)), Some("restart"), Some(41)), "{id}");
        let event = events.iter().find(|e| e.kind == "call.ended" && e.subject == id).unwrap();
        assert_eq!(event.data["answered_seconds"].as_u64(), seconds, "{id}");
    }
    assert_eq!(store.calls().get("call_over").unwrap().unwrap(), over);
    let end_of = |id: &str| store.conversations().get(id).unwrap().unwrap().0.ended;
    assert_eq!((end_of("conv_talked"), end_of("conv_over")), (Some(Wallclock(62_000)), Some(Wallclock(3000))));
}

#[test]
fn what_is_written_late_does_not_undo_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let over = CallRecord { ended: Some(Wallclock(5000)), answered: Some(Wallclock(2000)), ..call("call_1") };
    store.calls().record(over.clone()).wait().unwrap();
    store.calls().record(call("call_1")).wait().unwrap();
    assert_eq!(store.calls().get("call_1").unwrap(), Some(over));
}

#[tokio::test]
async fn what_must_not_get_lost_waits_for_a_full_disk_and_is_written_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let small = OpenOptions { size_max: Some(600_000), ..OpenOptions::default() };
    let store = Store::open_with(dir.path(), &small).unwrap();
    // Each write is larger than what may be left in half-filled pages.
    let big = "x".repeat(20_000);
    let answered = CallRecord { answered: Some(Wallclock(2000)), ..call("call_kept") };
    store.calls().record(answered.clone()).await.unwrap();
    let filling = |n: usize| CallRecord {
        ended: Some(Wallclock(5)),
        reason: Some(big.clone()),
        ..CallRecord::begun(format!("call_{n}"), Direction::Inbound, Wallclock(1))
    };
    let mut filled = 0;
    while store.calls().record(filling(filled)).await.is_ok() {
        filled += 1;
    }
    let mut waiting = store.waiting();
    let ended = CallRecord { ended: Some(Wallclock(9000)), reason: Some(big.clone()), ..answered };
    store.calls().keep(ended.clone());
    let message = Message {
        call_id: "call_kept".into(),
        caller: "sip:ann@192.0.2.1".into(),
        callee: "300".into(),
        text: big.clone(),
        seconds: 7,
        time: Wallclock(9000),
    };
    store.messages().keep(message.clone());
    // In this order: a turn is of a conversation.
    let conversation = Conversation {
        id: "conv_1".into(),
        call_id: Some("call_kept".into()),
        agent: "grace".into(),
        started: Wallclock(1000),
        ended: None,
    };
    store.conversations().keep(conversation);
    store.conversations().keep_turn(turn("conv_1", Wallclock(3000)));
    // A refusal of the schema is no reason to try again, nor in the way of others.
    store.conversations().keep_turn(turn("conv_unknown", Wallclock(3000)));
    while store.trouble() != Some(StoreError::DiskFull) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(*waiting.borrow_and_update(), 5, "nothing is lost, and nothing written");
    assert_eq!(store.calls().get("call_kept").unwrap().unwrap().ended, None);

    // Space is freed, and nobody restarts anything.
    store.retention().purge(TooOld { words: None, calls: Some(Wallclock(6)) }).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), waiting.wait_for(|left| *left == 0)).await.unwrap().unwrap();
    assert_eq!(store.trouble(), None);
    assert_eq!(store.calls().get("call_kept").unwrap(), Some(ended));
    assert_eq!(store.messages().list(None, 10).unwrap().items, [message]);
    assert_eq!(store.conversations().get("conv_1").unwrap().unwrap().1.len(), 1);
    let events = store.events().after(0, 1000).unwrap();
    for kind in ["call.ended", "message.taken"] {
        assert_eq!(events.iter().filter(|e| e.kind == kind && e.subject == "call_kept").count(), 1, "{kind}");
    }
}

#[test]
fn what_waits_when_the_store_is_closed_is_written_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for n in 0..300 {
        store.calls().keep(CallRecord { ended: Some(Wallclock(2000)), ..call(&format!("call_{n}")) });
    }
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert!((0..300).all(|n| store.calls().get(&format!("call_{n}")).unwrap().is_some_and(|c| c.ended.is_some())));
}

#[test]
fn the_same_manifest_twice_is_one_build_and_one_event() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let submit = |id: &str| store.builds().submit(manifest(id, "CRM"), Wallclock(1)).wait().unwrap();
    let Submitted::New(first) = submit("m1") else { panic!() };
    assert_eq!(submit("m1"), Submitted::Known(first.clone()));
    let Submitted::New(second) = submit("m2") else { panic!() };
    assert_eq!((first.slug.as_str(), second.slug.as_str()), ("crm", "crm-2"));
    assert_eq!((first.number, second.number), (1, 2));
    let events = store.events().after(0, 10).unwrap();
    assert_eq!(events.iter().filter(|e| e.kind == "build.request.created").count(), 2);
    assert_eq!(store.manifests().get("m1").unwrap(), Some(manifest("m1", "CRM")));
}

#[test]
fn a_stale_worker_changes_nothing() {
    use callwright::conversation::BuildStage::{self, Approved, Specified};
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let Submitted::New(build) = store.builds().submit(manifest("m1", "CRM"), Wallclock(1)).wait().unwrap() else {
        panic!()
    };
    let lease = Duration::from_secs(60);
    let go = |from: &Build, to| store.builds().advance(from, to, Advance::default(), Wallclock(2), lease).wait();
    assert!(matches!(go(&Build { stage: Approved, ..build.clone() }, Specified), Err(StoreError::Conflict(_))));
    let build = store.builds().claim(&build.id, Wallclock(1), lease).wait().unwrap().unwrap();
    assert_eq!(store.builds().claim(&build.id, Wallclock(2), lease).wait(), Ok(None), "it is with somebody");
    let approved = go(&build, Approved).unwrap();
    assert_eq!(approved.approved, Some(Wallclock(2)));
    assert!(matches!(go(&build, Approved), Err(StoreError::Conflict(_))));
    let specified = go(&approved, Specified).unwrap();
    store.builds().retry_later(&specified, Wallclock(500), Wallclock(3)).wait().unwrap();
    assert!(matches!(go(&specified, Approved), Err(StoreError::Conflict(_))), "of an attempt that is over");
    assert_eq!(store.builds().due(Wallclock(499)).unwrap(), (None, Some(Wallclock(500))));
    let again = store.builds().claim(&build.id, Wallclock(500), lease).wait().unwrap().unwrap();
    assert_eq!((again.attempt, again.fence), (1, 2));

    // Its worker is not heard of: the next one takes it, and the first changes nothing any more.
    assert_eq!(store.builds().due(Wallclock(60_499)).unwrap().0, None);
    let taken = store.builds().claim(&build.id, Wallclock(60_500), lease).wait().unwrap().unwrap();
    assert!(matches!(go(&again, BuildStage::Planned), Err(StoreError::Conflict(_))));
    assert_eq!(store.builds().renew(&again, Wallclock(60_501), lease).wait(), Ok(false));
    assert_eq!(store.builds().renew(&taken, Wallclock(60_501), lease).wait(), Ok(true));
    store.builds().let_go(&again).wait().unwrap();
    assert_eq!(store.builds().due(Wallclock(60_502)).unwrap().0, None, "only its holder lets go");

    // Cancelled while somebody works on it.
    assert!(matches!(store.builds().cancel(&build.id, Wallclock(60_503)).wait(), Ok(Cancelled::Done(_))));
    assert!(matches!(go(&taken, BuildStage::Planned), Err(StoreError::Conflict(_))));
    assert!(matches!(store.builds().cancel(&build.id, Wallclock(60_504)).wait(), Ok(Cancelled::TooLate(_))));
    assert_eq!(store.builds().cancel("build_x", Wallclock(60_504)).wait(), Ok(Cancelled::Unknown));
}

#[test]
fn documents_have_versions() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let put = |value| store.world().put("deployment", "crm", value, Wallclock(1)).wait().unwrap();
    assert_eq!([put(json!({"a": 1})), put(json!({"a": 1})), put(json!({"a": 2}))], [1, 1, 2]);
    assert_eq!(store.world().get("deployment", "crm").unwrap().unwrap().document, json!({"a": 2}));
    assert_eq!(store.world().get("deployment", "shop").unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_at_least_once_in_order_from_any_position() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let append = async |n: u64| {
        store.events().append(EventKind::AppDown, "crm", &n.to_string(), Wallclock(n), json!({"n": n})).await.unwrap()
    };
    for n in 1..=300 {
        assert!(append(n).await);
    }
    let bus = Bus::start(store.clone());
    let mut replaying = bus.subscribe(Some(0));
    let mut resuming = bus.subscribe(Some(250));
    let mut live = bus.subscribe(None);
    let mut slow = bus.subscribe(None);
    for n in 301..=2000 {
        append(n).await;
    }
    assert!(!append(2000).await, "a repeat adds nothing");
    for (subscription, first) in [(&mut replaying, 1), (&mut resuming, 251), (&mut live, 301)] {
        for n in first..=2000 {
            assert_eq!(subscription.next().await.unwrap().data["n"], n);
        }
    }
    // It lagged more than the live channel holds and still misses nothing.
    for n in 301..=2000 {
        assert_eq!(slow.next().await.unwrap().data["n"], n);
    }
    drop(bus);
    assert!(live.next().await.is_err());
}

#[test]
fn what_a_durable_consumer_did_not_acknowledge_comes_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for (restart, expected) in [(0, [1, 2, 3]), (1, [3, 4, 5]), (2, [5, 6, 7])] {
        // A runtime each: its end is the end of the daemon.
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let store = Store::open(dir.path()).unwrap();
            let bus = Bus::start(store.clone());
            for n in restart * 10 + 1..=restart * 10 + 10_u64 {
                store
                    .events()
                    .append(EventKind::AppDown, "crm", &n.to_string(), Wallclock(n), json!({}))
                    .await
                    .unwrap();
            }
            let mut consumer = bus.subscribe_durable("nats").await.unwrap();
            for seq in expected {
                assert_eq!(consumer.next().await.unwrap().seq, seq);
                if seq != expected[2] {
                    consumer.acknowledge().await.unwrap();
                }
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn pages_show_every_row_once(rows in 0_usize..40, limit in 1_usize..12) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let commits: Vec<_> = (0..rows).map(|n| store.calls().record(call(&format!("call_{n}")))).collect();
        for commit in commits {
            commit.wait().unwrap();
        }
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = store.calls().list(before, limit).unwrap();
            prop_assert!(page.items.len() <= limit);
            seen.extend(page.items.into_iter().map(|c| c.id));
            before = page.next;
            if before.is_none() { break; }
        }
        prop_assert_eq!(seen, (0..rows).rev().map(|n| format!("call_{n}")).collect::<Vec<_>>());
    }
}

#[test]
fn a_cut_conversation_is_found_by_its_caller_for_a_while_and_no_earlier_one_overwrites_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let whose = |begun: u64| KeptFor {
        caller: "493012345".into(),
        agent: "grace".into(),
        conversation_id: format!("conv_{begun}"),
        begun: Wallclock(begun),
    };
    let keep = |begun, document: Option<&str>, now| {
        store.kept().keep(whose(begun), document.map(str::to_owned), Wallclock(now)).wait().unwrap();
    };
    let find = |since| store.kept().find("493012345", "grace", Wallclock(since)).unwrap();
    keep(1_000, Some("first"), 1_500);
    assert_eq!(find(1_500).as_deref(), Some("first"));
    assert_eq!(find(1_501), None, "too long ago");
    assert_eq!(store.kept().find("493012345", "max", Wallclock(0)).unwrap(), None, "another agent");
    keep(2_000, Some("second"), 2_100);
    keep(1_000, Some("a line that is not known to be dead yet"), 2_200);
    keep(1_000, None, 2_300);
    assert_eq!(find(0).as_deref(), Some("second"));
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.kept().find("493012345", "grace", Wallclock(0)).unwrap().as_deref(), Some("second"));
    store.kept().keep(whose(2_000), None, Wallclock(2_400)).wait().unwrap();
    assert_eq!(store.kept().find("493012345", "grace", Wallclock(0)).unwrap(), None);
}

#[tokio::test]
async fn where_telephones_are_reached_is_replaced_together_and_expires() {
    let dir = tempfile::tempdir().unwrap();
    let binding = |extension: &str, contact: &str, until: u64| KeptBinding {
        extension: extension.to_owned(),
        contact: contact.to_owned(),
        transport: "udp".to_owned(),
        address: "192.0.2.9:40000".parse().unwrap(),
        path: vec!["<sip:edge1;lr>".to_owned(), "<sip:edge2;lr>".to_owned()],
        instance: Some("<urn:uuid:1>".to_owned()),
        call_id: "c".to_owned(),
        sequence: 7,
        q: 900,
        user_agent: "Desk".to_owned(),
        until: Wallclock(until),
    };
    {
        let store = Store::open(dir.path()).unwrap();
        let both = vec![binding("200", "sip:200@a", 2000), binding("200", "sip:200@b", 3000)];
        store.bindings().replace("200".to_owned(), both, Wallclock(1000)).await.unwrap();
        store
            .bindings()
            .replace("201".to_owned(), vec![binding("201", "sip:201@a", 2500)], Wallclock(1000))
            .await
            .unwrap();
    }
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.bindings().live(Wallclock(1500)).unwrap().len(), 3, "a restart later");
    let live = store.bindings().live(Wallclock(2600)).unwrap();
    assert_eq!(live, [binding("200", "sip:200@b", 3000)], "what has expired is not given out");
    store.bindings().replace("200".to_owned(), vec![], Wallclock(1500)).await.unwrap();
    assert_eq!(store.bindings().live(Wallclock(1500)).unwrap(), [binding("201", "sip:201@a", 2500)]);
}
