//! Why a request is not answered: the status, the code and the text that Confluent's registry has for it.

use std::fmt;

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The code in the body, whose first three digits are the status.
    pub(crate) code: u32,
    pub(crate) message: String,
    /// Whether it comes from the framework, whose answers carry no content type.
    pub(crate) is_bare: bool,
}

fn refusal(code: u32, message: impl Into<String>) -> Refusal {
    let status = if code >= 10_000 { code / 100 } else { code };
    Refusal {
        // The first three digits of a code are a status.
        status: u16::try_from(status).unwrap_or(500),
        code,
        message: message.into(),
        is_bare: false,
    }
}

impl Refusal {
    pub(crate) fn bare(code: u32, message: impl Into<String>) -> Self {
        Self {
            is_bare: true,
            ..refusal(code, message)
        }
    }

    pub(crate) fn not_found() -> Self {
        refusal(404, "HTTP 404 Not Found")
    }

    pub(crate) fn forbidden(reason: impl fmt::Display) -> Self {
        refusal(403, reason.to_string())
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        refusal(400, message)
    }

    pub(crate) fn missing_body(parameter: &str) -> Self {
        refusal(422, format!("{parameter} must not be null (was null)"))
    }

    pub(crate) fn internal() -> Self {
        refusal(500, "Internal Server Error")
    }

    pub(crate) fn subject_not_found(subject: impl fmt::Display) -> Self {
        refusal(40401, format!("Subject '{subject}' not found."))
    }

    pub(crate) fn version_not_found(version: impl fmt::Display) -> Self {
        refusal(40402, format!("Version {version} not found."))
    }

    pub(crate) fn schema_not_found() -> Self {
        refusal(40403, "Schema not found")
    }

    pub(crate) fn schema_id_not_found(id: impl fmt::Display) -> Self {
        refusal(40403, format!("Schema {id} not found"))
    }

    pub(crate) fn subject_soft_deleted(subject: impl fmt::Display) -> Self {
        refusal(
            40404,
            format!("Subject '{subject}' was soft deleted.Set permanent=true to delete permanently"),
        )
    }

    pub(crate) fn subject_not_soft_deleted(subject: impl fmt::Display) -> Self {
        refusal(
            40405,
            format!("Subject '{subject}' was not deleted first before being permanently deleted"),
        )
    }

    pub(crate) fn version_soft_deleted(subject: impl fmt::Display, version: u32) -> Self {
        refusal(
            40406,
            format!(
                "Subject '{subject}' Version {version} was soft deleted.Set permanent=true to delete permanently"
            ),
        )
    }

    pub(crate) fn version_not_soft_deleted(subject: impl fmt::Display, version: u32) -> Self {
        refusal(
            40407,
            format!(
                "Subject '{subject}' Version {version} was not deleted first before being permanently deleted"
            ),
        )
    }

    pub(crate) fn no_level(subject: impl fmt::Display) -> Self {
        refusal(
            40408,
            format!("Subject '{subject}' does not have subject-level compatibility configured"),
        )
    }

    pub(crate) fn no_mode(subject: impl fmt::Display) -> Self {
        refusal(
            40409,
            format!("Subject '{subject}' does not have subject-level mode configured"),
        )
    }

    pub(crate) fn incompatible(subject: impl fmt::Display, messages: &[String]) -> Self {
        refusal(
            409,
            format!(
                "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: \
                 [{}]",
                messages.join(", ")
            ),
        )
    }

    pub(crate) fn invalid_schema(message: impl Into<String>) -> Self {
        refusal(42201, message)
    }

    pub(crate) fn invalid_version(version: &str) -> Self {
        refusal(
            42202,
            format!(
                "The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] \
                 and the string \"latest\""
            ),
        )
    }

    pub(crate) fn invalid_level() -> Self {
        refusal(
            42203,
            "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, \
             forward_transitive, and full_transitive",
        )
    }

    pub(crate) fn invalid_mode() -> Self {
        refusal(
            42204,
            "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.",
        )
    }

    pub(crate) fn not_permitted(message: impl Into<String>) -> Self {
        refusal(42205, message)
    }

    pub(crate) fn referenced(subject: impl fmt::Display, version: u32) -> Self {
        refusal(
            42206,
            format!(
                "One or more references exist to the schema \
                 {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}."
            ),
        )
    }

    pub(crate) fn invalid_subject(subject: impl fmt::Display) -> Self {
        refusal(
            42208,
            format!("The specified subject '{subject}' is not a valid."),
        )
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        refusal(42209, message)
    }

    pub(crate) fn store(message: impl Into<String>) -> Self {
        refusal(50001, message)
    }

    pub(crate) fn timed_out(message: impl Into<String>) -> Self {
        refusal(50002, message)
    }

    pub(crate) fn not_the_writer(message: impl Into<String>) -> Self {
        refusal(50004, message)
    }
}
