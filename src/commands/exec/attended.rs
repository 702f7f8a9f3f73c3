//! A command in the same terminal, beside which this process stands by. Signals are the command's: those of the terminal
//! reach it by themselves, since it is of our process group, and others are handed on.

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Signal, getpgrp};
use rustix::termios::tcgetpgrp;
use tokio::process::{Child, Command};

use crate::engine::{HostCommand, Starts};
use crate::exit_code::ExitCode;
use crate::process::{self, ProcessId};
use crate::shutdown::Shutdown;

/// Runs it to its end; its exit status, 128 and the number for a signal.
pub(super) async fn run(command: &HostCommand, shutdown: &Shutdown) -> io::Result<u8> {
    let (program, rest) = command
        .argv
        .split_first()
        .map_or(("", [].as_slice()), |(first, rest)| (first.as_str(), rest));
    shutdown.leave_quit_to_children()?;
    let mut child = Command::new(program)
        .args(rest)
        .env_clear()
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&command.folder)
        .spawn()?;
    let mut is_asked_to_end = false;
    loop {
        // Each of them anew: however often somebody presses Ctrl-C, it is the command's business.
        let interrupt = shutdown.catch_interrupt();
        tokio::select! {
            status = child.wait() => return status.map(code),
            () = interrupt.token().cancelled() => hand_on(&child, command.starts, Signal::INT),
            () = shutdown.token().cancelled(), if !is_asked_to_end => {
                is_asked_to_end = true;
                match shutdown.exit_code() {
                    Some(ExitCode::Interrupted) => hand_on(&child, command.starts, Signal::INT),
                    _ => hand_on(&child, command.starts, Signal::TERM),
                }
            }
        }
    }
}

/// To the command itself: what enters the host for it stands between, and only waits for it.
fn hand_on(child: &Child, starts: Starts, signal: Signal) {
    if signal == Signal::INT && is_in_foreground() {
        return;
    }
    let Some(started) = child.id() else { return };
    let below = match starts {
        Starts::Command => Vec::new(),
        Starts::Entry => process::children(started),
    };
    let receivers = if below.is_empty() { vec![started] } else { below };
    for receiver in receivers.into_iter().filter_map(ProcessId::of) {
        receiver.signal(signal);
    }
}

/// Whether the keys of a terminal reach this process, and with it the command, whatever its standard input is.
fn is_in_foreground() -> bool {
    let terminal = File::open("/dev/tty");
    terminal.is_ok_and(|terminal| tcgetpgrp(&terminal).is_ok_and(|group| group == getpgrp()))
}

fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::waiting::poll;

    #[tokio::test]
    async fn a_command_that_nothing_enters_for_is_asked_to_end_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let sign = folder.path().join("sign");
        let script = "trap 'exit 7' TERM; : >sign; while :; do sleep 0.1; done";
        let command = HostCommand {
            argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            folder: folder.path().to_owned(),
            starts: Starts::Command,
        };
        let shutdown = Shutdown::default();
        let asking = async {
            poll(Duration::from_millis(10), || ready(sign.exists().then_some(()))).await;
            shutdown.token().cancel();
        };
        let running = timeout(Duration::from_secs(60), run(&command, &shutdown));
        let (status, ()) = tokio::join!(running, asking);
        assert_eq!(status.expect("in time").expect("it runs"), 7);
    }
}
