//! Mode `record`: a record of its own for each query, made of the columns that its rows have.
//!
//! A column is never taken away and a new one comes last, may be missing, and is missing by default: each version of a query's
//! schema reads what all others wrote.

use std::collections::{BTreeSet, HashMap, HashSet};

use osqdemo_avro::write::{write_branch, write_string};
use osqdemo_avro::{Kind, Schema};
use serde_json::json;

use super::envelope::{self, NAMESPACE, for_each_column};
use super::line::{Line, Unencodable, text, utf8};

/// The most columns of a query. SQLite has no more in a result by default than twice as many.
const MOST_COLUMNS: usize = 1_000;
/// The longest name of a column.
const LONGEST_NAME: usize = 255;
/// The attribute of what has another name than in osquery.
const ORIGINAL: &str = "osquery.name";

/// The record of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct QueryRecord {
    /// The schema.
    pub(super) text: String,
    columns: Vec<Column>,
    /// The place of each column, by its name in the JSON of a line.
    places: HashMap<Vec<u8>, usize>,
}

/// A column of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// As osquery names it.
    name: String,
    /// As Avro does.
    field: String,
}

impl Column {
    /// As osquery names it.
    pub(super) fn name(&self) -> String {
        self.name.clone()
    }
}

impl QueryRecord {
    /// The record of `query` with the columns that it has, and those that are wanted.
    pub(super) fn new(query: &str, mut columns: Vec<Column>, wanted: &[String]) -> Result<Self, Unencodable> {
        let mut names: HashSet<String> = columns.iter().map(|column| column.name.clone()).collect();
        let mut fields: HashSet<String> = columns.iter().map(|column| column.field.clone()).collect();
        for name in wanted {
            if name.len() > LONGEST_NAME {
                return Err(Unencodable::LongName { most: LONGEST_NAME });
            }
            if !names.insert(name.clone()) {
                continue;
            }
            let mut field = avro_name(name);
            while !fields.insert(field.clone()) {
                field.push('_');
            }
            let name = name.clone();
            columns.push(Column { name, field });
        }
        if columns.len() > MOST_COLUMNS {
            return Err(Unencodable::TooManyColumns { most: MOST_COLUMNS });
        }
        let places = columns.iter().enumerate();
        Ok(Self {
            text: schema(query, &columns),
            places: places
                .map(|(place, column)| (column.name.clone().into_bytes(), place))
                .collect(),
            columns,
        })
    }

    /// The columns.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Appends a line; the names of columns that the record does not have, if there are any, and then nothing of use was
    /// appended.
    pub(super) fn write(&self, line: &[u8], out: &mut Vec<u8>) -> Result<Vec<String>, Unencodable> {
        let line = Line::read(line)?;
        let mut unknown = BTreeSet::new();
        envelope::write(&line, out, |row, out| self.write_row(row, &mut unknown, out))?;
        Ok(unknown.into_iter().collect())
    }

    fn write_row(
        &self,
        row: &[u8],
        unknown: &mut BTreeSet<String>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        let mut cells: Vec<Option<&[u8]>> = vec![None; self.columns.len()];
        for_each_column("columns", row, |name, value| {
            let decoded = crate::json::decode(name);
            match self.places.get(&*decoded) {
                Some(place) => _ = cells[*place].get_or_insert(value),
                None => {
                    let name = utf8(decoded);
                    match self.places.get(name.as_bytes()) {
                        Some(place) => _ = cells[*place].get_or_insert(value),
                        // Beyond that, the line cannot be encoded anyway.
                        None if unknown.len() <= MOST_COLUMNS => _ = unknown.insert(name.into_owned()),
                        None => {}
                    }
                }
            }
            Ok(())
        })?;
        for cell in cells {
            let value = cell.and_then(text);
            write_branch(u32::from(value.is_some()), out);
            if let Some(value) = value {
                write_string(&value, out);
            }
        }
        Ok(())
    }
}

/// The full name of the record of a query.
pub(super) fn full_name(query: &str) -> String {
    format!("{NAMESPACE}.{}", avro_name(query))
}

/// The columns that a registered schema has; none of one that is no query's record.
pub(super) fn columns_of(text: &str) -> Vec<Column> {
    let Ok(schema) = Schema::parse(text) else {
        return Vec::new();
    };
    let field = schema
        .record()
        .and_then(|record| record.fields.iter().find(|field| field.name == "columns"));
    let Some(Kind::Union(branches)) = field.map(|field| schema.kind(field.schema)) else {
        return Vec::new();
    };
    let row = branches.iter().find_map(|branch| match schema.kind(*branch) {
        Kind::Record(row) => Some(row),
        _ => None,
    });
    let columns = row.into_iter().flat_map(|row| &row.fields);
    columns
        .map(|field| Column {
            name: match field.attributes.get(ORIGINAL).and_then(|name| name.as_str()) {
                Some(name) => name.to_owned(),
                None => field.name.clone(),
            },
            field: field.name.clone(),
        })
        .collect()
}

fn schema(query: &str, columns: &[Column]) -> String {
    let name = avro_name(query);
    let fields: Vec<String> = columns
        .iter()
        .map(|Column { name, field }| {
            let original = original(name, field);
            format!(r#"{{"name":"{field}","type":["null","string"],"default":null{original}}}"#)
        })
        .collect();
    let row_name = format!("{name}_columns");
    let row = format!(
        r#"{{"type":"record","name":"{row_name}","fields":[{}]}}"#,
        fields.join(",")
    );
    envelope::schema(&name, &original(query, &name), &row, &format!("\"{row_name}\""))
}

fn original(name: &str, in_avro: &str) -> String {
    match name == in_avro {
        true => String::new(),
        false => format!(",\"{ORIGINAL}\":{}", json!(name)),
    }
}

/// A name as Avro takes it: letters, digits and `_`, and no digit first.
fn avro_name(name: &str) -> String {
    let mut in_avro: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    if in_avro.is_empty() || in_avro.starts_with(|first: char| first.is_ascii_digit()) {
        in_avro.insert(0, '_');
    }
    in_avro
}

#[cfg(test)]
mod tests {
    use osqdemo_avro::compatibility::{Level, check_against};
    use osqdemo_avro::{Value, decode};
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_query_grows_and_its_schemas_read_each_other() {
        let none = QueryRecord::new("pack/ir/open files", Vec::new(), &[]).unwrap();
        let line = br#"{"name":"q","columns":{"path":"/x","count(*)":"2","count[*]":"3"},"action":"added"}"#;
        let mut bytes = Vec::new();
        let wanted = none.write(line, &mut bytes).unwrap();
        assert_eq!(wanted, names(&["count(*)", "count[*]", "path"]));
        let first = QueryRecord::new("pack/ir/open files", Vec::new(), &wanted).unwrap();
        bytes.clear();
        assert_eq!(first.write(line, &mut bytes).unwrap(), names(&[]));

        let schema = Schema::parse(&first.text).unwrap();
        assert_eq!(schema.canonical_text(), first.text);
        let record = schema.record().unwrap();
        assert_eq!(record.name.full(), full_name("pack/ir/open files"));
        assert_eq!(record.name.full(), "io.osqdemo.osquery.pack_ir_open_files");
        let Value::Record(values) = decode(&schema, &bytes).unwrap() else {
            panic!("a record")
        };
        let text = |text: &str| Value::Union(1, Box::new(Value::String(text.to_owned())));
        let row = Value::Record(vec![text("2"), text("3"), text("/x")]);
        assert_eq!(values[9], Value::Union(1, Box::new(row)));

        // What was registered is where the next version goes on from, whoever registered it.
        let known = columns_of(&first.text);
        assert_eq!(known, first.columns());
        let second = QueryRecord::new("pack/ir/open files", known, &names(&["a", "path"])).unwrap();
        assert_eq!(second.columns()[3].name, "a");
        let second = Schema::parse(&second.text).unwrap();
        let (messages, _) = check_against(Level::Full, &second, &schema);
        assert!(messages.is_empty(), "{messages:?}");
    }

    #[test]
    fn what_grows_is_bounded() {
        let many: Vec<String> = (0..=MOST_COLUMNS).map(|number| format!("c{number}")).collect();
        let error = QueryRecord::new("q", Vec::new(), &many).unwrap_err();
        assert_eq!(error, Unencodable::TooManyColumns { most: MOST_COLUMNS });
        let long = "x".repeat(LONGEST_NAME + 1);
        let error = QueryRecord::new("q", Vec::new(), &[long]).unwrap_err();
        assert_eq!(error, Unencodable::LongName { most: LONGEST_NAME });
    }

    #[test]
    fn a_schema_of_something_else_has_no_columns() {
        for text in ["", "\"string\"", super::super::result_record::schema()] {
            assert_eq!(columns_of(text), Vec::new(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_row_is_written_and_read(
            query in "\\PC{0,8}",
            rows in proptest::collection::vec(
                proptest::collection::btree_map("\\PC{0,6}", "\\PC{0,6}", 0..6), 0..70),
        ) {
            let line = json!({ "name": query, "snapshot": rows }).to_string();
            let none = QueryRecord::new(&query, Vec::new(), &[]).unwrap();
            let wanted = none.write(line.as_bytes(), &mut Vec::new()).unwrap();
            let record = QueryRecord::new(&query, Vec::new(), &wanted).unwrap();
            let mut bytes = Vec::new();
            prop_assert_eq!(record.write(line.as_bytes(), &mut bytes).unwrap(), Vec::<String>::new());
            let schema = Schema::parse(&record.text).unwrap();
            let Value::Record(values) = decode(&schema, &bytes).unwrap() else { panic!("a record") };
            let Value::Array(read) = values[10].without_union() else { panic!("rows") };
            prop_assert_eq!(read.len(), rows.len());
            for (read, row) in read.iter().zip(&rows) {
                let Value::Record(cells) = read else { panic!("a row") };
                for (column, cell) in record.columns().iter().zip(cells) {
                    let expected = row.get(&column.name).map_or(Value::Null, |text| Value::String(text.clone()));
                    prop_assert_eq!(cell.without_union(), &expected);
                }
            }
        }
    }
}
