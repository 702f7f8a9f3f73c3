//! Topics that are made of parts of a line: `osquery.{host}.{name}`.

use osquery_protocol::result_log::{TOPIC_NAME_LIMIT, is_topic_name, topic_name};

use crate::line_facts::LineFacts;

/// What stands in the place of a part that a line does not have.
const NO_NAME: &str = "unnamed";
const NO_PACK: &str = "schedule";

/// A topic with places for parts of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The query's whole name.
    Name,
    Host,
    /// The pack of a query of a pack.
    Pack,
    /// The query's name without that of its pack.
    Query,
}

impl TopicTemplate {
    /// Reads a template: a topic's name with `{name}`, `{host}`, `{pack}` and `{query}` in it. `None` for anything else,
    /// and for a text without a place.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (place, after) = after.split_once('}')?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match place {
                "name" => Part::Name,
                "host" => Part::Host,
                "pack" => Part::Pack,
                "query" => Part::Query,
                _ => return None,
            });
            rest = after;
        }
        if parts.is_empty() {
            return None;
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Self { parts };
        is_topic_name(&template.fill(|_| "x".to_owned())).then_some(template)
    }

    /// The topic of a line. `packs` are the names of the configuration's packs.
    pub(crate) fn topic(&self, facts: &LineFacts<'_>, packs: &[String]) -> String {
        let text = |value: &Option<std::borrow::Cow<'_, [u8]>>| {
            let text = value.as_deref().map(String::from_utf8_lossy);
            text.map(|text| text.into_owned())
        };
        let name = text(&facts.query).filter(|name| !name.is_empty());
        let split = name.as_deref().and_then(|name| split_pack(name, packs));
        let clean = |text: Option<&str>, otherwise: &str| {
            let cleaned = text.and_then(topic_name);
            cleaned.unwrap_or_else(|| otherwise.to_owned())
        };
        let mut topic = self.fill(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Name => clean(name.as_deref(), NO_NAME),
            Part::Host => clean(text(&facts.host).as_deref(), NO_NAME),
            Part::Pack => clean(split.map(|(pack, _)| pack), NO_PACK),
            Part::Query => clean(split.map(|(_, query)| query).or(name.as_deref()), NO_NAME),
        });
        // Everything in it is ASCII.
        topic.truncate(TOPIC_NAME_LIMIT);
        topic
    }

    fn fill(&self, value: impl Fn(&Part) -> String) -> String {
        let texts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            place => value(place),
        });
        texts.collect()
    }
}

/// Takes `pack_ir_files` apart. A pack that is not known ends at the first delimiter, which is whatever follows `pack`.
fn split_pack<'n>(name: &'n str, packs: &[String]) -> Option<(&'n str, &'n str)> {
    let rest = name.strip_prefix("pack")?;
    let delimiter = rest.chars().next().filter(|first| !first.is_alphanumeric())?;
    let rest = &rest[delimiter.len_utf8()..];
    let query = |pack: &str| rest.strip_prefix(pack)?.strip_prefix(delimiter);
    let known = packs
        .iter()
        .filter(|pack| query(pack).is_some())
        .max_by_key(|pack| pack.len());
    match known {
        Some(pack) => rest
            .split_at_checked(pack.len())
            .map(|(pack, rest)| (pack, &rest[delimiter.len_utf8()..])),
        None => rest.split_once(delimiter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(template: &str, line: &str) -> String {
        let packs = ["incident_response".to_owned(), "incident".to_owned()];
        TopicTemplate::parse(template)
            .unwrap()
            .topic(&LineFacts::of(line.as_bytes()), &packs)
    }

    #[test]
    fn places_are_filled_with_what_a_topic_may_have() {
        let line = r#"{"name":"pack_incident_response_open files","hostIdentifier":"host.1/a"}"#;
        assert_eq!(
            topic("osquery.{name}", line),
            "osquery.pack_incident_response_open-files"
        );
        assert_eq!(
            topic("{host}-x-{pack}.{query}", line),
            "host-1-a-x-incident_response.open-files"
        );
        let line = r#"{"name":"pack/other/q/r"}"#;
        assert_eq!(topic("{pack}.{query}.{host}", line), "other.q-r.unnamed");
        assert_eq!(
            topic("{pack}.{query}", r#"{"name":"packages"}"#),
            "schedule.packages"
        );
        assert_eq!(topic("o.{name}", "no json"), "o.unnamed");
        assert_eq!(
            topic("o.{name}", &format!(r#"{{"name":"{}"}}"#, "n".repeat(300))).len(),
            TOPIC_NAME_LIMIT
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["osquery", "{nam}", "{name", "a b{name}", "{}", "{name}/x"] {
            assert_eq!(TopicTemplate::parse(text), None, "{text}");
        }
    }
}
