//! A published graph by the names that its exporter gave (pure). Purpose: which table each module multiplies with, and what
//! its parameters are. Any thread, once a load. Invariants: what is missing, cut short or no number is refused by its name.
//! Deliberately absent: what a model of the family consists of (`weights`, `encoder`), the graph's order of doing it.
//!
//! Layout: see `wire`; GraphProto {1 node, 5 initializer}, AttributeProto {6 g}.

use super::matrix::{Matrix, Store};
use super::wire::{DEPTH_MAX, Field, INT8, Node, REAL, TOO_DEEP, UINT8, Weight, fields};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;

/// More layers than any model of this family has.
const LAYERS_MAX: usize = 32;

/// The only field of a number, or the first of them.
pub(super) fn only(fields: Vec<Field<'_>>, number: u64) -> Option<Field<'_>> {
    fields.into_iter().find(|field| field.number == number)
}

/// How the octets of a file become a table.
pub(super) type Make = fn(&mut Store, &[u8], (u64, u64), f32, u8) -> Result<Matrix, String>;

type Names<'a, T> = HashMap<Cow<'a, str>, T, RandomState>;

/// What the nodes and parameters of a graph are called.
#[derive(Default)]
pub(super) struct Parts<'a> {
    weights: Names<'a, Weight<'a>>,
    /// Which table each product is made with, and what stands for zero in it: by the module that it belongs to.
    products: HashMap<String, (Cow<'a, str>, Cow<'a, str>), RandomState>,
    /// The table of tokens, and what stands for zero in it.
    lookup: Option<(Cow<'a, str>, Cow<'a, str>)>,
    /// What the norm of a group is multiplied with, and what is added to it: by the operator.
    group: HashMap<String, Cow<'a, str>, RandomState>,
}

impl<'a> Parts<'a> {
    /// Looks through a graph.
    ///
    /// # Errors
    /// Where it is no such message.
    pub(super) fn of(graph: &'a [u8]) -> Result<Self, &'static str> {
        let mut parts = Self::default();
        for field in fields(graph)? {
            match field.number {
                1 => parts.look(field, 0)?,
                5 => {
                    let (name, weight) = Weight::parse(field.octets())?;
                    parts.weights.insert(name, weight);
                }
                _ => {}
            }
        }
        Ok(parts)
    }

    /// Layers that have products.
    ///
    /// # Errors
    /// They do not follow one another.
    pub(super) fn layers(&self) -> Result<usize, &'static str> {
        let has = |n: usize| self.products.keys().any(|module| module.starts_with(&format!("layers.{n}/")));
        let count = (0..LAYERS_MAX).take_while(|n| has(*n)).count();
        if (count..=LAYERS_MAX).any(has) { Err("its layers do not follow one another") } else { Ok(count) }
    }

    /// `depth`: branches that it is within.
    fn look(&mut self, node: Field<'a>, depth: usize) -> Result<(), &'static str> {
        let parsed = Node::parse(node.octets())?;
        let made = parsed.outputs.first().map_or("", |name| name.as_ref());
        match (parsed.operator.as_ref(), parsed.inputs.as_slice()) {
            ("MatMulInteger", [_, table, _, zero]) => {
                let module = made.split("/MatMul_output").next().unwrap_or_default();
                let module =
                    module.rsplit_once("/decoder/").map_or(module, |(_, module)| module).trim_start_matches('/');
                self.products.entry(module.to_owned()).or_insert_with(|| (table.clone(), zero.clone()));
            }
            ("DequantizeLinear", [_, _, zero]) if made.contains("embed_tokens/Gather") => {
                let table = zero.replace("_zero_point", "_quantized");
                self.lookup.get_or_insert_with(|| (table.into(), zero.clone()));
            }
            ("Mul" | "Add", [_, parameter]) if made.contains("/groupnorm/") => {
                self.group.insert(parsed.operator.into_owned(), parameter.clone());
            }
            ("If", _) if depth >= DEPTH_MAX => return Err(TOO_DEEP),
            ("If", _) => {
                for attribute in fields(node.octets())?.into_iter().filter(|field| field.number == 5) {
                    for branch in fields(attribute.octets())?.into_iter().filter(|field| field.number == 6) {
                        for inner in fields(branch.octets())?.into_iter().filter(|field| field.number == 1) {
                            self.look(inner, depth + 1)?;
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn matrix(&self, store: &mut Store, table: &str, zero: &str, make: Make) -> Result<Matrix, String> {
        let missing = || format!("its table {table} is missing");
        let octets = self.weights.get(table).filter(|octets| octets.kind == UINT8).ok_or_else(missing)?;
        let [first, second] = octets.shape.as_slice() else { return Err(missing()) };
        let scale = table.replace("_quantized", "_scale");
        let scale = self.weights.get(scale.as_str()).and_then(Weight::real).ok_or_else(missing)?;
        let zero = self.weights.get(zero).and_then(Weight::octet).ok_or_else(missing)?;
        make(store, octets.raw, (*first, *second), scale, zero)
    }

    /// The table of tokens; `None`: there is none.
    pub(super) fn lookup(&self, store: &mut Store) -> Result<Option<Matrix>, String> {
        self.lookup.as_ref().map(|(table, zero)| self.matrix(store, table, zero, Matrix::new)).transpose()
    }

    /// The table that a module multiplies with.
    pub(super) fn product(&self, store: &mut Store, module: &str) -> Result<Matrix, String> {
        let (table, zero) = self.products.get(module).ok_or_else(|| format!("its {module} is missing"))?;
        self.matrix(store, table, zero, Matrix::turned)
    }

    /// The numbers of a parameter.
    pub(super) fn reals(&self, parameter: &str) -> Result<Vec<f32>, String> {
        let missing = || format!("its {parameter} is missing");
        let known = self.weights.iter().find(|(name, weight)| weight.kind == REAL && name.starts_with(parameter));
        let reals = known.ok_or_else(missing)?.1.reals();
        if reals.is_empty() || !reals.iter().all(|real| real.is_finite()) { Err(missing()) } else { Ok(reals) }
    }

    /// By how much pairs turn with each place.
    pub(super) fn turns(&self) -> Result<Vec<f32>, String> {
        let mut known =
            self.weights.iter().filter(|(name, weight)| weight.kind == REAL && name.contains("rotary_emb/Cast"));
        known.next().map(|(_, weight)| weight.reals()).ok_or_else(|| "its places are missing".to_owned())
    }

    /// Whether anything is normed as a group.
    pub(super) fn has_group(&self) -> bool {
        !self.group.is_empty()
    }

    /// The numbers that the norm of a group is multiplied with (`Mul`), or that are added to it (`Add`).
    pub(super) fn group(&self, operator: &str) -> Result<Vec<f32>, String> {
        let parameter = self.group.get(operator).ok_or_else(|| format!("its group norm has no {operator}"))?;
        self.reals(parameter)
    }

    /// The table of a convolution over time, and how many moments it takes together.
    pub(super) fn convolution(&self, store: &mut Store, name: &str) -> Result<(Matrix, usize), String> {
        let missing = || format!("its {name} is missing");
        let part = |part: &str| self.weights.get(format!("{name}.weight_{part}").as_str());
        let octets = part("quantized").filter(|octets| octets.kind == INT8).ok_or_else(missing)?;
        let [out, channels, moments] = *octets.shape.as_slice() else { return Err(missing()) };
        let scale = part("scale").and_then(Weight::real).ok_or_else(missing)?;
        // What is added to octets times scale.
        let zero = -part("zero_point").and_then(Weight::real).ok_or_else(missing)? / scale;
        if (zero - zero.round()).abs() > 1e-2 || !(-128.0..=127.0).contains(&zero.round()) {
            return Err(format!("its {name} has no octet that stands for zero"));
        }
        // Within what an octet holds.
        let zero = zero.round() as i8;
        let matrix = Matrix::convolution(store, octets.raw, (out, channels, moments), scale, zero)?;
        usize::try_from(moments).map(|moments| (matrix, moments)).map_err(|_| missing())
    }
}
