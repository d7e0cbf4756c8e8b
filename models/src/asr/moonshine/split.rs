//! The decoder's file without its last product (pure). Purpose: the graph as it is published unpacks its table of 32,768
//! tokens to reals and sorts it anew for every token that is written, which is most of what a step costs. So the graph is
//! made to end where that product begins, and the table is handed out for `projection`. Any thread, once a load.
//! Invariants: a file that is no such decoder, or is cut short, is refused with a reason; everything else of the file stays
//! as it is. Deliberately absent: running either.
//!
//! Layout: see `wire`; ModelProto {7 graph}, GraphProto {1 node, 5 initializer, 12 output}, AttributeProto {6 g},
//! ValueInfoProto {1 name, 2 type}.

use super::projection::Projection;
use super::wire::{Field, Node, UINT8, Weight, fields, push_octets, rewritten};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;

/// What the graph answers, before and after.
pub(super) const ANSWER: &str = "logits";
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
        nodes
            .iter()
            .position(|node| node.operator == operator && node.makes(of))
            .ok_or("its last product is another one")
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
        rewritten(
            output.octets(),
            |field| if field.number == 2 { Ok(Some(vec![kind(field.octets())?])) } else { Ok(None) },
        );
    Ok(Some(vec![made?]))
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
    use super::super::wire::{CUT_SHORT, message, node, weight};
    use super::*;
    use proptest::prelude::*;

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
