//! Under which name a schema is registered.

use std::str::FromStr;

/// The key or the value of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// Confluent's strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubjectNames {
    /// `topic-value`: one schema a topic.
    #[default]
    Topic,
    /// The full name of the record: one schema a name, in any topic.
    Record,
    /// `topic-full.Name`: several schemas a topic.
    TopicRecord,
}

impl SubjectNames {
    /// The name, for a schema whose root has that full name.
    pub fn subject(self, topic: &str, part: Part, record: Option<&str>) -> String {
        let part = match part {
            Part::Key => "key",
            Part::Value => "value",
        };
        match (self, record) {
            (Self::Record, Some(record)) => record.to_owned(),
            (Self::TopicRecord, Some(record)) => format!("{topic}-{record}"),
            // A schema without a name has but its topic.
            _ => format!("{topic}-{part}"),
        }
    }
}

impl FromStr for SubjectNames {
    type Err = String;

    /// `topic`, `record`, `topic-record`; the names of Confluent's classes as well.
    fn from_str(text: &str) -> Result<Self, String> {
        let class = text.rsplit('.').next().unwrap_or(text);
        match class {
            "topic" | "TopicNameStrategy" => Ok(Self::Topic),
            "record" | "RecordNameStrategy" => Ok(Self::Record),
            "topic-record" | "TopicRecordNameStrategy" => Ok(Self::TopicRecord),
            _ => Err(format!(
                "`{text}` is none of `topic`, `record` and `topic-record`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_name_subjects_as_confluents_do() {
        let name = |names: &str, record| {
            names
                .parse::<SubjectNames>()
                .unwrap()
                .subject("doors", Part::Value, record)
        };
        assert_eq!(name("topic", Some("site.Door")), "doors-value");
        assert_eq!(name("record", Some("site.Door")), "site.Door");
        assert_eq!(name("topic-record", Some("site.Door")), "doors-site.Door");
        assert_eq!(name("record", None), "doors-value");
        assert_eq!(
            name(
                "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
                Some("D")
            ),
            "doors-D"
        );
        assert_eq!(SubjectNames::Topic.subject("doors", Part::Key, None), "doors-key");
        assert!(
            "nothing"
                .parse::<SubjectNames>()
                .unwrap_err()
                .contains("`topic-record`")
        );
    }
}
