//! The command line, as osqueryd writes it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// An osquery extension that produces osquery's results to Kafka.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "confluent.ext",
    version = crate::EXTENSION_VERSION,
    after_help = "The configuration is the JSON file named by OSQUERY_CONFIG, else by OSQURY_CONFIG or OSQUER_CONFIG, \
                  else osquery_confluent_config.json in the working directory.\n\n\
                  Exit codes: 0 ended in order, 1 unexpected failure, 2 usage, 3 unusable configuration, \
                  4 osqueryd out of reach or registration refused, \
                  5 `--connect` failed."
)]
pub(crate) struct Arguments {
    /// osqueryd's extension socket.
    #[arg(long, value_name = "PATH", required_unless_present = "check")]
    pub(crate) socket: Option<PathBuf>,
    /// Say what is wrong with the configuration, and end; nothing is connected to.
    #[arg(long, conflicts_with = "socket")]
    pub(crate) check: bool,
    /// With `--check`: say it as JSON on standard output.
    #[arg(long, requires = "check")]
    pub(crate) json: bool,
    /// With `--check`: also try names, connections, TLS, the login and the topics; nothing is written.
    #[arg(long, requires = "check", conflicts_with = "json")]
    pub(crate) connect: bool,
    /// Seconds to keep trying to reach osqueryd; at least 10 are taken.
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    timeout: u32,
    /// Seconds between two looks at whether osqueryd is still there.
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    interval: u32,
    /// Log more.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub(crate) verbose: bool,
}

impl Arguments {
    /// How long to keep trying to register. osqueryd starts its extensions before it opens its socket, and
    /// holds the place of an extension that crashed for some seconds, so its own 3 seconds are too few.
    pub(crate) fn registration_patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout).max(10))
    }

    /// How often to look whether osqueryd is still there.
    pub(crate) fn watch_interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn osqueryds_own_spelling_is_understood() {
        let line = [
            "x",
            "--verbose",
            "--socket",
            "/run/em",
            "--timeout",
            "3",
            "--interval",
            "3",
        ];
        let arguments = Arguments::try_parse_from(line).unwrap();
        assert!(arguments.verbose);
        assert_eq!(arguments.socket, Some(PathBuf::from("/run/em")));
        assert_eq!(arguments.registration_patience(), Duration::from_secs(10));
    }

    #[test]
    fn gflags_spelling_is_understood() {
        let line = [
            "x",
            "--verbose=false",
            "--socket=/run/em",
            "--timeout=30",
            "--interval=0",
        ];
        let arguments = Arguments::try_parse_from(line).unwrap();
        assert!(!arguments.verbose);
        assert_eq!(arguments.registration_patience(), Duration::from_secs(30));
        assert_eq!(arguments.watch_interval(), Duration::from_secs(1));
    }

    #[test]
    fn the_socket_is_needed() {
        let error = Arguments::try_parse_from(["x"]).unwrap_err().to_string();
        assert!(error.contains("--socket"), "{error}");
    }
}
