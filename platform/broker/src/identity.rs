//! Random identifiers: topic ids, the cluster's id, member ids.
//!
//! They need to be unique, not secret, so the standard library's randomly keyed hasher is enough.

use std::hash::{BuildHasher, RandomState};

use uuid::Uuid;

/// A new random (version 4) UUID.
pub(crate) fn random_uuid() -> Uuid {
    let high = RandomState::new().hash_one(0u8);
    let low = RandomState::new().hash_one(1u8);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ() {
        let many: std::collections::HashSet<_> = (0..1000).map(|_| random_uuid()).collect();
        assert_eq!(many.len(), 1000);
    }
}
