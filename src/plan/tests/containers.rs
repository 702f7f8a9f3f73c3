//! Plans for an engine that has containers, images and a network.

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
    let prometheus = [ServiceName::new("prometheus")].into();
    let monitored = confluent_8.clone().with(&prometheus).expect("it has one");
    assert_snapshot!(from_nothing(&monitored), @"
    1. pull image confluentinc/cp-server:8.2.3 (not on this machine)
    2. pull image confluentinc/cp-enterprise-alertmanager:2.6.0 (not on this machine)
    3. pull image confluentinc/cp-schema-registry:8.2.3 (not on this machine)
    4. pull image confluentinc/cp-enterprise-prometheus:2.6.0 (not on this machine)
    5. build image osqdemo/host:0.1.0 (not on this machine)
    6. pull image confluentinc/cp-ksqldb-server:8.2.3 (not on this machine)
    7. pull image confluentinc/cp-enterprise-control-center-next-gen:2.6.0 (not on this machine)
    8. create the network (not there)
    9. start broker (not running), after 1, 8
    10. start alertmanager (not running), after 2, 8
    11. start schema-registry (not running), after 3, 8, 9
    12. start prometheus (not running), after 4, 8, 10
    13. start host1 (not running), after 5, 8, 9
    14. start host2 (not running), after 5, 8, 9
    15. start ksqldb-server (not running), after 6, 8, 9, 11
    16. start control-center (not running), after 7, 8, 9, 11, 15
    ");
    assert_snapshot!(with_everything(confluent_8), @"
    1. pull image confluentinc/cp-server:8.2.3 (not on this machine)
    2. pull image confluentinc/cp-enterprise-alertmanager:2.6.0 (not on this machine)
    3. pull image confluentinc/cp-schema-registry:8.2.3 (not on this machine)
    4. pull image confluentinc/cp-enterprise-prometheus:2.6.0 (not on this machine)
    5. build image osqdemo/platform:0.1.0 (not on this machine)
    6. pull image confluentinc/cp-server-connect:8.2.3 (not on this machine)
    7. build image osqdemo/host:0.1.0 (not on this machine)
    8. pull image confluentinc/cp-ksqldb-server:8.2.3 (not on this machine)
    9. create the network (not there)
    10. start broker (not running), after 1, 9
    11. start alertmanager (not running), after 2, 9
    12. start schema-registry (not running), after 3, 9, 10
    13. start prometheus (not running), after 4, 9, 11
    14. start console (not running), after 5, 9, 10
    15. start connect (not running), after 6, 9, 10
    16. start host1 (not running), after 7, 9, 10
    17. start host2 (not running), after 7, 9, 10
    18. start ksqldb-server (not running), after 8, 9, 10, 12
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
