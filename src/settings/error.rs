//! What is wrong with a setting, whichever place it comes from.

use std::path::PathBuf;

use crate::error::Diagnose;
use crate::exit_code::ExitCode;
use crate::host_config::{LineFormat, UnknownFormat};
use crate::images::{InvalidPolicy, InvalidReference};
use crate::settings::Source;
use crate::stack::ServiceName;
use crate::stack::project::InvalidProjectName;

/// What is wrong with a setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The project's name cannot be one.
    #[error(transparent)]
    Project(#[from] InvalidProjectName),
    /// There is no place for the state.
    #[error(
        "no folder for the state: none of `OSQDEMO_HOME`, `XDG_STATE_HOME` and `HOME` names one by its full path"
    )]
    NoHome,
    /// The state folder cannot be written down in the files that name it.
    #[error("the folder of the state, `{}`, must be UTF-8 without control characters", home.display().to_string().escape_debug())]
    UnusableHome {
        /// The folder.
        home: PathBuf,
    },
    /// A stack file that cannot be read.
    #[error("failed to read the stack file `{}`: {source}", path.display())]
    StackFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A stack that does not run as processes.
    #[error("stack `{stack}` runs in containers only, not on engine `native`")]
    ContainersOnly {
        /// The stack.
        stack: String,
        /// Who wants the engine.
        engine: Source,
    },
    /// A way to a Kafka, but not where it is.
    #[error("`{}` does not say where Kafka is: it has no `bootstrap.servers`", path.display())]
    NoServers {
        /// The file of client properties.
        path: PathBuf,
    },
    /// An image of somebody else's cannot be given the client properties.
    #[error("the image of service `{service}` takes no file of client properties")]
    KafkaConfigOfImage {
        /// The service.
        service: ServiceName,
        /// Who names the file.
        config: Source,
    },
    /// A listener for other machines on an engine that has none.
    #[error(
        "engine `docker` publishes the broker's port on this machine alone, so that `--listen` is not possible"
    )]
    ListenInContainers {
        /// Who says so.
        listen: Source,
    },
    /// A listener for other machines of a broker that is not there.
    #[error("the stack has no broker of its own that could listen for other machines")]
    ListenWithoutBroker {
        /// Who says so.
        listen: Source,
    },
    /// A container that is to reach a Kafka by its own loopback.
    #[error("inside a container `{server}` is the container itself, not the Kafka on this machine")]
    LoopbackInContainers {
        /// The part of the address.
        server: String,
        /// Who says so.
        kafka: Source,
    },
    /// Programs that are compiled for images, without images.
    #[error("`--source` is about images, and engine `native` has none")]
    SourceWithoutImages,
    /// Not a format of lines.
    #[error("{0}")]
    LineFormat(UnknownFormat),
    /// The project's topics hold lines in another format.
    #[error("the project's topics hold lines in the format `{earlier}`, not `{wanted}`")]
    OtherLineFormat {
        /// What they hold.
        earlier: LineFormat,
        /// What is wanted.
        wanted: LineFormat,
        /// Who wants it.
        from: Source,
    },
    /// The schemas of Avro have no place.
    #[error("the format `avro` needs a schema registry, and the stack has none, or it is left out")]
    AvroWithoutRegistry {
        /// Who wants the format.
        from: Source,
    },
    /// Not `SERVICE=PORT`.
    #[error("`{text}` is not of the form `SERVICE=PORT`")]
    Port {
        /// What was given.
        text: String,
    },
    /// No port has this number.
    #[error("`{text}` has no port in it: ports are from 0 to 65535")]
    PortRange {
        /// What was given.
        text: String,
    },
    /// Not `HOST:PORT`.
    #[error("`{text}` is not of the form `HOST:PORT`")]
    HostPort {
        /// What was given.
        text: String,
    },
    /// A service that listens nowhere.
    #[error("service `{service}` publishes no port")]
    NoPort {
        /// The service.
        service: ServiceName,
    },
    /// Not when to pull.
    #[error(transparent)]
    Policy(InvalidPolicy),
    /// Not a registry.
    #[error(transparent)]
    Registry(InvalidReference),
    /// Not which statements.
    #[error("`{text}` is not `demo` or `none`: which statements ksqlDB gets")]
    Statements {
        /// What was given.
        text: String,
    },
    /// Not how a service can be asked for its health.
    #[error("there is no probe `{text}`; the probes are {}", known.join(", "))]
    Probe {
        /// What was given.
        text: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// Not a report that a smoke test writes.
    #[error("`{text}` is not of the form `junit=FILE`")]
    SmokeReport {
        /// What was given.
        text: String,
    },
}

impl Diagnose for SettingsError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::ContainersOnly { engine, .. } => {
                let from = engine.hint("engine `native`").into_iter();
                from.chain(["use `--engine docker`".to_owned()]).collect()
            }
            Self::NoServers { .. } => vec!["add it, or name the address with `--kafka HOST:PORT`".to_owned()],
            Self::KafkaConfigOfImage { service, config } => {
                let from = config.hint("the file of client properties").into_iter();
                from.chain([format!(
                    "leave it out with `--without {service}`; the services of the stacks `lite` and `cloud` take the file"
                )])
                .collect()
            }
            Self::ListenInContainers { listen } => {
                let from = listen.hint("the address").into_iter();
                from.chain(["use `--engine native`, or `--listen none`".to_owned()])
                    .collect()
            }
            Self::ListenWithoutBroker { listen } => {
                let from = listen.hint("the address").into_iter();
                let other = "leave it out with `--listen none`: the other Kafka has listeners of its own";
                from.chain([other.to_owned()]).collect()
            }
            Self::LoopbackInContainers { kafka, .. } => {
                let from = kafka.hint("the address").into_iter();
                let other = "name a listener that containers reach and that advertises such an address, or use `--engine native`";
                from.chain([other.to_owned()]).collect()
            }
            Self::SourceWithoutImages => vec!["natively the installed programs run: `make build`".to_owned()],
            Self::OtherLineFormat { wanted, from, .. } => {
                let from = from.hint(&format!("format `{wanted}`")).into_iter();
                let empty = "begin with empty topics: `osqdemo down --volumes`, or another project with `--project NAME`";
                from.chain([empty.to_owned()]).collect()
            }
            Self::AvroWithoutRegistry { from } => {
                let from = from.hint("format `avro`").into_iter();
                from.chain([
                    "`--without none` leaves nothing out, `schema.registry.url` in the file of `--kafka-config` names one elsewhere, and \
                     `--format json` needs none"
                        .to_owned(),
                ])
                .collect()
            }
            Self::Port { .. } => vec!["for example `--port broker=19092`, or `--port broker=0`".to_owned()],
            _ => Vec::new(),
        }
    }
}
