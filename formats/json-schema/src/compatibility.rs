//! Whether everything that an old schema accepts is accepted by a new one: Confluent's rules.
//!
//! What may be in an object besides its `properties` decides about properties that come and go: an object with an *open*
//! content model accepts any other, a *closed* one none, and a *partially open* one those that `patternProperties` or the
//! schema of `additionalProperties` take. Likewise for the items of an array.

use std::collections::BTreeSet;
use std::fmt;

use regex::Regex;
use serde_json::Value;

use crate::model::{Criterion, Document, Model, Node, Part, Type, Words};

/// How many pairs of schemas are compared. Alternatives are tried one by one, so that few words can ask for many pairs.
const MOST_PAIRS: usize = 100_000;
/// How deep they are nested at most.
const DEEPEST: usize = 128;
const TOO_MUCH: &str = "NOT_COMPARED";

/// What keeps a reader with the new schema from what was written with the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    kind: String,
    /// Where: `#/properties/name`.
    path: String,
}

impl Difference {
    /// Its kind, as a Schema Registry of Confluent's names it.
    pub fn kind(&self) -> &str {
        &self.kind
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, path } = self;
        let what = match kind.as_str() {
            TOO_MUCH => "there is more to compare than is compared here".to_owned(),
            kind => format!(
                "the new schema does not take all that the old one does ({})",
                kind.to_lowercase().replace('_', " ")
            ),
        };
        write!(
            formatter,
            "{{errorType:\"{kind}\", description:\"{what} at path '{path}' in the new schema\"}}"
        )
    }
}

/// Everything that keeps readers with `new` from what was written with `old`.
pub fn differences(old: &Value, new: &Value) -> Vec<Difference> {
    let mut comparison = Comparison {
        old: Document(old),
        new: Document(new),
        path: Vec::new(),
        underway: Vec::new(),
        pairs: 0,
        found: Vec::new(),
    };
    comparison.nodes(Node::Schema(old), Node::Schema(new));
    comparison.found
}

struct Comparison<'a> {
    old: Document<'a>,
    new: Document<'a>,
    /// Where in the new schema.
    path: Vec<String>,
    /// The pairs that references lead to and that are being compared: what leads back to one adds nothing.
    underway: Vec<(Identity, Identity)>,
    pairs: usize,
    found: Vec<Difference>,
}

/// Which node of a document.
type Identity = (*const (), Option<Part>);

/// What stands for no node, where only the depth counts.
const NOBODY: Identity = (std::ptr::null(), None);

/// What is in an object or array besides what is named.
enum Rest<'a> {
    Open,
    Closed,
    /// What this schema takes.
    Of(&'a Value),
}

impl<'a> Comparison<'a> {
    fn tell(&mut self, kind: impl Into<String>) {
        let path = self
            .path
            .iter()
            .map(|step| format!("/{step}"))
            .collect::<String>();
        self.found.push(Difference {
            kind: kind.into(),
            path: format!("#{path}"),
        });
    }

    fn at(&mut self, steps: &[&str], compare: impl FnOnce(&mut Self)) {
        let before = self.path.len();
        self.path.extend(steps.iter().map(|step| (*step).to_owned()));
        compare(self);
        self.path.truncate(before);
    }

    /// Whether the new one takes all that the old one does; differences are not told.
    fn takes_all(&mut self, old: Node<'a>, new: Node<'a>) -> bool {
        let told = std::mem::take(&mut self.found);
        self.nodes(old, new);
        let is_compatible = self.found.is_empty();
        self.found = told;
        is_compatible
    }

    fn schemas(&mut self, old: Option<&'a Value>, new: Option<&'a Value>) {
        match (old, new) {
            (Some(old), Some(new)) => self.nodes(Node::Schema(old), Node::Schema(new)),
            (None, Some(_)) => self.tell("SCHEMA_ADDED"),
            (_, None) => {}
        }
    }

    fn nodes(&mut self, old: Node<'a>, new: Node<'a>) {
        self.pairs += 1;
        if self.pairs > MOST_PAIRS || self.underway.len() > DEEPEST {
            return self.tell(TOO_MUCH);
        }
        let (old_model, old_named) = self.old.model(old);
        let (new_model, new_named) = self.new.model(new);
        let pair = (identity(old, old_named), identity(new, new_named));
        // Only references lead in circles.
        let is_named = old_named.is_some() || new_named.is_some();
        if is_named && self.underway.contains(&pair) {
            return;
        }
        self.underway.push(pair);
        self.models(old_model, new_model);
        self.underway.pop();
    }

    fn models(&mut self, old: Model<'a>, new: Model<'a>) {
        match (old, new) {
            (Model::Combined(old_criterion, old), Model::Combined(new_criterion, new)) => {
                self.combined((old_criterion, &old), (new_criterion, &new));
            }
            (Model::Never, _) | (_, Model::Any) => {}
            (old, Model::Combined(Criterion::Any | Criterion::One, alternatives)) => {
                if !alternatives.into_iter().any(|new| self.takes(&old, new)) {
                    self.tell("TYPE_CHANGED");
                }
            }
            (Model::Combined(Criterion::All, parts), new) => {
                if !parts.into_iter().any(|old| self.is_taken(old, &new)) {
                    self.tell("TYPE_CHANGED");
                }
            }
            (Model::Typed(old_type, old), Model::Typed(new_type, new)) => match (old_type, new_type) {
                (Type::Text, Type::Text) => self.texts(old, new),
                (Type::Number, Type::Integer) => {
                    self.tell("TYPE_NARROWED");
                    self.numbers(old, new);
                }
                (Type::Integer | Type::Number, Type::Integer | Type::Number) => self.numbers(old, new),
                (Type::Object, Type::Object) => self.objects(old, new),
                (Type::Array, Type::Array) => self.arrays(old, new),
                (old, new) if old == new => {}
                _ => self.tell("TYPE_CHANGED"),
            },
            (Model::Values(old), Model::Values(new)) => self.values(&old, &new),
            (Model::Not(old), Model::Not(new)) => {
                // What the new one excludes, the old one must have excluded as well.
                if !self.is_excluded(new, old) {
                    self.tell("NOT_TYPE_EXTENDED");
                }
            }
            (Model::Foreign(old), Model::Foreign(new)) if old == new => {}
            (Model::Conditional(old), Model::Conditional(new)) => {
                let same = |word| old.get(word) == new.get(word);
                if !(same("if") && same("then") && same("else")) {
                    self.tell("TYPE_CHANGED");
                }
            }
            _ => self.tell("TYPE_CHANGED"),
        }
    }

    fn takes(&mut self, old: &Model<'a>, new: Node<'a>) -> bool {
        let (new, _) = self.new.model(new);
        self.is_compatible(old.clone(), new)
    }

    fn is_taken(&mut self, old: Node<'a>, new: &Model<'a>) -> bool {
        let (old, _) = self.old.model(old);
        self.is_compatible(old, new.clone())
    }

    fn is_compatible(&mut self, old: Model<'a>, new: Model<'a>) -> bool {
        self.pairs += 1;
        if self.pairs > MOST_PAIRS || self.underway.len() > DEEPEST {
            return false;
        }
        let told = std::mem::take(&mut self.found);
        self.underway.push((NOBODY, NOBODY));
        self.models(old, new);
        self.underway.pop();
        let is_compatible = self.found.is_empty();
        self.found = told;
        is_compatible
    }

    /// Whether all that `inner` of the new document takes is taken by `outer` of the old one: the other way round.
    fn is_excluded(&mut self, inner: &'a Value, outer: &'a Value) -> bool {
        let mut reversed = Comparison {
            old: self.new,
            new: self.old,
            path: Vec::new(),
            underway: vec![(NOBODY, NOBODY); self.underway.len()],
            pairs: self.pairs,
            found: Vec::new(),
        };
        reversed.nodes(Node::Schema(inner), Node::Schema(outer));
        self.pairs = reversed.pairs;
        reversed.found.is_empty()
    }

    /// Each of the smaller side has to have a partner of its own on the other.
    fn combined(
        &mut self,
        (old_criterion, old): (Criterion, &[Node<'a>]),
        (new_criterion, new): (Criterion, &[Node<'a>]),
    ) {
        if old_criterion != new_criterion {
            let is_wider = old_criterion == Criterion::All || new_criterion == Criterion::Any;
            if !is_wider {
                return self.tell("COMBINED_TYPE_CHANGED");
            }
        } else if new_criterion == Criterion::All && new.len() > old.len() {
            return self.tell("PRODUCT_TYPE_EXTENDED");
        } else if new_criterion != Criterion::All && new.len() < old.len() {
            return self.tell("SUM_TYPE_NARROWED");
        }
        let takers: Vec<Vec<usize>> = old
            .iter()
            .map(|old| {
                let takers = new.iter().enumerate();
                let takers = takers.filter(|(_, new)| self.takes_all(*old, **new));
                takers.map(|(place, _)| place).collect()
            })
            .collect();
        if pairs(&takers, new.len()) < old.len().min(new.len()) {
            self.tell("COMBINED_TYPE_SUBSCHEMAS_CHANGED");
        }
    }

    fn values(&mut self, old: &[&Value], new: &[&Value]) {
        let all_in = |these: &[&Value], those: &[&Value]| these.iter().all(|value| those.contains(value));
        if all_in(old, new) {
        } else if all_in(new, old) {
            self.tell("ENUM_ARRAY_NARROWED");
        } else {
            self.tell("ENUM_ARRAY_CHANGED");
        }
    }

    fn texts(&mut self, old: &Words, new: &Words) {
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

    fn numbers(&mut self, old: &Words, new: &Words) {
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

    fn objects(&mut self, old: &'a Words, new: &'a Words) {
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

    /// What may be there besides: a schema, everything (without the word), or nothing.
    fn rests(&mut self, kind: &str, old: Option<&'a Value>, new: Option<&'a Value>) {
        let is_nothing = |rest: Option<&Value>| rest == Some(&Value::Bool(false));
        let schema = |rest: Option<&'a Value>| rest.filter(|rest| rest.is_object());
        match (is_nothing(old), is_nothing(new)) {
            (true, _) => {}
            (false, true) => self.tell(format!("{kind}_REMOVED")),
            (false, false) => match (schema(old), schema(new)) {
                (None, Some(_)) => self.tell(format!("{kind}_NARROWED")),
                (old, new) => self.schemas(old, new),
            },
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

    fn arrays(&mut self, old: &'a Words, new: &'a Words) {
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

    fn is_any(&self, schema: &'a Value) -> bool {
        matches!(self.new.model(Node::Schema(schema)).0, Model::Any)
    }

    fn at_most(&mut self, word: &str, kind: &str, old: Option<&Value>, new: Option<&Value>) {
        self.at(&[word], |this| match (number(old), number(new)) {
            (None, Some(_)) => this.tell(format!("{kind}_ADDED")),
            (Some(old), Some(new)) if new < old => this.tell(format!("{kind}_DECREASED")),
            _ => {}
        });
    }

    fn at_least(&mut self, word: &str, kind: &str, old: Option<&Value>, new: Option<&Value>) {
        self.at(&[word], |this| match (number(old), number(new)) {
            (None, Some(_)) => this.tell(format!("{kind}_ADDED")),
            (Some(old), Some(new)) if new > old => this.tell(format!("{kind}_INCREASED")),
            _ => {}
        });
    }
}

fn identity(node: Node<'_>, named: Option<&Value>) -> Identity {
    match (named, node) {
        (Some(schema), _) | (None, Node::Schema(schema)) => (std::ptr::from_ref(schema).cast(), None),
        (None, Node::Part(part, words)) => (std::ptr::from_ref(words).cast(), Some(part)),
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

fn object<'a>(words: &'a Words, word: &str) -> Option<&'a Words> {
    words.get(word)?.as_object()
}

fn required(words: &Words) -> BTreeSet<&str> {
    let names = words.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn number(value: Option<&Value>) -> Option<f64> {
    value?.as_f64()
}

/// Whether every multiple of `one` is one of `other`.
fn is_multiple(one: f64, other: f64) -> bool {
    let times = one / other;
    (times - times.round()).abs() < 1e-9
}

/// How many of the old ones can each have a taker of its own: a greatest matching, by augmenting paths.
fn pairs(takers: &[Vec<usize>], new: usize) -> usize {
    let mut taken: Vec<Option<usize>> = vec![None; new];
    let find = |old: usize, taken: &mut Vec<Option<usize>>| {
        let mut seen = vec![false; new];
        augment(old, takers, &mut seen, taken)
    };
    (0..takers.len()).filter(|old| find(*old, &mut taken)).count()
}

fn augment(old: usize, takers: &[Vec<usize>], seen: &mut [bool], taken: &mut [Option<usize>]) -> bool {
    for &taker in &takers[old] {
        if std::mem::replace(&mut seen[taker], true) {
            continue;
        }
        let is_free = match taken[taker] {
            None => true,
            Some(other) => augment(other, takers, seen, taken),
        };
        if is_free {
            taken[taker] = Some(old);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
