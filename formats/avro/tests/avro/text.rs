//! The text of a schema, as Java prints it, and when two schemas are one.

use osqdemo_avro::Schema;
use proptest::prelude::*;

use crate::support::{Dice, Type};

fn canonical(text: &str) -> String {
    Schema::parse(text).expect("a schema").canonical_text()
}

fn refused(text: &str) -> String {
    Schema::parse(text).expect_err("no schema").to_string()
}

#[test]
fn attributes_stand_in_javas_order() {
    assert_eq!(canonical(r#" {"type" : "string"} "#), r#""string""#);
    assert_eq!(
        canonical(r#"{"logicalType":"date","type":"int","z":[1, 2.0]}"#),
        r#"{"type":"int","logicalType":"date","z":[1,2.0]}"#
    );
    assert_eq!(
        canonical(
            r#"{"fields":[{"aliases":["x"],"p":{"b":1,"a":null},"order":"descending","default":1e10,"doc":"d","type":"double","name":"f"},
                {"type":"int","name":"g","order":"ascending"}],
               "aliases":["B","other.C"],"doc":"text","q":true,"namespace":"n","name":"A","type":"record"}"#
        ),
        r#"{"type":"record","name":"A","namespace":"n","doc":"text","fields":[{"name":"f","type":"double","doc":"d","default":1.0E10,"order":"descending","aliases":["x"],"p":{"b":1,"a":null}},{"name":"g","type":"int"}],"q":true,"aliases":["B","other.C"]}"#
    );
    assert_eq!(
        canonical(r#"{"default":"A","symbols":["A","B"],"name":"x.E","type":"enum","doc":""}"#),
        r#"{"type":"enum","name":"E","namespace":"x","doc":"","symbols":["A","B"],"default":"A"}"#
    );
    assert_eq!(
        canonical(r#"{"size":4,"name":"F","type":"fixed","logicalType":"duration"}"#),
        r#"{"type":"fixed","name":"F","size":4,"logicalType":"duration"}"#
    );
    assert_eq!(
        canonical(r#"{"connect.name":"m","values":["null","int"],"type":"map"}"#),
        r#"{"type":"map","values":["null","int"],"connect.name":"m"}"#
    );
}

#[test]
fn names_are_as_short_as_they_can_be() {
    assert_eq!(
        canonical(
            r#"{"type":"record","name":"A","namespace":"n","fields":[
                {"name":"one","type":{"type":"record","name":"B","fields":[]}},
                {"name":"two","type":{"type":"record","name":"C","namespace":"m","fields":[{"name":"b","type":"n.B"}]}},
                {"name":"three","type":{"type":"fixed","name":"D","namespace":"","size":1}},
                {"name":"four","type":"n.B"},{"name":"five","type":"m.C"},{"name":"six","type":"D"}]}"#
        ),
        r#"{"type":"record","name":"A","namespace":"n","fields":[{"name":"one","type":{"type":"record","name":"B","fields":[]}},{"name":"two","type":{"type":"record","name":"C","namespace":"m","fields":[{"name":"b","type":"n.B"}]}},{"name":"three","type":{"type":"fixed","name":"D","namespace":"","size":1}},{"name":"four","type":"B"},{"name":"five","type":"m.C"},{"name":"six","type":"D"}]}"#
    );
}

#[test]
fn types_of_references_are_named_or_written_out() {
    let door = r#"{"type":"record","name":"Door","namespace":"site","fields":[{"name":"nr","type":"int"}]}"#;
    let house = r#"{"type":"record","name":"House","namespace":"site","fields":[{"name":"door","type":"site.Door"},{"name":"back","type":"Door"}]}"#;
    let schema = Schema::parse_with(house, [door]).unwrap();
    assert_eq!(schema.canonical_text(), house.replace("site.Door", "Door"));
    assert_eq!(
        schema.resolved_text(),
        house.replacen("\"site.Door\"", &door.replace(r#""namespace":"site","#, ""), 1)
    );
    assert!(refused(house).starts_with("\"site.Door\" is not a defined name."));
}

#[test]
fn normalizing_sorts_attributes_and_aliases() {
    let normalized = |text: &str| Schema::parse(text).unwrap().normalized().canonical_text();
    let one = r#"{"type":"record","name":"P","doc":"","fields":[{"name":"f","type":"int","y":1,"x":2}],"pb":"2","pa":"1","aliases":["Z","A"]}"#;
    assert_eq!(
        normalized(one),
        r#"{"type":"record","name":"P","fields":[{"name":"f","type":"int","x":2,"y":1}],"pa":"1","pb":"2","aliases":["A","Z"]}"#
    );
}

#[test]
fn schemas_are_equivalent_when_they_say_the_same() {
    let record = |more: &str, field: &str| {
        format!(r#"{{"type":"record","name":"R"{more},"fields":[{{"name":"f","type":"int"{field}}}]}}"#)
    };
    let equivalent = |one: &str, other: &str| {
        Schema::parse(one)
            .unwrap()
            .is_equivalent(&Schema::parse(other).unwrap())
    };
    let plain = record("", "");
    assert!(equivalent(
        &record(r#","a":1,"b":2"#, ""),
        &record(r#","b":2,"a":1"#, "")
    ));
    assert!(equivalent(&plain, &plain));
    for different in [
        record(r#","doc":"d""#, ""),
        record(r#","namespace":"n""#, ""),
        record(r#","aliases":["S"]"#, ""),
        record("", r#","default":1"#),
        record("", r#","doc":"d""#),
        record("", r#","order":"ignore""#),
        record("", r#","aliases":["g"]"#),
        record("", r#","p":1"#),
    ] {
        assert!(!equivalent(&plain, &different), "{different}");
    }
    assert!(!equivalent(
        &record("", r#","default":1"#),
        &record("", r#","default":1.0"#)
    ));
}

#[test]
fn what_is_no_schema_is_said_in_javas_words() {
    assert_eq!(refused("[\"int\",\"int\"]"), "Duplicate in union:int");
    assert_eq!(
        refused(r#"{"type":"record","name":"9x","fields":[]}"#),
        "Illegal initial character: 9x"
    );
    assert_eq!(
        refused(r#"{"type":"record","name":"a-b","fields":[]}"#),
        "Illegal character in: a-b"
    );
    assert_eq!(
        refused(r#"["int",["null"]]"#),
        r#"Nested union: ["int",["null"]]"#
    );
    assert_eq!(refused(r#""what""#), r#"Undefined name: "what""#);
    assert_eq!(refused("7"), "Schema not yet supported: 7");
    assert_eq!(
        refused(r#"{"type":"enum","name":"E","symbols":["A","A"]}"#),
        "Duplicate enum symbol: A"
    );
    assert_eq!(
        refused(r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#),
        "The Enum Default: B is not in the enum symbol set: [A]"
    );
    assert_eq!(
        refused(
            r#"{"type":"record","name":"n.R","fields":[{"name":"f","type":"int"},{"name":"f","type":"long"}]}"#
        ),
        "Duplicate field f in record n.R: f type:LONG pos:1 and f type:INT pos:0."
    );
    assert_eq!(
        refused(
            r#"[{"type":"fixed","name":"F","size":1},{"type":"record","name":"R","fields":[{"name":"f","type":{"type":"fixed","name":"F","size":2}}]}]"#
        ),
        "Can't redefine: F"
    );
    assert!(refused("{").contains("expected close marker for Object (start marker at [Source: REDACTED"));
    // A field's default is not looked at, as registries do not look at it.
    assert!(
        Schema::parse(r#"{"type":"record","name":"R","fields":[{"name":"f","type":"int","default":"x"}]}"#)
            .is_ok()
    );
}

#[test]
fn nesting_is_bounded() {
    let deep = format!(
        "{}\"int\"{}",
        r#"{"type":"array","items":"#.repeat(20_000),
        "}".repeat(20_000)
    );
    assert!(refused(&deep).contains("recursion limit"), "{}", refused(&deep));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_canonical_text_is_that_of_itself(seed: u64) {
        let json = Type::any(&mut Dice::new(seed), 3).schema("").to_string();
        let schema = Schema::parse(&json).expect("a schema");
        let text = schema.canonical_text();
        let again = Schema::parse(&text).expect("a schema");
        prop_assert_eq!(again.canonical_text(), text);
        prop_assert!(again.is_equivalent(&schema));
    }

    #[test]
    fn any_text_is_a_schema_or_an_error(text in "[{}\\[\\]:,\"a-z0-9 ]{0,60}") {
        if let Ok(schema) = Schema::parse(&text) {
            prop_assert!(Schema::parse(&schema.canonical_text()).is_ok());
        }
    }
}
