//! The fuzz targets of SIP, of browsers, of Twilio and of what is asked for, with a driver that needs no other compiler: seeded
//! mutations of good and of bad messages. In the test run some thousands each, of what takes a millisecond some hundred; `make
//! fuzz` runs `CALLWRIGHT_FUZZ_RUNS` of each and adds them to the ledger (`fuzz/runs.json`). Inputs are numbered, and each run of
//! the ledger goes on where the last one ended, so that no input counts twice; a failure names its number, and
//! `CALLWRIGHT_FUZZ_FROM` with one run makes it again. The same targets are in `fuzz/` for `cargo fuzz`, which is guided by
//! coverage.

#[path = "sip_torture/text.rs"]
#[allow(dead_code, reason = "the verdicts are not looked at here")]
mod text;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

use callwright::pipeline::fuzz as asked;
use callwright::pipeline::kernel::session::digest;
use callwright::sip::fuzz;
use callwright::twilio::fuzz as twilio;
use callwright::webrtc::fuzz as webrtc;
use is::stun::{StunMessage, TransId};
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};
use serde_json::{Value, json};

/// One target: name as in `fuzz/fuzz_targets`, body, what its inputs are made from.
struct Target {
    name: &'static str,
    body: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
}

const TARGETS: &[Target] = &[
    Target { name: "sip_message", body: fuzz::message, seeds: messages },
    Target { name: "sdp", body: fuzz::sdp, seeds: descriptions },
    Target { name: "sip_digest", body: fuzz::digest, seeds: challenges },
    Target { name: "sip_framing", body: fuzz::framing, seeds: streams },
    Target { name: "sip_agent", body: fuzz::agent, seeds: dialogs },
    Target { name: "webrtc_demux", body: webrtc::demux, seeds: shared_port },
    Target { name: "whip", body: webrtc::whip, seeds: posted },
    Target { name: "twilio_json", body: twilio::twilio_json, seeds: streamed },
    Target { name: "twilio_form", body: twilio::twilio_form, seeds: forms },
    Target { name: "telnyx_webhook", body: twilio::telnyx_webhook, seeds: webhooks },
    Target { name: "manifest", body: asked::manifest, seeds: manifests },
    Target { name: "kernel_frames", body: asked::kernel_frames, seeds: kernels },
    Target { name: "cue_grammar", body: asked::cue_grammar, seeds: sentences },
];

/// Runs of each target where nothing else is said.
const RUNS: u64 = 1_500;

/// The same of targets that take a millisecond and more a run.
const RUNS_SLOW: u64 = 150;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap_or(0)
    }
}

fn messages() -> Vec<Vec<u8>> {
    let at = text::Place { me: "10.0.0.9:5080".to_owned(), transport: "UDP", audio: 4000 };
    text::samples().iter().map(|sample| sample.octets(&at, 1)).collect()
}

fn manifests() -> Vec<Vec<u8>> {
    let types = ["build_crm", "build_website", "build_ecommerce", "build_api", "build_dashboard", "build_blockchain"];
    let seed = |build_type: &str| {
        json!({"manifest_id": "m", "build_type": build_type, "title": "Harbour", "description": "For the harbour.",
            "features": ["contacts", "deals", "blog", "catalogue", "items", "charts"], "tech_stack": ["Rust"],
            "constraints": {"budget": {"amount": 5000, "currency": "USD"}, "timeline": "P2W", "scale": 40},
            "integrations": ["Stripe"], "conversation_id": "c", "created_from": "voice", "confidence": 0.9,
            "metadata": {"revision": 2}})
        .to_string()
        .into_bytes()
    };
    types.map(seed).into()
}

/// A talk of a kernel, and frames to it, behind the octet that says in what pieces they come.
fn kernels() -> Vec<Vec<u8>> {
    let text = |lines: &[Value]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let ready = json!({"type": "ready", "protocol": 1, "name": "crm", "capabilities": ["frontend", "database"],
        "build_types": ["build_crm"]});
    let ask = json!({"type": "ask", "ask_id": "currency", "question": "Which currency?", "default": "USD", "wait_s": 30,
        "choices": [{"value": "USD", "say": "US dollars"}, {"value": "EUR", "say": "euros"}]});
    let file = json!({"type": "artefact", "path": "app.toml", "text": "format = 1"});
    let digest = digest(&BTreeMap::from([("app.toml".to_owned(), b"format = 1".to_vec())]));
    let whole = [
        ready.clone(),
        json!({"type": "progress", "percent": 10, "say": "The tables are done."}),
        ask,
        file.clone(),
        json!({"type": "cite", "part": "entity deals", "source": "manifest feature deals"}),
        json!({"type": "done", "files": 1, "digest": digest}),
    ];
    let failed = [ready, file, json!({"type": "fail", "say": "I cannot do that.", "retry": true})];
    let octets = json!({"type": "artefact", "path": "static/a.png", "base64": "iVBORw0KGgo="});
    let told = [json!({"type": "hello", "protocol": 1}), json!({"type": "cancel"}), octets];
    let talks = [text(&whole), text(&failed), text(&told)];
    talks.iter().flat_map(|talk| [1_u8, 7, 255].map(|piece| [&[piece], talk.as_bytes()].concat())).collect()
}

fn sentences() -> Vec<Vec<u8>> {
    let lines = |text: &'static str| text.lines().filter(|line| !line.starts_with('#'));
    let wanted = lines(include_str!("fixtures/intents/second_wanted.txt")).filter_map(|line| line.split_once(" | "));
    let others = lines(include_str!("fixtures/intents/second_others.txt"));
    wanted.map(|(_, text)| text).chain(others).map(|text| text.as_bytes().to_vec()).collect()
}

/// Messages behind each other, behind the octet that says in what pieces they come.
fn streams() -> Vec<Vec<u8>> {
    let all = messages();
    let pairs = all.windows(2).enumerate();
    pairs.map(|(n, pair)| [&[n as u8 + 1], &pair[0][..], b"\r\n\r\n", &pair[1][..]].concat()).collect()
}

fn descriptions() -> Vec<Vec<u8>> {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
    [
        "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendonly\r\n",
        "m=audio 4000 RTP/AVP 111 9 0 13 110\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\na=rtpmap:110 telephone-event/48000\r\na=rtcp-mux\r\n",
        "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20\r\na=crypto:2 AEAD_AES_128_GCM inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj\r\nm=audio 4002 RTP/AVP 0\r\n",
        "m=video 4004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP6 2001:db8::9\r\na=inactive\r\na=rtcp:4007\r\n",
        "m=image 4008 udptl t38\r\na=T38FaxVersion:0\r\nm=audio 0 RTP/AVP 0\r\n",
        "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 00:11\r\na=setup:actpass\r\na=ice-ufrag:x\r\n",
    ]
    .iter()
    .map(|media| format!("{head}{media}").into_bytes())
    .collect()
}

fn challenges() -> Vec<Vec<u8>> {
    [
        "Digest realm=\"callwright\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", qop=\"auth,auth-int\", opaque=\"5ccc\", algorithm=SHA-256, stale=TRUE",
        "Digest realm=\"a\\\"b\", nonce=\"\", algorithm=MD5-sess, qop=auth, Digest realm=\"x\", nonce=\"n\", algorithm=SHA-512-256",
        "Digest username=\"200\", realm=\"callwright\", nonce=\"00000000.00\", uri=\"sip:callwright\", response=\"6629fae49393a05397450978507c4ef1\", cnonce=\"0a4f113b\", nc=00000001, qop=auth, algorithm=MD5, opaque=\"o\"",
        "NTLM, Basic realm=\"x\", Digest realm=callwright,nonce=\"x\";",
    ]
    .iter()
    .map(|value| value.as_bytes().to_vec())
    .collect()
}

/// What comes on a shared port: the choice of role, then datagrams behind the octet that says whence and when.
fn shared_port() -> Vec<Vec<u8>> {
    let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
    let check = |username: &str, nominates: bool| {
        let message = StunMessage::binding_request(username, TransId::new(), true, 7, 1_862_270_975, nominates);
        let mut octets = vec![0; 400];
        let len = message.to_bytes(Some(webrtc::OURS.1.as_bytes()), &mut octets, hmac).expect("there is room");
        octets.truncate(len);
        octets
    };
    let name = format!("{}:{}", webrtc::OURS.0, webrtc::THEIRS.0);
    let mut hello = vec![22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 97, 1, 0, 0, 85, 0, 0, 0, 0, 0, 0, 0, 85, 254, 253];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x0a, 1, 0, 0, 39, 0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0]);
    hello.extend([0, 14, 0, 7, 0, 4, 0, 8, 0, 1, 0, 0, 23, 0, 0, 0, 13, 0, 4, 0, 2, 4, 3]);
    let alert = vec![21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let sequence = |choice: u8, all: &[(u8, &[u8])]| {
        let parts = all.iter().flat_map(|(whence, octets)| [&[*whence], *octets, &b"\xff\0\xff\0"[..]].concat());
        [choice].into_iter().chain(parts).collect::<Vec<u8>>()
    };
    let (plain, nominating) = (check(&name, false), check(&name, true));
    vec![
        sequence(2, &[(0, &plain), (0, &nominating), (4, &hello), (12, &alert), (1, &nominating)]),
        sequence(0, &[(0, &hello), (1, &hello), (5, &hello), (80, &alert), (255, &hello)]),
        sequence(3, &[(0, &nominating), (8, &alert), (2, &check("x:y", true)), (40, &plain)]),
        sequence(1, &[(0, &alert), (9, &hello)]),
    ]
}

/// Offers and fragments of browsers.
fn posted() -> Vec<Vec<u8>> {
    let password = "x0123456789abcdefghijklmn";
    let digest = ["AB"; 32].join(":");
    let secure = format!(
        "a=ice-ufrag:Es/w\r\na=ice-pwd:{password}\r\na=fingerprint:sha-256 {digest}\r\na=setup:actpass\r\na=rtcp-mux\r\n"
    );
    let head = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    vec![
        format!("{head}a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0 110\r\nc=IN IP4 0.0.0.0\r\n{secure}a=mid:0\r\na=sendrecv\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n{secure}a=mid:1\r\n").into_bytes(),
        format!("{head}{secure}m=audio 50000 UDP/TLS/RTP/SAVP 8\r\nc=IN IP6 2001:db8::9\r\na=candidate:1 1 udp 1 2001:db8::9 50000 typ host\r\n").into_bytes(),
        format!("a=ice-ufrag:Es/w\r\na=ice-pwd:{password}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.9 5 typ host\r\na=end-of-candidates\r\n").into_bytes(),
    ]
}

/// Sockets of Twilio's and of Telnyx's, a message a line.
fn streamed() -> Vec<Vec<u8>> {
    let audio = |n: u32| {
        let sound = "fn5+".repeat(53);
        format!(
            r#"{{"event":"media","sequenceNumber":"{n}","streamSid":"MZ1","media":{{"track":"inbound","chunk":"{n}","timestamp":"{}","payload":"{sound}fg=="}}}}"#,
            n * 20
        )
    };
    let twilio = [
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#.to_owned(),
        r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"token":"t"}}}"#.to_owned(),
        audio(2),
        audio(3),
        r#"{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"4","dtmf":{"track":"inbound_track","digit":"1"}}"#.to_owned(),
        r#"{"event":"mark","sequenceNumber":"5","streamSid":"MZ1","mark":{"name":"p1"}}"#.to_owned(),
        audio(5),
        r#"{"event":"stop","sequenceNumber":"6","streamSid":"MZ1","stop":{"accountSid":"AC1","callSid":"CA1"}}"#.to_owned(),
    ];
    let telnyx = [
        r#"{"event":"connected","version":"1.0.0"}"#,
        r#"{"event":"start","sequence_number":"1","stream_id":"MZ1","start":{"user_id":"u","call_control_id":"CA1","media_format":{"encoding":"PCMU","sample_rate":8000,"channels":1},"custom_parameters":{"token":"t"}}}"#,
        r#"{"event":"media","sequence_number":"4","stream_id":"MZ1","media":{"track":"inbound","chunk":"2","timestamp":"5","payload":"no+JhoaJjpzS"}}"#,
        r#"{"event":"dtmf","stream_id":"MZ1","sequence_number":"5","dtmf":{"digit":"9"}}"#,
        r#"{"event":"stop","sequence_number":"5","stream_id":"MZ1","stop":{"user_id":"u","call_control_id":"CA1"}}"#,
    ];
    vec![twilio.join("\n").into_bytes(), telnyx.join("\n").into_bytes()]
}

/// Bodies of webhooks.
fn forms() -> Vec<Vec<u8>> {
    vec![
        b"CallSid=CA1&AccountSid=AC1&From=%2B15551230001&To=%2B15550000001&CallStatus=ringing&ApiVersion=2010-04-01&Direction=inbound&CallerName=Ann+%3CO%27Neill%3E".to_vec(),
        b"CallSid=CA1&CallStatus=completed&CallDuration=12&SipResponseCode=486&Digits=%23&Digits=%00&x".to_vec(),
    ]
}

/// Webhooks of Telnyx's: one that was signed, and some that were not.
fn webhooks() -> Vec<Vec<u8>> {
    let other = twilio::SIGNED.replace("1800000000", "1800000001");
    vec![twilio::SIGNED.as_bytes().to_vec(), other.into_bytes(), b"0\n\n".to_vec()]
}

/// Wait in units of 100 ms, method and its number, further header fields, body.
type Line = (u8, &'static str, u32, &'static str, &'static str);

/// Sequences for the dialog machine, in the form that `fuzz::agent` reads.
fn dialogs() -> Vec<Vec<u8>> {
    const MEDIA: &str =
        "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let scripts: [&[Line]; 5] = [
        &[
            (1, "INVITE", 1, "Supported: timer\r\nSession-Expires: 120;refresher=uas\r\n", MEDIA),
            (2, "ACK", 1, "", ""),
            (3, "INVITE", 2, "", MEDIA),
            (2, "ACK", 2, "", ""),
            (10, "BYE", 3, "", ""),
        ],
        &[
            (0, "INVITE", 1, "Require: 100rel\r\n", MEDIA),
            (1, "PRACK", 2, "RAck: 1 1 INVITE\r\n", ""),
            (3, "ACK", 1, "", ""),
            (7, "UPDATE", 3, "", MEDIA),
            (13, "OPTIONS", 4, "", ""),
        ],
        &[(4, "INVITE", 1, "", ""), (1, "CANCEL", 1, "", "")],
        &[
            (1, "INVITE", 1, "", MEDIA),
            (6, "ACK", 1, "", ""),
            (8, "REFER", 2, "Refer-To: <sip:c@h?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n", ""),
            (9, "NOTIFY", 3, "Event: refer\r\nSubscription-State: active\r\n", "SIP/2.0 180 Ringing\r\n"),
            (5, "INFO", 4, "Content-Type: application/dtmf-relay\r\n", "Signal=5\r\nDuration=100\r\n"),
        ],
        &[
            (1, "INVITE", 1, "Replaces: call;to-tag=1;from-tag=2\r\n", MEDIA),
            (200, "MESSAGE", 2, "", "hello"),
            (255, "SUBSCRIBE", 3, "Event: x\r\n", ""),
        ],
    ];
    let write = |n: usize, (wait, method, sequence, more, body): &Line| {
        let tag = if n == 0 { "" } else { ";tag=\u{1}" };
        let branch = if *method == "CANCEL" { 0 } else { n };
        let text = format!(
            "{method} sip:a@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK{branch}\r\nFrom: <sip:b@h>;tag=1\r\nTo: <sip:a@h>{tag}\r\n\
             Call-ID: call\r\nCSeq: {sequence} {method}\r\nContact: <sip:b@10.0.0.9>\r\nAllow: UPDATE\r\n{more}\r\n{body}"
        );
        [&[*wait], text.as_bytes(), &[0xff, 0]].concat()
    };
    let mut all: Vec<Vec<u8>> =
        scripts.iter().map(|script| script.iter().enumerate().flat_map(|(n, line)| write(n, line)).collect()).collect();
    // Answers to the INVITE that the agent has placed: their Via and tag are drawn in the same way each time.
    for code in
        ["180 Ringing", "183 Session Progress", "200 OK", "302 Moved", "401 Unauthorized", "486 Busy Here", "503 Later"]
    {
        let text = format!(
            "SIP/2.0 {code}\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK\u{1}\r\nFrom: <sip:us@10.0.0.2>;tag=\u{1}\r\nTo: <sip:phone@10.0.0.9>;tag=p\r\n\
             Call-ID: \u{1}\r\nCSeq: 1 INVITE\r\nContact: <sip:b@10.0.0.9>\r\nRequire: 100rel\r\nRSeq: 1\r\n\r\n{MEDIA}"
        );
        all.push([&[2], text.as_bytes(), &[0xff, 0]].concat());
    }
    all
}

/// The input of this number.
fn input(seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
    const WORDS: [&[u8]; 24] = [
        b"\r\n",
        b"\r\n\r\n",
        b"\r\n ",
        b":",
        b";",
        b",",
        b"=",
        b"\"",
        b"<",
        b">",
        b"\\",
        b"%",
        b"%00",
        b"\0",
        b"\xff\0",
        b"\xff",
        b"[",
        b"]",
        b";tag=",
        b"\x01",
        b"4294967296",
        b"18446744073709551616",
        b"-1",
        b"Content-Length: 5\r\n",
    ];
    let mut random = Random(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut octets = seeds[random.below(seeds.len())].clone();
    for _ in 0..random.below(7) {
        let length = octets.len();
        let at = random.below(length + 1);
        match random.below(8) {
            0 if length > 0 => octets[at % length] = random.next() as u8,
            1 if length > 0 => octets[at % length] ^= 1 << random.below(8),
            2 => drop(octets.drain(at..(at + random.below(40)).min(length))),
            3 => {
                let part = octets[at..(at + random.below(120)).min(length)].to_vec();
                let place = random.below(octets.len() + 1);
                octets.splice(place..place, part);
            }
            4 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let part = &other[from..(from + random.below(200)).min(other.len())];
                octets.splice(at..at, part.iter().copied());
            }
            5 => {
                // A number that is another one.
                let from = octets[at..].iter().position(u8::is_ascii_digit).map_or(at, |n| at + n);
                let to = octets[from..].iter().position(|b| !b.is_ascii_digit()).map_or(length, |n| from + n);
                let value = match random.below(4) {
                    0 => "0".to_owned(),
                    1 => u64::MAX.to_string(),
                    2 => (1_u64 << random.below(63)).to_string(),
                    _ => random.below(400).to_string(),
                };
                octets.splice(from..to, value.into_bytes());
            }
            6 => octets.truncate(at),
            _ => drop(octets.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
        }
    }
    octets
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn ledger() -> Option<PathBuf> {
    std::env::var_os("CALLWRIGHT_FUZZ_LEDGER").map(PathBuf::from)
}

fn entries(path: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let ledger: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!([]));
    ledger.as_array().cloned().unwrap_or_default()
}

/// The first input of this target that no run has had.
fn next_input(entries: &[Value], target: &str) -> u64 {
    let ends = entries
        .iter()
        .filter(|e| e["target"] == target)
        .filter_map(|e| Some(e["from"].as_u64()? + e["runs"].as_u64()?));
    ends.max().unwrap_or(0)
}

fn run(name: &str) {
    let target = TARGETS.iter().find(|t| t.name == name).expect("a target");
    let usual = if matches!(name, "manifest" | "cue_grammar") { RUNS_SLOW } else { RUNS };
    let (seeds, runs) = ((target.seeds)(), number("CALLWRIGHT_FUZZ_RUNS").unwrap_or(usual));
    let first =
        number("CALLWRIGHT_FUZZ_FROM").unwrap_or_else(|| ledger().map_or(0, |path| next_input(&entries(&path), name)));
    let started = Instant::now();
    for n in first..first + runs {
        let octets = input(&seeds, n);
        if catch_unwind(AssertUnwindSafe(|| (target.body)(&octets))).is_err() {
            panic!("{name}: input {n} fails\n{:?}", String::from_utf8_lossy(&octets));
        }
    }
    let seconds = (started.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    if let Some(path) = ledger() {
        let commit = std::env::var("CALLWRIGHT_FUZZ_COMMIT").unwrap_or_default();
        let mut all = entries(&path);
        all.push(
            json!({"target": name, "from": first, "runs": runs, "seconds": seconds, "commit": commit, "failures": 0}),
        );
        let lines: Vec<String> = all.iter().map(|e| format!("  {e}")).collect();
        std::fs::write(&path, format!("[\n{}\n]\n", lines.join(",\n"))).expect("the ledger is written");
    }
}

#[test]
fn sip_message() {
    run("sip_message");
}

#[test]
fn sdp() {
    run("sdp");
}

#[test]
fn sip_digest() {
    run("sip_digest");
}

#[test]
fn sip_framing() {
    run("sip_framing");
}

#[test]
fn sip_agent() {
    run("sip_agent");
}

#[test]
fn webrtc_demux() {
    run("webrtc_demux");
}

#[test]
fn whip() {
    run("whip");
}

#[test]
fn twilio_json() {
    run("twilio_json");
}

#[test]
fn twilio_form() {
    run("twilio_form");
}

#[test]
fn telnyx_webhook() {
    run("telnyx_webhook");
}

#[test]
fn manifest() {
    run("manifest");
}

#[test]
fn kernel_frames() {
    run("kernel_frames");
}

#[test]
fn cue_grammar() {
    run("cue_grammar");
}

#[test]
fn the_ledger_names_every_target() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/runs.json");
    let all = entries(&path);
    for target in TARGETS {
        assert!(next_input(&all, target.name) > 0, "{} has never run: make fuzz", target.name);
        assert!(all.iter().filter(|e| e["target"] == target.name).all(|e| e["failures"] == 0), "{}", target.name);
    }
}
