//! The piece of a bundle that says what each host runs: its flags, its configuration and its extensions. Natively they
//! are in the host's folder; a container has them in itself, and where it is gone, the image of this version says what
//! it had.

use std::fs;

use crate::bundle::Bundle;
use crate::commands::bundle::settled::{add_content, add_file};
use crate::commands::bundle::{PIECE_LIMIT, within};
use crate::commands::project::Project;
use crate::engine::EngineKind;
use crate::engine::docker::Connection;
use crate::engine::docker::image::HOST_CONFIGURATION;
use crate::stack::Role;

/// The files of a native host, below its folder.
const HOST_FILES: &[&str] = &[
    "init.json",
    "osquery/osqueryd.flags",
    "osquery/osquery_confluent_config.json",
    "osquery/extensions.load",
];

/// What every host runs.
pub(super) async fn add_hosts(bundle: &mut Bundle, project: &Project) {
    if project.kind == EngineKind::Docker {
        add_containers(bundle, project).await;
    } else {
        add_folders(bundle, project);
    }
}

fn add_folders(bundle: &mut Bundle, project: &Project) {
    let folders = project.folder.root().join("hosts");
    let hosts = fs::read_dir(&folders).into_iter().flatten();
    let mut hosts: Vec<String> = hosts
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    hosts.sort();
    if hosts.is_empty() {
        bundle.miss("hosts", "no host has a folder on this machine");
    }
    for host in hosts {
        for file in HOST_FILES {
            let name = format!("hosts/{host}/{}", file.trim_start_matches("osquery/"));
            let path = folders.join(&host).join(file);
            add_file(bundle, &name, &format!("what {host} runs"), &path);
        }
    }
}

async fn add_containers(bundle: &mut Bundle, project: &Project) {
    let mut is_gone = false;
    for host in project.stack.with_role(Role::Host).map(|service| &service.name) {
        let files = Box::pin(async {
            let connection = Connection::open().await?;
            connection.host_configuration(&project.folder, host).await
        });
        match within(PIECE_LIMIT, files).await {
            Ok(Some(files)) => {
                for (name, text) in files {
                    let what = format!("what the container of {host} runs");
                    add_content(bundle, &format!("hosts/{host}/{name}"), &what, &text);
                }
            }
            Ok(None) => {
                bundle.miss(&format!("hosts/{host}"), "its container is not there");
                is_gone = true;
            }
            Err(reason) => {
                bundle.miss(&format!("hosts/{host}"), &reason);
                is_gone = true;
            }
        }
    }
    if is_gone {
        for (name, text) in HOST_CONFIGURATION {
            let what = "what the hosts' image of this version has";
            add_content(bundle, &format!("hosts/image/{name}"), what, text);
        }
    }
}
