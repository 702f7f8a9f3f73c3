//! What a failed pull means. The daemon hands on what registries and networks say as text, often in the middle of an
//! answer that began well; this is the one place that reads that text.

use std::fmt;

use crate::images::Answer;

/// Why a pull failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullFault {
    /// The registry lets nobody, or not us, pull that often.
    RateLimited,
    /// It may work the next time.
    Transient,
    /// The registry was silent for too long.
    Silent,
    /// There is no such image.
    NotFound,
    /// The registry wants to know who asks, or does not let them.
    Denied,
    /// What came is not what its digest says.
    WrongDigest,
    /// The image is not published for this architecture.
    MissingPlatform,
    /// The daemon's disk is full.
    DiskFull,
    /// There is no way to the registry.
    NoNetwork,
    /// Anything else.
    Other,
}

/// Words of an answer and what they mean; the first match counts.
const WORDS: &[(&str, PullFault)] = &[
    ("no matching manifest", PullFault::MissingPlatform),
    (
        "does not match the specified platform",
        PullFault::MissingPlatform,
    ),
    ("verification failed for digest", PullFault::WrongDigest),
    ("filesystem layer verification failed", PullFault::WrongDigest),
    ("digest mismatch", PullFault::WrongDigest),
    ("unexpected commit digest", PullFault::WrongDigest),
    ("toomanyrequests", PullFault::RateLimited),
    ("too many requests", PullFault::RateLimited),
    ("rate limit", PullFault::RateLimited),
    ("no space left", PullFault::DiskFull),
    ("pull access denied", PullFault::Denied),
    ("unauthorized", PullFault::Denied),
    ("authentication required", PullFault::Denied),
    ("no basic auth credentials", PullFault::Denied),
    ("forbidden", PullFault::Denied),
    ("denied", PullFault::Denied),
    ("manifest unknown", PullFault::NotFound),
    ("name unknown", PullFault::NotFound),
    ("repository does not exist", PullFault::NotFound),
    ("not found", PullFault::NotFound),
    ("no such host", PullFault::NoNetwork),
    ("network is unreachable", PullFault::NoNetwork),
    ("no route to host", PullFault::NoNetwork),
    ("timeout", PullFault::Transient),
    ("timed out", PullFault::Transient),
    ("deadline exceeded", PullFault::Transient),
    ("request canceled", PullFault::Transient),
    ("connection reset", PullFault::Transient),
    ("connection refused", PullFault::Transient),
    ("broken pipe", PullFault::Transient),
    ("eof", PullFault::Transient),
    ("temporary failure", PullFault::Transient),
    ("server misbehaving", PullFault::Transient),
];

impl PullFault {
    /// Reads what the daemon said. What stands in the name of an image or of a registry decides nothing.
    pub fn of_answer(answer: &str) -> Self {
        let answer = Answer::read(answer);
        let said = WORDS.iter().find(|(words, _)| answer.says(words));
        said.map(|(_, fault)| *fault)
            .or_else(|| Self::of_status(answer.status()?))
            .unwrap_or(Self::Other)
    }

    fn of_status(status: u16) -> Option<Self> {
        match status {
            401 | 403 => Some(Self::Denied),
            404 => Some(Self::NotFound),
            429 => Some(Self::RateLimited),
            408 | 500..=599 => Some(Self::Transient),
            _ => None,
        }
    }

    /// Whether the same again may end better. Nothing else is worth a second request to a registry.
    pub fn is_worth_a_retry(self) -> bool {
        matches!(self, Self::RateLimited | Self::Transient)
    }
}

impl fmt::Display for PullFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::RateLimited => "the registry limits how often it may be asked",
            Self::Transient => "the registry or the way to it had a fault",
            Self::Silent => "the registry was silent for too long",
            Self::NotFound => "the registry has no such image",
            Self::Denied => "the registry does not let us pull it",
            Self::WrongDigest => "what the registry sent is not what its digest says",
            Self::MissingPlatform => "it is not published for this machine's architecture",
            Self::DiskFull => "the daemon's disk is full",
            Self::NoNetwork => "there is no way to the registry",
            Self::Other => "the daemon refused",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_of_daemons_are_understood() {
        let cases = [
            (
                "toomanyrequests: You have reached your pull rate limit.",
                PullFault::RateLimited,
            ),
            (
                "error parsing HTTP 429 response body: invalid character 'T'",
                PullFault::RateLimited,
            ),
            (
                "no matching manifest for linux/arm64/v8 in the manifest list entries",
                PullFault::MissingPlatform,
            ),
            (
                "manifest verification failed for digest sha256:0000",
                PullFault::WrongDigest,
            ),
            (
                "manifest for confluentinc/cp-server:0 not found: manifest unknown: manifest unknown",
                PullFault::NotFound,
            ),
            (
                "pull access denied for x/y, repository does not exist or may require 'docker login'",
                PullFault::Denied,
            ),
            (
                "Get \"https://registry-1.docker.io/v2/\": net/http: TLS handshake timeout",
                PullFault::Transient,
            ),
            (
                "received unexpected HTTP status: 503 Service Unavailable",
                PullFault::Transient,
            ),
            (
                "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
                PullFault::NoNetwork,
            ),
            (
                "failed to register layer: write /a: no space left on device",
                PullFault::DiskFull,
            ),
            ("something new", PullFault::Other),
        ];
        for (answer, fault) in cases {
            assert_eq!(PullFault::of_answer(answer), fault, "{answer}");
        }
    }

    #[test]
    fn a_hostile_name_decides_nothing() {
        for name in [
            "denied",
            "forbidden",
            "eof",
            "timeout",
            "unauthorized",
            "toomanyrequests",
            "429",
        ] {
            for (answer, fault) in [
                (
                    format!(
                        "Get \"http://127.0.0.1:42941/v2/{name}/manifests/{name}\": no basic auth credentials"
                    ),
                    PullFault::Denied,
                ),
                (
                    format!(
                        "manifest for {name}/{name}:{name} not found: manifest unknown: manifest unknown"
                    ),
                    PullFault::NotFound,
                ),
                (
                    format!("reading manifest {name} in localhost:42941/{name}: manifest unknown"),
                    PullFault::NotFound,
                ),
                (
                    format!(
                        "Head \"https://{name}.example.org/v2/\": dial tcp: lookup {name}.example.org: no such host"
                    ),
                    PullFault::NoNetwork,
                ),
                (
                    format!("failed to register layer: write /{name}: no space left on device"),
                    PullFault::DiskFull,
                ),
            ] {
                assert_eq!(PullFault::of_answer(&answer), fault, "{answer}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_answer_means_something(answer in "\\PC*") {
            let _ = PullFault::of_answer(&answer);
        }
    }
}
