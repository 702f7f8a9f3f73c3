//! A password: asked for on the terminal without showing it, or read from a file. It is on no command line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::task::spawn_blocking;

use crate::error::{Diagnose, Result};
use crate::exit_code::ExitCode;
use crate::input_file;
use crate::shutdown::Shutdown;

/// The longest password.
const LONGEST: usize = 1024;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
enum PasswordError {
    #[error("failed to read the password from `{}`: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("failed to ask for the password: {source}")]
    Terminal { source: io::Error },
    #[error("there is no terminal to ask for the password on")]
    NoTerminal,
    #[error("the password cannot be used: {reason}")]
    Unfit { reason: &'static str },
    #[error("the two passwords are not the same")]
    Differ,
}

impl Diagnose for PasswordError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoTerminal | Self::Terminal { .. } => {
                vec!["give a file with it, `--password-file FILE`, or `-` for standard input".to_owned()]
            }
            Self::File { .. } | Self::Unfit { .. } | Self::Differ => Vec::new(),
        }
    }
}

/// The password of a user.
///
/// # Errors
/// When there is none, or it cannot be one.
pub(super) async fn of(name: &str, file: Option<&Path>, shutdown: &Shutdown) -> Result<String> {
    let password = match file {
        Some(path) => read(path)?,
        None => asked(name, shutdown).await?,
    };
    check(&password)?;
    Ok(password)
}

/// A password must be typed the same on every keyboard and by every client.
fn check(password: &str) -> std::result::Result<(), PasswordError> {
    let unfit = |reason| Err(PasswordError::Unfit { reason });
    if password.is_empty() {
        unfit("it is empty")
    } else if password.len() > LONGEST {
        unfit("it has more than 1024 bytes")
    } else if password.chars().any(char::is_control) {
        unfit("it has a line break or another character that is not shown in it")
    } else {
        Ok(())
    }
}

fn read(path: &Path) -> std::result::Result<String, PasswordError> {
    let failed = |source| PasswordError::File {
        path: path.to_owned(),
        source,
    };
    // What is longer is no password, and what never ends is not read to its end.
    let limit = LONGEST as u64 + 2;
    let read = if path.as_os_str() == "-" {
        input_file::beginning_of_standard_input(limit)
    } else {
        input_file::beginning_of(path, limit)
    };
    let text = read.map_err(failed)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

async fn asked(name: &str, shutdown: &Shutdown) -> Result<String> {
    if !io::stdin().is_terminal() {
        return Err(PasswordError::NoTerminal.into());
    }
    // Shown again also when a signal comes.
    let silence = Silence::begin().map_err(|source| PasswordError::Terminal { source })?;
    let prompts = [format!("password of {name}: "), "the same again: ".to_owned()];
    let asking = spawn_blocking(move || {
        let mut lines = Vec::new();
        for prompt in prompts {
            lines.push(ask(&prompt)?);
        }
        io::Result::Ok(lines)
    });
    let asked = tokio::select! {
        asked = asking => asked.unwrap_or_else(|error| Err(io::Error::other(error))),
        () = shutdown.token().cancelled() => {
            drop(silence);
            return Err(shutdown.interrupted().into());
        }
    };
    drop(silence);
    let asked = asked.map_err(|source| PasswordError::Terminal { source })?;
    match asked.as_slice() {
        [first, second] if first == second => Ok(first.clone()),
        _ => Err(PasswordError::Differ.into()),
    }
}

fn ask(prompt: &str) -> io::Result<String> {
    let mut terminal = File::options().write(true).open("/dev/tty")?;
    terminal.write_all(prompt.as_bytes())?;
    let mut line = String::new();
    let limit = LONGEST as u64 + 2;
    BufReader::new(File::open("/dev/tty")?.take(limit)).read_line(&mut line)?;
    terminal.write_all(b"\n")?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_feed_of_a_file_does_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        for (text, password) in [("a b\n", "a b"), ("a\r\n", "a"), ("a", "a")] {
            std::fs::write(&path, text).expect("a file");
            assert_eq!(read(&path).expect("a password"), password);
        }
        std::fs::write(&path, vec![b'a'; 5000]).expect("a file");
        assert!(check(&read(&path).expect("its beginning")).is_err());
        let error = read(Path::new("/nowhere")).expect_err("no file");
        assert_eq!(error.exit_code() as u8, 2);
    }

    #[test]
    fn what_is_no_password_is_told_without_it() {
        for password in ["", "a\nb", "tab\t"] {
            let error = check(password).expect_err(password);
            assert!(
                error.to_string().starts_with("the password cannot be used: "),
                "{error}"
            );
        }
        assert!(check("päss word").is_ok());
    }
}
