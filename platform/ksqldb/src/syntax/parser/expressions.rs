//! Expressions, by precedence climbing.
//!
//! From loose to tight: `OR`, `AND`, `NOT`, predicates (which do not chain), `||`, `+ -`, `* / %`,
//! signs, subscripts and fields. What these bind is in `primaries`.

use super::super::ast::{BinaryOperator, Expression, ExpressionKind, UnaryOperator};
use super::super::token::{Keyword, TokenKind};
use super::{Parser, Result};

/// How high an expression's tree may be; runs of one operator count as one level. The canonical text
/// of such a tree nests at most twice as deep and so stays below [`super::MAXIMUM_NESTING`].
const MAXIMUM_HEIGHT: usize = 100;

/// How many operators, subscripts and fields an expression may chain (`a + b + c` chains one): each one
/// makes its tree higher.
const MAXIMUM_CHAIN: usize = 250;

pub(super) type Precedence = u8;
pub(super) const OR: Precedence = 1;
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
    pub(super) fn inner(&mut self) -> Result<Expression> {
        self.expression_from(OR)
    }

    pub(super) fn boxed(&mut self, lowest: Precedence) -> Result<Box<Expression>> {
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
}

pub(super) fn is_number(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Integer | TokenKind::Decimal | TokenKind::Double)
}
