//! A file of which every name is known: its messages.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::{FieldDescriptor, FileDescriptor, MapKey, MessageDescriptor, Value};

use crate::file::{File, FileError};

/// The option of a field in which Confluent's tools leave word for each other.
const FIELD_META: &str = "confluent.field_meta";

/// A file with all that it imports.
#[derive(Debug, Clone)]
pub struct Linked {
    file: FileDescriptor,
}

impl Linked {
    /// The file with that text, with the texts of those that it uses by the names that it has for them.
    ///
    /// # Errors
    /// When one of them is none, or they cannot be linked.
    pub fn of(text: &str, used: Vec<(String, String)>) -> Result<Self, FileError> {
        let used = used
            .into_iter()
            .map(|(name, text)| Ok((name, File::parse(&text)?)));
        let used: Vec<(String, File)> = used.collect::<Result<_, FileError>>()?;
        File::parse(text)?.link(&used)
    }

    pub(crate) fn new(file: FileDescriptor) -> Self {
        Self { file }
    }

    /// Its descriptor in base64, with the whole name of every type: what clients read that have no parser.
    pub fn serialized(&self) -> String {
        BASE64_STANDARD.encode(self.file.encode_to_vec())
    }

    /// The message at a place: which one of the file, which one of those in it, and so on.
    pub fn message_at(&self, path: &[usize]) -> Option<MessageDescriptor> {
        let (outermost, inner) = path.split_first()?;
        let mut message = self.file.messages().nth(*outermost)?;
        for place in inner {
            let next = nested(&message).nth(*place)?;
            message = next;
        }
        Some(message)
    }

    /// The message of that name, with or without its package, and its place; without a name the first one.
    pub fn message(&self, name: Option<&str>) -> Option<(Vec<usize>, MessageDescriptor)> {
        let mut found: Vec<(Vec<usize>, MessageDescriptor)> = self
            .file
            .messages()
            .enumerate()
            .map(|(place, message)| (vec![place], message))
            .collect();
        let Some(name) = name else {
            return found.into_iter().next();
        };
        let package = self.file.package_name();
        let is_named = |message: &MessageDescriptor| {
            let full = message.full_name();
            let short = full.strip_prefix(package).and_then(|rest| rest.strip_prefix('.'));
            full == name || short == Some(name)
        };
        while let Some((path, message)) = found.pop() {
            if is_named(&message) {
                return Some((path, message));
            }
            let inner = nested(&message).enumerate();
            found.extend(inner.map(|(place, inner)| ([&path[..], &[place]].concat(), inner)));
        }
        None
    }
}

/// What a field says of itself under that name.
pub fn field_parameter(field: &FieldDescriptor, name: &str) -> Option<String> {
    let meta = field.parent_pool().get_extension_by_name(FIELD_META)?;
    let options = field.options();
    if !options.has_extension(&meta) {
        return None;
    }
    let meta = options.get_extension(&meta);
    let parameters = meta.as_message()?.get_field_by_name("params")?;
    let parameters = parameters.as_map()?;
    match parameters.get(&MapKey::String(name.to_owned()))? {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn nested(message: &MessageDescriptor) -> impl Iterator<Item = MessageDescriptor> + '_ {
    message.child_messages().filter(|inner| !inner.is_map_entry())
}
