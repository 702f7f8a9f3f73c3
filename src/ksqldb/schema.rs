//! The columns of a result, as the header of a stream of rows names them.
//!
//! ksqlDB sends them as one text: `` `HOST` STRING KEY, `TAGS` MAP<STRING, STRING> ``. Names are quoted with
//! backticks (a backtick inside is doubled), types nest with `<>` and `()`.

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, without quotes.
    pub name: String,
    /// Its SQL type, such as `MAP<STRING, STRING>`.
    pub sql_type: String,
    /// Whether it belongs to the key (pull queries tell).
    pub is_key: bool,
}

/// Reads a header's schema. `None` when the text is not one.
pub fn parse(schema: &str) -> Option<Vec<Column>> {
    if schema.trim().is_empty() {
        return Some(Vec::new());
    }
    split_top_level(schema)?.into_iter().map(column).collect()
}

fn column(text: &str) -> Option<Column> {
    let text = text.trim();
    let (name, rest) = name(text)?;
    let rest = rest.trim();
    let (sql_type, is_key) = match rest.strip_suffix(" KEY") {
        Some(sql_type) => (sql_type.trim_end(), true),
        None => (rest, false),
    };
    (!sql_type.is_empty()).then(|| Column {
        name,
        sql_type: sql_type.to_owned(),
        is_key,
    })
}

/// Splits off the name in front of a type.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('`') else {
        let (name, rest) = text.split_once(' ')?;
        return Some((name.to_owned(), rest));
    };
    let mut name = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if c != '`' {
            name.push(c);
        } else if characters.next_if(|&(_, next)| next == '`').is_some() {
            name.push('`');
        } else {
            return Some((name, &quoted[at + 1..]));
        }
    }
    None
}

/// Splits at the commas that stand outside names and nested types. `None` when something stays open.
fn split_top_level(schema: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut start) = (0_u32, false, 0);
    for (at, c) in schema.char_indices() {
        match c {
            // A doubled backtick flips twice and so changes nothing.
            '`' => quoted = !quoted,
            _ if quoted => {}
            '<' | '(' => depth += 1,
            '>' | ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(&schema[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    (depth == 0 && !quoted).then(|| {
        parts.push(&schema[start..]);
        parts
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(name: &str, sql_type: &str, is_key: bool) -> Column {
        Column {
            name: name.to_owned(),
            sql_type: sql_type.to_owned(),
            is_key,
        }
    }

    #[test]
    fn nested_types_keys_and_odd_names() {
        assert_eq!(
            parse(
                "`ID` STRING KEY, `M` MAP<STRING, STRING>, `a, ``b` STRUCT<`X` DECIMAL(4, 2), `Y` ARRAY<INTEGER>>"
            ),
            Some(vec![
                named("ID", "STRING", true),
                named("M", "MAP<STRING, STRING>", false),
                named("a, `b", "STRUCT<`X` DECIMAL(4, 2), `Y` ARRAY<INTEGER>>", false),
            ])
        );
        assert_eq!(parse(""), Some(Vec::new()));
        assert_eq!(parse("`A` MAP<STRING"), None);
        assert_eq!(parse("`A"), None);
        assert_eq!(parse("`A`"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_is_read_back(names in prop::collection::vec("[^`]{1,8}|[`a-z, <>()]{1,8}", 1..5)) {
            let types = ["STRING", "MAP<STRING, ARRAY<INTEGER>>", "DECIMAL(10, 2)", "STRUCT<`A` DOUBLE, `B` DATE>"];
            let columns: Vec<Column> = names
                .iter()
                .enumerate()
                .map(|(index, name)| named(name, types[index % types.len()], index == 0))
                .collect();
            let schema: Vec<String> = columns
                .iter()
                .map(|column| {
                    let key = if column.is_key { " KEY" } else { "" };
                    format!("`{}` {}{key}", column.name.replace('`', "``"), column.sql_type)
                })
                .collect();
            prop_assert_eq!(parse(&schema.join(", ")), Some(columns));
        }
    }
}
