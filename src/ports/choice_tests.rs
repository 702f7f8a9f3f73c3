use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

type Ports = BTreeMap<ServiceName, u16>;

fn named<const N: usize>(ports: [(&str, u16); N]) -> Ports {
    ports.map(|(name, port)| (ServiceName::new(name), port)).into()
}

/// Chooses for stack `confluent` where somebody has the ports `taken`.
fn chosen(asked: &Ports, earlier: (&Ports, &Ports), taken: &BTreeSet<u16>) -> Result<Choice, PortError> {
    let question = Question {
        stack: &Stack::confluent().expect("the embedded stack"),
        fixed: BTreeSet::new(),
        asked,
        asked_earlier: earlier.0,
        picked_earlier: earlier.1,
        running: Ports::new(),
        seed: &|service| service.as_str().len() as u64,
    };
    choose(&question, &mut |port| {
        if taken.contains(&port) {
            Err(Obstacle::Unusable("taken".to_owned()))
        } else {
            Ok(())
        }
    })
}

#[test]
fn free_ports_are_the_stacks_and_nothing_is_remembered() {
    let nothing = Ports::new();
    let choice = chosen(&nothing, (&nothing, &nothing), &BTreeSet::new()).expect("ports");
    let ports: Vec<u16> = choice.ports.into_values().collect();
    assert_eq!(ports, [9092, 9021, 8088, 8081, 2181]);
    assert!(choice.asked.is_empty() && choice.picked.is_empty() && choice.moved.is_empty());
}

#[test]
fn only_a_port_that_nobody_asked_for_makes_way() {
    let nothing = Ports::new();
    let taken = BTreeSet::from([9092]);
    let choice = chosen(&nothing, (&nothing, &nothing), &taken).expect("ports");
    let moved = choice.moved.first().expect("the broker moved");
    assert_eq!(
        (moved.from, moved.to, moved.told().obstacle.to_string()),
        (9092, 20006, "not usable: taken".to_owned())
    );
    assert_eq!(choice.picked, named([("broker", 20006)]));

    let asked = named([("broker", 9092)]);
    for (now, earlier) in [(&asked, &nothing), (&nothing, &asked)] {
        let choice = chosen(now, (earlier, &nothing), &taken).expect("ports");
        assert_eq!(choice.asked, asked);
        assert!(choice.moved.is_empty());
        let blocked = choice.blocked.first().expect("the broker is blocked");
        assert_eq!((blocked.port, blocked.insists), (9092, Insists::User));
    }
}

#[test]
fn a_port_of_a_sibling_makes_way_too() {
    let nothing = Ports::new();
    let asked = named([("broker", 8088)]);
    let choice = chosen(&asked, (&nothing, &nothing), &BTreeSet::new()).expect("ports");
    let moved = choice.moved.first().expect("ksqlDB moved");
    assert_eq!(
        (moved.from, moved.to, moved.told().obstacle.to_string()),
        (8088, 20013, "that of broker".to_owned())
    );
    let asked = named([("broker", 8088), ("ksqldb-server", 8088)]);
    let error = chosen(&asked, (&nothing, &nothing), &BTreeSet::new()).expect_err("both cannot");
    assert_eq!(
        error.to_string(),
        "services `broker` and `ksqldb-server` cannot both have port 8088"
    );
}

#[test]
fn any_port_is_the_one_that_was_picked_or_a_free_one_but_not_the_usual_one() {
    let (nothing, any) = (Ports::new(), named([("broker", 0)]));
    let broker = |earlier: (&Ports, &Ports)| {
        let choice = chosen(&any, earlier, &BTreeSet::new()).expect("ports");
        assert!(choice.asked.is_empty() && choice.moved.is_empty());
        choice.ports.get(&ServiceName::new("broker")).copied()
    };
    assert_eq!(broker((&nothing, &nothing)), Some(20006));
    // One that was insisted on is left, also where it would be picked.
    for insisted in [1234, 20006] {
        let port = broker((&named([("broker", insisted)]), &nothing));
        assert!(port.is_some_and(|port| port != insisted && (20_000..30_000).contains(&port)));
    }
    assert_eq!(broker((&nothing, &named([("broker", 4321)]))), Some(4321));
}

#[test]
fn a_machine_without_a_free_port_is_an_error() {
    let nothing = Ports::new();
    let taken = (0..=u16::MAX).collect();
    let error = chosen(&nothing, (&nothing, &nothing), &taken).expect_err("none is free");
    assert_eq!(
        error.to_string(),
        "no port from 20000 to 29999 is free for zookeeper"
    );
}

const SERVICES: [&str; 5] = [
    "zookeeper",
    "broker",
    "schema-registry",
    "ksqldb-server",
    "control-center",
];

/// Few enough ports that services and the rest of the machine want the same ones.
fn some_port() -> impl Strategy<Value = u16> {
    prop_oneof![select(vec![2181_u16, 8081, 8088, 9021, 9092]), 20_000..20_030_u16]
}

fn some_ports() -> impl Strategy<Value = Ports> {
    btree_map(
        select(SERVICES.to_vec()).prop_map(ServiceName::new),
        some_port(),
        0..4,
    )
}

proptest! {
    #[test]
    fn no_port_is_given_twice_or_is_somebodys(
        asked in some_ports(),
        asked_earlier in some_ports(),
        mut picked_earlier in some_ports(),
        taken in btree_set(some_port(), 0..20),
    ) {
        picked_earlier.retain(|service, _| !asked_earlier.contains_key(service));
        let Ok(choice) = chosen(&asked, (&asked_earlier, &picked_earlier), &taken) else {
            // Only what two services are asked to have cannot be had.
            let mut insisted = asked_earlier;
            insisted.extend(asked);
            let different: BTreeSet<&u16> = insisted.values().collect();
            prop_assert!(different.len() < insisted.len());
            return Ok(());
        };
        let different: BTreeSet<&u16> = choice.ports.values().collect();
        prop_assert_eq!(different.len(), SERVICES.len());
        for (service, port) in &choice.ports {
            let is_blocked = choice.blocked.iter().any(|blocked| blocked.service == *service);
            prop_assert_eq!(is_blocked, taken.contains(port), "{} has port {}", service, port);
            let insisted = asked.get(service).or_else(|| asked_earlier.get(service));
            prop_assert_eq!(choice.asked.get(service), insisted);
            prop_assert!(insisted.is_none() || insisted == Some(port));
            prop_assert!(insisted.is_some() || !is_blocked);
        }
        for moved in &choice.moved {
            prop_assert!([2181, 8081, 8088, 9021, 9092].iter().all(|usual| *usual != moved.to));
        }
        // Once it runs with them, everything stays as it is, whatever is free or taken elsewhere.
        let again = chosen(&Ports::new(), (&choice.asked, &choice.picked), &BTreeSet::new()).expect("ports");
        prop_assert!(again.moved.is_empty());
        prop_assert_eq!(&again.ports, &choice.ports);
    }
}
