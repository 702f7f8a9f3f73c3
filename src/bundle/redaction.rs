//! Text and documents without their secrets. A secret is told by the name it stands under (`…password…`, `…token…`,
//! `sasl.jaas.config`, `ssl.key…`), or by its form: the user in a URL, a private key, a bearer token. In doubt more is
//! taken out than is needed: a lost word costs a question, a leaked one costs a password.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// What the name of a secret has in it.
const WORDS: &str = "passw|passphrase|pwd|secret|token|credential|jaas|authori[sz]ation|cookie|\
                     user[._-]?info|(?:api|access|private|ssl|encryption)[._-]?key|connection[._-]?string";

/// A name that stands alone.
static NAME: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"(?i)^[^\s=]*(?:{WORDS})[^\s=]*$|^_?auth$")));

/// `NAME=value`, as environments have it. The value may have several lines.
static ENTRY: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)^([^\s=]+)=(.+)$"));

/// A name in a text, up to where its value begins: a flag, whose value may be the next word, or a setting. The quotes
/// around it may be escaped, as in a document within a document.
static NAME_IN_TEXT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r#"(?i)(?:^|[\s"'\[,])--?[\w.\-]*(?:{WORDS})[\w.\-]*\\*["']?(?:\s*[,:=]\s*|\s+)|(?:[\w.\-]*(?:{WORDS})[\w.\-]*|\b_?auth)\\*["']?\]?\s*(?:=>|:=|[:=])\s*"#
    ))
});

/// The user and the password in a URL, also with an `@` or a `/` that should have been escaped.
static USER_IN_URL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"([A-Za-z][A-Za-z0-9+.\-]*://)[^\s"'<>]*@"#));

static BEARER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(bearer\s+)[A-Za-z0-9+/._~=\-]{8,}"));

/// A private key that is written on one line.
static PRIVATE_KEY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"));

static PRIVATE_KEY_BEGIN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*$"));

/// What of the next line still belongs to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hidden {
    Nothing,
    /// Everything up to the end of the key.
    PrivateKey,
    /// All lines that are indented by more than this.
    Deeper(usize),
    /// The line, which continues the one before.
    Continuation,
}

/// A text without its secrets.
pub fn redacted(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut hidden = Hidden::Nothing;
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\n', '\r']);
        match hidden {
            Hidden::PrivateKey => {
                if body.contains("-----END ") {
                    hidden = Hidden::Nothing;
                }
                continue;
            }
            Hidden::Continuation => {
                if !body.ends_with('\\') {
                    hidden = Hidden::Nothing;
                }
                continue;
            }
            Hidden::Deeper(indentation) if body.trim().is_empty() || indentation_of(body) > indentation => {
                continue;
            }
            Hidden::Deeper(_) | Hidden::Nothing => {}
        }
        let (shown, next) = redacted_line(body);
        hidden = next;
        result.push_str(&shown);
        result.push_str(line.get(body.len()..).unwrap_or_default());
    }
    result
}

/// A document without its secrets.
pub fn redacted_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redacted_string(&text)),
        Value::Array(items) => {
            // `["--password", "…"]`, and pairs of a name and its value.
            let mut is_after_name = false;
            let items = items.into_iter().map(|item| {
                let is_name = item.as_str().is_some_and(|text| NAME.is_match(text));
                let is_secret = std::mem::replace(&mut is_after_name, is_name);
                if is_secret {
                    hide(item)
                } else {
                    redacted_json(item)
                }
            });
            Value::Array(items.collect())
        }
        Value::Object(fields) => {
            // `{"name": "A_PASSWORD", "value": "…"}`.
            let is_named_secret = ["name", "key", "Name", "Key"].iter().any(|field| {
                let name = fields.get(*field).and_then(Value::as_str);
                name.is_some_and(|name| NAME.is_match(name))
            });
            let fields = fields.into_iter().map(|(name, value)| {
                let is_value = is_named_secret && name.eq_ignore_ascii_case("value");
                let value = if is_value || NAME.is_match(&name) {
                    hide(value)
                } else {
                    redacted_json(value)
                };
                (redacted(&name), value)
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}

/// Whether there is a value at all may be seen.
fn hide(value: Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value,
        _ => Value::String(REDACTED.to_owned()),
    }
}

fn redacted_string(text: &str) -> String {
    match ENTRY.captures(text).and_then(|entry| entry.get(1)) {
        Some(name) if NAME.is_match(name.as_str()) => format!("{}={REDACTED}", name.as_str()),
        _ => redacted(text),
    }
}

fn redacted_line(line: &str) -> (String, Hidden) {
    let keyless = PRIVATE_KEY.replace_all(line, REDACTED);
    let open = PRIVATE_KEY_BEGIN.is_match(&keyless);
    let keyless = PRIVATE_KEY_BEGIN.replace(&keyless, REDACTED);
    let (valueless, hidden) = without_values(&keyless);
    let prefixed = |found: &Captures<'_>| format!("{}{REDACTED}", &found[1]);
    let userless =
        USER_IN_URL.replace_all(&valueless, |found: &Captures<'_>| format!("{}@", prefixed(found)));
    let shown = BEARER.replace_all(&userless, prefixed).into_owned();
    (shown, if open { Hidden::PrivateKey } else { hidden })
}

/// The line without the values of names that are those of secrets.
fn without_values(line: &str) -> (String, Hidden) {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(found) = NAME_IN_TEXT.find(rest) {
        let (before, value) = rest.split_at(found.end());
        shown.push_str(before);
        if let Some((quote, after)) = quoted(value) {
            shown.push_str(&format!("{quote}{REDACTED}{quote}"));
            rest = after;
            continue;
        }
        // Without quotes nothing tells where a value ends, except the line.
        shown.push_str(REDACTED);
        let hidden = if value.ends_with('\\') {
            Hidden::Continuation
        } else if value.is_empty() || value.starts_with(['|', '>', '{', '[', '"', '\'']) {
            Hidden::Deeper(indentation_of(line))
        } else {
            Hidden::Nothing
        };
        return (shown, hidden);
    }
    shown.push_str(rest);
    (shown, Hidden::Nothing)
}

/// The quote, with its escapes, that a value stands in, and what comes after the value. Nothing when the value is not
/// in quotes, or does not end with them.
fn quoted(value: &str) -> Option<(&str, &str)> {
    let escapes = value.len() - value.trim_start_matches('\\').len();
    let mark = *value
        .as_bytes()
        .get(escapes)
        .filter(|byte| matches!(byte, b'"' | b'\''))?;
    let (quote, content) = value.split_at(escapes + 1);
    let mut before = 0;
    for (index, byte) in content.bytes().enumerate() {
        if byte == b'\\' {
            before += 1;
            continue;
        }
        // A mark with more escapes belongs to the value.
        if byte == mark && before <= escapes {
            let after = content.split_at(index + 1).1;
            let ends = !after.starts_with(|next: char| next.is_alphanumeric() || next == '_');
            return ends.then_some((quote, after));
        }
        before = 0;
    }
    None
}

fn indentation_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of this file are regular expressions")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "bootstrap.servers=127.0.0.1:9092\nssl.protocol=TLS\n",
            "{\"schedule\":{\"proc\":{\"query\":\"select * from processes\",\"interval\":10}}}",
            "1. start broker (not running)\n  caused by: no route to host\r\n",
            "listening at http://127.0.0.1:8088/info, user jay@example.com",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn what_stands_around_a_secret_stays() {
        assert_eq!(
            redacted("INFO {\"password\":\"x\",\"port\":1} http://a:b@host/path"),
            "INFO {\"password\":\"[redacted]\",\"port\":1} http://[redacted]@host/path"
        );
        assert_eq!(
            redacted("environment:\n  A_TOKEN: |\n    one\n    two\n  PORT: 1\n"),
            "environment:\n  A_TOKEN: [redacted]\n  PORT: 1\n"
        );
        assert_eq!(
            redacted_json(json!(["A=1", "A_SECRET=one\ntwo", "--token", "x", "y"])),
            json!(["A=1", "A_SECRET=[redacted]", "--token", "[redacted]", "y"])
        );
        assert_eq!(
            redacted_json(json!({ "name": "DB_PASSWORD", "value": "x", "port": 1, "password": null })),
            json!({ "name": "DB_PASSWORD", "value": "[redacted]", "port": 1, "password": null })
        );
    }

    /// Places in which a secret may stand, `@` for the secret.
    const PLACES: &[&str] = &[
        "POSTGRES_PASSWORD=@",
        "export API_KEY='@'; start",
        "sasl.jaas.config=org.apache.kafka.PlainLoginModule required username=\"jay\" password=\"@\";",
        "ssl.key.password = @",
        "ssl.keystore.password: \"@\"",
        "    basic.auth.user.info: jay:@",
        "client_secret:\n  @\n",
        "secret: >-\n    one\n    @\n\n    @\nport: 1",
        "sasl.jaas.config=required \\\n  password \\\n  @\nport=1",
        "{\"token\":\"@\",\"port\":1}",
        "{\\\"accessToken\\\":\\\"@\\\",\\\"port\\\":1}",
        "osqueryd --enroll_secret @ --verbose",
        "[\"--password\",\"@\"]",
        "GET http://jay:@@localhost:8088/info",
        "Authorization: Basic @",
        "curl -H 'X-Auth-Token: @' http://localhost",
        "-----BEGIN RSA PRIVATE KEY-----\n@\n@\n-----END RSA PRIVATE KEY-----\nrest",
        "\"-----BEGIN PRIVATE KEY-----\\n@\\n-----END PRIVATE KEY-----\\n\"",
        "settings[\"password\"] = \"@\"",
        "\"auths\": {\"registry\": {\"auth\": \"@\"}}",
    ];

    proptest! {
        #[test]
        fn no_secret_is_left_in_a_text(
            secret in "S3[A-Za-z0-9!#$%^&*()+/;,.?~=:-]{6,20}9z",
            place in prop::sample::select(PLACES),
            before in "[a-z .]{0,20}\n",
        ) {
            let text = before + &place.replace("@@", "\u{0}").replace('@', &secret).replace('\u{0}', &format!("{secret}@"));
            let shown = redacted(&text);
            prop_assert!(!shown.contains(&secret), "{shown}");
        }

        #[test]
        fn no_secret_is_left_in_a_document(
            secret in "S3\\PC{4,20}9z",
            name in prop::sample::select(&["password", "dbPassword", "A_TOKEN", "sasl.jaas.config", "ssl.key.pem"][..]),
        ) {
            let document = json!({
                "list": [{ name: secret }, [name, secret], format!("{name}={secret}\n{secret}"), { "Name": name, "Value": secret }],
                "deep": { name: { "a": [secret] } },
            });
            let needle = json!(secret).to_string();
            let needle = needle.trim_matches('"');
            // Structure is known of a document, and not of one that somebody wrote into a log.
            let shown = redacted_json(document.clone()).to_string();
            prop_assert!(!shown.contains(needle), "{shown}");
            let logged = redacted(&json!({ "deep": { name: secret } }).to_string());
            prop_assert!(!logged.contains(needle), "{logged}");
            let quoted = redacted(&json!({ "line": json!({ name: secret }).to_string() }).to_string());
            prop_assert!(!quoted.contains(needle), "{quoted}");
        }

        #[test]
        fn any_text_can_be_redacted(text in "(\\PC|[\n\r\\\\\"'@:=]|password|token|://|-----BEGIN PRIVATE KEY-----){0,60}") {
            let _ = redacted(&text);
            let _ = redacted_json(json!({ &text: [&text] }));
        }

        #[test]
        fn plain_text_stays(text in "([a-n0-9 .,:=\"{}\\[\\]/-]{0,30}\r?\n){0,5}") {
            prop_assert_eq!(redacted(&text), text);
        }
    }
}
