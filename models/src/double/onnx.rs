//! ONNX files written by hand. Purpose: graphs of a few dozen nodes (inference and training) without a Python tool chain.
//!
//! The subset of `onnx.proto3` that those graphs need, in protobuf's wire format; operator set 17. Any thread. Invariant:
//! the same calls give the same octets. Deliberately absent: reading, type inference, checks of a graph's sense (ONNX
//! Runtime refuses nonsense when it loads).

use std::fmt;

/// `ir_version` 8 goes with operator set 17.
const IR_VERSION: u64 = 8;
/// Operator set of all nodes.
const OPERATOR_SET: u64 = 17;

/// A tensor's element type, with its number in `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32-bit floating point.
    F32 = 1,
    /// 16-bit integer.
    I16 = 5,
    /// 32-bit integer.
    I32 = 6,
    /// 64-bit integer.
    I64 = 7,
    /// 16-bit floating point.
    F16 = 10,
}

/// One dimension of an input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Always this many.
    Fixed(usize),
    /// As many as the caller brings, by name.
    Free(&'static str),
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// One integer.
    Int(i64),
    /// Several integers.
    Ints(Vec<i64>),
    /// One number.
    Float(f32),
}

/// A name within one graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(String);

/// A graph under construction.
#[derive(Default)]
pub struct Graph {
    nodes: Message,
    constants: Message,
    inputs: Message,
    outputs: Message,
    metadata: Message,
    values: usize,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").field("values", &self.values).finish_non_exhaustive()
    }
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares the next input.
    pub fn input(&mut self, name: &str, element: Element, shape: &[Dim]) -> Value {
        self.inputs.message(11, &value_info(name, element, shape));
        Value(name.to_owned())
    }

    /// Declares the next output: `value` under the name `name`.
    pub fn output(&mut self, value: &Value, name: &str, element: Element, shape: &[Dim]) {
        self.outputs.message(12, &value_info(name, element, shape));
        self.add("Identity", &[value], name, &[]);
    }

    /// A constant tensor of numbers; its size must be the product of `shape`.
    pub fn numbers(&mut self, shape: &[usize], data: &[f32]) -> Value {
        debug_assert_eq!(shape.iter().product::<usize>(), data.len());
        self.constant(Element::F32, shape, data.iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    /// A scalar.
    pub fn number(&mut self, number: f32) -> Value {
        self.numbers(&[], &[number])
    }

    /// A constant list of integers: a shape, axes, bounds.
    pub fn integers(&mut self, data: &[i64]) -> Value {
        let octets = data.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(Element::I64, &[data.len()], octets)
    }

    /// A node with one output.
    pub fn node(&mut self, operator: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        let value = self.fresh();
        self.add(operator, inputs, &value.0, attributes);
        value
    }

    /// Converts elements.
    pub fn cast(&mut self, value: &Value, to: Element) -> Value {
        self.node("Cast", &[value], &[("to", Attribute::Int(to as i64))])
    }

    /// Elements `from..to` along `axis`.
    pub fn slice(&mut self, value: &Value, axis: i64, from: i64, to: i64) -> Value {
        let (from, to, axis) = (self.integers(&[from]), self.integers(&[to]), self.integers(&[axis]));
        self.node("Slice", &[value, &from, &to, &axis], &[])
    }

    /// One after the other along `axis`.
    pub fn concat(&mut self, values: &[&Value], axis: i64) -> Value {
        self.node("Concat", values, &[("axis", Attribute::Int(axis))])
    }

    /// Another shape for the same elements; 0 keeps a dimension, −1 is what is left.
    pub fn reshape(&mut self, value: &Value, shape: &[i64]) -> Value {
        let shape = self.integers(shape);
        self.node("Reshape", &[value, &shape], &[])
    }

    /// A line of the file's own metadata.
    pub fn metadata(&mut self, key: &str, value: &str) {
        let mut entry = Message::default();
        entry.text(1, key);
        entry.text(2, value);
        self.metadata.message(14, &entry);
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut graph = Message::default();
        graph.raw(&self.nodes);
        graph.text(2, "graph");
        graph.raw(&self.constants);
        graph.raw(&self.inputs);
        graph.raw(&self.outputs);
        let mut operators = Message::default();
        operators.text(1, "");
        operators.integer(2, OPERATOR_SET);
        let mut model = Message::default();
        model.integer(1, IR_VERSION);
        model.text(2, "callwright");
        model.message(7, &graph);
        model.message(8, &operators);
        model.raw(&self.metadata);
        model.0
    }

    fn fresh(&mut self) -> Value {
        self.values += 1;
        Value(format!("v{}", self.values))
    }

    fn constant(&mut self, element: Element, shape: &[usize], octets: Vec<u8>) -> Value {
        let value = self.fresh();
        let mut tensor = Message::default();
        for size in shape {
            tensor.integer(1, *size as u64);
        }
        tensor.integer(2, element as u64);
        tensor.text(8, &value.0);
        tensor.octets(9, &octets);
        self.constants.message(5, &tensor);
        value
    }

    fn add(&mut self, operator: &str, inputs: &[&Value], output: &str, attributes: &[(&str, Attribute)]) {
        let mut node = Message::default();
        for input in inputs {
            node.text(1, &input.0);
        }
        node.text(2, output);
        node.text(4, operator);
        for (name, attribute) in attributes {
            let mut entry = Message::default();
            entry.text(1, name);
            // The last field is `AttributeProto.AttributeType`.
            match attribute {
                Attribute::Float(number) => {
                    entry.key(2, 5);
                    entry.0.extend(number.to_le_bytes());
                    entry.integer(20, 1);
                }
                Attribute::Int(integer) => {
                    entry.integer(3, *integer as u64);
                    entry.integer(20, 2);
                }
                Attribute::Ints(integers) => {
                    for integer in integers {
                        entry.integer(8, *integer as u64);
                    }
                    entry.integer(20, 7);
                }
            }
            node.message(5, &entry);
        }
        self.nodes.message(1, &node);
    }
}

fn value_info(name: &str, element: Element, shape: &[Dim]) -> Message {
    let mut dimensions = Message::default();
    for dim in shape {
        let mut dimension = Message::default();
        match dim {
            Dim::Fixed(size) => dimension.integer(1, *size as u64),
            Dim::Free(name) => dimension.text(2, name),
        }
        dimensions.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.integer(1, element as u64);
    tensor.message(2, &dimensions);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut info = Message::default();
    info.text(1, name);
    info.message(2, &kind);
    info
}

/// Fields of a protobuf message, encoded.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    fn integer(&mut self, field: u64, number: u64) {
        self.key(field, 0);
        self.varint(number);
    }

    fn octets(&mut self, field: u64, octets: &[u8]) {
        self.key(field, 2);
        self.varint(octets.len() as u64);
        self.0.extend(octets);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.octets(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.octets(field, &message.0);
    }

    fn raw(&mut self, fields: &Self) {
        self.0.extend(&fields.0);
    }
}
