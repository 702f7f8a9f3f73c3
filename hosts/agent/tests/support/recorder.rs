//! The recording extension: both plugins of the real one, behind a relay that numbers connections.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use osquery_protocol::client::{ManagerClient, extension_socket};
use osquery_protocol::plugin::{ConfigRequest, LoggerRequest};
use osquery_protocol::server::{ExtensionHandler, RunningServer};
use osquery_protocol::{ByteString, ExtensionInfo, PluginRequest, Registry, Response, Status, StatusCode};
use serde_json::{Value, json};

/// The file that says how the extension behaves: `refuse` lines, or `want status`.
pub(crate) const BEHAVIOUR: &str = "behaviour";

/// One call as it came in.
pub(crate) struct RecordedCall {
    /// `ping`, `shutdown`, or what the plugin was asked.
    pub(crate) kind: String,
    /// The number of its connection.
    pub(crate) connection: u64,
    pub(crate) line: Option<Value>,
}

impl RecordedCall {
    pub(crate) fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap();
        Self {
            kind: value["kind"].as_str().unwrap().to_owned(),
            connection: value["connection"].as_u64().unwrap(),
            line: Some(value["line"].clone()).filter(|line| !line.is_null()),
        }
    }
}

struct Recorder {
    folder: PathBuf,
    calls: Mutex<File>,
    connection: Arc<AtomicU64>,
    ending: AtomicBool,
}

impl Recorder {
    fn record(&self, kind: &str, line: Option<&ByteString>) {
        let line = line.and_then(|line| serde_json::from_slice::<Value>(line).ok());
        let connection = self.connection.load(Ordering::SeqCst);
        let text = json!({"kind": kind, "connection": connection, "line": line}).to_string() + "\n";
        self.calls.lock().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn behaves(&self, how: &str) -> bool {
        fs::read_to_string(self.folder.join(BEHAVIOUR)).is_ok_and(|text| text == how)
    }

    fn log(&self, request: PluginRequest) -> Response {
        let (kind, line) = match LoggerRequest::read(request) {
            LoggerRequest::Init(_) => ("init", None),
            LoggerRequest::Features => ("features", None),
            LoggerRequest::Status(line) => ("status", Some(line)),
            LoggerRequest::Line(line) => ("string", Some(line)),
            LoggerRequest::Snapshot(line) => ("snapshot", Some(line)),
            other => panic!("the agent never sends {other:?}"),
        };
        self.record(kind, line.as_ref());
        if kind == "features" && self.behaves("want status") {
            return Status {
                code: StatusCode::from(1),
                ..Status::success()
            }
            .into();
        }
        if line.is_some() && self.behaves("refuse") {
            return Status::failed("refused by the test").into();
        }
        Status::success().into()
    }

    fn configure(&self, request: PluginRequest) -> Response {
        match ConfigRequest::read(request) {
            ConfigRequest::Generate => {
                self.record("genConfig", None);
                let text = fs::read_to_string(self.folder.join("config.json")).unwrap();
                Response::rows(vec![BTreeMap::from([("source_one".into(), text.into())])])
            }
            ConfigRequest::Pack { name, value } => {
                self.record("genPack", None);
                assert_eq!(value, "/some/pack/value");
                let pack = r#"{"queries": {"inside": {"query": "select 5 as v", "interval": 1}}}"#;
                Response::rows(vec![BTreeMap::from([(name, pack.into())])])
            }
            ConfigRequest::Unknown => Status::failed("unknown").into(),
        }
    }
}

impl ExtensionHandler for Recorder {
    fn ping(&self) -> Status {
        self.record("ping", None);
        Status::success()
    }

    fn call(&self, registry: &ByteString, _: &ByteString, request: PluginRequest) -> Response {
        match registry.as_str() {
            Some("logger") => self.log(request),
            Some("config") => self.configure(request),
            Some("table") => generate(&request),
            other => panic!("the agent never calls {other:?}"),
        }
    }

    fn shutdown(&self) {
        self.record("shutdown", None);
        self.ending.store(true, Ordering::SeqCst);
    }
}

/// The extension's table: a number, a text that must be asked for, a fraction, and what the agent asked.
const TABLE: &str = "echo_table";

fn columns() -> Vec<PluginRequest> {
    let column = |name: &str, kind: &str, options: &str| {
        let pairs = [("id", "column"), ("name", name), ("type", kind), ("op", options)];
        PluginRequest::from(pairs.map(|(key, value)| (key.into(), value.into())))
    };
    vec![
        column("number", "BIGINT", "1"),
        column("wanted", "TEXT", "4"),
        column("fraction", "DOUBLE", "0"),
        column("context", "TEXT", "0"),
    ]
}

fn generate(request: &PluginRequest) -> Response {
    assert_eq!(request[b"action".as_slice()], "generate");
    let context = request[b"context".as_slice()].clone();
    let row = |number: &str, wanted: &str| {
        PluginRequest::from([
            ("number".into(), number.into()),
            ("wanted".into(), wanted.into()),
            ("fraction".into(), "0.1".into()),
            ("context".into(), context.clone()),
        ])
    };
    // More than is wanted: SQLite looks at each row again. What is no number is null.
    Response::rows(vec![row("7", "a"), row("8", "b"), row("x", "a")])
}

/// Registers, serves and records until it is asked to end both ways, or the agent is gone.
pub(crate) fn serve_extension() {
    let Ok(folder) = std::env::var("RECORDER_FOLDER") else {
        return;
    };
    let folder = PathBuf::from(folder);
    let manager = PathBuf::from(std::env::var("RECORDER_SOCKET").unwrap());
    let terminated = Arc::new(AtomicBool::new(false));
    watch_for_sigterm(Arc::clone(&terminated));
    fs::write(folder.join("extension.pid"), std::process::id().to_string()).unwrap();
    let calls = File::options().append(true).open(folder.join("calls")).unwrap();
    let recorder = Arc::new(Recorder {
        folder: folder.clone(),
        calls: Mutex::new(calls),
        connection: Arc::default(),
        ending: AtomicBool::new(false),
    });
    let plugin = |item: &str| BTreeMap::from([(ByteString::from(item), Vec::new())]);
    let registry = Registry::from([
        ("config".into(), plugin("osquery_confluent_config")),
        ("logger".into(), plugin("confluent_logger")),
        (
            "table".into(),
            BTreeMap::from([(ByteString::from(TABLE), columns())]),
        ),
    ]);
    let info = ExtensionInfo {
        name: "confluent".into(),
        version: "1.0.0".into(),
        sdk_version: "5.0.0".into(),
        min_sdk_version: "0.0.0".into(),
    };
    let timeout = Duration::from_secs(10);
    // The socket the agent calls cannot be known before the registration, so the server behind the relay comes first.
    let inner = folder.join(format!("recorder.{}", std::process::id()));
    let server = RunningServer::extension(&inner, Arc::clone(&recorder)).unwrap();
    let registered = ManagerClient::connect(&manager, timeout)
        .unwrap()
        .register(info, registry)
        .unwrap();
    assert!(registered.is_success(), "{registered:?}");
    let outer = extension_socket(&manager, registered.uuid);
    relay(&outer, inner, Arc::clone(&recorder.connection));
    let mut last_seen = Instant::now();
    while !(terminated.load(Ordering::SeqCst) && recorder.ending.load(Ordering::SeqCst)) {
        if ManagerClient::connect(&manager, timeout)
            .and_then(|mut agent| agent.ping())
            .is_ok()
        {
            last_seen = Instant::now();
        }
        if last_seen.elapsed() > Duration::from_secs(2) {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    if terminated.load(Ordering::SeqCst) {
        fs::write(folder.join("terminated"), "").unwrap();
    }
    server.stop();
    let _ = fs::remove_file(outer);
}

/// Passes each connection on, one after the other as the agent opens them, and numbers it.
fn relay(outer: &Path, inner: PathBuf, number: Arc<AtomicU64>) {
    let listener = UnixListener::bind(outer).unwrap();
    thread::spawn(move || {
        for caller in listener.incoming() {
            let Ok(mut caller) = caller else { return };
            number.fetch_add(1, Ordering::SeqCst);
            let Ok(mut server) = UnixStream::connect(&inner) else {
                return;
            };
            let (mut from_caller, mut to_server) = (caller.try_clone().unwrap(), server.try_clone().unwrap());
            let forth = thread::spawn(move || {
                copy(&mut from_caller, &mut to_server);
                let _ = to_server.shutdown(Shutdown::Write);
            });
            copy(&mut server, &mut caller);
            let _ = caller.shutdown(Shutdown::Both);
            let _ = forth.join();
        }
    });
}

fn copy(from: &mut UnixStream, to: &mut UnixStream) {
    let mut chunk = [0; 64 * 1024];
    while let Ok(length) = from.read(&mut chunk) {
        if length == 0 || to.write_all(&chunk[..length]).is_err() {
            return;
        }
    }
}

fn watch_for_sigterm(terminated: Arc<AtomicBool>) {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let mut signals = {
        let _context = runtime.enter();
        signal(SignalKind::terminate()).unwrap()
    };
    thread::spawn(move || {
        runtime.block_on(signals.recv());
        terminated.store(true, Ordering::SeqCst);
    });
}
