//! `osqdemo host-package`: what a machine of a real fleet gets so that its osqueryd sends its lines where the project's hosts
//! send theirs: a folder laid out like a Debian package, the package where `dpkg-deb` is there, and a guide of one page.

mod contents;
mod error;

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use self::contents::{Connection, EXTENSION, SETTINGS, UNIT, UNIT_PATH, below};
use self::error::HostPackageError;
use crate::cli::HostPackageArgs;
use crate::commands::project::Project;
use crate::commands::{Context, endpoints};
use crate::engine::native::programs::{find_extension, own_path};
use crate::error::Result;
use crate::events::{Note, SCHEMA_VERSION};
use crate::listener::{ListenerFolder, MECHANISM, Users};
use crate::stack::{KafkaAddress, Properties};

/// Fails when the folder cannot be written, or nobody knows where Kafka is.
pub(super) async fn run(context: Context, arguments: HostPackageArgs) -> Result<()> {
    let project = Project::open(&context)?;
    let listening = Listening::of(&project)?;
    let servers = servers(&project, arguments.advertised, listening.as_ref()).await?;
    let extension = find_extension(&own_path()?)?;
    let connection = match &listening {
        Some(listening) => Connection::elsewhere(&listening.properties),
        None => Connection::elsewhere(&project.kafka_properties()),
    };
    let configuration =
        contents::configuration(project.remembered.host_config.as_ref(), &servers, &connection);
    let folder = std::path::absolute(&arguments.output).unwrap_or(arguments.output);
    check_is_new(&folder)?;
    let root = folder.join("root");
    let program = fs::read(&extension).map_err(failed(&extension))?;
    let settings = |file: &str| below(&root, &format!("{SETTINGS}/{file}"));
    write(&below(&root, EXTENSION), &program, 0o755)?;
    write(
        &settings("osquery_confluent_config.json"),
        configuration.as_bytes(),
        0o600,
    )?;
    write(&settings("osqueryd.flags"), contents::flags().as_bytes(), 0o644)?;
    write(
        &settings("extensions.load"),
        format!("{EXTENSION}\n").as_bytes(),
        0o644,
    )?;
    for (here, file) in &connection.copied {
        let text = fs::read(here).map_err(failed(here))?;
        write(&settings(file), &text, 0o644)?;
    }
    write(&below(&root, UNIT_PATH), UNIT.as_bytes(), 0o644)?;
    write(
        &root.join("DEBIAN/control"),
        contents::control().as_bytes(),
        0o644,
    )?;
    write(
        &root.join("DEBIAN/conffiles"),
        contents::conffiles(&connection).as_bytes(),
        0o644,
    )?;
    write(
        &folder.join("README.md"),
        contents::guide(&servers, &connection).as_bytes(),
        0o644,
    )?;
    let package = build_package(&root, &folder.join(contents::deb()))?;
    context.reporter.emit(Note::HostPackageWritten {
        folder: folder.clone(),
        package: package.clone(),
        kafka: servers.clone(),
    });
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "folder": folder,
        "package": package,
        "bootstrap_servers": servers,
    });
    context.reporter.data(&document, String::new)
}

/// The listener of the project's broker for other machines, and what a connection to it takes.
struct Listening {
    address: String,
    properties: Properties,
}

impl Listening {
    fn of(project: &Project) -> Result<Option<Self>> {
        let Some(address) = project.remembered.listen.clone() else {
            return Ok(None);
        };
        let folder = ListenerFolder::of(&project.folder);
        let authority = folder.authority().display().to_string();
        let users = Users::read(&folder)?;
        let mut properties = Properties::default();
        let mut add = |name: &str, value: &str| properties.0.push((name.to_owned(), value.to_owned()));
        add("security.protocol", "SASL_SSL");
        add("sasl.mechanisms", MECHANISM);
        // Whose password it takes, the guide says.
        add("sasl.username", users.names().next().unwrap_or_default());
        add("sasl.password", "");
        add("ssl.ca.location", &authority);
        Ok(Some(Self { address, properties }))
    }
}

/// Where the machines find Kafka.
async fn servers(
    project: &Project,
    advertised: Option<String>,
    listening: Option<&Listening>,
) -> Result<String> {
    if let Some(text) = advertised {
        let address: std::result::Result<KafkaAddress, _> = text.parse();
        return Ok(address
            .map_err(|_| HostPackageError::Address { text })?
            .to_string());
    }
    if let Some(listening) = listening {
        return Ok(listening.address.clone());
    }
    if let Some(kafka) = &project.stack.kafka {
        return Ok(kafka.to_string());
    }
    let observed = project.engine.observe().await?;
    let cluster = endpoints::cluster(project, &observed).map_err(|_| HostPackageError::NoAddress)?;
    Ok(cluster.bootstrap_servers)
}

/// What somebody else has put there stays as it is.
fn check_is_new(folder: &Path) -> std::result::Result<(), HostPackageError> {
    let is_empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(failed(folder)(error)),
    };
    if is_empty {
        Ok(())
    } else {
        Err(HostPackageError::NotEmpty {
            folder: folder.to_owned(),
        })
    }
}

/// Writes a file, in folders that others may read, whatever the umask says: osqueryd and dpkg mind both.
fn write(path: &Path, text: &[u8], mode: u32) -> std::result::Result<(), HostPackageError> {
    let folder = path.parent().unwrap_or(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(failed(folder))?;
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text)?;
            file.set_permissions(Permissions::from_mode(mode))
        })
        .map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> HostPackageError {
    move |source| HostPackageError::Write {
        path: path.to_owned(),
        source,
    }
}

/// The Debian package, where there is who makes it.
fn build_package(root: &Path, file: &Path) -> std::result::Result<Option<PathBuf>, HostPackageError> {
    let made = Command::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .arg(root)
        .arg(file)
        .stdin(Stdio::null())
        .output();
    match made {
        Ok(output) if output.status.success() => Ok(Some(file.to_owned())),
        Ok(output) => Err(HostPackageError::Package {
            reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HostPackageError::Package {
            reason: error.to_string(),
        }),
    }
}
