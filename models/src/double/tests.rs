//! The double against its own promise, through ONNX Runtime alone: greedy CTC, chunk by chunk.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use super::corpus::{Line, Speaker};
use super::onnx::{Dim, Element, Graph};
use super::random::Random;
use super::recogniser::{CHUNK_SAMPLES, STATE_SIZE};
use super::*;
use crate::assets::Assets;
use crate::pack::archive::{self, Bounds};
use crate::pack::manifest;
use crate::session;
use ort::session::Session;
use ort::value::{DynValue, TensorRef};
use std::path::Path;

fn assets() -> Option<Assets> {
    let assets = Assets::locate();
    match Speaker::load(&assets).and_then(|_| assets.onnx_runtime()) {
        Ok(_) => Some(assets),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

struct Decoder {
    session: Session,
    silence: DynValue,
    tokens: Vec<String>,
}

impl Decoder {
    fn load(assets: &Assets, directory: &Path) -> Self {
        let session = session::open(assets, "test", &directory.join("model.onnx")).unwrap();
        // Half floats have no type in Rust; a graph makes them.
        let mut graph = Graph::new();
        let shape = graph.integers(&[1, STATE_SIZE as i64]);
        let zeros = graph.node("ConstantOfShape", &[&shape], &[]);
        let zeros = graph.cast(&zeros, Element::F16);
        graph.output(&zeros, "silence", Element::F16, &[Dim::Fixed(1), Dim::Fixed(STATE_SIZE)]);
        let mut silence = session::open_encoded(assets, "test", &graph.encode()).unwrap();
        let silence = silence.run(Vec::<(&str, DynValue)>::new()).unwrap().remove("silence").unwrap();
        let tokens = std::fs::read_to_string(directory.join("tokens.txt")).unwrap();
        let tokens = tokens.lines().map(|line| line.split_once(' ').unwrap().0.replace('\u{2581}', " ")).collect();
        Self { session, silence, tokens }
    }

    fn decode(&mut self, samples: &[i16]) -> String {
        let (mut text, mut last) = (String::new(), 0);
        let mut state: Option<DynValue> = None;
        for chunk in samples.chunks(CHUNK_SAMPLES) {
            let mut x = vec![0_i32; CHUNK_SAMPLES];
            x.iter_mut().zip(chunk).for_each(|(to, sample)| *to = i32::from(*sample));
            let x = TensorRef::from_array_view(([1_usize, CHUNK_SAMPLES, 1], x.as_slice())).unwrap();
            let mut outputs = self
                .session
                .run(ort::inputs! { "x" => x, "state" => state.as_ref().unwrap_or(&self.silence) })
                .unwrap();
            let next = outputs.remove("next_state");
            let (_, log_probs) = outputs["log_probs"].try_extract_tensor::<f32>().unwrap();
            for frame in log_probs.chunks_exact(self.tokens.len()) {
                let best = (0..frame.len()).max_by(|a, b| frame[*a].total_cmp(&frame[*b])).unwrap();
                if best != 0 && best != last {
                    text.push_str(&self.tokens[best]);
                }
                last = best;
            }
            drop(outputs);
            state = next;
        }
        text.trim().to_owned()
    }
}

#[test]
fn its_own_sentences_are_decoded_exactly() {
    let Some(assets) = assets() else { return };
    let mut decoder = Decoder::load(&assets, &directory(&assets).unwrap());
    let mut speaker = Speaker::load(&assets).unwrap();
    let mut random = Random::new(77);
    let mut wrong = Vec::new();
    for sentence in SENTENCES {
        let spoken = speaker.say(sentence);
        for noise in [0.0, 60.0] {
            let line = Line { before: 2400 + random.below(800), after: 4800, gain: 1.0, noise };
            let heard = decoder.decode(&line.carry(&spoken.samples, &mut random));
            if heard != *sentence {
                wrong.push(format!("{sentence} ({noise}): {heard}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), 2 * SENTENCES.len());
}

#[test]
fn the_archive_installs_like_any_other_pack() {
    let Some(assets) = assets() else { return };
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("pack.tar.bz2");
    write_archive(&assets, &file).unwrap();
    let unpacked = place.path().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let size = std::fs::metadata(&file).unwrap().len();
    archive::unpack(std::fs::File::open(&file).unwrap(), size, &unpacked, Bounds::PACK, &|_| true).unwrap();
    let unpacked = unpacked.join(NAME);
    let described = std::fs::read_to_string(unpacked.join("pack.toml")).unwrap();
    let described = manifest::parse_one(&described).unwrap();
    assert_eq!(described, pack());
    for file in described.files.values() {
        assert!(unpacked.join(file).is_file(), "{file}");
    }
}
