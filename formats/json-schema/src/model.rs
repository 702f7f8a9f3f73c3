//! What a schema accepts, as one kind of values, or as several that are combined.
//!
//! A schema of many words says several things at once: `type` with the words of that type, `enum`, `not`, `anyOf`. Each of
//! them is a part, and all parts have to be met.

use serde_json::{Map, Value};

/// The words of an object that a schema is.
pub(crate) type Words = Map<String, Value>;

const TEXT: [&str; 3] = ["maxLength", "minLength", "pattern"];
const NUMBER: [&str; 5] = [
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maximum",
    "minimum",
    "multipleOf",
];
const OBJECT: [&str; 10] = [
    "additionalProperties",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "maxProperties",
    "minProperties",
    "patternProperties",
    "properties",
    "propertyNames",
    "required",
];
const ARRAY: [&str; 7] = [
    "additionalItems",
    "contains",
    "items",
    "maxItems",
    "minItems",
    "prefixItems",
    "uniqueItems",
];

/// How many schemas that only stand for another are followed one after the other.
const MOST_HOPS: usize = 64;

/// A schema, or one thing that it says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'a> {
    Schema(&'a Value),
    Part(Part, &'a Words),
}

/// One thing that a schema says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The values of a type, as its words narrow them.
    Typed(Type),
    /// One of the types in a list.
    AnyType,
    Enum,
    Const,
    Not,
    If,
    Reference,
    Combined(Criterion),
}

/// The types of JSON that schemas tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Boolean,
    Text,
    Integer,
    Number,
    Object,
    Array,
}

impl Type {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "string" => Self::Text,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "object" => Self::Object,
            "array" => Self::Array,
            _ => return None,
        })
    }
}

/// How many of several schemas have to be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Criterion {
    All,
    Any,
    One,
}

impl Criterion {
    const EVERY: [Self; 3] = [Self::All, Self::Any, Self::One];

    /// The word that says so.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::All => "allOf",
            Self::Any => "anyOf",
            Self::One => "oneOf",
        }
    }
}

/// What a node accepts.
#[derive(Debug, Clone)]
pub(crate) enum Model<'a> {
    /// Everything.
    Any,
    /// Nothing.
    Never,
    /// The values of a type, as these words narrow them.
    Typed(Type, &'a Words),
    /// These values.
    Values(Vec<&'a Value>),
    /// Whatever that schema does not.
    Not(&'a Value),
    /// What depends on a condition.
    Conditional(&'a Words),
    /// What a reference names that leads out of the document.
    Foreign(&'a str),
    /// Several together.
    Combined(Criterion, Vec<Node<'a>>),
}

/// The document that references lead through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document<'a>(pub(crate) &'a Value);

impl<'a> Document<'a> {
    /// What a node accepts. Of one that only names another, also which that is.
    pub(crate) fn model(self, node: Node<'a>) -> (Model<'a>, Option<&'a Value>) {
        let mut named = None;
        let model = self.follow(node, MOST_HOPS, &mut named);
        (model, named)
    }

    fn follow(self, node: Node<'a>, hops: usize, named: &mut Option<&'a Value>) -> Model<'a> {
        let Some(hops) = hops.checked_sub(1) else {
            // What only leads to itself says nothing.
            return Model::Any;
        };
        let (part, words) = match self.parts(node) {
            Parts::Whole(true) => return Model::Any,
            Parts::Whole(false) => return Model::Never,
            Parts::Several(nodes) => return Model::Combined(Criterion::All, nodes),
            Parts::One(part, words) => (part, words),
        };
        let word = |word: &str| words.get(word).unwrap_or(&Value::Null);
        match part {
            Part::Typed(kind) => Model::Typed(kind, words),
            Part::AnyType => {
                let types = word("type").as_array().into_iter().flatten();
                let types = types.filter_map(|name| Type::of(name.as_str()?));
                let nodes: Vec<Node<'a>> = types.map(|kind| Node::Part(Part::Typed(kind), words)).collect();
                match nodes[..] {
                    [only] => self.follow(only, hops, named),
                    _ => Model::Combined(Criterion::Any, nodes),
                }
            }
            Part::Enum => Model::Values(word("enum").as_array().into_iter().flatten().collect()),
            Part::Const => Model::Values(vec![word("const")]),
            Part::Not => Model::Not(word("not")),
            Part::If => Model::Conditional(words),
            Part::Reference => {
                let reference = word("$ref").as_str().unwrap_or_default();
                let Some(target) = self.resolve(reference) else {
                    return Model::Foreign(reference);
                };
                *named = Some(target);
                self.follow(Node::Schema(target), hops, named)
            }
            Part::Combined(criterion) => {
                let several = word(criterion.word()).as_array().map(Vec::as_slice);
                match several.unwrap_or_default() {
                    [only] => self.follow(Node::Schema(only), hops, named),
                    several => Model::Combined(criterion, several.iter().map(Node::Schema).collect()),
                }
            }
        }
    }

    /// Everything that a node says, each thing on its own.
    fn parts(self, node: Node<'a>) -> Parts<'a> {
        let words = match node {
            Node::Part(part, words) => return Parts::One(part, words),
            Node::Schema(Value::Object(words)) => words,
            Node::Schema(schema) => return Parts::Whole(schema != &Value::Bool(false)),
        };
        let has_any = |of: &[&str]| of.iter().any(|word| words.contains_key(*word));
        let mut parts = Vec::new();
        match words.get("type") {
            Some(Value::String(name)) => parts.extend(Type::of(name).map(Part::Typed)),
            Some(Value::Array(_)) => parts.push(Part::AnyType),
            _ => {
                let by_words = [
                    (Type::Text, &TEXT[..]),
                    (Type::Number, &NUMBER),
                    (Type::Object, &OBJECT),
                    (Type::Array, &ARRAY),
                ];
                let said = by_words.into_iter().filter(|(_, of)| has_any(of));
                parts.extend(said.map(|(kind, _)| Part::Typed(kind)));
            }
        }
        for (word, part) in [
            ("$ref", Part::Reference),
            ("enum", Part::Enum),
            ("const", Part::Const),
            ("not", Part::Not),
            ("if", Part::If),
        ] {
            if words.contains_key(word) {
                parts.push(part);
            }
        }
        let combined = Criterion::EVERY.into_iter();
        let combined = combined.filter(|criterion| words.contains_key(criterion.word()));
        parts.extend(combined.map(Part::Combined));
        match parts[..] {
            [] => Parts::Whole(true),
            [only] => Parts::One(only, words),
            _ => Parts::Several(parts.into_iter().map(|part| Node::Part(part, words)).collect()),
        }
    }

    /// What a reference within the document leads to: `#`, or a pointer.
    fn resolve(self, reference: &str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        self.0.pointer(pointer)
    }
}

enum Parts<'a> {
    /// A schema that takes everything, or nothing.
    Whole(bool),
    One(Part, &'a Words),
    Several(Vec<Node<'a>>),
}
