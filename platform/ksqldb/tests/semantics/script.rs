//! A small world without a broker: statements are planned and run at once, the records that a query writes
//! are handed to the queries that read them.

use std::collections::VecDeque;
use std::sync::Arc;

use osqdemo_ksqldb::metastore::Metastore;
use osqdemo_ksqldb::plan::{PlanError, Purpose, QueryPlan, insert_values, plan_query, plan_source};
use osqdemo_ksqldb::syntax::ast::Statement;
use osqdemo_ksqldb::syntax::parse;
use osqdemo_ksqldb::task::{Collector, InputRecord, Task};

/// A record as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: i64,
}

impl Record {
    /// A record without a key.
    pub(crate) fn new(topic: &str, timestamp: i64, value: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            key: None,
            value: Some(value.as_bytes().to_vec()),
            timestamp,
        }
    }

    /// With a key of text.
    pub(crate) fn keyed(self, key: &str) -> Self {
        Self {
            key: Some(key.as_bytes().to_vec()),
            ..self
        }
    }

    /// `key|value@time`
    pub(crate) fn text(&self) -> String {
        let text = |bytes: &Option<Vec<u8>>| match bytes {
            None => "null".to_owned(),
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        };
        format!("{}|{}@{}", text(&self.key), text(&self.value), self.timestamp)
    }
}

struct Running {
    task: Task,
    plan: QueryPlan,
}

/// Declared sources, running queries, and what they gave out.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) metastore: Metastore,
    queries: Vec<Running>,
    pub(crate) written: Vec<Record>,
    pub(crate) rows: Vec<String>,
    pub(crate) log: Vec<String>,
    pub(crate) last_plan: Option<QueryPlan>,
}

impl World {
    /// A world in which these statements were executed.
    pub(crate) fn of(statements: &str) -> Self {
        let mut world = Self::default();
        world.execute(statements).expect("the statements are good");
        world
    }

    pub(crate) fn execute(&mut self, statements: &str) -> Result<(), PlanError> {
        for parsed in parse(statements).map_err(|error| PlanError::new(error.to_string()))? {
            match parsed.statement {
                Statement::CreateSource(declaration) => {
                    let source = plan_source(&declaration, &parsed.text)?;
                    self.metastore.insert(Arc::new(source));
                }
                Statement::CreateAsSelect(create) => {
                    let purpose = Purpose::Sink {
                        name: &create.name,
                        kind: create.kind,
                        properties: &create.properties,
                        statement: &parsed.text,
                        wrap_single_values: true,
                    };
                    let plan = plan_query(&self.metastore, &create.query, purpose)?;
                    if let Some(sink) = plan.sink() {
                        self.metastore.insert(Arc::clone(sink));
                    }
                    self.start(plan);
                }
                Statement::InsertInto(insert) => {
                    let purpose = Purpose::InsertInto {
                        target: &insert.target,
                        position: insert.position,
                        properties: &insert.properties,
                    };
                    let plan = plan_query(&self.metastore, &insert.query, purpose)?;
                    self.start(plan);
                }
                Statement::Query(query) => {
                    let plan = plan_query(&self.metastore, &query, Purpose::Push)?;
                    self.start(plan);
                }
                Statement::InsertValues(insert) => {
                    let target = self
                        .metastore
                        .get(&insert.target)
                        .expect("the target is declared");
                    let record = insert_values(target, &insert, 1000)?;
                    let topic = target.topic.clone();
                    self.send(Record {
                        topic,
                        key: record.key,
                        value: record.value,
                        timestamp: record.timestamp,
                    });
                }
                other => panic!("no meaning here for {other:?}"),
            }
        }
        Ok(())
    }

    fn start(&mut self, plan: QueryPlan) {
        self.last_plan = Some(plan.clone());
        self.queries.push(Running {
            task: Task::new(&plan),
            plan,
        });
    }

    /// Hands a record to all queries, and what they write to all queries again.
    pub(crate) fn send(&mut self, record: Record) {
        let mut pending = VecDeque::from([record]);
        while let Some(record) = pending.pop_front() {
            let before = self.written.len();
            self.send_input(input(&record));
            pending.extend(self.written[before..].iter().cloned());
        }
    }

    /// Hands a record to all queries.
    pub(crate) fn send_input(&mut self, record: InputRecord<'_>) {
        for running in &mut self.queries {
            let mut collector = Collector::default();
            running.task.process(record, &mut collector);
            for row in collector.rows {
                let schema = running.plan.output();
                assert_eq!(row.row.len(), schema.columns.len());
                self.rows
                    .push(format!("{:?}@{}", Values(&row.row), row.timestamp));
            }
            for output in collector.records {
                let topic = running.plan.sink().expect("records need a sink").topic.clone();
                self.written.push(Record {
                    topic,
                    key: output.key,
                    value: output.value,
                    timestamp: output.timestamp,
                });
            }
            self.log.extend(collector.log.iter().map(ToString::to_string));
        }
    }

    /// Sends values without keys to a topic, one millisecond after the other.
    pub(crate) fn send_all(&mut self, topic: &str, values: &[&str]) {
        for (timestamp, value) in (0..).zip(values) {
            self.send(Record::new(topic, timestamp, value));
        }
    }

    /// What was written to a topic, each as `key|value@time`.
    pub(crate) fn written_to(&self, topic: &str) -> Vec<String> {
        let to_topic = self.written.iter().filter(|record| record.topic == topic);
        to_topic.map(Record::text).collect()
    }

    /// The error of statements that must fail.
    pub(crate) fn error(&mut self, statements: &str) -> String {
        match self.execute(statements) {
            Ok(()) => panic!("this must fail: {statements}"),
            Err(error) => error.message,
        }
    }

    /// Replays a record to the last query without output.
    pub(crate) fn restore(&mut self, record: &Record) {
        let running = self.queries.last_mut().expect("there is a query");
        running.task.restore(input(record));
    }

    /// The rows that the joins of the last query hold, and those that wait.
    pub(crate) fn stored(&self) -> (usize, usize) {
        self.queries.last().expect("there is a query").task.stored_rows()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.queries.last().expect("there is a query").task.is_complete()
    }
}

pub(crate) fn input(record: &Record) -> InputRecord<'_> {
    InputRecord {
        topic: &record.topic,
        partition: 0,
        offset: 0,
        timestamp: record.timestamp,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &[],
    }
}

struct Values<'a>(&'a [osqdemo_ksqldb::value::Value]);

impl std::fmt::Debug for Values<'_> {
    /// `[1, "a", null]`
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(Short)).finish()
    }
}

struct Short<'a>(&'a osqdemo_ksqldb::value::Value);

impl std::fmt::Debug for Short<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use osqdemo_ksqldb::value::Value;
        match self.0 {
            Value::Null => formatter.write_str("null"),
            Value::Boolean(value) => write!(formatter, "{value}"),
            Value::Integer(value) | Value::Date(value) | Value::Time(value) => {
                write!(formatter, "{value}")
            }
            Value::Bigint(value) | Value::Timestamp(value) => write!(formatter, "{value}"),
            Value::Double(value) => write!(formatter, "{value:?}"),
            Value::Decimal(value) => formatter.write_str(&value.to_plain_string()),
            Value::String(value) => write!(formatter, "{value:?}"),
            Value::Bytes(value) => write!(formatter, "{value:?}"),
            Value::Array(values) | Value::Struct(values) => Values(values).fmt(formatter),
            Value::Map(entries) => formatter
                .debug_map()
                .entries(entries.iter().map(|(key, value)| (key, Short(value))))
                .finish(),
        }
    }
}
