//! How long each part took to be well again after each fault.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::{FaultKind, Part, Round, Target};
use crate::stack::{Role, Stack};

/// The recoveries of all parts that do the same, from one sort of fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recoveries {
    /// What was hit: a service, or `host`, `extension`, `osqueryd` for those of all hosts.
    pub part: String,
    /// By what.
    pub kind: FaultKind,
    /// How often.
    pub faults: u64,
    /// Half of the recoveries took at most so long, in milliseconds.
    pub p50_ms: u64,
    /// All but one in a hundred.
    pub p99_ms: u64,
    /// All of them.
    pub longest_ms: u64,
}

/// Collects recoveries.
#[derive(Debug, Default)]
pub struct Stopwatch {
    taken: BTreeMap<(String, FaultKind), Vec<u64>>,
}

impl Stopwatch {
    /// A part was well again after so long.
    pub fn note(&mut self, stack: &Stack, round: &Round, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let key = (part(stack, &round.target), round.kind);
        self.taken.entry(key).or_default().push(took);
    }

    /// The figures.
    pub fn recoveries(&self) -> Vec<Recoveries> {
        let figures = |((part, kind), taken): (&(String, FaultKind), &Vec<u64>)| {
            let mut taken = taken.clone();
            taken.sort_unstable();
            Recoveries {
                part: part.clone(),
                kind: *kind,
                faults: u64::try_from(taken.len()).unwrap_or(u64::MAX),
                p50_ms: percentile(&taken, 50),
                p99_ms: percentile(&taken, 99),
                longest_ms: percentile(&taken, 100),
            }
        };
        self.taken.iter().map(figures).collect()
    }
}

/// What a target is called in the figures.
fn part(stack: &Stack, target: &Target) -> String {
    match target.part {
        Part::Extension => "extension".to_owned(),
        Part::Osqueryd => "osqueryd".to_owned(),
        Part::Supervisor => "supervisor".to_owned(),
        Part::Whole => match stack.service(target.service.as_str()) {
            Some(service) if service.role == Role::Host => "host".to_owned(),
            _ => target.service.to_string(),
        },
    }
}

/// The smallest of these sorted numbers that at least so many of a hundred do not exceed; 0 of none.
fn percentile(sorted: &[u64], of_hundred: usize) -> u64 {
    let place = (sorted.len() * of_hundred).div_ceil(100);
    sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numbers_that_were_measured() {
        let hundred: Vec<u64> = (1..=100).collect();
        let of = |sorted: &[u64]| [50, 99, 100].map(|of_hundred| percentile(sorted, of_hundred));
        assert_eq!(of(&hundred), [50, 99, 100]);
        assert_eq!(of(&[7]), [7, 7, 7]);
        assert_eq!(of(&[1, 9]), [1, 9, 9]);
        assert_eq!(of(&[]), [0, 0, 0]);
    }

    #[test]
    fn the_hosts_are_one_part() {
        let stack = Stack::lite().unwrap();
        let names: Vec<String> = super::super::fault::targets(&stack)
            .iter()
            .map(|target| part(&stack, target))
            .collect();
        assert_eq!(names.iter().filter(|name| *name == "host").count(), 2);
        assert_eq!(names.iter().filter(|name| *name == "extension").count(), 2);
        assert!(names.contains(&"broker".to_owned()), "{names:?}");
    }
}
