//! A call of before, read for what it orders (`POST /v1/intents {"conversation_id"}`), and a build of it that says where it comes from.

mod rig;

use callwright::store::{Conversation, Speaker, Store, Turn};
use callwright::time::Wallclock;
use rig::{Daemon, get, request};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_before_is_read_for_what_it_orders_and_its_build_says_where_it_comes_from() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("var");
    std::fs::create_dir_all(&data).expect("a directory");
    let store = Store::open(&data).expect("a store");
    let now = callwright::os::clock::wall();
    let id = "conv_00000000000000aa";
    let (agent, ended) = ("grace".to_owned(), Some(now));
    let conversation = Conversation { id: id.into(), call_id: None, agent, started: now, ended };
    store.conversations().record(conversation).await.expect("it is written");
    for (seq, (who, text)) in (1..).zip([
        (Speaker::Agent, "What shall I build for you?"),
        (Speaker::Caller, "Please build me a CRM called Bluebird with contacts and deals."),
        (Speaker::Agent, "Shall I build it?"),
        (Speaker::Caller, "Thank you, I will think about it, goodbye."),
    ]) {
        let (conversation_id, started): (String, Wallclock) = (id.into(), now);
        let turn =
            Turn { conversation_id, seq, who, text: text.into(), heard: None, started, ended: None, confidence: None };
        store.conversations().turn(turn).await.expect("it is written");
    }
    drop(store);
    let daemon = Daemon::start_in(dir, 20, "");
    let post = |path: &str, body: &Value| {
        let (status, answer) =
            request(daemon.http, "POST", path, "application/json", &body.to_string()).expect("it answers");
        (status, serde_json::from_str::<Value>(&answer).unwrap_or_default())
    };
    let (status, found) = post("/v1/intents", &json!({"conversation_id": id}));
    assert_eq!(status, 200, "{found}");
    assert_eq!((&found["intent"], &found["turn"]), (&json!("build_crm"), &json!(2)), "{found}");
    assert_eq!(post("/v1/intents", &json!({"conversation_id": "conv_none"})).0, 404);
    assert_eq!(post("/v1/intents", &json!({"conversation_id": id, "text": "a"})).0, 422);
    let source = |manifest: &Value| {
        let (status, made) = post("/v1/builds", manifest);
        assert!(matches!(status, 200 | 202), "{made}");
        let path = format!("/v1/builds/{}", made["id"].as_str().expect("an id"));
        let build: Value = serde_json::from_str(&get(daemon.http, &path).expect("it answers").1).expect("JSON");
        assert_eq!(build["manifest"]["title"], "Bluebird", "{build}");
        build["manifest"]["created_from"].clone()
    };
    let mut manifest = found["manifest"].clone();
    assert_eq!(source(&manifest), "voice");
    // Who names no call that is known speaks for himself.
    manifest["conversation_id"] = json!("conv_none");
    assert_eq!(source(&manifest), "api");
}
