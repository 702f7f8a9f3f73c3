use proptest::prelude::*;

use super::*;

/// Handshake, first message and proof of `user`, with SCRAM-SHA-256.
fn scram(user: u8) -> Vec<u8> {
    vec![0, 1, 0, 2, user, 3, b'a', b'b', b'c', 0, 3, user, 0, 0, 0]
}

fn after(script: &[u8]) -> Client {
    let mut client = Client::of(MECHANISMS.to_vec());
    let mut script = Script(script);
    while !script.0.is_empty() {
        client.act(&mut script);
        client.check();
    }
    client
}

#[test]
fn scripts_reach_every_place() {
    assert_eq!(after(&scram(0)).place, Place::Known(Mechanism::ScramSha256));
    assert_eq!(after(&[&scram(1)[..], &scram(1)].concat()).user.unwrap().0, "bob");
    // Somebody else on the same connection, a proof with a byte changed, the password of another.
    assert_eq!(after(&[scram(0), scram(1)].concat()).place, Place::Refused);
    let mut changed = scram(0);
    changed[13] = 1;
    assert_eq!(after(&changed).place, Place::Refused);
    assert_eq!(after(&[0, 0, 0, 4, 0, 0, 0]).user.unwrap().0, "alice");
    assert_eq!(after(&[0, 0, 0, 4, 0, 1, 0]).place, Place::Refused);
    let token = [0, 3, 1, 5, 1, 0, 1];
    assert_eq!(after(&token).user.unwrap().0, "bob");
    // An expired one is told apart before it is refused.
    let expired = [0, 3, 1, 5, 1, 1, 1];
    assert!(matches!(after(&expired).place, Place::Exchange(..)));
    assert_eq!(
        after(&[&expired[..], &[1, 1, 1, 1]].concat()).place,
        Place::Refused
    );
}

proptest! {
    #[test]
    fn it_holds_for_random_scripts(bytes in proptest::collection::vec(0u8..8, 0..120)) {
        sasl_exchange(&bytes);
    }

    #[test]
    fn it_holds_for_random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        sasl_exchange(&bytes);
    }
}
