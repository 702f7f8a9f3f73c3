use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn a_seed_stands_for_one_list() {
    let stack = Stack::lite().unwrap();
    let list = |seed, kinds: &[FaultKind], length| -> Vec<Round> {
        Draw::new(seed, kinds, &stack).take(length).collect()
    };
    let [kill, stop, restart, ..] = FaultKind::ALL;
    let native = [kill, stop, restart];
    let long = list(7, &native, 50);
    assert_eq!(
        list(7, &native, 20),
        long[..20],
        "a shorter list is the beginning"
    );
    assert_ne!(list(8, &native, 50), long);
    assert_ne!(list(7, &FaultKind::ALL, 50), long);
    assert_eq!(
        list(7, &[restart, stop, kill, kill], 50),
        long,
        "their order does not count"
    );
    let shown: Vec<String> = long[..6].iter().map(Round::to_string).collect();
    insta::assert_debug_snapshot!(shown, @r#"
        [
            "restart schema-registry",
            "stop schema-registry for 3208 ms",
            "kill schema-registry",
            "stop broker for 3413 ms",
            "stop host1 for 1830 ms",
            "stop host1 for 3363 ms",
        ]
        "#);
}

#[test]
fn every_fault_is_done_to_everything() {
    let stack = Stack::lite().unwrap();
    let drawn: BTreeSet<(FaultKind, Target)> = Draw::new(1, &FaultKind::ALL, &stack)
        .take(2_000)
        .map(|round| (round.kind, round.target))
        .collect();
    // Six services and two parts of each of the two hosts; a part is not restarted, cut off, slowed down, upgraded or stepped by itself.
    assert_eq!(drawn.len(), 10 + 10 + 6 + 6 + 6 + 1 + 6 + 6);
    let supervisor: Vec<String> = drawn
        .iter()
        .filter(|(kind, _)| *kind == FaultKind::Supervisor)
        .map(|(_, target)| target.to_string())
        .collect();
    assert_eq!(supervisor, ["supervisor"]);
}

#[test]
fn an_engine_has_its_own_faults() {
    let words = |engine, other| {
        let kinds = FaultKind::on(engine, other);
        kinds
            .iter()
            .map(FaultKind::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let other = Some(Path::new("/other/osqdemo"));
    assert_eq!(
        words(EngineKind::Native, None),
        "kill stop restart partition slow supervisor clock"
    );
    assert_eq!(
        words(EngineKind::Native, other),
        "kill stop restart partition slow supervisor upgrade clock"
    );
    assert_eq!(words(EngineKind::Docker, other), "kill stop restart partition");
}

proptest! {
    #[test]
    fn a_round_is_read_back(seed in any::<u64>(), at in 0_usize..30) {
        let stack = Stack::lite().expect("the embedded stack");
        let round = Draw::new(seed, &FaultKind::ALL, &stack).nth(at).expect("a round");
        let text = serde_json::to_string(&round).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Round>(&text).expect("a round"), round);
    }

    #[test]
    fn any_target_is_read_or_refused(text in "\\PC{0,30}") {
        if let Ok(target) = Target::try_from(text.clone()) {
            prop_assert_eq!(target.to_string(), text);
        }
    }
}
