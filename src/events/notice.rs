//! What is worth telling besides the steps: notes, warnings, and details that only `--verbose` shows. Nothing but data, a
//! variant for each: all of them in one place, so that a new one is not the second of its kind. Long because it is a
//! list: what can be told, each with what is told of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{Failed, PortMoved, milliseconds};
use crate::plan::{Exit, Operation};
use crate::stack::project::ProjectName;
use crate::stack::{KafkaAddress, ServiceName};

/// Something about the whole.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// `up` found everything as it should be.
    NothingToDo {
        /// How many services are healthy.
        services: usize,
    },
    /// `up` made everything as it should be.
    Up {
        /// How many services are healthy.
        services: usize,
        /// How long it took.
        #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
        #[schemars(with = "u64")]
        elapsed: Duration,
    },
    /// The stack has no ksqlDB server that could run the statements.
    NothingSubmitted,
    /// The broker knows nobody yet.
    NoUsers,
    /// The user wants no statements submitted.
    StatementsLeftOut,
    /// An optional service runs in place of another one.
    InPlaceOf {
        /// The optional service.
        service: ServiceName,
        /// The one that is left out for it.
        instead_of: ServiceName,
    },
    /// What the user may want to look at next.
    Next {
        /// Arguments of osqdemo.
        #[schemars(with = "Vec<String>")]
        commands: Vec<Look>,
    },
    /// After a failure: what runs is left as it is, because `--keep` was given.
    LeftAsItIs,
    /// After a failure: what this run started is stopped.
    TakingBack,
    /// After a failure: not all of it could be stopped in time.
    NotAllTakenBack,
    /// What the hosts run.
    Hosts(Hosts),
    /// The hosts have a configuration of the user's.
    HostConfig {
        /// Its file.
        file: PathBuf,
        /// Whether the address of the broker in it is replaced by that of this project's broker.
        broker_replaced: bool,
    },
    /// `wait` found them healthy.
    Healthy {
        /// The services.
        services: Vec<ServiceName>,
    },
    /// `down --all` found nothing.
    NoProjects {
        /// The folder of all projects.
        home: PathBuf,
    },
    /// `down` found nothing that ran.
    WasNotRunning {
        /// The project.
        project: ProjectName,
        /// Whether its data is removed.
        data_removed: bool,
    },
    /// `down` ends a command that works on the project.
    GivesWay {
        /// Its verb.
        verb: String,
        /// Its process.
        process: u32,
    },
    /// `down` stopped everything.
    Down {
        /// The project.
        project: ProjectName,
        /// Whether its data is removed.
        data_removed: bool,
        /// How long it took.
        #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
        #[schemars(with = "u64")]
        elapsed: Duration,
    },
    /// `down --volumes` left the topics on a Kafka that is not the project's.
    KafkaKept {
        /// Where that is.
        kafka: KafkaAddress,
    },
    /// `down --volumes` removed from a Kafka that is not the project's what it had made there.
    KafkaCleanedUp {
        /// Where that is.
        kafka: KafkaAddress,
        /// The topics.
        topics: Vec<String>,
        /// The groups.
        groups: Vec<String>,
        /// The streams and tables on a ksqlDB server that is not the project's either.
        statements: Vec<String>,
    },
    /// `down --images` removed these.
    ImagesRemoved {
        /// The images.
        images: Vec<String>,
    },
    /// What `build` made.
    ImagesBuilt {
        /// How many images are up to date now.
        images: usize,
        /// How many of them had to be made.
        built: usize,
    },
    /// No image of the stack comes from a registry.
    NothingToPull,
    /// The content of the images is written down.
    ImagesLocked {
        /// How many.
        images: usize,
        /// The lock file.
        file: PathBuf,
    },
    /// Files of scenarios that were killed are removed.
    LeftoversRemoved {
        /// The host.
        host: ServiceName,
        /// The files, in its home folder.
        files: Vec<String>,
    },
    /// A phase of a smoke test begins.
    SmokePhase {
        /// Its name.
        phase: String,
    },
    /// A smoke test passed.
    SmokePassed,
    /// A fault was done, and what it was done to is well again.
    FaultRecovered {
        /// Its place in the list of faults.
        number: u32,
        /// What was done, such as `kill broker`.
        fault: String,
        /// How long it took to be well again.
        #[serde(rename = "took_ms", serialize_with = "milliseconds")]
        #[schemars(with = "u64")]
        took: Duration,
    },
    /// A fault was done by hand.
    FaultSet {
        /// What was done, such as `stop broker`.
        fault: String,
        /// What it lasts on; none of what is over at once.
        target: Option<String>,
    },
    /// Faults that were done by hand are ended.
    FaultsCleared {
        /// What had been done.
        faults: Vec<String>,
    },
    /// After faults that were not stood: what runs is left as it is.
    LeftForALook,
    /// The first line of this machine's own osqueryd is in Kafka.
    Attached {
        /// The name that its lines carry.
        name: String,
        /// What runs.
        program: PathBuf,
        /// Whether that is the built-in agent.
        is_builtin: bool,
        /// Where the lines go.
        kafka: String,
    },
    /// It has ended, and nothing of it is left.
    Detached {
        /// The name that its lines carry.
        name: String,
        /// How many of them have arrived.
        delivered: u64,
    },
    /// The broker listens for other machines.
    ListensOutside {
        /// Where.
        address: String,
        /// The certificate by which they know it.
        authority: PathBuf,
    },
    /// The broker has a certificate.
    CertificatesMade {
        /// The names that it is for.
        names: Vec<String>,
        /// The last day on which it holds.
        until: String,
        /// The certificate of who signed it.
        authority: PathBuf,
    },
    /// Somebody may come in over the broker's listener for other machines.
    UserAdded {
        /// Who.
        name: String,
    },
    /// Somebody may not come in any more.
    UserRemoved {
        /// Who.
        name: String,
    },
    /// What another machine needs is written.
    HostPackageWritten {
        /// The folder.
        folder: PathBuf,
        /// The Debian package in it, where one could be made.
        package: Option<PathBuf>,
        /// Where the machine will find Kafka.
        kafka: String,
    },
    /// Everything for a report of a failure is written.
    BundleWritten {
        /// The file.
        file: PathBuf,
    },
    /// The settings file that is in force, if there is one.
    SettingsFile {
        /// The file.
        file: Option<PathBuf>,
    },
    /// The manual is written.
    ManualWritten {
        /// The folder.
        folder: PathBuf,
    },
    /// The prompt reached its server.
    KsqlServer {
        /// The version of the server.
        version: String,
        /// Its address.
        server: String,
    },
    /// A query has no rows to show for a while.
    AwaitingRows {
        /// What it reads.
        sources: Vec<String>,
        /// Where it began to read.
        from: RowsFrom,
    },
    /// What the server said when a query ended.
    QueryEnded {
        /// What it said.
        message: String,
    },
    /// A directive changed the session of the prompt or the script.
    Session(SessionChange),
}

/// Something to look at once the stack is up; as text, the arguments of osqdemo that show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The demo, verified.
    Scenario,
    /// The lines of the hosts in a topic.
    Lines {
        /// The topic.
        topic: String,
    },
    /// The prompt for statements.
    Statements,
    /// The user interface.
    Interface,
    /// A shell on a host.
    Shell {
        /// The host.
        host: ServiceName,
    },
    /// What a host says, such as why no line of it comes.
    HostLog {
        /// The host.
        host: ServiceName,
    },
    /// The way back.
    Down,
}

impl fmt::Display for Look {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario => formatter.write_str("scenario bigfile"),
            Self::Lines { topic } => write!(formatter, "tail {topic} --from-beginning -n 1"),
            Self::Statements => formatter.write_str("ksql"),
            Self::Interface => formatter.write_str("open"),
            Self::Shell { host } => write!(formatter, "exec {host}"),
            Self::HostLog { host } => write!(formatter, "logs {host}"),
            Self::Down => formatter.write_str("down"),
        }
    }
}

impl Serialize for Look {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the hosts run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "program", rename_all = "snake_case")]
pub enum Hosts {
    /// osquery's official package.
    Osquery {
        /// Its version, or the file it comes from.
        package: String,
    },
    /// The built-in agent.
    Agent {
        /// Why osquery cannot be had, when nobody asked for the agent.
        #[serde(skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
}

/// What a directive changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum SessionChange {
    /// A property has a value now.
    PropertySet {
        /// The property.
        property: String,
        /// Its value.
        value: String,
        /// The value before.
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
    /// A property has no value any more.
    PropertyUnset {
        /// The property.
        property: String,
        /// The value before.
        before: String,
    },
    /// A variable has a value now.
    VariableDefined {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
    },
    /// A variable has no value any more.
    VariableUndefined {
        /// The variable.
        variable: String,
    },
}

/// Where a query begins to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowsFrom {
    /// With the oldest record.
    Earliest,
    /// With the next one.
    Latest,
}

/// Something that does not stop the command but that the user should know.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "warning", rename_all = "snake_case")]
pub enum Warning {
    /// A service gets another port.
    PortMoved(PortMoved),
    /// The hosts have no namespaces of their own.
    SharedNamespaces {
        /// Why not.
        reason: String,
    },
    /// The hosts run the built-in agent, because osquery cannot be had.
    Hosts(Hosts),
    /// The osqueryd that `auto` found once is gone, and the hosts run something else from now on.
    OsquerydGone {
        /// Where it was.
        path: String,
        /// What they run: the path of another one, or `builtin`.
        instead: String,
    },
    /// A part of the hosts' configuration counts for nothing.
    HostConfigFinding {
        /// The path in the document, or the query's name.
        place: String,
        /// Why, in the words of who knows.
        message: String,
    },
    /// There are more of them than are told.
    MoreHostConfigFindings {
        /// How many.
        count: usize,
    },
    /// Not every line of this machine's own osqueryd has arrived.
    LinesKept {
        /// The name that they carry.
        name: String,
        /// Where they are.
        folder: PathBuf,
    },
    /// A command that held the project was killed.
    CommandKilled {
        /// Its verb.
        verb: String,
        /// Its process.
        process: u32,
        /// Whether it was stopped; else it did not end when it was asked to.
        was_stopped: bool,
    },
    /// The stack may be too large for the machine.
    TightMemory(TightMemory),
    /// The Docker daemon cannot hold containers to their memory limits.
    NoMemoryLimits,
    /// A service ended unasked and is started again.
    Crashed {
        /// The service.
        service: ServiceName,
        /// How it ended.
        exit: Exit,
    },
    /// A service ended unasked and was started again before anyone looked.
    Restarted {
        /// The service.
        service: ServiceName,
        /// How it ended, where the engine still knows.
        exit: Option<Exit>,
    },
    /// The supervisor of a project ended without having been asked to.
    SupervisorLost {
        /// The project.
        project: ProjectName,
        /// The process that it was.
        process: u32,
        /// Whether what it left is cleaned up by now.
        cleaned_up: bool,
    },
    /// The supervisor of a project is there and does not answer.
    SupervisorSilent {
        /// The project.
        project: ProjectName,
        /// Its process.
        process: u32,
        /// Whether it was ended, and what it looked after, by now.
        cleaned_up: bool,
    },
    /// Processes of a project run or ran, but nothing on record tells of them, nor does anybody answer for them.
    Unrecorded {
        /// The project.
        project: ProjectName,
        /// One of them: the supervisor, if it is there.
        process: u32,
        /// How many others there are.
        others: usize,
        /// The record, where it is there and cannot be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        damaged: Option<PathBuf>,
        /// Whether they are ended by now.
        cleaned_up: bool,
    },
    /// The settings file of the current folder, which nobody named, names a program that is to run.
    ProgramOfFolder {
        /// The file.
        file: PathBuf,
        /// What it sets.
        setting: String,
        /// The program.
        program: String,
    },
    /// ksqlDB does not answer, and a scenario waits for it.
    KsqldbAway {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
        /// How long it is waited for at most.
        #[serde(rename = "at_most_ms", serialize_with = "milliseconds")]
        #[schemars(with = "u64")]
        at_most: Duration,
    },
    /// What a statement makes is there, and something is wrong with it.
    StatementDoubtful {
        /// The statement.
        at: Place,
        /// What it makes.
        #[serde(flatten)]
        found: Doubtful,
    },
    /// ksqlDB warns of a statement that it executed.
    StatementWarned {
        /// The statement.
        at: Place,
        /// What it says.
        message: String,
    },
    /// The process of the scenario was gone before osquery had looked.
    WriterEndedEarly {
        /// The service of the host.
        host: ServiceName,
    },
    /// Files of the scenario may be left on a host.
    FilesLeft {
        /// The service of the host.
        host: ServiceName,
        /// Their names.
        files: Vec<String>,
        /// Why they could not be removed.
        reason: String,
    },
    /// What a project remembers cannot be read; it is stopped all the same.
    StateUnread {
        /// The project.
        project: ProjectName,
        /// Which file, and why.
        reason: String,
    },
    /// An image of ours is not removed: a container of another project runs it.
    ImageKept {
        /// The image.
        image: String,
    },
    /// No browser was opened.
    NoBrowser {
        /// Why not.
        reason: String,
    },
    /// A fault is set by hand.
    FaultInForce {
        /// Its sort, what it is done to, and how.
        fault: String,
    },
    /// Something failed that the command does not fail for.
    Trouble {
        /// The failure.
        failure: Failed,
    },
}

/// The memory that a stack needs, and what there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TightMemory {
    /// What the stack needs at least, in MiB.
    pub needed_mib: u64,
    /// What the machine of the Docker engine has, in MiB.
    pub there_mib: u64,
    /// The service that can be left out, and what that saves, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saving: Option<(ServiceName, u64)>,
}

impl fmt::Display for TightMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            needed_mib,
            there_mib,
            saving,
        } = self;
        write!(
            formatter,
            "the stack needs at least {needed_mib} MiB of the {there_mib} MiB of memory that the Docker engine's \
             machine has: it may be slow, or its services may be killed"
        )?;
        match saving {
            Some((service, saved)) => write!(formatter, "; `--without {service}` saves {saved} MiB"),
            None => Ok(()),
        }
    }
}

/// A place in a file of statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A stream or table that is there already, and with which something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Doubtful {
    /// The stream or table, as our statement writes it.
    pub name: String,
    /// `STREAM` or `TABLE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong.
    pub doubt: Doubt,
}

/// What is wrong with a stream or table that is there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Doubt {
    /// It has another definition.
    OtherDefinition,
    /// Its query was terminated: nothing comes into it.
    QueryTerminated,
    /// Its query is paused.
    QueryPaused {
        /// The query.
        query_id: String,
    },
}

impl Doubtful {
    /// What makes it right.
    pub fn way_out(&self) -> String {
        let Self { name, kind, doubt } = self;
        match doubt {
            Doubt::OtherDefinition | Doubt::QueryTerminated => {
                format!("`osqdemo ksql 'DROP {kind} {name};'` and `osqdemo up` make it anew")
            }
            Doubt::QueryPaused { query_id } => {
                format!("`osqdemo ksql 'RESUME {query_id};'` lets it go on")
            }
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::OtherDefinition => "it has another definition",
            Self::QueryTerminated => "its query was terminated",
            Self::QueryPaused { .. } => "its query is paused",
        })
    }
}

/// Only of interest with `--verbose`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "detail", rename_all = "snake_case")]
pub enum Detail {
    /// The settings file that is in force.
    SettingsFile {
        /// The file.
        file: PathBuf,
    },
    /// An operation of the plan.
    Planned {
        /// Which it is, from 0: those of `after` are meant by that.
        index: usize,
        /// What is to be done, why, and after what.
        #[serde(flatten)]
        operation: Operation,
    },
    /// A part of the hosts' configuration counts for nothing.
    HostConfigFinding {
        /// The path in the document, or the query's name.
        place: String,
        /// Why, in the words of who knows.
        message: String,
    },
    /// What the extension on a host has said last of its lines.
    HostLines {
        /// The host.
        host: ServiceName,
        /// Its counts under the names of the columns of `confluent_extension_stats`.
        counts: BTreeMap<String, u64>,
    },
    /// A push query of the scenario is away, and is opened again.
    PushQueryAway {
        /// Of which join.
        join: String,
        /// Why.
        reason: String,
    },
    /// A push query of the scenario runs again, from the beginning of the topics.
    PushQueryBack {
        /// Of which join.
        join: String,
    },
    /// Something could not be put into a bundle.
    MissingInBundle {
        /// What.
        name: String,
        /// Why.
        reason: String,
    },
}
