//! Audio of any kind, in pieces of any length and with losses, into the detectors of keys and beeps: reports are in order,
//! every press begins before it ends, and none lies in the future.
#![no_main]

use callwright_dsp::{beep, dtmf};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((first, mut rest)) = octets.split_first() else { return };
    let rate = [8_000, 16_000, 24_000, 48_000][usize::from(first & 3)];
    let (Ok(mut keys), Ok(mut beeps)) = (dtmf::Detector::new(rate), beep::Detector::new(rate)) else { return };
    let (mut fed, mut last, mut pressed) = (0u64, 0u64, None);
    let mut take = |report: dtmf::Detected, fed: u64| {
        assert!(report.at_sample >= last || report.ended, "in order");
        assert!(report.at_sample <= fed, "not in the future");
        assert_eq!(pressed, report.ended.then_some(report.digit), "a press begins, then it ends");
        last = last.max(report.at_sample);
        pressed = (!report.ended).then_some(report.digit);
    };
    while let Some((order, more)) = rest.split_first() {
        // The piece is heard this many times, so that a short input lasts long enough for a key or a beep.
        let times = 1 + usize::from(order >> 4);
        let (piece, more) = more.split_at(more.len().min(2 * usize::from(order & 15) * 8));
        rest = more;
        let pcm: Vec<i16> = piece.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        for _ in 0..times * 8 {
            fed += pcm.len() as u64;
            if *order == 0x7f {
                keys.handle_lost(pcm.len(), &mut |report| take(report, fed));
                continue;
            }
            keys.handle_audio(&pcm, &mut |report| take(report, fed));
            beeps.handle_audio(&pcm, &mut |beep| {
                assert!(beep.at_sample + beep.samples <= fed + 1 && beep.frequency_hz.is_finite());
            });
        }
    }
});
