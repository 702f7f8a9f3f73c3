//! `dns_resolvers`: the name servers and search domains of `/etc/resolv.conf`.

use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    ID "id" Integer,
    TYPE "type" Text,
    ADDRESS "address" Text,
    NETMASK "netmask" Text,
    OPTIONS "options" BigInt,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
}

table! { DnsResolvers "dns_resolvers" fill }

/// The C library's options before the file says anything: initialised, recursive, default names, domain search.
const DEFAULT_OPTIONS: i64 = 0x2c1;
/// The bits of the file's own, from the C library's `resolv.h`.
const OPTIONS_BY_NAME: [(&str, i64); 5] = [
    ("debug", 0x2),
    ("rotate", 0x4000),
    ("edns0", 0x0010_0000),
    ("single-request", 0x0020_0000),
    ("use-vc", 0x8),
];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        let text = text_file::text(&namespace.path("/etc/resolv.conf"));
        let lines: Vec<Vec<&str>> = text_file::lines(&text)
            .filter(|line| !line.starts_with(';'))
            .map(|line| line.split_whitespace().collect())
            .collect();
        let of = |keyword: &'static str| {
            let lines = lines.iter().filter(move |words| words[0] == keyword);
            lines.flat_map(|words| words[1..].iter().copied())
        };
        let known = |option: &str| OPTIONS_BY_NAME.iter().find(|(name, _)| *name == option);
        let options = of("options")
            .filter_map(known)
            .fold(DEFAULT_OPTIONS, |options, (_, bit)| options | bit);
        for (kind, netmask) in [("nameserver", "32"), ("sortlist", ""), ("search", "")] {
            for (id, address) in (0..).zip(of(kind)) {
                rows.start_row();
                rows.integer(ID, id);
                rows.text(TYPE, kind);
                rows.text(ADDRESS, address);
                rows.text(NETMASK, netmask);
                rows.integer(OPTIONS, options);
                namespace.fill(PID_WITH_NAMESPACE, None, rows);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn servers_and_domains() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[(
                "/etc/resolv.conf",
                "nameserver 10.0.0.2\nnameserver fd00::1\n; no\nsearch a.example b.example\noptions rotate ndots:2\n",
            )],
        );
        assert_eq!(
            database.values("id,type,address,netmask,options", "dns_resolvers"),
            [
                "0|nameserver|10.0.0.2|32|17089",
                "1|nameserver|fd00::1|32|17089",
                "0|search|a.example||17089",
                "1|search|b.example||17089"
            ]
        );
    }
}
