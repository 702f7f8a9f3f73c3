//! Records through real queries: what a server does with bytes it has not written itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use osqdemo_avro::Schema;
use osqdemo_ksqldb::metastore::Metastore;
use osqdemo_ksqldb::plan::{Purpose, QueryPlan, plan_query, plan_source};
use osqdemo_ksqldb::serde::WriterSchema;
use osqdemo_ksqldb::syntax::ast::Statement;
use osqdemo_ksqldb::syntax::parse;
use osqdemo_ksqldb::task::{Collector, InputRecord, Task};
use osqdemo_registry_client::wire::write_id;

/// A source, what reads it, what copies it, and what reads the copy.
pub struct Copied {
    direct: QueryPlan,
    copy: QueryPlan,
    copied: QueryPlan,
}

impl Copied {
    /// A stream of these columns in this format.
    pub fn new(columns: &str, format: &str) -> Self {
        let mut metastore = declare(&format!(
            "CREATE STREAM s ({columns}) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='{format}', PARTITIONS=1);"
        ));
        let direct = plan(&metastore, "SELECT * FROM s EMIT CHANGES;").expect("the source can be read");
        let copy = plan(&metastore, "CREATE STREAM c AS SELECT * FROM s;").expect("the source can be copied");
        metastore.insert(Arc::clone(copy.sink().expect("a copy has a sink")));
        let copied = plan(&metastore, "SELECT * FROM c EMIT CHANGES;").expect("the copy can be read");
        Self { direct, copy, copied }
    }

    /// A value is refused, or its copy has the same row.
    pub fn check(&self, value: &[u8]) {
        let mut rows = run(&self.direct, "s", value).rows;
        let Some(row) = rows.pop() else { return };
        let copies = run(&self.copy, "s", value);
        // What a format cannot write, such as infinity in JSON, is said in the log.
        let Some(copy) = copies.records.first() else {
            assert!(!copies.log.is_empty(), "a row was lost: {row:?}");
            return;
        };
        let topic = &self.copy.sink().expect("a copy has a sink").topic;
        let text = copy.value.as_deref().expect("the copy of a row has a value");
        let read = run(&self.copied, topic, text);
        let shown = String::from_utf8_lossy(text);
        assert!(read.log.is_empty(), "{shown}: {:?}", read.log);
        // Compared as text: not a number is not equal to itself.
        assert_eq!(format!("{:?}", read.rows), format!("{:?}", [row]), "{shown}");
    }
}

/// The same for records of Avro, each with the schema that it was written with.
pub struct CopiedAvro {
    queries: Copied,
    /// Each schema has an id of its own, as in a registry.
    ids: AtomicU32,
}

/// The id of the schema that copies are written with.
const OF_COPIES: u32 = 0;

impl CopiedAvro {
    /// A stream of these columns.
    pub fn new(columns: &str) -> Self {
        let queries = Copied::new(columns, "AVRO");
        let mut declared = None;
        let prepared = queries.copy.prepare_sink(|_, text| {
            let schema = Arc::new(Schema::parse(text).expect("what is registered is a schema"));
            declared = Some(Arc::clone(&schema));
            (OF_COPIES, WriterSchema::Avro(schema))
        });
        prepared.expect("the copy can be written");
        let copies = WriterSchema::Avro(declared.expect("the copy has a schema"));
        let topic = &queries.copy.sink().expect("a copy has a sink").topic;
        learn(&queries.copied, topic, &framed(OF_COPIES, b""), &copies);
        Self { queries, ids: AtomicU32::new(OF_COPIES + 1) }
    }

    /// Data of a schema are refused, or the copy has the same row.
    pub fn check(&self, schema: Schema, data: &[u8]) {
        let schema = WriterSchema::Avro(Arc::new(schema));
        let value = framed(self.ids.fetch_add(1, Ordering::Relaxed), data);
        for query in [&self.queries.direct, &self.queries.copy] {
            learn(query, "s", &value, &schema);
        }
        self.queries.check(&value);
    }
}

/// Gives a query the schema that a record names.
fn learn(query: &QueryPlan, topic: &str, value: &[u8], schema: &WriterSchema) {
    while let Some(missing) = query.missing_schema(&record(topic, value)) {
        query.learn_schema(&missing, Ok(schema));
    }
}

fn framed(id: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(data.len() + 5);
    write_id(id, &mut bytes);
    bytes.extend_from_slice(data);
    bytes
}

/// A metastore with one declared source.
pub fn declare(statement: &str) -> Metastore {
    let mut metastore = Metastore::default();
    let parsed = parse(statement).expect("the declaration can be parsed").remove(0);
    let Statement::CreateSource(declaration) = parsed.statement else {
        panic!("not a declaration: {statement}");
    };
    metastore.insert(Arc::new(
        plan_source(&declaration, &parsed.text).expect("the declaration is good"),
    ));
    metastore
}

/// The plan of one query; `None` where the text is none, or means nothing.
pub fn plan(metastore: &Metastore, statement: &str) -> Option<QueryPlan> {
    let parsed = parse(statement).ok()?.into_iter().next()?;
    match parsed.statement {
        Statement::Query(query) => plan_query(metastore, &query, Purpose::Push).ok(),
        Statement::CreateAsSelect(create) => {
            let purpose = Purpose::Sink {
                name: &create.name,
                kind: create.kind,
                properties: &create.properties,
                statement: &parsed.text,
                wrap_single_values: true,
            };
            plan_query(metastore, &create.query, purpose).ok()
        }
        _ => None,
    }
}

/// What a query makes of one record.
pub fn run(plan: &QueryPlan, topic: &str, value: &[u8]) -> Collector {
    let mut collector = Collector::default();
    Task::new(plan).process(record(topic, value), &mut collector);
    collector
}

fn record<'a>(topic: &'a str, value: &'a [u8]) -> InputRecord<'a> {
    InputRecord {
        topic,
        partition: 0,
        offset: 0,
        timestamp: 0,
        key: None,
        value: Some(value),
        headers: &[],
    }
}
