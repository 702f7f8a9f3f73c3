//! What people ask: who is in groups of either protocol, and how large topics are.

mod support;

use std::collections::BTreeMap;

use osqdemo_broker::asking::{self, Cluster};
use rdkafka::consumer::{CommitMode, Consumer};
use support::{TestBroker, receive, send, subscribed};

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_either_protocol_and_sizes_are_told() {
    let broker = TestBroker::start().await;
    let producer = broker.producer();
    for _ in 0..10 {
        send(&producer, "lines", &"x".repeat(100)).await;
    }
    let classic = subscribed(broker.consumer("classic"), "lines");
    receive(&classic, 10).await;
    classic.commit_consumer_state(CommitMode::Sync).unwrap();
    let newer = broker
        .client()
        .set("group.id", "newer")
        .set("group.protocol", "consumer")
        .set("client.id", "newer")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    let newer = subscribed(newer, "lines");
    receive(&newer, 10).await;

    let groups = asking::groups(&Cluster::plain(&broker.bootstrap)).await.unwrap();
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["classic", "newer"]);
    for (group, protocol) in groups.iter().zip(["classic", "consumer"]) {
        assert_eq!(group.protocol, protocol, "{group:?}");
        assert_eq!(group.state, "Stable");
        assert_eq!(group.members.len(), 1, "{group:?}");
        let expected = BTreeMap::from([("lines".to_owned(), vec![0])]);
        assert_eq!(group.members[0].assigned, expected);
        assert_eq!(group.members[0].host, "127.0.0.1");
    }
    assert_eq!(groups[1].members[0].client_id, "newer");

    let sizes = asking::sizes(&Cluster::plain(&broker.bootstrap)).await.unwrap();
    assert!((1_000..10_000).contains(&sizes["lines"]), "{sizes:?}");
    drop((classic, newer));
    broker.stop().await;
}

#[tokio::test]
async fn who_is_no_broker_is_told() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = silent.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    });
    let error = asking::groups(&Cluster::plain(address)).await.unwrap_err();
    assert!(error.to_string().contains("this is no Kafka broker"), "{error}");
    drop(answering);
}
