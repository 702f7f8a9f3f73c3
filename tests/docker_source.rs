//! Images whose programs are compiled from a checkout inside Docker. What compiles is a stand-in for `rust:…-bookworm`,
//! whose cargo takes programs that were built before.

#[path = "support/docker.rs"]
mod docker_support;
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use docker_support::{DockerStack, docker, image_tag};
use support::InTime;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A checkout, what compiles it, and a stack whose images have a tag of their own.
struct SourceStack {
    stack: DockerStack,
    tag: String,
    builder: String,
    checkout: TempDir,
}

impl SourceStack {
    fn new() -> Option<Self> {
        let stack = DockerStack::new()?;
        let tag = format!("{}-source", image_tag());
        let builder = format!("osqdemo-tests/builder:{tag}");
        make_builder(&builder);
        let checkout = tempfile::tempdir().expect("a folder");
        let folders = [
            "src",
            "hosts",
            "platform",
            "ksql",
            "compose",
            "benches",
            "tests",
            "Cargo.toml",
            "Cargo.lock",
        ];
        let mut copy = Command::new("cp");
        copy.arg("-r")
            .args(folders.map(|name| Path::new(ROOT).join(name)))
            .arg(checkout.path());
        assert!(copy.status().expect("cp").success());
        fs::create_dir_all(checkout.path().join("target/debug")).expect("a folder");
        Some(Self {
            stack,
            tag,
            builder,
            checkout,
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.stack.command(arguments);
        command
            .env("OSQDEMO_IMAGE_TAG", &self.tag)
            .env("OSQDEMO_BUILDER", &self.builder);
        command
    }

    /// Runs the binary; returns its exit code and what it wrote to standard error.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stderr, .. } = self.command(arguments).in_time();
        (status.code(), String::from_utf8_lossy(&stderr).into_owned())
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let (code, stderr) = self.run(arguments);
        assert_eq!(code, Some(0), "{stderr}");
        stderr
    }

    fn folder(&self) -> String {
        self.checkout.path().display().to_string()
    }

    fn append(&self, text: &str) {
        let path = self.checkout.path().join("hosts/extension/src/lib.rs");
        let mut source = fs::read_to_string(&path).expect("a source");
        source.push_str(text);
        fs::write(path, source).expect("a source");
    }

    /// When the dependencies were compiled that are in the extension of the hosts' image.
    fn dependencies(&self) -> String {
        let image = format!("osqdemo/host-agent:{}", self.tag);
        let extension = "/usr/lib/osquery/extensions/confluent.ext";
        docker(&[
            "run",
            "--rm",
            "--entrypoint",
            "tail",
            &image,
            "-c",
            "20",
            extension,
        ])
        .concat()
    }
}

impl Drop for SourceStack {
    fn drop(&mut self) {
        let _ = self.stack.output(&["down", "--volumes"]);
        let ours = ["host-agent", "platform", "programs"].map(|name| format!("osqdemo/{name}:{}", self.tag));
        for image in ours.iter().chain([&self.builder]) {
            // It may not be there.
            let _ = Command::new("docker").args(["rmi", "--force", image]).output();
        }
        // What the engine keeps of the stage that compiles.
        let stage = "label=io.osqdemo.stage=programs";
        docker(&["image", "prune", "--force", "--filter", stage]);
    }
}

fn make_builder(image: &str) {
    let context = tempfile::tempdir().expect("a folder");
    for name in ["osqdemo", "osqdemo-agent", "confluent-ext"] {
        let built = Path::new(env!("CARGO_BIN_EXE_osqdemo")).with_file_name(name);
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(context.path().join(name)).arg(built);
        assert!(strip.status().expect("strip").success());
    }
    let cargo = Path::new(ROOT).join("tests/fixtures/builder/cargo");
    fs::copy(cargo, context.path().join("cargo")).expect("a file");
    let dockerfile = "FROM debian:bookworm-slim\nCOPY cargo /usr/local/bin/cargo\n\
                      COPY osqdemo osqdemo-agent confluent-ext /prebuilt/\n";
    fs::write(context.path().join("Dockerfile"), dockerfile).expect("a file");
    docker(&[
        "build",
        "--quiet",
        "--tag",
        image,
        &context.path().display().to_string(),
    ]);
}

#[test]
fn programs_are_compiled_from_a_checkout() {
    let Some(stack) = SourceStack::new() else { return };
    let (folder, nowhere) = (stack.folder(), stack.stack.world.home().display().to_string());
    let (code, stderr) = stack.run(&["build", "--source", &nowhere]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("is not a checkout of osqdemo's repository"),
        "{stderr}"
    );
    let (code, stderr) = stack.run(&["up", "--engine", "native", "--source", &folder]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("`--source` is about images, and engine `native` has none"),
        "{stderr}"
    );

    let up = [&stack.stack.up_arguments()[..], &["--source", &folder, "-v"]].concat();
    let stderr = stack.succeed(&up);
    assert!(stderr.contains("up: 6 services are healthy"), "{stderr}");
    assert!(stderr.contains("Compiling the-dependencies v1.0.0"), "{stderr}");
    let dependencies = stack.dependencies();
    assert!(dependencies.parse::<u64>().is_ok(), "{dependencies}");

    // Remembered: nobody has to say it again.
    let stderr = stack.succeed(&["up"]);
    assert!(
        stderr.contains("nothing to do: 6 services are healthy"),
        "{stderr}"
    );

    // A change of one file compiles the programs again, and no dependency.
    stack.append("\n// A change.\n");
    let build = ["build", "--osqueryd", "builtin", "--source", &folder, "-v"];
    let stderr = stack.succeed(&build);
    assert!(stderr.contains("building (its content changed)"), "{stderr}");
    assert!(stderr.contains("Compiling osqdemo v0.1.0"), "{stderr}");
    assert!(!stderr.contains("Compiling the-dependencies"), "{stderr}");
    assert_eq!(stack.dependencies(), dependencies);

    stack.append("compile_error!(\"no\");\n");
    let (code, stderr) = stack.run(&build);
    assert_eq!(code, Some(12), "{stderr}");
    assert!(
        stderr.contains("error: failed to build image `osqdemo/programs:"),
        "{stderr}"
    );
    assert!(
        stderr.contains("error: could not compile `osquery-confluent`"),
        "{stderr}"
    );

    // Back to the programs that are installed.
    let installed = ["up", "--source", "installed", "--dry-run"];
    let output = stack.command(&installed).in_time();
    let plan = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(plan.contains("build image osqdemo/platform"), "{plan}");
}
