//! Signals, read in this one file and handed on as cancellation tokens.
//!
//! The first SIGINT, SIGTERM or SIGHUP asks for a graceful end, the second for an end at once, the third ends
//! the process where it stands. Which signal came first decides the exit code (130 or 143). While input is awaited that
//! only the user can give, the first one ends it at once.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::input_file;

/// Tells whoever asks that the process should end, and how fast. A cheap clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    graceful: CancellationToken,
    at_once: CancellationToken,
    /// The exit code of the first signal; 0 while there was none.
    code: Arc<AtomicU8>,
    /// Who takes the next SIGINT instead, if anybody does.
    catcher: Arc<Mutex<Option<CancellationToken>>>,
}

/// Takes the next SIGINT, until it is dropped.
#[derive(Debug)]
pub struct InterruptCatcher {
    token: CancellationToken,
    catcher: Arc<Mutex<Option<CancellationToken>>>,
}

impl InterruptCatcher {
    /// Cancelled by the SIGINT.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Drop for InterruptCatcher {
    fn drop(&mut self) {
        lock(&self.catcher).take();
    }
}

fn lock(catcher: &Mutex<Option<CancellationToken>>) -> std::sync::MutexGuard<'_, Option<CancellationToken>> {
    catcher.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A command that ended because of a signal.
#[derive(Debug, thiserror::Error)]
#[error("{}", match code { ExitCode::Interrupted => "interrupted", _ => "terminated" })]
pub struct Interrupted {
    /// 130 or 143.
    pub code: ExitCode,
}

impl Diagnose for Interrupted {
    fn exit_code(&self) -> ExitCode {
        self.code
    }
}

impl Shutdown {
    /// Starts to listen for signals. Needs a running Tokio runtime.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn install() -> io::Result<Self> {
        let shutdown = Self::default();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let hang_up = signal(SignalKind::hangup())?;
        tokio::spawn(shutdown.clone().listen(interrupt, terminate, hang_up));
        Ok(shutdown)
    }

    /// Cancelled by the first signal: finish what must be finished and end.
    pub fn token(&self) -> &CancellationToken {
        &self.graceful
    }

    /// Cancelled by the second signal: end now, without waiting for anybody.
    pub fn at_once(&self) -> &CancellationToken {
        &self.at_once
    }

    /// Takes the next SIGINT away from the process: at a prompt it ends the running statement only.
    pub fn catch_interrupt(&self) -> InterruptCatcher {
        let token = CancellationToken::new();
        *lock(&self.catcher) = Some(token.clone());
        InterruptCatcher {
            token,
            catcher: Arc::clone(&self.catcher),
        }
    }

    /// From now on SIGQUIT (Ctrl-\) does nothing to this process. In a child it is as usual: a handler is not inherited.
    ///
    /// # Errors
    /// When the handler cannot be installed.
    pub fn leave_quit_to_children(&self) -> io::Result<()> {
        // The handler stays when its listener goes.
        signal(SignalKind::quit()).map(drop)
    }

    /// The error with which a command ends that stopped because of a signal.
    pub fn interrupted(&self) -> Interrupted {
        Interrupted {
            code: self.exit_code().unwrap_or(ExitCode::Interrupted),
        }
    }

    /// The exit code that the first signal asks for.
    pub fn exit_code(&self) -> Option<ExitCode> {
        match self.code.load(Ordering::Relaxed) {
            0 => None,
            code if code == ExitCode::Interrupted as u8 => Some(ExitCode::Interrupted),
            _ => Some(ExitCode::Terminated),
        }
    }

    async fn listen(self, mut interrupt: Signal, mut terminate: Signal, mut hang_up: Signal) {
        loop {
            let code = tokio::select! {
                _ = interrupt.recv() => ExitCode::Interrupted,
                _ = terminate.recv() => ExitCode::Terminated,
                _ = hang_up.recv() => ExitCode::Terminated,
            };
            if input_file::is_awaited() {
                // Whoever reads cannot look at a token.
                std::process::exit(i32::from(code as u8));
            }
            if code == ExitCode::Interrupted
                && let Some(token) = lock(&self.catcher).take()
            {
                token.cancel();
                continue;
            }
            if !self.graceful.is_cancelled() {
                self.code.store(code as u8, Ordering::Relaxed);
                self.graceful.cancel();
            } else if !self.at_once.is_cancelled() {
                self.at_once.cancel();
            } else {
                // The third signal is the user's last word: nothing may delay it.
                std::process::exit(i32::from(self.code.load(Ordering::Relaxed)));
            }
        }
    }
}
