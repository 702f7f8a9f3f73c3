//! Tree to canonical text, as ksqlDB's `statementText` shows it.
//!
//! Keywords are upper case, names are quoted where they would not read back as themselves, operations
//! stand in parentheses. What [`super::parse`] accepted reads back to the same tree.

use std::fmt::{self, Display, Write};

use super::ast::{
    AliasedSource, BinaryOperator, ColumnConstraint, ColumnDefinition, CreateAsSelect, CreateSource, Emit,
    Explain, Expression, ExpressionKind, InsertInto, InsertValues, Join, JoinKind, Listing, Literal,
    OnExisting, Print, Properties, Query, QuerySelection, SelectItem, SourceKind, Statement, UnaryOperator,
    Window, WindowKind, Within,
};
use super::children::continues_run;
use super::lexer::{is_word_part, is_word_start};
use super::token::{Keyword, takes_unit_first};
use crate::types::SqlType;

/// The statement's canonical text, with its `;`.
pub fn format_statement(statement: &Statement) -> String {
    format!("{};", Sql(statement))
}

/// The expression's canonical text.
pub fn format_expression(expression: &Expression) -> String {
    Sql(expression).to_string()
}

/// The type's text, with its fields' names quoted.
pub fn format_type(sql_type: &SqlType) -> String {
    Sql(sql_type).to_string()
}

/// The name, quoted where it would not read back as itself.
pub fn format_identifier(name: &str) -> String {
    Name(name).to_string()
}

/// Shows a part of the tree as SQL.
struct Sql<'tree, T>(&'tree T);

/// A name, quoted where needed.
struct Name<'tree>(&'tree str);

/// A text in single quotes.
struct Quoted<'tree>(&'tree str);

/// Things between commas.
struct List<'tree, T>(&'tree [T]);

impl Display for Name<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0;
        let plain = name.starts_with(is_word_start)
            && name
                .chars()
                .all(|character| is_word_part(character) && !character.is_ascii_lowercase())
            && Keyword::of(name).is_none_or(Keyword::may_stand_unquoted);
        if plain {
            out.write_str(name)
        } else {
            write!(out, "`{}`", name.replace('`', "``"))
        }
    }
}

/// A name that keeps its case unquoted, such as a query's id.
fn write_as_written(out: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let upper = name.to_ascii_uppercase();
    if Name(&upper).to_string() == upper {
        out.write_str(name)
    } else {
        write!(out, "`{}`", name.replace('`', "``"))
    }
}

impl Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "'{}'", self.0.replace('\'', "''"))
    }
}

impl<'tree, T> Display for List<'tree, T>
where
    Sql<'tree, T>: Display,
{
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_separated(out, self.0, |out, item| Sql(item).fmt(out))
    }
}

fn write_separated<'tree, 'out, T>(
    out: &mut fmt::Formatter<'out>,
    items: &'tree [T],
    mut write: impl FnMut(&mut fmt::Formatter<'out>, &'tree T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.write_str(", ")?;
        }
        write(out, item)?;
    }
    Ok(())
}

impl Display for Sql<'_, Statement> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Statement::CreateSource(create) => Sql(create).fmt(out),
            Statement::CreateAsSelect(create) => Sql(create).fmt(out),
            Statement::InsertInto(InsertInto {
                target,
                properties,
                query,
            }) => {
                let properties = Sql(properties);
                write!(out, "INSERT INTO {}{properties} {}", Name(target), Sql(query))
            }
            Statement::InsertValues(insert) => Sql(insert).fmt(out),
            Statement::Query(query) => Sql(query).fmt(out),
            Statement::Print(print) => Sql(print).fmt(out),
            Statement::DropSource {
                kind,
                name,
                if_exists,
                delete_topic,
            } => {
                let if_exists = if *if_exists { " IF EXISTS" } else { "" };
                let delete_topic = if *delete_topic { " DELETE TOPIC" } else { "" };
                write!(out, "DROP {}{if_exists} {}{delete_topic}", Sql(kind), Name(name))
            }
            Statement::Unsupported { what } => out.write_str(what),
            Statement::Terminate(queries) => write!(out, "TERMINATE {}", Sql(queries)),
            Statement::Pause(queries) => write!(out, "PAUSE {}", Sql(queries)),
            Statement::Resume(queries) => write!(out, "RESUME {}", Sql(queries)),
            Statement::List(listing) => write!(out, "LIST {}", Sql(listing)),
            Statement::Describe { name, extended } => {
                let extended = if *extended { " EXTENDED" } else { "" };
                if name == "STREAMS" {
                    write!(out, "DESCRIBE STREAMS{extended}")
                } else {
                    write!(out, "DESCRIBE {}{extended}", Name(name))
                }
            }
            Statement::DescribeFunction { name } => write!(out, "DESCRIBE FUNCTION {}", Name(name)),
            Statement::Explain(Explain::Id(id)) => {
                out.write_str("EXPLAIN ")?;
                write_as_written(out, id)
            }
            Statement::Explain(Explain::Statement(statement)) => write!(out, "EXPLAIN {}", Sql(&**statement)),
            Statement::SetProperty { name, value } => write!(out, "SET {}={}", Quoted(name), Quoted(value)),
            Statement::UnsetProperty { name } => write!(out, "UNSET {}", Quoted(name)),
            Statement::Define { name, value } => write!(out, "DEFINE {name}={}", Quoted(value)),
            Statement::Undefine { name } => write!(out, "UNDEFINE {name}"),
        }
    }
}

impl Display for Sql<'_, SourceKind> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            SourceKind::Stream => "STREAM",
            SourceKind::Table => "TABLE",
        })
    }
}

/// `CREATE …` up to the name.
fn write_create(
    out: &mut fmt::Formatter<'_>,
    on_existing: OnExisting,
    read_only: bool,
    kind: SourceKind,
    name: &str,
) -> fmt::Result {
    let replace = if on_existing == OnExisting::Replace {
        "OR REPLACE "
    } else {
        ""
    };
    let source = if read_only { "SOURCE " } else { "" };
    let keep = if on_existing == OnExisting::Keep {
        "IF NOT EXISTS "
    } else {
        ""
    };
    write!(out, "CREATE {replace}{source}{} {keep}{}", Sql(&kind), Name(name))
}

impl Display for Sql<'_, CreateSource> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let create = self.0;
        write_create(
            out,
            create.on_existing,
            create.read_only,
            create.kind,
            &create.name,
        )?;
        if !create.columns.is_empty() {
            write!(out, " ({})", List(&create.columns))?;
        }
        Sql(&create.properties).fmt(out)
    }
}

impl Display for Sql<'_, ColumnDefinition> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", Name(&self.0.name), Sql(&self.0.sql_type))?;
        match &self.0.constraint {
            ColumnConstraint::None => Ok(()),
            ColumnConstraint::Key => out.write_str(" KEY"),
            ColumnConstraint::PrimaryKey => out.write_str(" PRIMARY KEY"),
            ColumnConstraint::Headers => out.write_str(" HEADERS"),
            ColumnConstraint::Header(name) => write!(out, " HEADER({})", Quoted(name)),
        }
    }
}

impl Display for Sql<'_, Properties> {
    /// The clause with a space before it, or nothing.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.0.is_empty() {
            return Ok(());
        }
        out.write_str(" WITH (")?;
        write_separated(out, &self.0.0, |out, (name, value)| {
            if Name(name).to_string() == *name {
                write!(out, "{name}={}", Sql(value))
            } else {
                write!(out, "{}={}", Quoted(name), Sql(value))
            }
        })?;
        out.write_char(')')
    }
}

impl Display for Sql<'_, CreateAsSelect> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let create = self.0;
        write_create(out, create.on_existing, false, create.kind, &create.name)?;
        write!(out, "{} AS {}", Sql(&create.properties), Sql(&create.query))
    }
}

impl Display for Sql<'_, InsertValues> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "INSERT INTO {}", Name(&self.0.target))?;
        if !self.0.columns.is_empty() {
            out.write_str(" (")?;
            write_separated(out, &self.0.columns, |out, name| Name(name).fmt(out))?;
            out.write_char(')')?;
        }
        write!(out, " VALUES ({})", List(&self.0.values))
    }
}

impl Display for Sql<'_, Print> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PRINT {}", Quoted(&self.0.topic))?;
        if self.0.from_beginning {
            out.write_str(" FROM BEGINNING")?;
        }
        if let Some(interval) = self.0.interval {
            write!(out, " INTERVAL {interval}")?;
        }
        self.0.limit.map_or(Ok(()), |limit| write!(out, " LIMIT {limit}"))
    }
}

impl Display for Sql<'_, QuerySelection> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            QuerySelection::All => out.write_str("ALL"),
            QuerySelection::Id(id) => write_as_written(out, id),
        }
    }
}

impl Display for Sql<'_, Listing> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, extended) = match self.0 {
            Listing::Streams { extended } => ("STREAMS", *extended),
            Listing::Tables { extended } => ("TABLES", *extended),
            Listing::Topics { all: true, extended } => ("ALL TOPICS", *extended),
            Listing::Topics { all: false, extended } => ("TOPICS", *extended),
            Listing::Queries { extended } => ("QUERIES", *extended),
            Listing::Functions => ("FUNCTIONS", false),
            Listing::Properties => ("PROPERTIES", false),
            Listing::Types => ("TYPES", false),
            Listing::Variables => ("VARIABLES", false),
        };
        out.write_str(text)?;
        out.write_str(if extended { " EXTENDED" } else { "" })
    }
}

impl Display for Sql<'_, Query> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = self.0;
        out.write_str("SELECT")?;
        for (index, item) in query.select.iter().enumerate() {
            out.write_str(if index == 0 { "\n  " } else { ",\n  " })?;
            Sql(item).fmt(out)?;
        }
        write!(out, "\nFROM {}", Sql(&query.from))?;
        for join in &query.joins {
            write!(out, "\n{}", Sql(join))?;
        }
        if let Some(window) = &query.window {
            write!(out, "\nWINDOW {}", Sql(window))?;
        }
        if let Some(filter) = &query.filter {
            write!(out, "\nWHERE {}", Sql(filter))?;
        }
        if !query.group_by.is_empty() {
            write!(out, "\nGROUP BY {}", List(&query.group_by))?;
        }
        if !query.partition_by.is_empty() {
            write!(out, "\nPARTITION BY {}", List(&query.partition_by))?;
        }
        if let Some(having) = &query.having {
            write!(out, "\nHAVING {}", Sql(having))?;
        }
        match query.emit {
            Some(Emit::Changes) => out.write_str("\nEMIT CHANGES")?,
            Some(Emit::Final) => out.write_str("\nEMIT FINAL")?,
            None => {}
        }
        query.limit.map_or(Ok(()), |limit| write!(out, "\nLIMIT {limit}"))
    }
}

impl Display for Sql<'_, SelectItem> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SelectItem::All { source: None, .. } => out.write_char('*'),
            SelectItem::All {
                source: Some(source), ..
            } => write!(out, "{}.*", Name(source)),
            SelectItem::Expression { expression, alias } => {
                Sql(expression).fmt(out)?;
                alias
                    .as_ref()
                    .map_or(Ok(()), |alias| write!(out, " {}", Name(alias)))
            }
        }
    }
}

impl Display for Sql<'_, AliasedSource> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", Name(&self.0.name), Name(&self.0.alias))
    }
}

impl Display for Sql<'_, Join> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = self.0;
        let kind = match join.kind {
            JoinKind::Inner => "INNER",
            JoinKind::Left => "LEFT OUTER",
            JoinKind::Right => "RIGHT OUTER",
            JoinKind::Full => "FULL OUTER",
        };
        write!(out, "{kind} JOIN {}", Sql(&join.source))?;
        if let Some(within) = &join.within {
            write!(out, " WITHIN {}", Sql(within))?;
        }
        write!(out, " ON ({})", Sql(&join.criteria))
    }
}

impl Display for Sql<'_, Within> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Within {
            before_ms,
            after_ms,
            grace_ms,
        } = *self.0;
        if before_ms == after_ms {
            Duration(before_ms).fmt(out)?;
        } else {
            write!(out, "({}, {})", Duration(before_ms), Duration(after_ms))?;
        }
        grace_ms.map_or(Ok(()), |grace| write!(out, " GRACE PERIOD {}", Duration(grace)))
    }
}

impl Display for Sql<'_, Window> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            WindowKind::Tumbling { size_ms } => write!(out, "TUMBLING (SIZE {}", Duration(size_ms))?,
            WindowKind::Hopping { size_ms, advance_ms } => {
                let (size, advance) = (Duration(size_ms), Duration(advance_ms));
                write!(out, "HOPPING (SIZE {size}, ADVANCE BY {advance}")?;
            }
            WindowKind::Session { gap_ms } => write!(out, "SESSION ({}", Duration(gap_ms))?,
        }
        if let Some(retention) = self.0.retention_ms {
            write!(out, ", RETENTION {}", Duration(retention))?;
        }
        if let Some(grace) = self.0.grace_ms {
            write!(out, ", GRACE PERIOD {}", Duration(grace))?;
        }
        out.write_char(')')
    }
}

/// Milliseconds, in the largest unit that says them exactly.
struct Duration(i64);

impl Display for Duration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [Keyword::Days, Keyword::Hours, Keyword::Minutes, Keyword::Seconds];
        let exact = units.iter().find_map(|unit| {
            let size = unit.unit_milliseconds()?;
            (self.0 != 0 && self.0 % size == 0).then(|| (self.0 / size, *unit))
        });
        let (count, unit) = exact.unwrap_or((self.0, Keyword::Milliseconds));
        write!(out, "{count} {}", unit.text())
    }
}

impl Display for Sql<'_, Expression> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ExpressionKind::Literal(literal) => Sql(literal).fmt(out),
            ExpressionKind::Column { source: None, name } => Name(name).fmt(out),
            ExpressionKind::Column {
                source: Some(source),
                name,
            } => write!(out, "{}.{}", Name(source), Name(name)),
            ExpressionKind::Unary(UnaryOperator::Not, operand) => write!(out, "(NOT {})", Sql(&**operand)),
            ExpressionKind::Unary(UnaryOperator::Minus, operand) => write!(out, "-{}", Primary(operand)),
            ExpressionKind::Unary(UnaryOperator::Plus, operand) => write!(out, "+{}", Primary(operand)),
            ExpressionKind::Binary(..) => write!(out, "({})", Run(self.0)),
            ExpressionKind::Like {
                value,
                pattern,
                escape,
                negated,
            } => {
                let not = if *negated { "NOT " } else { "" };
                write!(out, "({} {not}LIKE {}", Sql(&**value), Sql(&**pattern))?;
                if let Some(escape) = escape {
                    write!(out, " ESCAPE {}", Quoted(escape.encode_utf8(&mut [0; 4])))?;
                }
                out.write_char(')')
            }
            ExpressionKind::In { value, list, negated } => {
                let not = if *negated { "NOT " } else { "" };
                write!(out, "({} {not}IN ({}))", Sql(&**value), List(list))
            }
            ExpressionKind::Between {
                value,
                low,
                high,
                negated,
            } => {
                let not = if *negated { "NOT " } else { "" };
                let (value, low, high) = (Sql(&**value), Sql(&**low), Sql(&**high));
                write!(out, "({value} {not}BETWEEN {low} AND {high})")
            }
            ExpressionKind::IsNull { value, negated } => {
                let not = if *negated { "NOT " } else { "" };
                write!(out, "({} IS {not}NULL)", Sql(&**value))
            }
            ExpressionKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                out.write_str("CASE")?;
                if let Some(operand) = operand {
                    write!(out, " {}", Sql(&**operand))?;
                }
                for (condition, result) in branches {
                    write!(out, " WHEN {} THEN {}", Sql(condition), Sql(result))?;
                }
                if let Some(otherwise) = otherwise {
                    write!(out, " ELSE {}", Sql(&**otherwise))?;
                }
                out.write_str(" END")
            }
            ExpressionKind::Cast { value, target } => {
                write!(out, "CAST({} AS {})", Sql(&**value), Sql(target))
            }
            ExpressionKind::Subscript { base, index } => write!(out, "{}[{}]", Primary(base), Sql(&**index)),
            ExpressionKind::Field { base, field } => write!(out, "{}->{}", Primary(base), Name(field)),
            ExpressionKind::Call { function, arguments } => write_call(out, function, arguments),
            ExpressionKind::Lambda { parameters, body } => {
                out.write_char('(')?;
                write_separated(out, parameters, |out, name| Name(name).fmt(out))?;
                write!(out, ") => {}", Sql(&**body))
            }
            ExpressionKind::Array(elements) => write!(out, "ARRAY[{}]", List(elements)),
            ExpressionKind::Map(entries) => {
                out.write_str("MAP(")?;
                write_separated(out, entries, |out, (key, value)| {
                    write!(out, "{}:={}", Sql(key), Sql(value))
                })?;
                out.write_char(')')
            }
            ExpressionKind::Struct(fields) => {
                out.write_str("STRUCT(")?;
                write_separated(out, fields, |out, (name, value)| {
                    write!(out, "{}:={}", Name(name), Sql(value))
                })?;
                out.write_char(')')
            }
        }
    }
}

fn write_call(out: &mut fmt::Formatter<'_>, function: &str, arguments: &[Expression]) -> fmt::Result {
    write!(out, "{}(", Name(function))?;
    let unit = arguments.first().and_then(|first| match &first.kind {
        ExpressionKind::Literal(Literal::String(unit)) if takes_unit_first(function) => {
            Keyword::of(unit).filter(|keyword| keyword.is_unit() && keyword.text() == unit)
        }
        _ => None,
    });
    match unit {
        _ if arguments.is_empty() && function == "COUNT" => out.write_char('*')?,
        Some(unit) => {
            out.write_str(unit.text())?;
            for argument in &arguments[1..] {
                write!(out, ", {}", Sql(argument))?;
            }
        }
        None => List(arguments).fmt(out)?,
    }
    out.write_char(')')
}

/// An expression where the grammar asks for one without a bare sign.
struct Primary<'tree>(&'tree Expression);

impl Display for Primary<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = Sql(self.0);
        match &self.0.kind {
            // A sign before a number would become part of it.
            ExpressionKind::Unary(UnaryOperator::Minus | UnaryOperator::Plus, _) => write!(out, "({inner})"),
            ExpressionKind::Literal(
                Literal::Integer(_) | Literal::Bigint(_) | Literal::Decimal(_) | Literal::Double(_),
            ) => write!(out, "({inner})"),
            _ => inner.fmt(out),
        }
    }
}

/// An operation without parentheses around itself, nor around an operation of its rank on its left.
struct Run<'tree>(&'tree Expression);

impl Display for Run<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExpressionKind::Binary(left, operator, right) = &self.0.kind else {
            return Sql(self.0).fmt(out);
        };
        if continues_run(left, *operator) {
            Run(left).fmt(out)?;
        } else {
            Sql(&**left).fmt(out)?;
        }
        let operator = match operator {
            BinaryOperator::Or => "OR",
            BinaryOperator::And => "AND",
            BinaryOperator::Equal => "=",
            BinaryOperator::NotEqual => "<>",
            BinaryOperator::Less => "<",
            BinaryOperator::LessOrEqual => "<=",
            BinaryOperator::Greater => ">",
            BinaryOperator::GreaterOrEqual => ">=",
            BinaryOperator::IsDistinctFrom => "IS DISTINCT FROM",
            BinaryOperator::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
            BinaryOperator::Add => "+",
            BinaryOperator::Subtract => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
        };
        write!(out, " {operator} {}", Sql(&**right))
    }
}

impl Display for Sql<'_, Literal> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Literal::Null => out.write_str("null"),
            Literal::Boolean(true) => out.write_str("true"),
            Literal::Boolean(false) => out.write_str("false"),
            Literal::Integer(number) => number.fmt(out),
            Literal::Bigint(number) => number.fmt(out),
            Literal::Decimal(digits) => out.write_str(digits),
            Literal::Double(number) => write!(out, "{number:E}"),
            Literal::String(text) => Quoted(text).fmt(out),
        }
    }
}

impl Display for Sql<'_, SqlType> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SqlType::Array(element) => write!(out, "ARRAY<{}>", Sql(&**element)),
            SqlType::Map(key, value) => write!(out, "MAP<{}, {}>", Sql(&**key), Sql(&**value)),
            SqlType::Struct(fields) => {
                out.write_str("STRUCT<")?;
                write_separated(out, fields, |out, field| {
                    write!(
                        out,
                        "`{}` {}",
                        field.name.replace('`', "``"),
                        Sql(&field.sql_type)
                    )
                })?;
                out.write_char('>')
            }
            primitive => primitive.fmt(out),
        }
    }
}
