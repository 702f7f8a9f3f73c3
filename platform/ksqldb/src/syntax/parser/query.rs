//! `SELECT`: projection, sources, joins, windows and what follows.

use super::super::ast::{
    AliasedSource, Emit, Expression, Join, JoinKind, Position, Query, SelectItem, Window, WindowKind, Within,
};
use super::super::token::{Keyword, TokenKind};
use super::{Expected, Parser, Result};

/// How many items a projection may have: as many as a stream may have columns. Each is compared with every other.
const MOST_ITEMS: usize = 4_000;
/// How many expressions a query may be grouped or partitioned by.
const MOST_KEYS: usize = 100;
/// How many joins a query may have.
const MOST_JOINS: usize = 100;

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Result<Query> {
        let position = self.peek().position;
        self.expect_keyword(Keyword::Select)?;
        let select = self.comma_separated(Self::select_item)?;
        self.at_most(MOST_ITEMS, select.len(), position, "items in a SELECT")?;
        if !self.accept_keyword(Keyword::From) {
            return Err(self.mismatch(Expected::Exactly("{',', 'FROM'}")));
        }
        let from = self.aliased_source()?;
        let mut joins = Vec::new();
        while let Some(kind) = self.join_kind()? {
            joins.push(self.join(kind)?);
            self.at_most(MOST_JOINS, joins.len(), position, "joins in a query")?;
        }
        let window = if self.accept_keyword(Keyword::Window) {
            Some(self.window()?)
        } else {
            None
        };
        let filter = self.clause(&[Keyword::Where])?;
        let group_by = self.grouping(&[Keyword::Group, Keyword::By])?;
        self.at_most(MOST_KEYS, group_by.len(), position, "expressions to group by")?;
        let partition_by = self.grouping(&[Keyword::Partition, Keyword::By])?;
        self.at_most(
            MOST_KEYS,
            partition_by.len(),
            position,
            "expressions to partition by",
        )?;
        let having = self.clause(&[Keyword::Having])?;
        let emit = self.emit()?;
        let limit = if self.accept_keyword(Keyword::Limit) {
            Some(self.limit()?)
        } else {
            None
        };
        Ok(Query {
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
            position,
        })
    }

    /// Refuses what would take the planner too long.
    fn at_most(&self, most: usize, count: usize, position: Position, what: &str) -> Result<()> {
        if count > most {
            return Err(self.error_at(position, format!("there are more than {most} {what}")));
        }
        Ok(())
    }

    fn select_item(&mut self) -> Result<SelectItem> {
        let position = self.peek().position;
        if self.accept(TokenKind::Star) {
            return Ok(SelectItem::All {
                source: None,
                position,
            });
        }
        let star_follows =
            self.peek_after(1).kind == TokenKind::Dot && self.peek_after(2).kind == TokenKind::Star;
        if self.at_identifier() && star_follows {
            let source = Some(self.identifier()?);
            self.advance();
            self.advance();
            return Ok(SelectItem::All { source, position });
        }
        let expression = self.expression()?;
        if self.accept(TokenKind::Arrow) {
            self.expect(TokenKind::Star, "'*'")?;
            return Ok(SelectItem::AllFields {
                base: expression,
                position,
            });
        }
        let alias = if self.accept_keyword(Keyword::As) || self.at_identifier() {
            Some(self.identifier()?)
        } else {
            None
        };
        Ok(SelectItem::Expression { expression, alias })
    }

    fn aliased_source(&mut self) -> Result<AliasedSource> {
        let position = self.peek().position;
        let name = self.source_name()?;
        // `PARTITION` and `EMIT` may be names, but not where they begin a clause.
        let clause_follows = self.at_keywords(&[Keyword::Partition, Keyword::By])
            || self.at_keywords(&[Keyword::Emit, Keyword::Changes])
            || self.at_keywords(&[Keyword::Emit, Keyword::Final]);
        let alias = if self.accept_keyword(Keyword::As) || (self.at_identifier() && !clause_follows) {
            self.source_name()?
        } else {
            name.clone()
        };
        Ok(AliasedSource {
            name,
            alias,
            position,
        })
    }

    fn join_kind(&mut self) -> Result<Option<JoinKind>> {
        let kind = if self.accept_keyword(Keyword::Join) {
            return Ok(Some(JoinKind::Inner));
        } else if self.accept_keyword(Keyword::Inner) {
            JoinKind::Inner
        } else if self.accept_keyword(Keyword::Left) {
            JoinKind::Left
        } else if self.accept_keyword(Keyword::Right) {
            JoinKind::Right
        } else if self.accept_keyword(Keyword::Full) {
            JoinKind::Full
        } else {
            return Ok(None);
        };
        if kind != JoinKind::Inner {
            self.accept_keyword(Keyword::Outer);
        }
        self.expect_keyword(Keyword::Join)?;
        Ok(Some(kind))
    }

    fn join(&mut self, kind: JoinKind) -> Result<Join> {
        let source = self.aliased_source()?;
        let within = if self.accept_keyword(Keyword::Within) {
            Some(self.within()?)
        } else {
            None
        };
        self.expect_keyword(Keyword::On)?;
        let criteria = self.expression()?;
        Ok(Join {
            kind,
            source,
            within,
            criteria,
        })
    }

    fn within(&mut self) -> Result<Within> {
        let (before, after) = if self.accept(TokenKind::LeftParenthesis) {
            let before = self.duration()?;
            self.expect(TokenKind::Comma, "','")?;
            let after = self.duration()?;
            self.expect(TokenKind::RightParenthesis, "')'")?;
            (before, after)
        } else {
            let both = self.duration()?;
            (both, both)
        };
        let grace = if self.accept_keywords(&[Keyword::Grace, Keyword::Period]) {
            Some(self.duration()?)
        } else {
            None
        };
        Ok(Within { before, after, grace })
    }

    fn window(&mut self) -> Result<Window> {
        let position = self.peek().position;
        let kinds = [Keyword::Tumbling, Keyword::Hopping, Keyword::Session];
        let is_named = self.peek().kind == TokenKind::Word(None)
            && self
                .keyword_after(1)
                .is_some_and(|keyword| kinds.contains(&keyword));
        if is_named {
            // A window may have a name, which nothing can refer to.
            self.advance();
        }
        let tumbling = self.accept_keyword(Keyword::Tumbling);
        let hopping = !tumbling && self.accept_keyword(Keyword::Hopping);
        if !tumbling && !hopping && !self.accept_keyword(Keyword::Session) {
            return Err(self.mismatch(Expected::Several));
        }
        self.expect(TokenKind::LeftParenthesis, "'('")?;
        let kind = if tumbling {
            self.expect_keyword(Keyword::Size)?;
            WindowKind::Tumbling {
                size: self.duration()?,
            }
        } else if hopping {
            self.expect_keyword(Keyword::Size)?;
            let size = self.duration()?;
            self.expect(TokenKind::Comma, "','")?;
            self.expect_keyword(Keyword::Advance)?;
            self.expect_keyword(Keyword::By)?;
            let advance = self.duration()?;
            WindowKind::Hopping { size, advance }
        } else {
            WindowKind::Session {
                gap: self.duration()?,
            }
        };
        let (mut retention, mut grace) = (None, None);
        while self.accept(TokenKind::Comma) {
            if grace.is_none() && self.accept_keywords(&[Keyword::Grace, Keyword::Period]) {
                grace = Some(self.duration()?);
            } else if retention.is_none() && grace.is_none() && self.accept_keyword(Keyword::Retention) {
                retention = Some(self.duration()?);
            } else {
                return Err(self.mismatch(Expected::Several));
            }
        }
        self.expect(TokenKind::RightParenthesis, "')'")?;
        Ok(Window {
            kind,
            retention,
            grace,
            position,
        })
    }

    fn clause(&mut self, introduction: &[Keyword]) -> Result<Option<Expression>> {
        if self.accept_keywords(introduction) {
            self.expression().map(Some)
        } else {
            Ok(None)
        }
    }

    /// `GROUP BY` and `PARTITION BY`: expressions between commas, in parentheses or not.
    fn grouping(&mut self, introduction: &[Keyword]) -> Result<Vec<Expression>> {
        if !self.accept_keywords(introduction) {
            return Ok(Vec::new());
        }
        let position = self.peek().position;
        if self.at(TokenKind::LeftParenthesis) && self.peek_after(1).kind == TokenKind::RightParenthesis {
            let clause = introduction[0].text();
            return Err(self.meaningless(position, format!("{clause} BY requires at least one expression")));
        }
        if !self.at_parenthesised_list() {
            // Of `GROUP BY a AND b` the grammar reads `a`.
            return match introduction[0] {
                Keyword::Group => self.comma_separated(Self::grouped),
                _ => self.comma_separated(Self::expression),
            };
        }
        self.advance();
        let expressions = self.comma_separated(Self::expression)?;
        self.expect(TokenKind::RightParenthesis, "')'")?;
        Ok(expressions)
    }

    /// Whether the parenthesis that opens here has a comma of its own: `(a, b)`, but not `(a), (b)`.
    fn at_parenthesised_list(&self) -> bool {
        if !self.at(TokenKind::LeftParenthesis) {
            return false;
        }
        let mut depth = 0_usize;
        let mut distance = 0;
        loop {
            match self.peek_after(distance).kind {
                TokenKind::LeftParenthesis | TokenKind::LeftBracket => depth += 1,
                TokenKind::RightParenthesis | TokenKind::RightBracket if depth <= 1 => return false,
                TokenKind::RightParenthesis | TokenKind::RightBracket => depth -= 1,
                TokenKind::Comma if depth == 1 => return true,
                TokenKind::Semicolon | TokenKind::End => return false,
                _ => {}
            }
            distance += 1;
        }
    }

    fn emit(&mut self) -> Result<Option<Emit>> {
        if !self.accept_keyword(Keyword::Emit) {
            return Ok(None);
        }
        if self.accept_keyword(Keyword::Changes) {
            return Ok(Some(Emit::Changes));
        }
        if self.accept_keyword(Keyword::Final) {
            return Ok(Some(Emit::Final));
        }
        Err(self.mismatch(Expected::Several))
    }
}
