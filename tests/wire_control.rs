//! Calls as programs steer them, over real sockets: answered by hand, placed, spoken and played to, joined, handed over, ended.

mod rig;

use callwright::rtp::Codec;
use callwright::sip::agent::SipEvent;
use callwright::sip::sdp::Direction;
use rig::ua::{Ua, purity};
use rig::{Daemon, eventually, get, request};
use serde_json::{Value, json};
use std::time::Duration;

const ROUTES: &str = "[[routes]]\nmatch = \"echo\"\napp = \"echo\"\n[[routes]]\nmatch = \"desk\"\napp = \"manual\"\n\
                      [[routes]]\nmatch = \"*\"\napp = \"agent:grace\"";

fn post(daemon: &Daemon, path: &str, body: &Value) -> (u16, Value) {
    let (status, text) =
        request(daemon.http, "POST", path, "application/json", &body.to_string()).expect("the API answers");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let (_, body) = get(daemon.http, path).expect("the API answers");
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// The newest call that is up, once it is in this state.
fn live(daemon: &Daemon, state: &str) -> String {
    let newest = || {
        let calls = json_of(daemon, "/v1/calls")["live"].as_array().cloned().unwrap_or_default();
        calls
            .iter()
            .rev()
            .find(|call| call["state"] == state)
            .map(|call| call["id"].as_str().expect("an id").to_owned())
    };
    assert!(eventually(Duration::from_secs(5), || newest().is_some()), "no call is {state}\n{}", daemon.log());
    newest().expect("it was there")
}

fn ended(daemon: &Daemon, call: &str) -> Value {
    let path = format!("/v1/calls/{call}");
    assert!(
        eventually(Duration::from_secs(5), || json_of(daemon, &path)["ended_by"].is_string()),
        "{}\n{}",
        json_of(daemon, &path),
        daemon.log()
    );
    json_of(daemon, &path)
}

/// What happened on a call that is over.
fn events(daemon: &Daemon, call: &str) -> String {
    get(daemon.http, &format!("/v1/calls/{call}/events?after=0")).expect("the events are told").1
}

/// A phone in a call that was answered by hand.
async fn steered(daemon: &Daemon) -> (Ua, String) {
    let mut phone = Ua::new(&[Codec::Pcmu]);
    phone.invite(daemon.sip, "desk").await;
    phone.until("ringing", |e| matches!(e, SipEvent::Progress { code: 180, .. }).then_some(())).await;
    let call = live(daemon, "ringing");
    assert_eq!(post(daemon, &format!("/v1/calls/{call}/say"), &json!({"text": "Hello"})).0, 409, "it rings");
    assert_eq!(post(daemon, &format!("/v1/calls/{call}/answer"), &json!({})).0, 204);
    phone.accepted().await;
    (phone, call)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_answered_by_hand_and_does_as_it_is_told() {
    let daemon = Daemon::start_with(ROUTES);
    let (mut phone, call) = steered(&daemon).await;
    let verb = |name: &str, body: Value| post(&daemon, &format!("/v1/calls/{call}/{name}"), &body);
    assert_eq!(verb("answer", json!({})).0, 409);
    let (status, body) = verb("play", json!({"tone": "440", "seconds": 3}));
    assert_eq!((status, &body["utterance"]), (202, &json!(1)));
    let heard = phone.talk(900.0, 1200, Some(7)).await;
    assert!(purity(&heard.pcm, 440.0) > 0.9, "{}", purity(&heard.pcm, 440.0));
    assert_eq!(verb("play", json!({"stop": true})).0, 204);
    assert_eq!(verb("digits", json!({"digits": "42#"})).0, 204);
    let heard = phone.talk(900.0, 1000, None).await;
    assert_eq!(heard.digits, "42#");
    let (status, body) = verb("say", json!({"text": "Good morning."}));
    assert_eq!((status, &body["utterance"]), (202, &json!(2)));
    let heard = phone.talk(900.0, 2000, None).await;
    let loudest = heard.pcm.iter().map(|s| s.unsigned_abs()).max();
    assert!(loudest > Some(1000), "a voice: {loudest:?}");
    assert_eq!(json_of(&daemon, &format!("/v1/calls/{call}"))["state"], "answered");
    assert_eq!(verb("hangup", json!({"reason": "all said"})).0, 204);
    phone.ended().await;
    let record = ended(&daemon, &call);
    assert_eq!(
        (&record["ended_by"], &record["cause"], &record["reason"]),
        (&json!("operator_hung_up"), &json!(16), &json!("all said"))
    );
    assert_eq!((&record["direction"], &record["state"]), (&json!("inbound"), &json!("ended")));
    let told = events(&daemon, &call);
    for event in ["call.started", "call.ringing", "call.answered", "call.digit", "call.played", "call.ended"] {
        assert!(told.contains(&format!("event: {event}")), "{event}: {told}");
    }
    assert!(told.contains("\"digit\":\"7\"") && told.contains("\"utterance\":2"), "{told}");
    assert_eq!(verb("say", json!({"text": "Too late"})).0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_rings_is_refused_from_outside() {
    let daemon = Daemon::start_with(ROUTES);
    let mut phone = Ua::new(&[Codec::Pcmu]);
    phone.invite(daemon.sip, "desk").await;
    let call = live(&daemon, "ringing");
    assert_eq!(post(&daemon, &format!("/v1/calls/{call}/hangup"), &json!({"code": 486})).0, 204);
    let code =
        phone.until("refusal", |e| if let SipEvent::Refused { code, .. } = e { Some(*code) } else { None }).await;
    assert_eq!(code, 486);
    let record = ended(&daemon, &call);
    assert_eq!((&record["sip_code"], &record["cause"]), (&json!(486), &json!(17)), "{record}");
    // And one that is answered goes to the agent that the answer names.
    phone.invite(daemon.sip, "desk").await;
    let call = live(&daemon, "ringing");
    assert_eq!(post(&daemon, &format!("/v1/calls/{call}/answer"), &json!({"app": "echo"})).0, 204);
    phone.accepted().await;
    assert!(phone.hears(700.0, 700.0).await);
    assert_eq!(post(&daemon, &format!("/v1/calls/{call}/say"), &json!({"text": "Hello"})).0, 409, "an echo");
    phone.hang_up().await;
    assert_eq!(ended(&daemon, &call)["app"], "echo");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_placed_and_how_they_end_is_told() {
    let daemon = Daemon::start_with(ROUTES);
    let mut phone = Ua::new(&[Codec::Pcma]);
    let to = format!("sip:bob@{}", phone.address());
    let place = |more: Value| {
        let mut body = json!({"to": to, "from": "\"Desk\" <sip:4711@192.0.2.1>"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let (status, live) = post(&daemon, "/v1/calls", &body);
        assert_eq!(status, 202, "{live}");
        live["id"].as_str().expect("an id").to_owned()
    };
    // Answered: the app is on our end.
    let call = place(json!({"app": "tone:440"}));
    let (from, _) = phone.ringing().await;
    assert!(from.contains("\"Desk\"") && from.contains("4711"), "{from}");
    phone.sip.ring(phone.leg).await.expect("it rings");
    assert_eq!(live(&daemon, "ringing"), call);
    phone.accept().await;
    assert!(phone.hears(900.0, 440.0).await);
    phone.hang_up().await;
    let record = ended(&daemon, &call);
    assert_eq!(
        (&record["ended_by"], &record["direction"], &record["cause"]),
        (&json!("callee_hung_up"), &json!("outbound"), &json!(16))
    );
    assert!(record["answered"].is_string() && events(&daemon, &call).contains("event: call.ringing"));
    // Busy.
    let call = place(json!({}));
    phone.ringing().await;
    phone.sip.reject(phone.leg, 486, "Busy Here", &[]).await.expect("it rings");
    let record = ended(&daemon, &call);
    assert_eq!((&record["ended_by"], &record["cause"], &record["sip_code"]), (&json!("busy"), &json!(17), &json!(486)));
    // Nobody there.
    let call = place(json!({"timeout_s": 1}));
    phone.ringing().await;
    phone.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
    assert_eq!(ended(&daemon, &call)["ended_by"], "no_answer");
    // Given up.
    let call = place(json!({}));
    phone.ringing().await;
    assert_eq!(post(&daemon, &format!("/v1/calls/{call}/hangup"), &json!({})).0, 204);
    phone.until("CANCEL", |e| matches!(e, SipEvent::Cancelled { .. }).then_some(())).await;
    assert_eq!(ended(&daemon, &call)["ended_by"], "operator_hung_up");
    // Nonsense, and ourselves.
    assert_eq!(post(&daemon, "/v1/calls", &json!({"to": "bob"})).0, 422);
    assert_eq!(post(&daemon, "/v1/calls", &json!({"to": to, "agent": "nobody"})).0, 422);
    let (_, ours) = post(&daemon, "/v1/calls", &json!({"to": format!("sip:echo@{}", daemon.sip)}));
    assert_eq!(ended(&daemon, ours["id"].as_str().expect("an id"))["sip_code"], 482);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_talks_on_a_call_that_was_placed_for_it() {
    let daemon = Daemon::start_with(ROUTES);
    let mut phone = Ua::new(&[Codec::Pcmu]);
    let (status, live) =
        post(&daemon, "/v1/calls", &json!({"to": format!("sip:bob@{}", phone.address()), "agent": "grace"}));
    assert_eq!(status, 202, "{live}");
    phone.ringing().await;
    phone.accept().await;
    let heard = phone.talk(0.0, 3000, None).await;
    let loud = heard.pcm.iter().filter(|s| s.unsigned_abs() > 1000).count();
    assert!(loud > 1000, "the greeting: {loud} loud samples");
    let call = live["id"].as_str().expect("an id");
    assert_eq!(post(&daemon, &format!("/v1/calls/{call}/say"), &json!({"text": "One more thing."})).0, 204);
    phone.talk(0.0, 4000, None).await;
    phone.hang_up().await;
    let record = ended(&daemon, call);
    let conversation =
        json_of(&daemon, &format!("/v1/conversations/{}", record["conversation_id"].as_str().expect("one")));
    assert!(conversation["turns"].to_string().contains("One more thing."), "{conversation}");
}

/// What came while nobody listened is past.
fn forget(phones: &[&Ua]) {
    for phone in phones {
        phone.rtp.set_nonblocking(true).expect("a socket");
        while phone.rtp.recv(&mut [0; 2000]).is_ok() {}
        phone.rtp.set_nonblocking(false).expect("a socket");
    }
}

/// Both talk at once; each must hear the other and not itself.
async fn hear_each_other(one: &Ua, other: &Ua) {
    forget(&[one, other]);
    let (at_one, at_other) = tokio::join!(one.talk(500.0, 1500, None), other.talk(1100.0, 1500, None));
    for (who, heard, theirs, own) in [("one", &at_one, 1100.0, 500.0), ("other", &at_other, 500.0, 1100.0)] {
        // The buffer fills first.
        let pcm = &heard.pcm[heard.pcm.len().min(4000)..];
        let (hears, itself) = (purity(pcm, theirs), purity(pcm, own));
        assert!(hears > 0.8 && itself < 0.05, "{who} hears {hears:.3} of the other and {itself:.3} of itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_hear_each_other_in_twos_and_threes() {
    let daemon = Daemon::start_with(ROUTES);
    let ((mut one, a), (mut two, b)) = (steered(&daemon).await, steered(&daemon).await);
    let (status, room) = post(&daemon, &format!("/v1/calls/{a}/bridge"), &json!({"with": b, "then": "return"}));
    assert_eq!(status, 200, "{room}");
    hear_each_other(&one, &two).await;
    assert_eq!(live(&daemon, "bridged"), b);
    assert_eq!(post(&daemon, &format!("/v1/calls/{a}/say"), &json!({"text": "Hello"})).0, 409, "it is in a room");
    // One goes out, and both are steered again.
    assert_eq!(post(&daemon, &format!("/v1/calls/{a}/bridge"), &json!({"end": true})).0, 204);
    assert!(eventually(Duration::from_secs(3), || json_of(&daemon, &format!("/v1/calls/{b}"))["state"] == "answered"));
    assert_eq!(post(&daemon, &format!("/v1/calls/{b}/play"), &json!({"tone": "440", "seconds": 4})).0, 202);
    assert!(two.hears(900.0, 440.0).await);
    // Three.
    let (mut three, c) = steered(&daemon).await;
    assert_eq!(post(&daemon, &format!("/v1/calls/{a}/bridge"), &json!({"with": [b, c]})).0, 200);
    forget(&[&one, &two, &three]);
    let (at_one, at_two, at_three) =
        tokio::join!(one.talk(500.0, 1500, None), two.talk(1100.0, 1500, None), three.talk(1700.0, 1500, None));
    for (heard, theirs, own) in
        [(&at_one, [1100.0, 1700.0], 500.0), (&at_two, [500.0, 1700.0], 1100.0), (&at_three, [500.0, 1100.0], 1700.0)]
    {
        let pcm = &heard.pcm[heard.pcm.len().min(4000)..];
        let share = theirs.map(|hz| purity(pcm, hz));
        assert!(
            share.iter().all(|s| *s > 0.2) && purity(pcm, own) < 0.05,
            "{share:?} and {} of itself",
            purity(pcm, own)
        );
    }
    // The last one in it is hung up on.
    one.hang_up().await;
    two.hang_up().await;
    three.ended().await;
    assert_eq!(ended(&daemon, &c)["ended_by"], "callee_hung_up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_handed_over_and_comes_back_when_nobody_takes_the_call() {
    let daemon = Daemon::start_with(ROUTES);
    let mut desk = Ua::new(&[Codec::Pcmu]);
    let to = format!("sip:desk@{}", desk.address());
    let (mut caller, call) = steered(&daemon).await;
    let transfer = format!("/v1/calls/{call}/transfer");
    // Refused: the caller is back, and hears so.
    let (status, body) = post(&daemon, &transfer, &json!({"to": to, "by": "room", "sorry": "Nobody is there."}));
    assert_eq!(status, 202, "{body}");
    desk.ringing().await;
    let ringback = caller.talk(0.0, 1500, None).await;
    assert!(ringback.pcm.iter().any(|s| s.unsigned_abs() > 500), "ringback");
    desk.sip.reject(desk.leg, 486, "Busy Here", &[]).await.expect("it rings");
    assert!(
        eventually(Duration::from_secs(3), || json_of(&daemon, &format!("/v1/calls/{call}"))["state"] == "answered")
    );
    let sorry = caller.talk(0.0, 1500, None).await;
    assert!(sorry.pcm.iter().any(|s| s.unsigned_abs() > 1000), "the agent says so");
    // Taken, after an announcement.
    let (status, body) = post(&daemon, &transfer, &json!({"to": to, "announce": "A caller for you."}));
    assert_eq!(status, 202, "{body}");
    desk.ringing().await;
    desk.accept().await;
    let announced = desk.talk(0.0, 2500, None).await;
    assert!(announced.pcm.iter().any(|s| s.unsigned_abs() > 1000), "the announcement");
    let other = body["call"].as_str().expect("the other call").to_owned();
    assert!(
        eventually(Duration::from_secs(3), || json_of(&daemon, &format!("/v1/calls/{other}"))["state"] == "bridged"),
        "{}",
        daemon.log()
    );
    hear_each_other(&caller, &desk).await;
    // It ends with either.
    desk.hang_up().await;
    caller.ended().await;
    let told = {
        ended(&daemon, &call);
        events(&daemon, &call)
    };
    for state in ["begun", "failed", "answered", "done"] {
        assert!(told.contains(&format!("\"state\":\"{state}\"")), "{state}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_talking_agents_caller_is_handed_over_and_back() {
    let daemon = Daemon::start_with(ROUTES);
    let mut desk = Ua::new(&[Codec::Pcmu]);
    let mut caller = Ua::new(&[Codec::Pcmu]);
    caller.invite(daemon.sip, "300").await;
    caller.accepted().await;
    caller.talk(0.0, 500, None).await;
    let call = live(&daemon, "answered");
    let (status, body) = post(
        &daemon,
        &format!("/v1/calls/{call}/transfer"),
        &json!({"to": format!("sip:desk@{}", desk.address()), "by": "room"}),
    );
    assert_eq!(status, 202, "{body}");
    desk.ringing().await;
    desk.sip.reject(desk.leg, 480, "Temporarily Unavailable", &[]).await.expect("it rings");
    let heard = caller.talk(0.0, 3000, None).await;
    let loud = heard.pcm.iter().filter(|s| s.unsigned_abs() > 1000).count();
    assert!(loud > 1000, "the agent is back and says that nobody took the call: {loud}");
    let (_, body) = post(
        &daemon,
        &format!("/v1/calls/{call}/transfer"),
        &json!({"to": format!("sip:desk@{}", desk.address()), "by": "room"}),
    );
    desk.ringing().await;
    desk.accept().await;
    let other = body["call"].as_str().expect("the other call").to_owned();
    assert!(
        eventually(Duration::from_secs(3), || json_of(&daemon, &format!("/v1/calls/{other}"))["state"] == "bridged"),
        "{}",
        daemon.log()
    );
    hear_each_other(&caller, &desk).await;
    caller.hang_up().await;
    desk.ended().await;
    let record = ended(&daemon, &call);
    let turns = json_of(&daemon, &format!("/v1/conversations/{}", record["conversation_id"].as_str().expect("one")));
    assert!(turns.to_string().contains("Nobody could take your call."), "{turns}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_held_and_taken_back() {
    let daemon = Daemon::start_with(ROUTES);
    let (mut phone, call) = steered(&daemon).await;
    let verb = |name: &str| post(&daemon, &format!("/v1/calls/{call}/{name}"), &json!({})).0;
    assert_eq!(verb("resume"), 409, "it is not held");
    for (name, state, direction) in [("hold", "held", "a=sendonly"), ("resume", "answered", "a=sendrecv")] {
        let http = daemon.http;
        let path = format!("/v1/calls/{call}/{name}");
        let asked = tokio::task::spawn_blocking(move || {
            request(http, "POST", &path, "application/json", "{}").expect("answered").0
        });
        let offer = phone
            .until("re-INVITE", |e| {
                if let SipEvent::Reinvite { offer, .. } = e { Some(offer.clone().expect("an offer")) } else { None }
            })
            .await;
        assert!(String::from_utf8_lossy(&offer).contains(direction), "{}", String::from_utf8_lossy(&offer));
        let answer = phone.session.answer(&offer).expect("a codec in common").answer;
        phone.sip.answer_reinvite(phone.leg, answer).await.expect("it waits");
        assert_eq!(asked.await.expect("it asks"), 204);
        assert_eq!(json_of(&daemon, &format!("/v1/calls/{call}"))["state"], state);
        assert_eq!(verb(name), 409, "it is {state} already");
    }
    assert_eq!(post(&daemon, &format!("/v1/calls/{call}/play"), &json!({"tone": "450", "seconds": 2})).0, 202);
    assert!(phone.hears(900.0, 450.0).await, "audio is back");
    phone.hang_up().await;
    ended(&daemon, &call);
    assert_eq!(events(&daemon, &call).matches("event: call.held").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_phone_is_asked_to_call_first() {
    let daemon = Daemon::start_with(ROUTES);
    let mut desk = Ua::new(&[Codec::Pcmu]);
    let to = format!("sip:desk@{}", desk.address());
    let refer = |e: &SipEvent| if let SipEvent::Refer { target, .. } = e { Some(target.clone()) } else { None };
    // It does, and tells so.
    let (mut phone, call) = steered(&daemon).await;
    let (status, body) = post(&daemon, &format!("/v1/calls/{call}/transfer"), &json!({"to": to}));
    assert_eq!((status, &body["call"]), (202, &Value::Null));
    assert_eq!(phone.until("REFER", refer).await, to);
    let leg = phone.leg;
    phone.sip.with(move |agent, now| agent.accept_refer(now, leg)).await.expect("SIP runs").expect("it is asked");
    phone.sip.with(move |agent, now| agent.notify_refer(now, leg, 200)).await.expect("SIP runs").expect("it tells");
    phone.ended().await;
    let record = ended(&daemon, &call);
    assert!(record["reason"].as_str().is_some_and(|reason| reason.contains("handed over")), "{record}");
    // It will not: then we call.
    let (mut phone, call) = steered(&daemon).await;
    assert_eq!(post(&daemon, &format!("/v1/calls/{call}/transfer"), &json!({"to": to})).0, 202);
    phone.until("REFER", refer).await;
    phone.sip.refuse_refer(phone.leg, 603).await.expect("it is asked");
    desk.ringing().await;
    desk.accept().await;
    let both = || {
        let live = json_of(&daemon, "/v1/calls")["live"].as_array().cloned().unwrap_or_default();
        live.len() == 2 && live.iter().all(|call| call["state"] == "bridged")
    };
    assert!(eventually(Duration::from_secs(3), both), "{}", json_of(&daemon, "/v1/calls"));
    desk.hang_up().await;
    phone.ended().await;
    ended(&daemon, &call);
    let told = events(&daemon, &call);
    for state in ["begun", "refused", "answered", "done"] {
        assert!(told.contains(&format!("\"state\":\"{state}\"")), "{state}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_told_from_a_person() {
    let daemon = Daemon::start_with(ROUTES);
    let mut phone = Ua::new(&[Codec::Pcmu]);
    let to = format!("sip:bob@{}", phone.address());
    let (_, live) = post(&daemon, "/v1/calls", &json!({"to": to, "app": "tone:450", "on_machine": "hang_up"}));
    phone.ringing().await;
    phone.accept().await;
    // It talks and talks.
    phone.talk(300.0, 2600, None).await;
    phone.ended().await;
    let call = live["id"].as_str().expect("an id").to_owned();
    let record = ended(&daemon, &call);
    assert_eq!(record["reason"], "a machine has answered");
    assert!(record["answered"].is_string() && record["media"].is_object(), "it was answered, by a machine: {record:#}");
    assert!(events(&daemon, &call).contains("\"answered_by\":\"machine\""));
    // A word, and then they wait for us. What they want changed meanwhile is changed.
    let (_, live) = post(&daemon, "/v1/calls", &json!({"to": to, "app": "tone:450", "on_machine": "hang_up"}));
    phone.ringing().await;
    phone.accept().await;
    let (leg, offer) = (phone.leg, phone.session.offer(Direction::SendRecv));
    phone.sip.with(move |agent, now| agent.reinvite(now, leg, Some(&offer))).await.expect("SIP runs").expect("it asks");
    phone.until("answer", |e| matches!(e, SipEvent::Reinvited { .. }).then_some(())).await;
    phone.talk(300.0, 600, None).await;
    let heard = phone.talk(0.0, 2500, None).await;
    let last = &heard.pcm[heard.pcm.len().saturating_sub(8000)..];
    assert!(purity(last, 450.0) > 0.9, "the app has begun");
    phone.hang_up().await;
    let call = live["id"].as_str().expect("an id").to_owned();
    ended(&daemon, &call);
    assert!(events(&daemon, &call).contains("\"answered_by\":\"person\""), "{}", events(&daemon, &call));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_messages_of_a_call_are_shown() {
    let daemon = Daemon::start_with(ROUTES);
    let (mut phone, call) = steered(&daemon).await;
    phone.hang_up().await;
    ended(&daemon, &call);
    let (status, text) = get(daemon.http, &format!("/v1/calls/{call}/ladder")).expect("the API answers");
    assert_eq!(status, 200, "{text}");
    for line in ["INVITE sip:desk@", "SIP/2.0 180", "SIP/2.0 200", "ACK sip:", "BYE sip:", "m=audio"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let order: Vec<_> =
        ["INVITE sip:desk@", "SIP/2.0 180", "ACK sip:", "BYE sip:"].iter().map(|l| text.find(l)).collect();
    assert!(order.is_sorted(), "{text}");
    let mut stream = std::net::TcpStream::connect(daemon.http).expect("the API listens");
    use std::io::{Read, Write};
    write!(stream, "GET /v1/calls/{call}/ladder.pcap HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", daemon.http)
        .expect("it asks");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it is answered");
    let body = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a body") + 4;
    assert_eq!(answer[body..body + 4], 0xa1b2_c3d4_u32.to_le_bytes());
    assert_eq!(get(daemon.http, "/v1/calls/call_0000000000000001/ladder").expect("answered").0, 404);
}
