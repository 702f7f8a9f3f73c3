//! The broker's configuration file, TOML: listeners, users, tokens, ACLs' defaults, when records are synced, and what
//! clients may take.
//!
//! What is wrong in it is told with its place. A password may stand elsewhere: `${env:NAME}`, `${file:PATH}`. A path is
//! relative to the file.

mod limits;
mod typed;

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use self::limits::TypedLimits;
use self::typed::{
    Typed, TypedClientCertificates, TypedFlush, TypedListener, TypedMetrics, TypedMigration, TypedTls,
    TypedTokens, TypedUser, TypedWithoutAcl,
};
use super::{
    ClientCertificates, Config, FlushPolicy, GroupMigration, HostPort, Listener, Mechanism, Secret, Security,
    Tls, TokenKeys, Tokens, User, WithoutAcl,
};

/// No configuration, and no file with a password, is larger.
const FILE_LIMIT: u64 = 1024 * 1024;
/// Users a configuration may have: each costs some milliseconds at the start.
const MAX_USERS: usize = 1000;

/// What a configuration file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Listeners, besides those of the options; one of the same name takes the other's place.
    pub listeners: Vec<Listener>,
    /// Users, tokens, super users.
    pub security: Security,
    /// Where Prometheus may ask, and by which names.
    pub metrics: Option<(SocketAddr, Vec<String>)>,
    /// When acknowledged records are forced to the disk, where the file says it.
    pub flush: Option<FlushPolicy>,
    /// Which groups change their protocol with members in them, where the file says it.
    pub migration: Option<GroupMigration>,
    limits: TypedLimits,
}

/// Why a configuration file cannot be followed. No password is in it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file, or one that it names, cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no TOML, or has what no configuration has.
    #[error("`{}` is no configuration of the broker: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong there.
        reason: String,
    },
    /// A value cannot be.
    #[error("`{}`: {about}: {reason}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// What it is about.
        about: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ConfigFileError {
    /// What may be done about it, where that is not plain from the text.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } => Some(
                "there is `flush`, and the tables are `[[listener]]`, `[[user]]`, `[tokens]`, `[acls]`, `[groups]`, `[metrics]` and `[limits]`; docs/broker.md shows an example"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl ConfigFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read or followed.
    pub fn read(path: &Path) -> Result<Self, ConfigFileError> {
        let text = read_text(path)?;
        Self::parse(&text, path, |name| std::env::var(name).ok())
    }

    /// Reads `text` as if it stood in the file at `path`; `variable` knows the environment.
    ///
    /// # Errors
    /// When it cannot be followed.
    pub fn parse(
        text: &str,
        path: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigFileError> {
        let typed: Typed = toml_edit::de::from_str(text).map_err(|error| ConfigFileError::Syntax {
            path: path.to_owned(),
            // The parser's text shows the line: in one with a password, that must not be.
            reason: place(text, &error),
        })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let reader = Reader {
            path,
            folder,
            variable: &variable,
        };
        reader.resolve(typed)
    }

    /// Puts it into a configuration.
    pub fn apply(self, config: &mut Config) {
        for listener in self.listeners {
            match config
                .listeners
                .iter_mut()
                .find(|known| known.name == listener.name)
            {
                Some(known) => *known = listener,
                None => config.listeners.push(listener),
            }
        }
        config.security = self.security;
        if let Some((address, hosts)) = self.metrics {
            config.metrics = Some(address);
            config.metrics_hosts = hosts;
        }
        if let Some(flush) = self.flush {
            config.flush = flush;
        }
        if let Some(migration) = self.migration {
            config.groups.migration = migration;
        }
        self.limits.apply(config);
    }
}

struct Reader<'a> {
    path: &'a Path,
    folder: PathBuf,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    fn resolve(&self, typed: Typed) -> Result<ConfigFile, ConfigFileError> {
        let mut listeners: Vec<Listener> = Vec::with_capacity(typed.listener.len());
        for listener in typed.listener {
            let listener = self.listener(listener)?;
            if listeners.iter().any(|known| known.name == listener.name) {
                return Err(self.wrong(&about_listener(&listener.name), "there are two of that name"));
            }
            listeners.push(listener);
        }
        let wants_tokens = |listener: &&Listener| listener.mechanisms.contains(&Mechanism::OauthBearer);
        let tokens = typed.tokens.map(|tokens| self.tokens(tokens)).transpose()?;
        if let Some(listener) = listeners.iter().find(wants_tokens)
            && tokens.is_none()
        {
            let reason = "OAUTHBEARER needs a table `[tokens]`, which says which tokens are believed";
            return Err(self.wrong(&about_listener(&listener.name), reason));
        }
        for name in &typed.acls.super_users {
            if !name.starts_with("User:") {
                return Err(self.wrong(
                    &format!("super user `{name}`"),
                    "a principal is of the form `User:NAME`",
                ));
            }
        }
        let metrics = typed.metrics.map(|metrics| {
            let TypedMetrics { bind, allow_hosts } = metrics;
            let address = bind.parse().map_err(|_| {
                let reason = format!("`{bind}` is no address with a port, such as 127.0.0.1:9404");
                self.wrong("metrics", &reason)
            });
            Ok((address?, allow_hosts))
        });
        Ok(ConfigFile {
            listeners,
            metrics: metrics.transpose()?,
            flush: typed.flush.map(|flush| match flush {
                TypedFlush::Interval => FlushPolicy::default(),
                TypedFlush::EveryBatch => FlushPolicy::EveryBatch,
            }),
            migration: typed.groups.migration.map(|migration| match migration {
                TypedMigration::Bidirectional => GroupMigration::Bidirectional,
                TypedMigration::Upgrade => GroupMigration::Upgrade,
                TypedMigration::Downgrade => GroupMigration::Downgrade,
                TypedMigration::Disabled => GroupMigration::Disabled,
            }),
            limits: typed.limits,
            security: Security {
                users: self.users(typed.user)?,
                tokens,
                super_users: typed.acls.super_users,
                without_acl: match typed.acls.without_acl {
                    TypedWithoutAcl::Allow => WithoutAcl::Allow,
                    TypedWithoutAcl::Deny => WithoutAcl::Deny,
                },
            },
        })
    }

    fn listener(&self, typed: TypedListener) -> Result<Listener, ConfigFileError> {
        let about = about_listener(&typed.name);
        if typed.name.is_empty() {
            return Err(self.wrong(&about, "its name is empty"));
        }
        let bind: SocketAddr = typed.bind.parse().map_err(|_| {
            self.wrong(
                &about,
                &format!(
                    "`{}` is no address with a port, such as 127.0.0.1:9093",
                    typed.bind
                ),
            )
        })?;
        let advertised = typed.advertise.map(|text| {
            HostPort::parse(&text)
                .ok_or_else(|| self.wrong(&about, &format!("`{text}` is not of the form `HOST:PORT`")))
        });
        let mechanisms = typed.sasl.iter().map(|name| {
            let names = Mechanism::ALL.map(Mechanism::name).join(", ");
            Mechanism::of_name(name)
                .ok_or_else(|| self.wrong(&about, &format!("there is no mechanism `{name}`, only {names}")))
        });
        Ok(Listener {
            bind,
            advertised: advertised.transpose()?,
            mechanisms: mechanisms.collect::<Result<_, _>>()?,
            tls: typed.tls.map(|tls| self.tls(&about, tls)).transpose()?,
            name: typed.name,
        })
    }

    fn tls(&self, about: &str, typed: TypedTls) -> Result<Tls, ConfigFileError> {
        let roots = typed.client_roots.map(|path| self.folder.join(path));
        let clients = match (typed.client_certificates, roots) {
            (TypedClientCertificates::Ignored, None) => ClientCertificates::Ignored,
            (TypedClientCertificates::Ignored, Some(_)) => {
                let reason =
                    "`client-roots` has no effect without `client-certificates`, `requested` or `required`";
                return Err(self.wrong(about, reason));
            }
            (TypedClientCertificates::Requested, Some(roots)) => ClientCertificates::Requested(roots),
            (TypedClientCertificates::Required, Some(roots)) => ClientCertificates::Required(roots),
            (_, None) => {
                let reason = "`client-certificates` needs `client-roots`, the file of those who sign them";
                return Err(self.wrong(about, reason));
            }
        };
        Ok(Tls {
            certificate: self.folder.join(typed.certificate),
            key: self.folder.join(typed.key),
            clients,
        })
    }

    fn users(&self, typed: Vec<TypedUser>) -> Result<Vec<User>, ConfigFileError> {
        if typed.len() > MAX_USERS {
            let about = format!("{} users", typed.len());
            return Err(self.wrong(&about, &format!("a configuration may have {MAX_USERS}")));
        }
        let mut users: Vec<User> = Vec::with_capacity(typed.len());
        for user in typed {
            let about = format!("user `{}`", user.name);
            if user.name.is_empty() {
                return Err(self.wrong(&about, "its name is empty"));
            }
            if users.iter().any(|known| known.name == user.name) {
                return Err(self.wrong(&about, "there are two of that name"));
            }
            let password = self.secret(&about, user.password)?;
            users.push(User {
                name: user.name,
                password,
            });
        }
        Ok(users)
    }

    fn tokens(&self, typed: TypedTokens) -> Result<Tokens, ConfigFileError> {
        let keys = match (typed.unsecured, typed.jwks) {
            (true, None) => TokenKeys::Unsecured,
            (false, Some(path)) => TokenKeys::Jwks(self.folder.join(path)),
            _ => {
                let reason = "exactly one of `jwks = FILE` and `unsecured = true` belongs here";
                return Err(self.wrong("tokens", reason));
            }
        };
        Ok(Tokens {
            keys,
            issuer: typed.issuer,
            audience: typed.audience,
            principal_claim: typed.principal_claim,
        })
    }

    /// The text itself, or what it stands for.
    fn secret(&self, about: &str, text: String) -> Result<Secret, ConfigFileError> {
        let place = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let found = match place.and_then(|place| place.split_once(':')) {
            Some(("env", name)) => (self.variable)(name)
                .ok_or_else(|| self.wrong(about, &format!("the environment variable `{name}` is not set")))?,
            Some(("file", file)) => {
                let mut text = read_text(&self.folder.join(file))?;
                if text.ends_with('\n') {
                    text.pop();
                }
                text
            }
            _ if text.starts_with("${") => {
                let reason = "only `${env:NAME}` and `${file:PATH}` stand for a password";
                return Err(self.wrong(about, reason));
            }
            _ => text,
        };
        if found.is_empty() {
            return Err(self.wrong(about, "the password is empty"));
        }
        Ok(Secret::new(found))
    }

    fn wrong(&self, about: &str, reason: &str) -> ConfigFileError {
        ConfigFileError::Value {
            path: self.path.to_owned(),
            about: about.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

fn about_listener(name: &str) -> String {
    format!("listener `{name}`")
}

/// Where in the text, and what is wrong there, without the text itself.
fn place(text: &str, error: &toml_edit::de::Error) -> String {
    let message = without_value(error.message());
    let Some(span) = error.span() else {
        return message;
    };
    let before = text.get(..span.start).unwrap_or("");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("line {line}, column {column}: {message}")
}

/// The message about a value of the wrong kind, without the value: it may be a password in the wrong place.
fn without_value(message: &str) -> String {
    let expected = message.rfind(", expected ");
    match (message.find(['"', '`']), expected) {
        (Some(begin), Some(end)) if message.starts_with("invalid ") && begin < end => {
            format!("{}{}", message[..begin].trim_end(), &message[end..])
        }
        _ => message.to_owned(),
    }
}

fn read_text(path: &Path) -> Result<String, ConfigFileError> {
    let unreadable = |source| ConfigFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_LIMIT + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > FILE_LIMIT {
        let reason = format!("it is larger than {FILE_LIMIT} bytes");
        return Err(unreadable(io::Error::other(reason)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
