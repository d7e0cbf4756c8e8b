//! One stream in virtual time: numbers, pace, marks, keys.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"token":"t"}},"streamSid":"MZ1"}"#;

fn at(ms: u64) -> Tick {
    Tick(1_000_000_000 + ms * 1_000_000)
}

fn open() -> MediaStream {
    let mut stream = MediaStream::new();
    stream.handle_text(at(0), r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#).unwrap();
    assert!(matches!(stream.handle_text(at(0), START), Ok(Told::Started(_))));
    stream
}

fn media(chunk: u64, payload: &[u8]) -> String {
    let audio = STANDARD.encode(payload);
    format!(
        r#"{{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{chunk}","timestamp":"{}","payload":"{audio}"}},"streamSid":"MZ1"}}"#,
        chunk + 1,
        chunk * 20
    )
}

/// Sequence numbers, timestamps and first octets of what comes out, counted from the first of all.
fn take(stream: &mut MediaStream) -> Vec<(u16, u32, u8)> {
    let mut all = Vec::new();
    while let Some(made) = stream.poll_packet() {
        let packet = Packet::parse(made.octets()).unwrap();
        let first = LATE_MAX as u16;
        let sequence = packet.header.sequence.wrapping_sub(first);
        all.push((sequence, packet.header.timestamp.wrapping_sub(u32::from(first) * 160), packet.payload[0]));
    }
    all
}

fn feed(stream: &mut MediaStream, chunks: &[u64]) -> Vec<(u16, u32, u8)> {
    for chunk in chunks {
        stream.handle_text(at(0), &media(*chunk, &[*chunk as u8; 160])).unwrap();
    }
    take(stream)
}

thread_local! {
    static NUMBER: std::cell::Cell<u16> = const { std::cell::Cell::new(0) };
}

/// The next packet of the worker's.
fn frame(octet: u8) -> Vec<u8> {
    NUMBER.set(NUMBER.get().wrapping_add(1));
    numbered(NUMBER.get(), octet)
}

fn numbered(sequence: u16, octet: u8) -> Vec<u8> {
    let mut datagram = vec![octet; HEADER_LEN + 160];
    Header { payload_type: AUDIO, sequence, ssrc: 9, ..Header::default() }.write(datagram.first_chunk_mut().unwrap());
    datagram
}

fn messages(stream: &mut MediaStream) -> Vec<String> {
    let events = std::iter::from_fn(|| stream.poll_message());
    let name = |text: String| {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["streamSid"], "MZ1");
        let mark = value["mark"]["name"].as_str().map_or(String::new(), |name| format!(" {name}"));
        format!("{}{mark}", value["event"].as_str().unwrap())
    };
    events.map(name).collect()
}

fn mark(stream: &mut MediaStream, now: Tick, name: &str) -> Result<Told, Fault> {
    stream.handle_text(now, &format!(r#"{{"event":"mark","streamSid":"MZ1","mark":{{"name":"{name}"}}}}"#))
}

#[test]
fn nothing_is_taken_before_the_start_twice_or_after_the_stop() {
    let mut stream = MediaStream::new();
    assert_eq!(stream.handle_text(at(0), &media(1, &[1; 160])), Err(Fault::BeforeStart));
    assert!(stream.poll_packet().is_none() && !stream.is_open());
    assert!(stream.handle_text(at(0), START).is_ok());
    assert_eq!(stream.handle_text(at(0), START), Err(Fault::SecondStart));
    let stolen = media(1, &[1; 160]).replace("MZ1", "MZ2");
    assert_eq!(stream.handle_text(at(0), &stolen), Err(Fault::OtherStream));
    let stop = r#"{"event":"stop","streamSid":"MZ1","stop":{"accountSid":"AC1","callSid":"CA1"}}"#;
    assert_eq!(stream.handle_text(at(1), stop), Ok(Told::Stopped));
    assert_eq!(stream.handle_text(at(1), &media(1, &[1; 160])), Err(Fault::AfterStop));
    assert_eq!(stream.handle_text(at(1), START), Err(Fault::AfterStop));
    assert!(stream.poll_packet().is_none());
    assert_eq!(stream.counts().refused, 5);
}

#[test]
fn pieces_keep_their_numbers_so_that_order_and_repeats_show() {
    let mut stream = open();
    assert_eq!(feed(&mut stream, &[1, 3, 2, 3, 6]), [(0, 0, 1), (2, 320, 3), (1, 160, 2), (2, 320, 3), (5, 800, 6)]);
    // The very first one may be the late one.
    let mut stream = open();
    assert_eq!(feed(&mut stream, &[2, 1, 3]), [(0, 0, 2), (u16::MAX, 0u32.wrapping_sub(160), 1), (1, 160, 3)]);
}

#[test]
fn pieces_of_other_sizes_are_cut_and_kept_in_order() {
    let mut stream = open();
    stream.handle_text(at(0), &media(1, &[1; 160])).unwrap();
    stream.handle_text(at(0), &media(2, &[2; 400])).unwrap();
    stream.handle_text(at(0), &media(3, &[3; 160])).unwrap();
    stream.handle_text(at(0), &media(1, &[1; 160])).unwrap();
    assert_eq!(take(&mut stream), [(0, 0, 1), (1, 160, 2), (2, 320, 2), (3, 480, 2), (4, 560, 3)]);
    assert_eq!(stream.counts().late, 1, "its place has gone by");
}

#[test]
fn numbers_may_be_left_out_or_begin_anew() {
    let mut stream = open();
    let plain = format!(r#"{{"event":"media","media":{{"payload":"{}"}}}}"#, STANDARD.encode([7; 160]));
    for _ in 0..2 {
        stream.handle_text(at(0), &plain).unwrap();
    }
    assert_eq!(take(&mut stream), [(0, 0, 7), (1, 160, 7)]);
    assert_eq!(feed(&mut stream, &[1 << 40, 5]), [(2, 320, 0)], "one is no loss of years, the other too late");
    assert_eq!(stream.counts().late, 1);
}

#[test]
fn our_own_voice_is_not_the_callers() {
    let mut stream = open();
    stream.handle_text(at(0), &media(1, &[1; 160]).replace("inbound", "outbound")).unwrap();
    assert!(take(&mut stream).is_empty());
}

#[test]
fn keys_become_events_of_their_own() {
    let mut stream = open();
    let press = |key: char| {
        format!(r#"{{"event":"dtmf","streamSid":"MZ1","dtmf":{{"track":"inbound_track","digit":"{key}"}}}}"#)
    };
    let mut receiver = crate::rtp::dtmf::Receiver::new(8_000);
    let mut heard = String::new();
    let mut numbers = Vec::new();
    for text in [press('1'), press('1'), media(1, &[1; 160]), press('#'), media(2, &[2; 160]), press('d')] {
        stream.handle_text(at(0), &text).unwrap();
        while let Some(made) = stream.poll_packet() {
            let packet = Packet::parse(made.octets()).unwrap();
            numbers.push(packet.header.sequence.wrapping_sub(LATE_MAX as u16));
            if packet.header.payload_type == KEYS {
                let event = KeyEvent::parse(packet.payload).unwrap();
                heard.extend(receiver.handle_event(packet.header.timestamp, event));
            }
        }
    }
    assert_eq!((heard.as_str(), &numbers[..]), ("11#D", &[0, 1, 2, 3, 4, 5][..]));
}

#[test]
fn never_more_than_a_fifth_of_a_second_lies_at_the_far_end() {
    let mut stream = open();
    let mut sent = 0;
    while stream.may_send(at(0)).is_ok() {
        stream.handle_packet(at(0), &frame(1));
        sent += 1;
    }
    assert_eq!(sent, 10);
    assert_eq!(stream.may_send(at(0)), Err(at(20)));
    assert!(stream.may_send(at(20)).is_ok() && stream.may_send(at(19)).is_err());
}

#[test]
fn marks_follow_each_fifth_of_a_second_and_the_end() {
    let mut stream = open();
    for n in 0..23 {
        stream.handle_packet(at(n * 20), &frame(1));
    }
    for n in 23..30 {
        stream.handle_packet(at(n * 20), &frame(0xff));
    }
    let said = messages(&mut stream);
    assert_eq!(said.iter().filter(|m| *m == "media").count(), 23, "silence at the end is left out");
    let marks: Vec<_> = said.iter().filter(|m| m.starts_with("mark")).collect();
    assert_eq!(marks, ["mark p1", "mark p2", "mark p3"]);
    assert_eq!(said.last().unwrap(), "mark p3");
    assert_eq!((stream.counts().sent, stream.counts().skipped), (23, 7));
}

#[test]
fn silence_between_words_keeps_its_time_unless_too_much_is_waiting() {
    let mut stream = open();
    for _ in 0..3 {
        stream.handle_packet(at(0), &frame(1));
    }
    // 40 ms lie there: the pause is part of the sentence.
    stream.handle_packet(at(20), &frame(0x7f));
    assert_eq!(stream.counts(), Counts { sent: 4, ..Counts::default() });
    for _ in 0..3 {
        stream.handle_packet(at(20), &frame(1));
    }
    // 120 ms: a stall has left them there, and a pause gives them back.
    stream.handle_packet(at(20), &frame(0xff));
    assert_eq!((stream.counts().sent, stream.counts().skipped), (7, 1));
}

#[test]
fn what_was_heard_is_told_by_marks() {
    let mut stream = open();
    assert_eq!(stream.delay(at(0)), None);
    for n in 0..20 {
        stream.handle_packet(at(n * 20), &frame(1));
    }
    assert_eq!(stream.delay(at(190)), Some(Duration::from_millis(10)), "p1 is under way");
    mark(&mut stream, at(260), "p1").unwrap();
    assert_eq!(stream.delay(at(260)), Some(Duration::from_millis(80)));
    // The second one stays away: the far end plays nothing.
    assert_eq!(stream.delay(at(1380)), Some(Duration::from_millis(1000)));
    mark(&mut stream, at(1390), "p2").unwrap();
    assert_eq!(stream.delay(at(5000)), Some(Duration::from_millis(1010)));
    assert_eq!(mark(&mut stream, at(1400), "p3"), Err(Fault::UnknownMark));
    assert_eq!(mark(&mut stream, at(1400), "p0"), Err(Fault::UnknownMark));
    assert_eq!(mark(&mut stream, at(1400), "x"), Err(Fault::UnknownMark));
    assert!(mark(&mut stream, at(1400), "p2").is_ok(), "twice is no harm");
}

#[test]
fn marks_that_a_clear_sends_back_say_nothing() {
    let mut stream = open();
    for n in 0..20 {
        stream.handle_packet(at(n * 20), &frame(1));
    }
    mark(&mut stream, at(250), "p1").unwrap();
    let delay = stream.delay(at(385));
    assert_eq!(delay, Some(Duration::from_millis(70)));
    stream.handle_packet(at(400), &frame(1));
    messages(&mut stream);
    stream.handle_cleared(at(410));
    assert_eq!(messages(&mut stream), ["clear"]);
    // It comes back at once, as if it had been played within no time.
    mark(&mut stream, at(411), "p2").unwrap();
    assert_eq!(stream.delay(at(420)), delay);
    // What is said afterwards counts again.
    for n in 21..31 {
        stream.handle_packet(at(n * 20), &frame(1));
    }
    mark(&mut stream, at(640), "p3").unwrap();
    assert_eq!(stream.delay(at(640)), Some(Duration::from_millis(40)));
    assert_eq!(stream.counts().clears, 1);
}

#[test]
fn what_comes_behind_later_audio_is_left_out() {
    let mut stream = open();
    for (ms, sequence) in [(0, 65_534), (20, 0), (40, 65_535), (60, 0), (80, 1), (100, 40_000)] {
        stream.handle_packet(at(ms), &numbered(sequence, 1));
    }
    assert_eq!((stream.counts().sent, stream.counts().dropped), (4, 2), "a new start is none of them");
}

#[test]
fn nothing_is_cleared_where_nothing_lies() {
    let mut stream = open();
    stream.handle_cleared(at(0));
    stream.handle_packet(at(0), &frame(1));
    stream.handle_packet(at(20), &frame(0xff));
    mark(&mut stream, at(60), "p1").unwrap();
    messages(&mut stream);
    // Played by what its marks say; certain is certain.
    stream.handle_cleared(at(100));
    assert_eq!(messages(&mut stream), ["clear"]);
    stream.handle_cleared(at(120));
    assert!(messages(&mut stream).is_empty(), "nothing was said since");
}

#[test]
fn marks_that_never_come_back_take_no_more_room() {
    let mut stream = open();
    for n in 0..10_000 {
        stream.handle_packet(at(n * 20), &frame(1));
        while stream.poll_message().is_some() {}
    }
    assert!(stream.pending.len() <= TWILIO_MARKS_MAX);
    assert!(stream.delay(at(200_000)).unwrap() > Duration::from_secs(190), "it counts from the first that is missing");
}

proptest! {
    /// Whatever order pieces come in, each packet carries the audio of its own place.
    #[test]
    fn audio_stays_where_its_number_says(chunks in proptest::collection::vec(1u64..60, 1..200)) {
        let mut stream = open();
        let first = chunks[0];
        for (sequence, timestamp, octet) in feed(&mut stream, &chunks) {
            let place = (u64::from(octet) as i64 - first as i64) as i16;
            prop_assert_eq!(sequence as i16, place);
            prop_assert_eq!(timestamp as i32, i32::from(place) * 160);
        }
        prop_assert_eq!(stream.counts().pieces, chunks.len() as u64);
    }

    /// Any text at all: no panic, and nothing heaps up.
    #[test]
    fn any_text_is_taken_or_refused(texts in proptest::collection::vec(any::<String>(), 0..20)) {
        let mut stream = open();
        for text in texts {
            let _ = stream.handle_text(at(0), &text);
        }
        prop_assert!(stream.packets.is_empty());
    }
}
