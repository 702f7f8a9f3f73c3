//! What can be typed: clap structs without I/O. What it means is resolved in [`crate::settings`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::exit_code::ExitCode;

/// Stand up, run and verify an osquery, Kafka and ksqlDB pipeline end to end.
#[derive(Debug, Parser)]
#[command(
    name = "osqdemo",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = after_help()
)]
pub struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What stands below the verbs in `--help`.
fn after_help() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for (code, meaning) in ExitCode::DOCUMENTED {
        text.push_str(&format!("  {:<4} {meaning}\n", *code as u8));
    }
    text.push_str(
        "\nEnvironment:\n  OSQDEMO_HOME        the folder of all projects; by default `osqdemo` in the XDG state folder\n  \
         OSQDEMO_PROJECT     the project, as `--project`\n  \
         OSQDEMO_NAMESPACES  `off` runs the hosts without namespaces of their own\n  \
         DOCKER_HOST         the Docker daemon; else the current context, else a socket that is found\n  \
         OSQDEMO_IMAGE_TAG   the tag of the images that osqdemo makes; by default its version\n  \
         OSQDEMO_BUILDER_IMAGE  the image that `--source` compiles in; by default rust:1.95-bookworm\n  \
         NO_COLOR            no colours\n",
    );
    text
}

/// Options of every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct GlobalArgs {
    /// The project to work on; several can run side by side.
    #[arg(short, long, global = true, value_name = "NAME", env = "OSQDEMO_PROJECT")]
    pub project: Option<String>,
    /// Write data and progress as JSON lines.
    #[arg(long, global = true)]
    pub json: bool,
    /// Show errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Show more; twice for debugging.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start what is missing, wait until everything is healthy, submit the statements.
    Up(UpArgs),
    /// Build the images of the stack.
    Build(BuildArgs),
    /// List, pull, lock, save and load the images of the stack.
    Images(ImagesArgs),
    /// Stop everything that `up` started and leave nothing behind.
    Down(DownArgs),
    /// List the services, their state and their addresses.
    Ps(PsArgs),
    /// Show what the services wrote.
    Logs(LogsArgs),
    /// Run a command on a host; a shell when none is given.
    Exec(ExecArgs),
    /// Stop a service and start it again.
    Restart(RestartArgs),
    /// Wait until the services are healthy.
    Wait(WaitArgs),
    /// Run ksqlDB statements; an interactive prompt when none is given.
    #[command(after_help = KSQL_EXAMPLES)]
    Ksql(KsqlArgs),
    /// List the topics of the broker.
    Topics(TopicsArgs),
    /// Print the records of a topic as they arrive.
    Tail(TailArgs),
    /// Run a scenario and verify its result.
    #[command(subcommand)]
    Scenario(ScenarioCommand),
    /// Check whether this machine can run the stack.
    Doctor(DoctorArgs),
    /// Check, start, verify and stop the whole stack in one run, for CI.
    Smoke(SmokeArgs),
    /// Write everything that a report of a failure needs into one file, without secrets.
    Bundle(BundleArgs),
    /// Print the address of the user interface and open it in a browser.
    Open(OpenArgs),
    /// Run one service of the platform in the foreground.
    #[command(subcommand)]
    Serve(ServeCommand),
    /// Print the completion script of a shell.
    Completions(CompletionsArgs),
    /// Ask a service once for its health (the health check of plain `docker compose`).
    #[command(hide = true)]
    Probe(ProbeArgs),
    /// The process that looks after a project's services (started by `up`).
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// The first process of a native host (started by the supervisor).
    #[command(hide = true)]
    HostInit(HostInitArgs),
}

const KSQL_EXAMPLES: &str = "\
Examples:
  osqdemo ksql                                         a prompt
  osqdemo ksql 'LIST STREAMS; DESCRIBE proc'           several statements
  osqdemo ksql 'SELECT * FROM files EMIT CHANGES'      rows as they come, until Ctrl-C
  osqdemo --json ksql \"SET 'auto.offset.reset'='earliest'; SELECT * FROM files EMIT CHANGES LIMIT 5\"
  osqdemo ksql -f statements.sql";

/// `osqdemo ksql`.
#[derive(Debug, Args)]
pub struct KsqlArgs {
    /// The statements, each ended by `;`; the last one need not be.
    #[arg(value_name = "STATEMENT", conflicts_with = "file")]
    pub statement: Option<String>,
    /// A file with statements; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `osqdemo topics`.
#[derive(Debug, Args)]
pub struct TopicsArgs {}

/// `osqdemo tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// The topic.
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Start with the oldest record instead of the next one.
    #[arg(long)]
    pub from_beginning: bool,
    /// Stop after this many records.
    #[arg(short = 'n', long = "records", value_name = "N")]
    pub records: Option<u64>,
}

/// `osqdemo scenario`.
#[derive(Debug, Subcommand)]
pub enum ScenarioCommand {
    /// List the scenarios.
    List,
    /// A process on a host writes a large file; the joined row must name host, process and file.
    Bigfile(BigfileArgs),
}

/// `osqdemo scenario bigfile`.
#[derive(Debug, Args)]
pub struct BigfileArgs {
    /// The size of the file, such as `64M` or `1G` (powers of 1024).
    #[arg(long, value_name = "SIZE", default_value = "1G")]
    pub size: String,
    /// The host that writes it.
    #[arg(long, value_name = "HOST", default_value = "host2")]
    pub host: String,
    /// How long all of it may take.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub timeout: String,
    /// Also write a report: `json=FILE` or `junit=FILE`.
    #[arg(long, value_name = "FORMAT=FILE")]
    pub report: Vec<String>,
}

/// `osqdemo up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Which services.
    #[command(flatten)]
    pub stack: StackArgs,
    /// How images are got.
    #[command(flatten)]
    pub pull: PullArgs,
    /// Where they run: `native`, processes on this machine, or `docker`, containers. Remembered by the project;
    /// at first `native`, and `docker` for a stack that runs in containers only.
    #[arg(long, value_name = "ENGINE", env = "OSQDEMO_ENGINE")]
    pub engine: Option<String>,
    /// How long all services together may take to become healthy, images aside. By default 60s, and 15m for a stack
    /// that runs in containers only.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Publish a service on another port; `0` picks a free one. Remembered by the project.
    #[arg(long = "port", value_name = "SERVICE=PORT")]
    pub ports: Vec<String>,
    /// Which osqueryd the hosts run: `osquery` (natively the one on the PATH, in containers osquery's official
    /// package), `builtin` (the built-in agent), `auto` (osquery where it can be had, else the built-in agent), or a
    /// path: natively of an osqueryd, in containers of osquery's package (`.deb`). Remembered by the project; `auto`
    /// at first.
    #[arg(long, value_name = "auto|osquery|builtin|PATH")]
    pub osqueryd: Option<String>,
    /// The SHA-256 checksum that osquery's package must have to go into the hosts' image. Without it, the package comes
    /// from osquery's signed APT repository.
    #[arg(long, value_name = "CHECKSUM", env = "OSQDEMO_OSQUERY_SHA256")]
    pub osquery_sha256: Option<String>,
    /// What the images of the Docker engine are made of: `installed`, the programs of this installation, or a checkout
    /// of osqdemo's repository, which is compiled inside Docker. Remembered by the project; `installed` at first.
    #[arg(long, value_name = "installed|DIR")]
    pub source: Option<String>,
    /// Leave everything as it is when something fails.
    #[arg(long)]
    pub keep: bool,
    /// Print what would be done, and why, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Which stack a verb is about.
#[derive(Debug, Args)]
pub struct StackArgs {
    /// Which services: `lite`, built from this repository, or `confluent`, the real platform. Remembered by the
    /// project; `lite` at first.
    #[arg(long, value_name = "STACK", global = true, conflicts_with = "stack_file")]
    pub stack: Option<String>,
    /// A stack of your own: a Compose file of the subset that `compose/lite.yaml` describes.
    #[arg(long, value_name = "FILE", global = true)]
    pub stack_file: Option<PathBuf>,
}

/// How images of registries are got.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// When to pull: `never`, `missing` (only what is not there), or `always`.
    #[arg(long = "pull", value_name = "never|missing|always", default_value = "missing")]
    pub policy: String,
    /// Pull from this registry instead: a mirror, or one inside your network.
    #[arg(long, value_name = "PREFIX", env = "OSQDEMO_REGISTRY")]
    pub registry: Option<String>,
    /// How long a registry may be silent during a pull.
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    pub pull_silence: String,
    /// The lock file of the images, where it is not `images.lock` in the folder of all projects.
    #[arg(long, value_name = "FILE", env = "OSQDEMO_IMAGES_LOCK")]
    pub lock_file: Option<PathBuf>,
}

/// `osqdemo images`.
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Whose images.
    #[command(flatten)]
    pub stack: StackArgs,
    /// What to do; `list` by default.
    #[command(subcommand)]
    pub command: Option<ImagesCommand>,
}

/// What to do with images.
#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Show each image, whether it is on this machine, and whether it is the locked one.
    List(PullArgs),
    /// Pull the images that come from registries.
    Pull(PullArgs),
    /// Write down the content of the images that are on this machine; from then on nothing else is used.
    Lock(PullArgs),
    /// Write all images into one file, for a machine that reaches no registry.
    Save(ImageFileArgs),
    /// Read images from such a file.
    Load(ImageFileArgs),
}

/// `osqdemo images save` and `load`.
#[derive(Debug, Args)]
pub struct ImageFileArgs {
    /// The file: a tar archive as `docker save` writes it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `osqdemo build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// What the hosts' image runs, as of `osqdemo up`.
    #[arg(long, value_name = "auto|osquery|builtin|PATH", default_value = "auto")]
    pub osqueryd: String,
    /// The SHA-256 checksum that osquery's package must have.
    #[arg(long, value_name = "CHECKSUM", env = "OSQDEMO_OSQUERY_SHA256")]
    pub osquery_sha256: Option<String>,
    /// What the images are made of: the programs of this installation, or a checkout of osqdemo's repository, which is
    /// compiled inside Docker.
    #[arg(long, value_name = "installed|DIR", default_value = "installed")]
    pub source: String,
    /// Build also what is up to date.
    #[arg(long)]
    pub force: bool,
}

/// `osqdemo probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// How to ask.
    #[arg(value_name = "kafka|ksqldb|zookeeper|schema-registry|control-center")]
    pub probe: String,
    /// The service's `HOST:PORT`.
    pub address: String,
}

/// `osqdemo down`.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Also remove the data: topics, streams, logs, the hosts' homes.
    #[arg(long)]
    pub volumes: bool,
    /// Every project of this user, not only the current one.
    #[arg(long)]
    pub all: bool,
}

/// `osqdemo ps`.
#[derive(Debug, Args)]
pub struct PsArgs {}

/// `osqdemo logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on with new lines as they are written.
    #[arg(short, long)]
    pub follow: bool,
    /// Only these services; `supervisor` is the log of the process that looks after them.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// `osqdemo exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The host, such as `host2`.
    #[arg(value_name = "HOST")]
    pub host: String,
    /// The command and its arguments.
    #[arg(value_name = "CMD", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// `osqdemo restart`.
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// The service.
    #[arg(value_name = "SERVICE")]
    pub service: String,
}

/// `osqdemo wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// How long to wait.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub timeout: String,
    /// Only these services.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// `osqdemo doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Which services it is to run.
    #[command(flatten)]
    pub stack: StackArgs,
    /// The engine to check for: `native` or `docker`; that of the project by default.
    #[arg(long, value_name = "ENGINE", env = "OSQDEMO_ENGINE")]
    pub engine: Option<String>,
    /// Check another port of a service than the usual one.
    #[arg(long = "port", value_name = "SERVICE=PORT")]
    pub ports: Vec<String>,
}

/// `osqdemo smoke`.
#[derive(Debug, Args)]
pub struct SmokeArgs {
    /// Which services.
    #[command(flatten)]
    pub stack: StackArgs,
    /// How images are got.
    #[command(flatten)]
    pub pull: PullArgs,
    /// Where they run, as of `osqdemo up`.
    #[arg(long, value_name = "ENGINE", env = "OSQDEMO_ENGINE")]
    pub engine: Option<String>,
    /// How long all services together may take to become healthy, as of `osqdemo up`.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Publish a service on another port; `0` picks a free one.
    #[arg(long = "port", value_name = "SERVICE=PORT")]
    pub ports: Vec<String>,
    /// Which osqueryd the hosts run, as of `osqdemo up`.
    #[arg(long, value_name = "auto|osquery|builtin|PATH")]
    pub osqueryd: Option<String>,
    /// The SHA-256 checksum that osquery's package must have.
    #[arg(long, value_name = "CHECKSUM", env = "OSQDEMO_OSQUERY_SHA256")]
    pub osquery_sha256: Option<String>,
    /// What the images of the Docker engine are made of, as of `osqdemo up`.
    #[arg(long, value_name = "installed|DIR")]
    pub source: Option<String>,
    /// The size of the scenario's file.
    #[arg(long, value_name = "SIZE", default_value = "1G")]
    pub size: String,
    /// How long the scenario may take.
    #[arg(long, value_name = "DURATION", default_value = "120s")]
    pub scenario_timeout: String,
    /// Also write a report with every service, statement and stage: `junit=FILE`.
    #[arg(long, value_name = "FORMAT=FILE")]
    pub report: Option<String>,
    /// When something fails, write what `osqdemo bundle` writes into this file before everything is stopped.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

/// `osqdemo bundle`.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// The file: a tar archive. By default `osqdemo-bundle-PROJECT-TIME.tar` in this folder.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `osqdemo open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The service; Control Center by default.
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
    /// Only print the address.
    #[arg(long)]
    pub print: bool,
}

/// `osqdemo completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// `osqdemo serve`.
#[derive(Debug, Subcommand)]
pub enum ServeCommand {
    /// The Kafka broker.
    Broker(ServeBrokerArgs),
    /// The ksqlDB server.
    Ksqldb(ServeKsqldbArgs),
}

/// `osqdemo serve broker`.
#[derive(Debug, Args)]
pub struct ServeBrokerArgs {
    /// The folder of the topics' data.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The address for clients.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9092")]
    pub listen: std::net::SocketAddr,
    /// The `HOST:PORT` told to clients; the listen address by default.
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// A second address, for clients that are told another way back: those in other containers.
    #[arg(long, value_name = "ADDRESS", requires = "internal_advertise")]
    pub internal_listen: Option<std::net::SocketAddr>,
    /// The `HOST:PORT` told to the clients of the second address.
    #[arg(long, value_name = "HOST:PORT", requires = "internal_listen")]
    pub internal_advertise: Option<String>,
    /// End when standard input does.
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}

/// `osqdemo serve ksqldb`.
#[derive(Debug, Args)]
pub struct ServeKsqldbArgs {
    /// The address of the REST API.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    pub listen: std::net::SocketAddr,
    /// The broker.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub bootstrap_servers: String,
    /// End when standard input does.
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}

/// `osqdemo supervise`.
#[derive(Debug, Args)]
pub struct SuperviseArgs {}

/// `osqdemo host-init`.
#[derive(Debug, Args)]
pub struct HostInitArgs {
    /// The host's settings file.
    pub spec: PathBuf,
}
