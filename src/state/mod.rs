//! What a project keeps on disk: one folder under the state home. Plain files, written atomically; knows
//! nothing of the processes that the files speak of.

mod durable;
mod error;
mod lock;
mod made_outside;
mod ownership;
mod remembered;
mod scenario_turn;
mod submitted;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::stack::ServiceName;
use crate::stack::project::ProjectName;

pub use durable::{write_atomically, write_durably};
pub use error::StateError;
pub use lock::{AtWork, ProjectLock};
pub use made_outside::{MadeOutside, MadeThere};
pub use ownership::User;
pub use remembered::{Remembered, StackFile};
pub use scenario_turn::ScenarioTurn;
pub use submitted::Submitted;

/// The longest path of a Unix socket that we use. The system's limit is 107 bytes; osquery appends `.` and up
/// to five digits to the path of its extension socket.
const LONGEST_SOCKET_PATH: usize = 98;

/// The name of the supervisor's control socket.
pub const CONTROL_SOCKET: &str = "control.sock";

/// The folder of a project and where things are in it.
#[derive(Debug, Clone)]
pub struct ProjectFolder {
    /// The project.
    pub project: ProjectName,
    root: PathBuf,
}

impl ProjectFolder {
    /// The folder of `project` under the state home.
    pub fn new(home: &Path, project: &ProjectName) -> Self {
        Self {
            project: project.clone(),
            root: home.join(project.as_str()),
        }
    }

    /// Every project that has a folder.
    ///
    /// # Errors
    /// When the state home cannot be read.
    pub fn all(home: &Path) -> Result<Vec<Self>, StateError> {
        let entries = match fs::read_dir(home) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StateError::io("read", home, error)),
        };
        let mut projects: Vec<ProjectName> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        projects.sort();
        let folders = projects.iter().map(|project| Self::new(home, project));
        Ok(folders.filter(Self::is_project).collect())
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of all projects.
    pub fn home(&self) -> &Path {
        self.root.parent().unwrap_or(&self.root)
    }

    /// Whether the folder is there.
    ///
    /// # Errors
    /// When it cannot be told, as of a folder inside one that belongs to somebody else.
    pub fn exists(&self) -> Result<bool, StateError> {
        self.root
            .try_exists()
            .map_err(|error| StateError::io("read", &self.root, error))
    }

    /// Makes the folder; only its owner may enter it.
    ///
    /// # Errors
    /// When it cannot be made, is another user's, or holds something that is not ours.
    pub fn create(&self) -> Result<(), StateError> {
        self.check_owner()?;
        private_folder(&self.root)?;
        self.check_is_ours()
    }

    /// Whether what is in the folder can be believed and followed: it is this user's, and nobody else can write it.
    /// A folder that is not there yet is nobody's.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_owner(&self) -> Result<(), StateError> {
        ownership::check_home(self.home())?;
        ownership::check_folder(&self.root)
    }

    /// Whether the folder is a project: every project begins with the file of what it remembers.
    pub fn is_project(&self) -> bool {
        self.remembered_file().exists() || self.services_file().exists()
    }

    /// A folder that somebody else filled is neither written to nor removed. The lock, and what a project begins with
    /// before it is whole, are ours: another command is just making the project, or was killed when it did.
    fn check_is_ours(&self) -> Result<(), StateError> {
        let entries = fs::read_dir(&self.root).map_err(|error| StateError::io("read", &self.root, error))?;
        let client = self.client_properties_file();
        let beginning = [
            self.lock_file(),
            durable::unfinished(&self.remembered_file()),
            durable::unfinished(&client),
            client,
            // Certificates are made before the first `up`.
            self.listener(),
        ];
        let mut others = entries
            .flatten()
            .filter(|entry| !beginning.contains(&entry.path()));
        if self.is_project() || others.next().is_none() {
            Ok(())
        } else {
            Err(StateError::NotAProject {
                path: self.root.clone(),
            })
        }
    }

    /// The lock that commands which change the project hold.
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// What the project remembers between runs.
    pub fn remembered_file(&self) -> PathBuf {
        self.root.join("project.json")
    }

    /// How a Kafka outside of the stack, and what is beside it, is reached: with its secrets, for its owner alone.
    pub fn client_properties_file(&self) -> PathBuf {
        self.root.join("client.properties")
    }

    /// What the project makes on a Kafka, and on a ksqlDB server, outside of the stack.
    pub fn made_outside_file(&self) -> PathBuf {
        self.root.join("made-outside.json")
    }

    /// The statements that a ksqlDB server executed for it.
    pub fn submitted_file(&self) -> PathBuf {
        self.root.join("submitted.json")
    }

    /// What the broker's listener for other machines takes: certificates, with their keys, and the names of users.
    pub fn listener(&self) -> PathBuf {
        self.root.join("listener")
    }

    /// What the supervisor writes about itself and its services.
    pub fn services_file(&self) -> PathBuf {
        self.root.join("services.json")
    }

    /// What the runs of the verbs that change the project did, one JSON object a line.
    pub fn events_file(&self) -> PathBuf {
        self.root.join("events.jsonl")
    }

    /// The same of earlier runs, once it had become too large.
    pub fn earlier_events_file(&self) -> PathBuf {
        self.root.join("events.jsonl.1")
    }

    /// The faults that are set by hand.
    pub fn faults_file(&self) -> PathBuf {
        self.root.join("faults.json")
    }

    /// The clocks of services, while they have clocks of their own.
    pub fn clocks(&self) -> PathBuf {
        self.root.join("clocks")
    }

    /// The log of the supervisor itself.
    pub fn supervisor_log(&self) -> PathBuf {
        self.root.join("logs").join("supervisor.log")
    }

    /// The log of a service.
    pub fn log_file(&self, service: &ServiceName) -> PathBuf {
        self.root.join("logs").join(format!("{service}.log"))
    }

    /// The folder of a host.
    pub fn host(&self, host: &ServiceName) -> PathBuf {
        self.root.join("hosts").join(host.as_str())
    }

    /// A path for a Unix socket named `name`: in the project's folder, or in a short private folder when that
    /// path would be too long for a socket.
    ///
    /// # Errors
    /// When the short folder cannot be made, or is somebody else's.
    pub fn socket(&self, name: &str) -> Result<PathBuf, StateError> {
        let usual = self.root.join(name);
        if usual.as_os_str().len() <= LONGEST_SOCKET_PATH {
            return Ok(usual);
        }
        let folder = short_folder();
        private_folder(&folder)?;
        ownership::check_folder(&folder)?;
        let hash = Sha256::digest(self.root.as_os_str().as_encoded_bytes());
        let prefix: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Ok(folder.join(format!("{prefix}-{name}")))
    }

    /// Removes the sockets, also those that killed processes left, and the records of processes: what must not
    /// outlive a stopped project.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_run_files(&self) -> Result<(), StateError> {
        let usual = self.root.join(CONTROL_SOCKET);
        let control = self.socket(CONTROL_SOCKET)?;
        // In the short folder, sockets of other projects have another prefix.
        let prefix = control
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(CONTROL_SOCKET));
        if let (Some(folder), Some(prefix)) = (control.parent(), prefix) {
            let entries = fs::read_dir(folder).map_err(|error| StateError::io("read", folder, error))?;
            for entry in entries.flatten() {
                let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
                if is_socket && entry.file_name().to_string_lossy().starts_with(prefix) {
                    remove_file(&entry.path())?;
                }
            }
            if control != usual {
                // Only succeeds when no other project has a socket in it.
                let _ = fs::remove_dir(folder);
            }
        }
        remove_folder_in_place_of(&self.services_file())?;
        remove_file(&self.services_file())
    }

    /// Removes everything.
    ///
    /// # Errors
    /// When something cannot be removed, or the folder is not a project's.
    pub fn remove(&self) -> Result<(), StateError> {
        if !self.exists()? {
            return Ok(());
        }
        self.check_is_ours()?;
        fs::remove_dir_all(&self.root).map_err(|error| StateError::io("remove", &self.root, error))
    }
}

/// Removes a file that may not exist.
///
/// # Errors
/// When it exists and cannot be removed.
pub fn remove_file(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StateError::io("remove", path, error)),
    }
}

/// Removes a folder that stands where a file of a project belongs, which could never be written again.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove_folder_in_place_of(path: &Path) -> Result<(), StateError> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(path).map_err(|error| StateError::io("remove", path, error))?;
    }
    Ok(())
}

/// Makes a folder, and those above it, that only its owner may enter.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(path: &Path) -> Result<(), StateError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| StateError::io("create", path, error))
}

fn short_folder() -> PathBuf {
    let uid = rustix::process::getuid().as_raw();
    // With `sudo -E` the variable names another user's folder.
    let is_ours =
        |folder: &PathBuf| fs::metadata(folder).is_ok_and(|folder| folder.is_dir() && folder.uid() == uid);
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|folder| folder.as_os_str().len() < 40 && is_ours(folder))
        .map_or_else(
            || PathBuf::from(format!("/tmp/osqdemo-{uid}")),
            |folder| folder.join("osqdemo"),
        )
}
