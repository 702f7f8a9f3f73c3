//! Arrays: the items that have places of their own, and the others.

use serde_json::Value;

use super::{Comparison, Node, Rest};
use crate::model::Words;

impl<'a> Comparison<'a> {
    pub(super) fn arrays(&mut self, old: &'a Words, new: &'a Words) {
        self.at_most("maxItems", "MAX_ITEMS", old.get("maxItems"), new.get("maxItems"));
        self.at_least("minItems", "MIN_ITEMS", old.get("minItems"), new.get("minItems"));
        let is_unique = |words: &Words| words.get("uniqueItems") == Some(&Value::Bool(true));
        if is_unique(new) && !is_unique(old) {
            self.at(&["uniqueItems"], |this| this.tell("UNIQUE_ITEMS_ADDED"));
        }
        self.at(&["contains"], |this| {
            this.schemas(old.get("contains"), new.get("contains"))
        });
        let (old, new) = (Items::of(old), Items::of(new));
        for place in 0..old.places.len().max(new.places.len()) {
            self.at(&["items", &place.to_string()], |this| {
                match (old.places.get(place), new.places.get(place)) {
                    (Some(old), Some(new)) => this.schemas(Some(old), Some(new)),
                    (None, Some(added)) => this.added_item(added, &old),
                    (Some(removed), None) => this.removed_item(removed, &new),
                    (None, None) => {}
                }
            });
        }
        if old.places.is_empty() && new.places.is_empty() {
            self.at(&["items"], |this| match (old.rest, new.rest) {
                // Without places, what is there besides is all there is.
                (Some(Value::Bool(false)), _) => {}
                (old, new) => this.schemas(old, new),
            });
        } else {
            self.at(&["additionalItems"], |this| {
                this.rests("ADDITIONAL_ITEMS", old.rest, new.rest)
            });
        }
    }

    fn added_item(&mut self, schema: &'a Value, old: &Items<'a>) {
        match old.content() {
            Rest::Open if self.is_any(schema) => {}
            Rest::Open => self.tell("ITEM_ADDED_TO_OPEN_CONTENT_MODEL"),
            Rest::Of(covering) => {
                if !self.takes_all(Node::Schema(covering), Node::Schema(schema)) {
                    self.tell("ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL");
                }
            }
            Rest::Closed => {}
        }
    }

    fn removed_item(&mut self, schema: &'a Value, new: &Items<'a>) {
        match new.content() {
            Rest::Open => {}
            Rest::Of(covering) => {
                if !self.takes_all(Node::Schema(schema), Node::Schema(covering)) {
                    self.tell("ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL");
                }
            }
            Rest::Closed if *schema == Value::Bool(false) => {}
            Rest::Closed => self.tell("ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL"),
        }
    }
}

/// The items of an array: those with a place of their own, and the others.
struct Items<'a> {
    places: &'a [Value],
    rest: Option<&'a Value>,
}

impl<'a> Items<'a> {
    /// Up to 2019-09 `items` may be a list, and `additionalItems` is what comes behind; since 2020-12 these are `prefixItems`
    /// and `items`.
    fn of(words: &'a Words) -> Self {
        let (places, rest) = match (words.get("prefixItems"), words.get("items")) {
            (Some(places), rest) => (Some(places), rest),
            (None, Some(places @ Value::Array(_))) => (Some(places), words.get("additionalItems")),
            (None, rest) => (None, rest),
        };
        let places = places
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        Self { places, rest }
    }

    fn content(&self) -> Rest<'a> {
        match self.rest {
            None | Some(Value::Bool(true)) => Rest::Open,
            Some(Value::Bool(false)) => Rest::Closed,
            Some(schema) => Rest::Of(schema),
        }
    }
}
