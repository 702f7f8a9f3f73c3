//! `process_memory_map`: the regions of the processes' memory, from `/proc/PID/maps`.

use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    PID "pid" Integer index,
    START "start" Text,
    END "end" Text,
    PERMISSIONS "permissions" Text,
    OFFSET "offset" BigInt,
    DEVICE "device" Text,
    INODE "inode" Integer,
    PATH "path" Text,
    PSEUDO "pseudo" Integer,
}

table! { ProcessMemoryMap "process_memory_map" fill }

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let mut reader = machine.proc.reader();
    let wanted = scan.integers(PID);
    let processes = reader
        .processes(wanted.as_deref())
        .map_err(TableError::reading("/proc"))?;
    for pid in processes {
        let Some(maps) = reader.read_list(pid, "maps") else {
            continue;
        };
        for line in maps.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            fill_line(pid, &String::from_utf8_lossy(line), rows);
        }
    }
    Ok(())
}

/// `start-end permissions offset device inode path`
fn fill_line(pid: i32, line: &str, rows: &mut RowBuffer) {
    let mut words = line.splitn(6, ' ');
    let (Some((start, end)), Some(permissions), Some(offset), Some(device), Some(inode)) = (
        words.next().and_then(|range| range.split_once('-')),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) else {
        return;
    };
    let path = words.next().unwrap_or_default().trim();
    rows.start_row();
    rows.integer(PID, i64::from(pid));
    rows.display(START, format_args!("0x{start}"));
    rows.display(END, format_args!("0x{end}"));
    rows.text(PERMISSIONS, permissions);
    rows.integer(OFFSET, i64::from_str_radix(offset, 16).unwrap_or(0));
    rows.text(DEVICE, device);
    rows.integer(INODE, inode.parse().unwrap_or(0));
    rows.text(PATH, path);
    rows.integer(PSEUDO, i64::from(inode == "0" && !path.is_empty()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::CellValue;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn a_line_is_taken_apart() {
        let mut rows = RowBuffer::new(COLUMNS.len());
        fill_line(
            7,
            "7f00-7f20 r-xp 00001000 08:01 1234                       /lib/a b.so",
            &mut rows,
        );
        fill_line(
            7,
            "8000-8010 rw-p 00000000 00:00 0                          [heap]",
            &mut rows,
        );
        fill_line(7, "cut off", &mut rows);
        assert_eq!(rows.rows(), 2);
        assert_eq!(rows.value(0, START), CellValue::Text(b"0x7f00"));
        assert_eq!(rows.value(0, OFFSET), CellValue::Integer(4096));
        assert_eq!(rows.value(0, PATH), CellValue::Text(b"/lib/a b.so"));
        assert_eq!(rows.value(0, PSEUDO), CellValue::Integer(0));
        assert_eq!(rows.value(1, PSEUDO), CellValue::Integer(1));
    }

    #[test]
    fn the_own_program_is_mapped() {
        let program = std::env::current_exe().unwrap();
        let rows = TestDatabase::open().values(
            "permissions",
            &format!(
                "process_memory_map where pid = {} and path = '{}'",
                std::process::id(),
                program.display()
            ),
        );
        assert!(rows.contains(&"r-xp".to_owned()), "{rows:?}");
    }
}
