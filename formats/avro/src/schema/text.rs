//! From [`Schema`] to text, as Java's `Schema.toString()` prints it: what a registry stores, hashes and compares.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Map, Number, Value as Json};

use super::{Field, Kind, Name, NodeId, Schema};

impl Schema {
    /// The canonical text: no blanks, attributes in Java's order, types of references by their names.
    pub fn canonical_text(&self) -> String {
        let known = self.references.iter().copied();
        let known = known.filter_map(|id| Some((self.kind(id).name()?.full(), id)));
        self.print(known.collect())
    }

    /// The text with the types of references written out where they are first used.
    pub fn resolved_text(&self) -> String {
        self.print(HashMap::new())
    }

    /// The schema with attributes and aliases sorted and empty documentations of types dropped: what `normalize` asks
    /// a registry for.
    pub fn normalized(mut self) -> Self {
        for node in &mut self.nodes {
            node.attributes.sort_keys();
            let (doc, aliases) = match &mut node.kind {
                Kind::Record(record) => {
                    for field in &mut record.fields {
                        field.attributes.sort_keys();
                        field.aliases.sort_unstable();
                    }
                    (&mut record.doc, &mut record.aliases)
                }
                Kind::Enum(enumeration) => (&mut enumeration.doc, &mut enumeration.aliases),
                Kind::Fixed(fixed) => (&mut fixed.doc, &mut fixed.aliases),
                _ => continue,
            };
            if doc.as_deref() == Some("") {
                *doc = None;
            }
            aliases.sort_unstable_by(|one, other| one.full().cmp(other.full()));
        }
        self
    }

    fn print<'a>(&'a self, known: HashMap<&'a str, NodeId>) -> String {
        let mut printer = Printer {
            schema: self,
            known,
            namespace: None,
            text: String::new(),
        };
        printer.print(self.root);
        printer.text
    }
}

struct Printer<'a> {
    schema: &'a Schema,
    /// The types whose definitions stand in the text already, or elsewhere.
    known: HashMap<&'a str, NodeId>,
    namespace: Option<&'a str>,
    text: String,
}

impl<'a> Printer<'a> {
    fn print(&mut self, id: NodeId) {
        let node = self.schema.node(id);
        if let Some(name) = node.kind.name() {
            if self.known.get(name.full()) == Some(&id) {
                let shown = self.qualified(name);
                write_text(shown, &mut self.text);
                return;
            }
            self.known.insert(name.full(), id);
            self.named(name, &node.kind, &node.attributes);
            return;
        }
        match &node.kind {
            Kind::Union(branches) => {
                self.text.push('[');
                for (place, branch) in branches.iter().enumerate() {
                    if place > 0 {
                        self.text.push(',');
                    }
                    self.print(*branch);
                }
                self.text.push(']');
            }
            Kind::Array(items) => {
                self.text.push_str("{\"type\":\"array\",\"items\":");
                self.print(*items);
                self.attributes(&node.attributes);
                self.text.push('}');
            }
            Kind::Map(values) => {
                self.text.push_str("{\"type\":\"map\",\"values\":");
                self.print(*values);
                self.attributes(&node.attributes);
                self.text.push('}');
            }
            primitive if node.attributes.is_empty() => write_text(primitive.word(), &mut self.text),
            primitive => {
                self.text.push_str("{\"type\":");
                write_text(primitive.word(), &mut self.text);
                self.attributes(&node.attributes);
                self.text.push('}');
            }
        }
    }

    fn named(&mut self, name: &'a Name, kind: &'a Kind, attributes: &'a Map<String, Json>) {
        let outer = self.namespace;
        let word = match kind {
            Kind::Record(record) if record.is_error => "error",
            other => other.word(),
        };
        self.text.push_str("{\"type\":");
        write_text(word, &mut self.text);
        self.attribute("name", name.last());
        match name.namespace() {
            Some(space) if outer != Some(space) => self.attribute("namespace", space),
            None if outer.is_some() => self.attribute("namespace", ""),
            _ => {}
        }
        let doc = |printer: &mut Self, doc: &Option<String>| {
            if let Some(doc) = doc {
                printer.attribute("doc", doc);
            }
        };
        match kind {
            Kind::Record(record) => {
                self.namespace = name.namespace();
                doc(self, &record.doc);
                self.text.push_str(",\"fields\":[");
                for (place, field) in record.fields.iter().enumerate() {
                    if place > 0 {
                        self.text.push(',');
                    }
                    self.field(field);
                }
                self.text.push(']');
                self.namespace = outer;
            }
            Kind::Enum(enumeration) => {
                doc(self, &enumeration.doc);
                self.text.push_str(",\"symbols\":[");
                self.texts(enumeration.symbols.iter().map(String::as_str));
                self.text.push(']');
                if let Some(default) = &enumeration.default {
                    self.attribute("default", default);
                }
            }
            Kind::Fixed(fixed) => {
                doc(self, &fixed.doc);
                // Writing to a text cannot fail.
                let _ = write!(self.text, ",\"size\":{}", fixed.size);
            }
            _ => {}
        }
        self.attributes(attributes);
        if !kind.aliases().is_empty() {
            self.text.push_str(",\"aliases\":[");
            let space = name.namespace();
            let aliases = kind.aliases().iter();
            self.texts(aliases.map(|alias| in_namespace(alias, space)));
            self.text.push(']');
        }
        self.text.push('}');
    }

    fn field(&mut self, field: &'a Field) {
        self.text.push_str("{\"name\":");
        write_text(&field.name, &mut self.text);
        self.text.push_str(",\"type\":");
        self.print(field.schema);
        if let Some(doc) = &field.doc {
            self.attribute("doc", doc);
        }
        if let Some(default) = &field.default {
            self.text.push_str(",\"default\":");
            write_json(default, &mut self.text);
        }
        if field.order != super::Order::Ascending {
            self.attribute("order", field.order.word());
        }
        if !field.aliases.is_empty() {
            self.text.push_str(",\"aliases\":[");
            self.texts(field.aliases.iter().map(String::as_str));
            self.text.push(']');
        }
        self.attributes(&field.attributes);
        self.text.push('}');
    }

    fn texts<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        for (place, text) in texts.enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            write_text(text, &mut self.text);
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.text.push(',');
        write_text(name, &mut self.text);
        self.text.push(':');
        write_text(value, &mut self.text);
    }

    fn attributes(&mut self, attributes: &Map<String, Json>) {
        for (name, value) in attributes {
            self.text.push(',');
            write_text(name, &mut self.text);
            self.text.push(':');
            write_json(value, &mut self.text);
        }
    }

    fn qualified(&self, name: &'a Name) -> &'a str {
        in_namespace(name, self.namespace)
    }
}

/// A name as it is written within a namespace: short where it is of that namespace, and no primitive's word.
fn in_namespace<'a>(name: &'a Name, namespace: Option<&str>) -> &'a str {
    const WORDS: [&str; 14] = [
        "null", "boolean", "int", "long", "float", "double", "bytes", "string", "array", "map", "union",
        "record", "enum", "fixed",
    ];
    if name.namespace() == namespace && !WORDS.contains(&name.last()) {
        name.last()
    } else {
        name.full()
    }
}

/// JSON without blanks, as Jackson writes it: what a registry keeps of other languages as well.
pub fn json_text(json: &Json) -> String {
    let mut text = String::new();
    write_json(json, &mut text);
    text
}

pub(super) fn write_json(json: &Json, out: &mut String) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => write_number(number, out),
        Json::String(text) => write_text(text, out),
        Json::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Json::Object(object) => {
            out.push('{');
            for (place, (name, value)) in object.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_text(name, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => {
                // Writing to a text cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Whole numbers as they are, others as Java's `Double.toString`.
fn write_number(number: &Number, out: &mut String) {
    let double = number.as_f64().filter(|_| number.is_f64());
    // Writing to a text cannot fail.
    let _ = match double {
        None => write!(out, "{number}"),
        Some(double) if double == 0.0 || (1e-3..1e7).contains(&double.abs()) => write!(out, "{double:?}"),
        Some(double) => {
            let scientific = format!("{double:E}");
            match scientific.split_once('E') {
                Some((digits, exponent)) if !digits.contains('.') => write!(out, "{digits}.0E{exponent}"),
                _ => write!(out, "{scientific}"),
            }
        }
    };
}
