//! Thrift's binary protocol: the part of it that osquery's API uses.
//!
//! A [`Decoder`] pulls values from any reader and charges every byte to a budget, so that neither a
//! large number in a length field nor deep nesting can cost more than the peer has really sent.
//! An [`Encoder`] appends to a buffer. Neither knows the API's methods.

use std::io::{self, Read};

use crate::{ByteString, ProtocolError};

/// The most bytes one message may have. A batch line of 20 MB is real; a longer one than this is not.
pub(crate) const MESSAGE_LIMIT: usize = 256 * 1024 * 1024;

/// How deep unknown values may nest before they are taken for an attack.
const NESTING_LIMIT: usize = 16;

/// Strict messages start with this, followed by a zero byte and the message kind.
const VERSION_1: u32 = 0x8001_0000;

/// The longest name of a method that is read.
const METHOD_NAME_LIMIT: usize = 256;

/// Strings up to this size are read in one go; longer ones grow as their bytes arrive.
const EAGER_STRING: usize = 64 * 1024;

/// The type tag in front of a field, or of a container's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Stop = 0,
    Bool = 2,
    Byte = 3,
    Double = 4,
    I16 = 6,
    I32 = 8,
    I64 = 10,
    String = 11,
    Struct = 12,
    Map = 13,
    Set = 14,
    List = 15,
}

impl Kind {
    fn from_tag(tag: u8) -> Result<Self, ProtocolError> {
        Ok(match tag {
            0 => Self::Stop,
            2 => Self::Bool,
            3 => Self::Byte,
            4 => Self::Double,
            6 => Self::I16,
            8 => Self::I32,
            10 => Self::I64,
            11 => Self::String,
            12 => Self::Struct,
            13 => Self::Map,
            14 => Self::Set,
            15 => Self::List,
            _ => {
                return Err(ProtocolError::Malformed {
                    reason: "an unknown type tag",
                });
            }
        })
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageKind {
    Call,
    Reply,
    Exception,
    OneWay,
}

/// The start of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: MessageKind,
    pub(crate) method: ByteString,
    pub(crate) sequence: i32,
}

/// Reads values of one message.
pub(crate) struct Decoder<R> {
    source: R,
    budget: usize,
}

impl<R: Read> Decoder<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            budget: MESSAGE_LIMIT,
        }
    }

    /// How many bytes of the message were read.
    pub(crate) fn consumed(&self) -> usize {
        MESSAGE_LIMIT - self.budget
    }

    pub(crate) fn header(&mut self) -> Result<Header, ProtocolError> {
        let word = u32::from_be_bytes(self.array()?);
        if word & 0xffff_0000 != VERSION_1 {
            return Err(ProtocolError::Malformed {
                reason: "not a strict binary Thrift message",
            });
        }
        let kind = match word & 0xff {
            1 => MessageKind::Call,
            2 => MessageKind::Reply,
            3 => MessageKind::Exception,
            4 => MessageKind::OneWay,
            _ => {
                return Err(ProtocolError::Malformed {
                    reason: "an unknown message kind",
                });
            }
        };
        let method = self.string_up_to(METHOD_NAME_LIMIT)?;
        Ok(Header {
            kind,
            method,
            sequence: self.i32()?,
        })
    }

    /// The next field's type and number; `None` at the end of the struct.
    pub(crate) fn field(&mut self) -> Result<Option<(Kind, i16)>, ProtocolError> {
        match Kind::from_tag(self.byte()?)? {
            Kind::Stop => Ok(None),
            kind => Ok(Some((kind, i16::from_be_bytes(self.array()?)))),
        }
    }

    pub(crate) fn i32(&mut self) -> Result<i32, ProtocolError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, ProtocolError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn string(&mut self) -> Result<ByteString, ProtocolError> {
        self.string_up_to(MESSAGE_LIMIT)
    }

    /// A list's length, once its elements are known to be of type `element`.
    pub(crate) fn list_of(&mut self, element: Kind) -> Result<usize, ProtocolError> {
        let found = Kind::from_tag(self.byte()?)?;
        let length = self.length()?;
        if length > 0 && found != element {
            return Err(ProtocolError::Malformed {
                reason: "a list of another type",
            });
        }
        Ok(length)
    }

    /// A map's length, once its keys and values are known to be of the given types.
    pub(crate) fn map_of(&mut self, key: Kind, value: Kind) -> Result<usize, ProtocolError> {
        let found = (Kind::from_tag(self.byte()?)?, Kind::from_tag(self.byte()?)?);
        let length = self.length()?;
        if length > 0 && found != (key, value) {
            return Err(ProtocolError::Malformed {
                reason: "a map of other types",
            });
        }
        Ok(length)
    }

    /// Reads a value that nobody here has a use for.
    pub(crate) fn skip(&mut self, kind: Kind) -> Result<(), ProtocolError> {
        self.skip_nested(kind, NESTING_LIMIT)
    }

    fn skip_nested(&mut self, kind: Kind, depth: usize) -> Result<(), ProtocolError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(ProtocolError::Malformed {
                reason: "values nested too deeply",
            });
        };
        match kind {
            Kind::Stop => {
                return Err(ProtocolError::Malformed {
                    reason: "an element without a type",
                });
            }
            Kind::Bool | Kind::Byte => drop(self.array::<1>()?),
            Kind::I16 => drop(self.array::<2>()?),
            Kind::I32 => drop(self.array::<4>()?),
            Kind::I64 | Kind::Double => drop(self.array::<8>()?),
            Kind::String => drop(self.string()?),
            Kind::Struct => {
                while let Some((kind, _)) = self.field()? {
                    self.skip_nested(kind, depth)?;
                }
            }
            Kind::Map => {
                let (key, value) = (self.byte()?, self.byte()?);
                for _ in 0..self.length()? {
                    self.skip_nested(Kind::from_tag(key)?, depth)?;
                    self.skip_nested(Kind::from_tag(value)?, depth)?;
                }
            }
            Kind::Set | Kind::List => {
                let element = self.byte()?;
                for _ in 0..self.length()? {
                    self.skip_nested(Kind::from_tag(element)?, depth)?;
                }
            }
        }
        Ok(())
    }

    fn length(&mut self) -> Result<usize, ProtocolError> {
        usize::try_from(self.i32()?).map_err(|_| ProtocolError::Malformed {
            reason: "a negative length",
        })
    }

    fn string_up_to(&mut self, limit: usize) -> Result<ByteString, ProtocolError> {
        let length = self.length()?;
        if length > limit {
            return Err(ProtocolError::TooLarge { limit });
        }
        self.charge(length)?;
        let mut bytes = Vec::with_capacity(length.min(EAGER_STRING));
        let read = (&mut self.source).take(length as u64).read_to_end(&mut bytes)?;
        if read < length {
            return Err(ProtocolError::Truncated);
        }
        Ok(ByteString::from(bytes))
    }

    fn byte(&mut self) -> Result<u8, ProtocolError> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        self.charge(N)?;
        let mut bytes = [0; N];
        match self.source.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ProtocolError::Truncated),
            Err(error) => Err(error.into()),
        }
    }

    fn charge(&mut self, bytes: usize) -> Result<(), ProtocolError> {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.ok_or(ProtocolError::TooLarge { limit: MESSAGE_LIMIT })?;
        Ok(())
    }
}

/// Appends values to a message.
#[derive(Default)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    pub(crate) fn message(kind: MessageKind, method: &[u8], sequence: i32) -> Self {
        let number: u32 = match kind {
            MessageKind::Call => 1,
            MessageKind::Reply => 2,
            MessageKind::Exception => 3,
            MessageKind::OneWay => 4,
        };
        let mut encoder = Self {
            bytes: Vec::with_capacity(256),
        };
        encoder
            .bytes
            .extend_from_slice(&(VERSION_1 | number).to_be_bytes());
        encoder.string(method);
        encoder.i32(sequence);
        encoder
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn field(&mut self, kind: Kind, number: i16) {
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }

    pub(crate) fn stop(&mut self) {
        self.bytes.push(Kind::Stop as u8);
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn string(&mut self, value: &[u8]) {
        self.length(value.len());
        self.bytes.extend_from_slice(value);
    }

    pub(crate) fn list_of(&mut self, element: Kind, length: usize) {
        self.bytes.push(element as u8);
        self.length(length);
    }

    pub(crate) fn map_of(&mut self, key: Kind, value: Kind, length: usize) {
        self.bytes.extend_from_slice(&[key as u8, value as u8]);
        self.length(length);
    }

    /// Thrift counts in `i32`. What does not fit there does not fit into [`MESSAGE_LIMIT`] either and
    /// is refused by the sender, so the saturated number never leaves the process.
    fn length(&mut self, length: usize) {
        self.i32(i32::try_from(length).unwrap_or(i32::MAX));
    }
}
