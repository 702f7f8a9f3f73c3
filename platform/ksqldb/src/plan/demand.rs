//! What a query looks at, so that nothing else is read into its rows.
//!
//! Expressions are first compiled over all columns of all inputs; here the columns that any of them names get
//! the places of the row that the task works with, and the expressions are rewritten to these places.

use std::sync::Arc;

use super::inputs::Input;
use crate::expression::{Descend, Expr};
use crate::serde::Demand;
use crate::value::Value;

/// What is needed of each place of the scope, and where it goes.
#[derive(Debug, Clone)]
pub(super) struct Demands {
    /// For each place of the scope.
    needed: Vec<Option<Demand>>,
}

impl Demands {
    pub(super) fn none(scope_width: usize) -> Self {
        Self {
            needed: vec![None; scope_width],
        }
    }

    /// Adds what an expression names.
    pub(super) fn add(&mut self, expression: &mut Expr) {
        expression.walk(&mut |expr| match expr {
            Expr::Column(place) => {
                self.needed[*place] = Some(Demand::Whole);
                Descend::Yes
            }
            Expr::Entry(base, key) => match (&**base, &**key) {
                (Expr::Column(place), Expr::Constant(Value::String(key))) => {
                    self.add_entry(*place, key);
                    Descend::No
                }
                _ => Descend::Yes,
            },
            _ => Descend::Yes,
        });
    }

    pub(super) fn add_whole(&mut self, place: usize) {
        self.needed[place] = Some(Demand::Whole);
    }

    fn add_entry(&mut self, place: usize, key: &Arc<str>) {
        match &mut self.needed[place] {
            Some(Demand::Whole) => {}
            Some(Demand::Entries(keys)) => {
                if !keys.contains(key) {
                    keys.push(Arc::clone(key));
                }
            }
            none => *none = Some(Demand::Entries(vec![Arc::clone(key)])),
        }
    }

    /// Gives every needed place its place in the row: input by input, the synthetic key last. Of a map at a place that
    /// `spreads`, each entry gets one.
    pub(super) fn layout(&self, inputs: &[Input], spreads: impl Fn(usize) -> bool) -> Layout {
        let mut demands = self.clone();
        let mut places = Vec::with_capacity(self.needed.len());
        let mut width = 0;
        let mut firsts = Vec::with_capacity(inputs.len());
        for (place, needed) in demands.needed.iter_mut().enumerate() {
            if inputs.iter().any(|input| input.first == place) {
                firsts.push(width);
            }
            places.push(width);
            if let Some(Demand::Entries(keys)) = needed
                && spreads(place)
            {
                *needed = Some(Demand::Each(std::mem::take(keys)));
            }
            width += needed.as_ref().map_or(0, Demand::places);
        }
        Layout {
            demands,
            places,
            firsts,
        }
    }
}

/// Where everything is in the row.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    demands: Demands,
    places: Vec<usize>,
    /// Where each input's part begins.
    firsts: Vec<usize>,
}

impl Layout {
    /// What is needed of a place of the scope, and its place in its input's own part of the row.
    pub(super) fn local(&self, input: usize, scope_place: usize) -> Option<(usize, Demand)> {
        let demand = self.demands.needed[scope_place].clone()?;
        Some((self.places[scope_place] - self.firsts[input], demand))
    }

    /// Where an input's part of the row begins.
    pub(super) fn first(&self, input: usize) -> usize {
        self.firsts[input]
    }

    /// The place in the row of a place of the scope, if it is needed.
    pub(super) fn place(&self, scope_place: usize) -> Option<usize> {
        self.demands.needed[scope_place]
            .as_ref()
            .map(|_| self.places[scope_place])
    }

    /// Rewrites an expression over the scope to one over the row, less `offset` places.
    pub(super) fn rewrite(&self, expression: &mut Expr, offset: usize) {
        expression.walk(&mut |expr| {
            if let Some(place) = self.entry(expr) {
                *expr = Expr::Column(place - offset);
                return Descend::No;
            }
            if let Expr::Column(place) = expr {
                *place = self.places[*place] - offset;
            }
            Descend::Yes
        });
    }

    /// The place of a map's entry that has one of its own.
    fn entry(&self, expr: &Expr) -> Option<usize> {
        let Expr::Entry(base, key) = expr else {
            return None;
        };
        let (Expr::Column(place), Expr::Constant(Value::String(key))) = (&**base, &**key) else {
            return None;
        };
        let Some(Demand::Each(keys)) = &self.demands.needed[*place] else {
            return None;
        };
        let number = keys.iter().position(|other| other == key)?;
        Some(self.places[*place] + number)
    }
}
