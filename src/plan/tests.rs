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
    observed.services.retain(|name, _| name.as_str() == "host1");
    assert_snapshot!(Plan::make(&usual(), &observed), @"
    1. end what is left of host1 (the supervisor (process 6) is gone)
    2. start the supervisor (the supervisor (process 6) is gone), after 1
    3. start broker (the supervisor (process 6) is gone), after 2
    4. start schema-registry (the supervisor (process 6) is gone), after 2, 3
    5. start ksqldb-server (the supervisor (process 6) is gone), after 2, 3
    6. start console (the supervisor (process 6) is gone), after 2, 3
    7. start host1 (the supervisor (process 6) is gone), after 1, 2, 3
    8. start host2 (the supervisor (process 6) is gone), after 2, 3
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

mod containers {
    use super::*;

    fn image(name: &str) -> ObservedImage {
        ObservedImage {
            id: format!("id of {name}"),
            content: Some("content 1".to_owned()),
        }
    }

    /// What the Docker engine sees when everything is as wanted.
    fn observed() -> Observed {
        let desired = usual();
        let mut observed = running(&desired);
        observed.supervisor = SupervisorState::Daemon {
            network: NetworkState::Present,
        };
        for spec in &desired {
            let name = &spec.container.as_ref().expect("a container").image;
            observed.images.insert(name.clone(), image(name.as_str()));
            let service = observed.services.get_mut(&spec.name).expect("it runs");
            service.container = Some(ObservedContainer {
                id: format!("container of {}", spec.name),
                image_id: format!("id of {name}"),
                attachment: Attachment::Attached,
            });
        }
        observed
    }

    #[test]
    fn everything_is_as_wanted() {
        assert!(Plan::make(&usual(), &observed()).is_empty());
    }

    #[test]
    fn nothing_is_there() {
        let observed = Observed {
            supervisor: SupervisorState::Daemon {
                network: NetworkState::Absent,
            },
            ..Observed::nothing()
        };
        assert_snapshot!(Plan::make(&usual(), &observed), @"
        1. build image osqdemo/platform:0.1.0 (not on this machine)
        2. build image osqdemo/host:0.1.0 (not on this machine)
        3. create the network (not there)
        4. start broker (not running), after 1, 3
        5. start schema-registry (not running), after 1, 3, 4
        6. start ksqldb-server (not running), after 1, 3, 4
        7. start console (not running), after 1, 3, 4
        8. start host1 (not running), after 2, 3, 4
        9. start host2 (not running), after 2, 3, 4
        ");
    }

    /// Every stack that runs in containers, from nothing and with all that can be asked for.
    #[test]
    fn the_stacks() {
        let from_nothing = |stack: &Stack| {
            let ports = stack
                .services
                .iter()
                .filter_map(|service| Some((service.name.as_str(), service.port?.published)));
            let wanted = of_stack(stack, &ports.collect::<Vec<_>>(), "osqdemo 1");
            let observed = Observed {
                supervisor: SupervisorState::Daemon {
                    network: NetworkState::Absent,
                },
                ..Observed::nothing()
            };
            Plan::make_of(stack, &wanted, &observed)
        };
        let with_everything = |stack: Stack| {
            let names = stack.optional_names();
            let names = names.into_iter().map(ServiceName::new).collect();
            from_nothing(&stack.with(&names).expect("its own optional services"))
        };
        let kafka = Stack::kafka().expect("the embedded stack");
        assert_snapshot!(from_nothing(&kafka), @"
        1. pull image apache/kafka:4.2.0 (not on this machine)
        2. build image osqdemo/platform:0.1.0 (not on this machine)
        3. build image osqdemo/host:0.1.0 (not on this machine)
        4. create the network (not there)
        5. start broker (not running), after 1, 4
        6. start schema-registry (not running), after 2, 4, 5
        7. start ksqldb-server (not running), after 2, 4, 5
        8. start console (not running), after 2, 4, 5
        9. start host1 (not running), after 3, 4, 5
        10. start host2 (not running), after 3, 4, 5
        ");
        let confluent = Stack::confluent().expect("the embedded stack");
        assert_snapshot!(from_nothing(&confluent), @"
        1. pull image confluentinc/cp-zookeeper:7.9.9 (not on this machine)
        2. pull image confluentinc/cp-server:7.9.9 (not on this machine)
        3. pull image confluentinc/cp-schema-registry:7.9.9 (not on this machine)
        4. build image osqdemo/host:0.1.0 (not on this machine)
        5. pull image confluentinc/cp-ksqldb-server:7.9.9 (not on this machine)
        6. pull image confluentinc/cp-enterprise-control-center:7.9.9 (not on this machine)
        7. create the network (not there)
        8. start zookeeper (not running), after 1, 7
        9. start broker (not running), after 2, 7, 8
        10. start schema-registry (not running), after 3, 7, 9
        11. start host1 (not running), after 4, 7, 9
        12. start host2 (not running), after 4, 7, 9
        13. start ksqldb-server (not running), after 5, 7, 9, 10
        14. start control-center (not running), after 6, 7, 9, 10, 13
        ");
        assert_snapshot!(with_everything(confluent), @"
        1. pull image confluentinc/cp-zookeeper:7.9.9 (not on this machine)
        2. pull image confluentinc/cp-server:7.9.9 (not on this machine)
        3. pull image confluentinc/cp-schema-registry:7.9.9 (not on this machine)
        4. build image osqdemo/platform:0.1.0 (not on this machine)
        5. pull image confluentinc/cp-server-connect:7.9.9 (not on this machine)
        6. build image osqdemo/host:0.1.0 (not on this machine)
        7. pull image confluentinc/cp-ksqldb-server:7.9.9 (not on this machine)
        8. create the network (not there)
        9. start zookeeper (not running), after 1, 8
        10. start broker (not running), after 2, 8, 9
        11. start schema-registry (not running), after 3, 8, 10
        12. start console (not running), after 4, 8, 10
        13. start connect (not running), after 5, 8, 10
        14. start host1 (not running), after 6, 8, 10
        15. start host2 (not running), after 6, 8, 10
        16. start ksqldb-server (not running), after 7, 8, 10, 11
        ");
        let confluent_8 = Stack::confluent_8().expect("the embedded stack");
        assert_snapshot!(from_nothing(&confluent_8), @"
        1. pull image confluentinc/cp-server:8.2.3 (not on this machine)
        2. pull image confluentinc/cp-schema-registry:8.2.3 (not on this machine)
        3. build image osqdemo/host:0.1.0 (not on this machine)
        4. pull image confluentinc/cp-ksqldb-server:8.2.3 (not on this machine)
        5. pull image confluentinc/cp-enterprise-control-center-next-gen:2.6.0 (not on this machine)
        6. create the network (not there)
        7. start broker (not running), after 1, 6
        8. start schema-registry (not running), after 2, 6, 7
        9. start host1 (not running), after 3, 6, 7
        10. start host2 (not running), after 3, 6, 7
        11. start ksqldb-server (not running), after 4, 6, 7, 8
        12. start control-center (not running), after 5, 6, 7, 8, 11
        ");
        assert_snapshot!(with_everything(confluent_8), @"
        1. pull image confluentinc/cp-server:8.2.3 (not on this machine)
        2. pull image confluentinc/cp-schema-registry:8.2.3 (not on this machine)
        3. build image osqdemo/platform:0.1.0 (not on this machine)
        4. pull image confluentinc/cp-server-connect:8.2.3 (not on this machine)
        5. build image osqdemo/host:0.1.0 (not on this machine)
        6. pull image confluentinc/cp-ksqldb-server:8.2.3 (not on this machine)
        7. create the network (not there)
        8. start broker (not running), after 1, 7
        9. start schema-registry (not running), after 2, 7, 8
        10. start console (not running), after 3, 7, 8
        11. start connect (not running), after 4, 7, 8
        12. start host1 (not running), after 5, 7, 8
        13. start host2 (not running), after 5, 7, 8
        14. start ksqldb-server (not running), after 6, 7, 8, 9
        ");
    }

    #[test]
    fn the_content_of_an_image_changed() {
        let mut observed = observed();
        let host = ImageRef::new("osqdemo/host:0.1.0");
        if let Some(image) = observed.images.get_mut(&host) {
            image.content = Some("content 0".to_owned());
        }
        assert_snapshot!(Plan::make(&usual(), &observed), @r"
        1. build image osqdemo/host:0.1.0 (its content changed)
        2. stop host2 (its image changed), after 1
        3. stop host1 (its image changed), after 1
        4. start host1 (its image changed), after 1, 3
        5. start host2 (its image changed), after 1, 2
        ");
    }

    #[test]
    fn an_image_was_built_by_somebody_else() {
        let mut observed = observed();
        let platform = ImageRef::new("osqdemo/platform:0.1.0");
        if let Some(image) = observed.images.get_mut(&platform) {
            image.id = "another id".to_owned();
        }
        assert_snapshot!(Plan::make(&usual(), &observed), @"
        1. stop console (its image changed)
        2. stop ksqldb-server (its image changed)
        3. stop schema-registry (its image changed)
        4. stop broker (its image changed), after 1, 2, 3
        5. start broker (its image changed), after 4
        6. start schema-registry (its image changed), after 3, 4, 5
        7. start ksqldb-server (its image changed), after 2, 4, 5
        8. start console (its image changed), after 1, 4, 5
        ");
    }

    #[test]
    fn what_ended_is_started_again_as_long_as_it_is_as_wanted() {
        let ended = |change: fn(&mut ObservedService)| {
            let mut observed = observed();
            let service = observed.services.get_mut(&ServiceName::new("host1"));
            let service = service.expect("it is there");
            service.state = ServiceState::Exited { exit: Exit::Code(1) };
            change(service);
            observed
        };
        let replaced = |change| {
            let plan = Plan::make(&usual(), &ended(change));
            assert_eq!(
                plan.to_string().trim_end(),
                "1. remove what is left of host1 (ended unexpectedly: exit status 1)\n\
                 2. start host1 (ended unexpectedly: exit status 1), after 1"
            );
        };
        assert_snapshot!(Plan::make(&usual(), &ended(|_| {})), @"1. start host1 again (ended unexpectedly: exit status 1)");
        replaced(|service| service.config_hash = "another".to_owned());
        replaced(|service| service.host_config = Some("another".to_owned()));
        replaced(|service| {
            let container = service.container.as_mut().expect("a container");
            container.image_id = "another".to_owned();
        });
        replaced(|service| {
            let container = service.container.as_mut().expect("a container");
            container.attachment = Attachment::Detached;
        });
        let restart = Plan::restart(&usual(), &ended(|_| {}), &ServiceName::new("host1"));
        assert_snapshot!(restart, @"1. start host1 again (requested)");
    }

    #[test]
    fn a_container_is_off_the_network() {
        let mut observed = observed();
        let host1 = ServiceName::new("host1");
        if let Some(container) = observed
            .services
            .get_mut(&host1)
            .and_then(|service| service.container.as_mut())
        {
            container.attachment = Attachment::Detached;
        }
        assert_snapshot!(Plan::make(&usual(), &observed), @r"
        1. stop host1 (its network was removed)
        2. start host1 (its network was removed), after 1
        ");
    }

    #[test]
    fn a_container_was_killed_for_its_memory() {
        let mut observed = observed();
        let host1 = ServiceName::new("host1");
        if let Some(service) = observed.services.get_mut(&host1) {
            service.state = ServiceState::Exited {
                exit: Exit::OutOfMemory {
                    code: 137,
                    limit: Some(512 << 20),
                },
            };
        }
        assert_snapshot!(
            Plan::make(&usual(), &observed),
            @"1. start host1 again (ended unexpectedly: killed by the kernel: it used more memory than its limit of 512 MiB (exit status 137))"
        );
    }

    #[test]
    fn ports_and_variables_reach_the_containers() {
        let desired = desired(&[("broker", 19092), ("ksqldb-server", 8088)], "");
        let command = |name: &str| {
            let spec = desired.iter().find(|spec| spec.name.as_str() == name);
            spec.and_then(|spec| spec.container.as_ref())
                .map(|container| container.command.join(" "))
        };
        assert_snapshot!(command("broker").unwrap_or_default(), @"serve broker --data-dir=/data --listen=0.0.0.0:9092 --advertise=127.0.0.1:19092 --internal-listen=0.0.0.0:29092 --internal-advertise=broker:29092 --retention-bytes=1073741824 --segment-bytes=67108864");
    }
}

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

/// Stack `lite` in containers, its programs compiled from a checkout with this content.
fn compiled(content: &str) -> Vec<ServiceSpec> {
    let stack = Stack::lite().expect("the embedded stack");
    let programs = ProgramsImage {
        image: ImageRef::new("osqdemo/programs:1"),
        content: content.to_owned(),
    };
    let choices = Choices {
        ports: &BTreeMap::from([
            (ServiceName::new("broker"), 9092),
            (ServiceName::new("schema-registry"), 8081),
            (ServiceName::new("ksqldb-server"), 8088),
            (ServiceName::new("console"), 9021),
        ]),
        folder: Path::new("/state/demo"),
        identity: &|_| String::new(),
        variables: &BTreeMap::from([("OSQDEMO_HOST_IMAGE".to_owned(), "host".to_owned())]),
        image_content: &|recipe| format!("{recipe:?} with {content}"),
        programs: Some(&programs),
        host_config: None,
        client: None,
        listener: None,
        reach: Reach::Network,
    };
    resolve(&stack, &choices).expect("a stack that resolves")
}

/// A daemon that has images of these programs, and runs nothing.
fn with_images(content: &str, programs: Option<&str>) -> Observed {
    let made = compiled(content).into_iter().filter_map(|spec| spec.container);
    let mut images: BTreeMap<ImageRef, ObservedImage> = made
        .map(|container| {
            let image = ObservedImage {
                id: "sha256:1".to_owned(),
                content: container.image_content,
            };
            (container.image, image)
        })
        .collect();
    images.extend(programs.map(|content| {
        let image = ObservedImage {
            id: "sha256:2".to_owned(),
            content: Some(content.to_owned()),
        };
        (ImageRef::new("osqdemo/programs:1"), image)
    }));
    Observed {
        supervisor: SupervisorState::Daemon {
            network: NetworkState::Present,
        },
        services: BTreeMap::new(),
        images,
    }
}

#[test]
fn programs_are_compiled_before_what_is_made_of_them() {
    let plan = |observed: &Observed, which| Plan::of_images(&compiled("two"), observed, which).to_string();
    let outdated = |observed: &Observed| plan(observed, WhichImages::Outdated);
    let nothing = Observed {
        images: BTreeMap::new(),
        ..with_images("two", None)
    };
    let causes: Vec<String> = Plan::of_images(&compiled("two"), &nothing, WhichImages::Outdated)
        .operations
        .iter()
        .map(|operation| format!("{} {:?}", operation.cause, operation.after))
        .collect();
    assert_eq!(
        causes,
        [
            "not on this machine []",
            "not on this machine [0]",
            "not on this machine [0]"
        ]
    );
    assert_snapshot!(outdated(&with_images("one", Some("one"))), @"
    1. compile the programs in image osqdemo/programs:1 (its content changed)
    2. build image osqdemo/platform:0.1.0 (its content changed), after 1
    3. build image osqdemo/host:0.1.0 (its content changed), after 1
    ");
    // They were compiled, and the rest was interrupted.
    assert_snapshot!(outdated(&with_images("one", Some("two"))), @"
    1. build image osqdemo/platform:0.1.0 (its content changed)
    2. build image osqdemo/host:0.1.0 (its content changed)
    ");
    // Nobody needs them once they are in the others.
    assert_eq!(outdated(&with_images("two", None)), "");
    assert_snapshot!(plan(&with_images("two", None), WhichImages::All), @"
    1. compile the programs in image osqdemo/programs:1 (not on this machine)
    2. build image osqdemo/platform:0.1.0 (requested), after 1
    3. build image osqdemo/host:0.1.0 (requested), after 1
    ");
}

#[test]
fn what_is_left_of_a_plan_keeps_its_order() {
    let observed = Observed {
        images: BTreeMap::new(),
        ..with_images("two", None)
    };
    let plan = Plan::make(&compiled("two"), &observed);
    let left = plan.clone().after(&[0, 2]);
    assert_eq!(left.operations.len(), plan.operations.len() - 2);
    for operation in &left.operations {
        let (before, after) = (
            plan.operations
                .iter()
                .find(|earlier| earlier.action == operation.action)
                .expect("it was there"),
            &operation.after,
        );
        let named = |plan: &Plan, after: &[usize]| -> Vec<Action> {
            after
                .iter()
                .map(|index| plan.operations[*index].action.clone())
                .collect()
        };
        let is_left = |action: &Action| left.operations.iter().any(|left| left.action == *action);
        let expected: Vec<Action> = named(&plan, &before.after).into_iter().filter(is_left).collect();
        assert_eq!(named(&left, after), expected, "{}", operation.action);
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
