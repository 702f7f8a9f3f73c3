//! Which extensions to start: `--extension`, and the file `--extensions_autoload`, under osqueryd's safety rules.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use osquery_configuration::regular_file;

use crate::flags::Flags;
use crate::status_log::StatusLog;

const SUFFIX: &str = "ext";
const OTHERS_MAY_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;
const EXECUTABLE: u32 = 0o111;
/// How deep folders named in the autoload file are searched.
const DEEPEST: usize = 8;

/// Why a program is not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsafe {
    #[error("it cannot be looked at: {reason}")]
    Unreadable { reason: String },
    #[error("its name does not end in `.{SUFFIX}`")]
    Suffix,
    #[error("it is not a file that can be executed")]
    NotExecutable,
    #[error("it belongs to user {owner}, neither to root nor to the agent's user")]
    Owner { owner: u32 },
    #[error("everybody may write to it")]
    Writable,
    #[error("its folder is one where everybody may put files")]
    SharedFolder,
}

/// The programs to start, in order, each once. What must not be started is named in the log.
pub(super) fn discover(flags: &Flags, status: &StatusLog) -> Vec<PathBuf> {
    let mut programs: Vec<PathBuf> = Vec::new();
    let mut consider = |path: PathBuf, checked: Result<(), Unsafe>| match checked {
        Ok(()) if programs.contains(&path) => {}
        Ok(()) => programs.push(path),
        Err(reason) => status.error(&format!(
            "Will not load the extension {}: {reason}",
            path.display()
        )),
    };
    if !flags.extension.is_empty() {
        let path = PathBuf::from(&flags.extension);
        let checked = check(&path, flags.allow_unsafe);
        consider(path, checked);
    }
    match regular_file::read_given(Path::new(&flags.extensions_autoload)).and_then(regular_file::as_text) {
        Ok(content) => {
            for path in listed(&content) {
                let has_suffix = path.extension().is_some_and(|extension| extension == SUFFIX);
                let checked = if has_suffix {
                    check(&path, flags.allow_unsafe)
                } else {
                    Err(Unsafe::Suffix)
                };
                consider(path, checked);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_default(flags) => {}
        Err(error) => {
            status.warning(&format!(
                "Could not autoload extensions: cannot read `{}`: {error}",
                flags.extensions_autoload
            ));
        }
    }
    programs
}

fn is_default(flags: &Flags) -> bool {
    flags.extensions_autoload == Flags::default().extensions_autoload
}

/// The paths of an autoload file: one a line, `#` and `;` begin a comment, a folder stands for the extensions in it.
fn listed(content: &str) -> Vec<PathBuf> {
    let lines = content
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let mut paths = Vec::new();
    for line in lines {
        let path = Path::new(line);
        if path.is_dir() {
            within(path, DEEPEST, &mut paths)
        } else {
            paths.push(path.to_owned())
        }
    }
    paths
}

fn within(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = folder.read_dir() else { return };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.is_symlink() {
            if depth > 0 {
                within(&path, depth - 1, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == SUFFIX) {
            paths.push(path);
        }
    }
}

/// Whether a program may be trusted with the agent's rights.
pub(super) fn check(path: &Path, allow_unsafe: bool) -> Result<(), Unsafe> {
    let unreadable = |error: io::Error| Unsafe::Unreadable {
        reason: error.to_string(),
    };
    let program = fs::metadata(path).map_err(unreadable)?;
    let mode = program.permissions().mode();
    if !program.is_file() || mode & EXECUTABLE == 0 {
        return Err(Unsafe::NotExecutable);
    }
    if allow_unsafe {
        return Ok(());
    }
    let owner = program.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(Unsafe::Owner { owner });
    }
    if mode & OTHERS_MAY_WRITE != 0 {
        return Err(Unsafe::Writable);
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if fs::metadata(folder).map_err(unreadable)?.permissions().mode() & STICKY != 0 {
        return Err(Unsafe::SharedFolder);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn program(folder: &Path, name: &str, mode: u32) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn unsafe_programs_are_refused_unless_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let good = program(folder.path(), "good.ext", 0o755);
        let open = program(folder.path(), "open.ext", 0o757);
        let plain = program(folder.path(), "plain.ext", 0o644);
        assert_eq!(check(&good, false), Ok(()));
        // osqueryd looks at others' rights only.
        assert_eq!(check(&program(folder.path(), "group.ext", 0o775), false), Ok(()));
        assert_eq!(check(&open, false), Err(Unsafe::Writable));
        assert_eq!(check(&open, true), Ok(()));
        assert_eq!(check(&plain, true), Err(Unsafe::NotExecutable));
        assert!(matches!(
            check(&folder.path().join("none.ext"), true),
            Err(Unsafe::Unreadable { .. })
        ));
        let shared = folder.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
        let there = program(&shared, "there.ext", 0o755);
        assert_eq!(check(&there, false), Err(Unsafe::SharedFolder));
        assert_eq!(check(&there, true), Ok(()));
    }

    #[test]
    fn the_autoload_file_is_read_as_osqueryd_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let one = program(folder.path(), "one.ext", 0o755);
        let bare = program(folder.path(), "bare", 0o755);
        let nested = folder.path().join("more/deep");
        fs::create_dir_all(&nested).unwrap();
        let two = program(&nested, "two.ext", 0o755);
        program(&nested, "note.txt", 0o755);
        let autoload = folder.path().join("extensions.load");
        let more = folder.path().join("more");
        fs::write(
            &autoload,
            format!(
                "# note\n; note\n\n {} \n{}\n{}\n{}\n",
                one.display(),
                more.display(),
                one.display(),
                bare.display()
            ),
        )
        .unwrap();
        let status = StatusLog::default();
        let flags = Flags {
            extensions_autoload: autoload.display().to_string(),
            extension: bare.display().to_string(),
            ..Flags::default()
        };
        assert_eq!(discover(&flags, &status), [bare.clone(), one, two]);
        let lines = status.drain();
        assert_eq!(lines.len(), 1);
        assert_eq!(
            lines[0].message,
            format!(
                "Will not load the extension {}: its name does not end in `.ext`",
                bare.display()
            )
        );
        let flags = Flags {
            extensions_autoload: "/nowhere/extensions.load".into(),
            ..Flags::default()
        };
        assert!(discover(&flags, &status).is_empty());
        assert!(
            status.drain()[0]
                .message
                .starts_with("Could not autoload extensions: cannot read `/nowhere/extensions.load`")
        );
    }
}
