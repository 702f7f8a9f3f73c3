//! A producer that writes in transactions, together with the positions of what it was made from.
//!
//! One a query, under a name of its own: whoever opens it next ends what the one before it left open, and that one
//! can write no more. Its calls block, so they are made on a thread that nobody waits for when the process ends.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::oneshot;

use super::GroupConsumer;
use super::closing::ClosedElsewhere;
use super::cluster::Cluster;
use super::context::Context;
use super::producer::OutgoingRecord;

/// How long a transaction may be begun, committed or ended at most.
const DEADLINE: Duration = Duration::from_secs(30);

/// Positions as they are committed, for the group of a consumer.
pub(crate) struct Offsets {
    pub(super) consumer: Arc<GroupConsumer>,
    pub(super) offsets: TopicPartitionList,
}

/// A producer of transactions.
pub(crate) struct TransactionalProducer {
    producer: Arc<ClosedElsewhere<BaseProducer<Context>>>,
    is_open: bool,
}

impl TransactionalProducer {
    /// Takes over from whoever wrote under that name before: what is not committed of theirs never will be.
    pub(crate) async fn open(cluster: &Cluster, name: &str) -> KafkaResult<Self> {
        let mut config = cluster.client_config("ksqldb-transactions");
        config
            .set("transactional.id", name)
            .set("linger.ms", "0")
            // Java's partitioner, so that keys land where every other Kafka client expects them.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.kbytes", "16384")
            .set("message.timeout.ms", "20000");
        let producer: BaseProducer<Context> = config.create_with_context(Context)?;
        let producer = Arc::new(ClosedElsewhere::new(producer));
        on_a_thread(&producer, |producer| producer.init_transactions(DEADLINE)).await?;
        Ok(Self {
            producer,
            is_open: false,
        })
    }

    /// Adds a record to the transaction. `false`: there is no room before the next commit.
    pub(crate) fn send(&mut self, record: OutgoingRecord<'_>) -> KafkaResult<bool> {
        if !self.is_open {
            self.producer.begin_transaction()?;
            self.is_open = true;
        }
        match self.producer.send(record.with(())) {
            Ok(()) => Ok(true),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(false),
            Err((error, _)) => Err(error),
        }
    }

    /// Waits until what was added is with the broker, so that there is room for more.
    pub(crate) async fn make_room(&self) -> KafkaResult<()> {
        on_a_thread(&self.producer, |producer| producer.flush(DEADLINE)).await
    }

    /// Commits the records and the positions, both or neither. After an error the producer is of no more use.
    pub(crate) async fn commit(&mut self, positions: Offsets) -> KafkaResult<()> {
        if !self.is_open {
            self.producer.begin_transaction()?;
            self.is_open = true;
        }
        on_a_thread(&self.producer, move |producer| {
            producer.flush(DEADLINE)?;
            let group = positions.consumer.group_metadata();
            let group = group.ok_or_else(|| KafkaError::Subscription("no consumer group".to_owned()))?;
            producer.send_offsets_to_transaction(&positions.offsets, &group, DEADLINE)?;
            producer.commit_transaction(DEADLINE)
        })
        .await?;
        self.is_open = false;
        Ok(())
    }
}

async fn on_a_thread(
    producer: &Arc<ClosedElsewhere<BaseProducer<Context>>>,
    call: impl FnOnce(&BaseProducer<Context>) -> KafkaResult<()> + Send + 'static,
) -> KafkaResult<()> {
    let producer = Arc::clone(producer);
    let (answer, answered) = oneshot::channel();
    let calling = move || {
        // Whoever gave up waiting does not want the answer.
        let _ = answer.send(call(&producer));
    };
    std::thread::Builder::new()
        .name("kafka-transaction".to_owned())
        .spawn(calling)
        .map_err(|error| KafkaError::ClientCreation(format!("no thread for a transaction: {error}")))?;
    answered.await.unwrap_or(Err(KafkaError::Canceled))
}
