//! osquery's own SQL functions, as far as they need nothing but their arguments. A null argument makes the result null.

mod math;
mod network;
mod text;
mod version;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

type Answer = Result<Option<String>, rusqlite::Error>;

const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);

/// Makes the functions known to a connection.
pub(super) fn register(connection: &Connection) -> Result<(), rusqlite::Error> {
    text::register(connection)?;
    math::register(connection)?;
    version::register(connection)?;
    network::register(connection)
}

/// An argument as text, as SQLite's CAST makes it; null is none.
fn text(context: &Context<'_>, index: usize) -> Option<String> {
    match context.get_raw(index) {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) | ValueRef::Blob(text) => Some(String::from_utf8_lossy(text).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(expression: &str) -> Result<Option<String>, rusqlite::Error> {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        connection.query_row(&format!("select cast({expression} as text)"), [], |row| {
            row.get(0)
        })
    }

    #[test]
    fn functions_answer_as_osquerys() {
        let cases = [
            ("split('/usr/bin/head', '/', 0)", Some("usr")),
            ("split('/usr/bin/head', '/', 2)", Some("head")),
            ("split('/usr/bin/head', '/', 3)", None),
            ("split('a, b;c', ',;', 1)", Some("b")),
            ("split('a', ',', -1)", None),
            ("split(null, ',', 0)", None),
            ("regex_split('a1b22c', '[0-9]+', 2)", Some("c")),
            ("regex_match('pid=42 x', 'pid=([0-9]+)', 1)", Some("42")),
            ("regex_match('pid=42 x', 'pid=([0-9]+)', 0)", Some("pid=42")),
            ("regex_match('nothing', 'pid=([0-9]+)', 0)", None),
            ("regex_match('a', null, 0)", None),
            ("inet_aton('1.2.3.4')", Some("16909060")),
            ("inet_aton('nowhere')", None),
            ("to_base64('jay ä')", Some("amF5IMOk")),
            ("from_base64('amF5')", Some("jay")),
            ("from_base64('?')", None),
            ("conditional_to_base64('jay')", Some("jay")),
            ("conditional_to_base64('ä')", Some("w6Q=")),
            ("sqrt(2.25)", Some("1.5")),
            ("sqrt(-1)", None),
            ("power(2, 10)", Some("1024.0")),
            ("round(degrees(pi()))", Some("180.0")),
            ("ceil(1.2) || floor(-1.2)", Some("2-2")),
            ("log10('1000')", Some("3.0")),
            ("round(sin(1), 6)", Some("0.841471")),
            ("round(cos(1), 6)", Some("0.540302")),
            ("round(tan(1), 6)", Some("1.557408")),
            ("round(cot(1), 6)", Some("0.642093")),
            ("round(coth(1), 6)", Some("1.313035")),
            ("round(asin(1), 6)", Some("1.570796")),
            ("round(acos(-1), 6)", Some("3.141593")),
            ("round(atan(1), 6)", Some("0.785398")),
            ("round(exp(1), 6)", Some("2.718282")),
            // Of these two, SQLite's own `log` is the one of 10.
            ("round(log(10), 6)", Some("2.302585")),
            ("round(ln('10'), 6)", Some("2.302585")),
            ("round(radians(180), 6)", Some("3.141593")),
            ("square(-3)", Some("9.0")),
            ("asin(2)", None),
            ("ln(0)", None),
            ("cot(0)", None),
            ("coth(0)", None),
            ("exp(1000)", None),
            ("exp('x')", None),
            ("tan(null)", None),
            ("version_compare('1.2', '1.10')", Some("-1")),
            ("version_compare('1.0~rc1', '1.0', 'DPKG')", Some("-1")),
            ("version_compare('1.0', '1.0.0')", Some("-1")),
            ("'1.10' > '1.9' collate version", Some("1")),
            ("in_cidr_block('10.0.0.0/8', '10.200.3.4')", Some("1")),
            ("in_cidr_block('10.0.0.0/8', '11.0.0.1')", Some("0")),
            ("in_cidr_block('fd00::/8', 'fd12::1')", Some("1")),
            ("in_cidr_block('0.0.0.0/0', '1.2.3.4')", Some("1")),
            ("in_cidr_block(null, '1.2.3.4')", None),
            // The examples of the specification.
            (
                "community_id_v1('128.232.110.120', '66.35.250.204', 34855, 80, 6)",
                Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            ),
            (
                "community_id_v1('66.35.250.204', '128.232.110.120', 80, 34855, 6)",
                Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            ),
            ("community_id_v1('nowhere', '66.35.250.204', 1, 2, 6)", None),
            ("md5('')", Some("d41d8cd98f00b204e9800998ecf8427e")),
            ("sha1('abc')", Some("a9993e364706816aba3e25717850c26c9cd0d89d")),
            (
                "sha256('')",
                Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ),
        ];
        for (expression, expected) in cases {
            assert_eq!(value(expression).unwrap().as_deref(), expected, "{expression}");
        }
        let error = value("in_cidr_block('10.0.0.0/99', '10.0.0.1')")
            .unwrap_err()
            .to_string();
        assert!(error.contains("Invalid CIDR block"), "{error}");
        let error = value("regex_match('a', '(', 0)").unwrap_err().to_string();
        assert!(error.contains("Invalid regex"), "{error}");
    }
}
