//! What a project makes on a Kafka, and on a ksqlDB server, that are not its own: on record before it is made, so that all
//! of it, and nothing else, can be taken away. What was there before the project is noted beside it, and stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::stack::project::ProjectName;
use crate::state::{ProjectFolder, StateError, write_durably};

/// The form of the file.
const FORMAT: u32 = 1;

/// What is made outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeOutside {
    format: u32,
    /// By the cluster's id, or by its address where it tells none.
    clusters: BTreeMap<String, MadeThere>,
    /// The streams and tables on ksqlDB servers, in the order in which they are made, by the server's URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<String, Vec<String>>,
}

/// What is made on one Kafka.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeThere {
    /// Where it listens.
    pub kafka: String,
    /// The topics that are known by name beforehand.
    topics: BTreeSet<String>,
    /// Those topics of the project's that were there before it.
    topics_before: BTreeSet<String>,
    /// The groups that have the project's name and were there before it; nothing where the broker did not tell.
    groups_before: Option<BTreeSet<String>>,
}

impl MadeOutside {
    /// What is on record.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged or of a later form.
    pub fn read(folder: &ProjectFolder) -> Result<Self, StateError> {
        let path = folder.made_outside_file();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(StateError::io("read", &path, error)),
        };
        let read: Self = serde_json::from_slice(&text).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        if read.format > FORMAT {
            return Err(StateError::Newer {
                path,
                format: read.format,
                known: FORMAT,
            });
        }
        Ok(read)
    }

    /// Puts it on record.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, folder: &ProjectFolder) -> Result<(), StateError> {
        self.format = FORMAT;
        let path = folder.made_outside_file();
        let text = serde_json::to_vec_pretty(self).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        write_durably(&path, &text)
    }

    /// Whether these topics on the Kafka at that address are on record already.
    pub fn knows(&self, kafka: &str, topics: &BTreeSet<String>) -> bool {
        let mut there = self.clusters.values();
        there.any(|made| made.kafka == kafka && topics.is_subset(&made.topics))
    }

    /// Notes that the project is about to make these topics, and those with its name, where all this is there already.
    pub fn note(
        &mut self,
        project: &ProjectName,
        cluster: Option<&str>,
        kafka: &str,
        topics: BTreeSet<String>,
        there: (&BTreeSet<String>, Option<&BTreeSet<String>>),
    ) {
        let is_new = !self.clusters.contains_key(cluster.unwrap_or(kafka));
        let made = self
            .clusters
            .entry(cluster.unwrap_or(kafka).to_owned())
            .or_default();
        kafka.clone_into(&mut made.kafka);
        let before = there.0.iter().filter(|topic| {
            // With its name only what was there before all else.
            topics.contains(*topic) && !made.topics.contains(*topic) || is_new && is_topic_of(project, topic)
        });
        let before: Vec<String> = before.cloned().collect();
        made.topics_before.extend(before);
        made.topics.extend(topics);
        if is_new {
            let of_project = |groups: &BTreeSet<String>| {
                let groups = groups.iter().filter(|group| is_group_of(project, group));
                groups.cloned().collect()
            };
            made.groups_before = there.1.map(of_project);
        }
    }

    /// What is made on that cluster.
    pub fn on(&self, cluster: Option<&str>, kafka: &str) -> Option<&MadeThere> {
        self.clusters.get(cluster.unwrap_or(kafka))
    }

    /// The addresses of every Kafka that something was made on.
    pub fn kafkas(&self) -> impl Iterator<Item = &str> {
        self.clusters.values().map(|made| made.kafka.as_str())
    }

    /// Notes that the project is about to make these streams and tables on the server at that URL.
    pub fn note_sources(&mut self, ksqldb: &str, missing: Vec<String>) {
        let sources = self.sources.entry(ksqldb.to_owned()).or_default();
        for name in missing {
            if !sources.contains(&name) {
                sources.push(name);
            }
        }
    }

    /// The URLs of every ksqlDB server that something was made on.
    pub fn ksqldbs(&self) -> impl Iterator<Item = &str> {
        let some = self.sources.iter().filter(|(_, names)| !names.is_empty());
        some.map(|(url, _)| url.as_str())
    }

    /// The streams and tables that the project makes on the server at that URL, in the order in which they are made.
    pub fn sources(&self, ksqldb: &str) -> &[String] {
        self.sources.get(ksqldb).map_or(&[], Vec::as_slice)
    }
}

impl MadeThere {
    /// Those of the topics there that the project has made.
    pub fn topics<'a>(&self, project: &ProjectName, there: &'a BTreeSet<String>) -> BTreeSet<String> {
        let is_made = |topic: &&'a String| {
            let is_of_project = self.topics.contains(*topic) || is_topic_of(project, topic);
            is_of_project && !self.topics_before.contains(*topic)
        };
        there.iter().filter(is_made).cloned().collect()
    }

    /// Whether it is known which of the groups there are the project's.
    pub fn knows_groups(&self, there: Option<&BTreeSet<String>>) -> bool {
        self.groups_before.is_some() && there.is_some()
    }

    /// Those of the groups there that the project has made.
    pub fn groups(&self, project: &ProjectName, there: Option<&BTreeSet<String>>) -> BTreeSet<String> {
        let (Some(there), Some(before)) = (there, &self.groups_before) else {
            return BTreeSet::new();
        };
        let made = there
            .iter()
            .filter(|group| is_group_of(project, group) && !before.contains(*group));
        made.cloned().collect()
    }
}

/// What stands behind the project's name in the names of its ksqlDB server's topics and groups. The id of a query begins
/// with a capital letter, as no part of a project's name does: `a` does not take what is `a_query_b`'s for its own.
fn behind_prefix<'a>(project: &ProjectName, name: &'a str) -> Option<&'a str> {
    name.strip_prefix("_confluent-ksql-osqdemo_")?
        .strip_prefix(project.as_str())?
        .strip_prefix('_')
}

fn is_of_query(rest: &str) -> bool {
    let id = rest.strip_prefix("query_").unwrap_or_default();
    id.starts_with(|first: char| first.is_ascii_uppercase())
}

fn is_topic_of(project: &ProjectName, topic: &str) -> bool {
    behind_prefix(project, topic).is_some_and(|rest| rest == "_command_topic" || is_of_query(rest))
        || topic == format!("osqdemo_{project}_ksql_processing_log")
        || topic == format!("_schemas_osqdemo_{project}")
}

fn is_group_of(project: &ProjectName, group: &str) -> bool {
    behind_prefix(project, group).is_some_and(is_of_query)
        || group == format!("schema-registry-osqdemo_{project}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn project(name: &str) -> ProjectName {
        name.parse().expect("a name")
    }

    #[test]
    fn all_that_was_made_goes_and_nothing_else() {
        let project = project("demo");
        let before = set(&["processes", "orders", "_schemas_osqdemo_demo"]);
        let groups_before = set(&["billing", "_confluent-ksql-osqdemo_demo_query_CSAS_PROC_1"]);
        let mut made = MadeOutside::default();
        let topics = set(&["processes", "open_files", "PROC"]);
        made.note(
            &project,
            Some("id"),
            "k:1",
            topics.clone(),
            (&before, Some(&groups_before)),
        );
        assert!(made.knows("k:1", &topics) && !made.knows("k:2", &topics));
        let there = set(&[
            "processes",
            "open_files",
            "PROC",
            "orders",
            "MINE",
            "_schemas_osqdemo_demo",
            "_confluent-ksql-osqdemo_demo__command_topic",
            "_confluent-ksql-osqdemo_demo_query_CTAS_T_5-Aggregate-changelog",
            "_confluent-ksql-osqdemo_demo_query_x__command_topic",
            "osqdemo_demo_ksql_processing_log",
            "osqdemo_demo2_ksql_processing_log",
        ]);
        let on = made.on(Some("id"), "k:1").expect("it is on record");
        assert_eq!(
            on.topics(&project, &there),
            set(&[
                "open_files",
                "PROC",
                "_confluent-ksql-osqdemo_demo__command_topic",
                "_confluent-ksql-osqdemo_demo_query_CTAS_T_5-Aggregate-changelog",
                "osqdemo_demo_ksql_processing_log",
            ])
        );
        let groups = set(&[
            "billing",
            "_confluent-ksql-osqdemo_demo_query_CSAS_PROC_1",
            "_confluent-ksql-osqdemo_demo_query_CSAS_FILES_2",
            "_confluent-ksql-osqdemo_demo_query_x_query_CSAS_PROC_1",
        ]);
        assert_eq!(
            on.groups(&project, Some(&groups)),
            set(&["_confluent-ksql-osqdemo_demo_query_CSAS_FILES_2"])
        );
        assert_eq!(on.groups(&project, None), set(&[]));
        assert_eq!(
            made.on(Some("other"), "k:1"),
            None,
            "another cluster at that address"
        );
    }

    #[test]
    fn a_later_run_adds_what_is_new_and_keeps_what_it_knew() {
        let project = project("demo");
        let mut made = MadeOutside::default();
        made.note(&project, None, "k:1", set(&["processes"]), (&set(&[]), None));
        // By now there are its own topics, and one that it is to write to from now on.
        let there = set(&["processes", "_schemas_osqdemo_demo", "uptime"]);
        let groups = set(&["_confluent-ksql-osqdemo_demo_query_CSAS_PROC_1"]);
        let more = set(&["processes", "uptime"]);
        made.note(&project, None, "k:1", more, (&there, Some(&groups)));
        let on = made.on(None, "k:1").expect("it is on record");
        assert_eq!(
            on.topics(&project, &there),
            set(&["processes", "_schemas_osqdemo_demo"])
        );
        // Nobody knows which of them were there.
        assert_eq!(on.groups(&project, Some(&groups)), set(&[]));
        made.note_sources("http://k", vec!["PROC".to_owned()]);
        made.note_sources("http://k", vec!["FILES".to_owned(), "PROC".to_owned()]);
        assert_eq!(made.sources("http://k"), ["PROC", "FILES"]);
        assert!(made.sources("http://other").is_empty());
    }

    #[test]
    fn a_record_is_read_again_and_a_later_form_is_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ProjectFolder::new(home.path(), &project("demo"));
        folder.create().expect("a folder");
        assert_eq!(MadeOutside::read(&folder).expect("none"), MadeOutside::default());
        let mut made = MadeOutside::default();
        made.note(
            &folder.project,
            Some("id"),
            "k:1",
            set(&["a"]),
            (&set(&["a"]), Some(&set(&[]))),
        );
        made.write(&folder).expect("it is written");
        assert_eq!(MadeOutside::read(&folder).expect("it is read"), made);
        let later = r#"{ "format": 2, "clusters": {} }"#;
        fs::write(folder.made_outside_file(), later).expect("a file");
        assert!(matches!(
            MadeOutside::read(&folder),
            Err(StateError::Newer { format: 2, .. })
        ));
    }
}
