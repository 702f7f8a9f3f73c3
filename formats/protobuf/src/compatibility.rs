//! Whether readers of one file understand what was written with another: Confluent's rules.
//!
//! Files are compared as they are written: a named type is the same where one name ends with the other, whatever of the
//! package is spelled out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};

/// What keeps a reader of the new file from what was written with the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    kind: &'static str,
    /// Where: `#/Door/1`.
    path: String,
    what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, path, what } = self;
        write!(
            formatter,
            "{{errorType:\"{kind}\", description:\"{what} at path '{path}' in the new schema\"}}"
        )
    }
}

/// Everything that keeps readers of `new` from what was written with `old`.
pub(crate) fn differences(old: &FileDescriptorProto, new: &FileDescriptorProto) -> Vec<Difference> {
    let mut comparison = Comparison {
        old_enums: enums(old),
        new_enums: enums(new),
        found: Vec::new(),
    };
    if old.package() != new.package() {
        let what = format!("the package is no longer `{}`", old.package());
        comparison.tell("PACKAGE_CHANGED", "#/", what);
    }
    comparison.messages("#", &old.message_type, &new.message_type);
    comparison.found
}

/// The names of the enums of a file, without those of the messages around them.
fn enums(file: &FileDescriptorProto) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = file.enum_type.iter().map(EnumDescriptorProto::name).collect();
    let mut messages: Vec<&DescriptorProto> = file.message_type.iter().collect();
    while let Some(message) = messages.pop() {
        names.extend(message.enum_type.iter().map(EnumDescriptorProto::name));
        messages.extend(&message.nested_type);
    }
    names
}

/// Kinds that are written alike.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind<'a> {
    /// Whole numbers, truths and enums.
    Varint,
    Zigzag,
    Text,
    Fixed32,
    Fixed64,
    Float,
    Double,
    Group,
    Message(&'a str),
    Map(Box<Kind<'a>>, Box<Kind<'a>>),
}

struct Comparison<'a> {
    old_enums: BTreeSet<&'a str>,
    new_enums: BTreeSet<&'a str>,
    found: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    fn tell(&mut self, kind: &'static str, path: &str, what: impl Into<String>) {
        self.found.push(Difference {
            kind,
            path: path.to_owned(),
            what: what.into(),
        });
    }

    fn messages(&mut self, path: &str, old: &'a [DescriptorProto], new: &'a [DescriptorProto]) {
        let by_name: BTreeMap<&str, &DescriptorProto> =
            new.iter().map(|message| (message.name(), message)).collect();
        for message in old.iter().filter(|message| !is_entry(message)) {
            let path = format!("{path}/{}", message.name());
            match by_name.get(message.name()) {
                None => self.tell("MESSAGE_REMOVED", &path, "a message is missing"),
                Some(new) => {
                    self.fields(&path, message, new);
                    self.choices(&path, message, new);
                    self.messages(&path, &message.nested_type, &new.nested_type);
                }
            }
        }
    }

    fn fields(&mut self, path: &str, old: &'a DescriptorProto, new: &'a DescriptorProto) {
        let (old_fields, new_fields) = (by_number(old), by_number(new));
        let (old_entries, new_entries) = (entries(old), entries(new));
        let is_required = |field: &FieldDescriptorProto| field.label() == Label::Required;
        for (number, old_field) in &old_fields {
            let path = format!("{path}/{number}");
            let Some(new_field) = new_fields.get(number) else {
                if old_field.oneof_index.is_some() && !old_field.proto3_optional() {
                    self.tell("ONEOF_FIELD_REMOVED", &path, "a field of a oneof is missing");
                } else if is_required(old_field) {
                    self.tell("REQUIRED_FIELD_REMOVED", &path, "a required field is missing");
                }
                continue;
            };
            let old_kind = kind(old_field, &old_entries, &self.old_enums);
            let new_kind = kind(new_field, &new_entries, &self.new_enums);
            self.kinds(&path, &old_kind, &new_kind);
            if is_required(old_field) != is_required(new_field) {
                self.tell(
                    "REQUIRED_FIELD_CHANGED",
                    &path,
                    "a field is required on one side only",
                );
            }
            let repeats = |field: &FieldDescriptorProto| field.label() == Label::Repeated;
            let is_number = !matches!(old_kind, Kind::Text | Kind::Message(_) | Kind::Map(..));
            if is_number && repeats(old_field) != repeats(new_field) {
                self.tell(
                    "FIELD_NUMERIC_LABEL_CHANGED",
                    &path,
                    "a number is a list on one side only",
                );
            }
        }
        for (number, new_field) in &new_fields {
            if is_required(new_field) && !old_fields.contains_key(number) {
                let path = format!("{path}/{number}");
                self.tell("REQUIRED_FIELD_ADDED", &path, "a required field is new");
            }
        }
    }

    fn kinds(&mut self, path: &str, old: &Kind<'_>, new: &Kind<'_>) {
        match (old, new) {
            (Kind::Message(old), Kind::Message(new)) if is_same_name(old, new) => {}
            (Kind::Message(old), Kind::Message(new)) => {
                let what = format!("a field of the type `{old}` has the type `{new}`");
                self.tell("FIELD_NAMED_TYPE_CHANGED", path, what);
            }
            (Kind::Map(old_key, old_value), Kind::Map(new_key, new_value)) => {
                self.kinds(path, old_key, new_key);
                self.kinds(path, old_value, new_value);
            }
            (Kind::Message(_) | Kind::Map(..), _) | (_, Kind::Message(_) | Kind::Map(..)) => {
                self.tell("FIELD_KIND_CHANGED", path, "the kind of a field is another one");
            }
            (old, new) if old != new => {
                self.tell(
                    "FIELD_SCALAR_KIND_CHANGED",
                    path,
                    "the kind of a scalar field is another one",
                );
            }
            _ => {}
        }
    }

    /// Fields that exclude each other from now on: what was written may have several of them.
    fn choices(&mut self, path: &str, old: &DescriptorProto, new: &DescriptorProto) {
        let choice_of = |message: &DescriptorProto, field: &FieldDescriptorProto| {
            let place = field.oneof_index.filter(|_| !field.proto3_optional())?;
            let choice = message.oneof_decl.get(usize::try_from(place).ok()?)?;
            Some(choice.name().to_owned())
        };
        let existing: BTreeSet<String> = old
            .field
            .iter()
            .filter_map(|field| choice_of(old, field))
            .collect();
        let mut moved: BTreeMap<String, usize> = BTreeMap::new();
        let old_fields = by_number(old);
        for field in &new.field {
            let Some(choice) = choice_of(new, field) else {
                continue;
            };
            let before = old_fields.get(&field.number());
            let Some(before) = before.filter(|before| choice_of(old, before).is_none()) else {
                continue;
            };
            let path = format!("{path}/{choice}");
            if existing.contains(&choice) {
                let what = format!("the field {} stands in an existing oneof", before.number());
                self.tell("FIELD_MOVED_TO_EXISTING_ONEOF", &path, what);
                continue;
            }
            let count = moved.entry(choice).or_default();
            *count += 1;
            if *count == 2 {
                self.tell(
                    "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
                    &path,
                    "several fields stand in one oneof",
                );
            }
        }
    }
}

fn by_number(message: &DescriptorProto) -> BTreeMap<i32, &FieldDescriptorProto> {
    let fields = message.field.iter();
    fields.map(|field| (field.number(), field)).collect()
}

/// The messages that stand for entries of a message's maps.
fn entries(message: &DescriptorProto) -> BTreeMap<&str, &DescriptorProto> {
    let inner = message.nested_type.iter().filter(|inner| is_entry(inner));
    inner.map(|inner| (inner.name(), inner)).collect()
}

fn kind<'a>(
    field: &'a FieldDescriptorProto,
    entries: &BTreeMap<&'a str, &'a DescriptorProto>,
    enums: &BTreeSet<&str>,
) -> Kind<'a> {
    let of_name = |name: &'a str| {
        let short = name.rsplit('.').next().unwrap_or(name);
        if let Some(entry) = entries.get(short)
            && let [key, value] = entry.field.as_slice()
        {
            // Entries hold no entries.
            let none = BTreeMap::new();
            return Kind::Map(
                Box::new(kind(key, &none, enums)),
                Box::new(kind(value, &none, enums)),
            );
        }
        if enums.contains(short) {
            return Kind::Varint;
        }
        Kind::Message(name)
    };
    // A type that is only named is not known to be a message or an enum.
    if field.r#type.is_none() {
        return of_name(field.type_name());
    }
    match field.r#type() {
        Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Bool | Type::Enum => Kind::Varint,
        Type::Sint32 | Type::Sint64 => Kind::Zigzag,
        Type::String | Type::Bytes => Kind::Text,
        Type::Fixed32 | Type::Sfixed32 => Kind::Fixed32,
        Type::Fixed64 | Type::Sfixed64 => Kind::Fixed64,
        Type::Float => Kind::Float,
        Type::Double => Kind::Double,
        Type::Group => Kind::Group,
        Type::Message => of_name(field.type_name()),
    }
}

fn is_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
}

fn is_same_name(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim_start_matches('.'), other.trim_start_matches('.'));
    let ends_with = |long: &str, short: &str| {
        long.strip_suffix(short)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    ends_with(one, other) || ends_with(other, one)
}

#[cfg(test)]
mod tests {
    use crate::File;

    /// What keeps readers of the new message from the old one.
    fn between(old: &str, new: &str) -> Vec<&'static str> {
        let file = |text: &str| {
            let text = format!("syntax = \"proto3\"; package site; {text}");
            File::parse(&text).unwrap()
        };
        let found = file(new).differences_from(&file(old));
        found.iter().map(|difference| difference.kind).collect()
    }

    fn of_fields(old: &str, new: &str) -> Vec<&'static str> {
        let others = "enum E { A = 0; } message N {} message O {}";
        let message = |fields: &str| format!("message M {{ {fields} }} {others}");
        between(&message(old), &message(new))
    }

    #[test]
    fn what_readers_survive() {
        for (old, new) in [
            ("int32 a = 1;", "int32 a = 1; string b = 2;"),
            ("int32 a = 1; string b = 2;", "int32 a = 1;"),
            ("int32 a = 1;", "int32 renamed = 1;"),
            ("int32 a = 1;", "bool a = 1;"),
            ("E a = 1;", "uint64 a = 1;"),
            ("string a = 1;", "bytes a = 1;"),
            ("string a = 1;", "repeated string a = 1;"),
            ("N a = 1;", "site.N a = 1;"),
            ("map<string, int32> a = 1;", "map<string, int64> a = 1;"),
            ("int32 a = 1;", "oneof c { int32 a = 1; string b = 2; }"),
            (
                "oneof c { int32 a = 1; }",
                "oneof c { int32 a = 1; string b = 2; }",
            ),
            ("int32 a = 1;", "optional int32 a = 1;"),
        ] {
            assert!(
                of_fields(old, new).is_empty(),
                "{old} -> {new}: {:?}",
                of_fields(old, new)
            );
        }
        assert!(between("message A {}", "message B {} message A {}").is_empty());
        assert!(between("message A {} enum E { X = 0; Y = 1; }", "message A {}").is_empty());
    }

    #[test]
    fn what_they_do_not() {
        for (old, new, expected) in [
            ("int32 a = 1;", "string a = 1;", "FIELD_SCALAR_KIND_CHANGED"),
            ("int32 a = 1;", "sint32 a = 1;", "FIELD_SCALAR_KIND_CHANGED"),
            ("float a = 1;", "double a = 1;", "FIELD_SCALAR_KIND_CHANGED"),
            ("int32 a = 1;", "N a = 1;", "FIELD_KIND_CHANGED"),
            ("N a = 1;", "E a = 1;", "FIELD_KIND_CHANGED"),
            ("map<string, int32> a = 1;", "N a = 1;", "FIELD_KIND_CHANGED"),
            ("N a = 1;", "O a = 1;", "FIELD_NAMED_TYPE_CHANGED"),
            (
                "map<string, N> a = 1;",
                "map<string, O> a = 1;",
                "FIELD_NAMED_TYPE_CHANGED",
            ),
            (
                "int32 a = 1;",
                "repeated int32 a = 1;",
                "FIELD_NUMERIC_LABEL_CHANGED",
            ),
            (
                "int32 a = 1; int32 b = 2;",
                "oneof c { int32 a = 1; int32 b = 2; }",
                "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
            ),
            (
                "oneof c { int32 a = 1; } int32 b = 2;",
                "oneof c { int32 a = 1; int32 b = 2; }",
                "FIELD_MOVED_TO_EXISTING_ONEOF",
            ),
            (
                "oneof c { int32 a = 1; string b = 2; }",
                "oneof c { int32 a = 1; }",
                "ONEOF_FIELD_REMOVED",
            ),
        ] {
            assert_eq!(of_fields(old, new), [expected], "{old} -> {new}");
        }
        assert_eq!(
            between("message A {} message B {}", "message A {}"),
            ["MESSAGE_REMOVED"]
        );
        assert_eq!(
            between("message A { message B {} }", "message A {} message B {}"),
            ["MESSAGE_REMOVED"]
        );
        let file = |text: &str| File::parse(text).unwrap();
        let told = file("syntax = \"proto2\"; package b; message A { required int32 a = 1; }")
            .differences_from(&file("syntax = \"proto2\"; package a; message A {}"));
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "{errorType:\"PACKAGE_CHANGED\", description:\"the package is no longer `a` at path '#/' in the new \
                 schema\"}",
                "{errorType:\"REQUIRED_FIELD_ADDED\", description:\"a required field is new at path '#/A/1' in the new \
                 schema\"}",
            ]
        );
    }
}
