//! `osqdemo certs`: the certificates of the broker's listener for other machines.

use serde_json::json;

use crate::cli::{CertsCommand, MakeCertsArgs};
use crate::commands::Context;
use crate::error::Result;
use crate::events::{Note, SCHEMA_VERSION};
use crate::listener::{Certificates, ListenerFolder, Validity};
use crate::state::{ProjectFolder, ProjectLock};

/// Fails when a name cannot stand in a certificate, or a file cannot be written.
pub(super) fn run(context: &Context, command: CertsCommand) -> Result<()> {
    let CertsCommand::Make(MakeCertsArgs { mut hosts }) = command;
    if hosts.is_empty() {
        hosts.push(rustix::system::uname().nodename().to_string_lossy().into_owned());
    }
    let project = ProjectFolder::new(&context.settings.home, &context.settings.project);
    let _lock = ProjectLock::take(&project, "certs")?;
    let folder = ListenerFolder::of(&project);
    let made = Certificates::make(&folder, project.project.as_str(), &hosts, Validity::from_today())?;
    context.reporter.emit(Note::CertificatesMade {
        names: made.names.clone(),
        until: made.until.clone(),
        authority: folder.authority(),
    });
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "names": made.names,
        "until": made.until,
        "authority": folder.authority(),
    });
    context.reporter.data(&document, String::new)
}
