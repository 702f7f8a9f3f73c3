//! The checker, compared with the data: it says that a schema reads another's data exactly when it does.

use crate::support::{Dice, Type, covering};
use osqdemo_avro::compatibility::incompatibilities;
use osqdemo_avro::{Resolution, Schema, decode, encode};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_it_says_holds_for_the_data(seed: u64) {
        let mut dice = Dice::new(seed);
        let old = Type::any(&mut dice, 3);
        let new = old.evolved(&mut dice);
        let writer = Schema::parse(&old.schema("").to_string()).expect("a schema");
        let reader = Schema::parse(&new.schema("").to_string()).expect("a schema");
        let found = incompatibilities(&reader, &writer);
        let resolution = Resolution::new(&reader, &writer);
        let mut failures = Vec::new();
        for value in covering(&writer, writer.root()) {
            match resolution.resolve(&value) {
                Ok(read) => {
                    let mut bytes = Vec::new();
                    encode(&reader, &read, &mut bytes).expect("a value of the reader's schema");
                    prop_assert_eq!(decode(&reader, &bytes), Ok(read));
                }
                Err(error) => failures.push(format!("{value:?}: {error}")),
            }
        }
        let shown = || format!("{} reads {}: {found:?} {failures:?}", new.schema(""), old.schema(""));
        prop_assert_eq!(found.is_empty(), failures.is_empty(), "{}", shown());
    }
}

fn schema(text: &str) -> Schema {
    Schema::parse(text).expect("a schema")
}

#[test]
fn recursion_ends() {
    let list = |item: &str| {
        schema(&format!(
            r#"{{"type":"record","name":"L","fields":[{{"name":"item","type":"{item}"}},{{"name":"next","type":["null","L"]}}]}}"#
        ))
    };
    assert_eq!(incompatibilities(&list("long"), &list("int")), []);
    assert_eq!(incompatibilities(&list("int"), &list("long")).len(), 1);
}

#[test]
fn what_is_too_large_to_be_compared_is_said() {
    let branches = |count: usize| {
        let branches = (0..count).map(|n| format!(r#"{{"type":"fixed","name":"F{n}","size":1}}"#));
        schema(&format!("[{}]", branches.collect::<Vec<_>>().join(",")))
    };
    let other: Vec<String> = (0..1_500)
        .map(|n| format!(r#"{{"type":"fixed","name":"G{n}","size":1}}"#))
        .collect();
    let found = incompatibilities(&branches(1_500), &schema(&format!("[{}]", other.join(","))));
    assert_eq!(found.len(), 1_500);
    // Only the last fields have one name, so that the chain of types is followed from its far end.
    let chain = |prefix: &str| {
        let fields = (1..2_000).map(|n| {
            let inner = format!(
                r#"{{"type":"record","name":"C{n}","fields":[{{"name":"c","type":"C{}"}}]}}"#,
                n - 1
            );
            format!(r#"{{"name":"{prefix}{n}","default":{{}},"type":{inner}}}"#)
        });
        let first = r#"{"name":"first","type":{"type":"fixed","name":"C0","size":1}}"#;
        let fields = fields.collect::<Vec<_>>().join(",");
        schema(&format!(
            r#"{{"type":"record","name":"R","fields":[{first},{fields},{{"name":"last","type":"C1999"}}]}}"#
        ))
    };
    let found = incompatibilities(&chain("new"), &chain("old"));
    assert!(
        found
            .iter()
            .any(|found| found.to_string().contains("TOO_COMPLEX")),
        "{found:?}"
    );
}
