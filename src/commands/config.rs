//! `osqdemo config`: the settings in force, each with where it comes from, and the schema of the settings file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::cli::{ConfigCommand, ConfigSchemaArgs, ConfigShowArgs, Source, Typed};
use crate::commands::Context;
use crate::commands::images::LOCK_FILE;
use crate::commands::project::Project;
use crate::commands::request::{ports_asked_for, usual_limit};
use crate::commands::scenario::usual_host;
use crate::error::Result;
use crate::events::{Note, SCHEMA_VERSION, event_schema_text};
use crate::report::table;
use crate::settings::key::{KEYS, Key, Kind};
use crate::settings::{Settings, schema_text};
use crate::stack::ServiceName;
use crate::state::Remembered;

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Origin {
    Flag,
    Environment,
    File,
    Remembered,
    Default,
}

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Shown {
    setting: String,
    value: Option<String>,
    from: Origin,
}

/// The layers that a setting can come from, and what the stack makes of them.
struct Layers<'a> {
    settings: &'a Settings,
    /// Before anything was asked for.
    remembered: &'a Remembered,
    /// With what was asked for.
    project: &'a Project,
    ports: BTreeMap<ServiceName, u16>,
}

/// Runs the verb.
///
/// # Errors
/// When a setting cannot be.
pub fn run(context: &Context, command: &ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Schema(ConfigSchemaArgs { events: true }) => {
            context.reporter.text(&event_schema_text())
        }
        ConfigCommand::Schema(ConfigSchemaArgs { events: false }) => context.reporter.text(&schema_text()),
        ConfigCommand::Show(arguments) => show(context, arguments),
    }
}

fn show(context: &Context, arguments: &ConfigShowArgs) -> Result<()> {
    let target = &arguments.run.target;
    let project = Project::asked_for(context, &target.stack)?;
    let layers = Layers {
        settings: &context.settings,
        remembered: &Project::open(context)?.remembered,
        ports: ports_asked_for(&context.settings, &project.stack, &target.ports)?,
        project: &project,
    };
    let shown = layers.shown();
    let path = context.settings.file.as_ref().map(|file| &file.path);
    context.reporter.emit(Note::SettingsFile { file: path.cloned() });
    let document = json!({ "schema_version": SCHEMA_VERSION, "file": path, "settings": shown });
    context.reporter.data(&document, || {
        let rows: Vec<Vec<String>> = shown.iter().map(Shown::as_row).collect();
        table::table(&["SETTING", "VALUE", "FROM"], &rows, table::output_width())
    })
}

impl Shown {
    fn as_row(&self) -> Vec<String> {
        let from = match self.from {
            Origin::Flag => "flag",
            Origin::Environment => "environment",
            Origin::File => "file",
            Origin::Remembered => "remembered",
            Origin::Default => "default",
        };
        vec![
            self.setting.clone(),
            self.value.clone().unwrap_or_else(|| "-".to_owned()),
            from.to_owned(),
        ]
    }
}

impl Layers<'_> {
    fn shown(&self) -> Vec<Shown> {
        KEYS.iter().flat_map(|key| self.of_key(key)).collect()
    }

    fn of_key(&self, key: &Key) -> Vec<Shown> {
        let remembered = &self.project.remembered;
        let (value, from) = match (key.path().as_str(), key.kind) {
            (_, Kind::Ports) => return self.of_ports(),
            // The two are one choice: only what is in force is shown.
            ("stack", _) if remembered.stack_file.is_some() => return Vec::new(),
            ("stack-file", _) if remembered.stack_file.is_none() => return Vec::new(),
            ("stack" | "stack-file", _) => (Some(self.project.stack_name()), self.origin_of_stack()),
            (_, Kind::Services) => self.of_without(),
            (path, _) => self.of_text(key, path),
        };
        vec![Shown {
            setting: key.path(),
            value,
            from,
        }]
    }

    fn of_text(&self, key: &Key, path: &str) -> (Option<String>, Origin) {
        if let Some(origin) = typed(&self.settings.typed, key.option) {
            return (self.settings.typed.values(key.option).last().cloned(), origin);
        }
        if let Some(text) = self.settings.file.as_ref().and_then(|file| file.text(path)) {
            return (Some(text.to_owned()), Origin::File);
        }
        match self.remembered(path) {
            Some(text) => (Some(text), Origin::Remembered),
            None => (self.default(key, path), Origin::Default),
        }
    }

    fn remembered_port(&self, service: &ServiceName) -> Option<u16> {
        let (asked, picked) = (&self.remembered.ports, &self.remembered.picked_ports);
        asked.get(service).or(picked.get(service)).copied()
    }

    fn remembered(&self, path: &str) -> Option<String> {
        match path {
            // A stack that runs in containers only has no choice.
            "engine" if self.project.stack.is_native() => self.remembered.engine.clone(),
            "osqueryd" => self.remembered.osqueryd.clone(),
            "osquery-sha256" => self.remembered.osquery_sha256.clone(),
            "source" => self.remembered.source.as_deref().map(shown_path),
            // Where it was: what it says may be secret.
            "host-config" => self
                .remembered
                .host_config
                .as_ref()
                .map(|own| shown_path(&own.path)),
            _ => None,
        }
    }

    fn default(&self, key: &Key, path: &str) -> Option<String> {
        match path {
            "engine" if self.project.stack.is_native() => Some("native".to_owned()),
            "engine" => Some("docker".to_owned()),
            "timeout" => Some(as_typed(usual_limit(&self.project.stack))),
            "scenario.host" => usual_host(&self.project.stack).map(|host| host.name.to_string()),
            "images.lock-file" => Some(self.settings.home.join(LOCK_FILE).display().to_string()),
            _ => Some(key.default.to_owned()).filter(|text| !text.is_empty()),
        }
    }

    fn origin_of_stack(&self) -> Origin {
        let typed = |option| typed(&self.settings.typed, option);
        let file = self.settings.file.as_ref();
        if let Some(origin) = typed("stack").or_else(|| typed("stack-file")) {
            origin
        } else if file.is_some_and(|file| file.text("stack").or(file.text("stack-file")).is_some()) {
            Origin::File
        } else if self.remembered.stack.is_some() || self.remembered.stack_file.is_some() {
            Origin::Remembered
        } else {
            Origin::Default
        }
    }

    fn of_without(&self) -> (Option<String>, Origin) {
        let without = &self.project.remembered.without;
        let names: Vec<&str> = without.iter().map(ServiceName::as_str).collect();
        let from = if let Some(origin) = typed(&self.settings.typed, "without") {
            origin
        } else if self.settings.file.as_ref().is_some_and(|file| file.leaves_out()) {
            Origin::File
        } else if without.is_empty() {
            Origin::Default
        } else {
            Origin::Remembered
        };
        (Some(names.join(", ")).filter(|names| !names.is_empty()), from)
    }

    /// One for each service that publishes a port.
    fn of_ports(&self) -> Vec<Shown> {
        let services = self.project.stack.services.iter();
        let published = services.filter_map(|service| Some((&service.name, service.port?.published)));
        published
            .map(|(service, default)| {
                let is_typed = |text: &String| {
                    text.split_once('=')
                        .is_some_and(|(name, _)| name == service.as_str())
                };
                let (port, from) = match (self.ports.get(service), self.remembered_port(service)) {
                    (Some(port), _) if self.settings.typed.values("port").iter().any(is_typed) => {
                        (*port, Origin::Flag)
                    }
                    (Some(port), _) => (*port, Origin::File),
                    (None, Some(port)) => (port, Origin::Remembered),
                    (None, None) => (default, Origin::Default),
                };
                Shown {
                    setting: format!("ports.{service}"),
                    value: Some(port.to_string()),
                    from,
                }
            })
            .collect()
    }
}

fn typed(typed: &Typed, option: &str) -> Option<Origin> {
    typed.source(option).map(|source| match source {
        Source::Option => Origin::Flag,
        Source::Environment => Origin::Environment,
    })
}

fn shown_path(path: &Path) -> String {
    path.display().to_string()
}

/// A duration as it can be typed.
fn as_typed(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds > 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
