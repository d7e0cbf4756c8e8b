//! Stereo samples → a growing file. Purpose: one way to write for both formats, that leaves a file which plays after each
//! flush. Recorder thread. Invariants: samples first, then the head that counts them; what a failed write
//! leaves behind the last good one is not counted, and `disk` mends it. Deliberately absent: syncing (`keeper`).

use super::align::Pair;
use super::disk::{Format, Part, Place};
use super::ogg_opus::OggOpus;
use super::wav;
use std::io;

/// Octets gathered before they are written without being asked to.
const PENDING_MAX: usize = 64 << 10;

enum Form {
    Wav,
    Opus(Box<OggOpus>),
}

/// One open file.
pub(super) struct Sink {
    part: Part,
    form: Form,
    pending: Vec<u8>,
    /// Octets of the file that are whole.
    written: u64,
}

impl Sink {
    /// Begins the file. `serial` tells Ogg streams apart.
    pub(super) fn create(place: &Place, name: &str, format: Format, serial: u32) -> io::Result<Self> {
        let mut pending = Vec::new();
        let form = match format {
            Format::Wav => {
                pending.extend_from_slice(&wav::head(0));
                Form::Wav
            }
            Format::Opus => Form::Opus(Box::new(OggOpus::new(serial, &mut pending).map_err(io::Error::other)?)),
        };
        Ok(Self { part: place.create(name, format)?, form, pending, written: 0 })
    }

    /// Takes samples.
    pub(super) fn write(&mut self, pairs: &[Pair]) -> io::Result<()> {
        match &mut self.form {
            Form::Wav => {
                for [caller, agent] in pairs {
                    self.pending.extend_from_slice(&caller.to_le_bytes());
                    self.pending.extend_from_slice(&agent.to_le_bytes());
                }
            }
            Form::Opus(stream) => stream.write(pairs, &mut self.pending).map_err(io::Error::other)?,
        }
        if self.pending.len() >= PENDING_MAX { self.store() } else { Ok(()) }
    }

    /// Everything taken so far plays from here on.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Form::Opus(stream) = &mut self.form {
            stream.flush(&mut self.pending);
        }
        self.store()
    }

    /// Ends the file. The part comes back in any case; the error says what its end lacks.
    pub(super) fn finish(mut self) -> (Part, io::Result<()>) {
        let ended = match &mut self.form {
            Form::Wav => Ok(()),
            Form::Opus(stream) => stream.finish(&mut self.pending).map_err(io::Error::other),
        };
        let stored = self.store();
        (self.part, ended.and(stored))
    }

    /// Gives the file up as it is.
    pub(super) fn into_part(self) -> Part {
        self.part
    }

    fn store(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.part.write_at(&self.pending, self.written)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        match self.form {
            Form::Wav => self.part.write_at(&wav::head(self.written - wav::HEAD_LEN as u64), 0),
            Form::Opus(_) => Ok(()),
        }
    }
}
