//! What can be typed: clap structs without I/O. What it means is resolved in [`crate::settings`].

mod attach;
mod chaos;
mod config;
mod data;
mod examples;
mod fault;
mod host_package;
mod images;
mod project;
mod scenario;
mod schemas;
mod serve;
mod up;
mod usage;
mod users;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::exit_code::ExitCode;

pub use attach::AttachArgs;
pub use chaos::ChaosArgs;
pub use config::{ConfigCommand, ConfigSchemaArgs, ConfigShowArgs};
pub use data::{GroupsArgs, KsqlArgs, TailArgs, TopArgs, TopicsArgs};
pub(crate) use examples::handed_down;
pub use fault::{ClearFaultArgs, FaultArgs, FaultCommand, SetFaultArgs, Step};
pub use host_package::HostPackageArgs;
pub use images::{ImageFileArgs, ImagesArgs, ImagesCommand, LockArgs, PullArgs};
pub use project::{
    BundleArgs, DownArgs, ExecArgs, LogsArgs, OpenArgs, ProjectsArgs, PsArgs, RestartArgs, WaitArgs,
};
pub use scenario::{BigfileArgs, ScenarioCommand};
pub use schemas::{CheckSchemaArgs, SchemaLanguage, SchemasArgs, SchemasCommand, ShowSchemaArgs};
pub use serve::{
    Flush, HostInitArgs, ProbeArgs, ServeBrokerArgs, ServeCommand, ServeConsoleArgs, ServeKsqldbArgs,
    ServeLinkArgs, ServeSchemaRegistryArgs, SuperviseArgs,
};
pub use up::{
    BuildArgs, DoctorArgs, OsqueryArgs, RunArgs, SmokeArgs, SourceArgs, StackArgs, TargetArgs, UpArgs,
};
pub use usage::{UsageError, asks_for_json};
pub use users::{AddUserArgs, CertsCommand, MakeCertsArgs, RemoveUserArgs, UsersArgs, UsersCommand};

/// Stand up, run and verify an osquery, Kafka and ksqlDB pipeline end to end.
#[derive(Debug, Parser)]
#[command(
    name = "osqdemo",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_long_help = after_help()
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
    let mut text = format!("{}\n\nExit codes:\n", examples::TOP_LEVEL);
    for (code, meaning) in ExitCode::DOCUMENTED {
        text.push_str(&format!("  {:<4} {meaning}\n", *code as u8));
    }
    text.push_str(
        "\nEnvironment:\n  OSQDEMO_HOME        the folder of all projects; by default `osqdemo` in the XDG state folder\n  \
         OSQDEMO_PROJECT     the project, as `--project`\n  \
         OSQDEMO_CONFIG      the settings file, as `--config`\n  \
         OSQDEMO_NAMESPACES  `off` runs the hosts without namespaces of their own; `auto` is the default\n  \
         DOCKER_HOST         the Docker daemon; else the current context, else a socket that is found\n  \
         OSQDEMO_IMAGE_TAG   the tag of the images that osqdemo makes; by default its version\n  \
         OSQDEMO_BUILDER     the image that `--source` compiles in; by default rust:1.95-bookworm\n  \
         BROWSER             what `open` opens the address with; by default the desktop's\n  \
         NO_COLOR            no colours\n  \
         CI                  progress as lines, also on a terminal\n",
    );
    text
}

/// Options of every verb.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct GlobalArgs {
    /// The project to work on; several can run side by side [env: OSQDEMO_PROJECT]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub project: Option<String>,
    /// The settings file; by default `osqdemo.toml` in the current folder, if it is there [env: OSQDEMO_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<OsString>,
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
    #[command(after_long_help = examples::UP)]
    Up(UpArgs),
    /// Build the images of the stack.
    #[command(after_long_help = examples::BUILD)]
    Build(BuildArgs),
    /// List, pull, lock, save and load the images of the stack.
    #[command(after_long_help = examples::IMAGES)]
    Images(ImagesArgs),
    /// Stop everything that `up` started and leave nothing behind.
    #[command(after_long_help = examples::DOWN)]
    Down(DownArgs),
    /// List every project of this user: its state, engine, stack and ports.
    #[command(after_long_help = examples::PROJECTS)]
    Projects(ProjectsArgs),
    /// List the services, their state and their addresses.
    #[command(after_long_help = examples::PS)]
    Ps(PsArgs),
    /// Show what the services wrote.
    #[command(after_long_help = examples::LOGS)]
    Logs(LogsArgs),
    /// Run a command on a host; a shell when none is given.
    #[command(after_long_help = examples::EXEC)]
    Exec(ExecArgs),
    /// Run this machine's own osqueryd beside the hosts, until Ctrl-C.
    #[command(after_long_help = examples::ATTACH)]
    Attach(AttachArgs),
    /// Stop a service and start it again.
    #[command(after_long_help = examples::RESTART)]
    Restart(RestartArgs),
    /// Wait until the services are healthy.
    #[command(after_long_help = examples::WAIT)]
    Wait(WaitArgs),
    /// Run ksqlDB statements; an interactive prompt when none is given.
    #[command(after_long_help = examples::KSQL)]
    Ksql(KsqlArgs),
    /// List the topics of the broker.
    #[command(after_long_help = examples::TOPICS)]
    Topics(TopicsArgs),
    /// List the groups of consumers, who is in them, and how far behind they are.
    #[command(after_long_help = examples::GROUPS)]
    Groups(GroupsArgs),
    /// List, show and check the schemas of the Schema Registry.
    #[command(after_long_help = examples::SCHEMAS)]
    Schemas(SchemasArgs),
    /// Watch services, topics, queries and joined rows live, until Ctrl-C.
    #[command(after_long_help = examples::TOP)]
    Top(TopArgs),
    /// Print the records of a topic as they arrive.
    #[command(after_long_help = examples::TAIL)]
    Tail(TailArgs),
    /// Run a scenario and verify its result.
    #[command(subcommand, after_long_help = examples::SCENARIO)]
    Scenario(ScenarioCommand),
    /// Do faults to the pipeline while its hosts work, and prove that nothing is lost.
    #[command(after_long_help = examples::CHAOS)]
    Chaos(ChaosArgs),
    /// Do a fault by hand and end it again, to see what becomes of the pipeline.
    #[command(after_long_help = examples::FAULT)]
    Fault(FaultArgs),
    /// Check whether this machine can run the stack.
    #[command(after_long_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// Check, start, verify and stop the whole stack in one run, for CI.
    #[command(after_long_help = examples::SMOKE)]
    Smoke(SmokeArgs),
    /// Write everything that a report of a failure needs into one file, without secrets.
    #[command(after_long_help = examples::BUNDLE)]
    Bundle(BundleArgs),
    /// Print the address of the user interface and open it in a browser.
    #[command(after_long_help = examples::OPEN)]
    Open(OpenArgs),
    /// Show the settings in force, or the schema of the settings file.
    #[command(subcommand, after_long_help = examples::CONFIG)]
    Config(ConfigCommand),
    /// Run one service of the platform in the foreground.
    #[command(subcommand, after_long_help = examples::SERVE)]
    Serve(ServeCommand),
    /// Print the default configuration of the hosts, to begin one of your own with.
    #[command(after_long_help = examples::HOST_CONFIG)]
    HostConfig(HostConfigArgs),
    /// List, make and forget those whom the broker lets in from other machines.
    #[command(after_long_help = examples::USERS)]
    Users(UsersArgs),
    /// Make certificates for the broker's listener for other machines.
    #[command(subcommand, after_long_help = examples::CERTS)]
    Certs(CertsCommand),
    /// Write what another machine needs to send its lines here: a package with a guide.
    #[command(after_long_help = examples::HOST_PACKAGE)]
    HostPackage(HostPackageArgs),
    /// Print the completion script of a shell.
    #[command(after_long_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Write the manual, a page for every verb.
    #[command(after_long_help = examples::MAN)]
    Man(ManArgs),
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

impl Command {
    /// Whether the verb follows the settings file. The others must work whatever stands in the current folder.
    pub fn follows_settings_file(&self) -> bool {
        !matches!(
            self,
            Self::Serve(_)
                | Self::Completions(_)
                | Self::Man(_)
                | Self::Probe(_)
                | Self::Supervise(_)
                | Self::HostInit(_)
                | Self::Config(ConfigCommand::Schema(_))
        )
    }
}

/// `osqdemo host-config`.
#[derive(Debug, Args)]
pub struct HostConfigArgs {}

/// `osqdemo completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// `osqdemo man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder for the pages; `make install` puts them into `share/man/man1`.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::settings::key::{KEYS, Kind};

    #[test]
    fn no_two_options_of_a_verb_are_one() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_its_option() {
        let command = Cli::command();
        let show = command
            .find_subcommand("config")
            .and_then(|config| config.find_subcommand("show"))
            .expect("the verb");
        let has = |option: &str| {
            show.get_arguments()
                .chain(command.get_arguments())
                .any(|argument| argument.get_long() == Some(option))
        };
        for key in KEYS {
            assert!(key.kind == Kind::Ports || has(key.option), "{}", key.path());
        }
    }

    #[test]
    fn verbs_that_must_work_anywhere_follow_no_file() {
        let follows = |line: &str| {
            let words = std::iter::once("osqdemo").chain(line.split(' '));
            let cli = Cli::try_parse_from(words).expect("a right line");
            cli.command.follows_settings_file()
        };
        for line in [
            "completions bash",
            "serve broker --data-dir d",
            "config schema",
            "man d",
            "supervise",
        ] {
            assert!(!follows(line), "{line}");
        }
        for line in ["up", "down", "config show"] {
            assert!(follows(line), "{line}");
        }
    }
}
