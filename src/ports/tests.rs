use std::net::TcpListener;

use insta::assert_snapshot;

use super::*;

fn name(service: &str) -> ServiceName {
    ServiceName::new(service)
}

/// A project that no other test has: all of them share the ports of the machine.
fn folder(project: &str) -> ProjectFolder {
    let home = PathBuf::from(format!("/state-{}", std::process::id()));
    ProjectFolder::new(&home, &project.parse().expect("a name"))
}

/// Stack `lite` with this published port of the broker.
fn stack(broker: &str) -> Stack {
    let text = include_str!("../../compose/lite.yaml");
    let mut text = text.replace(
        "127.0.0.1:${BROKER_PORT:-9092}:9092",
        &format!("127.0.0.1:{broker}:9092"),
    );
    // Somebody may have the other services' usual ports.
    for (variable, usual) in [
        ("KSQLDB_PORT", 8088),
        ("SCHEMA_REGISTRY_PORT", 8081),
        ("CONSOLE_PORT", 9021),
    ] {
        let (_, free) = a_listener();
        let with = |port| format!("${{{variable}:-{port}}}");
        assert!(text.contains(&with(usual)), "{variable}");
        text = text.replace(&with(usual), &with(free));
    }
    Stack::parse("lite.yaml", &text).expect("a stack")
}

async fn choose(project: &str, stack: &Stack, remembered: &Remembered, listens: Listens) -> Ports {
    let asked = BTreeMap::new();
    let wishes = Wishes {
        stack,
        asked: &asked,
        remembered,
        observed: &Observed::nothing(),
        folder: &folder(project),
        listens,
        publishers: &NoPublishers,
    };
    Ports::choose(wishes).await.expect("ports")
}

fn a_listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    (listener, port)
}

#[test]
fn a_picked_port_is_nobody_elses() {
    let (folder, service) = (folder("picked"), name("link-host1"));
    let mut first = FreePorts::default();
    let port = first.pick(&folder, &service, |_| false).expect("a port");
    let mut other = FreePorts::default();
    let second = other.pick(&folder, &service, |_| false).expect("a port");
    assert_ne!(second, port, "it is reserved");
    drop((first, other));
    let mut again = FreePorts::default();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("nobody has it");
    let third = again.pick(&folder, &service, |_| false).expect("a port");
    assert_ne!(third, port, "somebody listens there");
    drop((listener, again));
    let mut last = FreePorts::default();
    let fourth = last
        .pick(&folder, &service, |other| other == port)
        .expect("a port");
    assert_ne!(fourth, port, "it is spoken for");
}

#[tokio::test]
async fn a_taken_default_makes_way_until_it_is_free_for_a_new_project() {
    let (listener, port) = a_listener();
    let stack = stack(&format!("${{BROKER_PORT:-{port}}}"));
    let ports = choose("p0", &stack, &Remembered::default(), Listens::Process).await;
    let picked = ports.all().get(&name("broker")).copied().expect("a port");
    let [moved] = ports.moved() else {
        panic!("{:?}", ports.moved())
    };
    assert!(
        moved
            .obstacle
            .to_string()
            .starts_with(&format!("in use by process {} (`", std::process::id())),
        "{moved:?}"
    );
    assert_eq!(moved.from, port);
    assert_eq!(ports.picked(), &BTreeMap::from([(name("broker"), picked)]));

    // Another `up` of this machine cannot have it while this one lives.
    let again = choose("p0", &stack, &Remembered::default(), Listens::Process).await;
    assert_ne!(again.all().get(&name("broker")), Some(&picked));
    drop((ports, again));

    // The same is picked again, and it stays when the usual one is free.
    let again = choose("p0", &stack, &Remembered::default(), Listens::Process).await;
    assert_eq!(again.all().get(&name("broker")), Some(&picked));
    drop((again, listener));
    let remembered = Remembered {
        picked_ports: BTreeMap::from([(name("broker"), picked)]),
        ..Remembered::default()
    };
    let ports = choose("p0", &stack, &remembered, Listens::Process).await;
    assert_eq!(ports.all().get(&name("broker")), Some(&picked));
    assert!(ports.moved().is_empty());
    drop(ports);
    let ports = choose("p0", &stack, &Remembered::default(), Listens::Process).await;
    assert_eq!(ports.all().get(&name("broker")), Some(&port));
}

#[tokio::test]
async fn a_broker_that_would_not_know_of_another_port_keeps_it() {
    let (_listener, port) = a_listener();
    let stack = stack(&port.to_string());
    let ports = choose("p1", &stack, &Remembered::default(), Listens::Daemon).await;
    let [blocked] = ports.blocked() else {
        panic!("{:?}", ports.blocked())
    };
    assert_eq!((blocked.port, blocked.insists), (port, Insists::StackFile));
    assert_eq!(
        blocked.hint(Path::new("/state")),
        format!(
            "write the port as `${{BROKER_PORT:-{port}}}` in the stack file, in its advertised address too: then broker \
             can get another one"
        )
    );
    drop(ports);
    // As a process it is told by its command.
    let ports = choose("p1", &stack, &Remembered::default(), Listens::Process).await;
    assert!(ports.blocked().is_empty());
    assert_eq!(ports.moved().len(), 1);
}

#[tokio::test]
async fn a_port_that_was_taken_after_it_was_chosen_is_found() {
    let (listener, port) = a_listener();
    drop(listener);
    let stack = stack(&format!("${{BROKER_PORT:-{port}}}"));
    let ports = choose("p2", &stack, &Remembered::default(), Listens::Process).await;
    let started = [name("broker"), name("host1")];
    assert_eq!(
        ports.lost(&started, &Observed::nothing(), &NoPublishers).await,
        None
    );
    let _listener = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    let lost = ports
        .lost(&started, &Observed::nothing(), &NoPublishers)
        .await
        .expect("it is lost");
    assert_eq!((lost.service.as_str(), lost.insists), ("broker", Insists::Nobody));
}

#[test]
fn every_hint_says_how_to_get_on() {
    let hint = |holder: Holder, insists| {
        let blocked = Blocked {
            service: name("broker"),
            port: 9092,
            obstacle: Obstacle::Held(holder),
            insists,
        };
        blocked.hint(Path::new("/state"))
    };
    let process = |project: Option<&str>| Holder::Process {
        process: Some((7, "java".to_owned())),
        project: project.map(PathBuf::from),
    };
    let container = Holder::Container(Publisher {
        container: "kafka-1".to_owned(),
        compose_project: None,
        owner: None,
    });
    let hints = [
        hint(process(None), Insists::User),
        hint(process(None), Insists::Nobody),
        hint(process(Some("/state/other")), Insists::User),
        hint(process(Some("/elsewhere/other")), Insists::User),
        hint(container, Insists::User),
        hint(Holder::Up { pid: Some(7) }, Insists::User),
    ];
    assert_snapshot!(hints.join("\n"), @r"
    `--port broker=0` picks a free port, and `osqdemo ps` shows it
    `osqdemo up` picks another port
    `osqdemo --project other down` stops that project; to keep both, `--port broker=0` picks a free port, and `osqdemo ps` shows it
    `OSQDEMO_HOME=/elsewhere osqdemo --project other down` stops that project; to keep both, `--port broker=0` picks a free port, and `osqdemo ps` shows it
    `docker stop kafka-1` stops that container; to keep both, `--port broker=0` picks a free port, and `osqdemo ps` shows it
    `--port broker=0` picks a free port, and `osqdemo ps` shows it
    ");
}
