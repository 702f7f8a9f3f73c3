use super::line_producer::with_defaults;
use super::*;

fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn defaults_lie_beneath_the_configuration() {
    let all = with_defaults(&properties(&[
        ("bootstrap.servers", "b"),
        ("queue.buffering.max.ms", "50"),
    ]));
    assert_eq!(all["enable.idempotence"], "true");
    assert_eq!(all["acks"], "all");
    assert_eq!(all["queue.buffering.max.ms"], "50");
    assert!(!all.contains_key("linger.ms"));
}

#[test]
fn idempotence_is_left_to_whoever_sets_its_conditions() {
    for (name, value) in [("acks", "1"), ("retries", "0"), ("api.version.request", "false")] {
        let all = with_defaults(&properties(&[("bootstrap.servers", "b"), (name, value)]));
        assert!(!all.contains_key("enable.idempotence"), "{name}");
        start(&all, &Secrets::default(), &Arc::default())
            .map(drop)
            .unwrap();
    }
    let cloud = with_defaults(&properties(&[
        ("bootstrap.servers", "b"),
        ("api.version.request", "true"),
    ]));
    assert_eq!(cloud["enable.idempotence"], "true");
}

#[test]
fn an_unknown_property_is_named() {
    let wrong = properties(&[("bootstrap.servers", "b"), ("linger.mss", "5")]);
    let error = Courier::check(wrong.clone(), &Secrets::of(&wrong, Vec::new())).unwrap_err();
    assert!(error.to_string().contains("property `linger.mss`"), "{error}");
}

#[test]
fn an_unusable_value_is_shown_unless_it_is_secret() {
    let wrong = properties(&[("bootstrap.servers", "b"), ("compression.type", "soon")]);
    let error = Courier::check(wrong.clone(), &Secrets::of(&wrong, Vec::new()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`compression.type`") && error.contains("soon"),
        "{error}"
    );
    let wrong = properties(&[("bootstrap.servers", "b"), ("ssl.key.password", "hunter22")]);
    let error =
        Courier::check(wrong.clone(), &Secrets::of(&wrong, Vec::new())).map_err(|error| error.to_string());
    assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
}
