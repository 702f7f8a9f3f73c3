//! One pair of types at a time, each pair once: a pair that is being compared counts as compatible, which ends
//! recursion.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::{Incompatibility, IncompatibilityKind};
use crate::{Enumeration, Field, Kind, Name, NodeId, Record, Schema};

/// How many pairs of types are compared. Two unions of a thousand branches are a million pairs.
const MOST_PAIRS: usize = 1_000_000;
/// How deep types may lie in each other, also by way of names.
const DEEPEST: usize = 256;

pub(super) fn check(reader: &Schema, writer: &Schema) -> Vec<Incompatibility> {
    let mut checker = Checker::new(reader, writer);
    let found = checker.compare(reader.root(), writer.root());
    found.as_ref().clone()
}

/// What is known about pairs of types.
pub(crate) struct Checker<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    /// Nothing for a pair that is being compared.
    known: HashMap<(NodeId, NodeId), Option<Rc<Vec<Incompatibility>>>>,
    depth: usize,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(reader: &'a Schema, writer: &'a Schema) -> Self {
        Self {
            reader,
            writer,
            known: HashMap::new(),
            depth: 0,
        }
    }

    /// Compares two types, with paths that begin at them.
    pub(crate) fn compare(&mut self, reader: NodeId, writer: NodeId) -> Rc<Vec<Incompatibility>> {
        self.at("", reader, writer, &mut Vec::new())
    }

    fn at(
        &mut self,
        step: &str,
        reader: NodeId,
        writer: NodeId,
        path: &mut Vec<String>,
    ) -> Rc<Vec<Incompatibility>> {
        let pair = (reader, writer);
        if let Some(known) = self.known.get(&pair) {
            return known.clone().unwrap_or_default();
        }
        path.push(step.to_owned());
        let found = if self.known.len() >= MOST_PAIRS {
            vec![too_complex(
                path,
                format!("more than {MOST_PAIRS} pairs of types"),
            )]
        } else if self.depth >= DEEPEST {
            vec![too_complex(path, format!("types nested deeper than {DEEPEST}"))]
        } else {
            self.known.insert(pair, None);
            self.depth += 1;
            let found = self.calculate(reader, writer, path);
            self.depth -= 1;
            found
        };
        path.pop();
        let found = Rc::new(found);
        if self.known.len() < MOST_PAIRS {
            self.known.insert(pair, Some(Rc::clone(&found)));
        }
        found
    }

    fn calculate(&mut self, reader: NodeId, writer: NodeId, path: &mut Vec<String>) -> Vec<Incompatibility> {
        let (reader_kind, writer_kind) = (self.reader.kind(reader), self.writer.kind(writer));
        match (reader_kind, writer_kind) {
            (Kind::Array(one), Kind::Array(other)) => self.at("items", *one, *other, path).to_vec(),
            (Kind::Map(one), Kind::Map(other)) => self.at("values", *one, *other, path).to_vec(),
            (Kind::Fixed(one), Kind::Fixed(other)) => {
                let mut found = names(&one.name, &one.aliases, &other.name, path);
                if one.size != other.size {
                    let detail = format!("expected: {}, found: {}", other.size, one.size);
                    found.push(incompatible(
                        IncompatibilityKind::FixedSizeMismatch,
                        path,
                        Some("size"),
                        detail,
                    ));
                }
                found
            }
            (Kind::Enum(one), Kind::Enum(other)) => {
                let mut found = names(&one.name, &one.aliases, &other.name, path);
                found.extend(symbols(one, other, path));
                found
            }
            (Kind::Record(one), Kind::Record(other)) => {
                let mut found = names(&one.name, &one.aliases, &other.name, path);
                found.extend(self.fields(one, other, writer, path));
                found
            }
            (Kind::Union(_), Kind::Union(branches)) => {
                let mut found = Vec::new();
                for (place, branch) in branches.iter().enumerate() {
                    if !self.compare(reader, *branch).is_empty() {
                        found.push(self.lacking(*branch, path, Some(&place.to_string())));
                    }
                }
                found
            }
            // Every branch must be readable.
            (_, Kind::Union(branches)) => {
                let mut found = Vec::new();
                for branch in branches {
                    found.extend_from_slice(&self.compare(reader, *branch));
                }
                found
            }
            (Kind::Union(branches), _) => {
                for branch in branches {
                    if self.compare(*branch, writer).is_empty() {
                        return Vec::new();
                    }
                }
                vec![self.lacking(writer, path, None)]
            }
            (one, other) if is_promotion(other, one) => Vec::new(),
            (one, other) => vec![incompatible(
                IncompatibilityKind::TypeMismatch,
                path,
                None,
                format!(
                    "reader type: {} not compatible with writer type: {}",
                    one.word().to_uppercase(),
                    other.word().to_uppercase()
                ),
            )],
        }
    }

    fn lacking(&self, branch: NodeId, path: &[String], step: Option<&str>) -> Incompatibility {
        let word = self.writer.kind(branch).word().to_uppercase();
        incompatible(
            IncompatibilityKind::MissingUnionBranch,
            path,
            step,
            format!("reader union lacking writer type: {word}"),
        )
    }

    fn fields(
        &mut self,
        reader: &Record,
        writer: &Record,
        writer_id: NodeId,
        path: &mut Vec<String>,
    ) -> Vec<Incompatibility> {
        let writers: HashMap<&str, &Field> = writer
            .fields
            .iter()
            .map(|field| (field.name.as_str(), field))
            .collect();
        let mut found = Vec::new();
        path.push("fields".to_owned());
        for (place, field) in reader.fields.iter().enumerate() {
            path.push(place.to_string());
            match writer_field(&writers, field) {
                Ok(Some(writer_field)) => {
                    found.extend_from_slice(&self.at("type", field.schema, writer_field.schema, path));
                }
                Ok(None) if field.default.is_some() => {}
                Ok(None) => match self.reader.kind(field.schema) {
                    // What Java compares here is the enumeration with the writer's record.
                    Kind::Enum(Enumeration { default: Some(_), .. }) => {
                        found.extend_from_slice(&self.at("type", field.schema, writer_id, path));
                    }
                    _ => found.push(incompatible(
                        IncompatibilityKind::ReaderFieldMissingDefaultValue,
                        path,
                        None,
                        field.name.clone(),
                    )),
                },
                Err(()) => found.push(incompatible(
                    IncompatibilityKind::TypeMismatch,
                    path,
                    None,
                    format!(
                        "the field `{}` and its aliases match several fields of the writer",
                        field.name
                    ),
                )),
            }
            path.pop();
        }
        path.pop();
        found
    }
}

/// The writer's field for a reader's, by its name or one of its other names; an error where several match.
pub(crate) fn writer_field<'w>(
    writers: &HashMap<&str, &'w Field>,
    reader: &Field,
) -> Result<Option<&'w Field>, ()> {
    let names = std::iter::once(&reader.name).chain(&reader.aliases);
    let mut matching = names.filter_map(|name| writers.get(name.as_str()).copied());
    match (matching.next(), matching.next()) {
        (Some(_), Some(_)) => Err(()),
        (first, _) => Ok(first),
    }
}

/// Whether a value of one simple type can be read as the other.
pub(crate) fn is_promotion(writer: &Kind, reader: &Kind) -> bool {
    matches!(
        (writer, reader),
        (Kind::Null, Kind::Null)
            | (Kind::Boolean, Kind::Boolean)
            | (Kind::Int, Kind::Int | Kind::Long | Kind::Float | Kind::Double)
            | (Kind::Long, Kind::Long | Kind::Float | Kind::Double)
            | (Kind::Float, Kind::Float | Kind::Double)
            | (Kind::Double, Kind::Double)
            | (Kind::Bytes | Kind::String, Kind::Bytes | Kind::String)
    )
}

fn names(reader: &Name, aliases: &[Name], writer: &Name, path: &[String]) -> Vec<Incompatibility> {
    if reader.last() == writer.last() || aliases.contains(writer) {
        return Vec::new();
    }
    vec![incompatible(
        IncompatibilityKind::NameMismatch,
        path,
        Some("name"),
        format!("expected: {}", writer.full()),
    )]
}

fn symbols(reader: &Enumeration, writer: &Enumeration, path: &[String]) -> Option<Incompatibility> {
    let known: HashSet<&str> = reader.symbols.iter().map(String::as_str).collect();
    let missing: BTreeSet<&str> = writer
        .symbols
        .iter()
        .map(String::as_str)
        .filter(|symbol| !known.contains(symbol))
        .collect();
    if missing.is_empty() || reader.default.is_some() {
        return None;
    }
    let missing: Vec<&str> = missing.into_iter().collect();
    Some(incompatible(
        IncompatibilityKind::MissingEnumSymbols,
        path,
        Some("symbols"),
        format!("[{}]", missing.join(", ")),
    ))
}

fn too_complex(path: &[String], detail: String) -> Incompatibility {
    incompatible(IncompatibilityKind::TooComplex, path, None, detail)
}

/// The first step of a path is the root and is not shown.
fn incompatible(
    kind: IncompatibilityKind,
    path: &[String],
    step: Option<&str>,
    detail: String,
) -> Incompatibility {
    let steps = path.iter().skip(1).map(String::as_str).chain(step);
    let steps: Vec<String> = steps
        .map(|step| step.replace('~', "~0").replace('/', "~1"))
        .collect();
    Incompatibility {
        kind,
        location: format!("/{}", steps.join("/")),
        detail,
    }
}
