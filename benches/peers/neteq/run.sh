#!/bin/sh
# The playout buffers on ten seeded networks; see README.md. usage: run.sh [chromium]
# SPEECH: 8 kHz mono 16-bit WAV (else espeak-ng speaks); PYTHON: with numpy, scipy, soundfile, pesq; SEED; OUT: directory.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$here/target/traces}
mkdir -p "$out"
speech=${SPEECH:-$out/speech.wav}
if [ ! -e "$speech" ]; then
    text="The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well."
    espeak-ng -v en-us -w "$out/full.wav" "$text"
    sox "$out/full.wav" -r 8000 -c 1 -b 16 "$speech"
fi
cargo build --release --quiet --manifest-path "$here/Cargo.toml"
bin=${CARGO_TARGET_DIR:-$here/target}/release
"$bin/callwright-bench-neteq" "$speech" "$out"
if [ "${1:-}" = chromium ]; then
    cargo build --release --quiet --manifest-path "$here/../chromium/Cargo.toml"
    bin=${CARGO_TARGET_DIR:-$here/../chromium/target}/release
    "$bin/callwright-bench-chromium" "$speech" "$out"
fi
"${PYTHON:-python3}" "$here/score.py" "$speech" "$out" "$out/jitter.json"
