//! How far a connection has come with telling who its client is.
//!
//! The same state serves both framings of SASL: requests of the protocol, and, for old clients, bare messages.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use tokio::sync::OwnedSemaphorePermit;

use crate::config::Mechanism;
use crate::node::Node;
use crate::security::Principal;
use crate::security::exchange::{Exchange, Outcome, Refusal};

/// Who is refused is told so after that time, whatever it took to find out: how long it takes tells nothing, and guessing
/// takes its time.
const REFUSAL_DELAY: Duration = Duration::from_millis(100);

/// What a connection's client has told of itself.
#[derive(Debug)]
pub(crate) struct Authentication {
    /// What the listener takes; nobody need say anything where that is nothing.
    mechanisms: Vec<Mechanism>,
    /// When the client has to be known.
    deadline: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    principal: Principal,
    stage: Stage,
    /// A place among those that are being let in.
    place: Option<OwnedSemaphorePermit>,
}

enum Stage {
    /// Nothing was said yet.
    Start,
    /// An exchange is under way; empty while a message is worked on.
    Exchange(Option<Exchange>, Mechanism, Framing),
    /// The client is known.
    Known {
        mechanism: Mechanism,
        /// Until when, in milliseconds since the epoch.
        expires_ms: Option<i64>,
    },
    /// It was refused: nothing more is taken from it.
    Refused(Refused),
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Start => "Start",
            Self::Exchange(..) => "Exchange",
            Self::Known { .. } => "Known",
            Self::Refused(_) => "Refused",
        })
    }
}

/// How the messages of an exchange are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// With nothing around them but their length.
    Bare,
    /// In requests of their own.
    Requests,
}

/// A client that was not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is refused by {}: {reason}", user.as_deref().unwrap_or("a client"), mechanism.name())]
pub(crate) struct Refused {
    /// Who it says it is.
    user: Option<String>,
    /// How it says so.
    mechanism: Mechanism,
    /// Why.
    reason: &'static str,
}

/// What a client's message came to.
#[derive(Debug)]
pub(crate) enum Stepped {
    /// The client is told this, and goes on.
    Continue(Vec<u8>),
    /// The client is known.
    Known {
        /// What it is told.
        message: Vec<u8>,
        /// For how long, in milliseconds; 0 for good.
        lifetime_ms: i64,
        /// How it has said who it is.
        mechanism: Mechanism,
    },
    /// It is not let in.
    Refused,
    /// No exchange waits for a message.
    Unexpected,
}

impl Authentication {
    /// Of a connection through a listener that takes those mechanisms; `principal` is who the client is until it says so.
    pub(crate) fn new(
        mechanisms: Vec<Mechanism>,
        principal: Principal,
        deadline: Instant,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let place = place.filter(|_| !mechanisms.is_empty());
        Self {
            mechanisms,
            deadline,
            state: Mutex::new(State {
                principal,
                stage: Stage::Start,
                place,
            }),
        }
    }

    /// What the listener takes.
    pub(crate) fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    /// Who the client is.
    pub(crate) fn principal(&self) -> Principal {
        self.state().principal.clone()
    }

    /// How long the client has left to become known; `None` when it is, or need not.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let is_open = self.mechanisms.is_empty() || self.state().place.is_none();
        (!is_open).then(|| self.deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the client's next frame is a bare message of an exchange.
    pub(crate) fn takes_bare_messages(&self) -> bool {
        matches!(self.state().stage, Stage::Exchange(_, _, Framing::Bare))
    }

    /// Why the client was refused, if it was.
    pub(crate) fn refused(&self) -> Option<Refused> {
        match &self.state().stage {
            Stage::Refused(refused) => Some(refused.clone()),
            _ => None,
        }
    }

    /// Whether the client may send such a request now.
    pub(crate) fn permits(&self, key: ApiKey) -> bool {
        if self.mechanisms.is_empty() {
            return true;
        }
        let is_known = match self.state().stage {
            Stage::Refused(_) => return false,
            Stage::Known { expires_ms, .. } => {
                expires_ms.is_none_or(|expires| osqdemo_clock::unix_ms() < expires)
            }
            Stage::Start | Stage::Exchange(..) => false,
        };
        is_known
            || matches!(
                key,
                ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate
            )
    }

    /// Begins an exchange; once more where the client is known already, whose token may come to its end.
    pub(crate) fn begin(&self, name: &str, framing: Framing) -> Result<(), ResponseError> {
        if self.mechanisms.is_empty() {
            return Err(ResponseError::IllegalSaslState);
        }
        let mechanism = Mechanism::of_name(name).filter(|mechanism| self.mechanisms.contains(mechanism));
        let mechanism = mechanism.ok_or(ResponseError::UnsupportedSaslMechanism)?;
        let mut state = self.state();
        match state.stage {
            Stage::Start => {}
            Stage::Known { mechanism: known, .. } if known == mechanism => {}
            _ => return Err(ResponseError::IllegalSaslState),
        }
        state.stage = Stage::Exchange(Some(Exchange::Begun(mechanism)), mechanism, framing);
        Ok(())
    }

    /// Takes a message of the exchange that is under way in that framing.
    pub(crate) async fn step(&self, node: &Arc<Node>, message: &[u8], framing: Framing) -> Stepped {
        let began = tokio::time::Instant::now();
        let Some((exchange, mechanism)) = self.take(framing) else {
            return Stepped::Unexpected;
        };
        let now_ms = osqdemo_clock::unix_ms();
        let message = message.to_vec();
        let owned = Arc::clone(node);
        // As many at a time as the machine has cores: the others wait without a thread.
        let place = node.password_work.acquire().await;
        let stepped =
            crate::api::blocking(move || exchange.step(&message, &owned.security.known(), now_ms)).await;
        drop(place);
        let stepped = self.settle(stepped, mechanism, framing, now_ms);
        if matches!(stepped, Stepped::Refused) {
            tokio::select! {
                () = tokio::time::sleep_until(began + REFUSAL_DELAY) => {}
                () = node.shutdown.cancelled() => {}
            }
        }
        stepped
    }

    /// The exchange that waits for a message in that framing; until it is settled, none does.
    fn take(&self, framing: Framing) -> Option<(Exchange, Mechanism)> {
        match &mut self.state().stage {
            Stage::Exchange(exchange, mechanism, by) if *by == framing => {
                exchange.take().map(|exchange| (exchange, *mechanism))
            }
            _ => None,
        }
    }

    /// Keeps what came of a message; nothing did where working on it failed.
    fn settle(
        &self,
        stepped: Option<Result<Outcome, Refusal>>,
        mechanism: Mechanism,
        framing: Framing,
        now_ms: i64,
    ) -> Stepped {
        let refusal = match stepped {
            Some(Ok(Outcome::Continue(message, exchange))) => {
                self.state().stage = Stage::Exchange(Some(exchange), mechanism, framing);
                return Stepped::Continue(message);
            }
            Some(Ok(Outcome::Known {
                message,
                user,
                expires_ms,
            })) => match self.become_known(&user, mechanism, expires_ms) {
                Ok(()) => {
                    let lifetime_ms = expires_ms.map_or(0, |expires| expires.saturating_sub(now_ms).max(1));
                    return Stepped::Known {
                        message,
                        lifetime_ms,
                        mechanism,
                    };
                }
                Err(refusal) => refusal,
            },
            Some(Err(refusal)) => refusal,
            None => Refusal {
                user: None,
                reason: "the exchange failed inside the broker",
            },
        };
        self.state().stage = Stage::Refused(Refused {
            user: refusal.user,
            mechanism,
            reason: refusal.reason,
        });
        Stepped::Refused
    }

    fn become_known(&self, user: &str, mechanism: Mechanism, expires_ms: Option<i64>) -> Result<(), Refusal> {
        let mut state = self.state();
        let principal = Principal::user(user);
        let is_first = state.place.take().is_some();
        if !is_first && state.principal != principal {
            return Err(Refusal {
                user: Some(user.to_owned()),
                reason: "a connection's client cannot become somebody else",
            });
        }
        state.principal = principal;
        state.stage = Stage::Known {
            mechanism,
            expires_ms,
        };
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
