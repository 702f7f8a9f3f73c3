//! The parameters of a request, read as Java reads them: a boolean is true when it says so in any case, and false
//! whatever else it says.

use axum::extract::Query as Pairs;
use axum::http::Uri;

/// The parameters behind the question mark, in their order.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        // What cannot be decoded is as good as not said.
        Self(Pairs::try_from_uri(uri).map_or_else(|_| Vec::new(), |Pairs(pairs)| pairs))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(known, _)| known == name);
        pair.map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.0.iter().filter(move |(known, _)| known == name);
        pairs.map(|(_, value)| value.as_str())
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A part of a list, by `offset` and `limit`.
    pub(super) fn page<T>(&self, items: Vec<T>, default_limit: usize) -> Vec<T> {
        let number = |name| self.get(name).and_then(|value| value.parse::<i64>().ok());
        let offset = number("offset")
            .and_then(|offset| usize::try_from(offset).ok())
            .unwrap_or(0);
        let limit = number("limit").and_then(|limit| usize::try_from(limit).ok());
        let limit = limit
            .filter(|limit| *limit > 0 && *limit <= default_limit)
            .unwrap_or(default_limit);
        items.into_iter().skip(offset).take(limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_javas() {
        let query = Query::of(&Uri::from_static("/?a=True&b=TRUE&c=1&d=yes&e=false&f"));
        let true_ones: Vec<&str> = ["a", "b", "c", "d", "e", "f", "g"]
            .into_iter()
            .filter(|name| query.is_true(name))
            .collect();
        assert_eq!(true_ones, ["a", "b"]);
    }

    #[test]
    fn pages_that_make_no_sense_are_whole() {
        let page = |query: &'static str| Query::of(&query.parse().unwrap()).page(vec![1, 2, 3, 4], 3);
        assert_eq!(page("/?offset=1&limit=2"), [2, 3]);
        for query in [
            "/",
            "/?limit=0",
            "/?limit=-1",
            "/?limit=4",
            "/?limit=x",
            "/?offset=-1",
        ] {
            assert_eq!(page(query), [1, 2, 3], "{query}");
        }
        assert_eq!(page("/?offset=9"), Vec::<i32>::new());
    }
}
