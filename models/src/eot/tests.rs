//! Through ONNX Runtime, with a model made for it.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use super::*;
use crate::double::{turn_end, write_turn_end_pack};
use std::fs;

fn assets() -> Option<Assets> {
    let assets = Assets::locate();
    match assets.onnx_runtime() {
        Ok(_) => Some(assets),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// Two seconds of something loud, then this much silence.
fn turn(silence_ms: usize) -> Vec<i16> {
    let mut samples: Vec<i16> = (0..2 * RATE_HZ).map(|n| ((n * n) % 16_001) as i16 - 8000).collect();
    samples.resize(samples.len() + silence_ms * RATE_HZ / 1000, 0);
    samples
}

#[test]
fn a_pack_is_asked_with_what_it_wants_to_see() {
    let Some(assets) = assets() else { return };
    let place = tempfile::tempdir().unwrap();
    let mut model = EndOfTurn::load(&assets, &write_turn_end_pack(place.path()).unwrap()).unwrap();
    let finished = model.probability(&turn(250)).unwrap();
    let going_on = model.probability(&turn(0)).unwrap();
    let nothing = model.probability(&[]).unwrap();
    assert!(finished > 0.9 && going_on < 0.1 && nothing < 0.1, "{finished} {going_on} {nothing}");
    assert!((model.probability(&turn(250)).unwrap() - finished).abs() < 1e-6);
}

#[test]
fn what_is_no_such_model_is_refused_with_the_reason() {
    let Some(assets) = assets() else { return };
    let place = tempfile::tempdir().unwrap();
    let good = write_turn_end_pack(place.path()).unwrap();
    let load = |installed: &Installed| EndOfTurn::load(&assets, installed).unwrap_err().to_string();

    fs::write(place.path().join("model.onnx"), turn_end::encode("audio")).unwrap();
    let said = load(&good);
    assert!(said.contains("input is called audio") && said.contains("models install"), "{said}");
    let whole = turn_end::encode("input_features");
    fs::write(place.path().join("model.onnx"), &whole[..whole.len() / 2]).unwrap();
    assert!(load(&good).contains(&good.pack.name));
    fs::remove_file(place.path().join("model.onnx")).unwrap();
    assert!(load(&good).contains(&good.pack.name));

    let mut other = good.clone();
    other.pack.family = Family::OnlineToneCtc;
    assert!(load(&other).contains("no end-of-turn model"));
    let mut bare = good;
    bare.pack.files.clear();
    assert!(load(&bare).contains("no file for its model"));
}
