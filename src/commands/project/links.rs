//! Where a project's links are: each keeps its port for as long as it is there.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::link::insertion::{self, Linked, name_of};
use crate::plan::{Observed, ServiceSpec};
use crate::ports::{self, FreePorts};
use crate::stack::ServiceName;
use crate::state::ProjectFolder;

/// The services with a link before each of these that talks to the stack's own broker, and the ports that were picked for
/// links, to be kept until these listen; nothing where there is no such broker among the processes.
///
/// # Errors
/// When no port is free.
pub fn linked<'a>(
    folder: &ProjectFolder,
    desired: &[ServiceSpec],
    observed: &Observed,
    services: impl IntoIterator<Item = &'a ServiceName>,
) -> Result<Option<(Linked, FreePorts)>> {
    let mut places = BTreeMap::new();
    let mut picked = FreePorts::default();
    for service in services {
        let link = name_of(service);
        let earlier = observed.services.get(&link).and_then(|seen| seen.port);
        let port = match earlier.filter(|port| ports::is_ours(observed, *port)) {
            Some(port) => port,
            None => picked.pick(folder, &link, |port| {
                let is_of = |spec: &ServiceSpec| spec.port == Some(port);
                desired.iter().any(is_of) || ports::is_ours(observed, port)
            })?,
        };
        let control = folder.socket(&format!("{link}.sock"))?;
        places.insert(service.clone(), (port, control));
    }
    Ok(insertion::put(desired, &places).map(|linked| (linked, picked)))
}
