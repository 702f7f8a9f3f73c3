//! What can be typed, what is wrong with it, and what is printed for people and for programs.

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{FAKE, World};
use crate::up;

#[test]
fn help() {
    assert_snapshot!(World::new().run(&["--help"]), @"
    exit code: 0
    ----- stdout -----
    Stand up, run and verify an osquery, Kafka and ksqlDB pipeline end to end

    Usage: osqdemo [OPTIONS] <COMMAND>

    Commands:
      up            Start what is missing, wait until everything is healthy, submit the statements
      build         Build the images of the stack
      images        List, pull, lock, save and load the images of the stack
      down          Stop everything that `up` started and leave nothing behind
      projects      List every project of this user: its state, engine, stack and ports
      ps            List the services, their state and their addresses
      logs          Show what the services wrote
      exec          Run a command on a host; a shell when none is given
      attach        Run this machine's own osqueryd beside the hosts, until Ctrl-C
      restart       Stop a service and start it again
      wait          Wait until the services are healthy
      ksql          Run ksqlDB statements; an interactive prompt when none is given
      topics        List the topics of the broker
      groups        List the groups of consumers, who is in them, and how far behind they are
      schemas       List, show and check the schemas of the Schema Registry
      top           Watch services, topics, queries and joined rows live, until Ctrl-C
      tail          Print the records of a topic as they arrive
      scenario      Run a scenario and verify its result
      chaos         Do faults to the pipeline while its hosts work, and prove that nothing is lost
      fault         Do a fault by hand and end it again, to see what becomes of the pipeline
      doctor        Check whether this machine can run the stack
      smoke         Check, start, verify and stop the whole stack in one run, for CI
      bundle        Write everything that a report of a failure needs into one file, without secrets
      open          Print the address of the user interface and open it in a browser
      config        Show the settings in force, or the schema of the settings file
      serve         Run one service of the platform in the foreground
      host-config   Print the default configuration of the hosts, to begin one of your own with
      users         List, make and forget those whom the broker lets in from other machines
      certs         Make certificates for the broker's listener for other machines
      host-package  Write what another machine needs to send its lines here: a package with a guide
      completions   Print the completion script of a shell
      man           Write the manual, a page for every verb
      help          Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Options of every verb:
      -p, --project <NAME>
              The project to work on; several can run side by side [env: OSQDEMO_PROJECT]

          --config <FILE>
              The settings file; by default `osqdemo.toml` in the current folder, if it is there [env:
              OSQDEMO_CONFIG]

          --json
              Write data and progress as JSON lines

      -q, --quiet
              Show errors only

      -v, --verbose...
              Show more; twice for debugging

    Examples:
      osqdemo up                                   everything, as processes of this machine
      osqdemo scenario bigfile                     a file on a host, followed to a joined row
      osqdemo tail processes --from-beginning -n 1 a message as it is in Kafka
      osqdemo ksql                                 the prompt of ksqlDB
      osqdemo logs host2                           what a host says, as when no line of it comes
      osqdemo down --volumes                       stops everything; nothing stays

    Exit codes:
      0    done; a scenario passed, or faults were stood
      1    internal error
      2    wrong command line, settings or input file
      10   the machine cannot run the stack (port in use, disk, no Docker, another `up`)
      11   an image could not be pulled
      12   an image could not be built
      13   a service could not be started
      14   a service was not healthy in time
      15   ksqlDB rejected a statement
      16   the stack or the service is not running
      20   the scenario failed, or faults were not stood
      21   the scenario timed out, or a part was not well again in time
      126  `exec`: the host cannot run that
      127  `exec`: the host has no such command
      130  interrupted (SIGINT)
      143  terminated (SIGTERM)

    Environment:
      OSQDEMO_HOME        the folder of all projects; by default `osqdemo` in the XDG state folder
      OSQDEMO_PROJECT     the project, as `--project`
      OSQDEMO_CONFIG      the settings file, as `--config`
      OSQDEMO_NAMESPACES  `off` runs the hosts without namespaces of their own; `auto` is the default
      DOCKER_HOST         the Docker daemon; else the current context, else a socket that is found
      OSQDEMO_IMAGE_TAG   the tag of the images that osqdemo makes; by default its version
      OSQDEMO_BUILDER     the image that `--source` compiles in; by default rust:1.95-bookworm
      BROWSER             what `open` opens the address with; by default the desktop's
      NO_COLOR            no colours
      CI                  progress as lines, also on a terminal
    ----- stderr -----
    ");
}

#[test]
fn what_this_version_does_not_have() {
    let world = World::new();
    assert_snapshot!(world.run(&["up", "--engine", "vagrant"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: engine `vagrant` is not available in this version
    hint: use `--engine native` or `--engine docker`
    ");
    assert_snapshot!(world.run(&["up", "--stack", "cloudy"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: stack `cloudy` is not available in this version
    hint: use `--stack lite`, `--stack kafka`, `--stack cloud`, `--stack confluent`, `--stack confluent-8`, or a file with `--stack-file`
    ");
}

#[test]
fn wrong_settings() {
    let world = World::new();
    assert_snapshot!(world.run(&up(&["--timeout", "soon"])), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `soon` is not a duration such as `500ms`, `30s`, `2m` or `1m30s`
    ");
    assert_snapshot!(world.run(&["--project", "Mine!", "ps"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `Mine!` cannot be a project's name: it takes 1 to 40 lower-case letters, digits, `-` and `_`, the first one a letter or a digit
    ");
    assert_snapshot!(world.run(&["restart", "zookeeper"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no service `zookeeper`; the services are broker, schema-registry, ksqldb-server, console, host1, host2
    ");
    assert_snapshot!(world.run(&["logs", "zookeeper"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no service `zookeeper`; the services are broker, schema-registry, ksqldb-server, console, host1, host2
    ");
    assert_snapshot!(world.run(&["exec", "host3", "true"]), @"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no service `host3`; the services are broker, schema-registry, ksqldb-server, console, host1, host2
    hint: did you mean `host1` or `host2`?
    ");
    assert_snapshot!(world.run(&["exec", "broker", "true"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `broker` is not a host
    hint: the hosts are host1 and host2
    ");
}

#[test]
fn documents_for_programs() {
    let world = World::new();
    assert_snapshot!(world.run(&[&["--json"], &up(&["--dry-run"])[..]].concat()), @r#"
    exit code: 0
    ----- stdout -----
    {"schema_version":1,"project":"osqdemo","operations":[{"action":"start the supervisor","cause":"not running","after":[]},{"action":"start broker","cause":"not running","after":[0]},{"action":"start schema-registry","cause":"not running","after":[0,1]},{"action":"start ksqldb-server","cause":"not running","after":[0,1]},{"action":"start console","cause":"not running","after":[0,1]},{"action":"start host1","cause":"not running","after":[0,1]},{"action":"start host2","cause":"not running","after":[0,1]}]}
    ----- stderr -----
    "#);
    let output = world.output(&[&["--json"], &FAKE[..]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["changed"], true);
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let event: Value = serde_json::from_str(line).expect("every line of the progress is JSON");
        assert_eq!(event["schema_version"], 2, "{line}");
    }
    assert_snapshot!(world.run(&["--json", "down"]), @r#"
    exit code: 0
    ----- stdout -----
    {"schema_version":1,"project":"osqdemo","stopped":6,"volumes_removed":false,"elapsed_ms":0}
    ----- stderr -----
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"broker"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"console"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"host1"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"host2"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"ksqldb-server"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_started","step":{"kind":"service","name":"schema-registry"},"doing":"stopping"}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"broker"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"console"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"host1"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"host2"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"ksqldb-server"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"step_finished","step":{"kind":"service","name":"schema-registry"},"outcome":"done","result":"stopped","elapsed_ms":0}
    {"schema_version":2,"time":"[TIME]","event":"note","note":"down","project":"osqdemo","data_removed":false,"elapsed_ms":0}
    "#);
    assert_snapshot!(world.run(&["--json", "wait"]), @r#"
    exit code: 16
    ----- stdout -----
    ----- stderr -----
    {"schema_version":2,"time":"[TIME]","event":"failed","exit_code":16,"error":"project `osqdemo` is not running","causes":[],"details":[],"hints":["start it with `osqdemo up`"]}
    "#);
}

#[test]
fn a_wrong_command_line_is_told_to_programs_as_json() {
    let world = World::new();
    assert_snapshot!(world.run(&["--json", "tail"]), @r#"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    {"schema_version":2,"time":"[TIME]","event":"failed","exit_code":2,"error":"the following required arguments were not provided: <TOPIC>","causes":[],"details":["Usage: osqdemo tail <TOPIC>"],"hints":["`--help` tells more"]}
    "#);
    let output = world.output(&["up", "--prot", "broker=0", "--json"]);
    let failed: Value = serde_json::from_slice(&output.stderr).expect("one JSON object");
    assert_eq!(failed["error"], "unexpected argument '--prot' found");
    assert_eq!(output.status.code(), Some(2));
    // Help is asked for, and is no error.
    let output = world.output(&["--json", "up", "--help"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: osqdemo up"));
    // For people it stays as it is written for them.
    let output = world.output(&["tail"]);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: the following required arguments"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let world = World::new();
    let mut child = world.start(("A", "B"), &["completions", "bash"]);
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
