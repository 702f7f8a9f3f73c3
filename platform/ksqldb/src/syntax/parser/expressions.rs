//! Expressions, by precedence climbing.
//!
//! From loose to tight: `OR`, `AND`, `NOT`, predicates (which do not chain), `||`, `+ -`, `* / %`,
//! signs, subscripts and fields.

use super::super::ast::{BinaryOperator, Expression, ExpressionKind, Literal, UnaryOperator};
use super::super::token::{Keyword, TokenKind, takes_unit_first};
use super::{Parser, Result};

/// How high an expression's tree may be; runs of one operator count as one level. The canonical text
/// of such a tree nests at most twice as deep and so stays below [`super::MAXIMUM_NESTING`].
const MAXIMUM_HEIGHT: usize = 100;

/// How many operators, subscripts and fields an expression may chain (`a + b + c` chains one): each one
/// makes its tree higher.
const MAXIMUM_CHAIN: usize = 250;

type Precedence = u8;
const OR: Precedence = 1;
const AND: Precedence = 2;
const NOT: Precedence = 3;
const PREDICATE: Precedence = 4;
const CONCATENATION: Precedence = 5;
const SUM: Precedence = 6;
const PRODUCT: Precedence = 7;

/// What stands between two operands.
#[derive(Clone, Copy)]
enum Infix {
    Operator(BinaryOperator),
    Concat,
    Is,
    Like,
    In,
    Between,
}

impl Infix {
    fn precedence(self) -> Precedence {
        match self {
            Self::Operator(BinaryOperator::Or) => OR,
            Self::Operator(BinaryOperator::And) => AND,
            Self::Operator(BinaryOperator::Add | BinaryOperator::Subtract) => SUM,
            Self::Operator(BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo) => {
                PRODUCT
            }
            Self::Concat => CONCATENATION,
            Self::Operator(_) | Self::Is | Self::Like | Self::In | Self::Between => PREDICATE,
        }
    }
}

impl Parser<'_> {
    /// A whole expression.
    pub(super) fn expression(&mut self) -> Result<Expression> {
        self.chained = 0;
        let expression = self.expression_from(OR)?;
        if expression.height() > MAXIMUM_HEIGHT {
            return Err(self.error_at(expression.position, "the expression is nested too deeply"));
        }
        Ok(expression)
    }

    /// An expression inside another one.
    fn inner(&mut self) -> Result<Expression> {
        self.expression_from(OR)
    }

    fn boxed(&mut self, lowest: Precedence) -> Result<Box<Expression>> {
        self.expression_from(lowest).map(Box::new)
    }

    /// An expression of operators that bind at least as tightly as `lowest`.
    fn expression_from(&mut self, lowest: Precedence) -> Result<Expression> {
        self.enter()?;
        let (left, mut highest) = if lowest <= NOT && self.at_keyword(Keyword::Not) {
            (self.negation(), AND)
        } else {
            (self.operand(), PRODUCT)
        };
        let mut left = left?;
        let mut chains = false;
        while let Some(infix) = self.infix() {
            let precedence = infix.precedence();
            if precedence < lowest || precedence > highest {
                break;
            }
            if std::mem::replace(&mut chains, true) {
                self.count_chained()?;
            }
            left = self.operation(left, infix)?;
            // `a = b = c` is not in the grammar.
            highest = if precedence == PREDICATE { AND } else { precedence };
        }
        self.leave();
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expression> {
        let position = self.advance().position;
        let kind = ExpressionKind::Unary(UnaryOperator::Not, self.boxed(NOT)?);
        Ok(Expression { kind, position })
    }

    fn operation(&mut self, left: Expression, infix: Infix) -> Result<Expression> {
        let position = left.position;
        let kind = self.right_side(left, infix)?;
        Ok(Expression { kind, position })
    }

    fn count_chained(&mut self) -> Result<()> {
        self.chained += 1;
        if self.chained > MAXIMUM_CHAIN {
            let message = format!("the expression chains more than {MAXIMUM_CHAIN} operators");
            return Err(self.error_at(self.peek().position, message));
        }
        Ok(())
    }

    fn infix(&self) -> Option<Infix> {
        let operator = match self.peek().kind {
            TokenKind::Equal => BinaryOperator::Equal,
            TokenKind::NotEqual => BinaryOperator::NotEqual,
            TokenKind::Less => BinaryOperator::Less,
            TokenKind::LessOrEqual => BinaryOperator::LessOrEqual,
            TokenKind::Greater => BinaryOperator::Greater,
            TokenKind::GreaterOrEqual => BinaryOperator::GreaterOrEqual,
            TokenKind::Plus => BinaryOperator::Add,
            TokenKind::Minus => BinaryOperator::Subtract,
            TokenKind::Star => BinaryOperator::Multiply,
            TokenKind::Slash => BinaryOperator::Divide,
            TokenKind::Percent => BinaryOperator::Modulo,
            TokenKind::Concat => return Some(Infix::Concat),
            TokenKind::Word(Some(Keyword::Or)) => BinaryOperator::Or,
            TokenKind::Word(Some(Keyword::And)) => BinaryOperator::And,
            TokenKind::Word(Some(Keyword::Not)) => return Self::worded_predicate(self.keyword_after(1)?),
            TokenKind::Word(Some(Keyword::Is)) => return Some(Infix::Is),
            TokenKind::Word(Some(keyword)) => return Self::worded_predicate(keyword),
            _ => return None,
        };
        Some(Infix::Operator(operator))
    }

    /// The predicates that `NOT` may precede.
    fn worded_predicate(keyword: Keyword) -> Option<Infix> {
        match keyword {
            Keyword::Like => Some(Infix::Like),
            Keyword::In => Some(Infix::In),
            Keyword::Between => Some(Infix::Between),
            _ => None,
        }
    }

    /// Reads from the operator on.
    fn right_side(&mut self, left: Expression, infix: Infix) -> Result<ExpressionKind> {
        let value = Box::new(left);
        let negated = self.accept_keyword(Keyword::Not);
        self.advance();
        Ok(match infix {
            Infix::Operator(operator) => {
                let right = self.boxed(infix.precedence() + 1)?;
                ExpressionKind::Binary(value, operator, right)
            }
            Infix::Concat => ExpressionKind::Call {
                function: "CONCAT".to_owned(),
                arguments: vec![*value, self.expression_from(SUM)?],
            },
            Infix::Is => self.is_predicate(value)?,
            Infix::Like => {
                let pattern = self.boxed(CONCATENATION)?;
                let escape = self
                    .accept_keyword(Keyword::Escape)
                    .then(|| self.escape())
                    .transpose()?;
                ExpressionKind::Like {
                    value,
                    pattern,
                    escape,
                    negated,
                }
            }
            Infix::In => {
                self.expect(TokenKind::LeftParenthesis, "'('")?;
                let list = self.comma_separated(Self::inner)?;
                self.expect(TokenKind::RightParenthesis, "')'")?;
                ExpressionKind::In { value, list, negated }
            }
            Infix::Between => {
                let low = self.boxed(CONCATENATION)?;
                self.expect_keyword(Keyword::And)?;
                let high = self.boxed(CONCATENATION)?;
                ExpressionKind::Between {
                    value,
                    low,
                    high,
                    negated,
                }
            }
        })
    }

    fn is_predicate(&mut self, value: Box<Expression>) -> Result<ExpressionKind> {
        let negated = self.accept_keyword(Keyword::Not);
        if self.accept_keyword(Keyword::Null) {
            return Ok(ExpressionKind::IsNull { value, negated });
        }
        if !self.accept_keywords(&[Keyword::Distinct, Keyword::From]) {
            return Err(self.mismatch("'NULL' or 'DISTINCT FROM'"));
        }
        let operator = if negated {
            BinaryOperator::IsNotDistinctFrom
        } else {
            BinaryOperator::IsDistinctFrom
        };
        Ok(ExpressionKind::Binary(
            value,
            operator,
            self.boxed(CONCATENATION)?,
        ))
    }

    fn escape(&mut self) -> Result<char> {
        let position = self.peek().position;
        let text = self.string()?;
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => Ok(character),
            _ => Err(self.error_at(position, "Escape character must be a single character")),
        }
    }

    /// What stands between operators: signs, and a primary with its subscripts and fields.
    fn operand(&mut self) -> Result<Expression> {
        match self.peek().kind {
            TokenKind::Minus => self.signed(UnaryOperator::Minus),
            TokenKind::Plus => self.signed(UnaryOperator::Plus),
            _ => self.primary_with_suffixes(),
        }
    }

    fn signed(&mut self, operator: UnaryOperator) -> Result<Expression> {
        let position = self.peek().position;
        let kind = if operator == UnaryOperator::Minus && is_number(self.peek_after(1).kind) {
            ExpressionKind::Literal(self.literal()?)
        } else {
            self.advance();
            self.enter()?;
            let operand = self.operand()?;
            self.leave();
            ExpressionKind::Unary(operator, Box::new(operand))
        };
        Ok(Expression { kind, position })
    }

    fn primary_with_suffixes(&mut self) -> Result<Expression> {
        let mut expression = self.primary()?;
        while matches!(self.peek().kind, TokenKind::LeftBracket | TokenKind::Arrow) {
            expression = self.suffix(expression)?;
        }
        Ok(expression)
    }

    fn suffix(&mut self, base: Expression) -> Result<Expression> {
        self.count_chained()?;
        let position = base.position;
        let base = Box::new(base);
        let kind = if self.accept(TokenKind::LeftBracket) {
            let index = self.boxed(CONCATENATION)?;
            self.expect(TokenKind::RightBracket, "']'")?;
            ExpressionKind::Subscript { base, index }
        } else {
            self.expect(TokenKind::Arrow, "'->'")?;
            let field = self.identifier()?;
            ExpressionKind::Field { base, field }
        };
        Ok(Expression { kind, position })
    }

    // The functions from here on call one another for every level of nesting. Few `?` in each keep
    // their frames, and so the depth that a stack holds, in bounds.

    fn primary(&mut self) -> Result<Expression> {
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
            _ if self.at_identifier() => self.name_or_call(),
            _ => Err(self.mismatch("an expression")),
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
        self.expect(open, "an opening bracket")?;
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
                if std::mem::take(&mut unit_is_next) && parser.keyword_after(0).is_some_and(Keyword::is_unit)
                {
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
            return Err(self.mismatch("'WHEN'"));
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
            _ => return Err(self.mismatch("a literal")),
        };
        self.advance();
        literal.ok_or_else(|| self.error_at(position, format!("Invalid numeric literal: {text}")))
    }
}

fn is_number(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Integer | TokenKind::Decimal | TokenKind::Double)
}
