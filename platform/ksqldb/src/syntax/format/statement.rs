//! Statements but `SELECT`.

use std::fmt::{self, Display, Write};

use super::super::ast::{
    AssertSchema, AssertTopic, ColumnConstraint, ColumnDefinition, ConnectorKind, ConnectorStatement,
    CreateAsSelect, CreateSource, Explain, InsertInto, InsertValues, Listing, OnExisting, Print, Properties,
    QuerySelection, SourceKind, Statement,
};
use super::{List, Name, Quoted, Sql, write_as_written, write_separated};

impl Display for Sql<'_, Statement> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Statement::CreateSource(create) => Sql(create).fmt(out),
            Statement::CreateAsSelect(create) => Sql(create).fmt(out),
            Statement::InsertInto(InsertInto {
                target,
                properties,
                query,
                ..
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
            Statement::CreateType {
                name,
                if_not_exists,
                sql_type,
            } => {
                let keep = if *if_not_exists { "IF NOT EXISTS " } else { "" };
                write!(out, "CREATE TYPE {keep}{} AS {}", Name(name), Sql(sql_type))
            }
            Statement::DropType { name, if_exists } => {
                let if_exists = if *if_exists { "IF EXISTS " } else { "" };
                write!(out, "DROP TYPE {if_exists}{}", Name(name))
            }
            Statement::AlterSource { kind, name, columns } => {
                write!(out, "ALTER {} {} ", Sql(kind), Name(name))?;
                write_separated(out, columns, |out, column| {
                    write!(out, "ADD COLUMN {} {}", Name(&column.name), Sql(&column.sql_type))
                })
            }
            Statement::AssertTopic(assertion) => Sql(assertion).fmt(out),
            Statement::AssertSchema(assertion) => Sql(assertion).fmt(out),
            Statement::Connector(statement) => Sql(statement).fmt(out),
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
            Statement::DescribeFunction { name, .. } => write!(out, "DESCRIBE FUNCTION {}", Name(name)),
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

impl Display for Sql<'_, AssertTopic> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let assertion = self.0;
        let not = if assertion.exists { "" } else { "NOT EXISTS " };
        write!(
            out,
            "ASSERT {not}TOPIC {}{}",
            Quoted(&assertion.topic),
            Sql(&assertion.properties)
        )?;
        let timeout = assertion.timeout;
        timeout.map_or(Ok(()), |timeout| write!(out, " TIMEOUT {timeout}"))
    }
}

impl Display for Sql<'_, AssertSchema> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let assertion = self.0;
        let not = if assertion.exists { "" } else { "NOT EXISTS " };
        write!(out, "ASSERT {not}SCHEMA")?;
        if let Some(subject) = &assertion.subject {
            write!(out, " SUBJECT {}", Quoted(subject))?;
        }
        if let Some(id) = assertion.id {
            write!(out, " ID {id}")?;
        }
        let timeout = assertion.timeout;
        timeout.map_or(Ok(()), |timeout| write!(out, " TIMEOUT {timeout}"))
    }
}

impl Display for Sql<'_, ConnectorStatement> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |kind: &ConnectorKind| match kind {
            ConnectorKind::Source => "SOURCE",
            ConnectorKind::Sink => "SINK",
        };
        match self.0 {
            ConnectorStatement::Create {
                kind,
                name,
                if_not_exists,
                settings,
            } => {
                let keep = if *if_not_exists { "IF NOT EXISTS " } else { "" };
                write!(out, "CREATE {} CONNECTOR {keep}{}", named(kind), Name(name))?;
                match settings.0.is_empty() {
                    true => out.write_str(" WITH ()"),
                    false => Sql(settings).fmt(out),
                }
            }
            ConnectorStatement::Drop { name, if_exists } => {
                let if_exists = if *if_exists { "IF EXISTS " } else { "" };
                write!(out, "DROP CONNECTOR {if_exists}{}", Name(name))
            }
            ConnectorStatement::Describe { name } => write!(out, "DESCRIBE CONNECTOR {}", Name(name)),
            ConnectorStatement::List(None) => out.write_str("LIST CONNECTORS"),
            ConnectorStatement::List(Some(kind)) => write!(out, "LIST {} CONNECTORS", named(kind)),
            ConnectorStatement::Plugins => out.write_str("LIST CONNECTOR PLUGINS"),
        }
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
