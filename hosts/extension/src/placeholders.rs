//! Secrets that a configuration names instead of having them: `${env:NAME}` and `${file:PATH}`.

use std::io::Read as _;
use std::path::Path;

use osquery_configuration::regular_file;

/// Why a placeholder has no value. Nothing of a value is in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceholderError {
    #[error("the environment variable `{name}` is not set")]
    NotSet { name: String },
    #[error("cannot read the file `{path}`: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("the file `{path}` is larger than {FILE_LIMIT} bytes")]
    TooLarge { path: String },
    #[error("`${{{text}` is no placeholder")]
    Malformed { text: String },
}

/// No secret is larger.
const FILE_LIMIT: u64 = 64 * 1024;

/// A text with the values in the place of its placeholders.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) text: String,
    /// The values that were put in, all of them secret.
    pub(crate) secrets: Vec<String>,
}

/// Puts the values in. A file's last line feed is not part of its value.
pub(crate) fn resolve(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Resolved, PlaceholderError> {
    let mut resolved = Resolved {
        text: String::new(),
        secrets: Vec::new(),
    };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        resolved.text.push_str(before);
        let malformed = || PlaceholderError::Malformed {
            text: after
                .chars()
                .take_while(|character| *character != '}')
                .take(8)
                .collect(),
        };
        let (place, after) = after.split_once('}').ok_or_else(malformed)?;
        let value = match place.split_once(':') {
            Some(("env", name)) => variable(name).ok_or_else(|| PlaceholderError::NotSet {
                name: name.to_owned(),
            })?,
            Some(("file", path)) => read(path)?,
            _ => return Err(malformed()),
        };
        resolved.text.push_str(&value);
        resolved.secrets.push(value);
        rest = after;
    }
    resolved.text.push_str(rest);
    Ok(resolved)
}

fn read(path: &str) -> Result<String, PlaceholderError> {
    let unreadable = |source| PlaceholderError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // Neither is a pipe read: it could be read only once, and a changed configuration reads its secrets anew.
    let file = regular_file::open(Path::new(path)).map_err(unreadable)?;
    let mut value = String::new();
    file.take(FILE_LIMIT + 1)
        .read_to_string(&mut value)
        .map_err(unreadable)?;
    if value.len() as u64 > FILE_LIMIT {
        return Err(PlaceholderError::TooLarge {
            path: path.to_owned(),
        });
    }
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_and_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "from file\n").unwrap();
        // As secrets are mounted: behind links.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let path = link;
        let variable = |name: &str| (name == "KEY").then(|| "from env".to_owned());
        let text = format!("a ${{env:KEY}} b ${{file:{}}} $c", path.display());
        let resolved = resolve(&text, variable).unwrap();
        assert_eq!(resolved.text, "a from env b from file $c");
        assert_eq!(resolved.secrets, ["from env", "from file"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("${env:OTHER}", "the environment variable `OTHER` is not set"),
            ("${file:/nonexistent/s}", "cannot read the file `/nonexistent/s`"),
            (
                "${file:/dev/zero}",
                "cannot read the file `/dev/zero`: it is no regular file",
            ),
            ("${secret}", "`${secret` is no placeholder"),
            ("${env:KEY", "`${env:KEY` is no placeholder"),
        ] {
            let error = resolve(text, |_| None).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
