//! Subcommands: one file or folder each.

pub mod dial;
