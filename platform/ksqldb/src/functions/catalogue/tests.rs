use super::*;

#[test]
fn the_scalar_functions_that_are_computed_are_those_that_are_listed() {
    let lambdas = ["FILTER", "REDUCE", "TRANSFORM"];
    let listed: Vec<_> = all_listed()
        .filter(|function| function.sort == Sort::Scalar && !lambdas.contains(&function.name))
        .map(|function| function.name)
        .collect();
    let mut computed: Vec<_> = super::super::all().map(|function| function.name).collect();
    computed.sort_unstable();
    assert_eq!(listed, computed);
}

#[test]
fn a_form_is_taken_apart() {
    let transform = listed("TRANSFORM").expect("a function").signatures();
    let types: Vec<_> = transform[0]
        .parameters
        .iter()
        .map(|parameter| (parameter.sql_type, parameter.name))
        .collect();
    assert_eq!(
        types,
        [
            ("MAP<K, V>", "map"),
            ("LAMBDA (K, V) => R", "biFunction1"),
            ("LAMBDA (K, V) => T", "biFunction2")
        ]
    );
    assert_eq!(transform[0].result, "MAP<R, T>");
    let concat = listed("CONCAT").expect("a function").signatures();
    assert!(concat[0].parameters[0].is_variadic);
    assert!(
        listed("PI").expect("a function").signatures()[0]
            .parameters
            .is_empty()
    );
}

#[test]
fn what_several_forms_take_is_left_open() {
    let least = listed("LEAST").expect("a function");
    let (integer, double) = (Some(SqlType::Integer), Some(SqlType::Double));
    assert_eq!(least.forms_that_take(&[integer.clone(), double]), 1);
    assert_eq!(least.forms_that_take(&[integer, Some(SqlType::Bigint)]), 3);
    assert_eq!(
        least.forms_that_take(&[Some(SqlType::String), Some(SqlType::Date)]),
        1
    );
    assert_eq!(least.forms_that_take(&[Some(SqlType::Boolean)]), 0);
}
