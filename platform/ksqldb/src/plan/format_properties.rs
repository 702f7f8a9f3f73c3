//! The formats that a `WITH` clause names, with what belongs to each.

use super::PlanError;
use super::properties::{OLD_FULL_NAME, With, reading};
use crate::serde::{Format, Nulls};

impl<'a> With<'a> {
    /// The format of keys; what is not said of it is as in `inherited`.
    pub(super) fn key_format(self, inherited: Format) -> Result<Option<Format>, PlanError> {
        self.format("KEY_FORMAT", "KEY_DELIMITER", Some(inherited))
    }

    /// The format of values; what is not said of it is as in `inherited`.
    pub(super) fn value_format(self, inherited: Option<Format>) -> Result<Option<Format>, PlanError> {
        self.format("VALUE_FORMAT", "VALUE_DELIMITER", inherited)
    }

    fn format(
        self,
        name: &str,
        delimiter_name: &str,
        inherited: Option<Format>,
    ) -> Result<Option<Format>, PlanError> {
        let own = self.text(name)?;
        let both = self.text("FORMAT")?;
        if own.is_some() && both.is_some() {
            return Err(reading(format!(
                "Cannot supply both '{name}' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats. Either use just 'FORMAT', or use 'KEY_FORMAT' and 'VALUE_FORMAT'."
            )));
        }
        let delimiter = self.text(delimiter_name)?;
        let Some(format) = own.or(both) else {
            return match (delimiter, inherited) {
                (None, _) | (_, None) => Ok(None),
                (Some(delimiter), Some(Format::Delimited { .. })) => Ok(Some(Format::Delimited {
                    delimiter: parse_delimiter(delimiter)?,
                })),
                (Some(_), Some(other)) => Err(unsupported_properties(other, &["delimiter"])),
            };
        };
        let format = match format_named(format) {
            Some(Format::Delimited { .. }) => Format::Delimited {
                delimiter: match (delimiter, inherited) {
                    (Some(delimiter), _) => parse_delimiter(delimiter)?,
                    (None, Some(Format::Delimited { delimiter })) => delimiter,
                    (None, _) => ',',
                },
            },
            Some(format) => format,
            None => return Err(unknown_format(format)),
        };
        let side = name.trim_end_matches("_FORMAT");
        let format = self.with_nulls(format, side)?;
        let mut unsupported = Vec::new();
        if delimiter.is_some() && !matches!(format, Format::Delimited { .. }) {
            unsupported.push("delimiter");
        }
        let names = ["SCHEMA_FULL_NAME", "SCHEMA_ID"].map(|property| format!("{side}_{property}"));
        if format.schema_type().is_none() {
            if self.properties.get(&names[1]).is_some() {
                return Err(PlanError::new(format!(
                    "{side}_FORMAT should support schema inference when {side}_SCHEMA_ID is provided. Current format is {format}."
                )));
            }
            let has_old = side == "VALUE" && self.properties.get(OLD_FULL_NAME).is_some();
            if has_old || self.properties.get(&names[0]).is_some() {
                unsupported.push("fullSchemaName");
            }
        }
        if !unsupported.is_empty() {
            return Err(unsupported_properties(format, &unsupported));
        }
        Ok(Some(format))
    }

    /// The format with the way that the statement wants null to be said, which only some have.
    pub(super) fn with_nulls(self, format: Format, side: &str) -> Result<Format, PlanError> {
        let name = format!("{side}_PROTOBUF_NULLABLE_REPRESENTATION");
        let nulls = match self.text(&name)? {
            None => return Ok(format.with_nulls(Nulls::default())),
            Some("OPTIONAL") => Nulls::Optional,
            Some("WRAPPER") => Nulls::Wrapper,
            Some(other) => {
                return Err(reading(format!(
                    "Invalid value {other} for property {name}: String must be one of: OPTIONAL, WRAPPER, null"
                )));
            }
        };
        if !matches!(format, Format::Protobuf { .. } | Format::ProtobufNoSr { .. }) {
            return Err(PlanError::new(format!(
                "Property {name} can only be enabled with protobuf format"
            )));
        }
        Ok(format.with_nulls(nulls))
    }
}

fn unknown_format(name: &str) -> PlanError {
    PlanError::new(format!("Unknown format: {}", name.to_uppercase()))
}

/// The format of that name, with the defaults of its properties.
pub(crate) fn format_named(name: &str) -> Option<Format> {
    Some(match name.to_uppercase().as_str() {
        "JSON" => Format::Json,
        "KAFKA" => Format::Kafka,
        "NONE" => Format::None,
        "AVRO" => Format::Avro,
        "JSON_SR" => Format::JsonSr,
        "DELIMITED" => Format::Delimited { delimiter: ',' },
        "PROTOBUF" => Format::Protobuf {
            nulls: Nulls::default(),
        },
        "PROTOBUF_NOSR" => Format::ProtobufNoSr {
            nulls: Nulls::default(),
        },
        _ => return None,
    })
}

fn unsupported_properties(format: Format, names: &[&str]) -> PlanError {
    PlanError::new(format!(
        "{format} does not support the following configs: [{}]",
        names.join(", ")
    ))
}

fn parse_delimiter(text: &str) -> Result<char, PlanError> {
    let mut characters = text.chars();
    match (text, characters.next(), characters.next()) {
        ("SPACE", ..) => Ok(' '),
        ("TAB", ..) => Ok('\t'),
        (_, Some(character), None) => Ok(character),
        _ => Err(PlanError::new(format!(
            "Invalid delimiter value: '{text}'. Delimiter must be a single character or SPACE,TAB"
        ))),
    }
}
