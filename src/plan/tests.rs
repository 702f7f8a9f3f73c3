//! What is planned for processes, whatever runs; each other kind of plan has a file of its own below.

mod containers;
mod programs;
mod resolved;

use std::collections::BTreeMap;
use std::path::Path;

use insta::assert_snapshot;

use super::*;
use crate::error::Diagnose;
use crate::stack::{ImageRef, Role, Stack};

fn desired(ports: &[(&str, u16)], identity: &str) -> Vec<ServiceSpec> {
    of_stack(&Stack::lite().expect("the embedded stack"), ports, identity)
}

fn of_stack(stack: &Stack, ports: &[(&str, u16)], identity: &str) -> Vec<ServiceSpec> {
    let ports = [("console", 9021), ("schema-registry", 8081)]
        .iter()
        .chain(ports)
        .map(|(name, port)| (ServiceName::new(*name), *port))
        .collect();
    let identity = |_| identity.to_owned();
    let choices = Choices {
        ports: &ports,
        folder: Path::new("/state/demo"),
        identity: &identity,
        variables: &BTreeMap::new(),
        image_content: &|_| "content 1".to_owned(),
        programs: None,
        host_config: None,
        client: None,
        listener: None,
        reach: Reach::Loopback,
    };
    resolve(stack, &choices).expect("a stack that resolves")
}

fn usual() -> Vec<ServiceSpec> {
    desired(&[("broker", 9092), ("ksqldb-server", 8088)], "osqdemo 1")
}

fn running(desired: &[ServiceSpec]) -> Observed {
    let services = desired.iter().map(|spec| {
        (
            spec.name.clone(),
            ObservedService {
                state: ServiceState::Running { pid: 7 },
                config_hash: spec.config_hash.clone(),
                port: spec.port,
                started_at: 0,
                restarts: 0,
                last_exit: None,
                host_config: spec.host_config.clone(),
                container: None,
            },
        )
    });
    Observed {
        supervisor: SupervisorState::Running { pid: 6 },
        services: services.collect(),
        images: BTreeMap::new(),
    }
}

fn with_state(service: &str, state: ServiceState) -> Observed {
    let mut observed = running(&usual());
    if let Some(service) = observed.services.get_mut(&ServiceName::new(service)) {
        service.state = state;
    }
    observed
}

#[test]
fn arguments_are_filled_in() {
    let lines: Vec<String> = usual()
        .iter()
        .map(|spec| format!("{}: {}", spec.name, spec.arguments.join(" ")))
        .collect();
    assert_snapshot!(lines.join("\n"), @"
    broker: serve broker --until-stdin-closes --data-dir /state/demo/data/broker --listen 127.0.0.1:9092 --retention-bytes=1073741824 --segment-bytes=67108864
    schema-registry: serve schema-registry --until-stdin-closes --listen 127.0.0.1:8081 --bootstrap-servers 127.0.0.1:9092
    ksqldb-server: serve ksqldb --until-stdin-closes --listen 127.0.0.1:8088 --bootstrap-servers 127.0.0.1:9092 --processing-log-stream --schema-registry=http://127.0.0.1:8081
    console: serve console --until-stdin-closes --listen 127.0.0.1:9021 --bootstrap-servers 127.0.0.1:9092 --ksqldb http://127.0.0.1:8088 --schema-registry=http://127.0.0.1:8081
    host1: host-init /state/demo/hosts/host1/init.json
    host2: host-init /state/demo/hosts/host2/init.json
    ");
}

#[test]
fn nothing_is_there() {
    let observed = Observed {
        supervisor: SupervisorState::Absent,
        services: BTreeMap::new(),
        images: BTreeMap::new(),
    };
    assert_snapshot!(Plan::make(&usual(), &observed), @"
    1. start the supervisor (not running)
    2. start broker (not running), after 1
    3. start schema-registry (not running), after 1, 2
    4. start ksqldb-server (not running), after 1, 2
    5. start console (not running), after 1, 2
    6. start host1 (not running), after 1, 2
    7. start host2 (not running), after 1, 2
    ");
}

#[test]
fn everything_is_there() {
    assert!(Plan::make(&usual(), &running(&usual())).is_empty());
}

#[test]
fn the_host_configuration_changed() {
    let stack = Stack::lite().expect("the embedded stack");
    let with = |host_config: Option<&str>| {
        let choices = Choices {
            ports: &BTreeMap::from([
                (ServiceName::new("broker"), 9092),
                (ServiceName::new("ksqldb-server"), 8088),
                (ServiceName::new("console"), 9021),
                (ServiceName::new("schema-registry"), 8081),
            ]),
            folder: Path::new("/state/demo"),
            identity: &|_| "osqdemo 1".to_owned(),
            variables: &BTreeMap::new(),
            image_content: &|_| "content 1".to_owned(),
            programs: None,
            host_config: host_config.map(str::to_owned),
            client: None,
            listener: None,
            reach: Reach::Loopback,
        };
        resolve(&stack, &choices).expect("a stack that resolves")
    };
    assert!(Plan::make(&with(Some("one")), &running(&with(Some("one")))).is_empty());
    let plan = Plan::make(&with(Some("two")), &running(&with(Some("one"))));
    assert_snapshot!(plan, @r"
    1. stop host2 (the host configuration changed)
    2. stop host1 (the host configuration changed)
    3. start host1 (the host configuration changed), after 2
    4. start host2 (the host configuration changed), after 1
    ");
    // Back to the default, and from it.
    for (from, to) in [(Some("one"), None), (None, Some("one"))] {
        let back = Plan::make(&with(to), &running(&with(from)));
        assert_eq!(back.to_string(), plan.to_string());
    }
}

#[test]
fn a_service_ended() {
    let observed = with_state("ksqldb-server", ServiceState::Exited { exit: Exit::Code(1) });
    assert_snapshot!(Plan::make(&usual(), &observed), @"1. start ksqldb-server (ended unexpectedly: exit status 1)");
}

#[test]
fn a_service_was_paused() {
    let observed = with_state("broker", ServiceState::Paused { pid: 7 });
    assert_snapshot!(Plan::make(&usual(), &observed), @"1. let broker go on (it was paused)");
    let other = desired(&[("broker", 19092), ("ksqldb-server", 8088)], "osqdemo 1");
    let of_broker: Vec<String> = Plan::make(&other, &observed)
        .operations
        .iter()
        .filter(|operation| operation.action.to_string().ends_with(" broker"))
        .map(|operation| operation.action.to_string())
        .collect();
    assert_eq!(of_broker, ["stop broker", "start broker"]);
    let restart = Plan::restart(&usual(), &observed, &ServiceName::new("broker"));
    assert_snapshot!(restart, @r"
    1. stop broker (requested)
    2. start broker (requested), after 1
    ");
}

#[test]
fn a_service_keeps_ending() {
    let observed = with_state(
        "broker",
        ServiceState::Restarting {
            exit: Exit::Signal(9),
        },
    );
    assert_snapshot!(Plan::make(&usual(), &observed), @r"
    1. stop broker (ended unexpectedly: killed by signal 9 (SIGKILL))
    2. start broker (ended unexpectedly: killed by signal 9 (SIGKILL)), after 1
    ");
}

#[test]
fn the_port_of_the_broker_changed() {
    let wanted = desired(&[("broker", 19092), ("ksqldb-server", 8088)], "osqdemo 1");
    assert_snapshot!(Plan::make(&wanted, &running(&usual())), @"
    1. stop host2 (its definition or program changed)
    2. stop host1 (its definition or program changed)
    3. stop console (its definition or program changed)
    4. stop ksqldb-server (its definition or program changed)
    5. stop schema-registry (its definition or program changed)
    6. stop broker (port changed from 9092 to 19092), after 1, 2, 3, 4, 5
    7. start broker (port changed from 9092 to 19092), after 6
    8. start schema-registry (its definition or program changed), after 5, 6, 7
    9. start ksqldb-server (its definition or program changed), after 4, 6, 7
    10. start console (its definition or program changed), after 3, 6, 7
    11. start host1 (its definition or program changed), after 2, 6, 7
    12. start host2 (its definition or program changed), after 1, 6, 7
    ");
}

#[test]
fn the_port_of_ksqldb_changed() {
    let wanted = desired(&[("broker", 9092), ("ksqldb-server", 18088)], "osqdemo 1");
    assert_snapshot!(Plan::make(&wanted, &running(&usual())), @"
    1. stop console (its definition or program changed)
    2. stop ksqldb-server (port changed from 8088 to 18088)
    3. start ksqldb-server (port changed from 8088 to 18088), after 2
    4. start console (its definition or program changed), after 1
    ");
}

#[test]
fn the_program_changed() {
    let wanted = desired(&[("broker", 9092), ("ksqldb-server", 8088)], "osqdemo 2");
    assert_snapshot!(Plan::make(&wanted, &running(&usual())), @"
    1. stop host2 (its definition or program changed)
    2. stop host1 (its definition or program changed)
    3. stop console (its definition or program changed)
    4. stop ksqldb-server (its definition or program changed)
    5. stop schema-registry (its definition or program changed)
    6. stop broker (its definition or program changed), after 1, 2, 3, 4, 5
    7. start broker (its definition or program changed), after 6
    8. start schema-registry (its definition or program changed), after 5, 6, 7
    9. start ksqldb-server (its definition or program changed), after 4, 6, 7
    10. start console (its definition or program changed), after 3, 6, 7
    11. start host1 (its definition or program changed), after 2, 6, 7
    12. start host2 (its definition or program changed), after 1, 6, 7
    ");
}

#[test]
fn the_supervisor_is_gone() {
    let mut observed = with_state("host1", ServiceState::Leftover { pid: 9 });
    observed.supervisor = SupervisorState::Lost { pid: 6 };
    let left = ["broker", "host1"];
    observed.services.retain(|name, _| left.contains(&name.as_str()));
    for service in observed.services.values_mut() {
        service.state = ServiceState::Leftover { pid: 9 };
    }
    assert_snapshot!(Plan::make(&usual(), &observed), @"
    1. end what is left of host1 (the supervisor (process 6) is gone)
    2. end what is left of broker (the supervisor (process 6) is gone)
    3. start the supervisor (the supervisor (process 6) is gone), after 1, 2
    4. start broker (the supervisor (process 6) is gone), after 2, 3
    5. start schema-registry (the supervisor (process 6) is gone), after 2, 3, 4
    6. start ksqldb-server (the supervisor (process 6) is gone), after 2, 3, 4
    7. start console (the supervisor (process 6) is gone), after 2, 3, 4
    8. start host1 (the supervisor (process 6) is gone), after 1, 2, 3, 4
    9. start host2 (the supervisor (process 6) is gone), after 2, 3, 4
    ");
}

#[test]
fn a_service_is_not_wanted() {
    let mut wanted = usual();
    wanted.retain(|spec| spec.name.as_str() != "host2");
    assert_snapshot!(Plan::make(&wanted, &running(&usual())), @"1. stop host2 (not in the stack)");
}

#[test]
fn a_service_is_left_out() {
    let names = ["host1"].map(ServiceName::new).into();
    let stack = Stack::lite()
        .expect("the embedded stack")
        .without(&names)
        .expect("it can be");
    let wanted = of_stack(&stack, &[("broker", 9092), ("ksqldb-server", 8088)], "osqdemo 1");
    assert_snapshot!(
        Plan::make_of(&stack, &wanted, &running(&usual())),
        @"1. stop host1 (left out by `without`)"
    );
    assert!(Plan::make_of(&stack, &wanted, &running(&wanted)).is_empty());
    assert_snapshot!(Plan::make(&usual(), &running(&wanted)), @"1. start host1 (not running)");
    let mut ended = running(&usual());
    if let Some(service) = ended.services.get_mut(&ServiceName::new("host1")) {
        service.state = ServiceState::Exited { exit: Exit::Code(1) };
    }
    assert_snapshot!(Plan::make_of(&stack, &wanted, &ended), @"1. stop host1 (left out by `without`)");
}

#[test]
fn a_restart_is_requested() {
    let plan = Plan::restart(&usual(), &running(&usual()), &ServiceName::new("host2"));
    assert_snapshot!(plan, @r"
    1. stop host2 (requested)
    2. start host2 (requested), after 1
    ");
}

#[test]
fn what_is_replaced_is_all_that_is_touched() {
    let observed = running(&usual());
    let names = ["host1", "host2"].map(ServiceName::new);
    let mut wanted = usual();
    wanted.retain(|spec| ["broker", "host1"].contains(&spec.name.as_str()));
    assert_snapshot!(Plan::replace(&wanted, &observed, &names), @r"
    1. stop host2 (not in the stack)
    2. stop host1 (requested)
    3. start host1 (requested), after 2
    ");
    assert_snapshot!(Plan::restart(&wanted, &observed, &names[0]), @r"
    1. stop host1 (requested)
    2. start host1 (requested), after 1
    ");
}
