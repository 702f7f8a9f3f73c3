//! ksqlDB: statements, and what there is to write them with.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use crate::server::App;

#[derive(Debug, Deserialize)]
pub(crate) struct Statements {
    ksql: String,
    #[serde(default)]
    properties: Option<Value>,
}

/// `POST /api/ksql`: ksqlDB's own results.
pub(crate) async fn execute(State(app): State<App>, Json(statements): Json<Statements>) -> Answer {
    let properties = statements.properties.unwrap_or_else(|| json!({}));
    let results = app.ksqldb()?.execute(&statements.ksql, &properties).await?;
    Ok(Json(json!({ "results": results })))
}

/// `GET /api/ksql/catalog`: sources with their columns, types and functions.
pub(crate) async fn catalog(State(app): State<App>) -> Answer {
    let ksqldb = app.ksqldb()?;
    let none = json!({});
    let listed = ksqldb
        .execute("SHOW STREAMS; SHOW TABLES; SHOW TYPES; SHOW FUNCTIONS;", &none)
        .await?;
    let list = |kind: &str, field: &str| -> Vec<Value> {
        let of_kind = listed.iter().filter(|result| result["@type"] == kind);
        of_kind
            .filter_map(|result| result[field].as_array())
            .flatten()
            .cloned()
            .collect()
    };
    let mut sources = list("streams", "streams");
    sources.extend(list("tables", "tables"));
    for source in &mut sources {
        let Some(name) = source["name"].as_str() else {
            continue;
        };
        let quoted = name.replace('`', "``");
        // A source that was dropped in between has no columns.
        let described = ksqldb.execute(&format!("DESCRIBE `{quoted}`;"), &none).await;
        let fields = described
            .ok()
            .and_then(|results| Some(results.first()?["sourceDescription"]["fields"].clone()));
        source["fields"] = fields.unwrap_or_default();
    }
    let types = listed
        .iter()
        .find(|result| result["@type"] == "type_list")
        .map(|result| result["types"].clone());
    Ok(Json(json!({
        "sources": sources, "types": types.unwrap_or_default(), "functions": list("function_names", "functions"),
    })))
}
