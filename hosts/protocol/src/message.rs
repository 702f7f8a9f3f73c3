//! The API's calls and replies as values, and their form on the wire.
//!
//! Long because it is one protocol's messages, each with its writing and its reading.

use std::collections::BTreeMap;
use std::io::Read;

use crate::types::{
    ExtensionInfo, OptionInfo, PluginRequest, PluginResponse, Registry, Response, RouteTable, RouteUuid,
    Status,
};
use crate::wire::{Decoder, Encoder, Header, Kind, MessageKind};
use crate::{ByteString, ProtocolError};

/// Thrift's `TApplicationException.UNKNOWN_METHOD`.
pub(crate) const UNKNOWN_METHOD: i32 = 1;
/// Thrift's `TApplicationException.INTERNAL_ERROR`.
pub(crate) const INTERNAL_ERROR: i32 = 6;

/// A call of either service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Ping,
    Plugin {
        registry: ByteString,
        item: ByteString,
        request: PluginRequest,
    },
    Shutdown,
    Extensions,
    Options,
    Register {
        info: ExtensionInfo,
        registry: Registry,
    },
    Deregister {
        uuid: RouteUuid,
    },
    Query {
        sql: ByteString,
    },
    QueryColumns {
        sql: ByteString,
    },
    Unknown,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(Status),
    Response(Response),
    Extensions(BTreeMap<RouteUuid, ExtensionInfo>),
    Options(BTreeMap<ByteString, OptionInfo>),
    Nothing,
    Exception { kind: i32, message: ByteString },
}

impl Call {
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Plugin { .. } => "call",
            Self::Shutdown => "shutdown",
            Self::Extensions => "extensions",
            Self::Options => "options",
            Self::Register { .. } => "registerExtension",
            Self::Deregister { .. } => "deregisterExtension",
            Self::Query { .. } => "query",
            Self::QueryColumns { .. } => "getQueryColumns",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn encode(&self, sequence: i32) -> Vec<u8> {
        let mut to = Encoder::message(MessageKind::Call, self.method().as_bytes(), sequence);
        match self {
            Self::Ping | Self::Shutdown | Self::Extensions | Self::Options | Self::Unknown => {}
            Self::Plugin {
                registry,
                item,
                request,
            } => {
                string_field(&mut to, 1, registry);
                string_field(&mut to, 2, item);
                to.field(Kind::Map, 3);
                write_row(&mut to, request);
            }
            Self::Register { info, registry } => {
                to.field(Kind::Struct, 1);
                write_info(&mut to, info);
                to.field(Kind::Map, 2);
                write_registry(&mut to, registry);
            }
            Self::Deregister { uuid } => {
                to.field(Kind::I64, 1);
                to.i64(*uuid);
            }
            Self::Query { sql } | Self::QueryColumns { sql } => string_field(&mut to, 1, sql),
        }
        to.stop();
        to.into_bytes()
    }

    /// Reads one call. A method that is not part of the API is read to its end and becomes
    /// [`Call::Unknown`], so that the connection stays usable.
    pub(crate) fn decode<R: Read>(from: &mut Decoder<R>) -> Result<(Header, Self), ProtocolError> {
        let header = from.header()?;
        if !matches!(header.kind, MessageKind::Call | MessageKind::OneWay) {
            return Err(ProtocolError::Malformed {
                reason: "a reply in place of a call",
            });
        }
        let call = match header.method.as_bytes() {
            b"ping" => finish(from, Self::Ping)?,
            b"shutdown" => finish(from, Self::Shutdown)?,
            b"extensions" => finish(from, Self::Extensions)?,
            b"options" => finish(from, Self::Options)?,
            b"call" => read_plugin_call(from)?,
            b"registerExtension" => read_registration(from)?,
            b"deregisterExtension" => {
                let mut uuid = 0;
                read_fields(from, |from, kind, number| match (number, kind) {
                    (1, Kind::I64) => from.i64().map(|value| uuid = value),
                    _ => from.skip(kind),
                })?;
                Self::Deregister { uuid }
            }
            b"query" => Self::Query { sql: read_sql(from)? },
            b"getQueryColumns" => Self::QueryColumns { sql: read_sql(from)? },
            _ => finish(from, Self::Unknown)?,
        };
        Ok((header, call))
    }
}

impl Answer {
    pub(crate) fn encode(&self, header: &Header) -> Vec<u8> {
        let kind = match self {
            Self::Exception { .. } => MessageKind::Exception,
            _ => MessageKind::Reply,
        };
        let mut to = Encoder::message(kind, &header.method, header.sequence);
        match self {
            Self::Nothing => {}
            Self::Status(status) => {
                to.field(Kind::Struct, 0);
                write_status(&mut to, status);
            }
            Self::Response(response) => {
                to.field(Kind::Struct, 0);
                to.field(Kind::Struct, 1);
                write_status(&mut to, &response.status);
                to.field(Kind::List, 2);
                write_rows(&mut to, &response.rows);
                to.stop();
            }
            Self::Extensions(extensions) => {
                to.field(Kind::Map, 0);
                to.map_of(Kind::I64, Kind::Struct, extensions.len());
                for (uuid, info) in extensions {
                    to.i64(*uuid);
                    write_info(&mut to, info);
                }
            }
            Self::Options(options) => {
                to.field(Kind::Map, 0);
                to.map_of(Kind::String, Kind::Struct, options.len());
                for (name, option) in options {
                    to.string(name);
                    string_field(&mut to, 1, &option.value);
                    string_field(&mut to, 2, &option.default_value);
                    string_field(&mut to, 3, &option.kind);
                    to.stop();
                }
            }
            Self::Exception { kind, message } => {
                string_field(&mut to, 1, message);
                to.field(Kind::I32, 2);
                to.i32(*kind);
            }
        }
        to.stop();
        to.into_bytes()
    }

    /// Reads the answer to `call`.
    pub(crate) fn decode<R: Read>(call: &Call, from: &mut Decoder<R>) -> Result<Self, ProtocolError> {
        let header = from.header()?;
        match header.kind {
            MessageKind::Reply if header.method == call.method() => {}
            MessageKind::Exception => return read_exception(from),
            _ => {
                return Err(ProtocolError::Malformed {
                    reason: "the reply to another call",
                });
            }
        }
        let mut answer = matches!(call, Call::Shutdown).then_some(Self::Nothing);
        read_fields(from, |from, kind, number| {
            answer = Some(match (number, kind, call) {
                (0, Kind::Struct, Call::Ping | Call::Register { .. } | Call::Deregister { .. }) => {
                    Self::Status(read_status(from)?)
                }
                (0, Kind::Struct, Call::Plugin { .. } | Call::Query { .. } | Call::QueryColumns { .. }) => {
                    Self::Response(read_response(from)?)
                }
                (0, Kind::Map, Call::Extensions) => Self::Extensions(read_extensions(from)?),
                (0, Kind::Map, Call::Options) => Self::Options(read_options(from)?),
                _ => return from.skip(kind),
            });
            Ok(())
        })?;
        answer.ok_or(ProtocolError::Malformed {
            reason: "a reply without a result",
        })
    }
}

fn read_fields<R: Read>(
    from: &mut Decoder<R>,
    mut read: impl FnMut(&mut Decoder<R>, Kind, i16) -> Result<(), ProtocolError>,
) -> Result<(), ProtocolError> {
    while let Some((kind, number)) = from.field()? {
        read(from, kind, number)?;
    }
    Ok(())
}

fn finish<R: Read>(from: &mut Decoder<R>, call: Call) -> Result<Call, ProtocolError> {
    read_fields(from, |from, kind, _| from.skip(kind))?;
    Ok(call)
}

fn read_plugin_call<R: Read>(from: &mut Decoder<R>) -> Result<Call, ProtocolError> {
    let (mut registry, mut item, mut request) = (ByteString::default(), ByteString::default(), None);
    read_fields(from, |from, kind, number| {
        match (number, kind) {
            (1, Kind::String) => registry = from.string()?,
            (2, Kind::String) => item = from.string()?,
            (3, Kind::Map) => request = Some(read_row(from)?),
            _ => from.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(Call::Plugin {
        registry,
        item,
        request: request.unwrap_or_default(),
    })
}

fn read_registration<R: Read>(from: &mut Decoder<R>) -> Result<Call, ProtocolError> {
    let (mut info, mut registry) = (ExtensionInfo::default(), Registry::default());
    read_fields(from, |from, kind, number| {
        match (number, kind) {
            (1, Kind::Struct) => info = read_info(from)?,
            (2, Kind::Map) => registry = read_registry(from)?,
            _ => from.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(Call::Register { info, registry })
}

fn read_sql<R: Read>(from: &mut Decoder<R>) -> Result<ByteString, ProtocolError> {
    let mut sql = ByteString::default();
    read_fields(from, |from, kind, number| match (number, kind) {
        (1, Kind::String) => from.string().map(|text| sql = text),
        _ => from.skip(kind),
    })?;
    Ok(sql)
}

fn read_exception<R: Read>(from: &mut Decoder<R>) -> Result<Answer, ProtocolError> {
    let (mut message, mut code) = (ByteString::default(), 0);
    read_fields(from, |from, kind, number| {
        match (number, kind) {
            (1, Kind::String) => message = from.string()?,
            (2, Kind::I32) => code = from.i32()?,
            _ => from.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(Answer::Exception { kind: code, message })
}

fn read_status<R: Read>(from: &mut Decoder<R>) -> Result<Status, ProtocolError> {
    let mut status = Status {
        code: 0.into(),
        message: ByteString::default(),
        uuid: 0,
    };
    read_fields(from, |from, kind, number| {
        match (number, kind) {
            (1, Kind::I32) => status.code = from.i32()?.into(),
            (2, Kind::String) => status.message = from.string()?,
            (3, Kind::I64) => status.uuid = from.i64()?,
            _ => from.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(status)
}

fn read_response<R: Read>(from: &mut Decoder<R>) -> Result<Response, ProtocolError> {
    let (mut status, mut rows) = (None, PluginResponse::new());
    read_fields(from, |from, kind, number| {
        match (number, kind) {
            (1, Kind::Struct) => status = Some(read_status(from)?),
            (2, Kind::List) => rows = read_rows(from)?,
            _ => from.skip(kind)?,
        }
        Ok(())
    })?;
    let status = status.ok_or(ProtocolError::Malformed {
        reason: "a response without a status",
    })?;
    Ok(Response { status, rows })
}

fn read_extensions<R: Read>(
    from: &mut Decoder<R>,
) -> Result<BTreeMap<RouteUuid, ExtensionInfo>, ProtocolError> {
    let mut extensions = BTreeMap::new();
    for _ in 0..from.map_of(Kind::I64, Kind::Struct)? {
        let uuid = from.i64()?;
        extensions.insert(uuid, read_info(from)?);
    }
    Ok(extensions)
}

fn read_options<R: Read>(from: &mut Decoder<R>) -> Result<BTreeMap<ByteString, OptionInfo>, ProtocolError> {
    let mut options = BTreeMap::new();
    for _ in 0..from.map_of(Kind::String, Kind::Struct)? {
        let name = from.string()?;
        let mut option = OptionInfo::default();
        read_fields(from, |from, kind, number| {
            match (number, kind) {
                (1, Kind::String) => option.value = from.string()?,
                (2, Kind::String) => option.default_value = from.string()?,
                (3, Kind::String) => option.kind = from.string()?,
                _ => from.skip(kind)?,
            }
            Ok(())
        })?;
        options.insert(name, option);
    }
    Ok(options)
}

fn read_info<R: Read>(from: &mut Decoder<R>) -> Result<ExtensionInfo, ProtocolError> {
    let mut info = ExtensionInfo::default();
    read_fields(from, |from, kind, number| {
        match (number, kind) {
            (1, Kind::String) => info.name = from.string()?,
            (2, Kind::String) => info.version = from.string()?,
            (3, Kind::String) => info.sdk_version = from.string()?,
            (4, Kind::String) => info.min_sdk_version = from.string()?,
            _ => from.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(info)
}

fn read_registry<R: Read>(from: &mut Decoder<R>) -> Result<Registry, ProtocolError> {
    let mut registry = Registry::new();
    for _ in 0..from.map_of(Kind::String, Kind::Map)? {
        let name = from.string()?;
        let mut table = RouteTable::new();
        for _ in 0..from.map_of(Kind::String, Kind::List)? {
            let plugin = from.string()?;
            table.insert(plugin, read_rows(from)?);
        }
        registry.insert(name, table);
    }
    Ok(registry)
}

fn read_rows<R: Read>(from: &mut Decoder<R>) -> Result<PluginResponse, ProtocolError> {
    let mut rows = PluginResponse::new();
    for _ in 0..from.list_of(Kind::Map)? {
        rows.push(read_row(from)?);
    }
    Ok(rows)
}

fn read_row<R: Read>(from: &mut Decoder<R>) -> Result<PluginRequest, ProtocolError> {
    let mut row = PluginRequest::new();
    for _ in 0..from.map_of(Kind::String, Kind::String)? {
        let name = from.string()?;
        row.insert(name, from.string()?);
    }
    Ok(row)
}

fn string_field(to: &mut Encoder, number: i16, value: &[u8]) {
    to.field(Kind::String, number);
    to.string(value);
}

fn write_status(to: &mut Encoder, status: &Status) {
    to.field(Kind::I32, 1);
    to.i32(status.code.into());
    string_field(to, 2, &status.message);
    to.field(Kind::I64, 3);
    to.i64(status.uuid);
    to.stop();
}

fn write_info(to: &mut Encoder, info: &ExtensionInfo) {
    string_field(to, 1, &info.name);
    string_field(to, 2, &info.version);
    string_field(to, 3, &info.sdk_version);
    string_field(to, 4, &info.min_sdk_version);
    to.stop();
}

fn write_registry(to: &mut Encoder, registry: &Registry) {
    to.map_of(Kind::String, Kind::Map, registry.len());
    for (name, table) in registry {
        to.string(name);
        to.map_of(Kind::String, Kind::List, table.len());
        for (plugin, rows) in table {
            to.string(plugin);
            write_rows(to, rows);
        }
    }
}

fn write_rows(to: &mut Encoder, rows: &PluginResponse) {
    to.list_of(Kind::Map, rows.len());
    for row in rows {
        write_row(to, row);
    }
}

fn write_row(to: &mut Encoder, row: &PluginRequest) {
    to.map_of(Kind::String, Kind::String, row.len());
    for (name, value) in row {
        to.string(name);
        to.string(value);
    }
}

#[cfg(test)]
mod tests;
