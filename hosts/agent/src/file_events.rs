//! Changes of the files that a configuration names under `file_paths`, as the kernel's inotify tells them.
//!
//! They are collected each second into a buffer of bounded length, in memory: what happens while no agent runs is not known,
//! and what nobody asked for in time is dropped, oldest first. A scheduled query is given each event once: it has had one
//! when its line was acknowledged.

mod watches;

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use osquery_configuration::FilePaths;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader};

use crate::digests::{Digests, digests};
use crate::status_log::StatusLog;
use watches::Watches;

/// How many events are kept; osquery's `events_max` is for events on disk.
const MOST_EVENTS: usize = 10_000;
/// A larger file is not hashed.
const LARGEST_HASHED: u64 = 50 << 20;
/// What the kernel calls an event, and osquery's word for it, in the order in which they are looked for.
const ACTIONS: [(ReadFlags, &str); 8] = [
    (ReadFlags::CREATE, "CREATED"),
    (ReadFlags::DELETE, "DELETED"),
    (ReadFlags::MOVED_FROM, "MOVED_FROM"),
    (ReadFlags::MOVED_TO, "MOVED_TO"),
    (ReadFlags::MODIFY, "UPDATED"),
    (ReadFlags::ATTRIB, "ATTRIBUTES_MODIFIED"),
    (ReadFlags::OPEN, "OPENED"),
    (ReadFlags::ACCESS, "ACCESSED"),
];

/// One change of a file.
#[derive(Debug, Clone)]
pub(crate) struct FileEvent {
    pub(crate) id: u64,
    pub(crate) path: PathBuf,
    pub(crate) category: String,
    pub(crate) action: &'static str,
    /// Joins the two halves of a move.
    pub(crate) transaction_id: u32,
    pub(crate) time: i64,
    /// What the file was like when the event was read; `None` when it was gone.
    pub(crate) file: Option<FileState>,
}

/// A file a moment after its change.
#[derive(Debug, Clone)]
pub(crate) struct FileState {
    pub(crate) inode: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) atime: i64,
    pub(crate) mtime: i64,
    pub(crate) ctime: i64,
    /// MD5, SHA-1 and SHA-256 of a regular file that was written; `Err` when it could not be read.
    pub(crate) digests: Option<Result<Digests, ()>>,
}

/// All that is known of events. Empty until a configuration names files and events are enabled.
#[derive(Debug, Default)]
pub(crate) struct FileEvents(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    watched: Option<Watched>,
    journal: Journal,
    /// The last event that each scheduled query has had.
    had: HashMap<String, u64>,
    /// The query that runs, and the last event that it was given.
    running: Option<(String, Option<u64>)>,
}

/// The latest events.
#[derive(Debug, Default)]
struct Journal {
    events: VecDeque<FileEvent>,
    last_id: u64,
    dropped: u64,
}

/// One reading of what the kernel has to tell.
struct Look {
    time: i64,
    /// Each file is looked at once, however often it changed within a second.
    files: HashMap<PathBuf, Option<FileState>>,
}

/// Whether files are watched, how many patterns of them, and how many events there were.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activity {
    pub(crate) subscriptions: u64,
    pub(crate) events: u64,
    pub(crate) is_active: bool,
}

#[derive(Debug)]
struct Watched {
    inotify: OwnedFd,
    watches: Watches,
    file_paths: FilePaths,
    /// What was told because it was found in a new folder. The kernel may tell it as well, in this look or the next.
    told: HashSet<PathBuf>,
    told_before: HashSet<PathBuf>,
}

impl FileEvents {
    /// Watches these files from now on, and no others.
    pub(crate) fn watch(&self, file_paths: &FilePaths, status: &StatusLog) {
        let mut state = self.lock();
        if state.watched.as_ref().map(|watched| &watched.file_paths) == Some(file_paths) {
            return;
        }
        state.watched = if file_paths.watched.is_empty() {
            None
        } else {
            Watched::begin(file_paths, status)
        };
    }

    /// Reads what the kernel has to tell.
    pub(crate) fn collect(&self, status: &StatusLog) {
        let state = &mut *self.lock();
        let Some(watched) = &mut state.watched else {
            return;
        };
        let dropped = state.journal.dropped;
        if let Told::NotAll = watched.read(&mut state.journal, status) {
            status.warning("The kernel has dropped events of files: there were too many at once");
            // Folders may have come and gone among them.
            let file_paths = watched.file_paths.clone();
            state.watched = Watched::begin(&file_paths, status);
        }
        let dropped = state.journal.dropped - dropped;
        if dropped > 0 {
            status.warning(&format!(
                "{dropped} events of files were dropped: more than {MOST_EVENTS} waited for a query"
            ));
        }
    }

    /// What goes on, in numbers.
    pub(crate) fn activity(&self) -> Activity {
        let state = self.lock();
        let watched = state.watched.as_ref();
        Activity {
            subscriptions: watched.map_or(0, |watched| watched.file_paths.watched.len() as u64),
            events: state.journal.last_id,
            is_active: watched.is_some(),
        }
    }

    /// A scheduled query begins: it is given the events that it has not had.
    pub(crate) fn begin(&self, query: &str) {
        self.lock().running = Some((query.to_owned(), None));
    }

    /// The query is over; the last event that it was given, if it asked for events.
    pub(crate) fn end(&self) -> Option<u64> {
        self.lock().running.take()?.1
    }

    /// The query's lines are logged up to that event.
    pub(crate) fn acknowledge(&self, query: &str, last: u64) {
        self.lock().had.insert(query.to_owned(), last);
    }

    /// The events for whoever asks: those that the running scheduled query has not had, else all that are kept.
    pub(crate) fn read(&self) -> Vec<FileEvent> {
        let state = &mut *self.lock();
        let last_id = state.journal.last_id;
        let after = match &mut state.running {
            Some((query, given)) => {
                *given = Some(last_id);
                state.had.get(query).copied().unwrap_or(0)
            }
            None => 0,
        };
        let events = state.journal.events.iter();
        events.filter(|event| event.id > after).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the kernel told all there was.
enum Told {
    All,
    NotAll,
}

impl Watched {
    fn begin(file_paths: &FilePaths, status: &StatusLog) -> Option<Self> {
        let inotify = match inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) {
            Ok(inotify) => inotify,
            Err(error) => {
                status.error(&format!("Files cannot be watched: {error}"));
                return None;
            }
        };
        let mut watches = Watches::new(file_paths);
        warn(&watches.add_all(&inotify), status);
        Some(Self {
            inotify,
            watches,
            file_paths: file_paths.clone(),
            told: HashSet::new(),
            told_before: HashSet::new(),
        })
    }

    /// Notes what happened since the last look. What a folder that came up has in it by now is noted as made: the kernel
    /// tells only what happens after it was asked.
    fn read(&mut self, journal: &mut Journal, status: &StatusLog) -> Told {
        let Self {
            inotify,
            watches,
            told,
            told_before,
            ..
        } = self;
        *told_before = std::mem::take(told);
        let mut look = Look {
            time: osqdemo_clock::timestamp().as_second(),
            files: HashMap::new(),
        };
        let mut problems = Vec::new();
        let mut all = Told::All;
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(&*inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let (number, flags) = (event.wd(), event.events());
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                all = Told::NotAll;
                continue;
            }
            if flags.contains(ReadFlags::IGNORED) {
                watches.forget(number);
                continue;
            }
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let Some(name) = name else { continue };
            let Some((_, action)) = ACTIONS.iter().find(|(flag, _)| flags.contains(*flag)) else {
                continue;
            };
            let Some(path) = watches.path_of(number, name) else {
                continue;
            };
            let was_told = match *action {
                "CREATED" | "DELETED" | "MOVED_FROM" => told.remove(&path) | told_before.remove(&path),
                _ => false,
            };
            if was_told && *action == "CREATED" {
                continue;
            }
            let is_folder = flags.contains(ReadFlags::ISDIR);
            if is_folder && *action == "MOVED_FROM" {
                watches.depart(&path);
            }
            let is_access = matches!(*action, "OPENED" | "ACCESSED");
            let categories = watches.categories(number, name, is_access);
            journal.note(&mut look, &path, categories, action, event.cookie());
            if !is_folder || !matches!(*action, "CREATED" | "MOVED_TO") {
                continue;
            }
            let room = MOST_EVENTS.saturating_sub(told.len());
            let added = watches.add_below(inotify, number, &path, room);
            problems.extend(added.problems);
            for (number, name) in added.found {
                let Some(path) = watches.path_of(number, &name) else {
                    continue;
                };
                let categories = watches.categories(number, &name, false);
                journal.note(&mut look, &path, categories, "CREATED", 0);
                told.insert(path);
            }
        }
        watches.drop_departed(inotify);
        warn(&problems, status);
        all
    }
}

impl Journal {
    /// Notes what happened to a file, once for each category that it is meant by.
    fn note(
        &mut self,
        look: &mut Look,
        path: &Path,
        categories: Vec<String>,
        action: &'static str,
        transaction_id: u32,
    ) {
        for category in categories {
            self.last_id += 1;
            if self.events.len() == MOST_EVENTS {
                self.events.pop_front();
                self.dropped += 1;
            }
            let file = look.files.entry(path.to_owned());
            self.events.push_back(FileEvent {
                id: self.last_id,
                file: file.or_insert_with(|| FileState::read(path)).clone(),
                path: path.to_owned(),
                category,
                action,
                transaction_id,
                time: look.time,
            });
        }
    }
}

/// Says what cannot be watched; a folder with thousands of such is told in a few lines.
fn warn(problems: &[String], status: &StatusLog) {
    const MOST_TOLD: usize = 10;
    for problem in problems.iter().take(MOST_TOLD) {
        status.warning(problem);
    }
    if let more @ 1.. = problems.len().saturating_sub(MOST_TOLD) {
        status.warning(&format!("{more} more folders are not watched as wanted"));
    }
}

impl FileState {
    fn read(path: &Path) -> Option<Self> {
        let file = path.symlink_metadata().ok()?;
        let is_hashed = file.is_file() && file.len() <= LARGEST_HASHED;
        Some(Self {
            inode: file.ino(),
            uid: file.uid(),
            gid: file.gid(),
            mode: file.mode(),
            size: file.len(),
            atime: file.atime(),
            mtime: file.mtime(),
            ctime: file.ctime(),
            digests: is_hashed.then(|| digests(path, [true; 3]).ok_or(())),
        })
    }
}
