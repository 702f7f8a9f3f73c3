//! How far a pull is, from the news of its layers.

use std::collections::BTreeMap;

use crate::events::{Activity, ByteCount, Change, LayerCount, PartNews};

/// One layer: what it is doing, and how many bytes of how many have come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Layer {
    status: String,
    current: u64,
    total: u64,
}

/// How far a pull is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PullProgress {
    layers: BTreeMap<String, Layer>,
}

/// What the daemon says of layers that are not layers: `Pulling from …` carries the tag as its id.
const NOT_OF_A_LAYER: &str = "Pulling from";

impl PullProgress {
    /// Takes one piece of news: of a layer, in the daemon's words, with bytes where it tells them. Returns it as news
    /// of the layer.
    pub fn take(&mut self, layer: &str, status: &str, bytes: Option<(u64, u64)>) -> Option<PartNews> {
        if layer.is_empty() || status.starts_with(NOT_OF_A_LAYER) {
            return None;
        }
        let entry = self.layers.entry(layer.to_owned()).or_default();
        // While a layer is unpacked the daemon counts its bytes a second time.
        if status == "Downloading"
            && let Some((current, total)) = bytes
        {
            entry.current = entry.current.max(current);
            entry.total = entry.total.max(total);
        }
        if is_downloaded(status) {
            entry.current = entry.total;
        }
        let change = if entry.status == status {
            Change::Bytes
        } else {
            status.clone_into(&mut entry.status);
            Change::Doing
        };
        Some(PartNews {
            layer: layer.to_owned(),
            status: status.to_owned(),
            bytes: bytes.map(|(current, total)| ByteCount { current, total }),
            change,
            activity: activity(status),
        })
    }

    /// How far it is: layers done, and bytes of those whose size is known.
    pub fn count(&self) -> LayerCount {
        let is_done = |layer: &&Layer| matches!(layer.status.as_str(), "Pull complete" | "Already exists");
        let bytes = |of: fn(&Layer) -> u64| self.layers.values().map(of).sum::<u64>();
        let (current, total) = (bytes(|layer| layer.current), bytes(|layer| layer.total));
        LayerCount {
            done: self.layers.values().filter(is_done).count(),
            layers: self.layers.len(),
            bytes: (total > 0).then_some(ByteCount { current, total }),
        }
    }
}

fn activity(status: &str) -> Activity {
    match status {
        "Pulling fs layer" | "Waiting" | "Download complete" | "Pull complete" | "Already exists" => {
            Activity::Still
        }
        _ => Activity::Moving,
    }
}

fn is_downloaded(status: &str) -> bool {
    matches!(
        status,
        "Verifying Checksum" | "Download complete" | "Extracting" | "Pull complete"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layers_are_counted() {
        let mut progress = PullProgress::default();
        let count = |progress: &PullProgress| {
            let LayerCount { done, layers, bytes } = progress.count();
            (
                done,
                layers,
                bytes.map(|bytes| (bytes.current >> 20, bytes.total >> 20)),
            )
        };
        assert_eq!(count(&progress), (0, 0, None));
        assert_eq!(
            progress.take("7.9.8", "Pulling from confluentinc/cp-server", None),
            None
        );
        let news = progress.take("a1", "Pulling fs layer", None).expect("news");
        assert_eq!(
            (news.layer.as_str(), news.status.as_str()),
            ("a1", "Pulling fs layer")
        );
        assert_eq!((news.change, news.activity), (Change::Doing, Activity::Still));
        progress.take("b2", "Already exists", None);
        assert_eq!(count(&progress), (1, 2, None));
        progress.take("a1", "Downloading", Some((1 << 20, 4 << 20)));
        let news = progress
            .take("a1", "Downloading", Some((2 << 20, 4 << 20)))
            .expect("news");
        assert_eq!((news.change, news.activity), (Change::Bytes, Activity::Moving));
        assert_eq!(count(&progress), (1, 2, Some((2, 4))));
        progress.take("a1", "Extracting", Some((1, 4 << 20)));
        assert_eq!(count(&progress), (1, 2, Some((4, 4))));
        progress.take("a1", "Pull complete", None);
        assert_eq!(count(&progress), (2, 2, Some((4, 4))));
    }

    proptest! {
        #[test]
        fn any_news_is_taken(
            news in prop::collection::vec(("[ab]{0,2}", "(Downloading|Extracting|Pull complete|x)", any::<Option<(u64, u64)>>()), 0..20)
        ) {
            let mut progress = PullProgress::default();
            for (layer, status, bytes) in news {
                // A daemon tells fewer bytes than would overflow the sum.
                progress.take(&layer, &status, bytes.map(|(current, total)| (current >> 8, total >> 8)));
            }
            let _ = progress.count();
        }
    }
}
