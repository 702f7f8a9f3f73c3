//! A configuration as a document: its text is read, its shape checked, and the packs that it names by a path put into it.

use std::path::Path;

use serde_json::{Map, Value};

use crate::host_config::HostConfigError;

/// The query whose first line says that a host is healthy.
const HEALTH_QUERY: &str = "processes";

/// The key by which that line is known as the host's.
const HEALTH_KEY: &str = "['hostIdentifier']";

/// The longest interval of that query, in seconds: a host is waited for, for a while.
const LONGEST_HEALTH_INTERVAL: u64 = 10;

/// The longest interval that osquery takes: a week.
const LONGEST_INTERVAL: u64 = 604_800;

/// A configuration from its text. `read_pack` reads the files that it names.
pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    read_pack: &dyn Fn(&Path) -> Result<Vec<u8>, HostConfigError>,
) -> Result<Value, HostConfigError> {
    let file = File { path };
    let mut document = file.json(bytes)?;
    let root = file.object(Some(&document), "the file")?;
    file.object(root.get("config"), "config")?;
    if !root.get("topic").is_some_and(Value::is_string) {
        return Err(file.shape(
            "topic",
            "the name of a Kafka topic, for lines without a query name",
        ));
    }
    let source = file.object(root.get("source"), "source")?;
    let schedule = file.object(source.get("schedule"), "source.schedule")?;
    file.queries(schedule, "source.schedule")?;
    file.health_query(root, schedule)?;
    let packs = document
        .get_mut("source")
        .and_then(|source| source.get_mut("packs"));
    if let Some(packs) = packs {
        file.packs(packs, read_pack)?;
    }
    Ok(document)
}

/// The file that is named in errors.
struct File<'p> {
    path: &'p Path,
}

impl File<'_> {
    fn json(&self, bytes: &[u8]) -> Result<Value, HostConfigError> {
        serde_json::from_slice(bytes).map_err(|error| {
            let reason = error.to_string();
            HostConfigError::NotJson {
                path: self.path.to_owned(),
                line: error.line(),
                column: error.column(),
                reason: reason.split(" at line ").next().unwrap_or_default().to_owned(),
            }
        })
    }

    fn shape(&self, member: &str, expected: &str) -> HostConfigError {
        HostConfigError::Shape {
            path: self.path.to_owned(),
            member: member.to_owned(),
            expected: expected.to_owned(),
        }
    }

    fn object<'v>(
        &self,
        value: Option<&'v Value>,
        member: &str,
    ) -> Result<&'v Map<String, Value>, HostConfigError> {
        value
            .and_then(Value::as_object)
            .ok_or_else(|| self.shape(member, "an object"))
    }

    fn queries(&self, queries: &Map<String, Value>, place: &str) -> Result<(), HostConfigError> {
        for (name, query) in queries {
            let place = member(place, name);
            let query = self.object(Some(query), &place)?;
            if !query.get("query").is_some_and(Value::is_string) {
                return Err(self.shape(&member(&place, "query"), "a statement in quotes"));
            }
            if !interval(query).is_some_and(|interval| (1..=LONGEST_INTERVAL).contains(&interval)) {
                let expected = format!("a number of seconds from 1 to {LONGEST_INTERVAL}");
                return Err(self.shape(&member(&place, "interval"), &expected));
            }
        }
        Ok(())
    }

    /// The line that osqdemo waits for has to come, soon, and with the key that says whose it is.
    fn health_query(
        &self,
        root: &Map<String, Value>,
        schedule: &Map<String, Value>,
    ) -> Result<(), HostConfigError> {
        let place = member("source.schedule", HEALTH_QUERY);
        let Some(query) = schedule.get(HEALTH_QUERY).and_then(Value::as_object) else {
            return Err(self.shape(&place, "there: by its lines osqdemo sees that a host is healthy"));
        };
        let key = query.get("key").or_else(|| root.get("key"));
        if key.and_then(Value::as_str) != Some(HEALTH_KEY) {
            let expected = format!("`{HEALTH_KEY}`: by it osqdemo sees whose line it is");
            return Err(self.shape(&member(&place, "key"), &expected));
        }
        if interval(query).is_none_or(|interval| interval > LONGEST_HEALTH_INTERVAL) {
            let expected = format!(
                "at most {LONGEST_HEALTH_INTERVAL} seconds: osqdemo waits for its lines when a host starts"
            );
            return Err(self.shape(&member(&place, "interval"), &expected));
        }
        Ok(())
    }

    /// Puts packs that are files in the place of their paths: a host does not have those files.
    fn packs(
        &self,
        packs: &mut Value,
        read_pack: &dyn Fn(&Path) -> Result<Vec<u8>, HostConfigError>,
    ) -> Result<(), HostConfigError> {
        let Some(packs) = packs.as_object_mut() else {
            return Err(self.shape("source.packs", "an object"));
        };
        for (name, pack) in packs {
            let place = member("source.packs", name);
            if name == "*" {
                return Err(self.shape(&place, "an entry for each pack, under the pack's own name"));
            }
            match pack {
                Value::String(named) => {
                    // As the extension reads it: from the configuration's folder on.
                    let path = self.path.parent().unwrap_or(Path::new("")).join(named);
                    let file = File { path: &path };
                    let read = file.json(&read_pack(&path)?)?;
                    file.pack(&read, "queries")?;
                    *pack = read;
                }
                Value::Object(_) => self.pack(pack, &member(&place, "queries"))?,
                _ => return Err(self.shape(&place, "a pack, or the path of its file")),
            }
        }
        Ok(())
    }

    fn pack(&self, pack: &Value, place: &str) -> Result<(), HostConfigError> {
        let queries = self.object(pack.get("queries"), place)?;
        self.queries(queries, place)
    }
}

/// In seconds; osquery takes a number also in quotes.
fn interval(query: &Map<String, Value>) -> Option<u64> {
    match query.get("interval")? {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

/// The path of a member in the document.
fn member(place: &str, name: &str) -> String {
    let is_word = |character: char| character.is_alphanumeric() || character == '_' || character == '-';
    if !name.is_empty() && name.chars().all(is_word) {
        format!("{place}.{name}")
    } else {
        format!("{place}['{name}']")
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::error::Diagnose;
    use crate::exit_code::ExitCode;
    use crate::host_config::DEFAULT;

    /// A configuration whose packs are files of these contents.
    fn parse_with(text: &str, packs: &[(&str, &str)]) -> Result<Value, HostConfigError> {
        parse(Path::new("folder/my.json"), text.as_bytes(), &|path| {
            let pack = packs.iter().find(|(name, _)| Path::new(name) == path);
            pack.map(|(_, text)| text.as_bytes().to_vec())
                .ok_or_else(|| HostConfigError::Read {
                    path: path.to_owned(),
                    source: io::ErrorKind::NotFound.into(),
                })
        })
    }

    fn default_with(change: impl FnOnce(&mut Value)) -> String {
        let mut document: Value = serde_json::from_str(DEFAULT).expect("valid JSON");
        change(&mut document);
        document.to_string()
    }

    #[test]
    fn the_default_is_one_itself_and_stays_as_it_is() {
        let document = parse_with(DEFAULT, &[]).expect("a configuration");
        assert_eq!(
            document,
            serde_json::from_str::<Value>(DEFAULT).expect("valid JSON")
        );
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = |text: &str| parse_with(text, &[]).expect_err("a mistake").to_string();
        assert_eq!(
            error("{\n  \"config\": {},\n}"),
            "the host configuration is not JSON: folder/my.json:3:1: trailing comma"
        );
        assert!(error("").contains("folder/my.json:1:0: EOF"), "{}", error(""));
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 16] = [
            (|root| *root = json!([]), "`the file` must be an object"),
            (|root| root["config"] = json!([]), "`config` must be an object"),
            (|root| root["topic"] = json!(1), "`topic` must be the name of"),
            (|root| root["source"] = json!(null), "`source` must be an object"),
            (
                |root| root["source"]["schedule"] = json!([]),
                "`source.schedule` must be an object",
            ),
            (
                |root| root["source"]["schedule"]["users"] = json!("select 1"),
                "`source.schedule.users` must be an object",
            ),
            (
                |root| root["source"]["schedule"]["a b"] = json!({ "query": "select 1" }),
                "`source.schedule['a b'].interval` must be a number of seconds from 1 to 604800",
            ),
            (
                |root| root["source"]["schedule"]["users"]["interval"] = json!(0),
                "`source.schedule.users.interval` must be",
            ),
            (
                |root| root["source"]["schedule"]["users"]["query"] = json!(7),
                "`source.schedule.users.query` must be a statement in quotes",
            ),
            (
                |root| root["source"]["schedule"] = json!({}),
                "`source.schedule.processes` must be there: by its lines",
            ),
            (
                |root| root["source"]["schedule"]["processes"]["key"] = json!("['columns']['pid']"),
                "`source.schedule.processes.key` must be `['hostIdentifier']`",
            ),
            (
                |root| root["source"]["schedule"]["processes"]["interval"] = json!(60),
                "`source.schedule.processes.interval` must be at most 10 seconds",
            ),
            (
                |root| root["source"]["packs"] = json!([]),
                "`source.packs` must be an object",
            ),
            (
                |root| root["source"]["packs"] = json!({ "*": "packs/*.json" }),
                "`source.packs['*']` must be an entry for each pack",
            ),
            (
                |root| root["source"]["packs"] = json!({ "ir": 1 }),
                "`source.packs.ir` must be a pack, or the path of its file",
            ),
            (
                |root| root["source"]["packs"] = json!({ "ir": { "queries": { "a": {} } } }),
                "`source.packs.ir.queries.a.query` must be a statement",
            ),
        ];
        for (change, expected) in cases {
            let message = error(&default_with(change));
            assert!(message.contains(expected), "{message}\n{expected}");
        }
    }

    #[test]
    fn packs_that_are_files_are_read_with_it() {
        let text = default_with(|root| root["source"]["packs"] = json!({ "ir": "packs/ir.json" }));
        let pack = r#"{"queries": {"ports": {"query": "select 1", "interval": "5"}}}"#;
        let document = parse_with(&text, &[("folder/packs/ir.json", pack)]).expect("a configuration");
        assert_eq!(
            document["source"]["packs"]["ir"]["queries"]["ports"]["query"],
            "select 1"
        );
        let error = |packs: &[(&str, &str)]| parse_with(&text, packs).expect_err("a mistake").to_string();
        assert!(
            error(&[]).contains("failed to read the host configuration `folder/packs/ir.json`"),
            "{}",
            error(&[])
        );
        assert!(error(&[("folder/packs/ir.json", "{")]).contains("folder/packs/ir.json:1:1: EOF"));
        assert!(
            error(&[("folder/packs/ir.json", "{}")])
                .ends_with("`folder/packs/ir.json` is unusable: `queries` must be an object")
        );
    }

    #[test]
    fn the_key_may_stand_at_the_top() {
        let text = default_with(|root| {
            root["key"] = json!(HEALTH_KEY);
            root["source"]["schedule"]["processes"] = json!({ "query": "select 1", "interval": "2" });
        });
        parse_with(&text, &[]).expect("a configuration");
    }

    /// JSON of the names that matter, in any arrangement.
    fn document() -> impl Strategy<Value = Value> {
        let name = prop::sample::select(
            &[
                "config",
                "source",
                "topic",
                "schedule",
                "packs",
                "queries",
                "processes",
                "query",
                "interval",
                "key",
                "*",
            ][..],
        );
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
                    Value::Object(members.collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            prop_assert!(parse_with(&text, &[]).is_err(), "nothing this short is a configuration");
        }

        #[test]
        fn any_document_is_read_or_refused(document in document(), part in prop::sample::select(&["", "/source", "/source/schedule", "/source/packs"][..])) {
            let text = default_with(|root| {
                if let Some(place) = root.pointer_mut(part) {
                    *place = document;
                }
            });
            match parse_with(&text, &[]) {
                // Nothing is left that a host would look for in a file.
                Ok(read) => prop_assert!(
                    read["source"]["packs"].as_object().into_iter().flatten().all(|(_, pack)| pack.is_object())
                ),
                Err(error) => prop_assert_eq!(error.exit_code(), ExitCode::Usage),
            }
        }
    }
}
