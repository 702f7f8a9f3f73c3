//! The heaps of Java services and the memory of their containers, sized to the machine. Pure: how much memory there
//! is, is handed in.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stack::{Service, Stack};

/// What the stack may use of the machine's memory, in percent: the rest is for the daemon, the kernel's file cache and
/// everybody else.
const SHARE_PERCENT: u64 = 75;

/// Heaps grow in steps of this size, so that a machine's memory can differ a little from start to start (as it does
/// between kernels) without changing a service's definition.
const STEP: u64 = 128 << 20;

/// The bounds of a Java heap and the variables that carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heap {
    /// The variable of the heap's size.
    pub variable: String,
    /// The variable of the container's memory.
    pub limit: String,
    /// The smallest heap that the service runs with, in bytes.
    pub least: u64,
    /// The largest that does it any good, in bytes.
    pub most: u64,
}

impl Stack {
    /// The memory that all services need at least, in bytes.
    pub fn memory(&self) -> u64 {
        self.services.iter().map(|service| self.memory_of(service)).sum()
    }

    /// The variables of the heaps and of the containers' memory on a machine with that much memory, in bytes: each
    /// heap gets its least, and of what is left a share by how much it could use.
    pub fn heaps(&self, machine: u64) -> BTreeMap<String, String> {
        let spare = (machine / 100 * SHARE_PERCENT).saturating_sub(self.memory());
        let heaps = || {
            self.services
                .iter()
                .filter_map(|service| Some((service, service.heap.as_ref()?, self.least_heap_of(service)?)))
        };
        let could_use: u64 = heaps()
            .map(|(_, heap, least)| heap.most.saturating_sub(least))
            .sum();
        let mut variables = BTreeMap::new();
        for (service, heap, least) in heaps() {
            let room = heap.most.saturating_sub(least);
            let share = u128::from(spare) * u128::from(room) / u128::from(could_use.max(1));
            let more = u64::try_from(share).unwrap_or(u64::MAX).min(room) / STEP * STEP;
            let size = least + more;
            let limit = size + service.beside_heap(size);
            variables.insert(heap.variable.clone(), megabytes(size));
            variables.insert(heap.limit.clone(), megabytes(limit));
        }
        variables
    }
}

impl Service {
    /// The memory that it needs beside a heap of that size, in bytes: a Java process has code, threads and buffers, and the
    /// more of it the larger the heap.
    pub(super) fn beside_heap(&self, size: u64) -> u64 {
        let least = self.heap.as_ref().map_or(0, |heap| heap.least);
        self.memory.saturating_sub(least).max(size / 2)
    }
}

/// A size as both Java and Compose read it.
fn megabytes(bytes: u64) -> String {
    format!("{}m", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stack::EmbeddedStack;

    const GIB: u64 = 1 << 30;

    fn size(variables: &BTreeMap<String, String>, name: &str) -> u64 {
        let text = variables.get(name).expect("a variable");
        text.trim_end_matches('m').parse::<u64>().expect("a number") << 20
    }

    #[test]
    fn heaps_follow_the_machine() {
        let stack = Stack::confluent().expect("the embedded stack");
        let heap = |gib: u64, name: &str| size(&stack.heaps(gib * GIB), name);
        assert_eq!(heap(6, "CONTROL_CENTER_HEAP"), 1024 << 20);
        assert_eq!(heap(64, "CONTROL_CENTER_HEAP"), 3 * GIB);
        assert_eq!(heap(64, "CONTROL_CENTER_MEMORY"), 9 * GIB / 2);
        let middle = heap(10, "BROKER_HEAP");
        assert!((768 << 20) < middle && middle < 2 * GIB, "{middle}");
    }

    /// Plain `docker compose` gets what a machine with just enough memory gets: what `memory` promises, and not more.
    #[test]
    fn the_sizes_in_the_file_are_those_of_a_machine_that_is_just_large_enough() {
        for stack in EmbeddedStack::ALL {
            sizes_are_those_of_enough_memory(&stack.services().expect("the embedded stack"));
        }
    }

    fn sizes_are_those_of_enough_memory(stack: &Stack) {
        let least = stack.heaps(stack.memory());
        for service in stack.services.iter().filter(|service| service.heap.is_some()) {
            let container = service.container.as_ref().expect("a container");
            let limit = container.memory_limit.as_ref().expect("a limit");
            let value_of = |name: &str| least.get(name).cloned();
            assert_eq!(limit.fill(&|_| None), limit.fill(&value_of), "{}", service.name);
            assert_eq!(
                limit.fill(&|_| None),
                megabytes(service.memory),
                "{}: `memory` is the limit",
                service.name
            );
            for (variable, value) in &container.environment {
                assert_eq!(
                    value.fill(&|_| None),
                    value.fill(&value_of),
                    "{}: {variable}",
                    service.name
                );
            }
        }
    }

    #[test]
    fn stack_lite_has_no_heaps() {
        assert!(
            Stack::lite()
                .expect("the embedded stack")
                .heaps(64 * GIB)
                .is_empty()
        );
    }

    proptest! {
        #[test]
        fn heaps_stay_in_their_bounds_and_containers_hold_them(machine in 0..u64::MAX) {
            let stack = Stack::confluent().expect("the embedded stack");
            let variables = stack.heaps(machine);
            for heap in stack.services.iter().filter_map(|service| service.heap.as_ref()) {
                let (size, limit) = (size(&variables, &heap.variable), size(&variables, &heap.limit));
                prop_assert!((heap.least..=heap.most).contains(&size));
                prop_assert!(limit > size);
            }
        }

        #[test]
        fn what_is_spare_is_not_given_twice(machine in (8 * GIB)..(40 * GIB)) {
            let stack = Stack::confluent().expect("the embedded stack");
            let variables = stack.heaps(machine);
            let grown: u64 = stack
                .services
                .iter()
                .filter_map(|service| service.heap.as_ref())
                .map(|heap| size(&variables, &heap.variable) - heap.least)
                .sum();
            prop_assert!(grown + stack.memory() <= machine);
        }
    }
}
