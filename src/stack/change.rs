//! What an optional service changes of others while it is there: what they are told, and how much memory they need by
//! that. Looked up each time, so that a service that is left out again has changed nothing.

use serde::Serialize;

use crate::stack::container::Container;
use crate::stack::{Service, ServiceName, Stack, Template};

/// What is different of a service while an optional one is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Variables of its environment; one without a value is taken away.
    pub environment: Vec<(String, Option<Template>)>,
    /// The smallest heap that it runs with then, in bytes.
    pub least_heap: Option<u64>,
}

impl Stack {
    /// What is different of a service by what is there.
    fn changes_of<'a>(&'a self, name: &'a ServiceName) -> impl Iterator<Item = &'a Change> {
        let optional = self
            .services
            .iter()
            .filter_map(|service| service.optional.as_ref());
        let changes = optional.flat_map(|optional| &optional.changes);
        changes
            .filter(move |(changed, _)| changed == name)
            .map(|(_, change)| change)
    }

    /// The variables of a service: those of the file, as other services that are there change them.
    pub fn environment_of<'a>(
        &'a self,
        service: &'a Service,
        container: &'a Container,
    ) -> Vec<(&'a str, &'a Template)> {
        let own = container.environment.iter();
        let mut environment: Vec<(&str, &Template)> =
            own.map(|(name, value)| (name.as_str(), value)).collect();
        for (name, value) in self
            .changes_of(&service.name)
            .flat_map(|change| &change.environment)
        {
            environment.retain(|(own, _)| own != name);
            environment.extend(value.as_ref().map(|value| (name.as_str(), value)));
        }
        environment
    }

    /// The smallest heap of a service that has one, in bytes.
    pub fn least_heap_of(&self, service: &Service) -> Option<u64> {
        let own = service.heap.as_ref()?.least;
        let changed = self
            .changes_of(&service.name)
            .filter_map(|change| change.least_heap);
        changed.chain([own]).max()
    }

    /// The memory that a service needs at least, in bytes.
    pub fn memory_of(&self, service: &Service) -> u64 {
        match (&service.heap, self.least_heap_of(service)) {
            (Some(heap), Some(least)) if least > heap.least => least + service.beside_heap(least),
            _ => service.memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn others_are_told_of_a_service_as_long_as_it_is_there() {
        let text = "services:\n  it:\n    image: x\n    environment: {KEPT: a, GONE: b, OTHER: c}\n    stop_grace_period: \
                    1s\n    mem_limit: ${LIMIT:-100m}\n    x-osqdemo:\n      {probe: connect, deadline: 1s, memory: 100M, \
                    heap: {variable: HEAP, limit: LIMIT, least: 60M, most: 500M}}\n  more:\n    stop_grace_period: 1s\n    \
                    x-osqdemo:\n      {probe: connect, deadline: 1s, memory: 1M, optional: true, changes: {it: {environment: \
                    {GONE: null, OTHER: d, NEW: e}, least_heap: 200M}}}\n";
        let stack = Stack::parse("test.yaml", text).expect("a stack");
        let told = |stack: &Stack| -> Vec<String> {
            let it = stack.service("it").expect("it is there");
            let container = it.container.as_ref().expect("a container");
            let environment = stack.environment_of(it, container).into_iter();
            environment
                .map(|(name, value)| format!("{name}={value}"))
                .collect()
        };
        let more = BTreeSet::from([ServiceName::new("more")]);
        let with = stack.clone().with(&more).expect("it can be");
        let without = with.clone().without(&more).expect("it can be");
        assert_eq!(told(&with), ["KEPT=a", "OTHER=d", "NEW=e"]);
        // As much beside the heap as half of it.
        assert_eq!(with.memory(), (200 + 100 + 1) << 20);
        assert_eq!(with.heaps(0)["HEAP"], "200m");
        assert_eq!(with.heaps(0)["LIMIT"], "300m");
        for stack in [stack, without] {
            assert_eq!(told(&stack), ["KEPT=a", "GONE=b", "OTHER=c"]);
            assert_eq!(stack.memory(), 100 << 20);
            assert_eq!(stack.heaps(0)["HEAP"], "60m");
        }
    }
}
