//! The encoder between lines and a registry whose answers are given here.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::*;

/// Remembers what it was asked, and answers when told to.
#[derive(Clone, Debug, Default)]
struct Registry(Rc<RefCell<(Vec<Question>, Vec<Answer>)>>);

impl Ask for Registry {
    fn ask(&mut self, question: Question) {
        self.0.borrow_mut().0.push(question);
    }

    fn answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.0.borrow_mut().1)
    }
}

impl Registry {
    fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut self.0.borrow_mut().0)
    }

    /// Answers all questions, one after the other, with the next id or a trouble.
    fn answer(&self, first_id: u32, trouble: Option<&Trouble>) -> usize {
        let questions = self.asked();
        let count = questions.len();
        for (id, question) in (first_id..).zip(questions) {
            let outcome = match (trouble, &question.what) {
                (Some(trouble), _) => Err(trouble.clone()),
                (None, What::Query(query)) => Ok(Arc::new(Registered {
                    id,
                    guid: Some(GUID),
                    record: query_record::QueryRecord::new(query, question.columns.clone(), &question.wanted)
                        .unwrap(),
                })),
                (None, _) => Ok(Arc::new(Registered {
                    id,
                    guid: Some(GUID),
                    ..Registered::default()
                })),
            };
            self.0.borrow_mut().1.push(Answer { question, outcome });
        }
        count
    }
}

/// What every schema has.
const GUID: [u8; 16] = [7; 16];

/// Remembers what it was given: topic, key and value; and the headers of the last one.
#[derive(Debug, Default)]
struct Sent(
    Vec<(String, Option<Vec<u8>>, Vec<u8>)>,
    Vec<(&'static str, Vec<u8>)>,
);

impl Kafka for Sent {
    fn send(&mut self, _id: LineId, message: &Message<'_>) -> Result<(), SendError> {
        let record = &message.record;
        self.0.push((
            record.topic.to_owned(),
            record.key.map(<[u8]>::to_vec),
            record.value.to_vec(),
        ));
        let headers = message.headers.iter();
        self.1 = headers.map(|(name, value)| (*name, value.to_vec())).collect();
        Ok(())
    }
}

struct World {
    registry: Registry,
    encoding: Encoding<Sent, Registry>,
}

impl World {
    fn new(topics: &Json, expected: &[(&str, &str)]) -> Self {
        let root = json!({ "topics": topics, "schema_registry": { "url": "http://registry" } });
        let formats = Formats::read(
            root.as_object().unwrap(),
            |_, text| Ok(text.to_owned()),
            |text| panic!("{text}"),
        )
        .unwrap();
        let registry = Registry::default();
        let expected = expected
            .iter()
            .map(|(query, topic)| ((*query).to_owned(), (*topic).to_owned()));
        let encoder = Encoder::new(formats, Some("status".to_owned()), expected, registry.clone());
        Self {
            registry,
            encoding: Encoding {
                kafka: Sent::default(),
                encoder: Some(encoder),
            },
        }
    }

    fn send(&mut self, topic: &str, value: &str) -> Result<(), SendError> {
        let record = Record {
            unix_ms: 0,
            topic,
            key: Some(b"host1"),
            value: value.as_bytes(),
        };
        let headers = &[("osqdemo-seq", Cow::Borrowed(b"1".as_slice()))];
        self.encoding
            .send(LineId::Spooled(1), &Message { record, headers })
    }

    fn encoder(&mut self) -> &mut Encoder<Registry> {
        self.encoding.encoder.as_mut().unwrap()
    }
}

fn line(query: &str, columns: &Json) -> String {
    json!({ "name": query, "columns": columns, "action": "added" }).to_string()
}

#[test]
fn a_header_may_name_the_schema_in_place_of_what_stands_before_the_data() {
    let topics = json!({ "format": "avro", "key_format": "avro", "schema_id": "header", "queries": {
        "usual": { "schema_id": "prefix" }, "each": { "mode": "record" }, "plain": { "format": "json", "key_format": "text" },
    } });
    let mut world = World::new(&topics, &[]);
    let guid = [&[1][..], &GUID].concat();
    let mut sent = |query: &str| {
        let line = line(query, &json!({ "a": "b" }));
        while world.send(query, &line) == Err(SendError::NotYet) {
            assert_eq!(world.registry.answer(5, None), 1, "{query}");
        }
        let (_, key, value) = world.encoding.kafka.0.pop().expect("it is sent");
        let headers = std::mem::take(&mut world.encoding.kafka.1);
        (key.unwrap(), value, headers)
    };
    let seq = ("osqdemo-seq", b"1".to_vec());
    let both = [seq.clone(), (KEY_HEADER, guid.clone()), (VALUE_HEADER, guid)];
    for query in ["headed", "each"] {
        let (key, value, headers) = sent(query);
        // The number of letters, in zig-zag; a branch of a union.
        assert_eq!((&key[..], value[0]), (&b"\x0ahost1"[..], 2), "{query}");
        assert_eq!(headers, both, "{query}");
    }
    let (key, value, headers) = sent("usual");
    assert_eq!(key, b"\0\0\0\0\x05\x0ahost1");
    assert_eq!(value[..6], *b"\0\0\0\0\x05\x02");
    assert_eq!(headers, std::slice::from_ref(&seq));
    let (key, _, headers) = sent("plain");
    assert_eq!((&key[..], headers), (&b"host1"[..], vec![seq]));
}

#[test]
fn a_line_waits_until_its_schema_is_registered_and_no_other_one_asks_again() {
    let mut world = World::new(&json!({ "format": "avro", "key_format": "avro" }), &[]);
    let line = line("q", &json!({ "a": "b" }));
    // The key's schema first, then the value's; each is asked for once.
    for expected in [What::Key, What::Result] {
        for _ in 0..3 {
            assert_eq!(world.send("q", &line), Err(SendError::NotYet));
        }
        let asked = world.registry.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].what, expected);
        let question = asked.into_iter().next().unwrap();
        world.registry.ask(question);
        world.registry.answer(7, None);
        assert!(world.encoder().take_answers(Instant::now()));
    }
    for _ in 0..1000 {
        world.send("q", &line).unwrap();
    }
    assert!(world.registry.asked().is_empty());
    let (_, key, value) = &world.encoding.kafka.0[0];
    assert_eq!(key.as_deref(), Some(b"\x00\x00\x00\x00\x07\x0ahost1".as_slice()));
    assert_eq!(value[..5], [0, 0, 0, 0, 7]);
}

#[test]
fn what_is_expected_is_asked_for_before_it_comes_and_until_it_is_there() {
    let topics =
        json!({ "format": "avro", "queries": { "b": { "mode": "record" }, "c": { "format": "json" } } });
    let expected = [("a", "a"), ("a2", "a"), ("b", "b"), ("c", "c")];
    let mut world = World::new(&topics, &expected);
    let away = Trouble::Away("status 503".to_owned());
    assert_eq!(world.registry.answer(1, Some(&away)), 1);
    assert!(!world.encoder().take_answers(Instant::now()));
    world.encoder().ask_ahead(Instant::now());
    assert_eq!(world.registry.answer(1, None), 1);
    assert!(world.encoder().take_answers(Instant::now()));
    world.encoder().ask_ahead(Instant::now());
    assert!(world.registry.asked().is_empty());
    world.send("a", &line("a", &json!({}))).unwrap();
}

#[test]
fn while_the_registry_is_away_lines_wait_and_ask_again() {
    let mut world = World::new(&json!({ "format": "json_schema" }), &[]);
    let line = line("q", &json!({}));
    let away = Trouble::Away("refused".to_owned());
    for _ in 0..3 {
        assert_eq!(world.send("q", &line), Err(SendError::NotYet));
        assert_eq!(world.registry.answer(1, Some(&away)), 1);
    }
    assert_eq!(world.send("q", &line), Err(SendError::NotYet));
    assert_eq!(world.registry.answer(2, None), 1);
    world.send("q", &line).unwrap();
    assert_eq!(
        world.encoding.kafka.0[0].2,
        [b"\x00\x00\x00\x00\x02", line.as_bytes()].concat()
    );
    // What was known goes on being known while the registry is away.
    world.send("q", &line).unwrap();
}

#[test]
fn what_is_refused_is_a_dead_letter_and_asked_for_again_after_a_minute() {
    let mut world = World::new(&json!({ "format": "avro" }), &[]);
    let line = line("q", &json!({}));
    let began = Instant::now();
    let refused = Trouble::Refused("incompatible".to_owned());
    let encode = |world: &mut World, after: Duration| {
        let record = Record {
            unix_ms: 0,
            topic: "q",
            key: None,
            value: line.as_bytes(),
        };
        world.encoder().encode(&record, began + after).map(drop)
    };
    let unfit = Err(SendError::Unfit("incompatible".to_owned()));
    assert_eq!(encode(&mut world, Duration::ZERO), Err(SendError::NotYet));
    assert_eq!(world.registry.answer(1, Some(&refused)), 1);
    for second in [0, 1, 59] {
        assert_eq!(encode(&mut world, Duration::from_secs(second)), unfit);
    }
    assert!(world.registry.asked().is_empty());
    // After a minute it may be taken: whoever comes now waits for that answer.
    assert_eq!(encode(&mut world, REFUSED_PERIOD), Err(SendError::NotYet));
    assert_eq!(world.registry.answer(1, Some(&refused)), 1);
    assert_eq!(encode(&mut world, REFUSED_PERIOD), unfit);
    assert_eq!(encode(&mut world, REFUSED_PERIOD * 2), Err(SendError::NotYet));
    world.registry.answer(1, None);
    assert_eq!(encode(&mut world, REFUSED_PERIOD * 2), Ok(()));
}

#[test]
fn a_query_that_gets_a_column_gets_a_new_schema_and_keeps_the_old_columns() {
    let mut world = World::new(&json!({ "format": "avro", "mode": "record" }), &[]);
    assert_eq!(
        world.send("q", &line("q", &json!({ "a": "1" }))),
        Err(SendError::NotYet)
    );
    world.registry.answer(1, None);
    world.send("q", &line("q", &json!({ "a": "1" }))).unwrap();
    world.send("q", &line("q", &json!({}))).unwrap();
    let with_b = line("q", &json!({ "b": "2" }));
    assert_eq!(world.send("q", &with_b), Err(SendError::NotYet));
    let refused = Trouble::Refused("no".to_owned());
    world.registry.answer(2, Some(&refused));
    // What the registry refuses does not touch what it has taken, and another schema is another question.
    assert_eq!(world.send("q", &with_b), Err(SendError::Unfit("no".to_owned())));
    world.send("q", &line("q", &json!({ "a": "3" }))).unwrap();
    let with_c = line("q", &json!({ "c": "2" }));
    assert_eq!(world.send("q", &with_c), Err(SendError::NotYet));
    let asked = world.registry.asked();
    let columns: Vec<String> = asked[0].columns.iter().map(query_record::Column::name).collect();
    assert_eq!(
        (columns, &asked[0].wanted),
        (vec!["a".to_owned()], &vec!["c".to_owned()])
    );
    world.registry.ask(asked.into_iter().next().unwrap());
    world.registry.answer(2, None);
    world.send("q", &with_c).unwrap();
    let ids: Vec<u8> = world
        .encoding
        .kafka
        .0
        .iter()
        .map(|(_, _, value)| value[4])
        .collect();
    assert_eq!(ids, [1, 1, 1, 2]);
}

#[test]
fn dead_letters_and_the_status_log_stay_as_they_are() {
    let mut world = World::new(&json!({ "format": "avro", "key_format": "avro" }), &[]);
    for topic in [DEAD_LETTER_TOPIC, "status"] {
        world.send(topic, "as it is").unwrap();
        let (_, key, value) = world.encoding.kafka.0.pop().unwrap();
        assert_eq!(
            (key.as_deref(), value.as_slice()),
            (Some(b"host1".as_slice()), b"as it is".as_slice())
        );
    }
    assert!(world.registry.asked().is_empty());
}

#[test]
fn a_line_that_fits_no_schema_never_will() {
    let mut world = World::new(&json!({ "format": "avro" }), &[("q", "q")]);
    world.registry.answer(1, None);
    let outcome = world.send("q", "no object");
    assert!(
        matches!(outcome, Err(SendError::Failed(Failure::Final(_)))),
        "{outcome:?}"
    );
}

#[test]
fn names_that_lines_make_up_do_not_grow_without_end() {
    let mut world = World::new(&json!({ "format": "avro", "mode": "record" }), &[]);
    for number in 0..3 * MOST_SCHEMAS {
        let query = format!("q{number}");
        assert_eq!(world.send("t", &line(&query, &json!({}))), Err(SendError::NotYet));
        world.registry.answer(1, None);
    }
    world.encoder().take_answers(Instant::now());
    let schemas: usize = world
        .encoder()
        .topics
        .values()
        .map(|topic| topic.queries.len())
        .sum();
    assert!(schemas <= MOST_SCHEMAS + 1, "{schemas}");
}
