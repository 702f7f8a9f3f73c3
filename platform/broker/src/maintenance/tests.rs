//! When records are given up.

use std::collections::BTreeMap;

use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::node::tests::simulated;
use crate::storage::batch::tests::Sample;
use crate::topics::Commitment;

/// Old records that are copied here are kept until age is looked at, however much else is written meanwhile.
#[tokio::test]
async fn size_is_looked_at_with_every_full_segment_and_age_now_and_then() {
    for (check_interval, ages) in [
        (Duration::from_secs(3600), false),
        (Duration::from_millis(20), true),
    ] {
        let (_disk, node, _folder) = simulated(1, |config| config.retention.check_interval = check_interval);
        let create = |name: &'static str, settings: &[(&str, &str)]| {
            let settings = settings.iter();
            let settings: BTreeMap<String, String> = settings
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let name = StrBytes::from_static_str(name);
            node.topics.create(&name, 1, settings, Commitment::Apply).unwrap()
        };
        // First by its name: whoever looks at the other has looked at it.
        let copied = create("copied", &[("retention.ms", "1000")]);
        let limited = create("limited", &[("segment.bytes", "200"), ("retention.bytes", "400")]);
        let batch = Sample::of(&["value"]).encode();
        for topic in [&copied, &limited] {
            for _ in 0..20 {
                topic.partitions[0]
                    .append(&batch, 5_000, topic.settings.log())
                    .unwrap();
            }
        }
        let retaining = tokio::spawn(apply_retention(Arc::clone(&node)));
        let start_of = |topic: &crate::topics::Topic| topic.partitions[0].bounds().start;
        let last = if ages { &copied } else { &limited };
        let started = std::time::Instant::now();
        while start_of(last) == 0 {
            // Segments are filled all the time.
            node.filled.notify_one();
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(started.elapsed() < Duration::from_secs(60));
        }
        // All of it: the segment that is written to goes as well, as with Kafka.
        assert_eq!(start_of(&copied), if ages { 20 } else { 0 });
        node.shutdown.cancel();
        retaining.await.unwrap();
    }
    let five_minutes = Duration::from_secs(5 * 60);
    assert_eq!(
        crate::config::RetentionDefaults::default().check_interval,
        five_minutes
    );
}
