//! The whole daemon is killed while a message to a webhook is on its way: the next one sends it again, once.

mod hooks;
mod rig;

use hooks::{Does, Person, Receiver};
use rig::{Daemon, eventually, get, request};
use serde_json::Value;
use std::time::Duration;

/// Far beyond what anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks again where a busy machine takes longer than the rig waits.
fn json(daemon: &Daemon, path: &str) -> Value {
    let mut found = Value::Null;
    let asked = eventually(PATIENCE, || match get(daemon.http, path) {
        Ok((200, body)) => {
            found = serde_json::from_str(&body).expect("JSON");
            true
        }
        _ => false,
    });
    assert!(asked, "{path} is not answered");
    found
}

#[test]
fn a_message_under_way_survives_kill_9_of_the_daemon() {
    let set = [("CALLWRIGHT__APPS__WEBHOOK_NETWORKS", r#"["127.0.0.1"]"#)];
    let daemon = Daemon::start_set("", &set);
    let manifest = r#"{"build_type": "build_crm", "title": "CRM", "features": ["contacts"]}"#;
    let (status, body) = request(daemon.http, "POST", "/v1/builds", "application/json", manifest).expect("an answer");
    assert_eq!(status, 202, "{body}");
    let id = serde_json::from_str::<Value>(&body).expect("JSON")["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/builds/{id}");
    assert!(eventually(PATIENCE, || json(&daemon, &path)["build"]["stage"] == "tracked"), "{}", json(&daemon, &path));
    let build = json(&daemon, &path);
    let (url, code) =
        (build["build"]["url"].as_str().expect("a URL"), build["setup"]["code"].as_str().expect("a code"));
    let mut ada = Person::before(url);
    assert_eq!(ada.set_up(code).status, 303);
    assert_eq!(json(&daemon, &path)["setup"], Value::Null, "it serves once");

    let receiver = Receiver::start(&[Does::Holds, Does::Answers(200)]);
    ada.hook(&receiver.url());
    assert_eq!(ada.ask("POST", "/api/contacts", "application/json", r#"{"name": "Grace"}"#).status, 201);
    assert!(eventually(PATIENCE, || receiver.came().len() == 1), "it is on its way");
    let dir = daemon.kill();

    let more = "webhook_networks = [\"127.0.0.1\"]";
    let daemon = Daemon::start_in(dir, 200, more);
    let all = || json(&daemon, "/v1/deliveries")["items"].clone();
    assert!(eventually(PATIENCE, || all()[0]["state"] == "delivered"), "{}", all());
    let came = receiver.came();
    assert_eq!(came.len(), 2, "{came:?}");
    assert_eq!(came[0].head["webhook-id"], came[1].head["webhook-id"]);
    assert_eq!(
        (all().as_array().map(Vec::len), came[1].head["webhook-id"].as_str()),
        (Some(1), all()[0]["id"].as_str().unwrap())
    );
    assert!(eventually(PATIENCE, || daemon.metric("webhook_deliveries_total") >= 1.0));
    let (status, _) =
        request(daemon.http, "POST", "/v1/deliveries/msg_0/retry", "application/json", "").expect("an answer");
    assert_eq!(status, 404);
    let (status, _) = get(daemon.http, "/v1/deliveries?state=lost").expect("an answer");
    assert_eq!(status, 400);
}
