//! What a statement answers: ksqlDB's entities, one shape per `@type`.
//!
//! Long because it is one protocol's answers: a shape for each `@type`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use crate::connect::{ConnectorInfo, ConnectorStatus, Plugin};
use crate::types::{Column, Namespace, SqlType};

/// The answer to a statement.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    #[serde(rename = "@type")]
    kind: &'static str,
    statement_text: String,
    #[serde(flatten)]
    entity: Entity,
    warnings: Vec<Warning>,
}

#[derive(Debug, Clone, Serialize)]
struct Warning {
    message: String,
}

impl Answer {
    /// The answer to the statement of that text.
    pub(crate) fn new(statement_text: &str, entity: Entity) -> Self {
        Self {
            kind: entity.kind(),
            statement_text: statement_text.to_owned(),
            entity,
            warnings: Vec::new(),
        }
    }

    /// With warnings.
    pub(crate) fn with_warnings(mut self, warnings: &[String]) -> Self {
        self.warnings.extend(warnings.iter().map(|message| Warning {
            message: message.clone(),
        }));
        self
    }
}

/// The part of an answer that depends on its kind.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(crate) enum Entity {
    CurrentStatus {
        command_id: String,
        command_status: CommandStatus,
        command_sequence_number: i64,
    },
    Warning {
        message: String,
    },
    Streams {
        streams: Vec<SourceInfo>,
    },
    Tables {
        tables: Vec<SourceInfo>,
    },
    Queries {
        queries: Vec<RunningQuery>,
    },
    KafkaTopics {
        topics: Vec<TopicInfo>,
    },
    KafkaTopicsExtended {
        topics: Vec<TopicInfo>,
    },
    SourceDescription {
        source_description: Box<SourceDescription>,
    },
    SourceDescriptions {
        source_descriptions: Vec<SourceDescription>,
    },
    QueryDescription {
        query_description: Box<QueryDescription>,
    },
    QueryDescriptions {
        query_descriptions: Vec<QueryDescription>,
    },
    Properties {
        properties: Vec<Property>,
        overwritten_properties: Vec<String>,
        default_properties: Vec<String>,
    },
    FunctionNames {
        functions: Vec<FunctionName>,
    },
    DescribeFunction {
        name: String,
        description: String,
        author: String,
        version: String,
        path: String,
        functions: Vec<FunctionSignature>,
        #[serde(rename = "type")]
        function_type: &'static str,
    },
    Variables {
        variables: Vec<Variable>,
    },
    TypeList {
        types: BTreeMap<String, SchemaInfo>,
    },
    AssertTopic {
        topic_name: String,
        exists: bool,
    },
    AssertSchema {
        subject: Option<String>,
        id: Option<u32>,
        exists: bool,
    },
    TerminateQuery {
        query_id: String,
        was_terminated: bool,
    },
    Connector {
        info: ConnectorInfo,
    },
    Connectors {
        connectors: Vec<ConnectorSummary>,
    },
    ConnectorPlugins {
        connectors_plugins: Vec<Plugin>,
    },
    ConnectorDescription {
        connector_class: String,
        status: ConnectorStatus,
        sources: Vec<SourceDescription>,
        topics: Vec<String>,
    },
    DropConnector {
        connector_name: String,
    },
}

impl Entity {
    fn kind(&self) -> &'static str {
        match self {
            Self::CurrentStatus { .. } => "currentStatus",
            Self::Warning { .. } => "warning_entity",
            Self::Streams { .. } => "streams",
            Self::Tables { .. } => "tables",
            Self::Queries { .. } => "queries",
            Self::KafkaTopics { .. } => "kafka_topics",
            Self::KafkaTopicsExtended { .. } => "kafka_topics_extended",
            Self::SourceDescription { .. } => "sourceDescription",
            Self::SourceDescriptions { .. } => "source_descriptions",
            Self::QueryDescription { .. } => "queryDescription",
            Self::QueryDescriptions { .. } => "query_descriptions",
            Self::Properties { .. } => "properties",
            Self::FunctionNames { .. } => "function_names",
            Self::DescribeFunction { .. } => "describe_function",
            Self::Variables { .. } => "variables",
            Self::TypeList { .. } => "type_list",
            Self::AssertTopic { .. } => "assert_topic",
            Self::AssertSchema { .. } => "assert_schema",
            Self::TerminateQuery { .. } => "terminate_query",
            Self::Connector { .. } => "connector_info",
            Self::Connectors { .. } => "connector_list",
            Self::ConnectorPlugins { .. } => "connector_plugins_list",
            Self::ConnectorDescription { .. } => "connector_description",
            Self::DropConnector { .. } => "drop_connector",
        }
    }
}

/// A connector in a list.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectorSummary {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) class_name: Option<String>,
    pub(crate) state: Option<String>,
}

impl ConnectorSummary {
    /// One of which nothing but the name can be learnt.
    pub(crate) fn unknown(name: String) -> Self {
        Self {
            name,
            kind: "unknown".to_owned(),
            class_name: None,
            state: None,
        }
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommandStatus {
    pub(crate) status: &'static str,
    pub(crate) message: String,
    pub(crate) query_id: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceInfo {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) key_format: String,
    pub(crate) value_format: String,
    pub(crate) is_windowed: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunningQuery {
    pub(crate) query_string: String,
    pub(crate) sinks: Vec<String>,
    pub(crate) sink_kafka_topics: Vec<String>,
    pub(crate) id: String,
    pub(crate) status_count: BTreeMap<&'static str, u32>,
    pub(crate) query_type: &'static str,
    pub(crate) state: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TopicInfo {
    pub(crate) name: String,
    pub(crate) replica_info: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) consumer_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) consumer_group_count: Option<usize>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SourceDescription {
    pub(crate) name: String,
    pub(crate) window_type: Option<&'static str>,
    pub(crate) read_queries: Vec<RunningQuery>,
    pub(crate) write_queries: Vec<RunningQuery>,
    pub(crate) fields: Vec<FieldInfo>,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) timestamp: String,
    pub(crate) statistics: String,
    pub(crate) error_stats: String,
    pub(crate) extended: bool,
    pub(crate) key_format: String,
    pub(crate) value_format: String,
    pub(crate) topic: String,
    pub(crate) partitions: usize,
    pub(crate) replication: usize,
    pub(crate) statement: String,
    pub(crate) query_offset_summaries: Vec<Json>,
    pub(crate) source_constraints: Vec<String>,
    pub(crate) cluster_statistics: Vec<Json>,
    pub(crate) cluster_error_stats: Vec<Json>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueryDescription {
    pub(crate) id: String,
    pub(crate) statement_text: String,
    pub(crate) window_type: Option<&'static str>,
    pub(crate) fields: Vec<FieldInfo>,
    pub(crate) sources: Vec<String>,
    pub(crate) sinks: Vec<String>,
    pub(crate) topology: String,
    pub(crate) execution_plan: String,
    pub(crate) overridden_properties: BTreeMap<String, Json>,
    pub(crate) ksql_host_query_status: BTreeMap<String, &'static str>,
    pub(crate) query_type: &'static str,
    pub(crate) query_errors: Vec<QueryError>,
    pub(crate) tasks_metadata: Vec<Json>,
    /// ksqlDB's own command line cannot read a description without it.
    pub(crate) consumer_group_id: String,
    pub(crate) state: Option<&'static str>,
}

/// Something that made a query stop and start again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueryError {
    /// Milliseconds since the epoch.
    pub(crate) timestamp: i64,
    pub(crate) error_message: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) scope: &'static str,
    pub(crate) value: Option<String>,
    pub(crate) editable: bool,
    pub(crate) level: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct FunctionName {
    pub(crate) name: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) category: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FunctionSignature {
    pub(crate) arguments: Vec<FunctionArgument>,
    pub(crate) return_type: &'static str,
    pub(crate) description: &'static str,
    pub(crate) argument_types: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FunctionArgument {
    pub(crate) name: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) description: &'static str,
    pub(crate) is_variadic: bool,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A column of a description.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FieldInfo {
    pub(crate) name: String,
    pub(crate) schema: SchemaInfo,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<&'static str>,
}

/// A type of a description.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SchemaInfo {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) fields: Option<Vec<FieldInfo>>,
    pub(crate) member_schema: Option<Box<SchemaInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameters: Option<BTreeMap<&'static str, u32>>,
}

impl FieldInfo {
    /// A column as `DESCRIBE` shows it.
    pub(crate) fn of_column(column: &Column) -> Self {
        Self {
            name: column.name.clone(),
            schema: SchemaInfo::of_type(&column.sql_type),
            kind: match column.namespace {
                Namespace::Key => Some("KEY"),
                Namespace::Headers => Some("HEADER"),
                Namespace::Value => None,
            },
        }
    }
}

impl SchemaInfo {
    /// A type as `DESCRIBE` shows it.
    pub(crate) fn of_type(sql_type: &SqlType) -> Self {
        let mut info = Self {
            kind: "",
            fields: None,
            member_schema: None,
            parameters: None,
        };
        info.kind = match sql_type {
            SqlType::Boolean => "BOOLEAN",
            SqlType::Integer => "INTEGER",
            SqlType::Bigint => "BIGINT",
            SqlType::Double => "DOUBLE",
            SqlType::Decimal { precision, scale } => {
                info.parameters = Some(BTreeMap::from([("precision", *precision), ("scale", *scale)]));
                "DECIMAL"
            }
            SqlType::String => "STRING",
            SqlType::Bytes => "BYTES",
            SqlType::Date => "DATE",
            SqlType::Time => "TIME",
            SqlType::Timestamp => "TIMESTAMP",
            SqlType::Array(element) => {
                info.member_schema = Some(Box::new(Self::of_type(element)));
                "ARRAY"
            }
            SqlType::Map(_, value) => {
                info.member_schema = Some(Box::new(Self::of_type(value)));
                "MAP"
            }
            SqlType::Struct(fields) => {
                let fields = fields.iter().map(|field| FieldInfo {
                    name: field.name.clone(),
                    schema: Self::of_type(&field.sql_type),
                    kind: None,
                });
                info.fields = Some(fields.collect());
                "STRUCT"
            }
        };
        info
    }
}

#[cfg(test)]
mod tests;
