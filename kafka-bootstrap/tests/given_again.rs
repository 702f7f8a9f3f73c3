//! A client that reaches nobody, and a cluster that is there.

use std::time::{Duration, Instant};

use osqdemo_kafka_bootstrap::Bootstrap;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;

const PATIENCE: Duration = Duration::from_millis(500);

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("log_level", "0");
    config
}

#[test]
fn a_client_that_reaches_nobody_gets_its_servers_again() {
    let cluster = MockCluster::new(1).expect("a cluster");
    // Nobody listens there: the client is as one that let every broker go.
    let client: BaseConsumer = config("127.0.0.1:1").create().expect("a client");
    let bootstrap = Bootstrap::of(&config(&cluster.bootstrap_servers()));
    client
        .fetch_metadata(None, PATIENCE)
        .expect_err("somebody answers");
    let limit = Instant::now() + Duration::from_secs(30);
    while let Err(error) = bootstrap.fetch_metadata(client.client(), None, PATIENCE) {
        assert!(Instant::now() < limit, "it never finds the cluster: {error}");
    }
}
