//! What a line says of itself: the parts that decide its way and stand in its headers.

use std::borrow::Cow;

use crate::json;

/// The parts of a line that are looked at, as plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineFacts<'l> {
    /// The query's name.
    pub(crate) query: Option<Cow<'l, [u8]>>,
    /// The host.
    pub(crate) host: Option<Cow<'l, [u8]>>,
    pub(crate) epoch: Option<Cow<'l, [u8]>>,
    pub(crate) counter: Option<Cow<'l, [u8]>>,
}

impl<'l> LineFacts<'l> {
    /// Those of the lines of a query, on a host that is not known.
    pub(crate) fn of_query(query: &'l str) -> Self {
        Self {
            query: Some(query.as_bytes().into()),
            ..Self::default()
        }
    }

    /// Reads the line up to the last of them; of a line that is not JSON, what comes before the mistake. The first of
    /// several members of one name counts.
    pub(crate) fn of(line: &'l [u8]) -> Self {
        let mut facts = Self::default();
        let (mut query, mut host, mut epoch, mut counter) = (None, None, None, None);
        for (name, value) in json::members(line).into_iter().flatten().map_while(Result::ok) {
            let place = match &*json::decode(name) {
                b"name" => &mut query,
                b"hostIdentifier" => &mut host,
                b"epoch" => &mut epoch,
                b"counter" => &mut counter,
                _ => continue,
            };
            place.get_or_insert(value);
            if [query, host, epoch, counter].iter().all(Option::is_some) {
                break;
            }
        }
        facts.query = query.and_then(json::text);
        facts.host = host.and_then(json::text);
        facts.epoch = epoch.and_then(json::text);
        facts.counter = counter.and_then(json::text);
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_found_wherever_they_are() {
        let line = br#"{"snapshot":[{"name":"inner"}],"counter":7,"name":"a\"b","name":"second","hostIdentifier":null}"#;
        let facts = LineFacts::of(line);
        assert_eq!(facts.query.as_deref(), Some(b"a\"b".as_slice()));
        assert_eq!(facts.counter.as_deref(), Some(b"7".as_slice()));
        assert_eq!((facts.host, facts.epoch), (None, None));
        assert_eq!(LineFacts::of(b"not json"), LineFacts::default());
        assert_eq!(
            LineFacts::of(br#"{"name":"q","x":["#).query.as_deref(),
            Some(b"q".as_slice())
        );
    }
}
