//! `bpe.model` of SentencePiece: the pieces that a recogniser writes words with.
//!
//! Purpose: sherpa-onnx wants the pieces as text (`bpe.vocab`) to spell hot words, most packs carry only the model. Any
//! thread. Deliberately absent: encoding (the engine's), the normaliser.
//!
//! Layout: `sentencepiece_model.proto`: ModelProto {1 pieces}, SentencePiece {1 piece, 2 score}.

use super::protobuf::{Value, Wire, WireError};
use std::fmt::Write;
use std::io::Cursor;

/// Longest piece in octets.
const PIECE_MAX: u64 = 1024;
/// Largest vocabulary.
const PIECES_MAX: usize = 262_144;

/// The vocabulary of `model` as text, a piece with its score a line.
///
/// # Errors
/// [`WireError`]: no SentencePiece model.
pub fn vocabulary(model: &[u8]) -> Result<String, WireError> {
    let mut wire = Wire::new(Cursor::new(model));
    let (mut text, mut count) = (String::new(), 0);
    while let Some((number, value)) = wire.field(model.len() as u64)? {
        let (1, Value::Octets { end }) = (number, value) else {
            wire.skip(value)?;
            continue;
        };
        let (mut piece, mut score) = (String::new(), 0.0_f32);
        while let Some((number, value)) = wire.field(end)? {
            match (number, value) {
                (1, _) => piece = wire.text(value, PIECE_MAX)?,
                (2, Value::Fixed(bits)) => score = f32::from_bits(bits as u32),
                _ => wire.skip(value)?,
            }
        }
        count += 1;
        if count > PIECES_MAX {
            return Err(WireError::Malformed("it holds too many pieces"));
        }
        // A piece that is or holds a blank could not be told from the score.
        if !piece.is_empty() && !piece.contains(char::is_whitespace) && score.is_finite() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{piece}\t{score}");
        }
    }
    if text.is_empty() {
        return Err(WireError::Malformed("it holds no pieces, so it is no SentencePiece model"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str, score: f32) -> Vec<u8> {
        let mut inner = vec![0x0a, text.len() as u8];
        inner.extend_from_slice(text.as_bytes());
        inner.push(0x15);
        inner.extend_from_slice(&score.to_le_bytes());
        inner.extend_from_slice(&[0x18, 1]);
        let mut outer = vec![0x0a, inner.len() as u8];
        outer.extend(inner);
        outer
    }

    #[test]
    fn pieces_come_out_with_their_scores() {
        let mut model = piece("<blk>", 0.0);
        model.extend(piece("▁THE", -2.5));
        model.extend(piece(" ", -1.0));
        // The trainer's settings, which nobody needs.
        model.extend([0x12, 3, 1, 2, 3]);
        assert_eq!(vocabulary(&model).unwrap(), "<blk>\t0\n▁THE\t-2.5\n");
    }

    #[test]
    fn what_is_no_model_is_refused() {
        for bad in [&b""[..], b"\x0a\x7fshort", b"PK\x03\x04", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert!(vocabulary(bad).is_err(), "{bad:?}");
        }
    }
}
