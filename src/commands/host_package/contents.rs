//! What is in a package for other machines: pure text, made of the project's hosts' configuration.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};

use crate::engine::native::host_folder::{FLAGS, with_flags};
use crate::host_config::{self, HostConfig};
use crate::kafka::is_secret;
use crate::stack::Properties;

/// The name of the package.
pub(super) const PACKAGE: &str = "osqdemo-host";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The folder of its settings.
pub(super) const SETTINGS: &str = "/etc/osquery/confluent";

/// Where osqueryd finds the extension.
pub(super) const EXTENSION: &str = "/usr/lib/osquery/extensions/confluent.ext";

/// Where the unit lies.
pub(super) const UNIT_PATH: &str = "/lib/systemd/system/osqueryd-confluent.service";

pub(super) const UNIT: &str = include_str!("osqueryd-confluent.service");

const GUIDE: &str = include_str!("guide.md");

/// What a connection to Kafka takes on another machine: secrets stand in files there, and are not in the package.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) properties: Properties,
    /// Files that belong into the folder of the settings, for root alone, and what each of them holds.
    pub(super) secrets: Vec<(String, String)>,
    /// Files that are copied into it.
    pub(super) copied: Vec<(PathBuf, String)>,
}

impl Connection {
    /// Of what a connection takes here.
    pub(super) fn elsewhere(here: &Properties) -> Self {
        let mut elsewhere = Self::default();
        for (name, value) in &here.0 {
            let value = if is_secret(name) && !name.ends_with(".location") {
                let file = name.replace('.', "-");
                let place = format!("${{file:{SETTINGS}/{file}}}");
                let whose = here
                    .0
                    .iter()
                    .find(|(other, _)| name == "sasl.password" && other == "sasl.username");
                let whose = whose.map_or(String::new(), |(_, user)| format!(", the password of `{user}`"));
                elsewhere
                    .secrets
                    .push((file, format!("the value of `{name}`{whose}")));
                place
            } else if name.ends_with(".location") {
                let here = PathBuf::from(value);
                let file = here
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let place = format!("{SETTINGS}/{file}");
                if name == "ssl.ca.location" {
                    elsewhere.copied.push((here, file));
                } else {
                    elsewhere.secrets.push((file, format!("the file of `{name}`")));
                }
                place
            } else {
                value.clone()
            };
            elsewhere.properties.0.push((name.clone(), value));
        }
        elsewhere
    }
}

/// The hosts' configuration, for a machine that finds Kafka there.
pub(super) fn configuration(own: Option<&HostConfig>, servers: &str, connection: &Connection) -> String {
    host_config::text_for(own, servers, &connection.properties, None)
}

/// osqueryd's flags.
pub(super) fn flags() -> String {
    let values = [
        ("logger_plugin", "confluent_logger,filesystem"),
        ("logger_path", "/var/log/osquery"),
        ("extensions_autoload", "/etc/osquery/confluent/extensions.load"),
        ("extensions_socket", "/run/osqueryd-confluent.em"),
        ("database_path", "/var/lib/osqdemo/osquery.db"),
        ("pidfile", "/run/osqueryd-confluent.pid"),
        // A machine that people work on is to be spared.
        ("watchdog_level", "0"),
    ];
    let values = values.map(|(name, value)| (name, value.to_owned()));
    let text = with_flags(FLAGS, &values);
    // The comments there are about other values.
    let flags = text.lines().filter(|line| line.starts_with("--"));
    let head = "# Flags of osqueryd; osqdemo's docs/extension.md says why they are so.\n".to_owned();
    flags.fold(head, |text, flag| text + flag + "\n")
}

/// What Debian calls this processor.
fn architecture() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The name of the Debian package's file.
pub(super) fn deb() -> String {
    format!("{PACKAGE}_{VERSION}_{}.deb", architecture())
}

/// What dpkg is told of it.
pub(super) fn control() -> String {
    format!(
        "Package: {PACKAGE}\nVersion: {VERSION}\nArchitecture: {}\nMaintainer: whoever runs osqdemo <root@localhost>\n\
         Depends: libc6, zlib1g\nRecommends: osquery\nSection: admin\nPriority: optional\n\
         Description: osquery's results to Kafka\n An extension of osquery's with its configuration and a unit of systemd.\n",
        architecture()
    )
}

/// The files that dpkg leaves as their owner has made them.
pub(super) fn conffiles(connection: &Connection) -> String {
    let own = [
        "osquery_confluent_config.json",
        "osqueryd.flags",
        "extensions.load",
    ];
    let copied = connection.copied.iter().map(|(_, file)| file.as_str());
    own.into_iter()
        .chain(copied)
        .map(|file| format!("{SETTINGS}/{file}\n"))
        .collect()
}

/// Whether an address means the machine that asks.
fn is_loopback(servers: &str) -> bool {
    servers.split(',').any(|server| {
        server.starts_with("127.") || server.starts_with("localhost:") || server.starts_with("[::1]")
    })
}

/// The guide, one page.
pub(super) fn guide(servers: &str, connection: &Connection) -> String {
    let mut secrets = String::new();
    if !connection.secrets.is_empty() {
        secrets.push_str(
            "Secrets are not in the package. Put them there before it starts, each with mode 0600:\n\n",
        );
        for (file, what) in &connection.secrets {
            secrets.push_str(&format!("- `{SETTINGS}/{file}`: {what}\n"));
        }
        secrets.push('\n');
    }
    let reach = if is_loopback(servers) {
        "**This address is the machine's own**: it is of use only where Kafka runs on the same machine. Name another with \
         `--advertised`."
    } else {
        "`--check --connect` tries all of them."
    };
    let parts = [
        ("{servers}", servers),
        ("{version}", VERSION),
        ("{architecture}", architecture()),
        ("{deb}", &deb()),
        ("{package}", PACKAGE),
        ("{secrets}", &secrets),
        ("{reach}", reach),
    ];
    parts.iter().fold(GUIDE.to_owned(), |text, (place, value)| {
        text.replace(place, value)
    })
}

/// The place of a file of the machine in a folder that is laid out like it.
pub(super) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_in_the_package() {
        let here = Properties(
            [
                ("security.protocol", "SASL_SSL"),
                ("sasl.username", "jay"),
                ("sasl.password", "hush"),
                ("ssl.key.password", "hush"),
                ("sasl.oauthbearer.config", "hush"),
                ("ssl.ca.location", "/home/jay/ca.pem"),
                ("ssl.key.location", "/home/jay/own.key"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        );
        let connection = Connection::elsewhere(&here);
        let text = configuration(None, "kafka:9093", &connection);
        let guide = guide("kafka:9093", &connection);
        assert!(!text.contains("hush") && !guide.contains("hush"));
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let config = &document["config"];
        assert_eq!(config["bootstrap.servers"], "kafka:9093");
        assert_eq!(config["sasl.username"], "jay");
        assert_eq!(
            config["sasl.password"],
            "${file:/etc/osquery/confluent/sasl-password}"
        );
        assert_eq!(config["ssl.ca.location"], "/etc/osquery/confluent/ca.pem");
        assert_eq!(
            connection.copied,
            [("/home/jay/ca.pem".into(), "ca.pem".to_owned())]
        );
        for file in [
            "sasl-password",
            "ssl-key-password",
            "sasl-oauthbearer-config",
            "own.key",
        ] {
            assert!(
                guide.contains(&format!("`/etc/osquery/confluent/{file}`")),
                "{file}"
            );
        }
        assert!(conffiles(&connection).contains("/etc/osquery/confluent/ca.pem\n"));
    }

    #[test]
    fn the_guide_has_no_place_left_open() {
        for servers in ["kafka:9093", "127.0.0.1:9092"] {
            let guide = guide(servers, &Connection::default());
            assert!(!guide.contains('{') && guide.contains(servers), "{guide}");
            assert_eq!(guide.contains("the machine's own"), servers.starts_with("127"));
        }
    }

    #[test]
    fn the_files_agree_on_their_places() {
        let flags = flags();
        for path in [
            format!("--extensions_autoload={SETTINGS}/extensions.load"),
            "--config_plugin=osquery_confluent_config".to_owned(),
            "--logger_plugin=confluent_logger,filesystem".to_owned(),
            "--extensions_require=confluent".to_owned(),
        ] {
            assert!(flags.lines().any(|flag| flag == path), "{path}: {flags}");
        }
        assert!(UNIT.contains(&format!(
            "OSQUERY_CONFIG={SETTINGS}/osquery_confluent_config.json"
        )));
        assert!(UNIT.contains(&format!("--flagfile={SETTINGS}/osqueryd.flags")));
        assert!(GUIDE.contains(EXTENSION) && GUIDE.contains(UNIT_PATH));
    }
}
