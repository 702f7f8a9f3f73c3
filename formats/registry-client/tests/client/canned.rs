//! A server that gives the answers it was told to, and counts.

use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

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
        let told = Arc::new(told);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1)
                {
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap();
                // A connection that is closed with something unread takes the answer with it.
                let _ = io::copy(&mut (&mut stream).take(length_of_body(&request)), &mut io::sink());
                if told.send(request).is_err() {
                    return;
                }
                thread::sleep(time);
                let (status, body) = answers[number.min(answers.len() - 1)];
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                // Who does not wait for the answer does not get it.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, requests }
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

fn length_of_body(head: &str) -> u64 {
    head.lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap())
}
