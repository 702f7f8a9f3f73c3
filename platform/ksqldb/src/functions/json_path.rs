//! JSON paths such as `$.log.cloud`, `$["a b"][0]`: members and elements, no wildcards. As in ksqlDB, a name
//! outside of quotes has only letters, digits and `_:@`, and quotes are double ones.

use super::FunctionError;

/// The steps from the root to one value. A step that is a number is an element's index in an array and a
/// member's name in an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonPath {
    pub(super) steps: Vec<String>,
}

impl JsonPath {
    pub(super) fn parse(path: &str) -> Result<Self, FunctionError> {
        let invalid = || FunctionError::new(format!("invalid JSON path `{path}`"));
        let mut steps = Vec::new();
        let mut rest = path.strip_prefix('$').ok_or_else(invalid)?;
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or_else(invalid)?;
            steps.push(step);
            rest = after;
        }
        Ok(Self { steps })
    }
}

/// `.name`, `[index]` or `["name"]`, and the text after it.
fn step(text: &str) -> Option<(String, &str)> {
    if let Some(name) = text.strip_prefix('.') {
        let belongs = |character: char| character.is_alphanumeric() || matches!(character, '_' | ':' | '@');
        let end = name.find(|character| !belongs(character)).unwrap_or(name.len());
        let (name, after) = name.split_at(end);
        return (!name.is_empty()).then(|| (name.to_owned(), after));
    }
    let subscript = text.strip_prefix('[')?;
    if let Some(name) = subscript.strip_prefix('"') {
        return quoted(name);
    }
    let (index, after) = subscript.split_once(']')?;
    let is_index = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    is_index.then(|| (index.to_owned(), after))
}

/// A name up to its closing quote and bracket; a backslash takes the next character as it is.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        if character == '"' {
            let after = text[index + 1..].strip_prefix(']')?;
            return Some((name, after));
        }
        name.push(if character == '\\' {
            characters.next()?.1
        } else {
            character
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps() {
        for (path, steps) in [
            ("$", vec![]),
            ("$.log.cloud", vec!["log", "cloud"]),
            ("$.@a_b[0].żółw", vec!["@a_b", "0", "żółw"]),
            ("$[\"a.b\"][\"c]\"]", vec!["a.b", "c]"]),
            (r#"$["a\"b"]"#, vec!["a\"b"]),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap().steps, steps, "{path}");
        }
        for path in [
            "", "a", "$.", "$a", "$..a", "$[*]", "$[-1]", "$[", "$['a']", "$.a-b", "$.a b", "$[\"a",
            "$[\"a\"", "$[]", "$.a]", "$.*",
        ] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_one_step(name in any::<String>()) {
            let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
            let path = JsonPath::parse(&format!("$[\"{escaped}\"]")).unwrap();
            prop_assert_eq!(path.steps, [name]);
        }

        #[test]
        fn no_path_panics(path in "[$.\\['\"\\]a0*\\\\ż]{0,12}") {
            let _ = JsonPath::parse(&path);
        }
    }
}
