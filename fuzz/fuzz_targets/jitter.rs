//! Packets, fetches and time in any order into the playout buffer.
#![no_main]

use callwright_dsp::codec::comfort_noise::NoiseParameters;
use callwright_dsp::codec::{Codec, Decoder};
use callwright_dsp::jitter::{Content, Packet, PlayoutBuffer, Settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let (Ok(mut buffer), Ok(mut decoder)) = (PlayoutBuffer::new(Settings::default()), Decoder::new(Codec::Pcmu, 8_000))
    else {
        return;
    };
    let (mut now, mut sent, mut asked) = (0u64, 0, 0);
    // Eight octets an event: what, how long after the last, sequence and source, timestamp in units of 40 or any.
    for event in octets.chunks_exact(8) {
        now = now.saturating_add(u64::from(event[1]) << (event[0] >> 3));
        let number = u32::from_be_bytes([event[4], event[5], event[6], event[7]]);
        let length = usize::from(event[3]) * 3;
        let payload = [event[2]; 765];
        let content = match event[0] & 7 {
            0..4 => Content::Audio(&payload[..length]),
            4 => Content::ComfortNoise(NoiseParameters::parse(&payload[..length]).unwrap_or_default()),
            _ => {
                let mut pcm = [0; 765];
                buffer.get_audio(now, &mut pcm[..length], &mut decoder);
                asked += length as u64;
                continue;
            }
        };
        let timestamp = if event[4] < 128 { (number & 0xFF) * 40 } else { number };
        let packet = Packet { ssrc: u32::from(event[2] & 1), sequence: number as u16, timestamp, content };
        buffer.insert_packet(now, &packet, &decoder);
        sent += 1;
    }
    let s = buffer.statistics();
    assert_eq!(s.total_samples_received, asked);
    assert_eq!(s.packets_received, sent);
    assert_eq!(sent, s.packets_played + s.packets_discarded + buffer.packets_waiting() as u64);
});
