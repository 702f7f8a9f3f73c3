//! The wall clock of a project's programs: the machine's, unless the process was given a file that says by how much its own
//! is wrong. So a fault of the clock is one of a single service, and the machine's stays as it is.
//!
//! It must not know who steps it, nor what the program does. Time that passes (`Instant`) is not its matter.

use std::env;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// The variable that names the file.
pub const VARIABLE: &str = "OSQDEMO_CLOCK";

/// How long the text of the file is: a sign, digits, and the end of the line. It is of one length, so that it is written
/// anew in place; who reads a mixture of two texts for a moment goes by the machine's time, or by a step between them.
pub const TEXT_LENGTH: usize = 16;

/// The most that a clock is wrong, in milliseconds: ten years.
pub const MOST_MS: i64 = 10 * 366 * 24 * 60 * 60 * 1000;

/// What this process's clock says.
pub fn now() -> SystemTime {
    static FILE: OnceLock<Option<File>> = OnceLock::new();
    let file = FILE.get_or_init(|| File::open(env::var_os(VARIABLE)?).ok());
    let machine = SystemTime::now();
    file.as_ref().map_or(machine, |file| stepped(machine, file))
}

/// The same in milliseconds since 1970; 0 before.
pub fn unix_ms() -> i64 {
    let since = now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The same as a timestamp; what no calendar has is the machine's.
#[cfg(feature = "jiff")]
pub fn timestamp() -> jiff::Timestamp {
    jiff::Timestamp::try_from(now()).unwrap_or_else(|_| jiff::Timestamp::now())
}

/// The text that makes a clock wrong by so many milliseconds.
pub fn text(step_ms: i64) -> String {
    let step_ms = step_ms.clamp(-MOST_MS, MOST_MS);
    format!("{step_ms:+0width$}\n", width = TEXT_LENGTH - 1)
}

/// Makes the clock of whoever was given this file wrong by so many milliseconds; 0 makes it right.
///
/// # Errors
/// When the file cannot be written.
pub fn step(file: &Path, step_ms: i64) -> std::io::Result<()> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(file)?;
    file.write_all_at(text(step_ms).as_bytes(), 0)
}

/// The machine's time as this file has it; that itself where the file says nothing.
fn stepped(machine: SystemTime, file: &File) -> SystemTime {
    let mut text = [0; TEXT_LENGTH];
    let step = file.read_exact_at(&mut text, 0).ok().and_then(|()| read(&text));
    let step_ms = step.unwrap_or_default();
    let by = Duration::from_millis(step_ms.unsigned_abs());
    let stepped = if step_ms < 0 {
        machine.checked_sub(by)
    } else {
        machine.checked_add(by)
    };
    stepped.unwrap_or(machine)
}

fn read(text: &[u8]) -> Option<i64> {
    let number = std::str::from_utf8(text).ok()?.strip_suffix('\n')?;
    let step_ms: i64 = number.parse().ok()?;
    (-MOST_MS..=MOST_MS).contains(&step_ms).then_some(step_ms)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_clock_is_stepped_while_its_file_is_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("clock");
        step(&path, 0).expect("it is written");
        let file = File::open(&path).expect("it is there");
        let machine = SystemTime::now();
        assert_eq!(stepped(machine, &file), machine);
        for (step_ms, seconds) in [(90_000, 90), (-3_600_000, -3_600), (0, 0)] {
            step(&path, step_ms).expect("it is written");
            let stepped = stepped(machine, &file);
            let ahead = stepped.duration_since(machine).map(|ahead| ahead.as_secs());
            let behind = machine.duration_since(stepped).map(|behind| behind.as_secs());
            let difference = match (ahead, behind) {
                (Ok(ahead), _) => i64::try_from(ahead).expect("seconds"),
                (_, Ok(behind)) => -i64::try_from(behind).expect("seconds"),
                _ => panic!("neither"),
            };
            assert_eq!(difference, seconds);
        }
    }

    #[test]
    #[expect(clippy::print_stdout, reason = "a child process tells the time")]
    fn a_process_that_is_given_a_file_goes_by_it() {
        if env::var_os(VARIABLE).is_some() {
            println!("\ntime {}", unix_ms());
            return;
        }
        const HOUR_MS: i64 = 60 * 60 * 1000;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("clock");
        step(&path, HOUR_MS).expect("it is written");
        let before = unix_ms();
        let child = std::process::Command::new(env::current_exe().expect("this program"))
            .args([
                "--exact",
                "--nocapture",
                "tests::a_process_that_is_given_a_file_goes_by_it",
            ])
            .env(VARIABLE, &path)
            .output()
            .expect("it runs");
        let told = String::from_utf8_lossy(&child.stdout);
        let time = told.lines().find_map(|line| line.strip_prefix("time "));
        let time: i64 = time.expect("a time").parse().expect("a number");
        let passed = time - HOUR_MS;
        assert!((before..=unix_ms()).contains(&passed), "{before} {passed}");
    }

    #[test]
    fn what_says_nothing_is_the_machines_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("clock");
        let machine = SystemTime::now();
        for text in [
            "",
            "soon",
            "+00000000000099",
            "+999999999999999\n",
            "00000000000000x\n",
        ] {
            fs::write(&path, text).expect("it is written");
            let file = File::open(&path).expect("it is there");
            assert_eq!(stepped(machine, &file), machine, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(step_ms in any::<i64>()) {
            let text = text(step_ms);
            prop_assert_eq!(text.len(), TEXT_LENGTH);
            prop_assert_eq!(read(text.as_bytes()), Some(step_ms.clamp(-MOST_MS, MOST_MS)));
        }
    }
}
