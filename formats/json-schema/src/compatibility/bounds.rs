//! Texts and numbers, and whatever else has a least or a most.

use serde_json::Value;

use super::Comparison;
use crate::model::Words;

impl Comparison<'_> {
    pub(super) fn texts(&mut self, old: &Words, new: &Words) {
        self.at_most(
            "maxLength",
            "MAX_LENGTH",
            old.get("maxLength"),
            new.get("maxLength"),
        );
        self.at_least(
            "minLength",
            "MIN_LENGTH",
            old.get("minLength"),
            new.get("minLength"),
        );
        match (old.get("pattern"), new.get("pattern")) {
            (None, Some(_)) => self.at(&["pattern"], |this| this.tell("PATTERN_ADDED")),
            (Some(old), Some(new)) if old != new => {
                self.at(&["pattern"], |this| this.tell("PATTERN_CHANGED"))
            }
            _ => {}
        }
    }

    pub(super) fn numbers(&mut self, old: &Words, new: &Words) {
        let (old_upper, new_upper) = (bounds(old, "maximum"), bounds(new, "maximum"));
        let (old_lower, new_lower) = (bounds(old, "minimum"), bounds(new, "minimum"));
        self.at_most("maximum", "MAXIMUM", old_upper.inclusive, new_upper.inclusive);
        self.at_least("minimum", "MINIMUM", old_lower.inclusive, new_lower.inclusive);
        let (old, new) = (old.get("multipleOf"), new.get("multipleOf"));
        self.at_most(
            "exclusiveMaximum",
            "EXCLUSIVE_MAXIMUM",
            old_upper.exclusive,
            new_upper.exclusive,
        );
        self.at_least(
            "exclusiveMinimum",
            "EXCLUSIVE_MINIMUM",
            old_lower.exclusive,
            new_lower.exclusive,
        );
        self.at(&["multipleOf"], |this| match (number(old), number(new)) {
            (None, Some(_)) => this.tell("MULTIPLE_OF_ADDED"),
            (Some(old), Some(new)) if is_multiple(old, new) => {}
            (Some(old), Some(new)) if is_multiple(new, old) => this.tell("MULTIPLE_OF_EXPANDED"),
            (Some(_), Some(_)) => this.tell("MULTIPLE_OF_CHANGED"),
            (_, None) => {}
        });
    }

    pub(super) fn at_most(&mut self, word: &str, kind: &str, old: Option<&Value>, new: Option<&Value>) {
        self.at(&[word], |this| match (number(old), number(new)) {
            (None, Some(_)) => this.tell(format!("{kind}_ADDED")),
            (Some(old), Some(new)) if new < old => this.tell(format!("{kind}_DECREASED")),
            _ => {}
        });
    }

    pub(super) fn at_least(&mut self, word: &str, kind: &str, old: Option<&Value>, new: Option<&Value>) {
        self.at(&[word], |this| match (number(old), number(new)) {
            (None, Some(_)) => this.tell(format!("{kind}_ADDED")),
            (Some(old), Some(new)) if new > old => this.tell(format!("{kind}_INCREASED")),
            _ => {}
        });
    }
}

/// The two bounds of a side. Draft 4 says by a truth that the one it has is exclusive.
struct Bounds<'a> {
    inclusive: Option<&'a Value>,
    exclusive: Option<&'a Value>,
}

fn bounds<'a>(words: &'a Words, word: &str) -> Bounds<'a> {
    let exclusive = match word {
        "maximum" => "exclusiveMaximum",
        _ => "exclusiveMinimum",
    };
    match words.get(exclusive) {
        Some(Value::Bool(true)) => Bounds {
            inclusive: None,
            exclusive: words.get(word),
        },
        exclusive => Bounds {
            inclusive: words.get(word),
            exclusive: exclusive.filter(|bound| bound.is_number()),
        },
    }
}

fn number(value: Option<&Value>) -> Option<f64> {
    value?.as_f64()
}

/// Whether every multiple of `one` is one of `other`.
fn is_multiple(one: f64, other: f64) -> bool {
    let times = one / other;
    (times - times.round()).abs() < 1e-9
}
