//! What a connection's client may do until it is known, step by step. See [`crate::fuzzing`].
//!
//! Beside the connection's state goes what it should be, kept in the simplest way; who has shown a password is worked out
//! anew, from the password itself.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kafka_protocol::messages::ApiKey;
use tokio::sync::Semaphore;

use super::{Authentication, Framing, Stepped};
use crate::config::{Mechanism, TokenKeys, Tokens};
use crate::security::Principal;
use crate::security::credentials::{Credential, Credentials, Hash, Users, salt_password};
use crate::security::exchange::Known;
use crate::security::token::TokenVerifier;

const MECHANISMS: [Mechanism; 4] = [
    Mechanism::Plain,
    Mechanism::ScramSha256,
    Mechanism::ScramSha512,
    Mechanism::OauthBearer,
];
/// Who is known, by which password.
const PASSWORDS: [(&str, &str); 2] = [("alice", "wonder"), ("bob", "builder")];
/// One round is as good as thousands here, and quick.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN;
const SALT: &[u8] = b"salt";
/// No refusal takes so many rounds of a password's digest that a search would come to nothing.
const MOST_STEPS: usize = 32;
/// A time far from its end, and one long past.
const TOKEN_TIMES: [i64; 2] = [8_000_000_000, 1_000_000_000];
/// When everything happens, in milliseconds since the epoch; the state itself looks at the clock.
const NOW_MS: i64 = 4_000_000_000_000;

/// Reads what a client does from bytes: which mechanisms the listener takes, then handshakes and messages, right and
/// wrong ones. Nobody is let in who has shown nothing, nobody becomes somebody else, and a refusal is for good.
pub fn sasl_exchange(bytes: &[u8]) {
    let mut script = Script(bytes);
    let enabled = script.byte();
    let mechanisms = MECHANISMS.into_iter().enumerate();
    let mechanisms = mechanisms.filter(|(place, _)| enabled & (1 << place) != 0);
    let mut client = Client::of(mechanisms.map(|(_, mechanism)| mechanism).collect());
    for _ in 0..MOST_STEPS {
        if script.0.is_empty() {
            break;
        }
        client.act(&mut script);
        client.check();
    }
}

/// Says something to every mechanism: at first, and in the place of SCRAM's proof.
#[cfg(test)]
pub(crate) fn sasl_messages(message: &[u8]) {
    let length = u8::try_from(message.len()).expect("it is short");
    let said = [&[1, 0, length], message].concat();
    for mechanism in 0..4 {
        sasl_exchange(&[&[0xf, 0, mechanism, 0], &said[..]].concat());
    }
    for mechanism in [1, 2] {
        let first = [0xf, 0, mechanism, 0, 2, 0, 1, b'n', 0];
        sasl_exchange(&[&first, &said[..]].concat());
    }
}

/// What is left of the input.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// So many bytes as the next one says, or as are left.
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    fn framing(&mut self) -> Framing {
        match self.byte() & 1 {
            0 => Framing::Requests,
            _ => Framing::Bare,
        }
    }

    fn user(&mut self) -> (&'static str, &'static str) {
        PASSWORDS[usize::from(self.byte()) % PASSWORDS.len()]
    }
}

/// Where the client should stand.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    Start,
    Exchange(Mechanism, Framing),
    Known(Mechanism),
    Refused,
}

struct Client {
    authentication: Authentication,
    mechanisms: Vec<Mechanism>,
    place: Place,
    /// Whom the broker took it for last, and until when.
    user: Option<(String, Option<i64>)>,
    /// The client's message that the exchange began with, and the broker's answer.
    said: Option<(Vec<u8>, Vec<u8>)>,
}

impl Client {
    fn of(mechanisms: Vec<Mechanism>) -> Self {
        let permits = Arc::new(Semaphore::new(1));
        let permit = permits.try_acquire_owned().expect("it is the only one");
        let deadline = Instant::now() + Duration::from_secs(3600);
        let anonymous = Principal::anonymous();
        Self {
            authentication: Authentication::new(mechanisms.clone(), anonymous, deadline, Some(permit)),
            mechanisms,
            place: Place::Start,
            user: None,
            said: None,
        }
    }

    fn act(&mut self, script: &mut Script<'_>) {
        match script.byte() % 6 {
            0 => {
                let chosen = usize::from(script.byte()) % (MECHANISMS.len() + 1);
                self.begin(MECHANISMS.get(chosen).copied(), script.framing());
            }
            1 => {
                let framing = script.framing();
                self.say(script.bytes(), framing);
            }
            2 => {
                let (user, _) = script.user();
                let nonce = URL_SAFE_NO_PAD.encode(script.bytes());
                self.say(format!("n,,n={user},r={nonce}").as_bytes(), script.framing());
            }
            3 => {
                let (_, password) = script.user();
                let mut message = self.proof(password).unwrap_or_default().into_bytes();
                let (place, change) = (usize::from(script.byte()), script.byte());
                if let Some(byte) = message.get_mut(place) {
                    *byte ^= change;
                }
                self.say(&message, script.framing());
            }
            4 => {
                let ((user, _), (_, password)) = (script.user(), script.user());
                self.say(format!("\0{user}\0{password}").as_bytes(), script.framing());
            }
            _ => {
                let (user, _) = script.user();
                let expires = TOKEN_TIMES[usize::from(script.byte()) % TOKEN_TIMES.len()];
                let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
                let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"{user}","exp":{expires}}}"#));
                let message = format!("n,,\u{1}auth=Bearer {header}.{claims}.\u{1}\u{1}");
                self.say(message.as_bytes(), script.framing());
            }
        }
    }

    fn begin(&mut self, mechanism: Option<Mechanism>, framing: Framing) {
        let name = mechanism.map_or("GSSAPI", Mechanism::name);
        let taken = self.authentication.begin(name, framing).is_ok();
        let mechanism = mechanism.filter(|mechanism| self.mechanisms.contains(mechanism));
        let next = mechanism.filter(|mechanism| match self.place {
            Place::Start => true,
            Place::Known(known) => known == *mechanism,
            Place::Exchange(..) | Place::Refused => false,
        });
        assert_eq!(taken, next.is_some(), "{name} at {:?}", self.place);
        if let Some(mechanism) = next {
            self.place = Place::Exchange(mechanism, framing);
            self.said = None;
        }
    }

    fn say(&mut self, message: &[u8], framing: Framing) {
        let waits = matches!(self.place, Place::Exchange(_, by) if by == framing);
        let Some((exchange, mechanism)) = self.authentication.take(framing) else {
            assert!(!waits, "an exchange takes what comes");
            return;
        };
        assert!(waits, "no exchange was begun");
        assert!(
            self.authentication.take(framing).is_none(),
            "one message at a time"
        );
        let shown = self.shown(mechanism, message);
        let stepped = exchange.step(message, known(), NOW_MS);
        match self
            .authentication
            .settle(Some(stepped), mechanism, framing, NOW_MS)
        {
            Stepped::Continue(answer) => {
                let is_first = self.said.replace((message.to_vec(), answer)).is_none();
                assert!(is_first, "no exchange has a third message");
                assert_ne!(mechanism, Mechanism::Plain);
            }
            Stepped::Known { lifetime_ms, .. } => {
                let name = self.authentication.principal().as_str().to_owned();
                let name = name.strip_prefix("User:").expect("it is a user").to_owned();
                let by_token = mechanism == Mechanism::OauthBearer;
                assert!(
                    by_token || shown.as_ref() == Some(&name),
                    "{name} has shown nothing"
                );
                assert_eq!(by_token, lifetime_ms > 0, "what a token says comes to an end");
                assert!(self.user.as_ref().is_none_or(|(user, _)| *user == name));
                let expires = by_token.then(|| NOW_MS.saturating_add(lifetime_ms));
                self.user = Some((name, expires));
                self.place = Place::Known(mechanism);
            }
            Stepped::Refused => {
                let is_other = self
                    .user
                    .as_ref()
                    .is_some_and(|(user, _)| Some(user) != shown.as_ref());
                assert!(shown.is_none() || is_other, "{shown:?} was refused");
                self.place = Place::Refused;
            }
            Stepped::Unexpected => panic!("an exchange was under way"),
        }
    }

    /// Whose password a message shows.
    fn shown(&self, mechanism: Mechanism, message: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(message).ok()?;
        if mechanism == Mechanism::Plain {
            let parts: Vec<&str> = text.split('\0').collect();
            let [on_behalf, user, password] = parts[..] else {
                return None;
            };
            let is_right = PASSWORDS.contains(&(user, password)) && ["", user].contains(&on_behalf);
            return is_right.then(|| user.to_owned());
        }
        let (first, _) = self.said.as_ref()?;
        let mut right = PASSWORDS.into_iter().filter(|(user, password)| {
            let first = String::from_utf8_lossy(first);
            let name = first
                .splitn(3, ',')
                .nth(2)
                .and_then(|bare| bare.split(',').next());
            let is_user = name.and_then(|name| name.strip_prefix("n=")) == Some(user);
            is_user && self.proves(password, text)
        });
        right.next().map(|(user, _)| user.to_owned())
    }

    /// Whether a last message of SCRAM shows that password. What may stand between nonce and proof is signed with it.
    fn proves(&self, password: &str, text: &str) -> bool {
        let Some((said, proof)) = text.rsplit_once(",p=") else {
            return false;
        };
        let Some(right) = self.proof(password) else {
            return false;
        };
        let (plain, _) = right.rsplit_once(",p=").expect("it has one");
        let is_begun = said == plain || said.starts_with(&format!("{plain},"));
        is_begun
            && self
                .signed(password, said)
                .is_some_and(|right| STANDARD.encode(right) == proof)
    }

    /// The right last message of SCRAM; nothing where no exchange waits for one.
    fn proof(&self, password: &str) -> Option<String> {
        let (first, answer) = self.said.as_ref()?;
        let bare = String::from_utf8_lossy(first).splitn(3, ',').nth(2)?.len();
        let header = STANDARD.encode(&first[..first.len() - bare]);
        let answer = std::str::from_utf8(answer).ok()?;
        let nonce = answer.split(',').next()?;
        let said = format!("c={header},{nonce}");
        let proof = STANDARD.encode(self.signed(password, &said)?);
        Some(format!("{said},p={proof}"))
    }

    /// The proof that goes with the last message's other parts.
    fn signed(&self, password: &str, last: &str) -> Option<Vec<u8>> {
        let Place::Exchange(mechanism, _) = self.place else {
            return None;
        };
        let hash = match mechanism {
            Mechanism::ScramSha256 => Hash::Sha256,
            Mechanism::ScramSha512 => Hash::Sha512,
            Mechanism::Plain | Mechanism::OauthBearer => return None,
        };
        let (first, answer) = self.said.as_ref()?;
        let bare = String::from_utf8_lossy(first).splitn(3, ',').nth(2)?.to_owned();
        let said = format!("{bare},{},{last}", std::str::from_utf8(answer).ok()?);
        let key = hash.sign(
            &salt_password(hash, password.as_bytes(), SALT, ROUNDS),
            b"Client Key",
        );
        let signature = hash.sign(&hash.of(&key), said.as_bytes());
        Some(
            key.iter()
                .zip(signature)
                .map(|(one, other)| one ^ other)
                .collect(),
        )
    }

    /// What the connection says of itself is what it should be.
    fn check(&self) {
        let authentication = &self.authentication;
        let known_by = self.user.as_ref().map(|(user, _)| Principal::user(user));
        assert_eq!(
            authentication.principal(),
            known_by.unwrap_or_else(Principal::anonymous)
        );
        let is_open = self.mechanisms.is_empty();
        let permitted = is_open
            || matches!(&self.place, Place::Known(_)) && {
                let expires = self.user.as_ref().and_then(|(_, expires)| *expires);
                expires.is_none_or(|expires| expires > NOW_MS)
            };
        assert_eq!(
            authentication.permits(ApiKey::Produce),
            permitted,
            "{:?}",
            self.place
        );
        let is_refused = self.place == Place::Refused;
        assert_eq!(authentication.refused().is_some(), is_refused);
        assert_eq!(authentication.permits(ApiKey::SaslHandshake), !is_refused);
        let waits = matches!(self.place, Place::Exchange(_, Framing::Bare));
        assert_eq!(authentication.takes_bare_messages(), waits);
        let has_to_hurry = !is_open && self.user.is_none();
        assert_eq!(authentication.time_left().is_some(), has_to_hurry);
    }
}

/// What clients are checked with.
fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let users = PASSWORDS.map(|(user, password)| {
            let credentials = Hash::ALL.map(|hash| {
                let salted = salt_password(hash, password.as_bytes(), SALT, ROUNDS);
                (hash, Credential::of_salted(hash, SALT.to_vec(), ROUNDS, &salted))
            });
            (user.to_owned(), credentials.into())
        });
        let tokens = Tokens {
            keys: TokenKeys::Unsecured,
            issuer: None,
            audience: None,
            principal_claim: "sub".to_owned(),
        };
        Known {
            credentials: Arc::new(Credentials::new(Users::from(users), Users::new(), vec![1; 32])),
            tokens: Some(Arc::new(TokenVerifier::open(tokens).expect("there is no file"))),
        }
    })
}

#[cfg(test)]
mod tests;
