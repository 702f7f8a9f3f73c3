//! What can be wrong with a file of client properties. Nothing of a value that may be secret is in it.

use std::io;
use std::path::PathBuf;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::stack::InvalidKafkaAddress;

use super::FILE_LIMIT;

/// A file of client properties cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ClientPropertiesError {
    /// It cannot be read.
    #[error("failed to read the client properties `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that it names cannot be read.
    #[error("failed to read `{}`, which the client properties name: {source}", path.display())]
    Named {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else.
    #[error("the client properties `{}` are larger than {FILE_LIMIT} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line is wrong.
    #[error("the client properties `{}`, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        reason: Reason,
    },
    /// Something is said of a service, but not where it is.
    #[error("the client properties `{}` have a user for a service whose address `{what}` is missing", path.display())]
    NoUrl {
        /// The file.
        path: PathBuf,
        /// The name of the address.
        what: &'static str,
    },
    /// librdkafka refuses a property.
    #[error("the client properties `{}`: `{name}`: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The property.
        name: String,
        /// What librdkafka says.
        reason: String,
    },
}

/// Why a line is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// It is no property.
    #[error("there is no `=` in it")]
    NoValue,
    /// It ends in a backslash.
    #[error("a line that goes on in the next one is not understood")]
    GoesOn,
    /// An escape that is none.
    #[error("`\\u` takes four hexadecimal digits")]
    Escape,
    /// The address is to be seen.
    #[error("the addresses of brokers are no secret, and have to stand here themselves")]
    SecretServers,
    /// It is no address.
    #[error("{0}")]
    Servers(InvalidKafkaAddress),
    /// A property of another sort.
    #[error("`{name}` is not about the connection, which is all that such a file is for")]
    NotConnection {
        /// Its name.
        name: String,
    },
    /// A property of another client.
    #[error("`{name}` is a property of Kafka's clients in Java; librdkafka has `{instead}`")]
    Java {
        /// Its name.
        name: String,
        /// What librdkafka has.
        instead: &'static str,
    },
    /// It is no URL.
    #[error("it has to begin with `http://` or `https://`, without a user in it")]
    Url,
    /// It is no user with a password.
    #[error("it has to be `USER:PASSWORD`")]
    UserInfo,
    /// Another source of credentials.
    #[error("only `USER_INFO` is understood")]
    CredentialsSource,
    /// The hosts' extension would look for a secret of another name.
    #[error("a value with `${{` in it cannot be handed to the hosts")]
    DollarBrace,
    /// It is not set.
    #[error("the environment variable `{name}` is not set")]
    NotSet {
        /// Its name.
        name: String,
    },
    /// A file with a secret cannot be read.
    #[error("cannot read the file `{}`: {source}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Neither a variable nor a file.
    #[error("`${{{text}` is no placeholder")]
    Placeholder {
        /// How it begins.
        text: String,
    },
}

impl Diagnose for ClientPropertiesError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Line { reason, .. } => match reason {
                Reason::NotSet { name } => format!("`{name}=… osqdemo up`"),
                Reason::Placeholder { .. } => {
                    "a secret is `${env:NAME}` or `${file:PATH}`, and `\\$` is a dollar".to_owned()
                }
                Reason::NotConnection { .. } => {
                    "such as `security.protocol`, `sasl.username`, `ssl.ca.location`; leave the line out"
                        .to_owned()
                }
                _ => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        vec![hint]
    }
}
