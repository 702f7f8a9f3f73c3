//! What a scenario asks a host to do, as shell commands that any Linux with coreutils understands.

use super::error::ScenarioError;
use crate::engine::{ExecOutput, HostExec};
use crate::error::{Failure, Result};
use crate::stack::ServiceName;

/// How often a held process looks for the sign to end, in seconds, as `sleep` takes it.
const LOOK: &str = "0.1";

/// How long a held process waits for the sign at most, in looks: whoever was to give it may have been killed.
const LOOKS: u64 = 10 * 60 * 30;

/// The letters and digits behind `myfile-` that tell one run from another: this many, as in a number in base 16.
pub(super) const NONCE_DIGITS: usize = 12;

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
                "{{ head -c {most} </dev/urandom; i=0; \
                 while [ ! -e {sign} ] && [ $i -lt {LOOKS} ]; do sleep {LOOK}; i=$((i+1)); done; \
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

    /// The process that writes the file, as the host numbers it, where somebody has stopped it.
    pub(super) async fn stopped_writer(&self, plan: &FilePlan) -> Result<Option<u32>> {
        let purpose = "look at the process that writes";
        let output = self.shell(purpose, &stopped_writer_script(&plan.name)).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text
            .lines()
            .next()
            .and_then(|process| process.trim().parse().ok()))
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

    /// Removes the files of runs that were killed, and ends what still writes them. Returns their names.
    pub(super) async fn remove_leftovers(&self) -> Result<Vec<String>> {
        let script = leftovers_script();
        let output = self.shell("remove the files of earlier runs", &script).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().map(str::to_owned).collect())
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

/// Only files with a name such as a run of ours makes: `myfile` alone is what the README lets people write by hand. A
/// process that holds one open is its writer, whose parent was killed.
fn leftovers_script() -> String {
    let nonce = "[0-9a-f]".repeat(NONCE_DIGITS);
    format!(
        "for file in myfile-{nonce} myfile-{nonce}-held; do \
         [ -f \"$file\" ] || continue; \
         for open in /proc/[0-9]*/fd/*; do \
         if [ \"$open\" -ef \"$file\" ]; then process=${{open#/proc/}}; kill -9 \"${{process%%/*}}\"; fi; \
         done 2>/dev/null; \
         rm -f \"$file\" \"$file.release\" && printf '%s\\n' \"$file\"; \
         done; rm -f myfile-{nonce}.release myfile-{nonce}-held.release"
    )
}

/// Prints the processes that have the file open and are stopped (`T` in `/proc/PID/stat`, behind the command in
/// parentheses).
fn stopped_writer_script(file: &str) -> String {
    format!(
        "for open in /proc/[0-9]*/fd/*; do \
         if [ \"$open\" -ef {file} ]; then \
         process=${{open#/proc/}}; process=${{process%%/*}}; \
         read -r stat <\"/proc/$process/stat\" || continue; \
         case ${{stat##*) }} in T*) printf '%s\\n' \"$process\";; esac; \
         fi; done 2>/dev/null; true"
    )
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
        insta::assert_snapshot!(plan.script(), @"{ head -c 1023 </dev/urandom; i=0; while [ ! -e myfile-1a2b.release ] && [ $i -lt 18000 ]; do sleep 0.1; i=$((i+1)); done; head -c 1 </dev/urandom; } | head -c 1024 >myfile-1a2b");
    }

    #[test]
    fn leftovers_go_with_their_writers_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let run = |script: &str| {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", script]).current_dir(folder.path());
            command
        };
        for name in [
            "myfile",
            "myfile-2024",
            "myfile-0123456789ab.txt",
            "myfile-0123456789zz",
        ] {
            std::fs::write(at(name), "mine").unwrap();
        }
        let held = FilePlan {
            name: "myfile-0123456789ab-held".to_owned(),
            size: 3,
            lifetime: Lifetime::Held,
        };
        let mut writer = run(&held.script()).spawn().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !at(&held.name).exists() {
            assert!(std::time::Instant::now() < deadline, "the file is written");
            std::thread::yield_now();
        }
        let output = run(&leftovers_script()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "myfile-0123456789ab-held\n"
        );
        assert!(!at(&held.name).exists());
        // What waits for the sign ends once there is nobody to write to.
        std::fs::write(at(&held.release_sign()), "").unwrap();
        writer.wait().unwrap();
        run(&leftovers_script()).output().unwrap();
        let mut left: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "myfile",
                "myfile-0123456789ab.txt",
                "myfile-0123456789zz",
                "myfile-2024"
            ]
        );
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
