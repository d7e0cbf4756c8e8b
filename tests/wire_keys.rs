//! Keys as tones in the audio, by real calls: a phone that agreed on no telephone events is understood, and one that did is
//! not understood twice.

mod rig;

use callwright_dsp::codec::g711;
use callwright_dsp::dtmf::Generator;
use rig::phone::Phone;
use rig::{Daemon, eventually};
use std::time::{Duration, Instant};

/// INVITE with these formats, ACK; returns the To tag and the daemon's RTP port.
fn call(phone: &Phone, call: &str, formats: &str) -> (String, u16) {
    let port = phone.rtp.local_addr().expect("bound").port();
    let sdp = format!(
        "v=0\r\no=t 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n"
    );
    phone.send(phone.message("INVITE", "tone", call, 1, "", &sdp).as_bytes());
    let (status, text) = phone.answer(200).expect("a final response");
    assert_eq!(status, 200, "{text}");
    let tag = text.split("To:").nth(1).and_then(|t| t.split("tag=").nth(1)).and_then(|t| t.lines().next());
    let port = text.split("m=audio ").nth(1).and_then(|t| t.split(' ').next()?.parse().ok());
    let (tag, port) = (tag.expect("a tag").trim().to_owned(), port.expect("a port"));
    phone.send(phone.message("ACK", "tone", call, 1, &tag, "").as_bytes());
    (tag, port)
}

/// Sends the keys as PCMU in real time.
fn press(phone: &Phone, port: u16, keys: &str) {
    let mut generator = Generator::new(8000).expect("8 kHz");
    generator.queue(keys).expect("keys");
    let begun = Instant::now();
    for n in 0u16..(keys.len() as u16 * 9 + 10) {
        let (mut pcm, mut packet) = ([0i16; 160], vec![0x80, 0]);
        generator.fill(&mut pcm);
        packet.extend(n.to_be_bytes());
        packet.extend((u32::from(n) * 160).to_be_bytes());
        packet.extend(99u32.to_be_bytes());
        packet.resize(172, 0);
        g711::encode_ulaw(&pcm, &mut packet[12..]);
        phone.rtp.send_to(&packet, (phone.daemon.ip(), port)).expect("loopback takes it");
        let due = Duration::from_millis(20) * u32::from(n + 1);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
}

#[test]
fn keys_in_the_audio_are_heard_where_no_events_were_agreed_on() {
    let daemon = Daemon::start_with("[[routes]]\nmatch = \"tone\"\napp = \"tone\"");
    let counted = |id: &str, expected: u64| {
        let ended = format!("\"digits\":{expected}");
        let mut last = String::new();
        let seen = eventually(Duration::from_secs(5), || {
            last = rig::get(daemon.http, "/v1/calls").map(|(_, body)| body.replace(' ', "")).unwrap_or_default();
            last.contains(&ended)
        });
        assert!(seen, "{id}: {last}");
    };
    let phone = Phone::new(&daemon);
    let (tag, port) = call(&phone, "plain", "0");
    press(&phone, port, "159#");
    phone.bye("tone", "plain", &tag);
    counted("plain", 4);

    let phone = Phone::new(&daemon);
    let (tag, port) = call(&phone, "events", "0 101\r\na=rtpmap:101 telephone-event/8000");
    press(&phone, port, "159#");
    phone.bye("tone", "events", &tag);
    counted("events", 0);
}
