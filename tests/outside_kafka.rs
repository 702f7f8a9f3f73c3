//! The stack on a Kafka that is already there, through the real binary: our own broker, the real Apache Kafka of
//! `scripts/kafka.sh`, with TLS and passwords, and with Schema Registry and ksqlDB elsewhere as well. What `down --volumes`
//! leaves there is what was there.

#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docker_support::{DockerStack, docker};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use support::{NativeStack, eventually, two_free_ports};

/// The user, and the password, of everything that wants one.
const USER: &str = "jay";
const PASSWORD: &str = "top-$ecret 77";

/// Where a Kafka of this machine is for processes.
const LOCAL: &str = "localhost";

/// A JVM on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where `scripts/kafka.sh` keeps the real one.
const APACHE: &str = "4.2.0";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka.sh");

/// Every topic and group of a Kafka without TLS.
fn there(address: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .create()
        .expect("a client");
    let limit = Duration::from_secs(30);
    let metadata = consumer.fetch_metadata(None, limit).expect("the topics");
    let topics = metadata.topics().iter().map(|topic| topic.name().to_owned());
    let groups = consumer.fetch_group_list(None, limit).expect("the groups");
    let names = groups.groups().iter().map(|group| group.name().to_owned());
    // Kafka's own, for what clients commit.
    let is_own = |topic: &String| topic.starts_with("__");
    (topics.filter(|topic| !is_own(topic)).collect(), names.collect())
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Fails unless the scenario passes.
fn assert_demo_passes(stack: &NativeStack) -> String {
    let output = stack
        .world
        .output(&["--json", "scenario", "bigfile", "--size", "1M"]);
    let shown = stack.world.shown(&output);
    assert!(output.status.success(), "{shown}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["verdict"], "passed", "{report:#}");
    shown
}

/// Services of another project: to the one that is tested, they are there already.
struct Theirs<'a> {
    stack: &'a NativeStack,
    address: String,
}

impl<'a> Theirs<'a> {
    /// A broker alone.
    fn broker(stack: &'a NativeStack) -> Self {
        let lite = include_str!("../compose/lite.yaml");
        let (broker, _) = lite
            .split_once("\n  schema-registry:")
            .expect("the broker is the first");
        let file = stack.world.home().join("broker.yaml");
        fs::write(&file, format!("{broker}\nvolumes:\n  broker-data:\n")).expect("a stack file");
        Self::up(stack, &["--stack-file", &file.display().to_string()])
    }

    /// A broker with a registry and ksqlDB.
    fn platform(stack: &'a NativeStack) -> Self {
        let arguments = ["--without", "console,host1,host2", "--no-statements"];
        let ports = ["--port", "schema-registry=0", "--port", "ksqldb-server=0"];
        Self::up(stack, &[&arguments[..], &ports].concat())
    }

    fn up(stack: &'a NativeStack, arguments: &[&str]) -> Self {
        let mut theirs = Self {
            stack,
            address: String::new(),
        };
        theirs.run(&[&["up", "--port", "broker=0"], arguments].concat());
        theirs.address = theirs.address_of("broker");
        theirs
    }

    fn address_of(&self, service: &str) -> String {
        let there: Value = serde_json::from_str(&self.run(&["--json", "ps"])).expect("a document");
        let mut services = there["services"].as_array().expect("a list").iter();
        let found = services
            .find(|found| found["service"] == service)
            .expect("it is there");
        found["address"].as_str().expect("an address").to_owned()
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.stack
            .succeed(&[&["--project", "theirs"], arguments].concat())
    }
}

impl Drop for Theirs<'_> {
    fn drop(&mut self) {
        let output = self
            .stack
            .world
            .output(&["--project", "theirs", "down", "--volumes"]);
        if !std::thread::panicking() {
            assert!(output.status.success(), "{}", self.stack.world.shown(&output));
        }
    }
}

#[test]
fn the_demo_on_a_kafka_that_is_already_there() {
    let stack = NativeStack::new();
    let on = |address: &str| {
        let ports = ["ksqldb-server=0", "console=0", "schema-registry=0"];
        let ports = ports.iter().flat_map(|port| ["--port", port]);
        let arguments: Vec<&str> = ["up", "--kafka", address].into_iter().chain(ports).collect();
        stack.world.output(&arguments)
    };
    let (nobody, _) = two_free_ports();
    let silent = on(&format!("127.0.0.1:{nobody}"));
    let told = stack.world.shown(&silent);
    assert_eq!(silent.status.code(), Some(10), "{told}");
    assert!(told.contains("cannot reach the broker at 127.0.0.1"), "{told}");
    assert!(
        told.contains("`--kafka none` is the stack's own broker"),
        "{told}"
    );
    assert_eq!(stack.processes(), Vec::<String>::new(), "nothing was started");

    let theirs = Theirs::broker(&stack);
    // A topic of the hosts that is there already: it is not the project's.
    write_to(&theirs.address, "users");
    let (before, _) = there(&theirs.address);
    assert!(before.contains("users"), "{before:?}");
    let up = on(&theirs.address);
    assert!(up.status.success(), "{}", stack.world.shown(&up));
    assert_eq!(stack.service("broker", "state"), "left_out");
    assert_eq!(stack.ps()["kafka"], theirs.address.as_str());
    assert_demo_passes(&stack);

    // It is remembered, and what osqdemo's own services keep there carries the project's name.
    let again = stack.world.run(&["up"]);
    assert!(again.contains("nothing to do: 5 services are healthy"), "{again}");
    let (topics, groups) = there(&theirs.address);
    for topic in ["processes", "PROC", "_schemas_osqdemo_osqdemo"] {
        assert!(topics.contains(topic), "no {topic} in {topics:?}");
    }
    let own = "_confluent-ksql-osqdemo_osqdemo_";
    assert!(
        [&topics, &groups]
            .iter()
            .all(|names| names.iter().any(|name| name.starts_with(own))),
        "{topics:?}, {groups:?}"
    );
    let of_others = |name: &String| name == "_schemas" || name.starts_with("_confluent-ksql-default_");
    assert!(!topics.iter().any(of_others), "{topics:?}");

    // What the user has made stays, and everything does without `--volumes`.
    stack.succeed(&["ksql", "CREATE STREAM mine AS SELECT * FROM precise_proc;"]);
    stack.succeed(&["down"]);
    let (kept, _) = there(&theirs.address);
    assert!(topics.is_subset(&kept), "{topics:?} became {kept:?}");
    let down = stack.world.run(&["down", "--volumes"]);
    assert!(
        down.contains("what this project had made there: ") && down.contains("the rest stays as it is"),
        "{down}"
    );
    let (left, groups) = there(&theirs.address);
    let expected: BTreeSet<String> = before.into_iter().chain(set(&["MINE"])).collect();
    assert_eq!(left, expected, "{down}");
    assert!(!groups.iter().any(|group| group.starts_with(own)), "{groups:?}");
}

/// Writes a record.
fn write_to(address: &str, topic: &str) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .create()
        .expect("a client");
    let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).payload("{}");
    producer
        .send(record)
        .map_err(|(error, _)| error)
        .expect("it is sent");
    producer.flush(Duration::from_secs(30)).expect("it is written");
}

/// A broker with TLS and SASL, and the files of its clients.
struct SecuredKafka {
    folder: tempfile::TempDir,
    plain: u16,
    broker: Child,
}

impl SecuredKafka {
    /// Our own broker, at that address of this machine.
    fn ours(address: &str) -> Self {
        Self::start(address, |folder, plain, secured| {
            let bind = if address == LOCAL { "127.0.0.1" } else { address };
            let broker = format!(
                "[[listener]]\nname = \"outside\"\nbind = \"{bind}:{secured}\"\nadvertise = \"{address}:{secured}\"\n\
                 sasl = [\"SCRAM-SHA-512\"]\ntls = {{ certificate = \"ca.pem\", key = \"broker.key\" }}\n\n\
                 [[user]]\nname = \"{USER}\"\npassword = \"{PASSWORD}\"\n"
            );
            fs::write(folder.join("broker.toml"), broker).expect("a file");
            let mut command = Command::new(env!("CARGO_BIN_EXE_osqdemo"));
            command
                .args(["serve", "broker", "--data-dir", "data", "--broker-config"])
                .args(["broker.toml", "--listen", &format!("127.0.0.1:{plain}")]);
            command
        })
    }

    /// The real one.
    fn apache() -> Self {
        let (controller, _) = two_free_ports();
        Self::start(LOCAL, |folder, plain, secured| {
            let read = |name: &str| fs::read_to_string(folder.join(name)).expect("a file");
            let keystore = folder.join("keystore.pem");
            fs::write(&keystore, read("broker.key") + &read("ca.pem")).expect("a file");
            let mut command = Command::new(SCRIPT);
            command
                .args(["broker", APACHE, "kafka", &plain.to_string()])
                .args(["--controller", &controller.to_string()])
                .args(["--scram", &format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]")])
                .arg(format!(
                    "listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://localhost:{secured},CONTROLLER://127.0.0.1:{controller}"
                ))
                .args([
                    "sasl.enabled.mechanisms=SCRAM-SHA-512",
                    "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
                    "ssl.keystore.type=PEM",
                    &format!("ssl.keystore.location={}", keystore.display()),
                ]);
            command
        })
    }

    fn start(address: &str, command: impl FnOnce(&Path, u16, u16) -> Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let issued = rcgen::generate_simple_self_signed([address.to_owned()]).expect("a certificate");
        let (plain, secured) = two_free_ports();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
        write("ca.pem", &issued.cert.pem());
        write("broker.key", &issued.signing_key.serialize_pem());
        write(
            "client.properties",
            &format!(
                "bootstrap.servers={address}:{secured}\nsecurity.protocol=SASL_SSL\nsasl.mechanisms=SCRAM-SHA-512\n\
                 sasl.username={USER}\nsasl.password=${{env:DEMO_PASSWORD}}\nssl.ca.location=ca.pem\n"
            ),
        );
        let log = fs::File::create(folder.path().join("broker.log")).expect("a file");
        let broker = command(folder.path(), plain, secured)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("the broker starts");
        let mut kafka = Self {
            folder,
            plain,
            broker,
        };
        eventually("the broker listens", PATIENCE, || {
            let ended = kafka.broker.try_wait().expect("its state");
            assert!(ended.is_none(), "{}", kafka.log());
            let mut doors = [(LOCAL, plain), (address, secured)].into_iter();
            doors.all(|door| TcpStream::connect(door).is_ok())
        });
        kafka
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("broker.log")).unwrap_or_default()
    }

    fn client_properties(&self) -> String {
        self.folder.path().join("client.properties").display().to_string()
    }

    /// Brings the hosts up there, with ksqlDB and a registry here.
    fn up(&self, stack: &NativeStack, password: &str) -> Output {
        stack
            .world
            .command(&[
                "up",
                "--stack",
                "cloud",
                "--with",
                "ksqldb-server,schema-registry",
                "--port",
                "ksqldb-server=0",
                "--port",
                "schema-registry=0",
                "--kafka-config",
                &self.client_properties(),
            ])
            .env("DEMO_PASSWORD", password)
            .output()
            .expect("it runs")
    }

    /// Fails unless everything is gone that was made there.
    fn assert_clean(&self, down: &str) {
        let (topics, groups) = there(&format!("127.0.0.1:{}", self.plain));
        assert_eq!((topics, groups), (set(&[]), set(&[])), "{down}");
    }
}

impl Drop for SecuredKafka {
    fn drop(&mut self) {
        let _ = self.broker.kill();
        let _ = self.broker.wait();
    }
}

#[test]
fn the_hosts_here_on_a_kafka_that_wants_tls_and_a_password() {
    let stack = NativeStack::new();
    let theirs = SecuredKafka::ours(LOCAL);
    let properties = theirs.client_properties();
    let refused = theirs.up(&stack, "wrong");
    let told = stack.world.shown(&refused);
    assert_eq!(refused.status.code(), Some(10), "{told}");
    assert_eq!(stack.processes(), Vec::<String>::new(), "nothing was started");
    let doctor = |password: &str| {
        let mut command = stack
            .world
            .command(&["doctor", "--stack", "cloud", "--kafka-config", &properties]);
        command.env("DEMO_PASSWORD", password).output().expect("it runs")
    };
    let examined = doctor("wrong");
    let told = stack.world.shown(&examined);
    assert_eq!(examined.status.code(), Some(10), "{told}");
    assert!(
        told.contains("FAIL  Kafka: TLS, and the login with SCRAM-SHA-512")
            && told.contains("invalid credentials"),
        "{told}"
    );

    let up = theirs.up(&stack, PASSWORD);
    let mut told = stack.world.shown(&up);
    let examined = doctor(PASSWORD);
    told += &stack.world.shown(&examined);
    assert!(
        told.contains("pass  Kafka: the hosts' topics may be read"),
        "{told}"
    );
    assert!(told.contains("pass  Kafka: topics may be made"), "{told}");
    assert!(up.status.success(), "{told}");
    told += &assert_demo_passes(&stack);
    // What was looked up is remembered, the variable is not needed any more.
    for verb in [&["up"][..], &["topics"], &["config", "show"], &["--json", "ps"]] {
        told += &stack.succeed(verb);
    }
    let groups = stack.succeed(&["--json", "groups"]);
    assert!(groups.contains(r#""protocol":"classic""#), "{groups}");
    let details = stack.succeed(&["--json", "topics", "--details"]);
    assert!(details.contains(r#""size_bytes":"#), "{details}");
    told += &groups;
    told += &details;
    let archive = stack.world.home().join("report.tar");
    stack.succeed(&["bundle", "--output", &archive.display().to_string()]);
    told += &String::from_utf8_lossy(&fs::read(archive).expect("the bundle"));
    for process in fs::read_dir("/proc").expect("the processes").flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        told += &String::from_utf8_lossy(&line);
    }
    for log in fs::read_dir(stack.world.project().join("logs")).expect("the logs") {
        told += &fs::read_to_string(log.expect("a log").path()).expect("a log");
    }
    assert!(!told.contains(PASSWORD), "the password is told");
    let down = stack.world.run(&["down", "--volumes"]);
    assert!(!stack.world.project().join("client.properties").exists());
    theirs.assert_clean(&down);
}

/// Whether the real Kafka was fetched, and can run.
fn has_kafka() -> bool {
    let libraries = format!(
        "{}/target/test-tools/kafka-{APACHE}/libs",
        env!("CARGO_MANIFEST_DIR")
    );
    let java = Command::new("java")
        .arg("-version")
        .stderr(Stdio::null())
        .status();
    docker_support::is_there(
        Path::new(&libraries).is_dir() && java.is_ok_and(|status| status.success()),
        "Apache Kafka (`scripts/kafka.sh fetch` gets it)",
    )
}

#[test]
fn the_hosts_here_on_an_apache_kafka_that_wants_tls_and_a_password() {
    if !has_kafka() {
        return;
    }
    let stack = NativeStack::new();
    let theirs = SecuredKafka::apache();
    let refused = theirs.up(&stack, "wrong");
    let told = stack.world.shown(&refused);
    assert_eq!(refused.status.code(), Some(10), "{told}");
    let up = theirs.up(&stack, PASSWORD);
    assert!(
        up.status.success(),
        "{}\n{}",
        stack.world.shown(&up),
        theirs.log()
    );
    assert_demo_passes(&stack);
    let groups = stack.succeed(&["--json", "groups"]);
    assert!(groups.contains("_query_CSAS_PROC_"), "{groups}");
    let details = stack.succeed(&["--json", "topics", "--details"]);
    assert!(details.contains(r#""size_bytes":"#), "{details}");
    let down = stack.world.run(&["down", "--volumes"]);
    theirs.assert_clean(&down);
}

/// An address of this machine that means the same inside a container: that towards the daemon's usual network.
fn address_for_containers() -> String {
    let format = "{{(index .IPAM.Config 0).Subnet}}";
    let subnet = docker(&["network", "inspect", "bridge", "--format", format]).concat();
    let (first, _) = subnet.split_once('/').expect("a subnet");
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // Nothing is sent: the system only says from where it would be.
    let neighbour = format!("{}.2", first.rsplit_once('.').expect("an address").0);
    socket.connect((neighbour.as_str(), 9)).expect("a way there");
    socket.local_addr().expect("its address").ip().to_string()
}

#[test]
fn containers_on_a_kafka_that_wants_tls_and_a_password() {
    let Some(stack) = DockerStack::new() else { return };
    let theirs = SecuredKafka::ours(&address_for_containers());
    let services = "ksqldb-server,schema-registry,console";
    let ports = ["ksqldb-server=0", "schema-registry=0", "console=0"];
    let up = stack
        .command(&[
            "up",
            "--engine",
            "docker",
            "--osqueryd",
            "builtin",
            "--stack",
            "cloud",
        ])
        .args(["--with", services, "--kafka-config", &theirs.client_properties()])
        .args(ports.iter().flat_map(|port| ["--port", port]))
        .env("DEMO_PASSWORD", PASSWORD)
        .output()
        .expect("it runs");
    let mut told = stack.world.shown(&up);
    assert!(up.status.success(), "{told}");
    let (report, _) = stack.succeed(&["--json", "scenario", "bigfile", "--size", "1M"]);
    let report: Value = serde_json::from_str(&report).expect("a report");
    assert_eq!(report["verdict"], "passed", "{report:#}");
    for container in &stack.labelled()[0] {
        told += &docker(&["inspect", container]).concat();
        told += &docker(&["top", container, "-eo", "pid,args"]).concat();
        told += &docker(&["exec", container, "env"]).concat();
    }
    assert!(
        told.contains("--kafka-config=/etc/osqdemo-client/client.properties"),
        "{told}"
    );
    assert!(!told.contains(PASSWORD), "the password is told");
    let down = stack.succeed(&["down", "--volumes"]).1;
    theirs.assert_clean(&down);
}

/// What stands before a service and lets nobody through who does not say the password.
struct Gate {
    port: u16,
}

impl Gate {
    fn before(service: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let service = service.trim_start_matches("http://").to_owned();
        let expected = format!("basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
        let (service, expected) = (Arc::new(service), Arc::new(expected));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (service, expected) = (Arc::clone(&service), Arc::clone(&expected));
                thread::spawn(move || carry(client, &service, &expected));
            }
        });
        Self { port }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Carries a connection whose first request says who asks.
fn carry(mut client: TcpStream, service: &str, expected: &str) {
    let mut head = Vec::new();
    let mut piece = [0; 4_096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match client.read(&mut piece) {
            Ok(read) if read > 0 => head.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut said = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if !said.any(|(_, value)| value.replacen("Basic", "basic", 1) == *expected) {
        let body = r#"{"error_code":40101,"message":"Unauthorized"}"#;
        let _ = write!(
            client,
            "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        );
        return;
    }
    let Ok(mut behind) = TcpStream::connect(service) else {
        return;
    };
    let (Ok(mut from), Ok(mut to)) = (behind.try_clone(), client.try_clone()) else {
        return;
    };
    if behind.write_all(&head).is_ok() {
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
        let _ = std::io::copy(&mut client, &mut behind);
        let _ = behind.shutdown(std::net::Shutdown::Both);
    }
}

/// What the console answers.
fn ask_console(address: &str, path: &str) -> String {
    let address = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the console");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .expect("it is asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn registry_and_ksqldb_elsewhere_want_a_password() {
    let stack = NativeStack::new();
    let theirs = Theirs::platform(&stack);
    let registry = Gate::before(&theirs.address_of("schema-registry"));
    let ksqldb = Gate::before(&theirs.address_of("ksqldb-server"));
    let (before, _) = there(&theirs.address);
    let properties = stack.world.home().join("client.properties");
    fs::write(
        &properties,
        format!(
            "bootstrap.servers={}\nschema.registry.url={}\nbasic.auth.user.info={USER}:${{env:DEMO_PASSWORD}}\n\
             ksqldb.url={}\nksqldb.basic.auth.user.info={USER}:${{env:DEMO_PASSWORD}}\n",
            theirs.address,
            registry.url(),
            ksqldb.url(),
        ),
    )
    .expect("a file");
    let up = stack
        .world
        .command(&[
            "up",
            "--stack",
            "cloud",
            "--with",
            "console",
            "--port",
            "console=0",
        ])
        .args([
            "--format",
            "avro",
            "--kafka-config",
            &properties.display().to_string(),
        ])
        .env("DEMO_PASSWORD", PASSWORD)
        .output()
        .expect("it runs");
    assert!(up.status.success(), "{}", stack.world.shown(&up));
    assert_demo_passes(&stack);
    let again = stack.world.run(&["up"]);
    assert!(again.contains("nothing to do: 3 services are healthy"), "{again}");
    // The console asks both, and says who it is.
    let console = stack.service("console", "address");
    let console = console.as_str().expect("an address");
    let schemas = ask_console(console, "/api/schemas");
    assert!(schemas.contains("processes-value"), "{schemas}");
    let catalog = ask_console(console, "/api/ksql/catalog");
    assert!(catalog.contains("PRECISE_PROC"), "{catalog}");
    assert!(!(schemas + &catalog).contains(PASSWORD), "the password is told");
    // Both know what the project has made there, and it goes.
    let down = stack.world.run(&["down", "--volumes"]);
    assert!(down.contains(" streams; the rest stays as it is"), "{down}");
    let (left, _) = there(&theirs.address);
    assert_eq!(left, before, "{down}");
    let streams = theirs.run(&["ksql", "LIST STREAMS;"]);
    assert!(
        !streams.contains("PRECISE_PROC") && !streams.contains("processes"),
        "{streams}"
    );
}
