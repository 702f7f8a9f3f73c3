use proptest::prelude::*;

use super::super::tests::{call, decimal, failing_call, i, result_type, s};
use super::*;

fn d(number: f64) -> Value {
    Value::Double(number)
}

#[test]
fn numbers_keep_their_type() {
    assert_eq!(call("ABS", [i(-5)]), i(5));
    assert_eq!(call("ABS", [i(i32::MIN)]), i(i32::MIN));
    assert_eq!(call("ABS", [d(-5.5)]), d(5.5));
    assert_eq!(call("ABS", [decimal("-5.50")]), decimal("5.50"));
    assert_eq!(call("CEIL", [d(-1.5)]), d(-1.0));
    assert_eq!(call("CEIL", [Value::Bigint(7)]), Value::Bigint(7));
    assert_eq!(call("FLOOR", [d(-1.5)]), d(-2.0));
    for (name, expected) in [("CEIL", "-1.00"), ("FLOOR", "-2.00")] {
        let Value::Decimal(number) = call(name, [decimal("-1.50")]) else {
            panic!("not a decimal");
        };
        assert_eq!(number.to_string(), expected);
    }
    let money = SqlType::Decimal {
        precision: 10,
        scale: 2,
    };
    assert_eq!(result_type("FLOOR", [money.clone()]), Some(money));
    assert_eq!(result_type("ABS", [SqlType::String]), None);
    assert_eq!(call("ABS", [Value::Null]), Value::Null);
}

#[test]
fn half_way_is_rounded_up() {
    for (number, expected) in [
        (1.1, 1),
        (1.5, 2),
        (-1.1, -1),
        (-1.5, -1),
        (-1.9, -2),
        (0.499_999_999_999_999_94, 0),
        (f64::NAN, 0),
        (f64::INFINITY, i64::MAX),
    ] {
        assert_eq!(call("ROUND", [d(number)]), Value::Bigint(expected), "{number}");
    }
    assert_eq!(call("ROUND", [i(3)]), i(3));
    assert_eq!(result_type("TRUNC", [SqlType::Integer]), Some(SqlType::Integer));
    for (number, places, expected) in [
        (1.235, 2, 1.24),
        (-1.235, 2, -1.23),
        (1234.5, -2, 1200.0),
        (1250.0, -2, 1300.0),
        (1.5, 400, 1.5),
        (1.5, -400, 0.0),
        (1e300, -2, 1e300),
    ] {
        assert_eq!(
            call("ROUND", [d(number), i(places)]),
            d(expected),
            "{number} {places}"
        );
    }
    assert!(failing_call("ROUND", [d(f64::NAN), i(1)]).is_err());
    for (number, places, expected) in [
        ("1.235", 2, "1.240"),
        ("-1.235", 2, "-1.230"),
        ("1.235", 9, "1.235"),
        ("155.0", -1, "160.0"),
        ("155.0", -2_000_000_000, "0.0"),
    ] {
        let Value::Decimal(rounded) = call("ROUND", [decimal(number), i(places)]) else {
            panic!("not a decimal");
        };
        assert_eq!(rounded.to_plain_string(), expected);
    }
    assert_eq!(call("ROUND", [decimal("-1.5")]), decimal("-1"));
    let money = SqlType::Decimal {
        precision: 10,
        scale: 2,
    };
    let whole = SqlType::Decimal {
        precision: 8,
        scale: 0,
    };
    assert_eq!(result_type("ROUND", [money.clone()]), Some(whole));
    assert_eq!(
        result_type("ROUND", [money.clone(), SqlType::Integer]),
        Some(money)
    );
    assert_eq!(
        result_type("ROUND", [SqlType::Double, SqlType::Integer]),
        Some(SqlType::Double)
    );
    assert_eq!(result_type("ROUND", [SqlType::Double]), Some(SqlType::Bigint));
}

#[test]
fn cutting_off() {
    assert_eq!(call("TRUNC", [d(-1.9)]), Value::Bigint(-1));
    assert_eq!(call("TRUNC", [d(1.239), i(2)]), d(1.23));
    assert_eq!(call("TRUNC", [decimal("-1.99")]), decimal("-1"));
    assert_eq!(call("TRUNC", [d(1.5), Value::Null]), Value::Null);
}

#[test]
fn powers_and_logarithms() {
    assert_eq!(call("SQRT", [i(9)]), d(3.0));
    assert_eq!(call("CBRT", [decimal("27.0")]), d(3.0));
    assert_eq!(call("EXP", [i(0)]), d(1.0));
    assert_eq!(call("LN", [d(1.0)]), d(0.0));
    assert_eq!(call("LOG", [i(1)]), d(0.0));
    assert_eq!(call("LOG", [i(100)]), d(4.605_170_185_988_092));
    assert_eq!(call("LOG", [i(2), i(8)]), d(3.0));
    assert_eq!(call("LOG", [i(3), i(0)]), d(f64::NEG_INFINITY));
    for (base, number) in [(1, 5), (0, 5), (-2, 5), (2, -5)] {
        let Value::Double(number) = call("LOG", [i(base), i(number)]) else {
            panic!("not a double");
        };
        assert!(number.is_nan());
    }
    assert_eq!(call("POWER", [i(2), i(10)]), d(1024.0));
    assert_eq!(call("POWER", [i(10), i(400)]), d(f64::INFINITY));
    assert_eq!(call("SIGN", [d(-0.1)]), i(-1));
    assert_eq!(call("SIGN", [decimal("0.00")]), i(0));
    assert_eq!(call("SIGN", [Value::Bigint(7)]), i(1));
}

#[test]
fn extremes_skip_null() {
    assert_eq!(call("GREATEST", [i(3), Value::Null, i(5)]), i(5));
    assert_eq!(call("LEAST", [s("b"), s("a"), Value::Null]), s("a"));
    assert_eq!(call("LEAST", [Value::Null, Value::Null]), Value::Null);
    let decimal = SqlType::Decimal {
        precision: 4,
        scale: 2,
    };
    assert_eq!(result_type("GREATEST", [SqlType::Integer, decimal.clone()]), None);
    assert_eq!(result_type("GREATEST", [SqlType::Integer, SqlType::Bigint]), None);
    for other in [SqlType::Integer, decimal] {
        let double = Some(SqlType::Double);
        assert_eq!(result_type("GREATEST", [other, SqlType::Double]), double);
    }
    assert_eq!(
        result_type("LEAST", [SqlType::String, SqlType::Timestamp]),
        Some(SqlType::Timestamp)
    );
    assert_eq!(result_type("GREATEST", [SqlType::String, SqlType::Integer]), None);
    assert_eq!(
        result_type("GREATEST", [SqlType::Array(Box::new(SqlType::Integer))]),
        None
    );
    assert_eq!(result_type("GREATEST", []), None);
}

#[test]
fn distances() {
    let palo_alto = [d(37.4439), d(-122.1663)];
    let london = [d(51.5257), d(-0.1122)];
    let arguments = [&palo_alto[..], &london[..]].concat();
    let Value::Double(kilometres) = call("GEO_DISTANCE", &arguments) else {
        panic!("not a double");
    };
    assert!((kilometres - 8634.6).abs() < 1.0, "{kilometres}");
    let Value::Double(miles) = call("GEO_DISTANCE", [arguments.clone(), vec![s("Miles")]].concat()) else {
        panic!("not a double");
    };
    assert!((miles - 5365.7).abs() < 1.0, "{miles}");
    assert!(failing_call("GEO_DISTANCE", [arguments, vec![s("parsec")]].concat()).is_err());
    assert!(failing_call("GEO_DISTANCE", [d(91.0), d(0.0), d(0.0), d(0.0)]).is_err());
}

proptest! {
    #[test]
    fn rounding_stays_near(number in -1e9_f64..1e9, places in 0_i32..6) {
        let Value::Double(rounded) = call("ROUND", [d(number), i(places)]) else {
            panic!("not a double");
        };
        let unit = 10_f64.powi(-places);
        prop_assert!((rounded - number).abs() <= unit * 0.500_001 + 1e-6);
    }

    #[test]
    fn no_number_of_places_is_too_much(number in any::<f64>(), places in any::<i32>()) {
        let _ = failing_call("ROUND", [d(number), i(places)]);
        let _ = failing_call("TRUNC", [d(number), i(places)]);
    }
}
