//! Whether data of one schema can be read by another, and what a registry's levels make of it.
//!
//! The rules, the messages and the paths are those of Confluent's registry, which are those of Java's
//! `SchemaCompatibility`: names are compared without their namespaces, logical types not at all.

mod check;
mod level;

use std::fmt;

use crate::Schema;

pub use level::{Level, UnknownLevel, check_against};

/// Why a reader cannot read a writer's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// What kind of reason.
    pub kind: IncompatibilityKind,
    /// Where in the reader's schema, as a JSON pointer; from the branch on below a union.
    pub location: String,
    /// The particulars.
    pub detail: String,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncompatibilityKind {
    /// The types have different names.
    NameMismatch,
    /// The sizes of `fixed` differ.
    FixedSizeMismatch,
    /// The reader lacks symbols, and has no default.
    MissingEnumSymbols,
    /// The writer lacks a field for which the reader has no default.
    ReaderFieldMissingDefaultValue,
    /// Types that cannot be read as each other.
    TypeMismatch,
    /// The reader's union lacks a type.
    MissingUnionBranch,
    /// The schemas are too large or too deep to be compared within the bounds.
    TooComplex,
}

/// Which schema is called the new one in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newer {
    /// The reader's.
    Reader,
    /// The writer's.
    Writer,
}

/// What keeps the reader from reading the writer's data: nothing where it can read all of them.
pub fn incompatibilities(reader: &Schema, writer: &Schema) -> Vec<Incompatibility> {
    check::check(reader, writer)
}

pub(crate) use check::{Checker, is_promotion, writer_field};

impl IncompatibilityKind {
    fn word(self) -> &'static str {
        match self {
            Self::NameMismatch => "NAME_MISMATCH",
            Self::FixedSizeMismatch => "FIXED_SIZE_MISMATCH",
            Self::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            Self::ReaderFieldMissingDefaultValue => "READER_FIELD_MISSING_DEFAULT_VALUE",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::MissingUnionBranch => "MISSING_UNION_BRANCH",
            Self::TooComplex => "TOO_COMPLEX",
        }
    }
}

impl Incompatibility {
    /// The message as the registry prints it.
    pub fn message(&self, newer: Newer) -> String {
        let (reader, writer) = match newer {
            Newer::Reader => ("new", "old"),
            Newer::Writer => ("old", "new"),
        };
        let (path, detail) = (&self.location, &self.detail);
        let description = match self.kind {
            IncompatibilityKind::FixedSizeMismatch => format!(
                "The size of FIXED type field at path '{path}' in the {reader} schema does not match with the {writer} \
                 schema"
            ),
            IncompatibilityKind::TypeMismatch => format!(
                "The type (path '{path}') of a field in the {reader} schema does not match with the {writer} schema"
            ),
            IncompatibilityKind::NameMismatch => {
                format!("The name of the schema has changed (path '{path}')")
            }
            IncompatibilityKind::MissingEnumSymbols => format!(
                "The {reader} schema is missing enum symbols '{detail}' at path '{path}' in the {writer} schema"
            ),
            IncompatibilityKind::MissingUnionBranch => format!(
                "The {reader} schema is missing a type inside a union field at path '{path}' in the {writer} schema"
            ),
            IncompatibilityKind::ReaderFieldMissingDefaultValue => format!(
                "The field '{detail}' at path '{path}' in the {reader} schema has no default value and is missing in \
                 the {writer} schema"
            ),
            IncompatibilityKind::TooComplex => {
                format!("The {reader} schema cannot be compared with the {writer} schema at path '{path}'")
            }
        };
        format!(
            "{{errorType:'{}', description:'{description}', additionalInfo:'{detail}'}}",
            self.kind.word()
        )
    }
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message(Newer::Reader))
    }
}

#[cfg(test)]
mod tests;
