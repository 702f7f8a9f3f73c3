//! `routes`: the routes of the main table, IPv4 and IPv6. Those of the local table (broadcast and the like) are not listed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    DESTINATION "destination" Text,
    NETMASK "netmask" Integer,
    GATEWAY "gateway" Text,
    SOURCE "source" Text,
    FLAGS "flags" Integer,
    INTERFACE "interface" Text,
    MTU "mtu" Integer,
    METRIC "metric" Integer,
    TYPE "type" Text additional,
    HOPCOUNT "hopcount" Integer,
}

table! { Routes "routes" fill }

/// The route goes through a gateway.
const GATEWAY_FLAG: i64 = 2;
/// The route is to an address of the machine itself.
const LOCAL_FLAG: i64 = 0x8000_0000;

/// A line of either file.
struct Route<'line> {
    destination: IpAddr,
    length: u32,
    gateway: IpAddr,
    flags: i64,
    metric: i64,
    mtu: i64,
    interface: &'line str,
}

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let (four, six) = (
        text_file::text(&machine.path("/proc/net/route")),
        text_file::text(&machine.path("/proc/net/ipv6_route")),
    );
    for route in four
        .lines()
        .skip(1)
        .filter_map(of_ipv4)
        .chain(six.lines().filter_map(of_ipv6))
    {
        rows.start_row();
        rows.display(DESTINATION, route.destination);
        rows.integer(NETMASK, i64::from(route.length));
        if route.flags & GATEWAY_FLAG == 0 {
            rows.text(GATEWAY, "");
        } else {
            rows.display(GATEWAY, route.gateway);
        }
        rows.text(SOURCE, "");
        rows.integer(FLAGS, route.flags);
        rows.text(INTERFACE, route.interface);
        rows.integer(MTU, route.mtu);
        rows.integer(METRIC, route.metric);
        rows.text(
            TYPE,
            if route.flags & LOCAL_FLAG == 0 {
                "gateway"
            } else {
                "local"
            },
        );
        rows.integer(HOPCOUNT, 0);
    }
    Ok(())
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT`, addresses in the byte order of the machine.
fn of_ipv4(line: &str) -> Option<Route<'_>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [
        interface,
        destination,
        gateway,
        flags,
        _,
        _,
        metric,
        mask,
        mtu,
        ..,
    ] = words[..]
    else {
        return None;
    };
    let number = |word: &str| u32::from_str_radix(word, 16).ok();
    let address = |word: &str| Some(Ipv4Addr::from(number(word)?.to_ne_bytes()));
    Some(Route {
        destination: address(destination)?.into(),
        length: number(mask)?.count_ones(),
        gateway: address(gateway)?.into(),
        flags: i64::from(number(flags)?),
        metric: metric.parse().ok()?,
        mtu: mtu.parse().ok()?,
        interface,
    })
}

/// `destination length source length next-hop metric references uses flags interface`, all hexadecimal.
fn of_ipv6(line: &str) -> Option<Route<'_>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [destination, length, _, _, gateway, metric, _, _, flags, interface] = words[..] else {
        return None;
    };
    let number = |word: &str| u32::from_str_radix(word, 16).ok();
    let address = |word: &str| u128::from_str_radix(word, 16).ok().map(Ipv6Addr::from);
    Some(Route {
        destination: address(destination)?.into(),
        length: number(length)?,
        gateway: address(gateway)?.into(),
        flags: i64::from(number(flags)?),
        metric: i64::from(number(metric)?),
        mtu: 0,
        interface,
    })
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn of_both_families() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/proc/net/route",
                    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\neth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\neth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t1400\t0\t0\n",
                ),
                (
                    "/proc/net/ipv6_route",
                    "00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001 lo\n",
                ),
            ],
        );
        assert_eq!(
            database.values(
                "destination,netmask,gateway,flags,interface,mtu,metric,type",
                "routes"
            ),
            [
                "0.0.0.0|0|10.0.0.1|3|eth0|0|100|gateway",
                "10.0.0.0|24||1|eth0|1400|0|gateway",
                "::1|128||2149580801|lo|0|0|local"
            ]
        );
    }
}
