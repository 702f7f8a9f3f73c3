//! The schemas that a query that runs needs: waited for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Registry, RegistryError};
use crate::kafka::Record;
use crate::plan::{MissingSchema, QueryPlan};
use crate::runtime::with_input;

/// How long a query waits before it asks again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What a running query has to do with the registry.
pub(crate) struct QuerySchemas {
    registry: Arc<Registry>,
    plan: Arc<QueryPlan>,
    /// Whether there is anything to learn from records: asked for each of them.
    learns: bool,
    query: String,
}

impl QuerySchemas {
    /// Those of a query with that id.
    pub(crate) fn new(registry: &Arc<Registry>, plan: &Arc<QueryPlan>, query: &str) -> Self {
        Self {
            registry: Arc::clone(registry),
            learns: plan.learns_schemas(),
            plan: Arc::clone(plan),
            query: query.to_owned(),
        }
    }

    fn missing(&self, record: &Record) -> Option<MissingSchema> {
        with_input(record, |record| self.plan.missing_schema(&record))
    }

    /// Has the schemas of its results ready. Waits for a registry that is away.
    pub(crate) async fn prepare(&self) -> Result<(), RegistryError> {
        if self.plan.uses_schemas() && !self.registry.is_configured() {
            return Err(RegistryError::NotConfigured);
        }
        for sink in self.plan.sink_schemas() {
            let mut patience = Patience::new(&self.query);
            while let Err(error) = self.registry.prepare(&sink).await {
                patience.wait_after(error).await?;
            }
            patience.end();
        }
        Ok(())
    }

    /// Whether a record cannot be processed before something is [learned](Self::learn).
    pub(crate) fn misses(&self, record: &Record) -> bool {
        self.learns && self.missing(record).is_some()
    }

    /// Learns what has to be known before a record can be processed. Waits for a registry that is away; a schema that
    /// cannot be had is noted as such, and the record with it.
    pub(crate) async fn learn(&self, record: &Record) {
        while let Some(missing) = self.missing(record) {
            let mut patience = Patience::new(&self.query);
            let schema = loop {
                match self.registry.read(&missing).await {
                    Ok(schema) => break Ok(schema),
                    Err(error) => {
                        if let Err(error) = patience.wait_after(error).await {
                            break Err(error);
                        }
                    }
                }
            };
            patience.end();
            self.plan
                .learn_schema(&missing, schema.as_ref().map_err(ToString::to_string));
        }
    }
}

/// How a query waits for a registry that is away.
struct Patience<'a> {
    query: &'a str,
    delay: Duration,
    waits: bool,
}

impl<'a> Patience<'a> {
    pub(super) fn new(query: &'a str) -> Self {
        Self {
            query,
            delay: RETRY.0,
            waits: false,
        }
    }

    /// Waits, or hands back an error that will be there the next time as well.
    async fn wait_after(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        if !error.may_pass() {
            return Err(error);
        }
        if !self.waits {
            tracing::warn!("query {} waits for the Schema Registry: {error}", self.query);
        }
        self.waits = true;
        sleep(self.delay).await;
        self.delay = (self.delay * 2).min(RETRY.1);
        Ok(())
    }

    fn end(self) {
        if self.waits {
            tracing::info!("query {} goes on: the Schema Registry has answered", self.query);
        }
    }
}
