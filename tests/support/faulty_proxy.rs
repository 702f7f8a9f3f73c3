//! A proxy in front of a registry that has the faults of real registries and of the ways to them
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>), and remembers what was asked.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What a blob has at least to be a layer, in bytes: a configuration of our images has less.
const SMALLEST_LAYER: usize = 1024;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// That many requests for a manifest are answered with 429.
    RateLimited(u32),
    /// That many requests for a manifest are answered with 503.
    Unavailable(u32),
    /// Requests for a manifest are taken and never answered.
    Hangs,
    /// That many requests for a layer are answered with 500.
    LayerUnavailable(u32),
    /// The connection ends in the middle of a layer, that many times.
    LayerCut(u32),
    /// A layer is sent to its middle, and then nothing more comes. Only of layers that have more bytes than that.
    LayerHangs(usize),
    /// A layer that is sent is not the one that was asked for.
    WrongLayer,
}

/// Ends when dropped.
pub(crate) struct FaultyProxy {
    /// Its `HOST:PORT`.
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
    listener: Option<thread::JoinHandle<()>>,
}

struct State {
    fault: Fault,
    /// Method and path of each request.
    requests: Vec<String>,
    /// The connections that hang, so that they can be ended. None once the proxy has ended.
    hanging: Option<Vec<TcpStream>>,
}

impl FaultyProxy {
    pub(crate) fn start(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(Mutex::new(State {
            fault: Fault::None,
            requests: Vec::new(),
            hanging: Some(Vec::new()),
        }));
        let (serving, registry) = (Arc::clone(&state), registry.to_owned());
        let listener = thread::spawn(move || {
            let mut connections = Vec::new();
            for connection in listener.incoming().flatten() {
                if locked(&serving).hanging.is_none() {
                    break;
                }
                let (state, registry) = (Arc::clone(&serving), registry.clone());
                connections.push(thread::spawn(move || {
                    // A client that goes away in the middle has its reasons.
                    let _ = serve(&state, &registry, connection);
                }));
            }
            for connection in connections {
                let _ = connection.join();
            }
        });
        Self {
            address,
            state,
            listener: Some(listener),
        }
    }

    /// From now on this is wrong.
    pub(crate) fn set(&self, fault: Fault) {
        locked(&self.state).fault = fault;
    }

    /// How many requests were like that; each is a method and a path.
    pub(crate) fn requests(&self, is_one: impl Fn(&str) -> bool) -> usize {
        let state = locked(&self.state);
        state.requests.iter().filter(|request| is_one(request)).count()
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        for connection in locked(&self.state).hanging.take().into_iter().flatten() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(&self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(state: &Mutex<State>, registry: &str, mut client: TcpStream) -> std::io::Result<()> {
    let Some(head) = read_head(&mut client)? else {
        // Docker tries TLS first; an answer that is HTTP tells it to go without.
        return client
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let request = head.split(" HTTP/").next().unwrap_or_default().to_owned();
    let is_get = request.starts_with("GET ");
    let (is_manifest, is_blob) = (
        request.contains("/manifests/"),
        is_get && request.contains("/blobs/"),
    );
    let fault = {
        let mut state = locked(state);
        state.requests.push(request);
        let fault = state.fault;
        match &mut state.fault {
            // Docker looks ahead with HEAD, then asks with GET; only the latter counts.
            Fault::RateLimited(left) | Fault::Unavailable(left) if is_manifest => {
                let is_over = *left == 0;
                *left = left.saturating_sub(u32::from(is_get));
                if is_over { Fault::None } else { fault }
            }
            _ => fault,
        }
    };
    match fault {
        Fault::RateLimited(_) if is_manifest => {
            let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
            return refuse(&mut client, "429 Too Many Requests", body);
        }
        Fault::Unavailable(_) if is_manifest => {
            return refuse(&mut client, "503 Service Unavailable", "try later");
        }
        Fault::Hangs if is_manifest => return hang(state, client),
        _ => {}
    }
    let mut upstream = TcpStream::connect(registry)?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    upstream.write_all(head.as_bytes())?;
    if !is_blob || fault == Fault::None {
        return std::io::copy(&mut upstream, &mut client).map(drop);
    }
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    let body = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map_or(answer.len(), |end| end + 4);
    let length = answer.len() - body;
    if length < SMALLEST_LAYER {
        return client.write_all(&answer);
    }
    let half = body + length / 2;
    match fault {
        Fault::LayerUnavailable(_) if is_counted(state) => {
            refuse(&mut client, "500 Internal Server Error", "out of order")
        }
        Fault::LayerCut(_) if is_counted(state) => client.write_all(answer.get(..half).unwrap_or_default()),
        Fault::LayerHangs(least) if length > least => {
            client.write_all(answer.get(..half).unwrap_or_default())?;
            hang(state, client)
        }
        Fault::WrongLayer => {
            if let Some(byte) = answer.get_mut(half) {
                *byte ^= 1;
            }
            client.write_all(&answer)
        }
        _ => client.write_all(&answer),
    }
}

/// Whether a fault of layers is to happen once more.
fn is_counted(state: &Mutex<State>) -> bool {
    match &mut locked(state).fault {
        Fault::LayerUnavailable(left) | Fault::LayerCut(left) => {
            let is_left = *left > 0;
            *left = left.saturating_sub(1);
            is_left
        }
        _ => false,
    }
}

/// Says nothing more, until the client or the test goes away.
fn hang(state: &Mutex<State>, mut client: TcpStream) -> std::io::Result<()> {
    match &mut locked(state).hanging {
        Some(hanging) => hanging.push(client.try_clone()?),
        None => return Ok(()),
    }
    let mut byte = [0];
    while client.read(&mut byte)? > 0 {}
    Ok(())
}

fn refuse(client: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nRetry-After: 1\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    client.write_all(answer.as_bytes())
}

/// A request without a body; none where it is not HTTP.
fn read_head(client: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut piece = [0; 8192];
    loop {
        let length = client.read(&mut piece)?;
        head.extend(piece.iter().take(length));
        let is_http = head.starts_with(b"GET ") || head.starts_with(b"HEAD ");
        if length == 0 || !is_http {
            return Ok(None);
        }
        if head.ends_with(b"\r\n\r\n") {
            return Ok(String::from_utf8(head).ok());
        }
    }
}
