//! Tokens that are believed and tokens that are not, signed by keys made here.

use proptest::prelude::*;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

fn unsecured() -> TokenVerifier {
    TokenVerifier::open(Tokens {
        keys: TokenKeys::Unsecured,
        issuer: None,
        audience: None,
        principal_claim: "sub".to_owned(),
    })
    .unwrap()
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn token(header: &Value, claims: &Value) -> String {
    format!("{}.{}.", part(header), part(claims))
}

fn seconds(after: i64) -> i64 {
    NOW_MS / 1000 + after
}

#[test]
fn an_unsecured_token_is_believed_while_it_holds() {
    let none = json!({"alg": "none"});
    let verify = |claims: Value| unsecured().verify(&token(&none, &claims), NOW_MS);
    let verified = verify(json!({"sub": "alice", "exp": seconds(60), "iat": seconds(0) as f64 + 0.5}));
    let expected = Verified {
        user: "alice".to_owned(),
        expires_ms: NOW_MS + 60_000,
    };
    assert_eq!(verified, Ok(expected));
    for wrong in [
        json!({"sub": "alice"}),
        json!({"sub": "alice", "exp": "soon"}),
        json!({"sub": "alice", "exp": seconds(-60)}),
        json!({"sub": "alice", "exp": seconds(60), "nbf": seconds(50)}),
        json!({"sub": "", "exp": seconds(60)}),
        json!({"sub": 7, "exp": seconds(60)}),
        json!([]),
    ] {
        assert!(verify(wrong.clone()).is_err(), "{wrong}");
    }
    // Somebody's signature is not looked at, so the token is not one of these.
    let signed = token(
        &json!({"alg": "HS256"}),
        &json!({"sub": "alice", "exp": seconds(60)}),
    );
    assert!(unsecured().verify(&signed, NOW_MS).is_err());
    assert!(
        unsecured()
            .verify(
                &format!(
                    "{}AAAA",
                    token(&none, &json!({"sub": "alice", "exp": seconds(60)}))
                ),
                NOW_MS
            )
            .is_err()
    );
}

struct Signer {
    pair: EcdsaKeyPair,
    random: ring::rand::SystemRandom,
}

impl Signer {
    fn new() -> Self {
        let random = ring::rand::SystemRandom::new();
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.as_ref(), &random).unwrap();
        Self { pair, random }
    }

    fn jwks(&self, id: &str) -> String {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (
            URL_SAFE_NO_PAD.encode(&point[1..33]),
            URL_SAFE_NO_PAD.encode(&point[33..]),
        );
        let key = json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": x, "y": y});
        json!({"keys": [{"kty": "oct", "k": "AAAA"}, key]}).to_string()
    }

    fn sign(&self, id: &str, claims: &Value) -> String {
        let signed = format!("{}.{}", part(&json!({"alg": "ES256", "kid": id})), part(claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[test]
fn a_signed_token_is_believed_that_a_key_of_the_file_has_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let (signer, stranger) = (Signer::new(), Signer::new());
    std::fs::write(&path, signer.jwks("one")).unwrap();
    let verifier = TokenVerifier::open(Tokens {
        keys: TokenKeys::Jwks(path.clone()),
        issuer: Some("https://issuer.example".to_owned()),
        audience: Some("kafka".to_owned()),
        principal_claim: "client_id".to_owned(),
    })
    .unwrap();
    let claims = json!({
        "client_id": "alice", "exp": seconds(60), "aud": ["other", "kafka"], "iss": "https://issuer.example",
    });
    let user = |token: &str| verifier.verify(token, NOW_MS).map(|verified| verified.user);
    assert_eq!(user(&signer.sign("one", &claims)), Ok("alice".to_owned()));
    assert_eq!(
        user(&stranger.sign("one", &claims)),
        Err("the token's signature is wrong")
    );
    assert!(user(&signer.sign("two", &claims)).is_err());
    assert!(user(&token(&json!({"alg": "none"}), &claims)).is_err());
    // Other claims below the same signature.
    let (mut other, mut elsewhere, mut issued) = (claims.clone(), claims.clone(), claims.clone());
    other["client_id"] = json!("bob");
    elsewhere["aud"] = json!("other");
    issued["iss"] = json!("https://other.example");
    let signed = signer.sign("one", &claims);
    let parts: Vec<&str> = signed.split('.').collect();
    assert!(user(&format!("{}.{}.{}", parts[0], part(&other), parts[2])).is_err());
    assert_eq!(
        user(&signer.sign("one", &elsewhere)),
        Err("the token is for somebody else")
    );
    assert_eq!(
        user(&signer.sign("one", &issued)),
        Err("the token was issued by somebody else")
    );
    // The keys are changed while the broker runs; a file that is none changes nothing.
    let change = |content: String, second: u64| {
        std::fs::write(&path, content).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
        file.set_modified(later).unwrap();
    };
    change(stranger.jwks("two"), 1);
    assert_eq!(user(&stranger.sign("two", &claims)), Ok("alice".to_owned()));
    assert!(user(&signed).is_err());
    change("{}".to_owned(), 2);
    assert_eq!(user(&stranger.sign("two", &claims)), Ok("alice".to_owned()));
}

/// RFC 7515, appendix A.2: a key of RSA, and what it has signed.
#[test]
fn the_signature_of_the_standard_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let modulus = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    std::fs::write(
        &path,
        json!({"keys": [{"kty": "RSA", "n": modulus, "e": "AQAB"}]}).to_string(),
    )
    .unwrap();
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let verifier = TokenVerifier::open(Tokens {
        keys: TokenKeys::Jwks(path),
        issuer: None,
        audience: None,
        principal_claim: "iss".to_owned(),
    })
    .unwrap();
    let token = format!("{signed}.{signature}");
    assert_eq!(verifier.verify(&token, 1_300_819_000_000).unwrap().user, "joe");
    let broken = token.replacen("cC4h", "cC4i", 1);
    assert_eq!(
        verifier.verify(&broken, 1_300_819_000_000),
        Err("the token's signature is wrong")
    );
}

#[test]
fn a_file_without_keys_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    for (content, expected) in [
        ("", "no JSON Web Key Set"),
        (r#"{"keys":[]}"#, "no key that signs tokens"),
        (
            r#"{"keys":[{"kty":"RSA","n":"AQAB"}]}"#,
            "the `e` of a key is missing",
        ),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = KeyFile::open(&path).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("keys.json"), "{error}");
    }
}

#[test]
fn a_message_brings_one_token() {
    let parse = |text: &'static str| {
        let message = BearerMessage::parse(text.as_bytes());
        message.ok().map(|message| (message.token, message.on_behalf))
    };
    assert_eq!(parse("n,,\x01auth=Bearer abc\x01\x01"), Some(("abc", None)));
    assert_eq!(
        parse("n,a=alice,\x01host=h\x01auth=bearer abc\x01\x01"),
        Some(("abc", Some("alice")))
    );
    for wrong in [
        "",
        "\x01",
        "n,,\x01\x01",
        "y,,\x01auth=Bearer abc\x01\x01",
        "n,,\x01auth=Basic abc\x01\x01",
    ] {
        assert_eq!(parse(wrong), None, "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[A-Za-z0-9_-]{0,30}(\\.[A-Za-z0-9_-]{0,30}){0,3}") {
        prop_assert!(unsecured().verify(&text, NOW_MS).is_err());
    }

    #[test]
    fn claims_of_any_kind_are_believed_or_refused(exp in any::<f64>(), sub in ".{0,5}") {
        let claims = json!({"sub": sub, "exp": exp, "nbf": exp});
        let _ = unsecured().verify(&token(&json!({"alg": "none"}), &claims), NOW_MS);
    }
}
