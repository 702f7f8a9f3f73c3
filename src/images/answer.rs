//! What a daemon or a registry says in prose, read as words: names of images, addresses and paths in it, which anyone
//! can choose, are not words and mean nothing.

/// An answer's words, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    words: Vec<String>,
}

/// The statuses of HTTP that are told with their reason (RFC 9110), by the first word of it.
const REASONS: [(u16, &str); 9] = [
    (401, "unauthorized"),
    (403, "forbidden"),
    (404, "not"),
    (408, "request"),
    (429, "too"),
    (500, "internal"),
    (502, "bad"),
    (503, "service"),
    (504, "gateway"),
];

impl Answer {
    /// Reads the words of a text.
    pub fn read(text: &str) -> Self {
        let mut words: Vec<String> = Vec::new();
        let mut tokens = text.split_whitespace().peekable();
        while let Some(token) = tokens.next() {
            let bare = token.trim_matches(|sign: char| !sign.is_alphanumeric());
            // podman says `reading manifest TAG in NAME`.
            let is_tag = tokens.peek() == Some(&"in")
                && matches!(words.as_slice(), [.., one, two] if one == "reading" && two == "manifest");
            if !bare.is_empty() && !is_tag && !is_name(token, bare) {
                words.push(bare.to_ascii_lowercase());
            }
        }
        Self { words }
    }

    /// Whether these words, in lower case and parted by single blanks, stand in it one after the other.
    pub fn says(&self, phrase: &str) -> bool {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        self.words.windows(phrase.len()).any(|words| words == phrase)
    }

    /// The status of HTTP that it tells: `HTTP 429`, `status: 503`, `status code 401`, `502 Bad Gateway`.
    pub fn status(&self) -> Option<u16> {
        self.words.iter().enumerate().find_map(|(index, word)| {
            let status: u16 = word.parse().ok().filter(|status| (400..600).contains(status))?;
            let before = index.checked_sub(1).and_then(|before| self.words.get(before));
            let is_announced =
                before.is_some_and(|before| matches!(before.as_str(), "http" | "status" | "code"));
            let after = self.words.get(index + 1);
            let has_reason = REASONS
                .iter()
                .any(|(known, reason)| *known == status && after.is_some_and(|after| after == reason));
            (is_announced || has_reason).then_some(status)
        })
    }
}

/// Whether a token is a path, an address, a reference of an image or a digest rather than a word.
fn is_name(token: &str, bare: &str) -> bool {
    token.contains('/') || bare.contains([':', '@', '='])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_not_words() {
        let answer = Answer::read(
            "Get \"http://127.0.0.1:42941/v2/denied/eof/manifests/429\": no basic auth credentials (localhost:429)",
        );
        assert_eq!(answer.words, ["get", "no", "basic", "auth", "credentials"]);
        assert!(answer.says("no basic auth"));
        assert!(!answer.says("basic credentials"));
        assert!(!answer.says("bas"), "a part of a word is not the word");
        assert_eq!(answer.status(), None);
    }

    #[test]
    fn a_status_is_announced_or_has_its_reason() {
        for (text, status) in [
            ("error parsing HTTP 429 response body", Some(429)),
            (
                "received unexpected HTTP status: 503 Service Unavailable",
                Some(503),
            ),
            (
                "unexpected status from HEAD request to http://x/429: 401 Unauthorized",
                Some(401),
            ),
            (
                "failed with status code [manifests latest]: 404 Not Found",
                Some(404),
            ),
            ("429 bytes were read", None),
            ("status: 200 OK", None),
        ] {
            assert_eq!(Answer::read(text).status(), status, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_stands_in_a_name_is_never_said(part in "[a-z0-9]{1,12}", port in 1_u16..) {
            let text = format!("x {port}/{part} h:{port} {part}/{part}:{part} \"http://{part}:{port}/v2/\" {part}@sha256:{port}");
            let answer = Answer::read(&text);
            prop_assert_eq!(answer.words.as_slice(), ["x"]);
        }

        #[test]
        fn any_text_can_be_read(text in "\\PC*") {
            let answer = Answer::read(&text);
            let _ = (answer.status(), answer.says("a b"));
        }
    }
}
