//! The head of an ONNX model: metadata, and the names and shapes of what goes in and comes out.
//!
//! Purpose: knowing before a native library does whether a file is whole and the right kind of model: sherpa-onnx ends the
//! process where it is not. Any thread; reads a few kilobytes of the file and seeks over the weights. Invariants: bounded
//! memory whatever the file says. Deliberately absent: the graph's nodes and weights (ONNX Runtime checks those).
//!
//! Layout: `onnx.proto3` of ONNX 1.17: ModelProto {7 graph, 14 metadata_props}, GraphProto {11 input, 12 output},
//! ValueInfoProto {1 name, 2 type}, TypeProto.Tensor {1 elem_type, 2 shape}, TensorShapeProto.Dimension {1 dim_value}.

pub use super::protobuf::WireError;
use super::protobuf::{Value, Wire};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

/// `TensorProto.DataType`: 32-bit integers.
pub const INT32: u64 = 6;
/// `TensorProto.DataType`: half precision.
pub const FLOAT16: u64 = 10;

/// Longest name or metadata key.
const NAME_MAX: u64 = 4096;
/// Longest metadata value (feature statistics, language tables).
const VALUE_MAX: u64 = 1 << 20;
/// Metadata entries, inputs and outputs; a large streaming encoder has a few hundred.
const ENTRIES_MAX: usize = 4096;
/// Axes of a tensor.
const AXES_MAX: usize = 16;

/// What goes into a graph or comes out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Name.
    pub name: String,
    /// `TensorProto.DataType`; 0 where it is no tensor.
    pub element: u64,
    /// Axes; `None`: known only when it runs.
    pub shape: Vec<Option<u64>>,
}

/// The head of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// What the exporter wrote down.
    pub metadata: BTreeMap<String, String>,
    /// Inputs, in order; weights are among them in models of old exporters.
    pub inputs: Vec<Tensor>,
    /// Outputs, in order.
    pub outputs: Vec<Tensor>,
}

impl Header {
    /// Reads the head of the model in `file`.
    ///
    /// # Errors
    /// [`WireError`]: unreadable, cut short, or no ONNX model.
    pub fn read(file: &Path) -> Result<Self, WireError> {
        let file = File::open(file)?;
        let length = file.metadata()?.len();
        Self::parse(BufReader::with_capacity(64 << 10, file), length)
    }

    /// Reads the head of a model in memory.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn of(model: &[u8]) -> Result<Self, WireError> {
        Self::parse(Cursor::new(model), model.len() as u64)
    }

    fn parse(source: impl BufRead + Seek, length: u64) -> Result<Self, WireError> {
        if length == 0 {
            return Err(WireError::Malformed("it is empty"));
        }
        let mut wire = Wire::new(source);
        let mut header = Self::default();
        let mut has_graph = false;
        while let Some((number, value)) = wire.field(length)? {
            match (number, value) {
                (7, Value::Octets { end }) => {
                    has_graph = true;
                    header.graph(&mut wire, end)?;
                }
                (14, Value::Octets { end }) => {
                    let (mut key, mut text) = (String::new(), String::new());
                    while let Some((number, value)) = wire.field(end)? {
                        match number {
                            1 => key = wire.text(value, NAME_MAX)?,
                            2 => text = wire.text(value, VALUE_MAX)?,
                            _ => wire.skip(value)?,
                        }
                    }
                    if header.metadata.len() >= ENTRIES_MAX {
                        return Err(WireError::Malformed("it holds too much metadata"));
                    }
                    header.metadata.insert(key, text);
                }
                _ => wire.skip(value)?,
            }
        }
        if has_graph { Ok(header) } else { Err(WireError::Malformed("it holds no graph, so it is no ONNX model")) }
    }

    fn graph(&mut self, wire: &mut Wire<impl BufRead + Seek>, end: u64) -> Result<(), WireError> {
        while let Some((number, value)) = wire.field(end)? {
            match (number, value) {
                (11, Value::Octets { end }) => push(&mut self.inputs, tensor(wire, end)?)?,
                (12, Value::Octets { end }) => push(&mut self.outputs, tensor(wire, end)?)?,
                _ => wire.skip(value)?,
            }
        }
        Ok(())
    }

    /// The input of this name.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|tensor| tensor.name == name)
    }

    /// A whole number of the metadata, read as the engines do (leading digits); `None` where it is absent or negative.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        let text = self.metadata.get(key)?.trim_start();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..digits].parse().ok()
    }
}

fn push(to: &mut Vec<Tensor>, tensor: Tensor) -> Result<(), WireError> {
    if to.len() >= ENTRIES_MAX {
        return Err(WireError::Malformed("it holds too many inputs or outputs"));
    }
    to.push(tensor);
    Ok(())
}

fn tensor(wire: &mut Wire<impl BufRead + Seek>, end: u64) -> Result<Tensor, WireError> {
    let mut tensor = Tensor { name: String::new(), element: 0, shape: Vec::new() };
    while let Some((number, value)) = wire.field(end)? {
        match (number, value) {
            (1, _) => tensor.name = wire.text(value, NAME_MAX)?,
            (2, Value::Octets { end }) => {
                while let Some((number, value)) = wire.field(end)? {
                    match (number, value) {
                        (1, Value::Octets { end }) => tensor_type(wire, end, &mut tensor)?,
                        _ => wire.skip(value)?,
                    }
                }
            }
            _ => wire.skip(value)?,
        }
    }
    Ok(tensor)
}

fn tensor_type(wire: &mut Wire<impl BufRead + Seek>, end: u64, tensor: &mut Tensor) -> Result<(), WireError> {
    while let Some((number, value)) = wire.field(end)? {
        match (number, value) {
            (1, Value::Number(element)) => tensor.element = element,
            (2, Value::Octets { end }) => {
                while let Some((number, value)) = wire.field(end)? {
                    match (number, value) {
                        (1, Value::Octets { end }) => {
                            let mut axis = None;
                            while let Some((number, value)) = wire.field(end)? {
                                match (number, value) {
                                    (1, Value::Number(length)) => axis = Some(length),
                                    _ => wire.skip(value)?,
                                }
                            }
                            if tensor.shape.len() >= AXES_MAX {
                                return Err(WireError::Malformed("it holds a tensor of too many axes"));
                            }
                            tensor.shape.push(axis);
                        }
                        _ => wire.skip(value)?,
                    }
                }
            }
            _ => wire.skip(value)?,
        }
    }
    Ok(())
}
