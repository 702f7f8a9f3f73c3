//! Properties of the whole way: no text panics, and a tree's canonical text reads back to that tree.
//!
//! Long because the generators of one tree are built on each other, from names to whole statements.

use proptest::prelude::*;

use super::ast::{
    AliasedSource, AssertSchema, AssertTopic, BinaryOperator, ColumnConstraint, ColumnDefinition,
    ConnectorKind, ConnectorStatement, CreateAsSelect, CreateSource, Duration, Emit, Explain, Expression,
    ExpressionKind, InsertInto, InsertValues, Join, JoinKind, Literal, OnExisting, ParsedStatement, Position,
    Print, Properties, Query, QuerySelection, SelectItem, SourceKind, Statement, TimeUnit, UnaryOperator,
    Window, WindowKind, Within,
};
use super::token::Keyword;
use super::{
    format_expression, format_identifier, format_statement, format_type, parse, parse_expression, parse_type,
};
use crate::types::{SqlType, StructField};

/// Names of every sort: plain, reserved, contextual, with odd characters.
fn name() -> BoxedStrategy<String> {
    let keyword = proptest::sample::select(Keyword::ALL).prop_map(|keyword| keyword.text().to_owned());
    prop_oneof![4 => "[A-Z_][A-Z0-9_]{0,6}", 1 => keyword, 1 => "[a-zA-Z0-9`\"' .$ż-]{1,6}"].boxed()
}

fn source_name() -> BoxedStrategy<String> {
    prop_oneof![3 => "[A-Z][A-Z0-9_]{0,6}", 1 => "[a-zA-Z0-9_-]{1,6}"].boxed()
}

/// Function names as they are looked up: upper case.
fn function() -> BoxedStrategy<String> {
    let known = proptest::sample::select(&["LEN", "COUNT", "IF", "DATEADD", "TIMESTAMPSUB", "REPLACE"][..]);
    prop_oneof![known.prop_map(str::to_owned), "[A-Z_][A-Z0-9_]{0,6}"].boxed()
}

fn literal() -> BoxedStrategy<Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Boolean),
        any::<i32>().prop_map(Literal::Integer),
        any::<i64>()
            .prop_filter("an INTEGER literal", |number| i32::try_from(*number).is_err())
            .prop_map(Literal::Bigint),
        "-?[0-9]{1,5}(\\.[0-9]{0,5})?".prop_map(Literal::Decimal),
        any::<f64>()
            .prop_filter("no literal", |number| number.is_finite())
            .prop_map(Literal::Double),
        any::<String>().prop_map(Literal::String),
        proptest::sample::select(&["DAY", "SECONDS"][..]).prop_map(|unit| Literal::String(unit.to_owned())),
    ]
    .boxed()
}

fn sql_type() -> BoxedStrategy<SqlType> {
    let primitive = prop_oneof![
        Just(SqlType::Boolean),
        Just(SqlType::Integer),
        Just(SqlType::Bigint),
        Just(SqlType::Double),
        (0_u32..20, 1_u32..20).prop_map(|(scale, more)| SqlType::Decimal {
            precision: scale + more,
            scale
        }),
        Just(SqlType::String),
        Just(SqlType::Bytes),
        Just(SqlType::Date),
        Just(SqlType::Time),
        Just(SqlType::Timestamp),
    ];
    primitive
        .prop_recursive(3, 12, 3, |inner| {
            let field = (name(), inner.clone()).prop_map(|(name, sql_type)| StructField { name, sql_type });
            prop_oneof![
                inner
                    .clone()
                    .prop_map(|element| SqlType::Array(Box::new(element))),
                (inner.clone(), inner).prop_map(|(key, value)| SqlType::Map(Box::new(key), Box::new(value))),
                proptest::collection::vec(field, 0..3).prop_map(|mut fields| {
                    // Two of one name are refused.
                    let mut names = std::collections::BTreeSet::new();
                    fields.retain(|field| names.insert(field.name.clone()));
                    SqlType::Struct(fields)
                }),
            ]
        })
        .boxed()
}

/// Operators that chain with each other.
const RANKS: &[&[&str]] = &[&["OR"], &["AND"], &["+", "-"], &["*", "/", "%"]];

/// Positions are not part of what the canonical text says; `erased` below takes them away.
fn at_nowhere(kind: ExpressionKind) -> Expression {
    Expression {
        kind,
        position: Position::default(),
    }
}

fn operator() -> BoxedStrategy<BinaryOperator> {
    use BinaryOperator::{
        Add, And, Divide, Equal, Greater, GreaterOrEqual, IsDistinctFrom, IsNotDistinctFrom, Less,
        LessOrEqual, Modulo, Multiply, NotEqual, Or, Subtract,
    };
    proptest::sample::select(
        &[
            Or,
            And,
            Equal,
            NotEqual,
            Less,
            LessOrEqual,
            Greater,
            GreaterOrEqual,
            IsDistinctFrom,
            IsNotDistinctFrom,
            Add,
            Subtract,
            Multiply,
            Divide,
            Modulo,
        ][..],
    )
    .boxed()
}

fn expression() -> BoxedStrategy<Expression> {
    let leaf = prop_oneof![
        literal().prop_map(ExpressionKind::Literal),
        (proptest::option::of(name()), name())
            .prop_map(|(source, name)| ExpressionKind::Column { source, name }),
    ];
    leaf.prop_map(at_nowhere)
        .prop_recursive(5, 24, 3, |inner| {
            let boxed = inner.clone().prop_map(Box::new).boxed();
            let several = proptest::collection::vec(inner.clone(), 0..3).boxed();
            let some = proptest::collection::vec(inner.clone(), 1..3);
            // A map has a key once.
            let pairs = proptest::collection::vec((inner.clone(), inner.clone()), 0..3)
                .prop_map(|mut pairs| {
                    pairs.dedup_by_key(|(key, _)| format_expression(key));
                    pairs
                })
                .boxed();
            let branches = proptest::collection::vec((inner.clone(), inner.clone()), 1..3);
            let lambda = (proptest::collection::vec(name(), 1..3), boxed.clone())
                .prop_map(|(parameters, body)| at_nowhere(ExpressionKind::Lambda { parameters, body }));
            let arguments = proptest::collection::vec(prop_oneof![4 => inner.clone(), 1 => lambda], 0..3);
            let negated = any::<bool>();
            let unary = proptest::sample::select(
                &[UnaryOperator::Plus, UnaryOperator::Minus, UnaryOperator::Not][..],
            );
            prop_oneof![
                (unary, boxed.clone())
                    .prop_map(|(operator, operand)| ExpressionKind::Unary(operator, operand)),
                (boxed.clone(), operator(), boxed.clone())
                    .prop_map(|(left, operator, right)| ExpressionKind::Binary(left, operator, right)),
                (boxed.clone(), boxed.clone(), proptest::option::of(any::<char>()),).prop_map(
                    |(value, pattern, escape)| ExpressionKind::Like {
                        value,
                        pattern,
                        escape
                    }
                ),
                (boxed.clone(), some).prop_map(|(value, list)| ExpressionKind::In { value, list }),
                (boxed.clone(), boxed.clone(), boxed.clone())
                    .prop_map(|(value, low, high)| ExpressionKind::Between { value, low, high }),
                (boxed.clone(), negated)
                    .prop_map(|(value, negated)| ExpressionKind::IsNull { value, negated }),
                (
                    proptest::option::of(boxed.clone()),
                    branches,
                    proptest::option::of(boxed.clone())
                )
                    .prop_map(|(operand, branches, otherwise)| ExpressionKind::Case {
                        operand,
                        branches,
                        otherwise
                    }),
                (boxed.clone(), sql_type())
                    .prop_map(|(value, target)| ExpressionKind::Cast { value, target }),
                (boxed.clone(), boxed.clone())
                    .prop_map(|(base, index)| ExpressionKind::Subscript { base, index }),
                (boxed, name()).prop_map(|(base, field)| ExpressionKind::Field { base, field }),
                (function(), arguments)
                    .prop_map(|(function, arguments)| ExpressionKind::Call { function, arguments }),
                several.prop_map(ExpressionKind::Array),
                pairs.prop_map(ExpressionKind::Map),
                proptest::collection::vec((name(), inner), 0..3).prop_map(ExpressionKind::Struct),
            ]
            .prop_map(at_nowhere)
        })
        .boxed()
}

fn properties() -> BoxedStrategy<Properties> {
    let name = prop_oneof!["[A-Z_]{1,8}", "[A-Z.' ]{1,8}"];
    proptest::collection::btree_map(name, literal(), 0..3)
        .prop_map(|entries| Properties(entries.into_iter().collect()))
        .boxed()
}

fn connector_statement() -> BoxedStrategy<ConnectorStatement> {
    let kind = || prop_oneof![Just(ConnectorKind::Source), Just(ConnectorKind::Sink)];
    let settings = proptest::collection::btree_map("[a-zA-Z.' ]{1,8}", literal(), 1..3)
        .prop_map(|entries| Properties(entries.into_iter().collect()));
    prop_oneof![
        (kind(), source_name(), any::<bool>(), settings).prop_map(|(kind, name, if_not_exists, settings)| {
            ConnectorStatement::Create {
                kind,
                name,
                if_not_exists,
                settings,
            }
        }),
        (source_name(), any::<bool>())
            .prop_map(|(name, if_exists)| ConnectorStatement::Drop { name, if_exists }),
        source_name().prop_map(|name| ConnectorStatement::Describe { name }),
        proptest::option::of(kind()).prop_map(ConnectorStatement::List),
        Just(ConnectorStatement::Plugins),
    ]
    .boxed()
}

fn source() -> BoxedStrategy<AliasedSource> {
    (source_name(), source_name())
        .prop_map(|(name, alias)| AliasedSource {
            name,
            alias,
            position: Position::default(),
        })
        .boxed()
}

fn duration() -> BoxedStrategy<Duration> {
    const UNITS: &[TimeUnit] = &[
        TimeUnit::Milliseconds,
        TimeUnit::Seconds,
        TimeUnit::Minutes,
        TimeUnit::Hours,
        TimeUnit::Days,
    ];
    (0_u64..100_000, proptest::sample::select(UNITS))
        .prop_map(|(count, unit)| Duration::new(count, unit).unwrap())
        .boxed()
}

fn join() -> BoxedStrategy<Join> {
    let kinds = &[JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full][..];
    let within = (duration(), duration(), proptest::option::of(duration()))
        .prop_map(|(before, after, grace)| Within { before, after, grace });
    (
        proptest::sample::select(kinds),
        source(),
        proptest::option::of(within),
        expression(),
    )
        .prop_map(|(kind, source, within, criteria)| Join {
            kind,
            source,
            within,
            criteria,
        })
        .boxed()
}

fn window() -> BoxedStrategy<Window> {
    let kind = prop_oneof![
        duration().prop_map(|size| WindowKind::Tumbling { size }),
        (duration(), duration()).prop_map(|(size, advance)| WindowKind::Hopping { size, advance }),
        duration().prop_map(|gap| WindowKind::Session { gap }),
    ];
    (
        kind,
        proptest::option::of(duration()),
        proptest::option::of(duration()),
    )
        .prop_map(|(kind, retention, grace)| Window {
            kind,
            retention,
            grace,
            position: Position::default(),
        })
        .boxed()
}

fn query() -> BoxedStrategy<Query> {
    let all = proptest::option::of(name()).prop_map(|source| SelectItem::All {
        source,
        position: Position::default(),
    });
    let selected = (expression(), proptest::option::of(name()))
        .prop_map(|(expression, alias)| SelectItem::Expression { expression, alias });
    let of_struct = (proptest::option::of(name()), name()).prop_map(|(source, name)| SelectItem::AllFields {
        base: at_nowhere(ExpressionKind::Column { source, name }),
        position: Position::default(),
    });
    let select = proptest::collection::vec(prop_oneof![1 => all, 1 => of_struct, 3 => selected], 1..3);
    let sources = (source(), proptest::collection::vec(join(), 0..2));
    let tail = (
        proptest::option::of(expression()),
        proptest::collection::vec(expression(), 0..3),
        proptest::collection::vec(expression(), 0..3),
        proptest::option::of(expression()),
    );
    let emit = proptest::option::of(proptest::sample::select(&[Emit::Changes, Emit::Final][..]));
    let end = (
        proptest::option::of(window()),
        emit,
        proptest::option::of(any::<i64>()),
    );
    (select, sources, tail, end)
        .prop_map(
            |(select, (from, joins), (filter, group_by, partition_by, having), (window, emit, limit))| {
                Query {
                    select,
                    from,
                    joins,
                    window,
                    filter,
                    group_by,
                    partition_by,
                    having,
                    emit,
                    limit,
                    position: Position::default(),
                }
            },
        )
        .boxed()
}

fn kind() -> BoxedStrategy<SourceKind> {
    proptest::sample::select(&[SourceKind::Stream, SourceKind::Table][..]).boxed()
}

fn on_existing() -> BoxedStrategy<OnExisting> {
    proptest::sample::select(&[OnExisting::Fail, OnExisting::Replace, OnExisting::Keep][..]).boxed()
}

fn column() -> BoxedStrategy<ColumnDefinition> {
    let constraint = prop_oneof![
        Just(ColumnConstraint::None),
        Just(ColumnConstraint::Key),
        Just(ColumnConstraint::PrimaryKey),
        Just(ColumnConstraint::Headers),
        any::<String>().prop_map(ColumnConstraint::Header),
    ];
    (name(), sql_type(), constraint)
        .prop_map(|(name, sql_type, constraint)| ColumnDefinition {
            name,
            sql_type,
            constraint,
            position: Position::default(),
        })
        .boxed()
}

fn statement() -> BoxedStrategy<Statement> {
    let create = (
        kind(),
        source_name(),
        on_existing(),
        any::<bool>(),
        proptest::collection::vec(column(), 0..3),
        properties(),
    )
        .prop_map(|(kind, name, on_existing, read_only, columns, properties)| {
            Statement::CreateSource(CreateSource {
                kind,
                name,
                on_existing,
                read_only,
                columns,
                properties,
            })
        });
    let create_as = (kind(), source_name(), on_existing(), properties(), query()).prop_map(
        |(kind, name, on_existing, properties, query)| {
            Statement::CreateAsSelect(CreateAsSelect {
                kind,
                name,
                on_existing,
                properties,
                query,
            })
        },
    );
    let insert_into = (source_name(), properties(), query()).prop_map(|(target, properties, query)| {
        Statement::InsertInto(InsertInto {
            target,
            position: Position::default(),
            properties,
            query,
        })
    });
    let insert_values = (
        source_name(),
        proptest::collection::vec(name(), 0..3),
        proptest::collection::vec(expression(), 1..3),
    )
        .prop_map(|(target, columns, values)| {
            Statement::InsertValues(InsertValues {
                target,
                columns,
                values,
            })
        });
    let print = (
        any::<String>(),
        any::<bool>(),
        proptest::option::of(any::<u64>()),
        proptest::option::of(any::<u64>()),
    )
        .prop_map(|(topic, from_beginning, interval, limit)| {
            Statement::Print(Print {
                topic,
                from_beginning,
                interval,
                limit,
            })
        });
    let drop = (kind(), source_name(), any::<bool>(), any::<bool>()).prop_map(
        |(kind, name, if_exists, delete_topic)| Statement::DropSource {
            kind,
            name,
            if_exists,
            delete_topic,
        },
    );
    let small = prop_oneof![
        name().prop_map(|id| Statement::Terminate(QuerySelection::Id(id))),
        Just(Statement::Resume(QuerySelection::All)),
        name().prop_map(|id| Statement::Explain(Explain::Id(id))),
        (source_name(), any::<bool>()).prop_map(|(name, extended)| Statement::Describe { name, extended }),
        name().prop_map(|name| Statement::DescribeFunction {
            written: format_identifier(&name),
            name,
        }),
        (any::<String>(), any::<String>()).prop_map(|(name, value)| Statement::SetProperty { name, value }),
        ("[a-zA-Z_][a-zA-Z0-9_]{0,6}", any::<String>())
            .prop_map(|(name, value)| Statement::Define { name, value }),
        (name(), any::<bool>(), sql_type()).prop_map(|(name, if_not_exists, sql_type)| {
            Statement::CreateType {
                name,
                if_not_exists,
                sql_type,
            }
        }),
        (name(), any::<bool>()).prop_map(|(name, if_exists)| Statement::DropType { name, if_exists }),
        (
            kind(),
            source_name(),
            proptest::collection::vec((name(), sql_type()), 1..3)
        )
            .prop_map(|(kind, name, columns)| {
                let columns = columns.into_iter().map(|(name, sql_type)| ColumnDefinition {
                    name,
                    sql_type,
                    constraint: ColumnConstraint::None,
                    position: Position::default(),
                });
                Statement::AlterSource {
                    kind,
                    name,
                    columns: columns.collect(),
                }
            }),
        (
            any::<String>(),
            any::<bool>(),
            properties(),
            proptest::option::of(duration())
        )
            .prop_map(|(topic, exists, properties, timeout)| {
                Statement::AssertTopic(AssertTopic {
                    topic,
                    exists,
                    properties,
                    timeout,
                })
            }),
        connector_statement().prop_map(Statement::Connector),
        (
            any::<bool>(),
            any::<String>(),
            proptest::option::of(any::<u32>()),
            proptest::option::of(duration())
        )
            .prop_map(|(exists, subject, id, timeout)| {
                Statement::AssertSchema(AssertSchema {
                    subject: Some(subject),
                    id,
                    exists,
                    timeout,
                })
            }),
    ];
    let explain =
        query().prop_map(|query| Statement::Explain(Explain::Statement(Box::new(Statement::Query(query)))));
    prop_oneof![
        query().prop_map(Statement::Query),
        create,
        create_as,
        insert_into,
        insert_values,
        print,
        drop,
        small,
        explain
    ]
    .boxed()
}

/// The debug text without its positions: what two trees must have in common.
fn erased(tree: &impl std::fmt::Debug) -> String {
    static POSITION: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
        regex::Regex::new(r"Position \{ line: \d+, column: \d+ \}").expect("the expression is constant")
    });
    POSITION.replace_all(&format!("{tree:?}"), "_").into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn an_expression_reads_back(tree in expression()) {
        let text = format_expression(&tree);
        let again = parse_expression(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(erased(&again), erased(&tree), "{}", text);
        prop_assert_eq!(format_expression(&again), text);
    }

    #[test]
    fn a_type_reads_back(tree in sql_type()) {
        prop_assert_eq!(parse_type(&format_type(&tree)).unwrap(), tree);
    }

    #[test]
    fn a_statement_reads_back(tree in statement()) {
        let text = format_statement(&tree);
        let again = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(again.len(), 1);
        prop_assert_eq!(erased(&again[0].statement), erased(&tree), "{}", text);
        prop_assert_eq!(&again[0].text, &text);
    }

    /// However long, a run of one rank reads as it is written, parentheses around its beginning or not.
    #[test]
    fn runs_of_any_length_read_back(
        rank in proptest::sample::select(RANKS),
        choices in proptest::collection::vec(any::<proptest::sample::Index>(), 1..1_500),
        around in any::<proptest::sample::Index>(),
    ) {
        let around = around.index(choices.len());
        let mut text = "A0".to_owned();
        for (place, choice) in choices.iter().enumerate() {
            text.push_str(&format!(" {} A{}", choice.get(rank), place + 1));
            if place == around {
                text = format!("({text})");
            }
        }
        let tree = parse_expression(&text).unwrap();
        let bare = parse_expression(&text.replace(['(', ')'], "")).unwrap();
        let canonical = format_expression(&tree);
        prop_assert_eq!(&format_expression(&bare), &canonical);
        let again = parse_expression(&canonical).unwrap();
        prop_assert_eq!(&format_expression(&again), &canonical);
        // The operands are those that were written, in their order.
        let unwritten = canonical.replace(['(', ')'], "");
        prop_assert_eq!(unwritten, text.replace(['(', ')'], ""));
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn no_text_of_the_language_panics(words in proptest::collection::vec(
        prop_oneof![
            proptest::sample::select(Keyword::ALL).prop_map(|keyword| keyword.text().to_owned()),
            proptest::sample::select(
                &["(", ")", "[", "]", "<", ">", "<>", ",", ".", ";", "*", "-", "=", "=>", "->", ":=", "'x'", "1",
                  "2.5", "1e9", "a", "`b`", "${v}", "||", "INT", "STRING"][..]
            ).prop_map(str::to_owned),
        ],
        0..30,
    )) {
        let text = words.join(" ");
        if let Ok(statements) = parse(&text) {
            let known = |parsed: &ParsedStatement| !matches!(parsed.statement, Statement::Unsupported { .. });
            for parsed in statements.into_iter().filter(known) {
                let canonical = format_statement(&parsed.statement);
                let again = parse(&canonical)
                    .map_err(|error| TestCaseError::fail(format!("{text} / {canonical}: {error}")))?;
                prop_assert_eq!(erased(&again[0].statement), erased(&parsed.statement));
            }
        }
    }

    #[test]
    fn a_cut_statement_is_refused_not_half_read(tree in statement(), cut in 0.0_f64..1.0) {
        let text = format_statement(&tree);
        let mut end = (text.len() as f64 * cut) as usize;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let cut = text[..end].trim_end();
        if !cut.is_empty() && !cut.ends_with(';') {
            prop_assert!(parse(cut).is_err());
        }
    }
}
