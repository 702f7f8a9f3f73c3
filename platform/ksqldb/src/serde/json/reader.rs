//! A pull reader of JSON text.
//!
//! Written here because a number's own digits are needed (`DECIMAL(38, 2)` and `VARCHAR` columns keep them),
//! values that no query wants must cost little, and what follows the first value is ignored, as ksqlDB does.
//!
//! Long because JSON is one grammar, and each kind of value is both read and skipped here.

use std::borrow::Cow;

use super::super::SerdeError;

/// Objects and arrays may stand in each other this deep.
const DEEPEST: u32 = 256;

/// What a value begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl Kind {
    /// The name that ksqlDB's errors use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Object => "ObjectNode",
            Self::Array => "ArrayNode",
            Self::String => "TextNode",
            Self::Number => "NumericNode",
            Self::True | Self::False => "BooleanNode",
            Self::Null => "NullNode",
        }
    }
}

/// Where a run of ordinary characters ends that begins at `from`: before a quote, a backslash or a control character, or
/// with the text.
#[inline]
pub(super) fn end_of_run(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(eight) = text.get(at..).and_then(<[u8]>::first_chunk) {
        if let Some(place) = first_special(u64::from_le_bytes(*eight)) {
            return at + place;
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    let place = rest.iter().position(|byte| is_special(*byte));
    at + place.unwrap_or(rest.len())
}

/// What ends a run of ordinary characters in a string.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

/// The place of the first such byte among eight, of which the first is the lowest: strings are most of a record, and
/// one byte at a time is slow. A borrow may make a later byte look like one, but never an earlier.
#[inline]
fn first_special(eight: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(ONES * limit) & !bytes;
    let equal = |byte: u8| below(eight ^ (ONES * u64::from(byte)), 1);
    let special = (below(eight, 0x20) | equal(b'"') | equal(b'\\')) & HIGHS;
    // Eight bits a byte.
    (special != 0).then(|| usize::try_from(special.trailing_zeros() / 8).unwrap_or(0))
}

/// The text and how far it was read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    takes_entries: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            takes_entries: false,
        }
    }

    /// The same, with maps that may also be lists of their entries.
    pub(super) fn with_entries(self, takes_entries: bool) -> Self {
        Self {
            takes_entries,
            ..self
        }
    }

    /// Whether maps may also be lists of their entries.
    pub(super) fn takes_entries(&self) -> bool {
        self.takes_entries
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[cold]
    fn error(&self, expected: &str) -> SerdeError {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => SerdeError::new(format!(
                "unexpected character ('{}') at byte {}: expected {expected}",
                found.escape_default(),
                self.at
            )),
            None => SerdeError::new(format!("unexpected end of input: expected {expected}")),
        }
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8, expected: &str) -> Result<(), SerdeError> {
        if self.byte() != Some(byte) {
            return Err(self.error(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// What the next value is; reads only the space before it.
    pub(crate) fn kind(&mut self) -> Result<Kind, SerdeError> {
        self.skip_space();
        match self.byte() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.error("a value")),
        }
    }

    /// Reads `true`, `false` or `null`.
    pub(crate) fn word(&mut self, word: &'static str) -> Result<(), SerdeError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error(word));
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads a number and returns its text.
    pub(crate) fn number(&mut self) -> Result<&'a str, SerdeError> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
            if matches!(self.byte(), Some(b'0'..=b'9')) {
                return Err(self.error("no digit after a leading zero"));
            }
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), SerdeError> {
        if !matches!(self.byte(), Some(b'0'..=b'9')) {
            return Err(self.error("a digit"));
        }
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    /// Reads a string.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, SerdeError> {
        match self.plain_string() {
            Some(text) => Ok(Cow::Borrowed(text)),
            None => self.escaped_string().map(Cow::Owned),
        }
    }

    /// Reads a string that stands there as it is, as nearly all do. Of anything else it reads nothing.
    #[inline]
    fn plain_string(&mut self) -> Option<&'a str> {
        if self.byte() != Some(b'"') {
            return None;
        }
        let start = self.at + 1;
        let end = end_of_run(self.text.as_bytes(), start);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    #[cold]
    fn escaped_string(&mut self) -> Result<String, SerdeError> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        self.at = end_of_run(self.text.as_bytes(), start);
        let mut owned = self.text[start..self.at].to_owned();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(owned);
                }
                Some(b'\\') => {
                    self.at += 1;
                    owned.push(self.escape()?);
                }
                _ => return Err(self.error("a closing quote")),
            }
            let run = self.at;
            self.at = end_of_run(self.text.as_bytes(), run);
            owned.push_str(&self.text[run..self.at]);
        }
    }

    fn escape(&mut self) -> Result<char, SerdeError> {
        let escaped = match self.byte() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.error("an escape")),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// A lone surrogate, which Java keeps and UTF-8 cannot write, becomes U+FFFD.
    fn unicode_escape(&mut self) -> Result<char, SerdeError> {
        let first = self.hexadecimal()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let after_first = self.at;
        if self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.hexadecimal()?;
            if (0xdc00..0xe000).contains(&second) {
                let combined = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(combined).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = after_first;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hexadecimal(&mut self) -> Result<u32, SerdeError> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.error("four hexadecimal digits"));
            };
            number = number * 16 + digit;
            self.at += 1;
        }
        Ok(number)
    }

    /// Reads an object: calls `member` at the value of each member, which must read it.
    #[inline]
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        self.expect(b'{', "an object")?;
        self.enter()?;
        self.skip_space();
        if self.byte() == Some(b'}') {
            return self.leave();
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            self.expect(b':', "a colon")?;
            member(self, &name)?;
            self.skip_space();
            match self.byte() {
                Some(b',') => self.at += 1,
                Some(b'}') => return self.leave(),
                _ => return Err(self.error("a comma or the end of the object")),
            }
        }
    }

    /// Reads an object as [`object`](Self::object) does, and those of its members on a shorter way that are texts which
    /// stand there as they are: `text` is told their names and values.
    pub(super) fn object_of_texts(
        &mut self,
        mut text: impl FnMut(&'a [u8], &'a str),
        mut member: impl FnMut(&mut Self, &str) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        self.expect(b'{', "an object")?;
        self.enter()?;
        self.skip_space();
        if self.byte() == Some(b'}') {
            return self.leave();
        }
        loop {
            match self.plain_member() {
                Some((name, value)) => {
                    text(name, value);
                    if self.byte() == Some(b',') {
                        self.at += 1;
                        continue;
                    }
                }
                None => {
                    self.skip_space();
                    let name = self.string()?;
                    self.skip_space();
                    self.expect(b':', "a colon")?;
                    member(self, &name)?;
                }
            }
            self.skip_space();
            match self.byte() {
                Some(b',') => self.at += 1,
                Some(b'}') => return self.leave(),
                _ => return Err(self.error("a comma or the end of the object")),
            }
        }
    }

    /// Reads a name and a text that stand there as they are, with nothing but a colon in between. Of anything else it
    /// reads nothing.
    #[inline]
    fn plain_member(&mut self) -> Option<(&'a [u8], &'a str)> {
        const BETWEEN: &[u8; 3] = b"\":\"";
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let name = self.at + 1;
        let end_of_name = end_of_run(bytes, name);
        if bytes.get(end_of_name..)?.first_chunk() != Some(BETWEEN) {
            return None;
        }
        let value = end_of_name + BETWEEN.len();
        let end = end_of_run(bytes, value);
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        Some((bytes.get(name..end_of_name)?, self.text.get(value..end)?))
    }

    /// Reads an array: calls `element` at each element, which must read it.
    pub(crate) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        self.expect(b'[', "an array")?;
        self.enter()?;
        self.skip_space();
        if self.byte() == Some(b']') {
            return self.leave();
        }
        loop {
            element(self)?;
            self.skip_space();
            match self.byte() {
                Some(b',') => self.at += 1,
                Some(b']') => return self.leave(),
                _ => return Err(self.error("a comma or the end of the array")),
            }
        }
    }

    fn enter(&mut self) -> Result<(), SerdeError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SerdeError::new(format!(
                "objects and arrays stand more than {DEEPEST} deep in each other"
            )));
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), SerdeError> {
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    /// Reads a string without keeping it.
    #[cold]
    fn skip_escaped_string(&mut self) -> Result<(), SerdeError> {
        self.expect(b'"', "a string")?;
        loop {
            self.at = end_of_run(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                _ => return Err(self.error("a closing quote")),
            }
        }
    }

    /// Reads any value without keeping it.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<(), SerdeError> {
        self.skip_space();
        match self.plain_string() {
            Some(_) => Ok(()),
            None => self.skip_other(),
        }
    }

    fn skip_other(&mut self) -> Result<(), SerdeError> {
        match self.kind()? {
            Kind::Object => self.object(|reader, _| reader.skip()),
            Kind::Array => self.array(Self::skip),
            Kind::String => self.skip_escaped_string(),
            Kind::Number => self.number().map(|_| ()),
            Kind::True => self.word("true"),
            Kind::False => self.word("false"),
            Kind::Null => self.word("null"),
        }
    }
}

#[cfg(test)]
mod tests;
