//! `SELECT`, a clause a line.

use std::fmt::{self, Display, Write};

use super::super::ast::{AliasedSource, Emit, Join, JoinKind, Query, SelectItem, Window, WindowKind, Within};
use super::{List, Name, Sql};

impl Display for Sql<'_, Query> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = self.0;
        out.write_str("SELECT")?;
        // One item stands beside the word, several have a line each.
        let lone = query.select.len() == 1;
        for (index, item) in query.select.iter().enumerate() {
            out.write_str(match index {
                0 if lone => " ",
                0 => "\n  ",
                _ => ",\n  ",
            })?;
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
            SelectItem::AllFields { base, .. } => write!(out, "{}->*", Sql(base)),
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
        let Within { before, after, grace } = *self.0;
        if before == after {
            before.fmt(out)?;
        } else {
            write!(out, "({before}, {after})")?;
        }
        grace.map_or(Ok(()), |grace| write!(out, " GRACE PERIOD {grace}"))
    }
}

/// With the blanks that ksqlDB has there, the last one too.
impl Display for Sql<'_, Window> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            WindowKind::Tumbling { size } => write!(out, "TUMBLING ( SIZE {size}")?,
            WindowKind::Hopping { size, advance } => {
                write!(out, "HOPPING ( SIZE {size} , ADVANCE BY {advance}")?;
            }
            WindowKind::Session { gap } => write!(out, "SESSION ( {gap}")?,
        }
        if let Some(retention) = self.0.retention {
            write!(out, " , RETENTION {retention}")?;
        }
        if let Some(grace) = self.0.grace {
            write!(out, " , GRACE PERIOD {grace}")?;
        }
        out.write_str(" ) ")
    }
}
