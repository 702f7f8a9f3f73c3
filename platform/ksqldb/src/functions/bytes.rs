//! Functions between bytes, their text encodings and numbers.

use super::arguments::{Kind, accepts, bytes, optional_text, text};
use super::{FunctionError, ScalarFunction};
use crate::serde::base64;
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "TO_BYTES",
        "The bytes that a text in the encoding (hex, utf8, ascii or base64) stands for.",
        |arguments| accepts(arguments, &[Kind::String; 2], &[]).then_some(SqlType::Bytes),
        |arguments| {
            let decoded = Encoding::named(text(arguments, 1)?)?.decode(text(arguments, 0)?)?;
            Ok(Value::Bytes(decoded.into()))
        },
    ),
    ScalarFunction::new(
        "FROM_BYTES",
        "The bytes as text in the encoding (hex, utf8, ascii or base64).",
        |arguments| accepts(arguments, &[Kind::Bytes, Kind::String], &[]).then_some(SqlType::String),
        |arguments| {
            Ok(Value::string(
                Encoding::named(text(arguments, 1)?)?.encode(bytes(arguments, 0)?),
            ))
        },
    ),
    ScalarFunction::new(
        "ENCODE",
        "A text in one encoding (hex, utf8, ascii or base64) as text in another one.",
        |arguments| accepts(arguments, &[Kind::String; 3], &[]).then_some(SqlType::String),
        |arguments| {
            let (from, to) = (
                Encoding::named(text(arguments, 1)?)?,
                Encoding::named(text(arguments, 2)?)?,
            );
            let encoded = to.encode(&from.decode(text(arguments, 0)?)?);
            // ksqlDB writes hexadecimal in lower case here, in upper case in FROM_BYTES.
            let is_hexadecimal = to == Encoding::Hexadecimal;
            Ok(Value::string(if is_hexadecimal {
                encoded.to_lowercase()
            } else {
                encoded
            }))
        },
    ),
    ScalarFunction::new(
        "INT_FROM_BYTES",
        "The INT that four bytes stand for, in BIG_ENDIAN (the default) or LITTLE_ENDIAN order.",
        |arguments| accepts(arguments, &[Kind::Bytes], &[Kind::String]).then_some(SqlType::Integer),
        |arguments| Ok(Value::Integer(i32::from_be_bytes(ordered(arguments)?))),
    ),
    ScalarFunction::new(
        "BIGINT_FROM_BYTES",
        "The BIGINT that eight bytes stand for, in BIG_ENDIAN (the default) or LITTLE_ENDIAN order.",
        |arguments| accepts(arguments, &[Kind::Bytes], &[Kind::String]).then_some(SqlType::Bigint),
        |arguments| Ok(Value::Bigint(i64::from_be_bytes(ordered(arguments)?))),
    ),
    ScalarFunction::new(
        "DOUBLE_FROM_BYTES",
        "The DOUBLE that eight bytes stand for, in BIG_ENDIAN (the default) or LITTLE_ENDIAN order.",
        |arguments| accepts(arguments, &[Kind::Bytes], &[Kind::String]).then_some(SqlType::Double),
        |arguments| Ok(Value::Double(f64::from_be_bytes(ordered(arguments)?))),
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Hexadecimal,
    Utf8,
    Ascii,
    Base64,
}

impl Encoding {
    fn named(name: &str) -> Result<Self, FunctionError> {
        match name.to_ascii_lowercase().as_str() {
            "hex" => Ok(Self::Hexadecimal),
            "utf8" => Ok(Self::Utf8),
            "ascii" => Ok(Self::Ascii),
            "base64" => Ok(Self::Base64),
            _ => Err(FunctionError::new(format!(
                "the encoding `{name}` is not one of hex, utf8, ascii and base64"
            ))),
        }
    }

    fn decode(self, text: &str) -> Result<Vec<u8>, FunctionError> {
        let invalid = |what: &str| FunctionError::new(format!("`{text}` is not {what}"));
        match self {
            Self::Hexadecimal => hexadecimal(text).ok_or_else(|| invalid("hexadecimal")),
            Self::Utf8 => Ok(text.as_bytes().to_vec()),
            // As Java does, what ASCII does not have becomes a question mark.
            Self::Ascii => Ok(text
                .chars()
                .map(|character| u8::try_from(character).unwrap_or(b'?'))
                .map(ascii)
                .collect()),
            Self::Base64 => base64::decode(text).ok_or_else(|| invalid("base64")),
        }
    }

    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hexadecimal => bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Ascii => bytes
                .iter()
                .map(|byte| {
                    if byte.is_ascii() {
                        char::from(*byte)
                    } else {
                        char::REPLACEMENT_CHARACTER
                    }
                })
                .collect(),
            Self::Base64 => base64::encode(bytes),
        }
    }
}

fn ascii(byte: u8) -> u8 {
    if byte.is_ascii() { byte } else { b'?' }
}

/// Digits with or without `0x` or `X'…'` around them.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let quoted = text
        .strip_prefix(['X', 'x'])
        .and_then(|text| text.strip_prefix('\'')?.strip_suffix('\''));
    let digits = quoted.or_else(|| text.strip_prefix("0x")).unwrap_or(text);
    if !digits.is_ascii() {
        return None;
    }
    // A missing first digit is 0.
    let padded = if digits.len() % 2 == 1 {
        format!("0{digits}")
    } else {
        digits.to_owned()
    };
    let pairs = padded.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let digit = |index: usize| char::from(pair[index]).to_digit(16);
            u8::try_from(digit(0)? << 4 | digit(1)?).ok()
        })
        .collect()
}

/// The first argument's bytes in big-endian order, exactly as many as the number has.
fn ordered<const LENGTH: usize>(arguments: &[Value]) -> Result<[u8; LENGTH], FunctionError> {
    let bytes = bytes(arguments, 0)?;
    let wrong_length = |_| FunctionError::new(format!("there are {} bytes, not {LENGTH}", bytes.len()));
    let mut array: [u8; LENGTH] = bytes.try_into().map_err(wrong_length)?;
    match optional_text(arguments, 1)? {
        None | Some("BIG_ENDIAN") => {}
        Some("LITTLE_ENDIAN") => array.reverse(),
        Some(other) => {
            return Err(FunctionError::new(format!(
                "the byte order `{other}` is neither BIG_ENDIAN nor LITTLE_ENDIAN"
            )));
        }
    }
    Ok(array)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{call, failing_call, i, s};
    use super::*;

    fn b(bytes: &[u8]) -> Value {
        Value::Bytes(bytes.into())
    }

    #[test]
    fn text_and_bytes() {
        assert_eq!(call("TO_BYTES", [s("0x1fF"), s("HEX")]), b(&[1, 0xff]));
        assert_eq!(call("TO_BYTES", [s("X'00ff'"), s("hex")]), b(&[0, 0xff]));
        assert_eq!(call("TO_BYTES", [s("ż"), s("utf8")]), b("ż".as_bytes()));
        assert_eq!(call("TO_BYTES", [s("ażÿ"), s("ascii")]), b(b"a??"));
        assert_eq!(call("TO_BYTES", [s("AQID/w=="), s("base64")]), b(&[1, 2, 3, 255]));
        assert_eq!(call("FROM_BYTES", [b(&[0, 0xab]), s("hex")]), s("00AB"));
        assert_eq!(call("FROM_BYTES", [b(&[0x61, 0xff]), s("utf8")]), s("a\u{fffd}"));
        assert_eq!(
            call("ENCODE", [s("4578616d706C65"), s("hex"), s("utf8")]),
            s("Example")
        );
        assert_eq!(
            call("ENCODE", [s("Example!"), s("ascii"), s("base64")]),
            s("RXhhbXBsZSE=")
        );
        assert_eq!(call("ENCODE", [s("MN"), s("utf8"), s("hex")]), s("4d4e"));
        assert_eq!(call("TO_BYTES", [Value::Null, s("hex")]), Value::Null);
        for (text, encoding) in [
            ("xy", "hex"),
            ("ż1", "hex"),
            ("A", "base64"),
            ("A===", "base64"),
            ("a", "rot13"),
        ] {
            assert!(
                failing_call("TO_BYTES", [s(text), s(encoding)]).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_of_bytes() {
        let big = call("TO_BYTES", [s("AAAH5Q=="), s("base64")]);
        assert_eq!(call("INT_FROM_BYTES", [big.clone()]), i(2021));
        assert_eq!(
            call("INT_FROM_BYTES", [b(&[0xe5, 7, 0, 0]), s("LITTLE_ENDIAN")]),
            i(2021)
        );
        let long = call("TO_BYTES", [s("AAAAASoF8gA="), s("base64")]);
        assert_eq!(
            call("BIGINT_FROM_BYTES", [long, s("BIG_ENDIAN")]),
            Value::Bigint(5_000_000_000)
        );
        let double = call("TO_BYTES", [s("QICm/ZvJ9YI="), s("base64")]);
        assert_eq!(call("DOUBLE_FROM_BYTES", [double]), Value::Double(532.873_832_3));
        assert!(failing_call("BIGINT_FROM_BYTES", [big.clone()]).is_err());
        assert!(failing_call("INT_FROM_BYTES", [big, s("MIDDLE_ENDIAN")]).is_err());
    }

    proptest! {
        #[test]
        fn encodings_read_back(bytes in any::<Vec<u8>>()) {
            for encoding in ["hex", "base64"] {
                let text = call("FROM_BYTES", [b(&bytes), s(encoding)]);
                prop_assert_eq!(call("TO_BYTES", [text, s(encoding)]), b(&bytes));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            for encoding in ["hex", "base64", "ascii", "utf8"] {
                let _ = failing_call("TO_BYTES", [s(&text), s(encoding)]);
            }
        }
    }
}
