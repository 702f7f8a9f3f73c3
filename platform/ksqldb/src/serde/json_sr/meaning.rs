//! What a JSON Schema means once its references are followed, and what it is put together from is put together.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};

/// How many `$ref`s and choices may lead from one to the next.
const LONGEST_WAY: usize = 64;
/// The words for what a schema is put together from, or one of several.
const CHOICES: [&str; 3] = ["allOf", "oneOf", "anyOf"];

/// What a schema means.
pub(super) struct Meaning<'a> {
    /// Where it stands in the text.
    pub(super) schema: &'a Json,
    /// Of an object: its own members, then those that it has from elsewhere, each as it is said last.
    pub(super) members: Vec<(&'a String, &'a Json)>,
    /// How many schemas were looked at for that.
    pub(super) parts: usize,
}

impl<'a> Meaning<'a> {
    /// The meaning of a schema that may be null, or stands somewhere else in the same text; `None` where it is a choice
    /// between several, or cannot be found.
    pub(super) fn of(root: &'a Json, schema: &'a Json) -> Option<Self> {
        let mut schema = schema;
        for _ in 0..LONGEST_WAY {
            if let Some(place) = schema.get("$ref") {
                schema = referred(root, place)?;
                continue;
            }
            if !is_put_together(schema) {
                let Some(choices) = CHOICES.iter().find_map(|word| schema.get(word)?.as_array()) else {
                    return Some(Self::simple(schema));
                };
                let mut present = choices.iter().filter(|choice| choice["type"] != "null");
                schema = present.next()?;
                if present.next().is_some() {
                    return None;
                }
                continue;
            }
            let mut members = Members::default();
            members.add(root, schema, LONGEST_WAY);
            if !members.all.is_empty() || says_type(schema) {
                return Some(Self {
                    schema,
                    parts: members.seen.len(),
                    members: members.all,
                });
            }
            // No object: what says the type; the others only narrow it.
            let parts = schema["allOf"].as_array()?;
            let typed = |part: &&Json| {
                says_type(part)
                    || CHOICES.iter().any(|word| part.get(word).is_some())
                    || part.get("$ref").is_some()
            };
            schema = parts.iter().find(typed)?;
        }
        None
    }

    fn simple(schema: &'a Json) -> Self {
        let own = schema["properties"].as_object();
        Self {
            schema,
            members: own.into_iter().flatten().collect(),
            parts: 1,
        }
    }

    /// The schema of a member.
    pub(super) fn member(&self, name: &str) -> Option<&'a Json> {
        let mut members = self.members.iter();
        members
            .find(|(other, _)| *other == name)
            .map(|(_, schema)| *schema)
    }
}

/// Whether a schema says something itself beside its choices, or all of several have to hold.
fn is_put_together(schema: &Json) -> bool {
    let has_choices = CHOICES.iter().any(|word| schema.get(word).is_some());
    let several = schema["allOf"].as_array().is_some_and(|parts| parts.len() > 1);
    has_choices && (several || says_type(schema) || schema.get("properties").is_some())
}

fn says_type(schema: &Json) -> bool {
    schema.get("type").is_some() || schema.get("enum").is_some()
}

fn referred<'a>(root: &'a Json, place: &Json) -> Option<&'a Json> {
    root.pointer(place.as_str()?.strip_prefix('#')?)
}

/// The members of all that an object is put together from.
#[derive(Default)]
struct Members<'a> {
    all: Vec<(&'a String, &'a Json)>,
    places: HashMap<&'a str, usize>,
    /// Each schema counts once, however many lead to it.
    seen: HashSet<*const Json>,
}

impl<'a> Members<'a> {
    fn add(&mut self, root: &'a Json, schema: &'a Json, way: usize) {
        if way == 0 || !self.seen.insert(std::ptr::from_ref(schema)) {
            return;
        }
        if let Some(place) = schema.get("$ref") {
            if let Some(referred) = referred(root, place) {
                self.add(root, referred, way - 1);
            }
            return;
        }
        for (name, member) in schema["properties"].as_object().into_iter().flat_map(Map::iter) {
            match self.places.get(name.as_str()) {
                Some(place) => self.all[*place].1 = member,
                None => {
                    self.places.insert(name, self.all.len());
                    self.all.push((name, member));
                }
            }
        }
        let parts = CHOICES.iter().filter_map(|word| schema.get(word)?.as_array());
        for part in parts.flatten() {
            self.add(root, part, way - 1);
        }
    }
}
