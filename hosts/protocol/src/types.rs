//! The API's data types, in Rust's words.

use std::collections::BTreeMap;

use crate::ByteString;

/// The number osqueryd gives an extension when it registers; part of the extension's socket name.
pub type RouteUuid = i64;

/// What a plugin is asked: names and values.
pub type PluginRequest = BTreeMap<ByteString, ByteString>;

/// What a plugin answers: rows of names and values.
pub type PluginResponse = Vec<BTreeMap<ByteString, ByteString>>;

/// The plugins of one registry (`logger`, `config`, `table`) with their route information.
pub type RouteTable = BTreeMap<ByteString, PluginResponse>;

/// All plugins of an extension, by registry.
pub type Registry = BTreeMap<ByteString, RouteTable>;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    /// All is well.
    Success,
    /// The call failed.
    Failed,
    /// The call failed for good.
    Fatal,
    /// A number of the plugin's own. A logger answers `features` this way: as a bit mask.
    Other(i32),
}

impl From<i32> for StatusCode {
    fn from(code: i32) -> Self {
        match code {
            0 => Self::Success,
            1 => Self::Failed,
            2 => Self::Fatal,
            other => Self::Other(other),
        }
    }
}

impl From<StatusCode> for i32 {
    fn from(code: StatusCode) -> Self {
        match code {
            StatusCode::Success => 0,
            StatusCode::Failed => 1,
            StatusCode::Fatal => 2,
            StatusCode::Other(other) => other,
        }
    }
}

/// The outcome of a call (`ExtensionStatus`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Success or the kind of failure.
    pub code: StatusCode,
    /// The reason, or `OK`.
    pub message: ByteString,
    /// The extension that answers; after a registration, the number it was given.
    pub uuid: RouteUuid,
}

impl Status {
    /// Success.
    pub fn success() -> Self {
        Self {
            code: StatusCode::Success,
            message: "OK".into(),
            uuid: 0,
        }
    }

    /// A failure and its reason.
    pub fn failed(message: impl Into<ByteString>) -> Self {
        Self {
            code: StatusCode::Failed,
            message: message.into(),
            uuid: 0,
        }
    }

    /// The same status, from the extension `uuid`.
    pub fn with_uuid(self, uuid: RouteUuid) -> Self {
        Self { uuid, ..self }
    }

    /// Whether the call succeeded.
    pub fn is_success(&self) -> bool {
        self.code == StatusCode::Success
    }
}

/// The answer to a plugin call or a query (`ExtensionResponse`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The outcome.
    pub status: Status,
    /// The rows.
    pub rows: PluginResponse,
}

impl Response {
    /// Success with rows.
    pub fn rows(rows: PluginResponse) -> Self {
        Self {
            status: Status::success(),
            rows,
        }
    }
}

impl From<Status> for Response {
    fn from(status: Status) -> Self {
        Self {
            status,
            rows: Vec::new(),
        }
    }
}

/// Who an extension is (`InternalExtensionInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionInfo {
    /// The extension's name, unique within an osqueryd.
    pub name: ByteString,
    /// The extension's own version.
    pub version: ByteString,
    /// The SDK version it claims to be built with; osqueryd refuses versions before 1.7.7.
    pub sdk_version: ByteString,
    /// The oldest SDK version it can work with; osqueryd only reports it.
    pub min_sdk_version: ByteString,
}

/// One of osqueryd's flags (`InternalOptionInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionInfo {
    /// The value in force.
    pub value: ByteString,
    /// The default.
    pub default_value: ByteString,
    /// The type's name, such as `bool` or `string`.
    pub kind: ByteString,
}
