//! The apps `tone` and `play` by real calls: what the phone receives is what was asked for, sample by sample.

mod rig;

use callwright_dsp::codec::g711;
use rig::phone::Phone;
use rig::{Daemon, eventually};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Samples that resemble nothing else.
fn noise(samples: usize) -> Vec<i16> {
    let mut state = 7u32;
    (0..samples)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i16) / 4
        })
        .collect()
}

fn write(path: &Path, rate: u32, channels: u16, samples: &[i16]) {
    let spec =
        hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec).expect("a file");
    for sample in samples {
        writer.write_sample(*sample).expect("it is written");
    }
    writer.finalize().expect("it is written");
}

fn through_ulaw(pcm: &[i16]) -> Vec<i16> {
    let (mut octets, mut out) = (vec![0; pcm.len()], vec![0; pcm.len()]);
    g711::encode_ulaw(pcm, &mut octets);
    g711::decode_ulaw(&octets, &mut out);
    out
}

/// What arrives in `time`, in the order of the sequence numbers; the phone sends silence meanwhile.
fn hear(phone: &Phone, port: u16, time: Duration) -> Vec<i16> {
    phone.rtp.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let (begun, mut sent, mut packets) = (Instant::now(), 0u16, Vec::new());
    let mut buffer = [0; 2048];
    while begun.elapsed() < time {
        if begun.elapsed() >= Duration::from_millis(20) * u32::from(sent) {
            let mut packet = vec![0x80, 0];
            packet.extend(sent.to_be_bytes());
            packet.extend((u32::from(sent) * 160).to_be_bytes());
            packet.extend(77u32.to_be_bytes());
            packet.extend([0xff; 160]);
            phone.rtp.send_to(&packet, (phone.daemon.ip(), port)).expect("loopback takes it");
            sent += 1;
        }
        let Ok(length) = phone.rtp.recv(&mut buffer) else { continue };
        if length == 172 && buffer[1] & 0x7f == 0 {
            let mut pcm = [0; 160];
            g711::decode_ulaw(&buffer[12..length], &mut pcm);
            packets.push((u16::from_be_bytes([buffer[2], buffer[3]]), pcm));
        }
    }
    let first = packets.first().map_or(0, |p| p.0);
    packets.sort_by_key(|p| p.0.wrapping_sub(first) as i16);
    packets.into_iter().flat_map(|p| p.1).collect()
}

/// Frequency by zero crossings between the first and the last of them.
fn frequency(pcm: &[i16]) -> f64 {
    let rises: Vec<usize> = (1..pcm.len()).filter(|n| pcm[n - 1] < 0 && pcm[*n] >= 0).collect();
    let (Some(first), Some(last)) = (rises.first(), rises.last()) else { return 0.0 };
    (rises.len() - 1) as f64 * 8000.0 / (last - first) as f64
}

/// From the first sample that is heard.
fn heard(pcm: &[i16]) -> &[i16] {
    let first = pcm.iter().position(|s| s.unsigned_abs() > 16).unwrap_or(pcm.len());
    &pcm[first..]
}

#[test]
fn tones_are_heard_at_their_frequency_and_in_their_cadence() {
    let daemon = Daemon::start_with(
        "[[routes]]\nmatch = \"440\"\napp = \"tone\"\n[[routes]]\nmatch = \"1004\"\napp = \"tone:1004\"\n\
         [[routes]]\nmatch = \"busy\"\napp = \"tone:gb-busy\"",
    );
    for (number, hz) in [("440", 440.0), ("1004", 1004.0)] {
        let phone = Phone::new(&daemon);
        let (status, tag, port) = phone.call(number, number);
        assert_eq!(status, 200);
        let pcm = hear(&phone, port, Duration::from_millis(800));
        let tone = heard(&pcm);
        assert!(tone.len() > 4000, "{} samples", tone.len());
        assert!((frequency(tone) - hz).abs() < 1.0, "{}", frequency(tone));
        // −10 dBm0 is −13.1 dB below a full-scale sine.
        let level = callwright_dsp::level::dbfs(&tone[400..4000]);
        assert!((level + 16.15).abs() < 0.3, "{level}");
        phone.bye(number, number, &tag);
    }
    let phone = Phone::new(&daemon);
    let (status, tag, port) = phone.call("busy", "busy");
    assert_eq!(status, 200);
    let pcm = hear(&phone, port, Duration::from_millis(1300));
    let tone = heard(&pcm);
    assert!((frequency(&tone[..2900]) - 400.0).abs() < 1.0);
    assert!(tone[3010..5990].iter().all(|s| *s == 0), "375 ms on, 375 ms off");
    assert!(callwright_dsp::level::dbfs(&tone[6100..8900]) > -20.0, "and on again");
    phone.bye("busy", "busy", &tag);
    // Nobody is left in the daemon's memory.
    assert!(eventually(Duration::from_secs(5), || daemon.metric("calls_active") == 0.0));
}

#[test]
fn a_file_is_heard_sample_by_sample_and_then_we_hang_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, wide) = (dir.path().join("closed.wav"), dir.path().join("wide.wav"));
    let content = noise(8000);
    write(&file, 8000, 1, &content);
    let turn = std::f64::consts::TAU * 700.0 / 16_000.0;
    let stereo: Vec<i16> = (0..16_000).flat_map(|n| [(8000.0 * (f64::from(n) * turn).sin()) as i16; 2]).collect();
    write(&wide, 16_000, 2, &stereo);
    let route =
        |number: &str, file: &Path| format!("[[routes]]\nmatch = \"{number}\"\napp = \"play:{}\"\n", file.display());
    let daemon = Daemon::start_with(&(route("1", &file) + &route("2", &wide)));

    let phone = Phone::new(&daemon);
    let (status, _, port) = phone.call("1", "one");
    assert_eq!(status, 200);
    let pcm = hear(&phone, port, Duration::from_millis(1600));
    let expected = through_ulaw(&content);
    let first = pcm.windows(8).position(|w| *w == expected[..8]).expect("the file is heard");
    assert!(pcm[first..].starts_with(&expected), "sample by sample");
    assert!(pcm[first + 8000..].iter().all(|s| *s == 0), "then silence");
    let bye = std::iter::from_fn(|| {
        let mut buffer = [0; 2048];
        phone.socket.recv(&mut buffer).ok().map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned())
    })
    .find(|text| text.starts_with("BYE "))
    .expect("the daemon hangs up");
    let field = |name: &str| bye.lines().find(|l| l.starts_with(name)).unwrap_or_default();
    phone.send(
        format!(
            "SIP/2.0 200 OK\r\n{}\r\n{}\r\n{}\r\n{}\r\n{}\r\nContent-Length: 0\r\n\r\n",
            field("Via:"),
            field("From:"),
            field("To:"),
            field("Call-ID:"),
            field("CSeq:")
        )
        .as_bytes(),
    );

    let phone = Phone::new(&daemon);
    let (status, tag, port) = phone.call("2", "two");
    assert_eq!(status, 200);
    let pcm = hear(&phone, port, Duration::from_millis(700));
    assert!((frequency(heard(&pcm)) - 700.0).abs() < 1.0, "{}", frequency(heard(&pcm)));
    phone.bye("2", "two", &tag);

    // Taken away while the daemon runs: the caller is told, and others are served.
    std::fs::remove_file(&file).expect("it was there");
    let phone = Phone::new(&daemon);
    assert_eq!(phone.call("1", "three").0, 480);
    phone.options_work();
}

#[test]
fn a_file_that_cannot_be_played_is_named_before_any_call() {
    let dir = tempfile::tempdir().expect("a directory");
    let (config, file) = (dir.path().join("c.toml"), dir.path().join("odd.wav"));
    let check = || {
        let output =
            Command::new(env!("CARGO_BIN_EXE_callwright")).arg("check").arg(&config).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    std::fs::write(&config, format!("[[routes]]\nmatch = \"*\"\napp = \"play:{}\"\n", file.display()))
        .expect("written");
    let (code, said) = check();
    assert!(code == Some(2) && said.contains("odd.wav") && said.contains("routes.app"), "{code:?} {said}");
    write(&file, 44_100, 1, &[1; 100]);
    let (code, said) = check();
    assert!(code == Some(2) && said.contains("44100 Hz") && said.contains("sox"), "{code:?} {said}");
    write(&file, 48_000, 1, &[1; 100]);
    assert_eq!(check().0, Some(0));
}
