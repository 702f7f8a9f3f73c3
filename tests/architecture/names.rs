//! What a file names, read from its syntax tree: no grouping, renaming or spelling of a path hides it.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemMod, Macro, UseTree};

/// Collects every path that a file names, in full: `crate::report::duration`, `std::fs::read`.
pub(super) struct Names {
    /// The module that is being read, from the crate's root.
    module: Vec<String>,
    names: BTreeSet<String>,
}

impl Names {
    /// What the text of a file names, those of its tests aside.
    pub(super) fn of(module: Vec<String>, text: &str) -> BTreeSet<String> {
        let file: File = syn::parse_file(text).expect("Rust");
        let names = BTreeSet::new();
        let mut found = Self { module, names };
        found.visit_file(&file);
        found.names
    }

    /// Keeps a path, with what is relative in it resolved.
    fn keep(&mut self, segments: &[String]) {
        let mut full = match segments.first().map(String::as_str) {
            Some("crate") => vec!["crate".to_owned()],
            Some("self" | "super") => [&["crate".to_owned()][..], &self.module].concat(),
            _ => Vec::new(),
        };
        for segment in segments {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => {
                    full.pop();
                }
                name => full.push(name.to_owned()),
            }
        }
        self.names.insert(full.join("::"));
    }

    fn keep_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &dyn ToString| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.keep_tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.keep(&with(&name.ident)),
            UseTree::Rename(rename) => self.keep(&with(&rename.ident)),
            UseTree::Glob(_) => self.keep(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.keep_tree(before, tree);
                }
            }
        }
    }

    /// The arguments of a macro are only tokens: what looks like a path is one.
    fn keep_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.keep_path(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
                other => {
                    self.keep_path(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.keep_tokens(group.stream());
                    }
                }
            }
        }
        self.keep_path(&mut path);
    }

    fn keep_path(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.keep(path);
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        self.keep_tree(&[], tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.keep(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.keep_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|condition| condition.is_ident("test"))
}
