//! Certificates of a test's own, in files as the broker reads them.

use std::path::{Path, PathBuf};

use osqdemo_broker::{ClientCertificates, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// Who signs certificates.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, both PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the tests");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
            issuer,
        };
        std::fs::write(authority.roots(), authority.root()).unwrap();
        authority
    }

    /// What its signatures are checked with.
    pub(crate) fn root(&self) -> String {
        self.issuer.pem()
    }

    /// The file of that.
    pub(crate) fn roots(&self) -> PathBuf {
        self.path("roots.pem")
    }

    /// Of a server on this machine, or of a client of that name.
    pub(crate) fn sign(&self, name: &str) -> Signed {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Signed {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// What a listener needs, with files that live as long as this.
    pub(crate) fn tls(&self, clients: ClientCertificates) -> Tls {
        let signed = self.sign("broker");
        let (certificate, key) = (self.path("broker.pem"), self.path("broker.key"));
        std::fs::write(&certificate, signed.certificate).unwrap();
        std::fs::write(&key, signed.key).unwrap();
        Tls {
            certificate,
            key,
            clients,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}
