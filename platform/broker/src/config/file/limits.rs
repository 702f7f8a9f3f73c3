//! `[limits]`: what clients may take of the broker, where that is not what it usually is.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;

use crate::config::{Config, Limits};

/// As it is typed; what is not said stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TypedLimits {
    connections: Option<NonZeroUsize>,
    handshakes: Option<NonZeroUsize>,
    handshake_seconds: Option<NonZeroU64>,
    idle_seconds: Option<NonZeroU64>,
    stalled_seconds: Option<NonZeroU64>,
    stalled_in_need_seconds: Option<NonZeroU64>,
    max_wait_seconds: Option<NonZeroU64>,
    answer_bytes: Option<NonZeroUsize>,
    request_bytes: Option<NonZeroUsize>,
    max_request_bytes: Option<NonZeroUsize>,
}

impl TypedLimits {
    /// Puts it into a configuration.
    pub(super) fn apply(self, config: &mut Config) {
        let number = |number: &mut usize, typed: Option<NonZeroUsize>| {
            if let Some(typed) = typed {
                *number = typed.get();
            }
        };
        let seconds = |duration: &mut Duration, typed: Option<NonZeroU64>| {
            if let Some(typed) = typed {
                *duration = Duration::from_secs(typed.get());
            }
        };
        let Limits {
            connections,
            handshakes,
            handshake,
            idle,
            stalled,
            stalled_in_need,
            max_wait,
            answer_bytes,
            request_bytes,
        } = &mut config.limits;
        number(connections, self.connections);
        number(handshakes, self.handshakes);
        seconds(handshake, self.handshake_seconds);
        seconds(idle, self.idle_seconds);
        seconds(stalled, self.stalled_seconds);
        seconds(stalled_in_need, self.stalled_in_need_seconds);
        seconds(max_wait, self.max_wait_seconds);
        number(answer_bytes, self.answer_bytes);
        number(request_bytes, self.request_bytes);
        number(&mut config.max_request_bytes, self.max_request_bytes);
    }
}
