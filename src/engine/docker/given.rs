//! What containers are given before they start, because it may hold secrets: in no image, no variable and no argument.

use super::Setup;
use crate::client_properties::{Portable, portable};
use crate::host_config;
use crate::plan::{CLIENT_FOLDER, ServiceSpec};
use crate::stack::Properties;
use crate::tar::TarArchive;

/// Where a host's extension finds its configuration.
const HOST_CONFIG_PATH: &str = "etc/osquery/osquery_confluent_config.json";

/// The user as whom our services run in their image (`platform/image/Dockerfile`).
const SERVICE_USER: u64 = 10_001;

/// Files, and the folder that they are put into.
pub(super) struct Given {
    pub(super) folder: String,
    pub(super) files: TarArchive,
}

/// Its configuration. Only root may read it, as whom osqueryd runs.
pub(super) fn to_host(broker: &str, setup: Option<&Setup>) -> Given {
    let mut files = TarArchive::default();
    let client = setup.and_then(|setup| setup.client.as_ref());
    let kafka = client.map_or_else(Properties::default, |client| client.within(CLIENT_FOLDER).kafka);
    let text = host_config::text_for(
        setup.and_then(|setup| setup.host_config.as_ref()),
        broker,
        &kafka,
        setup.and_then(|setup| setup.registry.as_ref()),
    );
    files.append(HOST_CONFIG_PATH, 0o600, 0, text.as_bytes());
    for (name, bytes) in client.iter().flat_map(|client| client.files()) {
        let path = format!("{}/{name}", CLIENT_FOLDER.trim_start_matches('/'));
        files.append(&path, 0o600, 0, bytes);
    }
    let folder = "/".to_owned();
    Given { folder, files }
}

/// How Kafka, and what is beside it, is reached, where the service is told to find that there.
pub(super) fn to_client(spec: &ServiceSpec, client: &Portable) -> Option<Given> {
    let volumes = &spec.container.as_ref()?.volumes;
    volumes.iter().find(|mount| mount.target == CLIENT_FOLDER)?;
    let mut files = TarArchive::default();
    let text = client.within(CLIENT_FOLDER).to_text();
    files.append_of(SERVICE_USER, portable::FILE, 0o400, 0, text.as_bytes());
    for (name, bytes) in client.files() {
        files.append_of(SERVICE_USER, &name, 0o400, 0, bytes);
    }
    let folder = CLIENT_FOLDER.to_owned();
    Some(Given { folder, files })
}
