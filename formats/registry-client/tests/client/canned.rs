//! A server that gives the answers it was told to, and counts.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server on a free port.
pub(crate) struct Canned {
    pub(crate) url: String,
    requests: Receiver<String>,
}

impl Canned {
    /// Answers each request with the next of these, a status line and a body each, and the last one for ever.
    pub(crate) fn new(answers: &'static [(&'static str, &'static str)]) -> Self {
        Self::late(Duration::ZERO, answers)
    }

    /// The same, each answer so long after its request.
    pub(crate) fn late(time: Duration, answers: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (told, requests) = channel();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let answer = answers[number.min(answers.len() - 1)];
                if !serve(&mut stream.unwrap(), time, answer, &told) {
                    return;
                }
            }
        });
        Self { url, requests }
    }

    /// Answers over TLS, as `localhost`. Hands back the certificate as well, which nobody else knows.
    pub(crate) fn tls(answers: &'static [(&'static str, &'static str)]) -> (Self, String) {
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (told, requests) = channel();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                // Who does not trust the certificate asks nothing.
                let is_trusted = stream.conn.complete_io(&mut stream.sock).is_ok();
                let answer = answers[number.min(answers.len() - 1)];
                if is_trusted && !serve(&mut stream, Duration::ZERO, answer, &told) {
                    return;
                }
            }
        });
        (Self { url, requests }, identity.cert.pem())
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

/// Answers a request; whether anybody wants to know of further ones.
fn serve(
    stream: &mut (impl io::Read + io::Write),
    time: Duration,
    (status, body): (&str, &str),
    told: &Sender<String>,
) -> bool {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    // A connection that is closed with something unread takes the answer with it.
    let _ = io::copy(
        &mut io::Read::take(&mut *stream, length_of_body(&request)),
        &mut io::sink(),
    );
    if told.send(request).is_err() {
        return false;
    }
    thread::sleep(time);
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    // Who does not wait for the answer does not get it.
    let _ = stream.write_all(answer.as_bytes());
    let _ = stream.flush();
    true
}

fn length_of_body(head: &str) -> u64 {
    head.lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap())
}
