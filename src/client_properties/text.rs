//! The text of such a file: a property a line, `name=value`, with the escapes of Java's properties, and secrets that are
//! named.

use std::fs;
use std::path::Path;

use super::error::Reason;
use crate::input_file;

/// No secret is larger.
const SECRET_LIMIT: u64 = 64 * 1024;

/// A property, its value as it stands there.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its place in the file, from 1.
    pub(super) number: usize,
    pub(super) name: String,
    raw: String,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The value may be a password.
        formatter.write_str(&self.name)
    }
}

/// The properties of a text, or where it is none.
pub(super) fn lines(text: &str) -> Result<Vec<Line>, (usize, Reason)> {
    let numbered = text.lines().map(str::trim).zip(1..);
    let mut lines = Vec::new();
    for (line, number) in numbered {
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or((number, Reason::NoValue))?;
        let backslashes = value.len() - value.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            return Err((number, Reason::GoesOn));
        }
        lines.push(Line {
            number,
            name: name.trim().to_owned(),
            raw: value.trim_start().to_owned(),
        });
    }
    Ok(lines)
}

impl Line {
    /// Its value, where it names no secret.
    pub(super) fn plain(&self) -> Option<String> {
        let is_secret = first_placeholder(&self.raw).is_some();
        if is_secret {
            None
        } else {
            unescaped(&self.raw).ok()
        }
    }

    /// Its value with its secrets, which stand for themselves: no escape of theirs is one.
    pub(super) fn value(
        &self,
        folder: &Path,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<String, Reason> {
        let mut value = String::new();
        let mut rest = self.raw.as_str();
        while let Some(at) = first_placeholder(rest) {
            value.push_str(&unescaped(&rest[..at])?);
            let inside = &rest[at + 2..];
            let malformed = || Reason::Placeholder {
                text: inside.chars().take_while(|c| *c != '}').take(8).collect(),
            };
            let (place, after) = inside.split_once('}').ok_or_else(malformed)?;
            let secret = match place.split_once(':') {
                Some(("env", name)) => variable(name).ok_or_else(|| Reason::NotSet {
                    name: name.to_owned(),
                })?,
                Some(("file", path)) => secret_of(&folder.join(path))?,
                _ => return Err(malformed()),
            };
            value.push_str(&secret);
            rest = after;
        }
        value.push_str(&unescaped(rest)?);
        Ok(value)
    }
}

/// A value as it has to stand in a file.
pub(super) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '$' => text.push_str("\\$"),
            // At the ends it would be taken for none; other blanks could be ends of lines.
            ' ' => text.push_str("\\u0020"),
            blank if blank.is_whitespace() || blank.is_control() => {
                let mut units = [0; 2];
                for unit in blank.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
            other => text.push(other),
        }
    }
    text
}

/// Where the first placeholder begins. A dollar behind a backslash begins none.
fn first_placeholder(raw: &str) -> Option<usize> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'$' if bytes.get(at + 1) == Some(&b'{') => return Some(at),
            _ => at += 1,
        }
    }
    None
}

fn unescaped(raw: &str) -> Result<String, Reason> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match rest.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let digits = rest.as_str().get(..4).ok_or(Reason::Escape)?;
                let unit = u32::from_str_radix(digits, 16).map_err(|_| Reason::Escape)?;
                text.push(char::from_u32(unit).ok_or(Reason::Escape)?);
                rest = rest.as_str()[4..].chars();
            }
            Some(other) => text.push(other),
            None => {}
        }
    }
    Ok(text)
}

/// What a file holds, without the end of its last line.
fn secret_of(path: &Path) -> Result<String, Reason> {
    let unreadable = |source| Reason::Secret {
        path: path.to_owned(),
        source,
    };
    // A pipe or a device may have no end, and no beginning either.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > SECRET_LIMIT {
        let problem = format!("it is not a regular file of at most {SECRET_LIMIT} bytes");
        return Err(unreadable(std::io::Error::other(problem)));
    }
    let text = input_file::read_to_string(path).map_err(unreadable)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
