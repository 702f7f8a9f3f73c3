//! Schemas out of a number, schemas that grew from others, and values that use every part of a schema.

use std::collections::HashSet;

use osqdemo_avro::{Kind, NodeId, Schema, Value};
use serde_json::{Value as Json, json};

/// Numbers that follow from a seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];
const SYMBOLS: [&str; 4] = ["A", "B", "C", "D"];

/// A type without names: those follow from where it stands, so that what changed keeps its name.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    Primitive(usize),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    Record(Vec<(usize, Type, bool)>),
    Enum(Vec<usize>, bool),
    Fixed(usize),
}

impl Type {
    pub(crate) fn any(dice: &mut Dice, depth: usize) -> Self {
        let kinds = if depth == 0 { 3 } else { 8 };
        match dice.below(kinds) {
            0 => Self::Primitive(dice.below(PRIMITIVES.len())),
            1 => Self::Enum(some(dice, SYMBOLS.len()), dice.one_in(2)),
            2 => Self::Fixed(dice.below(4)),
            3 => Self::Array(Box::new(Self::any(dice, depth - 1))),
            4 => Self::Map(Box::new(Self::any(dice, depth - 1))),
            5 => Self::Union((0..=dice.below(3)).map(|_| Self::any(dice, depth - 1)).collect()).tidy(),
            _ => Self::Record(
                some(dice, 4)
                    .into_iter()
                    .map(|field| (field, Self::any(dice, depth - 1), dice.one_in(2)))
                    .collect(),
            ),
        }
    }

    /// Another version of it.
    pub(crate) fn evolved(&self, dice: &mut Dice) -> Self {
        if dice.one_in(12) {
            return Self::any(dice, 1);
        }
        if dice.one_in(10) && !matches!(self, Self::Union(_)) {
            return Self::Union(vec![Self::Primitive(0), self.clone()]).tidy();
        }
        match self {
            Self::Primitive(place) if dice.one_in(4) => {
                Self::Primitive((place + 1 + dice.below(2)) % PRIMITIVES.len())
            }
            Self::Primitive(place) => Self::Primitive(*place),
            Self::Array(items) => Self::Array(Box::new(items.evolved(dice))),
            Self::Map(values) => Self::Map(Box::new(values.evolved(dice))),
            Self::Union(branches) => {
                let mut branches: Vec<Self> = branches.iter().map(|branch| branch.evolved(dice)).collect();
                if dice.one_in(4) {
                    branches.push(Self::any(dice, 1));
                }
                if dice.one_in(4) && branches.len() > 1 {
                    branches.remove(dice.below(branches.len()));
                }
                Self::Union(branches).tidy()
            }
            Self::Record(fields) => {
                let mut fields: Vec<_> = fields
                    .iter()
                    .map(|(name, field, default)| {
                        (
                            *name,
                            field.evolved(dice),
                            if dice.one_in(5) { !default } else { *default },
                        )
                    })
                    .collect();
                if dice.one_in(4) && !fields.is_empty() {
                    fields.remove(dice.below(fields.len()));
                }
                if dice.one_in(4) {
                    fields.push((4 + dice.below(2), Self::any(dice, 1), dice.one_in(2)));
                }
                if dice.one_in(3) {
                    fields.reverse();
                }
                Self::Record(fields)
            }
            Self::Enum(symbols, default) => {
                let mut symbols = symbols.clone();
                if dice.one_in(3) && symbols.len() > 1 {
                    symbols.remove(dice.below(symbols.len()));
                }
                Self::Enum(symbols, if dice.one_in(4) { !default } else { *default })
            }
            Self::Fixed(size) => Self::Fixed(if dice.one_in(4) { size + 1 } else { *size }),
        }
    }

    /// A union with no union in it and no type twice.
    fn tidy(self) -> Self {
        let Self::Union(branches) = self else { return self };
        let mut known = HashSet::new();
        let mut kept = Vec::new();
        for branch in branches {
            let label = match &branch {
                Self::Union(_) => continue,
                Self::Primitive(place) => PRIMITIVES[*place],
                Self::Array(_) => "array",
                Self::Map(_) => "map",
                Self::Record(_) => "record",
                Self::Enum(..) => "enum",
                Self::Fixed(_) => "fixed",
            };
            if known.insert(label) {
                kept.push(branch);
            }
        }
        if kept.is_empty() {
            kept.push(Self::Primitive(0));
        }
        Self::Union(kept)
    }

    /// Its schema, with names by the place where it stands.
    pub(crate) fn schema(&self, place: &str) -> Json {
        match self {
            Self::Primitive(primitive) => json!(PRIMITIVES[*primitive]),
            Self::Array(items) => json!({"type": "array", "items": items.schema(&format!("{place}i"))}),
            Self::Map(values) => json!({"type": "map", "values": values.schema(&format!("{place}v"))}),
            Self::Union(branches) => {
                let branches = branches.iter();
                Json::Array(
                    branches
                        .map(|branch| branch.schema(&format!("{place}u")))
                        .collect(),
                )
            }
            Self::Record(fields) => {
                let fields = fields.iter().map(|(name, field, default)| {
                    let schema = field.schema(&format!("{place}f{name}"));
                    let mut json = json!({"name": format!("f{name}"), "type": schema});
                    if *default {
                        json["default"] = field.default();
                    }
                    json
                });
                json!({"type": "record", "name": format!("R{place}"), "namespace": "t", "fields": fields.collect::<Vec<_>>()})
            }
            Self::Enum(symbols, default) => {
                let symbols: Vec<&str> = symbols.iter().map(|symbol| SYMBOLS[*symbol]).collect();
                let mut json = json!({"type": "enum", "name": format!("E{place}"), "symbols": symbols});
                if *default {
                    json["default"] = json!(symbols[0]);
                }
                json
            }
            Self::Fixed(size) => json!({"type": "fixed", "name": format!("X{place}"), "size": size}),
        }
    }

    fn default(&self) -> Json {
        match self {
            Self::Primitive(0) => Json::Null,
            Self::Primitive(1) => json!(false),
            Self::Primitive(2 | 3) => json!(7),
            Self::Primitive(4 | 5) => json!(0.5),
            Self::Primitive(_) => json!("d"),
            Self::Array(_) => json!([]),
            Self::Map(_) => json!({}),
            Self::Union(branches) => branches[0].default(),
            Self::Record(fields) => fields
                .iter()
                .map(|(name, field, _)| (format!("f{name}"), field.default()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Self::Enum(symbols, _) => json!(SYMBOLS[symbols[0]]),
            Self::Fixed(size) => json!("\u{0}".repeat(*size)),
        }
    }
}

/// Some of the first numbers, at least one, in their order.
fn some(dice: &mut Dice, end: usize) -> Vec<usize> {
    let kept: Vec<usize> = (0..end).filter(|_| dice.one_in(2)).collect();
    if kept.is_empty() { vec![0] } else { kept }
}

/// Values that use every branch, every symbol and every field's type at least once.
pub(crate) fn covering(schema: &Schema, id: NodeId) -> Vec<Value> {
    match schema.kind(id) {
        Kind::Null => vec![Value::Null],
        Kind::Boolean => vec![Value::Boolean(false), Value::Boolean(true)],
        Kind::Int => vec![Value::Int(0), Value::Int(i32::MIN), Value::Int(i32::MAX)],
        Kind::Long => vec![Value::Long(-1), Value::Long(i64::MIN), Value::Long(i64::MAX)],
        Kind::Float => vec![Value::Float(0.25)],
        Kind::Double => vec![Value::Double(-1e300)],
        Kind::Bytes => vec![Value::Bytes(vec![]), Value::Bytes(b"bytes".to_vec())],
        Kind::String => vec![Value::String("Tür".to_owned())],
        Kind::Fixed(fixed) => vec![Value::Fixed(vec![9; fixed.size])],
        Kind::Enum(enumeration) => (0..enumeration.symbols.len() as u32).map(Value::Enum).collect(),
        Kind::Array(items) => {
            let items = covering(schema, *items);
            vec![Value::Array(vec![]), Value::Array(items)]
        }
        Kind::Map(values) => {
            let mut all = vec![Value::Map(vec![])];
            all.extend(
                covering(schema, *values)
                    .into_iter()
                    .map(|value| Value::Map(vec![("k".to_owned(), value)])),
            );
            all
        }
        Kind::Union(branches) => {
            let branches = branches.iter().enumerate();
            let values = branches.flat_map(|(place, branch)| {
                let values = covering(schema, *branch).into_iter();
                values.map(move |value| Value::Union(place as u32, Box::new(value)))
            });
            values.collect()
        }
        Kind::Record(record) => {
            let fields: Vec<Vec<Value>> = record
                .fields
                .iter()
                .map(|field| covering(schema, field.schema))
                .collect();
            let first: Vec<Value> = fields.iter().map(|values| values[0].clone()).collect();
            let mut all = vec![Value::Record(first.clone())];
            for (place, values) in fields.iter().enumerate() {
                for value in values.iter().skip(1) {
                    let mut record = first.clone();
                    record[place] = value.clone();
                    all.push(Value::Record(record));
                }
            }
            all
        }
    }
}
