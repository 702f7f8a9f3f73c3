//! A service's log that is a file: read to its end or followed, through rotations.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::interval;

use crate::engine::{Follow, LogReading};
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
    LogReading { follow, last }: LogReading,
    pieces: mpsc::Sender<Vec<u8>>,
) -> Result<(), StateError> {
    let mut position = match last {
        Some(lines) => begin_of_last(path, lines).map_err(|error| StateError::io("read", path, error))?,
        None => 0,
    };
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

/// Where the last `lines` lines begin. A last line that has no end yet is one.
fn begin_of_last(path: &Path, lines: u64) -> io::Result<u64> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    if lines == 0 {
        return Ok(size);
    }
    let (mut end, mut ends_seen) = (size, 0);
    while end > 0 {
        let begin = end.saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        (&file).take(end - begin).read_to_end(&mut bytes)?;
        let mut after = begin + bytes.len() as u64;
        for byte in bytes.iter().rev() {
            // The end of the last line does not begin another one.
            if *byte == b'\n' && after < size {
                ends_seen += 1;
                if ends_seen == lines {
                    return Ok(after);
                }
            }
            after -= 1;
        }
        end = begin;
    }
    Ok(0)
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

    #[test]
    fn the_last_lines_begin_where_their_number_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        assert_eq!(begin_of_last(&path, 3).expect("no file"), 0);
        let long = "x".repeat(usize::try_from(CHUNK).expect("a size"));
        for text in [
            String::new(),
            "a\nb\nc\n".to_owned(),
            "a\n\nc".to_owned(),
            format!("a\n{long}\n{long}\n"),
        ] {
            std::fs::write(&path, &text).expect("a file");
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            for wanted in 0..5 {
                let begin = begin_of_last(&path, wanted).expect("a file");
                let left = usize::try_from(wanted).expect("few").min(lines.len());
                let expected = lines[lines.len() - left..].concat();
                assert_eq!(
                    text[usize::try_from(begin).expect("a size")..],
                    expected,
                    "{wanted}"
                );
            }
        }
    }

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
