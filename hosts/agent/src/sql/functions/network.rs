//! `in_cidr_block(block, address)` and `community_id_v1(source, destination, source port, destination port, protocol[,
//! seed])`, the flow hash of <https://github.com/corelight/community-id-spec>.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use rusqlite::functions::Context;
use sha1::{Digest as _, Sha1};

use super::{Answer, PURE, text};

pub(super) fn register(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.create_scalar_function("in_cidr_block", 2, PURE, |context| {
        let (Some(block), Some(address)) = (text(context, 0), text(context, 1)) else {
            return Ok(None);
        };
        match in_block(&block, &address) {
            Some(is_inside) => Ok(Some(i64::from(is_inside))),
            None => Err(rusqlite::Error::UserFunctionError(
                format!("Invalid CIDR block or address: {block} {address}").into(),
            )),
        }
    })?;
    for arguments in [5, 6] {
        connection.create_scalar_function("community_id_v1", arguments, PURE, community_id)?;
    }
    Ok(())
}

fn in_block(block: &str, address: &str) -> Option<bool> {
    let (network, length) = block.split_once('/')?;
    let (network, address): (IpAddr, IpAddr) = (network.trim().parse().ok()?, address.trim().parse().ok()?);
    let length: u32 = length.trim().parse().ok()?;
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            Some((network.to_bits() ^ address.to_bits()) & mask == 0)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            Some((network.to_bits() ^ address.to_bits()) & mask == 0)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Some(false),
        _ => None,
    }
}

fn community_id(context: &mut Context<'_>) -> Answer {
    let address = |index| text(context, index).and_then(|text| text.trim().parse::<IpAddr>().ok());
    let number = |index| text(context, index).and_then(|text| text.trim().parse::<u16>().ok());
    let seed = if context.len() > 5 { number(5) } else { Some(0) };
    let protocol = number(4).and_then(|protocol| u8::try_from(protocol).ok());
    let (Some(source), Some(target), Some(source_port), Some(target_port), Some(protocol), Some(seed)) =
        (address(0), address(1), number(2), number(3), protocol, seed)
    else {
        return Ok(None);
    };
    Ok(Some(flow_hash(
        (source, source_port),
        (target, target_port),
        protocol,
        seed,
    )))
}

fn flow_hash(source: (IpAddr, u16), target: (IpAddr, u16), protocol: u8, seed: u16) -> String {
    let bytes = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    // Both directions of a flow are one.
    let (source, target) = ((bytes(source.0), source.1), (bytes(target.0), target.1));
    let (first, second) = if source <= target {
        (source, target)
    } else {
        (target, source)
    };
    let mut digest = Sha1::new();
    digest.update(seed.to_be_bytes());
    digest.update(&first.0);
    digest.update(&second.0);
    digest.update([protocol, 0]);
    digest.update(first.1.to_be_bytes());
    digest.update(second.1.to_be_bytes());
    format!("1:{}", STANDARD.encode(digest.finalize()))
}
