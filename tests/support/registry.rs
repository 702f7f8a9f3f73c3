//! A real registry on loopback: Debian's docker-registry (`scripts/test-tools.sh` gets it), with a folder of its own
//! and a proxy in front that counts what is asked and has the faults of real networks. The Docker engine is the client:
//! what it makes of a fault is real.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::docker_support::docker;
use crate::faulty_proxy::{Fault, FaultyProxy};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The one user that a guarded registry lets in.
pub(crate) const USER: &str = "jay";
/// Their password.
pub(crate) const PASSWORD: &str = "hush-hush";
/// Both, as htpasswd writes them (bcrypt).
const HTPASSWD: &str = "jay:$2y$04$abcdefghijklmnopqrstuu9AsmTW0GVvQkIMJII9dLx.Ve/x6XdxC\n";

/// Whom the registry lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Anybody.
    Open,
    /// [`USER`].
    Password,
}

/// Ends when dropped.
pub(crate) struct Registry {
    /// `HOST:PORT` of the registry with the proxy in front: what to pull from.
    pub(crate) address: String,
    /// `HOST:PORT` of the registry itself: what to push to.
    pub(crate) inner: String,
    proxy: FaultyProxy,
    guard: Guard,
    process: Child,
    _folder: TempDir,
}

/// The program, where it is.
fn program() -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/docker-registry");
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join("docker-registry"))
        .chain([unpacked])
        .find(|program| program.is_file())
}

/// Whether there is a registry to start. Without one the test is skipped, loudly; in CI it fails.
pub(crate) fn registry_is_there() -> bool {
    crate::docker_support::is_there(
        program().is_some(),
        "docker-registry (`scripts/test-tools.sh` gets it)",
    )
}

impl Registry {
    pub(crate) fn start(guard: Guard) -> Self {
        let folder = TempDir::new().expect("a folder");
        let storage = folder.path().join("storage");
        let mut configuration = json!({
            "version": "0.1",
            "log": { "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": storage }, "delete": { "enabled": true } },
            "http": { "addr": "127.0.0.1:0" },
        });
        if guard == Guard::Password {
            let users = folder.path().join("users");
            fs::write(&users, HTPASSWD).expect("a file");
            configuration["auth"] = json!({ "htpasswd": { "realm": "test", "path": users } });
        }
        let file = folder.path().join("config.yml");
        // JSON is YAML.
        fs::write(&file, configuration.to_string()).expect("a file");
        let mut process = Command::new(program().expect("a registry"))
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut log = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let inner = log
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let address = line.split_once("listening on ")?.1;
                Some(address.split('"').next()?.to_owned())
            })
            .expect("it says where it listens");
        // Nobody else reads its log, and it must not fill the pipe.
        std::thread::spawn(move || log.for_each(drop));
        let proxy = FaultyProxy::start(&inner);
        Self {
            address: proxy.address.clone(),
            inner,
            proxy,
            guard,
            process,
            _folder: folder,
        }
    }

    /// From now on this is wrong.
    pub(crate) fn set(&self, fault: Fault) {
        self.proxy.set(fault);
    }

    /// How often a manifest was asked for.
    pub(crate) fn asked(&self) -> usize {
        self.proxy.requests(|request| request.contains("/manifests/"))
    }

    /// How often a layer was fetched.
    pub(crate) fn fetched(&self, layer: &[u8]) -> usize {
        let end = format!("/blobs/{}", digest(layer));
        self.proxy
            .requests(|request| request.starts_with("GET ") && request.ends_with(&end))
    }

    /// Puts an image of these layers into the registry; returns the digest of its manifest.
    pub(crate) fn push(&self, name: &str, tag: &str, architecture: &str, layers: &[Vec<u8>]) -> String {
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|layer| digest(layer)).collect::<Vec<_>>() },
        })
        .to_string()
        .into_bytes();
        let blob = |media_type: &str, content: &[u8]| {
            self.push_blob(name, content);
            json!({ "mediaType": media_type, "size": content.len(), "digest": digest(content) })
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob("application/vnd.docker.container.image.v1+json", &config),
            "layers": layers
                .iter()
                .map(|layer| blob("application/vnd.docker.image.rootfs.diff.tar.gzip", layer))
                .collect::<Vec<_>>(),
        });
        self.push_manifest(name, tag, MANIFEST, &manifest)
    }

    /// Puts a list into the registry that says that the image is for this architecture only.
    pub(crate) fn push_list(&self, name: &str, tag: &str, architecture: &str, layers: &[Vec<u8>]) -> String {
        let only = self.push(name, "only", architecture, layers);
        let path = format!("/v2/{name}/manifests/{only}");
        let accept = [("Accept", MANIFEST)];
        let size = self.call("GET", &path, &accept, b"").body.len();
        let list = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_LIST,
            "manifests": [{
                "mediaType": MANIFEST,
                "size": size,
                "digest": only,
                "platform": { "architecture": architecture, "os": "linux" },
            }],
        });
        self.push_manifest(name, tag, MANIFEST_LIST, &list)
    }

    fn push_manifest(&self, name: &str, tag: &str, media_type: &str, manifest: &Value) -> String {
        let manifest = manifest.to_string().into_bytes();
        let path = format!("/v2/{name}/manifests/{tag}");
        let answer = self.call("PUT", &path, &[("Content-Type", media_type)], &manifest);
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
        digest(&manifest)
    }

    fn push_blob(&self, name: &str, content: &[u8]) {
        let begun = self.call("POST", &format!("/v2/{name}/blobs/uploads/"), &[], b"");
        let location = begun.header("location").expect("where to put it");
        let path = location.split_once(&self.inner).expect("our address").1;
        let path = format!("{path}&digest={}", digest(content));
        let answer = self.call("PUT", &path, &[], content);
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    }

    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.inner,
            body.len()
        );
        if self.guard == Guard::Password {
            head.push_str(&format!("Authorization: Basic {}\r\n", basic_credentials()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut connection = TcpStream::connect(&self.inner).expect("the registry answers");
        connection
            .write_all(&[head.as_bytes(), b"\r\n", body].concat())
            .expect("it reads");
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).expect("it writes");
        Answer::parse(&answer)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let reference = format!("{}/*/*", self.address);
        let images = docker(&["image", "ls", "-q", "--filter", &format!("reference={reference}")]);
        for image in images {
            // Also those that are known by a digest alone; another name of it goes, too.
            let _ = Command::new("docker").args(["rmi", "-f", &image]).output();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn parse(answer: &[u8]) -> Self {
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, body) = answer.split_at(end.expect("a head") + 4);
        let head = String::from_utf8_lossy(head).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self {
            status: status.expect("a status"),
            head,
            body: body.to_vec(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// User and password, as HTTP's basic authentication and Docker's `config.json` write them.
pub(crate) fn basic_credentials() -> String {
    STANDARD.encode(format!("{USER}:{PASSWORD}"))
}

/// The digest of a blob.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// A layer with one file of so many bytes that no other layer has.
pub(crate) fn layer(content: &str, length: usize) -> Vec<u8> {
    let seed = Sha256::digest(content.as_bytes());
    let mut file = Vec::with_capacity(length + seed.len());
    let mut block = seed;
    while file.len() < length {
        block = Sha256::digest(block);
        file.extend_from_slice(&block);
    }
    file.truncate(length);
    archive(&file)
}

/// A tar archive of one file.
fn archive(file: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut place = |offset: usize, text: &str| {
        for (place, byte) in header.iter_mut().skip(offset).zip(text.bytes()) {
            *place = byte;
        }
    };
    place(0, "content");
    place(100, "0000644");
    place(108, "0000000");
    place(116, "0000000");
    place(124, &format!("{:011o}", file.len()));
    place(136, "00000000000");
    place(148, "        ");
    place(156, "0");
    place(257, "ustar\u{0}00");
    let checksum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (place, byte) in header
        .iter_mut()
        .skip(148)
        .zip(format!("{checksum:06o}\u{0} ").bytes())
    {
        *place = byte;
    }
    let mut archive = header.to_vec();
    archive.extend_from_slice(file);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}
