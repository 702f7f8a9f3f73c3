//! What a client accepts.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// ksqlDB's own JSON type.
pub(super) const KSQL_JSON: &str = "application/vnd.ksql.v1+json";
/// Plain JSON.
pub(super) const JSON: &str = "application/json";
/// One JSON value a line.
pub(super) const DELIMITED: &str = "application/vnd.ksqlapi.delimited.v1";

/// The first of the offered types that the client accepts best. `None`: it accepts none of them.
pub(super) fn choose(headers: &HeaderMap, offered: &[&'static str]) -> Option<&'static str> {
    choose_or(headers, offered, offered.first().copied())
}

/// The same, with a type of its own for clients that accept anything and say so (`*/*`).
pub(super) fn choose_or(
    headers: &HeaderMap,
    offered: &[&'static str],
    anything: Option<&'static str>,
) -> Option<&'static str> {
    let mut ranges: Vec<(f32, String)> = Vec::new();
    for header in headers.get_all(ACCEPT) {
        for range in header.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';');
            let media_type = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            if media_type.is_empty() {
                continue;
            }
            let quality = parts
                .filter_map(|parameter| parameter.trim().strip_prefix("q="))
                .find_map(|quality| quality.trim().parse().ok())
                .unwrap_or(1.0);
            ranges.push((quality, media_type));
        }
    }
    if ranges.is_empty() {
        return offered.first().copied();
    }
    ranges.retain(|(quality, _)| *quality > 0.0);
    // Stable: of equally welcome types the one named first wins.
    ranges.sort_by(|left, right| right.0.total_cmp(&left.0));
    ranges.iter().find_map(|(_, range)| match range.as_str() {
        "*/*" => anything,
        "application/*" => offered.first().copied(),
        range => offered.iter().find(|offer| range == **offer).copied(),
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn chosen(accept: Option<&str>) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        }
        choose(&headers, &[KSQL_JSON, JSON, DELIMITED])
    }

    #[test]
    fn the_best_accepted_type_is_chosen() {
        for (accept, expected) in [
            (None, Some(KSQL_JSON)),
            (Some("*/*"), Some(KSQL_JSON)),
            (Some("application/*"), Some(KSQL_JSON)),
            (Some("application/json"), Some(JSON)),
            (Some("Application/JSON; charset=utf-8"), Some(JSON)),
            (
                Some("application/json;q=0.1, application/vnd.ksqlapi.delimited.v1"),
                Some(DELIMITED),
            ),
            (Some("text/html, application/json;q=0"), None),
            (Some("text/plain"), None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_gets_an_offer_or_none(accept in "[ -~]{0,60}") {
            if let Some(chosen) = chosen(Some(&accept)) {
                prop_assert!([KSQL_JSON, JSON, DELIMITED].contains(&chosen));
            }
        }

        #[test]
        fn more_choice_never_takes_a_choice_away(
            named in prop::sample::select(vec![KSQL_JSON, JSON, DELIMITED]),
            other in "[a-z]{1,8}/[a-z]{1,8}",
        ) {
            let accept = format!("{other};q=0.5, {named};q=0.4");
            prop_assert_eq!(chosen(Some(&accept)), Some(named));
        }
    }
}
