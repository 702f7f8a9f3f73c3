//! Who this host is: its name, its UUID, and the agent's own id.

use std::fs;

use crate::flags::Flags;
use crate::result_store::{ResultStore, StoreError};

const INSTANCE_KEY: &str = "instance_id";
const UUID_KEY: &str = "host_uuid";

/// What the lines and tables say about this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) hostname: String,
    pub(crate) host_uuid: String,
    /// Stays the same as long as the agent's database does.
    pub(crate) instance_id: String,
    /// New at every start.
    pub(crate) ephemeral_id: String,
}

impl Identity {
    pub(crate) fn read(store: &ResultStore) -> Result<Self, StoreError> {
        let kept = |key: &str, fresh: &dyn Fn() -> String| match store.setting(key)? {
            Some(value) => Ok(value),
            None => {
                let value = fresh();
                store.set_setting(key, &value)?;
                Ok(value)
            }
        };
        let host_uuid = match hardware_uuid() {
            Some(uuid) => uuid,
            None => kept(UUID_KEY, &random_uuid)?,
        };
        Ok(Self {
            hostname: hostname(),
            host_uuid,
            instance_id: kept(INSTANCE_KEY, &random_uuid)?,
            ephemeral_id: random_uuid(),
        })
    }

    /// The `hostIdentifier` of a line.
    pub(crate) fn host_identifier(&self, flags: &Flags) -> String {
        match flags.host_identifier.as_str() {
            "uuid" => self.host_uuid.clone(),
            "instance" => self.instance_id.clone(),
            "ephemeral" => self.ephemeral_id.clone(),
            "specified" if !flags.specified_identifier.is_empty() => flags.specified_identifier.clone(),
            // Anything else is the host name in osquery, too.
            _ => self.hostname.clone(),
        }
    }
}

pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The machine's UUID in the firmware, which only root may read, unless it is one of the usual placeholders.
fn hardware_uuid() -> Option<String> {
    let uuid = fs::read_to_string("/sys/class/dmi/id/product_uuid")
        .ok()?
        .trim()
        .to_ascii_uppercase();
    let digits = || uuid.bytes().filter(u8::is_ascii_hexdigit);
    let placeholder = digits().all(|digit| digit == b'0') || digits().all(|digit| digit == b'F');
    (uuid.len() == 36 && !placeholder).then_some(uuid)
}

fn random_uuid() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid")
        .map(|uuid| uuid.trim().to_owned())
        .unwrap_or_else(|_| {
            // Without the kernel's source, what is unique here: this process at this moment.
            format!(
                "{}-{}",
                std::process::id(),
                jiff::Timestamp::now().as_nanosecond()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_identifier() {
        let store = ResultStore::in_memory().unwrap();
        let identity = Identity::read(&store).unwrap();
        let again = Identity::read(&store).unwrap();
        assert_eq!(
            (&identity.instance_id, &identity.host_uuid),
            (&again.instance_id, &again.host_uuid)
        );
        assert_ne!(identity.ephemeral_id, again.ephemeral_id);
        let with = |kind: &str| {
            let flags = Flags {
                host_identifier: kind.into(),
                specified_identifier: "host7".into(),
                ..Flags::default()
            };
            identity.host_identifier(&flags)
        };
        assert_eq!(with("hostname"), hostname());
        assert_eq!(with("uuid"), identity.host_uuid);
        assert_eq!(with("instance"), identity.instance_id);
        assert_eq!(with("ephemeral"), identity.ephemeral_id);
        assert_eq!(with("specified"), "host7");
        assert_eq!(with("nonsense"), hostname());
    }
}
