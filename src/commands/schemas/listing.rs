//! The subjects of a registry, one row each.

use osqdemo_registry_client::{Client, ClientError, SchemaType};
use serde::Serialize;

use crate::report::printable::printable;

/// How many subjects are looked at: each costs three requests.
const MOST_SUBJECTS: usize = 10_000;
/// What stands above the rows.
pub(super) const HEADERS: [&str; 5] = ["SUBJECT", "VERSIONS", "ID", "TYPE", "COMPATIBILITY"];

/// A subject.
#[derive(Debug, Serialize)]
pub(super) struct Subject {
    subject: String,
    versions: Vec<u32>,
    /// Of the latest version.
    id: u32,
    #[serde(rename = "type")]
    schema_type: &'static str,
    compatibility: String,
}

impl Subject {
    /// It as a row below [`HEADERS`].
    pub(super) fn row(&self) -> Vec<String> {
        vec![
            printable(&self.subject),
            ranges(&self.versions),
            self.id.to_string(),
            self.schema_type.to_owned(),
            self.compatibility.clone(),
        ]
    }
}

/// The subjects, by their names. One that goes while it is looked at is left out.
pub(super) fn subjects(client: &Client) -> Result<Vec<Subject>, ClientError> {
    let mut found = Vec::new();
    for subject in client.subjects()?.into_iter().take(MOST_SUBJECTS) {
        match look_at(client, subject) {
            Ok(subject) => found.push(subject),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn look_at(client: &Client, subject: String) -> Result<Subject, ClientError> {
    let latest = client.version(&subject, None)?;
    Ok(Subject {
        versions: client.versions(&subject)?,
        id: latest.id,
        schema_type: type_name(latest.schema.schema_type),
        compatibility: client.level(&subject)?,
        subject,
    })
}

/// A language's name in a registry.
pub(super) fn type_name(schema_type: SchemaType) -> &'static str {
    match schema_type {
        SchemaType::Avro => "AVRO",
        SchemaType::Json => "JSON",
        SchemaType::Protobuf => "PROTOBUF",
    }
}

/// `1-3, 5`
fn ranges(versions: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for version in versions {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*version) => *last = *version,
            _ => runs.push((*version, *version)),
        }
    }
    let runs = runs.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    runs.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_follow_each_other_are_a_range() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[1]), "1");
        assert_eq!(ranges(&[1, 2, 3, 5, 7, 8, u32::MAX]), "1-3, 5, 7-8, 4294967295");
    }
}
