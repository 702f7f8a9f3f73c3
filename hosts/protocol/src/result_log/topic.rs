//! From a query's name to the name of a Kafka topic.

/// The longest name Kafka allows for a topic.
pub const TOPIC_NAME_LIMIT: usize = 249;

/// The topic of a query: its name with every character outside `[A-Za-z0-9_-]` replaced by `-`, cut to
/// what Kafka allows. `None` for an empty name.
///
/// ```
/// use osquery_protocol::result_log::topic_name;
/// assert_eq!(topic_name("pack/incident-response/open files").as_deref(), Some("pack-incident-response-open-files"));
/// assert_eq!(topic_name(""), None);
/// ```
pub fn topic_name(query_name: &str) -> Option<String> {
    let keep = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    let name: String = query_name
        .chars()
        .map(|character| if keep(character) { character } else { '-' })
        .take(TOPIC_NAME_LIMIT)
        .collect();
    (!name.is_empty()).then_some(name)
}

/// Whether Kafka accepts `name` as a topic's name as it is.
pub fn is_topic_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=TOPIC_NAME_LIMIT).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(allowed)
}
