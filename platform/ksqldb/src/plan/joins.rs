//! What can be joined with what: streams within a time, a stream with a table, tables by their keys or by a reference.

use super::PlanError;
use super::inputs::{Input, Inputs};
use super::join_criteria::JoinMethod;
use crate::expression::{Expr, text};
use crate::metastore::SourceWindow;
use crate::syntax::ast::{Expression, Join, JoinKind, SourceKind};

impl Inputs {
    /// What the join of the input that was added last with those before it is, and whether it can be.
    pub(super) fn method(
        &self,
        join: &Join,
        (left, left_expr): (&Expression, &Expr),
        (right, right_expr): (&Expression, &Expr),
    ) -> Result<JoinMethod, PlanError> {
        let refuse = |message: String| Err(PlanError::new(message));
        let Some((joined, before)) = self.inputs.split_last() else {
            return refuse("Nothing is joined.".to_owned());
        };
        self.check_windows(before, joined)?;
        let left_is_table = before.iter().all(|input| input.source.kind == SourceKind::Table);
        let right_is_table = joined.source.kind == SourceKind::Table;
        let is_right_key = joined.source.schema.key().count() == 1
            && matches!(right_expr, Expr::Column(place) if *place == joined.first);
        let left_name = |place: usize| {
            let owner = self.inputs.iter().rfind(|input| input.first <= place);
            owner.map_or("", |input| input.alias.as_str())
        };
        let got = |kind: &str| {
            let left = match left_expr {
                Expr::Column(place) => left_name(*place),
                _ => before.last().map_or("", |input| input.alias.as_str()),
            };
            format!("Got {left} {kind} {}.", joined.alias)
        };
        let compared = || format!("Got {} = {}.", text(left), text(right));
        match (left_is_table, right_is_table) {
            (false, false) if joined.source.window.is_some() && !(is_right_key && self.is_left_key(left_expr)) => {
                refuse("Implicit repartitioning of windowed sources is not supported. See https://github.com/confluentinc/ksql/issues/4385.".to_owned())
            }
            (false, false) => match join.within {
                Some(within) => Ok(JoinMethod::Streams(within)),
                None => refuse("Stream-Stream joins must have a WITHIN clause specified.".to_owned()),
            },
            (true, false) => refuse(format!(
                "Invalid join order: table-stream joins are not supported; only stream-table joins. {}",
                got(kind_text(join.kind))
            )),
            (false, true) => {
                if join.kind == JoinKind::Full {
                    return refuse(format!(
                        "Invalid join type: full-outer join not supported for stream-table join. {}",
                        got(kind_text(join.kind))
                    ));
                }
                if join.within.is_some() {
                    return refuse("A window definition was provided for a Stream-Table join. These joins are not windowed. Please drop the window definition (ie. the WITHIN clause) and try to execute your join again.".to_owned());
                }
                if !is_right_key {
                    return refuse(format!(
                        "Invalid join condition: stream-table joins require to join on the table's primary key. {}",
                        compared()
                    ));
                }
                if join.kind == JoinKind::Right {
                    return refuse("Invalid join type encountered: RIGHT [OUTER] JOIN".to_owned());
                }
                Ok(JoinMethod::Lookup)
            }
            (true, true) => {
                if join.within.is_some() {
                    return refuse("A window definition was provided for a Table-Table join. These joins are not windowed. Please drop the window definition (i.e. the WITHIN clause) and try to execute your Table-Table join again.".to_owned());
                }
                if !is_right_key {
                    return refuse(format!(
                        "Invalid join condition: table-table joins require to join on the primary key of the right input table. {}",
                        compared()
                    ));
                }
                if self.is_left_key(left_expr) {
                    if self.joins.last().is_some_and(|last| last.kind == JoinKind::Full) {
                        return refuse(format!(
                            "Cannot repartition a TABLE source. If this is a join, make sure that the criteria uses the \
                             TABLE's key column {} instead of [{}]",
                            self.unused_key_name(),
                            text(left).replacen('.', "_", 1)
                        ));
                    }
                    return Ok(JoinMethod::Tables);
                }
                if !self.joins.is_empty() {
                    return refuse(format!(
                        "Invalid join condition: foreign-key table-table joins are not supported as part of n-way joins. {}",
                        compared()
                    ));
                }
                match join.kind {
                    JoinKind::Right => {
                        refuse("RIGHT OUTER JOIN on a foreign key is not supported".to_owned())
                    }
                    JoinKind::Full => refuse(format!(
                        "Invalid join type: full-outer join not supported for foreign-key table-table join. {}",
                        got(kind_text(join.kind))
                    )),
                    JoinKind::Inner | JoinKind::Left if joined.source.window.is_some() => refuse(
                        "Foreign-key table-table joins are not supported on windowed tables.".to_owned(),
                    ),
                    JoinKind::Inner | JoinKind::Left => Ok(JoinMethod::ForeignKey),
                }
            }
        }
    }

    /// Whether an expression is the key of what is joined before the last input.
    fn is_left_key(&self, expr: &Expr) -> bool {
        match self.joins.last() {
            None => {
                let left = &self.inputs[0];
                left.source.schema.key().count() == 1 && matches!(expr, Expr::Column(0))
            }
            Some(last) if last.method == JoinMethod::ForeignKey => {
                let left = &self.inputs[0];
                left.source.schema.key().count() == 1 && matches!(expr, Expr::Column(0))
            }
            Some(_) => {
                let fingerprint = expr.fingerprint();
                let mut joins = self.joins.iter().rev();
                joins.any(|join| {
                    join.columns
                        .iter()
                        .any(|(column, _)| column.fingerprint() == fingerprint)
                })
            }
        }
    }

    /// What the joins so far make equal to an expression, if it is among what they compare, plain columns first. After
    /// a `FULL OUTER JOIN` nothing is: either side may be missing.
    pub(super) fn equal_to(&self, expr: &Expr) -> Vec<Expr> {
        let fingerprint = expr.fingerprint();
        let equal = self.equivalent();
        if !equal.iter().any(|other| other.fingerprint() == fingerprint) {
            return Vec::new();
        }
        let (columns, others): (Vec<Expr>, Vec<Expr>) = equal
            .into_iter()
            .filter(|other| other.fingerprint() != fingerprint)
            .partition(|other| matches!(other, Expr::Column(_)));
        [columns, others].concat()
    }

    /// The expressions that have the key of what is joined so far.
    fn equivalent(&self) -> Vec<Expr> {
        self.joins.iter().fold(Vec::new(), |mut equal, join| {
            if join.kind == JoinKind::Full {
                return Vec::new();
            }
            let compared = [join.left.clone(), join.right.clone()];
            let known: Vec<String> = equal.iter().map(Expr::fingerprint).collect();
            if !compared.iter().any(|side| known.contains(&side.fingerprint())) {
                return compared.to_vec();
            }
            equal.extend(
                compared
                    .into_iter()
                    .filter(|side| !known.contains(&side.fingerprint())),
            );
            equal
        })
    }

    /// Windowed sources are joined window by window: their windows have to be declared alike.
    fn check_windows(&self, before: &[Input], joined: &Input) -> Result<(), PlanError> {
        let windowed = before.iter().find(|input| input.source.window.is_some());
        let left = windowed.or(before.first());
        let Some(left) = left else {
            return Ok(());
        };
        let name = |input: &Input| match input.source.window {
            Some(window) => window.name(),
            None => "not",
        };
        match (left.source.window, joined.source.window) {
            (None, None) => Ok(()),
            (Some(_), None) | (None, Some(_)) => {
                let told = |input: &Input| match input.source.window {
                    Some(window) => format!("`{}` is {} windowed", input.alias, window.name()),
                    None => format!("`{}` is not windowed", input.alias),
                };
                Err(PlanError::new(format!(
                    "Can not join windowed source to non-windowed source.\n{}\n{}",
                    told(left),
                    told(joined)
                )))
            }
            (Some(one), Some(other))
                if (one == SourceWindow::Session) != (other == SourceWindow::Session) =>
            {
                Err(PlanError::new(format!(
                    "Incompatible windowed sources.\nLeft source: {}\nRight source: {}\nSession windowed sources can only be joined to other session windowed sources, and may still not result in expected behaviour as session bounds must be an exact match for the join to work\nHopping and tumbling windowed sources can only be joined to other hopping and tumbling windowed sources",
                    name(left),
                    name(joined)
                )))
            }
            (Some(one), Some(other)) if one != other => Err(PlanError::new(
                "Implicit repartitioning of windowed sources is not supported. See https://github.com/confluentinc/ksql/issues/4385.",
            )),
            (Some(_), Some(_)) => Ok(()),
        }
    }
}

/// A join as errors name it.
fn kind_text(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "[INNER] JOIN",
        JoinKind::Left => "LEFT [OUTER] JOIN",
        JoinKind::Right => "RIGHT [OUTER] JOIN",
        JoinKind::Full => "[FULL] OUTER JOIN",
    }
}
