//! Whether everything that an old schema accepts is accepted by a new one: Confluent's rules.
//!
//! What may be in an object besides its `properties` decides about properties that come and go: an object with an *open*
//! content model accepts any other, a *closed* one none, and a *partially open* one those that `patternProperties` or the
//! schema of `additionalProperties` take. Likewise for the items of an array.

mod array;
mod bounds;
mod matching;
mod object;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use matching::pairs;

use crate::model::{Criterion, Document, Model, Node, Part, Type};

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

    fn is_any(&self, schema: &'a Value) -> bool {
        matches!(self.new.model(Node::Schema(schema)).0, Model::Any)
    }
}

fn identity(node: Node<'_>, named: Option<&Value>) -> Identity {
    match (named, node) {
        (Some(schema), _) | (None, Node::Schema(schema)) => (std::ptr::from_ref(schema).cast(), None),
        (None, Node::Part(part, words)) => (std::ptr::from_ref(words).cast(), Some(part)),
    }
}
