//! Expressions, by precedence climbing.
//!
//! From loose to tight: `OR`, `AND`, `NOT`, predicates (which do not chain), `||`, `+ -`, `* / %`,
//! signs, subscripts and fields. What these bind is in `primaries`.

use super::super::ast::{BinaryOperator, Expression, ExpressionKind, Position, UnaryOperator};
use super::super::token::{Keyword, TokenKind};
use super::{Expected, Parser, Result};

/// How many levels an expression may have, where a run such as `a + b - c` is one. Its canonical text nests a level
/// twice at most and each further operation of a run once, and so stays below [`super::MAXIMUM_NESTING`].
const MAXIMUM_LEVELS: usize = 80;

/// How high an expression's tree may be, and so how many subscripts and fields it may chain.
/// Whoever walks the tree, the evaluation of rows included, needs stack for that many calls.
const MAXIMUM_HEIGHT: usize = 120;

/// So many `||` behind each other are calls of `CONCAT` in one another, as ksqlDB has them; of more, one call has the
/// operands.
const NESTED_CONCATENATIONS: usize = 64;

/// How many other operators an expression may have. A long run of them is a chain, which costs no stack.
const MOST_OPERATORS: usize = 10_000;

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
        self.whole(OR)
    }

    /// An expression to group by: without `AND`, `OR` or `NOT` around it.
    pub(super) fn grouped(&mut self) -> Result<Expression> {
        self.whole(PREDICATE)
    }

    fn whole(&mut self, lowest: Precedence) -> Result<Expression> {
        (self.chained, self.operators) = (0, 0);
        let expression = self.expression_from(lowest)?;
        if expression.levels() > MAXIMUM_LEVELS || expression.height() > MAXIMUM_HEIGHT {
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
        let mut concatenations = Concatenations::default();
        while let Some(infix) = self.infix() {
            let precedence = infix.precedence();
            if precedence < lowest || precedence > highest {
                break;
            }
            match infix {
                Infix::Operator(_) | Infix::Concat => self.count_operator()?,
                _ if chains => self.count_chained()?,
                _ => {}
            }
            chains = true;
            left = self.operation(left, infix)?;
            if matches!(infix, Infix::Concat) {
                concatenations.add(&mut left);
            }
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
        let kind = match infix {
            Infix::Operator(operator) => {
                self.advance();
                let right = self.expression_from(infix.precedence() + 1)?;
                return Ok(left.operation(operator, right));
            }
            Infix::Concat => self.concatenation(left),
            Infix::Is => self.is_predicate(left),
            Infix::Like => self.like(left),
            Infix::In => self.membership(left),
            Infix::Between => self.between(left),
        };
        kind.map(|kind| Expression { kind, position })
    }

    fn count_operator(&mut self) -> Result<()> {
        self.operators += 1;
        if self.operators > MOST_OPERATORS {
            let message = format!("the expression has more than {MOST_OPERATORS} operators");
            return Err(self.error_at(self.peek().position, message));
        }
        Ok(())
    }

    fn count_chained(&mut self) -> Result<()> {
        self.chained += 1;
        if self.chained > MAXIMUM_HEIGHT {
            let message = format!("the expression chains more than {MAXIMUM_HEIGHT} operators");
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

    fn concatenation(&mut self, left: Expression) -> Result<ExpressionKind> {
        self.advance();
        let right = self.expression_from(SUM)?;
        Ok(ExpressionKind::Call {
            function: "CONCAT".to_owned(),
            arguments: vec![left, right],
        })
    }

    fn is_predicate(&mut self, left: Expression) -> Result<ExpressionKind> {
        self.advance();
        let value = Box::new(left);
        let negated = self.accept_keyword(Keyword::Not);
        if self.accept_keyword(Keyword::Null) {
            return Ok(ExpressionKind::IsNull { value, negated });
        }
        if !self.accept_keywords(&[Keyword::Distinct, Keyword::From]) {
            return Err(self.mismatch(Expected::Several));
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

    /// `NOT`, if it is there, and the word of the predicate.
    fn predicate_word(&mut self) -> bool {
        let negated = self.accept_keyword(Keyword::Not);
        self.advance();
        negated
    }

    fn like(&mut self, left: Expression) -> Result<ExpressionKind> {
        let (position, negated) = (left.position, self.predicate_word());
        let pattern = self.boxed(CONCATENATION)?;
        let escape = if self.accept_keyword(Keyword::Escape) {
            Some(self.escape()?)
        } else {
            None
        };
        let like = ExpressionKind::Like {
            value: Box::new(left),
            pattern,
            escape,
        };
        Ok(negate_if(negated, like, position))
    }

    fn membership(&mut self, left: Expression) -> Result<ExpressionKind> {
        let (position, negated) = (left.position, self.predicate_word());
        if !self.accept(TokenKind::LeftParenthesis) {
            return Err(self.mismatch(Expected::Several));
        }
        let list = self.comma_separated(Self::inner)?;
        self.expect(TokenKind::RightParenthesis, "')'")?;
        let membership = ExpressionKind::In {
            value: Box::new(left),
            list,
        };
        Ok(negate_if(negated, membership, position))
    }

    fn between(&mut self, left: Expression) -> Result<ExpressionKind> {
        let (position, negated) = (left.position, self.predicate_word());
        let low = self.boxed(CONCATENATION)?;
        self.expect_keyword(Keyword::And)?;
        let high = self.boxed(CONCATENATION)?;
        let between = ExpressionKind::Between {
            value: Box::new(left),
            low,
            high,
        };
        Ok(negate_if(negated, between, position))
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
        while self.at(TokenKind::LeftBracket)
            // `->*` is no part of an expression.
            || (self.at(TokenKind::Arrow) && self.peek_after(1).kind != TokenKind::Star)
        {
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

/// The `||` of a run so far.
#[derive(Default)]
struct Concatenations {
    /// Calls in one another.
    nested: usize,
    /// Whether the innermost is one of many operands.
    is_flat: bool,
}

impl Concatenations {
    /// Counts one more, the outermost, and makes one call of them where they would nest too deeply.
    fn add(&mut self, outermost: &mut Expression) {
        self.nested += 1;
        if self.nested == NESTED_CONCATENATIONS {
            let nested = self.nested + usize::from(self.is_flat) - 1;
            for _ in 0..nested {
                unnest(outermost);
            }
            *self = Self {
                nested: 0,
                is_flat: true,
            };
        }
    }
}

/// `CONCAT(CONCAT(a, b), c)` as `CONCAT(a, b, c)`.
fn unnest(call: &mut Expression) {
    let ExpressionKind::Call { arguments, .. } = &mut call.kind else {
        return;
    };
    let Some(ExpressionKind::Call { arguments: inner, .. }) =
        arguments.first_mut().map(|first| &mut first.kind)
    else {
        return;
    };
    let inner = std::mem::take(inner);
    arguments.splice(..1, inner);
}

fn negate_if(negated: bool, predicate: ExpressionKind, position: Position) -> ExpressionKind {
    if !negated {
        return predicate;
    }
    let predicate = Expression {
        kind: predicate,
        position,
    };
    ExpressionKind::Unary(UnaryOperator::Not, Box::new(predicate))
}

pub(super) fn is_number(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Integer | TokenKind::Decimal | TokenKind::Double)
}
