use jsonschema::validator_for;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::json;

use super::*;

fn kinds(old: &Value, new: &Value) -> Vec<String> {
    differences(old, new)
        .into_iter()
        .map(|difference| difference.kind)
        .collect()
}

fn object(properties: &Value, rest: &Value) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": rest })
}

#[test]
fn what_describes_does_not_count() {
    let old = json!({ "type": "object", "properties": { "title": { "type": "string" } } });
    let new = json!({ "$id": "x", "title": "T", "type": "object", "properties": {
        "title": { "description": "a title", "default": "", "type": "string" } } });
    assert_eq!(differences(&old, &new), []);
    assert_eq!(differences(&new, &old), []);
}

#[test]
fn properties_come_and_go_by_the_content_model() {
    let (text, none) = (json!({ "type": "string" }), json!({}));
    let (a, both) = (json!({ "a": text }), json!({ "a": text, "b": text }));
    for (rest, added, removed) in [
        (
            json!(true),
            &["PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"][..],
            &[][..],
        ),
        (json!(false), &[], &["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"]),
        (text.clone(), &[], &[]),
        (
            json!({ "type": "boolean" }),
            &["PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
            &["PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
        ),
    ] {
        assert_eq!(
            kinds(&object(&a, &rest), &object(&both, &rest)),
            added,
            "added with {rest}"
        );
        assert_eq!(
            kinds(&object(&both, &rest), &object(&a, &rest)),
            removed,
            "removed with {rest}"
        );
    }
    let anything = json!({ "a": text, "b": none });
    assert_eq!(
        kinds(&object(&a, &json!(true)), &object(&anything, &json!(true))),
        [""; 0]
    );
    let told = differences(&object(&a, &json!(true)), &object(&both, &json!(true)));
    assert_eq!(
        told[0].to_string(),
        "{errorType:\"PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL\", description:\"the new schema does not take all that the old \
         one does (property added to open content model) at path '#/properties/b' in the new schema\"}"
    );
}

#[test]
fn patterns_cover_names() {
    let old = json!({ "type": "object", "patternProperties": { "^x_": { "type": "integer" } }, "additionalProperties": false });
    let with = |kind: &str| {
        let mut new = old.clone();
        new["properties"] = json!({ "x_1": { "type": kind } });
        new
    };
    assert_eq!(kinds(&old, &with("number")), [""; 0]);
    assert_eq!(
        kinds(&old, &with("string")),
        ["PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"]
    );
}

#[test]
fn a_property_may_become_required_with_a_default_only() {
    let with = |required: &[&str], schema: &Value| json!({ "type": "object", "properties": { "a": schema }, "required": required });
    let plain = json!({ "type": "string" });
    let defaulted = json!({ "type": "string", "default": "" });
    assert_eq!(
        kinds(&with(&[], &plain), &with(&["a"], &plain)),
        ["REQUIRED_ATTRIBUTE_ADDED"]
    );
    assert_eq!(kinds(&with(&[], &plain), &with(&["a"], &defaulted)), [""; 0]);
    assert_eq!(kinds(&with(&["a"], &plain), &with(&[], &plain)), [""; 0]);
}

#[test]
fn words_widen_or_narrow() {
    for (old, new, told) in [
        (json!({ "type": "integer" }), json!({ "type": "number" }), ""),
        (
            json!({ "type": "number" }),
            json!({ "type": "integer" }),
            "TYPE_NARROWED",
        ),
        (
            json!({ "type": "string" }),
            json!({ "type": "integer" }),
            "TYPE_CHANGED",
        ),
        (
            json!({ "type": "string" }),
            json!({ "type": ["null", "string"] }),
            "",
        ),
        (
            json!({ "type": ["null", "string"] }),
            json!({ "type": "string" }),
            "TYPE_CHANGED",
        ),
        (
            json!({ "type": ["null", "string"] }),
            json!({ "type": ["null", "integer"] }),
            "COMBINED_TYPE_SUBSCHEMAS_CHANGED",
        ),
        (json!({ "type": "string" }), json!({}), ""),
        (json!({}), json!({ "type": "string" }), "TYPE_CHANGED"),
        (json!(false), json!({ "type": "string" }), ""),
        (
            json!({ "type": "string", "maxLength": 5 }),
            json!({ "type": "string", "maxLength": 4 }),
            "MAX_LENGTH_DECREASED",
        ),
        (
            json!({ "type": "string" }),
            json!({ "type": "string", "minLength": 1 }),
            "MIN_LENGTH_ADDED",
        ),
        (
            json!({ "type": "string", "pattern": "a" }),
            json!({ "type": "string", "pattern": "b" }),
            "PATTERN_CHANGED",
        ),
        (
            json!({ "type": "number", "minimum": 1 }),
            json!({ "type": "number", "minimum": 0 }),
            "",
        ),
        (
            json!({ "type": "number", "minimum": 1 }),
            json!({ "type": "number", "minimum": 2 }),
            "MINIMUM_INCREASED",
        ),
        (
            json!({ "type": "number", "maximum": 1, "exclusiveMaximum": true }),
            json!({ "type": "number", "exclusiveMaximum": 2 }),
            "",
        ),
        (
            json!({ "type": "integer", "multipleOf": 4 }),
            json!({ "type": "integer", "multipleOf": 2 }),
            "",
        ),
        (
            json!({ "type": "integer", "multipleOf": 2 }),
            json!({ "type": "integer", "multipleOf": 4 }),
            "MULTIPLE_OF_EXPANDED",
        ),
        (
            json!({ "type": "integer", "multipleOf": 2 }),
            json!({ "type": "integer", "multipleOf": 3 }),
            "MULTIPLE_OF_CHANGED",
        ),
        (json!({ "enum": ["a"] }), json!({ "enum": ["b", "a"] }), ""),
        (
            json!({ "enum": ["a", "b"] }),
            json!({ "const": "a" }),
            "ENUM_ARRAY_NARROWED",
        ),
        (
            json!({ "enum": ["a", "b"] }),
            json!({ "enum": ["a", "c"] }),
            "ENUM_ARRAY_CHANGED",
        ),
        (
            json!({ "type": "string", "enum": ["a"] }),
            json!({ "type": "string" }),
            "",
        ),
        (
            json!({ "type": "string" }),
            json!({ "type": "string", "enum": ["a"] }),
            "TYPE_CHANGED",
        ),
        (
            json!({ "oneOf": [{ "type": "null" }] }),
            json!({ "oneOf": [{ "type": "string" }, { "type": "null" }] }),
            "",
        ),
        (
            json!({ "anyOf": [{ "type": "null" }, { "type": "string" }, { "type": "boolean" }] }),
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }),
            "SUM_TYPE_NARROWED",
        ),
        (
            json!({ "allOf": [{ "type": "string" }, { "enum": ["a"] }] }),
            json!({ "allOf": [{ "type": "string" }, { "enum": ["a"] }, { "not": { "const": "b" } }] }),
            "PRODUCT_TYPE_EXTENDED",
        ),
        (
            json!({ "not": { "type": "number" } }),
            json!({ "not": { "type": "integer" } }),
            "",
        ),
        (
            json!({ "not": { "type": "integer" } }),
            json!({ "not": { "type": "number" } }),
            "NOT_TYPE_EXTENDED",
        ),
    ] {
        let expected: Vec<&str> = Some(told).filter(|told| !told.is_empty()).into_iter().collect();
        assert_eq!(kinds(&old, &new), expected, "{old} → {new}");
    }
}

#[test]
fn items_have_places_or_not() {
    let (number, integer) = (json!({ "type": "number" }), json!({ "type": "integer" }));
    let list = |items: &Value| json!({ "type": "array", "items": items });
    assert_eq!(kinds(&list(&integer), &list(&number)), [""; 0]);
    assert_eq!(kinds(&list(&number), &list(&integer)), ["TYPE_NARROWED"]);
    let tuple =
        |items: Value, rest: Value| json!({ "type": "array", "items": items, "additionalItems": rest });
    let (one, two) = (json!([integer]), json!([integer, integer]));
    assert_eq!(
        kinds(&tuple(one.clone(), json!(true)), &tuple(two.clone(), json!(true))),
        ["ITEM_ADDED_TO_OPEN_CONTENT_MODEL"]
    );
    assert_eq!(
        kinds(
            &tuple(one.clone(), json!(false)),
            &tuple(two.clone(), json!(false))
        ),
        [""; 0]
    );
    assert_eq!(
        kinds(&tuple(two, json!(false)), &tuple(one, json!(false))),
        ["ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL"]
    );
    let newer = json!({ "type": "array", "prefixItems": [integer], "items": false });
    assert_eq!(kinds(&tuple(json!([integer]), json!(false)), &newer), [""; 0]);
}

#[test]
fn references_are_followed_and_may_lead_in_circles() {
    let tree = |value: &str| {
        json!({ "$ref": "#/$defs/node", "$defs": { "node": { "type": "object", "properties": {
            "value": { "type": value }, "next": { "$ref": "#/$defs/node" } } } } })
    };
    assert_eq!(kinds(&tree("integer"), &tree("number")), [""; 0]);
    assert_eq!(kinds(&tree("number"), &tree("integer")), ["TYPE_NARROWED"]);
    let itself = json!({ "allOf": [{ "$ref": "#" }] });
    assert_eq!(kinds(&itself, &itself), [""; 0]);
    let foreign = |name: &str| json!({ "$ref": name });
    assert_eq!(kinds(&foreign("a.json"), &foreign("a.json")), [""; 0]);
    assert_eq!(kinds(&foreign("a.json"), &foreign("b.json")), ["TYPE_CHANGED"]);
}

#[test]
fn few_words_cannot_ask_for_endless_work() {
    let mut schema = json!({ "type": "string" });
    for _ in 0..40 {
        schema = json!({ "anyOf": [schema.clone(), { "type": "null" }, { "not": schema }] });
        if schema.to_string().len() > 200_000 {
            break;
        }
    }
    let _ = differences(&schema, &schema);
    let circle = json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }, { "allOf": [{ "$ref": "#" }, { "type": "null" }] }] });
    let _ = differences(&circle, &circle);
}

/// Schemas of few words, so that two of them often have something in common.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!({ "type": "null" })),
        Just(json!({ "type": ["null", "string"] })),
        (0..3_u8, 0..4_u8)
            .prop_map(|(min, max)| json!({ "type": "string", "minLength": min, "maxLength": max })),
        (0..4_i8).prop_map(|least| json!({ "type": "integer", "minimum": least })),
        (1..4_u8).prop_map(|of| json!({ "type": "number", "multipleOf": of })),
        Just(json!({ "type": "number", "exclusiveMaximum": 2 })),
        subsequence(vec!["", "a", "aa"], 0..=3).prop_map(|values| json!({ "enum": values })),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let rest = prop_oneof![Just(json!(true)), Just(json!(false)), inner.clone()];
        let properties = proptest::collection::btree_map("[ab]", inner.clone(), 0..=2);
        prop_oneof![
            (properties, subsequence(vec!["a", "b"], 0..=2), rest.clone()).prop_map(|(properties, required, rest)| {
                json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": rest })
            }),
            (proptest::collection::vec(inner.clone(), 1..3), rest)
                .prop_map(|(places, rest)| json!({ "type": "array", "prefixItems": places, "items": rest })),
            inner.clone().prop_map(|items| json!({ "type": "array", "items": items })),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|any| json!({ "anyOf": any })),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|all| json!({ "allOf": all })),
            inner.prop_map(|excluded| json!({ "not": excluded })),
        ]
    })
}

/// A schema and another one: any, or the same but for one place.
fn two_schemas() -> impl Strategy<Value = (Value, Value)> {
    let changed =
        (any_schema(), any::<proptest::sample::Index>(), any_schema()).prop_map(|(old, place, other)| {
            let mut pointers = Vec::new();
            collect(&old, String::new(), &mut pointers);
            let mut new = old.clone();
            let place = new
                .pointer_mut(&pointers[place.index(pointers.len())])
                .expect("a place");
            *place = match place.take() {
                Value::Number(number) => json!(number.as_i64().unwrap_or(0) + 1),
                Value::Bool(is_allowed) => json!(!is_allowed),
                Value::String(_) => json!("number"),
                Value::Array(mut items) => {
                    items.pop();
                    items.into()
                }
                _ => other,
            };
            (old, new)
        });
    prop_oneof![(any_schema(), any_schema()), changed]
}

fn collect(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(name, value)| collect(value, format!("{at}/{name}"), into));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(place, value)| collect(value, format!("{at}/{place}"), into));
        }
        _ => {}
    }
    into.push(at);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        "a{0,3}".prop_map(Value::from),
        (-1..6_i8).prop_map(Value::from),
        Just(json!(1.5)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[abc]", inner, 0..3).prop_map(|object| json!(object)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// What is told to be compatible is: whatever the old schema accepts, the new one does.
    #[test]
    fn a_compatible_schema_accepts_what_the_old_one_did(
        (old, new) in two_schemas(), values in proptest::collection::vec(any_value(), 8)
    ) {
        prop_assert_eq!(differences(&old, &old), [], "a schema reads what was written with itself");
        if differences(&old, &new).is_empty()
            && let (Ok(before), Ok(after)) = (validator_for(&old), validator_for(&new))
        {
            for value in values {
                prop_assert!(!before.is_valid(&value) || after.is_valid(&value), "{} → {}: {}", old, new, value);
            }
        }
    }

    #[test]
    fn any_two_documents_are_compared(old in any_value(), new in any_value()) {
        let _ = differences(&old, &new);
    }
}
