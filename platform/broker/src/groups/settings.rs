//! What can be set for one group, by Kafka's own names: how the members are timed whose partitions the broker assigns.

use std::collections::BTreeMap;
use std::time::Duration;

use super::consumer::Timing;
use crate::config::GroupTimings;

/// Silence after which a member counts as dead.
pub(crate) const SESSION: &str = "consumer.session.timeout.ms";
/// How often members are to be heard of.
pub(crate) const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
/// Every setting there is.
pub(crate) const NAMES: [&str; 2] = [HEARTBEAT, SESSION];
/// Groups that have settings: more are in no use on one machine.
pub(crate) const MAX_GROUPS: usize = 10_000;

/// No group is asked to be heard of more often than this.
pub(crate) const MIN_HEARTBEAT: Duration = Duration::from_secs(1);

/// What was set for one group.
pub(crate) type GroupSettings = BTreeMap<String, String>;

/// Why settings are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidGroupSetting {
    #[error("unknown group config name: {0}")]
    Unknown(String),
    #[error("invalid value {value} for configuration {name}: {reason}")]
    Value {
        name: &'static str,
        value: String,
        reason: String,
    },
    #[error("configuration {0} is not a list, and needs a value")]
    NotAList(String),
    #[error("there are {MAX_GROUPS} groups with settings, and may be no more")]
    TooMany,
}

/// How members of a group are timed for which this was set.
pub(crate) fn timing(set: Option<&GroupSettings>, defaults: &GroupTimings) -> Timing {
    let of = |name: &str, default: Duration| {
        let value = set.and_then(|set| set.get(name)?.parse().ok());
        value.map_or(default, Duration::from_millis)
    };
    Timing {
        session: of(SESSION, defaults.consumer_session_timeout),
        heartbeat: of(HEARTBEAT, defaults.consumer_heartbeat_interval),
    }
}

/// Whether settings can be had together.
pub(crate) fn check(set: &GroupSettings, defaults: &GroupTimings) -> Result<(), InvalidGroupSetting> {
    let between = |name, from: Duration, to: Duration| match set.get(name) {
        Some(value)
            if !value
                .parse()
                .is_ok_and(|ms| (from..=to).contains(&Duration::from_millis(ms))) =>
        {
            Err(InvalidGroupSetting::Value {
                name,
                value: value.clone(),
                reason: format!("it must be from {} to {}", from.as_millis(), to.as_millis()),
            })
        }
        _ => Ok(()),
    };
    if let Some(name) = set.keys().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(InvalidGroupSetting::Unknown(name.clone()));
    }
    between(
        SESSION,
        defaults.min_session_timeout,
        defaults.max_session_timeout,
    )?;
    between(HEARTBEAT, MIN_HEARTBEAT, defaults.max_session_timeout)?;
    let timing = timing(Some(set), defaults);
    if timing.heartbeat >= timing.session {
        return Err(InvalidGroupSetting::Value {
            name: HEARTBEAT,
            value: timing.heartbeat.as_millis().to_string(),
            reason: format!(
                "it must be below {SESSION}, which is {}",
                timing.session.as_millis()
            ),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(set: &[(&str, &str)]) -> Result<(), String> {
        let set = set
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        check(&set, &GroupTimings::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_would_throw_every_member_out_is_refused() {
        assert_eq!(checked(&[(SESSION, "45000"), (HEARTBEAT, "3000")]), Ok(()));
        let refused = [
            &[(SESSION, "5999")][..],
            &[(SESSION, "soon")],
            &[(SESSION, "99999999999999999999")],
            &[(HEARTBEAT, "999")],
            &[(HEARTBEAT, "-1")],
            // Members would have to be heard of after they count as dead.
            &[(HEARTBEAT, "45000")],
            &[(SESSION, "6000"), (HEARTBEAT, "7000")],
            &[("share.session.timeout.ms", "45000")],
        ];
        for set in refused {
            assert!(checked(set).is_err(), "{set:?}");
        }
    }
}
