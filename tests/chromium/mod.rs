//! A headless Chromium for tests, driven by the DevTools protocol. Purpose: pages are looked at where people look at them. One thread;
//! whatever waits has a long deadline and no other. What a page fetches can be answered by the test.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use base64::Engine;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// Starved machines are slow, and no test here is about speed.
pub const LONG: Duration = Duration::from_secs(60);
/// How long one look at the socket waits.
const GLANCE: Duration = Duration::from_millis(100);

/// A running browser.
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    next: u64,
    events: VecDeque<Value>,
    profile: tempfile::TempDir,
}

/// One tab.
#[derive(Clone, Debug)]
pub struct Tab(String);

/// A request of a page that waits for the test to answer it.
#[derive(Clone, Debug)]
pub struct Paused {
    id: String,
    pub method: String,
    pub url: String,
    pub headers: Value,
    pub body: String,
}

impl Browser {
    /// Whether there is one on this machine.
    pub fn can_be_had() -> bool {
        Command::new("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// Starts with a microphone that hears what `arguments` say, a steady beep by default, and that every page may use.
    pub fn start(arguments: &[&str]) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let mut child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--remote-debugging-port=0", "--remote-allow-origins=*", "--disable-background-networking"])
            .args(["--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required"])
            // Tabs of one machine find each other without asking the network for names.
            .arg("--disable-features=WebRtcHideLocalIpsWithMdns")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(arguments)
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromium starts; `make setup-test` installs it");
        let told = profile.path().join("DevToolsActivePort");
        let deadline = Instant::now() + LONG;
        let (port, path) = loop {
            let text = std::fs::read_to_string(&told).unwrap_or_default();
            if let Some((port, path)) = text.trim().split_once('\n') {
                break (port.parse::<u16>().expect("a port"), path.to_owned());
            }
            assert!(child.try_wait().is_ok_and(|ended| ended.is_none()), "chromium ended");
            assert!(Instant::now() < deadline, "chromium does not come up");
            std::thread::sleep(Duration::from_millis(20));
        };
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let (socket, _) =
            tungstenite::client(format!("ws://127.0.0.1:{port}{path}"), stream).expect("it speaks WebSocket");
        socket.get_ref().set_read_timeout(Some(GLANCE)).expect("a timeout");
        Self { child, socket, next: 0, events: VecDeque::new(), profile }
    }

    /// A tab with nothing in it.
    pub fn tab(&mut self) -> Tab {
        let target = self.ask(None, "Target.createTarget", json!({"url": "about:blank"}));
        let attached =
            self.ask(None, "Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        let tab = Tab(attached["sessionId"].as_str().expect("a session").to_owned());
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            self.ask(Some(&tab), domain, json!({}));
        }
        tab
    }

    /// Goes to a page and waits until it is there.
    pub fn open(&mut self, tab: &Tab, url: &str) {
        let gone = self.ask(Some(tab), "Page.navigate", json!({"url": url}));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        self.until(tab, "document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// One command and its result.
    pub fn ask(&mut self, tab: Option<&Tab>, method: &str, parameters: Value) -> Value {
        let id = self.send(tab, method, parameters);
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(mut answer) = self.look(id) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            assert!(Instant::now() < deadline, "{method} is not answered");
        }
    }

    fn send(&mut self, tab: Option<&Tab>, method: &str, parameters: Value) -> u64 {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": parameters});
        if let Some(Tab(session)) = tab {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).expect("it is sent");
        self.next
    }

    /// Reads once; gives the answer with this number, and keeps what happened.
    fn look(&mut self, id: u64) -> Option<Value> {
        match self.socket.read() {
            Ok(Message::Text(text)) => {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                if message["id"].as_u64() == Some(id) {
                    return Some(message);
                }
                if message["method"].is_string() {
                    self.events.push_back(message);
                }
            }
            Ok(_) => {}
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(error) => panic!("chromium is gone: {error}"),
        }
        None
    }

    /// What an expression is; a promise is awaited.
    pub fn eval(&mut self, tab: &Tab, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let mut answer = self.ask(Some(tab), "Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, tab: &Tab, expression: &str) {
        self.until_with(tab, expression, |_, _| panic!("a request that nobody answers"));
    }

    /// The same, answering what pages ask meanwhile.
    pub fn until_with(&mut self, tab: &Tab, expression: &str, mut answer: impl FnMut(&mut Self, Paused)) {
        let deadline = Instant::now() + LONG;
        loop {
            while let Some(paused) = self.paused() {
                answer(self, paused);
            }
            if self.eval(tab, expression) == json!(true) {
                return;
            }
            assert!(Instant::now() < deadline, "never: {expression}\n{}", self.eval(tab, "document.body.innerText"));
            // Nothing to hurry for: the page does what it does.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Requests of this tab that fit wait for the test from now on.
    pub fn intercept(&mut self, tab: &Tab, pattern: &str) {
        self.ask(Some(tab), "Fetch.enable", json!({"patterns": [{"urlPattern": pattern}]}));
    }

    /// A request that waits.
    pub fn paused(&mut self) -> Option<Paused> {
        let at = self.events.iter().position(|event| event["method"] == "Fetch.requestPaused")?;
        let event = self.events.remove(at)?["params"].take();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some(Paused {
            id: text(&event["requestId"]),
            method: text(&event["request"]["method"]),
            url: text(&event["request"]["url"]),
            headers: event["request"]["headers"].clone(),
            body: text(&event["request"]["postData"]),
        })
    }

    /// Answers it; with status 0 it fails as if nobody were there.
    pub fn answer(&mut self, tab: &Tab, to: &Paused, status: u16, headers: &[(&str, &str)], body: &str) {
        if status == 0 {
            self.ask(Some(tab), "Fetch.failRequest", json!({"requestId": to.id, "errorReason": "ConnectionRefused"}));
            return;
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let body = base64::engine::general_purpose::STANDARD.encode(body);
        let answer = json!({"requestId": to.id, "responseCode": status, "responseHeaders": headers, "body": body});
        // A page that has given up meanwhile does not want it any more.
        let id = self.send(Some(tab), "Fetch.fulfillRequest", answer);
        let deadline = Instant::now() + LONG;
        while self.look(id).is_none() {
            assert!(Instant::now() < deadline, "Fetch.fulfillRequest is not answered");
        }
    }

    /// A key of the keyboard.
    pub fn press(&mut self, tab: &Tab, key: &str) {
        let code = match key {
            "Enter" => json!({"key": key, "code": key, "windowsVirtualKeyCode": 13, "text": "\r"}),
            "Tab" => json!({"key": key, "code": key, "windowsVirtualKeyCode": 9}),
            _ => json!({"key": key, "text": key}),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = code.clone();
            event["type"] = json!(kind);
            self.ask(Some(tab), "Input.dispatchKeyEvent", event);
        }
    }

    /// Allows or forbids every page of this browser its microphone.
    pub fn microphone(&mut self, setting: &str) {
        let asked = json!({"permission": {"name": "microphone"}, "setting": setting});
        self.ask(None, "Browser.setPermission", asked);
    }

    /// Errors that pages have had so far: exceptions, refusals by policy.
    pub fn complaints(&self) -> Vec<String> {
        let told = self.events.iter().filter_map(|event| match event["method"].as_str()? {
            "Runtime.exceptionThrown" => Some(event["params"]["exceptionDetails"].to_string()),
            "Log.entryAdded" if event["params"]["entry"]["source"] == "security" => {
                Some(event["params"]["entry"]["text"].to_string())
            }
            _ => None,
        });
        told.collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.next += 1;
        let close = json!({"id": self.next, "method": "Browser.close"});
        let _ = self.socket.send(Message::text(close.to_string()));
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Its own group: whatever it has left.
        let _ =
            Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}
