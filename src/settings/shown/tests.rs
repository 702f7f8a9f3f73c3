//! A row for every setting there is: what each of the places that may say it makes of it.

use std::ffi::OsString;
use std::path::Path;

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command, ConfigCommand};
use crate::host_config::HostConfig;
use crate::settings::{Environment, SettingsFile};
use crate::state::StackFile;

type Remember = fn(&mut Remembered);

/// What each place can say of a setting, and what is shown then.
struct Row {
    setting: &'static str,
    /// What is typed.
    flag: (&'static str, &'static str),
    /// The variable and its value.
    variable: Option<(&'static str, &'static str)>,
    /// The line of the file, with its table.
    file: (&'static str, &'static str),
    /// How it comes to be remembered.
    remembered: Option<(Remember, &'static str)>,
    default: Option<&'static str>,
}

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
const D: &str = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";

const TABLE: &[Row] = &[
    Row {
        setting: "project",
        flag: ("--project a", "a"),
        variable: Some(("OSQDEMO_PROJECT", "b")),
        file: ("project = 'c'", "c"),
        remembered: None,
        default: Some("osqdemo"),
    },
    Row {
        setting: "engine",
        flag: ("--engine fake", "fake"),
        variable: Some(("OSQDEMO_ENGINE", "docker")),
        file: ("engine = 'native'", "native"),
        remembered: Some((|project| project.engine = Some("docker".to_owned()), "docker")),
        default: Some("native"),
    },
    Row {
        setting: "stack",
        flag: ("--stack confluent", "confluent"),
        variable: None,
        file: ("stack = 'lite'", "lite"),
        remembered: Some((
            |project| project.stack = Some("confluent".to_owned()),
            "confluent",
        )),
        default: Some("lite"),
    },
    Row {
        setting: "with",
        flag: ("--stack confluent --with console", "console"),
        variable: None,
        file: ("stack = 'confluent'\nwith = ['connect']", "connect"),
        remembered: Some((
            |project| {
                project.stack = Some("confluent".to_owned());
                project.with = [ServiceName::new("connect"), ServiceName::new("console")].into();
            },
            "connect, console",
        )),
        default: None,
    },
    Row {
        setting: "statements",
        flag: ("--no-statements", "none"),
        variable: None,
        file: ("statements = 'demo'", "demo"),
        remembered: Some((|project| project.statements = Some("none".to_owned()), "none")),
        default: Some("demo"),
    },
    Row {
        setting: "without",
        flag: ("--without host1,console", "console, host1"),
        variable: None,
        file: ("without = ['host2']", "host2"),
        remembered: Some((
            |project| project.without = [ServiceName::new("console")].into(),
            "console",
        )),
        default: None,
    },
    Row {
        setting: "kafka.bootstrap-servers",
        flag: ("--kafka none", "none"),
        variable: None,
        file: ("kafka = { bootstrap-servers = 'a:1,b:2' }", "a:1,b:2"),
        remembered: Some((|project| project.kafka = Some("c:3".to_owned()), "c:3")),
        default: Some("none"),
    },
    Row {
        setting: "kafka.config",
        flag: ("--kafka-config none", "none"),
        variable: None,
        file: ("kafka = { config = 'none' }", "none"),
        remembered: Some((
            |project| {
                project.kafka = Some("c:3".to_owned());
                project.kafka_config = Some("/c.properties".into());
            },
            "/c.properties",
        )),
        default: Some("none"),
    },
    Row {
        setting: "listen",
        flag: ("--listen 10.0.0.1:1", "10.0.0.1:1"),
        variable: None,
        file: ("listen = '10.0.0.1:2'", "10.0.0.1:2"),
        remembered: Some((
            |project| project.listen = Some("10.0.0.1:3".to_owned()),
            "10.0.0.1:3",
        )),
        default: Some("none"),
    },
    Row {
        setting: "timeout",
        flag: ("--timeout 1s", "1s"),
        variable: None,
        file: ("timeout = '2m'", "2m"),
        remembered: None,
        default: Some("60s"),
    },
    Row {
        setting: "osqueryd",
        flag: ("--osqueryd builtin", "builtin"),
        variable: None,
        file: ("osqueryd = 'bin/osqueryd'", "/demo/bin/osqueryd"),
        remembered: Some((|project| project.osqueryd = Some("osquery".to_owned()), "osquery")),
        default: Some("auto"),
    },
    Row {
        setting: "osquery-sha256",
        flag: (
            "--osquery-sha256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            A,
        ),
        variable: Some(("OSQDEMO_OSQUERY_SHA256", B)),
        file: (
            "osquery-sha256 = 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc'",
            C,
        ),
        remembered: Some((|project| project.osquery_sha256 = Some(D.to_owned()), D)),
        default: None,
    },
    Row {
        setting: "source",
        flag: ("--source a --engine docker", "a"),
        variable: None,
        file: ("source = 'b'", "/demo/b"),
        remembered: Some((|project| project.source = Some("/c".into()), "/c")),
        default: Some("installed"),
    },
    Row {
        setting: "host-config",
        flag: ("--host-config default", "default"),
        variable: None,
        file: ("host-config = 'b.json'", "/demo/b.json"),
        remembered: Some((
            |project| {
                project.host_config = Some(HostConfig {
                    path: "/c.json".into(),
                    document: serde_json::Value::Null,
                    findings: Vec::new(),
                });
            },
            "/c.json",
        )),
        default: Some("default"),
    },
    Row {
        setting: "format",
        flag: ("--format avro", "avro"),
        variable: None,
        file: ("format = 'avro'", "avro"),
        // Of a project that was up: its topics hold one format, and another one would be refused.
        remembered: Some((
            |project| {
                project.engine = Some("native".to_owned());
                project.line_format = Some("avro".to_owned());
            },
            "avro",
        )),
        default: Some("json"),
    },
    Row {
        setting: "ports.broker",
        flag: ("--port broker=1", "1"),
        variable: None,
        file: ("ports.broker = 2", "2"),
        remembered: Some((
            |project| project.ports = [(ServiceName::new("broker"), 3)].into(),
            "3",
        )),
        default: Some("9092"),
    },
    Row {
        setting: "images.pull",
        flag: ("--pull never", "never"),
        variable: None,
        file: ("images.pull = 'always'", "always"),
        remembered: None,
        default: Some("missing"),
    },
    Row {
        setting: "images.registry",
        flag: ("--registry a.org", "a.org"),
        variable: Some(("OSQDEMO_REGISTRY", "b.org")),
        file: ("images.registry = 'c.org'", "c.org"),
        remembered: None,
        default: None,
    },
    Row {
        setting: "images.pull-silence",
        flag: ("--pull-silence 1s", "1s"),
        variable: None,
        file: ("images.pull-silence = '1m30s'", "90s"),
        remembered: None,
        default: Some("2m"),
    },
    Row {
        setting: "images.lock-file",
        flag: ("--lock-file a", "a"),
        variable: Some(("OSQDEMO_IMAGES_LOCK", "b")),
        file: ("images.lock-file = 'c'", "/demo/c"),
        remembered: None,
        default: Some("/home/images.lock"),
    },
    Row {
        setting: "scenario.size",
        flag: ("--size 1M", "1M"),
        variable: None,
        file: ("scenario.size = '4097'", "4097"),
        remembered: None,
        default: Some("1G"),
    },
    Row {
        setting: "scenario.host",
        flag: ("--host host1", "host1"),
        variable: None,
        file: ("scenario.host = 'host2'", "host2"),
        remembered: None,
        default: Some("host2"),
    },
    Row {
        setting: "scenario.timeout",
        flag: ("--scenario-timeout 1s", "1s"),
        variable: None,
        file: ("scenario.timeout = '2s'", "2s"),
        remembered: None,
        default: Some("60s, and 120s of `osqdemo smoke`"),
    },
];

fn shown(
    typed: &str,
    variable: Option<(&str, &str)>,
    file: Option<&str>,
    remembered: &Remembered,
) -> Vec<Shown> {
    let words = ["osqdemo", "config", "show"]
        .into_iter()
        .chain(typed.split_whitespace());
    let cli = Cli::try_parse_from(words).expect("a right line");
    let environment = Environment::of(&|name| {
        variable
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| OsString::from(value))
    });
    let read = |text| SettingsFile::parse(Path::new("/demo/osqdemo.toml"), text).expect("a right file");
    let settings = Settings::of(&cli.global, environment, file.map(read), "/home".into());
    let Command::Config(ConfigCommand::Show(arguments)) = &cli.command else {
        panic!("another verb");
    };
    in_force(arguments, &settings.expect("settings"), remembered).expect("settings")
}

#[test]
fn every_setting_comes_from_the_strongest_place_that_speaks() {
    for row in TABLE {
        // Each place speaks, or does not.
        for speaking in 0..16_u32 {
            let speaks = |place: u32| speaking & 1 << place != 0;
            let variable = row.variable.filter(|_| speaks(1));
            let mut remembered = Remembered::default();
            let kept = row.remembered.filter(|_| speaks(3));
            if let Some((keep, _)) = kept {
                keep(&mut remembered);
            }
            let shown = shown(
                if speaks(0) { row.flag.0 } else { "" },
                variable,
                speaks(2).then_some(row.file.0),
                &remembered,
            );
            let setting = shown.iter().find(|shown| shown.setting == row.setting);
            let setting = setting.expect("the setting");
            let expected = if speaks(0) {
                (Some(row.flag.1), "flag")
            } else if let Some((_, value)) = variable {
                (Some(value), "environment")
            } else if speaks(2) {
                (Some(row.file.1), "file")
            } else if let Some((_, value)) = kept {
                (Some(value), "remembered")
            } else {
                (row.default, "default")
            };
            assert_eq!(
                (setting.value.as_deref(), setting.from),
                expected,
                "{}: {speaking:04b}",
                row.setting
            );
        }
    }
}

#[test]
fn no_setting_is_missing_in_the_table() {
    for key in KEYS {
        let of_key =
            |row: &&Row| row.setting == key.path() || row.setting.starts_with(&format!("{}.", key.path()));
        // A stack is chosen by its name or by its file: the next test.
        let is_known = key.id == Id::StackFile || TABLE.iter().any(|row| of_key(&row));
        assert!(is_known, "{}", key.path());
    }
}

#[test]
fn a_stack_in_place_of_another_is_one_choice() {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/compose/lite.yaml");
    let of_file = format!("stack-file = '{own}'");
    let remembering = Remembered {
        stack_file: Some(StackFile {
            path: own.into(),
            text: include_str!("../../../compose/lite.yaml").to_owned(),
        }),
        ..Remembered::default()
    };
    let nothing = Remembered::default();
    let stack = |typed: &str, file: Option<&str>, remembered: &Remembered| {
        let shown = shown(typed, None, file, remembered);
        let mut stacks = shown
            .into_iter()
            .filter(|shown| shown.setting.starts_with("stack"));
        let stack = stacks.next().expect("a stack");
        assert_eq!(stacks.next(), None, "only what is in force");
        format!(
            "{} {} {}",
            stack.setting,
            stack.value.unwrap_or_default(),
            stack.from
        )
    };
    let by_file = |from: &str| format!("stack-file {own} {from}");
    assert_eq!(stack("", Some(&of_file), &nothing), by_file("file"));
    assert_eq!(stack("", None, &remembering), by_file("remembered"));
    assert_eq!(
        stack("--stack lite", Some(&of_file), &remembering),
        "stack lite flag"
    );
    assert_eq!(stack("", Some("stack = 'lite'"), &remembering), "stack lite file");
    let typed = format!("--stack-file {own}");
    assert_eq!(
        stack(&typed, Some("stack = 'confluent'"), &nothing),
        by_file("flag")
    );
}

#[test]
fn another_stack_forgets_what_was_left_out_of_the_last() {
    let remembered = Remembered {
        stack: Some("confluent".to_owned()),
        without: [ServiceName::new("control-center")].into(),
        ..Remembered::default()
    };
    let without = |typed: &str| {
        let shown = shown(typed, None, None, &remembered);
        let without = shown.into_iter().find(|shown| shown.setting == "without");
        without.expect("it").value
    };
    assert_eq!(without("").as_deref(), Some("control-center"));
    assert_eq!(without("--stack lite"), None);
    assert_eq!(without("--without none"), None);
}
