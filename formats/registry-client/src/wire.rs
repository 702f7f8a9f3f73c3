//! Confluent's wire format: a record begins with a byte 0 and the id of its schema, or carries the schema's GUID in a
//! header, in which case nothing stands before its data.

/// The header with the GUID of a key's schema.
pub const KEY_HEADER: &str = "__key_schema_id";
/// The header with the GUID of a value's schema.
pub const VALUE_HEADER: &str = "__value_schema_id";

/// What begins a record with an id.
const ID: u8 = 0;
/// What begins a record, or a header, with a GUID.
const GUID: u8 = 1;

/// What a record says of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// Its id in the registry.
    Id(u32),
    /// Its GUID: the same in every registry.
    Guid([u8; 16]),
}

/// Why bytes do not say which schema they were written with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They are too short.
    #[error("{0} bytes are too few for a schema's id and data")]
    TooShort(usize),
    /// They begin with something else.
    #[error("Unknown magic byte!")]
    UnknownMagicByte,
    /// A header is no GUID.
    #[error("the header `{0}` holds no GUID of a schema")]
    Header(&'static str),
}

/// Appends what stands before the data of a record with an id.
pub fn write_id(id: u32, out: &mut Vec<u8>) {
    out.push(ID);
    out.extend_from_slice(&id.to_be_bytes());
}

/// The value of a header with a GUID.
pub fn header_value(guid: [u8; 16]) -> [u8; 17] {
    let mut value = [GUID; 17];
    value[1..].copy_from_slice(&guid);
    value
}

/// The schema and the data of a record that carries both.
///
/// # Errors
/// When it begins with neither an id nor a GUID.
pub fn split(bytes: &[u8]) -> Result<(SchemaId, &[u8]), WireError> {
    let too_short = || WireError::TooShort(bytes.len());
    let (magic, rest) = bytes.split_first().ok_or_else(too_short)?;
    match *magic {
        ID => {
            let (id, data) = rest.split_first_chunk().ok_or_else(too_short)?;
            Ok((SchemaId::Id(u32::from_be_bytes(*id)), data))
        }
        GUID => {
            let (guid, data) = rest.split_first_chunk().ok_or_else(too_short)?;
            Ok((SchemaId::Guid(*guid), data))
        }
        _ => Err(WireError::UnknownMagicByte),
    }
}

/// The same, where the record may have a header that says it.
///
/// # Errors
/// When the header is there and holds no GUID, else as [`split`].
pub fn split_with_header<'a>(
    bytes: &'a [u8],
    header: Option<&[u8]>,
    name: &'static str,
) -> Result<(SchemaId, &'a [u8]), WireError> {
    let Some(header) = header else {
        return split(bytes);
    };
    match split(header) {
        Ok((guid @ SchemaId::Guid(_), [])) => Ok((guid, bytes)),
        _ => Err(WireError::Header(name)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_short_or_foreign_is_told() {
        assert_eq!(split(b""), Err(WireError::TooShort(0)));
        assert_eq!(split(&[0, 0, 0, 1]), Err(WireError::TooShort(4)));
        assert_eq!(split(&[1; 16]), Err(WireError::TooShort(16)));
        assert_eq!(
            split(b"{\"a\":1}").unwrap_err().to_string(),
            "Unknown magic byte!"
        );
        assert_eq!(split(&[0, 0, 0, 1, 2]), Ok((SchemaId::Id(258), &[][..])));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id: u32, guid: [u8; 16], data: Vec<u8>) {
            let mut bytes = Vec::new();
            write_id(id, &mut bytes);
            bytes.extend_from_slice(&data);
            prop_assert_eq!(split(&bytes), Ok((SchemaId::Id(id), data.as_slice())));
            let header = header_value(guid);
            let read = split_with_header(&data, Some(&header), VALUE_HEADER);
            prop_assert_eq!(read, Ok((SchemaId::Guid(guid), data.as_slice())));
        }

        #[test]
        fn a_header_is_a_guid_or_an_error(header: Vec<u8>) {
            let read = split_with_header(b"data", Some(&header), KEY_HEADER);
            prop_assert_eq!(read.is_ok(), header.len() == 17 && header[0] == 1);
        }
    }
}
