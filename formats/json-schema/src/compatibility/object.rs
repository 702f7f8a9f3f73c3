//! Objects: their properties, what else may be in them, and what depends on what.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use super::{Comparison, Node, Rest};
use crate::model::Words;

impl<'a> Comparison<'a> {
    pub(super) fn objects(&mut self, old: &'a Words, new: &'a Words) {
        self.at_most(
            "maxProperties",
            "MAX_PROPERTIES",
            old.get("maxProperties"),
            new.get("maxProperties"),
        );
        self.at_least(
            "minProperties",
            "MIN_PROPERTIES",
            old.get("minProperties"),
            new.get("minProperties"),
        );
        self.at(&["propertyNames"], |this| {
            this.schemas(old.get("propertyNames"), new.get("propertyNames"));
        });
        let (old_properties, new_properties) = (object(old, "properties"), object(new, "properties"));
        let (old_required, new_required) = (required(old), required(new));
        for (name, schema) in new_properties.into_iter().flatten() {
            let Some(before) = old_properties.and_then(|properties| properties.get(name)) else {
                self.at(&["properties", name], |this| {
                    this.added_property(name, schema, old, new_required.contains(name.as_str()));
                });
                continue;
            };
            let became_required =
                new_required.contains(name.as_str()) && !old_required.contains(name.as_str());
            if became_required && schema.get("default").is_none() {
                self.at(&["required", name], |this| this.tell("REQUIRED_ATTRIBUTE_ADDED"));
            }
            self.at(&["properties", name], |this| {
                this.schemas(Some(before), Some(schema))
            });
        }
        for name in &new_required - &old_required {
            let is_property = new_properties.is_some_and(|properties| properties.contains_key(name));
            if !is_property {
                self.at(&["required", name], |this| this.tell("REQUIRED_ATTRIBUTE_ADDED"));
            }
        }
        for (name, schema) in old_properties.into_iter().flatten() {
            let is_there = new_properties.is_some_and(|properties| properties.contains_key(name));
            if !is_there {
                self.at(&["properties", name], |this| {
                    this.removed_property(name, schema, new)
                });
            }
        }
        self.at(&["additionalProperties"], |this| {
            this.rests(
                "ADDITIONAL_PROPERTIES",
                old.get("additionalProperties"),
                new.get("additionalProperties"),
            );
        });
        self.patterns(old, new);
        self.dependencies(old, new);
    }

    fn patterns(&mut self, old: &'a Words, new: &'a Words) {
        let (old_patterns, new_patterns) =
            (object(old, "patternProperties"), object(new, "patternProperties"));
        let is_closed =
            old_patterns.is_none() && old.get("additionalProperties") == Some(&Value::Bool(false));
        for (pattern, schema) in new_patterns.into_iter().flatten().filter(|_| !is_closed) {
            let before = old_patterns.and_then(|patterns| patterns.get(pattern));
            self.at(&["patternProperties", pattern], |this| {
                this.schemas(before, Some(schema))
            });
        }
    }

    fn added_property(&mut self, name: &str, schema: &'a Value, old: &'a Words, is_required: bool) {
        let needs_one = is_required && schema.get("default").is_none();
        match rest_of(old, name) {
            Rest::Closed if needs_one => self.tell("REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"),
            Rest::Closed => {}
            _ if needs_one => self.tell("REQUIRED_ATTRIBUTE_ADDED"),
            Rest::Open if self.is_any(schema) => {}
            Rest::Open => self.tell("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"),
            Rest::Of(covering) => {
                if !self.takes_all(Node::Schema(covering), Node::Schema(schema)) {
                    self.tell("PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL");
                }
            }
        }
    }

    fn removed_property(&mut self, name: &str, schema: &'a Value, new: &'a Words) {
        match rest_of(new, name) {
            Rest::Open => {}
            Rest::Of(covering) => {
                if !self.takes_all(Node::Schema(schema), Node::Schema(covering)) {
                    self.tell("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL");
                }
            }
            Rest::Closed if *schema == Value::Bool(false) => {}
            Rest::Closed => self.tell("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"),
        }
    }

    /// What must be there, or hold, where a property is. Older drafts have one word for both.
    fn dependencies(&mut self, old: &'a Words, new: &'a Words) {
        for word in ["dependencies", "dependentRequired", "dependentSchemas"] {
            for (name, new) in object(new, word).into_iter().flatten() {
                let old = object(old, word).and_then(|dependencies| dependencies.get(name));
                self.at(&[word, name], |this| {
                    match (old.map(|old| (old, old.as_array())), new.as_array()) {
                        (None, Some(_)) => this.tell("DEPENDENCY_ARRAY_ADDED"),
                        (None, None) => this.tell("DEPENDENCY_SCHEMA_ADDED"),
                        (Some((_, Some(old))), Some(new)) => {
                            let is_narrower = new.iter().all(|name| old.contains(name));
                            let is_wider = old.iter().all(|name| new.contains(name));
                            match (is_narrower, is_wider) {
                                (true, _) => {}
                                (false, true) => this.tell("DEPENDENCY_ARRAY_EXTENDED"),
                                (false, false) => this.tell("DEPENDENCY_ARRAY_CHANGED"),
                            }
                        }
                        (Some((old, None)), None) => this.schemas(Some(old), Some(new)),
                        (Some(_), _) => this.tell("TYPE_CHANGED"),
                    }
                });
            }
        }
    }
}

/// What an object takes under a name that is not among its properties.
fn rest_of<'a>(words: &'a Words, name: &str) -> Rest<'a> {
    let mut patterns = object(words, "patternProperties").into_iter().flatten();
    // A pattern that is not understood meets no name.
    let meets = |pattern: &str| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(name));
    if let Some((_, schema)) = patterns.find(|(pattern, _)| meets(pattern)) {
        return Rest::Of(schema);
    }
    match words.get("additionalProperties") {
        Some(schema @ Value::Object(_)) => Rest::Of(schema),
        Some(Value::Bool(false)) => Rest::Closed,
        _ => Rest::Open,
    }
}

fn object<'a>(words: &'a Words, word: &str) -> Option<&'a Words> {
    words.get(word)?.as_object()
}

fn required(words: &Words) -> BTreeSet<&str> {
    let names = words.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}
