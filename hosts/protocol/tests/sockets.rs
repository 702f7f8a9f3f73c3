//! Servers and clients over real sockets, and the fake osqueryd between them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use osquery_protocol::client::{ExtensionClient, ManagerClient, call_like_osqueryd, extension_socket};
use osquery_protocol::fake::FakeOsqueryd;
use osquery_protocol::plugin::LoggerRequest;
use osquery_protocol::server::{ExtensionHandler, RunningServer};
use osquery_protocol::{
    ByteString, ExtensionInfo, PluginRequest, ProtocolError, Registry, Response, RouteTable, Status,
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Echoes its request as a row; panics and dawdles when asked to.
#[derive(Default)]
struct Echo {
    shutdowns: AtomicUsize,
    /// Whoever calls `hang` waits for this.
    freed: Mutex<bool>,
    end_of_hang: Condvar,
}

impl ExtensionHandler for Echo {
    fn call(&self, _registry: &ByteString, item: &ByteString, request: PluginRequest) -> Response {
        assert_ne!(*item, "panic", "asked to");
        if *item == "hang" {
            let freed = self.freed.lock().unwrap();
            drop(self.end_of_hang.wait_while(freed, |freed| !*freed).unwrap());
        }
        Response::rows(vec![request])
    }

    fn overdue(&self, _registry: &ByteString, _item: &ByteString) -> Response {
        Response::rows(vec![[("overdue".into(), "yes".into())].into()])
    }

    fn shutdown(&self) {
        self.shutdowns.fetch_add(1, Ordering::SeqCst);
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    handler: Arc<Echo>,
    server: RunningServer,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let handler = Arc::new(Echo::default());
    let server = RunningServer::extension(&folder.path().join("em.1"), Arc::clone(&handler)).unwrap();
    Fixture {
        folder,
        handler,
        server,
    }
}

#[test]
fn calls_like_osqueryds_are_answered() {
    let fixture = fixture();
    let request = LoggerRequest::Snapshot(vec![0xe9, 0xff].into()).into_request();
    for _ in 0..200 {
        let answer =
            call_like_osqueryd(fixture.server.path(), TIMEOUT, "logger", "x", request.clone()).unwrap();
        assert_eq!(answer, Response::rows(vec![request.clone()]));
    }
    ExtensionClient::connect(fixture.server.path(), TIMEOUT)
        .unwrap()
        .shutdown()
        .unwrap();
    assert_eq!(fixture.handler.shutdowns.load(Ordering::SeqCst), 1);
}

#[test]
fn connections_that_linger_keep_nobody_from_an_answer() {
    let fixture = fixture();
    let mut first = ExtensionClient::connect(fixture.server.path(), TIMEOUT).unwrap();
    assert!(first.ping().unwrap().is_success());
    let mut lingering: Vec<ExtensionClient> = Vec::new();
    for _ in 0..160 {
        let mut client = ExtensionClient::connect(fixture.server.path(), TIMEOUT).unwrap();
        assert!(client.ping().unwrap().is_success());
        lingering.push(client);
        // It is in use all the time, and so is not the one that goes.
        assert!(first.ping().unwrap().is_success());
    }
    let answer = call_like_osqueryd(
        fixture.server.path(),
        TIMEOUT,
        "logger",
        "x",
        PluginRequest::new(),
    );
    assert!(answer.unwrap().status.is_success());
    // The ones that were silent for longest are closed, the newest are not.
    assert!(lingering[0].ping().is_err());
    assert!(lingering[159].ping().unwrap().is_success());
}

#[test]
fn a_call_that_hangs_is_answered_in_its_place_and_keeps_nobody_from_an_answer() {
    let fixture = fixture();
    let path = fixture.server.path();
    let hangs = |size: usize| {
        let mut client = ExtensionClient::connect(path, TIMEOUT).unwrap();
        let request = PluginRequest::from([("x".into(), "y".repeat(size).into())]);
        client.call("logger", "hang", request).unwrap()
    };
    std::thread::scope(|scope| {
        // One in the accept loop, one too large for it.
        let small = scope.spawn(|| hangs(1));
        let large = scope.spawn(|| hangs(1 << 20));
        for hang in [small, large] {
            assert!(hang.join().unwrap().rows[0].contains_key(b"overdue".as_slice()));
        }
    });
    for _ in 0..10 {
        let answer = call_like_osqueryd(path, TIMEOUT, "logger", "x", PluginRequest::new()).unwrap();
        assert_eq!(answer.rows, [PluginRequest::new()]);
    }
    *fixture.handler.freed.lock().unwrap() = true;
    fixture.handler.end_of_hang.notify_all();
    assert!(ExtensionClient::connect(path, TIMEOUT).unwrap().ping().is_ok());
    fixture.server.stop();
}

#[test]
fn many_calls_on_one_connection_are_answered() {
    let fixture = fixture();
    let mut client = ExtensionClient::connect(fixture.server.path(), TIMEOUT).unwrap();
    for number in 0..100 {
        assert!(client.ping().unwrap().is_success());
        let request = PluginRequest::from([("n".into(), number.to_string().into())]);
        assert_eq!(
            client.call("logger", "x", request.clone()).unwrap().rows,
            [request]
        );
    }
}

#[test]
fn a_large_call_and_its_large_answer_pass() {
    let fixture = fixture();
    let request = LoggerRequest::Line(vec![b'x'; 20 * 1024 * 1024].into()).into_request();
    let answer = call_like_osqueryd(fixture.server.path(), TIMEOUT, "logger", "x", request.clone()).unwrap();
    assert!(answer.rows == [request]);
}

#[test]
fn a_stalled_peer_keeps_nobody_from_the_ping() {
    let fixture = fixture();
    let silent = UnixStream::connect(fixture.server.path()).unwrap();
    let mut stalled = UnixStream::connect(fixture.server.path()).unwrap();
    stalled.write_all(&[0x80, 0x01, 0x00]).unwrap();
    let started = Instant::now();
    assert!(
        ExtensionClient::connect(fixture.server.path(), TIMEOUT)
            .unwrap()
            .ping()
            .unwrap()
            .is_success()
    );
    assert!(started.elapsed() < Duration::from_secs(2));
    // The stalled peer goes on, byte by byte, and is answered.
    for byte in b"\x01\0\0\0\x04ping\0\0\0\x09\0" {
        stalled.write_all(&[*byte]).unwrap();
    }
    stalled.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut answer = [0; 16];
    stalled.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\x80\x01\0\x02\0\0\0\x04ping\0\0\0\x09");
    drop(silent);
}

#[test]
fn peers_that_trickle_keep_nobody_from_the_ping() {
    let fixture = fixture();
    let path = fixture.server.path().to_path_buf();
    // The start of a call with a method name that never ends: always incomplete, never wrong.
    let trickle = move || {
        let mut stream = UnixStream::connect(path).unwrap();
        for byte in b"\x80\x01\0\x01\0\0\0\xff".iter().chain(&[b'x'; 250]) {
            stream.write_all(&[*byte]).unwrap();
            std::thread::sleep(Duration::from_millis(4));
        }
    };
    let peers: Vec<_> = (0..4).map(|_| std::thread::spawn(trickle.clone())).collect();
    while peers.iter().any(|peer| !peer.is_finished()) {
        let started = Instant::now();
        ExtensionClient::connect(fixture.server.path(), TIMEOUT)
            .unwrap()
            .ping()
            .unwrap();
        assert!(
            started.elapsed() < Duration::from_millis(300),
            "{:?}",
            started.elapsed()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_panicking_plugin_is_an_answer() {
    let fixture = fixture();
    let answer = call_like_osqueryd(
        fixture.server.path(),
        TIMEOUT,
        "logger",
        "panic",
        PluginRequest::new(),
    );
    assert!(answer.unwrap().status.message.to_text().contains("logger/panic"));
    assert!(
        ExtensionClient::connect(fixture.server.path(), TIMEOUT)
            .unwrap()
            .ping()
            .unwrap()
            .is_success()
    );
}

#[test]
fn garbage_and_foreign_methods_do_no_harm() {
    let fixture = fixture();
    let mut stream = UnixStream::connect(fixture.server.path()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
    let mut client = ManagerClient::connect(fixture.server.path(), TIMEOUT).unwrap();
    let refused = client.query("select 1").unwrap_err();
    assert!(
        matches!(refused, ProtocolError::Refused { method: "query", .. }),
        "{refused}"
    );
    assert!(client.ping().unwrap().is_success());
}

#[test]
fn stopping_ends_open_connections_and_removes_the_socket() {
    let fixture = fixture();
    let path = fixture.server.path().to_path_buf();
    let mut client = ExtensionClient::connect(&path, TIMEOUT).unwrap();
    client.ping().unwrap();
    client.ping().unwrap();
    let started = Instant::now();
    fixture.server.stop();
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(!path.exists());
    client.ping().unwrap_err();
    let gone = ExtensionClient::connect(&path, TIMEOUT).unwrap_err();
    assert!(gone.to_string().contains(path.to_str().unwrap()), "{gone}");
    drop(fixture.folder);
}

#[test]
fn a_leftover_socket_is_replaced_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("em");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = RunningServer::extension(&path, Arc::new(Echo::default())).unwrap();
    let second = RunningServer::extension(&path, Arc::new(Echo::default())).unwrap_err();
    assert!(matches!(second, ProtocolError::Listen { .. }), "{second}");
    assert!(
        ExtensionClient::connect(server.path(), TIMEOUT)
            .unwrap()
            .ping()
            .unwrap()
            .is_success()
    );
}

#[test]
fn a_silent_peer_ends_in_a_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("em");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut client = ExtensionClient::connect(&path, Duration::from_millis(50)).unwrap();
    let error = client.ping().unwrap_err();
    assert!(
        matches!(error, ProtocolError::TimedOut { method: "ping", .. }),
        "{error}"
    );
}

#[test]
fn an_extension_registers_at_the_fake_osqueryd() {
    let folder = tempfile::tempdir().unwrap();
    let osqueryd = FakeOsqueryd::start(&folder.path().join("em")).unwrap();
    osqueryd.refuse_registrations(1, "not yet");
    let info = ExtensionInfo {
        name: "echo".into(),
        version: "1".into(),
        ..ExtensionInfo::default()
    };
    let plugins = RouteTable::from([("echo".into(), Vec::new())]);
    let registry = Registry::from([("logger".into(), plugins)]);
    let mut manager = ManagerClient::connect(osqueryd.socket(), TIMEOUT).unwrap();
    assert_eq!(
        manager.register(info.clone(), registry.clone()).unwrap().message,
        "not yet"
    );
    let status = manager.register(info.clone(), registry.clone()).unwrap();
    assert!(status.is_success());
    let duplicate = manager.register(info.clone(), registry.clone()).unwrap();
    assert_eq!(duplicate, Status::failed("Duplicate extension registered"));
    assert_eq!(osqueryd.registration_attempts(), 3);

    let socket = extension_socket(osqueryd.socket(), status.uuid);
    let _server = RunningServer::extension(&socket, Arc::new(Echo::default())).unwrap();
    let extension = osqueryd.wait_for_extension("echo", TIMEOUT).unwrap();
    assert_eq!(
        (extension.uuid, &extension.info, &extension.registry),
        (status.uuid, &info, &registry)
    );
    assert!(
        extension
            .log("echo", LoggerRequest::Line("{}".into()))
            .unwrap()
            .is_success()
    );

    assert_eq!(manager.extensions().unwrap().get(&status.uuid), Some(&info));
    assert!(
        manager
            .options()
            .unwrap()
            .contains_key(b"extensions_socket".as_slice())
    );
    assert_eq!(manager.query("select 1").unwrap().rows.len(), 1);
    assert_eq!(manager.query_columns("select 1").unwrap().rows.len(), 1);
    assert!(manager.deregister(status.uuid).unwrap().is_success());
    assert!(!manager.deregister(status.uuid).unwrap().is_success());
    assert_eq!(osqueryd.deregistered(), [status.uuid, status.uuid]);
}
