//! Content types: what is understood, and what is answered.

use axum::http::{HeaderMap, header};

/// What is understood, whatever the character set.
const UNDERSTOOD: [&str; 4] = [
    "application/vnd.schemaregistry.v1+json",
    "application/vnd.schemaregistry+json",
    "application/json",
    "application/octet-stream",
];

/// What the client is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Accepted {
    #[default]
    V1,
    Registry,
    Json,
}

impl Accepted {
    /// Every type, the most wanted first.
    const ALL: [Self; 3] = [Self::V1, Self::Registry, Self::Json];

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/vnd.schemaregistry.v1+json",
            Self::Registry => "application/vnd.schemaregistry+json",
            Self::Json => "application/json",
        }
    }

    /// How much the server likes it, in thousandths.
    fn weight(self) -> u32 {
        match self {
            Self::V1 => 1_000,
            Self::Registry => 900,
            Self::Json => 500,
        }
    }
}

/// Whether the body is of a type that is understood.
pub(super) fn is_understood(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let value = value.to_str().unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    UNDERSTOOD
        .iter()
        .any(|understood| understood.eq_ignore_ascii_case(essence))
}

/// The type that both like best; nothing where the client takes none.
pub(super) fn accepted(headers: &HeaderMap) -> Option<Accepted> {
    let values: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let ranges: Vec<(String, u32)> = values
        .iter()
        .flat_map(|value| value.split(','))
        .filter_map(range)
        .collect();
    if ranges.is_empty() {
        return Some(Accepted::default());
    }
    let liked = |accepted: &Accepted| {
        let matching = ranges
            .iter()
            .filter(|(range, _)| matches(range, accepted.content_type()));
        // A type that is named counts more than one that a star covers.
        let named = matching.max_by_key(|(range, _)| range.len());
        named.map_or(0, |(_, weight)| weight * accepted.weight())
    };
    let best = Accepted::ALL.into_iter().rev().max_by_key(liked)?;
    (liked(&best) > 0).then_some(best)
}

/// A type, possibly with a star, and how much the client likes it, in thousandths.
fn range(text: &str) -> Option<(String, u32)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts
        .next()
        .filter(|range| !range.is_empty())?
        .to_ascii_lowercase();
    let weight = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().parse::<f32>().ok()?;
        // Between 0 and 1000.
        name.trim()
            .eq_ignore_ascii_case("q")
            .then(|| (value.clamp(0.0, 1.0) * 1_000.0) as u32)
    });
    Some((range, weight.unwrap_or(1_000)))
}

fn matches(range: &str, content_type: &str) -> bool {
    match range.split_once('/') {
        // Java's own clients of old sent a single star.
        None => range == "*",
        Some(("*", "*")) => true,
        Some((kind, "*")) => content_type.split('/').next() == Some(kind),
        Some(_) => range == content_type,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn answered(accept: &'static str) -> Option<Accepted> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        accepted(&headers)
    }

    #[test]
    fn the_client_is_answered_with_what_both_like() {
        assert_eq!(accepted(&HeaderMap::new()), Some(Accepted::V1));
        for accept in [
            "*/*",
            "application/*",
            "*; q=.2",
            "text/html, image/gif, *; q=.2, */*; q=.2",
            "",
        ] {
            assert_eq!(answered(accept), Some(Accepted::V1), "{accept}");
        }
        assert_eq!(answered("application/json"), Some(Accepted::Json));
        assert_eq!(
            answered("APPLICATION/JSON;q=0.5, text/plain"),
            Some(Accepted::Json)
        );
        assert_eq!(
            answered("application/vnd.schemaregistry+json, application/json"),
            Some(Accepted::Registry)
        );
        assert_eq!(
            answered("application/vnd.schemaregistry.v1+json;q=0.1, application/json"),
            Some(Accepted::Json)
        );
        for accept in [
            "text/*",
            "application/vnd.schemaregistry.v2+json",
            "application/json;q=0",
        ] {
            assert_eq!(answered(accept), None, "{accept}");
        }
    }

    #[test]
    fn bodies_are_understood_in_any_character_set() {
        let understood = |content_type: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            is_understood(&headers)
        };
        assert!(is_understood(&HeaderMap::new()));
        assert!(understood(
            "application/vnd.schemaregistry.v1+json; charset=utf-8"
        ));
        assert!(understood("Application/JSON") && understood("application/octet-stream"));
        assert!(!understood("text/html") && !understood("application/xml"));
    }
}
