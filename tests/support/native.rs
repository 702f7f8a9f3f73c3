//! A project on the native engine, which the test that brought it up takes down.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt;
use serde_json::Value;

use super::{UP, World, eventually};

/// Native stacks run one at a time: each is a handful of processes.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A project on the native engine with ports of its own, taken down at the end of the test.
pub(crate) struct NativeStack {
    /// Where its state is.
    pub(crate) world: World,
    _turn: MutexGuard<'static, ()>,
}

impl NativeStack {
    /// A project that is not up yet.
    pub(crate) fn new() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = Path::new(env!("CARGO_BIN_EXE_osqdemo"))
            .parent()
            .expect("the folder of the binary");
        for program in ["osqdemo-agent", "confluent-ext"] {
            assert!(
                folder.join(program).exists(),
                "`{program}` is not built: run `cargo build` for the whole workspace first"
            );
        }
        Self {
            world: World::new(),
            _turn: turn,
        }
    }

    /// A project that is up.
    pub(crate) fn up() -> Self {
        let stack = Self::new();
        stack.succeed(&UP);
        stack
    }

    /// Runs the binary, which must succeed; returns standard output.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.world.output(arguments).assert().success();
        String::from_utf8_lossy(&output.get_output().stdout).into_owned()
    }

    /// What `ps` says.
    pub(crate) fn ps(&self) -> Value {
        serde_json::from_str(&self.succeed(&["--json", "ps"])).expect("a JSON document")
    }

    /// A field of a service in `ps`.
    pub(crate) fn service(&self, name: &str, field: &str) -> Value {
        let document = self.ps();
        let services = document["services"].as_array().expect("services");
        let service = services
            .iter()
            .find(|service| service["service"] == name)
            .expect("the service");
        service[field].clone()
    }

    /// The process of a service.
    pub(crate) fn pid(&self, name: &str) -> u32 {
        let pid = self.service(name, "pid");
        u32::try_from(
            pid.as_u64()
                .unwrap_or_else(|| panic!("{name} runs: {}", self.ps())),
        )
        .expect("a pid")
    }

    /// The process of the supervisor.
    pub(crate) fn supervisor(&self) -> u32 {
        u32::try_from(self.ps()["supervisor"]["pid"].as_u64().expect("it runs")).expect("a pid")
    }

    /// The same, from what it wrote down: it need not answer.
    pub(crate) fn supervisor_by_record(&self) -> u32 {
        let text = fs::read_to_string(self.world.project().join("services.json")).expect("the records");
        let records: Value = serde_json::from_str(&text).expect("JSON");
        u32::try_from(records["supervisor"]["pid"].as_u64().expect("a pid")).expect("a pid")
    }

    /// Every process that this stack started and that is still there.
    pub(crate) fn processes(&self) -> Vec<String> {
        processes_with(&format!("OSQDEMO_HOME={}", self.world.home().display()))
    }

    /// Fails unless nothing of the stack is left but its data.
    pub(crate) fn assert_nothing_runs(&self) {
        eventually("every process is gone", Duration::from_secs(5), || {
            self.processes().is_empty()
        });
        for name in ["control.sock", "services.json", "lock", "host1.em", "host2.em"] {
            assert!(!self.world.project().join(name).exists(), "`{name}` is left");
        }
        let mounts = fs::read_to_string("/proc/self/mounts").expect("the mounts");
        assert!(
            !mounts.contains(&self.world.home().display().to_string()),
            "a mount is left"
        );
    }
}

impl Drop for NativeStack {
    fn drop(&mut self) {
        let output = self.world.output(&["down", "--volumes"]);
        if !thread::panicking() {
            assert!(output.status.success(), "{}", self.world.shown(&output));
            self.assert_nothing_runs();
            assert!(!self.world.project().exists(), "the project's folder is left");
        }
    }
}

/// The command lines of the processes whose environment has this entry; those of the tests themselves carry it
/// only in children that have ended by the time they ask.
pub(crate) fn processes_with(entry: &str) -> Vec<String> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").expect("the processes").flatten() {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        if environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == entry.as_bytes())
        {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found.push(format!("{}: {command}", process.file_name().to_string_lossy()));
        }
    }
    found
}
