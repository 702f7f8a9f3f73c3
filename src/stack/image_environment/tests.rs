use std::fs;
use std::path::Path;

use super::*;

#[test]
fn every_variable_of_every_stack_file_has_an_effect() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose");
    let mut files = 0;
    for entry in fs::read_dir(folder).expect("the stack files") {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a stack file");
        assert_eq!(findings(&text), Vec::<String>::new(), "{}", path.display());
        files += 1;
    }
    assert!(files >= 2, "the stack files are found");
}

/// A file with one service: its image, its variables and the words of its health check.
fn found(image: &str, environment: &str, check: &str) -> String {
    let text = format!(
        "services:\n  it:\n    image: {image}\n    environment: {{{environment}}}\n    healthcheck: {{test: [{check}]}}\n"
    );
    findings(&text).join("\n")
}

const REGISTRY: &str = "confluentinc/cp-schema-registry:7.9.9";
const ITS_OWN: &str =
    "SCHEMA_REGISTRY_HOST_NAME: a, SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS: 'broker:29092'";

#[test]
fn what_is_right_is_passed_over() {
    assert_eq!(found(REGISTRY, ITS_OWN, "CMD, curl"), "");
    assert_eq!(found("osqdemo/platform:0.1.0", "ANY: thing", "CMD, osqdemo"), "");
}

#[test]
fn a_misspelt_variable_an_idle_one_and_a_deadly_one_are_found() {
    let with = |more: &str| found(REGISTRY, &format!("{ITS_OWN}, {more}"), "");
    assert_eq!(
        with("SCHEMA_REGISTRY_LISTNERS: x"),
        "it: `SCHEMA_REGISTRY_LISTNERS` becomes `listners`, which nothing is known to read"
    );
    assert_eq!(with("PORT: 8081"), "it: `PORT` becomes nothing");
    assert_eq!(
        with("SCHEMA_REGISTRY_PORT: 8081"),
        "it: `SCHEMA_REGISTRY_PORT` ends the container"
    );
    // ZooKeeper's image has a fixed list, and drops the rest in silence.
    let zookeeper = "confluentinc/cp-zookeeper:7.9.9";
    assert_eq!(
        found(
            zookeeper,
            "ZOOKEEPER_CLIENT_PORT: 2181, ZOOKEEPER_4LW_COMMANDS_WHITELIST: ruok",
            ""
        ),
        "it: `ZOOKEEPER_4LW_COMMANDS_WHITELIST` becomes nothing"
    );
}

#[test]
fn what_an_optional_service_changes_of_another_is_held_to_the_rules_too() {
    let with = |changes: &str| {
        let file = format!(
            "services:\n  it:\n    image: {REGISTRY}\n    environment: {{{ITS_OWN}}}\n  more:\n    image: osqdemo/x\n    \
             x-osqdemo: {{changes: {{it: {{environment: {{{changes}}}}}}}}}\n"
        );
        findings(&file).join("\n")
    };
    assert_eq!(with("SCHEMA_REGISTRY_LISTENERS: x"), "");
    assert_eq!(
        with("SCHEMA_REGISTRY_LISTNERS: x, SCHEMA_REGISTRY_HOST_NAME: null"),
        "it: `SCHEMA_REGISTRY_HOST_NAME` is required\n\
         it: `SCHEMA_REGISTRY_LISTNERS` becomes `listners`, which nothing is known to read"
    );
}

#[test]
fn what_an_image_insists_on_is_missed() {
    assert_eq!(
        found(REGISTRY, "SCHEMA_REGISTRY_HOST_NAME: ''", ""),
        "it: `SCHEMA_REGISTRY_HOST_NAME` is required\n\
         it: `SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS` or `SCHEMA_REGISTRY_KAFKASTORE_CONNECTION_URL` is required"
    );
    // The images of 8.2 make wrong listeners from the advertised ones.
    let broker = "KAFKA_PROCESS_ROLES: broker, CLUSTER_ID: x, KAFKA_ADVERTISED_LISTENERS: 'A://b:1'";
    assert_eq!(
        found("confluentinc/cp-server:8.2.3", broker, ""),
        "it: `KAFKA_LISTENERS` is required"
    );
}

#[test]
fn an_entry_point_of_ones_own_needs_nothing_and_is_given_nothing() {
    let text = "services:\n  it:\n    image: apache/kafka:4.2.0\n    entrypoint: [bash]\n    \
                environment: {KAFKA_HEAP_OPTS: -Xmx1m, KAFKA_NODE_ID: 1}\n";
    assert_eq!(
        findings(text),
        ["it: `KAFKA_NODE_ID` becomes nothing: the service has an entry point of its own"]
    );
}

#[test]
fn a_name_that_the_rules_of_8_2_mangle_is_found() {
    let connect = |version: &str| {
        found(
            &format!("confluentinc/cp-ksqldb-server:{version}"),
            "KSQL_BOOTSTRAP_SERVERS: b, KSQL_KSQL_A_URL: http://connect",
            "",
        )
    };
    assert_eq!(
        connect("8.2.3"),
        "it: `KSQL_KSQL_A_URL` becomes `ksql.a_url`, which nothing is known to read"
    );
    assert_eq!(
        connect("7.9.9"),
        "it: `KSQL_KSQL_A_URL` becomes `ksql.a.url`, which nothing is known to read"
    );
}

#[test]
fn a_health_check_with_a_program_that_is_not_there_is_found() {
    assert_eq!(
        found(
            "confluentinc/cp-schema-registry:8.2.3",
            ITS_OWN,
            "CMD-SHELL, 'nc -z 127.0.0.1 8081 || wget x'"
        ),
        "it: the health check calls `nc`, which the image does not have\n\
         it: the health check calls `wget`, which the image does not have"
    );
}

#[test]
fn an_image_that_nothing_is_known_of_is_found() {
    assert_eq!(
        found("confluentinc/cp-server:9.0.0", "", ""),
        "it: nothing is known of `confluentinc/cp-server:9.0.0`"
    );
}
