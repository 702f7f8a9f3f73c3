//! A listener's TLS, from its files; and who a client's certificate is about.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use x509_cert::der::Decode as _;

use super::Principal;
use crate::config::{ClientCertificates, Tls};
use crate::error::Error;

/// Reads the files; TLS 1.2 and 1.3.
pub(crate) fn server_config(tls: &Tls) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&tls.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| wrong(&tls.key, format!("no private key can be read from it: {error}")))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&tls.certificate, error.to_string()))?;
    let verifier = |roots: &Path| -> Result<_, Error> {
        let mut store = RootCertStore::empty();
        for root in certificates(roots)? {
            store
                .add(root)
                .map_err(|error| wrong(roots, format!("one of its certificates cannot be used: {error}")))?;
        }
        Ok(WebPkiClientVerifier::builder_with_provider(
            Arc::new(store),
            Arc::clone(&provider),
        ))
    };
    let builder = match &tls.clients {
        ClientCertificates::Ignored => builder.with_no_client_auth(),
        ClientCertificates::Requested(roots) => {
            let verifier = verifier(roots)?.allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(roots, error.to_string()))?)
        }
        ClientCertificates::Required(roots) => {
            let verifier = verifier(roots)?.build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(roots, error.to_string()))?)
        }
    };
    let config = builder.with_single_cert(chain, key).map_err(|error| {
        let reason = format!("it and the key `{}` cannot be used: {error}", tls.key.display());
        wrong(&tls.certificate, reason)
    })?;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err(wrong(path, "it has no certificate".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(
            path,
            format!("no certificate can be read from it: {error}"),
        )),
    }
}

fn wrong(path: &Path, reason: String) -> Error {
    Error::Security {
        path: path.to_owned(),
        reason,
    }
}

/// Whom a certificate is about, named as Kafka names them: `User:` and the subject.
pub(crate) fn principal(certificate: &CertificateDer<'_>) -> Option<Principal> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    Some(Principal::user(
        &certificate.tbs_certificate().subject().to_string(),
    ))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn a_client_is_called_as_its_certificate_says() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "DE");
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Tea, Inc");
        params.distinguished_name.push(DnType::CommonName, "alice");
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let found = principal(made.der()).unwrap();
        assert_eq!(found.as_str(), r"User:CN=alice,O=Tea\, Inc,C=DE");
        assert_eq!(principal(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
