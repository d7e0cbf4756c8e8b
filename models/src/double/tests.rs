//! The double against its own promise, and its pack against the rules of packs.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use super::corpus::Speaker;
use super::listen::Listener;
use super::*;
use crate::assets::Assets;
use crate::pack::archive::{self, Bounds};
use crate::pack::manifest;

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

#[test]
fn its_own_sentences_are_decoded_exactly() {
    let Some(assets) = assets() else { return };
    let directory = directory(&assets).unwrap();
    let words = vocabulary();
    let model = std::fs::read(directory.join("model.onnx")).unwrap();
    let mut listener = Listener::open(&assets, &model, &words).unwrap();
    let mut speaker = Speaker::load(&assets).unwrap();
    let mut random = Random::new(77);
    let mut wrong = Vec::new();
    for sentence in SENTENCES {
        let spoken = speaker.say(sentence);
        for noise in [0.0, 60.0] {
            let line = Line { before: 2400 + random.below(800), after: 4800, gain: 1.0, noise };
            let heard = listener.hear(&line.carry(&spoken.samples, &mut random)).unwrap();
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
