//! `cpu_info`: the processors, one row a socket, as the kernel knows them.

use std::collections::BTreeSet;

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    DEVICE_ID "device_id" Text,
    MODEL "model" Text,
    MANUFACTURER "manufacturer" Text,
    PROCESSOR_TYPE "processor_type" Text,
    CPU_STATUS "cpu_status" Integer,
    NUMBER_OF_CORES "number_of_cores" Text,
    LOGICAL_PROCESSORS "logical_processors" Integer,
    ADDRESS_WIDTH "address_width" Text,
    CURRENT_CLOCK_SPEED "current_clock_speed" Integer,
    MAX_CLOCK_SPEED "max_clock_speed" Integer,
    SOCKET_DESIGNATION "socket_designation" Text,
    _AVAILABILITY "availability" Text hidden,
    _NUMBER_OF_EFFICIENCY_CORES "number_of_efficiency_cores" Integer hidden,
    _NUMBER_OF_PERFORMANCE_CORES "number_of_performance_cores" Integer hidden,
}

table! { CpuInfo "cpu_info" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let text = text_file::text(&machine.path("/proc/cpuinfo"));
    let mut sockets = BTreeSet::new();
    for core in text_file::stanzas(&text) {
        let field = |name: &str| text_file::field(&core, name);
        let socket = field("physical id");
        // What is no processor has no number; further cores of a socket say the same.
        if field("processor").is_empty() || !sockets.insert(socket.to_owned()) {
            continue;
        }
        rows.start_row();
        for (column, value) in [
            (DEVICE_ID, socket),
            (SOCKET_DESIGNATION, socket),
            (MODEL, field("model name")),
            (MANUFACTURER, field("vendor_id")),
            (NUMBER_OF_CORES, field("cpu cores")),
        ] {
            rows.text(column, value);
        }
        // `39 bits physical, 48 bits virtual`
        let virtual_bits = field("address sizes").split(", ").nth(1);
        rows.text(
            ADDRESS_WIDTH,
            virtual_bits
                .and_then(|bits| bits.split(' ').next())
                .unwrap_or_default(),
        );
        if let Ok(siblings) = field("siblings").parse() {
            rows.integer(LOGICAL_PROCESSORS, siblings);
        }
        if let Some(megahertz) = field("cpu MHz")
            .split('.')
            .next()
            .and_then(|mhz| mhz.parse().ok())
        {
            rows.integer(CURRENT_CLOCK_SPEED, megahertz);
        }
        let number = field("processor");
        let limit = format!("/sys/devices/system/cpu/cpu{number}/cpufreq/cpuinfo_max_freq");
        if let Ok(kilohertz) = text_file::line(&machine.path(&limit)).parse::<i64>() {
            rows.integer(MAX_CLOCK_SPEED, kilohertz / 1000);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn a_socket_is_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let core = |number: u32, socket: u32| {
            format!(
                "processor\t: {number}\nvendor_id\t: GenuineIntel\nmodel name\t: Fast CPU\ncpu MHz\t\t: 2400.123\nphysical id\t: {socket}\nsiblings\t: 2\ncpu cores\t: 1\naddress sizes\t: 39 bits physical, 48 bits virtual\n\n"
            )
        };
        let text: String = [(0, 0), (1, 0), (2, 1)]
            .map(|(number, socket)| core(number, socket))
            .concat();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/proc/cpuinfo", &text),
                (
                    "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
                    "3600000\n",
                ),
            ],
        );
        assert_eq!(
            database.values(
                "device_id,model,manufacturer,number_of_cores,logical_processors,address_width,current_clock_speed,max_clock_speed,socket_designation",
                "cpu_info"
            ),
            [
                "0|Fast CPU|GenuineIntel|1|2|48|2400|3600|0",
                "1|Fast CPU|GenuineIntel|1|2|48|2400||1"
            ]
        );
    }
}
