//! `interface_addresses`: the addresses of the network interfaces, asked of the kernel over rtnetlink.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::sql::{Column, RowBuffer, Scan, Table, TableError, columns};

columns! {
    INTERFACE "interface" Text,
    ADDRESS "address" Text,
    MASK "mask" Text,
    BROADCAST "broadcast" Text,
    POINT_TO_POINT "point_to_point" Text,
    TYPE "type" Text,
    _FRIENDLY_NAME "friendly_name" Text hidden,
}

// Numbers of linux/netlink.h, linux/rtnetlink.h and linux/if_addr.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const HEADER_LENGTH: usize = 16;
const ADDRESS_HEADER_LENGTH: usize = 8;
const ATTRIBUTE_HEADER_LENGTH: usize = 4;

pub(crate) struct InterfaceAddresses;

/// One address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    interface: u32,
    prefix: u8,
    local: IpAddr,
    peer: Option<IpAddr>,
    broadcast: Option<IpAddr>,
}

impl Table for InterfaceAddresses {
    fn name(&self) -> &'static str {
        "interface_addresses"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn rows(&self, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
        let object = "the kernel's interface addresses";
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(io::Error::from)
        .map_err(TableError::reading(object))?;
        for address in dump(&socket).map_err(TableError::reading(object))? {
            let name = rustix::net::netdevice::index_to_name(&socket, address.interface)
                .unwrap_or_else(|_| address.interface.to_string());
            rows.start_row();
            rows.text(INTERFACE, &name);
            match address.local {
                IpAddr::V6(local) if local.is_unicast_link_local() => {
                    rows.display(ADDRESS, format_args!("{local}%{name}"));
                }
                local => rows.display(ADDRESS, local),
            }
            rows.display(MASK, mask(address.local, address.prefix));
            for (column, other) in [(BROADCAST, address.broadcast), (POINT_TO_POINT, address.peer)] {
                match other {
                    Some(other) => rows.display(column, other),
                    None => rows.text(column, ""),
                }
            }
            // Whether DHCP set it is not the kernel's to know; osquery says so too.
            rows.text(TYPE, "unknown");
        }
        Ok(())
    }
}

fn dump(socket: &OwnedFd) -> io::Result<Vec<Address>> {
    let mut request = [0; HEADER_LENGTH + ADDRESS_HEADER_LENGTH];
    let length = u32::try_from(request.len()).unwrap_or_default();
    request[0..4].copy_from_slice(&length.to_ne_bytes());
    request[4..6].copy_from_slice(&RTM_GETADDR.to_ne_bytes());
    request[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    rustix::net::sendto(
        socket,
        &request,
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    let mut addresses = Vec::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (length, _) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..length];
        while let Some((kind, body, after)) = message(rest) {
            match kind {
                NLMSG_DONE => return Ok(addresses),
                NLMSG_ERROR => return Err(io::Error::other("the kernel refused the request")),
                RTM_NEWADDR => addresses.extend(address(body)),
                _ => {}
            }
            rest = after;
        }
        if length == 0 {
            return Ok(addresses);
        }
    }
}

/// One message: its kind, its body, and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(bytes.get(0..4)?.try_into().ok()?)).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER_LENGTH..length)?;
    Some((kind, body, bytes.get(aligned(length)..).unwrap_or_default()))
}

fn address(body: &[u8]) -> Option<Address> {
    let prefix = *body.get(1)?;
    let interface = u32::from_ne_bytes(body.get(4..8)?.try_into().ok()?);
    let (mut end, mut local, mut broadcast) = (None, None, None);
    let mut rest = &body[ADDRESS_HEADER_LENGTH..];
    while let (Some(length), Some(kind)) = (rest.get(0..2), rest.get(2..4)) {
        let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
        let Some(value) = rest.get(ATTRIBUTE_HEADER_LENGTH..length) else {
            break;
        };
        match u16::from_ne_bytes([kind[0], kind[1]]) {
            IFA_ADDRESS => end = ip(value),
            IFA_LOCAL => local = ip(value),
            IFA_BROADCAST => broadcast = ip(value),
            _ => {}
        }
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    // On a point-to-point link the "address" is the other end; elsewhere both are the same, and IPv6 leaves one out.
    let own = local.or(end)?;
    Some(Address {
        interface,
        prefix,
        local: own,
        peer: end.filter(|&end| end != own),
        broadcast,
    })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into())
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::from(
            u32::MAX
                .checked_shl(32_u32.saturating_sub(prefix.into()))
                .unwrap_or(0),
        )
        .into(),
        IpAddr::V6(_) => Ipv6Addr::from(
            u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix.into()))
                .unwrap_or(0),
        )
        .into(),
    }
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn the_loopback_interface_has_its_address() {
        let database = TestDatabase::open();
        let rows = database.rows("select * from interface_addresses where address = '127.0.0.1'");
        assert_eq!(
            (rows[0]["interface"].as_str(), rows[0]["mask"].as_str()),
            ("lo", "255.0.0.0")
        );
    }

    #[test]
    fn masks_of_every_length() {
        assert_eq!(mask([10, 0, 0, 1].into(), 0).to_string(), "0.0.0.0");
        assert_eq!(mask([10, 0, 0, 1].into(), 20).to_string(), "255.255.240.0");
        assert_eq!(mask([10, 0, 0, 1].into(), 32).to_string(), "255.255.255.255");
        assert_eq!(
            mask(Ipv6Addr::LOCALHOST.into(), 64).to_string(),
            "ffff:ffff:ffff:ffff::"
        );
        assert_eq!(
            mask(Ipv6Addr::LOCALHOST.into(), 200).to_string(),
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        );
    }

    proptest! {
        #[test]
        fn no_message_can_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            if let Some((_, body, _)) = message(&bytes) {
                address(body);
            }
            address(&bytes);
        }
    }
}
