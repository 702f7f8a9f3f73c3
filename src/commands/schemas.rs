//! `osqdemo schemas`: what the stack's Schema Registry holds, and whether it would take another schema.

mod error;
mod listing;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use osqdemo_registry_client::{Client, ClientError, Schema, SchemaType, Settings, Version};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::cli::{CheckSchemaArgs, SchemaLanguage, SchemasArgs, SchemasCommand, ShowSchemaArgs};
use crate::commands::Context;
use crate::error::Result;
use crate::events::SCHEMA_VERSION;
use crate::input_file;
use crate::kafka::registry_settings;
use crate::report::output_size::output_width;
use crate::report::printable::printable;
use crate::report::table::table;
use error::SchemasError;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How large a file may be: a registry takes no larger schema.
const LARGEST: u64 = 1 << 20;

/// Fails when the stack is not running or has no registry, or that refuses.
pub(super) async fn run(context: Context, arguments: SchemasArgs) -> Result<()> {
    match arguments.command.unwrap_or(SchemasCommand::List) {
        SchemasCommand::List => list(&context).await,
        SchemasCommand::Show(arguments) => show(&context, arguments).await,
        SchemasCommand::Check(arguments) => check(&context, arguments).await,
    }
}

async fn list(context: &Context) -> Result<()> {
    let subjects = ask(context, listing::subjects).await??;
    let document = json!({"schema_version": SCHEMA_VERSION, "subjects": subjects});
    context.reporter.data(&document, || {
        let rows: Vec<Vec<String>> = subjects.iter().map(listing::Subject::row).collect();
        table(&listing::HEADERS, &rows, output_width())
    })
}

async fn show(context: &Context, arguments: ShowSchemaArgs) -> Result<()> {
    let ShowSchemaArgs { subject, version } = arguments;
    let asked = subject.clone();
    let found = ask(context, move |client| client.version(&asked, version)).await?;
    let found = found.map_err(|error| error.of_subject(&subject, version))?;
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "subject": found.subject,
        "version": found.version,
        "id": found.id,
        "type": listing::type_name(found.schema.schema_type),
        "references": found.schema.references,
        "schema": found.schema.schema,
    });
    context.reporter.data(&document, || readable(&found))
}

async fn check(context: &Context, arguments: CheckSchemaArgs) -> Result<()> {
    // A file that cannot be read is told before a stack that does not run.
    let text = read(&arguments.file)?;
    let schema = Schema {
        schema_type: language(&arguments),
        schema: text,
        references: Vec::new(),
    };
    let subject = arguments.subject;
    let asked = subject.clone();
    let question = move |client: &Client| {
        let messages = client.incompatibilities(&asked, &schema)?;
        Ok((messages, client.subjects()?.contains(&asked)))
    };
    let (messages, is_known) = ask(context, question).await??;
    if messages.is_empty() {
        let document = json!({
            "schema_version": SCHEMA_VERSION,
            "subject": subject,
            "subject_exists": is_known,
            "compatible": true,
        });
        return context.reporter.data(&document, || {
            let subject = printable(&subject);
            if is_known {
                format!("{subject}: it could be registered")
            } else {
                format!(
                    "{subject}: there is no such subject yet; it could be registered as the first version"
                )
            }
        });
    }
    Err(SchemasError::Incompatible { subject, messages }.into())
}

/// Asks the stack's registry, until a signal comes.
async fn ask<T: Send + 'static>(
    context: &Context,
    question: impl FnOnce(&Client) -> std::result::Result<T, ClientError> + Send + 'static,
) -> Result<std::result::Result<T, SchemasError>> {
    let registry = context.registry().await?;
    let settings = Settings {
        timeout: LIMIT,
        retries: 1,
        ..registry_settings(&registry)
    };
    let client = Arc::new(Client::new(settings).map_err(SchemasError::Settings)?);
    tokio::select! {
        answer = spawn_blocking(move || question(&client)) => match answer {
            Ok(answer) => Ok(answer.map_err(SchemasError::Registry)),
            Err(error) => Err(SchemasError::Internal(error.to_string()).into()),
        },
        () = context.shutdown.token().cancelled() => Err(context.shutdown.interrupted().into()),
    }
}

fn read(path: &Path) -> std::result::Result<String, SchemasError> {
    let failed = |source: io::Error| SchemasError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let read = if path == Path::new("-") {
        input_file::beginning_of_standard_input(LARGEST + 1)
    } else {
        input_file::beginning_of(path, LARGEST + 1)
    };
    let text = read.map_err(failed)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(SchemasError::TooLarge {
            path: path.to_owned(),
            most: LARGEST,
        });
    }
    Ok(text)
}

fn language(arguments: &CheckSchemaArgs) -> SchemaType {
    let is_proto = arguments
        .file
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("proto"));
    match arguments.language {
        Some(SchemaLanguage::Json) => SchemaType::Json,
        Some(SchemaLanguage::Protobuf) => SchemaType::Protobuf,
        None if is_proto => SchemaType::Protobuf,
        Some(SchemaLanguage::Avro) | None => SchemaType::Avro,
    }
}

/// The text of a schema as people read one.
fn readable(version: &Version) -> String {
    let text = &version.schema.schema;
    let json = serde_json::from_str::<Value>(text).ok();
    let pretty = json.and_then(|json| serde_json::to_string_pretty(&json).ok());
    // Nothing in it reaches the terminal as a command.
    let text = pretty.unwrap_or_else(|| text.clone());
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(file: &str, language: Option<SchemaLanguage>) -> CheckSchemaArgs {
        CheckSchemaArgs {
            file: file.into(),
            subject: "s".to_owned(),
            language,
        }
    }

    #[test]
    fn the_name_says_the_language_unless_it_is_said() {
        assert_eq!(language(&arguments("a.avsc", None)), SchemaType::Avro);
        assert_eq!(language(&arguments("a.PROTO", None)), SchemaType::Protobuf);
        let said = arguments("a.proto", Some(SchemaLanguage::Json));
        assert_eq!(language(&said), SchemaType::Json);
    }

    #[test]
    fn a_file_without_an_end_is_not_read_to_it() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the schema of `/dev/zero` has more than 1048576 bytes"
        );
        assert!(read(Path::new("/nowhere/a.avsc")).is_err());
    }

    #[test]
    fn a_schema_is_shown_on_lines_and_harmless() {
        let version = |text: &str| Version {
            subject: "s".to_owned(),
            version: 1,
            id: 1,
            schema: Schema::avro(text),
        };
        assert_eq!(readable(&version("{\"a\":1}")), "{\n  \"a\": 1\n}");
        assert_eq!(
            readable(&version("message A {\n  // \x1b[2J\n}")),
            "message A {\n  // \\u{1b}[2J\n}"
        );
    }
}
