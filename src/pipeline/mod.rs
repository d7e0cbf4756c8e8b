//! From an approved request to running software.
//!
//! Pure parts here: [`manifest`] (what was asked), [`intent`] (how a sentence becomes a request).

pub mod intent;
pub mod manifest;
