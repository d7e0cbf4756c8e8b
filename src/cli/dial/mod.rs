//! `callwright dial`.

pub mod act;
pub mod capture;
pub mod ear;
pub mod level;
pub mod line;
pub mod score;
pub mod script;
pub mod stream;
pub mod wave;
pub mod words;
