//! `osqdemo bundle` through the real binary: what is in the file, while the stack runs and when it does not, and that
//! no secret is.

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::NativeStack;

const PLANTED: &str = "pl4nt3d-s3cr3t";

/// Unpacks a bundle and returns its folder.
fn unpacked(archive: &Path, folder: &Path) -> std::path::PathBuf {
    fs::create_dir_all(folder).expect("a folder");
    let status = Command::new("tar")
        .arg("-C")
        .arg(folder)
        .arg("-xf")
        .arg(archive)
        .status()
        .expect("tar");
    assert!(status.success());
    folder.join("osqdemo-bundle")
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("`{name}`: {error}"))
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("it is written");
}

#[test]
fn a_bundle_holds_what_a_report_needs_and_no_secret() {
    let stack = NativeStack::up();
    let project = stack.world.project();
    append(
        &project.join("logs/broker.log"),
        &format!(
            "sasl.jaas.config=Login required password=\"{PLANTED}\";\nfetching http://jay:{PLANTED}@registry/v2\n"
        ),
    );
    append(
        &project.join("hosts/host1/osquery/osqueryd.flags"),
        &format!("\n--tls_client_secret={PLANTED}\n"),
    );
    append(
        &project.join("hosts/host2/osquery/osquery_confluent_config.json"),
        &format!("\n{{\"sasl.password\": \"{PLANTED}\"}}\n"),
    );
    let outside = tempfile::tempdir().expect("a folder");
    let file = outside.path().join("report.tar");
    let file_text = file.display().to_string();

    let told = stack.succeed(&["bundle", "--output", &file_text]);
    assert_eq!(told.trim_end(), file_text);
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = fs::read(&file).expect("the file");
    assert!(!String::from_utf8_lossy(&bytes).contains(PLANTED));

    let bundle = unpacked(&file, &outside.path().join("running"));
    for service in ["broker", "ksqldb-server", "host1", "host2", "supervisor"] {
        assert!(!read(&bundle, &format!("logs/{service}.log")).is_empty());
    }
    for (name, content) in [
        ("README.md", "| `plan.txt` |"),
        ("versions.json", "\"engine\": \"native\""),
        ("ps.json", "\"state\": \"running\""),
        ("doctor.json", "\"checks\""),
        ("plan.txt", "nothing to do"),
        ("endpoints.json", "127.0.0.1:"),
        ("topics.json", "open_files"),
        ("ksqldb/show-queries.json", "CSAS"),
        ("logs/broker.log", "http://[redacted]@registry/v2"),
        ("hosts/host1/osqueryd.flags", "--tls_client_secret=[redacted]"),
        (
            "hosts/host2/osquery_confluent_config.json",
            "{\"sasl.password\": \"[redacted]\"}",
        ),
        ("project/project.json", "\"native\""),
    ] {
        let text = read(&bundle, name);
        assert!(text.contains(content), "`{name}` lacks `{content}`: {text}");
    }

    stack.succeed(&["down"]);
    stack.succeed(&["bundle", "--output", &file_text]);
    let bundle = unpacked(&file, &outside.path().join("stopped"));
    assert!(!read(&bundle, "logs/ksqldb-server.log").is_empty());
    assert!(read(&bundle, "plan.txt").contains("start broker (not running)"));
    let readme = read(&bundle, "README.md");
    assert!(
        readme.contains("is not running") && !readme.contains(PLANTED),
        "{readme}"
    );
}
