//! The files that everybody may import without bringing them along: Google's own types, the few of Google's common
//! types that Kafka Connect uses, and Confluent's.
//!
//! A file has only those in its pool that it needs: a pool is kept for each schema.

use std::sync::OnceLock;

use prost_reflect::{DescriptorError, DescriptorPool};
use prost_types::FileDescriptorProto;

/// Where Confluent's options are.
pub(crate) const META: &str = "confluent/meta.proto";

/// Their numbers and types are what counts; a message of theirs is read by anybody's.
const TEXTS: [(&str, &str); 4] = [
    (
        "google/type/date.proto",
        "syntax = \"proto3\"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }",
    ),
    (
        "google/type/timeofday.proto",
        "syntax = \"proto3\"; package google.type;
         message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }",
    ),
    (
        "confluent/type/decimal.proto",
        "syntax = \"proto3\"; package confluent.type;
         message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }",
    ),
    (
        META,
        "syntax = \"proto3\"; package confluent; import \"google/protobuf/descriptor.proto\";
         message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
         extend google.protobuf.FileOptions { Meta file_meta = 1088; }
         extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
         extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
         extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
         extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }",
    ),
];

/// Adds a file of that name with what it needs, where it is known and not there yet.
pub(crate) fn add_to(pool: &mut DescriptorPool, name: &str) -> Result<(), DescriptorError> {
    if pool.get_file_by_name(name).is_some() {
        return Ok(());
    }
    let Some(file) = files().iter().find(|file| file.name() == name) else {
        return Ok(());
    };
    for import in &file.dependency {
        add_to(pool, import)?;
    }
    pool.add_file_descriptor_proto(file.clone())
}

fn files() -> &'static [FileDescriptorProto] {
    static FILES: OnceLock<Vec<FileDescriptorProto>> = OnceLock::new();
    FILES.get_or_init(|| {
        let google = DescriptorPool::global();
        let common = TEXTS
            .iter()
            .filter_map(|(name, text)| protox_parse::parse(name, text).ok());
        google.file_descriptor_protos().cloned().chain(common).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_can_be_imported() {
        let names: Vec<&str> = files().iter().map(FileDescriptorProto::name).collect();
        for (name, _) in TEXTS {
            assert!(names.contains(&name), "{name}");
        }
        for name in names {
            let mut pool = DescriptorPool::new();
            add_to(&mut pool, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
