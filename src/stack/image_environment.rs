//! The environment of the vendors' images, held to what they make of it.
//!
//! An image of Confluent's or Apache's turns the variables that begin with its prefix into properties, by rules of its
//! own, and says nothing about one that no program reads. So a variable that is misspelt, or that became idle with a
//! newer version, stays unseen. Here stand, as data, the rules, what each image insists on, the properties that its
//! program reads (those that our stacks use) and the programs that a health check can call in it; the tests hold every
//! file of `compose/` to them. Knows nothing of osqdemo's own images, which read no variables.

mod images;
mod naming;
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize;

use images::{IMAGES, Image};

/// What counts here of a stack file.
#[derive(Deserialize)]
struct File {
    services: BTreeMap<String, Service>,
}

#[derive(Deserialize)]
struct Service {
    image: String,
    /// Runs in place of the image's own scripts, which then make nothing of any variable.
    entrypoint: Option<Vec<String>>,
    #[serde(default)]
    environment: BTreeMap<String, serde_yaml::Value>,
    healthcheck: Option<HealthCheck>,
    #[serde(default, rename = "x-osqdemo")]
    extension: Extension,
}

/// What an optional service changes of the others.
#[derive(Default, Deserialize)]
struct Extension {
    #[serde(default)]
    changes: BTreeMap<String, Change>,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    environment: BTreeMap<String, serde_yaml::Value>,
}

#[derive(Deserialize)]
struct HealthCheck {
    test: Vec<String>,
}

impl File {
    /// The file as it is with all of its optional services.
    fn with_changes(mut self) -> Self {
        let extensions = self.services.values_mut().map(|service| &mut service.extension);
        let changes: Vec<_> = extensions
            .flat_map(|extension| std::mem::take(&mut extension.changes))
            .collect();
        for (name, change) in changes {
            let changed = self.services.get_mut(&name).expect("what is changed is there");
            for (variable, value) in change.environment {
                match value {
                    serde_yaml::Value::Null => {
                        let removed = changed.environment.remove(&variable);
                        assert!(removed.is_some(), "{name}: there is no `{variable}` to take away");
                    }
                    value => {
                        changed.environment.insert(variable, value);
                    }
                }
            }
        }
        self
    }
}

/// What is wrong with the services of a stack file that run a vendor's image, one line each: without the optional ones, and
/// with them.
fn findings(file: &str) -> Vec<String> {
    let read = || -> File { serde_yaml::from_str(file).expect("a stack file") };
    let mut found = of_file(&read());
    for more in of_file(&read().with_changes()) {
        if !found.contains(&more) {
            found.push(more);
        }
    }
    found
}

fn of_file(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for (name, service) in &file.services {
        if service.image.starts_with("osqdemo/") {
            continue;
        }
        match IMAGES.iter().find(|image| image.is(&service.image)) {
            Some(image) => found.extend(
                of_service(image, service)
                    .into_iter()
                    .map(|finding| format!("{name}: {finding}")),
            ),
            None => found.push(format!("{name}: nothing is known of `{}`", service.image)),
        }
    }
    found
}

fn of_service(image: &Image, service: &Service) -> Vec<String> {
    let mut found = Vec::new();
    let is_set = |name: &&str| match service.environment.get(*name) {
        // A variable without a value counts as missing for the scripts of 7.9, and does nobody any good elsewhere.
        Some(value) => !value.is_null() && value.as_str() != Some(""),
        None => false,
    };
    let has_scripts = service.entrypoint.is_none();
    for alternatives in image.required {
        if has_scripts && !alternatives.iter().any(is_set) {
            found.push(format!("`{}` is required", alternatives.join("` or `")));
        }
    }
    for name in service.environment.keys() {
        if image.deadly.contains(&name.as_str()) {
            found.push(format!("`{name}` ends the container"));
        } else if image.for_scripts.contains(&name.as_str()) {
            // Read by the scripts of the image.
        } else if !has_scripts {
            found.push(format!(
                "`{name}` becomes nothing: the service has an entry point of its own"
            ));
        } else {
            match image.property(name) {
                None => found.push(format!("`{name}` becomes nothing")),
                Some(property) if !image.properties.contains(&property.as_str()) => {
                    found.push(format!(
                        "`{name}` becomes `{property}`, which nothing is known to read"
                    ));
                }
                Some(_) => {}
            }
        }
    }
    let words = service.healthcheck.iter().flat_map(|check| &check.test);
    for word in words.flat_map(|text| text.split([' ', '\n', ';', '|', '(', ')'])) {
        if images::TOOLS.contains(&word) && !image.tools.contains(&word) {
            found.push(format!(
                "the health check calls `{word}`, which the image does not have"
            ));
        }
    }
    found
}
