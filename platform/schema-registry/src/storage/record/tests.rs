use super::*;

#[test]
fn keys_are_written_as_confluent_writes_them() {
    let subject = || "s".to_owned();
    for (key, bytes) in [
        (
            Key::Schema {
                subject: subject(),
                version: 1,
            },
            r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
        ),
        (
            Key::Config {
                subject: Some(subject()),
            },
            r#"{"keytype":"CONFIG","subject":"s","magic":0}"#,
        ),
        (Key::Config { subject: None }, r#"{"keytype":"CONFIG","magic":0}"#),
        (
            Key::Mode {
                subject: Some(subject()),
            },
            r#"{"keytype":"MODE","subject":"s","magic":0}"#,
        ),
        (
            Key::DeleteSubject { subject: subject() },
            r#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#,
        ),
        (
            Key::ClearSubject { subject: subject() },
            r#"{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0}"#,
        ),
        (
            Key::Context {
                tenant: "default".to_owned(),
                context: ".lab".to_owned(),
            },
            r#"{"keytype":"CONTEXT","tenant":"default","context":".lab","magic":0}"#,
        ),
        (Key::Noop, r#"{"keytype":"NOOP","magic":0}"#),
    ] {
        assert_eq!(String::from_utf8(key.to_bytes()).unwrap(), bytes);
        assert_eq!(Key::parse(bytes.as_bytes()), Ok(key));
    }
    // What registries before 7 wrote.
    let old = br#"{"keytype":"CONFIG","subject":null,"magic":0}"#;
    assert_eq!(Key::parse(old), Ok(Key::Config { subject: None }));
}

#[test]
fn what_is_no_record_is_an_error() {
    for key in [
        &b""[..],
        b"{}",
        b"[1]",
        br#"{"keytype":"FOO"}"#,
        br#"{"keytype":"SCHEMA","subject":"s"}"#,
    ] {
        assert!(
            Record::parse(key, None).is_err(),
            "{}",
            String::from_utf8_lossy(key)
        );
    }
    let key = br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#;
    for value in [
        &b"{"[..],
        b"{}",
        br#"{"subject":"s","version":1,"id":1,"schemaType":"XML","schema":""}"#,
    ] {
        assert!(Record::parse(key, Some(value)).is_err());
    }
}

#[test]
fn records_are_read_as_they_were_written() {
    let records = [
        Record::Schema(SchemaRecord {
            subject: "s".to_owned(),
            version: 2,
            id: 7,
            schema_type: Some("JSON".to_owned()),
            references: Some(vec![Reference {
                name: "n".to_owned(),
                subject: "t".to_owned(),
                version: 1,
            }]),
            metadata: Some(serde_json::json!({"properties": {"a": "b"}})),
            rule_set: None,
            schema: "{}".to_owned(),
            deleted: true,
        }),
        Record::SchemaGone {
            subject: "s".to_owned(),
            version: 1,
        },
        Record::Config {
            subject: None,
            settings: None,
        },
        Record::Mode {
            subject: Some("s".to_owned()),
            mode: Some(Mode::Import),
        },
        Record::DeleteSubject {
            subject: "s".to_owned(),
            version: 3,
        },
        Record::ClearSubject {
            subject: "s".to_owned(),
        },
        Record::Context {
            context: ".lab".to_owned(),
        },
        Record::Noop,
    ];
    for record in records {
        let value = record.value();
        assert_eq!(
            Record::parse(&record.key().to_bytes(), value.as_deref()),
            Ok(record)
        );
    }
}
