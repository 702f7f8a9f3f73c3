//! A scanner over JSON text that finds the parts of objects and arrays without copying or changing them.
//!
//! osquery's lines may hold bytes that are not UTF-8, and what is produced must be those very bytes, so a
//! line is never parsed and written again. The scanner looks only as far as it is asked to; it does not
//! check the text that it passes over. It uses no recursion: nesting costs nothing.

use std::borrow::Cow;

/// The text is not JSON at the place that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// The members of the object `text`: name (undecoded, without its quotes) and value.
pub(crate) fn members(text: &[u8]) -> Result<Members<'_>, NotJson> {
    Ok(Members {
        scanner: Scanner::open(text, b'{')?,
    })
}

/// The elements of the array `text`.
pub(crate) fn elements(text: &[u8]) -> Result<Elements<'_>, NotJson> {
    Ok(Elements {
        scanner: Scanner::open(text, b'[')?,
    })
}

/// The value of the first member called `name`.
pub(crate) fn member<'t>(text: &'t [u8], name: &str) -> Option<&'t [u8]> {
    members(text)
        .ok()?
        .map_while(Result::ok)
        .find(|(key, _)| decode(key) == name.as_bytes())
        .map(|(_, v)| v)
}

/// What a value is as plain text: a string without quotes and escapes, `None` for null, anything else as it
/// is written.
pub(crate) fn text(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    match value {
        b"null" => None,
        [b'"', inner @ .., b'"'] => Some(decode(inner)),
        other => Some(Cow::Borrowed(other)),
    }
}

/// Takes the escapes out of a string's inside.
pub(crate) fn decode(inner: &[u8]) -> Cow<'_, [u8]> {
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let quoted = format!("\"{}\"", String::from_utf8_lossy(inner));
    // An escape that JSON does not know is left as it stands.
    match serde_json::from_str::<String>(&quoted) {
        Ok(decoded) => Cow::Owned(decoded.into_bytes()),
        Err(_) => Cow::Borrowed(inner),
    }
}

pub(crate) struct Members<'t> {
    scanner: Scanner<'t>,
}

impl<'t> Iterator for Members<'t> {
    type Item = Result<(&'t [u8], &'t [u8]), NotJson>;

    fn next(&mut self) -> Option<Self::Item> {
        self.scanner.next_item(b'}', |scanner| {
            let name = scanner.string()?;
            scanner.expect(b':')?;
            Ok((name, scanner.value()?))
        })
    }
}

pub(crate) struct Elements<'t> {
    scanner: Scanner<'t>,
}

impl<'t> Iterator for Elements<'t> {
    type Item = Result<&'t [u8], NotJson>;

    fn next(&mut self) -> Option<Self::Item> {
        self.scanner.next_item(b']', Scanner::value)
    }
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Opened,
    Within,
    Done,
}

impl<'t> Scanner<'t> {
    fn open(text: &'t [u8], bracket: u8) -> Result<Self, NotJson> {
        let mut scanner = Self {
            text,
            at: 0,
            state: State::Opened,
        };
        scanner.expect(bracket)?;
        Ok(scanner)
    }

    /// One more item, the comma before it and, at the end, the closing bracket.
    fn next_item<T>(
        &mut self,
        closing: u8,
        read: impl FnOnce(&mut Self) -> Result<T, NotJson>,
    ) -> Option<Result<T, NotJson>> {
        if self.state == State::Done {
            return None;
        }
        self.skip_space();
        if self.peek() == Some(closing) {
            self.state = State::Done;
            return None;
        }
        let comma = if self.state == State::Within {
            self.expect(b',')
        } else {
            Ok(())
        };
        self.state = State::Within;
        let item = comma.and_then(|()| read(self));
        if item.is_err() {
            self.state = State::Done;
        }
        Some(item)
    }

    fn value(&mut self) -> Result<&'t [u8], NotJson> {
        self.skip_space();
        let start = self.at;
        match self.peek().ok_or(NotJson)? {
            b'"' => drop(self.string()?),
            b'{' | b'[' => self.container()?,
            b',' | b':' | b'}' | b']' => return Err(NotJson),
            _ => {
                let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
                let length = self.text[self.at..].iter().position(ends).ok_or(NotJson)?;
                self.at += length;
            }
        }
        Ok(&self.text[start..self.at])
    }

    /// The inside of the string that comes next.
    fn string(&mut self) -> Result<&'t [u8], NotJson> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.advance_to(|byte| matches!(byte, b'"' | b'\\'))? {
                b'"' => break,
                _ => self.at += 2,
            }
        }
        self.at += 1;
        Ok(&self.text[start..self.at - 1])
    }

    fn container(&mut self) -> Result<(), NotJson> {
        let mut depth = 0usize;
        loop {
            match self.advance_to(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                _ => depth -= 1,
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Goes on to the next byte that is one of those wanted.
    fn advance_to(&mut self, wanted: impl Fn(u8) -> bool) -> Result<u8, NotJson> {
        let rest = self.text.get(self.at..).ok_or(NotJson)?;
        let distance = rest.iter().position(|byte| wanted(*byte)).ok_or(NotJson)?;
        self.at += distance;
        Ok(rest[distance])
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        self.skip_space();
        if self.peek() != Some(byte) {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(".{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn check(value: &Value, pretty: bool) {
        let text = if pretty {
            serde_json::to_vec_pretty(value)
        } else {
            serde_json::to_vec(value)
        }
        .unwrap();
        let parse = |part: &[u8]| serde_json::from_slice::<Value>(part).unwrap();
        match value {
            Value::Object(map) => {
                let found: Vec<_> = members(&text).unwrap().map(Result::unwrap).collect();
                assert_eq!(found.len(), map.len());
                for ((name, value), (expected_name, expected)) in found.iter().zip(map) {
                    assert_eq!(decode(name), expected_name.as_bytes());
                    assert_eq!(&parse(value), expected);
                }
            }
            Value::Array(array) => {
                let found: Vec<_> = elements(&text)
                    .unwrap()
                    .map(|item| parse(item.unwrap()))
                    .collect();
                assert_eq!(&found, array);
            }
            _ => {
                assert!(members(&text).is_err());
                assert!(elements(&text).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn the_parts_are_the_ones_a_parser_finds(value in json(), pretty in any::<bool>()) {
            check(&value, pretty);
        }

        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            for bracket in [b"{".as_slice(), b"["] {
                let text = [bracket, text.as_slice()].concat();
                let _ = members(&text).map(|members| members.count());
                let _ = elements(&text).map(|elements| elements.count());
            }
        }

        #[test]
        fn no_cut_text_panics(value in json(), cut in any::<prop::sample::Index>()) {
            let text = serde_json::to_vec(&value).unwrap();
            let part = &text[..cut.index(text.len() + 1)];
            let _ = members(part).map(|members| members.count());
            let _ = elements(part).map(|elements| elements.count());
            let _ = member(part, "name");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_pass_untouched() {
        let line = b"{\"name\":\"q\",\"columns\":{\"cmdline\":\"caf\xe9 \\\" \xff\",\"pid\":\"1\"}}";
        let columns = member(line, "columns").unwrap();
        assert_eq!(member(columns, "cmdline").unwrap(), b"\"caf\xe9 \\\" \xff\"");
        assert_eq!(
            text(member(columns, "pid").unwrap()).as_deref(),
            Some(b"1".as_slice())
        );
    }

    #[test]
    fn broken_text_is_an_error_and_then_the_end() {
        for broken in [
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1",
            "{a:1}",
            "[1,]x",
            "{\"a\":\"\\",
        ] {
            let results: Vec<_> = match broken.as_bytes()[0] {
                b'{' => members(broken.as_bytes())
                    .unwrap()
                    .map(|item| item.map(drop))
                    .collect(),
                _ => elements(broken.as_bytes())
                    .unwrap()
                    .map(|item| item.map(drop))
                    .collect(),
            };
            let failed = results.iter().filter(|result| result.is_err()).count();
            assert!(failed <= 1, "{broken}");
            assert!(failed == 1 || broken == "[1,]x", "{broken}");
        }
    }
}
