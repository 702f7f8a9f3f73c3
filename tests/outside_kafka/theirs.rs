//! Services of another project.

use std::fs;

use serde_json::Value;

use crate::support::NativeStack;

/// Services of another project: to the one that is tested, they are there already.
pub(crate) struct Theirs<'a> {
    stack: &'a NativeStack,
    pub(crate) address: String,
}

impl<'a> Theirs<'a> {
    /// A broker alone.
    pub(crate) fn broker(stack: &'a NativeStack) -> Self {
        let lite = include_str!("../../compose/lite.yaml");
        let (broker, _) = lite
            .split_once("\n  schema-registry:")
            .expect("the broker is the first");
        let file = stack.world.home().join("broker.yaml");
        fs::write(&file, format!("{broker}\nvolumes:\n  broker-data:\n")).expect("a stack file");
        Self::up(stack, &["--stack-file", &file.display().to_string()])
    }

    /// A broker with a registry and ksqlDB.
    pub(crate) fn platform(stack: &'a NativeStack) -> Self {
        let arguments = ["--without", "console,host1,host2", "--no-statements"];
        let ports = ["--port", "schema-registry=0", "--port", "ksqldb-server=0"];
        Self::up(stack, &[&arguments[..], &ports].concat())
    }

    fn up(stack: &'a NativeStack, arguments: &[&str]) -> Self {
        let mut theirs = Self {
            stack,
            address: String::new(),
        };
        theirs.run(&[&["up", "--port", "broker=0"], arguments].concat());
        theirs.address = theirs.address_of("broker");
        theirs
    }

    pub(crate) fn address_of(&self, service: &str) -> String {
        let there: Value = serde_json::from_str(&self.run(&["--json", "ps"])).expect("a document");
        let mut services = there["services"].as_array().expect("a list").iter();
        let found = services
            .find(|found| found["service"] == service)
            .expect("it is there");
        found["address"].as_str().expect("an address").to_owned()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.stack
            .succeed(&[&["--project", "theirs"], arguments].concat())
    }
}

impl Drop for Theirs<'_> {
    fn drop(&mut self) {
        let output = self
            .stack
            .world
            .output(&["--project", "theirs", "down", "--volumes"]);
        if !std::thread::panicking() {
            assert!(output.status.success(), "{}", self.stack.world.shown(&output));
        }
    }
}
