//! A Kafka that wants TLS and a password: our own, and Apache's.

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::docker_support::{self, DockerStack, docker};
use crate::support::{NativeStack, eventually, two_free_ports};
use crate::{PASSWORD, USER, assert_demo_passes, set, there};

/// Where a Kafka of this machine is for processes.
const LOCAL: &str = "localhost";

/// A JVM on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where `scripts/kafka.sh` keeps the real one.
const APACHE: &str = "4.2.0";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka.sh");

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
