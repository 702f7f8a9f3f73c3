//! A broker and a ksqlDB server in this process, with the shipped statements, and a folder that plays a host.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use osqdemo::engine::{ExecOutput, HostExec};
use osqdemo::error::Result;
use osqdemo::host_config::LineFormat;
use osqdemo::ksqldb::{Client, ddl, shipped};
use osqdemo::report::Reporter;
use osqdemo::settings::{Colour, Format, OutputSettings, Verbosity};
use osqdemo::stack::{Cluster, Endpoints, HttpService, ServiceName};
use osqdemo::state::Submitted;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time;
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(30);

/// A reporter that shows nothing.
pub(crate) fn quiet() -> Reporter {
    Reporter::new(OutputSettings {
        format: Format::Text,
        verbosity: Verbosity::Quiet,
        colour: Colour::Never,
        data_colour: Colour::Never,
        progress_on_terminal: false,
    })
}

/// A service that runs in this process.
struct Service {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Service {
    async fn stop(self) -> SocketAddr {
        self.shutdown.cancel();
        time::timeout(DEADLINE, self.task)
            .await
            .expect("the service ends when asked")
            .expect("the service does not panic");
        self.address
    }
}

/// Broker, ksqlDB and the shipped statements.
pub(crate) struct TestStack {
    data: TempDir,
    broker: Option<Service>,
    ksqldb: Option<Service>,
}

impl TestStack {
    pub(crate) async fn start() -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let data = tempfile::tempdir().expect("a folder for the broker");
        let broker = broker(&data, anywhere).await;
        let ksqldb = ksqldb(anywhere, broker.address).await;
        let stack = Self {
            data,
            broker: Some(broker),
            ksqldb: Some(ksqldb),
        };
        let client = Client::of(&stack.endpoints().ksqldb).expect("a URL");
        stack.until_healthy(&client).await;
        let mut submitted = Submitted::default();
        for _ in 0..2 {
            let cancel = CancellationToken::new();
            let files = shipped::files(LineFormat::Json);
            ddl::submit(&client, &files, &mut submitted, &quiet(), &cancel)
                .await
                .expect("the statements are accepted, also the second time");
        }
        stack
    }

    pub(crate) fn endpoints(&self) -> Endpoints {
        let address = |service: &Option<Service>| match service {
            Some(service) => service.address,
            None => unreachable!("services are only gone while they are restarted"),
        };
        Endpoints {
            kafka: Cluster::plain(address(&self.broker).to_string()),
            ksqldb: HttpService::open(format!("http://{}", address(&self.ksqldb))),
            registry: None,
        }
    }

    pub(crate) async fn restart_ksqldb(&mut self) {
        if let (Some(running), Some(broker)) = (self.ksqldb.take(), &self.broker) {
            let address = running.stop().await;
            self.ksqldb = Some(ksqldb(address, broker.address).await);
        }
    }

    pub(crate) async fn restart_broker(&mut self) {
        if let Some(running) = self.broker.take() {
            let address = running.stop().await;
            self.broker = Some(broker(&self.data, address).await);
        }
    }

    pub(crate) async fn stop(mut self) {
        for service in [self.ksqldb.take(), self.broker.take()].into_iter().flatten() {
            service.stop().await;
        }
    }

    async fn until_healthy(&self, client: &Client) {
        let mut look = time::interval(Duration::from_millis(20));
        let healthy = async {
            loop {
                look.tick().await;
                if client.is_healthy().await.unwrap_or(false)
                    && client
                        .info()
                        .await
                        .is_ok_and(|info| info.status.as_deref() == Some("RUNNING"))
                {
                    return;
                }
            }
        };
        time::timeout(DEADLINE, healthy)
            .await
            .expect("ksqlDB becomes healthy");
    }
}

async fn broker(data: &TempDir, listen: SocketAddr) -> Service {
    let mut config = osqdemo_broker::Config::new(data.path());
    for listener in &mut config.listeners {
        listener.bind = listen;
    }
    // While it is restarted, a client of another test may hold its port for a moment.
    let deadline = time::Instant::now() + DEADLINE;
    let mut look = time::interval(Duration::from_millis(20));
    let broker = loop {
        look.tick().await;
        match osqdemo_broker::bind(config.clone()).await {
            Ok(broker) => break broker,
            Err(error) => assert!(time::Instant::now() < deadline, "the broker starts: {error}"),
        }
    };
    let address = broker.addresses()[0].local;
    let shutdown = CancellationToken::new();
    let running = broker.run(shutdown.clone());
    Service {
        address,
        shutdown,
        task: tokio::spawn(async move { running.await.expect("the broker runs") }),
    }
}

async fn ksqldb(listen: SocketAddr, broker: SocketAddr) -> Service {
    let config = osqdemo_ksqldb::Config::new(listen, broker.to_string());
    let deadline = time::Instant::now() + DEADLINE;
    let mut look = time::interval(Duration::from_millis(20));
    let server = loop {
        look.tick().await;
        match osqdemo_ksqldb::bind(config.clone()).await {
            Ok(server) => break server,
            Err(error) => assert!(time::Instant::now() < deadline, "ksqlDB starts: {error}"),
        }
    };
    let address = server.address();
    let shutdown = CancellationToken::new();
    let running = server.run(shutdown.clone());
    Service {
        address,
        shutdown,
        task: tokio::spawn(async move { running.await.expect("ksqlDB runs") }),
    }
}

/// A folder where a host's commands run.
pub(crate) struct LocalHost {
    home: TempDir,
}

impl LocalHost {
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().expect("a home folder"),
        }
    }

    pub(crate) fn home(&self) -> std::path::PathBuf {
        self.home.path().canonicalize().expect("the home folder exists")
    }

    pub(crate) fn files(&self) -> Vec<String> {
        fs::read_dir(self.home.path())
            .expect("the home folder exists")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }

    pub(crate) async fn until_it_has_files(&self) {
        let mut look = time::interval(Duration::from_millis(5));
        let there = async {
            while self.files().is_empty() {
                look.tick().await;
            }
        };
        time::timeout(DEADLINE, there).await.expect("the file is written");
    }

    pub(crate) fn free_bytes(&self) -> u64 {
        let space = rustix::fs::statvfs(self.home.path()).expect("a file system");
        space.f_bavail * space.f_frsize / 2
    }
}

impl HostExec for LocalHost {
    async fn exec(&self, _host: &ServiceName, argv: &[&str]) -> Result<ExecOutput> {
        let child = Command::new(argv[0])
            .args(&argv[1..])
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let group = KillGroup(child.id());
        let output = child.wait_with_output().await.expect("the command ends");
        group.forget();
        Ok(ExecOutput {
            code: output.status.code().unwrap_or(255),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}

/// Ends a command with its children when its future is dropped.
struct KillGroup(Option<u32>);

impl KillGroup {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for KillGroup {
    fn drop(&mut self) {
        let group = self
            .0
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
