//! Where a project's links are: each keeps its port for as long as it is there.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use crate::error::Result;
use crate::link::LinkError;
use crate::link::between::{self, Linked, name_of};
use crate::plan::{Observed, ServiceSpec};
use crate::stack::ServiceName;
use crate::state::ProjectFolder;

/// The services with a link before each of these that talks to the stack's own broker; nothing where there is no such
/// broker among the processes.
///
/// # Errors
/// When no port is free.
pub fn linked<'a>(
    folder: &ProjectFolder,
    desired: &[ServiceSpec],
    observed: &Observed,
    services: impl IntoIterator<Item = &'a ServiceName>,
) -> Result<Option<Linked>> {
    let mut places = BTreeMap::new();
    // Kept until all are found, so that none is found twice.
    let mut reserved = Vec::new();
    for service in services {
        let link = name_of(service);
        let port = match observed.services.get(&link).and_then(|seen| seen.port) {
            Some(port) => port,
            None => {
                let failed = |source| LinkError::Listen {
                    address: "127.0.0.1".to_owned(),
                    source,
                };
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
                let port = listener.local_addr().map_err(failed)?.port();
                reserved.push(listener);
                port
            }
        };
        let control = folder.socket(&format!("{link}.sock"))?;
        places.insert(service.clone(), (port, control));
    }
    Ok(between::put(desired, &places))
}
