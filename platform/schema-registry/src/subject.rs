//! Subjects, and the contexts that keep them apart: `:.context:subject`, or a plain name in the default context.

use std::fmt;
use std::sync::Arc;

/// The context of a plain name.
pub(crate) const DEFAULT_CONTEXT: &str = ".";
/// Names that stand for something else.
const RESERVED: [&str; 2] = ["__GLOBAL", "__EMPTY"];

/// A subject, qualified with its context. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Subject {
    /// As it is shown and stored.
    qualified: Arc<str>,
    /// Where the name begins.
    name_at: usize,
}

impl Subject {
    /// A subject as a client spells it.
    pub(crate) fn new(spelled: &str) -> Self {
        match split(spelled) {
            Some((DEFAULT_CONTEXT, name)) => Self {
                qualified: name.into(),
                name_at: 0,
            },
            Some((context, _)) => Self {
                // A colon, the context, and a colon.
                name_at: context.len() + 2,
                qualified: spelled.into(),
            },
            None => Self {
                qualified: spelled.into(),
                name_at: 0,
            },
        }
    }

    /// A subject spelled in a context: its own context wins.
    pub(crate) fn within(spelled: &str, context: &str) -> Self {
        if context == DEFAULT_CONTEXT || split(spelled).is_some() {
            Self::new(spelled)
        } else {
            Self::new(&format!(":{context}:{spelled}"))
        }
    }

    /// As it is shown and stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.qualified
    }

    /// `.` or `.lab`
    pub(crate) fn context(&self) -> &str {
        match self.name_at {
            0 => DEFAULT_CONTEXT,
            end => &self.qualified[1..end - 1],
        }
    }

    /// Nothing in the default context, else `:.lab:`.
    pub(crate) fn prefix(&self) -> &str {
        &self.qualified[..self.name_at]
    }

    /// The name without the context.
    pub(crate) fn name(&self) -> &str {
        &self.qualified[self.name_at..]
    }

    /// Whether schemas may be registered under it.
    pub(crate) fn is_valid(&self) -> bool {
        !RESERVED.contains(&self.name()) && !self.qualified.chars().any(char::is_control)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.qualified)
    }
}

impl AsRef<str> for Subject {
    fn as_ref(&self) -> &str {
        &self.qualified
    }
}

/// Which subjects a list is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// Names that begin so, in every context.
    Anywhere(String),
    /// Qualified subjects that begin so.
    Qualified(String),
}

impl Prefix {
    /// A prefix as a client spells it, in a context.
    pub(crate) fn new(spelled: Option<&str>, context: &str) -> Self {
        let spelled = spelled.unwrap_or(if context == DEFAULT_CONTEXT { ":*:" } else { "" });
        match spelled.strip_prefix(":*:") {
            Some(name) => Self::Anywhere(name.to_owned()),
            None => Self::Qualified(Subject::within(spelled, context).qualified.to_string()),
        }
    }

    pub(crate) fn matches(&self, subject: &Subject) -> bool {
        match self {
            Self::Anywhere(prefix) => subject.name().starts_with(prefix),
            Self::Qualified(prefix) => subject.as_str().starts_with(prefix),
        }
    }
}

/// The context and the name of `:.context:name`.
fn split(spelled: &str) -> Option<(&str, &str)> {
    let rest = spelled.strip_prefix(':')?;
    let (context, name) = rest.split_once(':')?;
    context.starts_with('.').then_some((context, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_told_from_names() {
        let parts = |spelled: &str| {
            let subject = Subject::new(spelled);
            [
                subject.context(),
                subject.prefix(),
                subject.name(),
                subject.as_str(),
            ]
            .map(str::to_owned)
        };
        assert_eq!(parts("door-value"), [".", "", "door-value", "door-value"]);
        assert_eq!(parts(":.:door-value"), [".", "", "door-value", "door-value"]);
        assert_eq!(
            parts(":.lab:door:value"),
            [".lab", ":.lab:", "door:value", ":.lab:door:value"]
        );
        assert_eq!(parts(":.lab:"), [".lab", ":.lab:", "", ":.lab:"]);
        assert_eq!(parts(":lab:x"), [".", "", ":lab:x", ":lab:x"]);
        assert_eq!(Subject::within("x", ".lab").as_str(), ":.lab:x");
        assert_eq!(Subject::within(":.other:x", ".lab").as_str(), ":.other:x");
    }

    #[test]
    fn prefixes_are_of_one_context_or_of_all() {
        let matches = |prefix: Option<&str>, context: &str, subject: &str| {
            Prefix::new(prefix, context).matches(&Subject::new(subject))
        };
        assert!(matches(None, ".", "a") && matches(None, ".", ":.lab:a"));
        assert!(matches(Some("a"), ".", "ab") && !matches(Some("a"), ".", ":.lab:ab"));
        assert!(matches(Some(":*:a"), ".", ":.lab:ab"));
        assert!(matches(None, ".lab", ":.lab:a") && !matches(None, ".lab", "a"));
        assert!(matches(Some("a"), ".lab", ":.lab:ab") && !matches(Some("b"), ".lab", ":.lab:ab"));
    }

    #[test]
    fn some_names_are_no_subjects() {
        for wrong in ["__GLOBAL", "__EMPTY", ":.lab:__EMPTY", "a\u{1}", "a\nb"] {
            assert!(!Subject::new(wrong).is_valid(), "{wrong:?}");
        }
        assert!(Subject::new("a/b c").is_valid());
    }
}
