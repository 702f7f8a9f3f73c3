//! The statements around `SELECT`.
//!
//! Long because it is one grammar: a function for each statement around `SELECT`.

use super::super::ast::{
    AssertSchema, AssertTopic, ColumnConstraint, ColumnDefinition, ConnectorKind, ConnectorStatement,
    CreateAsSelect, CreateSource, Explain, InsertInto, InsertValues, Listing, OnExisting, Print,
    QuerySelection, SourceKind, Statement,
};
use super::super::lexer::variable_length;
use super::super::token::{Keyword, TokenKind};
use super::properties::Letters;
use super::{Expected, Parser, Result};

/// What `LIST` and `SHOW` have for connectors.
const CONNECTOR_LISTS: [(&[Keyword], ConnectorStatement); 4] = [
    (&[Keyword::Connectors], ConnectorStatement::List(None)),
    (
        &[Keyword::Source, Keyword::Connectors],
        ConnectorStatement::List(Some(ConnectorKind::Source)),
    ),
    (
        &[Keyword::Sink, Keyword::Connectors],
        ConnectorStatement::List(Some(ConnectorKind::Sink)),
    ),
    (
        &[Keyword::Connector, Keyword::Plugins],
        ConnectorStatement::Plugins,
    ),
];

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement> {
        let Some(keyword) = self.keyword_after(0) else {
            return Err(self.unknown_statement());
        };
        match keyword {
            Keyword::Select => self.query().map(Statement::Query),
            Keyword::Create => self.create(),
            Keyword::Insert => self.insert(),
            Keyword::Print => self.print(),
            Keyword::Drop => self.drop(),
            Keyword::Terminate => self.query_selection().map(Statement::Terminate),
            Keyword::Pause => self.query_selection().map(Statement::Pause),
            Keyword::Resume => self.query_selection().map(Statement::Resume),
            Keyword::List | Keyword::Show => self.list_or_show(),
            Keyword::Describe => self.describe(),
            Keyword::Explain => self.explain(),
            Keyword::Set => self.set(),
            Keyword::Unset => {
                self.advance();
                Ok(Statement::UnsetProperty { name: self.string()? })
            }
            Keyword::Define => self.define(),
            Keyword::Undefine => {
                self.advance();
                let name = self.variable_name()?;
                Ok(Statement::Undefine { name })
            }
            Keyword::Alter => self.alter(),
            Keyword::Assert => self.assert(),
            Keyword::Run => Ok(self.unsupported("RUN SCRIPT")),
            _ => Err(self.unknown_statement()),
        }
    }

    /// A statement of ksqlDB's that this server does not have: whatever it says is skipped.
    fn unsupported(&mut self, what: &str) -> Statement {
        while !matches!(self.peek().kind, TokenKind::Semicolon | TokenKind::End) {
            self.advance();
        }
        Statement::Unsupported {
            what: what.to_owned(),
        }
    }

    fn create(&mut self) -> Result<Statement> {
        self.expect_keyword(Keyword::Create)?;
        let replaces = self.accept_keywords(&[Keyword::Or, Keyword::Replace]);
        if !replaces && self.accept_keyword(Keyword::Type) {
            return self.create_type();
        }
        if self.accept_keyword(Keyword::Sink) {
            self.expect_keyword(Keyword::Connector)?;
            return self.create_connector(ConnectorKind::Sink);
        }
        let read_only = self.accept_keyword(Keyword::Source);
        if read_only && self.accept_keyword(Keyword::Connector) {
            return self.create_connector(ConnectorKind::Source);
        }
        let kind = self.source_kind()?;
        let position = self.peek().position;
        let keeps = self.accept_keywords(&[Keyword::If, Keyword::Not, Keyword::Exists]);
        let on_existing = match (replaces, keeps) {
            (false, false) => OnExisting::Fail,
            (true, false) => OnExisting::Replace,
            (false, true) => OnExisting::Keep,
            (true, true) => {
                return Err(self.error_at(position, "OR REPLACE and IF NOT EXISTS exclude each other"));
            }
        };
        let name = self.source_name()?;
        let columns = self.optional_columns()?;
        let has_columns = columns.is_some();
        let properties = self.optional_properties()?;
        if !read_only && !has_columns && self.accept_keyword(Keyword::As) {
            return Ok(Statement::CreateAsSelect(CreateAsSelect {
                kind,
                name,
                on_existing,
                properties,
                query: self.query()?,
            }));
        }
        Ok(Statement::CreateSource(CreateSource {
            kind,
            name,
            on_existing,
            read_only,
            columns: columns.unwrap_or_default(),
            properties,
        }))
    }

    fn create_connector(&mut self, kind: ConnectorKind) -> Result<Statement> {
        let if_not_exists = self.accept_keywords(&[Keyword::If, Keyword::Not, Keyword::Exists]);
        let name = self.identifier()?;
        self.expect_keyword(Keyword::With)?;
        Ok(Statement::Connector(ConnectorStatement::Create {
            kind,
            name,
            if_not_exists,
            settings: self.properties(Letters::AsWritten)?,
        }))
    }

    fn create_type(&mut self) -> Result<Statement> {
        let if_not_exists = self.accept_keywords(&[Keyword::If, Keyword::Not, Keyword::Exists]);
        let name = self.identifier()?;
        self.expect_keyword(Keyword::As)?;
        let sql_type = self.sql_type()?;
        Ok(Statement::CreateType {
            name,
            if_not_exists,
            sql_type,
        })
    }

    fn alter(&mut self) -> Result<Statement> {
        self.expect_keyword(Keyword::Alter)?;
        if self.accept_keyword(Keyword::System) {
            self.string()?;
            self.expect(TokenKind::Equal, "'='")?;
            self.string()?;
            return Ok(Statement::Unsupported {
                what: "ALTER SYSTEM".to_owned(),
            });
        }
        let kind = self.source_kind()?;
        let name = self.source_name()?;
        let columns = self.comma_separated(|parser| {
            parser.expect_keyword(Keyword::Add)?;
            // `ADD column INT` adds one that is called so.
            if parser.is_identifier(2) {
                parser.accept_keyword(Keyword::Column);
            }
            Ok(ColumnDefinition {
                position: parser.peek().position,
                name: parser.identifier()?,
                sql_type: parser.sql_type()?,
                constraint: ColumnConstraint::None,
            })
        })?;
        Ok(Statement::AlterSource { kind, name, columns })
    }

    fn assert_schema(&mut self, exists: bool) -> Result<Statement> {
        let subject = match self.accept_keyword(Keyword::Subject) {
            false => None,
            true if self.at(TokenKind::String) => Some(self.string()?),
            true => Some(self.identifier_as_written()?),
        };
        let id = match self.accept_keyword(Keyword::Id) {
            false => None,
            true => {
                let position = self.peek().position;
                let id = self.count()?;
                let id = u32::try_from(id).ok();
                Some(id.ok_or_else(|| self.error_at(position, "the id of a schema is too large"))?)
            }
        };
        let timeout = if self.accept_keyword(Keyword::Timeout) {
            Some(self.duration()?)
        } else {
            None
        };
        Ok(Statement::AssertSchema(AssertSchema {
            subject,
            id,
            exists,
            timeout,
        }))
    }

    fn assert(&mut self) -> Result<Statement> {
        self.expect_keyword(Keyword::Assert)?;
        let exists = !self.accept_keywords(&[Keyword::Not, Keyword::Exists]);
        if self.accept_keyword(Keyword::Schema) {
            if self.at_keyword(Keyword::Timeout) || self.at(TokenKind::Semicolon) {
                return Err(self.meaningless(
                    self.peek().position,
                    "ASSERT SCHEMA statements much include a subject name or an id",
                ));
            }
            return self.assert_schema(exists);
        }
        if !self.accept_keyword(Keyword::Topic) {
            return Err(self.unexpected());
        }
        let topic = if self.at(TokenKind::String) {
            self.string()?
        } else {
            self.identifier_as_written()?
        };
        let properties = self.optional_properties()?;
        let timeout = if self.accept_keyword(Keyword::Timeout) {
            Some(self.duration()?)
        } else {
            None
        };
        Ok(Statement::AssertTopic(AssertTopic {
            topic,
            exists,
            properties,
            timeout,
        }))
    }

    fn source_kind(&mut self) -> Result<SourceKind> {
        if self.accept_keyword(Keyword::Stream) {
            Ok(SourceKind::Stream)
        } else if self.accept_keyword(Keyword::Table) {
            Ok(SourceKind::Table)
        } else {
            Err(self.mismatch(Expected::Several))
        }
    }

    fn optional_columns(&mut self) -> Result<Option<Vec<ColumnDefinition>>> {
        if !self.accept(TokenKind::LeftParenthesis) {
            return Ok(None);
        }
        let columns = self.comma_separated(Self::column_definition)?;
        self.expect(TokenKind::RightParenthesis, "')'")?;
        Ok(Some(columns))
    }

    fn column_definition(&mut self) -> Result<ColumnDefinition> {
        let position = self.peek().position;
        let name = self.identifier()?;
        let sql_type = self.sql_type()?;
        let constraint = if self.accept_keyword(Keyword::Key) {
            ColumnConstraint::Key
        } else if self.accept_keywords(&[Keyword::Primary, Keyword::Key]) {
            ColumnConstraint::PrimaryKey
        } else if self.accept_keyword(Keyword::Headers) {
            ColumnConstraint::Headers
        } else if self.accept_keyword(Keyword::Header) {
            self.expect(TokenKind::LeftParenthesis, "'('")?;
            let header = self.string()?;
            self.expect(TokenKind::RightParenthesis, "')'")?;
            ColumnConstraint::Header(header)
        } else {
            ColumnConstraint::None
        };
        Ok(ColumnDefinition {
            name,
            sql_type,
            constraint,
            position,
        })
    }

    fn insert(&mut self) -> Result<Statement> {
        self.expect_keyword(Keyword::Insert)?;
        self.expect_keyword(Keyword::Into)?;
        let position = self.peek().position;
        let target = self.source_name()?;
        let properties = self.optional_properties()?;
        if self.at_keyword(Keyword::Select) {
            return Ok(Statement::InsertInto(InsertInto {
                target,
                position,
                properties,
                query: self.query()?,
            }));
        }
        if !properties.0.is_empty() {
            return Err(self.mismatch(Expected::Exactly("'SELECT'")));
        }
        let columns = if self.accept(TokenKind::LeftParenthesis) {
            let columns = self.comma_separated(Self::identifier)?;
            self.expect(TokenKind::RightParenthesis, "')'")?;
            columns
        } else {
            Vec::new()
        };
        if !self.at_keyword(Keyword::Values) {
            return Err(self.mismatch(if columns.is_empty() {
                Expected::Several
            } else {
                Expected::Exactly("'VALUES'")
            }));
        }
        self.advance();
        self.expect(TokenKind::LeftParenthesis, "'('")?;
        let values = self.comma_separated(Self::expression)?;
        self.expect(TokenKind::RightParenthesis, "')'")?;
        Ok(Statement::InsertValues(InsertValues {
            target,
            columns,
            values,
        }))
    }

    fn print(&mut self) -> Result<Statement> {
        self.expect_keyword(Keyword::Print)?;
        let topic = if self.at(TokenKind::String) {
            self.string()?
        } else {
            self.identifier_as_written()?
        };
        let from_beginning = self.accept_keywords(&[Keyword::From, Keyword::Beginning]);
        let interval = if self.accept_keyword(Keyword::Interval) || self.accept_keyword(Keyword::Sample) {
            Some(self.count()?)
        } else {
            None
        };
        let limit = if self.accept_keyword(Keyword::Limit) {
            Some(self.limit_count()?)
        } else {
            None
        };
        Ok(Statement::Print(Print {
            topic,
            from_beginning,
            interval,
            limit,
        }))
    }

    fn drop(&mut self) -> Result<Statement> {
        self.expect_keyword(Keyword::Drop)?;
        if self.accept_keyword(Keyword::Connector) {
            let if_exists = self.accept_keywords(&[Keyword::If, Keyword::Exists]);
            let name = self.identifier()?;
            return Ok(Statement::Connector(ConnectorStatement::Drop { name, if_exists }));
        }
        if self.accept_keyword(Keyword::Type) {
            let if_exists = self.accept_keywords(&[Keyword::If, Keyword::Exists]);
            let name = self.identifier()?;
            return Ok(Statement::DropType { name, if_exists });
        }
        let kind = self.source_kind()?;
        let if_exists = self.accept_keywords(&[Keyword::If, Keyword::Exists]);
        let name = self.source_name()?;
        let delete_topic = self.accept_keywords(&[Keyword::Delete, Keyword::Topic]);
        Ok(Statement::DropSource {
            kind,
            name,
            if_exists,
            delete_topic,
        })
    }

    /// The rest of `TERMINATE`, `PAUSE` and `RESUME`.
    fn query_selection(&mut self) -> Result<QuerySelection> {
        self.advance();
        if self.accept_keyword(Keyword::All) {
            return Ok(QuerySelection::All);
        }
        self.identifier_as_written().map(QuerySelection::Id)
    }

    fn list_or_show(&mut self) -> Result<Statement> {
        self.advance();
        for (keywords, listing) in CONNECTOR_LISTS {
            if self.accept_keywords(keywords) {
                return Ok(Statement::Connector(listing.clone()));
            }
        }
        let all = self.accept_keyword(Keyword::All);
        let listed = self.keyword_after(0);
        if !all || listed == Some(Keyword::Topics) {
            self.advance();
            let extended = |parser: &mut Self| parser.accept_keyword(Keyword::Extended);
            let listing = match listed {
                Some(Keyword::Topics) => Some(Listing::Topics {
                    all,
                    extended: extended(self),
                }),
                Some(Keyword::Streams) => Some(Listing::Streams {
                    extended: extended(self),
                }),
                Some(Keyword::Tables) => Some(Listing::Tables {
                    extended: extended(self),
                }),
                Some(Keyword::Queries) => Some(Listing::Queries {
                    extended: extended(self),
                }),
                Some(Keyword::Functions) => Some(Listing::Functions),
                Some(Keyword::Properties) => Some(Listing::Properties),
                Some(Keyword::Types) => Some(Listing::Types),
                Some(Keyword::Variables) => Some(Listing::Variables),
                _ => None,
            };
            if let Some(listing) = listing {
                return Ok(Statement::List(listing));
            }
            self.next -= 1;
        }
        Err(self.mismatch(Expected::Several))
    }

    fn describe(&mut self) -> Result<Statement> {
        self.expect_keyword(Keyword::Describe)?;
        // `FUNCTION` and `CONNECTOR` may be a source's name too.
        if self.is_identifier(1) && self.accept_keyword(Keyword::Function) {
            let written = self.peek().text.to_owned();
            let name = self.identifier()?;
            return Ok(Statement::DescribeFunction { name, written });
        }
        if self.is_identifier(1) && self.accept_keyword(Keyword::Connector) {
            let name = self.identifier()?;
            return Ok(Statement::Connector(ConnectorStatement::Describe { name }));
        }
        // Older versions had `EXTENDED` before the name.
        let extended_first = self.accept_keyword(Keyword::Extended);
        let name = if self.accept_keyword(Keyword::Streams) {
            "STREAMS".to_owned()
        } else {
            self.source_name()?
        };
        let extended = extended_first || self.accept_keyword(Keyword::Extended);
        Ok(Statement::Describe { name, extended })
    }

    fn explain(&mut self) -> Result<Statement> {
        self.expect_keyword(Keyword::Explain)?;
        let ends_after_name = matches!(self.peek_after(1).kind, TokenKind::Semicolon | TokenKind::End);
        if self.at_identifier() && ends_after_name {
            let id = self.identifier_as_written()?;
            return Ok(Statement::Explain(Explain::Id(id)));
        }
        self.enter()?;
        let statement = self.statement()?;
        self.leave();
        if matches!(statement, Statement::Unsupported { .. }) {
            return Ok(statement);
        }
        Ok(Statement::Explain(Explain::Statement(Box::new(statement))))
    }

    fn set(&mut self) -> Result<Statement> {
        self.expect_keyword(Keyword::Set)?;
        let name = self.string()?;
        self.expect(TokenKind::Equal, "'='")?;
        let value = self.string()?;
        Ok(Statement::SetProperty { name, value })
    }

    fn define(&mut self) -> Result<Statement> {
        self.expect_keyword(Keyword::Define)?;
        let name = self.variable_name()?;
        self.expect(TokenKind::Equal, "'='")?;
        let value = self.string()?;
        Ok(Statement::Define { name, value })
    }

    /// Any word, reserved or not, with its case, that `${…}` can name.
    fn variable_name(&mut self) -> Result<String> {
        let token = *self.peek();
        let placeholder = format!("${{{}}}", token.text);
        match token.kind {
            TokenKind::Word(_) if variable_length(&placeholder) == placeholder.len() => {
                self.advance();
                Ok(token.text.to_owned())
            }
            _ => Err(self.mismatch(Expected::Several)),
        }
    }
}
