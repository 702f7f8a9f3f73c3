//! The built-in agent: how long a scan of many processes takes, and what forty queries a second cost it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::figure::{Figure, Report};
use crate::pipeline::processes::{TICKS_PER_SECOND, Usage, usage_of_process};
use crate::waiting::{eventually, leave_alone};

/// The processes that are scanned, at least.
const PROCESSES: usize = 500;
/// The queries of the pack; each runs once a second.
const QUERIES: usize = 40;
/// How long the pack runs before anything is measured, and while it is.
const WARM_UP: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(10);
/// How long the agent may take to have run each query once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Statements as packs have them, on tables that every machine has something in.
const STATEMENTS: [&str; 20] = [
    "select * from os_version",
    "select * from kernel_info",
    "select * from uptime",
    "select * from load_average",
    "select * from memory_info",
    "select * from mounts",
    "select * from interface_addresses",
    "select * from routes",
    "select * from arp_cache",
    "select * from users",
    "select * from groups",
    "select * from etc_hosts",
    "select * from crontab",
    "select * from sudoers",
    "select * from kernel_modules",
    "select * from logged_in_users",
    "select * from listening_ports where address not like '127.%'",
    "select pid, name, path, cmdline, uid from processes where parent = 1",
    "select path, mode, uid, gid, mtime, size from file where directory = '/etc'",
    "select sha256 from hash where path = '/etc/passwd'",
];

/// A process; ended when dropped.
struct Started(Child);

impl Started {
    fn new(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Ok(Self(
            child.with_context(|| format!("failed to start {command:?}"))?,
        ))
    }

    fn usage(&self) -> Usage {
        usage_of_process(&PathBuf::from(format!("/proc/{}", self.0.id())))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The scan, then the pack.
pub(crate) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let folder = Path::new(env!("CARGO_BIN_EXE_osqdemo")).parent();
    let agent = folder
        .context("the binary lies in no folder")?
        .join("osqdemo-agent");
    measure_scan(&agent, runs, report)?;
    measure_pack(&agent, runs, report)
}

fn measure_scan(agent: &Path, runs: usize, report: &mut Report) -> Result<()> {
    let processes: Result<Vec<Started>> = (0..PROCESSES)
        .map(|_| Started::new(Command::new("sleep").arg("600")))
        .collect();
    let _processes = processes?;
    let (mut samples, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let began = Instant::now();
        read_everything()?;
        floor.push(began.elapsed().as_secs_f64() * 1e3);
        // What starting the program and printing nothing takes is no scan.
        let idle = time_of(agent, "select 1")?;
        let scan =
            time_of(agent, "select * from processes")? + time_of(agent, "select * from process_open_files")?;
        samples.push(scan.saturating_sub(idle * 2).as_secs_f64() * 1e3);
    }
    let name =
        format!("`processes` and `process_open_files`, {PROCESSES} processes and those of the machine");
    report.add(
        Figure::new(name, "ms", samples)
            .at_most(30.0)
            .bound_by("the kernel"),
    );
    report.add(Figure::new("the same files read, and nothing else", "ms", floor));
    Ok(())
}

/// Reads what the two tables are made of and looks at none of it: what the kernel takes for that.
fn read_everything() -> Result<()> {
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        let is_process = process
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit));
        if !is_process {
            continue;
        }
        // A process may end meanwhile, and may not be ours to look at.
        for file in ["stat", "status", "io", "cmdline", "cgroup"] {
            let _ = fs::read(process.join(file));
        }
        for link in ["exe", "cwd", "root"] {
            let _ = fs::read_link(process.join(link));
        }
        for descriptor in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            let _ = fs::read_link(descriptor.path());
        }
    }
    Ok(())
}

fn time_of(agent: &Path, statement: &str) -> Result<Duration> {
    let began = Instant::now();
    let status = Command::new(agent)
        .arg(format!("--query={statement}"))
        .stdout(Stdio::null())
        .status();
    if !status
        .with_context(|| format!("failed to run `{}`", agent.display()))?
        .success()
    {
        bail!("the agent failed at `{statement}`");
    }
    Ok(began.elapsed())
}

fn measure_pack(agent: &Path, runs: usize, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let queries: serde_json::Map<String, serde_json::Value> = (0..QUERIES)
        .map(|number| {
            let statement = STATEMENTS[number % STATEMENTS.len()];
            (format!("q{number}"), json!({ "query": statement, "interval": 1 }))
        })
        .collect();
    let configuration = json!({ "packs": { "bench": { "queries": queries } } });
    fs::write(path("osquery.conf"), configuration.to_string())?;
    let started = Started::new(Command::new(agent).args([
        format!("--config_path={}", path("osquery.conf")),
        format!("--database_path={}", path("db")),
        format!("--logger_path={}", path("log")),
        format!("--pidfile={}", path("pid")),
        "--config_plugin=filesystem".to_owned(),
        "--logger_plugin=filesystem".to_owned(),
        "--disable_extensions=true".to_owned(),
        "--schedule_splay_percent=0".to_owned(),
    ]))?;
    let results = folder.path().join("log").join("osqueryd.results.log");
    eventually("the agent logs something", PATIENCE, || {
        fs::metadata(&results).is_ok_and(|file| file.len() > 0)
    })?;
    leave_alone(WARM_UP);
    let (mut resident, mut share) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let (before, began) = (started.usage(), Instant::now());
        leave_alone(MEASURED);
        let after = started.usage();
        let seconds = (after.ticks - before.ticks) / TICKS_PER_SECOND;
        share.push(seconds / began.elapsed().as_secs_f64() * 100.0);
        resident.push(after.resident_kib * 1024.0 / 1e6);
    }
    let name = format!("{QUERIES} queries each second: resident memory");
    report.add(Figure::new(name, "MB", resident).at_most(7.0));
    let name = format!("{QUERIES} queries each second: processor time");
    report.add(Figure::new(name, "% of a core", share).at_most(2.0));
    Ok(())
}
