//! Log lines on their way to standard error.
//!
//! Whoever reads osqueryd's standard error may stop reading, and then a write to it waits. If the extension
//! waited with it, osqueryd would get no answer and end. So a thread of its own writes; lines that find its
//! queue full are dropped, and their number is written later.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait.
const QUEUE_LINES: usize = 1024;

/// Takes log lines and never waits.
#[derive(Clone)]
pub(crate) struct LogWriter {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

enum Entry {
    Line(Vec<u8>),
    /// Everything before this is written when the sender in it is dropped.
    Mark(#[expect(dead_code, reason = "held only to be dropped")] SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread that writes to `target`. Without threads the log stays silent.
    pub(crate) fn start(target: impl Write + Send + 'static) -> Self {
        let (queue, entries) = sync_channel(QUEUE_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        let _ = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&entries, target, &counted));
        Self { queue, dropped }
    }

    /// Waits until what was logged so far is written, but not for long.
    pub(crate) fn drain(&self, patience: Duration) {
        let (mark, written) = sync_channel(0);
        if self.queue.try_send(Entry::Mark(mark)).is_ok() {
            // Ends with the mark's drop, or with the patience; there is nothing to receive.
            let _ = written.recv_timeout(patience);
        }
    }
}

fn write_all(entries: &Receiver<Entry>, mut target: impl Write, dropped: &AtomicU64) {
    while let Ok(entry) = entries.recv() {
        let Entry::Line(line) = entry else { continue };
        // A log that nobody takes has nobody to complain to.
        let _ = target.write_all(&line);
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let _ = writeln!(
                target,
                "{missing} log lines were dropped: nobody took them in time"
            );
        }
    }
}

impl<'w> MakeWriter<'w> for LogWriter {
    type Writer = &'w Self;

    fn make_writer(&'w self) -> Self::Writer {
        self
    }
}

/// The formatter hands over a whole line at a time.
impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Entry::Line(line.to_vec())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;

    /// A reader that takes nothing until it is let.
    #[derive(Clone, Default)]
    struct Stalled {
        gate: Arc<Mutex<()>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _open = self.gate.lock().unwrap();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_delays_nobody() {
        let target = Stalled::default();
        let writer = LogWriter::start(target.clone());
        let closed = target.gate.lock().unwrap();
        let started = Instant::now();
        for number in 0..QUEUE_LINES + 100 {
            (&writer).write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        writer.drain(Duration::from_millis(20));
        assert!(started.elapsed() < Duration::from_secs(5));
        drop(closed);
        // No mark tells when: a queue that is still full takes none.
        let deadline = Instant::now() + Duration::from_secs(10);
        let written = || String::from_utf8(target.written.lock().unwrap().clone()).unwrap();
        while !written().contains("log lines were dropped") && Instant::now() < deadline {
            thread::yield_now();
        }
        let written = written();
        assert!(written.starts_with("0\n"), "{written}");
        assert!(written.contains("log lines were dropped"), "{written}");
    }
}
