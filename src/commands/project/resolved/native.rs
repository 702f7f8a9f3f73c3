//! The native engine: which programs there are, and how hosts can be kept apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Means, Resolution, Resolved, find_unknown_tables};
use crate::commands::project::Project;
use crate::engine::OsquerydChoice;
use crate::engine::native::isolation::Isolation;
use crate::engine::native::programs::{Osqueryd, Programs};
use crate::engine::native::{NativeEngine, Setup};
use crate::error::Result;
use crate::health::ProtocolProber;
use crate::plan::Reach;
use crate::ports::Ports;
use crate::stack::Role;
use crate::state::Remembered;

impl Project {
    pub(super) async fn resolved_natively(
        &self,
        mut remembered: Remembered,
        ports: Ports,
    ) -> Result<Resolved> {
        let choice = remembered
            .osqueryd_found
            .as_deref()
            .or(remembered.osqueryd.as_deref());
        let mut programs = Programs::find(&OsquerydChoice::parse(choice.unwrap_or_default()))?;
        if let Some(other) = &self.other_build {
            programs.osqdemo.clone_from(other);
        }
        if let Osqueryd::Builtin(agent) = &programs.osqueryd {
            find_unknown_tables(agent, remembered.host_config.as_mut()).await?;
        }
        let isolation = Isolation::detect().await?;
        let identity = |role| match role {
            Role::Host => programs.identity_of_host(&isolation),
            _ => programs.identity_of_service(),
        };
        let resolution = Resolution {
            identity: &identity,
            image_content: &|_| String::new(),
            programs: None,
            variables: &BTreeMap::new(),
            reach: Reach::Loopback,
        };
        let desired = self.resolved(&remembered, &ports, &resolution)?;
        let setup = Setup {
            programs,
            isolation: isolation.clone(),
            host_config: remembered.host_config.clone(),
            registry: self.registry_of_hosts(&remembered, &ports, Reach::Loopback),
            kafka: self.kafka_properties(),
        };
        Ok(Resolved {
            engine: Arc::new(NativeEngine::with_setup(self.folder.clone(), setup)),
            prober: Arc::new(ProtocolProber {
                kafka: self.kafka_properties(),
            }),
            desired,
            ports,
            osqueryd_gone: self.osqueryd_gone(&remembered),
            remembered,
            means: Means::Processes { isolation },
        })
    }
}
