//! Protocol Buffers: the text of a `.proto` file, or what Python's serializer sends instead, the file's descriptor in
//! base64. Kept as it was sent; what it says is read to find a file that says the same in other words.
//!
//! Imports are not followed: they are references, and there.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost::Message as _;
use prost_types::FileDescriptorProto;

/// How deep braces may be nested. The parser recurses.
const DEEPEST: usize = 64;

/// A file.
#[derive(Debug, Clone)]
pub(crate) struct Protobuf {
    pub(super) text: String,
    descriptor: FileDescriptorProto,
}

impl Protobuf {
    /// Reads a file, or its descriptor.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let descriptor = match described(text) {
            Some(descriptor) => descriptor,
            None if nesting(text) > DEEPEST => return Err(format!("braces nested deeper than {DEEPEST}")),
            None => protox_parse::parse("schema.proto", text).map_err(|error| error.to_string())?,
        };
        Ok(Self {
            text: text.to_owned(),
            descriptor: plain(descriptor),
        })
    }

    /// Whether both files say the same: blanks, comments and the form aside.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.descriptor == other.descriptor
    }
}

/// The descriptor that a text is, in base64.
fn described(text: &str) -> Option<FileDescriptorProto> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok()?;
    FileDescriptorProto::decode(bytes.as_slice()).ok()
}

/// What a file says, without where it stands and what follows from the rest.
fn plain(mut descriptor: FileDescriptorProto) -> FileDescriptorProto {
    descriptor.name = None;
    descriptor.source_code_info = None;
    // The default, spelled out or not.
    descriptor.syntax = descriptor.syntax.filter(|syntax| syntax != "proto2");
    let mut messages: Vec<_> = descriptor.message_type.iter_mut().collect();
    while let Some(message) = messages.pop() {
        for field in message.field.iter_mut().chain(&mut message.extension) {
            field.json_name = None;
        }
        messages.extend(message.nested_type.iter_mut());
    }
    for field in &mut descriptor.extension {
        field.json_name = None;
    }
    descriptor
}

fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOOR: &str = "syntax = \"proto3\";\n\nmessage Door {\n  int32 nr = 1;\n}\n";

    #[test]
    fn blanks_and_comments_do_not_count() {
        let door = Protobuf::parse(DOOR).unwrap();
        let other = "// A door.\nsyntax=\"proto3\"; message Door { /* which */ int32 nr=1; }";
        assert!(door.says_the_same(&Protobuf::parse(other).unwrap()));
        assert!(!door.says_the_same(&Protobuf::parse(&DOOR.replace("= 1", "= 2")).unwrap()));
    }

    #[test]
    fn a_descriptor_in_base64_is_a_file() {
        let descriptor = protox_parse::parse("other.proto", DOOR).unwrap();
        let encoded = BASE64_STANDARD.encode(descriptor.encode_to_vec());
        let file = Protobuf::parse(&encoded).unwrap();
        assert!(file.says_the_same(&Protobuf::parse(DOOR).unwrap()));
        assert_eq!(file.text, encoded);
    }

    #[test]
    fn what_is_no_file_is_told() {
        assert!(Protobuf::parse("message {").is_err());
        let deep = format!(
            "syntax = \"proto3\"; {} {}",
            "message A { ".repeat(100_000),
            "}".repeat(100_000)
        );
        assert_eq!(
            Protobuf::parse(&deep).unwrap_err(),
            "braces nested deeper than 64"
        );
    }
}
