//! How to reach a Kafka that wants TLS and a password, and a Schema Registry and a ksqlDB server beside it: a file of
//! properties, as providers of Kafka give it to their customers.
//!
//! The file is read in two steps. What it says is checked without its secrets, so that the settings can be shown and
//! compared; the secrets that it names, `${env:NAME}` and `${file:PATH}`, are looked up when something is to be reached.
//! No secret is part of any error. Which names stand for what is said in `names`; must not know who connects.

mod error;
mod names;
pub mod portable;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::input_file;
use crate::stack::{Cluster, Credentials, HttpService, KafkaAddress, Properties};

pub use error::ClientPropertiesError;
use error::Reason;
use names::{Meaning, Part};
pub use portable::Portable;
use text::Line;

/// No such file is larger.
const FILE_LIMIT: u64 = 256 * 1024;

/// A file as it stands there, its secrets not looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFile {
    path: PathBuf,
    lines: Vec<Line>,
    servers: Option<KafkaAddress>,
}

/// What a file says, its secrets looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientProperties {
    /// Where Kafka listens.
    pub servers: Option<KafkaAddress>,
    /// What else a connection to Kafka takes.
    pub kafka: Properties,
    /// The Schema Registry.
    pub registry: Option<HttpService>,
    /// The ksqlDB server.
    pub ksqldb: Option<HttpService>,
}

impl ClientFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or a line of it is not understood.
    pub fn read(path: &Path) -> Result<Self, ClientPropertiesError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let unreadable = |source| ClientPropertiesError::Unreadable {
            path: path.clone(),
            source,
        };
        let size = fs::metadata(&path).map_err(unreadable)?.len();
        if size > FILE_LIMIT {
            return Err(ClientPropertiesError::TooLarge { path });
        }
        let bytes = input_file::read(&path).map_err(unreadable)?;
        let text = String::from_utf8_lossy(&bytes);
        Self::parse(&path, &text)
    }

    /// The text of a file at that path.
    ///
    /// # Errors
    /// When a line of it is not understood.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ClientPropertiesError> {
        let wrong = |line: usize, reason: Reason| ClientPropertiesError::Line {
            path: path.to_owned(),
            line,
            reason,
        };
        let lines = text::lines(text).map_err(|(line, reason)| wrong(line, reason))?;
        let mut servers = None;
        for line in &lines {
            let meaning = names::meaning(&line.name).map_err(|reason| wrong(line.number, reason))?;
            if meaning == Meaning::Servers {
                let address = line.plain().ok_or(Reason::SecretServers);
                let address = address.and_then(|address| {
                    let servers: Vec<&str> = address.split(',').map(str::trim).collect();
                    servers.join(",").parse().map_err(Reason::Servers)
                });
                servers = Some(address.map_err(|reason| wrong(line.number, reason))?);
            }
        }
        Ok(Self {
            path: path.to_owned(),
            lines,
            servers,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where Kafka listens, if it says so.
    pub fn servers(&self) -> Option<&KafkaAddress> {
        self.servers.as_ref()
    }

    /// Whether it says where a Schema Registry answers.
    pub fn names_registry(&self) -> bool {
        self.lines.iter().any(|line| line.name == names::REGISTRY_URL)
    }

    /// The same with its secrets: `variable` gives those of the environment. A path is relative to the file.
    ///
    /// # Errors
    /// When a secret is not there, or what belongs together is not.
    pub fn resolve(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<ClientProperties, ClientPropertiesError> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let mut kafka = Properties::default();
        let (mut registry, mut ksqldb) = (Service::default(), Service::default());
        for line in &self.lines {
            let wrong = |reason: Reason| ClientPropertiesError::Line {
                path: self.path.clone(),
                line: line.number,
                reason,
            };
            let value = line.value(folder, &variable).map_err(wrong)?;
            match names::meaning(&line.name).map_err(wrong)? {
                Meaning::Servers | Meaning::Ours => {}
                // What the hosts' extension would take for a secret that is named.
                Meaning::Connection | Meaning::Registry(_) if value.contains("${") => {
                    return Err(wrong(Reason::DollarBrace));
                }
                Meaning::Connection => kafka.0.push((line.name.clone(), value)),
                Meaning::File => {
                    let file = folder.join(value).display().to_string();
                    kafka.0.push((line.name.clone(), file));
                }
                Meaning::Registry(part) => registry.take(part, value, folder).map_err(wrong)?,
                Meaning::Ksqldb(part) => ksqldb.take(part, value, folder).map_err(wrong)?,
            }
        }
        let incomplete = |what| ClientPropertiesError::NoUrl {
            path: self.path.clone(),
            what,
        };
        Ok(ClientProperties {
            servers: self.servers.clone(),
            kafka,
            registry: registry.whole().map_err(|()| incomplete(names::REGISTRY_URL))?,
            ksqldb: ksqldb.whole().map_err(|()| incomplete(names::KSQLDB_URL))?,
        })
    }
}

impl ClientProperties {
    /// The Kafka at that address.
    pub fn cluster(&self, bootstrap_servers: impl Into<String>) -> Cluster {
        Cluster {
            bootstrap_servers: bootstrap_servers.into(),
            properties: self.kafka.clone(),
        }
    }

    /// The text of a file that says the same by itself: secrets stand in it as they are.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut add = |name: &str, value: &str| {
            text.push_str(&format!("{name}={}\n", text::escaped(value)));
        };
        if let Some(servers) = &self.servers {
            add(names::SERVERS, servers.as_str());
        }
        for (name, value) in &self.kafka.0 {
            add(name, value);
        }
        let services = [(&self.registry, names::REGISTRY), (&self.ksqldb, names::KSQLDB)];
        for (service, names) in services {
            let Some(service) = service else { continue };
            add(names.url, &service.url);
            if let Some(Credentials { user, password }) = &service.credentials {
                add(names.credentials, &format!("{user}:{password}"));
            }
            if let Some(certificates) = &service.certificates {
                add(names.certificates, &certificates.display().to_string());
            }
        }
        text
    }

    /// Tells what it says from anything else.
    pub fn identity(&self) -> String {
        let digest = Sha256::digest(self.to_text());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A service that speaks HTTP, as far as lines have said something of it.
#[derive(Default)]
struct Service {
    url: Option<String>,
    credentials: Option<Credentials>,
    certificates: Option<PathBuf>,
}

impl Service {
    fn take(&mut self, part: Part, value: String, folder: &Path) -> Result<(), Reason> {
        match part {
            Part::Url => {
                let scheme = value.split_once("://").map(|(scheme, _)| scheme);
                if !matches!(scheme, Some("http" | "https")) || value.contains('@') {
                    return Err(Reason::Url);
                }
                self.url = Some(value);
            }
            Part::Credentials => {
                let (user, password) = value.split_once(':').ok_or(Reason::UserInfo)?;
                self.credentials = Some(Credentials {
                    user: user.to_owned(),
                    password: password.to_owned(),
                });
            }
            Part::CredentialsSource if value == "USER_INFO" => {}
            Part::CredentialsSource => return Err(Reason::CredentialsSource),
            Part::Certificates => self.certificates = Some(folder.join(value)),
        }
        Ok(())
    }

    fn whole(self) -> Result<Option<HttpService>, ()> {
        match self.url {
            Some(url) => Ok(Some(HttpService {
                url,
                credentials: self.credentials,
                certificates: self.certificates,
            })),
            None if self.credentials.is_none() && self.certificates.is_none() => Ok(None),
            None => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Diagnose;
    use crate::exit_code::ExitCode;

    fn resolved(text: &str) -> Result<ClientProperties, ClientPropertiesError> {
        let file = ClientFile::parse(Path::new("/etc/demo/client.properties"), text)?;
        file.resolve(|name| (name == "SECRET").then(|| "pa\\ss $X:#".to_owned()))
    }

    #[test]
    fn what_a_provider_gives_is_understood() {
        let properties = resolved(
            "# Kafka\nbootstrap.servers=a.example.org:9092, b.example.org:9092\nsecurity.protocol = SASL_SSL\n\
             sasl.mechanisms=PLAIN\nsasl.username=KEY\nsasl.password=${env:SECRET}\nsession.timeout.ms=45000\n\
             client.id=x\nacks=all\nssl.ca.location=ca.pem\n\n! Registry\n\
             schema.registry.url=https://registry.example.org\nbasic.auth.credentials.source=USER_INFO\n\
             basic.auth.user.info=RK:${env:SECRET}\n\
             ksqldb.url=https://ksql.example.org:443\nksqldb.basic.auth.user.info=u:p\nksqldb.ssl.ca.location=/k.pem\n",
        )
        .expect("it is understood");
        let servers = properties.servers.as_ref().map(KafkaAddress::as_str);
        assert_eq!(servers, Some("a.example.org:9092,b.example.org:9092"));
        let kafka: Vec<(&str, &str)> = properties
            .kafka
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            kafka,
            [
                ("security.protocol", "SASL_SSL"),
                ("sasl.mechanisms", "PLAIN"),
                ("sasl.username", "KEY"),
                ("sasl.password", "pa\\ss $X:#"),
                ("ssl.ca.location", "/etc/demo/ca.pem"),
            ]
        );
        let registry = properties.registry.as_ref().expect("a registry");
        assert_eq!(registry.url, "https://registry.example.org");
        let credentials = registry.credentials.as_ref().expect("credentials");
        assert_eq!(
            (credentials.user.as_str(), credentials.password.as_str()),
            ("RK", "pa\\ss $X:#")
        );
        let ksqldb = properties.ksqldb.as_ref().expect("ksqlDB");
        assert_eq!(ksqldb.certificates.as_deref(), Some(Path::new("/k.pem")));
        let shown = format!("{properties:?}");
        assert!(!shown.contains("pa\\"), "{shown}");
    }

    #[test]
    fn what_is_written_says_the_same() {
        let text = "bootstrap.servers=a:1\nsasl.password=${env:SECRET}\nssl.ca.pem=-----\\nAB\\n\n\
                    schema.registry.url=http://r\nbasic.auth.user.info=u:${env:SECRET}\n";
        let properties = resolved(text).expect("properties");
        let copy = resolved(&properties.to_text()).expect("a copy");
        assert_eq!(copy, properties);
        assert_eq!(copy.identity(), properties.identity());
    }

    #[test]
    fn mistakes_are_told_with_their_line_and_without_a_secret() {
        for (text, expected) in [
            ("x", "line 1: there is no `=` in it"),
            (
                "\nsecurity.protocol=a\\",
                "line 2: a line that goes on in the next one is not understood",
            ),
            (
                "sasl.password=${env:NONE}",
                "line 1: the environment variable `NONE` is not set",
            ),
            (
                "sasl.password=${file:/nonexistent/s}",
                "line 1: cannot read the file `/nonexistent/s`",
            ),
            ("sasl.password=a${x}", "line 1: `${x` is no placeholder"),
            ("bootstrap.servers=a", "line 1: `a` is not of the form"),
            (
                "bootstrap.servers=${env:SECRET}",
                "line 1: the addresses of brokers are no secret",
            ),
            (
                "sasl.password=a\\${secret",
                "line 1: a value with `${` in it cannot be handed",
            ),
            ("group.id=x", "line 1: `group.id` is not about the connection"),
            (
                "sasl.jaas.config=secret",
                "line 1: `sasl.jaas.config` is a property of Kafka's clients in Java",
            ),
            (
                "schema.registry.url=secret@r",
                "line 1: it has to begin with `http://` or `https://`",
            ),
            (
                "schema.registry.url=http://u:secret@r",
                "line 1: it has to begin with",
            ),
            (
                "basic.auth.user.info=secret",
                "line 1: it has to be `USER:PASSWORD`",
            ),
            (
                "basic.auth.credentials.source=URL",
                "line 1: only `USER_INFO` is understood",
            ),
            (
                "basic.auth.user.info=u:\\${secret",
                "line 1: a value with `${` in it cannot be handed",
            ),
            (
                "basic.auth.user.info=u:secret",
                "`schema.registry.url` is missing",
            ),
            ("ksqldb.basic.auth.user.info=u:secret", "`ksqldb.url` is missing"),
        ] {
            let error = resolved(text).expect_err(text);
            let told = error.to_string();
            assert!(told.contains(expected), "{text}: {told}");
            assert!(!told.contains("secret@") && !told.contains("u:secret"), "{told}");
            assert!(expected.contains("secret") || !told.contains("secret"), "{told}");
            assert_eq!(error.exit_code(), ExitCode::Usage);
        }
    }

    proptest! {
        #[test]
        fn any_value_survives_being_written(value in "\\PC*|[ \\\\\t\n\r${}:=#!]{0,12}") {
            // Which is refused.
            prop_assume!(!value.contains("${"));
            let properties = ClientProperties {
                servers: None,
                kafka: Properties(vec![("sasl.password".to_owned(), value)]),
                registry: None,
                ksqldb: None,
            };
            let copy = resolved(&properties.to_text()).expect("a copy");
            prop_assert_eq!(copy, properties);
        }

        #[test]
        fn no_text_is_too_much(text in "\\PC{0,64}|([a-z.]{1,12}=[${}:a-z\\\\]{0,12}\n?){0,4}") {
            let _ = resolved(&text);
        }
    }
}
