//! Phones that other people wrote call the daemon: baresip listens to the echo of its own audio, SIPp calls, gives up,
//! asks and offers nonsense.

mod rig;

use std::f64::consts::TAU;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rig::{Daemon, eventually, free_udp};

/// Runs a phone to its end, at most `limit`.
fn run(command: &mut Command, limit: Duration) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|e| panic!("{name} cannot be run ({e}): `make setup-test` installs it"));
    let pid = child.id();
    let deadline = Instant::now() + limit;
    while child.try_wait().expect("it can be waited for").is_none() {
        if Instant::now() > deadline {
            rig::signal(pid, "KILL");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("its output can be read")
}

fn shown(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Sound that resembles itself nowhere: tones that glide up and down at changing speed, 8 kHz.
fn glides(seconds: usize) -> Vec<i16> {
    let mut phase = 0.0;
    (0..seconds * 8000)
        .map(|n| {
            let t = n as f64 / 8000.0;
            phase += TAU * (900.0 + 500.0 * (t * t * 1.7).sin() + 200.0 * (t * 5.3).cos()) / 8000.0;
            (6000.0 * phase.sin()) as i16
        })
        .collect()
}

fn write_wav(path: &Path, pcm: &[i16]) {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec).expect("a WAV file");
    pcm.iter().for_each(|&s| writer.write_sample(s).expect("a sample"));
    writer.finalize().expect("the WAV file is whole");
}

fn read_wav(path: &Path) -> Vec<i16> {
    let mut reader = hound::WavReader::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let spec = reader.spec();
    assert_eq!(spec.sample_rate, 8000, "{}", path.display());
    let samples: Vec<i16> = reader.samples().map_while(Result::ok).collect();
    samples.into_iter().step_by(usize::from(spec.channels)).collect()
}

/// Where `part` resembles `whole` most, and how much (normalised cross-correlation, 0–1).
fn find(part: &[i16], whole: &[i16]) -> (usize, f64) {
    let mut alike = vec![0.0; (whole.len() + 1).saturating_sub(part.len())];
    callwright_dsp::correlation::normalised(part, whole, &mut alike);
    let best = (0..).zip(&alike).max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or((0, 0.0), |(at, alike)| (at, f64::from(*alike)))
}

/// baresip calls the echo at `target`, with these parameters of its account; it must hear what it says. Gives its output.
fn baresip_hears_itself(target: SocketAddr, parameters: &str) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name);
    let sound = glides(8);
    write_wav(&path("source.wav"), &sound);
    let config = format!(
        "poll_method epoll\nsip_listen {}\nsip_trans_def udp\ncall_local_timeout 30\naudio_source aufile,{source}\n\
         audio_player aufile,{player}\naudio_channels 1-1\naudio_buffer 20-160\nausrc_srate 8000\nauplay_srate 8000\n\
         ausrc_channels 1\nauplay_channels 1\nrtp_ports 17000-17998\njitter_buffer_delay 2-4\nnet_interface 127.0.0.1\n\
         module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule aufile.so\nmodule sndfile.so\nsnd_path {dir}\n\
         module srtp.so\nmodule_app account.so\nmodule_app menu.so\n",
        free_udp(),
        source = path("source.wav").display(),
        player = path("player.wav").display(),
        dir = dir.path().display()
    );
    std::fs::write(path("config"), config).expect("baresip's configuration");
    std::fs::write(path("contacts"), "").expect("baresip's contacts");
    let account = format!("<sip:probe@127.0.0.1>;regint=0;audio_codecs=PCMU/8000/1;ptime=20{parameters}\n");
    std::fs::write(path("accounts"), account).expect("baresip's account");
    let mut baresip = Command::new("baresip");
    baresip.arg("-f").arg(dir.path()).args(["-t", "6", "-e", &format!("/dial sip:echo@{target}")]);
    let output = run(&mut baresip, Duration::from_secs(20));
    let files = std::fs::read_dir(dir.path()).expect("the directory").flatten().map(|e| e.path());
    let came_back: Vec<PathBuf> = files.filter(|p| p.to_string_lossy().ends_with("-dec.wav")).collect();
    let [came_back] = &came_back[..] else {
        panic!("baresip recorded {came_back:?}\n{}", shown(&output));
    };
    let heard = read_wav(came_back);
    assert!(heard.len() > 3 * 8000, "{} samples came back\n{}", heard.len(), shown(&output));
    // A foreign phone that gets no processor leaves frames out; of its many pieces some must come back whole and in order.
    let pieces: Vec<_> = (4000..24_000).step_by(2000).map(|start| find(&sound[start..start + 1200], &heard)).collect();
    let whole: Vec<usize> = pieces.iter().filter(|(_, alike)| *alike >= 0.9).map(|(at, _)| *at).collect();
    assert!(whole.len() >= 3 && whole.is_sorted(), "where the pieces came back, and how alike: {pieces:?}");
    shown(&output)
}

#[test]
fn baresip_calls_over_tcp() {
    // Nobody hears UDP there.
    let tcp = rig::free_tcp();
    let _daemon = Daemon::start_set("", &[("CALLWRIGHT__SIP__TCP", &tcp.to_string())]);
    baresip_hears_itself(tcp, &format!(";outbound=\"sip:{tcp};transport=tcp\""));
}

#[test]
fn baresip_hears_its_own_audio_back() {
    let mut daemon = Daemon::start();
    baresip_hears_itself(daemon.sip, "");
    assert!(daemon.alive());
}

/// RTCP that baresip 1.0 sends in the clear: one packet before it has made its keys, the farewell after it has dropped them.
const REPORTS_IN_THE_CLEAR: f64 = 2.0;

/// What the phones said to the daemon was authentic.
fn all_is_authentic(daemon: &Daemon, reports_in_the_clear: f64) {
    let packets = |kind: &str| daemon.metric(&format!("rtp_packets_total{{kind=\"{kind}\"}}"));
    let (heard, failed) = (packets("received"), packets("srtp_failed"));
    assert!(
        heard > 150.0 && failed <= reports_in_the_clear,
        "{heard} packets, {failed} not authentic\n{}",
        daemon.log()
    );
    let log = daemon.log();
    assert!(log.contains("audio is protected by SRTP") && !log.contains("inline:"), "{log}");
}

#[test]
fn baresip_hears_its_own_audio_back_by_srtp() {
    let daemon = Daemon::start_with("[media]\nsrtp = \"require\"");
    // The other one is RTP/SAVPF.
    for encryption in ["srtp-mand", "srtp-mandf"] {
        let said = baresip_hears_itself(daemon.sip, &format!(";mediaenc={encryption}"));
        assert!(said.contains("SRTP is Enabled"), "{said}");
    }
    all_is_authentic(&daemon, 2.0 * REPORTS_IN_THE_CLEAR);
}

/// Passes a call on to `phone`, its offer cut down to one suite of SRTP, and what the phone says back. Runs until the test
/// ends.
fn relay_of_one_suite(phone: SocketAddr, suite: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free UDP port");
    let address = socket.local_addr().expect("bound");
    std::thread::spawn(move || {
        let (mut caller, mut datagram) = (None, [0; 8192]);
        while let Ok((len, from)) = socket.recv_from(&mut datagram) {
            if from == phone {
                let _ = caller.map(|to| socket.send_to(&datagram[..len], to));
                continue;
            }
            caller = Some(from);
            let text = String::from_utf8_lossy(&datagram[..len]).into_owned();
            let (head, body) = text.split_once("\r\n\r\n").expect("a message");
            let keep = |l: &&str| !l.starts_with("a=crypto:") || l.contains(&format!(" {suite} "));
            let body: String = body.split_inclusive('\n').filter(keep).collect();
            let lines = head.lines().filter(|l| !l.starts_with("Content-Length"));
            let head: String = lines.map(|l| format!("{l}\r\n")).collect();
            let changed = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            let _ = socket.send_to(changed.as_bytes(), phone);
        }
    });
    address
}

/// One baresip calls another, which echoes and is offered this suite alone.
fn baresip_hears_another(suite: &'static str) {
    let (listen, dir) = (free_udp(), tempfile::tempdir().expect("a temporary directory"));
    let config = format!(
        "poll_method epoll\nsip_listen {listen}\nsip_trans_def udp\ncall_local_timeout 30\naudio_source aubridge,echo\n\
         audio_player aubridge,echo\naudio_channels 1-1\naudio_buffer 20-160\nausrc_srate 8000\nauplay_srate 8000\n\
         ausrc_channels 1\nauplay_channels 1\nrtp_ports 17000-17998\njitter_buffer_delay 2-4\nnet_interface 127.0.0.1\n\
         module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule aubridge.so\nmodule srtp.so\n\
         module_app account.so\nmodule_app menu.so\n"
    );
    let account =
        "<sip:echo@127.0.0.1>;regint=0;audio_codecs=PCMU/8000/1;ptime=20;answermode=auto;mediaenc=srtp-mand\n";
    for (file, text) in [("config", config.as_str()), ("contacts", ""), ("accounts", account)] {
        std::fs::write(dir.path().join(file), text).expect("baresip's files");
    }
    let relay = relay_of_one_suite(listen, suite);
    let daemon = Daemon::start_with(&format!(
        "[media]\nsrtp = \"require\"\n[[routes]]\nmatch = \"*\"\napp = \"bridge:sip:{{number}}@{relay}\""
    ));
    // Its time begins when the daemon, which may take its own to start, is there.
    let called = std::thread::spawn(move || {
        run(Command::new("baresip").arg("-f").arg(dir.path()).args(["-t", "12"]), Duration::from_secs(40))
    });
    baresip_hears_itself(daemon.sip, ";mediaenc=srtp-mand");
    // With short tags it has short ones on RTCP too, where RFC 4568 section 6.2 has 80 bits: its reports are not read, nor
    // ours by it.
    let strange = if suite.ends_with("_32") { 3.0 } else { 0.0 };
    all_is_authentic(&daemon, 2.0 * REPORTS_IN_THE_CLEAR + strange);
    let said = shown(&called.join().expect("baresip ran"));
    assert!(said.contains(&format!("SRTP is Enabled (cryptosuite={suite})")), "{said}");
    assert!(!said.contains("failed to decrypt RTP "), "{said}");
}

#[test]
fn baresip_takes_our_offer_of_any_suite() {
    let suites = ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"];
    // Two at a time: each is a daemon with its models, and two phones.
    for pair in suites.chunks(2) {
        std::thread::scope(|scope| {
            for suite in pair {
                scope.spawn(move || baresip_hears_another(suite));
            }
        });
    }
}

/// Runs a scenario of `tests/sipp`; true when every call went as it says.
fn sipp(daemon: &Daemon, scenario: &str, service: &str, calls: u32) -> (bool, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // One second of μ-law that is not silence.
    let audio: Vec<u8> = (0..8000u32).map(|n| 0x80 | (n * 7 % 64) as u8).collect();
    std::fs::write(dir.path().join("audio.ulaw"), audio).expect("the audio file");
    let calls = calls.to_string();
    let media_port = (22_000 + free_udp().port() % 800 * 10).to_string();
    let mut command = Command::new("sipp");
    command
        .current_dir(dir.path())
        .arg(daemon.sip.to_string())
        .args(["-sf", &format!("{}/tests/sipp/{scenario}.xml", env!("CARGO_MANIFEST_DIR")), "-s", service])
        .args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", &free_udp().port().to_string(), "-mp", &media_port])
        .args(["-m", &calls, "-l", &calls, "-r", &calls, "-d", "1500", "-timeout", "15s", "-timeout_error"])
        .args(["-nostdin", "-trace_err", "-error_file", "errors.log"]);
    let output = run(&mut command, Duration::from_secs(25));
    let errors = std::fs::read_to_string(dir.path().join("errors.log")).unwrap_or_default();
    (output.status.success(), format!("{errors}\n{}", shown(&output)))
}

#[test]
fn sipp_calls_with_audio() {
    let daemon = Daemon::start();
    let (well, said) = sipp(&daemon, "echo", "echo", 5);
    assert!(well, "{said}");
    assert!(eventually(Duration::from_secs(5), || daemon.log().matches("call ended").count() == 5), "{}", daemon.log());
}

#[test]
fn sipp_asks_and_offers_nonsense() {
    let mut daemon = Daemon::start();
    for scenario in ["options", "no_common_codec", "broken_sdp"] {
        let (well, said) = sipp(&daemon, scenario, "300", 2);
        assert!(well, "{scenario}: {said}");
    }
    assert!(daemon.alive());
}

#[test]
fn sipp_has_but_one_codec() {
    let daemon = Daemon::start();
    for scenario in ["only_g722", "only_opus"] {
        for service in ["echo", "300"] {
            let (well, said) = sipp(&daemon, scenario, service, 2);
            assert!(well, "{scenario} to {service}: {said}");
        }
    }
}

#[test]
fn sipp_gives_up_before_the_answer() {
    let mut daemon = Daemon::start();
    // The answer may win the race against the CANCEL, which is then too late by right: once in five it must be in time.
    let mut said = String::new();
    let in_time = (0..5).any(|_| {
        let (well, log) = sipp(&daemon, "cancel", "300", 1);
        said = log;
        well
    });
    assert!(in_time, "{said}");
    assert!(daemon.alive());
}
