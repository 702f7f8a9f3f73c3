//! The records of the login accounting files, `utmp` and `wtmp`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The size of the C library's `struct utmpx` on Linux, the same on 32 and 64 bits.
const RECORD_LENGTH: usize = 384;

/// One record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'file> {
    /// What it is about, as `utmp.h` numbers it.
    pub(super) kind: usize,
    pub(super) pid: i64,
    pub(super) line: &'file [u8],
    pub(super) user: &'file [u8],
    pub(super) host: &'file [u8],
    pub(super) time: i64,
    pub(super) address: Option<IpAddr>,
}

/// The whole records of a file.
pub(super) fn records(content: &[u8]) -> impl Iterator<Item = Record<'_>> {
    content.as_chunks::<RECORD_LENGTH>().0.iter().map(read)
}

/// `type(2) padding(2) pid(4) line(32) id(4) user(32) host(256) exit(4) session(4) seconds(4) microseconds(4) address(16)`
fn read(record: &[u8; RECORD_LENGTH]) -> Record<'_> {
    let number = |at: usize| i32::from_ne_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
    Record {
        kind: usize::from(u16::from_ne_bytes([record[0], record[1]])),
        pid: i64::from(number(4)),
        line: until_zero(&record[8..40]),
        user: until_zero(&record[44..76]),
        host: until_zero(&record[76..332]),
        time: i64::from(number(340)),
        address: address(record),
    }
}

fn address(record: &[u8; RECORD_LENGTH]) -> Option<IpAddr> {
    let bytes: [u8; 16] = record[348..364].try_into().ok()?;
    match bytes {
        [0, 0, 0, 0, ..] if bytes == [0; 16] => None,
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => Some(Ipv4Addr::new(a, b, c, d).into()),
        _ => Some(Ipv6Addr::from(bytes).into()),
    }
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The bytes of a login of `jay` at `pts/0`.
#[cfg(test)]
pub(super) fn for_tests(kind: u16, address: &str) -> Vec<u8> {
    let mut record = vec![0; RECORD_LENGTH];
    record[0..2].copy_from_slice(&kind.to_ne_bytes());
    record[4..8].copy_from_slice(&4711_i32.to_ne_bytes());
    record[8..13].copy_from_slice(b"pts/0");
    record[44..47].copy_from_slice(b"jay");
    record[340..344].copy_from_slice(&1_795_495_590_i32.to_ne_bytes());
    let address: Ipv4Addr = address.parse().unwrap();
    record[348..352].copy_from_slice(&address.octets());
    record
}
