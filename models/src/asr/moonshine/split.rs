//! The decoder's file without its last product (pure). Purpose: the graph as it is published unpacks its table of 32,768
//! tokens to reals and sorts it anew for every token that is written, which is most of what a step costs. So the graph is
//! made to end where that product begins, and the table is handed out for `projection`. Any thread, once a load.
//! Invariants: a file that is no such decoder, or is cut short, is refused with a reason; everything else of the file stays
//! as it is. Deliberately absent: running either.
//!
//! Layout: `onnx.proto3` of ONNX 1.17: ModelProto {7 graph}, GraphProto {1 node, 5 initializer, 12 output}, NodeProto {1
//! input, 2 output, 4 op_type, 5 attribute}, AttributeProto {6 g}, ValueInfoProto {1 name, 2 type}, TensorProto {1 dims, 2
//! data_type, 4 float_data, 5 int32_data, 8 name, 9 raw_data}.

use super::projection::Projection;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;

/// What the graph answers, before and after.
pub(super) const ANSWER: &str = "logits";
/// `TensorProto.DataType`: octets without a sign.
const UINT8: u64 = 2;
const CUT_SHORT: &str = "it is cut short";

/// A field of a message.
#[derive(Clone, Copy)]
struct Field<'a> {
    number: u64,
    /// As it stands in the message, key and all.
    whole: &'a [u8],
    body: Body<'a>,
}

#[derive(Clone, Copy)]
enum Body<'a> {
    Number(u64),
    Octets(&'a [u8]),
    Fixed,
}

impl<'a> Field<'a> {
    fn octets(self) -> &'a [u8] {
        match self.body {
            Body::Octets(octets) => octets,
            Body::Number(_) | Body::Fixed => &[],
        }
    }

    fn text(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.octets())
    }
}

fn varint(from: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (octet, rest) = from.split_first().ok_or(CUT_SHORT)?;
        *from = rest;
        value |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("it holds a number without end")
}

fn take<'a>(from: &mut &'a [u8], count: u64) -> Result<&'a [u8], &'static str> {
    let count = usize::try_from(count).ok().filter(|count| *count <= from.len()).ok_or(CUT_SHORT)?;
    let (octets, rest) = from.split_at(count);
    *from = rest;
    Ok(octets)
}

fn fields(message: &[u8]) -> Result<Vec<Field<'_>>, &'static str> {
    let (mut rest, mut all) = (message, Vec::new());
    while !rest.is_empty() {
        let start = rest;
        let key = varint(&mut rest)?;
        let body = match key & 7 {
            0 => Body::Number(varint(&mut rest)?),
            1 => take(&mut rest, 8).map(|_| Body::Fixed)?,
            2 => {
                let length = varint(&mut rest)?;
                Body::Octets(take(&mut rest, length)?)
            }
            5 => take(&mut rest, 4).map(|_| Body::Fixed)?,
            _ => return Err("it holds a field of a kind that no model has"),
        };
        all.push(Field { number: key >> 3, whole: &start[..start.len() - rest.len()], body });
    }
    Ok(all)
}

fn push_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn push_octets(to: &mut Vec<u8>, number: u64, octets: &[u8]) {
    push_varint(to, number << 3 | 2);
    push_varint(to, octets.len() as u64);
    to.extend_from_slice(octets);
}

/// A message whose fields `change` keeps (`None`) or replaces by others of the same number.
fn rewritten<'a>(
    message: &'a [u8],
    mut change: impl FnMut(Field<'a>) -> Result<Option<Vec<Vec<u8>>>, &'static str>,
) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(message.len());
    for field in fields(message)? {
        match change(field)? {
            None => out.extend_from_slice(field.whole),
            Some(others) => others.iter().for_each(|octets| push_octets(&mut out, field.number, octets)),
        }
    }
    Ok(out)
}

/// What a node does, from what, to what.
struct Node<'a> {
    operator: Cow<'a, str>,
    inputs: Vec<Cow<'a, str>>,
    outputs: Vec<Cow<'a, str>>,
}

impl<'a> Node<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let mut node = Self { operator: Cow::Borrowed(""), inputs: Vec::new(), outputs: Vec::new() };
        for field in fields(message)? {
            match field.number {
                1 => node.inputs.push(field.text()),
                2 => node.outputs.push(field.text()),
                4 => node.operator = field.text(),
                _ => {}
            }
        }
        Ok(node)
    }

    fn makes(&self, name: &str) -> bool {
        self.outputs.iter().any(|output| output == name)
    }
}

/// Where the table lies, by name.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    octets: String,
    scale: String,
    zero: String,
}

/// Takes the last product out of one branch. Says what it multiplied with.
fn cut(branch: &[u8]) -> Result<(Vec<u8>, Table), &'static str> {
    let nodes: Vec<Node<'_>> = fields(branch)?
        .into_iter()
        .filter(|field| field.number == 1)
        .map(|field| Node::parse(field.octets()))
        .collect::<Result<_, _>>()?;
    let maker = |operator: &str, of: &str| {
        nodes.iter().position(|node| node.operator == operator && node.makes(of)).ok_or("its last product is another one")
    };
    let product = maker("MatMul", ANSWER)?;
    let [hidden, weights] = nodes[product].inputs.as_slice() else { return Err("its last product is another one") };
    let unpacked = maker("DequantizeLinear", weights)?;
    let [turned, scale, zero] = nodes[unpacked].inputs.as_slice() else { return Err("its table is packed otherwise") };
    let turn = maker("Transpose", turned)?;
    let [octets] = nodes[turn].inputs.as_slice() else { return Err("its table is packed otherwise") };
    let table = Table { octets: octets.to_string(), scale: scale.to_string(), zero: zero.to_string() };
    let mut at = 0;
    let made = rewritten(branch, |field| match field.number {
        1 => {
            at += 1;
            Ok(match at - 1 {
                n if n == unpacked || n == turn => Some(Vec::new()),
                n if n == product => {
                    let mut same = Vec::new();
                    for (number, text) in [(1, hidden.as_ref()), (2, ANSWER), (4, "Identity")] {
                        push_octets(&mut same, number, text.as_bytes());
                    }
                    Some(vec![same])
                }
                _ => None,
            })
        }
        12 => shapeless(field),
        _ => Ok(None),
    })?;
    Ok((made, table))
}

/// The answer of another shape: it says none.
fn shapeless(output: Field<'_>) -> Result<Option<Vec<Vec<u8>>>, &'static str> {
    let name = fields(output.octets())?.into_iter().find(|field| field.number == 1);
    if name.is_none_or(|name| name.text() != ANSWER) {
        return Ok(None);
    }
    // TypeProto {1 tensor_type}, Tensor {1 elem_type, 2 shape}.
    let tensor = |tensor: &[u8]| rewritten(tensor, |field| Ok((field.number == 2).then(Vec::new)));
    let kind = |kind: &[u8]| {
        rewritten(kind, |field| if field.number == 1 { Ok(Some(vec![tensor(field.octets())?])) } else { Ok(None) })
    };
    let made =
        rewritten(output.octets(), |field| if field.number == 2 { Ok(Some(vec![kind(field.octets())?])) } else { Ok(None) });
    Ok(Some(vec![made?]))
}

/// A weight of the graph.
#[derive(Default)]
struct Weight<'a> {
    shape: Vec<u64>,
    kind: u64,
    raw: &'a [u8],
    /// Numbers that are written one by one.
    listed: Option<&'a [u8]>,
}

impl<'a> Weight<'a> {
    fn parse(message: &'a [u8]) -> Result<(Cow<'a, str>, Self), &'static str> {
        let (mut name, mut weight) = (Cow::Borrowed(""), Self::default());
        for field in fields(message)? {
            match (field.number, field.body) {
                (1, Body::Number(length)) => weight.shape.push(length),
                (1, Body::Octets(mut lengths)) => {
                    while !lengths.is_empty() {
                        weight.shape.push(varint(&mut lengths)?);
                    }
                }
                (2, Body::Number(kind)) => weight.kind = kind,
                (4 | 5, Body::Octets(listed)) => weight.listed = Some(listed),
                (8, _) => name = field.text(),
                (9, Body::Octets(raw)) => weight.raw = raw,
                _ => {}
            }
        }
        Ok((name, weight))
    }

    fn real(&self) -> Option<f32> {
        let octets = if self.raw.is_empty() { self.listed? } else { self.raw };
        Some(f32::from_le_bytes(octets.try_into().ok()?))
    }

    fn octet(&self) -> Option<u8> {
        match (self.raw, self.listed) {
            ([octet], _) => Some(*octet),
            ([], Some(mut listed)) => u8::try_from(varint(&mut listed).ok()?).ok(),
            _ => None,
        }
    }
}

/// The model whose answer is what its last product would have been made from, and that product.
///
/// # Errors
/// Why it is no such model.
pub(super) fn split(model: &[u8]) -> Result<(Vec<u8>, Projection), String> {
    let mut tables: Vec<Table> = Vec::new();
    let mut weights: HashMap<Cow<'_, str>, Weight<'_>, RandomState> = HashMap::default();
    let whole = rewritten(model, |field| {
        if field.number != 7 {
            return Ok(None);
        }
        let graph = rewritten(field.octets(), |field| match field.number {
            1 if Node::parse(field.octets())?.operator == "If" => {
                let node = rewritten(field.octets(), |field| match field.number {
                    5 => {
                        let attribute = rewritten(field.octets(), |field| match field.number {
                            6 => {
                                let (branch, table) = cut(field.octets())?;
                                tables.push(table);
                                Ok(Some(vec![branch]))
                            }
                            _ => Ok(None),
                        })?;
                        Ok(Some(vec![attribute]))
                    }
                    _ => Ok(None),
                })?;
                Ok(Some(vec![node]))
            }
            5 => {
                let (name, weight) = Weight::parse(field.octets())?;
                weights.insert(name, weight);
                Ok(None)
            }
            12 => shapeless(field),
            _ => Ok(None),
        })?;
        Ok(Some(vec![graph]))
    })?;
    let [table, others @ ..] = tables.as_slice() else { return Err("it has no branches".to_owned()) };
    if others.iter().any(|other| other != table) {
        return Err("its branches do not end alike".to_owned());
    }
    let missing = || "its table is missing".to_owned();
    let octets = weights.get(table.octets.as_str()).filter(|octets| octets.kind == UINT8).ok_or_else(missing)?;
    let scale = weights.get(table.scale.as_str()).and_then(Weight::real).ok_or_else(missing)?;
    let zero = weights.get(table.zero.as_str()).and_then(Weight::octet).ok_or_else(missing)?;
    let [rows, width] = octets.shape.as_slice() else { return Err(missing()) };
    let projection = Projection::new(octets.raw, (*rows, *width), scale, zero)?;
    Ok((whole, projection))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(parts: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, octets) in parts {
            push_octets(&mut out, *number, octets);
        }
        out
    }

    fn node(operator: &str, inputs: &[&str], output: &str) -> (u64, Vec<u8>) {
        let mut parts: Vec<(u64, Vec<u8>)> = inputs.iter().map(|input| (1, input.as_bytes().to_vec())).collect();
        parts.extend([(2, output.as_bytes().to_vec()), (4, operator.as_bytes().to_vec())]);
        (1, message(&parts))
    }

    fn answer() -> (u64, Vec<u8>) {
        // Of reals, [1].
        let tensor = [vec![8, 1], message(&[(2, message(&[(1, vec![8, 1])]))])].concat();
        (12, message(&[(1, ANSWER.into()), (2, message(&[(1, tensor)]))]))
    }

    fn branch(table: &str) -> Vec<u8> {
        message(&[
            node("Gather", &["table", "ids"], "before"),
            node("Transpose", &[table], "turned"),
            node("DequantizeLinear", &["turned", "scale", "zero"], "weights"),
            node("MatMul", &["before", "weights"], ANSWER),
            answer(),
        ])
    }

    fn weight(name: &str, shape: &[u8], kind: u8, raw: &[u8]) -> (u64, Vec<u8>) {
        let mut out: Vec<u8> = shape.iter().flat_map(|length| [8, *length]).collect();
        out.extend([16, kind]);
        out.extend(message(&[(8, name.into()), (9, raw.to_vec())]));
        (5, out)
    }

    fn model(tables: [&str; 2]) -> Vec<u8> {
        let branches = tables.map(|table| (5, message(&[(1, b"branch".to_vec()), (6, branch(table))])));
        let mut choice = branches.to_vec();
        choice.extend([(2, ANSWER.into()), (4, b"If".to_vec())]);
        let graph = message(&[
            (1, message(&choice)),
            weight("table", &[3, 2], 2, &[1, 2, 3, 4, 5, 6]),
            weight("scale", &[], 1, &0.5_f32.to_le_bytes()),
            weight("zero", &[], 2, &[129]),
            answer(),
        ]);
        [vec![8, 10], message(&[(7, graph), (8, vec![1])])].concat()
    }

    #[test]
    fn the_graph_ends_before_its_last_product_whose_table_is_handed_out() {
        let (made, projection) = split(&model(["table", "table"])).unwrap();
        assert_eq!((projection.rows(), projection.width()), (3, 2));
        let shown = String::from_utf8_lossy(&made);
        assert!(shown.contains("Identity") && shown.contains("Gather"), "{shown}");
        assert!(["MatMul", "DequantizeLinear", "Transpose"].iter().all(|gone| !shown.contains(gone)), "{shown}");
        // What it is made into is no such model any more.
        assert_eq!(split(&made).unwrap_err(), "its last product is another one");
        let mut logits = vec![0.0; 3];
        let mut sums = Vec::new();
        projection.project(&[1.0, -1.0], &mut logits, &mut sums);
        assert!(logits.iter().all(|logit| (logit + 0.5).abs() < 1e-3), "{logits:?}");
    }

    #[test]
    fn other_models_are_refused() {
        assert_eq!(split(&[]).unwrap_err(), "it has no branches");
        assert_eq!(split(&model(["table", "other"])).unwrap_err(), "its branches do not end alike");
        assert_eq!(split(&model(["other", "other"])).unwrap_err(), "its table is missing");
        let whole = model(["table", "table"]);
        assert_eq!(split(&whole[..whole.len() / 2]).unwrap_err(), CUT_SHORT);
    }

    proptest! {
        #[test]
        fn damage_is_survived(at in 0_usize..400, octet in any::<u8>(), end in 0_usize..400) {
            let mut model = model(["table", "table"]);
            let length = model.len();
            model[at % length] = octet;
            let _ = split(&model);
            let _ = split(&model[..end % length]);
        }
    }
}
