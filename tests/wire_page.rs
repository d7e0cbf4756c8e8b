//! The page that calls, and the client behind it, in a browser: what people see of a call, and of every way in which there is none.
//! The machine's end is a double by the contract of WHIP: the test answers what the page asks, and a second tab is the other end of
//! the sound.

mod chromium;
mod rig;

use chromium::{Browser, LONG, Paused, Tab};
use rig::{Daemon, free_udp};
use serde_json::{Value, json};
use std::time::Instant;

const SDP: &[(&str, &str)] = &[("content-type", "application/sdp"), ("location", "/v1/webrtc/call_0000000000000001")];
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const STREAM: &[(&str, &str)] = &[("content-type", "text/event-stream")];

/// The other end: answers an offer, sends a tone, and counts what comes.
const OTHER_END: &str = "async (sdp) => {
  const peer = globalThis.peer = new RTCPeerConnection();
  const context = new AudioContext();
  const tone = context.createOscillator();
  const quiet = new GainNode(context, { gain: 0.2 });
  const sent = context.createMediaStreamDestination();
  tone.connect(quiet).connect(sent);
  tone.start();
  peer.addTrack(sent.stream.getTracks()[0], sent.stream);
  peer.ontrack = ({ track }) => {
    const heard = globalThis.heard = new Audio();
    heard.srcObject = new MediaStream([track]);
    heard.play();
  };
  await peer.setRemoteDescription({ type: 'offer', sdp });
  await peer.setLocalDescription();
  while (peer.iceGatheringState !== 'complete') await new Promise((done) => setTimeout(done, 10));
  return peer.localDescription.sdp;
}";

fn event(seq: u32, kind: &str, subject: &str, data: &Value) -> String {
    let envelope = json!({"seq": seq, "id": format!("evt_{seq}"), "type": kind, "time": "2026-01-01T00:00:00Z", "subject": subject, "data": data});
    format!("id: {seq}\nevent: {kind}\ndata: {envelope}\n\n")
}

fn turn(seq: u32, who: &str, text: &str, heard: Option<&str>, started: &str, ended: &str) -> String {
    let confidence = (who == "caller").then_some(0.9);
    let data = json!({"seq": seq, "who": who, "text": text, "heard": heard, "started": started, "ended": ended, "confidence": confidence});
    event(seq, "conversation.turn", "conv_0000000000000001", &data)
}

/// The machine's side of one call.
struct Double {
    caller: Tab,
    other: Tab,
    /// What the event stream says, a connection each; then it says nothing.
    events: Vec<String>,
    /// What was asked, in order.
    asked: Vec<String>,
}

impl Double {
    fn answer(&mut self, browser: &mut Browser, paused: Paused) {
        let path = paused.url.split_once("/v1/").map(|(_, path)| path.to_owned()).unwrap_or_default();
        self.asked.push(format!("{} {path}", paused.method));
        let caller = self.caller.clone();
        match (paused.method.as_str(), path.as_str()) {
            ("GET", "webrtc") => browser.answer(&caller, &paused, 200, JSON, r#"{"ice_servers":[],"codecs":["opus"]}"#),
            ("POST", _) => {
                let offer = json!(paused.body);
                let sdp = browser.eval(&self.other.clone(), &format!("({OTHER_END})({offer})"));
                browser.answer(&caller, &paused, 201, SDP, sdp.as_str().expect("an answer"));
            }
            ("GET", _) if !self.events.is_empty() => {
                let told = self.events.remove(0);
                browser.answer(&caller, &paused, 200, STREAM, &told);
            }
            // Left open, as a stream on which nothing happens.
            ("GET", _) => {}
            ("DELETE", _) => browser.answer(&caller, &paused, 200, JSON, ""),
            _ => browser.answer(&caller, &paused, 404, JSON, "{}"),
        }
    }
}

fn state(wanted: &str) -> String {
    format!("document.getElementById('phone').dataset.state === '{wanted}'")
}

fn text(browser: &mut Browser, tab: &Tab, id: &str) -> String {
    browser.eval(tab, &format!("document.getElementById('{id}').innerText")).as_str().unwrap_or_default().to_owned()
}

#[test]
fn people_call_from_the_page_and_learn_why_they_cannot() {
    let daemon = Daemon::start();
    let mut browser = Browser::start(&[]);
    let (caller, other) = (browser.tab(), browser.tab());
    let page = format!("http://{}/call?to=echo", daemon.http);
    browser.open(&other, &format!("http://{}/health/live", daemon.http));
    browser.open(&caller, &page);
    browser.microphone("granted");
    browser.intercept(&caller, "*/v1/webrtc*");
    a_call(&mut browser, &caller, &other);
    a_page_is_rung(&mut browser, &caller, &other);
    refusals(&mut browser, &caller);
    the_client_is_as_its_types_say(&mut browser, &caller);
    it_fits_a_telephone(&mut browser, &caller);
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

/// Two pages, one of which waits at a number, and all sound by the one port of the daemon.
#[test]
fn people_are_called_at_the_page_and_take_the_call_or_do_not() {
    let port = free_udp().port();
    let daemon = Daemon::start_with(&format!("[webrtc]\nphones = [\"200\"]\nudp_port = {port}\n"));
    let mut browser = Browser::start(&[]);
    let (caller, called) = (browser.tab(), browser.tab());
    let peers = "globalThis.peers = []; const Peer = RTCPeerConnection;
        globalThis.RTCPeerConnection = class extends Peer { constructor(...all) { super(...all); peers.push(this); } };";
    for (tab, path) in [(&caller, "/call?to=200"), (&called, "/call")] {
        browser.ask(Some(tab), "Page.addScriptToEvaluateOnNewDocument", json!({"source": peers}));
        browser.open(tab, &format!("http://{}{path}", daemon.http));
    }
    browser.microphone("granted");
    let click = |browser: &mut Browser, tab: &Tab, id: &str| {
        browser.eval(tab, &format!("document.getElementById('{id}').click()"));
    };
    browser.until(&called, "!document.getElementById('wait').hidden");
    assert_eq!(
        browser.eval(&called, "[...document.getElementById('at').options].map(({ value }) => value)"),
        json!(["200"])
    );
    click(&mut browser, &called, "listen");
    browser.until(&called, "document.getElementById('waiting').textContent.startsWith('Calls to 200 ring here')");
    assert_eq!(text(&mut browser, &called, "listen"), "Stop");

    // Not now.
    let rings = "!document.getElementById('ring').hidden";
    click(&mut browser, &caller, "call");
    browser.until(&called, rings);
    assert!(text(&mut browser, &called, "rung").starts_with("calls 200"));
    assert!(browser.eval(&called, "document.title").as_str().is_some_and(|title| title.ends_with(" is calling")));
    click(&mut browser, &called, "decline");
    browser.until(&caller, &state("ended"));
    assert!(text(&mut browser, &caller, "refusal").starts_with("The call was declined."));
    browser.until(&called, "document.getElementById('ring').hidden && !document.title.includes('calling')");

    // Who is not allowed a microphone has not taken it: it rings on.
    click(&mut browser, &caller, "call");
    browser.until(&called, rings);
    let denied = "navigator.mediaDevices.getUserMedia = async () => { delete navigator.mediaDevices.getUserMedia;
        throw new DOMException('not here', 'NotAllowedError'); }";
    browser.eval(&called, denied);
    click(&mut browser, &called, "answer");
    browser.until(&called, &state("ended"));
    assert!(text(&mut browser, &called, "refusal").contains("The microphone is not allowed."));
    browser.until(&called, rings);
    click(&mut browser, &called, "answer");
    for tab in [&caller, &called] {
        browser.until(tab, &state("talking"));
        browser.until(tab, "parseFloat(document.getElementById('theirs').style.transform.slice(7)) > 0.1");
        let to = "peers.at(-1).getStats().then((all) => {
            const pair = [...all.values()].find((one) => one.type === 'candidate-pair' && one.nominated && one.state === 'succeeded');
            return all.get(pair?.remoteCandidateId)?.port; })";
        assert_eq!(browser.eval(tab, to), json!(port), "by the one port");
    }
    assert_eq!(browser.eval(&called, "document.getElementById('ring').hidden"), json!(true));
    click(&mut browser, &caller, "hang-up");
    browser.until(&called, &state("ended"));
    assert_eq!(text(&mut browser, &called, "refusal").trim(), "The other side hung up.");

    // It waits on until it is told not to.
    assert_eq!(text(&mut browser, &called, "listen"), "Stop");
    click(&mut browser, &called, "listen");
    assert_eq!(text(&mut browser, &called, "listen"), "Take calls");
    assert_eq!(text(&mut browser, &called, "waiting"), "");
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

/// By keyboard alone: Enter in the number, keys, mute, hang up.
fn a_call(browser: &mut Browser, caller: &Tab, other: &Tab) {
    let greeting = turn(
        1,
        "agent",
        "Hello. <b>What</b> shall I build?",
        None,
        "2026-01-01T00:00:00.000Z",
        "2026-01-01T00:00:02.000Z",
    );
    let said = turn(2, "caller", "I want a CRM.", None, "2026-01-01T00:00:03.000Z", "2026-01-01T00:00:04.000Z");
    let cut = turn(
        3,
        "agent",
        "A CRM it is. Shall I?",
        Some("A CRM"),
        "2026-01-01T00:00:04.640Z",
        "2026-01-01T00:00:05.000Z",
    );
    let mut double = Double {
        caller: caller.clone(),
        other: other.clone(),
        events: vec![greeting.clone() + &said, greeting + &cut],
        asked: Vec::new(),
    };
    browser.eval(caller, "document.getElementById('to').focus()");
    browser.press(caller, "Enter");
    browser.until_with(caller, &state("talking"), |browser, paused| double.answer(browser, paused));
    assert_eq!(text(browser, caller, "state"), "Connected");
    assert_eq!(double.asked[..2], ["GET webrtc", "POST webrtc?to=echo"]);

    // Sound goes both ways: the far end receives, and both levels move.
    let heard = "peer.getStats().then((all) => [...all.values()].some((one) => one.type === 'inbound-rtp' && one.packetsReceived > 20 && one.totalAudioEnergy > 0))";
    browser.until_with(other, heard, |browser, paused| double.answer(browser, paused));
    let bar = |id: &str| format!("parseFloat(document.getElementById('{id}').style.transform.slice(7)) > 0.2");
    for id in ["mine", "theirs"] {
        browser.until_with(caller, &bar(id), |browser, paused| double.answer(browser, paused));
    }

    // Captions: in order, once each, as text, with what was cut off; and how long the answer took, by the machine's own clock.
    let three = "document.querySelectorAll('#turns li').length === 3";
    browser.until_with(caller, three, |browser, paused| double.answer(browser, paused));
    let captions = browser.eval(caller, "[...document.querySelectorAll('#turns li')].map((li) => [li.className, li.firstChild.textContent, li.querySelector('s')?.textContent ?? ''])");
    let wanted = json!([
        ["agent", "Hello. <b>What</b> shall I build?", ""],
        ["caller", "I want a CRM.", ""],
        ["agent", "A CRM", " it is. Shall I?"]
    ]);
    assert_eq!(captions, wanted);
    let figures = "document.getElementById('response').textContent === '640 ms' && /^\\d+ ms$/.test(document.getElementById('round-trip').textContent) && /^\\d+ ms$/.test(document.getElementById('buffer').textContent) && document.getElementById('codec').textContent === 'opus'";
    browser.until_with(caller, figures, |browser, paused| double.answer(browser, paused));

    // Keys go as telephone-events, where they are typed and where they are touched.
    browser.eval(caller, "document.getElementById('pad').focus()");
    browser.press(caller, "Enter");
    browser.eval(caller, "globalThis.toned = []; const send = RTCDTMFSender.prototype.insertDTMF; RTCDTMFSender.prototype.insertDTMF = function (tones, ...rest) { toned.push(tones.at(-1)); return send.call(this, tones, ...rest); }");
    browser.press(caller, "7");
    browser.eval(caller, "document.querySelector('[data-key=\"#\"]').click()");
    assert_eq!(browser.eval(caller, "toned"), json!(["7", "#"]));

    // Muted, the far end hears nothing, and the page says so.
    browser.press(caller, "m");
    assert_eq!(browser.eval(caller, "document.getElementById('mute').getAttribute('aria-pressed')"), json!("true"));
    let energy =
        "peer.getStats().then((all) => [...all.values()].find((one) => one.type === 'inbound-rtp').totalAudioEnergy)";
    let silent = |browser: &mut Browser| {
        let before = browser.eval(other, energy);
        let received = "peer.getStats().then((all) => [...all.values()].find((one) => one.type === 'inbound-rtp').packetsReceived)";
        let packets = browser.eval(other, received).as_u64().unwrap_or_default();
        // A second and a half, in which the microphone of the test beeps at least once.
        browser.until_with(other, &format!("{received}.then((now) => now > {packets} + 75)"), |_, _| {});
        browser.eval(other, energy).as_f64().unwrap_or(1.0) - before.as_f64().unwrap_or_default() < 1e-5
    };
    let deadline = Instant::now() + LONG;
    while !silent(browser) {
        assert!(Instant::now() < deadline, "a muted microphone is heard");
    }

    // Hung up: the machine is told, the microphone is let go.
    browser.eval(caller, "document.getElementById('hang-up').focus()");
    browser.press(caller, "Enter");
    browser.until_with(caller, &state("ended"), |browser, paused| double.answer(browser, paused));
    assert_eq!(text(browser, caller, "refusal").trim(), "You hung up.");
    let deadline = Instant::now() + LONG;
    while !double.asked.iter().any(|asked| asked == "DELETE webrtc/call_0000000000000001") {
        assert!(Instant::now() < deadline, "{:?}", double.asked);
        browser.eval(caller, "0");
        while let Some(paused) = browser.paused() {
            double.answer(browser, paused);
        }
    }
    assert_eq!(
        browser.eval(caller, "document.activeElement.id"),
        json!("call"),
        "whoever uses the keyboard goes on there"
    );
}

/// A page waits, hears what rings, takes it, and goes on waiting where its stream has ended.
fn a_page_is_rung(browser: &mut Browser, caller: &Tab, other: &Tab) {
    const ID: &str = "call_0000000000000002";
    let rings = json!({"id": ID, "number": "200", "from": "100", "name": "Ann"});
    let mut double = Double {
        caller: caller.clone(),
        other: other.clone(),
        events: vec![format!("event: waiting\ndata: {{\"number\":\"200\"}}\n\nevent: ring\ndata: {rings}\n\n")],
        asked: Vec::new(),
    };
    browser.eval(
        caller,
        "globalThis.rung = []; globalThis.phone = callwright.phone({ number: '200', onState: (state) => rung.push(state), \
         onRing: (ring) => { globalThis.ring = ring; rung.push([ring.id, ring.number, ring.from, ring.name]); \
         ring.over.then((why) => rung.push(why)); } }); 0",
    );
    browser.until_with(caller, "phone.state === 'reconnecting'", |browser, paused| double.answer(browser, paused));
    browser.eval(caller, "globalThis.taken = ring.answer(); 0");
    browser.until_with(caller, "taken.state === 'talking'", |browser, paused| double.answer(browser, paused));
    browser.eval(caller, "taken.hangUp(); globalThis.said = false; ring.decline().then(() => (said = true)); 0");
    browser.until_with(caller, "said", |browser, paused| double.answer(browser, paused));
    browser.eval(caller, "phone.close(); 0");
    browser.until_with(caller, "rung.length === 5", |browser, paused| double.answer(browser, paused));
    let wanted = json!(["waiting", [ID, "200", "100", "Ann"], "reconnecting", "closed", "missed"]);
    assert_eq!(browser.eval(caller, "rung"), wanted);
    for asked in ["GET webrtc/phones/200", &format!("POST webrtc?answer={ID}"), &format!("DELETE webrtc/{ID}")] {
        assert!(double.asked.iter().any(|one| one == asked), "{asked}: {:?}", double.asked);
    }
}

/// Every refusal has its own words.
fn refusals(browser: &mut Browser, caller: &Tab) {
    let problem = |sip: Option<u16>| json!({"detail": "as the machine says", "sip_code": sip}).to_string();
    for (status, sip, words) in [
        (503, Some(486), "The line is busy."),
        (503, Some(480), "Nobody answered."),
        (503, Some(603), "The call was declined."),
        (404, Some(404), "There is nobody at this number."),
        (503, None, "All lines are in use."),
        (403, None, "This page may not call that number."),
        (422, Some(488), "no codec in common"),
        (429, None, "Too many wrong tokens"),
        (500, None, "could not take the call"),
        (0, None, "The machine does not answer."),
    ] {
        browser.eval(caller, "document.getElementById('call').click()");
        browser.until_with(caller, &state("ended"), |browser, paused| {
            if paused.method == "GET" {
                browser.answer(caller, &paused, 200, JSON, r#"{"ice_servers":[],"codecs":[]}"#);
            } else {
                browser.answer(caller, &paused, status, JSON, &problem(sip));
            }
        });
        let told = text(browser, caller, "refusal");
        assert!(told.contains(words), "{status} {sip:?}: {told}");
        assert!(status == 0 || told.contains("as the machine says"), "{told}");
    }
    browser.microphone("denied");
    browser.eval(caller, "document.getElementById('call').click()");
    browser.until(caller, &state("ended"));
    let told = text(browser, caller, "refusal");
    assert!(told.contains("The microphone is not allowed.") && told.contains("Allow it for this page"), "{told}");
    browser.microphone("granted");
}

fn the_client_is_as_its_types_say(browser: &mut Browser, caller: &Tab) {
    let types = include_str!("../src/api/page/client.d.ts");
    let members = |interface: &str| {
        let (_, rest) = types.split_once(&format!("interface {interface} {{")).expect("it is declared");
        let (body, _) = rest.split_once("\n  }").expect("it ends");
        let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("/**") && !line.is_empty());
        let name = |line: &str| {
            let line = line.trim_start_matches("readonly ");
            line[..line.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(0)].to_owned()
        };
        let mut names: Vec<_> = lines.map(name).collect();
        names.sort();
        names
    };
    let made = "(() => { const call = callwright.call({}); call.hangUp(); return Object.keys(call).sort(); })()";
    assert_eq!(browser.eval(caller, made), json!(members("Call")));
    let (_, codes) = types.split_once("type Code =").expect("codes");
    let (codes, _) = codes.split_once(';').expect("an end");
    let mut codes: Vec<_> = codes.split('"').skip(1).step_by(2).collect();
    codes.sort_unstable();
    assert_eq!(browser.eval(caller, "Object.keys(callwright.words).sort()"), json!(codes));
    assert_eq!(browser.eval(caller, "Object.keys(callwright).sort()"), json!(["call", "devices", "phone", "words"]));
    let made = "(() => { const phone = callwright.phone({ number: '1', onRing() {} }); phone.close(); return Object.keys(phone).sort(); })()";
    assert_eq!(browser.eval(caller, made), json!(members("Phone")));
    let client = include_str!("../src/api/page/client.js");
    for name in members("Options").into_iter().chain(members("PhoneOptions")) {
        assert!(
            client.contains(&format!("\"{name}\""))
                || client.contains(&format!("options.{name}"))
                || client.contains(&format!("{{ {name} }}")),
            "{name}"
        );
    }
    for name in members("Stats").iter().chain(&members("Caption")).chain(&members("Level")) {
        assert!(
            client.contains(&format!("{name}:"))
                || client.contains(&format!(" {name},"))
                || client.contains(&format!(" {name} }}")),
            "{name}"
        );
    }
    let found = browser.eval(
        caller,
        "callwright.devices().then((all) => all.length > 0 && all.every(({ id, label }) => id && label))",
    );
    assert_eq!(found, json!(true));
}

/// At 360 pixels nothing is cut off, and everything that is touched is large enough to be.
fn it_fits_a_telephone(browser: &mut Browser, caller: &Tab) {
    let narrow = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
    browser.ask(Some(caller), "Emulation.setDeviceMetricsOverride", narrow);
    browser.eval(caller, "document.getElementById('keys').hidden = document.getElementById('keypad').hidden = false");
    assert_eq!(browser.eval(caller, "document.documentElement.scrollWidth"), json!(360));
    let small = "[...document.querySelectorAll('button, input, select')].filter((one) => one.offsetParent && one.offsetHeight < 44).map((one) => one.id)";
    assert_eq!(browser.eval(caller, small), json!([]));
    let unnamed = "[...document.querySelectorAll('button, input, select')].filter((one) => !one.textContent.trim() && !one.labels?.length).map((one) => one.id)";
    assert_eq!(browser.eval(caller, unnamed), json!([]));
}
