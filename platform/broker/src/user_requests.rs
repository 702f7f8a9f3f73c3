//! Users of a running broker, ours or another, from outside: made, listed and forgotten with Kafka's own requests, which
//! librdkafka's Rust client does not have. A password does not leave the process that calls this: what is sent is salted.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use ring::pbkdf2;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a request may take.
const WITHIN: Duration = Duration::from_secs(10);

/// The largest answer: some hundred bytes for each of 10,000 users.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// Kafka's number of SCRAM-SHA-512.
const SHA_512: i8 = 2;

/// How often the password is salted: twice Kafka's least.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(8192).unwrap();

/// Users cannot be changed or listed.
#[derive(Debug, thiserror::Error)]
pub enum UserRequestError {
    /// The broker did not answer.
    #[error("cannot reach the broker at {address} to {purpose}: {reason}")]
    Unreachable {
        /// Where it was asked.
        address: String,
        /// What it was asked for.
        purpose: String,
        /// What the system said.
        reason: String,
    },
    /// It answered that it will not.
    #[error("failed to {action}: {reason}")]
    Refused {
        /// What was to be done.
        action: &'static str,
        /// What it said.
        reason: String,
    },
}

const SALT_BYTES: usize = 32;
const SHA_512_BYTES: usize = 64;

/// The names of the users that clients have made on the broker at that address, over a listener that lets anybody in.
///
/// # Errors
/// When it does not answer, or refuses.
pub async fn list(address: &str) -> Result<Vec<String>, UserRequestError> {
    let request = DescribeUserScramCredentialsRequest::default().with_users(None);
    let answer = call(address, "list its users", request).await?;
    if let Some(error) = ResponseError::try_from_code(answer.error_code) {
        let told = answer.error_message.map(|message| message.to_string());
        return Err(refused("list the users", told, error));
    }
    let mut names: Vec<String> = answer.results.iter().map(|user| user.user.to_string()).collect();
    names.sort();
    Ok(names)
}

/// Makes a user, or gives one another password.
///
/// # Errors
/// When the broker does not answer, or refuses.
pub async fn put(address: &str, name: &str, password: &str) -> Result<(), UserRequestError> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| UserRequestError::Refused {
            action: "make the user",
            reason: "the system has no randomness".to_owned(),
        })?;
    let mut salted = [0; SHA_512_BYTES];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA512,
        ITERATIONS,
        &salt,
        password.as_bytes(),
        &mut salted,
    );
    let user = ScramCredentialUpsertion::default()
        .with_name(StrBytes::from_string(name.to_owned()))
        .with_mechanism(SHA_512)
        .with_iterations(i32::try_from(ITERATIONS.get()).unwrap_or(i32::MAX))
        .with_salt(Bytes::copy_from_slice(&salt))
        .with_salted_password(Bytes::copy_from_slice(&salted));
    let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![user]);
    alter(address, "make the user", request).await.map(|_| ())
}

/// Forgets a user; whether there was one.
///
/// # Errors
/// When the broker does not answer, or refuses.
pub async fn forget(address: &str, name: &str) -> Result<bool, UserRequestError> {
    let user = ScramCredentialDeletion::default()
        .with_name(StrBytes::from_string(name.to_owned()))
        .with_mechanism(SHA_512);
    let request = AlterUserScramCredentialsRequest::default().with_deletions(vec![user]);
    alter(address, "forget the user", request).await
}

/// Whether what is to be changed was there.
async fn alter(
    address: &str,
    action: &'static str,
    request: AlterUserScramCredentialsRequest,
) -> Result<bool, UserRequestError> {
    let answer = call(address, action, request).await?;
    for result in answer.results {
        match ResponseError::try_from_code(result.error_code) {
            None => {}
            Some(ResponseError::ResourceNotFound) => return Ok(false),
            Some(error) => {
                let told = result.error_message.map(|message| message.to_string());
                return Err(refused(action, told, error));
            }
        }
    }
    Ok(true)
}

fn refused(action: &'static str, told: Option<String>, error: ResponseError) -> UserRequestError {
    UserRequestError::Refused {
        action,
        reason: told
            .filter(|told| !told.is_empty())
            .unwrap_or_else(|| error.to_string()),
    }
}

/// Sends a request on a connection of its own, in its oldest version.
async fn call<Q: Request>(address: &str, purpose: &str, request: Q) -> Result<Q::Response, UserRequestError> {
    let unreachable = |reason: String| UserRequestError::Unreachable {
        address: address.to_owned(),
        purpose: purpose.to_owned(),
        reason,
    };
    let exchange = async {
        let io = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(address).await.map_err(io)?;
        stream.write_all(&frame(&request)?).await.map_err(io)?;
        let length = usize::try_from(stream.read_u32().await.map_err(io)?).unwrap_or(usize::MAX);
        if length > LARGEST_ANSWER {
            return Err(format!("its answer has {length} bytes"));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await.map_err(io)?;
        decode::<Q>(Bytes::from(answer))
    };
    match timeout(WITHIN, exchange).await {
        Ok(answer) => answer.map_err(unreachable),
        Err(_) => Err(unreachable(format!("no answer within {} s", WITHIN.as_secs()))),
    }
}

const VERSION: i16 = 0;

fn frame<Q: Request>(request: &Q) -> Result<BytesMut, String> {
    let mut body = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(Q::KEY)
        .with_request_api_version(VERSION)
        .with_client_id(Some(StrBytes::from_static_str("osqdemo")))
        .encode(&mut body, Q::header_version(VERSION))
        .and_then(|()| request.encode(&mut body, VERSION))
        .map_err(|error| error.to_string())?;
    let mut frame = BytesMut::with_capacity(4 + body.len());
    frame.put_u32(u32::try_from(body.len()).map_err(|error| error.to_string())?);
    frame.put_slice(&body);
    Ok(frame)
}

fn decode<Q: Request>(mut answer: Bytes) -> Result<Q::Response, String> {
    ResponseHeader::decode(&mut answer, Q::Response::header_version(VERSION))
        .and_then(|_| Q::Response::decode(&mut answer, VERSION))
        .map_err(|error| format!("it answered what is no answer: {error}"))
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn users_are_made_listed_and_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        let mut config = crate::Config::new(folder.path());
        config.listeners = vec![crate::Listener::plaintext("host", address)];
        let stop = CancellationToken::new();
        let broker = tokio::spawn(crate::serve(config, stop.clone()));
        let address = address.to_string();
        let listens = async {
            loop {
                match list(&address).await {
                    Ok(users) => break users,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let users = timeout(Duration::from_secs(60), listens)
            .await
            .expect("the broker listens");
        assert_eq!(users, Vec::<String>::new());
        put(&address, "laptop", "a password").await.expect("it is made");
        put(&address, "laptop", "another").await.expect("it is changed");
        put(&address, "desk", "a third").await.expect("it is made");
        assert_eq!(list(&address).await.expect("they are listed"), ["desk", "laptop"]);
        let refused = put(&address, "", "a password").await.expect_err("it has no name");
        assert!(
            refused.to_string().starts_with("failed to make the user: "),
            "{refused}"
        );
        assert!(forget(&address, "desk").await.expect("it is forgotten"));
        assert!(!forget(&address, "desk").await.expect("an answer"));
        stop.cancel();
        broker.await.expect("it ends").expect("in order");
        let silent = list(&address).await.expect_err("nobody listens");
        assert!(matches!(silent, UserRequestError::Unreachable { .. }), "{silent}");
    }

    #[test]
    fn nonsense_is_no_answer() {
        for answer in [&b""[..], b"\0", &[0xff; 40]] {
            let answer = decode::<DescribeUserScramCredentialsRequest>(Bytes::copy_from_slice(answer));
            assert!(answer.is_err(), "{answer:?}");
        }
    }
}
