use super::*;

fn messages(reader: &str, writer: &str) -> Vec<String> {
    let (reader, writer) = (Schema::parse(reader).unwrap(), Schema::parse(writer).unwrap());
    let found = incompatibilities(&reader, &writer);
    found.iter().map(Incompatibility::to_string).collect()
}

/// A record with one field of a type.
fn record(field: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field}}}]}}"#)
}

fn field(reader: &str, writer: &str) -> Vec<String> {
    messages(&record(reader), &record(writer))
}

#[test]
fn promotions_are_those_of_avro() {
    let types = [
        "null", "boolean", "int", "long", "float", "double", "bytes", "string",
    ];
    let readable = |writer: &str, reader: &str| {
        writer == reader
            || matches!(
                (writer, reader),
                ("int", "long" | "float" | "double")
                    | ("long", "float" | "double")
                    | ("float", "double")
                    | ("bytes", "string")
                    | ("string", "bytes")
            )
    };
    for writer in types {
        for reader in types {
            let found = field(&format!("\"{reader}\""), &format!("\"{writer}\""));
            assert_eq!(
                found.is_empty(),
                readable(writer, reader),
                "{reader} reads {writer}"
            );
        }
    }
}

#[test]
fn messages_are_those_of_the_registry() {
    assert_eq!(
        field(r#""int""#, r#""string""#),
        [
            "{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the new schema \
             does not match with the old schema', additionalInfo:'reader type: INT not compatible with writer type: \
             STRING'}"
        ]
    );
    assert_eq!(
        messages(
            r#"{"type":"enum","name":"E","symbols":["B"]}"#,
            r#"{"type":"enum","name":"E","symbols":["C","A","B"]}"#
        ),
        [
            "{errorType:'MISSING_ENUM_SYMBOLS', description:'The new schema is missing enum symbols '[A, C]' at path \
             '/symbols' in the old schema', additionalInfo:'[A, C]'}"
        ]
    );
    assert_eq!(
        messages(
            r#"{"type":"fixed","name":"G","size":2}"#,
            r#"{"type":"fixed","name":"n.F","size":3}"#
        ),
        [
            "{errorType:'NAME_MISMATCH', description:'The name of the schema has changed (path '/name')', \
             additionalInfo:'expected: n.F'}",
            "{errorType:'FIXED_SIZE_MISMATCH', description:'The size of FIXED type field at path '/size' in the new \
             schema does not match with the old schema', additionalInfo:'expected: 3, found: 2'}"
        ]
    );
    assert_eq!(
        field(r#"["null","string"]"#, r#"["null","int"]"#),
        [
            "{errorType:'MISSING_UNION_BRANCH', description:'The new schema is missing a type inside a union field at \
             path '/fields/0/type/1' in the old schema', additionalInfo:'reader union lacking writer type: INT'}"
        ]
    );
    // What lies below a union begins a path of its own.
    assert_eq!(
        field(r#""int""#, r#"["null","int"]"#),
        [
            "{errorType:'TYPE_MISMATCH', description:'The type (path '/') of a field in the new schema does not match \
             with the old schema', additionalInfo:'reader type: INT not compatible with writer type: NULL'}"
        ]
    );
    assert_eq!(
        field(
            r#"{"type":"array","items":"int"}"#,
            r#"{"type":"array","items":"string"}"#
        ),
        [
            "{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type/items') of a field in the new \
             schema does not match with the old schema', additionalInfo:'reader type: INT not compatible with writer \
             type: STRING'}"
        ]
    );
}

#[test]
fn the_words_swap_where_the_new_schema_writes() {
    let old = Schema::parse(&record(r#""int""#)).unwrap();
    let new = Schema::parse(r#"{"type":"record","name":"R","fields":[]}"#).unwrap();
    let (forward, backward) = check_against(Level::Full, &new, &old);
    assert_eq!(backward, Vec::<String>::new());
    assert_eq!(
        forward,
        [
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'f' at path '/fields/0' in the \
             old schema has no default value and is missing in the new schema', additionalInfo:'f'}"
        ]
    );
}

#[test]
fn names_are_compared_without_namespaces_and_by_the_readers_aliases() {
    let named = |name: &str, more: &str| format!(r#"{{"type":"record","name":"{name}","fields":[]{more}}}"#);
    assert!(messages(&named("a.R", ""), &named("b.R", "")).is_empty());
    assert!(messages(&named("a.S", r#","aliases":["R"]"#), &named("a.R", "")).is_empty());
    assert!(!messages(&named("a.S", r#","aliases":["R"]"#), &named("b.R", "")).is_empty());
    assert!(!messages(&named("a.R", ""), &named("a.S", r#","aliases":["R"]"#)).is_empty());
}

#[test]
fn a_named_type_is_the_same_wherever_it_is_defined() {
    let twice = |first: &str, second: &str| {
        format!(
            r#"{{"type":"record","name":"R","fields":[
               {{"name":"{first}","type":{{"type":"record","name":"I","fields":[{{"name":"q","type":"int"}}]}}}},
               {{"name":"{second}","type":"I"}}]}}"#
        )
    };
    assert!(messages(&twice("a", "b"), &twice("b", "a")).is_empty());
}

#[test]
fn aliases_of_fields_are_the_readers() {
    let with = |name: &str, aliases: &str| {
        format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"{name}","type":"int","aliases":[{aliases}]}}]}}"#
        )
    };
    assert!(messages(&with("new", r#""old""#), &with("old", "")).is_empty());
    assert!(!messages(&with("new", ""), &with("old", r#""new""#)).is_empty());
    let two =
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}"#;
    assert!(!messages(&with("a", r#""b""#), two).is_empty());
}

#[test]
fn logical_types_are_not_compared() {
    let decimal = |precision: u8| {
        format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":2}}"#)
    };
    assert!(field(&decimal(6), &decimal(4)).is_empty());
    assert!(field(&decimal(2), &decimal(4)).is_empty());
}

#[test]
fn levels_have_their_names_in_any_case() {
    for level in Level::ALL {
        assert_eq!(level.word().to_lowercase().parse(), Ok(level));
    }
    assert_eq!(
        "SOMETIMES".parse::<Level>().unwrap_err().to_string(),
        "`SOMETIMES` is no compatibility level"
    );
}
