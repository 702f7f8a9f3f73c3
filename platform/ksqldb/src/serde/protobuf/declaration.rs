//! From columns to the file that ksqlDB registers for them.

use super::{DATE, DECIMAL, Nulls, TIME, TIMESTAMP, VALUE};
use crate::types::SqlType;

/// What the names begin with that nobody gave.
const DEFAULT_NAME: &str = "ConnectDefault";

/// The file of columns; its message has that full name, where it has any. The error says what no file can have.
pub(in super::super) fn declare(
    columns: &[(String, SqlType)],
    is_bare: bool,
    nulls: Nulls,
    full_name: Option<&str>,
) -> Result<String, String> {
    let mut declaration = Declaration {
        nulls,
        imports: Vec::new(),
        names: 0,
    };
    // Names like Connect's own are given anew.
    let full_name = full_name
        .map(str::trim)
        .filter(|name| !name.starts_with(DEFAULT_NAME));
    let (package, name) = match full_name {
        None => (None, declaration.next_name()),
        Some(full) => match full.rsplit_once('.') {
            None => (None, full.to_owned()),
            Some((package, name)) => (Some(package), name.to_owned()),
        },
    };
    for part in package.into_iter().flat_map(|package| package.split('.')) {
        check_name(part)?;
    }
    let message = match columns {
        [(_, SqlType::Struct(fields))] if is_bare => {
            let fields = fields.iter();
            declaration.message(
                &name,
                fields.map(|field| (field.name.as_str(), &field.sql_type)),
                true,
            )?
        }
        // As in the messages of Google's that stand for one value.
        [(_, sql_type)] if is_bare => declaration.message(&name, std::iter::once((VALUE, sql_type)), true)?,
        columns => declaration.message(
            &name,
            columns.iter().map(|(name, sql_type)| (name.as_str(), sql_type)),
            true,
        )?,
    };
    let mut text = "syntax = \"proto3\";\n".to_owned();
    if let Some(package) = package {
        text += &format!("package {package};\n");
    }
    if !declaration.imports.is_empty() {
        text.push('\n');
    }
    for import in &declaration.imports {
        text += &format!("import \"{import}\";\n");
    }
    text.push('\n');
    text += &message;
    Ok(text)
}

struct Declaration {
    nulls: Nulls,
    imports: Vec<&'static str>,
    /// How many names were given.
    names: usize,
}

impl Declaration {
    fn next_name(&mut self) -> String {
        self.names += 1;
        format!("{DEFAULT_NAME}{}", self.names)
    }

    fn import(&mut self, file: &'static str) {
        if !self.imports.contains(&file) {
            self.imports.push(file);
        }
    }

    /// The text of a message. The fields of a map's entry say nothing of themselves.
    fn message<'a>(
        &mut self,
        name: &str,
        fields: impl Iterator<Item = (&'a str, &'a SqlType)>,
        says_more: bool,
    ) -> Result<String, String> {
        check_name(name)?;
        let (mut lines, mut nested) = (String::new(), String::new());
        for (place, (field, sql_type)) in fields.enumerate() {
            check_name(field)?;
            let line = self.field(field, sql_type, place + 1, says_more, &mut nested)?;
            lines += &indented(&line);
        }
        let mut text = format!("message {name} {{\n{lines}");
        if !nested.is_empty() {
            text.push('\n');
            text += &nested;
        }
        text.push_str("}\n");
        Ok(text)
    }

    fn field(
        &mut self,
        name: &str,
        sql_type: &SqlType,
        number: usize,
        says_more: bool,
        nested: &mut String,
    ) -> Result<String, String> {
        let (label, of) = match sql_type {
            SqlType::Array(element) => ("repeated ", &**element),
            SqlType::Map(..) => ("repeated ", sql_type),
            _ if self.nulls == Nulls::Optional && says_more => ("optional ", sql_type),
            _ => ("", sql_type),
        };
        let mut options = String::new();
        let type_name = match of {
            SqlType::Array(_) => return Err("Array cannot be nested".to_owned()),
            SqlType::Boolean => self.simple("bool", "BoolValue"),
            SqlType::Integer => self.simple("int32", "Int32Value"),
            SqlType::Bigint => self.simple("int64", "Int64Value"),
            SqlType::Double => self.simple("double", "DoubleValue"),
            SqlType::String => self.simple("string", "StringValue"),
            SqlType::Bytes => self.simple("bytes", "BytesValue"),
            SqlType::Decimal { precision, scale } => {
                self.import("confluent/type/decimal.proto");
                if says_more {
                    options = meta(&[("precision", *precision), ("scale", *scale)]);
                }
                DECIMAL.to_owned()
            }
            SqlType::Date => {
                self.import("google/type/date.proto");
                DATE.to_owned()
            }
            SqlType::Time => {
                self.import("google/type/timeofday.proto");
                TIME.to_owned()
            }
            SqlType::Timestamp => {
                self.import("google/protobuf/timestamp.proto");
                TIMESTAMP.to_owned()
            }
            SqlType::Map(key, value) => {
                if **key != SqlType::String {
                    return Err("PROTOBUF format only supports MAP types with STRING keys. See \
                         https://github.com/confluentinc/ksql/issues/6177."
                        .to_owned());
                }
                let entry = format!("{}Entry", self.next_name());
                let fields = [("key", &**key), (VALUE, &**value)].into_iter();
                *nested += &indented(&self.message(&entry, fields, false)?);
                entry
            }
            SqlType::Struct(fields) => {
                let mut message = self.next_name();
                if message == name {
                    message.push_str("Message");
                }
                let fields = fields.iter();
                let fields = fields.map(|field| (field.name.as_str(), &field.sql_type));
                *nested += &indented(&self.message(&message, fields, true)?);
                message
            }
        };
        Ok(format!("{label}{type_name} {name} = {number}{options};\n"))
    }

    fn simple(&mut self, plain: &str, wrapper: &str) -> String {
        if self.nulls != Nulls::Wrapper {
            return plain.to_owned();
        }
        self.import("google/protobuf/wrappers.proto");
        format!("google.protobuf.{wrapper}")
    }
}

/// What a field says of itself.
fn meta(parameters: &[(&str, u32)]) -> String {
    let parameters = parameters
        .iter()
        .map(|(key, value)| format!("    {{\n      value: \"{value}\",\n      key: \"{key}\"\n    }}"));
    let parameters: Vec<String> = parameters.collect();
    format!(
        " [(confluent.field_meta) = {{\n  params: [\n{}\n  ]\n}}]",
        parameters.join(",\n")
    )
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("  {line}\n")
            }
        })
        .collect()
}

fn check_name(name: &str) -> Result<(), String> {
    let mut characters = name.chars();
    let begins_well = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if begins_well && characters.all(|other| other.is_ascii_alphanumeric() || other == '_') {
        return Ok(());
    }
    Err(format!("\"{name}\" is not a valid identifier."))
}
