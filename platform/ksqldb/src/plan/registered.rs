//! Sources whose formats have schemas in a registry: under which subjects, by which names, and what a query needs of
//! them before it can read or write.

use std::sync::Arc;

use osqdemo_registry_client::wire::{KEY_HEADER, SchemaId, VALUE_HEADER};

use super::pipeline::{Destination, Step};
use super::steps::wrappings;
use super::{PlanError, QueryPlan};
use crate::metastore::Source;
use crate::serde::{Decoder, DecoderColumn, Encoder, Format, SinkSchema, WriterSchema};
use crate::task::InputRecord;
use crate::types::{Namespace, Schema};

/// The namespace of everything that ksqlDB names in a registry.
const NAMESPACE: &str = "io.confluent.ksql.avro_schemas";

/// A schema that a query has to know before it can read a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSchema {
    /// Its id.
    pub id: SchemaId,
    /// The subject that has to have it.
    pub subject: String,
    /// The format that reads it.
    pub format: Format,
    scan: usize,
    is_key: bool,
}

/// Reads the keys and the values of a source's records.
pub(super) fn decoders(
    source: &Source,
    columns: impl Fn(Namespace) -> Vec<DecoderColumn>,
) -> (Decoder, Decoder) {
    let (key_wrapping, value_wrapping) = wrappings(source);
    let key = Decoder::new(
        source.key_format,
        key_wrapping,
        columns(Namespace::Key),
        &subject(source, Namespace::Key),
    );
    let value = Decoder::new(
        source.value_format,
        value_wrapping,
        columns(Namespace::Value),
        &subject(source, Namespace::Value),
    );
    (key, value)
}

/// Writes the keys and the values of a source's records, with the columns of `schema`.
pub(super) fn encoders(source: &Source, schema: &Schema) -> (Encoder, Encoder) {
    let (key_wrapping, value_wrapping) = wrappings(source);
    // Records of Avro have to have one.
    let name = |format: Format, own: &Option<String>, default: String| {
        own.clone()
            .or_else(|| (format == Format::Avro).then_some(default))
    };
    let key = Encoder::registered(
        source.key_format,
        key_wrapping,
        schema.key(),
        subject(source, Namespace::Key),
        source.key_schema.id,
        name(
            source.key_format,
            &source.key_schema.full_name,
            format!("{NAMESPACE}.{}Key", upper_camel(&source.name)),
        ),
    );
    let value = Encoder::registered(
        source.value_format,
        value_wrapping,
        schema.value(),
        subject(source, Namespace::Value),
        source.value_schema.id,
        name(
            source.value_format,
            &source.value_schema.full_name,
            format!("{NAMESPACE}.KsqlDataSourceSchema"),
        ),
    );
    (key, value)
}

/// The schemas that the records of a source are written with, where its formats have any: the key's first.
pub(crate) fn schemas_of(source: &Source) -> Vec<Arc<SinkSchema>> {
    let (key, value) = encoders(source, &source.schema);
    [key, value]
        .iter()
        .filter_map(|encoder| encoder.schema().cloned())
        .collect()
}

/// The subject of the keys' or the values' schemas.
pub(crate) fn subject(source: &Source, namespace: Namespace) -> String {
    let part = match namespace {
        Namespace::Key => "key",
        Namespace::Value | Namespace::Headers => "value",
    };
    format!("{}-{part}", source.topic)
}

/// `MY_STREAM` as `MyStream`.
fn upper_camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut characters = word.chars();
            let first = characters.next().map(|first| first.to_uppercase().to_string());
            first.unwrap_or_default() + &characters.as_str().to_lowercase()
        })
        .collect()
}

impl QueryPlan {
    /// Whether any of its inputs or its sink has schemas in a registry.
    pub(crate) fn uses_schemas(&self) -> bool {
        self.learns_schemas() || !self.sink_schemas().is_empty()
    }

    /// Whether any of its inputs has schemas in a registry that have to be learned.
    pub(crate) fn learns_schemas(&self) -> bool {
        let learns = |scan: &super::Scan| scan.key.schemas().is_some() || scan.value.schemas().is_some();
        self.pipeline.scans.iter().any(learns)
    }

    /// What has to be learned before a record can be processed; ask again then.
    pub fn missing_schema(&self, record: &InputRecord<'_>) -> Option<MissingSchema> {
        let scans = self.pipeline.scans.iter().enumerate();
        let mut scans = scans.filter(|(_, scan)| scan.topic == record.topic);
        scans.find_map(|(place, scan)| {
            let missing = |decoder: &Decoder, bytes: Option<&[u8]>, is_key| {
                let header = if is_key { KEY_HEADER } else { VALUE_HEADER };
                let bytes = decoder.framed(bytes?, record.headers, header);
                let id = decoder.missing_schema(&bytes)?;
                let (learned, format) = decoder.schemas()?;
                Some(MissingSchema {
                    id,
                    subject: learned.subject().to_owned(),
                    format,
                    scan: place,
                    is_key,
                })
            };
            missing(&scan.key, record.key, true).or_else(|| missing(&scan.value, record.value, false))
        })
    }

    /// Takes a schema that was missing, or why there is none: then its records cannot be read.
    pub fn learn_schema(&self, missing: &MissingSchema, schema: Result<&WriterSchema, String>) {
        if let Some(scan) = self.pipeline.scans.get(missing.scan) {
            let decoder = if missing.is_key { &scan.key } else { &scan.value };
            decoder.learn_schema(missing.id, schema);
        }
    }

    /// The schemas that its results are written with.
    pub(crate) fn sink_schemas(&self) -> Vec<Arc<SinkSchema>> {
        let Some(Step::Output(output)) = self.pipeline.steps.last() else {
            return Vec::new();
        };
        match &output.destination {
            Destination::Records { key, value, .. } => [key, value]
                .into_iter()
                .filter_map(|encoder| encoder.schema().cloned())
                .collect(),
            Destination::Rows { .. } | Destination::Nowhere => Vec::new(),
        }
    }

    /// Prepares writing without a registry: for those who bring the schemas along.
    ///
    /// # Errors
    /// When the columns cannot be written with a schema.
    pub fn prepare_sink(
        &self,
        mut schema_of: impl FnMut(&str, &str) -> (u32, WriterSchema),
    ) -> Result<(), PlanError> {
        for sink in self.sink_schemas() {
            let declared = sink.declare().map_err(PlanError::new)?;
            let (id, schema) = schema_of(&sink.subject, &declared.schema);
            sink.prepare(id, &schema).map_err(PlanError::new)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sources_become_names_of_records() {
        assert_eq!(upper_camel("OUTPUT"), "Output");
        assert_eq!(upper_camel("MY_OWN_STREAM"), "MyOwnStream");
    }
}
