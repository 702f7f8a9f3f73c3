//! Clocks of their own for the services of a project: from the services as they should be to those whose clock can be
//! stepped, and the files by which that is done. The machine's clock is left alone.

use std::fs;
use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::error::ChaosError;
use crate::link::insertion;
use crate::plan::ServiceSpec;
use crate::stack::ServiceName;
use crate::state::{ProjectFolder, StateError, private_folder};

/// The services as they should be, each but the links with a clock that is its own.
pub fn give(desired: &[ServiceSpec], folder: &ProjectFolder) -> Vec<ServiceSpec> {
    give_to(desired, folder, |_| true)
}

/// The same, where only some of them get one.
pub fn give_to(
    desired: &[ServiceSpec],
    folder: &ProjectFolder,
    is_meant: impl Fn(&ServiceName) -> bool,
) -> Vec<ServiceSpec> {
    let mut given = desired.to_vec();
    for spec in given
        .iter_mut()
        .filter(|spec| !insertion::is_link(&spec.name) && is_meant(&spec.name))
    {
        let clock = file(folder, &spec.name);
        let hash = Sha256::digest(format!("{}\n{}", spec.config_hash, clock.display()));
        spec.config_hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        spec.clock = Some(clock);
    }
    given
}

/// Makes every clock right: a program looks for its file once, so all are there before it starts.
///
/// # Errors
/// When a file cannot be written.
pub fn set_right(desired: &[ServiceSpec], folder: &ProjectFolder) -> crate::error::Result<()> {
    set(desired, folder, |_| 0)
}

/// Makes every clock wrong by so many milliseconds.
///
/// # Errors
/// When a file cannot be written.
pub fn set(
    desired: &[ServiceSpec],
    folder: &ProjectFolder,
    step_ms: impl Fn(&ServiceName) -> i64,
) -> crate::error::Result<()> {
    private_folder(&folder.clocks())?;
    for spec in desired {
        if let Some(clock) = &spec.clock {
            osqdemo_clock::step(clock, step_ms(&spec.name)).map_err(|source| ChaosError::Clock {
                service: spec.name.clone(),
                source,
            })?;
        }
    }
    Ok(())
}

/// Takes the files away.
///
/// # Errors
/// When they stay.
pub fn take_away(folder: &ProjectFolder) -> Result<(), StateError> {
    match fs::remove_dir_all(folder.clocks()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StateError::io("remove", &folder.clocks(), error))
        }
        _ => Ok(()),
    }
}

fn file(folder: &ProjectFolder, service: &ServiceName) -> PathBuf {
    folder.clocks().join(service.as_str())
}

/// A clock that is wrong, and right again when this is dropped, whatever happens.
pub struct Wrong(PathBuf);

impl Wrong {
    /// Steps the clock of a service.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn by(spec: &ServiceSpec, step_ms: i64) -> Result<Self, ChaosError> {
        let failed = |source| ChaosError::Clock {
            service: spec.name.clone(),
            source,
        };
        let clock = spec
            .clock
            .as_ref()
            .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        osqdemo_clock::step(clock, step_ms).map_err(failed)?;
        Ok(Self(clock.clone()))
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        // It could be written a moment ago; `osqdemo up` starts the service with the machine's clock.
        let _ = osqdemo_clock::step(&self.0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stack::project::ProjectName;
    use crate::stack::{Probe, Role};

    #[test]
    fn every_service_but_the_links_has_a_clock_of_its_own() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ProjectFolder::new(home.path(), &ProjectName::default());
        folder.create().expect("a folder");
        let spec = |name: &str, role| ServiceSpec {
            name: ServiceName::new(name),
            role,
            hostname: name.to_owned(),
            probe: Probe::Kafka,
            probe_address: String::new(),
            port: None,
            bootstrap_servers: None,
            arguments: Vec::new(),
            depends_on: Vec::new(),
            deadline: Duration::ZERO,
            stop_grace: Duration::ZERO,
            config_hash: format!("hash of {name}"),
            host_config: None,
            clock: None,
            container: None,
        };
        let desired = [spec("link-host1", Role::Broker), spec("host1", Role::Host)];
        let given = give(&desired, &folder);
        set_right(&given, &folder).expect("they are written");
        for (before, after) in desired.iter().zip(&given) {
            let is_link = insertion::is_link(&before.name);
            assert_eq!(after.clock.is_none(), is_link, "{}", after.name);
            assert_eq!(before.config_hash == after.config_hash, is_link, "{}", after.name);
        }
        let host = given
            .iter()
            .find(|spec| spec.name.as_str() == "host1")
            .expect("a host");
        let text = || fs::read_to_string(folder.clocks().join("host1")).expect("it is there");
        let wrong = Wrong::by(host, -90_000).expect("it is stepped");
        assert_eq!(text(), osqdemo_clock::text(-90_000));
        drop(wrong);
        assert_eq!(text(), osqdemo_clock::text(0));
        take_away(&folder).expect("they go");
        take_away(&folder).expect("there is nothing");
        assert!(!folder.clocks().exists());
    }
}
