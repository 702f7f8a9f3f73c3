//! The HTTP clients of the services beside Kafka: who the console is there, and whom it trusts.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, ClientBuilder};

use crate::config::Access;

/// A client to be, or why there can be none; nothing of a password is told.
pub(crate) fn client(access: &Access) -> Result<ClientBuilder, String> {
    let mut builder = reqwest::Client::builder().no_proxy();
    if let Some((user, password)) = &access.credentials {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        let mut value =
            HeaderValue::try_from(format!("Basic {encoded}")).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        builder = builder.default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]));
    }
    if let Some(file) = &access.certificates {
        let unusable = |reason: String| format!("the certificates of `{}`: {reason}", file.display());
        let text = fs::read(file).map_err(|error| unusable(error.to_string()))?;
        let certificates =
            Certificate::from_pem_bundle(&text).map_err(|error| unusable(error.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("there is none in it".to_owned()));
        }
        builder = builder.tls_certs_only(certificates);
    }
    Ok(builder)
}
