//! The outline of every request: enough to walk over its bytes without decoding them.
//!
//! The decoder sets memory aside for as many elements as a list claims to have, so four bytes of a hostile frame could
//! ask for hundreds of gigabytes. Before a body is decoded it is walked over here: every list must really have the
//! elements it claims, and no request may have more of them than any honest one.

use kafka_protocol::messages::ApiKey;

/// More list elements than this are in no honest request.
const MAX_ELEMENTS: usize = 100_000;

/// What a field looks like on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string, which may be null.
    Text,
    /// Bytes, which may be null.
    Bytes,
    /// A list of values of so many bytes each.
    FixedList(usize),
    /// A list of strings.
    TextList,
    /// A list of structures.
    List(&'static [Field]),
}

/// A field and the versions that have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) since: i16,
    pub(super) until: i16,
    pub(super) kind: Kind,
}

const fn always(kind: Kind) -> Field {
    between(0, i16::MAX, kind)
}

const fn since(version: i16, kind: Kind) -> Field {
    between(version, i16::MAX, kind)
}

const fn between(since: i16, until: i16, kind: Kind) -> Field {
    Field { since, until, kind }
}

const BOOLEAN: Kind = Kind::Fixed(1);
const INT8: Kind = Kind::Fixed(1);
const INT16: Kind = Kind::Fixed(2);
const INT32: Kind = Kind::Fixed(4);
const INT64: Kind = Kind::Fixed(8);
const UUID: Kind = Kind::Fixed(16);
const TEXT: Kind = Kind::Text;
const BYTES: Kind = Kind::Bytes;
const INT32_LIST: Kind = Kind::FixedList(4);

/// The fields of every request's body, in order; optional tagged fields are skipped by their own lengths.
const SHAPES: &[(ApiKey, &[Field])] = &[
    (
        ApiKey::Produce,
        &[
            always(TEXT),
            always(INT16),
            always(INT32),
            always(Kind::List(&[
                between(0, 12, TEXT),
                since(13, UUID),
                always(Kind::List(&[always(INT32), always(BYTES)])),
            ])),
        ],
    ),
    (
        ApiKey::Fetch,
        &[
            between(0, 14, INT32),
            always(INT32),
            always(INT32),
            always(INT32),
            always(INT8),
            since(7, INT32),
            since(7, INT32),
            always(Kind::List(&[
                between(0, 12, TEXT),
                since(13, UUID),
                always(Kind::List(&[
                    always(INT32),
                    since(9, INT32),
                    always(INT64),
                    since(12, INT32),
                    since(5, INT64),
                    always(INT32),
                ])),
            ])),
            since(
                7,
                Kind::List(&[between(0, 12, TEXT), since(13, UUID), always(INT32_LIST)]),
            ),
            since(11, TEXT),
        ],
    ),
    (
        ApiKey::ListOffsets,
        &[
            always(INT32),
            since(2, INT8),
            always(Kind::List(&[
                always(TEXT),
                always(Kind::List(&[always(INT32), since(4, INT32), always(INT64)])),
            ])),
            since(10, INT32),
        ],
    ),
    (
        ApiKey::Metadata,
        &[
            always(Kind::List(&[since(10, UUID), always(TEXT)])),
            since(4, BOOLEAN),
            between(8, 10, BOOLEAN),
            since(8, BOOLEAN),
        ],
    ),
    (
        ApiKey::OffsetCommit,
        &[
            always(TEXT),
            always(INT32),
            always(TEXT),
            since(7, TEXT),
            between(2, 4, INT64),
            always(Kind::List(&[
                always(TEXT),
                always(Kind::List(&[
                    always(INT32),
                    always(INT64),
                    since(6, INT32),
                    always(TEXT),
                ])),
            ])),
        ],
    ),
    (
        ApiKey::OffsetFetch,
        &[
            between(0, 7, TEXT),
            between(0, 7, Kind::List(&[always(TEXT), always(INT32_LIST)])),
            since(
                8,
                Kind::List(&[
                    always(TEXT),
                    since(9, TEXT),
                    since(9, INT32),
                    always(Kind::List(&[always(TEXT), always(INT32_LIST)])),
                ]),
            ),
            since(7, BOOLEAN),
        ],
    ),
    (
        ApiKey::FindCoordinator,
        &[between(0, 3, TEXT), since(1, INT8), since(4, Kind::TextList)],
    ),
    (
        ApiKey::JoinGroup,
        &[
            always(TEXT),
            always(INT32),
            since(1, INT32),
            always(TEXT),
            since(5, TEXT),
            always(TEXT),
            always(Kind::List(&[always(TEXT), always(BYTES)])),
            since(8, TEXT),
        ],
    ),
    (
        ApiKey::Heartbeat,
        &[always(TEXT), always(INT32), always(TEXT), since(3, TEXT)],
    ),
    (
        ApiKey::LeaveGroup,
        &[
            always(TEXT),
            between(0, 2, TEXT),
            since(3, Kind::List(&[always(TEXT), always(TEXT), since(5, TEXT)])),
        ],
    ),
    (
        ApiKey::SyncGroup,
        &[
            always(TEXT),
            always(INT32),
            always(TEXT),
            since(3, TEXT),
            since(5, TEXT),
            since(5, TEXT),
            always(Kind::List(&[always(TEXT), always(BYTES)])),
        ],
    ),
    (
        ApiKey::DescribeGroups,
        &[always(Kind::TextList), since(3, BOOLEAN)],
    ),
    (
        ApiKey::ListGroups,
        &[since(4, Kind::TextList), since(5, Kind::TextList)],
    ),
    (ApiKey::ApiVersions, &[since(3, TEXT), since(3, TEXT)]),
    (
        ApiKey::CreateTopics,
        &[
            always(Kind::List(&[
                always(TEXT),
                always(INT32),
                always(INT16),
                always(Kind::List(&[always(INT32), always(INT32_LIST)])),
                always(Kind::List(&[always(TEXT), always(TEXT)])),
            ])),
            always(INT32),
            always(BOOLEAN),
        ],
    ),
    (
        ApiKey::DeleteTopics,
        &[
            since(6, Kind::List(&[always(TEXT), always(UUID)])),
            between(0, 5, Kind::TextList),
            always(INT32),
        ],
    ),
    (
        ApiKey::DeleteRecords,
        &[
            always(Kind::List(&[
                always(TEXT),
                always(Kind::List(&[always(INT32), always(INT64)])),
            ])),
            always(INT32),
        ],
    ),
    (
        ApiKey::InitProducerId,
        &[always(TEXT), always(INT32), since(3, INT64), since(3, INT16)],
    ),
    (
        ApiKey::OffsetForLeaderEpoch,
        &[
            since(3, INT32),
            always(Kind::List(&[
                always(TEXT),
                always(Kind::List(&[always(INT32), always(INT32), always(INT32)])),
            ])),
        ],
    ),
    (
        ApiKey::DescribeConfigs,
        &[
            always(Kind::List(&[always(INT8), always(TEXT), always(Kind::TextList)])),
            always(BOOLEAN),
            since(3, BOOLEAN),
        ],
    ),
    (
        ApiKey::AlterConfigs,
        &[
            always(Kind::List(&[
                always(INT8),
                always(TEXT),
                always(Kind::List(&[always(TEXT), always(TEXT)])),
            ])),
            always(BOOLEAN),
        ],
    ),
    (
        ApiKey::IncrementalAlterConfigs,
        &[
            always(Kind::List(&[
                always(INT8),
                always(TEXT),
                always(Kind::List(&[always(TEXT), always(INT8), always(TEXT)])),
            ])),
            always(BOOLEAN),
        ],
    ),
    (
        ApiKey::CreatePartitions,
        &[
            always(Kind::List(&[
                always(TEXT),
                always(INT32),
                always(Kind::List(&[always(INT32_LIST)])),
            ])),
            always(INT32),
            always(BOOLEAN),
        ],
    ),
    (ApiKey::DeleteGroups, &[always(Kind::TextList)]),
    (
        ApiKey::OffsetDelete,
        &[
            always(TEXT),
            always(Kind::List(&[always(TEXT), always(Kind::List(&[always(INT32)]))])),
        ],
    ),
    (
        ApiKey::DescribeCluster,
        &[always(BOOLEAN), since(1, INT8), since(2, BOOLEAN)],
    ),
    (
        ApiKey::DescribeProducers,
        &[always(Kind::List(&[always(TEXT), always(INT32_LIST)]))],
    ),
];

/// The fields of a request's body.
pub(super) fn fields(key: ApiKey) -> Option<&'static [Field]> {
    SHAPES
        .iter()
        .find(|(known, _)| *known == key)
        .map(|(_, fields)| *fields)
}

/// Why a body cannot be what its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    /// It ends in the middle of a field.
    #[error("the body ends too early")]
    Short,
    /// It has more list elements than any honest request.
    #[error("the body has too many elements")]
    TooManyElements,
    /// Nobody has written down what such a request looks like.
    #[error("the request has no known shape")]
    Unknown,
}

/// Walks over a request's body; on success decoding it takes no more memory than a small multiple of its size.
pub(crate) fn check(key: ApiKey, version: i16, body: &[u8]) -> Result<(), ShapeError> {
    let fields = fields(key).ok_or(ShapeError::Unknown)?;
    let mut walk = Walk {
        rest: body,
        version,
        // Requests with the newer header have compact lengths and tagged fields.
        flexible: key.request_header_version(version) >= 2,
        elements: 0,
    };
    walk.structure(fields)
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &[Field]) -> Result<(), ShapeError> {
        for field in fields {
            if (field.since..=field.until).contains(&self.version) {
                self.field(field.kind)?;
            }
        }
        if self.flexible {
            for _ in 0..self.varint()? {
                let _tag = self.varint()?;
                let size = self.varint()?;
                self.skip(size as usize)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, kind: Kind) -> Result<(), ShapeError> {
        match kind {
            Kind::Fixed(size) => self.skip(size),
            Kind::Text => {
                let size = if self.flexible {
                    self.compact_len()?
                } else {
                    let [high, low] = self.take()?;
                    usize::try_from(i16::from_be_bytes([high, low])).unwrap_or(0)
                };
                self.skip(size)
            }
            Kind::Bytes => {
                let size = self.len()?;
                self.skip(size)
            }
            Kind::FixedList(size) => {
                let count = self.count()?;
                // The count is small, so this cannot overflow.
                self.skip(count * size)
            }
            Kind::TextList => {
                for _ in 0..self.count()? {
                    self.field(Kind::Text)?;
                }
                Ok(())
            }
            Kind::List(fields) => {
                for _ in 0..self.count()? {
                    self.structure(fields)?;
                }
                Ok(())
            }
        }
    }

    /// The number of elements of a list; null has none.
    fn count(&mut self) -> Result<usize, ShapeError> {
        let count = self.len()?;
        self.elements = self.elements.saturating_add(count);
        if self.elements > MAX_ELEMENTS {
            return Err(ShapeError::TooManyElements);
        }
        Ok(count)
    }

    fn len(&mut self) -> Result<usize, ShapeError> {
        if self.flexible {
            self.compact_len()
        } else {
            let bytes: [u8; 4] = self.take()?;
            Ok(usize::try_from(i32::from_be_bytes(bytes)).unwrap_or(0))
        }
    }

    fn compact_len(&mut self) -> Result<usize, ShapeError> {
        Ok(self.varint()?.saturating_sub(1) as usize)
    }

    fn varint(&mut self) -> Result<u32, ShapeError> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take()?;
            value |= u32::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(value)
    }

    fn take<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], ShapeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(ShapeError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn skip(&mut self, size: usize) -> Result<(), ShapeError> {
        self.rest = self.rest.get(size..).ok_or(ShapeError::Short)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_must_have_the_elements_it_claims() {
        // Metadata version 0 with 2^31 - 1 topics.
        let claimed = i32::MAX.to_be_bytes();
        assert_eq!(
            check(ApiKey::Metadata, 0, &claimed),
            Err(ShapeError::TooManyElements)
        );
        let few = 1000i32.to_be_bytes();
        assert_eq!(check(ApiKey::Metadata, 0, &few), Err(ShapeError::Short));
        // Null and the empty list.
        assert_eq!(check(ApiKey::Metadata, 1, &(-1i32).to_be_bytes()), Ok(()));
        assert_eq!(check(ApiKey::Metadata, 9, &[0, 0, 0, 0, 0]), Ok(()));
    }
}
