use super::*;

fn hints(reason: &str) -> Vec<String> {
    let (action, object, status) = ("start", "container x".to_owned(), Some(500));
    let reason = reason.to_owned();
    DockerError::Api {
        action,
        object,
        reason,
        status,
    }
    .hints()
}

#[test]
fn hints_follow_what_is_said_and_not_what_is_named() {
    let port = "driver failed programming external connectivity: Bind for 127.0.0.1:9092 failed: port is already allocated";
    assert_eq!(hints(port).len(), 1);
    assert_eq!(hints("write /var/lib/docker/x: no space left on device").len(), 1);
    for reason in [
        "No such image: mirror/port-is-already-allocated:1",
        "mkdir /no space left-over: read-only file system",
    ] {
        assert_eq!(hints(reason), Vec::<String>::new(), "{reason}");
    }
}

#[test]
fn the_base_image_is_known_by_its_whole_name() {
    for reason in [
        "pull access denied for debian:bookworm-slim, repository does not exist",
        "docker.io/library/debian:bookworm-slim: not found",
    ] {
        assert!(names_base_image(reason), "{reason}");
    }
    assert!(!names_base_image(
        "evil.example.org/debian:bookworm-slim-2 is damaged"
    ));
    assert!(!names_base_image("notdebian:bookworm-slim is damaged"));
}
