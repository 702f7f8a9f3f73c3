//! `interface_details`: what the kernel counts of each network interface.

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    INTERFACE "interface" Text,
    MAC "mac" Text,
    TYPE "type" Integer,
    MTU "mtu" Integer,
    METRIC "metric" Integer,
    FLAGS "flags" Integer,
    IPACKETS "ipackets" BigInt,
    OPACKETS "opackets" BigInt,
    IBYTES "ibytes" BigInt,
    OBYTES "obytes" BigInt,
    IERRORS "ierrors" BigInt,
    OERRORS "oerrors" BigInt,
    IDROPS "idrops" BigInt,
    ODROPS "odrops" BigInt,
    COLLISIONS "collisions" BigInt,
    LAST_CHANGE "last_change" BigInt,
    LINK_SPEED "link_speed" BigInt,
    PCI_SLOT "pci_slot" Text,
    _FRIENDLY_NAME "friendly_name" Text hidden,
    _DESCRIPTION "description" Text hidden,
    _MANUFACTURER "manufacturer" Text hidden,
    _CONNECTION_ID "connection_id" Text hidden,
    _CONNECTION_STATUS "connection_status" Text hidden,
    _ENABLED "enabled" Integer hidden,
    _PHYSICAL_ADAPTER "physical_adapter" Integer hidden,
    _SPEED "speed" Integer hidden,
    _SERVICE "service" Text hidden,
    _DHCP_ENABLED "dhcp_enabled" Integer hidden,
    _DHCP_LEASE_EXPIRES "dhcp_lease_expires" Text hidden,
    _DHCP_LEASE_OBTAINED "dhcp_lease_obtained" Text hidden,
    _DHCP_SERVER "dhcp_server" Text hidden,
    _DNS_DOMAIN "dns_domain" Text hidden,
    _DNS_DOMAIN_SUFFIX_SEARCH_ORDER "dns_domain_suffix_search_order" Text hidden,
    _DNS_HOST_NAME "dns_host_name" Text hidden,
    _DNS_SERVER_SEARCH_ORDER "dns_server_search_order" Text hidden,
}

table! { InterfaceDetails "interface_details" fill }

const INTERFACES: &str = "/sys/class/net";
/// Each column and its file below an interface's folder.
const NUMBERS: [(usize, &str); 12] = [
    (TYPE, "type"),
    (MTU, "mtu"),
    (IPACKETS, "statistics/rx_packets"),
    (OPACKETS, "statistics/tx_packets"),
    (IBYTES, "statistics/rx_bytes"),
    (OBYTES, "statistics/tx_bytes"),
    (IERRORS, "statistics/rx_errors"),
    (OERRORS, "statistics/tx_errors"),
    (IDROPS, "statistics/rx_dropped"),
    (ODROPS, "statistics/tx_dropped"),
    (COLLISIONS, "statistics/collisions"),
    (LINK_SPEED, "speed"),
];

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for interface in text_file::entries(&machine.path(INTERFACES)) {
        let line = |name: &str| text_file::line(&interface.join(name));
        // `bonding_masters` and its like are files.
        if !interface.is_dir() {
            continue;
        }
        rows.start_row();
        rows.text(
            INTERFACE,
            interface.file_name().unwrap_or_default().as_encoded_bytes(),
        );
        rows.text(MAC, line("address"));
        for (column, name) in NUMBERS {
            if let Ok(number) = line(name).parse() {
                rows.integer(column, number);
            }
        }
        if let Ok(flags) = i64::from_str_radix(line("flags").trim_start_matches("0x"), 16) {
            rows.integer(FLAGS, flags);
        }
        // Linux keeps no metric of an interface, and no time of its last change.
        rows.integer(METRIC, 0);
        rows.integer(LAST_CHANGE, -1);
        let device = std::fs::read_link(interface.join("device")).unwrap_or_default();
        rows.text(
            PCI_SLOT,
            device.file_name().unwrap_or_default().as_encoded_bytes(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn counters_are_those_of_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/sys/class/net/eth0/address", "02:00:00:00:00:01\n"),
                ("/sys/class/net/eth0/type", "1\n"),
                ("/sys/class/net/eth0/mtu", "1500\n"),
                ("/sys/class/net/eth0/flags", "0x1003\n"),
                ("/sys/class/net/eth0/statistics/rx_bytes", "77\n"),
                ("/sys/class/net/bonding_masters", ""),
            ],
        );
        assert_eq!(
            database.values(
                "interface,mac,type,mtu,metric,flags,ibytes,obytes,last_change",
                "interface_details"
            ),
            ["eth0|02:00:00:00:00:01|1|1500|0|4099|77||-1"]
        );
    }
}
