//! Calls on the wire are recorded: what each side sent is in its channel, in its place, while the call lasts, after it, and
//! after the daemon was killed. No sound of these tests outlives them.

mod rig;

use rig::phone::Phone;
use rig::{Daemon, eventually, get, request};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const FRAME: usize = 160;

fn config(format: &str) -> String {
    format!(
        "[recording]\nenabled = true\nformat = \"{format}\"\nmin_free_mb = 1\n\
         [[routes]]\nmatch = \"echo\"\napp = \"echo\"\nrecord = true\n\
         [[routes]]\nmatch = \"300\"\napp = \"agent:grace\"\nrecord = true\n\
         [[routes]]\nmatch = \"*\"\napp = \"echo\"\n"
    )
}

/// μ-law of frame `n` of a call: two ramps that no other of its first 9,000 frames has.
fn octets(n: usize) -> [u8; FRAME] {
    std::array::from_fn(|i| 0x10 + ((if i < 80 { n } else { n / 0x60 } * 7 + i / 16) % 0x60) as u8)
}

/// Linear value of a μ-law octet (G.711 table 2a).
fn linear(octet: u8) -> i16 {
    let o = !octet;
    let magnitude = (((i16::from(o & 0x0f) << 3) + 0x84) << ((o >> 4) & 7)) - 0x84;
    if o & 0x80 == 0 { magnitude } else { -magnitude }
}

fn packet(n: usize, timestamp: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend((n as u16).to_be_bytes());
    packet.extend((timestamp as u32).to_be_bytes());
    packet.extend(9_u32.to_be_bytes());
    packet.extend(octets(n));
    packet
}

/// Talks for `frames`, 20 ms each; frames of `missing` are not sent, though their time passes.
fn talk(phone: &Phone, port: u16, frames: std::ops::Range<usize>, missing: &[usize]) {
    let start = Instant::now();
    let mut buffer = [0; 2048];
    for (sent, n) in frames.enumerate() {
        if !missing.contains(&n) {
            phone.rtp.send_to(&packet(n, 5000 + n * FRAME), ("127.0.0.1", port)).expect("loopback takes it");
        }
        let due = start + Duration::from_millis(20 * (sent as u64 + 1));
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            phone.rtp.set_read_timeout(Some(left)).expect("a timeout");
            let _ = phone.rtp.recv(&mut buffer);
        }
    }
}

fn newest(daemon: &Daemon) -> Value {
    let (_, body) = get(daemon.http, "/v1/calls").expect("/v1/calls answers");
    let list: Value = serde_json::from_str(&body).expect("JSON");
    let id = list["items"][0]["id"].as_str().expect("there is a call").to_owned();
    let (status, body) = get(daemon.http, &format!("/v1/calls/{id}")).expect("the call is shown");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Waits until the newest call's recording stands there.
fn recording(daemon: &Daemon, state: &str) -> Value {
    let there = || newest(daemon)["recording"]["state"] == state;
    assert!(eventually(Duration::from_secs(5), there), "{}\n{}", newest(daemon), daemon.log());
    newest(daemon)
}

/// One GET whose body is no text: status, head in lower case, body.
fn fetch(to: SocketAddr, path: &str, fields: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(to).expect("the API listens");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{fields}\r\n").expect("it is read");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, head, answer[end + 4..].to_vec())
}

fn channels(wav: &[u8]) -> (Vec<i16>, Vec<i16>) {
    let samples: Vec<i16> =
        hound::WavReader::new(wav).expect("a WAV file").into_samples().map(|s| s.expect("a sample")).collect();
    samples.chunks(2).map(|pair| (pair[0], pair[1])).unzip()
}

/// Where frame `n` begins in a channel.
fn place(channel: &[i16], n: usize) -> Option<usize> {
    let frame: Vec<i16> = octets(n).into_iter().map(linear).collect();
    channel.windows(FRAME).position(|window| window == frame)
}

#[test]
fn an_echo_call_is_in_both_channels_and_can_be_fetched() {
    let daemon = Daemon::start_with(&config("wav"));
    assert!(daemon.log().contains("calls of these routes are recorded"), "{}", daemon.log());
    let phone = Phone::new(&daemon);
    let (status, tag, port) = phone.call("echo", "rec1");
    assert_eq!(status, 200);
    talk(&phone, port, 0..60, &[30, 31, 32]);
    // While the call is up: what is more than a second old can be heard.
    let call = recording(&daemon, "recording");
    let path = format!("/v1/calls/{}/recording", call["id"].as_str().expect("an id"));
    let (status, head, body) = fetch(daemon.http, &path, "");
    assert_eq!(status, 200, "{head}");
    assert_eq!(place(&channels(&body).0, 5).expect("heard while it lasts") % FRAME, 0);
    phone.bye("echo", "rec1", &tag);
    let shown = &recording(&daemon, "complete")["recording"];
    assert_eq!((&shown["format"], &shown["lost_ms"], &shown["reason"]), (&"wav".into(), &0.into(), &Value::Null));

    let (status, head, body) = fetch(daemon.http, &path, "");
    assert_eq!(status, 200);
    for field in ["content-type: audio/wav", "accept-ranges: bytes", "cache-control: no-store"] {
        assert!(head.contains(field), "{head}");
    }
    let (caller, agent) = channels(&body);
    let first = place(&caller, 5).expect("the caller is heard") - 5 * FRAME;
    // An echo: both sides carry the same sound at the same place; what never came is silent in both and takes its time.
    for n in [5, 6, 29, 33, 34, 59] {
        assert_eq!(place(&caller, n), Some(first + n * FRAME), "caller, frame {n}");
        assert_eq!(place(&agent, n), Some(first + n * FRAME), "agent, frame {n}");
    }
    for channel in [&caller, &agent] {
        let hole = &channel[first + 30 * FRAME..first + 33 * FRAME];
        assert!(hole.iter().all(|sample| *sample == 0), "a hole is silence");
        assert_eq!(channel.len(), first + 60 * FRAME);
    }
    assert!((shown["seconds"].as_f64().expect("a length") - caller.len() as f64 / 8000.0).abs() < 1e-9);

    let (status, head, part) = fetch(daemon.http, &path, "Range: bytes=80-239\r\n");
    assert_eq!((status, part.as_slice()), (206, &body[80..240]));
    assert!(head.contains(&format!("content-range: bytes 80-239/{}", body.len())), "{head}");
    assert_eq!(fetch(daemon.http, &path, "Range: bytes=-4\r\n").2, body[body.len() - 4..]);
    let (status, head, _) = fetch(daemon.http, &path, &format!("Range: bytes={}-\r\n", body.len()));
    assert_eq!(status, 416, "{head}");
    assert!(head.contains(&format!("content-range: bytes */{}", body.len())), "{head}");
    assert_eq!(fetch(daemon.http, &path, "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n").0, 200);

    // Deleted behind our back, or by retention: said, not an empty file.
    std::fs::remove_file(daemon.data.join(shown["file"].as_str().expect("a file"))).expect("it is there");
    assert_eq!(fetch(daemon.http, &path, "").0, 410);
    assert!(daemon.metric("recordings_ended_total") >= 1.0 && daemon.metric("recording_frames_total") > 100.0);
}

#[test]
fn what_is_said_in_a_pause_is_in_no_file() {
    let daemon = Daemon::start_with(&config("wav"));
    let phone = Phone::new(&daemon);
    let (status, tag, port) = phone.call("echo", "rec5");
    assert_eq!(status, 200);
    let order = |call: &str, verb: &str| {
        let path = format!("/v1/calls/{call}/recording/{verb}");
        request(daemon.http, "POST", &path, "text/plain", "").expect("an answer").0
    };
    talk(&phone, port, 0..30, &[]);
    let call = newest(&daemon)["id"].as_str().expect("an id").to_owned();
    assert_eq!(order(&call, "pause"), 204);
    talk(&phone, port, 30..60, &[]);
    assert_eq!(order(&call, "resume"), 204);
    talk(&phone, port, 60..90, &[]);
    assert_eq!(order("call_0", "pause"), 404);
    phone.bye("echo", "rec5", &tag);
    let shown = recording(&daemon, "complete");
    assert_eq!(order(&call, "pause"), 404, "the call is over");
    let file = daemon.data.join(shown["recording"]["file"].as_str().expect("a file"));
    let (caller, agent) = channels(&std::fs::read(file).expect("a WAV"));
    for n in [5, 20, 65, 85] {
        assert!(place(&caller, n).is_some() && place(&agent, n).is_some(), "frame {n} is heard");
    }
    for n in 33..57 {
        assert_eq!((place(&caller, n), place(&agent, n)), (None, None), "frame {n} was said in the pause");
    }
    assert_eq!(place(&caller, 85).map(|at| at - 65 * FRAME), place(&caller, 20), "the pause takes its time");
    assert!(shown["recording"]["paused_ms"].as_u64() > Some(900), "{shown}");
    assert!(daemon.log().contains("the recording is paused") && daemon.log().contains("the recording goes on"));

    let (_, tag, _) = phone.call("200", "rec6");
    assert!(eventually(Duration::from_secs(5), || newest(&daemon)["id"] != call.as_str()));
    let call = newest(&daemon)["id"].as_str().expect("an id").to_owned();
    assert_eq!(order(&call, "pause"), 409, "nobody records it");
    phone.bye("200", "rec6", &tag);
}

#[test]
fn who_is_not_to_be_recorded_is_not() {
    let daemon = Daemon::start_with(&config("wav"));
    let phone = Phone::new(&daemon);
    let (_, tag, port) = phone.call("200", "rec2");
    talk(&phone, port, 0..10, &[]);
    phone.bye("200", "rec2", &tag);
    assert!(eventually(Duration::from_secs(5), || newest(&daemon)["ended_by"].is_string()));
    let call = newest(&daemon);
    assert_eq!(call["recording"], Value::Null);
    let path = format!("/v1/calls/{}/recording", call["id"].as_str().expect("an id"));
    assert_eq!(fetch(daemon.http, &path, "").0, 404);
    assert_eq!(files(&daemon.data), Vec::<PathBuf>::new());
}

#[test]
fn an_agents_call_has_the_caller_left_and_the_agent_right() {
    let daemon = Daemon::start_with(&config("wav"));
    let phone = Phone::new(&daemon);
    let (status, tag, port) = phone.call("300", "rec3");
    assert_eq!(status, 200);
    talk(&phone, port, 0..75, &[]);
    phone.bye("300", "rec3", &tag);
    let shown = recording(&daemon, "complete");
    let (caller, agent) = channels(
        &std::fs::read(daemon.data.join(shown["recording"]["file"].as_str().expect("a file"))).expect("a WAV"),
    );
    let first = place(&caller, 20).expect("the caller is heard") - 20 * FRAME;
    for n in [20, 40, 74] {
        assert_eq!(place(&caller, n), Some(first + n * FRAME), "frame {n}");
        assert_eq!(place(&agent, n), None, "the caller is not in the agent's channel");
    }
    // One axis: the caller began within moments of the answer, and both channels are as long as the call.
    assert!(first < 4000 && caller.len() > 70 * FRAME, "{first} of {}", caller.len());
    if rig::native().join("lib").exists() {
        let loud = agent.iter().filter(|sample| sample.unsigned_abs() > 500).count();
        assert!(loud > 1000, "the greeting is heard: {loud} loud samples\n{}", daemon.log());
    }
}

fn files(data: &Path) -> Vec<PathBuf> {
    fn below(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.path().is_dir() { below(&entry.path(), found) } else { found.push(entry.path()) }
        }
    }
    let mut found = Vec::new();
    below(&data.join("recordings"), &mut found);
    found
}

/// Samples a side that play of a file as a kill -9 left it, and the left channel.
fn plays(file: &[u8], format: &str) -> Vec<i16> {
    if format == "wav" {
        return channels(file).0;
    }
    // Pages by their lengths, packets by their lacing (RFC 3533); a page that is cut off ends the file.
    let mut decoder = opus::Decoder::new(8000, opus::Channels::Stereo).expect("a decoder");
    let (mut rest, mut pages, mut left) = (file, 0, Vec::new());
    while rest.len() > 27 && rest.starts_with(b"OggS") {
        let segments = usize::from(rest[26]);
        let Some(lacing) = rest.get(27..27 + segments) else { break };
        let body: usize = lacing.iter().map(|l| usize::from(*l)).sum();
        let Some(mut packets) = rest.get(27 + segments..27 + segments + body) else { break };
        let mut len = 0;
        for lace in lacing {
            len += usize::from(*lace);
            if *lace < 255 {
                if pages >= 2 {
                    let mut pcm = [0; 2 * FRAME];
                    assert_eq!(decoder.decode(&packets[..len], &mut pcm, false).expect("a packet"), FRAME);
                    left.extend(pcm.iter().step_by(2));
                }
                packets = &packets[len..];
                len = 0;
            }
        }
        (pages, rest) = (pages + 1, &rest[27 + segments + body..]);
    }
    left
}

fn what_was_a_second_old_outlives_a_kill(format: &str) {
    let daemon = Daemon::start_with(&config(format));
    let phone = Phone::new(&daemon);
    let (status, _, port) = phone.call("echo", "rec4");
    assert_eq!(status, 200);
    talk(&phone, port, 0..125, &[]);
    let dir = daemon.kill();
    let data = dir.path().join("var");
    let left = files(&data);
    assert!(left.len() == 1 && left[0].to_string_lossy().ends_with(&format!(".{format}.part")), "{left:?}");
    let file = std::fs::read(&left[0]).expect("the part");
    let heard = plays(&file, format);
    assert!(heard.len() >= (125 - 50) * FRAME, "{format}: {} frames of 125 play", heard.len() / FRAME);
    if format == "wav" {
        let frames = heard.len() / FRAME;
        let first = place(&heard, 5).expect("the caller is heard") - 5 * FRAME;
        assert_eq!(place(&heard, frames - 10), Some(first + (frames - 10) * FRAME));
    }

    let daemon = Daemon::start_in(dir, 200, &config(format));
    let call = recording(&daemon, "recovered");
    assert!(call["recording"]["seconds"].as_f64().expect("a length") >= 1.5, "{call}");
    assert!(daemon.log().contains("plays again"), "{}", daemon.log());
    let whole = daemon.data.join(call["recording"]["file"].as_str().expect("a file"));
    let whole = std::fs::read(whole).expect("its final name");
    assert_eq!(plays(&whole, format).len(), heard.len());
    assert_eq!(call["recording"]["octets"], whole.len(), "{call}");
    assert_eq!(files(&daemon.data).len(), 1);

    // A week later.
    let old = Command::new("touch").args(["-d", "8 days ago"]).arg(&files(&daemon.data)[0]).status();
    assert!(old.expect("touch runs").success());
    let daemon = Daemon::start_in(daemon.kill(), 200, &config(format));
    let call = recording(&daemon, "deleted");
    let path = format!("/v1/calls/{}/recording", call["id"].as_str().expect("an id"));
    assert_eq!((fetch(daemon.http, &path, "").0, files(&daemon.data).len()), (410, 0));
}

#[test]
fn a_wav_file_plays_after_a_kill() {
    what_was_a_second_old_outlives_a_kill("wav");
}

#[test]
fn an_opus_file_plays_after_a_kill() {
    what_was_a_second_old_outlives_a_kill("opus");
}
