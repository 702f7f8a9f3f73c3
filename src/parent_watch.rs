//! Notices that whoever started this process is gone: the other end of standard input is closed. Used by the
//! processes of the native engine, so that a supervisor killed with SIGKILL leaves none of them behind.

use std::io::{self, Read};
use std::thread;

use tokio_util::sync::CancellationToken;

/// A token that is cancelled when standard input ends.
pub fn watch() -> CancellationToken {
    let ended = CancellationToken::new();
    let token = ended.clone();
    // A plain thread: it must not keep the runtime from ending while it waits.
    thread::spawn(move || {
        let mut buffer = [0; 64];
        let mut input = io::stdin().lock();
        loop {
            match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        token.cancel();
    });
    ended
}
