//! How a stack is run: what `up` and `smoke` share, and the parts of it that other verbs take.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{LockArgs, PullArgs};

/// How a stack is run.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Which services, where, on which ports.
    #[command(flatten)]
    pub target: TargetArgs,
    /// How images are got.
    #[command(flatten)]
    pub pull: PullArgs,
    /// Which content they must have.
    #[command(flatten)]
    pub lock: LockArgs,
    /// What the hosts run.
    #[command(flatten)]
    pub osquery: OsqueryArgs,
    /// What the images are made of.
    #[command(flatten)]
    pub source: SourceArgs,
    /// What the hosts monitor: an extension configuration of your own, or `default`. `up` remembers what it says and the
    /// packs that it names; `osqdemo host-config` prints the default one to begin with.
    #[arg(long, value_name = "default|FILE")]
    pub host_config: Option<PathBuf>,
    /// In which format the hosts publish their lines: `json`, or `avro`, whose schemas the stack's registry holds; the
    /// statements then read the topics without being told their columns. A project keeps its format until
    /// `down --volumes`; `json` at first.
    #[arg(long, value_name = "json|avro")]
    pub format: Option<String>,
    /// Add a pack of osquery's to what the hosts monitor: its file, or a name, such as `incident-response`; may be given
    /// several times. `up` remembers it with the host configuration; `--host-config default` takes it back.
    #[arg(long = "pack", value_name = "FILE|NAME")]
    pub packs: Vec<String>,
    /// The folder in which names of packs are looked for first, as `NAME.conf` or `NAME.json`; then come those of the
    /// hosts' osquery, then osqdemo's own.
    #[arg(long, value_name = "FOLDER", requires = "packs")]
    pub pack_path: Option<PathBuf>,
    /// Let other machines in, too: the stack's own broker also listens at this address, with TLS and passwords, and tells
    /// it to its clients. It takes certificates (`osqdemo certs make`) and users (`osqdemo users add`). `up` remembers it;
    /// `none` takes it back.
    #[arg(long, value_name = "HOST:PORT|none")]
    pub listen: Option<String>,
    /// Which statements ksqlDB gets: `demo`, those of the pipeline, or `none`: then the streams can be made by hand.
    /// `up` remembers it; `demo` at first.
    #[arg(long, value_name = "demo|none")]
    pub statements: Option<String>,
    /// Submit no statements: `--statements none`.
    #[arg(long, conflicts_with = "statements")]
    pub no_statements: bool,
    /// How long all services together may take to become healthy, images aside. By default 60s, and 15m for a stack
    /// that runs in containers only.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
}

/// Which services, where, on which ports.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArgs {
    /// Which services.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Where they run: `native`, processes on this machine, or `docker`, containers. `up` remembers it; at
    /// first `native`, and `docker` for a stack that runs in containers only [env: OSQDEMO_ENGINE]
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<String>,
    /// Publish a service on this port, which is an error when it is taken; `0` is any free one. `up` remembers it.
    /// Without it the service gets its usual port, or another one when that is taken.
    #[arg(long = "port", value_name = "SERVICE=PORT")]
    pub ports: Vec<String>,
}

/// Which stack a verb is about.
#[derive(Debug, Clone, Default, Args)]
pub struct StackArgs {
    /// Which services: `lite`, built from this repository; `kafka`, the same with Apache Kafka's broker; `cloud`,
    /// the hosts alone, on a Kafka elsewhere; `confluent`, Confluent Platform 7.9 with ZooKeeper; or `confluent-8`,
    /// Confluent Platform as it is today. `up` remembers it; `lite` at first.
    #[arg(long, value_name = "STACK", global = true, conflicts_with = "stack_file")]
    pub stack: Option<String>,
    /// A stack of your own: a Compose file of the subset that `compose/lite.yaml` describes.
    #[arg(long, value_name = "FILE", global = true)]
    pub stack_file: Option<PathBuf>,
    /// Start an optional service too, such as `console` of stack `confluent`, which takes the place of Control Center;
    /// may be given several times. `up` remembers it; `none` is without any.
    #[arg(long, value_name = "SERVICE", global = true, value_delimiter = ',')]
    pub with: Vec<String>,
    /// Run on a Kafka that is already there, in place of the stack's own broker: its `HOST:PORT`, or several with commas
    /// between. `up` remembers it; `none` is the stack's own.
    #[arg(long, value_name = "HOST:PORT|none", global = true)]
    pub kafka: Option<String>,
    /// How that Kafka is reached, and a Schema Registry and a ksqlDB server beside it: a file of client properties with
    /// TLS and passwords, which may name its secrets as `${env:NAME}` or `${file:PATH}`. `up` remembers what it says;
    /// `none` is without.
    #[arg(long, value_name = "FILE|none", global = true)]
    pub kafka_config: Option<PathBuf>,
    /// Leave a service out, such as `control-center`, to save memory; may be given several times. `up` remembers it;
    /// `none` leaves nothing out.
    #[arg(long, value_name = "SERVICE", global = true, value_delimiter = ',')]
    pub without: Vec<String>,
}

/// What the hosts run.
#[derive(Debug, Clone, Default, Args)]
pub struct OsqueryArgs {
    /// Which osqueryd the hosts run: `osquery` (natively the one on the PATH, in containers osquery's official
    /// package), `builtin` (the built-in agent), `auto` (osquery where it can be had, else the built-in agent), or a
    /// path: natively of an osqueryd, in containers of osquery's package (`.deb`). `up` remembers it; `auto` at first.
    #[arg(long, value_name = "auto|osquery|builtin|PATH")]
    pub osqueryd: Option<String>,
    /// The SHA-256 checksum that osquery's package must have to go into the hosts' image. Without it, the package comes
    /// from osquery's signed APT repository [env: OSQDEMO_OSQUERY_SHA256]
    #[arg(long, value_name = "CHECKSUM")]
    pub osquery_sha256: Option<String>,
}

/// What the images are made of.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceArgs {
    /// What the images of the Docker engine are made of: `installed`, the programs of this installation, or a checkout
    /// of osqdemo's repository, which is compiled inside Docker. `up` remembers it; `installed` at first.
    #[arg(long, value_name = "installed|DIR")]
    pub source: Option<String>,
}

/// `osqdemo up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// How the stack is run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Leave everything as it is when something fails.
    #[arg(long)]
    pub keep: bool,
    /// Print what would be done, and why, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `osqdemo smoke`.
#[derive(Debug, Args)]
pub struct SmokeArgs {
    /// How the stack is run.
    #[command(flatten)]
    pub run: RunArgs,
    /// The size of the scenario's file [default: 1G]
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
    /// The host that writes it. By default the second one of the stack, or the only one.
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// How long the scenario may take [default: 120s]
    #[arg(long, value_name = "DURATION")]
    pub scenario_timeout: Option<String>,
    /// Also write a report with every service, statement and stage: `junit=FILE`.
    #[arg(long, value_name = "FORMAT=FILE")]
    pub report: Option<String>,
    /// When something fails, write what `osqdemo bundle` writes into this file before everything is stopped.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

/// `osqdemo doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// What is to be run.
    #[command(flatten)]
    pub target: TargetArgs,
    /// How images are got.
    #[command(flatten)]
    pub pull: PullArgs,
    /// Which content they must have.
    #[command(flatten)]
    pub lock: LockArgs,
}

/// `osqdemo build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// What the hosts' image runs.
    #[command(flatten)]
    pub osquery: OsqueryArgs,
    /// What the images are made of.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Build also what is up to date.
    #[arg(long)]
    pub force: bool,
}
