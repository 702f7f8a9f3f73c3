//! Who of two sides gets whom, so that as many as can be have somebody.

/// How many of the old ones can each have a taker of its own: a greatest matching, by augmenting paths.
pub(super) fn pairs(takers: &[Vec<usize>], new: usize) -> usize {
    let mut taken: Vec<Option<usize>> = vec![None; new];
    let find = |old: usize, taken: &mut Vec<Option<usize>>| {
        let mut seen = vec![false; new];
        augment(old, takers, &mut seen, taken)
    };
    (0..takers.len()).filter(|old| find(*old, &mut taken)).count()
}

fn augment(old: usize, takers: &[Vec<usize>], seen: &mut [bool], taken: &mut [Option<usize>]) -> bool {
    for &taker in &takers[old] {
        if std::mem::replace(&mut seen[taker], true) {
            continue;
        }
        let is_free = match taken[taker] {
            None => true,
            Some(other) => augment(other, takers, seen, taken),
        };
        if is_free {
            taken[taker] = Some(old);
            return true;
        }
    }
    false
}
