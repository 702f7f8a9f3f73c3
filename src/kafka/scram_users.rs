//! Users that a broker lets in by SCRAM, over a listener that lets anybody in.

use osqdemo_broker::user_requests::{self, UserRequestError};

use super::KafkaError;

/// The names of the users that clients have made on the broker at that address.
///
/// # Errors
/// When it does not answer, or refuses.
pub async fn scram_users(address: &str) -> Result<Vec<String>, KafkaError> {
    user_requests::list(address).await.map_err(told)
}

/// Makes a user, or gives one another password.
///
/// # Errors
/// When the broker does not answer, or refuses.
pub async fn put_scram_user(address: &str, name: &str, password: &str) -> Result<(), KafkaError> {
    user_requests::put(address, name, password).await.map_err(told)
}

/// Forgets a user; whether there was one.
///
/// # Errors
/// When the broker does not answer, or refuses.
pub async fn forget_scram_user(address: &str, name: &str) -> Result<bool, KafkaError> {
    user_requests::forget(address, name).await.map_err(told)
}

fn told(error: UserRequestError) -> KafkaError {
    match error {
        UserRequestError::Unreachable {
            address,
            purpose,
            reason,
        } => KafkaError::Unreachable {
            bootstrap_servers: address,
            purpose,
            reason,
        },
        UserRequestError::Refused { action, reason } => KafkaError::Users { action, reason },
    }
}
