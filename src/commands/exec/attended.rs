//! A command in the same terminal, beside which this process stands by. Signals are the command's: those of the terminal
//! reach it by themselves, since it is of our process group, and others are handed on.

use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;
use tokio::process::{Child, Command};

use crate::engine::HostCommand;
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
            () = interrupt.token().cancelled() => hand_on(&child, Signal::INT),
            () = shutdown.token().cancelled(), if !is_asked_to_end => {
                is_asked_to_end = true;
                match shutdown.exit_code() {
                    Some(ExitCode::Interrupted) => hand_on(&child, Signal::INT),
                    _ => hand_on(&child, Signal::TERM),
                }
            }
        }
    }
}

/// To the command itself: what enters the host for it stands between, and only waits for it.
fn hand_on(child: &Child, signal: Signal) {
    if signal == Signal::INT && io::stdin().is_terminal() {
        return;
    }
    let Some(entering) = child.id() else { return };
    let command = process::children(entering);
    let receivers = if command.is_empty() {
        vec![entering]
    } else {
        command
    };
    for receiver in receivers.into_iter().filter_map(ProcessId::of) {
        receiver.signal(signal);
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
