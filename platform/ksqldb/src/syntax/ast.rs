//! The syntax tree.
//!
//! Names of identifiers are already folded: unquoted ones upper case, quoted ones as written.
//! Positions are where the construct begins, for error messages in ksqlDB's `line 1:8` form.
//!
//! Long because it is one tree, in the grammar's terms: a type for each construct.

use std::fmt;

pub use super::duration::{Duration, TimeUnit};
use crate::types::SqlType;

/// A place in the text: the line counts from 1, the column from 1 (printed as ksqlDB prints it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// One statement with the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedStatement {
    /// The statement's own text, with its `;`, without what surrounds it.
    pub text: String,
    /// Where it begins in the whole text.
    pub position: Position,
    /// What it says.
    pub statement: Statement,
}

/// Stream or table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// `STREAM`
    Stream,
    /// `TABLE`
    Table,
}

/// How a `CREATE` meets an existing source of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnExisting {
    /// An error.
    Fail,
    /// `OR REPLACE`
    Replace,
    /// `IF NOT EXISTS`
    Keep,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `CREATE [OR REPLACE] [SOURCE] STREAM|TABLE [IF NOT EXISTS] name (columns) WITH (…)`
    CreateSource(CreateSource),
    /// `CREATE [OR REPLACE] STREAM|TABLE [IF NOT EXISTS] name [WITH (…)] AS query`
    CreateAsSelect(CreateAsSelect),
    /// `INSERT INTO name [WITH (QUERY_ID=…)] query`
    InsertInto(InsertInto),
    /// `INSERT INTO name [(columns)] VALUES (…)`
    InsertValues(InsertValues),
    /// `SELECT …`
    Query(Query),
    /// `PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n]`
    Print(Print),
    /// `DROP STREAM|TABLE [IF EXISTS] name [DELETE TOPIC]`
    DropSource {
        /// Which kind the statement names.
        kind: SourceKind,
        /// The source.
        name: String,
        /// Whether a missing source is accepted.
        if_exists: bool,
        /// Whether the topic goes too.
        delete_topic: bool,
    },
    /// `CREATE TYPE [IF NOT EXISTS] name AS type`
    CreateType {
        /// The type's new name.
        name: String,
        /// Whether a type of that name is left as it is.
        if_not_exists: bool,
        /// What it stands for.
        sql_type: SqlType,
    },
    /// `DROP TYPE [IF EXISTS] name`
    DropType {
        /// The type.
        name: String,
        /// Whether a missing type is accepted.
        if_exists: bool,
    },
    /// `ALTER STREAM|TABLE name ADD [COLUMN] column type, …`
    AlterSource {
        /// Which kind the statement names.
        kind: SourceKind,
        /// The source.
        name: String,
        /// The columns to add.
        columns: Vec<ColumnDefinition>,
    },
    /// `ASSERT [NOT EXISTS] TOPIC name [WITH (…)] [TIMEOUT n unit]`
    AssertTopic(AssertTopic),
    /// `ASSERT [NOT EXISTS] SCHEMA [SUBJECT subject] [ID id] [TIMEOUT …]`
    AssertSchema(AssertSchema),
    /// What Kafka Connect does.
    Connector(ConnectorStatement),
    /// `RUN SCRIPT` and others that parse but that this server does not have; the text names it.
    Unsupported {
        /// What it is, such as `RUN SCRIPT`.
        what: String,
    },
    /// `TERMINATE query_id` or `TERMINATE ALL`
    Terminate(QuerySelection),
    /// `PAUSE query_id` or `PAUSE ALL`
    Pause(QuerySelection),
    /// `RESUME query_id` or `RESUME ALL`
    Resume(QuerySelection),
    /// `LIST|SHOW …`
    List(Listing),
    /// `DESCRIBE name [EXTENDED]`, `DESCRIBE STREAMS [EXTENDED]`
    Describe {
        /// The source.
        name: String,
        /// With statistics and queries.
        extended: bool,
    },
    /// `DESCRIBE FUNCTION name`
    DescribeFunction {
        /// The function, upper case.
        name: String,
        /// The same, with its case.
        written: String,
    },
    /// `EXPLAIN query_id` or `EXPLAIN statement`
    Explain(Explain),
    /// `SET 'property'='value'`
    SetProperty {
        /// The property.
        name: String,
        /// Its value.
        value: String,
    },
    /// `UNSET 'property'`
    UnsetProperty {
        /// The property.
        name: String,
    },
    /// `DEFINE variable='value'`
    Define {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
    },
    /// `UNDEFINE variable`
    Undefine {
        /// The variable.
        name: String,
    },
}

/// What `CREATE STREAM|TABLE` declares.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSource {
    /// Stream or table.
    pub kind: SourceKind,
    /// Its name.
    pub name: String,
    /// What happens where it exists.
    pub on_existing: OnExisting,
    /// `CREATE SOURCE …`: read-only, keeps no topic of its own.
    pub read_only: bool,
    /// The declared columns.
    pub columns: Vec<ColumnDefinition>,
    /// The `WITH` clause.
    pub properties: Properties,
}

/// A declared column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// Its constraint.
    pub constraint: ColumnConstraint,
    /// Where it stands.
    pub position: Position,
}

/// What follows a declared column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnConstraint {
    /// A value column.
    None,
    /// `KEY`
    Key,
    /// `PRIMARY KEY`
    PrimaryKey,
    /// `HEADERS`
    Headers,
    /// `HEADER('name')`
    Header(String),
}

/// A `WITH` clause in order: names upper case, those of a connector as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Properties(pub Vec<(String, Literal)>);

impl Properties {
    /// The value of a property of that name.
    pub fn get(&self, name: &str) -> Option<&Literal> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// What `CREATE … AS SELECT` says.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateAsSelect {
    /// Stream or table.
    pub kind: SourceKind,
    /// The sink's name.
    pub name: String,
    /// What happens where it exists.
    pub on_existing: OnExisting,
    /// The `WITH` clause.
    pub properties: Properties,
    /// The query.
    pub query: Query,
}

/// What `ASSERT TOPIC` says.
#[derive(Debug, Clone, PartialEq)]
pub struct AssertTopic {
    /// The topic, with its case.
    pub topic: String,
    /// Whether it must be there (or must not).
    pub exists: bool,
    /// How it must be.
    pub properties: Properties,
    /// How long to wait for it.
    pub timeout: Option<Duration>,
}

/// What `ASSERT SCHEMA` says.
#[derive(Debug, Clone, PartialEq)]
pub struct AssertSchema {
    /// The subject, with its case.
    pub subject: Option<String>,
    /// The schema's id.
    pub id: Option<u32>,
    /// Whether it must be there (or must not).
    pub exists: bool,
    /// How long to wait for it.
    pub timeout: Option<Duration>,
}

/// What `INSERT INTO … SELECT` says.
#[derive(Debug, Clone, PartialEq)]
pub struct InsertInto {
    /// The sink.
    pub target: String,
    /// Where it is named.
    pub position: Position,
    /// The `WITH` clause.
    pub properties: Properties,
    /// The query.
    pub query: Query,
}

/// What `INSERT INTO … VALUES` says.
#[derive(Debug, Clone, PartialEq)]
pub struct InsertValues {
    /// The source.
    pub target: String,
    /// The named columns; empty means all, in order.
    pub columns: Vec<String>,
    /// One expression a column.
    pub values: Vec<Expression>,
}

/// What `PRINT` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Print {
    /// The topic, with its case.
    pub topic: String,
    /// `FROM BEGINNING`
    pub from_beginning: bool,
    /// `INTERVAL n`: every n-th record.
    pub interval: Option<u64>,
    /// `LIMIT n`
    pub limit: Option<u64>,
}

/// Which queries a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuerySelection {
    /// `ALL`
    All,
    /// One, by id (case kept).
    Id(String),
}

/// What `LIST|SHOW` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// `STREAMS [EXTENDED]`
    Streams {
        /// With descriptions.
        extended: bool,
    },
    /// `TABLES [EXTENDED]`
    Tables {
        /// With descriptions.
        extended: bool,
    },
    /// `[ALL] TOPICS [EXTENDED]`
    Topics {
        /// Internal ones too.
        all: bool,
        /// With consumer counts.
        extended: bool,
    },
    /// `QUERIES [EXTENDED]`
    Queries {
        /// With descriptions.
        extended: bool,
    },
    /// `FUNCTIONS`
    Functions,
    /// `PROPERTIES`
    Properties,
    /// `TYPES`
    Types,
    /// `VARIABLES`
    Variables,
}

/// A statement about connectors.
#[derive(Debug, Clone, PartialEq)]
pub enum ConnectorStatement {
    /// `CREATE SOURCE|SINK CONNECTOR [IF NOT EXISTS] name WITH (…)`
    Create {
        /// Which kind the statement names.
        kind: ConnectorKind,
        /// The connector.
        name: String,
        /// Whether one that is there is accepted.
        if_not_exists: bool,
        /// What it is told, names as written.
        settings: Properties,
    },
    /// `DROP CONNECTOR [IF EXISTS] name`
    Drop {
        /// The connector.
        name: String,
        /// Whether a missing one is accepted.
        if_exists: bool,
    },
    /// `DESCRIBE CONNECTOR name`
    Describe {
        /// The connector.
        name: String,
    },
    /// `LIST|SHOW [SOURCE|SINK] CONNECTORS`
    List(Option<ConnectorKind>),
    /// `LIST|SHOW CONNECTOR PLUGINS`
    Plugins,
}

/// Which way a connector carries records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    /// Into Kafka.
    Source,
    /// Out of it.
    Sink,
}

/// What `EXPLAIN` explains.
#[derive(Debug, Clone, PartialEq)]
pub enum Explain {
    /// A running query.
    Id(String),
    /// A statement.
    Statement(Box<Statement>),
}

/// A `SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The projection.
    pub select: Vec<SelectItem>,
    /// The first source.
    pub from: AliasedSource,
    /// The joins, in order.
    pub joins: Vec<Join>,
    /// `WINDOW …`
    pub window: Option<Window>,
    /// `WHERE …`
    pub filter: Option<Expression>,
    /// `GROUP BY …`
    pub group_by: Vec<Expression>,
    /// `PARTITION BY …`
    pub partition_by: Vec<Expression>,
    /// `HAVING …`
    pub having: Option<Expression>,
    /// `EMIT …`
    pub emit: Option<Emit>,
    /// `LIMIT n`, which may be negative in a text.
    pub limit: Option<i64>,
    /// Where it begins.
    pub position: Position,
}

/// `EMIT CHANGES` or `EMIT FINAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Emit {
    /// Every change.
    Changes,
    /// The last result of a window.
    Final,
}

/// An item of a projection.
#[derive(Debug, Clone, PartialEq)]
pub enum SelectItem {
    /// `*` or `alias.*`
    All {
        /// The source's alias.
        source: Option<String>,
        /// Where it stands.
        position: Position,
    },
    /// `expression->*`
    AllFields {
        /// The struct.
        base: Expression,
        /// Where it stands.
        position: Position,
    },
    /// `expression [AS alias]`
    Expression {
        /// The expression.
        expression: Expression,
        /// Its name, where given.
        alias: Option<String>,
    },
}

/// `name [[AS] alias]`
#[derive(Debug, Clone, PartialEq)]
pub struct AliasedSource {
    /// The source.
    pub name: String,
    /// Its alias; the name itself where none is given.
    pub alias: String,
    /// Where it stands.
    pub position: Position,
}

/// A join.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// Which rows without a partner stay.
    pub kind: JoinKind,
    /// The joined source.
    pub source: AliasedSource,
    /// `WITHIN …`
    pub within: Option<Within>,
    /// `ON …`
    pub criteria: Expression,
}

/// Which rows without a partner stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// `[INNER] JOIN`
    Inner,
    /// `LEFT [OUTER] JOIN`
    Left,
    /// `RIGHT [OUTER] JOIN`
    Right,
    /// `FULL [OUTER] JOIN`
    Full,
}

/// `WITHIN n unit` or `WITHIN (before unit, after unit)`, `[GRACE PERIOD n unit]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Within {
    /// How much earlier the right row may be.
    pub before: Duration,
    /// How much later the right row may be.
    pub after: Duration,
    /// `GRACE PERIOD`
    pub grace: Option<Duration>,
}

/// `WINDOW …`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// The kind, with its sizes.
    pub kind: WindowKind<Duration>,
    /// `RETENTION`
    pub retention: Option<Duration>,
    /// `GRACE PERIOD`
    pub grace: Option<Duration>,
    /// Where it is described, behind the word.
    pub position: Position,
}

/// The kinds of window, as long as `Length` says: a statement's durations, or a plan's milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowKind<Length> {
    /// `TUMBLING (SIZE n unit)`
    Tumbling {
        /// Its size.
        size: Length,
    },
    /// `HOPPING (SIZE n unit, ADVANCE BY n unit)`
    Hopping {
        /// Its size.
        size: Length,
        /// Its step.
        advance: Length,
    },
    /// `SESSION (n unit)`
    Session {
        /// The gap that ends it.
        gap: Length,
    },
}

impl<Length: Copy> WindowKind<Length> {
    /// The same, each length told otherwise.
    pub fn map<Other>(self, tell: impl Fn(Length) -> Other) -> WindowKind<Other> {
        match self {
            Self::Tumbling { size } => WindowKind::Tumbling { size: tell(size) },
            Self::Hopping { size, advance } => WindowKind::Hopping {
                size: tell(size),
                advance: tell(advance),
            },
            Self::Session { gap } => WindowKind::Session { gap: tell(gap) },
        }
    }
}

/// An expression with the place where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// What it is.
    pub kind: ExpressionKind,
    /// Where it begins.
    pub position: Position,
}

/// The kinds of expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpressionKind {
    /// A literal.
    Literal(Literal),
    /// `column` or `source.column`
    Column {
        /// The source's alias.
        source: Option<String>,
        /// The column.
        name: String,
    },
    /// `-a`, `+a`, `NOT a`; `a NOT LIKE b` is `NOT a LIKE b`
    Unary(UnaryOperator, Box<Expression>),
    /// `a op b`
    Binary(Box<Expression>, BinaryOperator, Box<Expression>),
    /// `a op b op c …`, read from left to right: more operators of one rank than a tree is high, side by side.
    Chain {
        /// The first operand.
        first: Box<Expression>,
        /// The others, each with the operator before it.
        rest: Vec<(BinaryOperator, Expression)>,
    },
    /// `a LIKE pattern [ESCAPE 'c']`
    Like {
        /// The text.
        value: Box<Expression>,
        /// The pattern.
        pattern: Box<Expression>,
        /// The escape character.
        escape: Option<char>,
    },
    /// `a IN (…)`
    In {
        /// The value.
        value: Box<Expression>,
        /// The list.
        list: Vec<Expression>,
    },
    /// `a BETWEEN low AND high`
    Between {
        /// The value.
        value: Box<Expression>,
        /// The lower end, included.
        low: Box<Expression>,
        /// The upper end, included.
        high: Box<Expression>,
    },
    /// `a IS [NOT] NULL`
    IsNull {
        /// The value.
        value: Box<Expression>,
        /// `IS NOT NULL`
        negated: bool,
    },
    /// `CASE [operand] WHEN … THEN … [ELSE …] END`
    Case {
        /// The operand of the simple form.
        operand: Option<Box<Expression>>,
        /// Condition (or value) and result.
        branches: Vec<(Expression, Expression)>,
        /// `ELSE`
        otherwise: Option<Box<Expression>>,
    },
    /// `CAST(a AS type)`
    Cast {
        /// The value.
        value: Box<Expression>,
        /// The type.
        target: SqlType,
    },
    /// `a[index]`
    Subscript {
        /// The array or map.
        base: Box<Expression>,
        /// The index or key.
        index: Box<Expression>,
    },
    /// `a->field`
    Field {
        /// The struct.
        base: Box<Expression>,
        /// The field.
        field: String,
    },
    /// `a AT TIME ZONE 'zone'` and other rare forms are function calls too.
    Call {
        /// The function, upper case.
        function: String,
        /// The arguments.
        arguments: Vec<Expression>,
    },
    /// `x => expression` or `(x, y) => expression`, only as an argument.
    Lambda {
        /// The parameters.
        parameters: Vec<String>,
        /// The body.
        body: Box<Expression>,
    },
    /// `ARRAY[…]`
    Array(Vec<Expression>),
    /// `MAP('k' := v, …)`
    Map(Vec<(Expression, Expression)>),
    /// `STRUCT(name := v, …)`
    Struct(Vec<(String, Expression)>),
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `NULL`
    Null,
    /// `TRUE`, `FALSE`
    Boolean(bool),
    /// `42`
    Integer(i32),
    /// `5000000000`
    Bigint(i64),
    /// `5.0`: a DECIMAL literal, its digits as written.
    Decimal(String),
    /// `1e3`
    Double(f64),
    /// `'text'`
    String(String),
}

/// Operators before an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `NOT`
    Not,
}

/// Operators between operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    /// `OR`
    Or,
    /// `AND`
    And,
    /// `=`
    Equal,
    /// `<>`, `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `IS DISTINCT FROM`
    IsDistinctFrom,
    /// `IS NOT DISTINCT FROM`
    IsNotDistinctFrom,
    /// `+` (also concatenates strings)
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
}
