//! Through ONNX Runtime, with a model made for it.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use super::*;
use crate::double::{turn_end, write_turn_end_pack};
use std::fs;
use std::os::unix::fs::symlink;

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
fn the_embedded_model_serves_where_it_is_whole_and_says_what_mends_it_where_not() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("smart-turn-v3.2-cpu.onnx");
    let bare = Assets::at(place.path());
    let said = EndOfTurn::embedded(&bare).unwrap_err().to_string();
    assert!(said.contains("smart-turn-v3.2-cpu.onnx not found") && said.contains("make setup"), "{said}");
    fs::write(&file, "no model").unwrap();
    let said = EndOfTurn::embedded(&bare).unwrap_err().to_string();
    assert!(said.contains("damaged") && said.contains("make setup"), "{said}");

    let Some(assets) = assets() else { return };
    let Ok(whole) = assets.end_of_turn() else { return eprintln!("skipped: run make setup") };
    fs::remove_file(&file).unwrap();
    symlink(&whole, &file).unwrap();
    let without_runtime = EndOfTurn::embedded(&bare).map(drop);
    // The runtime may be loaded already in this process; then the library is not looked for again.
    assert!(without_runtime.is_ok() || matches!(without_runtime, Err(EotError::Asset(_))), "{without_runtime:?}");
    let mut model = EndOfTurn::embedded(&assets).unwrap();
    let judged = [turn(0), turn(250), Vec::new()].map(|samples| model.probability(&samples).unwrap());
    assert!(judged.iter().all(|probability| (0.0..=1.0).contains(probability)), "{judged:?}");
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
