use super::*;

fn schema(subject: &str, version: u32, id: u32, text: &str) -> Record {
    Record::Schema(SchemaRecord {
        subject: subject.to_owned(),
        version,
        id,
        schema_type: None,
        references: None,
        metadata: None,
        rule_set: None,
        schema: text.to_owned(),
        deleted: false,
    })
}

fn gone(subject: &str, version: u32) -> Record {
    Record::SchemaGone {
        subject: subject.to_owned(),
        version,
    }
}

fn ids(state: &State, subject: &str) -> Vec<(u32, u32, bool)> {
    let subject = Subject::new(subject);
    let versions = state.versions(&subject);
    versions
        .map(|stored| (stored.version, stored.id, stored.is_deleted))
        .collect()
}

#[test]
fn an_id_means_one_thing_in_a_context() {
    let mut state = State::default();
    state.apply(schema("a", 1, 5, "\"int\""), None);
    state.apply(schema("b", 1, 5, "\"string\""), None);
    state.apply(schema(":.lab:b", 1, 5, "\"string\""), None);
    state.apply(schema("c", 1, 5, "\"int\""), None);
    assert_eq!(
        (ids(&state, "a"), ids(&state, "b"), ids(&state, "c")),
        (vec![(1, 5, false)], vec![], vec![(1, 5, false)])
    );
    assert_eq!(ids(&state, ":.lab:b"), [(1, 5, false)]);
    assert_eq!(state.repairs(), [gone("b", 1)]);
    // A repair that was read is done.
    state.apply(gone("b", 1), None);
    assert_eq!(state.repairs(), []);
}

#[test]
fn a_deleted_subject_can_be_registered_again() {
    let mut state = State::default();
    state.apply(schema("a", 1, 1, "\"int\""), None);
    state.apply(schema("a", 2, 2, "\"long\""), None);
    state.apply(
        Record::DeleteSubject {
            subject: "a".to_owned(),
            version: 2,
        },
        None,
    );
    assert_eq!(ids(&state, "a"), [(1, 1, true), (2, 2, true)]);
    state.apply(gone("a", 1), None);
    state.apply(schema("a", 3, 1, "\"int\""), None);
    assert_eq!(ids(&state, "a"), [(2, 2, true), (3, 1, false)]);
    state.apply(
        Record::ClearSubject {
            subject: "a".to_owned(),
        },
        None,
    );
    assert_eq!(ids(&state, "a"), [(3, 1, false)]);
    assert_eq!(state.last_id("."), 2);
}

#[test]
fn a_content_that_nobody_has_any_more_is_forgotten_and_its_id_is_not_given_again() {
    let mut state = State::default();
    state.apply(schema("a", 1, 1, "\"int\""), None);
    let hash = state.get(&Subject::new("a"), 1).unwrap().hash;
    assert_eq!(state.id_of(".", &hash), Some(1));
    state.apply(gone("a", 1), None);
    assert_eq!((state.id_of(".", &hash), state.last_id(".")), (None, 1));
    assert_eq!(state.with_id(".", 1).count(), 0);
    assert_eq!(state.subjects().count(), 0);
}

#[test]
fn what_a_replaced_registry_still_writes_does_not_count() {
    let mut state = State::default();
    state.apply(Record::Noop, Some("first"));
    state.apply(schema("a", 1, 1, "\"int\""), Some("first"));
    state.apply(Record::Noop, Some("second"));
    state.apply(schema("b", 1, 2, "\"long\""), Some("first"));
    assert_eq!(ids(&state, "b"), []);
    assert_eq!(state.repairs(), [gone("b", 1)]);
    state.apply(schema("c", 1, 2, "\"string\""), Some("second"));
    // A registry of Confluent's writes no header.
    state.apply(schema("d", 1, 3, "\"bytes\""), None);
    assert_eq!(
        (
            ids(&state, "a").len(),
            ids(&state, "c").len(),
            ids(&state, "d").len()
        ),
        (1, 1, 1)
    );
    assert_eq!(state.writer(), Some("second"));
}
