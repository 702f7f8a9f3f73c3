//! Long because every test is about one state machine, with one recorder in Kafka's place.

use std::cell::RefCell;
use std::rc::Rc;

use super::kafka::{Message, SendError};
use super::*;
use crate::spool::simulated_disk::SimulatedDisk;
use crate::spool::{Identity, Limits};

/// Remembers what it was given: topic, value and headers.
#[derive(Clone, Default)]
struct Recorder(Rc<RefCell<Vec<Sent>>>);

#[derive(Clone, Debug)]
struct Sent {
    id: LineId,
    topic: String,
    value: String,
    headers: Vec<(&'static str, String)>,
}

impl Kafka for Recorder {
    fn send(&mut self, id: LineId, message: &Message<'_>) -> Result<(), SendError> {
        if message.record.value.len() > 1000 {
            return Err(SendError::Failed(Failure::TooLarge("too large".to_owned())));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.0.borrow_mut().push(Sent {
            id,
            topic: message.record.topic.to_owned(),
            value: text(message.record.value),
            headers: message
                .headers
                .iter()
                .map(|(name, value)| (*name, text(value)))
                .collect(),
        });
        Ok(())
    }
}

impl Recorder {
    fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.borrow_mut())
    }
}

struct World {
    disk: SimulatedDisk,
    kafka: Recorder,
    outbox: Outbox<SimulatedDisk, Recorder>,
    books: Arc<Books>,
    now: Now,
}

impl World {
    fn new(max_bytes: u64, when_full: WhenFull) -> Self {
        let (disk, kafka, books) = (
            SimulatedDisk::default(),
            Recorder::default(),
            Arc::<Books>::default(),
        );
        let identity = Identity {
            boot: [1; 16],
            fresh: [2; 16],
        };
        let limits = Limits {
            max_bytes,
            segment_bytes: 1000,
        };
        let choices = Choices {
            when_full,
            needs_disk: true,
            headers: true,
            memory_bytes: 2000,
            window: Window {
                bytes: 100_000,
                lines: 40,
            },
        };
        let spool = Spool::open(disk.clone(), identity, limits).unwrap();
        let outbox = Outbox::new(Some(spool), kafka.clone(), choices, [3; 16], Arc::clone(&books));
        Self {
            disk,
            kafka,
            outbox,
            books,
            now: Now::default(),
        }
    }

    fn accept(&mut self, topic: &str, value: &str) -> Taken {
        let record = Record {
            unix_ms: self.now.unix_ms,
            topic,
            key: None,
            value: value.as_bytes(),
        };
        let taken = self.outbox.accept(self.now, &record);
        self.books.took(taken);
        taken
    }

    /// Kafka takes everything.
    fn acknowledge(&mut self) -> Vec<Sent> {
        let mut all = Vec::new();
        loop {
            self.now.elapsed += Duration::from_secs(10);
            while self.outbox.pump(self.now) == Progress::More {}
            let sent = self.kafka.take();
            if sent.is_empty() {
                return all;
            }
            for line in &sent {
                self.outbox.settle(self.now, line.id, Ok(()));
            }
            all.extend(sent);
        }
    }

    fn fail(&mut self, sent: Vec<Sent>, failure: &Failure) {
        for line in sent {
            self.outbox.settle(self.now, line.id, Err(failure.clone()));
        }
    }
}

fn passing() -> Failure {
    Failure::Passing("unknown topic".to_owned())
}

#[test]
fn a_line_names_itself_in_its_headers() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    let line = r#"{"name":"q","hostIdentifier":"h","epoch":3,"counter":4}"#;
    world.accept("q", line);
    let sent = world.kafka.take().remove(0);
    let expected = [
        ("osqdemo-spool", "02".repeat(16)),
        ("osqdemo-seq", "1".to_owned()),
        ("osqdemo-host", "h".to_owned()),
        ("osqdemo-query", "q".to_owned()),
        ("osqdemo-epoch", "3".to_owned()),
        ("osqdemo-counter", "4".to_owned()),
    ];
    assert_eq!(sent.headers, expected);
    // The same line, the same name.
    world.fail(vec![sent], &passing());
    assert_eq!(world.acknowledge()[0].headers, expected);
    world.outbox.choices.headers = false;
    world.accept("q", line);
    assert!(world.kafka.take()[0].headers.is_empty());
}

#[test]
fn what_fails_for_a_while_comes_again_in_its_order_and_stops_nobody_else() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    for number in 0..3 {
        world.accept("gone", &format!("gone {number}"));
    }
    let failed = world.kafka.take();
    world.fail(failed, &passing());
    for number in 3..6 {
        assert_eq!(world.accept("gone", &format!("gone {number}")), Taken::Accepted);
        world.accept("there", &format!("there {number}"));
    }
    let others: Vec<String> = world.kafka.take().into_iter().map(|line| line.value).collect();
    assert_eq!(others, ["there 3", "there 4", "there 5"]);
    let again: Vec<String> = world.acknowledge().into_iter().map(|line| line.value).collect();
    assert_eq!(
        again,
        (0..6).map(|number| format!("gone {number}")).collect::<Vec<_>>()
    );
    assert_eq!(world.outbox.waiting(), 3, "the others are still under way");
}

#[test]
fn a_topic_that_nobody_has_seen_gets_a_small_part_of_the_window() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    for number in 0..20 {
        world.accept("new", &number.to_string());
    }
    assert_eq!(world.kafka.take().len(), 4);
    world.accept("other", "other");
    assert_eq!(world.kafka.take()[0].value, "other");
}

#[test]
fn lines_that_wait_for_a_topic_do_not_fill_the_spool_with_those_of_others() {
    let mut world = World::new(20_000, WhenFull::DropNewest);
    for number in 0..2000 {
        let topic = if number % 100 == 0 { "missing" } else { "there" };
        assert_eq!(
            world.accept(topic, &format!("a line with some length {number}")),
            Taken::Accepted,
            "{number}"
        );
        for line in world.kafka.take() {
            let outcome = if line.topic == "missing" {
                Err(passing())
            } else {
                Ok(())
            };
            world.outbox.settle(world.now, line.id, outcome);
        }
        world.outbox.tidy();
    }
    assert_eq!(world.outbox.waiting(), 20);
    let values: Vec<String> = world.acknowledge().into_iter().map(|line| line.value).collect();
    let expected: Vec<String> = (0..2000)
        .step_by(100)
        .map(|number| format!("a line with some length {number}"))
        .collect();
    assert_eq!(values, expected);
}

#[test]
fn a_full_spool_drops_what_comes_and_counts_it() {
    let mut world = World::new(10_000, WhenFull::DropNewest);
    let dropped = (0..1000)
        .filter(|number| world.accept("t", &format!("line {number}")) == Taken::Dropped)
        .count();
    assert_eq!(world.books.dropped.get(), dropped as u64);
    let arrived = world.acknowledge();
    assert_eq!(arrived.len() + dropped, 1000);
    assert_eq!(
        arrived.last().unwrap().value,
        format!("line {}", arrived.len() - 1)
    );
}

#[test]
fn a_full_spool_gives_up_the_oldest_when_that_was_chosen() {
    let mut world = World::new(10_000, WhenFull::DropOldest);
    for number in 0..1000 {
        assert_eq!(world.accept("t", &format!("line {number}")), Taken::Accepted);
    }
    // What was under way arrives, and was given up nevertheless.
    for line in world.kafka.take() {
        world.outbox.settle(world.now, line.id, Ok(()));
    }
    let arrived = world.acknowledge();
    assert_eq!(arrived.last().unwrap().value, "line 999");
    assert_eq!(world.books.given_up.get() + arrived.len() as u64, 1000);
}

#[test]
fn a_disk_that_fails_costs_the_promise_and_nothing_else() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    world.accept("t", "before");
    world.disk.set_broken(true);
    assert_eq!(world.accept("t", "meanwhile 1"), Taken::NotAccepted);
    assert_eq!(world.accept("t", "meanwhile 2"), Taken::NotAccepted);
    assert_eq!(
        world.accept("t", &"x".repeat(3000)),
        Taken::Dropped,
        "memory is bounded"
    );
    world.disk.set_broken(false);
    assert_eq!(
        world.accept("t", "meanwhile 3"),
        Taken::NotAccepted,
        "a disk that failed is left alone"
    );
    world.now.elapsed += Duration::from_secs(2);
    assert_eq!(world.accept("t", "after"), Taken::Accepted);
    assert_eq!(
        (world.books.not_accepted.get(), world.books.dropped.get()),
        (3, 1)
    );
    let arrived = world.acknowledge();
    let values: Vec<&str> = arrived.iter().map(|line| line.value.as_str()).collect();
    assert_eq!(
        values,
        ["before", "meanwhile 1", "meanwhile 2", "meanwhile 3", "after"]
    );
    let spools: Vec<&str> = arrived.iter().map(|line| line.headers[0].1.as_str()).collect();
    assert_ne!(
        spools[0], spools[1],
        "another name, because nobody remembers these numbers"
    );
    assert_eq!(world.outbox.waiting(), 0);
}

#[test]
fn what_is_refused_for_good_becomes_a_dead_letter_with_its_reason() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    world.accept("secret", r#"{"name":"q"}"#);
    let sent = world.kafka.take();
    world.fail(sent, &Failure::Final("not allowed".to_owned()));
    let dead = world.kafka.take().remove(0);
    assert_eq!(dead.topic, DEAD_LETTER_TOPIC);
    let header = |name| {
        dead.headers
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(header("osqdemo-reason"), Some("not allowed"));
    assert_eq!(
        (header("osqdemo-topic"), header("osqdemo-size")),
        (Some("secret"), Some("12"))
    );
    assert_eq!(
        (header("osqdemo-query"), header("osqdemo-seq")),
        (Some("q"), Some("1"))
    );
    // Nor there: then to the file.
    world.fail(vec![dead], &passing());
    assert_eq!((world.books.dead_lettered.get(), world.outbox.waiting()), (1, 0));
    assert!(world.disk.list().unwrap().contains(&"dead-letters".to_owned()));
}

#[test]
fn a_line_too_large_for_kafka_is_kept_in_the_file() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    world.accept(
        "t",
        &format!(r#"{{"name":"q","columns":"{}"}}"#, "x".repeat(2000)),
    );
    assert!(world.kafka.take().is_empty());
    assert_eq!((world.books.dead_lettered.get(), world.outbox.waiting()), (1, 0));
}

#[test]
fn a_batch_that_is_too_large_costs_only_the_line_that_is() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    world.accept("t", "first");
    world.acknowledge();
    for line in ["small 1", "large", "small 2"] {
        world.accept("t", line);
    }
    let too_large = Failure::TooLarge("the batch is".to_owned());
    let batch = world.kafka.take();
    assert_eq!(batch.len(), 3);
    world.fail(batch, &too_large);
    let mut arrived = Vec::new();
    for _ in 0..10 {
        world.outbox.pump(world.now);
        let sent = world.kafka.take();
        let of_topic = sent.iter().filter(|line| line.topic == "t").count();
        assert!(of_topic <= 1, "one at a time: {sent:?}");
        for line in sent {
            let refused = line.value == "large" && line.topic == "t";
            let outcome = if refused { Err(too_large.clone()) } else { Ok(()) };
            world.outbox.settle(world.now, line.id, outcome);
            arrived.extend((!refused).then_some((line.topic, line.value)));
        }
    }
    let expected = [("t", "small 1"), (DEAD_LETTER_TOPIC, "large"), ("t", "small 2")];
    assert_eq!(
        arrived,
        expected.map(|(topic, value)| (topic.to_owned(), value.to_owned()))
    );
    world.accept("t", "a");
    world.accept("t", "b");
    assert_eq!(world.kafka.take().len(), 2, "in company again");
}

#[test]
fn a_snapshot_that_the_broker_refuses_goes_row_by_row() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    world.outbox.topics = Topics::new(1);
    world.accept("t", r#"{"snapshot":[{"a":"1"},{"a":"2"}],"name":"q"}"#);
    let too_large = Failure::TooLarge("larger than the topic takes".to_owned());
    // Alone it was not, as far as anybody knows; the second time it is.
    for _ in 0..2 {
        let sent = world.kafka.take();
        assert_eq!(sent.len(), 1);
        world.fail(sent, &too_large);
        world.outbox.pump(world.now);
    }
    let rows: Vec<String> = world.acknowledge().into_iter().map(|line| line.value).collect();
    assert_eq!(rows[0], r#"{"name":"q","columns":{"a":"1"},"action":"snapshot"}"#);
    assert_eq!((rows.len(), world.outbox.waiting()), (2, 0));
    let books = &world.books;
    assert_eq!(
        (books.rows.get(), books.accepted.get(), books.delivered.get()),
        (1, 2, 2),
        "one more came of it, and what was accepted arrived"
    );
}

#[test]
fn a_snapshot_that_is_refused_at_once_goes_row_by_row_behind_what_came_meanwhile() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    let row = format!(r#"{{"a":"{}"}}"#, "x".repeat(600));
    world.accept("t", &format!(r#"{{"snapshot":[{row},{row}],"name":"q"}}"#));
    assert!(world.outbox.needs_time(), "nothing of Kafka's will wake anybody");
    world.accept("t", "after");
    let values: Vec<String> = world.acknowledge().into_iter().map(|line| line.value).collect();
    let row = format!(r#"{{"name":"q","columns":{row},"action":"snapshot"}}"#);
    assert_eq!(values, ["after", &row, &row]);
    let books = &world.books;
    assert_eq!((books.dead_lettered.get(), books.damaged.get()), (0, 0));
    assert_eq!((books.accepted.get(), books.delivered.get()), (3, 3));
    assert_eq!(world.outbox.waiting(), 0);
}

#[test]
fn a_snapshot_that_its_topic_refuses_for_good_is_one_dead_letter() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    let snapshot = r#"{"snapshot":[{"a":"1"},{"a":"2"}],"name":"q"}"#;
    world.accept("secret", snapshot);
    let sent = world.kafka.take();
    world.fail(sent, &Failure::Final("not allowed".to_owned()));
    let dead = world.acknowledge();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(
        (dead[0].topic.as_str(), dead[0].value.as_str()),
        (DEAD_LETTER_TOPIC, snapshot)
    );
    let size = snapshot.len().to_string();
    assert!(dead[0].headers.contains(&("osqdemo-size", size)), "{dead:?}");
    assert_eq!((world.books.rows.get(), world.books.dead_lettered.get()), (0, 1));
}

#[test]
fn nothing_is_read_back_while_kafka_keeps_up() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    let before = world.disk.reads();
    for number in 0..500 {
        world.accept("t", &format!("a line with some length {number}"));
        // The first has to show that the topic is there; then ten are under way at once.
        if number % 10 > 0 {
            continue;
        }
        for line in world.kafka.take() {
            world.outbox.settle(world.now, line.id, Ok(()));
        }
        world.outbox.pump(world.now);
        world.outbox.tidy();
    }
    assert_eq!(world.disk.reads(), before);
    let under_way = world.kafka.take();
    assert_eq!(
        world.outbox.waiting(),
        under_way.len() as u64,
        "all others arrived"
    );
    // Those that failed are, so that something is counted.
    world.fail(under_way, &passing());
    world.acknowledge();
    assert!(world.disk.reads() > before);
}

#[test]
fn a_clock_that_jumps_changes_no_order() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    for (number, unix_ms) in [
        (0, 1_000_000),
        (1, i64::MAX),
        (2, 5),
        (3, i64::MIN),
        (4, 1_000_001),
    ] {
        world.now.unix_ms = unix_ms;
        assert_eq!(world.accept("t", &number.to_string()), Taken::Accepted);
    }
    let sent = world.kafka.take();
    world.fail(sent, &passing());
    let values: Vec<String> = world.acknowledge().into_iter().map(|line| line.value).collect();
    assert_eq!(values, ["0", "1", "2", "3", "4"]);
}

#[test]
fn without_a_spool_memory_holds_lines_and_they_come_again() {
    let mut world = World::new(1 << 20, WhenFull::DropNewest);
    let choices = Choices {
        needs_disk: false,
        ..world.outbox.choices
    };
    world.outbox = Outbox::new(
        None,
        world.kafka.clone(),
        choices,
        [3; 16],
        Arc::clone(&world.books),
    );
    for number in 0..3 {
        assert_eq!(world.accept("t", &number.to_string()), Taken::Accepted);
    }
    let sent = world.kafka.take();
    world.fail(sent, &passing());
    let values: Vec<String> = world.acknowledge().into_iter().map(|line| line.value).collect();
    assert_eq!(values, ["0", "1", "2"]);
    assert_eq!(world.outbox.waiting(), 0);
}
