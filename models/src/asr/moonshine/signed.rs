//! Weights with a sign (pure). Purpose: processors multiply octets without a sign by octets with one, four at a time, in one
//! instruction; the published graphs have both without, for which there is none. Any thread, once a load. Invariants: moving
//! weights and what stands for zero by the same 128 changes no result, not in its last bit; weights that anything else
//! reads stay as they are. Deliberately absent: which processors gain by it (`graph`).
//!
//! Layout: see `wire`; MatMulInteger {0 A, 1 B, 2 zero of A, 3 zero of B}.

use super::wire::{
    Body, DEPTH_MAX, INT8, Node, TOO_DEEP, UINT8, Weight, fields, push_octets, push_varint, rewritten, varint,
};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Whether something is read by products alone, as their second factor.
type Uses<'a> = BTreeMap<Cow<'a, str>, bool>;

/// `depth`: branches that this one is within.
fn look<'a>(graph: &'a [u8], depth: usize, uses: &mut Uses<'a>) -> Result<(), &'static str> {
    if depth > DEPTH_MAX {
        return Err(TOO_DEEP);
    }
    for field in fields(graph)?.into_iter().filter(|field| field.number == 1) {
        let node = Node::parse(field.octets())?;
        let product = node.operator == "MatMulInteger";
        for (n, input) in node.inputs.into_iter().enumerate() {
            *uses.entry(input).or_insert(true) &= product && matches!(n, 1 | 3);
        }
        // Branches: NodeProto {5 attribute}, AttributeProto {6 g}.
        for attribute in fields(field.octets())?.into_iter().filter(|field| field.number == 5) {
            for branch in fields(attribute.octets())?.into_iter().filter(|field| field.number == 6) {
                look(branch.octets(), depth + 1, uses)?;
            }
        }
    }
    Ok(())
}

fn moved(weight: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(weight.len() + 1);
    for field in fields(weight)? {
        match (field.number, field.body) {
            (2, Body::Number(_)) => {
                push_varint(&mut out, 2 << 3);
                push_varint(&mut out, INT8);
            }
            (9, Body::Octets(raw)) => {
                let octets: Vec<u8> = raw.iter().map(|octet| octet ^ 0x80).collect();
                push_octets(&mut out, 9, &octets);
            }
            // One by one, as 32-bit numbers: as octets there are no two ways to write a sign.
            (5, Body::Octets(mut listed)) => {
                let mut octets = Vec::new();
                while !listed.is_empty() {
                    let octet = u8::try_from(varint(&mut listed)?).map_err(|_| "it holds an octet that is none")?;
                    octets.push(octet ^ 0x80);
                }
                push_octets(&mut out, 9, &octets);
            }
            _ => out.extend_from_slice(field.whole),
        }
    }
    Ok(out)
}

/// The same model with signs in the weights of its products.
///
/// # Errors
/// Why it is no model.
pub(super) fn signed(model: &[u8]) -> Result<Vec<u8>, &'static str> {
    rewritten(model, |field| {
        if field.number != 7 {
            return Ok(None);
        }
        let mut uses = Uses::new();
        look(field.octets(), 0, &mut uses)?;
        let graph = rewritten(field.octets(), |field| {
            if field.number != 5 {
                return Ok(None);
            }
            let (name, weight) = Weight::parse(field.octets())?;
            let moves = weight.kind == UINT8 && uses.get(&name) == Some(&true);
            Ok(if moves { Some(vec![moved(field.octets())?]) } else { None })
        })?;
        Ok(Some(vec![graph]))
    })
}

#[cfg(test)]
mod tests {
    use super::super::wire::{message, nested, node, weight};
    use super::*;
    use proptest::prelude::*;

    /// Two products, one of them in a branch, and a table that is looked up as well.
    fn model() -> Vec<u8> {
        let product = |b: &str, zero: &str| node("MatMulInteger", &["x", b, "x_zero", zero], "y");
        let branch = message(&[product("inner", "zero"), node("Gather", &["table", "ids"], "row")]);
        let choice = message(&[(5, message(&[(6, branch)])), (4, b"If".to_vec())]);
        let graph = message(&[
            (1, choice),
            product("outer", "zero"),
            product("table", "zero"),
            weight("outer", &[2, 1], 2, &[0, 255]),
            weight("inner", &[1, 2], 2, &[128, 127]),
            weight("table", &[1, 2], 2, &[3, 4]),
            weight("x_zero", &[], 2, &[7]),
            // Written one by one.
            (5, [vec![16, 2], message(&[(5, vec![0x81, 1]), (8, b"zero".to_vec())])].concat()),
        ]);
        message(&[(7, graph)])
    }

    fn weights(model: &[u8]) -> Vec<(String, u64, Vec<u8>)> {
        let graph = fields(model).unwrap()[0].octets();
        let weights = fields(graph).unwrap().into_iter().filter(|field| field.number == 5);
        let read = |field: super::super::wire::Field<'_>| {
            let (name, weight) = Weight::parse(field.octets()).unwrap();
            (name.into_owned(), weight.kind, weight.raw.to_vec())
        };
        weights.map(read).collect()
    }

    #[test]
    fn second_factors_and_their_zeros_move_and_nothing_else_does() {
        let made = signed(&model()).unwrap();
        let expected = [
            ("outer", INT8, vec![128, 127]),
            ("inner", INT8, vec![0, 255]),
            ("table", UINT8, vec![3, 4]),
            ("x_zero", UINT8, vec![7]),
            ("zero", INT8, vec![1]),
        ];
        assert_eq!(weights(&made), expected.map(|(name, kind, raw)| (name.to_owned(), kind, raw)));
    }

    #[test]
    fn branches_without_end_are_refused() {
        assert_eq!(signed(&nested(1_000_000)), Err(TOO_DEEP));
        assert_eq!(signed(&nested(DEPTH_MAX + 1)), Err(TOO_DEEP));
        assert_eq!(signed(&nested(DEPTH_MAX)), Ok(nested(DEPTH_MAX)));
    }

    proptest! {
        #[test]
        fn damage_is_survived(at in 0_usize..400, octet in any::<u8>(), end in 0_usize..400) {
            let mut model = model();
            let length = model.len();
            model[at % length] = octet;
            let _ = signed(&model);
            let _ = signed(&model[..end % length]);
        }
    }
}
