//! The server of an extension's socket and of osqueryd's.
//!
//! osqueryd opens two connections for every log line: one to ping, one to call; it closes each after the
//! answer. What limits an extension is therefore how fast it takes connections, and handing each one to
//! a pool costs more than serving it. So an extension's accept loop answers in place, waits a few
//! milliseconds for the peer to close, and hands over to a thread of its own only a connection that stays
//! open, stalls, or sends a message too large to sit in the loop's buffer. One slow peer never keeps
//! another from its ping. A call that takes too long is answered in the handler's place, and another thread accepts
//! meanwhile: a disk that hangs is not osqueryd's business.
//!
//! osqueryd's side (the *manager*) answers few calls, some of them slow; there every connection gets a
//! thread.

use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::message::{Answer, Call, INTERNAL_ERROR, UNKNOWN_METHOD};
use crate::types::{ExtensionInfo, OptionInfo, PluginRequest, Registry, Response, RouteUuid, Status};
use crate::unix_socket;
use crate::{ByteString, ProtocolError};

mod inline;
mod lingering;
mod overdue;

use inline::{Served, serve_inline};
use lingering::{Lingering, linger};
pub use overdue::OVERDUE;
use overdue::{Calls, Who};

/// How long the accept loop waits for a connection's bytes, for the rest of them, and for its end.
const INLINE_PATIENCE: Duration = Duration::from_millis(5);
/// The most bytes of one connection that the accept loop reads itself.
const INLINE_LIMIT: usize = 128 * 1024;
/// An answer up to this size fits into the socket's buffer, so sending it waits for nobody.
const INLINE_ANSWER_LIMIT: usize = 64 * 1024;
/// How long a connection with a thread of its own may be silent; osqueryd's own default.
const LINGERING_PATIENCE: Duration = Duration::from_secs(300);
/// How long a peer may take to receive an answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// The most connections with a thread of their own. There is one peer, with a handful of threads. One more, and the
/// one that was silent for longest goes.
const LINGERING_LIMIT: usize = 128;
/// The pause after a failed `accept`, such as one for want of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(20);
/// How often somebody looks for calls that take too long.
const WATCH_PERIOD: Duration = Duration::from_millis(500);
/// The most accept loops at once: all but one sit in calls that take too long.
const ACCEPTORS: usize = 16;
/// How long the end waits for a call that takes too long.
const STUCK_PATIENCE: Duration = Duration::from_secs(1);

/// What an extension does with osqueryd's calls. Calls may come from several threads at once, and none
/// of them may take long: osqueryd waits for the answer.
pub trait ExtensionHandler: Send + Sync + 'static {
    /// osqueryd asks whether the extension is alive.
    fn ping(&self) -> Status {
        Status::success()
    }

    /// osqueryd calls a plugin.
    fn call(&self, registry: &ByteString, item: &ByteString, request: PluginRequest) -> Response;

    /// The answer in place of the one that [`ExtensionHandler::call`] did not give because it panicked.
    fn panicked(&self, registry: &ByteString, item: &ByteString) -> Response {
        Status::failed(format!("the plugin `{registry}/{item}` failed unexpectedly")).into()
    }

    /// The answer in place of the one that [`ExtensionHandler::call`] has not given for [`OVERDUE`]. The call goes on,
    /// and what it answers in the end reaches nobody.
    fn overdue(&self, registry: &ByteString, item: &ByteString) -> Response {
        Status::failed(format!("the plugin `{registry}/{item}` takes too long")).into()
    }

    /// osqueryd asks the extension to end. Only notes the wish; the answer is still to be sent.
    fn shutdown(&self);
}

/// What osqueryd does with the calls of its extensions. The methods that it shares with an extension are
/// in [`ExtensionHandler`].
pub trait ManagerHandler: ExtensionHandler {
    /// The registered extensions.
    fn extensions(&self) -> BTreeMap<RouteUuid, ExtensionInfo>;
    /// The flags.
    fn options(&self) -> BTreeMap<ByteString, OptionInfo>;
    /// An extension registers. A success carries the number it is given.
    fn register(&self, info: ExtensionInfo, registry: Registry) -> Status;
    /// An extension takes its leave.
    fn deregister(&self, uuid: RouteUuid) -> Status;
    /// Runs a query.
    fn query(&self, sql: &ByteString) -> Response;
    /// Names a query's columns.
    fn query_columns(&self, sql: &ByteString) -> Response;
}

/// A server that is running; it stops when this value is dropped.
#[derive(Debug)]
pub struct RunningServer {
    path: PathBuf,
    shared: Arc<Shared>,
    /// The first accept loop, and who looks after it.
    threads: Vec<JoinHandle<()>>,
}

impl RunningServer {
    /// Serves an extension on `path`.
    ///
    /// # Errors
    /// [`ProtocolError::Listen`] when the socket cannot be had, [`ProtocolError::Spawn`] without threads.
    pub fn extension<H: ExtensionHandler>(path: &Path, handler: Arc<H>) -> Result<Self, ProtocolError> {
        Self::start(path, Arc::new(ExtensionService(handler)), Style::Inline)
    }

    /// Serves osqueryd's side on `path`.
    ///
    /// # Errors
    /// [`ProtocolError::Listen`] when the socket cannot be had, [`ProtocolError::Spawn`] without threads.
    pub fn manager<H: ManagerHandler>(path: &Path, handler: Arc<H>) -> Result<Self, ProtocolError> {
        Self::start(path, Arc::new(ManagerService(handler)), Style::Threads)
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes no more calls, closes every connection, waits for calls in progress and removes the socket.
    pub fn stop(mut self) {
        self.end();
    }

    fn start(path: &Path, service: Arc<dyn Service>, style: Style) -> Result<Self, ProtocolError> {
        let shared = Arc::new(Shared {
            listener: unix_socket::listen(path)?,
            service,
            stopping: AtomicBool::new(false),
            answers: AtomicU64::new(1),
            lingering: Mutex::default(),
            calls: Calls::default(),
            acceptors: AtomicUsize::new(0),
        });
        let failed = |source| ProtocolError::Spawn {
            path: path.to_path_buf(),
            source,
        };
        let mut server = Self {
            path: path.to_path_buf(),
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        server
            .threads
            .push(spawn_acceptor(&shared, style).map_err(failed)?);
        if let Style::Inline = style {
            let watch = thread::Builder::new()
                .name("osquery-watch".to_owned())
                .spawn(move || watch(&shared));
            server.threads.push(watch.map_err(failed)?);
        }
        Ok(server)
    }

    fn end(&mut self) {
        let threads = std::mem::take(&mut self.threads);
        if threads.is_empty() {
            return;
        }
        // The file goes first, so that from here on a new peer is told that nobody is there.
        let _ = std::fs::remove_file(&self.path);
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes a thread that sits in `accept`.
        let _ = rustix::net::shutdown(&self.shared.listener, rustix::net::Shutdown::Both);
        for thread in &threads {
            thread.thread().unpark();
        }
        join(threads);
        let threads = {
            let mut lingering = lock(&self.shared.lingering);
            for lingering in lingering.streams.values() {
                // An answer that is under way still goes out; only reading ends.
                let _ = lingering.stream.shutdown(Shutdown::Read);
            }
            std::mem::take(&mut lingering.threads)
        };
        join(threads);
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Clone, Copy)]
enum Style {
    Inline,
    Threads,
}

struct Shared {
    listener: UnixListener,
    service: Arc<dyn Service>,
    stopping: AtomicBool,
    /// The answers on connections with a thread of their own.
    answers: AtomicU64,
    lingering: Mutex<Lingering>,
    calls: Calls,
    /// The accept loops that run.
    acceptors: AtomicUsize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("stopping", &self.stopping)
            .finish_non_exhaustive()
    }
}

/// One of the API's two services, as the accept loop sees it.
trait Service: Send + Sync {
    fn answer(&self, call: Call) -> Answer;

    /// In place of the answer to a plugin's call that takes too long.
    fn overdue(&self, registry: &ByteString, item: &ByteString) -> Answer;
}

struct ExtensionService<H>(Arc<H>);

impl<H: ExtensionHandler> Service for ExtensionService<H> {
    fn answer(&self, call: Call) -> Answer {
        answer_extension_call(&*self.0, call)
    }

    fn overdue(&self, registry: &ByteString, item: &ByteString) -> Answer {
        Answer::Response(self.0.overdue(registry, item))
    }
}

struct ManagerService<H>(Arc<H>);

impl<H: ManagerHandler> Service for ManagerService<H> {
    fn answer(&self, call: Call) -> Answer {
        let handler = &*self.0;
        match call {
            Call::Extensions => Answer::Extensions(handler.extensions()),
            Call::Options => Answer::Options(handler.options()),
            Call::Register { info, registry } => Answer::Status(handler.register(info, registry)),
            Call::Deregister { uuid } => Answer::Status(handler.deregister(uuid)),
            Call::Query { sql } => Answer::Response(handler.query(&sql)),
            Call::QueryColumns { sql } => Answer::Response(handler.query_columns(&sql)),
            other => answer_extension_call(handler, other),
        }
    }

    fn overdue(&self, registry: &ByteString, item: &ByteString) -> Answer {
        Answer::Response(self.0.overdue(registry, item))
    }
}

fn answer_extension_call<H: ExtensionHandler>(handler: &H, call: Call) -> Answer {
    match call {
        Call::Ping => Answer::Status(handler.ping()),
        Call::Plugin {
            registry,
            item,
            request,
        } => {
            let response = catch_unwind(AssertUnwindSafe(|| handler.call(&registry, &item, request)));
            Answer::Response(response.unwrap_or_else(|_| handler.panicked(&registry, &item)))
        }
        Call::Shutdown => {
            handler.shutdown();
            Answer::Nothing
        }
        _ => Answer::Exception {
            kind: UNKNOWN_METHOD,
            message: "the method is not served here".into(),
        },
    }
}

fn spawn_acceptor(shared: &Arc<Shared>, style: Style) -> io::Result<JoinHandle<()>> {
    shared.acceptors.fetch_add(1, Ordering::SeqCst);
    let spawned = thread::Builder::new().name("osquery-accept".to_owned()).spawn({
        let shared = Arc::clone(shared);
        move || {
            accept_loop(&shared, style);
            shared.acceptors.fetch_sub(1, Ordering::SeqCst);
        }
    });
    if spawned.is_err() {
        shared.acceptors.fetch_sub(1, Ordering::SeqCst);
    }
    spawned
}

fn accept_loop(shared: &Arc<Shared>, style: Style) {
    let mut buffer = Vec::with_capacity(INLINE_LIMIT);
    let seat = shared.calls.seat(Who::Acceptor);
    loop {
        let accepted = shared.listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        match (accepted, style) {
            (Ok((stream, _)), Style::Inline) => {
                if let Served::TooLate = serve_inline(shared, &seat, stream, &mut buffer) {
                    return;
                }
            }
            (Ok((stream, _)), Style::Threads) => linger(shared, stream, Vec::new(), Vec::new()),
            (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
            (Err(error), _) => {
                tracing::warn!(%error, "cannot accept a connection on the extension socket");
                thread::sleep(ACCEPT_BACKOFF);
            }
        }
    }
}

/// Answers calls that take too long, and has somebody else accept: the accept loop itself may sit in one.
fn watch(shared: &Arc<Shared>) {
    while !shared.stopping.load(Ordering::SeqCst) {
        thread::park_timeout(WATCH_PERIOD);
        for underway in shared.calls.take_overdue() {
            if underway.who == Who::Acceptor
                && shared.acceptors.load(Ordering::SeqCst) < ACCEPTORS
                && let Err(error) = spawn_acceptor(shared, Style::Inline)
            {
                tracing::error!(%error, "no thread to accept connections on the extension socket");
            }
            let late = match &underway.plugin {
                Some((registry, item)) => shared.service.overdue(registry, item),
                None => Answer::Nothing,
            };
            underway.answer(&late);
        }
    }
}

/// Waits for threads, but not for ever for one that sits in a call that takes too long.
fn join(threads: Vec<JoinHandle<()>>) {
    let mut deadline = None;
    for thread in threads {
        while !thread.is_finished() {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + OVERDUE + STUCK_PATIENCE);
            if Instant::now() >= deadline {
                break;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

fn answer(shared: &Shared, call: Call) -> Answer {
    let answer = catch_unwind(AssertUnwindSafe(|| shared.service.answer(call)));
    let failed = || Answer::Exception {
        kind: INTERNAL_ERROR,
        message: "unexpected failure".into(),
    };
    answer.unwrap_or_else(|_| failed())
}

/// The lists behind these locks are whole at every moment, so a panic elsewhere does not spoil them.
fn lock(lingering: &Mutex<Lingering>) -> MutexGuard<'_, Lingering> {
    lingering.lock().unwrap_or_else(PoisonError::into_inner)
}
