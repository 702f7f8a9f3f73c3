//! DescribeUserScramCredentials and AlterUserScramCredentials: users that clients make.
//!
//! A password never comes here: who makes a user sends what PBKDF2 has made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, Session, blocking};
use crate::security::credentials::{
    Credential, Credentials, DEFAULT_ITERATIONS, Hash, MAX_ITERATIONS, Users,
};
use crate::security::store::MAX_USERS;
use crate::told::beginning;

/// The longest name of a user and the longest salt, in bytes.
const MAX_BYTES: usize = 1024;

/// Tells which users there are, and with how many rounds their passwords were salted.
pub(crate) async fn handle_describe(
    session: &Session,
    _call: &Call,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let credentials = session.node.security.credentials();
    let wanted = request.users.filter(|users| !users.is_empty());
    let results = match wanted {
        None => {
            let all = credentials.all();
            all.map(|(user, of_user)| described(user, of_user)).collect()
        }
        Some(wanted) => {
            let mut seen = BTreeSet::new();
            let twice: BTreeSet<_> = wanted
                .iter()
                .map(|user| &user.name)
                .filter(|name| !seen.insert(*name))
                .collect();
            let results = seen.iter().map(|name| {
                let refused = |code: ResponseError, message| {
                    DescribeUserScramCredentialsResult::default()
                        .with_user((*name).clone())
                        .with_error_code(code.code())
                        .with_error_message(Some(StrBytes::from_static_str(message)))
                };
                match credentials.of(name) {
                    _ if twice.contains(name) => {
                        refused(ResponseError::DuplicateResource, "the user is named twice")
                    }
                    Some(of_user) => described(name, of_user),
                    None => refused(ResponseError::ResourceNotFound, "there is no such user"),
                }
            });
            results.collect()
        }
    };
    DescribeUserScramCredentialsResponse::default().with_results(results)
}

fn described(user: &str, credentials: &BTreeMap<Hash, Credential>) -> DescribeUserScramCredentialsResult {
    let infos = credentials.iter().map(|(hash, credential)| {
        CredentialInfo::default()
            .with_mechanism(hash.code())
            .with_iterations(i32::try_from(credential.iterations.get()).unwrap_or(i32::MAX))
    });
    DescribeUserScramCredentialsResult::default()
        .with_user(StrBytes::from_string(user.to_owned()))
        .with_credential_infos(infos.collect())
}

type Refused = (ResponseError, &'static str);

/// What is to become of one credential: a new one, or nothing.
type Change = Option<Credential>;

/// Makes, changes and forgets users, each for itself.
pub(crate) async fn handle_alter(
    session: &Session,
    _call: &Call,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let mut wanted: BTreeMap<StrBytes, Result<BTreeMap<Hash, Change>, Refused>> = BTreeMap::new();
    let deletions = request.deletions.into_iter();
    let deletions = deletions.map(|deletion| (deletion.name, deletion.mechanism, Ok(None)));
    let upsertions = request.upsertions.into_iter().map(|upsertion| {
        let made = credential(&upsertion);
        (upsertion.name, upsertion.mechanism, made.map(Some))
    });
    for (name, mechanism, change) in deletions.chain(upsertions) {
        let of_user = wanted.entry(name).or_insert_with(|| Ok(BTreeMap::new()));
        let Ok(changes) = of_user else {
            continue;
        };
        match (Hash::of_code(mechanism), change) {
            (None, _) => *of_user = Err(UNKNOWN_MECHANISM),
            (_, Err(refused)) => *of_user = Err(refused),
            (Some(hash), Ok(change)) => {
                if changes.insert(hash, change).is_some() {
                    let reason = "a credential of the user is changed twice in one request";
                    *of_user = Err((ResponseError::DuplicateResource, reason));
                }
            }
        }
    }
    let node = Arc::clone(&session.node);
    let changed = blocking(move || {
        let credentials = node.security.credentials();
        let mut results = BTreeMap::new();
        let stored = node.security.change_users(|users| {
            for (name, changes) in wanted {
                let result = changes.and_then(|changes| apply(&name, changes, &credentials, users));
                results.insert(name, result);
            }
        });
        if let Err(error) = stored {
            tracing::error!(%error, "cannot keep the users");
            let reason = "the broker cannot keep the change: its log says why";
            let failed: Refused = (ResponseError::KafkaStorageError, reason);
            results
                .values_mut()
                .filter(|result| result.is_ok())
                .for_each(|result| *result = Err(failed));
        }
        results
    })
    .await;
    let results = changed.unwrap_or_default().into_iter().map(|(user, result)| {
        let name = user.clone();
        let response = AlterUserScramCredentialsResult::default().with_user(user);
        match result {
            Ok(()) => {
                tell!(session, user = ?beginning(&name), "a user's password was changed or forgotten");
                response.with_error_code(NO_ERROR)
            }
            Err((code, message)) => response
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_static_str(message))),
        }
    });
    AlterUserScramCredentialsResponse::default().with_results(results.collect())
}

const UNKNOWN_MECHANISM: Refused = (
    ResponseError::UnsupportedSaslMechanism,
    "there are SCRAM-SHA-256 and SCRAM-SHA-512 only",
);

fn credential(wanted: &ScramCredentialUpsertion) -> Result<Credential, Refused> {
    let refused = |reason| Err((ResponseError::UnacceptableCredential, reason));
    let hash = Hash::of_code(wanted.mechanism).ok_or(UNKNOWN_MECHANISM)?;
    let iterations = u32::try_from(wanted.iterations).ok().and_then(NonZeroU32::new);
    let Some(iterations) = iterations.filter(|iterations| *iterations >= DEFAULT_ITERATIONS) else {
        return refused("too few iterations: 4096 is the least");
    };
    if iterations.get() > MAX_ITERATIONS {
        return refused("too many iterations: 16384 is the most");
    }
    if wanted.salt.is_empty() || wanted.salt.len() > MAX_BYTES {
        return refused("a salt has 1 to 1024 bytes");
    }
    if wanted.salted_password.len() != hash.length() {
        return refused("the salted password is not as long as the mechanism makes it");
    }
    let salt = wanted.salt.to_vec();
    Ok(Credential::of_salted(
        hash,
        salt,
        iterations,
        &wanted.salted_password,
    ))
}

fn apply(
    name: &StrBytes,
    changes: BTreeMap<Hash, Change>,
    credentials: &Credentials,
    users: &mut Users,
) -> Result<(), Refused> {
    if name.is_empty() || name.len() > MAX_BYTES {
        let reason = "a user's name has 1 to 1024 bytes";
        return Err((ResponseError::UnacceptableCredential, reason));
    }
    if credentials.is_configured(name) {
        let reason = "the user stands in the broker's configuration, and can be changed only there";
        return Err((ResponseError::UnacceptableCredential, reason));
    }
    let mut of_user = users.get(name.as_str()).cloned().unwrap_or_default();
    for (hash, change) in changes {
        let is_known = match change {
            Some(credential) => {
                of_user.insert(hash, credential);
                true
            }
            None => of_user.remove(&hash).is_some(),
        };
        if !is_known {
            let reason = "the user has no such credential";
            return Err((ResponseError::ResourceNotFound, reason));
        }
    }
    if of_user.is_empty() {
        users.remove(name.as_str());
        return Ok(());
    }
    if !users.contains_key(name.as_str()) && users.len() >= MAX_USERS {
        return Err((
            ResponseError::UnacceptableCredential,
            "the broker keeps 10000 users",
        ));
    }
    users.insert(name.to_string(), of_user);
    Ok(())
}
