//! The `JSON` format.

mod decode;
mod encode;
mod field_names;
mod reader;
mod scalars;
mod text;

pub(super) use decode::{Field, Maps, Members, decode_bare, decode_members};
pub(super) use encode::{write_object, write_value};
pub(super) use field_names::FieldNames;
pub(crate) use reader::{Kind, Reader};
pub(crate) use text::{number_text, write_compact, write_string};
