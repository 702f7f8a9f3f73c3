//! The name of an image taken apart, as Docker reads it: `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`
//! (<https://pkg.go.dev/github.com/distribution/reference>).

use std::fmt;
use std::str::FromStr;

use crate::stack::ImageRef;

/// The registry of names without one.
const DOCKER_HUB: &str = "docker.io";

/// A name of an image, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry with its port, such as `docker.io` or `127.0.0.1:5000`; none where the name has none.
    pub registry: Option<String>,
    /// Such as `confluentinc/cp-server`.
    pub repository: String,
    /// Such as `7.9.8`.
    pub tag: Option<String>,
    /// Such as `sha256:…`.
    pub digest: Option<String>,
}

/// What is put before the names of images to pull them from a mirror: a registry, and perhaps a path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryPrefix(String);

/// Why a text is not the name of an image, or not a registry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidReference {
    /// Not an image.
    #[error("`{text}` is not the name of an image, such as `confluentinc/cp-server:7.9.8`")]
    Image {
        /// What was given.
        text: String,
    },
    /// Not a registry.
    #[error("`{text}` is not a registry, such as `mirror.example.org` or `127.0.0.1:5000/proxy`")]
    Registry {
        /// What was given.
        text: String,
    },
}

impl Reference {
    /// The registry that the image is pulled from.
    pub fn registry(&self) -> &str {
        self.registry.as_deref().unwrap_or(DOCKER_HUB)
    }

    /// The name without tag and digest.
    pub fn name(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.repository),
            None => self.repository.clone(),
        }
    }

    /// The tag, which is `latest` where the name has neither tag nor digest.
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or("latest")
    }

    /// The same image at that digest: what the registry is asked for when the image is locked.
    pub fn at_digest(&self, digest: &str) -> Self {
        Self {
            digest: Some(digest.to_owned()),
            ..self.clone()
        }
    }

    /// The same image in a mirror.
    pub fn in_mirror(&self, mirror: &RegistryPrefix) -> Self {
        let (registry, path) = match mirror.0.split_once('/') {
            Some((registry, path)) => (registry, format!("{path}/{}", self.repository)),
            None => (mirror.0.as_str(), self.repository.clone()),
        };
        Self {
            registry: Some(registry.to_owned()),
            repository: path,
            ..self.clone()
        }
    }

    /// The image as text.
    pub fn image(&self) -> ImageRef {
        ImageRef::new(self.to_string())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(formatter, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidReference::Image {
            text: text.to_owned(),
        };
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) if is_digest(digest) => (name, Some(digest.to_owned())),
            Some(_) => return Err(invalid()),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (name, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (Some(first.to_owned()), rest),
            _ => (None, name),
        };
        let is_valid = is_path(repository) && tag.as_deref().is_none_or(is_tag);
        is_valid.then_some(()).ok_or_else(invalid)?;
        Ok(Self {
            registry,
            repository: repository.to_owned(),
            tag,
            digest,
        })
    }
}

impl fmt::Display for RegistryPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for RegistryPrefix {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let prefix = text.trim_end_matches('/');
        let (registry, path) = match prefix.split_once('/') {
            Some((registry, path)) => (registry, Some(path)),
            None => (prefix, None),
        };
        if is_registry(registry) && path.is_none_or(is_path) {
            Ok(Self(prefix.to_owned()))
        } else {
            Err(InvalidReference::Registry {
                text: text.to_owned(),
            })
        }
    }
}

/// Docker's rule: the first part of a name is a registry when it could not be part of a path.
fn is_registry(part: &str) -> bool {
    let letters = |text: &str, more: &[u8]| {
        let mut bytes = text.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    if let Some((address, port)) = part.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_address = !address.is_empty()
            && address
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte));
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, rest) = part.split_at(part.find(['.', ':']).unwrap_or(part.len()));
    let is_name = name.starts_with(|first: char| first.is_ascii_alphanumeric()) && letters(name, b"-");
    part == "localhost" || is_name && !rest.is_empty() && letters(rest, b".:-")
}

fn is_path(path: &str) -> bool {
    path.split('/').all(|part| {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        part.bytes().all(|byte| letter(byte) || b"._-".contains(&byte))
            && part.bytes().next().is_some_and(letter)
            && part.bytes().next_back().is_some_and(letter)
    })
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether a text is a digest: `sha256:` and 64 hexadecimal digits.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> Option<(String, String, String)> {
        let reference: Reference = text.parse().ok()?;
        Some((
            reference.registry().to_owned(),
            reference.repository.clone(),
            reference.tag().to_owned(),
        ))
    }

    #[test]
    fn names_are_taken_apart_as_docker_does() {
        let cases = [
            ("debian", "docker.io", "debian", "latest"),
            (
                "confluentinc/cp-server:7.9.8",
                "docker.io",
                "confluentinc/cp-server",
                "7.9.8",
            ),
            ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000", "a/b", "1"),
            ("localhost/a", "localhost", "a", "latest"),
            ("localhost:5000/a", "localhost:5000", "a", "latest"),
            ("mirror.example.org/x/y/z:t", "mirror.example.org", "x/y/z", "t"),
        ];
        for (text, registry, repository, tag) in cases {
            let expected = (registry.to_owned(), repository.to_owned(), tag.to_owned());
            assert_eq!(parts(text), Some(expected), "{text}");
        }
        for wrong in [
            "",
            ":",
            "a:",
            "A/b",
            "a//b",
            "a@sha256:12",
            "a b",
            "a/",
            "/a",
            "a:b c",
        ] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_mirror_keeps_the_path() {
        let image: Reference = "confluentinc/cp-server:7.9.8".parse().expect("an image");
        let mirrored = |prefix: &str| {
            let prefix: RegistryPrefix = prefix.parse().expect("a registry");
            image.in_mirror(&prefix).to_string()
        };
        assert_eq!(
            mirrored("127.0.0.1:5000"),
            "127.0.0.1:5000/confluentinc/cp-server:7.9.8"
        );
        assert_eq!(
            mirrored("mirror.example.org/hub/"),
            "mirror.example.org/hub/confluentinc/cp-server:7.9.8"
        );
        assert_eq!(mirrored("[::1]:5000"), "[::1]:5000/confluentinc/cp-server:7.9.8");
        for wrong in [
            "",
            "mirror",
            "mirror/x",
            "https://mirror.example.org",
            ":5000",
            "-:5000",
            "[]:5000",
            "[::1]x",
        ] {
            assert!(wrong.parse::<RegistryPrefix>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = (text.parse::<Reference>(), text.parse::<RegistryPrefix>());
        }

        #[test]
        fn a_name_is_written_as_it_was_read(
            text in "([a-z]{1,8}\\.org(:[1-9]{4})?/)?[a-z0-9]{1,8}(/[a-z]{1,8})?(:[a-z0-9.]{0,5}[a-z0-9])?(@sha256:[0-9a-f]{64})?"
        ) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string(), text);
            }
        }
    }
}
