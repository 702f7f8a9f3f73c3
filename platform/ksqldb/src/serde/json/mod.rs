//! The `JSON` format.

mod decode;
mod encode;
mod reader;
mod text;

pub(super) use decode::{Field, FieldNames, Maps, Members, decode_bare, decode_members};
pub(super) use encode::{write_object, write_value};
pub(crate) use reader::{Kind, Reader};
pub(crate) use text::{number_text, write_compact, write_string};
