//! What stands between operators: literals, names, calls, constructors and whatever stands in brackets.
//!
//! These functions call one another for every level of nesting. Few `?` in each keep their frames, and
//! so the depth that a stack holds, in bounds.

use std::collections::HashMap;

use super::super::ast::{Expression, ExpressionKind, Literal};
use super::super::format_expression;
use super::super::token::{Keyword, TokenKind, takes_unit_first};
use super::expressions::{OR, is_number};
use super::{Expected, Parser, Result};

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<Expression> {
        if self.at(TokenKind::LeftParenthesis) {
            return self.parenthesised();
        }
        let position = self.peek().position;
        let kind = self.primary_kind()?;
        Ok(Expression { kind, position })
    }

    fn parenthesised(&mut self) -> Result<Expression> {
        self.advance();
        let inner = self.inner()?;
        self.expect(TokenKind::RightParenthesis, "')'")?;
        Ok(inner)
    }

    fn primary_kind(&mut self) -> Result<ExpressionKind> {
        let follows = self.peek_after(1).kind;
        match self.peek().kind {
            TokenKind::String | TokenKind::Integer | TokenKind::Decimal | TokenKind::Double => {
                self.literal().map(ExpressionKind::Literal)
            }
            TokenKind::Word(Some(Keyword::Null | Keyword::True | Keyword::False)) => {
                self.literal().map(ExpressionKind::Literal)
            }
            TokenKind::Word(Some(Keyword::Case)) => self.case(),
            TokenKind::Word(Some(Keyword::Cast)) => self.cast(),
            TokenKind::Word(Some(Keyword::Array)) if follows == TokenKind::LeftBracket => self.array(),
            TokenKind::Word(Some(Keyword::Map)) if follows == TokenKind::LeftParenthesis => self.map(),
            TokenKind::Word(Some(Keyword::Struct)) if follows == TokenKind::LeftParenthesis => {
                self.structure()
            }
            _ if self.at_decimal_literal() => self.literal().map(ExpressionKind::Literal),
            _ if self.at_identifier() => self.name_or_call(),
            _ => Err(self.mismatch(Expected::Several)),
        }
    }

    fn array(&mut self) -> Result<ExpressionKind> {
        self.advance();
        let elements = self.list(TokenKind::LeftBracket, TokenKind::RightBracket, Self::inner)?;
        Ok(ExpressionKind::Array(elements))
    }

    fn map(&mut self) -> Result<ExpressionKind> {
        self.advance();
        let entries = self.list(
            TokenKind::LeftParenthesis,
            TokenKind::RightParenthesis,
            |parser| {
                let key = parser.inner()?;
                parser.expect(TokenKind::Assign, "':='")?;
                Ok((key, parser.inner()?))
            },
        )?;
        let mut known = HashMap::with_capacity(entries.len());
        let repeated = entries.iter().find_map(|(key, value)| {
            let earlier = known.insert(format_expression(key), value)?;
            Some((key, value, earlier))
        });
        if let Some((key, value, earlier)) = repeated {
            let key_text = format_expression(key);
            let message = format!(
                "Multiple entries with same key: {key_text}={} and {key_text}={}",
                format_expression(value),
                format_expression(earlier)
            );
            return Err(self.meaningless(key.position, message));
        }
        Ok(ExpressionKind::Map(entries))
    }

    fn structure(&mut self) -> Result<ExpressionKind> {
        self.advance();
        let fields = self.list(
            TokenKind::LeftParenthesis,
            TokenKind::RightParenthesis,
            |parser| {
                let name = parser.identifier()?;
                parser.expect(TokenKind::Assign, "':='")?;
                Ok((name, parser.inner()?))
            },
        )?;
        Ok(ExpressionKind::Struct(fields))
    }

    /// Things between commas and brackets, none at all included.
    fn list<T>(
        &mut self,
        open: TokenKind,
        close: TokenKind,
        item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        // Twice the nesting of a parenthesis, since it takes twice the stack.
        self.enter()?;
        self.expect(open, "'('")?;
        let items = if self.at(close) {
            Vec::new()
        } else {
            self.comma_separated(item)?
        };
        let expectation = if close == TokenKind::RightBracket {
            "']'"
        } else {
            "')'"
        };
        self.expect(close, expectation)?;
        self.leave();
        Ok(items)
    }

    fn name_or_call(&mut self) -> Result<ExpressionKind> {
        let name = self.identifier()?;
        if self.at(TokenKind::LeftParenthesis) {
            return self.call(name);
        }
        if self.accept(TokenKind::Dot) {
            let column = self.identifier()?;
            return Ok(ExpressionKind::Column {
                source: Some(name),
                name: column,
            });
        }
        Ok(ExpressionKind::Column { source: None, name })
    }

    fn call(&mut self, function: String) -> Result<ExpressionKind> {
        let counts_rows = self.peek_after(1).kind == TokenKind::Star;
        if counts_rows && self.peek_after(2).kind == TokenKind::RightParenthesis {
            // `COUNT(*)`: the same as no argument.
            (0..3).for_each(|_| {
                self.advance();
            });
            return Ok(ExpressionKind::Call {
                function,
                arguments: Vec::new(),
            });
        }
        let mut unit_is_next = takes_unit_first(&function);
        let arguments = self.list(
            TokenKind::LeftParenthesis,
            TokenKind::RightParenthesis,
            |parser| {
                let unit = parser
                    .keyword_after(0)
                    .filter(|_| std::mem::take(&mut unit_is_next));
                if unit.is_some_and(Keyword::is_calendar_unit) {
                    return Err(parser.mismatch(Expected::Several));
                }
                if unit.is_some_and(|unit| unit.time_unit().is_some()) {
                    let token = *parser.advance();
                    let kind = ExpressionKind::Literal(Literal::String(token.text.to_ascii_uppercase()));
                    return Ok(Expression {
                        kind,
                        position: token.position,
                    });
                }
                parser.argument()
            },
        )?;
        Ok(ExpressionKind::Call { function, arguments })
    }

    fn argument(&mut self) -> Result<Expression> {
        let position = self.peek().position;
        let Some(parenthesised) = self.at_lambda() else {
            return self.inner();
        };
        let parameters = if parenthesised {
            self.list(
                TokenKind::LeftParenthesis,
                TokenKind::RightParenthesis,
                Self::identifier,
            )?
        } else {
            vec![self.identifier()?]
        };
        self.expect(TokenKind::LambdaArrow, "'=>'")?;
        let body = self.boxed(OR)?;
        Ok(Expression {
            kind: ExpressionKind::Lambda { parameters, body },
            position,
        })
    }

    /// Whether a lambda begins here, and whether its parameters stand in parentheses.
    fn at_lambda(&self) -> Option<bool> {
        if self.is_identifier(0) && self.peek_after(1).kind == TokenKind::LambdaArrow {
            return Some(false);
        }
        let mut distance = 1;
        if !self.at(TokenKind::LeftParenthesis) {
            return None;
        }
        while self.is_identifier(distance) {
            distance += 1;
            match self.peek_after(distance).kind {
                TokenKind::Comma => distance += 1,
                TokenKind::RightParenthesis => {
                    return (self.peek_after(distance + 1).kind == TokenKind::LambdaArrow).then_some(true);
                }
                _ => return None,
            }
        }
        None
    }

    fn case(&mut self) -> Result<ExpressionKind> {
        // Twice the nesting of a parenthesis, as in `list`.
        self.enter()?;
        self.expect_keyword(Keyword::Case)?;
        let operand = self.optional(!self.at_keyword(Keyword::When))?;
        let mut branches = Vec::new();
        while self.accept_keyword(Keyword::When) {
            branches.push(self.branch()?);
        }
        if branches.is_empty() {
            return Err(self.mismatch(Expected::Exactly("'WHEN'")));
        }
        let has_otherwise = self.accept_keyword(Keyword::Else);
        let otherwise = self.optional(has_otherwise)?;
        self.expect_keyword(Keyword::End)?;
        self.leave();
        Ok(ExpressionKind::Case {
            operand,
            branches,
            otherwise,
        })
    }

    fn branch(&mut self) -> Result<(Expression, Expression)> {
        let condition = self.inner()?;
        self.expect_keyword(Keyword::Then)?;
        Ok((condition, self.inner()?))
    }

    fn optional(&mut self, present: bool) -> Result<Option<Box<Expression>>> {
        if present {
            self.boxed(OR).map(Some)
        } else {
            Ok(None)
        }
    }

    fn cast(&mut self) -> Result<ExpressionKind> {
        self.expect_keyword(Keyword::Cast)?;
        self.expect(TokenKind::LeftParenthesis, "'('")?;
        let value = self.boxed(OR)?;
        self.expect_keyword(Keyword::As)?;
        let target = self.sql_type()?;
        self.expect(TokenKind::RightParenthesis, "')'")?;
        Ok(ExpressionKind::Cast { value, target })
    }

    /// Whether `DECIMAL '1.5'` comes, which elsewhere is a name.
    fn at_decimal_literal(&self) -> bool {
        let token = self.peek();
        matches!(token.kind, TokenKind::Word(_))
            && token.text.eq_ignore_ascii_case("DECIMAL")
            && self.peek_after(1).kind == TokenKind::String
    }

    fn decimal_literal(&mut self) -> Result<Literal> {
        self.advance();
        let position = self.peek().position;
        let text = self.string()?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && digits.bytes().any(|byte| byte.is_ascii_digit())
            && digits.matches('.').count() <= 1;
        if !is_number {
            return Err(self.error_at(position, format!("Invalid numeric literal: {text}")));
        }
        Ok(Literal::Decimal(text))
    }

    /// A literal, a number's sign included.
    pub(super) fn literal(&mut self) -> Result<Literal> {
        let position = self.peek().position;
        let negative = self.at(TokenKind::Minus) && is_number(self.peek_after(1).kind);
        if negative {
            self.advance();
        }
        let token = *self.peek();
        let text = format!("{}{}", if negative { "-" } else { "" }, token.text);
        let literal = match token.kind {
            TokenKind::String => return self.string().map(Literal::String),
            _ if self.at_decimal_literal() => return self.decimal_literal(),
            TokenKind::Word(Some(Keyword::Null)) => Some(Literal::Null),
            TokenKind::Word(Some(Keyword::True)) => Some(Literal::Boolean(true)),
            TokenKind::Word(Some(Keyword::False)) => Some(Literal::Boolean(false)),
            TokenKind::Integer => {
                let number = text.parse::<i64>().ok();
                number.map(|number| i32::try_from(number).map_or(Literal::Bigint(number), Literal::Integer))
            }
            TokenKind::Decimal => Some(Literal::Decimal(text.clone())),
            TokenKind::Double => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.map(Literal::Double)
            }
            _ => return Err(self.mismatch(Expected::Several)),
        };
        self.advance();
        literal.ok_or_else(|| self.error_at(position, format!("Invalid numeric literal: {text}")))
    }
}
