//! TLS, tried as librdkafka will.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{HandshakeError, SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::{X509, X509VerifyResult};
use osquery_configuration::regular_file;

use super::{CONNECT_PATIENCE, ConnectionReport};
use crate::courier::oauth::CERTIFICATES;

/// Tries TLS as librdkafka will. librdkafka itself does not say what is wrong with a certificate.
pub(super) fn shake_hands(
    host: &str,
    stream: TcpStream,
    properties: &BTreeMap<String, String>,
    report: &mut ConnectionReport,
) -> bool {
    let get = |name: &str| properties.get(name).map(String::as_str);
    let what = format!("TLS with `{host}`");
    let connector = match connector(&get) {
        Ok(connector) => connector,
        Err((property, error)) => {
            report.bad(
                what,
                error.to_string(),
                format!("is `{property}` a file that this user can read, in PEM?"),
            );
            return false;
        }
    };
    // Neither side may keep the check waiting.
    let bounded = stream
        .set_read_timeout(Some(CONNECT_PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(CONNECT_PATIENCE)));
    let verifies_name = get("ssl.endpoint.identification.algorithm") != Some("none");
    let handshake = connector.configure().and_then(|mut configuration| {
        configuration.set_verify_hostname(verifies_name);
        configuration.into_ssl(host)
    });
    let Ok((ssl, ())) = handshake
        .map_err(|_| ())
        .and_then(|ssl| Ok((ssl, bounded.map_err(|_| ())?)))
    else {
        report.bad(
            what,
            "TLS cannot be set up",
            "is the name in `bootstrap.servers` a name?",
        );
        return false;
    };
    let failure = match ssl.connect(stream) {
        Ok(_) => {
            report.good(what);
            return true;
        }
        Err(failure) => failure,
    };
    let verdict = match &failure {
        HandshakeError::Failure(stream) => stream.ssl().verify_result(),
        _ => X509VerifyResult::OK,
    };
    if verdict == X509VerifyResult::OK {
        let hint = "does the port speak TLS, and does it take this client's certificate?";
        report.bad(what, failure.to_string(), hint);
        return false;
    }
    let reason = verdict.error_string();
    let hint = match reason {
        "certificate has expired" => "the broker's certificate needs to be renewed",
        "certificate is not yet valid" => "is this host's clock right?",
        "hostname mismatch" | "IP address mismatch" => {
            "the broker's certificate is for another name than the one in `bootstrap.servers`"
        }
        _ => "`ssl.ca.location` must name a file with the certificate of who signed the broker's",
    };
    report.bad(what, format!("the broker's certificate: {reason}"), hint);
    false
}

/// What TLS is configured to be; else the property that is wrong.
fn connector<'p>(get: &impl Fn(&str) -> Option<&'p str>) -> Result<SslConnector, (&'static str, ErrorStack)> {
    let mut builder =
        SslConnector::builder(SslMethod::tls_client()).map_err(|error| ("ssl.ca.location", error))?;
    let probed = || CERTIFICATES.into_iter().find(|path| Path::new(path).exists());
    let given = get("ssl.ca.location").filter(|path| *path != "probe");
    if let Some(pem) = get("ssl.ca.pem") {
        let trusted = X509::stack_from_pem(pem.as_bytes()).map_err(|error| ("ssl.ca.pem", error))?;
        for certificate in trusted {
            builder
                .cert_store_mut()
                .add_cert(certificate)
                .map_err(|error| ("ssl.ca.pem", error))?;
        }
    } else if let Some(path) = given.or_else(probed) {
        builder
            .set_ca_file(path)
            .map_err(|error| ("ssl.ca.location", error))?;
    }
    if let Some(path) = get("ssl.certificate.location") {
        let set = builder.set_certificate_chain_file(path);
        set.map_err(|error| ("ssl.certificate.location", error))?;
    }
    if let Some(path) = get("ssl.key.location") {
        let password = get("ssl.key.password").unwrap_or_default();
        let key = regular_file::read(Path::new(path)).unwrap_or_default();
        let key = PKey::private_key_from_pem_passphrase(&key, password.as_bytes());
        let set = key.and_then(|key| builder.set_private_key(&key));
        set.map_err(|error| ("ssl.key.location", error))?;
    }
    if get("enable.ssl.certificate.verification") == Some("false") {
        builder.set_verify(SslVerifyMode::NONE);
    }
    Ok(builder.build())
}
