//! A service's log that is a file: read to its end or followed, through rotations.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::interval;

use crate::engine::Follow;
use crate::state::StateError;

/// How often a followed log is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How much is read at once, in bytes.
const CHUNK: u64 = 256 * 1024;

/// How much of the end of a log [`tail`] reads, in bytes.
const WINDOW: u64 = 64 * 1024;

/// Sends what is in the file; with [`Follow::Yes`] also what is written later, until nobody listens any more.
pub(super) async fn send(
    path: &Path,
    follow: Follow,
    pieces: mpsc::Sender<Vec<u8>>,
) -> Result<(), StateError> {
    let mut position = 0;
    let mut look = interval(LOOK);
    loop {
        let bytes = read(path, &mut position).map_err(|error| StateError::io("read", path, error))?;
        if !bytes.is_empty() {
            if pieces.send(bytes).await.is_err() {
                return Ok(());
            }
        } else if follow == Follow::No {
            return Ok(());
        } else {
            tokio::select! {
                _ = look.tick() => {}
                () = pieces.closed() => return Ok(()),
            }
        }
    }
}

fn read(path: &Path, position: &mut u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() < *position {
        // It was rotated.
        *position = 0;
    }
    file.seek(SeekFrom::Start(*position))?;
    let mut bytes = Vec::new();
    let read = file.take(CHUNK).read_to_end(&mut bytes)?;
    *position += read as u64;
    Ok(bytes)
}

/// Leaves not more than `limit` bytes of the end of a log. It begins with a whole line: half a line may be half a
/// secret, which nobody tells by its name any more.
pub fn cut_to_end(log: &mut Vec<u8>, limit: usize) {
    if log.len() <= limit {
        return;
    }
    log.drain(..log.len() - limit);
    let begin = log.iter().position(|byte| *byte == b'\n');
    log.drain(..begin.map_or(log.len(), |begin| begin + 1));
}

/// The end of the file, from `run_starts_at` on at the earliest; empty when there is none.
pub(super) fn tail(path: &Path, run_starts_at: u64) -> Result<String, StateError> {
    match read_window(path, run_starts_at) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(StateError::io("read", path, error)),
    }
}

fn read_window(path: &Path, run_starts_at: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    // A log that was rotated is shorter than where the run began in it.
    let run_starts_at = if run_starts_at > size { 0 } else { run_starts_at };
    file.seek(SeekFrom::Start(run_starts_at.max(size.saturating_sub(WINDOW))))?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_left_of_a_log_is_its_end_in_whole_lines(
            lines in prop::collection::vec("[a-z]{0,20}\n", 0..20),
            limit in 0_usize..200,
        ) {
            let log = lines.concat();
            let mut left = log.clone().into_bytes();
            cut_to_end(&mut left, limit);
            let left = String::from_utf8(left).expect("text");
            prop_assert!(left.len() <= limit);
            prop_assert!(log.ends_with(&left));
            let begin = log.len() - left.len();
            prop_assert!(begin == 0 || log.as_bytes()[begin - 1] == b'\n');
        }
    }
}
