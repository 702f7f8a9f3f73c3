//! What a scenario asks a host to do, as shell commands that any Linux with coreutils understands.

use super::error::ScenarioError;
use crate::engine::{ExecOutput, HostExec};
use crate::error::{Failure, Result};
use crate::stack::ServiceName;

/// How often a held process looks for the sign to end, in seconds, as `sleep` takes it.
const LOOK: &str = "0.1";

/// Commands on one host.
pub(super) struct HostCommands<'a, E> {
    pub(super) exec: &'a E,
    pub(super) host: &'a ServiceName,
}

/// The folder a host's commands run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HomeFolder {
    /// Its path, without symbolic links, as `/proc` shows the files in it.
    pub(super) path: String,
    /// How many bytes can be written there.
    pub(super) free: u64,
}

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePlan {
    /// Its name in the home folder: letters, digits and `-`, so that a shell takes it as it is.
    pub(super) name: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// How long the process lives.
    pub(super) lifetime: Lifetime,
}

/// How long the writing process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// As long as the writing takes.
    Natural,
    /// Until it is released: all but the last byte is written at once.
    Held,
}

impl FilePlan {
    /// The command that writes the file.
    pub(super) fn script(&self) -> String {
        let Self { name, size, .. } = self;
        match self.lifetime {
            // `exec`, so that the shell is not a second process that holds the file.
            Lifetime::Natural => format!("exec head -c {size} </dev/urandom >{name}"),
            Lifetime::Held => format!(
                "{{ head -c {most} </dev/urandom; while [ ! -e {sign} ]; do sleep {LOOK}; done; \
                 head -c 1 </dev/urandom; }} | head -c {size} >{name}",
                most = size.saturating_sub(1),
                sign = self.release_sign(),
            ),
        }
    }

    /// The file whose existence releases a held process.
    fn release_sign(&self) -> String {
        format!("{}.release", self.name)
    }
}

impl<E: HostExec> HostCommands<'_, E> {
    /// Where files are written, and how much fits there.
    pub(super) async fn home_folder(&self) -> Result<HomeFolder> {
        let purpose = "look at the home folder";
        let output = self.shell(purpose, "pwd -P && df -Pk .").await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        parse_home_folder(&text).ok_or_else(|| {
            ScenarioError::HostAnswer {
                host: self.host.to_string(),
                purpose,
                answer: text,
            }
            .into()
        })
    }

    /// Writes the file. Dropping the future ends the process.
    pub(super) async fn write(&self, plan: &FilePlan) -> Result<()> {
        self.shell("write the file", &plan.script()).await.map(drop)
    }

    /// Lets a held process end.
    pub(super) async fn release(&self, plan: &FilePlan) -> Result<()> {
        self.shell("release the process", &format!(": >{}", plan.release_sign()))
            .await
            .map(drop)
    }

    /// The size of the file in bytes.
    pub(super) async fn size(&self, plan: &FilePlan) -> Result<u64> {
        let purpose = "measure the file";
        let output = self.shell(purpose, &format!("stat -c %s {}", plan.name)).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.trim().parse().map_err(|_| {
            ScenarioError::HostAnswer {
                host: self.host.to_string(),
                purpose,
                answer: text,
            }
            .into()
        })
    }

    /// Removes whatever the plans may have left.
    pub(super) async fn remove(&self, plans: &[FilePlan]) -> Result<()> {
        let names: Vec<String> = plans
            .iter()
            .map(|plan| format!("{} {}", plan.name, plan.release_sign()))
            .collect();
        self.shell("remove the file", &format!("rm -f {}", names.join(" ")))
            .await
            .map(drop)
    }

    async fn shell(&self, purpose: &'static str, script: &str) -> Result<ExecOutput> {
        let output = self.exec.exec(self.host, &["sh", "-c", script]).await?;
        if output.code == 0 {
            return Ok(output);
        }
        let error = ScenarioError::HostCommand {
            host: self.host.to_string(),
            purpose,
            code: output.code,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        };
        Err(Failure::from(error))
    }
}

/// Reads what `pwd -P && df -Pk .` prints: the path, a header, and the line of the file system, whose fourth
/// number is followed by a percentage.
fn parse_home_folder(text: &str) -> Option<HomeFolder> {
    let mut lines = text.lines();
    let path = lines.next().filter(|path| path.starts_with('/'))?;
    let words: Vec<&str> = lines.last()?.split_whitespace().collect();
    // The names of file systems and folders may contain spaces, the numbers do not.
    let at = words.iter().rposition(|word| {
        word.strip_suffix('%')
            .is_some_and(|number| number == "-" || number.parse::<u8>().is_ok())
    })?;
    let kilobytes: u64 = words.get(at.checked_sub(1)?)?.parse().ok()?;
    Some(HomeFolder {
        path: path.to_owned(),
        free: kilobytes.saturating_mul(1024),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_home_folder_is_read() {
        let read = |text| parse_home_folder(text).map(|home| (home.path, home.free));
        assert_eq!(
            read(
                "/home/jay\nFilesystem 1024-blocks Used Available Capacity Mounted on\n/dev/my disk 1000 400 600 40% /mnt/a b\n"
            ),
            Some(("/home/jay".to_owned(), 600 * 1024))
        );
        for wrong in ["", "home\n/dev/x 1 1 1 1% /", "/home/jay\n", "/home/jay\nx\n1% /"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_scripts() {
        let mut plan = FilePlan {
            name: "myfile-1a2b".to_owned(),
            size: 1024,
            lifetime: Lifetime::Natural,
        };
        insta::assert_snapshot!(plan.script(), @"exec head -c 1024 </dev/urandom >myfile-1a2b");
        plan.lifetime = Lifetime::Held;
        insta::assert_snapshot!(plan.script(), @"{ head -c 1023 </dev/urandom; while [ ! -e myfile-1a2b.release ]; do sleep 0.1; done; head -c 1 </dev/urandom; } | head -c 1024 >myfile-1a2b");
    }

    #[test]
    fn a_held_script_writes_exactly_its_size_once_released() {
        for size in [1_u64, 2, 100_000] {
            let folder = tempfile::tempdir().unwrap();
            let plan = FilePlan {
                name: "f".to_owned(),
                size,
                lifetime: Lifetime::Held,
            };
            let mut child = std::process::Command::new("sh")
                .args(["-c", &plan.script()])
                .current_dir(folder.path())
                .spawn()
                .unwrap();
            assert!(child.try_wait().unwrap().is_none());
            std::fs::write(folder.path().join(plan.release_sign()), "").unwrap();
            assert!(child.wait().unwrap().success());
            assert_eq!(std::fs::metadata(folder.path().join("f")).unwrap().len(), size);
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(text in any::<String>()) {
            let _ = parse_home_folder(&text);
        }
    }
}
