//! The yardstick of `make bench-speech` measured itself: scoring, corpus, line and meaning are tested where they stand.

#[path = "../benches/speech/mod.rs"]
mod speech;
