//! What must hold of every line on its way into a record.

use osqdemo_avro::{Schema, decode};
use serde_json::Value;

use super::query_record::QueryRecord;
use super::{json_schema, result_record};

/// A line is refused in each format, or its record is one of the schema that is registered for it.
pub(crate) fn check(line: &[u8]) {
    let mut bytes = Vec::new();
    if result_record::write(line, &mut bytes).is_ok() {
        reads_back(result_record::schema(), &bytes);
    }
    let empty = QueryRecord::new("q", Vec::new(), &[]).expect("a record without columns");
    bytes.clear();
    if let Ok(wanted) = empty.write(line, &mut bytes)
        && let Ok(record) = QueryRecord::new("q", Vec::new(), &wanted)
    {
        bytes.clear();
        let unknown = record
            .write(line, &mut bytes)
            .expect("what was written once is written again");
        assert!(unknown.is_empty(), "{unknown:?} of {wanted:?}");
        reads_back(&record.text, &bytes);
    }
    bytes.clear();
    if json_schema::write(line, &mut bytes).is_ok() && serde_json::from_slice::<Value>(line).is_ok() {
        serde_json::from_slice::<Value>(&bytes).expect("what was JSON stays JSON");
    }
}

fn reads_back(schema: &str, bytes: &[u8]) {
    let schema = Schema::parse(schema).expect("what is registered is a schema");
    decode(&schema, bytes).expect("a record reads back");
}
