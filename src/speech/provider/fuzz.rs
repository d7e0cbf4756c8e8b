//! Entry points for `fuzz/`. Purpose: the bodies compile, and run once over seeds, in every test run; the target is a line.
//! Not for other use.

use super::lines::Lines;
use super::{deepgram_listen, elevenlabs, openai_transcribe};

/// The answer of a provider into every parser of events; the first octet says where the stream is cut.
pub fn events(octets: &[u8]) {
    let Some((cut, octets)) = octets.split_first() else { return };
    let mut assembly = deepgram_listen::Assembly::default();
    let mut alignment = elevenlabs::Alignment::default();
    let mut lines = Lines::default();
    for piece in octets.chunks(usize::from(*cut).max(1)) {
        if lines.push(piece).is_err() {
            return;
        }
        while let Some(line) = lines.poll_line() {
            if let Ok(event) = deepgram_listen::parse(&String::from_utf8_lossy(&line)) {
                assembly.handle(event);
            }
            let _ = openai_transcribe::parse(&line);
            let _ = openai_transcribe::parse_whole(&line);
            if let Ok(Some(piece)) = elevenlabs::parse(&line) {
                alignment.push(&piece.characters.unwrap_or_default(), 20);
            }
        }
    }
    let words = alignment.words();
    assert!(words.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms), "word times never go back");
    let heard = assembly.finish();
    assert!((0.0..=1.0).contains(&heard.confidence));
}
