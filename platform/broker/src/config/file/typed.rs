//! What was typed into a configuration file; what it means is not looked at here.

use std::path::PathBuf;

use serde::Deserialize;

use super::limits::TypedLimits;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Typed {
    pub(super) flush: Option<TypedFlush>,
    #[serde(default)]
    pub(super) groups: TypedGroups,
    #[serde(default)]
    pub(super) limits: TypedLimits,
    #[serde(default)]
    pub(super) listener: Vec<TypedListener>,
    #[serde(default)]
    pub(super) user: Vec<TypedUser>,
    pub(super) tokens: Option<TypedTokens>,
    #[serde(default)]
    pub(super) acls: TypedAcls,
    pub(super) metrics: Option<TypedMetrics>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TypedGroups {
    pub(super) migration: Option<TypedMigration>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TypedMigration {
    Bidirectional,
    Upgrade,
    Downgrade,
    Disabled,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TypedFlush {
    Interval,
    EveryBatch,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TypedMetrics {
    #[serde(default = "exporter")]
    pub(super) bind: String,
    #[serde(default)]
    pub(super) allow_hosts: Vec<String>,
}

/// Where the JMX exporter usually is.
fn exporter() -> String {
    "127.0.0.1:9404".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TypedListener {
    pub(super) name: String,
    pub(super) bind: String,
    pub(super) advertise: Option<String>,
    pub(super) tls: Option<TypedTls>,
    #[serde(default)]
    pub(super) sasl: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TypedTls {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_roots: Option<PathBuf>,
    #[serde(default)]
    pub(super) client_certificates: TypedClientCertificates,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TypedClientCertificates {
    #[default]
    Ignored,
    Requested,
    Required,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TypedUser {
    pub(super) name: String,
    pub(super) password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TypedTokens {
    #[serde(default)]
    pub(super) unsecured: bool,
    pub(super) jwks: Option<PathBuf>,
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    #[serde(default = "subject")]
    pub(super) principal_claim: String,
}

fn subject() -> String {
    "sub".to_owned()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TypedAcls {
    #[serde(default)]
    pub(super) super_users: Vec<String>,
    #[serde(default)]
    pub(super) without_acl: TypedWithoutAcl,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TypedWithoutAcl {
    #[default]
    Allow,
    Deny,
}
