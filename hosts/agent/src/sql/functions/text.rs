//! `split`, `regex_split`, `regex_match`, `inet_aton`, the digests, and base64.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::ValueRef;
use sha2::Digest;

use super::{Answer, PURE, text};

type BoxError = Box<dyn Error + Send + Sync>;

pub(super) fn register(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.create_scalar_function("split", 3, PURE, split)?;
    connection.create_scalar_function("regex_split", 3, PURE, regex_split)?;
    connection.create_scalar_function("regex_match", 3, PURE, regex_match)?;
    connection.create_scalar_function("inet_aton", 1, PURE, inet_aton)?;
    connection.create_scalar_function("md5", 1, PURE, digest::<md5::Md5>)?;
    connection.create_scalar_function("sha1", 1, PURE, digest::<sha1::Sha1>)?;
    connection.create_scalar_function("sha256", 1, PURE, digest::<sha2::Sha256>)?;
    connection.create_scalar_function("to_base64", 1, PURE, to_base64)?;
    connection.create_scalar_function("from_base64", 1, PURE, from_base64)?;
    connection.create_scalar_function("conditional_to_base64", 1, PURE, conditional_to_base64)
}

/// `split(text, separators, index)`: the part of that index, from 0. Each character of `separators` separates;
/// parts are trimmed, and empty ones do not count.
fn split(context: &mut Context<'_>) -> Answer {
    let (Some(text), Some(separators)) = (text(context, 0), text(context, 1)) else {
        return Ok(None);
    };
    let parts = text.split(|c| separators.contains(c));
    Ok(nth_part(parts, context.get(2)?))
}

/// `regex_split(text, pattern, index)`: the same, separated by what the pattern matches.
fn regex_split(context: &mut Context<'_>) -> Answer {
    let (Some(text), Some(pattern)) = (text(context, 0), pattern(context)?) else {
        return Ok(None);
    };
    Ok(nth_part(pattern.split(&text), context.get(2)?))
}

fn nth_part<'a>(parts: impl Iterator<Item = &'a str>, index: i64) -> Option<String> {
    let mut parts = parts.map(str::trim).filter(|part| !part.is_empty());
    parts.nth(usize::try_from(index).ok()?).map(str::to_owned)
}

/// `regex_match(text, pattern, group)`: what the group matched; group 0 is the whole match.
fn regex_match(context: &mut Context<'_>) -> Answer {
    let (Some(text), Some(pattern)) = (text(context, 0), pattern(context)?) else {
        return Ok(None);
    };
    let Ok(group) = usize::try_from(context.get::<i64>(2)?) else {
        return Ok(None);
    };
    let group = pattern.captures(&text).and_then(|captures| captures.get(group));
    Ok(group.map(|group| group.as_str().to_owned()))
}

/// `inet_aton(address)`: an IPv4 address as a number.
fn inet_aton(context: &mut Context<'_>) -> Result<Option<i64>, rusqlite::Error> {
    let address = text(context, 0).and_then(|text| text.parse::<Ipv4Addr>().ok());
    Ok(address.map(|address| i64::from(u32::from(address))))
}

fn digest<D: Digest>(context: &mut Context<'_>) -> Answer {
    let Some(text) = text(context, 0) else {
        return Ok(None);
    };
    let digest = D::digest(text.as_bytes());
    Ok(Some(digest.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// The second argument as a pattern, compiled once a statement where it is constant.
fn pattern(context: &Context<'_>) -> Result<Option<Arc<Regex>>, rusqlite::Error> {
    if context.get_raw(1) == ValueRef::Null {
        return Ok(None);
    }
    let compile = |value: ValueRef<'_>| -> Result<Regex, BoxError> {
        Regex::new(value.as_str()?).map_err(|error| format!("Invalid regex: {error}").into())
    };
    Ok(Some(context.get_or_create_aux(1, compile)?))
}

/// `to_base64(text)`.
fn to_base64(context: &mut Context<'_>) -> Answer {
    Ok(text(context, 0).map(|text| STANDARD.encode(text)))
}

/// `from_base64(text)`: null when it is none.
fn from_base64(context: &mut Context<'_>) -> Answer {
    let decoded = text(context, 0).and_then(|text| STANDARD.decode(text).ok());
    Ok(decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// `conditional_to_base64(text)`: only when there is a byte outside ASCII in it.
fn conditional_to_base64(context: &mut Context<'_>) -> Answer {
    Ok(text(context, 0).map(|text| {
        if text.is_ascii() {
            text
        } else {
            STANDARD.encode(text)
        }
    }))
}
