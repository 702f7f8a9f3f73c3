//! How far the queries behind a description have committed, and how far their inputs reach.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::catalog::Catalog;
use super::executor::Executor;
use crate::queries::PersistentQuery;
use crate::runtime::{Committed, PositionError, committed};
use crate::syntax::ast::{Listing, SourceKind, Statement};

/// How many partitions are asked about for one statement.
const MOST_PARTITIONS: usize = 1_000;

/// How long a statement waits for the positions of several queries; those not found until then are left out.
const DEADLINE: Duration = Duration::from_secs(5);

/// By query, what its group has committed.
pub(super) type Positions = BTreeMap<String, Vec<Committed>>;

/// The positions, where nobody looks at them.
pub(super) static UNASKED: Positions = BTreeMap::new();

impl Executor {
    /// What the statement's answer tells of positions. Those that cannot be had are left out: all else that the answer
    /// says is as true without them.
    pub(super) async fn positions(&self, statement: &Statement, catalog: &Catalog) -> Positions {
        let mut positions = Positions::new();
        let mut left = MOST_PARTITIONS;
        let until = Instant::now() + DEADLINE;
        for query in writers(statement, catalog) {
            if Instant::now() >= until {
                break;
            }
            let group = self.config.query_group(&query.id);
            match committed(self.runtime.cluster(), &group, &query.plan, left).await {
                Ok(Some(found)) => {
                    left -= found.iter().map(|topic| topic.partitions.len()).sum::<usize>();
                    positions.insert(query.id.clone(), found);
                }
                // Of too many partitions, or of a topic that is gone.
                Ok(None) | Err(PositionError::MissingTopic { .. }) => {}
                Err(error) => {
                    tracing::debug!("the positions of query {} are not told: {error}", query.id);
                    // The others would be waited for as long.
                    break;
                }
            }
        }
        positions
    }
}

/// The queries that fill what is described at length.
fn writers<'a>(statement: &'a Statement, catalog: &'a Catalog) -> Vec<&'a PersistentQuery> {
    let of_kind = match statement {
        Statement::List(Listing::Streams { extended: true }) => Some(SourceKind::Stream),
        Statement::List(Listing::Tables { extended: true }) => Some(SourceKind::Table),
        Statement::Describe { name, extended: true } if name == "STREAMS" => Some(SourceKind::Stream),
        _ => None,
    };
    let named = match statement {
        Statement::Describe { name, extended: true } => Some(name.as_str()),
        _ => None,
    };
    let queries = catalog.queries.values().map(|query| &**query);
    queries
        .filter(|query| {
            query
                .sink()
                .is_some_and(|sink| Some(sink.kind) == of_kind || Some(sink.name.as_str()) == named)
        })
        .collect()
}
