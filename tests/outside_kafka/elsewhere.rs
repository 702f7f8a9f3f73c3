//! Schema Registry and ksqlDB elsewhere, behind a password.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::NativeStack;
use crate::theirs::Theirs;
use crate::{PASSWORD, USER, assert_demo_passes, there};

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
