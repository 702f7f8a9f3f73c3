//! A whole configuration, and one test for each thing that can be wrong with one.

use std::time::Duration;

use super::*;
use crate::config::Limits;

fn parse(text: &str) -> Result<ConfigFile, ConfigFileError> {
    let variable = |name: &str| (name == "ALICE").then(|| "from the environment".to_owned());
    ConfigFile::parse(text, Path::new("/etc/broker.toml"), variable)
}

const WHOLE: &str = r#"
[[listener]]
name = "outside"
bind = "0.0.0.0:9093"
advertise = "broker.example:9093"
sasl = ["SCRAM-SHA-512", "OAUTHBEARER"]
tls = { certificate = "broker.pem", key = "/keys/broker.key", client-certificates = "required", client-roots = "roots.pem" }

[[listener]]
name = "host"
bind = "[::1]:9092"

[[user]]
name = "alice"
password = "${env:ALICE}"

[[user]]
name = "bob"
password = "plain $text"

[tokens]
jwks = "keys.json"
audience = "kafka"

[acls]
super-users = ["User:alice"]
without-acl = "deny"
"#;

#[test]
fn a_whole_configuration_is_read() {
    let file = parse(WHOLE).unwrap();
    let outside = Listener {
        advertised: Some(HostPort {
            host: "broker.example".to_owned(),
            port: 9093,
        }),
        tls: Some(Tls {
            certificate: "/etc/broker.pem".into(),
            key: "/keys/broker.key".into(),
            clients: ClientCertificates::Required("/etc/roots.pem".into()),
        }),
        mechanisms: vec![Mechanism::ScramSha512, Mechanism::OauthBearer],
        ..Listener::plaintext("outside", "0.0.0.0:9093".parse().unwrap())
    };
    assert_eq!(outside.protocol(), "SASL_SSL");
    let host = Listener::plaintext("host", "[::1]:9092".parse().unwrap());
    assert_eq!(file.listeners, [outside.clone(), host.clone()]);
    let user = |name: &str, password: &str| User {
        name: name.to_owned(),
        password: Secret::new(password),
    };
    let expected = Security {
        users: vec![user("alice", "from the environment"), user("bob", "plain $text")],
        tokens: Some(Tokens {
            keys: TokenKeys::Jwks("/etc/keys.json".into()),
            issuer: None,
            audience: Some("kafka".to_owned()),
            principal_claim: "sub".to_owned(),
        }),
        super_users: vec!["User:alice".to_owned()],
        without_acl: WithoutAcl::Deny,
    };
    assert_eq!(file.security, expected);
    let mut config = Config::new("data");
    file.apply(&mut config);
    // The listener that is there anyway gives way to the one of its name.
    assert_eq!(config.listeners, [host, outside]);
}

#[test]
fn a_password_may_stand_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "secret\n").unwrap();
    let text = "[[user]]\nname = \"alice\"\npassword = \"${file:password}\"\n";
    std::fs::write(folder.path().join("broker.toml"), text).unwrap();
    let file = ConfigFile::read(&folder.path().join("broker.toml")).unwrap();
    assert_eq!(file.security.users[0].password, Secret::new("secret"));
}

#[test]
fn what_is_wrong_is_told_by_name() {
    let listener = |more: &str| format!("[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\n{more}\n");
    let user = |password: &str| format!("[[user]]\nname = \"a\"\npassword = \"{password}\"\n");
    for (text, expected) in [
        (
            "listeners = 1".to_owned(),
            "line 1, column 1: unknown field `listeners`",
        ),
        ("[[listener]]\nname = \"a\"\n".to_owned(), "missing field `bind`"),
        (
            "[[listener]]\nname = \"a\"\nbind = \"nowhere\"\n".to_owned(),
            "listener `a`: `nowhere` is no address",
        ),
        (
            listener("advertise = \"broker\""),
            "listener `a`: `broker` is not of the form `HOST:PORT`",
        ),
        (
            listener("sasl = [\"GSSAPI\"]"),
            "listener `a`: there is no mechanism `GSSAPI`, only PLAIN, ",
        ),
        (
            listener("sasl = [\"OAUTHBEARER\"]"),
            "OAUTHBEARER needs a table `[tokens]`",
        ),
        (
            listener("") + &listener(""),
            "listener `a`: there are two of that name",
        ),
        (
            listener("tls = { certificate = \"c\", key = \"k\", client-certificates = \"required\" }"),
            "`client-certificates` needs `client-roots`",
        ),
        (
            listener("tls = { certificate = \"c\", key = \"k\", client-roots = \"r\" }"),
            "`client-roots` has no effect",
        ),
        (user(""), "user `a`: the password is empty"),
        (
            user("${env:NOBODY}"),
            "user `a`: the environment variable `NOBODY` is not set",
        ),
        (
            user("${vault:it}"),
            "user `a`: only `${env:NAME}` and `${file:PATH}` stand for a password",
        ),
        (user("${file:missing}"), "cannot read `/etc/missing`"),
        (user("x") + &user("y"), "user `a`: there are two of that name"),
        (
            "[tokens]\n".to_owned(),
            "exactly one of `jwks = FILE` and `unsecured = true`",
        ),
        (
            "[acls]\nsuper-users = [\"alice\"]\n".to_owned(),
            "a principal is of the form `User:NAME`",
        ),
        (
            "[acls]\nwithout-acl = \"maybe\"\n".to_owned(),
            "unknown variant `maybe`",
        ),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn no_password_is_in_what_is_shown() {
    let file = parse(WHOLE).unwrap();
    let shown = format!("{file:?}");
    assert!(
        !shown.contains("from the environment") && !shown.contains("$text"),
        "{shown}"
    );
    for broken in [
        "[[user]]\nname = \"alice\"\npassword = \"s3cret\" s3cret\n",
        "[[user]]\nname = \"alice\"\npassword = s3cret\n",
        "[[user]]\nname = \"alice\"\npasword = \"s3cret\"\n",
        "[[user]]\nname = \"alice\"\npassword = [\"s3cret\"]\n",
        "user = \"s3cret\"\n",
        "user = \"s3cret, expected s3cret\"\n",
        "[[user]]\nname = \"alice\"\npassword = 5364726574\n",
    ] {
        let error = parse(broken).unwrap_err().to_string();
        assert!(
            !error.contains("s3cret") && !error.contains("5364726574"),
            "{error}"
        );
    }
}

#[test]
fn when_records_are_synced_and_what_clients_may_take_can_be_said() {
    let resolved = |text: &str| {
        let mut config = Config::new("/data");
        parse(text).unwrap().apply(&mut config);
        config
    };
    let usual = Config::new("/data");
    let silent = resolved("[limits]\n");
    assert_eq!((silent.flush, silent.limits), (usual.flush, usual.limits.clone()));
    let said = resolved(
        r#"
        flush = "every-batch"
        [limits]
        connections = 10
        handshakes = 11
        handshake-seconds = 12
        idle-seconds = 13
        stalled-seconds = 14
        stalled-in-need-seconds = 15
        max-wait-seconds = 16
        answer-bytes = 17000000
        request-bytes = 18000000
        max-request-bytes = 19000
        "#,
    );
    let limits = Limits {
        connections: 10,
        handshakes: 11,
        handshake: Duration::from_secs(12),
        idle: Duration::from_secs(13),
        stalled: Duration::from_secs(14),
        stalled_in_need: Duration::from_secs(15),
        max_wait: Duration::from_secs(16),
        answer_bytes: 17_000_000,
        request_bytes: 18_000_000,
    };
    assert_eq!((said.flush, said.limits), (FlushPolicy::EveryBatch, limits));
    assert_eq!(said.max_request_bytes, 19_000);
    // The file counts, also where it says what is usual.
    let mut safest = Config::new("/data");
    safest.flush = FlushPolicy::EveryBatch;
    parse("flush = \"interval\"").unwrap().apply(&mut safest);
    assert_eq!(safest.flush, FlushPolicy::default());
    for wrong in [
        "flush = \"never\"",
        "[limits]\nconnections = 0",
        "[limits]\nidle-seconds = -1",
        "[limits]\nconnection = 1",
    ] {
        let told = parse(wrong).unwrap_err();
        assert!(matches!(told, ConfigFileError::Syntax { .. }), "{wrong}: {told}");
        assert!(told.to_string().contains("line "), "{wrong}: {told}");
    }
}

#[test]
fn groups_may_be_kept_from_changing_their_protocol() {
    let file = |text: &str| ConfigFile::parse(text, Path::new("/etc/broker.toml"), |_| None);
    let mut config = Config::new("data");
    assert_eq!(config.groups.migration, GroupMigration::Bidirectional);
    file("[groups]\nmigration = \"disabled\"\n")
        .unwrap()
        .apply(&mut config);
    assert_eq!(config.groups.migration, GroupMigration::Disabled);
    let wrong = file("[groups]\nmigration = \"sideways\"\n").unwrap_err();
    assert!(wrong.to_string().contains("sideways"), "{wrong}");
}
