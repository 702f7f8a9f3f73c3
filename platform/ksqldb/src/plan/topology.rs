//! The processors that Kafka Streams would run for a query, in the text form of its `TopologyDescription`.
//!
//! Clients print it. Nothing here runs by it: rows are re-keyed in memory, and the repartition topics that stand in
//! the text do not exist. The stores do, but for the windowed ones of a join of streams.

use super::explain::is_outer;
use crate::syntax::ast::JoinKind;

/// Processors and how they are connected.
#[derive(Debug, Default)]
pub(super) struct Topology {
    nodes: Vec<Node>,
    /// The number that the next processor gets.
    next: usize,
}

#[derive(Debug)]
struct Node {
    name: String,
    kind: Kind,
    before: Vec<usize>,
    after: Vec<usize>,
}

#[derive(Debug)]
enum Kind {
    Source(String),
    Processor(Vec<String>),
    Sink(String),
}

impl Topology {
    fn number(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    fn add(&mut self, name: String, kind: Kind, before: &[usize]) -> usize {
        let place = self.nodes.len();
        for other in before {
            self.nodes[*other].after.push(place);
        }
        self.nodes.push(Node {
            name,
            kind,
            before: before.to_vec(),
            after: Vec::new(),
        });
        place
    }

    /// The records of a topic, with the columns that every row has.
    pub(super) fn source(&mut self, topic: &str) -> usize {
        let name = format!("KSTREAM-SOURCE-{:010}", self.number());
        let source = self.add(name, Kind::Source(topic.to_owned()), &[]);
        let name = format!("KSTREAM-TRANSFORMVALUES-{:010}", self.number());
        self.add(name, Kind::Processor(Vec::new()), &[source])
    }

    /// The rows of a table's topic; `store` is where they are kept, if they are.
    pub(super) fn table(&mut self, topic: &str, store: Option<String>) -> usize {
        let name = format!("KSTREAM-SOURCE-{:010}", self.number());
        let source = self.add(name, Kind::Source(topic.to_owned()), &[]);
        let kept = self.numbered("KTABLE-SOURCE", store.into_iter().collect(), &[source]);
        self.numbered("KTABLE-TRANSFORMVALUES", Vec::new(), &[kept])
    }

    fn numbered(&mut self, kind: &str, stores: Vec<String>, before: &[usize]) -> usize {
        let name = format!("{kind}-{:010}", self.number());
        self.add(name, Kind::Processor(stores), before)
    }

    /// A processor with a name of its own.
    pub(super) fn processor(&mut self, name: &str, stores: &[String], before: &[usize]) -> usize {
        self.number();
        self.add(name.to_owned(), Kind::Processor(stores.to_vec()), before)
    }

    /// Where rows go to a client.
    pub(super) fn end(&mut self, before: usize) {
        let name = format!("KSTREAM-PROCESSOR-{:010}", self.number());
        self.add(name, Kind::Processor(Vec::new()), &[before]);
    }

    /// Where rows go to a topic.
    pub(super) fn sink(&mut self, topic: &str, before: usize) {
        let name = format!("KSTREAM-SINK-{:010}", self.number());
        self.add(name, Kind::Sink(topic.to_owned()), &[before]);
    }

    /// The changes of a table as rows of a stream.
    pub(super) fn changes(&mut self, before: usize) -> usize {
        self.numbered("KTABLE-TOSTREAM", Vec::new(), &[before])
    }

    /// Which rows of a table pass: those that no longer do are changes, too.
    pub(super) fn filter_table(&mut self, name: &str, before: usize) -> usize {
        ["ApplyPredicate", "Filter", "PostProcess"]
            .iter()
            .fold(before, |before, part| {
                self.processor(&format!("{name}-{part}"), &[], &[before])
            })
    }

    /// The groups of a stream's rows, by another key where that is needed.
    pub(super) fn aggregate_stream(&mut self, store: &str, is_rekeyed: bool, before: usize) -> usize {
        let mut node = self.processor("Aggregate-Prepare", &[], &[before]);
        let mut name = None;
        if is_rekeyed {
            node = self.numbered("KSTREAM-FILTER", Vec::new(), &[node]);
            node = self.processor("Aggregate-GroupBy", &[], &[node]);
            // The number is taken before those of what stands between.
            name = Some(self.number());
            node = self.repartition("Aggregate-GroupBy", node);
        }
        let number = name.unwrap_or_else(|| self.number());
        let name = format!("KSTREAM-AGGREGATE-{number:010}");
        self.add(name, Kind::Processor(vec![store.to_owned()]), &[node])
    }

    /// The groups of a table's rows, which leave the one they were in.
    pub(super) fn aggregate_table(&mut self, store: &str, before: usize) -> usize {
        let node = self.processor("Aggregate-Prepare", &[], &[before]);
        let node = self.processor("Aggregate-GroupBy", &[], &[node]);
        let topic = "Aggregate-GroupBy-repartition";
        self.sink(topic, node);
        let name = format!("KSTREAM-SOURCE-{:010}", self.number());
        let source = self.add(name, Kind::Source(topic.to_owned()), &[]);
        self.numbered("KTABLE-AGGREGATE", vec![store.to_owned()], &[source])
    }

    /// A stream's rows with those of a table that are kept in `store`.
    pub(super) fn look_up(&mut self, left: (usize, bool), store: &str) -> usize {
        let (mut node, is_rekeyed) = left;
        if is_rekeyed {
            node = self.repartition("Join", node);
        }
        self.processor("Join", &[store.to_owned()], &[node])
    }

    /// Two tables by their keys: a change of one looks into the store of the other.
    pub(super) fn join_tables(&mut self, (left, right): (usize, usize), stores: [&str; 2]) -> usize {
        let merge = format!("KTABLE-MERGE-{:010}", self.number());
        let [left_store, right_store] = stores.map(str::to_owned);
        let this = self.numbered("KTABLE-JOINTHIS", vec![right_store], &[left]);
        let other = self.numbered("KTABLE-JOINOTHER", vec![left_store], &[right]);
        self.add(merge, Kind::Processor(Vec::new()), &[this, other])
    }

    /// The rows by another key: through a topic.
    fn repartition(&mut self, what: &str, before: usize) -> usize {
        let topic = format!("{what}-repartition");
        self.next += 3;
        let filter = self.add(format!("{topic}-filter"), Kind::Processor(Vec::new()), &[before]);
        self.add(format!("{topic}-sink"), Kind::Sink(topic.clone()), &[filter]);
        self.add(format!("{topic}-source"), Kind::Source(topic), &[])
    }

    /// A join of two streams; of each side the processor, and whether its rows need another key.
    pub(super) fn join(
        &mut self,
        left: (usize, bool),
        right: (usize, bool),
        kind: JoinKind,
        has_grace: bool,
    ) -> usize {
        let mut enter = |side, (node, is_rekeyed)| match is_rekeyed {
            true => self.repartition(side, node),
            false => node,
        };
        let (left, right) = (enter("Join-left", left), enter("Join-right", right));
        self.next += 2;
        let (this, other) = (self.number(), self.number());
        // A side whose partner may be missing is named after that.
        let (outer_this, outer_other) = (is_outer(kind, JoinKind::Right), is_outer(kind, JoinKind::Left));
        let store = |is_outer: bool, side: &str, number: usize| {
            let join = if is_outer { "OUTER" } else { "JOIN" };
            format!("KSTREAM-{join}{side}-{number:010}-store")
        };
        let this_store = store(outer_this, "THIS", this);
        let other_store = store(outer_other, "OTHER", other);
        let shared = (has_grace && (outer_this || outer_other))
            .then(|| format!("KSTREAM-OUTERSHARED-{this:010}-store"));
        let with_shared = |own: &String| {
            let mut stores: Vec<_> = std::iter::once(own.clone()).chain(shared.clone()).collect();
            stores.sort();
            stores
        };
        let windowed = |name: &str, store: &String| (name.to_owned(), Kind::Processor(vec![store.clone()]));
        let (name, kind) = windowed("Join-this-windowed", &this_store);
        let this_windowed = self.add(name, kind, &[left]);
        let (name, kind) = windowed("Join-other-windowed", &other_store);
        let other_windowed = self.add(name, kind, &[right]);
        let outer = |is_outer: bool| if is_outer { "outer-" } else { "" };
        let this_join = self.add(
            format!("Join-{}this-join", outer(outer_this)),
            Kind::Processor(with_shared(&other_store)),
            &[this_windowed],
        );
        let other_join = self.add(
            format!("Join-{}other-join", outer(outer_other)),
            Kind::Processor(with_shared(&this_store)),
            &[other_windowed],
        );
        self.processor("Join-merge", &[], &[this_join, other_join])
    }

    /// How many processors there are from a node on.
    fn size(&self, node: usize) -> usize {
        1 + self.nodes[node]
            .after
            .iter()
            .map(|after| self.size(*after))
            .sum::<usize>()
    }

    /// The first node before this one that has a store of it.
    fn shares_store(&self, place: usize) -> Option<usize> {
        let stores = |node: &Node| match &node.kind {
            Kind::Processor(stores) => stores.clone(),
            Kind::Source(_) | Kind::Sink(_) => Vec::new(),
        };
        let own = stores(&self.nodes[place]);
        let mut before = self.nodes[..place].iter();
        before.position(|node| stores(node).iter().any(|store| own.contains(store)))
    }

    /// The nodes that are connected, or have a store in common, each group in the order of its first one.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut group: Vec<usize> = (0..self.nodes.len()).collect();
        for (place, node) in self.nodes.iter().enumerate() {
            let shared = self.shares_store(place);
            for before in node.before.iter().chain(&shared) {
                let (one, other) = (group[place], group[*before]);
                let (low, high) = (one.min(other), one.max(other));
                for member in &mut group {
                    if *member == high {
                        *member = low;
                    }
                }
            }
        }
        let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
        for (place, first) in group.into_iter().enumerate() {
            match groups.iter_mut().find(|(other, _)| *other == first) {
                Some((_, members)) => members.push(place),
                None => groups.push((first, vec![place])),
            }
        }
        groups.into_iter().map(|(_, members)| members).collect()
    }

    /// As Kafka Streams prints it.
    pub(super) fn text(&self) -> String {
        let mut text = "Topologies:\n ".to_owned();
        for (number, mut members) in self.groups().into_iter().enumerate() {
            text.push_str(&format!("  Sub-topology: {number}\n"));
            members.sort_by(|one, other| {
                let by_size = self.size(*other).cmp(&self.size(*one));
                by_size.then_with(|| self.nodes[*one].name.cmp(&self.nodes[*other].name))
            });
            for member in members {
                self.write(&self.nodes[member], &mut text);
            }
            text.push('\n');
        }
        text
    }

    fn write(&self, node: &Node, text: &mut String) {
        let names = |places: &[usize]| {
            let names: Vec<_> = places
                .iter()
                .map(|place| self.nodes[*place].name.as_str())
                .collect();
            match names.join(", ") {
                none if none.is_empty() => "none".to_owned(),
                names => names,
            }
        };
        let (after, before) = (names(&node.after), names(&node.before));
        let name = &node.name;
        text.push_str(&match &node.kind {
            Kind::Source(topic) => format!("    Source: {name} (topics: [{topic}])\n      --> {after}\n"),
            Kind::Processor(stores) => format!(
                "    Processor: {name} (stores: [{}])\n      --> {after}\n      <-- {before}\n",
                stores.join(", ")
            ),
            Kind::Sink(topic) => format!("    Sink: {name} (topic: {topic})\n      <-- {before}\n"),
        });
    }
}

#[cfg(test)]
mod tests;
