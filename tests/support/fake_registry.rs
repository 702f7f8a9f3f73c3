//! A registry of one image, on loopback, with the faults that real registries have
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>). The Docker engine is its client: what it
//! makes of a fault is real.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest, Sha256};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// How long a registry that hangs holds a connection, unless the test ends before.
const HANG: Duration = Duration::from_secs(60);

/// What is wrong with the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It answers that many pulls with 429.
    RateLimited(u32),
    /// It answers that many pulls with 503.
    Unavailable(u32),
    /// It takes requests for a manifest and never answers.
    Hangs,
    /// It has no such image.
    NotFound,
    /// The image is published for other architectures.
    OtherPlatforms,
    /// The image says that it is for another architecture, and there is only this one.
    ForeignImage,
    /// The layer it sends is not the one of the manifest.
    WrongLayer,
    /// It wants this user and password.
    Wants(&'static str, &'static str),
}

/// Ends when dropped.
pub(crate) struct FakeRegistry {
    /// Its `HOST:PORT`.
    pub(crate) address: String,
    /// The digest of the image's manifest.
    pub(crate) digest: String,
    state: Arc<State>,
    listener: Option<thread::JoinHandle<()>>,
}

struct State {
    fault: Mutex<Fault>,
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
    refused: AtomicU32,
    /// Requests for a manifest, with HEAD or GET.
    asked: AtomicU32,
    is_ended: AtomicBool,
}

impl FakeRegistry {
    /// A registry whose image has this content; different contents are different images.
    pub(crate) fn start(content: &str, architecture: &str, fault: Fault) -> Self {
        let layer = layer(content);
        let architecture = if fault == Fault::ForeignImage {
            "s390x"
        } else {
            architecture
        };
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": config.len(),
                "digest": digest(&config),
            },
            "layers": [{
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": layer.len(),
                "digest": digest(&layer),
            }],
        })
        .to_string()
        .into_bytes();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(State {
            fault: Mutex::new(fault),
            manifest,
            config,
            layer,
            refused: AtomicU32::new(0),
            asked: AtomicU32::new(0),
            is_ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&state);
        let listener = thread::spawn(move || {
            let mut connections = Vec::new();
            for connection in listener.incoming().flatten() {
                if serving.is_ended.load(Ordering::Relaxed) {
                    break;
                }
                let state = Arc::clone(&serving);
                connections.push(thread::spawn(move || state.serve(&connection)));
            }
            for connection in connections {
                let _ = connection.join();
            }
        });
        Self {
            address,
            digest: digest(&state.manifest),
            state,
            listener: Some(listener),
        }
    }

    /// How often a manifest was asked for.
    pub(crate) fn asked(&self) -> u32 {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// From now on this is wrong.
    pub(crate) fn set(&self, fault: Fault) {
        *self.state.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.state.is_ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(&self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

struct Request {
    method: String,
    path: String,
    authorization: Option<String>,
}

impl State {
    fn serve(&self, connection: &TcpStream) {
        let _ = connection.set_read_timeout(Some(Duration::from_secs(5)));
        // Docker tries TLS first; what is not HTTP gets an answer that is, which tells Docker to go without.
        match read(connection) {
            Some(request) => self.answer(connection, &request),
            None => send(connection, "400 Bad Request", "text/plain", &[], b""),
        }
    }

    fn answer(&self, connection: &TcpStream, request: &Request) {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Fault::Wants(user, password) = fault
            && request.authorization != Some(format!("Basic {}", base64(&format!("{user}:{password}"))))
        {
            let challenge = [("WWW-Authenticate", "Basic realm=\"test\"")];
            let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
            return send(
                connection,
                "401 Unauthorized",
                "application/json",
                &challenge,
                body,
            );
        }
        if request.path == "/v2/" {
            return send(connection, "200 OK", "application/json", &[], b"{}");
        }
        if request.path.contains("/manifests/") {
            return self.answer_manifest(connection, request, &fault);
        }
        let is_asked = |blob: &[u8]| request.path.ends_with(&digest(blob));
        let blob = if is_asked(&self.config) {
            self.config.clone()
        } else if is_asked(&self.layer) {
            let mut layer = self.layer.clone();
            if fault == Fault::WrongLayer
                && let Some(byte) = layer.get_mut(512)
            {
                *byte ^= 1;
            }
            layer
        } else {
            return send(connection, "404 Not Found", "application/json", &[], b"{}");
        };
        send(connection, "200 OK", "application/octet-stream", &[], &blob);
    }

    fn answer_manifest(&self, connection: &TcpStream, request: &Request, fault: &Fault) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        // The engine looks ahead with HEAD, then asks with GET; only the latter counts.
        let counted = u32::from(request.method == "GET");
        let is_refused = |most: &u32| self.refused.fetch_add(counted, Ordering::Relaxed) < *most;
        match fault {
            Fault::RateLimited(times) if is_refused(times) => {
                let body = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
                return send(connection, "429 Too Many Requests", "application/json", &[], body);
            }
            Fault::Unavailable(times) if is_refused(times) => {
                return send(
                    connection,
                    "503 Service Unavailable",
                    "text/plain",
                    &[],
                    b"try later",
                );
            }
            Fault::Hangs => {
                let deadline = Instant::now() + HANG;
                while Instant::now() < deadline && !self.is_ended.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(20));
                }
                return;
            }
            Fault::NotFound => {
                let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
                return send(connection, "404 Not Found", "application/json", &[], body);
            }
            Fault::OtherPlatforms => {
                let list = json!({
                    "schemaVersion": 2,
                    "mediaType": MANIFEST_LIST,
                    "manifests": [{
                        "mediaType": MANIFEST,
                        "size": self.manifest.len(),
                        "digest": digest(&self.manifest),
                        "platform": { "architecture": "s390x", "os": "linux" },
                    }],
                })
                .to_string();
                let headers = [("Docker-Content-Digest", digest(list.as_bytes()))];
                let headers: Vec<(&str, &str)> = headers
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                return send(connection, "200 OK", MANIFEST_LIST, &headers, list.as_bytes());
            }
            _ => {}
        }
        let own = digest(&self.manifest);
        let reference = request.path.rsplit('/').next().unwrap_or_default();
        if reference.starts_with("sha256:") && reference != own {
            let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
            return send(connection, "404 Not Found", "application/json", &[], body);
        }
        let length = self.manifest.len();
        if request.method == "HEAD" {
            let text = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {MANIFEST}\r\nContent-Length: {length}\r\nDocker-Content-Digest: \
                 {own}\r\nConnection: close\r\n\r\n"
            );
            let _ = (&mut &*connection).write_all(text.as_bytes());
            return;
        }
        let headers = [("Docker-Content-Digest", own.as_str())];
        send(connection, "200 OK", MANIFEST, &headers, &self.manifest);
    }
}

fn read(connection: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(connection).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    if !matches!(method.as_str(), "GET" | "HEAD") {
        return None;
    }
    let mut authorization = None;
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = Some(value.trim().to_owned());
        }
    }
    Some(Request {
        method,
        path,
        authorization,
    })
}

fn send(connection: &TcpStream, status: &str, content_type: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut connection = connection;
    // A client that went away has its reasons.
    let _ = connection
        .write_all(head.as_bytes())
        .and_then(|()| connection.write_all(body));
}

/// The digest of a blob.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// A layer with one file.
fn layer(content: &str) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut place = |offset: usize, text: &str| {
        for (place, byte) in header.iter_mut().skip(offset).zip(text.bytes()) {
            *place = byte;
        }
    };
    place(0, "content");
    place(100, "0000644");
    place(108, "0000000");
    place(116, "0000000");
    place(124, &format!("{:011o}", content.len()));
    place(136, "00000000000");
    place(148, "        ");
    place(156, "0");
    place(257, "ustar\u{0}00");
    let checksum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (place, byte) in header
        .iter_mut()
        .skip(148)
        .zip(format!("{checksum:06o}\u{0} ").bytes())
    {
        *place = byte;
    }
    let mut archive = header.to_vec();
    archive.extend_from_slice(content.as_bytes());
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

/// Base64, as HTTP's basic authentication wants it.
pub(crate) fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for position in 0..4 {
            if position <= chunk.len() {
                let index = (bits >> (18 - 6 * position)) & 63;
                encoded.push(char::from(ALPHABET[index as usize]));
            } else {
                encoded.push('=');
            }
        }
    }
    encoded
}
