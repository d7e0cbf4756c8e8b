//! What a Kokoro pack that runs on ONNX Runtime alone has to hold: the graph's inputs and output, the symbols that English
//! is written in, and one file of styles a speaker.
//!
//! Purpose: a file that is not what its name says is told in words before a voice is made of it. Plain data, any thread.
//! Invariants: bounded memory whatever a file says. Deliberately absent: running the graph (`tts::kokoro`).
//!
//! Layout: `tokenizer.json` as Hugging Face's tokenizers write it (`model.vocab`: one character → its number); styles are
//! little-endian 32-bit numbers [510, 1, 256], of which the row is chosen by how many symbols are spoken.

use super::onnx::{Header, Tensor};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Numbers of one style.
pub const STYLE: usize = 256;
/// Styles of one speaker, and symbols that are spoken at once at most.
pub const ROWS: usize = 510;
/// Symbols that English sounds, stresses and pauses are written in, American and British.
pub const SYMBOLS: &str = "AIOQTWYabdfhijklmnpstuvwzæðŋɐɑɒɔəɛɜɡɪɹʃʊʌʒʤʧθᵊᵻːˈˌ ,.;:?!";

/// Octets of one speaker's file.
const STYLES_OCTETS: u64 = (ROWS * STYLE * 4) as u64;
/// Longest tokenizer.
const TOKENIZER_OCTETS_MAX: u64 = 1 << 20;
/// `TensorProto.DataType`: 32-bit floating point.
const FLOAT: u64 = 1;
/// `TensorProto.DataType`: 64-bit integers.
const INT64: u64 = 7;

/// Why a file of the pack cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else, or cut short.
    #[error("{0}")]
    Malformed(String),
}

fn malformed(why: impl Into<String>) -> FileError {
    FileError::Malformed(why.into())
}

/// The number of every symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    numbers: HashMap<char, i64>,
}

#[derive(Deserialize)]
struct Tokenizer {
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    vocab: BTreeMap<String, u16>,
}

impl Vocabulary {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(file: &Path) -> Result<Self, FileError> {
        if fs::metadata(file)?.len() > TOKENIZER_OCTETS_MAX {
            return Err(malformed("it is too large for a table of symbols"));
        }
        Self::parse(&fs::read(file)?)
    }

    /// The same of its octets.
    ///
    /// # Errors
    /// [`FileError`]: also where a symbol of [`SYMBOLS`] is missing, for then words would be said with holes in them.
    pub fn parse(text: &[u8]) -> Result<Self, FileError> {
        let read: Tokenizer =
            serde_json::from_slice(text).map_err(|error| malformed(format!("it is no tokenizer: {error}")))?;
        let one = |symbol: &str| {
            let mut characters = symbol.chars();
            characters.next().filter(|_| characters.next().is_none())
        };
        let numbers: HashMap<char, i64> =
            read.model.vocab.iter().filter_map(|(symbol, number)| Some((one(symbol)?, i64::from(*number)))).collect();
        match SYMBOLS.chars().find(|symbol| !numbers.contains_key(symbol)) {
            Some(symbol) => Err(malformed(format!("it has no symbol '{symbol}'"))),
            None => Ok(Self { numbers }),
        }
    }

    /// The number of a symbol.
    #[must_use]
    pub fn number(&self, symbol: char) -> Option<i64> {
        self.numbers.get(&symbol).copied()
    }

    /// How many symbols it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// It has none; never so of one that was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

/// A speaker's styles, row by row.
///
/// # Errors
/// [`FileError`]: another length, or something that is no number.
pub fn styles(file: &Path) -> Result<Vec<f32>, FileError> {
    length(file)?;
    let mut octets = Vec::new();
    File::open(file)?.take(STYLES_OCTETS).read_to_end(&mut octets)?;
    let (numbers, rest) = octets.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|octets| f32::from_le_bytes(*octets)).collect();
    if numbers.len() != ROWS * STYLE || !rest.is_empty() {
        return Err(malformed("it was cut while it was read"));
    }
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(malformed("it holds what is no number"));
    }
    Ok(numbers)
}

/// Whether a speaker's file is as long as it has to be.
///
/// # Errors
/// [`FileError`].
pub fn length(file: &Path) -> Result<(), FileError> {
    match fs::metadata(file)?.len() {
        STYLES_OCTETS => Ok(()),
        found => Err(malformed(format!("it has {found} octets, the styles of a speaker {STYLES_OCTETS}"))),
    }
}

/// Whether the graph is fed and answers as this voice does; in words what is otherwise.
///
/// # Errors
/// What does not fit.
pub fn shapes(header: &Header) -> Result<(), String> {
    let is = |tensor: &Tensor, element: u64, last: Option<u64>| {
        let fits =
            |axis: &Option<u64>, wanted: Option<u64>| axis.is_none_or(|n| wanted.is_none_or(|wanted| n == wanted));
        tensor.element == element
            && match tensor.shape.as_slice() {
                [only] => last != Some(STYLE as u64) && fits(only, last),
                [first, second] => fits(first, Some(1)) && fits(second, last),
                _ => false,
            }
    };
    for (name, element, last, words) in [
        ("input_ids", INT64, None, "[1, symbols] of 64-bit integers"),
        ("style", FLOAT, Some(STYLE as u64), "[1, 256] of numbers"),
        ("speed", FLOAT, Some(1), "[1] of numbers"),
    ] {
        let Some(tensor) = header.input(name) else { return Err(format!("it has no input '{name}'")) };
        if !is(tensor, element, last) {
            return Err(format!("its input '{name}' is no {words}"));
        }
    }
    if header.inputs.len() != 3 {
        return Err(format!("it has {} inputs instead of 3", header.inputs.len()));
    }
    match header.outputs.iter().find(|tensor| tensor.name == "waveform") {
        Some(tensor) if is(tensor, FLOAT, None) => Ok(()),
        Some(_) => Err("its output 'waveform' is no row of numbers".to_owned()),
        None => Err("it has no output 'waveform'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokenizer(symbols: &str) -> String {
        let vocab: BTreeMap<String, usize> = symbols.chars().enumerate().map(|(n, c)| (c.to_string(), n)).collect();
        serde_json::json!({ "version": "1.0", "model": { "vocab": vocab } }).to_string()
    }

    #[test]
    fn a_vocabulary_has_every_symbol_of_english() {
        let vocabulary = Vocabulary::parse(tokenizer(&format!("${SYMBOLS}")).as_bytes()).unwrap();
        assert_eq!(vocabulary.number('A'), Some(1));
        assert_eq!((vocabulary.number('ß'), vocabulary.len()), (None, SYMBOLS.chars().count() + 1));
        let said = |text: &str| Vocabulary::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(said(&tokenizer(&SYMBOLS.replace('ʤ', ""))).contains("no symbol 'ʤ'"));
        assert!(said("{}").contains("no tokenizer") && said("").contains("no tokenizer"));
        assert!(said("{\"model\":{\"vocab\":{\"a\":-1}}}").contains("no tokenizer"));
    }

    #[test]
    fn styles_are_whole_or_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.bin");
        fs::write(&file, 0.5_f32.to_le_bytes().repeat(ROWS * STYLE)).unwrap();
        assert_eq!(styles(&file).unwrap().len(), ROWS * STYLE);
        fs::write(&file, f32::NAN.to_le_bytes().repeat(ROWS * STYLE)).unwrap();
        assert!(styles(&file).unwrap_err().to_string().contains("no number"));
        fs::write(&file, [0; 1000]).unwrap();
        assert!(styles(&file).unwrap_err().to_string().contains("1000 octets"));
        assert!(matches!(styles(&directory.path().join("y.bin")), Err(FileError::Io(_))));
    }

    #[test]
    fn another_graph_is_told_from_this_one() {
        let tensor =
            |name: &str, element, shape: &[Option<u64>]| Tensor { name: name.into(), element, shape: shape.into() };
        let sound = Header {
            inputs: vec![
                tensor("input_ids", INT64, &[Some(1), None]),
                tensor("style", FLOAT, &[Some(1), Some(256)]),
                tensor("speed", FLOAT, &[Some(1)]),
            ],
            outputs: vec![tensor("waveform", FLOAT, &[Some(1), None])],
            ..Header::default()
        };
        assert_eq!(shapes(&sound), Ok(()));
        let said = |change: &dyn Fn(&mut Header)| {
            let mut header = sound.clone();
            change(&mut header);
            shapes(&header).unwrap_err()
        };
        assert!(said(&|h| h.inputs[0].name = "tokens".into()).contains("no input 'input_ids'"));
        assert!(said(&|h| h.inputs[0].element = FLOAT).contains("'input_ids' is no"));
        assert!(said(&|h| h.inputs[1].shape[1] = Some(128)).contains("[1, 256]"));
        assert!(said(&|h| h.inputs[1].shape = vec![Some(256)]).contains("[1, 256]"));
        assert!(said(&|h| h.inputs.push(tensor("x", FLOAT, &[None]))).contains("4 inputs"));
        assert!(said(&|h| h.outputs.clear()).contains("no output"));
        assert!(said(&|h| h.outputs[0].element = INT64).contains("'waveform' is no"));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Vocabulary::parse(&octets);
        }
    }
}
