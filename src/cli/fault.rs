//! `osqdemo fault`.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::quantity::parse_duration;

/// `osqdemo fault`.
#[derive(Debug, Args)]
pub struct FaultArgs {
    /// What to do; `list` by default.
    #[command(subcommand)]
    pub command: Option<FaultCommand>,
}

/// What to do with faults.
#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// List those that are set.
    List,
    /// Do one, and leave it until `clear`.
    Set(SetFaultArgs),
    /// End one, or all of them.
    Clear(ClearFaultArgs),
}

/// `osqdemo fault set`.
#[derive(Debug, Args)]
pub struct SetFaultArgs {
    /// `stop` (SIGSTOP), `partition` (no network; natively no way to the broker), `slow` (a slow way to the broker, natively),
    /// `clock` (a wrong clock, natively), or `kill` (SIGKILL; there is nothing to clear then).
    #[arg(value_name = "stop|partition|slow|clock|kill")]
    pub kind: String,
    /// A service, or a part of a host, such as `broker` or `host1/extension`.
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// How much later everything arrives, in each direction, where the way is `slow` [default: 200ms]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub delay: Option<Duration>,
    /// How much of it is lost at first and comes with a retransmission, of a hundred, where the way is `slow` [default: 0]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=90))]
    pub loss: Option<u8>,
    /// How far the `clock` is ahead (`+5m`) or behind (`-5m`) [default: +5m]
    #[arg(long, value_name = "±DURATION", allow_hyphen_values = true, value_parser = parse_step)]
    pub step: Option<Step>,
}

/// How far a clock is wrong, in milliseconds; behind where it is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step(pub i64);

/// The farthest that a clock is set by hand, in milliseconds.
const LONGEST_STEP_MS: i64 = 366 * 24 * 60 * 60 * 1000;

fn parse_step(text: &str) -> Result<Step, String> {
    let (sign, duration) = match text.strip_prefix('-') {
        Some(duration) => (-1, duration),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let duration = parse_duration(duration).map_err(|error| error.to_string())?;
    match i64::try_from(duration.as_millis()) {
        Ok(step_ms) if (1..=LONGEST_STEP_MS).contains(&step_ms) => Ok(Step(sign * step_ms)),
        _ => Err("a clock is wrong by at most a year, and not by nothing".to_owned()),
    }
}

/// `osqdemo fault clear`.
#[derive(Debug, Args)]
pub struct ClearFaultArgs {
    /// What it was done to; without it, every fault that is set.
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
}
