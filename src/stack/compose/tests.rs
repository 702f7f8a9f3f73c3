use proptest::prelude::*;

use super::*;
use crate::stack::{EmbeddedStack, Privileges, Recipe, Role, RootFolder};

fn service(name: &str, depends_on: &str) -> String {
    format!(
        "  {name}:\n    depends_on: {{{depends_on}}}\n    stop_grace_period: 1s\n    x-osqdemo: {{role: service, \
         probe: kafka, deadline: 1s, memory: 1M, native: {{command: [serve]}}}}\n"
    )
}

fn error(text: &str) -> String {
    parse("test.yaml", text).expect_err("a wrong file").to_string()
}

#[test]
fn the_embedded_stack_is_valid() {
    let stack = Stack::lite().expect("the embedded stack");
    assert_eq!(
        stack.names(),
        "broker, schema-registry, ksqldb-server, console, host1, host2"
    );
    let port = |name: &str| {
        stack
            .service(name)
            .and_then(|service| service.port)
            .map(|port| port.published)
    };
    assert_eq!(port("broker"), Some(9092));
    assert_eq!(port("ksqldb-server"), Some(8088));
    assert_eq!(port("host1"), None);
}

#[test]
fn every_container_of_the_embedded_stacks_is_confined() {
    for stack in EmbeddedStack::ALL {
        let stack = stack.services().expect("an embedded stack");
        let optional = stack.optional.into_iter().map(|(_, service)| service);
        for service in stack.services.into_iter().chain(optional) {
            let container = service.container.expect("a container");
            let confinement = container.confinement;
            assert_eq!(confinement.capabilities_dropped, ["ALL"], "{}", service.name);
            assert_eq!(confinement.privileges, Privileges::NeverGrow, "{}", service.name);
            assert!(confinement.most_processes.is_some(), "{}", service.name);
            // Java's images write their configuration at their start, and a host is there to be written on.
            let can_be_read_only = container.recipe == Some(Recipe::Platform);
            assert_eq!(
                confinement.root == RootFolder::ReadOnly,
                can_be_read_only,
                "{}",
                service.name
            );
        }
    }
}

#[test]
fn what_would_loosen_a_container_is_not_understood() {
    let with =
        |line: &str| service("a", "").replace("    depends_on", &format!("    {line}\n    depends_on"));
    for (line, told) in [
        (
            "security_opt: [\"seccomp:unconfined\"]",
            "unknown variant `seccomp:unconfined`",
        ),
        ("tmpfs: [\"/x:exec\"]", "`/x:exec` is not of the form `/PATH`"),
        ("pids_limit: 0", "expected a nonzero u32"),
        ("privileged: true", "unknown field `privileged`"),
    ] {
        let message = error(&format!("services:\n{}", with(line)));
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn the_embedded_confluent_stack_is_valid() {
    let stack = Stack::confluent().expect("the embedded stack");
    assert_eq!(
        stack.names(),
        "zookeeper, broker, schema-registry, ksqldb-server, control-center, host1, host2"
    );
    let ports: Vec<u16> = stack
        .services
        .iter()
        .filter_map(|service| Some(service.port?.published))
        .collect();
    assert_eq!(ports, [2181, 9092, 8081, 8088, 9021]);
    assert!(!stack.is_native());
    assert!(Stack::lite().expect("the other one").is_native());
}

#[test]
fn the_images_of_the_embedded_stack_have_the_version_as_their_tag() {
    let stack = Stack::lite().expect("the embedded stack");
    for service in stack.services {
        let container = service.container.expect("a container");
        let image = container.image.fill(&|_| None);
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert_eq!(tag, Some(env!("CARGO_PKG_VERSION")), "{image}");
    }
}

#[test]
fn nothing_of_the_embedded_confluent_stack_reports_to_its_vendor() {
    let stack = Stack::confluent().expect("the embedded stack");
    for (name, switches) in [
        (
            "broker",
            &[
                "KAFKA_CONFLUENT_TELEMETRY_ENABLED",
                "KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE",
            ][..],
        ),
        ("ksqldb-server", &["KSQL_CONFLUENT_SUPPORT_METRICS_ENABLE"]),
        (
            "control-center",
            &[
                "CONTROL_CENTER_USAGE_DATA_COLLECTION_ENABLE",
                "CONTROL_CENTER_UI_AUTOUPDATE_ENABLE",
            ],
        ),
    ] {
        let container = stack.service(name).and_then(|service| service.container.as_ref());
        let environment = &container.expect("a container").environment;
        for switch in switches {
            let value = environment.iter().find(|(name, _)| name == switch);
            let (_, value) = value.unwrap_or_else(|| panic!("{name}: `{switch}` is not set"));
            assert_eq!(value.fill(&|_| None), "false", "{name}: {switch}");
        }
    }
}

#[test]
fn what_only_containers_need_is_checked_too() {
    let with = |line: &str| format!("services:\n{}    {line}\n", service("a", ""));
    let message = error(&with("volumes: [\"/etc:/etc\"]"));
    assert!(
        message.contains("`/etc:/etc` is not of the form `VOLUME:/PATH`"),
        "{message}"
    );
    assert_eq!(
        error(&with("image: x\n    volumes: [\"data:/data\"]")),
        "`test.yaml`: service `a` mounts `data`, which is not among the volumes of the file"
    );
    let message = error(&with("environment: {A: true}"));
    assert!(message.contains("expected a text or a whole number"), "{message}");
    let message = error(&with("command: [\"${\"]"));
    assert!(
        message.contains("has a variable that is not of the form"),
        "{message}"
    );
    let message = error(&with("ports: [\"0.0.0.0:1:1\"]"));
    assert!(
        message.contains("is not of the form `127.0.0.1:PUBLISHED:TARGET`"),
        "{message}"
    );
}

#[test]
fn an_unknown_field_is_refused_with_its_line() {
    let text = "services:\n  a:\n    imagee: x\n";
    let message = error(text);
    assert!(message.contains("unknown field `imagee`"), "{message}");
    assert!(message.contains("line 3 column 5"), "{message}");
}

#[test]
fn a_text_that_is_no_mapping_is_not_told_in_full() {
    assert_eq!(
        error("just a note\n"),
        "`test.yaml` is not a stack file: invalid type: string \"just a note\", expected a mapping with the key \
         `services`"
    );
    let message = error(&"über allen Gipfeln ist Ruh\n".repeat(1000));
    assert!(message.chars().count() < 300, "{message}");
    assert!(message.contains("invalid type: string \"über allen"), "{message}");
    let expected = "expected a mapping with the key `services`";
    assert!(message.ends_with(expected), "{message}");
    let message = error(&format!("services:\n  a: \"{}\"\n", "x".repeat(1000)));
    assert!(message.chars().count() < 300, "{message}");
    assert!(message.ends_with("at line 2 column 6"), "{message}");
}

#[test]
fn a_wrong_value_is_refused_with_its_line() {
    let text = format!(
        "services:\n{}",
        service("a", "").replace("deadline: 1s", "deadline: soon")
    );
    let message = error(&text);
    assert!(message.contains("`soon` is not a duration"), "{message}");
    assert!(message.contains("line 5"), "{message}");
}

#[test]
fn the_role_is_what_the_file_says_else_what_the_probe_tells() {
    let role = |role: &str| {
        let text = format!("services:\n{}", service("a", "").replace("role: service, ", role));
        parse("test.yaml", &text).map(|stack| stack.services[0].role)
    };
    assert_eq!(role("").expect("a stack"), Role::Broker);
    assert_eq!(role("role: service, ").expect("a stack"), Role::Broker);
    assert_eq!(role("role: connect, ").expect("a stack"), Role::Connect);
    let message = role("role: boss, ").expect_err("no role").to_string();
    assert!(
        message.contains("unknown variant `boss`, expected one of `broker`, `ksqldb`"),
        "{message}"
    );
}

#[test]
fn a_missing_dependency_is_named() {
    let text = format!("services:\n{}", service("a", "b: {condition: service_healthy}"));
    assert_eq!(
        error(&text),
        "`test.yaml`: service `a` depends on `b`, which is not in the stack"
    );
}

#[test]
fn a_circle_is_named() {
    let on = |name: &str| format!("{name}: {{condition: service_healthy}}");
    let text = format!(
        "services:\n{}{}{}",
        service("a", &on("b")),
        service("b", &on("c")),
        service("c", &on("b"))
    );
    assert_eq!(
        error(&text),
        "`test.yaml`: services depend on each other in a circle: `b` → `c` → `b`"
    );
}

#[test]
fn a_stack_is_whole_without_its_optional_services() {
    let optional = |more: &str| service("b", "").replace("memory: 1M", &format!("memory: 1M{more}"));
    let on = |name: &str| service("a", &format!("{name}: {{condition: service_healthy}}"));
    let cases = [
        (
            format!("{}{}", on("b"), optional(", optional: true")),
            "`test.yaml`: service `a` depends on `b`, which is optional",
        ),
        (
            optional(", instead_of: a"),
            "`test.yaml`: service `b` has `instead_of` without `optional: true`",
        ),
        (
            service("b", "").replace("    depends_on", "    profiles: [b]\n    depends_on"),
            "`test.yaml`: service `b` has `profiles`, and `x-osqdemo` does not say `optional: true`",
        ),
        (
            optional(", along_with: a"),
            "`test.yaml`: service `b` has `along_with` without `optional: true`",
        ),
        (
            optional(", changes: {a: {}}"),
            "`test.yaml`: service `b` has `changes` without `optional: true`",
        ),
        (
            format!(
                "{}{}",
                service("a", ""),
                optional(", optional: true, along_with: a")
            ),
            "`test.yaml`: service `b` comes along with `a`, which cannot be asked for",
        ),
        (
            optional(", optional: true, along_with: b"),
            "`test.yaml`: service `b` comes along with `b`, which cannot be asked for",
        ),
        (
            optional(", optional: true, changes: {a: {}}"),
            "`test.yaml`: service `b` changes `a`, which is not in the stack",
        ),
        (
            optional(", optional: true, instead_of: c"),
            "`test.yaml`: service `b` runs in place of `c`, which is not among the services that are always there",
        ),
        (
            format!(
                "{}{}{}",
                on("c"),
                service("c", ""),
                optional(", optional: true, instead_of: c")
            ),
            "`test.yaml`: service `b` runs in place of `c`, which `a` depends on",
        ),
    ];
    for (services, told) in cases {
        assert_eq!(error(&format!("services:\n{services}")), told);
    }
}

#[test]
fn a_file_that_a_service_is_given_is_in_the_stack_file_and_goes_into_a_volume() {
    let with = |given: &str| {
        let service = service("a", "").replace(
            "    depends_on",
            &format!(
                "    image: x\n    volumes: [\"data:/data\"]\n    configs: [{{{given}}}]\n    depends_on"
            ),
        );
        format!(
            "services:\n{service}volumes: {{data: }}\nconfigs: {{one: {{content: \"port ${{PORT:-1}}\"}}}}\n"
        )
    };
    let read = |given: &str| parse("test.yaml", &with(given)).expect("a stack");
    let stack = read("source: one, target: /data/x, uid: \"7\", mode: 0640");
    let container = stack.services[0].container.as_ref().expect("a container");
    let file = &container.configs[0];
    assert_eq!(
        (file.target.as_str(), file.user, file.mode),
        ("/data/x", 7, 0o640)
    );
    assert_eq!(file.content.fill(&|_| None), "port 1");
    let stack = read("source: one, target: /data/x");
    let file = &stack.services[0].container.as_ref().expect("a container").configs[0];
    assert_eq!((file.user, file.mode), (0, 0o444), "as Compose has it");
    assert_eq!(
        error(&with("source: two, target: /data/x")),
        "`test.yaml`: service `a` gets `two`, which is not among the configs of the file"
    );
    for elsewhere in ["/etc/x", "/data", "/data/", "/database/x", "/data/deep/x"] {
        assert_eq!(
            error(&with(&format!("source: one, target: {elsewhere}"))),
            format!(
                "`test.yaml`: service `a` gets `{elsewhere}`, which is not in the folder of one of its volumes"
            )
        );
    }
    for mode in ["644", "0999", "04755", "rw"] {
        let message = error(&with(&format!("source: one, target: /data/x, mode: {mode}")));
        assert!(
            message.contains(&format!("`{mode}` is not of the form `0644`")),
            "{message}"
        );
    }
}

#[test]
fn a_service_given_twice_is_refused() {
    let text = format!("services:\n{}{}", service("a", ""), service("a", ""));
    assert!(error(&text).contains("duplicate entry `a`"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(services:\n)?(  [a-z]:[ {}a-z0-9:\n-]{0,80})*") {
        let _ = parse("test.yaml", &text);
    }
}
