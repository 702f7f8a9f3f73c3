//! Memory and processor time of a project's processes, from `/proc`.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Clock ticks a second: the unit of `/proc/PID/stat`, 100 on every Linux that matters here.
pub(crate) const TICKS_PER_SECOND: f64 = 100.0;

/// What one process has used so far.
pub(crate) struct Usage {
    /// Resident memory in KiB.
    pub(crate) resident_kib: f64,
    /// Processor time in clock ticks, user and system.
    pub(crate) ticks: f64,
}

/// The sum over every process whose environment carries `OSQDEMO_HOME=home`.
pub(crate) fn usage_of(home: &str) -> Usage {
    let marker = format!("OSQDEMO_HOME={home}");
    let mut total = Usage {
        resident_kib: 0.0,
        ticks: 0.0,
    };
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let folder = entry.path();
        // Processes come and go while this reads: what cannot be read does not count.
        let Ok(environment) = fs::read(folder.join("environ")) else {
            continue;
        };
        if !environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == marker.as_bytes())
        {
            continue;
        }
        let usage = usage_of_process(&folder);
        total.resident_kib += usage.resident_kib;
        total.ticks += usage.ticks;
    }
    total
}

/// Of the process whose folder in `/proc` this is; nothing when it is gone.
pub(crate) fn usage_of_process(folder: &Path) -> Usage {
    Usage {
        resident_kib: resident_kib(&fs::read_to_string(folder.join("status")).unwrap_or_default()),
        ticks: ticks(&fs::read_to_string(folder.join("stat")).unwrap_or_default()),
    }
}

/// Processor time of the process whose folder in `/proc` this is, by the scheduler's own clock: clock ticks are too
/// coarse for one that rests. Threads that have ended no longer count.
pub(crate) fn running_time(folder: &Path) -> Duration {
    let threads = fs::read_dir(folder.join("task")).into_iter().flatten().flatten();
    let of_thread = |thread: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(threads.filter_map(of_thread).sum())
}

fn resident_kib(status: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok())
        .unwrap_or(0.0)
}

/// Fields 14 and 15; the command name before them stands in parentheses and may hold spaces.
fn ticks(stat: &str) -> f64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum()
}
