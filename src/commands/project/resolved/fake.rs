//! The fake engine, for tests: nothing is looked for, and what its script says is believed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Means, Resolution, Resolved};
use crate::commands::project::Project;
use crate::engine::fake::{Behaviour, FakeEngine};
use crate::error::Result;
use crate::health::{LastAnswer, Prober, Probing, Target};
use crate::plan::Reach;
use crate::ports::Ports;
use crate::state::Remembered;

/// Believes the fake engine's script.
struct FakeProber;

impl Prober for FakeProber {
    fn until_healthy<'a>(&'a self, target: &'a Target, last: &'a LastAnswer) -> Probing<'a> {
        Box::pin(async {
            match FakeEngine::behaviour(&target.service) {
                Behaviour::Sound | Behaviour::LosesPort => Ok(()),
                Behaviour::NeverHealthy | Behaviour::Exits | Behaviour::StartFails => {
                    last.set("still starting");
                    std::future::pending().await
                }
            }
        })
    }
}

impl Project {
    pub(super) fn resolved_of_fake(&self, remembered: Remembered, ports: Ports) -> Result<Resolved> {
        let resolution = Resolution {
            identity: &|_| "fake".to_owned(),
            image_content: &|_| String::new(),
            programs: None,
            variables: &BTreeMap::new(),
            reach: Reach::Loopback,
        };
        Ok(Resolved {
            engine: Arc::new(FakeEngine::new(self.folder.clone())),
            prober: Arc::new(FakeProber),
            desired: self.resolved(&remembered, &ports, &resolution)?,
            ports,
            osqueryd_gone: None,
            remembered,
            means: Means::Nothing,
        })
    }
}
