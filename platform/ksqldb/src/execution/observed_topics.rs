//! What a request knows of the broker's topics: asked once, and only where a statement needs them.

use std::collections::BTreeMap;

use super::catalog::Catalog;
use super::executor::Executor;
use super::failure::{ErrorCode, Failure};
use super::session::Session;
use super::topics::{self, Retention, Topic, Topics};
use crate::kafka::ClusterError;
use crate::syntax::ast::{ParsedStatement, Statement};

impl Executor {
    pub(super) async fn topics(&self, text: &str) -> Result<Topics, Failure> {
        let listed = self.runtime.cluster().topics().await;
        let listed = listed.map_err(|error| unanswered(&error, text))?;
        let topics = listed.into_iter();
        Ok(topics
            .map(|(name, replicas)| (name, Topic::listed(replicas)))
            .collect())
    }

    /// Finds out how long the topics keep their records that a statement is about.
    pub(super) async fn ask_retention(
        &self,
        topics: &mut Topics,
        parsed: &ParsedStatement,
        catalog: &Catalog,
        session: &Session,
    ) -> Result<(), Failure> {
        for name in topics::of_statement(&parsed.statement, catalog, &session.properties) {
            let Some(topic) = topics.get_mut(&name) else {
                continue;
            };
            if topic.retention == Retention::Unasked {
                let retention = self.runtime.cluster().retention_ms(&name).await;
                let retention = retention.map_err(|error| unanswered(&error, &parsed.text))?;
                topic.retention = retention.map_or(Retention::Unknown, Retention::Ms);
            }
        }
        Ok(())
    }
}

/// The topics, where nobody looks at them.
pub(super) static EMPTY: Topics = BTreeMap::new();

/// The cluster did not answer.
fn unanswered(error: &ClusterError, text: &str) -> Failure {
    Failure::of_statement(ErrorCode::ServerError, error.to_string(), text)
}

pub(super) fn needs_topics(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::CreateSource(_) | Statement::CreateAsSelect(_) | Statement::InsertInto(_)
    )
}
