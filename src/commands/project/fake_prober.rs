//! The health of services that the fake engine "runs": what its script says.

use crate::engine::fake::{Behaviour, FakeEngine};
use crate::health::{LastAnswer, Prober, Probing, Target};

/// Believes the fake engine's script.
pub struct FakeProber;

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
