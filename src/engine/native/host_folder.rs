//! The folder of a native host: its home, its `/etc`, and everything its osqueryd needs. Written anew at each
//! start, except for the home and osqueryd's database, which are the host's own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::{Osqueryd, Programs};
use crate::process::HOST_VARIABLE;
use crate::stack::ServiceName;
use crate::state::{ProjectFolder, StateError, private_folder, remove_file, write_atomically};

/// The flags of a host's osqueryd, as on any monitored host; the paths are replaced.
pub const FLAGS: &str = include_str!("../../../hosts/image/osqueryd.flags");

/// The users of the demo, beside those of this machine.
const USERS: [&str; 3] = ["jay", "neha", "jun"];

/// The first user and group number of [`USERS`].
const FIRST_UID: u32 = 1101;

/// How long the agent may take to end: it flushes what it has to Kafka.
const AGENT_GRACE_MS: u64 = 10_000;

/// What the first process of a host is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSpec {
    /// The host's name.
    pub hostname: String,
    /// How it is kept apart.
    pub isolation: Isolation,
    /// Its folder; also its mark.
    pub folder: PathBuf,
    /// The home of its root user, at the same path inside and outside.
    pub home: PathBuf,
    /// Files to put over others, in namespaces: (file, place).
    pub mounts: Vec<(PathBuf, PathBuf)>,
    /// Files that an earlier run may have left and that would be misread.
    pub stale: Vec<PathBuf>,
    /// The program to run and its arguments.
    pub argv: Vec<String>,
    /// Variables for it, beside those of the host.
    pub environment: BTreeMap<String, String>,
    /// How long it may take to end, in milliseconds.
    pub stop_grace_ms: u64,
}

/// What decides about a host's folder.
pub struct HostSettings<'a> {
    /// The project.
    pub folder: &'a ProjectFolder,
    /// The host.
    pub host: &'a ServiceName,
    /// Its host name.
    pub hostname: &'a str,
    /// Its programs.
    pub programs: &'a Programs,
    /// How it is kept apart.
    pub isolation: &'a Isolation,
    /// The text of its configuration.
    pub configuration: &'a str,
}

/// The file of a host's folder that its first process reads.
pub fn spec_file(folder: &ProjectFolder, host: &ServiceName) -> PathBuf {
    folder.host(host).join("init.json")
}

/// Reads what the first process of a host was told.
///
/// # Errors
/// When the file cannot be read.
pub fn read_spec(path: &Path) -> Result<HostSpec, StateError> {
    let text = fs::read(path).map_err(|error| StateError::io("read", path, error))?;
    serde_json::from_slice(&text).map_err(|source| StateError::Damaged {
        path: path.to_owned(),
        source,
    })
}

/// Writes the folder of a host and returns what its first process is told.
///
/// # Errors
/// When something cannot be written.
pub fn prepare(settings: &HostSettings<'_>) -> Result<HostSpec, StateError> {
    let folder = settings.folder.host(settings.host);
    let home = folder.join("home");
    let osquery = folder.join("osquery");
    let etc = folder.join("etc");
    for path in [&home, &osquery, &etc] {
        private_folder(path)?;
    }
    for user in USERS {
        private_folder(&folder.join("users").join(user))?;
    }
    let mounts = write_etc(&etc, &folder, &home, settings.hostname)?;

    let extension = osquery.join("confluent.ext");
    install(&settings.programs.extension, &extension)?;
    let autoload = osquery.join("extensions.load");
    write_atomically(&autoload, format!("{}\n", extension.display()).as_bytes())?;
    let configuration = osquery.join("osquery_confluent_config.json");
    write_atomically(&configuration, settings.configuration.as_bytes())?;
    let socket = settings.folder.socket(&format!("{}.em", settings.host))?;
    let pidfile = osquery.join("osqueryd.pid");
    let mut values = vec![
        ("database_path", osquery.join("osquery.db").display().to_string()),
        ("pidfile", pidfile.display().to_string()),
        ("extensions_socket", socket.display().to_string()),
        ("extensions_autoload", autoload.display().to_string()),
    ];
    let is_builtin = matches!(settings.programs.osqueryd, Osqueryd::Builtin(_));
    if let Isolation::Marked { .. } = settings.isolation {
        // Without a UTS namespace the host has this machine's name.
        values.push(("host_identifier", "specified".to_owned()));
        values.push(("specified_identifier", settings.hostname.to_owned()));
        if is_builtin {
            values.push((
                "process_scope_env",
                format!("{HOST_VARIABLE}={}", folder.display()),
            ));
        }
    }
    let flags = osquery.join("osqueryd.flags");
    write_atomically(&flags, with_flags(FLAGS, &values).as_bytes())?;
    let argv = vec![
        settings.programs.osqueryd.path().display().to_string(),
        format!("--flagfile={}", flags.display()),
    ];
    let spec = HostSpec {
        hostname: settings.hostname.to_owned(),
        isolation: settings.isolation.clone(),
        home,
        mounts,
        stale: vec![pidfile, socket],
        argv,
        environment: BTreeMap::from([
            ("OSQUERY_CONFIG".to_owned(), configuration.display().to_string()),
            (
                "OSQDEMO_SPOOL_DIR".to_owned(),
                osquery.join("spool").display().to_string(),
            ),
        ]),
        stop_grace_ms: AGENT_GRACE_MS,
        folder,
    };
    write_spec(&spec_file(settings.folder, settings.host), &spec)?;
    Ok(spec)
}

/// Writes what the first process of a host is told.
///
/// # Errors
/// When it cannot be written.
pub fn write_spec(path: &Path, spec: &HostSpec) -> Result<(), StateError> {
    let text = serde_json::to_vec_pretty(spec).map_err(|source| StateError::Damaged {
        path: path.to_owned(),
        source,
    })?;
    write_atomically(path, &text)
}

/// A flag file with these flags set, in the place of the values they have in it or at its end.
pub fn with_flags(text: &str, values: &[(&str, String)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (name, value) in values {
        let flag = format!("--{name}={value}");
        let is_it = |line: &&mut String| {
            line.strip_prefix("--").and_then(|rest| rest.split('=').next()) == Some(name)
        };
        match lines.iter_mut().find(is_it) {
            Some(line) => *line = flag,
            None => lines.push(flag),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Writes the host's own `/etc` files and says what to mount where.
fn write_etc(
    etc: &Path,
    folder: &Path,
    home: &Path,
    hostname: &str,
) -> Result<Vec<(PathBuf, PathBuf)>, StateError> {
    let original = |name: &str| fs::read_to_string(Path::new("/etc").join(name)).unwrap_or_default();
    let hosts: String = original("hosts")
        .lines()
        .filter(|line| !line.split_whitespace().any(|word| word == hostname))
        .map(|line| format!("{line}\n"))
        .collect();
    let files = [
        ("hostname", format!("{hostname}\n")),
        ("hosts", format!("{hosts}127.0.1.1\t{hostname}\n")),
        ("passwd", passwd(&original("passwd"), folder, home)),
        ("group", group(&original("group"))),
    ];
    let mut mounts = Vec::new();
    for (name, text) in files {
        let path = etc.join(name);
        // In place, not replaced: a running host has the file mounted.
        fs::write(&path, text).map_err(|error| StateError::io("write", &path, error))?;
        mounts.push((path, Path::new("/etc").join(name)));
    }
    Ok(mounts)
}

/// This machine's users with root at home in the host's folder, and the users of the demo.
fn passwd(original: &str, folder: &Path, home: &Path) -> String {
    let mut text = String::new();
    for line in original.lines() {
        let mut fields: Vec<&str> = line.split(':').collect();
        let home = home.to_string_lossy();
        if let ["root", _, _, _, _, root_home, _] = fields.as_mut_slice() {
            *root_home = &home;
        }
        if !USERS.contains(&fields.first().copied().unwrap_or_default()) {
            text.push_str(&fields.join(":"));
            text.push('\n');
        }
    }
    for (number, user) in (FIRST_UID..).zip(USERS) {
        let home = folder.join("users").join(user);
        text.push_str(&format!(
            "{user}:x:{number}:{number}::{}:/bin/bash\n",
            home.display()
        ));
    }
    text
}

fn group(original: &str) -> String {
    let is_ours = |line: &&str| USERS.iter().any(|user| line.split(':').next() == Some(user));
    let mut text: String = original
        .lines()
        .filter(|line| !is_ours(line))
        .map(|line| format!("{line}\n"))
        .collect();
    for (number, user) in (FIRST_UID..).zip(USERS) {
        text.push_str(&format!("{user}:x:{number}:\n"));
    }
    text
}

/// Puts the extension where osqueryd accepts it: suffix `.ext`, ours, executable, not writable by others.
/// A file of its own: whatever becomes of the project's folder, the installed program stays as it is.
///
/// # Errors
/// When it cannot be put there.
pub fn install(program: &Path, place: &Path) -> Result<(), StateError> {
    remove_file(place)?;
    fs::copy(program, place)
        .and_then(|_| fs::set_permissions(place, fs::Permissions::from_mode(0o755)))
        .map_err(|error| StateError::io("install", place, error))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn flags_are_replaced_or_added() {
        let values = [
            ("pidfile", "/h/pid".to_owned()),
            ("specified_identifier", "host1".to_owned()),
        ];
        let text = with_flags("# A comment\n--pidfile=/var/pid\n--utc=true\n", &values);
        assert_eq!(
            text,
            "# A comment\n--pidfile=/h/pid\n--utc=true\n--specified_identifier=host1\n"
        );
        let flags = with_flags(FLAGS, &[]);
        for needed in [
            "config_plugin=osquery_confluent_config",
            "logger_plugin=confluent_logger",
            "extensions_require=confluent",
        ] {
            assert!(flags.contains(&format!("--{needed}\n")), "{needed}");
        }
    }

    #[test]
    fn users_are_added_once() {
        let original = "root:x:0:0:root:/root:/bin/bash\njay:x:1000:1000::/home/jay:/bin/sh\n";
        let text = passwd(original, Path::new("/h"), Path::new("/h/home"));
        assert_snapshot!(text, @r"
    root:x:0:0:root:/h/home:/bin/bash
    jay:x:1101:1101::/h/users/jay:/bin/bash
    neha:x:1102:1102::/h/users/neha:/bin/bash
    jun:x:1103:1103::/h/users/jun:/bin/bash
    ");
        assert_eq!(passwd(&text, Path::new("/h"), Path::new("/h/home")), text);
        assert_eq!(group(&group("root:x:0:\n")), group("root:x:0:\n"));
    }
}
