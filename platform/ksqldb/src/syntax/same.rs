//! Whether two definitions say the same, where one is as a server wrote the other down.
//!
//! A server qualifies each column by its source, gives each an alias, writes `*` out, and adds the properties that were
//! left out. What the sources look like is not asked.

use super::ast::{
    ColumnDefinition, CreateAsSelect, CreateSource, Expression, ExpressionKind, Join, Literal, Position,
    Properties, Query, SelectItem, Statement, Window,
};

/// Properties whose values are names in themselves: case counts.
const EXACT: [&str; 4] = [
    "KAFKA_TOPIC",
    "KEY_SCHEMA_FULL_NAME",
    "TIMESTAMP_FORMAT",
    "VALUE_SCHEMA_FULL_NAME",
];

/// Whether `written` is what a server writes down of the definition `submitted`. `None`: these are no definitions.
pub fn same_definition(submitted: &Statement, written: &Statement) -> Option<bool> {
    match (submitted, written) {
        (Statement::CreateSource(submitted), Statement::CreateSource(written)) => {
            Some(same_source(submitted, written))
        }
        (Statement::CreateAsSelect(submitted), Statement::CreateAsSelect(written)) => {
            Some(same_select(submitted, written))
        }
        (
            Statement::CreateSource(_) | Statement::CreateAsSelect(_),
            Statement::CreateSource(_) | Statement::CreateAsSelect(_),
        ) => Some(false),
        _ => None,
    }
}

fn same_source(submitted: &CreateSource, written: &CreateSource) -> bool {
    let column = |column: &ColumnDefinition| ColumnDefinition {
        position: Position::default(),
        ..column.clone()
    };
    // Columns that were left out are those of a schema.
    let same_columns = submitted.columns.is_empty()
        || submitted
            .columns
            .iter()
            .map(column)
            .eq(written.columns.iter().map(column));
    same_columns
        && submitted.kind == written.kind
        && submitted.name == written.name
        && submitted.read_only == written.read_only
        && says(&written.properties, &submitted.properties)
}

fn same_select(submitted: &CreateAsSelect, written: &CreateAsSelect) -> bool {
    // A topic that is not named is named as its stream, behind a prefix that the server may be set to.
    let is_of_its_name = |topic: &Literal| text(topic).ends_with(&submitted.name);
    let topic = written.properties.get("KAFKA_TOPIC");
    let same_topic = submitted.properties.get("KAFKA_TOPIC").is_some() || topic.is_none_or(is_of_its_name);
    same_topic
        && submitted.kind == written.kind
        && submitted.name == written.name
        && says(&written.properties, &submitted.properties)
        && same_query(&submitted.query, &written.query)
}

/// Whether these properties are among those.
fn says(all: &Properties, some: &Properties) -> bool {
    some.0.iter().all(|(name, value)| {
        let names: &[&str] = if name == "FORMAT" {
            &["KEY_FORMAT", "VALUE_FORMAT"]
        } else {
            &[name]
        };
        let is_said = |name: &&str| {
            all.get(name).or_else(|| all.get("FORMAT")).is_some_and(|said| {
                let (said, value) = (text(said), text(value));
                said == value || !EXACT.contains(name) && said.eq_ignore_ascii_case(&value)
            })
        };
        names.iter().all(is_said)
    })
}

/// A property's value: `'4'` and `4` are the same.
fn text(literal: &Literal) -> String {
    match literal {
        Literal::Null => "NULL".to_owned(),
        Literal::Boolean(value) => value.to_string(),
        Literal::Integer(value) => value.to_string(),
        Literal::Bigint(value) => value.to_string(),
        Literal::Double(value) => value.to_string(),
        Literal::Decimal(value) | Literal::String(value) => value.clone(),
    }
}

fn same_query(submitted: &Query, written: &Query) -> bool {
    same_projection(&submitted.select, &written.select)
        && (&submitted.from.name, &submitted.from.alias) == (&written.from.name, &written.from.alias)
        && all_same(&submitted.joins, &written.joins, same_join)
        && same_window(submitted.window.as_ref(), written.window.as_ref())
        && same_optional(submitted.filter.as_ref(), written.filter.as_ref())
        && all_same(&submitted.group_by, &written.group_by, same)
        && all_same(&submitted.partition_by, &written.partition_by, same)
        && same_optional(submitted.having.as_ref(), written.having.as_ref())
        && (submitted.emit.is_none() || submitted.emit == written.emit)
        && submitted.limit == written.limit
}

fn same_window(submitted: Option<&Window>, written: Option<&Window>) -> bool {
    let described = |window: &Window| (window.kind, window.retention, window.grace);
    submitted.map(described) == written.map(described)
}

fn same_join(submitted: &Join, written: &Join) -> bool {
    submitted.kind == written.kind
        && (&submitted.source.name, &submitted.source.alias) == (&written.source.name, &written.source.alias)
        && submitted.within == written.within
        && same(&submitted.criteria, &written.criteria)
}

/// The items in order; those for which a `*` stands are not known, so others may stand between them.
fn same_projection(submitted: &[SelectItem], written: &[SelectItem]) -> bool {
    let named = |item: &&SelectItem| matches!(item, SelectItem::Expression { .. });
    if submitted.iter().all(|item| named(&item)) {
        return all_same(submitted, written, same_item);
    }
    let mut written = written.iter();
    let mut named = submitted.iter().filter(named);
    named.all(|item| written.any(|found| same_item(item, found)))
}

fn same_item(submitted: &SelectItem, written: &SelectItem) -> bool {
    match (submitted, written) {
        (
            SelectItem::Expression { expression, alias },
            SelectItem::Expression {
                expression: found,
                alias: found_alias,
            },
        ) => (alias.is_none() || alias == found_alias) && same(expression, found),
        _ => false,
    }
}

fn all_same<T>(submitted: &[T], written: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    submitted.len() == written.len()
        && submitted
            .iter()
            .zip(written)
            .all(|(left, right)| same(left, right))
}

fn same_optional(submitted: Option<&Expression>, written: Option<&Expression>) -> bool {
    match (submitted, written) {
        (Some(submitted), Some(written)) => same(submitted, written),
        (None, None) => true,
        _ => false,
    }
}

fn same(submitted: &Expression, written: &Expression) -> bool {
    let (mut submitted, mut written) = (submitted.clone(), written.clone());
    align(&mut submitted, &mut written);
    submitted == written
}

/// Forgets places, and the qualifiers that only `written` has.
fn align(submitted: &mut Expression, written: &mut Expression) {
    submitted.position = Position::default();
    written.position = Position::default();
    if let (ExpressionKind::Column { source: None, .. }, ExpressionKind::Column { source, .. }) =
        (&submitted.kind, &mut written.kind)
    {
        *source = None;
    }
    let pairs = submitted.children_mut().into_iter().zip(written.children_mut());
    pairs.for_each(|(submitted, written)| align(submitted, written));
}

#[cfg(test)]
mod tests {
    use super::super::parse_statement;
    use super::*;

    fn verdict(submitted: &str, written: &str) -> Option<bool> {
        let parsed = |text: &str| {
            parse_statement(text, Position { line: 1, column: 1 })
                .unwrap()
                .statement
        };
        same_definition(&parsed(submitted), &parsed(written))
    }

    #[test]
    fn a_servers_own_way_of_writing_changes_nothing() {
        for (submitted, written) in [
            (
                "CREATE STREAM IF NOT EXISTS s (a VARCHAR KEY, m MAP<VARCHAR, INTEGER>) WITH (kafka_topic='x', \
                 format='json', partitions='1');",
                "CREATE STREAM S (A STRING KEY, M MAP<STRING, INT>) WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='x', \
                 KEY_FORMAT='JSON', PARTITIONS=1, VALUE_FORMAT='JSON');",
            ),
            (
                "CREATE STREAM s WITH (kafka_topic='x', value_format='avro');",
                "CREATE STREAM S (A STRING) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='AVRO');",
            ),
            (
                "CREATE STREAM j AS SELECT a.id, x AS y, b.z FROM a JOIN b WITHIN 1 MINUTE ON a.id = b.id \
                 WHERE NOT (x = 1 OR z NOT LIKE '%q' AND x != 2);",
                "CREATE STREAM J WITH (KAFKA_TOPIC='pre-J', PARTITIONS=1) AS SELECT A.ID ID, A.X Y, B.Z Z FROM A A \
                 INNER JOIN B B WITHIN 1 MINUTES ON ((A.ID = B.ID)) WHERE (NOT ((A.X = 1) OR ((NOT (B.Z LIKE '%q')) \
                 AND (A.X <> 2)))) EMIT CHANGES;",
            ),
            (
                "CREATE TABLE t AS SELECT *, COUNT(*) AS n FROM s GROUP BY a;",
                "CREATE TABLE T AS SELECT S.A A, S.B B, COUNT(*) N FROM S S GROUP BY S.A EMIT CHANGES;",
            ),
        ] {
            assert_eq!(verdict(submitted, written), Some(true), "{submitted}");
        }
    }

    #[test]
    fn the_same_words_in_another_order_are_another_definition() {
        for (submitted, written) in [
            (
                "CREATE STREAM s (a INT, b STRING) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON');",
                "CREATE STREAM S (A STRING, B INT) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON');",
            ),
            (
                "CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON');",
                "CREATE STREAM S (A INT) WITH (KAFKA_TOPIC='X', VALUE_FORMAT='JSON');",
            ),
            (
                "CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON');",
                "CREATE TABLE S (A INT) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON');",
            ),
            (
                "CREATE STREAM s AS SELECT c['pid'] AS pid, c['path'] AS path FROM t;",
                "CREATE STREAM S AS SELECT T.C['path'] PID, T.C['pid'] PATH FROM T T EMIT CHANGES;",
            ),
            (
                "CREATE STREAM s AS SELECT a + b AS n FROM t;",
                "CREATE STREAM S AS SELECT (T.A * T.B) N FROM T T EMIT CHANGES;",
            ),
            (
                "CREATE STREAM s AS SELECT a FROM t WHERE NOT (a = 1 AND b = 2);",
                "CREATE STREAM S AS SELECT T.A A FROM T T WHERE ((NOT (T.A = 1)) AND (T.B = 2)) EMIT CHANGES;",
            ),
            (
                "CREATE STREAM s AS SELECT a FROM t;",
                "CREATE STREAM S WITH (KAFKA_TOPIC='other') AS SELECT T.A A FROM T T EMIT CHANGES;",
            ),
            (
                "CREATE STREAM s AS SELECT l.a FROM l JOIN r WITHIN 1 HOUR ON l.a = r.a;",
                "CREATE STREAM S AS SELECT L.A A FROM L L INNER JOIN R R WITHIN 1 HOURS ON ((R.A = L.A)) EMIT CHANGES;",
            ),
            (
                "CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON');",
                "CREATE STREAM S AS SELECT T.A A FROM T T EMIT CHANGES;",
            ),
        ] {
            assert_eq!(verdict(submitted, written), Some(false), "{submitted}");
        }
        assert_eq!(verdict("LIST STREAMS;", "LIST STREAMS;"), None);
    }
}
