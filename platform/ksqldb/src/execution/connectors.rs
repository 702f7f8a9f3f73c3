//! Statements about connectors: Kafka Connect carries them out, and the command log knows nothing of them.

use tokio::net::lookup_host;

use super::entity::{Answer, ConnectorSummary, Entity};
use super::executor::Executor;
use super::failure::{ErrorCode, Failure, Refusal};
use crate::connect::{ConnectError, ConnectorInfo, ConnectorStatus, Settings};
use crate::syntax::ast::{ConnectorKind, ConnectorStatement, Literal, Properties};
use crate::syntax::without_settings;

/// The setting that names a connector's class.
const CLASS: &str = "connector.class";
/// What a connector and a task say of themselves when they do their work.
const RUNNING: &str = "RUNNING";

impl Executor {
    /// Asks whether a connector could be made, before a request does anything: also one that the same request drops
    /// first is there then.
    pub(super) async fn try_connector(
        &self,
        statement: &ConnectorStatement,
        text: &str,
    ) -> Result<(), Failure> {
        let ConnectorStatement::Create {
            name,
            if_not_exists,
            settings,
            ..
        } = statement
        else {
            return Ok(());
        };
        let text = without_settings(text);
        let invalid = |faults: &str| Failure::bad_statement(format!("Validation error: {faults}"), &text);
        let names = match self.connect.names().await {
            Ok(names) => names,
            Err(error) => return Err(failure("Failed to create connector", error, &text).await),
        };
        if names.contains(name) && !if_not_exists {
            return Err(refused(409, already_exists(name)));
        }
        let settings = settings_of(name, settings);
        let Some(Some(class)) = settings.get(CLASS) else {
            let names: Vec<String> = settings.keys().map(|name| format!("{name}=[string]")).collect();
            return Err(invalid(&format!(
                "Connector config {{{}}} contains no connector type",
                names.join(", ")
            )));
        };
        match self.connect.faults(class, &settings).await {
            Ok(faults) if faults.is_empty() => Ok(()),
            Ok(faults) => Err(invalid(&faults.join("\n"))),
            // Such as a class that nobody has.
            Err(ConnectError::Refused { body, .. }) => Err(invalid(&body)),
            Err(error) => Err(failure("Failed to create connector", error, &text).await),
        }
    }

    /// Carries a statement out.
    pub(super) async fn connector(
        &self,
        statement: &ConnectorStatement,
        text: &str,
    ) -> Result<Answer, Failure> {
        let text = without_settings(text);
        let (what, result) = match statement {
            ConnectorStatement::Create {
                name,
                if_not_exists,
                settings,
                ..
            } => {
                let made = self.connect.create(name, &settings_of(name, settings)).await;
                let made = match made {
                    Ok(info) => Ok(Entity::Connector { info }),
                    Err(error @ ConnectError::Refused { status: 409, .. })
                        if *if_not_exists && !error.passes() =>
                    {
                        Ok(Entity::Warning {
                            message: already_exists(name),
                        })
                    }
                    Err(error) => Err(error),
                };
                ("Failed to create connector", made)
            }
            ConnectorStatement::Drop { name, if_exists } => {
                let dropped = match self.connect.delete(name).await {
                    Ok(()) => Ok(Entity::DropConnector {
                        connector_name: name.clone(),
                    }),
                    Err(ConnectError::Refused { status: 404, .. }) if *if_exists => Ok(Entity::Warning {
                        message: format!("Connector '{name}' does not exist."),
                    }),
                    Err(error) => Err(error),
                };
                ("Failed to drop connector", dropped)
            }
            ConnectorStatement::Plugins => {
                let plugins = self.connect.plugins().await;
                let plugins = plugins.map(|plugins| Entity::ConnectorPlugins {
                    connectors_plugins: plugins,
                });
                ("Failed to list connector plugins", plugins)
            }
            ConnectorStatement::Describe { name } => return self.describe_connector(name, &text).await,
            ConnectorStatement::List(kind) => return self.list_connectors(*kind, &text).await,
        };
        match result {
            Ok(entity) => Ok(Answer::new(&text, entity)),
            Err(error) => Err(failure(what, error, &text).await),
        }
    }

    async fn describe_connector(&self, name: &str, text: &str) -> Result<Answer, Failure> {
        let status = match self.connect.status(name).await {
            Ok(status) => status,
            Err(error) => return Err(failure("Failed to query connector status", error, text).await),
        };
        let info = match self.connect.info(name).await {
            Ok(info) => info,
            Err(error) => return Err(failure("Failed to query connector", error, text).await),
        };
        let (topics, warnings) = match self.connect.topics(name).await {
            Ok(topics) => (topics, Vec::new()),
            Err(error) => {
                let reason = reason(&error);
                let warning = format!("Could not list related topics due to error: {reason}");
                (Vec::new(), vec![warning])
            }
        };
        let entity = Entity::ConnectorDescription {
            connector_class: class_of(&info),
            status,
            sources: Vec::new(),
            topics,
        };
        Ok(Answer::new(text, entity).with_warnings(&warnings))
    }

    async fn list_connectors(&self, kind: Option<ConnectorKind>, text: &str) -> Result<Answer, Failure> {
        let names = match self.connect.names().await {
            Ok(names) => names,
            Err(error) => return Err(failure("Failed to list connectors", error, text).await),
        };
        let wanted = kind.map(|kind| match kind {
            ConnectorKind::Source => "source",
            ConnectorKind::Sink => "sink",
        });
        let (mut connectors, mut warnings) = (Vec::new(), Vec::new());
        for name in names {
            let info = match self.connect.info(&name).await {
                Ok(info) => info,
                Err(error) => {
                    warnings.push(format!("Could not describe connector {name}: {}", reason(&error)));
                    if wanted.is_none() {
                        connectors.push(ConnectorSummary::unknown(name));
                    }
                    continue;
                }
            };
            if wanted.is_some_and(|wanted| wanted != info.kind) {
                continue;
            }
            let status = self.connect.status(&name).await;
            connectors.push(ConnectorSummary {
                name,
                class_name: Some(class_of(&info)),
                kind: info.kind,
                state: Some(status.map_or_else(|error| reason(&error), |status| summary(&status))),
            });
        }
        Ok(Answer::new(text, Entity::Connectors { connectors }).with_warnings(&warnings))
    }
}

fn already_exists(name: &str) -> String {
    format!("Connector {name} already exists")
}

fn class_of(info: &ConnectorInfo) -> String {
    info.config.get(CLASS).cloned().flatten().unwrap_or_default()
}

/// How a connector does, in a few words.
fn summary(status: &ConnectorStatus) -> String {
    if status.connector.state != RUNNING {
        return status.connector.state.clone();
    }
    let all = status.tasks.len();
    let running = status.tasks.iter().filter(|task| task.state.state == RUNNING);
    let running = running.count();
    let word = match running {
        _ if running == all => RUNNING,
        0 => "FAILED",
        _ => "WARNING",
    };
    format!("{word} ({running}/{all} tasks RUNNING)")
}

/// What Connect is told: every value is a text there, and the name is among them.
fn settings_of(name: &str, settings: &Properties) -> Settings {
    let text = |value: &Literal| match value {
        Literal::Null => None,
        Literal::Boolean(value) => Some(value.to_string()),
        Literal::Integer(value) => Some(value.to_string()),
        Literal::Bigint(value) => Some(value.to_string()),
        Literal::Double(value) => Some(value.to_string()),
        Literal::Decimal(value) | Literal::String(value) => Some(value.clone()),
    };
    let given = settings.0.iter().map(|(name, value)| (name.clone(), text(value)));
    let mut settings: Settings = given.collect();
    settings.insert("name".to_owned(), Some(name.to_owned()));
    settings
}

/// Why Connect did not do it, in its own words.
fn reason(error: &ConnectError) -> String {
    match error {
        ConnectError::Away { address, reason } => format!("Connect to {address} failed: {reason}"),
        ConnectError::Refused { body, .. } => body.clone(),
    }
}

/// What a client is told who asked for what Connect did not do.
async fn failure(what: &str, error: ConnectError, text: &str) -> Failure {
    match error {
        ConnectError::Refused { status, body } => refused(status, format!("{what}: {body}")),
        ConnectError::Away { address, reason } => {
            let host = address.split_once("://").map_or("", |(_, host)| host);
            let ip = lookup_host(host).await.ok().and_then(|mut found| found.next());
            let ip = ip.map_or_else(String::new, |found| {
                let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
                format!(" [{name}/{}]", found.ip())
            });
            let message = format!(
                "io.confluent.ksql.util.KsqlServerException: org.apache.hc.client5.http.HttpHostConnectException: Connect \
                 to {address}{ip} failed: {reason}\nCaused by: Could not connect to the server. Please check the server \
                 details are\n\tcorrect and that the server is running."
            );
            Refusal::new(ErrorCode::ServerError, message).failure(text)
        }
    }
}

fn refused(status: u16, message: String) -> Failure {
    Failure::generic(ErrorCode::Connect(status), message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_connector_that_does_half_its_work_is_told() {
        let status = |connector: &str, tasks: &[&str]| {
            let tasks: Vec<_> = tasks
                .iter()
                .enumerate()
                .map(|(id, state)| json!({"id": id, "state": state, "worker_id": "w"}))
                .collect();
            let status = json!({"name": "c", "type": "sink", "tasks": tasks,
                "connector": {"state": connector, "worker_id": "w"}});
            summary(&serde_json::from_value(status).unwrap())
        };
        assert_eq!(status("RUNNING", &["RUNNING"]), "RUNNING (1/1 tasks RUNNING)");
        assert_eq!(status("RUNNING", &[]), "RUNNING (0/0 tasks RUNNING)");
        assert_eq!(
            status("RUNNING", &["RUNNING", "FAILED"]),
            "WARNING (1/2 tasks RUNNING)"
        );
        assert_eq!(status("RUNNING", &["FAILED"]), "FAILED (0/1 tasks RUNNING)");
        assert_eq!(status("PAUSED", &["PAUSED"]), "PAUSED");
    }

    #[test]
    fn settings_are_texts() {
        let given = [
            ("a", Literal::Integer(1)),
            ("b", Literal::Boolean(true)),
            ("c", Literal::Null),
            ("d", Literal::Decimal("1.50".to_owned())),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(
            json!(settings_of("C", &Properties(given.to_vec()))),
            json!({"a": "1", "b": "true", "c": null, "d": "1.50", "name": "C"})
        );
    }
}
