//! `WHERE` and `HAVING`.

use std::sync::Arc;

use super::change::Change;
use super::operator::{Context, Downstream, Operator};
use crate::plan::{FilterStep, Side};
use crate::value::Value;

/// Passes on what fulfils a condition. A table's row that no longer does is deleted downstream, where it was before.
#[derive(Debug)]
pub(super) struct Filter {
    step: Arc<FilterStep>,
}

impl Filter {
    pub(super) fn new(step: &Arc<FilterStep>) -> Self {
        Self {
            step: Arc::clone(step),
        }
    }

    fn holds(&self, row: &[Value], context: &mut Context<'_>) -> bool {
        let text = &self.step.text;
        self.step
            .condition
            .holds(row, &mut |error| context.log(text, error))
    }
}

impl Operator for Filter {
    fn take(&mut self, _: Side, mut change: Change, to: &mut Downstream<'_, '_>) {
        let passes = change.present.value && self.holds(&change.row, to.context);
        if !self.step.of_table {
            if passes {
                to.pass(change);
            }
            return;
        }
        // What was wrong with the old row was told when it was new.
        change.old = change
            .old
            .filter(|old| self.step.condition.holds(old, &mut |_| {}));
        if passes {
            to.pass(change);
        } else if change.old.is_some() {
            to.pass(change.deleted());
        }
    }
}
