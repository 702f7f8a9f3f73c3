//! A statement's rows as text by column name, for the few callers that read single values.

use std::collections::BTreeMap;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::QueryRows;

/// Text as far as C sees it: osquery's ends at the first zero byte.
pub(crate) fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Rows as osquery's API has them: everything is text, null the empty one.
#[derive(Debug, Default)]
pub(crate) struct TextRows {
    names: Vec<String>,
    rows: Vec<BTreeMap<String, Vec<u8>>>,
}

impl TextRows {
    pub(crate) fn into_rows(self) -> Vec<BTreeMap<String, Vec<u8>>> {
        self.rows
    }
}

impl QueryRows for TextRows {
    fn columns(&mut self, names: &[&str]) {
        self.names = names.iter().map(|&name| name.to_owned()).collect();
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), rusqlite::Error> {
        let mut values = BTreeMap::new();
        for (place, name) in self.names.iter().enumerate() {
            let value = match row.get_ref(place)? {
                ValueRef::Null => Vec::new(),
                ValueRef::Integer(value) => value.to_string().into_bytes(),
                ValueRef::Real(value) => super::double_text(value).into_bytes(),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => until_zero(bytes).to_vec(),
            };
            values.insert(name.clone(), value);
        }
        self.rows.push(values);
        Ok(())
    }
}
