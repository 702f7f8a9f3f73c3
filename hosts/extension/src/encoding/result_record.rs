//! Mode `map`: one schema for the lines of all queries, which never changes. A row is an open map.

use std::sync::LazyLock;

use super::envelope::{self, NAMESPACE, write_map};
use super::line::{Line, Unencodable};

/// The record's name.
const NAME: &str = "Result";
/// A row.
const ROW: &str = r#"{"type":"map","values":"string"}"#;

/// The schema's text.
pub(super) fn schema() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| envelope::schema(NAME, "", ROW, ROW));
    &TEXT
}

/// The record's full name.
pub(super) fn full_name() -> String {
    format!("{NAMESPACE}.{NAME}")
}

/// Appends a line.
pub(super) fn write(line: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let line = Line::read(line)?;
    envelope::write(&line, out, |row, out| write_map("columns", row, out))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use osqdemo_avro::{Schema, Value, decode};
    use osquery_protocol::result_log::{Action, ColumnValue, DecorationPlace, Numerics, QueryRun, Row};

    use super::*;

    fn run(numerics: Numerics, decoration_place: DecorationPlace) -> QueryRun {
        QueryRun {
            name: "processes".into(),
            host_identifier: "host1".into(),
            unix_time: 1_795_495_590,
            epoch: 0,
            counter: 3,
            numerics,
            decorations: BTreeMap::from([("who".into(), "jay".into())]),
            decoration_place,
        }
    }

    /// A line written and read again, as a field's name and value each; fields that are null are left out.
    fn read(line: &[u8]) -> Vec<(String, Value)> {
        let schema = Schema::parse(schema()).unwrap();
        let mut bytes = Vec::new();
        write(line, &mut bytes).unwrap();
        let Value::Record(values) = decode(&schema, &bytes).unwrap() else {
            panic!("a record")
        };
        let names = schema
            .record()
            .unwrap()
            .fields
            .iter()
            .map(|field| field.name.clone());
        names
            .zip(values)
            .map(|(name, value)| (name, value.without_union().clone()))
            .filter(|(_, value)| *value != Value::Null)
            .collect()
    }

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    fn map(entries: &[(&str, &str)]) -> Value {
        let entries = entries
            .iter()
            .map(|(name, value)| ((*name).to_owned(), text(value)));
        Value::Map(entries.collect())
    }

    fn common(numerics: bool) -> Vec<(String, Value)> {
        let common = [
            ("name", text("processes")),
            ("hostIdentifier", text("host1")),
            ("calendarTime", text("Tue Nov 24 04:46:30 2026 UTC")),
            ("unixTime", Value::Long(1_795_495_590)),
            ("epoch", Value::Long(0)),
            ("counter", Value::Long(3)),
            ("numerics", Value::Boolean(numerics)),
            ("decorations", map(&[("who", "jay")])),
        ];
        common.map(|(name, value)| (name.to_owned(), value)).into()
    }

    #[test]
    fn every_kind_of_line_fits() {
        let row = Row::from([
            ("name".into(), "init".into()),
            ("pid".into(), ColumnValue::Integer(1)),
        ]);
        let columns = map(&[("name", "init"), ("pid", "1")]);
        let with = |numerics, more: &[(&str, Value)]| {
            let mut all = common(numerics);
            all.extend(
                more.iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone())),
            );
            all
        };
        for (place, numerics) in [
            (DecorationPlace::Nested, Numerics::AsText),
            (DecorationPlace::TopLevel, Numerics::AsNumbers),
        ] {
            let run = run(numerics, place);
            let numerics = numerics == Numerics::AsNumbers;
            assert_eq!(
                read(&run.event_line(&row, Action::Added)),
                with(
                    numerics,
                    &[("action", text("added")), ("columns", columns.clone())]
                )
            );
            let rows = vec![columns.clone(); 100];
            assert_eq!(
                read(&run.snapshot_line(&vec![row.clone(); 100])),
                with(
                    numerics,
                    &[("action", text("snapshot")), ("snapshot", Value::Array(rows))]
                )
            );
            let differences = Value::Record(vec![
                Value::Array(Vec::new()),
                Value::Array(vec![columns.clone()]),
            ]);
            assert_eq!(
                read(&run.batch_line(&[], std::slice::from_ref(&row))),
                with(numerics, &[("diffResults", differences)])
            );
        }
    }

    #[test]
    fn what_a_line_lacks_is_null() {
        assert_eq!(read(b"{}"), [("numerics".to_owned(), Value::Boolean(false))]);
    }

    #[test]
    fn rows_that_are_none_are_refused() {
        for line in [
            r#"{"columns":7}"#,
            r#"{"snapshot":{}}"#,
            r#"{"snapshot":[7]}"#,
            r#"{"diffResults":{"added":7}}"#,
        ] {
            let mut bytes = Vec::new();
            write(line.as_bytes(), &mut bytes).unwrap_err();
        }
    }

    #[test]
    fn the_text_is_as_a_registry_keeps_it() {
        let parsed = Schema::parse(schema()).unwrap();
        assert_eq!(parsed.canonical_text(), schema());
        assert_eq!(parsed.record().unwrap().name.full(), full_name());
    }
}
