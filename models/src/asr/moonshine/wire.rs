//! Models as messages in memory (pure). Purpose: reading a published graph. Any thread. Invariants: a message that is cut short
//! is an error, and nothing is read beyond its end. Deliberately absent: what is read (`parts`), models that are too large
//! for memory (`pack`).
//!
//! Layout: protocol buffers; `onnx.proto3` of ONNX 1.17: NodeProto {1 input, 2 output, 4 op_type, 5 attribute}, TensorProto
//! {1 dims, 2 data_type, 4 float_data, 5 int32_data, 8 name, 9 raw_data}.

use std::borrow::Cow;

/// `TensorProto.DataType`: reals of 32 bits, octets without a sign, and with one.
pub(super) const REAL: u64 = 1;
pub(super) const UINT8: u64 = 2;
pub(super) const INT8: u64 = 3;
pub(super) const CUT_SHORT: &str = "it is cut short";
pub(super) const TOO_DEEP: &str = "its branches are nested more deeply than those of any model";
/// Graphs within branches of graphs; those of this family have one level. Whoever reads them calls itself.
pub(super) const DEPTH_MAX: usize = 16;

/// A field of a message.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) body: Body<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    Number(u64),
    Octets(&'a [u8]),
    Fixed,
}

impl<'a> Field<'a> {
    pub(super) fn octets(self) -> &'a [u8] {
        match self.body {
            Body::Octets(octets) => octets,
            Body::Number(_) | Body::Fixed => &[],
        }
    }

    pub(super) fn text(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.octets())
    }
}

pub(super) fn varint(from: &mut &[u8]) -> Result<u64, &'static str> {
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

pub(super) fn fields(message: &[u8]) -> Result<Vec<Field<'_>>, &'static str> {
    let (mut rest, mut all) = (message, Vec::new());
    while !rest.is_empty() {
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
        all.push(Field { number: key >> 3, body });
    }
    Ok(all)
}

#[cfg(test)]
pub(super) fn push_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
pub(super) fn push_octets(to: &mut Vec<u8>, number: u64, octets: &[u8]) {
    push_varint(to, number << 3 | 2);
    push_varint(to, octets.len() as u64);
    to.extend_from_slice(octets);
}

/// What a node does, from what, to what.
pub(super) struct Node<'a> {
    pub(super) operator: Cow<'a, str>,
    pub(super) inputs: Vec<Cow<'a, str>>,
    pub(super) outputs: Vec<Cow<'a, str>>,
}

impl<'a> Node<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
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
}

/// A weight of the graph.
#[derive(Default)]
pub(super) struct Weight<'a> {
    pub(super) shape: Vec<u64>,
    pub(super) kind: u64,
    pub(super) raw: &'a [u8],
    /// Numbers that are written one by one.
    listed: Option<&'a [u8]>,
}

impl<'a> Weight<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<(Cow<'a, str>, Self), &'static str> {
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

    pub(super) fn real(&self) -> Option<f32> {
        let octets = if self.raw.is_empty() { self.listed? } else { self.raw };
        Some(f32::from_le_bytes(octets.try_into().ok()?))
    }

    /// All numbers of one of reals; none of one that is cut short.
    pub(super) fn reals(&self) -> Vec<f32> {
        let octets = if self.raw.is_empty() { self.listed.unwrap_or_default() } else { self.raw };
        let (reals, rest) = octets.as_chunks::<4>();
        if rest.is_empty() { reals.iter().map(|real| f32::from_le_bytes(*real)).collect() } else { Vec::new() }
    }

    pub(super) fn octet(&self) -> Option<u8> {
        match (self.raw, self.listed) {
            ([octet], _) => Some(*octet),
            ([], Some(mut listed)) => u8::try_from(varint(&mut listed).ok()?).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) fn message(parts: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, octets) in parts {
        push_octets(&mut out, *number, octets);
    }
    out
}

/// A model of choices within choices, so many, and nothing else. Written from its end, as what is inside is within each length.
#[cfg(test)]
pub(super) fn nested(levels: usize) -> Vec<u8> {
    fn close(reversed: &mut Vec<u8>, from: usize, number: u64) {
        let mut head = Vec::new();
        push_varint(&mut head, number << 3 | 2);
        push_varint(&mut head, (reversed.len() - from) as u64);
        reversed.extend(head.into_iter().rev());
    }
    let mut reversed = Vec::new();
    for _ in 0..levels {
        // A graph's node with a branch in an attribute.
        close(&mut reversed, 0, 6);
        close(&mut reversed, 0, 5);
        let from = reversed.len();
        reversed.extend(b"fI");
        close(&mut reversed, from, 4);
        close(&mut reversed, 0, 1);
    }
    close(&mut reversed, 0, 7);
    reversed.reverse();
    reversed
}

#[cfg(test)]
pub(super) fn node(operator: &str, inputs: &[&str], output: &str) -> (u64, Vec<u8>) {
    let mut parts: Vec<(u64, Vec<u8>)> = inputs.iter().map(|input| (1, input.as_bytes().to_vec())).collect();
    parts.extend([(2, output.as_bytes().to_vec()), (4, operator.as_bytes().to_vec())]);
    (1, message(&parts))
}

#[cfg(test)]
pub(super) fn weight(name: &str, shape: &[u8], kind: u8, raw: &[u8]) -> (u64, Vec<u8>) {
    let mut out: Vec<u8> = shape.iter().flat_map(|length| [8, *length]).collect();
    out.extend([16, kind]);
    out.extend(message(&[(8, name.into()), (9, raw.to_vec())]));
    (5, out)
}
