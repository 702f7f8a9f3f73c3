//! `file_paths`, `exclude_paths` and `file_accesses`: the files whose changes are wanted, by category.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::finding::{Finding, Findings, member};
use crate::value;

/// What is to be watched. Patterns are osquery's: `%` within a name, `%%` everything below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilePaths {
    /// The patterns of each category.
    pub watched: BTreeMap<String, Vec<String>>,
    /// What is not watched all the same.
    pub excluded: BTreeMap<String, Vec<String>>,
    /// The categories whose files are also watched for being read.
    pub accesses: Vec<String>,
}

impl FilePaths {
    /// Reads those members of a configuration or of a pack.
    pub(crate) fn read(&mut self, parent: &Map<String, Value>, place: &str, findings: &mut Findings) {
        for (key, target) in [
            ("file_paths", &mut self.watched),
            ("exclude_paths", &mut self.excluded),
        ] {
            match parent.get(key) {
                None => {}
                Some(Value::Object(categories)) => {
                    for (category, patterns) in categories {
                        if !patterns.is_array() {
                            findings.push(Finding::new(
                                member(&member(place, key), category),
                                format!("The category {category} of {key} is not an array of paths"),
                            ));
                        }
                        target
                            .entry(category.clone())
                            .or_default()
                            .extend(value::texts(patterns));
                    }
                }
                Some(_) => findings.push(Finding::new(
                    member(place, key),
                    format!("`{key}` in the configuration is not an object"),
                )),
            }
        }
        if let Some(accesses) = parent.get("file_accesses") {
            self.accesses.extend(value::texts(accesses));
        }
    }

    /// Takes over those of a pack.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (target, from) in [
            (&mut self.watched, &other.watched),
            (&mut self.excluded, &other.excluded),
        ] {
            for (category, patterns) in from {
                target
                    .entry(category.clone())
                    .or_default()
                    .extend(patterns.iter().cloned());
            }
        }
        self.accesses.extend(other.accesses.iter().cloned());
    }
}
