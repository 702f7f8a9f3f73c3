use proptest::prelude::*;

use super::super::tests::{array, call, decimal, failing_call, i, result_type, s, try_call};
use super::*;

fn of(numbers: &[i32]) -> Value {
    array(numbers.iter().copied().map(i))
}

fn fruits(names: &[&str]) -> Value {
    array(
        names
            .iter()
            .map(|name| if name.is_empty() { Value::Null } else { s(name) }),
    )
}

#[test]
fn counting_and_finding() {
    assert_eq!(call("ARRAY_LENGTH", [of(&[1, 2, 3])]), i(3));
    assert_eq!(call("ARRAY_LENGTH", [Value::Null]), Value::Null);
    assert_eq!(call("ARRAY_CONTAINS", [of(&[1, 2]), i(2)]), Value::Boolean(true));
    assert_eq!(
        call("ARRAY_CONTAINS", [of(&[1, 2]), Value::Null]),
        Value::Boolean(false)
    );
    assert_eq!(
        call("ARRAY_CONTAINS", [fruits(&["a", ""]), Value::Null]),
        Value::Boolean(true)
    );
    assert_eq!(call("ARRAY_CONTAINS", [Value::Null, i(1)]), Value::Boolean(false));
    let strings = SqlType::Array(Box::new(SqlType::String));
    assert_eq!(result_type("ARRAY_CONTAINS", [strings, SqlType::Integer]), None);
    // The element's type is the value's, to the letter.
    let numbers = SqlType::Array(Box::new(SqlType::Integer));
    assert_eq!(
        result_type("ARRAY_CONTAINS", [numbers.clone(), SqlType::Bigint]),
        None
    );
    assert_eq!(result_type("ARRAY_REMOVE", [numbers, SqlType::Bigint]), None);
}

#[test]
fn sets() {
    let apples = fruits(&["apple", "apple", "", "cherry"]);
    let cherry = fruits(&["cherry"]);
    assert_eq!(
        call("ARRAY_DISTINCT", [apples.clone()]),
        fruits(&["apple", "", "cherry"])
    );
    assert_eq!(
        call("ARRAY_EXCEPT", [apples.clone(), cherry.clone()]),
        fruits(&["apple", ""])
    );
    assert_eq!(
        call("ARRAY_INTERSECT", [apples.clone(), fruits(&["apple"])]),
        fruits(&["apple"])
    );
    assert_eq!(
        call("ARRAY_UNION", [apples.clone(), cherry.clone()]),
        fruits(&["apple", "", "cherry"])
    );
    assert_eq!(
        call("ARRAY_CONCAT", [apples.clone(), cherry.clone()]),
        fruits(&["apple", "apple", "", "cherry", "cherry"])
    );
    assert_eq!(call("ARRAY_CONCAT", [Value::Null, cherry.clone()]), cherry);
    assert_eq!(call("ARRAY_CONCAT", [cherry.clone(), Value::Null]), cherry);
    assert_eq!(call("ARRAY_UNION", [cherry, Value::Null]), Value::Null);
    assert_eq!(call("ARRAY_REMOVE", [of(&[1, 2, 3, 2, 1]), i(2)]), of(&[1, 3, 1]));
    assert_eq!(
        call("ARRAY_REMOVE", [apples, Value::Null]),
        fruits(&["apple", "apple", "cherry"])
    );
    let numbers = SqlType::Array(Box::new(SqlType::Integer));
    let strings = SqlType::Array(Box::new(SqlType::String));
    assert_eq!(result_type("ARRAY_UNION", [numbers.clone(), strings]), None);
    assert_eq!(
        result_type("ARRAY_UNION", [numbers.clone(), numbers.clone()]),
        Some(numbers)
    );
}

#[test]
fn order() {
    let names = fruits(&["Foo", "Bar", "", "baz"]);
    assert_eq!(call("ARRAY_MAX", [names.clone()]), s("baz"));
    assert_eq!(call("ARRAY_MIN", [names.clone()]), s("Bar"));
    assert_eq!(call("ARRAY_MAX", [array([i(-1), i(2), Value::Null, i(0)])]), i(2));
    assert_eq!(
        call(
            "ARRAY_MIN",
            [array([Value::Boolean(true), Value::Boolean(false)])]
        ),
        Value::Boolean(false)
    );
    assert_eq!(call("ARRAY_MAX", [array([Value::Null])]), Value::Null);
    assert_eq!(
        call("ARRAY_SORT", [names.clone()]),
        fruits(&["Bar", "Foo", "baz", ""])
    );
    assert_eq!(
        call("ARRAY_SORT", [names.clone(), s("desc")]),
        fruits(&["baz", "Foo", "Bar", ""])
    );
    assert_eq!(call("ARRAY_SORT", [names, s("sideways")]), Value::Null);
    let nested = SqlType::Array(Box::new(SqlType::Array(Box::new(SqlType::Integer))));
    assert_eq!(result_type("ARRAY_SORT", [nested]), None);
}

#[test]
fn joining() {
    let values = array([
        Value::Double(1.0),
        decimal("2.50"),
        Value::Null,
        Value::Boolean(true),
        s("x"),
    ]);
    assert_eq!(call("ARRAY_JOIN", [values.clone()]), s("1.0,2.50,null,true,x"));
    assert_eq!(
        call("ARRAY_JOIN", [values, s("; ")]),
        s("1.0; 2.50; null; true; x")
    );
    assert_eq!(call("ARRAY_JOIN", [of(&[1, 2]), Value::Null]), s("12"));
    assert_eq!(call("ARRAY_JOIN", [of(&[])]), s(""));
    assert_eq!(call("ARRAY_JOIN", [Value::Null]), Value::Null);
}

#[test]
fn slices() {
    let numbers = of(&[1, 2, 3, 4]);
    let slice = |from: Value, to: Value| call("SLICE", [numbers.clone(), from, to]);
    assert_eq!(slice(i(2), i(3)), of(&[2, 3]));
    assert_eq!(slice(Value::Null, i(2)), of(&[1, 2]));
    assert_eq!(slice(i(3), Value::Null), of(&[3, 4]));
    assert_eq!(slice(i(0), i(2)), Value::Null);
    assert_eq!(slice(i(2), i(5)), Value::Null);
    assert_eq!(slice(i(3), i(1)), Value::Null);
    assert_eq!(slice(i(i32::MIN), i(1)), Value::Null);
    assert_eq!(call("SLICE", [Value::Null, i(1), i(1)]), Value::Null);
}

#[test]
fn series_of_numbers() {
    assert_eq!(call("GENERATE_SERIES", [i(1), i(3)]), of(&[1, 2, 3]));
    assert_eq!(call("GENERATE_SERIES", [i(3), i(1)]), of(&[3, 2, 1]));
    assert_eq!(call("GENERATE_SERIES", [i(1), i(6), i(2)]), of(&[1, 3, 5]));
    assert_eq!(call("GENERATE_SERIES", [i(5), i(5), i(-7)]), of(&[5]));
    let extremes = [Value::Bigint(i64::MAX - 1), Value::Bigint(i64::MAX)];
    assert_eq!(call("GENERATE_SERIES", &extremes), array(extremes.clone()));
    assert!(failing_call("GENERATE_SERIES", [i(1), i(3), i(0)]).is_err());
    assert!(failing_call("GENERATE_SERIES", [i(1), i(3), i(-1)]).is_err());
    assert!(
        failing_call(
            "GENERATE_SERIES",
            &[Value::Bigint(i64::MIN), Value::Bigint(i64::MAX)]
        )
        .is_err()
    );
}

#[test]
fn a_null_literal_is_taken_for_an_array() {
    assert_eq!(
        try_call("ARRAY_DISTINCT", &[(None, Value::Null)]).unwrap(),
        Value::Null
    );
}

proptest! {
    #[test]
    fn a_sorted_array_is_ordered_and_complete(numbers in proptest::collection::vec(any::<i32>(), 0..20)) {
        let Value::Array(sorted) = call("ARRAY_SORT", [of(&numbers)]) else {
            panic!("not an array");
        };
        let mut expected = numbers.clone();
        expected.sort_unstable();
        prop_assert_eq!(Value::Array(sorted), of(&expected));
    }
}
