//! The listener of the project's own broker for other machines: TLS with a certificate of a private authority, and users
//! with passwords. What it takes lies in a folder of its own below the project's: `osqdemo certs make` and `osqdemo users`
//! put it there, `up --listen` needs it.
//!
//! Must not know how the broker works inside: it writes a file that `osqdemo serve broker --broker-config` takes.

mod address;
pub mod certificates;
mod error;
mod users;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use address::{InvalidListenAddress, ListenAddress, ListenChoice};
pub use certificates::{Certificates, Validity};
pub use error::ListenerError;
pub use users::{Users, is_user_name};

use crate::state::{ProjectFolder, StateError, write_durably};

/// The mechanism by which users are let in.
pub const MECHANISM: &str = "SCRAM-SHA-512";

/// The name of the listener.
const NAME: &str = "outside";

/// The folder of a project's listener.
#[derive(Debug, Clone)]
pub struct ListenerFolder {
    root: PathBuf,
}

impl ListenerFolder {
    /// That of a project.
    pub fn of(project: &ProjectFolder) -> Self {
        Self {
            root: project.listener(),
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The certificate by which clients know the broker's: it is no secret.
    pub fn authority(&self) -> PathBuf {
        self.root.join("ca.pem")
    }

    fn authority_key(&self) -> PathBuf {
        self.root.join("ca.key")
    }

    fn certificate(&self) -> PathBuf {
        self.root.join("broker.pem")
    }

    fn key(&self) -> PathBuf {
        self.root.join("broker.key")
    }

    /// For which names the broker's certificate is.
    fn names(&self) -> PathBuf {
        self.root.join("certificate.json")
    }

    fn users(&self) -> PathBuf {
        self.root.join("users.json")
    }

    /// What the broker is told.
    pub fn broker_config(&self) -> PathBuf {
        self.root.join("broker.toml")
    }

    /// Whether everything is there that a listener at that address takes.
    ///
    /// # Errors
    /// When something is missing; it names all of it.
    pub fn check(&self, address: &ListenAddress) -> Result<(), ListenerError> {
        let names = Certificates::names(self)?;
        let has_users = !Users::read(self)?.is_empty();
        match names {
            Some(names) if has_users => {
                let host = address.host().to_owned();
                if names.contains(&host) {
                    Ok(())
                } else {
                    Err(ListenerError::OtherName { host, names })
                }
            }
            names => Err(ListenerError::Missing {
                certificates: names.is_none(),
                users: !has_users,
                host: address.host().to_owned(),
            }),
        }
    }

    /// What tells the listener at that address, with the certificate as it is now, from any other.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn identity(&self, address: &ListenAddress) -> Result<String, StateError> {
        let path = self.certificate();
        let certificate = fs::read(&path).map_err(|error| StateError::io("read", &path, error))?;
        let digest = Sha256::new_with_prefix(address.as_str()).chain_update(certificate);
        Ok(digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// Writes what the broker is told.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_broker_config(&self, address: &ListenAddress) -> Result<(), StateError> {
        write_durably(&self.broker_config(), broker_config(address).as_bytes())
    }
}

/// The text of that: an address has nothing in it that TOML would take for something else.
fn broker_config(address: &ListenAddress) -> String {
    format!(
        "# Written by `osqdemo up --listen`.\n[[listener]]\nname = \"{NAME}\"\nbind = \"{}\"\nadvertise = \"{address}\"\n\
         sasl = [\"{MECHANISM}\"]\ntls = {{ certificate = \"broker.pem\", key = \"broker.key\" }}\n",
        address.bind()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Diagnose;
    use crate::stack::project::ProjectName;

    fn folder() -> (tempfile::TempDir, ListenerFolder) {
        let home = tempfile::tempdir().expect("a folder");
        let project = ProjectFolder::new(home.path(), &ProjectName::default());
        (home, ListenerFolder::of(&project))
    }

    #[test]
    fn what_is_missing_is_named_together() {
        let (_home, folder) = folder();
        let address: ListenAddress = "10.0.0.5:9093".parse().expect("an address");
        let error = folder.check(&address).expect_err("nothing is there");
        assert_eq!(error.exit_code() as u8, 2);
        insta::assert_snapshot!(
            format!("{error}\n{}", error.hints().join("\n")),
            @r"
        `--listen` lets other machines in, and there are no certificates and no users
        make certificates with `osqdemo certs make --host 10.0.0.5`
        name who may come in with `osqdemo users add NAME`, while the project runs
        "
        );
        Certificates::make(
            &folder,
            "osqdemo",
            &["10.0.0.5".to_owned()],
            Validity::from_today(),
        )
        .expect("certificates");
        let error = folder.check(&address).expect_err("no users");
        assert!(error.to_string().ends_with("there are no users"), "{error}");
        let mut users = Users::read(&folder).expect("none");
        users.add("laptop");
        users.write(&folder).expect("it is written");
        folder.check(&address).expect("everything is there");
        let error = folder.check(&"kafka.example:9093".parse().expect("an address"));
        assert_eq!(
            error.expect_err("another name").to_string(),
            "the broker's certificate is not for `kafka.example`, but for `10.0.0.5`"
        );
    }

    #[test]
    fn the_broker_takes_what_is_written() {
        let (_home, folder) = folder();
        for (text, bind) in [
            ("127.0.0.1:9093", "127.0.0.1:9093"),
            ("[::1]:9093", "[::1]:9093"),
            ("kafka.example:9093", "0.0.0.0:9093"),
        ] {
            let address: ListenAddress = text.parse().expect("an address");
            let names = [address.host().to_owned()];
            Certificates::make(&folder, "osqdemo", &names, Validity::from_today()).expect("certificates");
            let before = folder.identity(&address).expect("an identity");
            folder.write_broker_config(&address).expect("it is written");
            let read = osqdemo_broker::ConfigFile::read(&folder.broker_config()).expect("a configuration");
            let [listener] = read.listeners.as_slice() else {
                panic!("one listener: {read:?}");
            };
            assert_eq!(listener.bind.to_string(), bind);
            assert!(listener.tls.is_some());
            Certificates::make(&folder, "osqdemo", &names, Validity::from_today()).expect("certificates");
            assert_ne!(
                folder.identity(&address).expect("an identity"),
                before,
                "the broker has to start anew"
            );
        }
    }
}
