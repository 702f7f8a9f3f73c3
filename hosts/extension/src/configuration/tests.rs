use super::*;
use crate::courier::Courier;
use crate::options::COMPRESSIONS;

fn parse(text: &str) -> Result<Configuration, ConfigurationError> {
    Configuration::parse(Path::new("/etc/osquery/c.json"), text.as_bytes())
}

#[test]
fn the_originals_file_is_understood() {
    let configuration = parse(
        r#"{"config": {"bootstrap.servers": "broker:29092", "linger.ms": 5, "api.version.request": true},
            "source": {"schedule": {"processes": {"query": "select 1", "interval": 5, "key": "['hostIdentifier']"}},
                       "options": {"pack_delimiter": "."},
                       "packs": {"ir": {"queries": {"open files": {"query": "select 2", "key": "['columns']['path']"}}}}},
            "topic": "osquery-default-topic"}"#,
    )
    .unwrap();
    assert_eq!(configuration.properties["linger.ms"], "5");
    assert_eq!(configuration.properties["api.version.request"], "true");
    let source = configuration.source.unwrap();
    assert!(
        source.starts_with(r#"{"schedule":{"processes":{"query":"select 1""#),
        "{source}"
    );
    assert!(!source.contains("bootstrap"), "{source}");
    let routing = configuration.routing;
    assert_eq!(routing.fallback_topic.as_deref(), Some("osquery-default-topic"));
    let mut names: Vec<_> = routing.keys.into_keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "pack.ir.open files",
            "pack/ir/open files",
            "pack_ir_open files",
            "processes"
        ]
    );
}

#[test]
fn mistakes_are_named() {
    for (text, expected) in [
        (
            "{\n  \"config\": {},\n}",
            "/etc/osquery/c.json:3:1: trailing comma",
        ),
        ("", "/etc/osquery/c.json:1:0: EOF"),
        ("[]", "`the file` must be an object"),
        ("{}", "`config` must be there"),
        (r#"{"config": {}}"#, "`config.bootstrap.servers` must be there"),
        (
            r#"{"config": {"bootstrap.servers": []}}"#,
            "`config.bootstrap.servers` must be a string",
        ),
        (
            r#"{"config": {"bootstrap.servers": "b"}, "topic": "a b"}"#,
            "`topic` must be the name",
        ),
        (
            r#"{"config": {"bootstrap.servers": "b"}, "source": 1}"#,
            "`source` must be an object",
        ),
        (
            r#"{"config": {"bootstrap.servers": "b"}, "key": 1}"#,
            "`key` must be a key expression",
        ),
        (
            r#"{"config": {"bootstrap.servers": " "}}"#,
            "`config.bootstrap.servers` must be there",
        ),
        (
            r#"{"config": {"bootstrap.servers": "b"}, "key": "host"}"#,
            "the key expression `host` of the file: expected `[` at column 1",
        ),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_byte_order_mark_is_told_and_costs_nothing() {
    let text = r#"{"config": {"bootstrap.servers": "b"}}"#;
    assert!(parse(text).unwrap().findings.is_empty());
    let configuration = parse(&format!("\u{feff}{text}")).unwrap();
    assert_eq!(configuration.properties["bootstrap.servers"], "b");
    let findings: Vec<String> = configuration.findings.iter().map(ToString::to_string).collect();
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert!(
        finding.contains("/etc/osquery/c.json") && finding.contains("begins with a byte order mark"),
        "{finding}"
    );
}

#[test]
fn compression_is_librdkafkas_property_unless_that_says_otherwise() {
    let with = |config: Value| {
        let text = serde_json::json!({ "config": config, "compression": "zstd" }).to_string();
        parse(&text).unwrap().properties
    };
    let properties = with(serde_json::json!({ "bootstrap.servers": "b" }));
    assert_eq!(properties["compression.type"], "zstd");
    for name in ["compression.type", "compression.codec"] {
        let properties = with(serde_json::json!({ "bootstrap.servers": "b", name: "lz4" }));
        let said: Vec<&str> = properties
            .iter()
            .filter(|(name, _)| name.starts_with("compression"))
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!((properties[name].as_str(), said), ("lz4", vec!["lz4"]));
    }
    // librdkafka was built with all of them.
    for compression in COMPRESSIONS {
        let text = serde_json::json!({ "config": { "bootstrap.servers": "b" }, "compression": compression })
            .to_string();
        let configuration = parse(&text).unwrap();
        assert_eq!(configuration.properties["compression.type"], compression);
        Courier::check(configuration.properties, &configuration.secrets).unwrap();
    }
}

#[test]
fn what_osquery_would_leave_out_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("packs")).unwrap();
    for (name, text) in [
        (
            "good.conf",
            r#"{"queries": {"up": {"query": "select 1", "interval": 5, "key": "['x']"}}}"#,
        ),
        ("bad.conf", "{"),
    ] {
        std::fs::write(folder.path().join("packs").join(name), text).unwrap();
    }
    let text = r#"# osquery's own JSON
        {"config": {"bootstrap.servers": "b"}, "source": {
          "schedule": { "q": {"query": "select \
 1", "interval": 5, "key": "host"}, "no": {"query": "select 1", "interval": 0}, "hourly": {"query": "select 1"} },
          "packs": {
            "win": {"platform": "windows", "queries": {"reg": {"query": "select 1", "interval": 0}}},
            "*": "packs/*.conf",
            "gone": "gone.conf" } } }"#;
    let configuration = Configuration::parse(&folder.path().join("c.json"), text.as_bytes()).unwrap();
    let names = configuration.queries().into_iter().map(|query| query.name);
    assert_eq!(names.collect::<Vec<_>>(), ["hourly", "q", "pack_good_up"]);
    let places: Vec<_> = configuration
        .findings
        .iter()
        .map(|finding| finding.place.as_str())
        .collect();
    assert_eq!(
        places,
        [
            "source.schedule.q.key",
            "source.schedule.no.interval",
            "source.packs['*']",
            "source.packs.gone",
        ],
        "{:?}",
        configuration.findings
    );
    assert!(configuration.routing.keys.contains_key("pack_good_up"));
    let packs = configuration.pack("*", "packs/*.conf").unwrap();
    assert!(packs.starts_with(r#"{"good":{"queries""#), "{packs}");
}

#[test]
fn packs_in_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let pack = r#"{"queries": {"q": {"query": "select 1", "interval": 1, "key": "['name']"}}}"#;
    std::fs::write(folder.path().join("ir.conf"), pack).unwrap();
    let text = r#"{"config": {"bootstrap.servers": "b"}, "source": {"packs": {"ir": "ir.conf", "gone": "gone.conf"}}}"#;
    let configuration = Configuration::parse(&folder.path().join("c.json"), text.as_bytes()).unwrap();
    assert!(configuration.routing.keys.contains_key("pack_ir_q"));
    assert_eq!(
        configuration.pack("ir", "ir.conf").unwrap(),
        pack.replace(": ", ":").replace(", ", ",")
    );
    let error = configuration.pack("gone", "gone.conf").unwrap_err().to_string();
    assert!(error.contains("gone.conf"), "{error}");
}

const IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../image");

fn shipped(name: &str) -> (Configuration, Value) {
    let configuration = Configuration::load(&Path::new(IMAGE).join(name)).unwrap();
    let source = serde_json::from_str(configuration.source.as_deref().unwrap()).unwrap();
    (configuration, source)
}

#[test]
fn the_shipped_configurations_are_usable_and_differ_in_three_queries() {
    let (_, original) = shipped("confluent-platform.json");
    let (configuration, mut ours) = shipped("osqdemo.json");
    assert_eq!(configuration.routing.keys.len(), 9);
    for query in ["processes", "open_files"] {
        assert_eq!(ours["schedule"][query]["interval"], 1);
        ours["schedule"][query]["interval"] = 5.into();
    }
    // On a busy machine the original's query makes hundreds of records a second of connections to the machine itself.
    let sockets = &mut ours["schedule"]["open_sockets"];
    assert_eq!(sockets["interval"], 60);
    assert!(sockets["query"].as_str().unwrap().contains("'127.%'"));
    *sockets = original["schedule"]["open_sockets"].clone();
    assert_eq!(ours, original);
    let (cloud, _) = shipped("cloud.example.json");
    assert!(cloud.routing.default_key.is_some());
}

#[test]
fn the_shipped_packs_have_usable_keys() {
    for name in ["incident-response", "host-inventory"] {
        let path = format!("packs/{name}.json");
        let root = serde_json::json!({
            "config": {"bootstrap.servers": "b"},
            "source": {"packs": {name: path}},
        });
        let configuration = Path::new(IMAGE).join("configuration.json");
        let configuration = Configuration::parse(&configuration, root.to_string().as_bytes()).unwrap();
        let pack: Value = serde_json::from_str(&configuration.pack(name, &path).unwrap()).unwrap();
        let queries = pack["queries"].as_object().unwrap();
        assert_eq!(
            configuration.routing.keys.len(),
            queries.len() * PACK_DELIMITERS.len()
        );
    }
}
