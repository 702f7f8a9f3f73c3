//! Images that come from a registry: their names, who may pull them, what can go wrong, when to try again, and the
//! lock file that pins them by digest. Knows nothing of the daemon's client: that is `engine::docker`'s.

mod answer;
mod credentials;
pub mod end_of_life;
mod error;
mod fault;
mod lock;
mod policy;
mod progress;
mod reference;
mod retry;

pub use answer::Answer;
pub use credentials::{CredentialError, CredentialSource, Credentials};
pub use error::ImageError;
pub use fault::PullFault;
pub use lock::{ImageLock, LockError, LockedImage};
pub use policy::{InvalidPolicy, PullPolicy, USUAL_SILENCE};
pub use progress::PullProgress;
pub use reference::{InvalidReference, Reference, RegistryPrefix};
pub use retry::Retries;
