//! What an agent owes its caller, by real calls: a greeting at once, a goodbye to its end and then the BYE, keys that are an
//! answer and in no record, and a conversation that survives a cut line and a killed daemon.

mod rig;

use callwright_dsp::codec::g711;
use callwright_dsp::dtmf::Generator;
use callwright_dsp::resample::{Rate, Resampler};
use callwright_models::Assets;
use callwright_models::tts::Flite;
use rig::phone::Phone;
use rig::{Daemon, eventually};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What came over a line, and when.
#[derive(Default)]
struct Heard {
    packets: Vec<(Instant, Vec<i16>)>,
    bye: Option<Instant>,
}

impl Heard {
    fn audible(&self) -> impl DoubleEndedIterator<Item = Instant> + '_ {
        let loud = |pcm: &[i16]| pcm.iter().any(|s| s.unsigned_abs() > 200);
        self.packets.iter().filter(move |(_, pcm)| loud(pcm)).map(|(at, _)| *at)
    }

    /// Nothing was heard for so long.
    fn is_quiet(&self, long: Duration) -> bool {
        self.audible().next_back().is_some_and(|last| last.elapsed() >= long)
    }
}

/// A phone's line in mid-call: 20 ms of ours for 20 ms of theirs.
struct Line<'a> {
    phone: &'a Phone,
    port: u16,
    sent: u16,
    begun: Instant,
    heard: Heard,
}

impl<'a> Line<'a> {
    fn new(phone: &'a Phone, port: u16) -> Self {
        phone.rtp.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
        phone.socket.set_nonblocking(true).expect("a socket");
        Self { phone, port, sent: 0, begun: Instant::now(), heard: Heard::default() }
    }

    /// Sends what `source` brings, and takes what comes, until `done` or 20 s.
    fn run(&mut self, mut source: impl FnMut(&mut [i16; 160]), done: impl Fn(&Heard) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut buffer = [0; 4096];
        while !done(&self.heard) {
            assert!(Instant::now() < deadline, "it did not come in 20 s");
            if self.begun.elapsed() >= Duration::from_millis(20) * u32::from(self.sent) {
                let (mut pcm, mut packet) = ([0; 160], vec![0x80, 0]);
                source(&mut pcm);
                packet.extend(self.sent.to_be_bytes());
                packet.extend((u32::from(self.sent) * 160).to_be_bytes());
                packet.extend(77u32.to_be_bytes());
                packet.resize(172, 0);
                g711::encode_ulaw(&pcm, &mut packet[12..]);
                self.phone.rtp.send_to(&packet, (self.phone.daemon.ip(), self.port)).expect("loopback takes it");
                self.sent += 1;
            }
            if let Ok(length) = self.phone.rtp.recv(&mut buffer)
                && length == 172
            {
                let mut pcm = vec![0; 160];
                g711::decode_ulaw(&buffer[12..length], &mut pcm);
                self.heard.packets.push((Instant::now(), pcm));
            }
            if let Ok(length) = self.phone.socket.recv(&mut buffer)
                && buffer[..length].starts_with(b"BYE")
            {
                self.heard.bye.get_or_insert(Instant::now());
            }
        }
    }

    /// Keys as tones in the audio.
    fn press(&mut self, keys: &str) {
        let mut generator = Generator::new(8000).expect("8 kHz");
        generator.queue(keys).expect("keys");
        let frames = keys.len() * 9 + 10;
        let until = Instant::now() + Duration::from_millis(20) * frames as u32;
        let tones = |pcm: &mut [i16; 160]| {
            let _ = generator.fill(pcm);
        };
        self.run(tones, |_| Instant::now() >= until);
    }

    /// Silence for so long.
    fn wait(&mut self, time: Duration) {
        let until = Instant::now() + time;
        self.run(|_| {}, |_| Instant::now() >= until);
    }

    fn listen(&mut self) {
        self.run(|_| {}, |heard| heard.bye.is_some() || heard.is_quiet(Duration::from_secs(1)));
    }
}

/// INVITE without telephone events, ACK; the To tag, the daemon's RTP port, and when the ACK left.
fn call(phone: &Phone, user: &str, id: &str) -> (String, u16, Instant) {
    let port = phone.rtp.local_addr().expect("bound").port();
    let sdp = format!(
        "v=0\r\no=t 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    );
    phone.send(phone.message("INVITE", user, id, 1, "", &sdp).as_bytes());
    let (status, text) = phone.answer(200).expect("a final response");
    assert_eq!(status, 200, "{text}");
    let tag = text.split("To:").nth(1).and_then(|t| t.split("tag=").nth(1)).and_then(|t| t.lines().next());
    let port = text.split("m=audio ").nth(1).and_then(|t| t.split(' ').next()?.parse().ok());
    let (tag, port) = (tag.expect("a tag").trim().to_owned(), port.expect("a port"));
    let ack = phone.message("ACK", user, id, 1, &tag, "");
    let left = Instant::now();
    phone.send(ack.as_bytes());
    (tag, port, left)
}

/// A daemon with an agent that wants a PIN, on a recorded route.
fn guarded() -> (Daemon, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("pin");
    std::fs::write(&file, "47110815\n").expect("a PIN");
    let daemon = Daemon::start_with(&format!(
        "[recording]\nenabled = true\n[[routes]]\nmatch = \"vault\"\napp = \"agent:vault\"\nrecord = true\n\
         [[routes]]\nmatch = \"*\"\napp = \"agent:grace\"\n[[agents]]\nname = \"grace\"\n\
         [[agents]]\nname = \"vault\"\npin_file = {file:?}\n"
    ));
    // What is known by heart is made in the first seconds.
    std::thread::sleep(Duration::from_secs(2));
    (daemon, directory)
}

fn wave_in(directory: &Path) -> Option<PathBuf> {
    std::fs::read_dir(directory).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { wave_in(&path) } else { path.extension().is_some_and(|e| e == "wav").then_some(path) }
    })
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure that was measured")]
fn the_greeting_comes_at_once() {
    let (daemon, _pin) = guarded();
    let mut figures: Vec<u128> = (0..3)
        .map(|n| {
            let phone = Phone::new(&daemon);
            let id = format!("greeting{n}");
            let (tag, port, acknowledged) = call(&phone, "300", &id);
            let mut line = Line::new(&phone, port);
            line.run(|_| {}, |heard| heard.audible().next().is_some());
            let first = line.heard.audible().next().expect("a greeting");
            phone.socket.set_nonblocking(false).expect("a socket");
            phone.bye("300", &id, &tag);
            first.duration_since(acknowledged).as_millis()
        })
        .collect();
    figures.sort_unstable();
    println!("ACK to the first audible packet: {figures:?} ms");
    // 100 ms is the aim; a machine full of compilers may add to it, so the best of three counts.
    assert!(figures[0] < 350, "{figures:?} ms");
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure that was measured")]
fn keys_are_an_answer_that_is_in_no_record_and_a_goodbye_is_heard_to_its_end() {
    let (daemon, _pin) = guarded();
    let phone = Phone::new(&daemon);
    let (tag, port, _) = call(&phone, "vault", "keyed");
    let mut line = Line::new(&phone, port);
    line.wait(Duration::from_millis(500));
    line.press("47110816");
    line.wait(Duration::from_millis(500));
    line.press("47110815");
    line.wait(Duration::from_millis(1500));
    let mut tone = callwright_dsp::tone::Tone::new(1000.0, 8000, -10.0);
    let until = Instant::now() + Duration::from_secs(2);
    line.run(|pcm| tone.fill(pcm), |_| Instant::now() >= until);
    phone.socket.set_nonblocking(false).expect("a socket");
    phone.bye("vault", "keyed", &tag);
    let mut calls = String::new();
    let ended = eventually(Duration::from_secs(5), || {
        calls = rig::get(daemon.http, "/v1/calls").map(|(_, body)| body).unwrap_or_default();
        calls.contains("caller_hung_up")
    });
    assert!(ended, "{calls}");
    let conversation = calls.split("\"conversation_id\":").nth(1).and_then(|t| t.split('"').nth(1)).expect("an id");
    let (_, said) = rig::get(daemon.http, &format!("/v1/conversations/{conversation}")).expect("a transcript");
    assert!(said.contains("That PIN is not right.") && said.contains("Thank you. What shall I build"), "{said}");
    for (what, text) in [("transcript", &said), ("log", &daemon.log())] {
        assert!(!text.contains("4711081"), "{what}: {text}");
    }
    // The recording holds the caller's tone, and nothing of the keys.
    let mut wave = None;
    let recorded = eventually(Duration::from_secs(5), || {
        wave = wave_in(&daemon.data.join("recordings"));
        wave.is_some() && daemon.log().contains("recorded call=")
    });
    assert!(recorded, "there is a recording");
    let wave = wave.expect("it was found");
    let samples: Vec<i16> =
        hound::WavReader::open(wave).expect("WAV").samples().map(|s| s.expect("a sample")).collect();
    let loud: Vec<usize> =
        (0..).zip(samples.chunks(2)).filter(|(_, s)| s[0].unsigned_abs() > 500).map(|(n, _)| n).collect();
    let (first, last) = (loud.first().expect("the tone"), loud.last().expect("the tone"));
    assert!(last - first <= 8 * 2_200, "only the tone: {} ms to {} ms", first / 8, last / 8);

    // Three wrong ones: goodbye, then the BYE.
    let phone = Phone::new(&daemon);
    let (_, port, _) = call(&phone, "vault", "wrong");
    let mut line = Line::new(&phone, port);
    for _ in 0..3 {
        line.wait(Duration::from_millis(500));
        line.press("99999999");
    }
    line.run(|_| {}, |heard| heard.bye.is_some());
    let (bye, last) = (line.heard.bye.expect("a BYE"), line.heard.audible().next_back().expect("a goodbye"));
    let gap = bye.duration_since(last);
    println!("last audible packet of the goodbye to the BYE: {} ms", gap.as_millis());
    // Counted in packets: a machine that stands still makes them no more.
    let silent = line.heard.packets.iter().filter(|(at, _)| *at > last).count();
    assert!(silent < 40, "{silent} silent packets after the goodbye");
    let tail = line.heard.packets.iter().rev().take(2).all(|(_, pcm)| pcm.iter().all(|s| s.unsigned_abs() < 1000));
    assert!(tail, "the last word has died away before the BYE");
    let (_, calls) = rig::get(daemon.http, "/v1/calls").expect("calls");
    let conversation = calls.split("\"conversation_id\":").nth(1).and_then(|t| t.split('"').nth(1)).expect("an id");
    let played = eventually(Duration::from_secs(5), || {
        let (_, said) = rig::get(daemon.http, &format!("/v1/conversations/{conversation}")).expect("a transcript");
        let goodbye = said.rsplit("Goodbye.").next().unwrap_or_default().replace(' ', "");
        said.contains("Goodbye.") && goodbye.starts_with("\",\"heard\":null")
    });
    assert!(played, "it was played whole");
}

/// What a caller says, at 8 kHz.
fn spoken(text: &str) -> Vec<i16> {
    let mut voice = Flite::load(&Assets::locate(), "rms").unwrap_or_else(|e| panic!("{e}; run `make setup`"));
    let (mut down, mut pcm) = (Resampler::new(Rate::Hz16000, Rate::Hz8000), Vec::new());
    voice.speak(text, &mut |chunk| {
        let mut half = vec![0; chunk.len() / 2 + 1];
        let n = down.process(chunk, &mut half).written;
        pcm.extend_from_slice(&half[..n]);
        ControlFlow::Continue(())
    });
    pcm
}

#[test]
fn a_cut_line_and_a_killed_daemon_lose_no_order() {
    let daemon = Daemon::start();
    let phone = Phone::new(&daemon);
    let (_, port, _) = call(&phone, "300", "cut");
    let mut line = Line::new(&phone, port);
    line.listen();
    let order = spoken("Build me a C R M with contacts and deals.");
    let mut at = 0;
    let source = |pcm: &mut [i16; 160]| {
        let rest = order.get(at..).unwrap_or_default();
        let here = rest.len().min(160);
        pcm[..here].copy_from_slice(&rest[..here]);
        at += 160;
    };
    line.run(source, |_| daemon.log().contains("Shall we") || daemon.log().contains("with contacts and deals"));
    // The answer is on its way, and so is what it is about: then everything stops.
    line.wait(Duration::from_secs(2));
    let daemon = Daemon::start_in(daemon.kill(), 20, "");
    let phone = Phone::new(&daemon);
    let (tag, port, _) = call(&phone, "300", "again");
    let mut line = Line::new(&phone, port);
    line.wait(Duration::from_secs(2));
    line.press("1");
    line.wait(Duration::from_secs(1));
    phone.socket.set_nonblocking(false).expect("a socket");
    phone.bye("300", "again", &tag);
    let told = eventually(Duration::from_secs(5), || {
        let log = daemon.log();
        log.contains("We were talking about your CRM. Shall we go on?")
            && log.contains("Here is what I have. A CRM with contacts and deals. Shall I build it?")
    });
    assert!(told, "{}", daemon.log());
}
