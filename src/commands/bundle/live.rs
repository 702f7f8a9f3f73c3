//! The pieces of a bundle that the engine and the services give: logs, containers, Kafka's topics, ksqlDB's queries.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::bundle::Bundle;
use crate::commands::bundle::settled::add_file;
use crate::commands::bundle::{PIECE_LIMIT, within};
use crate::commands::endpoints;
use crate::commands::project::Project;
use crate::engine::docker::Connection;
use crate::engine::{Engine, EngineKind, LogReading, log_file};
use crate::error::Result;
use crate::events::SCHEMA_VERSION;
use crate::kafka::list_topics;
use crate::ksqldb::client::Client;
use crate::ksqldb::session::Session;
use crate::ksqldb::statement::Script;
use crate::plan::Observed;
use crate::stack::Cluster;
use crate::stack::ServiceName;

/// How much of the end of a log is kept, in bytes.
const LOG_SIZE: usize = 512 * 1024;

/// How many pieces of a log may wait to be read.
const WAITING: usize = 16;

/// How long ksqlDB may take for an answer.
const KSQLDB_LIMIT: Duration = Duration::from_secs(1);

/// How long the broker may take for the list of its topics.
const KAFKA_LIMIT: Duration = Duration::from_secs(5);

/// What ksqlDB is asked for.
const STATEMENTS: &str = "SHOW QUERIES; SHOW STREAMS; SHOW TABLES;";

/// The end of every log.
pub(super) async fn add_logs(bundle: &mut Bundle, project: &Project) {
    let services = project.stack.services.iter().map(|service| service.name.clone());
    let supervisor = (project.kind != EngineKind::Docker).then(|| ServiceName::new("supervisor"));
    for service in services.chain(supervisor) {
        let name = format!("logs/{service}.log");
        match within(PIECE_LIMIT, log_end(&*project.engine, &service)).await {
            Ok(text) if text.is_empty() => bundle.miss(&name, "it is empty"),
            Ok(text) => bundle.add_text(&name, &format!("the end of the log of {service}"), &text),
            Err(reason) => {
                bundle.miss(&name, &reason);
                let kept = project.folder.log_file(&service);
                if kept.exists() {
                    let what = format!("what was kept of the log of {service} when it was stopped");
                    add_file(bundle, &format!("logs/{service}.kept.log"), &what, &kept);
                }
            }
        }
    }
}

/// The end of a log, also of an earlier run.
async fn log_end(engine: &dyn Engine, service: &ServiceName) -> Result<String> {
    let (pieces, mut arriving) = mpsc::channel::<Vec<u8>>(WAITING);
    let keeping = async {
        let mut kept: Vec<u8> = Vec::new();
        while let Some(piece) = arriving.recv().await {
            kept.extend_from_slice(&piece);
            // Not with every piece: each time all of it is moved.
            if kept.len() > 2 * LOG_SIZE {
                log_file::cut_to_end(&mut kept, LOG_SIZE);
            }
        }
        log_file::cut_to_end(&mut kept, LOG_SIZE);
        Ok(kept)
    };
    let (_, kept) = tokio::try_join!(engine.log(service, LogReading::ALL, pieces), keeping)?;
    Ok(String::from_utf8_lossy(&kept).into_owned())
}

/// Every container as the daemon describes it.
pub(super) async fn add_containers(bundle: &mut Bundle, project: &Project) {
    if project.kind != EngineKind::Docker {
        return;
    }
    let inspections = Box::pin(async { Connection::open().await?.inspections(&project.folder).await });
    match within(PIECE_LIMIT, inspections).await {
        Ok(inspections) if inspections.is_empty() => bundle.miss("containers", "there are none"),
        Ok(inspections) => {
            for (name, inspection) in inspections {
                let what = format!("how the daemon describes container {name}");
                bundle.add_json(&format!("containers/{name}.json"), &what, inspection);
            }
        }
        Err(reason) => bundle.miss("containers", &reason),
    }
}

/// What Kafka and ksqlDB say of themselves, if they run.
pub(super) async fn add_platform(bundle: &mut Bundle, project: &Project, observed: &Observed) {
    bundle.add_json(
        "endpoints.json",
        "where the clients on this machine find the platform",
        endpoints::as_json(project, observed),
    );
    match endpoints::cluster(project, observed) {
        Ok(broker) => add_topics(bundle, &broker).await,
        Err(error) => bundle.miss("topics.json", &error.to_string()),
    }
    match endpoints::ksqldb(project, observed).map(|ksqldb| Client::of(&ksqldb)) {
        Ok(Ok(client)) => add_ksqldb(bundle, &client).await,
        Ok(Err(error)) => bundle.miss("ksqldb", &error.to_string()),
        Err(error) => bundle.miss("ksqldb", &error.to_string()),
    }
}

async fn add_topics(bundle: &mut Bundle, broker: &Cluster) {
    match within(KAFKA_LIMIT, list_topics(broker)).await {
        Ok(topics) => bundle.add_json(
            "topics.json",
            "the topics of the broker",
            json!({ "schema_version": SCHEMA_VERSION, "topics": topics }),
        ),
        Err(reason) => bundle.miss("topics.json", &reason),
    }
}

async fn add_ksqldb(bundle: &mut Bundle, client: &Client) {
    let state = Box::pin(async { tokio::try_join!(client.info(), client.is_healthy()) });
    match within(KSQLDB_LIMIT, state).await {
        Ok((info, is_healthy)) => bundle.add_json(
            "ksqldb/state.json",
            "`/info` and `/healthcheck` of ksqlDB",
            json!({ "version": info.version, "status": info.status, "is_healthy": is_healthy }),
        ),
        Err(reason) => {
            // The others would not get an answer either.
            bundle.miss("ksqldb", &reason);
            return;
        }
    }
    for statement in Script::parse(STATEMENTS).statements {
        let text = statement.text.trim_end_matches(';').trim();
        let name = format!("ksqldb/{}.json", text.replace(' ', "-").to_ascii_lowercase());
        let session = Session::default();
        match within(KSQLDB_LIMIT, Box::pin(client.execute(&statement, &session))).await {
            Ok(entities) => {
                let bodies: Vec<Value> = entities.iter().map(|entity| json!(entity.body())).collect();
                bundle.add_json(&name, &format!("what ksqlDB answers to `{text}`"), json!(bodies));
            }
            Err(reason) => bundle.miss(&name, &reason),
        }
    }
}
