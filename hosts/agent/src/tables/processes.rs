//! `processes`: every running process.
//!
//! `/proc/PID/smaps` is never read; each of the files below is read only when a column that needs it is used.
//!
//! How the kernel's files are read and how they are taken apart stand together here, because a column is right only when both
//! are.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, CWD};

use super::Machine;
use crate::procfs::{ProcFs, Reader};
use crate::sql::{CellValue, Column, ColumnType, Operator, RowBuffer, Scan, Table, TableError, columns};

columns! {
    PID "pid" BigInt index,
    NAME "name" Text,
    PATH "path" Text,
    CMDLINE "cmdline" Text,
    STATE "state" Text,
    CWD_LINK "cwd" Text,
    ROOT "root" Text,
    UID "uid" BigInt,
    GID "gid" BigInt,
    EUID "euid" BigInt,
    EGID "egid" BigInt,
    SUID "suid" BigInt,
    SGID "sgid" BigInt,
    ON_DISK "on_disk" Integer,
    WIRED_SIZE "wired_size" BigInt,
    RESIDENT_SIZE "resident_size" BigInt,
    TOTAL_SIZE "total_size" BigInt,
    USER_TIME "user_time" BigInt,
    SYSTEM_TIME "system_time" BigInt,
    DISK_BYTES_READ "disk_bytes_read" BigInt,
    DISK_BYTES_WRITTEN "disk_bytes_written" BigInt,
    START_TIME "start_time" BigInt,
    PARENT "parent" BigInt,
    PGROUP "pgroup" BigInt,
    THREADS "threads" Integer,
    NICE "nice" Integer,
    _ELEVATED_TOKEN "elevated_token" Integer hidden,
    _SECURE_PROCESS "secure_process" Integer hidden,
    _PROTECTION_TYPE "protection_type" Text hidden,
    _VIRTUAL_PROCESS "virtual_process" Integer hidden,
    _ELAPSED_TIME "elapsed_time" BigInt hidden,
    _HANDLE_COUNT "handle_count" BigInt hidden,
    _PERCENT_PROCESSOR_TIME "percent_processor_time" BigInt hidden,
    _UPID "upid" BigInt hidden,
    _UPPID "uppid" BigInt hidden,
    _CPU_TYPE "cpu_type" Integer hidden,
    _CPU_SUBTYPE "cpu_subtype" Integer hidden,
    _TRANSLATED "translated" Integer hidden,
    CGROUP_PATH "cgroup_path" Text,
}

const FROM_STAT: &[usize] = &[
    STATE,
    USER_TIME,
    SYSTEM_TIME,
    START_TIME,
    PARENT,
    PGROUP,
    THREADS,
    NICE,
];
const FROM_STATUS: &[usize] = &[NAME, UID, GID, EUID, EGID, SUID, SGID, RESIDENT_SIZE, TOTAL_SIZE];
const FROM_IO: &[usize] = &[DISK_BYTES_READ, DISK_BYTES_WRITTEN];

/// The unit of the times in `/proc/PID/stat`: `USER_HZ`, 100 on every Linux since 2.6.
const TICKS_PER_SECOND: i64 = 100;
const DELETED: &[u8] = b" (deleted)";

pub(crate) struct Processes(pub(crate) Arc<Machine>);

impl Table for Processes {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    /// The numbers that are read first.
    fn filters(&self, column: usize) -> bool {
        let is_read_first = FROM_STAT.contains(&column) || FROM_STATUS.contains(&column);
        is_read_first
            && COLUMNS
                .get(column)
                .is_some_and(|column| column.kind != ColumnType::Text)
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let mut reader = self.0.proc.reader();
        let processes = reader
            .processes(scan.integers(PID).as_deref())
            .map_err(TableError::reading("the list of processes"))?;
        let wanted: Vec<(usize, Vec<i64>)> = (0..COLUMNS.len())
            .filter(|&column| self.filters(column))
            .filter_map(|column| Some((column, numbers(scan, column)?)))
            .collect();
        let mut programs = HashMap::new();
        for pid in processes {
            rows.start_row();
            let mut process = Process {
                pid,
                scan,
                wanted: &wanted,
                programs: &mut programs,
            };
            if process.fill(&self.0.proc, &mut reader, rows).is_none() {
                rows.drop_row();
            }
        }
        Ok(())
    }
}

/// What a column is to equal, if that is only whole numbers: `'1.0'` may be one to SQLite, too.
fn numbers(scan: &Scan, column: usize) -> Option<Vec<i64>> {
    let values = scan.values(column, Operator::Equals);
    let numbers: Option<Vec<i64>> = values.map(integer).collect();
    numbers.filter(|numbers| !numbers.is_empty())
}

/// A process of a scan.
struct Process<'scan> {
    pid: i32,
    scan: &'scan Scan,
    /// Numbers that a row must have to be looked at.
    wanted: &'scan [(usize, Vec<i64>)],
    /// Which programs are on disk, of those that were looked for in this scan.
    programs: &'scan mut HashMap<Vec<u8>, bool>,
}

impl Process<'_> {
    /// Fills one row, or returns `None` when nobody wants it, or the process vanished meanwhile.
    fn fill(&mut self, proc: &ProcFs, reader: &mut Reader<'_>, rows: &mut RowBuffer) -> Option<()> {
        let Self { pid, scan, .. } = *self;
        rows.integer(PID, i64::from(pid));
        if scan.uses_any(FROM_STAT) {
            from_stat(reader.read(pid, "stat")?, boot_time(proc), rows)?;
            self.is_wanted(rows).then_some(())?;
        }
        if scan.uses_any(FROM_STATUS) {
            from_status(reader.read(pid, "status")?, rows);
            self.is_wanted(rows).then_some(())?;
        }
        if scan.uses_any(FROM_IO)
            && let Some(io) = reader.read(pid, "io")
        {
            from_io(io, rows);
        }
        if scan.uses_any(&[PATH, ON_DISK]) {
            let mut path = reader.link(pid, "exe").unwrap_or_default().to_vec();
            // The kernel's suffix is looked into for the path's sake, too.
            if scan.uses(ON_DISK) || path.ends_with(DELETED) {
                rows.integer(ON_DISK, self.on_disk(reader, &mut path));
            }
            rows.text(PATH, path);
        }
        if scan.uses(CMDLINE) {
            let start = reader.read(pid, "cmdline").unwrap_or_default().to_vec();
            let mut cmdline = start;
            for byte in &mut cmdline {
                if *byte == 0 {
                    *byte = b' ';
                }
            }
            rows.text(CMDLINE, cmdline.trim_ascii());
        }
        if scan.uses(CGROUP_PATH) {
            let content = reader.read(pid, "cgroup").unwrap_or_default();
            rows.text(CGROUP_PATH, cgroup_path(content));
        }
        for (column, link) in [(CWD_LINK, "cwd"), (ROOT, "root")] {
            if scan.uses(column) {
                rows.text(column, reader.link(pid, link).unwrap_or_default());
            }
        }
        // Linux counts no unpageable memory for a process; osquery gives 0 as well.
        rows.integer(WIRED_SIZE, 0);
        Some(())
    }

    /// Whether the row, as far as it is filled, has the numbers that are asked for.
    fn is_wanted(&self, rows: &RowBuffer) -> bool {
        let row = rows.rows() - 1;
        self.wanted
            .iter()
            .all(|(column, numbers)| match rows.value(row, *column) {
                CellValue::Integer(number) => numbers.contains(&number),
                _ => true,
            })
    }

    /// 1 when the program's file is there, 0 when it is not, -1 when there is no telling. The kernel marks a program whose
    /// file was removed with a suffix, which is taken off `path` unless the file really bears that name.
    fn on_disk(&mut self, reader: &mut Reader<'_>, path: &mut Vec<u8>) -> i64 {
        if path.is_empty() {
            return -1;
        }
        if !path.ends_with(DELETED) {
            if let Some(is_there) = self.programs.get(path) {
                return i64::from(*is_there);
            }
            let is_there = rustix::fs::statat(CWD, path.as_slice(), AtFlags::empty()).is_ok();
            self.programs.insert(path.clone(), is_there);
            return i64::from(is_there);
        }
        let on_disk = rustix::fs::statat(CWD, path.as_slice(), AtFlags::empty());
        if let (Ok(on_disk), Some(running)) = (on_disk, reader.stat(self.pid, "exe"))
            && (on_disk.st_dev, on_disk.st_ino) == (running.st_dev, running.st_ino)
        {
            return 1;
        }
        path.truncate(path.len() - DELETED.len());
        0
    }
}

/// `PID (NAME) STATE PPID PGRP …`: a name may hold anything, so the fields begin after the last `)`.
fn from_stat(content: &[u8], boot_time: Option<i64>, rows: &mut RowBuffer) -> Option<()> {
    let end_of_name = content.iter().rposition(|&byte| byte == b')')?;
    let mut fields = content.get(end_of_name + 2..)?.split(|&byte| byte == b' ');
    rows.text(STATE, fields.next()?);
    let mut place = 0;
    for field in fields {
        place += 1;
        let Some(value) = integer(field) else { continue };
        match place {
            1 => rows.integer(PARENT, value),
            2 => rows.integer(PGROUP, value),
            11 => rows.integer(USER_TIME, value * (1000 / TICKS_PER_SECOND)),
            12 => rows.integer(SYSTEM_TIME, value * (1000 / TICKS_PER_SECOND)),
            16 => rows.integer(NICE, value),
            17 => rows.integer(THREADS, value),
            19 => {
                rows.integer(
                    START_TIME,
                    boot_time.map_or(-1, |boot| boot + value / TICKS_PER_SECOND),
                );
                return Some(());
            }
            _ => {}
        }
    }
    None
}

fn from_status(content: &[u8], rows: &mut RowBuffer) {
    for line in content.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let value = &line[colon + 1..];
        match &line[..colon] {
            b"Name" => rows.text(NAME, value.trim_ascii()),
            b"Uid" => identities(value, [UID, EUID, SUID], rows),
            b"Gid" => identities(value, [GID, EGID, SGID], rows),
            b"VmSize" => {
                if let Some(bytes) = kibibytes(value) {
                    rows.integer(TOTAL_SIZE, bytes);
                }
            }
            b"VmRSS" => {
                if let Some(bytes) = kibibytes(value) {
                    rows.integer(RESIDENT_SIZE, bytes);
                }
                // The last of the lines that are wanted.
                return;
            }
            _ => {}
        }
    }
}

/// Real, effective and saved ids, tab-separated.
fn identities(value: &[u8], columns: [usize; 3], rows: &mut RowBuffer) {
    let ids = value
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty());
    for (column, id) in columns.into_iter().zip(ids) {
        if let Some(id) = integer(id) {
            rows.integer(column, id);
        }
    }
}

fn kibibytes(value: &[u8]) -> Option<i64> {
    Some(integer(value.trim_ascii().strip_suffix(b" kB")?)? * 1024)
}

fn from_io(content: &[u8], rows: &mut RowBuffer) {
    let (mut written, mut cancelled) = (None, 0);
    for line in content.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let Some(value) = integer(line[colon + 1..].trim_ascii()) else {
            continue;
        };
        match &line[..colon] {
            b"read_bytes" => rows.integer(DISK_BYTES_READ, value),
            b"write_bytes" => written = Some(value),
            b"cancelled_write_bytes" => cancelled = value,
            _ => {}
        }
    }
    if let Some(written) = written {
        rows.integer(DISK_BYTES_WRITTEN, written - cancelled);
    }
}

/// The path on the first line of `/proc/PID/cgroup`: `ID:CONTROLLERS:PATH`.
fn cgroup_path(content: &[u8]) -> &[u8] {
    let line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.splitn(3, |&byte| byte == b':').nth(2).unwrap_or_default()
}

/// When the machine was started, in seconds since the epoch. Read once: a value computed anew for each scan would jump by
/// a second now and then, and every process would look changed.
fn boot_time(proc: &ProcFs) -> Option<i64> {
    static BOOT_TIME: OnceLock<Option<i64>> = OnceLock::new();
    *BOOT_TIME.get_or_init(|| {
        let mut reader = proc.reader();
        let content = reader.read_global("stat").ok()?;
        content
            .split(|&byte| byte == b'\n')
            .find_map(|line| integer(line.strip_prefix(b"btime ")?))
    })
}

fn integer(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
