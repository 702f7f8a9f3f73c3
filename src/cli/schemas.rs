//! `osqdemo schemas`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `osqdemo schemas`.
#[derive(Debug, Args)]
pub struct SchemasArgs {
    /// What to do; `list` by default.
    #[command(subcommand)]
    pub command: Option<SchemasCommand>,
}

/// What to do with schemas.
#[derive(Debug, Subcommand)]
pub enum SchemasCommand {
    /// List the subjects: their versions, and what may change in them.
    List,
    /// Print the schema of a subject.
    // `--version` is that of the schema.
    #[command(disable_version_flag = true)]
    Show(ShowSchemaArgs),
    /// Check whether a schema could be registered. Registers nothing.
    Check(CheckSchemaArgs),
}

/// `osqdemo schemas show`.
#[derive(Debug, Args)]
pub struct ShowSchemaArgs {
    /// The subject, such as `processes-value`.
    #[arg(value_name = "SUBJECT")]
    pub subject: String,
    /// The version, instead of the latest.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub version: Option<u32>,
}

/// `osqdemo schemas check`.
#[derive(Debug, Args)]
pub struct CheckSchemaArgs {
    /// The file with the schema; `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The subject it would be registered under.
    #[arg(long, value_name = "SUBJECT")]
    pub subject: String,
    /// Its language [default: protobuf for a name that ends in `.proto`, else avro]
    #[arg(long = "type", value_name = "avro|json|protobuf", hide_possible_values = true)]
    pub language: Option<SchemaLanguage>,
}

/// The languages of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaLanguage {
    /// Avro.
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers.
    Protobuf,
}
