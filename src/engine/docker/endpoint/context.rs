//! The contexts of the `docker` command, read as it wrote them.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Security, security};
use crate::engine::docker::error::DockerError;

/// The name of the current context.
pub(super) fn current_context(folder: &Path) -> Option<String> {
    let text = fs::read(folder.join("config.json")).ok()?;
    let config: Value = serde_json::from_slice(&text).ok()?;
    config["currentContext"].as_str().map(str::to_owned)
}

/// The address that a context names.
pub(super) fn address_of_context(
    folder: Option<&Path>,
    name: &str,
) -> Result<(String, Security), DockerError> {
    let unusable = |reason: String| DockerError::Context {
        name: name.to_owned(),
        reason,
    };
    let folder = folder.ok_or_else(|| unusable("`HOME` is not set".to_owned()))?;
    let contexts = folder.join("contexts");
    // `docker context` names the folder of a context after the hash of its name.
    let hash: String = Sha256::digest(name)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = contexts.join("meta").join(&hash).join("meta.json");
    let text = fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => unusable(format!(
            "there is no such context; there is {}",
            names_of_contexts(&contexts.join("meta")).join(", ")
        )),
        _ => unusable(format!("failed to read `{}`: {error}", path.display())),
    })?;
    let meta: Value = serde_json::from_slice(&text)
        .map_err(|error| unusable(format!("`{}` is damaged: {error}", path.display())))?;
    let address = meta["Endpoints"]["docker"]["Host"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| unusable(format!("`{}` names no address", path.display())))?;
    let is_secured = contexts.join("tls").join(&hash).join("docker").is_dir();
    Ok((address.clone(), security(&address, is_secured)))
}

fn names_of_contexts(folder: &Path) -> Vec<String> {
    let metas = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = metas
        .filter_map(|meta| {
            let text = fs::read(meta.path().join("meta.json")).ok()?;
            let meta: Value = serde_json::from_slice(&text).ok()?;
            Some(format!("`{}`", meta["Name"].as_str()?))
        })
        .collect();
    names.sort();
    names.insert(0, "`default`".to_owned());
    names
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::{find, find_open};
    use super::Security;

    #[test]
    fn a_context_is_read_as_docker_wrote_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().display().to_string();
        let variables = [("DOCKER_CONFIG", config.as_str())];
        fs::write(
            folder.path().join("config.json"),
            r#"{"currentContext": "colima"}"#,
        )
        .expect("a file");
        let error = find(&variables, &["/var/run/docker.sock"]).expect_err("there is no such context");
        assert_eq!(
            error,
            "the Docker context `colima` cannot be used: there is no such context; there is `default`"
        );
        // The hash of `colima`.
        let meta = folder
            .path()
            .join("contexts/meta/f24fd3749c1368328e2b149bec149cb6795619f244c5b584e844961215dadd16");
        fs::create_dir_all(&meta).expect("a folder");
        fs::write(
            meta.join("meta.json"),
            r#"{"Name": "colima", "Endpoints": {"docker": {"Host": "unix:///x.sock"}}}"#,
        )
        .expect("a file");
        assert_eq!(
            find(&variables, &[]),
            Ok("unix:///x.sock (context colima)".to_owned())
        );
        let hash = meta.file_name().expect("a name");
        let tls = folder.path().join("contexts/tls").join(hash).join("docker");
        fs::create_dir_all(&tls).expect("a folder");
        let secured = r#"{"Name": "colima", "Endpoints": {"docker": {"Host": "tcp://127.0.0.1:2376"}}}"#;
        fs::write(meta.join("meta.json"), secured).expect("a file");
        let endpoint = find_open(&variables, &[], &[]).expect("an endpoint");
        assert_eq!(endpoint.security, Security::Tls);
        let other = [variables[0], ("DOCKER_CONTEXT", "lima")];
        assert_eq!(
            find(&other, &[]).expect_err("there is no such context"),
            "the Docker context `lima` cannot be used: there is no such context; there is `default`, `colima`"
        );
        fs::write(
            folder.path().join("config.json"),
            r#"{"currentContext": "default"}"#,
        )
        .expect("a file");
        assert_eq!(
            find(&variables, &["/var/run/docker.sock"]),
            Ok("unix:///var/run/docker.sock".to_owned())
        );
    }
}
