//! What a request may cost: statements, text, answers, time.

use std::io::Write;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::entity::Answer;
use super::failure::{ErrorCode, Failure};

/// How many statements a request may have.
pub(super) const MOST_STATEMENTS: usize = 1_000;
/// How many bytes of statements are worked on at a time, over all requests. The rest waits.
pub(super) const MOST_TEXT_AT_A_TIME: usize = 4 * 1024 * 1024;
/// How many bytes the answer to a request may have.
const MOST_ANSWERED: usize = 32 * 1024 * 1024;
/// How many streams and tables there may be.
pub(super) const MOST_SOURCES: usize = 10_000;
/// How many persistent queries there may be. Each takes some ten files, a handful of threads and a few megabytes.
pub(super) const MOST_QUERIES: usize = 200;
/// How many custom types there may be.
pub(super) const MOST_TYPES: usize = 1_000;
/// How many bytes the statements of what exists may have.
pub(super) const MOST_KEPT_TEXT: usize = 64 * 1024 * 1024;
/// How long the statements of a request may take. The one under way is finished.
const REQUEST_DEADLINE: Duration = Duration::from_secs(120);

/// How long a request goes on: until its time is over or its client has hung up.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    until: Instant,
    gone: CancellationToken,
}

impl Patience {
    pub(super) fn new(gone: CancellationToken) -> Self {
        Self::lasting(REQUEST_DEADLINE, gone)
    }

    fn lasting(deadline: Duration, gone: CancellationToken) -> Self {
        Self {
            until: Instant::now() + deadline,
            gone,
        }
    }

    /// Whether to go on.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.gone.is_cancelled() {
            return Err(Failure::generic(
                ErrorCode::RequestEnded,
                "the client has hung up",
            ));
        }
        if Instant::now() >= self.until {
            return Err(Self::over());
        }
        Ok(())
    }

    /// Waits for something only as long as it makes sense.
    pub(super) async fn wait_for<T>(&self, something: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            done = something => Ok(done),
            () = self.gone.cancelled() => Err(Failure::generic(ErrorCode::RequestEnded, "the client has hung up")),
            () = tokio::time::sleep_until(self.until) => Err(Self::over()),
        }
    }

    fn over() -> Failure {
        Failure::generic(
            ErrorCode::RequestEnded,
            format!(
                "the request takes longer than {REQUEST_DEADLINE:?}; its further statements are not executed"
            ),
        )
    }
}

/// The answers to a request's statements.
#[derive(Debug, Default)]
pub(super) struct Answers {
    answers: Vec<Answer>,
    length: Length,
}

impl Answers {
    /// Adds the answer to a statement, if it has one.
    pub(super) fn add(&mut self, answer: Option<Answer>) -> Result<(), Failure> {
        let Some(answer) = answer else {
            return Ok(());
        };
        let measured = serde_json::to_writer(&mut self.length, &answer);
        if measured.is_err() || self.length.0 > MOST_ANSWERED {
            return Err(Failure::generic(
                ErrorCode::TooLarge,
                format!(
                    "the answers have more than {MOST_ANSWERED} bytes; the further statements are not executed"
                ),
            ));
        }
        self.answers.push(answer);
        Ok(())
    }

    pub(super) fn into_vec(self) -> Vec<Answer> {
        self.answers
    }
}

/// Counts the bytes it is given.
#[derive(Debug, Default)]
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Does what may take seconds without keeping others from the thread that they share.
pub(super) fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::execution::catalog::{Catalog, Circumstances, Decision};
    use crate::execution::entity::Entity;
    use crate::execution::topics::Topic;
    use crate::metastore::Source;
    use crate::syntax;
    use crate::types::SqlType;

    fn decide(catalog: &Catalog, statement: &str) -> Result<Decision, String> {
        let parsed = syntax::parse(statement).unwrap().remove(0);
        let topic = |name: &str| (name.to_owned(), Topic::listed(vec![1]));
        let circumstances = Circumstances {
            text: &parsed.text,
            properties: &BTreeMap::new(),
            sequence: i64::try_from(catalog.queries.len()).unwrap(),
            is_replay: false,
            topics: Some(&BTreeMap::from([topic("s"), topic("D")])),
        };
        let decision = catalog.decide(&parsed.statement, circumstances).unwrap();
        decision.map_err(|refusal| refusal.message)
    }

    fn with_a_stream() -> Catalog {
        let mut catalog = Catalog::default();
        let declared = "CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
        let Ok(Decision::Change(change)) = decide(&catalog, declared) else {
            panic!("the stream is made");
        };
        catalog.apply(&change);
        catalog
    }

    #[test]
    fn streams_types_and_what_they_say_have_an_end() {
        let mut catalog = with_a_stream();
        let source = Arc::clone(catalog.metastore.get("S").unwrap());
        let named = |name: String, statement: String| {
            Arc::new(Source {
                name,
                statement,
                ..Source::clone(&source)
            })
        };
        let declared = "CREATE STREAM x (n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
        for number in 1..MOST_SOURCES {
            assert!(number % 2_500 != 0 || decide(&catalog, declared).is_ok());
            catalog
                .metastore
                .insert(named(format!("S{number}"), String::new()));
        }
        let refusal = decide(&catalog, declared).unwrap_err();
        assert!(
            refusal.starts_with("There are 10000 streams and tables already"),
            "{refusal}"
        );

        let mut catalog = with_a_stream();
        catalog
            .metastore
            .insert(named("LONG".to_owned(), "x".repeat(MOST_KEPT_TEXT)));
        let refusal = decide(&catalog, declared).unwrap_err();
        assert!(refusal.contains("have more than 67108864 bytes"), "{refusal}");

        let types = (0..MOST_TYPES).map(|number| (format!("T{number}"), SqlType::Integer));
        catalog.types = Arc::new(types.collect());
        let refusal = decide(&catalog, "CREATE TYPE x AS INT;").unwrap_err();
        assert!(
            refusal.starts_with("There are 1000 custom types already"),
            "{refusal}"
        );
    }

    #[test]
    fn queries_have_an_end() {
        let mut catalog = with_a_stream();
        let insertion = "INSERT INTO s SELECT * FROM s;";
        for _ in 0..MOST_QUERIES {
            let Ok(Decision::Change(change)) = decide(&catalog, insertion) else {
                panic!("there is room");
            };
            catalog.apply(&change);
        }
        for statement in [insertion, "CREATE STREAM d AS SELECT * FROM s;"] {
            let refusal = decide(&catalog, statement).unwrap_err();
            assert!(
                refusal.ends_with("currently active: 200. Query limit: 200."),
                "{refusal}"
            );
        }
    }

    #[test]
    fn answers_have_an_end() {
        let large = || {
            Some(Answer::new(
                "SHOW STREAMS;",
                Entity::Warning {
                    message: "x".repeat(MOST_ANSWERED / 2),
                },
            ))
        };
        let mut answers = Answers::default();
        assert!(answers.add(large()).is_ok());
        assert!(answers.add(None).is_ok());
        let failure = answers.add(large()).unwrap_err();
        assert_eq!(failure.code.number(), 41300);
        assert_eq!(answers.into_vec().len(), 1);
    }

    #[tokio::test]
    async fn a_request_ends_with_its_client_and_with_its_time() {
        let gone = CancellationToken::new();
        let patience = Patience::new(gone.clone());
        assert!(patience.check().is_ok());
        assert!(patience.wait_for(async { 1 }).await.is_ok());
        gone.cancel();
        assert_eq!(patience.check().unwrap_err().message, "the client has hung up");

        let patience = Patience::lasting(Duration::ZERO, CancellationToken::new());
        let waited = patience.wait_for(std::future::pending::<()>()).await;
        assert!(waited.unwrap_err().message.contains("longer than 120s"));
        assert!(patience.check().is_err());
    }
}
