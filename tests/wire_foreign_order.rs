//! A CRM is ordered with a telephone that other people wrote: baresip calls the default agent and says its answers from WAV files,
//! one after the other as the agent has finished, by its control port. The order is read back, approved, built and live; what was
//! said stands in the transcript, and what baresip heard in its own recording.

mod rig;

use rig::{Daemon, eventually, free_tcp, free_udp};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// For one turn, on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(120);
/// A file that ends would end the call: each goes on with silence for longer than anybody waits.
const SILENCE_S: u32 = 600;

/// A WAV file (8 kHz, mono, 16 bits) of these samples and silence; the silence takes no room on the disk.
fn write_wav(path: &Path, samples: &[i16]) {
    let length = SILENCE_S * 16_000;
    let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let mut bytes =
        [&b"RIFF"[..], &words(&[36 + length]), b"WAVEfmt ", &words(&[16, 0x0001_0001, 8000, 16_000])].concat();
    bytes.extend_from_slice(&[2, 0, 16, 0]);
    bytes.extend_from_slice(b"data");
    bytes.extend(words(&[length]));
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    let mut file = File::create(path).expect("a file");
    file.write_all(&bytes).expect("written");
    file.set_len(44 + u64::from(length)).expect("silence");
}

/// Speech as a telephone would send it, half a second after the file begins.
fn speak(text: &str, to: &Path) {
    let spoken = to.with_extension("spoken.wav");
    let said = Command::new(env!("CARGO_BIN_EXE_callwright"))
        .args(["say", "--voice", "rms", "--output"])
        .arg(&spoken)
        .arg(text)
        .env("CALLWRIGHT_NATIVE", rig::native())
        .env("CALLWRIGHT_OFFLINE", "1")
        .output()
        .expect("the binary starts");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let mut samples = vec![0; 4000];
    let mut reader = hound::WavReader::open(&spoken).expect("speech");
    samples.extend(reader.samples::<i16>().map(|sample| sample.expect("a sample")));
    write_wav(to, &samples);
}

/// A baresip in a call, and whoever sits at it.
struct Caller {
    process: Child,
    control: TcpStream,
    dir: tempfile::TempDir,
    files: usize,
}

impl Caller {
    fn calls(target: SocketAddr) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        write_wav(&path("silence.wav"), &[]);
        let sip = free_udp();
        // It listens for TLS one above.
        let control = std::iter::repeat_with(free_tcp)
            .find(|address| ![sip.port(), sip.port() + 1].contains(&address.port()))
            .expect("a free port");
        let config = format!(
            "poll_method epoll\nsip_listen {sip}\nsip_trans_def udp\ncall_local_timeout 30\naudio_source aufile,{silence}\n\
             audio_player aufile,{player}\naudio_channels 1-1\naudio_buffer 20-160\nausrc_srate 8000\nauplay_srate 8000\n\
             ausrc_channels 1\nauplay_channels 1\nrtp_ports 17000-17998\njitter_buffer_delay 2-4\nnet_interface 127.0.0.1\n\
             module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule aufile.so\nmodule sndfile.so\nsnd_path {dir}\n\
             module_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen {control}\n",
            silence = path("silence.wav").display(),
            player = path("player.wav").display(),
            dir = dir.path().display()
        );
        std::fs::write(path("config"), config).expect("baresip's configuration");
        std::fs::write(path("contacts"), "").expect("baresip's contacts");
        let account = "<sip:probe@127.0.0.1>;regint=0;audio_codecs=PCMU/8000/1;ptime=20\n";
        std::fs::write(path("accounts"), account).expect("baresip's account");
        let log = File::create(path("log")).expect("a log");
        let process = Command::new("baresip")
            .arg("-f")
            .arg(dir.path())
            .args(["-e", &format!("/dial sip:grace@{target}")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log twice"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("baresip cannot be run ({error}): `make setup-test` installs it"));
        let mut port = None;
        eventually(PATIENCE, || {
            port = TcpStream::connect(control).ok();
            port.is_some()
        });
        let control = port.expect("baresip listens to orders");
        Self { process, control, dir, files: 0 }
    }

    /// Says this from now on, and is silent after it.
    fn says(&mut self, text: &str) {
        self.files += 1;
        let file = self.dir.path().join(format!("{}.wav", self.files));
        speak(text, &file);
        let order = json!({"command": "ausrc", "params": format!("aufile,{}", file.display()), "token": "turn"});
        let order = order.to_string();
        // A netstring.
        write!(self.control, "{}:{order},", order.len()).expect("baresip takes orders");
    }

    /// What came by the call, as its own recording has it.
    fn heard(&self) -> Vec<i16> {
        let files = std::fs::read_dir(self.dir.path()).expect("the directory").flatten().map(|entry| entry.path());
        let recorded: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).collect();
        let [recorded] = &recorded[..] else { panic!("baresip recorded {recorded:?}") };
        let mut reader = hound::WavReader::open(recorded).expect("what it heard");
        let channels = usize::from(reader.spec().channels);
        reader.samples::<i16>().map_while(Result::ok).step_by(channels).collect()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        rig::signal(self.process.id(), "TERM");
        if !eventually(Duration::from_secs(10), || matches!(self.process.try_wait(), Ok(Some(_)))) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn json_of(daemon: &Daemon, path: &str) -> Value {
    let body = rig::get(daemon.http, path).map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// The call's record and who said what; the agent's turns as they have been said to their end.
fn talk(daemon: &Daemon, call: &str) -> (Value, Vec<(String, String)>) {
    let record = json_of(daemon, &format!("/v1/calls/{call}"));
    let conversation = record["conversation_id"].as_str().unwrap_or_default();
    let kept = json_of(daemon, &format!("/v1/conversations/{conversation}"));
    let text = |turn: &Value, key: &str| turn[key].as_str().unwrap_or_default().to_owned();
    let turns = kept["turns"].as_array().into_iter().flatten();
    (record, turns.map(|turn| (text(turn, "who"), text(turn, "text"))).collect())
}

/// Waits until the agent has said something that this takes, after turn `after`; gives it.
fn hears(daemon: &Daemon, call: &str, after: usize, wanted: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (record, turns) = talk(daemon, call);
        let new = turns.iter().skip(after).rev().find(|(who, text)| who == "agent" && wanted(text));
        if let Some((_, text)) = new {
            return text.clone();
        }
        let over = !record["ended"].is_null();
        assert!(!over && Instant::now() < deadline, "{record:#}\n{turns:#?}\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn baresip_orders_a_crm_and_it_is_live() {
    let daemon = Daemon::start();
    let mut caller = Caller::calls(daemon.sip);
    let live = || json_of(&daemon, "/v1/calls")["live"][0]["id"].as_str().map(str::to_owned);
    assert!(eventually(PATIENCE, || live().is_some()), "{}", daemon.log());
    let call = live().expect("it calls");
    hears(&daemon, &call, 0, |text| text.contains("build for you"));
    // Who is not understood says it again, as people do.
    let mut wish = "Please build a C R M with contacts and deals.";
    for tries in 1.. {
        let before = talk(&daemon, &call).1.len();
        caller.says(wish);
        let reply = hears(&daemon, &call, before, |text| text.contains('?'));
        if reply.contains("Shall I build it?") {
            break;
        }
        if reply.contains("or both?") {
            wish = "Both, contacts and deals.";
        } else if reply.contains("for you?") && reply.contains("hall I build a") {
            wish = "Yes, please.";
        }
        assert!(tries < 5, "no read-back: {:#?}", talk(&daemon, &call).1);
    }
    for tries in 1.. {
        let before = talk(&daemon, &call).1.len();
        caller.says("Yes.");
        let reply = hears(&daemon, &call, before, |text| text.contains("is live") || text.contains('?'));
        if reply.contains("is live") {
            break;
        }
        assert!(tries < 5, "not approved: {:#?}", talk(&daemon, &call).1);
    }
    let build = json_of(&daemon, "/v1/builds")["items"][0].take();
    let stage = build["stage"].as_str().unwrap_or_default();
    assert!(["live", "tracked"].contains(&stage) && build["slug"] == "crm", "{build}");
    let url = build["url"].as_str().expect("it is somewhere");
    let app: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    let (status, page) = rig::get(app, "/").expect("the app answers");
    assert!(status == 200 && page.contains("<html"), "{status} {page}");

    caller.says("Thank you, goodbye.");
    // The agent hangs up after its own goodbye.
    assert!(eventually(PATIENCE, || !talk(&daemon, &call).0["ended"].is_null()), "{}", daemon.log());
    let (record, turns) = talk(&daemon, &call);
    assert_eq!(record["ended_by"], "agent_hung_up", "{record}\n{turns:#?}");
    let said = |who: &str| -> String {
        turns.iter().filter(|(of, _)| of == who).map(|(_, text)| text.to_lowercase() + " ").collect()
    };
    for (who, words) in [
        ("caller", &["contacts", "deals", "yes"][..]),
        ("agent", &["what shall i build for you", "contacts and deals", "shall i build it?", "is live"]),
    ] {
        assert!(words.iter().all(|word| said(who).contains(word)), "{who}: {words:?} in {turns:#?}");
    }
    let media = &record["media"];
    assert!(media["packets_received"].as_u64() > Some(500) && media["packets_sent"].as_u64() > Some(500), "{media}");
    let heard = caller.heard();
    let loud = heard.chunks_exact(160).filter(|frame| frame.iter().any(|sample| sample.unsigned_abs() > 1000)).count();
    assert!(loud > 250, "the agent is heard for five seconds at least: {loud} of {} frames", heard.len() / 160);
    assert!(!daemon.log().contains("panicked"));
}
