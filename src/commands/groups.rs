//! `osqdemo groups`: the groups of consumers, who is in them, and how far behind they are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::commands::Context;
use crate::error::Result;
use crate::events::SCHEMA_VERSION;
use crate::kafka::{Group, groups};
use crate::report::duration;
use crate::report::output_size::output_width;
use crate::report::table::table;

/// Fails when the stack is not running or the broker does not answer.
pub(super) async fn run(context: Context) -> Result<()> {
    let broker = context.cluster().await?;
    let groups = tokio::select! {
        groups = groups(&broker) => groups?,
        () = context.shutdown.token().cancelled() => return Err(context.shutdown.interrupted().into()),
    };
    let document = json!({ "schema_version": SCHEMA_VERSION, "groups": groups });
    context.reporter.data(&document, || {
        let rows: Vec<Vec<String>> = groups.iter().flat_map(rows).collect();
        let headers = ["GROUP", "STATE", "MEMBERS", "TOPIC", "LAG", "BEHIND"];
        table(&headers, &rows, output_width())
    })
}

/// A row for each topic that it reads; one for a group that has committed nothing.
fn rows(group: &Group) -> Vec<Vec<String>> {
    let mut topics: BTreeMap<&str, (u64, Option<u64>)> = BTreeMap::new();
    for position in &group.positions {
        let (lag, behind) = topics.entry(&position.topic).or_insert((0, Some(0)));
        *lag += position.lag;
        *behind = behind.zip(position.behind_ms).map(|(one, other)| one.max(other));
    }
    let members = group.members.len().to_string();
    let head = |cells: [String; 3]| {
        let [topic, lag, behind] = cells;
        vec![
            group.name.clone(),
            group.refusal.as_ref().unwrap_or(&group.state).clone(),
            members.clone(),
            topic,
            lag,
            behind,
        ]
    };
    if topics.is_empty() {
        return vec![head([String::new(), String::new(), String::new()])];
    }
    topics
        .into_iter()
        .map(|(topic, (lag, behind))| {
            let behind = match behind {
                Some(0) => "-".to_owned(),
                Some(behind) => duration(Duration::from_millis(behind)),
                None => "unknown".to_owned(),
            };
            head([topic.to_owned(), lag.to_string(), behind])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::Position;

    fn position(topic: &str, partition: i32, lag: u64, behind_ms: Option<u64>) -> Position {
        Position {
            topic: topic.to_owned(),
            partition,
            committed: 5,
            end: 5 + i64::try_from(lag).unwrap(),
            lag,
            behind_ms,
        }
    }

    #[test]
    fn partitions_of_a_topic_are_one_row_with_the_oldest_record() {
        let group = Group {
            name: "readers".to_owned(),
            state: "Stable".to_owned(),
            protocol: "classic".to_owned(),
            refusal: None,
            members: Vec::new(),
            positions: vec![
                position("lines", 0, 3, Some(1_500)),
                position("lines", 1, 4, Some(90_000)),
                position("states", 0, 0, Some(0)),
                position("stuck", 0, 1, None),
            ],
        };
        let rows = rows(&group);
        let ends: Vec<&[String]> = rows.iter().map(|row| &row[3..]).collect();
        assert_eq!(
            ends,
            [
                ["lines", "7", "1 min 30 s"],
                ["states", "0", "-"],
                ["stuck", "1", "unknown"]
            ]
        );
    }

    #[test]
    fn a_group_that_has_committed_nothing_is_listed() {
        let group = Group {
            name: "new".to_owned(),
            state: "Empty".to_owned(),
            protocol: "consumer".to_owned(),
            refusal: None,
            members: Vec::new(),
            positions: Vec::new(),
        };
        assert_eq!(rows(&group), [["new", "Empty", "0", "", "", ""]]);
    }
}
