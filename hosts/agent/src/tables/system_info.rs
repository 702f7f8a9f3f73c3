//! `system_info`: the machine's name, processor and memory. What only root may read is left empty for others.

use std::collections::HashSet;
use std::sync::Arc;

use super::Machine;
use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    HOSTNAME "hostname" Text,
    UUID "uuid" Text ignore_case,
    CPU_TYPE "cpu_type" Text,
    CPU_SUBTYPE "cpu_subtype" Text,
    CPU_BRAND "cpu_brand" Text,
    CPU_PHYSICAL_CORES "cpu_physical_cores" Integer,
    CPU_LOGICAL_CORES "cpu_logical_cores" Integer,
    CPU_SOCKETS "cpu_sockets" Integer,
    CPU_MICROCODE "cpu_microcode" Text,
    PHYSICAL_MEMORY "physical_memory" BigInt,
    HARDWARE_VENDOR "hardware_vendor" Text,
    HARDWARE_MODEL "hardware_model" Text,
    HARDWARE_VERSION "hardware_version" Text,
    HARDWARE_SERIAL "hardware_serial" Text,
    BOARD_VENDOR "board_vendor" Text,
    BOARD_MODEL "board_model" Text,
    BOARD_VERSION "board_version" Text,
    BOARD_SERIAL "board_serial" Text,
    COMPUTER_NAME "computer_name" Text,
    LOCAL_HOSTNAME "local_hostname" Text,
    _EMULATED_CPU_TYPE "emulated_cpu_type" Text hidden,
}

/// The firmware's own words, one file each.
const FIRMWARE: [(usize, &str); 8] = [
    (HARDWARE_VENDOR, "sys_vendor"),
    (HARDWARE_MODEL, "product_name"),
    (HARDWARE_VERSION, "product_version"),
    (HARDWARE_SERIAL, "product_serial"),
    (BOARD_VENDOR, "board_vendor"),
    (BOARD_MODEL, "board_name"),
    (BOARD_VERSION, "board_version"),
    (BOARD_SERIAL, "board_serial"),
];

pub(crate) struct SystemInfo(pub(crate) Arc<Machine>);

impl Table for SystemInfo {
    fn name(&self) -> &'static str {
        "system_info"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let names = rustix::system::uname();
        rows.start_row();
        for column in [HOSTNAME, COMPUTER_NAME, LOCAL_HOSTNAME] {
            rows.text(column, names.nodename().to_bytes());
        }
        rows.text(UUID, &self.0.agent.read().host_uuid);
        rows.text(CPU_TYPE, names.machine().to_bytes());
        let processor = scan.uses_any(&[
            CPU_SUBTYPE,
            CPU_BRAND,
            CPU_PHYSICAL_CORES,
            CPU_LOGICAL_CORES,
            CPU_SOCKETS,
            CPU_MICROCODE,
        ]);
        if processor && let Ok(content) = std::fs::read_to_string("/proc/cpuinfo") {
            processor_of(&content, rows);
        }
        let memory = rustix::system::sysinfo();
        #[allow(
            clippy::useless_conversion,
            reason = "the kernel's word is narrower on 32-bit machines"
        )]
        let bytes = u64::from(memory.totalram) * u64::from(memory.mem_unit);
        rows.integer(PHYSICAL_MEMORY, i64::try_from(bytes).unwrap_or(i64::MAX));
        for (column, file) in FIRMWARE {
            if scan.uses(column) {
                let content =
                    std::fs::read_to_string(format!("/sys/class/dmi/id/{file}")).unwrap_or_default();
                rows.text(column, content.trim());
            }
        }
        Ok(())
    }
}

fn processor_of(cpuinfo: &str, rows: &mut RowBuffer) {
    let (mut logical, mut sockets, mut cores) = (0, HashSet::new(), HashSet::new());
    let mut socket = "";
    for line in cpuinfo.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "processor" => {
                logical += 1;
                socket = "";
            }
            "physical id" => {
                socket = value;
                sockets.insert(value);
            }
            "core id" => {
                cores.insert((socket, value));
            }
            _ if logical > 1 => {}
            "model name" => rows.text(CPU_BRAND, value),
            "model" => rows.text(CPU_SUBTYPE, value),
            "microcode" => rows.text(CPU_MICROCODE, value),
            _ => {}
        }
    }
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    rows.integer(CPU_LOGICAL_CORES, logical);
    // Machines whose kernel tells no topology have, as far as anyone can say, one core for each processor.
    rows.integer(
        CPU_PHYSICAL_CORES,
        if cores.is_empty() {
            logical
        } else {
            count(cores.len())
        },
    );
    rows.integer(CPU_SOCKETS, count(sockets.len().max(1)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::CellValue;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn cores_of_several_sockets_are_told_apart() {
        let entry = |processor, socket, core| {
            format!(
                "processor\t: {processor}\nmodel\t\t: 85\nmodel name\t: Chip @ 2 GHz\nphysical id\t: {socket}\ncore id\t\t: {core}\n\n"
            )
        };
        let cpuinfo = [entry(0, 0, 0), entry(1, 0, 0), entry(2, 1, 0), entry(3, 1, 1)].concat();
        let mut rows = RowBuffer::new(COLUMNS.len());
        rows.start_row();
        processor_of(&cpuinfo, &mut rows);
        assert_eq!(rows.value(0, CPU_LOGICAL_CORES), CellValue::Integer(4));
        assert_eq!(rows.value(0, CPU_PHYSICAL_CORES), CellValue::Integer(3));
        assert_eq!(rows.value(0, CPU_SOCKETS), CellValue::Integer(2));
        assert_eq!(rows.value(0, CPU_BRAND), CellValue::Text(b"Chip @ 2 GHz"));
        assert_eq!(rows.value(0, CPU_SUBTYPE), CellValue::Text(b"85"));
    }

    #[test]
    fn this_machine_has_a_name_and_memory() {
        let rows = TestDatabase::open().rows("select * from system_info");
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(rows[0]["hostname"], hostname.trim());
        assert!(rows[0]["physical_memory"].parse::<u64>().unwrap() > 1 << 20);
        assert!(rows[0]["cpu_logical_cores"].parse::<usize>().unwrap() > 0);
    }
}
