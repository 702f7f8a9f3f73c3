//! The exchanges of the standards, byte for byte, and messages that are none.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::server::authentication::fuzzing::sasl_messages;

/// RFC 7677, section 3.
#[test]
fn the_exchange_of_the_standard_is_answered_as_it_is_there() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let salted = {
        let mut salted = [0; 32];
        let rounds = NonZeroU32::new(4096).unwrap();
        ring::pbkdf2::derive(
            ring::pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            &salt,
            b"pencil",
            &mut salted,
        );
        salted
    };
    let credential = Credential::of_salted(Hash::Sha256, salt, NonZeroU32::new(4096).unwrap(), &salted);
    let first = ClientFirst::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    assert_eq!(first.user, "user");
    let (message, challenge) =
        Challenge::begin(Hash::Sha256, &first, credential, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    assert_eq!(
        message,
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let answer = challenge.finish(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    assert_eq!(answer.unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

/// What a client sends that knows `password`.
fn proof(hash: Hash, bare: &str, server_first: &str, password: &[u8]) -> String {
    let attribute = |name: &str| {
        let mut attributes = server_first.split(',');
        attributes.find_map(|text| text.strip_prefix(name)).unwrap()
    };
    let salt = STANDARD.decode(attribute("s=")).unwrap();
    let iterations: NonZeroU32 = attribute("i=").parse().unwrap();
    let mut salted = vec![0; hash.length()];
    let algorithm = match hash {
        Hash::Sha256 => ring::pbkdf2::PBKDF2_HMAC_SHA256,
        Hash::Sha512 => ring::pbkdf2::PBKDF2_HMAC_SHA512,
    };
    ring::pbkdf2::derive(algorithm, iterations, &salt, password, &mut salted);
    let client_key = hash.sign(&salted, b"Client Key");
    let without_proof = format!("c=biws,r={}", attribute("r="));
    let said = format!("{bare},{server_first},{without_proof}");
    let signature = hash.sign(&hash.of(&client_key), said.as_bytes());
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(one, other)| one ^ other)
        .collect();
    format!("{without_proof},p={}", STANDARD.encode(proof))
}

#[test]
fn only_the_right_password_is_proved() {
    for hash in Hash::ALL {
        let credential = Credential::of_password(hash, b"secret");
        let bare = "n=a=2Cb=3Dc,r=abc,ext=1";
        let text = format!("n,,{bare}");
        let first = ClientFirst::parse(text.as_bytes()).unwrap();
        assert_eq!(first.user, "a,b=c");
        let (message, challenge) = Challenge::begin(hash, &first, credential, &nonce());
        let right = proof(hash, bare, &message, b"secret");
        assert!(challenge.finish(right.as_bytes()).unwrap().starts_with("v="));
        let wrong = proof(hash, bare, &message, b"Secret");
        assert!(challenge.finish(wrong.as_bytes()).is_err());
        // A proof of another exchange, another binding, a shorter proof, none.
        let (other, _) = Challenge::begin(hash, &first, Credential::of_password(hash, b"secret"), &nonce());
        let foreign = proof(hash, bare, &other, b"secret");
        let bound = right.replacen("biws", "eSws", 1);
        let short = format!("{},p=AAAA", right.split(",p=").next().unwrap());
        for wrong in [foreign, bound, short, "c=biws".to_owned(), String::new()] {
            assert!(challenge.finish(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}

#[test]
fn a_first_message_that_asks_for_more_is_refused() {
    for wrong in [
        "",
        "n,,",
        "n,,r=abc,n=user",
        "n,,n=user",
        "n,,n=,r=abc",
        "n,,n=us=er,r=abc",
        "n,,n=us=2cer,r=abc",
        "n,,n=user,r=",
        "n,,n=user,r=a b",
        "n,a=root,n=user,r=abc",
        "p=tls-unique,,n=user,r=abc",
        "n,,m=future,n=user,r=abc",
        "n,,n=user,r=abc,tokenauth=true",
    ] {
        assert!(ClientFirst::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
    for right in ["n,a=user,n=user,r=abc", "y,,n=user,r=abc"] {
        assert_eq!(
            ClientFirst::parse(right.as_bytes()).unwrap().user,
            "user",
            "{right}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        sasl_messages(&bytes);
    }

    #[test]
    fn messages_that_are_nearly_right_are_read_or_refused(text in "[npy],(a=[a-z=23CD]{0,4})?,(n=[a-z=23CD]{0,6},?)?(r=[a-z]{0,3},?)?(p=[A-Za-z=]{0,5})?") {
        sasl_messages(text.as_bytes());
    }
}
