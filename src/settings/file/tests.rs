//! What a settings file may say, and how it is told what it may not.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<SettingsFile, FileError> {
    SettingsFile::parse(Path::new("/demo/osqdemo.toml"), text)
}

fn error(text: &str) -> String {
    shown(&read(text).expect_err("a wrong file"))
}

fn shown(error: &FileError) -> String {
    let hints: Vec<String> = error
        .hints()
        .iter()
        .map(|hint| format!("; hint: {hint}"))
        .collect();
    format!("{error}{}", hints.concat())
}

#[test]
fn every_kind_of_setting_is_read() {
    let file = read(
        "project = \"mine\"\nwithout = [\"host1\"]\nosqueryd = \"bin/osqueryd\"\nsource = \"..\"\n\
         host-config = \"default\"\n\n[ports]\nbroker = 0\n\n\
         [images]\npull = \"never\"\nlock-file = \"/etc/images.lock\"\n",
    )
    .expect("a right file");
    assert_eq!(file.project, "mine".parse().ok());
    assert_eq!(
        file.osqueryd,
        Some(OsquerydChoice::Path("/demo/bin/osqueryd".into()))
    );
    assert_eq!(file.source, Some(ProgramSource::Checkout("/demo/..".into())));
    assert_eq!(
        file.host_config,
        Some(HostConfigSource::Default),
        "a word, no path"
    );
    assert_eq!(file.pull, Some(PullPolicy::Never));
    assert_eq!(file.lock_file, Some("/etc/images.lock".into()));
    assert_eq!(file.engine, None);
    let stack = Stack::lite().expect("the embedded stack");
    let ports = file.ports(&stack, StackOrigin::OfTheFile).expect("ports");
    assert_eq!(ports, BTreeMap::from([(ServiceName::new("broker"), 0)]));
    let without = file.without(&stack, StackOrigin::OfTheFile).expect("services");
    assert_eq!(without, Some(BTreeSet::from([ServiceName::new("host1")])));
}

#[test]
fn mistakes_are_told_with_their_place() {
    assert_snapshot!(error("engin = \"docker\""), @"`/demo/osqdemo.toml` line 1 column 1: there is no setting `engin`; hint: did you mean `engine`?");
    assert_snapshot!(error("# ünïcode\n[images]\npul = \"never\""), @"`/demo/osqdemo.toml` line 3 column 1: there is no setting `images.pul`; hint: did you mean `images.pull` or `images.pull-silence`?");
    assert_snapshot!(error("\n  pull = \"never\""), @"`/demo/osqdemo.toml` line 2 column 3: there is no setting `pull`; hint: did you mean `images.pull` or `images.pull-silence`?");
    assert_snapshot!(error("[colours]\nred = 1"), @"`/demo/osqdemo.toml` line 1 column 2: there is no setting `colours`; hint: the settings are `project`, `engine`, `stack`, `stack-file`, `with`, `without`, `statements`, `timeout`, `osqueryd`, `osquery-sha256`, `source`, `host-config`, `format`, `ports`, `listen`, `kafka.bootstrap-servers`, `kafka.config`, `images.pull`, `images.registry`, `images.pull-silence`, `images.lock-file`, `scenario.size`, `scenario.host`, `scenario.timeout`");
    assert_snapshot!(error("engine = \"vagrant\""), @"`/demo/osqdemo.toml` line 1 column 10: `engine`: `vagrant` is not one of `native`, `docker`");
    assert_snapshot!(error("engine = \"doker\""), @"`/demo/osqdemo.toml` line 1 column 10: `engine`: `doker` is not one of `native`, `docker`; hint: did you mean `docker`?");
    assert_snapshot!(error("without = [\"\"]"), @r#"`/demo/osqdemo.toml` line 1 column 12: `without` takes an array of services, such as ["control-center"], not an empty string"#);
    assert_snapshot!(error("engine = 3"), @"`/demo/osqdemo.toml` line 1 column 10: `engine` takes one of `native`, `docker`, not an integer");
    assert_snapshot!(error("images = 3"), @"`/demo/osqdemo.toml` line 1 column 10: `images` takes a table, as in `[images]`, not an integer");
    assert_snapshot!(error("[timeout]\nlong = true"), @r#"`/demo/osqdemo.toml` line 1 column 2: `timeout` takes a string with a duration, such as "30s" or "2m", not a table"#);
    assert_snapshot!(error("project = \"Mine!\""), @"`/demo/osqdemo.toml` line 1 column 11: `project`: `Mine!` cannot be a project's name: it takes 1 to 40 lower-case letters, digits, `-` and `_`, the first one a letter or a digit");
    assert_snapshot!(error("timeout = \"soon\""), @"`/demo/osqdemo.toml` line 1 column 11: `timeout`: `soon` is not a duration such as `500ms`, `30s`, `2m` or `1m30s`");
    assert_snapshot!(error("[scenario]\nsize = \"0M\""), @"`/demo/osqdemo.toml` line 2 column 8: `scenario.size`: a file of no bytes proves nothing");
    assert_snapshot!(error("osquery-sha256 = \"abc\""), @"`/demo/osqdemo.toml` line 1 column 18: `osquery-sha256`: `abc` is not a SHA-256 checksum: 64 hexadecimal digits");
    assert_snapshot!(error("[images]\nregistry = \"https://x\""), @"`/demo/osqdemo.toml` line 2 column 12: `images.registry`: `https://x` is not a registry, such as `mirror.example.org` or `127.0.0.1:5000/proxy`");
    assert_snapshot!(error("host-config = { source = {} }"), @"`/demo/osqdemo.toml` line 1 column 15: `host-config` takes `default` or a path, not an inline table");
    assert_snapshot!(error("source = \"\""), @"`/demo/osqdemo.toml` line 1 column 10: `source`: `` is not `installed` or a path");
    assert_snapshot!(error("without = \"host1\""), @r#"`/demo/osqdemo.toml` line 1 column 11: `without` takes an array of services, such as ["control-center"], not a string"#);
    assert_snapshot!(error("without = [\"host1\", 2]"), @r#"`/demo/osqdemo.toml` line 1 column 21: `without` takes an array of services, such as ["control-center"], not an integer"#);
    assert_snapshot!(error("[ports]\nbroker = 70000"), @"`/demo/osqdemo.toml` line 2 column 10: `ports.broker`: `70000` is not a port, 0 to 65535");
    assert_snapshot!(error("[ports]\nbroker = \"9092\""), @"`/demo/osqdemo.toml` line 2 column 10: `ports.broker` takes a port, 0 to 65535, not a string");
    assert_snapshot!(error("stack = \"lite\"\nstack-file = \"x\""), @"`/demo/osqdemo.toml` line 2 column 1: `stack` and `stack-file` cannot both be set");
    assert_snapshot!(error("engine = \"docker\"\nengine = \"native\""), @"`/demo/osqdemo.toml` line 2 column 1: duplicate key");
    assert_snapshot!(error("engine = docker"), @"`/demo/osqdemo.toml` line 1 column 10: string values must be quoted, expected literal string");
    assert_snapshot!(error("[ports\n"), @"`/demo/osqdemo.toml` line 1 column 7: unclosed table, expected `]`");
}

#[test]
fn services_are_checked_against_the_stack() {
    let stack = Stack::lite().expect("the embedded stack");
    let ports = |text: &str, origin| match read(text).expect("a right file").ports(&stack, origin) {
        Ok(ports) => format!("{ports:?}"),
        Err(error) => shown(&error),
    };
    let without = |text: &str, origin| match read(text).expect("a right file").without(&stack, origin) {
        Ok(without) => format!("{without:?}"),
        Err(error) => shown(&error),
    };
    assert_snapshot!(ports("[ports]\nbrokr = 1", StackOrigin::OfTheFile), @"`/demo/osqdemo.toml` line 2 column 1: `ports`: there is no service `brokr`; hint: did you mean `broker`?");
    assert_snapshot!(ports("ports.host1 = 1", StackOrigin::OfTheFile), @"`/demo/osqdemo.toml` line 1 column 7: `ports`: service `host1` publishes no port; hint: the services are `broker`, `schema-registry`, `ksqldb-server`, `console`");
    assert_snapshot!(ports("ports = { control-center = 1 }", StackOrigin::ChosenOtherwise), @"{}");
    assert_snapshot!(without("without = [\n  \"host3\"\n]", StackOrigin::OfTheFile), @"`/demo/osqdemo.toml` line 2 column 3: `without`: there is no service `host3` to leave out; hint: did you mean `host1` or `host2`?");
    assert_snapshot!(without("without = [\"host1\", \"broker\"]", StackOrigin::OfTheFile), @"`/demo/osqdemo.toml` line 1 column 21: `without`: service `broker` cannot be left out: everything goes through it");
    assert_snapshot!(without("without = [\"control-center\"]", StackOrigin::ChosenOtherwise), @"Some({})");
    assert_snapshot!(without("without = []", StackOrigin::OfTheFile), @"Some({})");
    assert_snapshot!(without("", StackOrigin::OfTheFile), @"None");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = read(&text);
    }

    #[test]
    fn anything_like_a_file_is_read_or_refused(
        text in "((engine|stack|without|ports|images|scenario|ports\\.broker|images\\.pull) ?= ?(\"[a-z0-9é]{0,6}\"|[0-9]{1,6}|\\[\"[a-z]{0,5}\"?\\]|\\{ ?[a-z]{1,4} = [0-9]{1,3} ?\\})\n|\\[\\[?(ports|images|scenario|x)\\]{1,2}\n){0,6}"
    ) {
        if let Err(error) = read(&text) {
            let FileError::Mistake { position, .. } = &error else {
                panic!("{error}");
            };
            prop_assert!(position.line <= text.matches('\n').count() + 1, "{error}");
            prop_assert_eq!(error.exit_code(), ExitCode::Usage);
        }
    }
}
