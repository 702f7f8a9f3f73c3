//! Where a line goes: its topic and its key, and what becomes of a line too large for Kafka.

use std::borrow::Cow;
use std::collections::HashMap;

use osquery_protocol::result_log::topic_name;

use crate::json;
use crate::key_expression::KeyExpression;
use crate::line_facts::LineFacts;
use crate::topic_template::TopicTemplate;

/// The rules of the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Routing {
    /// The topic of all lines, when it is made of their parts.
    pub(crate) template: Option<TopicTemplate>,
    /// The topic of lines without a query name.
    pub(crate) fallback_topic: Option<String>,
    /// The names of the packs.
    pub(crate) packs: Vec<String>,
    /// The key of queries without a key expression.
    pub(crate) default_key: Option<KeyExpression>,
    /// The key expressions, by the query's name as lines carry it.
    pub(crate) keys: HashMap<String, KeyExpression>,
}

/// The way of one line.
#[derive(Debug, PartialEq)]
pub(crate) struct Route<'l> {
    pub(crate) topic: String,
    pub(crate) key: Option<Cow<'l, [u8]>>,
}

impl Routing {
    /// The way of `line`; `None` when it names no query and there is no fallback topic.
    ///
    /// Any name will do: a query need not be one of the configuration's schedule.
    pub(crate) fn route<'l>(&self, line: &'l [u8], facts: &LineFacts<'_>) -> Option<Route<'l>> {
        let name = facts.query.as_deref().map(String::from_utf8_lossy);
        let topic = self.topic(facts)?;
        let expression = name
            .as_deref()
            .and_then(|name| self.keys.get(name))
            .or(self.default_key.as_ref());
        Some(Route {
            topic,
            key: expression.and_then(|expression| expression.find(line)),
        })
    }

    /// The topic of a line; `None` when it names no query and there is no fallback topic.
    pub(crate) fn topic(&self, facts: &LineFacts<'_>) -> Option<String> {
        if let Some(template) = &self.template {
            return Some(template.topic(facts, &self.packs));
        }
        let name = facts.query.as_deref().map(String::from_utf8_lossy);
        name.as_deref()
            .and_then(topic_name)
            .or_else(|| self.fallback_topic.clone())
    }
}

/// Takes a snapshot or a batch apart into one line for each row, in the shape osquery gives a row's line
/// when it logs rows one by one. `None` when the line is neither, or not JSON.
pub(crate) fn split_rows(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut common = Vec::with_capacity(512);
    let mut groups: Vec<(&str, &[u8])> = Vec::new();
    for member in json::members(line).ok()? {
        let (name, value) = member.ok()?;
        match name {
            b"snapshot" => groups.push(("snapshot", value)),
            b"diffResults" => {
                for action in ["removed", "added"] {
                    groups.extend(json::member(value, action).map(|rows| (action, rows)));
                }
            }
            b"action" => {}
            _ => {
                common.push(b'"');
                common.extend_from_slice(name);
                common.extend_from_slice(b"\":");
                common.extend_from_slice(value);
                common.push(b',');
            }
        }
    }
    if groups.is_empty() {
        return None;
    }
    let mut lines = Vec::new();
    for (action, rows) in groups {
        for row in json::elements(rows).ok()? {
            let action = format!(",\"action\":\"{action}\"}}");
            lines.push(
                [
                    b"{",
                    common.as_slice(),
                    b"\"columns\":",
                    row.ok()?,
                    action.as_bytes(),
                ]
                .concat(),
            );
        }
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::slice;

    use osquery_protocol::result_log::{Action, DecorationPlace, Numerics, QueryRun, Row};

    use super::*;

    fn routing() -> Routing {
        let key = |text| KeyExpression::parse(text).unwrap();
        Routing {
            template: None,
            packs: Vec::new(),
            fallback_topic: Some("fallback".into()),
            default_key: Some(key("['hostIdentifier']")),
            keys: HashMap::from([
                ("pack/ir/open files".into(), key("['columns']['path']")),
                ("absent".into(), key("['columns']['nothing']")),
            ]),
        }
    }

    fn route(line: &str) -> (String, Option<String>) {
        let routing = routing();
        let route = routing
            .route(line.as_bytes(), &LineFacts::of(line.as_bytes()))
            .unwrap();
        (
            route.topic,
            route.key.map(|key| String::from_utf8(key.into_owned()).unwrap()),
        )
    }

    #[test]
    fn the_name_is_the_topic_and_finds_the_key() {
        let line = r#"{"name":"pack/ir/open files","hostIdentifier":"h","columns":{"path":"/x"}}"#;
        assert_eq!(route(line), ("pack-ir-open-files".into(), Some("/x".into())));
        let line = r#"{"name":"unscheduled","hostIdentifier":"h"}"#;
        assert_eq!(route(line), ("unscheduled".into(), Some("h".into())));
        let line = r#"{"name":"absent","hostIdentifier":"h","columns":{}}"#;
        assert_eq!(route(line), ("absent".into(), None));
    }

    #[test]
    fn lines_without_a_name_fall_back() {
        for line in [r#"{"hostIdentifier":"h"}"#, r#"{"name":"","hostIdentifier":"h"}"#] {
            assert_eq!(route(line), ("fallback".into(), Some("h".into())), "{line}");
        }
        assert_eq!(route("not json"), ("fallback".into(), None));
        assert_eq!(Routing::default().route(b"not json", &LineFacts::default()), None);
    }

    #[test]
    fn a_split_snapshot_is_what_osquery_would_have_logged_row_by_row() {
        let run = QueryRun {
            name: "snap".into(),
            host_identifier: "vm".into(),
            unix_time: 1,
            epoch: 0,
            counter: 2,
            numerics: Numerics::AsText,
            decorations: BTreeMap::from([("who".into(), "h4".into())]),
            decoration_place: DecorationPlace::Nested,
        };
        let row = |text: &[u8]| Row::from([("cmdline".into(), text.into())]);
        let (first, second) = (row(b"caf\xe9"), row(b"}],\"action\":\"x\""));
        let lines = split_rows(&run.snapshot_line(&[first.clone(), second.clone()])).unwrap();
        assert_eq!(
            lines,
            [
                run.event_line(&first, Action::Snapshot),
                run.event_line(&second, Action::Snapshot)
            ]
        );
        let lines = split_rows(&run.batch_line(slice::from_ref(&first), slice::from_ref(&second))).unwrap();
        assert_eq!(
            lines,
            [
                run.event_line(&first, Action::Removed),
                run.event_line(&second, Action::Added)
            ]
        );
    }

    #[test]
    fn other_lines_are_not_split() {
        for line in [
            r#"{"name":"q","columns":{},"action":"added"}"#,
            "text",
            r#"{"snapshot":[{"#,
        ] {
            assert_eq!(split_rows(line.as_bytes()), None, "{line}");
        }
    }
}
