//! Whether two schemas say the same, whatever their texts look like: the test by which a registry finds a schema that a
//! subject has already.

use std::collections::HashSet;

use super::{Field, Kind, NodeId, Schema};

impl Schema {
    /// Whether names, types, fields with their order and defaults, documentations, aliases and attributes are equal.
    /// The order of attributes does not matter.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        Comparison {
            one: self,
            other,
            assumed: HashSet::new(),
        }
        .equal(self.root, other.root)
    }
}

struct Comparison<'a> {
    one: &'a Schema,
    other: &'a Schema,
    /// Pairs of named types that are being compared, or were.
    assumed: HashSet<(NodeId, NodeId)>,
}

impl Comparison<'_> {
    fn equal(&mut self, one: NodeId, other: NodeId) -> bool {
        let (first, second) = (self.one.node(one), self.other.node(other));
        if first.kind.name().is_some() && !self.assumed.insert((one, other)) {
            return true;
        }
        first.attributes == second.attributes
            && first.kind.aliases() == second.kind.aliases()
            && match (&first.kind, &second.kind) {
                (Kind::Array(one), Kind::Array(other)) | (Kind::Map(one), Kind::Map(other)) => {
                    self.equal(*one, *other)
                }
                (Kind::Union(ones), Kind::Union(others)) => {
                    ones.len() == others.len()
                        && ones
                            .iter()
                            .zip(others)
                            .all(|(one, other)| self.equal(*one, *other))
                }
                (Kind::Record(one), Kind::Record(other)) => {
                    one.name == other.name
                        && one.is_error == other.is_error
                        && one.doc == other.doc
                        && one.fields.len() == other.fields.len()
                        && one
                            .fields
                            .iter()
                            .zip(&other.fields)
                            .all(|(one, other)| self.equal_fields(one, other))
                }
                (Kind::Enum(one), Kind::Enum(other)) => {
                    one.name == other.name
                        && one.doc == other.doc
                        && one.symbols == other.symbols
                        && one.default == other.default
                }
                (Kind::Fixed(one), Kind::Fixed(other)) => {
                    one.name == other.name && one.doc == other.doc && one.size == other.size
                }
                (one, other) => one.word() == other.word(),
            }
    }

    fn equal_fields(&mut self, one: &Field, other: &Field) -> bool {
        one.name == other.name
            && one.doc == other.doc
            && one.default == other.default
            && one.order == other.order
            && one.aliases == other.aliases
            && one.attributes == other.attributes
            && self.equal(one.schema, other.schema)
    }
}
