//! krafka: a client of its own, with transactions of the second protocol.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use krafka::admin::{
    AclBinding, AclFilter, AclResourceType, ConfigOp, ConfigResource, NewTopic, ScramCredentialDeletion,
    ScramCredentialUpsertion, TopicPartition,
};
use krafka::auth::ScramMechanism;
use krafka::consumer::{
    AutoOffsetReset, Consumer, GroupProtocol, IsolationLevel, PartitionAssignmentStrategy,
};
use krafka::producer::{TopicPartitionOffset, TransactionalProducer};
use krafka::{Compression, Kafka, Record};
use osqdemo_clients::{
    Absent, Client, DEADLINE, Join, Journal, Member, Reading, Start, Transaction, bootstrap, expect, run, unique, until,
    version_of,
};

const POLL: Duration = Duration::from_millis(200);

struct Krafka(Arc<Kafka>);

impl Krafka {
    async fn partitions_of(&self, topic: &str) -> Result<usize> {
        let admin = self.0.admin();
        let mut topics = admin.describe_topics([topic], Default::default()).await?;
        Ok(topics.remove(topic).context("the topic is not described")??.partitions.len())
    }
}

/// What is said of one thing in an answer about several.
fn only<K, T>(answer: impl IntoIterator<Item = (K, krafka::Result<T>)>) -> Result<T> {
    let (_, one) = answer.into_iter().next().context("an empty answer")?;
    Ok(one?)
}

impl Client for Krafka {
    type Transaction = InTransaction;
    type Member = InGroup;

    fn name(&self) -> (&'static str, String) {
        ("krafka", version_of("krafka"))
    }

    async fn create(&self, topic: &str, partitions: i32) -> Result<()> {
        let topic = NewTopic::new(topic, partitions, 1)?;
        only(self.0.admin().create_topics([topic], Default::default()).await?)
    }

    async fn send(
        &self,
        topic: &str,
        values: &[String],
        partition: i32,
        codec: &str,
        idempotent: bool,
    ) -> Result<()> {
        let compression = match codec {
            "none" => Compression::None,
            "gzip" => Compression::Gzip,
            "lz4" => Compression::Lz4,
            "snappy" => Compression::Snappy,
            "zstd" => Compression::Zstd,
            other => bail!("there is no codec {other}"),
        };
        let producer = self.0.producer().compression(compression).idempotent(idempotent).build().await?;
        let mut acknowledged = Vec::new();
        for value in values {
            let record = Record::new(topic, value.clone()).partition(partition);
            acknowledged.push(producer.enqueue(record).await?);
        }
        for handle in acknowledged {
            handle.await?;
        }
        Ok(producer.close().await?)
    }

    async fn read(&self, topic: &str, start: Start, count: usize, committed: bool) -> Result<Vec<String>> {
        let isolation = match committed {
            true => IsolationLevel::ReadCommitted,
            false => IsolationLevel::ReadUncommitted,
        };
        let consumer = self.0.consumer_without_group().isolation_level(isolation);
        let consumer = consumer.auto_offset_reset(AutoOffsetReset::Earliest).build().await?;
        consumer.assign(topic, vec![0]).await?;
        match start {
            Start::Beginning => consumer.seek_to_beginning(topic, 0).await?,
            Start::Offset(offset) => consumer.seek(topic, 0, offset).await?,
            Start::Time(time) => consumer.seek_to_timestamp(topic, 0, time).await?,
            Start::End(value) => {
                consumer.seek_to_end(topic, 0).await?;
                consumer.position(topic, 0).await.context("the end is not known")?;
                self.send(topic, &[value.to_owned()], 0, "none", false).await?;
            }
        }
        let mut values = Vec::new();
        while values.len() < count {
            for record in consumer.poll(POLL).await? {
                values.push(record.value_str().unwrap_or_default().to_owned());
            }
        }
        consumer.close().await?;
        Ok(values)
    }

    async fn transaction(&self, id: &str) -> Result<InTransaction> {
        let producer = self.0.producer().build_transactional(id).await?;
        Ok(InTransaction { kafka: Arc::clone(&self.0), producer, reader: None, is_open: false })
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<i64> {
        let admin = self.0.admin();
        let offsets = admin.list_consumer_group_offsets(group, Default::default()).await?;
        let mut found = offsets.into_iter().filter(|(partition, _)| partition.topic == topic);
        match found.next() {
            Some((_, offset)) => Ok(offset?.offset.unwrap_or(-1)),
            None => Ok(-1),
        }
    }

    async fn member(&self, join: Join<'_>) -> Result<InGroup> {
        let mut consumer = self.0.consumer(join.group).auto_offset_reset(AutoOffsetReset::Earliest);
        consumer = consumer.enable_auto_commit(false);
        consumer = match join.assignor {
            None => consumer.group_protocol(GroupProtocol::Consumer),
            Some(assignor) => {
                let strategy = match assignor {
                    "range" => PartitionAssignmentStrategy::Range,
                    "roundrobin" => PartitionAssignmentStrategy::RoundRobin,
                    "cooperative-sticky" => PartitionAssignmentStrategy::CooperativeSticky,
                    _ => bail!(Absent("krafka has no eager sticky assignor")),
                };
                consumer
                    .partition_assignment_strategy(strategy)
                    .session_timeout(Duration::from_secs(10))
                    .heartbeat_interval(Duration::from_millis(500))
            }
        };
        if let Some(instance) = join.instance {
            consumer = consumer.group_instance_id(instance);
        }
        let consumer = Arc::new(consumer.build().await?);
        consumer.subscribe([join.topic]).await?;
        let (journal, topic) = (Journal::default(), join.topic.to_owned());
        let (reader, noted) = (Arc::clone(&consumer), journal.clone());
        let reading = Reading::spawn(|stopped| async move {
            while !*stopped.borrow() {
                match reader.poll(POLL).await {
                    Ok(records) => {
                        for record in records {
                            noted.add(record.value_str().unwrap_or_default().to_owned());
                        }
                    }
                    Err(error) => eprintln!("a member: {error}"),
                }
                let mut assigned = reader.assignment().await;
                noted.assign(assigned.remove(&topic).unwrap_or_default());
            }
        });
        Ok(InGroup { consumer, reading, journal })
    }

    async fn admin(&self, what: &str) -> Result<()> {
        let admin = self.0.admin();
        let topic = unique("topic");
        match what {
            "topics" => {
                self.create(&topic, 2).await?;
                expect(self.partitions_of(&topic).await?, 2, "partitions")?;
                only(admin.create_partitions([(&topic, 5)], Default::default()).await?)?;
                expect(self.partitions_of(&topic).await?, 5, "partitions")?;
                only(admin.delete_topics([&topic], Default::default()).await?)
            }
            "settings" => {
                self.create(&topic, 1).await?;
                let resource = ConfigResource::topic(&topic);
                let change = (resource.clone(), vec![ConfigOp::set("retention.ms", "1234567")]);
                only(admin.incremental_alter_configs([change], Default::default()).await?)?;
                let settings = only(admin.describe_configs([resource], Default::default()).await?)?;
                let setting = settings.into_iter().find(|setting| setting.name == "retention.ms");
                let value = setting.context("retention.ms is not described")?.value;
                expect(value.as_deref(), Some("1234567"), "retention.ms")
            }
            "records" => {
                self.create(&topic, 1).await?;
                let values = ["1", "2", "3"].map(str::to_owned);
                self.send(&topic, &values, 0, "none", false).await?;
                let before = [(TopicPartition::new(&topic, 0), 2)];
                only(admin.delete_records(before, Default::default()).await?)?;
                let found = self.read(&topic, Start::Beginning, 1, false).await?;
                expect(found, vec!["3".to_owned()], "values")
            }
            "groups" => {
                let group = unique("group");
                self.create(&topic, 1).await?;
                self.send(&topic, &["1".to_owned()], 0, "none", false).await?;
                let join = Join { group: &group, topic: &topic, assignor: Some("range"), instance: None };
                let member = self.member(join).await?;
                until(|| "a record".to_owned(), || !member.journal.values().is_empty()).await?;
                member.commit().await?;
                let listed = only(admin.list_consumer_groups(Default::default()).await?)?;
                let is_listed = listed.iter().any(|listed| listed.group_id == group);
                expect(is_listed, true, "the group is listed")?;
                let described = only(admin.describe_consumer_groups([&group], Default::default()).await?)?;
                expect(described.members.len(), 1, "members")?;
                member.close().await?;
                expect(self.committed(&group, &topic).await?, 1, "offset")?;
                only(admin.delete_consumer_groups([&group], Default::default()).await?)
            }
            "cluster" => {
                let cluster = admin.describe_cluster(Default::default()).await?;
                expect(cluster.brokers.len(), 1, "brokers")
            }
            "ACLs" => {
                let rule = AclBinding::allow_read_topic(&topic, "User:alice");
                only(admin.create_acls(vec![rule], Default::default()).await?)?;
                let filter = AclFilter::for_resource(AclResourceType::Topic, &topic);
                let described = admin.describe_acls(filter.clone(), Default::default()).await?;
                expect(described.len(), 1, "rules")?;
                let deleted = only(admin.delete_acls(vec![filter], Default::default()).await?)?;
                expect(deleted.deleted.len(), 1, "rules deleted")
            }
            "users" => {
                let user = unique("user");
                let mechanism = ScramMechanism::Sha512;
                let made = ScramCredentialUpsertion {
                    name: user.clone(),
                    mechanism,
                    iterations: 8192,
                    salt: b"some salt".to_vec().into(),
                    // Salting is left to who calls; nobody comes in with this.
                    salted_password: vec![7; 64].into(),
                };
                let alter = |gone, made| admin.alter_user_scram_credentials(gone, made, Default::default());
                only(alter(Vec::new(), vec![made]).await?)?;
                let users = Some(vec![user.clone()]);
                let described = only(admin.describe_user_scram_credentials(users, Default::default()).await?)?;
                expect(described.len(), 1, "credentials")?;
                let gone = ScramCredentialDeletion { name: user, mechanism };
                only(alter(vec![gone], Vec::new()).await?)
            }
            other => bail!("there is no check of {other}"),
        }
    }
}

struct InTransaction {
    kafka: Arc<Kafka>,
    producer: TransactionalProducer,
    /// The member whose offsets are committed: krafka commits none of nobody's.
    reader: Option<Consumer>,
    is_open: bool,
}

impl InTransaction {
    fn begin(&mut self) -> Result<()> {
        if !self.is_open {
            self.producer.begin()?;
            self.is_open = true;
        }
        Ok(())
    }
}

impl Transaction for InTransaction {
    async fn send(&mut self, topic: &str, values: &[String]) -> Result<()> {
        self.begin()?;
        for value in values {
            let _ = self.producer.send(Record::new(topic, value.clone()).partition(0)).await?;
        }
        Ok(())
    }

    async fn offsets(&mut self, group: &str, topic: &str, offset: i64) -> Result<()> {
        self.begin()?;
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let reader = self.kafka.consumer(group).enable_auto_commit(false).build().await?;
                reader.subscribe([topic]).await?;
                reader
            }
        };
        let began = Instant::now();
        let group = loop {
            reader.poll(POLL).await?;
            match reader.group_metadata().await {
                Some(group) if group.is_fenceable() => break group,
                _ => ensure!(began.elapsed() < DEADLINE, "no member within {DEADLINE:?}"),
            }
        };
        self.reader = Some(reader);
        let offsets = [TopicPartitionOffset::new(topic, 0, offset)];
        Ok(self.producer.send_offsets(&offsets, &group).await?)
    }

    async fn end(&mut self, commit: bool) -> Result<()> {
        self.is_open = false;
        match commit {
            true => self.producer.commit().await?,
            false => self.producer.abort().await?,
        }
        Ok(())
    }
}

struct InGroup {
    consumer: Arc<Consumer>,
    reading: Reading,
    journal: Journal,
}

impl Member for InGroup {
    fn journal(&self) -> &Journal {
        &self.journal
    }

    async fn commit(&self) -> Result<()> {
        Ok(self.consumer.commit().await?)
    }

    async fn close(self) -> Result<()> {
        self.reading.end().await?;
        Ok(self.consumer.close().await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    run(Krafka(Arc::new(Kafka::builder(bootstrap()).connect().await?))).await
}
