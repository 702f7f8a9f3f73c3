//! osquery's APT repository in small: a package of the wanted version whose `osqueryd` is the built-in agent, signed by
//! a key that is made here, served where a build of the Docker engine reaches it. apt is its client: what it makes of
//! a fault is real.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::docker_support::docker;

/// The version that the hosts' image wants.
pub(crate) const VERSION: &str = "5.23.1";

const RELEASES: &str = "dists/deb";
const SIGNER: &str = "repository@example.org";

/// Ends when dropped.
pub(crate) struct AptRepository {
    folder: TempDir,
    gnupg: TempDir,
    architecture: String,
    /// The fingerprint of the key that signs it.
    pub(crate) fingerprint: String,
    /// Its address.
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
    is_ended: Arc<AtomicBool>,
    server: Option<thread::JoinHandle<()>>,
}

impl AptRepository {
    /// A repository with the package of `version`.
    pub(crate) fn start(version: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // gpg's sockets need a short path.
        let gnupg = tempfile::Builder::new()
            .prefix("gpg")
            .tempdir_in("/tmp")
            .expect("a folder");
        let listener = TcpListener::bind((bridge_address(), 0)).expect("an address of the engine's bridge");
        let address = listener.local_addr().expect("an address");
        let (requests, is_ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let server = {
            let (root, requests, is_ended) = (
                folder.path().to_owned(),
                Arc::clone(&requests),
                Arc::clone(&is_ended),
            );
            thread::spawn(move || {
                for connection in listener.incoming() {
                    if is_ended.load(Ordering::SeqCst) {
                        break;
                    }
                    requests.fetch_add(1, Ordering::SeqCst);
                    // A client that went away is no concern of the repository.
                    let _ = connection.and_then(|connection| answer(&root, connection));
                }
            })
        };
        let mut repository = Self {
            architecture: command_output("dpkg", &["--print-architecture"])
                .trim()
                .to_owned(),
            fingerprint: String::new(),
            url: format!("http://{address}"),
            folder,
            gnupg,
            requests,
            is_ended,
            server: Some(server),
        };
        repository.fingerprint = repository.make_key();
        repository.publish(version);
        repository
    }

    /// How often it was asked for something.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// The checksum of the package.
    pub(crate) fn package_sha256(&self) -> String {
        sha256(&self.package())
    }

    /// Changes the package after it was signed for.
    pub(crate) fn tamper(&self) {
        let mut bytes = fs::read(self.package()).expect("the package");
        *bytes.last_mut().expect("a byte") ^= 1;
        fs::write(self.package(), bytes).expect("the package");
    }

    /// The package, where a direct download expects it.
    fn package(&self) -> PathBuf {
        let name = format!("osquery_{VERSION}-1.linux_{}.deb", self.architecture);
        self.folder.path().join(name)
    }

    fn make_key(&self) -> String {
        self.gpg(&["--quick-generate-key", SIGNER, "ed25519", "sign", "never"]);
        let key = self.folder.path().join("pubkey.gpg");
        self.gpg(&[
            "--armor",
            "--output",
            &key.display().to_string(),
            "--export",
            SIGNER,
        ]);
        let listing = self.gpg(&["--with-colons", "--list-keys"]);
        let line = listing.lines().find(|line| line.starts_with("fpr:"));
        line.and_then(|line| line.split(':').nth(9))
            .expect("a fingerprint")
            .to_owned()
    }

    fn gpg(&self, arguments: &[&str]) -> String {
        let home = self.gnupg.path().display().to_string();
        let fixed = ["--homedir", &home, "--batch", "--yes", "--passphrase", ""];
        command_output("gpg", &[&fixed, arguments].concat())
    }

    fn publish(&self, version: &str) {
        let root = self.folder.path();
        let tree = tempfile::tempdir().expect("a folder");
        let bin = tree.path().join("opt/osquery/bin");
        fs::create_dir_all(&bin).expect("a folder");
        let agent = Path::new(env!("CARGO_BIN_EXE_osqdemo")).with_file_name("osqdemo-agent");
        fs::copy(agent, bin.join("osqueryd")).expect("the built-in agent");
        let packs = tree.path().join("opt/osquery/share/osquery/packs");
        fs::create_dir_all(&packs).expect("a folder");
        let pack = r#"{ "queries": { "uptime": { "query": "SELECT * FROM uptime", "interval": 60 } } }"#;
        fs::write(packs.join("of-the-package.conf"), pack).expect("a pack");
        // As the real package has: in the image this is a link.
        fs::create_dir_all(tree.path().join("lib/systemd/system")).expect("a folder");
        fs::create_dir(tree.path().join("DEBIAN")).expect("a folder");
        let control = format!(
            "Package: osquery\nVersion: {version}-1.linux\nArchitecture: {}\nMaintainer: {SIGNER}\nDescription: osquery\n",
            self.architecture
        );
        fs::write(tree.path().join("DEBIAN/control"), &control).expect("a file");
        let (tree, package) = (tree.path().display().to_string(), self.package());
        let shown = package.display().to_string();
        command_output(
            "dpkg-deb",
            &["--root-owner-group", "-Znone", "--build", &tree, &shown],
        );

        let name = package
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let list = format!("main/binary-{}/Packages", self.architecture);
        let path = root.join(RELEASES).join(&list);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let entry = format!(
            "{control}Filename: {name}\nSize: {}\nSHA256: {}\n",
            size(&package),
            sha256(&package)
        );
        fs::write(&path, entry).expect("a file");
        let release = root.join(RELEASES).join("Release");
        let date = command_output("date", &["--utc", "--rfc-email"]);
        let text = format!(
            "Suite: deb\nCodename: deb\nArchitectures: {}\nComponents: main\nDate: {}SHA256:\n {} {} {list}\n",
            self.architecture,
            date.replace("+0000", "UTC"),
            sha256(&path),
            size(&path)
        );
        fs::write(&release, text).expect("a file");
        let signed = root.join(RELEASES).join("InRelease");
        self.gpg(&[
            "--clearsign",
            "--output",
            &signed.display().to_string(),
            &release.display().to_string(),
        ]);
    }
}

impl Drop for AptRepository {
    fn drop(&mut self) {
        self.is_ended.store(true, Ordering::SeqCst);
        // Wakes the server up.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
        let home = self.gnupg.path().display().to_string();
        let _ = Command::new("gpgconf")
            .args(["--homedir", &home, "--kill", "all"])
            .status();
    }
}

/// The engine's own address on the network that its builds are in: the first of the subnet.
fn bridge_address() -> Ipv4Addr {
    let format = "{{(index .IPAM.Config 0).Subnet}}";
    let subnet = docker(&["network", "inspect", "bridge", "--format", format]).concat();
    let (network, _) = subnet.split_once('/').expect("a subnet");
    let network: Ipv4Addr = network.parse().expect("an address");
    Ipv4Addr::from_bits(network.to_bits() + 1)
}

/// Answers one request and closes.
fn answer(root: &Path, mut connection: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .trim_start_matches('/');
    let (status, body) = match fs::read(root.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    connection.write_all(&body)
}

fn command_output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; `scripts/setup.sh test` installs it"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").len()
}

fn sha256(path: &Path) -> String {
    let bytes = fs::read(path).expect("a file");
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
