//! A request is tried out on a copy of the catalog before its first statement is executed.

use super::bounds::{Patience, in_place};
use super::catalog::{Catalog, Circumstances, Decision};
use super::executor::Executor;
use super::failure::{ErrorCode, Failure, Refusal};
use super::group_positions::UNASKED;
use super::injection::completed;
use super::insertion::{values_of, without_values};
use super::observed_topics::{EMPTY, needs_topics};
use super::session::Session;
use super::topics::{self, Topics};
use super::unsupported;
use crate::command_log::CommandLog;
use crate::syntax::ast::{CreateAsSelect, CreateSource, ParsedStatement, Statement};

/// What ksqlDB says to a statement that says what becomes of old records.
const CLEANUP_POLICY: &str = "Invalid config variable in the WITH clause: CLEANUP_POLICY.\nThe CLEANUP_POLICY config is automatically inferred based on the type of source (STREAM or TABLE).\nUsers can't set the CLEANUP_POLICY config manually.";

impl Executor {
    /// Tries the statements on a copy of what exists.
    pub(super) async fn try_out(
        &self,
        statements: &[ParsedStatement],
        mut session: Session,
        log: Option<&CommandLog>,
        patience: &Patience,
    ) -> Result<(), Failure> {
        let mut catalog = Catalog::clone(&self.catalog());
        let mut topics: Option<Topics> = None;
        let mut sequence = log.map_or(0, CommandLog::next_sequence);
        for parsed in statements {
            patience.check()?;
            let bad = |refusal: Refusal| refusal.failure(&parsed.text);
            match &parsed.statement {
                Statement::Query(_) | Statement::Print(_) => {
                    return Err(Failure::query_endpoint(&parsed.text));
                }
                Statement::Unsupported { what } => return Err(unsupported::refusal(what, parsed)),
                Statement::Connector(statement) => {
                    patience
                        .wait_for(self.try_connector(statement, &parsed.text))
                        .await??;
                    continue;
                }
                Statement::InsertValues(insertion) => {
                    let masked = |refusal: Refusal| refusal.failure(&without_values(insertion));
                    let (_, values) = values_of(&catalog, insertion).map_err(masked)?;
                    // What needs a registry is found when it is carried out.
                    if values.is_prepared() {
                        values.record().map_err(|error| masked(error.into()))?;
                    }
                }
                Statement::CreateSource(CreateSource { properties, .. })
                | Statement::CreateAsSelect(CreateAsSelect { properties, .. })
                    if properties.get("CLEANUP_POLICY").is_some() =>
                {
                    return Err(bad(Refusal::new(ErrorCode::BadRequest, CLEANUP_POLICY)));
                }
                _ => {}
            }
            if needs_topics(&parsed.statement) && topics.is_none() {
                topics = Some(self.topics(&parsed.text).await?);
            }
            if let Some(topics) = &mut topics {
                self.ask_retention(topics, parsed, &catalog, &session).await?;
            }
            let inferred = patience.wait_for(self.inferred(parsed, &session)).await??;
            let completed = completed(&inferred, &catalog, topics.as_ref(), &session.properties);
            if let Some(result) = session.execute(&parsed.statement) {
                result.map_err(|message| bad(message.into()))?;
            } else if !self.is_push_termination(&parsed.statement) {
                let circumstances = Circumstances {
                    text: &completed.text,
                    properties: &session.properties,
                    sequence,
                    is_replay: false,
                    topics: topics.as_ref(),
                };
                if let Some(decision) = in_place(|| catalog.decide(&completed.statement, circumstances)) {
                    let failed = |refusal: Refusal| refusal.failure_of(&parsed.text, &completed.text);
                    let decision = decision.map_err(failed)?;
                    if let Decision::Change(change) = decision {
                        catalog.apply(&change);
                        if let Some(topics) = &mut topics {
                            topics::note(topics, &change);
                        }
                        sequence += 1;
                    }
                } else {
                    let view = self.view(&catalog, &EMPTY, &UNASKED, &session);
                    if let Some(answer) = view.answer(&parsed.statement, &parsed.text) {
                        answer.map_err(bad)?;
                    }
                }
            }
        }
        Ok(())
    }
}
