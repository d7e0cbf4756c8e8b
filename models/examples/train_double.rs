//! Trains the double of a speech recogniser and writes it as a pack: `cargo run -p callwright-models --features double
//! --example train_double -- OUT.tar.bz2`. For tests of the path that packs take; it understands a few dozen sentences of
//! one synthetic voice and is no product.

use callwright_models::{Assets, double};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::args_os().nth(1).ok_or("where to? OUT.tar.bz2 is missing")?);
    double::write_archive(&Assets::locate(), &out)?;
    Ok(())
}
