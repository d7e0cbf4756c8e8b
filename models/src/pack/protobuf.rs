//! The wire format of protocol buffers, as far as model files need it: walking fields and passing over what nobody asks
//! for. Purpose: reading the head of a model of hundreds of megabytes without loading it. Any thread. Invariants: never
//! reads past the message it was given; a length that leads outside of it is an error, which is how a truncated file shows.
//! Deliberately absent: writing, packed fields, groups (no model uses them).

use std::io::{self, BufRead, Seek};

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The disk.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The octets are not what they should be: the file is cut short or something else altogether.
    #[error("{0}")]
    Malformed(&'static str),
}

/// A field's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Varint.
    Number(u64),
    /// Octets from here to the given offset; whoever handles the field reads or leaves them.
    Octets {
        /// Offset of the first octet after the field.
        end: u64,
    },
    /// Four or eight octets, passed over.
    Fixed(u64),
}

/// Walks messages in a file or in memory.
#[derive(Debug)]
pub(super) struct Wire<R> {
    source: R,
    /// Octets from the start of the source.
    at: u64,
}

impl<R: BufRead + Seek> Wire<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, at: 0 }
    }

    /// The next field of the message that ends at `end`; `None` at its end. What the last field's handler left unread must
    /// have been skipped.
    pub(super) fn field(&mut self, end: u64) -> Result<Option<(u64, Value)>, WireError> {
        if self.at == end {
            return Ok(None);
        }
        let key = self.varint(end)?;
        let number = key >> 3;
        if number == 0 {
            return Err(WireError::Malformed("it holds a field that no model has"));
        }
        let value = match key & 7 {
            0 => Value::Number(self.varint(end)?),
            1 => Value::Fixed(u64::from_le_bytes(self.octets(8, end)?)),
            2 => {
                let length = self.varint(end)?;
                let field_end = self.at.checked_add(length).filter(|field_end| *field_end <= end);
                Value::Octets { end: field_end.ok_or(WireError::Malformed("it is cut short"))? }
            }
            5 => Value::Fixed(u64::from(u32::from_le_bytes(self.octets(4, end)?))),
            _ => return Err(WireError::Malformed("it holds a field of a kind that no model has")),
        };
        Ok(Some((number, value)))
    }

    /// Passes over the rest of a field.
    pub(super) fn skip(&mut self, value: Value) -> Result<(), WireError> {
        if let Value::Octets { end } = value {
            let distance = i64::try_from(end - self.at).map_err(|_| WireError::Malformed("it is cut short"))?;
            self.source.seek_relative(distance)?;
            self.at = end;
        }
        Ok(())
    }

    /// Reads a text field of at most `max` octets.
    pub(super) fn text(&mut self, value: Value, max: u64) -> Result<String, WireError> {
        let Value::Octets { end } = value else {
            return Err(WireError::Malformed("it holds a number where a text should be"));
        };
        let length = end - self.at;
        if length > max {
            return Err(WireError::Malformed("it holds a text of absurd length"));
        }
        let mut octets = vec![0; usize::try_from(length).unwrap_or(0)];
        self.source.read_exact(&mut octets)?;
        self.at = end;
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }

    fn varint(&mut self, end: u64) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [octet] = self.octets::<1>(1, end)?;
            value |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Malformed("it holds a number without end"))
    }

    fn octets<const N: usize>(&mut self, count: u64, end: u64) -> Result<[u8; N], WireError> {
        if self.at + count > end {
            return Err(WireError::Malformed("it is cut short"));
        }
        let mut octets = [0; N];
        self.source.read_exact(&mut octets)?;
        self.at += count;
        Ok(octets)
    }
}
