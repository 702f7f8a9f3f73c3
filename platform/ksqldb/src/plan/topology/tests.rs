//! The texts of queries of each kind, and that they name the stores that a task has.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::metastore::Metastore;
use crate::plan::{Purpose, QueryPlan, Step, plan_query, plan_source};
use crate::syntax::ast::{CreateAsSelect, Statement};
use crate::syntax::parse;

const SOURCES: &str = "
    CREATE STREAM s (k STRING KEY, g STRING, v INT) WITH (kafka_topic='s', value_format='JSON');
    CREATE STREAM r (k STRING KEY, w STRING) WITH (kafka_topic='r', value_format='JSON');
    CREATE TABLE t (id STRING PRIMARY KEY, g STRING, v INT) WITH (kafka_topic='t', value_format='JSON');
    CREATE TABLE u (id STRING PRIMARY KEY, w STRING) WITH (kafka_topic='u', value_format='JSON');";

/// The plan of the statement.
fn plan(statement: &str) -> QueryPlan {
    let mut metastore = Metastore::default();
    for parsed in parse(&format!("{SOURCES}{statement}")).unwrap() {
        let purpose = match &parsed.statement {
            Statement::CreateSource(declaration) => {
                metastore.insert(Arc::new(plan_source(declaration, &parsed.text).unwrap()));
                continue;
            }
            Statement::CreateAsSelect(create) => Purpose::Sink {
                name: &create.name,
                kind: create.kind,
                properties: &create.properties,
                statement: &parsed.text,
                wrap_single_values: true,
            },
            Statement::Query(_) => Purpose::Push,
            other => panic!("no query: {other:?}"),
        };
        let (Statement::CreateAsSelect(CreateAsSelect { query, .. }) | Statement::Query(query)) =
            &parsed.statement
        else {
            panic!("no query: {statement}");
        };
        return plan_query(&metastore, query, purpose).unwrap();
    }
    panic!("no query: {statement}");
}

fn topology(statement: &str) -> String {
    plan(statement).explanation().topology.clone()
}

/// What stands in the parentheses behind `stores:`.
fn stores(topology: &str) -> BTreeSet<String> {
    let lists = topology.split("(stores: [").skip(1);
    let lists = lists.filter_map(|rest| rest.split(']').next());
    let names = lists.flat_map(|list| list.split(", "));
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn groups_by_another_key_go_through_a_topic() {
    let text = topology("CREATE TABLE c AS SELECT g, COUNT(*) AS n FROM s WHERE v > 1 GROUP BY g;");
    assert_eq!(
        text,
        "Topologies:\n   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [s])
      --> KSTREAM-TRANSFORMVALUES-0000000001
    Processor: KSTREAM-TRANSFORMVALUES-0000000001 (stores: [])
      --> WhereFilter
      <-- KSTREAM-SOURCE-0000000000
    Processor: WhereFilter (stores: [])
      --> Aggregate-Prepare
      <-- KSTREAM-TRANSFORMVALUES-0000000001
    Processor: Aggregate-Prepare (stores: [])
      --> KSTREAM-FILTER-0000000004
      <-- WhereFilter
    Processor: KSTREAM-FILTER-0000000004 (stores: [])
      --> Aggregate-GroupBy
      <-- Aggregate-Prepare
    Processor: Aggregate-GroupBy (stores: [])
      --> Aggregate-GroupBy-repartition-filter
      <-- KSTREAM-FILTER-0000000004
    Processor: Aggregate-GroupBy-repartition-filter (stores: [])
      --> Aggregate-GroupBy-repartition-sink
      <-- Aggregate-GroupBy
    Sink: Aggregate-GroupBy-repartition-sink (topic: Aggregate-GroupBy-repartition)
      <-- Aggregate-GroupBy-repartition-filter

  Sub-topology: 1
    Source: Aggregate-GroupBy-repartition-source (topics: [Aggregate-GroupBy-repartition])
      --> KSTREAM-AGGREGATE-0000000006
    Processor: KSTREAM-AGGREGATE-0000000006 (stores: [Aggregate-Aggregate-Materialize])
      --> Aggregate-Aggregate-ToOutputSchema
      <-- Aggregate-GroupBy-repartition-source
    Processor: Aggregate-Aggregate-ToOutputSchema (stores: [])
      --> Aggregate-Project
      <-- KSTREAM-AGGREGATE-0000000006
    Processor: Aggregate-Project (stores: [])
      --> KTABLE-TOSTREAM-0000000012
      <-- Aggregate-Aggregate-ToOutputSchema
    Processor: KTABLE-TOSTREAM-0000000012 (stores: [])
      --> KSTREAM-SINK-0000000013
      <-- Aggregate-Project
    Sink: KSTREAM-SINK-0000000013 (topic: C)
      <-- KTABLE-TOSTREAM-0000000012

"
    );
}

#[test]
fn groups_by_the_key_stay_where_they_are() {
    let text = topology(
        "CREATE TABLE c AS SELECT k, SUM(v) AS n FROM s WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY k HAVING SUM(v) > 2;",
    );
    assert_eq!(
        text,
        "Topologies:\n   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [s])
      --> KSTREAM-TRANSFORMVALUES-0000000001
    Processor: KSTREAM-TRANSFORMVALUES-0000000001 (stores: [])
      --> Aggregate-Prepare
      <-- KSTREAM-SOURCE-0000000000
    Processor: Aggregate-Prepare (stores: [])
      --> KSTREAM-AGGREGATE-0000000003
      <-- KSTREAM-TRANSFORMVALUES-0000000001
    Processor: KSTREAM-AGGREGATE-0000000003 (stores: [Aggregate-Aggregate-Materialize])
      --> Aggregate-Aggregate-ToOutputSchema
      <-- Aggregate-Prepare
    Processor: Aggregate-Aggregate-ToOutputSchema (stores: [])
      --> Aggregate-Aggregate-WindowSelect
      <-- KSTREAM-AGGREGATE-0000000003
    Processor: Aggregate-Aggregate-WindowSelect (stores: [])
      --> Aggregate-HavingFilter-ApplyPredicate
      <-- Aggregate-Aggregate-ToOutputSchema
    Processor: Aggregate-HavingFilter-ApplyPredicate (stores: [])
      --> Aggregate-HavingFilter-Filter
      <-- Aggregate-Aggregate-WindowSelect
    Processor: Aggregate-HavingFilter-Filter (stores: [])
      --> Aggregate-HavingFilter-PostProcess
      <-- Aggregate-HavingFilter-ApplyPredicate
    Processor: Aggregate-HavingFilter-PostProcess (stores: [])
      --> Aggregate-Project
      <-- Aggregate-HavingFilter-Filter
    Processor: Aggregate-Project (stores: [])
      --> KTABLE-TOSTREAM-0000000010
      <-- Aggregate-HavingFilter-PostProcess
    Processor: KTABLE-TOSTREAM-0000000010 (stores: [])
      --> KSTREAM-SINK-0000000011
      <-- Aggregate-Project
    Sink: KSTREAM-SINK-0000000011 (topic: C)
      <-- KTABLE-TOSTREAM-0000000010

"
    );
}

#[test]
fn a_table_that_is_looked_into_shares_its_store() {
    let text = topology("SELECT s.g, u.w FROM s LEFT JOIN u ON s.g = u.id EMIT CHANGES;");
    assert_eq!(
        text,
        "Topologies:\n   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [s])
      --> KSTREAM-TRANSFORMVALUES-0000000001
    Processor: KSTREAM-TRANSFORMVALUES-0000000001 (stores: [])
      --> LeftSourceKeyed-SelectKey
      <-- KSTREAM-SOURCE-0000000000
    Processor: LeftSourceKeyed-SelectKey (stores: [])
      --> PrependAliasLeft
      <-- KSTREAM-TRANSFORMVALUES-0000000001
    Processor: PrependAliasLeft (stores: [])
      --> Join-repartition-filter
      <-- LeftSourceKeyed-SelectKey
    Processor: Join-repartition-filter (stores: [])
      --> Join-repartition-sink
      <-- PrependAliasLeft
    Sink: Join-repartition-sink (topic: Join-repartition)
      <-- Join-repartition-filter

  Sub-topology: 1
    Source: Join-repartition-source (topics: [Join-repartition])
      --> Join
    Source: KSTREAM-SOURCE-0000000004 (topics: [u])
      --> KTABLE-SOURCE-0000000005
    Processor: Join (stores: [KafkaTopic_Right-Reduce])
      --> Project
      <-- Join-repartition-source
    Processor: KTABLE-SOURCE-0000000005 (stores: [KafkaTopic_Right-Reduce])
      --> KTABLE-TRANSFORMVALUES-0000000006
      <-- KSTREAM-SOURCE-0000000004
    Processor: KTABLE-TRANSFORMVALUES-0000000006 (stores: [])
      --> PrependAliasRight
      <-- KTABLE-SOURCE-0000000005
    Processor: Project (stores: [])
      --> KSTREAM-PROCESSOR-0000000013
      <-- Join
    Processor: KSTREAM-PROCESSOR-0000000013 (stores: [])
      --> none
      <-- Project
    Processor: PrependAliasRight (stores: [])
      --> none
      <-- KTABLE-TRANSFORMVALUES-0000000006

"
    );
}

#[test]
fn the_stores_are_those_of_the_task() {
    for (statement, has_windows) in [
        ("CREATE STREAM o AS SELECT k, v FROM s WHERE v = 1;", false),
        (
            "CREATE TABLE o AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;",
            false,
        ),
        ("SELECT g, COUNT(*) AS n FROM s GROUP BY g EMIT CHANGES;", false),
        (
            "SELECT k, COUNT(*) AS n FROM s WINDOW SESSION (1 MINUTE) GROUP BY k EMIT CHANGES;",
            false,
        ),
        ("CREATE TABLE o AS SELECT id, v FROM t;", false),
        ("CREATE TABLE o AS SELECT id, v FROM t WHERE v > 1;", false),
        ("SELECT * FROM t EMIT CHANGES;", false),
        ("SELECT * FROM t WHERE v > 1 EMIT CHANGES;", false),
        (
            "CREATE TABLE o AS SELECT g, COUNT(*) AS n FROM t GROUP BY g HAVING COUNT(*) > 1;",
            false,
        ),
        (
            "CREATE TABLE o AS SELECT t.id, w FROM t JOIN u ON t.id = u.id;",
            false,
        ),
        ("SELECT t.id, w FROM t JOIN u ON t.id = u.id EMIT CHANGES;", false),
        (
            "CREATE TABLE o AS SELECT t.id, w FROM t JOIN u ON t.g = u.id;",
            false,
        ),
        (
            "CREATE TABLE o AS SELECT t.g, COUNT(*) AS n FROM t JOIN u ON t.id = u.id GROUP BY t.g;",
            false,
        ),
        ("SELECT s.k, w FROM s JOIN u ON s.k = u.id EMIT CHANGES;", false),
        (
            "SELECT s.k, w FROM s JOIN t ON s.k = t.id JOIN u ON s.k = u.id EMIT CHANGES;",
            false,
        ),
        (
            "SELECT s.k, w FROM s JOIN r WITHIN 1 MINUTE ON s.k = r.k EMIT CHANGES;",
            true,
        ),
        (
            "SELECT s.k, COUNT(*) AS n FROM s JOIN r WITHIN 1 MINUTE ON s.k = r.k GROUP BY s.k EMIT CHANGES;",
            true,
        ),
    ] {
        let plan = plan(statement);
        let kept: BTreeSet<String> = {
            let steps = plan.pipeline.steps.iter();
            let stores = steps.flat_map(Step::stores);
            stores.map(|store| store.name.to_string()).collect()
        };
        let mut told = stores(&plan.explanation().topology);
        // The rows of both sides of a join of streams lie in memory of its own.
        let before = told.len();
        told.retain(|name| !name.starts_with("KSTREAM-"));
        assert_eq!(told.len() < before, has_windows, "{statement}");
        assert_eq!(told, kept, "{statement}");
    }
}
