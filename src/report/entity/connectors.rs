//! What ksqlDB answers about connectors.

use serde_json::{Map, Value};

use super::{facts, field, list, objects, printable, table};

type Body = Map<String, Value>;

pub(super) fn made(body: &Body) -> Option<String> {
    let info = body.get("info")?.as_object()?;
    Some(format!("Created connector {}", printable(&field(info, "name"))))
}

pub(super) fn dropped(body: &Body) -> String {
    format!("Dropped connector {}", printable(&field(body, "connectorName")))
}

pub(super) fn all(body: &Body, width: Option<usize>) -> Option<String> {
    let headers = ["CONNECTOR", "TYPE", "CLASS", "STATE"];
    list(body, "connectors", headers, width, |connector| {
        ["name", "type", "className", "state"].map(|name| field(connector, name))
    })
}

pub(super) fn plugins(body: &Body, width: Option<usize>) -> Option<String> {
    let headers = ["CLASS", "TYPE", "VERSION"];
    // Servers 7.9 and 8.2 write the name of the list alike.
    let rows = objects(body, "connectorsPlugins")?;
    let rows = rows.map(|plugin| {
        ["className", "type", "version"]
            .map(|name| field(plugin, name))
            .into()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    Some(match rows.is_empty() {
        true => "no connector plugins".to_owned(),
        false => table(&headers, &rows, width),
    })
}

pub(super) fn description(body: &Body, width: Option<usize>) -> Option<String> {
    let status = body.get("status")?.as_object()?;
    let of_connector = |name: &str| {
        let connector = status.get("connector").and_then(Value::as_object);
        connector.map_or_else(String::new, |connector| field(connector, name))
    };
    let told = facts(
        &[
            ("Name", field(status, "name")),
            ("Class", field(body, "connectorClass")),
            ("Type", field(status, "type")),
            ("State", of_connector("state")),
            ("Worker", of_connector("worker_id")),
            ("Trace", of_connector("trace")),
            ("Topics", field(body, "topics")),
        ],
        width,
    );
    let tasks = objects(status, "tasks")?;
    let tasks: Vec<Vec<String>> = tasks
        .map(|task| {
            ["id", "state", "worker_id", "trace"]
                .map(|name| field(task, name))
                .into()
        })
        .collect();
    Some(match tasks.is_empty() {
        true => told,
        false => {
            let headers = ["TASK", "STATE", "WORKER", "TRACE"];
            format!("{told}\n\n{}", table(&headers, &tasks, width))
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::entity_text;
    use crate::ksqldb::Entity;

    fn shown(entity: Value) -> String {
        entity_text(&Entity::try_from(entity).unwrap(), None)
    }

    #[test]
    fn connectors_are_shown_as_tables_and_facts() {
        let connectors = json!({"@type": "connector_list", "connectors": [
            {"name": "SINK", "type": "sink", "className": "FileStreamSink", "state": "RUNNING (1/1 tasks RUNNING)"},
            {"name": "LOST", "type": "unknown", "className": null, "state": null}]});
        insta::assert_snapshot!(shown(connectors), @"
        CONNECTOR  TYPE     CLASS           STATE
        ─────────  ───────  ──────────────  ───────────────────────────
        SINK       sink     FileStreamSink  RUNNING (1/1 tasks RUNNING)
        LOST       unknown
        ");
        let none = json!({"@type": "connector_list", "connectors": []});
        assert_eq!(shown(none), "no connectors");
        let plugins = json!({"@type": "connector_plugins_list", "connectorsPlugins": [
            {"className": "org.apache.kafka.connect.file.FileStreamSinkConnector", "type": "sink", "version": "4.2.0"}]});
        insta::assert_snapshot!(shown(plugins), @"
        CLASS                                                  TYPE  VERSION
        ─────────────────────────────────────────────────────  ────  ───────
        org.apache.kafka.connect.file.FileStreamSinkConnector  sink  4.2.0
        ");
        let made = json!({"@type": "connector_info", "info": {"name": "SINK", "config": {"password": "x"}, "tasks": []}});
        assert_eq!(shown(made), "Created connector SINK");
        let dropped = json!({"@type": "drop_connector", "connectorName": "SINK"});
        assert_eq!(shown(dropped), "Dropped connector SINK");
        let described = json!({"@type": "connector_description", "connectorClass": "FileStreamSink",
            "sources": [], "topics": ["processes"],
            "status": {"name": "SINK", "type": "sink", "connector": {"state": "RUNNING", "worker_id": "connect:8083"},
                "tasks": [{"id": 0, "state": "FAILED", "worker_id": "connect:8083", "trace": "no such folder"}]}});
        insta::assert_snapshot!(shown(described), @"
        Name    SINK
        Class   FileStreamSink
        Type    sink
        State   RUNNING
        Worker  connect:8083
        Topics  processes

        TASK  STATE   WORKER        TRACE
        ────  ──────  ────────────  ──────────────
        0     FAILED  connect:8083  no such folder
        ");
    }
}
