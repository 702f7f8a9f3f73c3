//! rskafka: a small client that has neither groups nor transactions.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use chrono::DateTime;
use osqdemo_clients::{Absent, Client, Join, Never, Start, bootstrap, expect, now_ms, run, unique, version_of};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client as Connected, ClientBuilder};
use rskafka::record::Record;

const TIMEOUT_MS: i32 = 10_000;
const NO_GROUPS: Absent = Absent("rskafka has no groups");

struct Rskafka(Connected);

impl Rskafka {
    async fn partition(&self, topic: &str, partition: i32) -> Result<PartitionClient> {
        let handling = UnknownTopicHandling::Retry;
        Ok(self.0.partition_client(topic, partition, handling).await?)
    }

    async fn partitions_of(&self, topic: &str) -> Result<Option<usize>> {
        let topics = self.0.list_topics().await?;
        let found = topics.into_iter().find(|found| found.name == topic);
        Ok(found.map(|found| found.partitions.len()))
    }
}

impl Client for Rskafka {
    type Transaction = Never;
    type Member = Never;

    fn name(&self) -> (&'static str, String) {
        ("rskafka", version_of("rskafka"))
    }

    async fn create(&self, topic: &str, partitions: i32) -> Result<()> {
        let controller = self.0.controller_client()?;
        Ok(controller.create_topic(topic, partitions, 1, TIMEOUT_MS).await?)
    }

    async fn send(
        &self,
        topic: &str,
        values: &[String],
        partition: i32,
        codec: &str,
        idempotent: bool,
    ) -> Result<()> {
        if idempotent {
            bail!(Absent("rskafka has no idempotent producer"));
        }
        let compression = match codec {
            "none" => Compression::NoCompression,
            "gzip" => Compression::Gzip,
            "lz4" => Compression::Lz4,
            "snappy" => Compression::Snappy,
            "zstd" => Compression::Zstd,
            other => bail!("there is no codec {other}"),
        };
        let records = values.iter().map(|value| Record {
            key: None,
            value: Some(value.clone().into_bytes()),
            headers: BTreeMap::new(),
            timestamp: DateTime::from_timestamp_millis(now_ms()).expect("it is a time"),
        });
        let partition = self.partition(topic, partition).await?;
        partition.produce(records.collect(), compression).await?;
        Ok(())
    }

    async fn read(&self, topic: &str, start: Start, count: usize, committed: bool) -> Result<Vec<String>> {
        if committed {
            bail!(Absent("rskafka does not read what is committed"));
        }
        let partition = self.partition(topic, 0).await?;
        let mut offset = match start {
            Start::Beginning => partition.get_offset(OffsetAt::Earliest).await?,
            Start::Offset(offset) => offset,
            Start::Time(time) => {
                let time = DateTime::from_timestamp_millis(time).expect("it is a time");
                partition.get_offset(OffsetAt::Timestamp(time)).await?
            }
            Start::End(value) => {
                let offset = partition.get_offset(OffsetAt::Latest).await?;
                self.send(topic, &[value.to_owned()], 0, "none", false).await?;
                offset
            }
        };
        let mut values = Vec::new();
        while values.len() < count {
            let (records, _) = partition.fetch_records(offset, 1..1_000_000, 1_000).await?;
            for found in records {
                offset = found.offset + 1;
                values.push(String::from_utf8(found.record.value.unwrap_or_default())?);
            }
        }
        Ok(values)
    }

    async fn transaction(&self, _id: &str) -> Result<Never> {
        bail!(Absent("rskafka has no transactions"))
    }

    async fn committed(&self, _group: &str, _topic: &str) -> Result<i64> {
        bail!(NO_GROUPS)
    }

    async fn member(&self, _join: Join<'_>) -> Result<Never> {
        bail!(NO_GROUPS)
    }

    async fn admin(&self, what: &str) -> Result<()> {
        let topic = unique("topic");
        match what {
            "topics" => {
                self.create(&topic, 2).await?;
                expect(self.partitions_of(&topic).await?, Some(2), "partitions")?;
                // It cannot give a topic more of them.
                self.0.controller_client()?.delete_topic(&topic, TIMEOUT_MS).await?;
                expect(self.partitions_of(&topic).await?, None, "partitions of a deleted topic")
            }
            "records" => {
                self.create(&topic, 1).await?;
                let values = ["1", "2", "3"].map(str::to_owned);
                self.send(&topic, &values, 0, "none", false).await?;
                self.partition(&topic, 0).await?.delete_records(2, TIMEOUT_MS).await?;
                let found = self.read(&topic, Start::Beginning, 1, false).await?;
                expect(found, vec!["3".to_owned()], "values")
            }
            _ => bail!(Absent("rskafka has no administration but of topics and records")),
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    run(Rskafka(ClientBuilder::new(vec![bootstrap()]).build().await?)).await
}
