//! A configuration as a document: its text is read, what osqdemo itself relies on is checked, and the packs that it names
//! by a path are put into it. What osquery thinks of the rest, the extension says.

use std::path::Path;

use osquery_configuration::{PackFiles, member, parse_json_bytes};
use serde_json::{Map, Value};

use crate::host_config::HostConfigError;

/// The query whose first line says that a host is healthy.
const HEALTH_QUERY: &str = "processes";

/// The key by which that line is known as the host's.
const HEALTH_KEY: &str = "['hostIdentifier']";

/// The longest interval of that query, in seconds: a host is waited for, for a while.
const LONGEST_HEALTH_INTERVAL: u64 = 10;

/// The options that would give a host another name in its lines than the one osqdemo gave it, or keep its lines from the
/// broker.
const OWN_OPTIONS: [&str; 4] = [
    "host_identifier",
    "specified_identifier",
    "logger_plugin",
    "disable_logging",
];

/// A configuration from its text. A pack that cannot be read is left out of it: what is wrong with it is the extension's
/// to say.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Value, HostConfigError> {
    let file = File { path };
    let mut document = parse_json_bytes(bytes).map_err(|error| HostConfigError::NotJson {
        path: path.to_owned(),
        line: error.line,
        column: error.column,
        reason: error.reason,
    })?;
    let root = file.object(Some(&document), "the file")?;
    file.object(root.get("config"), "config")?;
    let source = file.object(root.get("source"), "source")?;
    let schedule = file.object(source.get("schedule"), "source.schedule")?;
    file.health_query(root, schedule)?;
    file.own_options(source)?;
    let packs = document
        .get_mut("source")
        .and_then(|source| source.get_mut("packs"))
        .and_then(Value::as_object_mut);
    if let Some(packs) = packs {
        *packs = file.packs(packs);
    }
    Ok(document)
}

/// The file that is named in errors.
struct File<'p> {
    path: &'p Path,
}

impl File<'_> {
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
        if !query.get("query").is_some_and(Value::is_string) {
            return Err(self.shape(&member(&place, "query"), "a statement in quotes"));
        }
        if interval(query).is_none_or(|interval| !(1..=LONGEST_HEALTH_INTERVAL).contains(&interval)) {
            let expected = format!(
                "at most {LONGEST_HEALTH_INTERVAL} seconds, and at least 1: osqdemo waits for its lines when a host \
                 starts"
            );
            return Err(self.shape(&member(&place, "interval"), &expected));
        }
        Ok(())
    }

    /// An option of the configuration wins over the flags by which osqdemo names a host and gets its lines.
    fn own_options(&self, source: &Map<String, Value>) -> Result<(), HostConfigError> {
        let options = source.get("options").and_then(Value::as_object);
        let own = OWN_OPTIONS
            .into_iter()
            .find(|name| options.is_some_and(|options| options.contains_key(*name)));
        match own {
            Some(name) => Err(self.shape(
                &member("source.options", name),
                "left out: osqdemo sees to it itself, because it waits for each host's lines",
            )),
            None => Ok(()),
        }
    }

    /// Packs that are files in the place of their paths: a host does not have those files.
    fn packs(&self, packs: &Map<String, Value>) -> Map<String, Value> {
        // As the extension reads them: from the configuration's folder on.
        let files = PackFiles::beside(self.path.parent().unwrap_or(Path::new("")));
        let mut read = Map::new();
        for (name, pack) in packs {
            match pack {
                Value::String(pattern) if name == "*" => {
                    for (name, pack) in files.several(pattern).0 {
                        read.entry(name).or_insert(pack);
                    }
                }
                Value::String(path) => {
                    let bytes = std::fs::read(files.path(path)).unwrap_or_default();
                    if let Ok(pack) = parse_json_bytes(&bytes) {
                        read.insert(name.clone(), pack);
                    }
                }
                _ => {
                    read.insert(name.clone(), pack.clone());
                }
            }
        }
        read
    }
}

/// In seconds; osquery takes a number also in quotes.
fn interval(query: &Map<String, Value>) -> Option<u64> {
    match query.get("interval")? {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::error::Diagnose;
    use crate::exit_code::ExitCode;
    use crate::host_config::DEFAULT;

    fn parse_text(text: &str) -> Result<Value, HostConfigError> {
        parse(Path::new("/nonexistent/my.json"), text.as_bytes())
    }

    fn default_with(change: impl FnOnce(&mut Value)) -> String {
        let mut document: Value = serde_json::from_str(DEFAULT).expect("valid JSON");
        change(&mut document);
        document.to_string()
    }

    #[test]
    fn the_default_is_one_itself_and_stays_as_it_is() {
        let document = parse_text(DEFAULT).expect("a configuration");
        assert_eq!(
            document,
            serde_json::from_str::<Value>(DEFAULT).expect("valid JSON")
        );
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = |text: &str| parse_text(text).expect_err("a mistake").to_string();
        assert_eq!(
            error("{\n  \"config\": {},\n}"),
            "the host configuration is not JSON: /nonexistent/my.json:3:1: trailing comma"
        );
        assert!(
            error("").contains("/nonexistent/my.json:1:0: EOF"),
            "{}",
            error("")
        );
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 8] = [
            (|root| *root = json!([]), "`the file` must be an object"),
            (|root| root["config"] = json!([]), "`config` must be an object"),
            (|root| root["source"] = json!(null), "`source` must be an object"),
            (
                |root| root["source"]["schedule"] = json!([]),
                "`source.schedule` must be an object",
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
                |root| root["source"]["options"] = json!({ "host_identifier": "specified" }),
                "`source.options.host_identifier` must be left out",
            ),
        ];
        for (change, expected) in cases {
            let message = error(&default_with(change));
            assert!(message.contains(expected), "{message}\n{expected}");
        }
    }

    #[test]
    fn packs_that_are_files_are_read_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("my.json");
        fs::create_dir(folder.path().join("packs")).expect("a folder");
        let write =
            |name: &str, text: &str| fs::write(folder.path().join("packs").join(name), text).expect("a file");
        write(
            "ir.json",
            "{\"queries\": {\"ports\": {\"query\": \"select \\\n1\", \"interval\": \"5\"}}} // note",
        );
        write("more.conf", "{}");
        write("broken.conf", "{");
        let text = default_with(|root| {
            root["source"]["packs"] = json!({
                "ir": "packs/ir.json", "gone": "gone.json", "broken": "packs/broken.conf", "*": "packs/*.conf",
                "own": { "queries": {} } });
        });
        let document = parse(&path, format!("\u{feff}# mine\n{text}").as_bytes()).expect("a configuration");
        assert_eq!(
            document["source"]["packs"],
            json!({
                "ir": { "queries": { "ports": { "query": "select   1", "interval": "5" } } },
                "more": {}, "own": { "queries": {} } })
        );
    }

    #[test]
    fn the_key_may_stand_at_the_top() {
        let text = default_with(|root| {
            root["key"] = json!(HEALTH_KEY);
            root["source"]["schedule"]["processes"] = json!({ "query": "select 1", "interval": "2" });
        });
        parse_text(&text).expect("a configuration");
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
            prop_assert!(parse_text(&text).is_err(), "nothing this short is a configuration");
        }

        #[test]
        fn any_document_is_read_or_refused(document in document(), part in prop::sample::select(&["", "/source", "/source/schedule", "/source/packs"][..])) {
            let text = default_with(|root| {
                if let Some(place) = root.pointer_mut(part) {
                    *place = document;
                }
            });
            match parse_text(&text) {
                // Nothing is left that a host would look for in a file.
                Ok(read) => prop_assert!(
                    read["source"]["packs"].as_object().into_iter().flatten().all(|(_, pack)| !pack.is_string())
                ),
                Err(error) => prop_assert_eq!(error.exit_code(), ExitCode::Usage),
            }
        }
    }
}
