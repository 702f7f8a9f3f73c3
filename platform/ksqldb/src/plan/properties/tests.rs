use super::*;

fn with(properties: &[(&str, &str)]) -> Properties {
    let literal = |text: &str| Literal::String(text.to_owned());
    Properties(
        properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), literal(value)))
            .collect(),
    )
}

#[test]
fn unknown_properties_are_named() {
    let properties = with(&[("KEY", "a"), ("FOO", "b"), ("KAFKA_TOPIC", "t")]);
    let error = With::new(&properties, OF_SOURCES).expect_err("two are unknown");
    assert_eq!(
        error.message,
        "Invalid config variable(s) in the WITH clause: FOO,KEY"
    );
}

#[test]
fn formats() {
    let value_format = |properties: &[(&str, &str)]| {
        let properties = with(properties);
        With::new(&properties, OF_SOURCES).and_then(|with| with.value_format(None))
    };
    assert_eq!(value_format(&[("FORMAT", "json")]), Ok(Some(Format::Json)));
    assert_eq!(
        value_format(&[("VALUE_FORMAT", "DELIMITED"), ("VALUE_DELIMITER", "TAB")]),
        Ok(Some(Format::Delimited { delimiter: '\t' }))
    );
    assert!(value_format(&[("FORMAT", "JSON"), ("VALUE_FORMAT", "JSON")]).is_err());
    assert!(value_format(&[("VALUE_FORMAT", "JSON"), ("VALUE_DELIMITER", ",")]).is_err());
    assert!(value_format(&[("VALUE_FORMAT", "XML")]).is_err());
}

#[test]
fn numbers_have_limits() {
    for (text, expected) in [
        ("3", Ok(Some(3))),
        ("10000", Ok(Some(10_000))),
        ("0", Ok(Some(0))),
        ("-1", Err(())),
        ("x", Err(())),
        ("10001", Err(())),
        ("2000000000", Err(())),
    ] {
        let properties = with(&[("PARTITIONS", text)]);
        let found = With::new(&properties, OF_SOURCES).and_then(With::partitions);
        assert_eq!(found.map_err(|_| ()), expected);
    }
}
