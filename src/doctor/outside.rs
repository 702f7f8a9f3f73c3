//! What the demo wants of a Kafka outside of the stack, and of the services beside it: tried step by step, each failure
//! with its fix. Nothing is written there.
//!
//! Names, connections, certificates, the login and the right to write are the extension's to try, which does it at the
//! hosts as well; what our own clients do besides is tried here.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use osqdemo_registry_client::Client as Registry;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Check, Status};
use crate::kafka::{self, Refusal, registry_settings};
use crate::ksqldb::client::Client;
use crate::stack::{Cluster, HttpService};

/// How long the extension may try.
const EXTENSION_LIMIT: Duration = Duration::from_secs(60);

/// How far clocks may be apart: a window of the demo's joins is longer, and so is what TLS and tokens forgive.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

/// What is tried.
pub struct Outside<'a> {
    /// The Kafka.
    pub kafka: Cluster,
    /// What a host would be given.
    pub host_configuration: String,
    /// The topics that hosts write to and ksqlDB reads.
    pub topics: Vec<String>,
    /// The ksqlDB server, where that is elsewhere too.
    pub ksqldb: Option<&'a HttpService>,
    /// The Schema Registry, where that is elsewhere too.
    pub registry: Option<&'a HttpService>,
    /// The extension.
    pub extension: &'a Path,
}

impl Outside<'_> {
    /// Tries all of it, up to what makes the rest pointless.
    pub async fn check(&self) -> Vec<Check> {
        let mut checks = self.as_a_host().await;
        if checks.iter().all(|check| check.status == Status::Pass) {
            checks.push(self.check_reading().await);
            checks.push(self.check_making().await);
        }
        if let Some(ksqldb) = self.ksqldb {
            checks.extend(check_ksqldb(ksqldb).await);
        }
        if let Some(registry) = self.registry {
            checks.push(check_registry(registry.clone()).await);
        }
        checks
    }

    /// What the extension finds with the configuration that a host would have.
    async fn as_a_host(&self) -> Vec<Check> {
        let failed = |message: String| vec![check("Kafka", Status::Fail, message, None)];
        let trying = async {
            // It is handed over where nobody can read it along: there is a password in it.
            let mut child = Command::new(self.extension)
                .args(["--check", "--connect"])
                .env("OSQUERY_CONFIG", "/dev/stdin")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let stdin = child.stdin.take();
            let write = async {
                if let Some(mut stdin) = stdin {
                    // Who does not want it closes its end.
                    let _ = stdin.write_all(self.host_configuration.as_bytes()).await;
                }
            };
            let (output, ()) = tokio::join!(child.wait_with_output(), write);
            output
        };
        match timeout(EXTENSION_LIMIT, trying).await {
            Err(_) => failed(format!("not tried within {} s", EXTENSION_LIMIT.as_secs())),
            Ok(Err(error)) => failed(format!("`{}` cannot be run: {error}", self.extension.display())),
            Ok(Ok(output)) => {
                let checks = steps(&String::from_utf8_lossy(&output.stderr));
                let is_told = checks.iter().any(|check| check.status == Status::Fail);
                if output.status.success() || is_told {
                    return checks;
                }
                failed(format!("the extension ended with {}", output.status))
            }
        }
    }

    /// Whether `tail`, the scenario and ksqlDB may read what the hosts write.
    async fn check_reading(&self) -> Check {
        let fix = "give this user READ and DESCRIBE on these topics (`kafka-acls --consumer`)";
        match kafka::unreadable(&self.kafka, &self.topics).await {
            Ok(refused) if refused.is_empty() => check(
                "Kafka",
                Status::Pass,
                "the hosts' topics may be read".to_owned(),
                None,
            ),
            Ok(refused) => {
                let message = format!("may not read {}", refused.join(", "));
                check("Kafka", Status::Fail, message, Some(fix.to_owned()))
            }
            Err(error) => check("Kafka", Status::Fail, error.to_string(), Some(fix.to_owned())),
        }
    }

    /// Whether the topics that ksqlDB, the registry and `up` make could be made.
    async fn check_making(&self) -> Check {
        let fix = "give this user CREATE on the cluster, or have the topics made that docs/kafka.md names";
        match kafka::may_make_topics(&self.kafka).await {
            Ok(None) => check("Kafka", Status::Pass, "topics may be made".to_owned(), None),
            Ok(Some(Refusal(reason))) => {
                let message = format!("a topic of one replica may not be made: {reason}");
                check("Kafka", Status::Warn, message, Some(fix.to_owned()))
            }
            Err(error) => check("Kafka", Status::Fail, error.to_string(), Some(fix.to_owned())),
        }
    }
}

fn check(name: &str, status: Status, message: String, fix: Option<String>) -> Check {
    Check {
        category: "outside",
        name: name.to_owned(),
        status,
        message,
        fix,
    }
}

/// The extension's steps: `ok: WHAT`, and `failed: WHAT: REASON` with `hint: FIX` in the next line. Where it refuses the
/// configuration, there is a sentence in their place.
fn steps(text: &str) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for line in text.lines() {
        if let Some(what) = line.strip_prefix("ok: ") {
            checks.push(check("Kafka", Status::Pass, what.to_owned(), None));
        } else if let Some(hint) = line.strip_prefix("hint: ") {
            if let Some(last) = checks.last_mut() {
                last.fix = Some(hint.to_owned());
            }
        } else if let Some(finding) = line.strip_prefix("warning: ") {
            checks.push(check("hosts", Status::Warn, finding.to_owned(), None));
        } else if !line.is_empty() {
            let reason = line.strip_prefix("failed: ").unwrap_or(line);
            checks.push(check("Kafka", Status::Fail, reason.to_owned(), None));
        }
    }
    checks
}

async fn check_ksqldb(service: &HttpService) -> Vec<Check> {
    use crate::error::Diagnose;
    let failed = |error: crate::ksqldb::error::Error| {
        let fix = error.hints().pop();
        vec![check("ksqlDB", Status::Fail, error.to_string(), fix)]
    };
    let client = match Client::of(service) {
        Ok(client) => client,
        Err(error) => return failed(error),
    };
    let began = Timestamp::now();
    match client.info_and_time().await {
        Ok((info, time)) => {
            let message = format!("{service} lets this client in, version {}", info.version);
            vec![
                check("ksqlDB", Status::Pass, message, None),
                check_clock(began, Timestamp::now(), time),
            ]
        }
        Err(error) => failed(error),
    }
}

/// Compares what the other machine's clock said with the time in which it was asked.
fn check_clock(began: Timestamp, ended: Timestamp, theirs: Option<Timestamp>) -> Check {
    let Some(theirs) = theirs else {
        let message =
            "the ksqlDB server does not tell its time, so nothing is known of the clocks".to_owned();
        return check("clock", Status::Warn, message, None);
    };
    // Its second has no fractions.
    let ahead = theirs.duration_since(ended);
    let behind = began.duration_since(theirs);
    let skew = ahead.max(behind);
    if skew <= SKEW {
        let message = format!(
            "the ksqlDB server's is within {} s of this machine's",
            SKEW.as_secs()
        );
        return check("clock", Status::Pass, message, None);
    }
    let direction = if ahead > behind { "ahead of" } else { "behind" };
    let message = format!(
        "the ksqlDB server's is {} s {direction} this machine's",
        skew.as_secs()
    );
    let fix =
        "set the clocks by NTP: joins compare the hosts' times, and certificates and tokens have times too";
    check("clock", Status::Fail, message, Some(fix.to_owned()))
}

async fn check_registry(service: HttpService) -> Check {
    let url = service.url.clone();
    let asked = spawn_blocking(move || {
        let settings = osqdemo_registry_client::Settings {
            retries: 0,
            ..registry_settings(&service)
        };
        let client = Registry::new(settings).map_err(|error| error.to_string())?;
        client.subjects().map_err(|error| error.to_string())
    });
    match asked.await {
        Ok(Ok(subjects)) => {
            let message = format!("{url} lets this client in, {} subjects", subjects.len());
            check("registry", Status::Pass, message, None)
        }
        Ok(Err(reason)) => {
            let fix = "`basic.auth.user.info=USER:PASSWORD` in the file of `--kafka-config` says who asks"
                .to_owned();
            check("registry", Status::Fail, reason, Some(fix))
        }
        Err(error) => check("registry", Status::Fail, error.to_string(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extensions_words_become_checks() {
        let checks = steps("warning: x\nok: the name `a`\nfailed: TLS with `a`: expired\nhint: renew it\n");
        let told: Vec<_> = checks
            .iter()
            .map(|check| (check.status, check.message.as_str(), check.fix.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (Status::Warn, "x", None),
                (Status::Pass, "the name `a`", None),
                (Status::Fail, "TLS with `a`: expired", Some("renew it")),
            ]
        );
        let refused = steps("the configuration is unusable\nhint: mend it\n");
        assert_eq!((refused[0].status, refused.len()), (Status::Fail, 1));
    }

    #[test]
    fn clocks_may_be_a_little_apart() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let status = |theirs: i64| check_clock(at(1_000), at(1_002), Some(at(theirs))).status;
        assert_eq!([970, 1_001, 1_032].map(status), [Status::Pass; 3]);
        assert_eq!([969, 1_033].map(status), [Status::Fail; 2]);
        let behind = check_clock(at(1_000), at(1_002), Some(at(900))).message;
        assert_eq!(behind, "the ksqlDB server's is 100 s behind this machine's");
        assert_eq!(check_clock(at(1), at(1), None).status, Status::Warn);
    }
}
