//! Walking an expression's tree without naming every kind.

use super::ast::{BinaryOperator, Expression, ExpressionKind};

/// How many operators of one rank are written as a tree, each around those before it.
pub(super) const LONGEST_RUN: usize = 24;

impl Expression {
    /// The expressions directly inside this one, in the order they are written.
    pub fn children(&self) -> Vec<&Expression> {
        match &self.kind {
            ExpressionKind::Literal(_) | ExpressionKind::Column { .. } => Vec::new(),
            ExpressionKind::Unary(_, operand) => vec![operand],
            ExpressionKind::Binary(left, _, right) => vec![left, right],
            ExpressionKind::Chain { first, rest } => {
                let rest = rest.iter().map(|(_, operand)| operand);
                std::iter::once(&**first).chain(rest).collect()
            }
            ExpressionKind::Like { value, pattern, .. } => vec![value, pattern],
            ExpressionKind::In { value, list, .. } => std::iter::once(&**value).chain(list).collect(),
            ExpressionKind::Between { value, low, high, .. } => vec![value, low, high],
            ExpressionKind::IsNull { value, .. } | ExpressionKind::Cast { value, .. } => vec![value],
            ExpressionKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                let branches = branches
                    .iter()
                    .flat_map(|(condition, result)| [condition, result]);
                let operand = operand.as_deref().into_iter();
                operand.chain(branches).chain(otherwise.as_deref()).collect()
            }
            ExpressionKind::Subscript { base, index } => vec![base, index],
            ExpressionKind::Field { base, .. } => vec![base],
            ExpressionKind::Call { arguments, .. } => arguments.iter().collect(),
            ExpressionKind::Lambda { body, .. } => vec![body],
            ExpressionKind::Array(elements) => elements.iter().collect(),
            ExpressionKind::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            ExpressionKind::Struct(fields) => fields.iter().map(|(_, value)| value).collect(),
        }
    }

    /// As [`Self::children`], to change them.
    pub fn children_mut(&mut self) -> Vec<&mut Expression> {
        match &mut self.kind {
            ExpressionKind::Literal(_) | ExpressionKind::Column { .. } => Vec::new(),
            ExpressionKind::Unary(_, operand) => vec![operand],
            ExpressionKind::Binary(left, _, right) => vec![left, right],
            ExpressionKind::Chain { first, rest } => {
                let rest = rest.iter_mut().map(|(_, operand)| operand);
                std::iter::once(&mut **first).chain(rest).collect()
            }
            ExpressionKind::Like { value, pattern, .. } => vec![value, pattern],
            ExpressionKind::In { value, list, .. } => std::iter::once(&mut **value).chain(list).collect(),
            ExpressionKind::Between { value, low, high, .. } => vec![value, low, high],
            ExpressionKind::IsNull { value, .. } | ExpressionKind::Cast { value, .. } => vec![value],
            ExpressionKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                let branches = branches
                    .iter_mut()
                    .flat_map(|(condition, result)| [condition, result]);
                let operand = operand.as_deref_mut().into_iter();
                operand.chain(branches).chain(otherwise.as_deref_mut()).collect()
            }
            ExpressionKind::Subscript { base, index } => vec![base, index],
            ExpressionKind::Field { base, .. } => vec![base],
            ExpressionKind::Call { arguments, .. } => arguments.iter_mut().collect(),
            ExpressionKind::Lambda { body, .. } => vec![body],
            ExpressionKind::Array(elements) => elements.iter_mut().collect(),
            ExpressionKind::Map(entries) => {
                entries.iter_mut().flat_map(|(key, value)| [key, value]).collect()
            }
            ExpressionKind::Struct(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
        }
    }

    /// `self operator right`, in the one form that an expression has: a run of operators of one rank grows to the
    /// left until it is [`LONGEST_RUN`] high, and from then on is a chain, which is one high however long.
    pub(crate) fn operation(self, operator: BinaryOperator, right: Expression) -> Expression {
        let position = self.position;
        let continues = continues_run(&self, operator);
        let kind = match self.kind {
            ExpressionKind::Chain { first, mut rest } if continues => {
                rest.push((operator, right));
                ExpressionKind::Chain { first, rest }
            }
            kind => {
                let left = Expression { kind, position };
                if continues && left.run_height() >= LONGEST_RUN {
                    let (first, mut rest) = left.into_run();
                    rest.push((operator, right));
                    ExpressionKind::Chain { first, rest }
                } else {
                    ExpressionKind::Binary(Box::new(left), operator, Box::new(right))
                }
            }
        };
        Expression { kind, position }
    }

    /// How many operators of one rank stand on the left edge, one below the other.
    fn run_height(&self) -> usize {
        let (mut node, mut height) = (self, 0);
        while let ExpressionKind::Binary(left, operator, _) = &node.kind {
            height += 1;
            if !continues_run(left, *operator) {
                break;
            }
            node = left;
        }
        height
    }

    /// The operands of the run on the left edge, each but the first with the operator before it.
    fn into_run(mut self) -> (Box<Expression>, Vec<(BinaryOperator, Expression)>) {
        let mut rest = Vec::new();
        loop {
            match self.kind {
                ExpressionKind::Binary(left, operator, right) => {
                    let continues = continues_run(&left, operator);
                    rest.push((operator, *right));
                    if !continues {
                        rest.reverse();
                        return (left, rest);
                    }
                    self = *left;
                }
                _ => return (Box::new(self), rest),
            }
        }
    }

    /// The operands that `AND` or `OR` connects, from left to right; `None` where the expression is no such operation.
    pub(crate) fn connected_by(&self, operator: BinaryOperator) -> Option<Vec<&Expression>> {
        match &self.kind {
            ExpressionKind::Binary(left, found, right) if *found == operator => Some(vec![left, right]),
            ExpressionKind::Chain { rest, .. } if rest.iter().all(|(found, _)| *found == operator) => {
                Some(self.children())
            }
            _ => None,
        }
    }

    /// How high the tree is.
    pub(super) fn height(&self) -> usize {
        let below = self.children().into_iter().map(Self::height).max();
        1 + below.unwrap_or(0)
    }

    /// How many levels the tree has where a run of operators of one rank, or of subscripts and fields, is
    /// one level: `a + b - c` has as many as `a + b`. A `CASE` is two, for the parentheses that it is written in.
    pub(super) fn levels(&self) -> usize {
        let mut deepest = 0;
        let mut node = self;
        loop {
            let next = match &node.kind {
                ExpressionKind::Binary(left, operator, right) if continues_run(left, *operator) => {
                    deepest = deepest.max(right.levels());
                    left
                }
                ExpressionKind::Subscript { base, index } => {
                    deepest = deepest.max(index.levels());
                    base
                }
                ExpressionKind::Field { base, .. } => base,
                _ => break,
            };
            node = next;
        }
        let below = node.children().into_iter().map(Self::levels).max();
        let own = if matches!(node.kind, ExpressionKind::Case { .. }) {
            2
        } else {
            1
        };
        own + deepest.max(below.unwrap_or(0))
    }
}

/// Whether `left operator …` needs no parentheses around `left`, itself an operation of that rank.
fn continues_run(left: &Expression, operator: BinaryOperator) -> bool {
    match (&left.kind, rank(operator)) {
        (ExpressionKind::Binary(_, inner, _), Some(rank_of_outer)) => rank(*inner) == Some(rank_of_outer),
        (ExpressionKind::Chain { rest, .. }, Some(rank_of_outer)) => {
            let inner = rest.first().and_then(|(inner, _)| rank(*inner));
            inner == Some(rank_of_outer)
        }
        _ => false,
    }
}

/// Operators of one rank read from left to right; predicates have no rank, they do not chain.
fn rank(operator: BinaryOperator) -> Option<u8> {
    match operator {
        BinaryOperator::Or => Some(0),
        BinaryOperator::And => Some(1),
        BinaryOperator::Add | BinaryOperator::Subtract => Some(2),
        BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo => Some(3),
        _ => None,
    }
}
