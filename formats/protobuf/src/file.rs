//! One file: the text of a `.proto`, or what Python's serializer sends instead, its descriptor in base64.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;

use crate::compatibility::{Difference, differences};
use crate::known::{self, META};
use crate::linked::Linked;

/// How deep braces may be nested. The parser recurses.
const DEEPEST: usize = 64;
/// How many files one may bring along.
const MOST_IMPORTS: usize = 1_000;
/// What a file is called among those that it imports.
const OWN_NAME: &str = "schema.proto";

/// Why a text is no file, or a file cannot be linked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FileError(pub(crate) String);

/// A file, by itself: what it imports is not looked at.
#[derive(Debug, Clone)]
pub struct File {
    descriptor: FileDescriptorProto,
    /// The descriptor as it was sent, with the options that are extensions.
    encoded: Option<Vec<u8>>,
    /// Whether it uses Confluent's options.
    has_meta: bool,
}

impl File {
    /// Reads a file, or its descriptor.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        if let Some((encoded, descriptor)) = described(text) {
            return Ok(Self {
                has_meta: descriptor.dependency.iter().any(|import| import == META),
                descriptor,
                encoded: Some(encoded),
            });
        }
        if nesting(text) > DEEPEST {
            return Err(FileError(format!("braces nested deeper than {DEEPEST}")));
        }
        let descriptor = protox_parse::parse(OWN_NAME, text).map_err(|error| FileError(error.to_string()))?;
        Ok(Self {
            // Kafka Connect uses the option and does not import it.
            has_meta: text.contains("confluent."),
            descriptor,
            encoded: None,
        })
    }

    /// What it imports.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.descriptor.dependency.iter().map(String::as_str)
    }

    /// Whether both files say the same: blanks, comments and the form aside.
    pub fn says_the_same(&self, other: &Self) -> bool {
        plain(self.descriptor.clone()) == plain(other.descriptor.clone())
    }

    /// What keeps readers of this file from what was written with the old one.
    pub fn differences_from(&self, old: &Self) -> Vec<Difference> {
        differences(&old.descriptor, &self.descriptor)
    }

    /// Finds what every name in it means, in it and in what it imports: `imports` by the names that they are imported
    /// by, each after those that it needs itself. Google's and Confluent's own need not be among them.
    ///
    /// # Errors
    /// When a name means nothing, an import is missing, or what is said contradicts itself.
    pub fn link(&self, imports: &[(String, Self)]) -> Result<Linked, FileError> {
        if imports.len() > MOST_IMPORTS {
            return Err(FileError(format!("more than {MOST_IMPORTS} imports")));
        }
        let mut pool = DescriptorPool::new();
        for (name, file) in imports {
            if pool.get_file_by_name(name).is_none() {
                file.add_to(&mut pool, name)?;
            }
        }
        self.add_to(&mut pool, OWN_NAME)?;
        let file = pool.get_file_by_name(OWN_NAME);
        file.map(Linked::new)
            .ok_or_else(|| FileError("the file cannot be found again".to_owned()))
    }

    fn add_to(&self, pool: &mut DescriptorPool, name: &str) -> Result<(), FileError> {
        let failed = |error: prost_reflect::DescriptorError| FileError(error.to_string());
        let misses_meta = self.has_meta && !self.imports().any(|import| import == META);
        let added = misses_meta.then(|| META.to_owned());
        for import in self.imports().chain(added.as_deref()) {
            known::add_to(pool, import).map_err(failed)?;
        }
        match &self.encoded {
            None => {
                let mut descriptor = self.descriptor.clone();
                descriptor.name = Some(name.to_owned());
                descriptor.dependency.extend(added);
                // Where something stands in a text that is not kept is of no use.
                descriptor.source_code_info = None;
                pool.add_file_descriptor_proto(descriptor).map_err(failed)
            }
            // What follows in a message's bytes replaces what it has, or is added to its lists.
            Some(encoded) => {
                let changed = FileDescriptorProto {
                    name: Some(name.to_owned()),
                    dependency: added.into_iter().collect(),
                    ..FileDescriptorProto::default()
                };
                let bytes = [encoded.as_slice(), &changed.encode_to_vec()].concat();
                pool.decode_file_descriptor_proto(bytes.as_slice())
                    .map_err(failed)
            }
        }
    }
}

/// The descriptor that a text is, in base64.
fn described(text: &str) -> Option<(Vec<u8>, FileDescriptorProto)> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok()?;
    let descriptor = FileDescriptorProto::decode(bytes.as_slice()).ok()?;
    Some((bytes, descriptor))
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
    use proptest::prelude::*;

    use super::*;

    const DOOR: &str = "syntax = \"proto3\";\n\nmessage Door {\n  int32 nr = 1;\n}\n";

    fn linked(text: &str) -> Result<Linked, FileError> {
        File::parse(text).unwrap().link(&[])
    }

    #[test]
    fn blanks_and_comments_do_not_count() {
        let door = File::parse(DOOR).unwrap();
        let other = "// A door.\nsyntax=\"proto3\"; message Door { /* which */ int32 nr=1; }";
        assert!(door.says_the_same(&File::parse(other).unwrap()));
        assert!(!door.says_the_same(&File::parse(&DOOR.replace("= 1", "= 2")).unwrap()));
    }

    #[test]
    fn a_descriptor_in_base64_is_a_file() {
        let descriptor = protox_parse::parse("other.proto", DOOR).unwrap();
        let file = File::parse(&BASE64_STANDARD.encode(descriptor.encode_to_vec())).unwrap();
        assert!(file.says_the_same(&File::parse(DOOR).unwrap()));
        let linked = file.link(&[]).unwrap();
        assert_eq!(linked.message(None).unwrap().1.full_name(), "Door");
    }

    #[test]
    fn a_serialized_file_says_the_same_and_names_every_type_in_full() {
        let text = "syntax = \"proto3\"; package site; import \"door.proto\";
            message House { repeated Door doors = 1 [deprecated = true]; Kind kind = 2; enum Kind { HUT = 0; } }";
        let door = File::parse(&DOOR.replace("message", "package site; message")).unwrap();
        let house = File::parse(text).unwrap();
        let serialized = house
            .link(&[("door.proto".to_owned(), door.clone())])
            .unwrap()
            .serialized();
        let (_, descriptor) = described(&serialized).unwrap();
        let fields = &descriptor.message_type[0].field;
        let types: Vec<&str> = fields.iter().map(|field| field.type_name()).collect();
        assert_eq!(types, [".site.Door", ".site.House.Kind"]);
        assert!(fields[0].options.as_ref().unwrap().deprecated());
        assert_eq!(descriptor.dependency, ["door.proto"]);
        // What was sent as a descriptor comes back as one.
        let again = File::parse(&serialized).unwrap();
        let linked = again.link(&[("door.proto".to_owned(), door)]).unwrap();
        assert_eq!(linked.serialized(), serialized);
    }

    #[test]
    fn what_is_no_file_is_told() {
        assert!(File::parse("message {").is_err());
        let deep = format!(
            "syntax = \"proto3\"; {} {}",
            "message A { ".repeat(100_000),
            "}".repeat(100_000)
        );
        let error = File::parse(&deep).unwrap_err();
        assert_eq!(error.to_string(), "braces nested deeper than 64");
    }

    #[test]
    fn what_google_and_confluent_bring_along_need_not_be_sent() {
        let text = "syntax = \"proto3\";
            import \"google/protobuf/timestamp.proto\";
            import \"google/protobuf/wrappers.proto\";
            import \"google/type/date.proto\";
            import \"google/type/timeofday.proto\";
            import \"confluent/type/decimal.proto\";
            message M {
              google.protobuf.Timestamp at = 1; google.type.Date day = 2; google.type.TimeOfDay time = 3;
              google.protobuf.Int32Value n = 4;
              confluent.type.Decimal d = 5 [(confluent.field_meta) = {
                params: [ { value: \"4\", key: \"precision\" }, { value: \"2\", key: \"scale\" } ] }];
            }";
        let (_, message) = linked(text).unwrap().message(None).unwrap();
        let decimal = message.get_field_by_name("d").unwrap();
        assert_eq!(
            crate::field_parameter(&decimal, "precision").as_deref(),
            Some("4")
        );
        assert_eq!(crate::field_parameter(&decimal, "nothing"), None);
        let plain = message.get_field_by_name("n").unwrap();
        assert_eq!(crate::field_parameter(&plain, "scale"), None);
    }

    #[test]
    fn imports_are_found_under_the_names_of_their_references() {
        let door = File::parse(DOOR).unwrap();
        let house = "syntax = \"proto3\"; import \"door.proto\"; message House { repeated Door doors = 1; }";
        let house = File::parse(house).unwrap();
        let error = house.link(&[]).unwrap_err().to_string();
        assert!(error.contains("door.proto"), "{error}");
        let linked = house.link(&[("door.proto".to_owned(), door)]).unwrap();
        assert_eq!(linked.message(None).unwrap().1.full_name(), "House");
        // A file that imports itself.
        let circle = "syntax = \"proto3\"; import \"schema.proto\"; message A { B b = 1; }";
        assert!(File::parse(circle).unwrap().link(&[]).is_err());
    }

    #[test]
    fn messages_are_found_by_their_places_and_names() {
        let text = "syntax = \"proto3\"; package site;
            message A { map<string, int32> m = 1; message B { message C {} } }
            message D { A.B.C c = 1; }";
        let linked = linked(text).unwrap();
        let at = |path: &[usize]| linked.message_at(path).map(|found| found.full_name().to_owned());
        assert_eq!(at(&[0]).as_deref(), Some("site.A"));
        // Confluent's places leave out the messages that stand for entries of maps.
        assert_eq!(at(&[0, 0, 0]).as_deref(), Some("site.A.B.C"));
        assert_eq!(at(&[1]).as_deref(), Some("site.D"));
        for nowhere in [&[][..], &[2], &[1, 0], &[0, 0, 0, 0]] {
            assert_eq!(at(nowhere), None);
        }
        let named = |name| linked.message(Some(name)).map(|(path, _)| path);
        assert_eq!(named("site.D"), Some(vec![1]));
        assert_eq!(named("D"), Some(vec![1]));
        assert_eq!(named("site.A.B.C"), Some(vec![0, 0, 0]));
        assert_eq!(named("E"), None);
    }

    proptest! {
        /// Whatever text there is: it is a file or it is none.
        #[test]
        fn any_text_is_read_or_refused(text in "(syntax = \"proto3\";)?[ a-zA-Z0-9{}=;<>,.\"\\[\\]()_-]{0,120}") {
            if let Ok(file) = File::parse(&text) {
                let _ = file.link(&[]);
            }
        }

        #[test]
        fn any_descriptor_is_read_or_refused(bytes: Vec<u8>) {
            if let Ok(file) = File::parse(&BASE64_STANDARD.encode(&bytes)) {
                let _ = file.link(&[]);
            }
        }
    }
}
