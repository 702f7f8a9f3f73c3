//! What the services of a stack come to, before there is a plan for them.

use super::*;

/// What a stack file whose services have other names comes to, or why it does not.
fn of_file(services: &str, reach: Reach) -> Result<Vec<ServiceSpec>, ResolveError> {
    let stack = Stack::parse("test.yaml", &format!("services:\n{services}")).expect("a stack");
    let choices = Choices {
        ports: &BTreeMap::new(),
        folder: Path::new("/state/demo"),
        identity: &|_| String::new(),
        variables: &BTreeMap::new(),
        image_content: &|_| String::new(),
        programs: None,
        host_config: None,
        client: None,
        listener: None,
        reach,
    };
    resolve(&stack, &choices)
}

fn service(name: &str, extension: &str, ports: &str) -> String {
    format!(
        "  {name}:\n    ports: [{ports}]\n    stop_grace_period: 1s\n    x-osqdemo: {{{extension}, deadline: 1s, memory: 1M}}\n"
    )
    .replace("    ports: []\n", "")
}

#[test]
fn a_host_is_asked_about_at_its_broker_whatever_that_is_called() {
    let file = [
        service("watched", "probe: host", ""),
        service("sql", "probe: ksqldb", "\"127.0.0.1:8088:8088\""),
        service("kafka", "role: broker, probe: kafka", "\"127.0.0.1:9192:9092\""),
    ]
    .concat();
    for (reach, bootstrap) in [
        (Reach::Loopback, "127.0.0.1:9192"),
        (Reach::Network, "kafka:29092"),
    ] {
        let desired = of_file(&file, reach).expect("a stack that resolves");
        let spec = |role| desired.iter().find(|spec| spec.role == role).expect("a service");
        assert_eq!(spec(Role::Host).bootstrap_servers.as_deref(), Some(bootstrap));
        assert_eq!(spec(Role::Host).probe_address, "127.0.0.1:9192");
        assert_eq!(spec(Role::Ksqldb).probe_address, "127.0.0.1:8088");
        assert_eq!(spec(Role::Broker).bootstrap_servers, None);
    }
}

#[test]
fn a_stack_that_nobody_could_ask_is_refused() {
    let error = |file: &str| {
        let error = of_file(file, Reach::Loopback).expect_err("a wrong stack");
        format!("{error}; {}", error.hints().join("; "))
    };
    assert_snapshot!(error(&service("h", "probe: host", "")), @"service `h` is a host, and the stack has no broker for what it sees; name a Kafka that is already there with `--kafka HOST:PORT` or `--kafka-config FILE`; or add a service with the probe `kafka` to the stack file, or leave the hosts out");
    assert_snapshot!(error(&service("k", "probe: kafka", "")), @r#"the health of service `k` cannot be asked: service `k` publishes no port; give `k` a line such as `ports: ["127.0.0.1:9092:9092"]` in the stack file"#);
    assert_snapshot!(error(&service("k", "role: broker, probe: ksqldb", "\"127.0.0.1:1:1\"")), @"service `k` has the role `broker`, and the probe `ksqldb` tells nothing of that; a service with that role has the probe `kafka`");
}

/// The services of a stack on an outside Kafka.
fn on_kafka(stack: Stack, reach: Reach) -> Vec<ServiceSpec> {
    let kafka = "kafka.example.org:9092".parse().expect("an address");
    let stack = stack.on_kafka(Some(kafka));
    let services = stack.services.iter();
    let published = services.filter_map(|service| Some((service.name.clone(), service.port?.published)));
    let choices = Choices {
        ports: &published.collect(),
        folder: Path::new("/state/demo"),
        identity: &|_| String::new(),
        variables: &BTreeMap::new(),
        image_content: &|_| String::new(),
        programs: None,
        host_config: None,
        client: None,
        listener: None,
        reach,
    };
    resolve(&stack, &choices).expect("a stack that resolves")
}

#[test]
fn services_on_an_outside_kafka_are_told_its_address_and_names_of_their_own() {
    let lite = || Stack::lite().expect("the embedded stack");
    let natively: Vec<String> = on_kafka(lite(), Reach::Loopback)
        .iter()
        .map(|spec| {
            format!(
                "{} at {}: {}",
                spec.name,
                spec.probe_address,
                spec.arguments.join(" ")
            )
        })
        .collect();
    assert_snapshot!(natively.join("\n"), @"
    schema-registry at 127.0.0.1:8081: serve schema-registry --until-stdin-closes --listen 127.0.0.1:8081 --bootstrap-servers kafka.example.org:9092 --topic=_schemas_osqdemo_demo
    ksqldb-server at 127.0.0.1:8088: serve ksqldb --until-stdin-closes --listen 127.0.0.1:8088 --bootstrap-servers kafka.example.org:9092 --processing-log-stream --schema-registry=http://127.0.0.1:8081 --service-id=osqdemo_demo_
    console at 127.0.0.1:9021: serve console --until-stdin-closes --listen 127.0.0.1:9021 --bootstrap-servers kafka.example.org:9092 --ksqldb http://127.0.0.1:8088 --schema-registry=http://127.0.0.1:8081
    host1 at kafka.example.org:9092: host-init /state/demo/hosts/host1/init.json
    host2 at kafka.example.org:9092: host-init /state/demo/hosts/host2/init.json
    ");
    for stack in [lite(), Stack::confluent().expect("the embedded stack")] {
        for spec in on_kafka(stack, Reach::Network) {
            let container = spec.container.as_ref().expect("a container");
            let variables = container.environment.iter();
            let told: Vec<String> = variables
                .map(|(name, value)| format!("{name}={value}"))
                .chain(container.command.iter().cloned())
                .collect();
            let is_told = |what: &str| told.iter().any(|told| told.ends_with(what));
            let name = &spec.name;
            let on_network = spec.bootstrap_servers.as_deref() == Some("kafka.example.org:9092");
            assert!(
                is_told("=kafka.example.org:9092") || on_network,
                "{name}: {told:?}"
            );
            assert!(
                !told.iter().any(|told| told.contains("broker:")),
                "{name}: {told:?}"
            );
            assert_eq!(
                is_told("=osqdemo_demo_"),
                spec.role == Role::Ksqldb,
                "{name}: {told:?}"
            );
            let has_topic = is_told("=_schemas_osqdemo_demo");
            assert_eq!(has_topic, spec.role == Role::SchemaRegistry, "{name}: {told:?}");
        }
    }
}

#[test]
fn only_the_broker_is_told_of_a_listener_for_other_machines() {
    let resolved = |identity: Option<&str>| {
        let choices = Choices {
            ports: &[
                ("broker", 9092),
                ("schema-registry", 8081),
                ("ksqldb-server", 8088),
                ("console", 9021),
            ]
            .map(|(name, port)| (ServiceName::new(name), port))
            .into(),
            folder: Path::new("/state/demo"),
            identity: &|_| String::new(),
            variables: &BTreeMap::new(),
            image_content: &|_| String::new(),
            programs: None,
            host_config: None,
            client: None,
            listener: identity.map(|identity| ClientCopy {
                file: "/state/demo/listener/broker.toml".into(),
                identity: identity.to_owned(),
            }),
            reach: Reach::Loopback,
        };
        resolve(&Stack::lite().expect("the embedded stack"), &choices).expect("a stack that resolves")
    };
    let (without, one, other) = (resolved(None), resolved(Some("1")), resolved(Some("2")));
    for ((without, one), other) in without.iter().zip(&one).zip(&other) {
        if one.role == Role::Broker {
            let told = "--broker-config=/state/demo/listener/broker.toml";
            assert_eq!(one.arguments.last().map(String::as_str), Some(told));
            assert!(!without.arguments.iter().any(|argument| argument == told));
            // A new certificate starts it anew.
            assert!(one.config_hash != without.config_hash && one.config_hash != other.config_hash);
        } else {
            assert_eq!((one, one), (without, other), "{}", one.name);
        }
    }
}

/// With Prometheus, those it concerns are told of it and get its files, and nobody else is another one.
#[test]
fn prometheus_changes_the_broker_and_control_center() {
    let resolved = |asked: &[&str]| {
        let stack = Stack::confluent_8().expect("the embedded stack");
        let asked = asked.iter().map(|name| ServiceName::new(*name)).collect();
        let stack = stack.with(&asked).expect("its own optional services");
        let services = stack.services.iter();
        let ports: Vec<(&str, u16)> = services
            .filter_map(|service| Some((service.name.as_str(), service.port?.published)))
            .collect();
        of_stack(&stack, &ports, "")
    };
    let (small, full) = (resolved(&[]), resolved(&["prometheus"]));
    let of = |specs: &[ServiceSpec], name: &str| {
        let spec = specs.iter().find(|spec| spec.name.as_str() == name);
        spec.expect("it is there").clone()
    };
    for before in &small {
        let is_another = before.config_hash != of(&full, before.name.as_str()).config_hash;
        let is_concerned = ["broker", "control-center"].contains(&before.name.as_str());
        assert_eq!(is_another, is_concerned, "{}", before.name);
    }
    let told = |specs: &[ServiceSpec], name: &str| {
        let container = of(specs, name).container.expect("a container");
        let lines = container.environment.into_iter();
        lines
            .map(|(name, value)| format!("{name}={value}"))
            .filter(|line| {
                let about = [
                    "PROMETHEUS",
                    "ALERTMANAGER",
                    "MODE",
                    "REPORTERS",
                    "CLIENT_BASE_URL",
                ];
                about.iter().any(|about| line.contains(about))
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_snapshot!(told(&small, "control-center"), @"
    CONTROL_CENTER_MODE_ENABLE=management
    CONTROL_CENTER_PROMETHEUS_ENABLE=false
    ");
    assert_snapshot!(told(&full, "control-center"), @"
    CONTROL_CENTER_PROMETHEUS_ENABLE=true
    CONTROL_CENTER_PROMETHEUS_URL=http://prometheus:9090
    CONTROL_CENTER_PROMETHEUS_RULES_FILE=/mnt/config/trigger_rules-generated.yml
    CONTROL_CENTER_ALERTMANAGER_URL=http://alertmanager:9093
    CONTROL_CENTER_ALERTMANAGER_CONFIG_FILE=/mnt/config/alertmanager-generated.yml
    ");
    assert_snapshot!(told(&small, "broker"), @"KAFKA_CONFLUENT_REPORTERS_TELEMETRY_AUTO_ENABLE=false");
    assert_snapshot!(told(&full, "broker"), @"
    KAFKA_METRIC_REPORTERS=io.confluent.telemetry.reporter.TelemetryReporter
    KAFKA_CONFLUENT_TELEMETRY_EXPORTER_C3PLUSPLUS_CLIENT_BASE_URL=http://prometheus:9090/api/v1/otlp
    ");
    let containers = full
        .iter()
        .filter_map(|spec| Some((&spec.name, spec.container.as_ref()?)));
    let files = containers.flat_map(|(name, container)| {
        let files = container.configs.iter();
        files.map(move |file| {
            let whose = if file.becomes_theirs() { "theirs" } else { "ours" };
            format!("{name} {} {:o} {} {whose}", file.target, file.mode, file.user)
        })
    });
    assert_snapshot!(files.collect::<Vec<_>>().join("\n"), @"
    alertmanager /mnt/config/web-config-am.yml 444 1000 ours
    alertmanager /mnt/config/alertmanager-generated.yml 644 1000 theirs
    prometheus /mnt/config/prometheus-generated.yml 444 1000 ours
    prometheus /mnt/config/recording_rules-generated.yml 444 1000 ours
    prometheus /mnt/config/web-config-prom.yml 444 1000 ours
    prometheus /mnt/config/trigger_rules-generated.yml 644 1000 theirs
    ");
}
