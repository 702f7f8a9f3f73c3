//! The codec, compared with Apache's, and on bytes that are no value.

use crate::support::{Dice, Type, covering};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use osqdemo_avro::{Cursor, DecodeError, EncodeError, Schema, Value, decode, encode};
use proptest::prelude::*;

fn encoded(schema: &Schema, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(schema, value, &mut bytes).expect("a value of the schema");
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn apache_reads_what_is_written_and_writes_what_is_read(seed: u64) {
        let json = Type::any(&mut Dice::new(seed), 3).schema("");
        let schema = Schema::parse(&json.to_string()).expect("a schema");
        let apache = apache_avro::Schema::parse(&json).expect("a schema");
        let reader = GenericDatumReader::builder(&apache).build().expect("a reader");
        let writer = GenericDatumWriter::builder(&apache).build().expect("a writer");
        for value in covering(&schema, schema.root()) {
            let bytes = encoded(&schema, &value);
            prop_assert_eq!(&decode(&schema, &bytes), &Ok(value.clone()));
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.skip(&schema, schema.root()).and_then(|()| cursor.end()), Ok(()));
            let failed = |error: apache_avro::Error| TestCaseError::fail(format!("{json} {value:?}: {error}"));
            let read = reader.read_value(&mut bytes.as_slice()).map_err(failed)?;
            let written = writer.write_value_to_vec(read).map_err(failed)?;
            prop_assert_eq!(written, bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(seed: u64, bytes: Vec<u8>) {
        let json = Type::any(&mut Dice::new(seed), 3).schema("");
        let schema = Schema::parse(&json.to_string()).expect("a schema");
        if let Ok(value) = decode(&schema, &bytes) {
            let again = encoded(&schema, &value);
            prop_assert_eq!(decode(&schema, &again).map(|value| encoded(&schema, &value)), Ok(again));
        }
    }
}

#[test]
fn collections_of_nothing_are_cut_off() {
    let schema = Schema::parse(r#"{"type":"array","items":"null"}"#).unwrap();
    let mut bytes = vec![0xff; 9];
    bytes.extend([0x01, 0x02, 0x00]);
    assert_eq!(decode(&schema, &bytes), Err(DecodeError::TooMany));
    let longest = i64::MIN;
    let mut number = Vec::new();
    encode(
        &Schema::parse(r#""long""#).unwrap(),
        &Value::Long(longest),
        &mut number,
    )
    .unwrap();
    number.extend([0, 0]);
    assert_eq!(decode(&schema, &number), Err(DecodeError::TooMany));
}

#[test]
fn nesting_is_cut_off() {
    let list = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
    let schema = Schema::parse(list).unwrap();
    let long = vec![2; 5_000_000];
    assert_eq!(decode(&schema, &long), Err(DecodeError::TooDeep));
    let mut value = Value::Record(vec![Value::Union(0, Box::new(Value::Null))]);
    for _ in 0..1_000 {
        value = Value::Record(vec![Value::Union(1, Box::new(value))]);
    }
    let mut bytes = b"kept".to_vec();
    assert_eq!(encode(&schema, &value, &mut bytes), Err(EncodeError::TooDeep));
    assert_eq!(bytes, b"kept");
}

#[test]
fn what_is_wrong_with_the_bytes_is_said() {
    let said = |schema: &str, bytes: &[u8]| {
        decode(&Schema::parse(schema).unwrap(), bytes)
            .expect_err("no value")
            .to_string()
    };
    assert_eq!(
        said(r#""string""#, &[8, b'a']),
        "a length of 4 where 1 bytes are left"
    );
    assert_eq!(said(r#""string""#, &[1]), "a length of -1 where 0 bytes are left");
    assert_eq!(said(r#""string""#, &[2, 0xff]), "a text that is not UTF-8");
    assert_eq!(said(r#""long""#, &[0xff; 10]), "a number that is no long");
    assert_eq!(
        said(r#""int""#, &[0xfe, 0xff, 0xff, 0xff, 0x1f]),
        "a number that is no int"
    );
    assert_eq!(
        said(r#""double""#, &[0; 7]),
        "the bytes end within a value of double"
    );
    assert_eq!(said(r#""null""#, &[0]), "1 bytes after the value");
    assert_eq!(said(r#"["null","int"]"#, &[4]), "place 2 in `union`, which has 2");
    assert_eq!(
        said(r#"{"type":"enum","name":"n.E","symbols":["A"]}"#, &[3]),
        "place -2 in `n.E`, which has 1"
    );
}
