//! The Docker engine, through the real binary on a real engine: up, repairs, down, and that nothing is ever left
//! behind. Long because there are many ways to begin and to end, and each is gone from its beginning to its end.

#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use docker_support::{DockerStack, docker, image_tag, images, pause};
use rustix::process::Signal;
use serde_json::Value;
use support::{InTime, PLATFORM, SERVICES, eventually, signal, two_free_ports};

/// Far more than any step of a stack takes.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_whole_cycle_leaves_nothing() {
    let Some(stack) = DockerStack::new() else { return };
    let tagged = format!("osqdemo/*:{}", image_tag());
    let images = || images("{{.Repository}} {{.ID}}", &tagged);
    let images_before = images();
    stack.succeed(&stack.up_arguments());
    let (stdout, stderr) = stack.succeed(&["scenario", "bigfile", "--size", "64M"]);
    assert!(
        stdout.contains("passed: both joins name host2"),
        "{stdout}{stderr}"
    );

    // Of what runs in the hosts, the pipeline's own programs are left out.
    let topics: Value = serde_json::from_str(&stack.succeed(&["--json", "topics"]).0).expect("JSON");
    let mut topics = topics["topics"].as_array().expect("topics").iter();
    let precise = topics
        .find(|topic| topic["name"] == "PRECISE_PROC")
        .expect("a topic");
    let number = precise["records"].to_string();
    let rows = stack
        .succeed(&["tail", "PRECISE_PROC", "--from-beginning", "-n", &number])
        .0;
    assert!(rows.contains("\"NAME\":\"head\""), "{rows}");
    for own in ["osquery", "osqdemo", "confluent"] {
        assert!(!rows.contains(&format!("\"NAME\":\"{own}")), "{rows}");
    }

    let ids = SERVICES.map(|service| (stack.id(service), stack.started_at(service)));
    let (_, stderr) = stack.succeed(&["up"]);
    assert!(
        stderr.contains("nothing to do: 6 services are healthy"),
        "{stderr}"
    );
    assert_eq!(
        ids,
        SERVICES.map(|service| (stack.id(service), stack.started_at(service)))
    );
    let plan = stack.succeed(&["up", "--dry-run"]).0;
    assert_eq!(plan, "nothing to do\n");

    // Everything is on loopback, and limited.
    for service in ["broker", "ksqldb-server"] {
        let format =
            "{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}{{.HostConfig.Memory}}";
        let shown = docker(&["inspect", "--format", format, &stack.container(service)]).concat();
        assert_eq!(shown, format!("127.0.0.1 {}", 512 << 20), "{service}");
    }
    // And confined, by what the daemon says.
    for service in SERVICES {
        let format = "{{json .HostConfig.CapDrop}} {{json .HostConfig.SecurityOpt}} {{.HostConfig.PidsLimit}} \
                      {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Privileged}}";
        let shown = docker(&["inspect", "--format", format, &stack.container(service)]).concat();
        let has_its_own_files = service.starts_with("host");
        let expected = format!(
            r#"["ALL"] ["no-new-privileges:true"] 1024 {} false"#,
            !has_its_own_files
        );
        assert_eq!(shown, expected, "{service}");
    }

    stack.succeed(&["down"]);
    stack.assert_nothing_runs();
    let [_, _, volumes] = stack.labelled();
    assert!(
        volumes.contains(&format!("{}_broker-data", stack.project)),
        "data stays: {volumes:?}"
    );
    let (stdout, _) = stack.succeed(&["logs", "broker"]);
    assert!(!stdout.is_empty(), "the log of a container that is gone is kept");
    stack.succeed(&["up"]);
    let (stdout, _) = stack.succeed(&["ksql", "SHOW STREAMS;"]);
    assert!(stdout.contains("PRECISE_PROC"), "{stdout}");

    // Who is on the project's network and is not the project's is named, and left alone.
    let (network, guest) = (
        format!("{}_default", stack.project),
        format!("{}-guest", stack.project),
    );
    let broker = docker(&["inspect", "--format", "{{.Image}}", &stack.container("broker")]).concat();
    let run = ["run", "-d", "--rm", "--name", &guest, "--network", &network];
    docker(&[&run[..], &["--entrypoint", "/bin/sleep", &broker, "1000"]].concat());
    let down = stack.output(&["down"]);
    let stderr = String::from_utf8_lossy(&down.stderr);
    assert_eq!(down.status.code(), Some(13), "{stderr}");
    let told = format!(
        "error: network {network} is still used by {guest}\nhint: `docker network disconnect {network} {guest}` takes \
         it off; then `osqdemo -p {} down` again",
        stack.project
    );
    assert!(stderr.contains(&told), "{stderr}");
    docker(&["rm", "-f", &guest]);
    stack.succeed(&["down", "--volumes"]);
    assert_eq!(stack.labelled(), [const { Vec::<String>::new() }; 3]);
    assert_eq!(images_before.len(), 2);
    assert_eq!(images(), images_before, "images stay, and no other ones come");
}

#[test]
fn a_container_whose_process_is_killed_comes_back() {
    let Some(stack) = DockerStack::new() else { return };
    // In Avro: what the topics hold can only be read while the registry's ids mean what they meant.
    stack.succeed(&[stack.up_arguments().as_slice(), &["--format", "avro"]].concat());
    for service in SERVICES {
        let format = "{{.State.Pid}}";
        let pid = docker(&["inspect", "--format", format, &stack.container(service)]).concat();
        let before = stack.started_at(service);
        signal(pid.parse().expect("a pid"), Signal::KILL);
        eventually(&format!("{service} runs again"), LIMIT, || {
            stack.service(service, "state") == "running" && stack.started_at(service) != before
        });
    }
    stack.succeed(&["wait"]);
    stack.succeed(&["scenario", "bigfile", "--size", "1M"]);
    let first = |arguments: &[&str]| {
        let tail = ["tail", "processes", "--from-beginning", "-n", "1"];
        stack.succeed(&[&tail, arguments].concat()).0
    };
    assert!(first(&[]).contains("\"name\":\"processes\""));
    assert!(!first(&["--raw"]).contains("\"name\""), "Avro names no fields");
}

#[test]
fn up_repairs_exactly_what_differs() {
    let Some(stack) = DockerStack::up() else { return };
    let started = || SERVICES.map(|service| stack.started_at(service));

    let before = started();
    docker(&["kill", &stack.container("host2")]);
    docker(&["stop", &stack.container("ksqldb-server")]);
    let (_, stderr) = stack.succeed(&["up"]);
    assert!(
        stderr.contains("host2: starting (ended unexpectedly: killed by signal 9 (SIGKILL))"),
        "{stderr}"
    );
    let after = started();
    assert_eq!(before[0], after[0], "the broker is left alone");
    assert_eq!(before[PLATFORM], after[PLATFORM], "host1 is left alone");

    docker(&["rm", "-f", &stack.container("host1")]);
    let plan = stack.succeed(&["up", "--dry-run"]).0;
    assert_eq!(plan, "1. start host1 (not running)\n");
    stack.succeed(&["up"]);
    assert_eq!(after[0], started()[0], "the broker is left alone");

    let network = format!("{}_default", stack.project);
    for service in SERVICES {
        docker(&["network", "disconnect", "-f", &network, &stack.container(service)]);
    }
    docker(&["network", "rm", &network]);
    let (_, stderr) = stack.succeed(&["up"]);
    assert!(
        stderr.contains("broker: stopping (its network was removed)"),
        "{stderr}"
    );
    stack.succeed(&["scenario", "bigfile", "--size", "1M"]);
    let plan = stack.succeed(&["up", "--dry-run"]).0;
    assert_eq!(plan, "nothing to do\n");
}

#[test]
fn a_paused_container_is_named_at_once_and_goes_on() {
    let Some(stack) = DockerStack::up() else { return };
    let said = |arguments: &[&str]| {
        let output = stack.output(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), stderr)
    };
    let hint = format!("hint: `osqdemo -p {} up` lets it go on", stack.project);
    let verbs: [(&str, i32, &[&[&str]]); 3] = [
        (
            "ksqldb-server",
            16,
            &[&["scenario", "bigfile"], &["ksql", "SHOW STREAMS;"]],
        ),
        ("broker", 16, &[&["topics"], &["tail", "processes"]]),
        (
            "host2",
            16,
            &[&["exec", "host2", "true"], &["scenario", "bigfile"]],
        ),
    ];
    for (service, code, verbs) in verbs {
        let before = (stack.id(service), stack.started_at(service));
        pause(&stack.container(service));
        assert_eq!(stack.service(service, "state"), "paused");
        let error = format!("error: {service} is paused: somebody stopped it without ending it\n{hint}");
        for (code, verb) in verbs
            .iter()
            .map(|verb| (code, *verb))
            .chain([(14, &["wait"][..])])
        {
            let (status, stderr) = said(verb);
            assert_eq!(status, Some(code), "{verb:?}: {stderr}");
            assert!(stderr.contains(&error), "{verb:?}: {stderr}");
        }
        let plan = stack.succeed(&["up", "--dry-run"]).0;
        assert_eq!(plan, format!("1. let {service} go on (it was paused)\n"));
        stack.succeed(&["up"]);
        assert_eq!((stack.id(service), stack.started_at(service)), before);
    }
    // A restart needs nobody's permission to go on.
    let before = stack.started_at("host2");
    pause(&stack.container("host2"));
    stack.succeed(&["restart", "host2"]);
    assert_eq!(stack.service("host2", "state"), "running");
    assert_ne!(stack.started_at("host2"), before);
}

#[test]
fn projects_run_side_by_side_on_both_engines() {
    let Some(stack) = DockerStack::new() else { return };
    let (broker, ksqldb) = two_free_ports();
    let file = stack.world.stack_file(broker, ksqldb);
    let up = ["up", "--osqueryd", "builtin", "--stack-file", &file];
    let on_docker = [&up[..], &["--engine", "docker"]].concat();
    let (_, stderr) = stack.succeed(&on_docker);
    assert!(!stderr.contains(" gets port "), "{stderr}");
    assert_eq!(stack.service("broker", "address"), format!("127.0.0.1:{broker}"));
    let plan = stack.succeed(&["up", "--dry-run"]).0;
    assert_eq!(plan, "nothing to do\n");

    let other = format!("{}-other", stack.project);
    let native = format!("{}-native", stack.project);
    let run = |project: &str, arguments: &[&str]| {
        let output = stack
            .world
            .command(&[&["-p", project], arguments].concat())
            .env("OSQDEMO_IMAGE_TAG", image_tag())
            .in_time();
        assert!(output.status.success(), "{}", stack.world.shown(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // Nobody asks for a port, and all of them want the same ones.
    let project = stack.world.home().join(&stack.project);
    for (project_name, up) in [(&other, &on_docker[..]), (&native, &up[..])] {
        let stderr = run(project_name, up);
        let told = format!(
            "warning: port {broker} of broker is in use by container `{}` of the osqdemo project `{}`: broker gets port ",
            stack.container("broker"),
            project.display()
        );
        assert!(stderr.contains(&told), "{stderr}");
        assert_eq!(stderr.matches(" gets port ").count(), PLATFORM, "{stderr}");
    }
    stack.succeed(&["down"]);
    stack.assert_nothing_runs();
    for project_name in [&other, &native] {
        run(project_name, &["scenario", "bigfile", "--size", "1M"]);
        run(project_name, &["down", "--volumes"]);
    }
    let filter = format!("label=io.osqdemo.project={other}");
    assert!(docker(&["ps", "-aq", "--filter", &filter]).is_empty());
    assert!(docker(&["volume", "ls", "-q", "--filter", &filter]).is_empty());
}

#[test]
fn a_container_that_has_a_port_is_named() {
    let Some(stack) = DockerStack::new() else { return };
    let (broker, ksqldb) = two_free_ports();
    let file = stack.world.stack_file(broker, ksqldb);
    let holder = format!("{}-holder", stack.project);
    let publish = format!("127.0.0.1:{broker}:1");
    let image = "debian:bookworm-slim";
    docker(&[
        "run", "-d", "--name", &holder, "-p", &publish, image, "sleep", "infinity",
    ]);
    let up = [
        "up",
        "--engine",
        "docker",
        "--osqueryd",
        "builtin",
        "--stack-file",
        &file,
    ];
    let dry = stack.output(&[&up[..], &["--dry-run"]].concat());
    let checks = stack.output(&["doctor", "--engine", "docker", "--stack-file", &file]);
    let insisting = stack.output(&[&up[..], &["--port", &format!("broker={broker}")]].concat());
    docker(&["rm", "-f", &holder]);

    let shown = stack.world.shown(&dry);
    let told =
        format!("warning: port [PORT] of broker is in use by container `{holder}`: broker gets port [PORT]");
    assert!(dry.status.success() && shown.contains(&told), "{shown}");
    let shown = String::from_utf8_lossy(&checks.stdout);
    let told =
        format!("warn  port {broker} (broker): in use by container `{holder}`; `osqdemo up` picks another");
    assert!(shown.contains(&told), "{shown}");
    let stderr = String::from_utf8_lossy(&insisting.stderr);
    assert_eq!(insisting.status.code(), Some(10), "{stderr}");
    let told = format!(
        "error: port {broker} of broker is in use by container `{holder}`\nhint: `docker stop {holder}` stops that container; to keep \
         both, `--port broker=0` picks a free port"
    );
    assert!(stderr.contains(&told), "{stderr}");
}

#[test]
fn an_interrupted_up_leaves_nothing() {
    let Some(stack) = DockerStack::new() else { return };
    type Stage<'a> = (&'a str, Box<dyn Fn() -> bool + 'a>);
    let stages: [Stage<'_>; 3] = [
        (
            "the network is there",
            Box::new(|| !stack.labelled()[1].is_empty()),
        ),
        (
            "the broker is there",
            Box::new(|| !stack.labelled()[0].is_empty()),
        ),
        ("a host is there", Box::new(|| stack.labelled()[0].len() >= 4)),
    ];
    for (what, is_reached) in stages {
        let up = stack
            .command(&stack.up_arguments())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        eventually(what, LIMIT, is_reached);
        signal(up.id(), Signal::INT);
        let output = up.wait_with_output().expect("it ends");
        // A very fast machine may be done by then.
        if output.status.code() != Some(0) {
            assert_eq!(
                output.status.code(),
                Some(130),
                "{what}: {}",
                stack.world.shown(&output)
            );
            stack.assert_nothing_runs();
        }
        stack.succeed(&["down", "--volumes"]);
    }
}

#[test]
fn an_interrupted_build_leaves_the_image_as_it_was() {
    let Some(stack) = DockerStack::new() else { return };
    let platform = format!("osqdemo/platform:{}", image_tag());
    let image = || images("{{.ID}}", &platform);
    let before = image();
    // Another build of osqdemo: the same, and a few bytes longer.
    let installed = Path::new(env!("CARGO_BIN_EXE_osqdemo"))
        .parent()
        .expect("a folder");
    let folder = stack.world.home().join("bin");
    fs::create_dir(&folder).expect("a folder");
    for program in ["osqdemo", "confluent-ext", "osqdemo-agent"] {
        fs::copy(installed.join(program), folder.join(program)).expect("a copy");
    }
    let mut osqdemo = fs::OpenOptions::new()
        .append(true)
        .open(folder.join("osqdemo"))
        .expect("it opens");
    osqdemo.write_all(stack.project.as_bytes()).expect("it is longer");
    drop(osqdemo);

    let mut build = Command::new(folder.join("osqdemo"))
        .args(["build", "--osqueryd", "builtin"])
        .env("OSQDEMO_HOME", stack.world.home())
        .env("OSQDEMO_IMAGE_TAG", image_tag())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(build.stderr.take().expect("its progress")).lines();
    let building = lines.find(|line| {
        line.as_ref()
            .is_ok_and(|line| line.contains("building (its content changed)"))
    });
    assert!(building.is_some());
    signal(build.id(), Signal::INT);
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(build.wait().expect("it ends").code(), Some(130), "{rest:#?}");
    assert_eq!(image(), before);
}

#[test]
fn a_service_that_cannot_run_is_reported_with_its_log() {
    let Some(stack) = DockerStack::up() else { return };
    let volume = format!("{}_broker-data:/data", stack.project);
    stack.succeed(&["down"]);
    docker(&[
        "run",
        "--rm",
        "-v",
        &volume,
        "debian:bookworm-slim",
        "sh",
        "-c",
        "echo nonsense >/data/catalog.json",
    ]);
    let output = stack.output(&["up"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(13), "{stderr}");
    assert!(stderr.contains("error: broker ended after"), "{stderr}");
    assert!(stderr.contains("catalog.json"), "{stderr}");
    let hint = format!("hint: `osqdemo -p {} logs broker`", stack.project);
    assert!(stderr.contains(&hint), "{stderr}");
    stack.assert_nothing_runs();
    let (stdout, _) = stack.succeed(&["logs", "broker"]);
    assert!(stdout.contains("catalog.json"), "{stdout}");
}

#[test]
fn down_removes_the_images_that_were_made_when_asked() {
    let Some(stack) = DockerStack::up() else { return };
    let tag = format!("{}-images", image_tag());
    let made = |tag: &str| docker(&["images", "-q", "--filter", &format!("reference=osqdemo/*:{tag}")]).len();
    let run = |tag: &str, arguments: &[&str]| {
        let mut command = stack.command(arguments);
        let output = command
            .env("OSQDEMO_IMAGE_TAG", tag)
            .env("OSQDEMO_PROJECT", format!("{}-other", stack.project))
            .in_time();
        assert!(output.status.success(), "{}", stack.world.shown(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    run(&tag, &["build", "--osqueryd", "builtin"]);
    assert_eq!(made(&tag), 2);
    let stderr = run(&tag, &["down", "--images"]);
    assert!(
        stderr.contains(&format!(
            "removed: osqdemo/host-agent:{tag}, osqdemo/platform:{tag}"
        )),
        "{stderr}"
    );
    assert_eq!(made(&tag), 0);

    // What another project runs is not taken from it.
    let stderr = run(&image_tag(), &["down", "--images"]);
    for image in ["host-agent", "platform"] {
        let name = format!("osqdemo/{image}:{}", image_tag());
        assert!(stderr.contains(&format!("image `{name}` stays")), "{stderr}");
    }
    stack.succeed(&["wait"]);
}

#[test]
fn a_container_that_is_not_ours_is_never_removed() {
    let Some(stack) = DockerStack::new() else { return };
    let name = stack.container("broker");
    docker(&["create", "--name", &name, "debian:bookworm-slim", "true"]);
    let output = stack.output(&stack.up_arguments());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    stack.succeed(&["down"]);
    let left = docker(&["ps", "-aq", "--filter", &format!("name=^{name}$")]);
    docker(&["rm", &name]);
    assert_eq!(output.status.code(), Some(13), "{stderr}");
    assert!(
        stderr.contains(&format!(
            "container {name} is there already, and is not of this project"
        )),
        "{stderr}"
    );
    assert_eq!(left.len(), 1, "it is still there");
}
