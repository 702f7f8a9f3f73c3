//! `osqdemo config`: the settings in force, each with where it comes from, and the schema of the settings file.

use serde_json::json;

use crate::cli::{ConfigCommand, ConfigSchemaArgs, ConfigShowArgs};
use crate::commands::Context;
use crate::commands::project::Project;
use crate::error::Result;
use crate::events::{Note, SCHEMA_VERSION, event_schema_text};
use crate::report::output_size::output_width;
use crate::report::table::table;
use crate::settings::{Shown, in_force, schema_text};

/// Fails when a setting cannot be.
pub(super) fn run(context: &Context, command: &ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Schema(ConfigSchemaArgs { events: true }) => {
            context.reporter.text(&event_schema_text())
        }
        ConfigCommand::Schema(ConfigSchemaArgs { events: false }) => context.reporter.text(&schema_text()),
        ConfigCommand::Show(arguments) => show(context, arguments),
    }
}

fn show(context: &Context, arguments: &ConfigShowArgs) -> Result<()> {
    let settings = &context.settings;
    let shown = in_force(arguments, settings, &Project::open(context)?.remembered)?;
    let path = settings.file.as_ref().map(|file| &file.path);
    context.reporter.emit(Note::SettingsFile { file: path.cloned() });
    let document = json!({ "schema_version": SCHEMA_VERSION, "file": path, "settings": shown });
    context.reporter.data(&document, || {
        let rows: Vec<Vec<String>> = shown.iter().map(as_row).collect();
        table(&["SETTING", "VALUE", "FROM"], &rows, output_width())
    })
}

fn as_row(shown: &Shown) -> Vec<String> {
    vec![
        shown.setting.clone(),
        shown.value.clone().unwrap_or_else(|| "-".to_owned()),
        shown.from.to_owned(),
    ]
}
