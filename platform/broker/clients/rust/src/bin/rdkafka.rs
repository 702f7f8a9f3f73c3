//! rdkafka: librdkafka behind Rust's names.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use osqdemo_clients::{
    Absent, Client, DEADLINE, Join, Journal, Member, Reading, Start, Transaction, bootstrap, expect, run, unique, until,
    version_of,
};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::get_rdkafka_version;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

const POLL: Duration = Duration::from_millis(200);

struct Rdkafka {
    bootstrap: String,
    admin: AdminClient<DefaultClientContext>,
}

fn config(bootstrap: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config
}

/// Sends and waits for every acknowledgement. It is asked for by `flush` alone; a failure shows in what is read.
fn produce(producer: &BaseProducer, topic: &str, values: &[String], partition: i32) -> Result<()> {
    for value in values {
        let record: BaseRecord<'_, (), String> = BaseRecord::to(topic).payload(value).partition(partition);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(DEADLINE)?;
    ensure!(producer.in_flight_count() == 0, "something was not acknowledged");
    Ok(())
}

/// What is said of one thing in an answer about several.
fn only<T, E: std::fmt::Debug>(answer: Vec<Result<T, E>>) -> Result<T> {
    let one = answer.into_iter().next().context("an empty answer")?;
    one.map_err(|error| anyhow::anyhow!("{error:?}"))
}

impl Rdkafka {
    fn consumer(&self, settings: &[(&str, &str)]) -> Result<BaseConsumer> {
        let mut config = config(&self.bootstrap, &[("enable.auto.commit", "false"), ("group.id", "none")]);
        for (name, value) in settings {
            config.set(*name, *value);
        }
        Ok(config.create()?)
    }

    fn partitions_of(&self, topic: &str) -> Result<usize> {
        let found = self.admin.inner().fetch_metadata(Some(topic), DEADLINE)?;
        Ok(found.topics()[0].partitions().len())
    }
}

impl Client for Rdkafka {
    type Transaction = InTransaction;
    type Member = InGroup;

    fn name(&self) -> (&'static str, String) {
        let (_, library) = get_rdkafka_version();
        ("rdkafka", format!("{} (librdkafka {library})", version_of("rdkafka")))
    }

    async fn create(&self, topic: &str, partitions: i32) -> Result<()> {
        let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        only(self.admin.create_topics([&topic], &AdminOptions::new()).await?).map(|_| ())
    }

    async fn send(
        &self,
        topic: &str,
        values: &[String],
        partition: i32,
        codec: &str,
        idempotent: bool,
    ) -> Result<()> {
        let idempotent = idempotent.to_string();
        let settings = [
            ("compression.type", codec),
            ("enable.idempotence", idempotent.as_str()),
            ("linger.ms", "5"),
        ];
        let producer: BaseProducer = config(&self.bootstrap, &settings).create()?;
        produce(&producer, topic, values, partition)
    }

    async fn read(&self, topic: &str, start: Start, count: usize, committed: bool) -> Result<Vec<String>> {
        let isolation = match committed {
            true => "read_committed",
            false => "read_uncommitted",
        };
        let consumer = self.consumer(&[("isolation.level", isolation)])?;
        let offset = match start {
            Start::Beginning => Offset::Beginning,
            Start::Offset(offset) => Offset::Offset(offset),
            Start::Time(time) => {
                let mut asked = TopicPartitionList::new();
                asked.add_partition_offset(topic, 0, Offset::Offset(time))?;
                consumer.offsets_for_times(asked, DEADLINE)?.elements()[0].offset()
            }
            Start::End(_) => Offset::Offset(consumer.fetch_watermarks(topic, 0, DEADLINE)?.1),
        };
        let mut assigned = TopicPartitionList::new();
        assigned.add_partition_offset(topic, 0, offset)?;
        consumer.assign(&assigned)?;
        if let Start::End(value) = start {
            self.send(topic, &[value.to_owned()], 0, "none", false).await?;
        }
        let mut values = Vec::new();
        while values.len() < count {
            let message = consumer.poll(DEADLINE).with_context(|| format!("{} of {count} values", values.len()))??;
            values.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
        }
        Ok(values)
    }

    async fn transaction(&self, id: &str) -> Result<InTransaction> {
        let producer: BaseProducer = config(&self.bootstrap, &[("transactional.id", id)]).create()?;
        producer.init_transactions(DEADLINE)?;
        Ok(InTransaction { bootstrap: self.bootstrap.clone(), producer, is_open: false })
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<i64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, 0);
        let found = self.consumer(&[("group.id", group)])?.committed_offsets(asked, DEADLINE)?;
        Ok(match found.elements()[0].offset() {
            Offset::Offset(offset) => offset,
            _ => -1,
        })
    }

    async fn member(&self, join: Join<'_>) -> Result<InGroup> {
        let mut settings = vec![("group.id", join.group), ("auto.offset.reset", "earliest")];
        match join.assignor {
            None => settings.push(("group.protocol", "consumer")),
            Some("sticky") => bail!(Absent("librdkafka has no eager sticky assignor")),
            Some(assignor) => settings.extend([
                ("partition.assignment.strategy", assignor),
                ("session.timeout.ms", "10000"),
                ("heartbeat.interval.ms", "500"),
            ]),
        }
        if let Some(instance) = join.instance {
            settings.push(("group.instance.id", instance));
        }
        let consumer = Arc::new(self.consumer(&settings)?);
        consumer.subscribe(&[join.topic])?;
        let journal = Journal::default();
        let (reader, noted) = (Arc::clone(&consumer), journal.clone());
        let reading = Reading::spawn(|stopped| async move {
            while !*stopped.borrow() {
                let polled = Arc::clone(&reader);
                // Its poll blocks.
                let read = tokio::task::spawn_blocking(move || {
                    let message = polled.poll(POLL)?;
                    Some(message.map(|message| message.payload().map(<[u8]>::to_vec).unwrap_or_default()))
                });
                match read.await {
                    Ok(Some(Ok(value))) => noted.add(String::from_utf8_lossy(&value).into_owned()),
                    Ok(Some(Err(error))) => eprintln!("a member: {error}"),
                    Ok(None) | Err(_) => {}
                }
                if let Ok(assigned) = reader.assignment() {
                    noted.assign(assigned.elements().iter().map(|found| found.partition()).collect());
                }
            }
        });
        Ok(InGroup { consumer, reading, journal })
    }

    async fn admin(&self, what: &str) -> Result<()> {
        let (admin, options) = (&self.admin, AdminOptions::new());
        let topic = unique("topic");
        match what {
            "topics" => {
                self.create(&topic, 2).await?;
                expect(self.partitions_of(&topic)?, 2, "partitions")?;
                let grown = NewPartitions::new(&topic, 5);
                only(admin.create_partitions([&grown], &options).await?)?;
                expect(self.partitions_of(&topic)?, 5, "partitions")?;
                only(admin.delete_topics(&[&topic], &options).await?).map(|_| ())
            }
            "settings" => {
                self.create(&topic, 1).await?;
                let resource = ResourceSpecifier::Topic(&topic);
                let change = AlterConfig::new(resource).set("retention.ms", "1234567");
                only(admin.alter_configs([&change], &options).await?)?;
                let described = only(admin.describe_configs([&resource], &options).await?)?;
                let setting = described.get("retention.ms").context("retention.ms is not described")?;
                expect(setting.value.as_deref(), Some("1234567"), "retention.ms")
            }
            "records" => {
                self.create(&topic, 1).await?;
                let values = ["1", "2", "3"].map(str::to_owned);
                self.send(&topic, &values, 0, "none", false).await?;
                let mut before = TopicPartitionList::new();
                before.add_partition_offset(&topic, 0, Offset::Offset(2))?;
                admin.delete_records(&before, &options).await?.elements()[0].error()?;
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
                let listed = self.consumer(&[])?.fetch_group_list(None, DEADLINE)?;
                let listed = listed.groups().iter().find(|listed| listed.name() == group);
                expect(listed.map(|listed| listed.members().len()), Some(1), "members")?;
                member.close().await?;
                expect(self.committed(&group, &topic).await?, 1, "offset")?;
                only(admin.delete_groups(&[&group], &options).await?).map(|_| ())
            }
            "cluster" => {
                let cluster = admin.inner().fetch_metadata(None, DEADLINE)?;
                expect(cluster.brokers().len(), 1, "brokers")
            }
            "ACLs" => bail!(Absent("rdkafka cannot make rules")),
            "users" => bail!(Absent("rdkafka cannot make users")),
            other => bail!("there is no check of {other}"),
        }
    }
}

struct InTransaction {
    bootstrap: String,
    producer: BaseProducer,
    is_open: bool,
}

impl InTransaction {
    fn begin(&mut self) -> Result<()> {
        if !self.is_open {
            self.producer.begin_transaction()?;
            self.is_open = true;
        }
        Ok(())
    }
}

impl Transaction for InTransaction {
    async fn send(&mut self, topic: &str, values: &[String]) -> Result<()> {
        self.begin()?;
        produce(&self.producer, topic, values, 0)
    }

    async fn offsets(&mut self, group: &str, topic: &str, offset: i64) -> Result<()> {
        self.begin()?;
        let consumer: BaseConsumer = config(&self.bootstrap, &[("group.id", group)]).create()?;
        let group = consumer.group_metadata().context("the group is not known")?;
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, 0, Offset::Offset(offset))?;
        Ok(self.producer.send_offsets_to_transaction(&offsets, &group, DEADLINE)?)
    }

    async fn end(&mut self, commit: bool) -> Result<()> {
        self.is_open = false;
        match commit {
            true => self.producer.commit_transaction(DEADLINE)?,
            false => self.producer.abort_transaction(DEADLINE)?,
        }
        Ok(())
    }
}

struct InGroup {
    consumer: Arc<BaseConsumer>,
    reading: Reading,
    journal: Journal,
}

impl Member for InGroup {
    fn journal(&self) -> &Journal {
        &self.journal
    }

    async fn commit(&self) -> Result<()> {
        Ok(self.consumer.commit_consumer_state(CommitMode::Sync)?)
    }

    async fn close(self) -> Result<()> {
        self.reading.end().await?;
        drop(self.consumer);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let bootstrap = bootstrap();
    let admin = config(&bootstrap, &[]).create()?;
    run(Rdkafka { bootstrap, admin }).await
}
