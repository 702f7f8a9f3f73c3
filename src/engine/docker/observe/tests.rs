use serde_json::json;

use super::*;

fn owner() -> Owner {
    let project = "demo".parse().expect("a name");
    Owner::new(&crate::state::ProjectFolder::new(
        std::path::Path::new("/state"),
        &project,
    ))
}

fn inspection(service: &str, depends_on: &str, state: &serde_json::Value) -> ContainerInspectResponse {
    let document = json!({
        "Id": format!("id of {service}"),
        "Name": format!("/demo-{service}-1"),
        "Image": "sha256:1",
        "State": state,
        "RestartCount": 2,
        "Config": { "Labels": {
            "io.osqdemo.project": "demo",
            "io.osqdemo.home": "/state",
            "io.osqdemo.service": service,
            "io.osqdemo.config-hash": "hash",
            "io.osqdemo.depends-on": depends_on,
        }},
        "HostConfig": { "Memory": 64 << 20, "PortBindings": { "9092/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "19092" }] } },
        "NetworkSettings": { "Networks": { "demo_default": { "NetworkID": "net" } } },
    });
    serde_json::from_value(document).expect("an inspection")
}

fn state_of(state: &serde_json::Value) -> ServiceState {
    let inspection = inspection("broker", "", state);
    let (_, service) = service(&inspection, &owner(), None).expect("a service of ours");
    service.state
}

#[test]
fn every_state_of_a_container_is_understood() {
    let exited =
        |code: i32, oom: bool| state_of(&json!({ "Status": "exited", "ExitCode": code, "OOMKilled": oom }));
    let ended = |exit| ServiceState::Exited { exit };
    assert_eq!(
        state_of(&json!({ "Status": "running", "Pid": 7 })),
        ServiceState::Running { pid: 7 }
    );
    assert_eq!(exited(3, false), ended(Exit::Code(3)));
    assert_eq!(exited(137, false), ended(Exit::Signal(9)));
    // The service itself, and one that ended because a process of it was killed.
    for code in [137, 1] {
        let limit = Some(64 << 20);
        assert_eq!(exited(code, true), ended(Exit::OutOfMemory { code, limit }));
    }
    assert_eq!(exited(0, true), ended(Exit::Code(0)));
    assert_eq!(
        state_of(&json!({ "Status": "restarting", "ExitCode": 143 })),
        ServiceState::Restarting {
            exit: Exit::Signal(15)
        }
    );
    assert_eq!(state_of(&json!({ "Status": "created" })), ended(Exit::Code(0)));
}

#[test]
fn a_container_is_known_with_its_port_image_and_network() {
    let state = json!({ "Status": "running", "Pid": 7, "StartedAt": "2026-01-02T03:04:05.678Z" });
    let network = |id: &str, name: &str| Network {
        id: Some(id.to_owned()),
        name: Some(name.to_owned()),
        ..Default::default()
    };
    let attachment = |network: &Network| {
        let inspection = inspection("broker", "", &state);
        let (_, service) = service(&inspection, &owner(), Some(network)).expect("a service of ours");
        service.container.expect("a container").attachment
    };
    assert_eq!(
        attachment(&network("other", "demo_default")),
        Attachment::Detached
    );
    // As podman says it.
    assert_eq!(attachment(&network("other", "net")), Attachment::Attached);
    let network = network("net", "demo_default");
    let inspection = inspection("broker", "", &state);
    let (name, service) = service(&inspection, &owner(), Some(&network)).expect("a service of ours");
    assert_eq!(name.as_str(), "broker");
    assert_eq!(service.port, Some(19092));
    assert_eq!(service.started_at, 1_767_323_045_678);
    assert_eq!(service.restarts, 2);
    let container = service.container.expect("a container");
    assert_eq!(container.image_id, "sha256:1");
    assert_eq!(container.attachment, Attachment::Attached);
}

#[test]
fn what_belongs_to_another_state_home_is_not_ours() {
    let mut inspection = inspection("broker", "", &json!({ "Status": "running" }));
    let labels = inspection
        .config
        .as_mut()
        .and_then(|config| config.labels.as_mut());
    labels
        .expect("labels")
        .insert("io.osqdemo.home".to_owned(), "/elsewhere".to_owned());
    assert!(service(&inspection, &owner(), None).is_none());
}

#[test]
fn dependents_are_stopped_first_and_a_circle_stops_too() {
    let levels = |services: &[(&str, &str)]| -> Vec<Vec<String>> {
        let state = json!({ "Status": "running" });
        let inspections = services
            .iter()
            .map(|(name, needs)| inspection(name, needs, &state))
            .collect();
        dependents_first(inspections)
            .iter()
            .map(|level| {
                let names = level
                    .iter()
                    .filter_map(|inspection| label(inspection, labels::SERVICE));
                names.map(str::to_owned).collect()
            })
            .collect()
    };
    assert_eq!(
        levels(&[("broker", ""), ("host1", "broker"), ("ksqldb-server", "broker")]),
        [vec!["host1", "ksqldb-server"], vec!["broker"]]
    );
    assert_eq!(levels(&[("a", "b"), ("b", "a")]), [vec!["a", "b"]]);
}
