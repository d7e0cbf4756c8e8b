//! `callwright dial`.

pub mod act;
pub mod capture;
pub mod level;
pub mod score;
pub mod script;
pub mod wave;
pub mod words;
