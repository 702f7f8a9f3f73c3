//! What the settings file says in place of what was neither typed nor stands in the environment. Ports and the services
//! to leave out are not filled in here: what the file says of them is checked against the stack first.

use crate::cli::{
    BigfileArgs, Cli, Command, ConfigCommand, ImagesCommand, LockArgs, OsqueryArgs, PullArgs, RunArgs,
    ScenarioCommand, SourceArgs, StackArgs, TargetArgs, Typed,
};
use crate::settings::SettingsFile;

/// The file, and what is not to be filled in.
struct Fill<'a> {
    file: &'a SettingsFile,
    typed: &'a Typed,
}

impl Command {
    /// Whether the verb follows the settings file. The others must work whatever stands in the current folder.
    pub fn follows_settings_file(&self) -> bool {
        !matches!(
            self,
            Self::Serve(_)
                | Self::Completions(_)
                | Self::Man(_)
                | Self::Probe(_)
                | Self::Supervise(_)
                | Self::HostInit(_)
                | Self::Config(ConfigCommand::Schema(_))
        )
    }
}

impl Cli {
    /// Fills in what the settings file says.
    pub fn fill(&mut self, file: &SettingsFile, typed: &Typed) {
        let fill = Fill { file, typed };
        fill.option("project", "project", &mut self.global.project);
        match &mut self.command {
            Command::Up(arguments) => fill.run(&mut arguments.run),
            Command::Smoke(arguments) => {
                fill.run(&mut arguments.run);
                fill.text("scenario.size", "size", &mut arguments.size);
                fill.text(
                    "scenario.timeout",
                    "scenario-timeout",
                    &mut arguments.scenario_timeout,
                );
                fill.option("scenario.host", "host", &mut arguments.host);
            }
            Command::Doctor(arguments) => {
                fill.target(&mut arguments.target);
                fill.pull(&mut arguments.pull);
                fill.lock(&mut arguments.lock);
            }
            Command::Bundle(arguments) => fill.lock(&mut arguments.lock),
            Command::Build(arguments) => {
                fill.osquery(&mut arguments.osquery);
                fill.source(&mut arguments.source);
            }
            Command::Images(arguments) => {
                fill.stack(&mut arguments.stack);
                fill.lock(&mut arguments.lock);
                if let Some(
                    ImagesCommand::List(pull) | ImagesCommand::Pull(pull) | ImagesCommand::Lock(pull),
                ) = &mut arguments.command
                {
                    fill.pull(pull);
                }
            }
            Command::Scenario(ScenarioCommand::Bigfile(arguments)) => fill.bigfile(arguments),
            Command::Config(ConfigCommand::Show(arguments)) => fill.stack(&mut arguments.run.target.stack),
            _ => {}
        }
    }
}

impl Fill<'_> {
    fn run(&self, arguments: &mut RunArgs) {
        self.target(&mut arguments.target);
        self.pull(&mut arguments.pull);
        self.lock(&mut arguments.lock);
        self.osquery(&mut arguments.osquery);
        self.source(&mut arguments.source);
        self.option("host-config", "host-config", &mut arguments.host_config);
        self.option("timeout", "timeout", &mut arguments.timeout);
    }

    fn target(&self, arguments: &mut TargetArgs) {
        self.stack(&mut arguments.stack);
        self.option("engine", "engine", &mut arguments.engine);
    }

    /// The two say one thing: whichever is given, the file says nothing.
    fn stack(&self, arguments: &mut StackArgs) {
        if arguments.stack.is_none() && arguments.stack_file.is_none() {
            self.option("stack", "stack", &mut arguments.stack);
            self.option("stack-file", "stack-file", &mut arguments.stack_file);
        }
    }

    fn pull(&self, arguments: &mut PullArgs) {
        self.text("images.pull", "pull", &mut arguments.policy);
        self.option("images.registry", "registry", &mut arguments.registry);
        self.text("images.pull-silence", "pull-silence", &mut arguments.pull_silence);
    }

    fn lock(&self, arguments: &mut LockArgs) {
        self.option("images.lock-file", "lock-file", &mut arguments.lock_file);
    }

    fn osquery(&self, arguments: &mut OsqueryArgs) {
        self.option("osqueryd", "osqueryd", &mut arguments.osqueryd);
        self.option("osquery-sha256", "osquery-sha256", &mut arguments.osquery_sha256);
    }

    fn source(&self, arguments: &mut SourceArgs) {
        self.option("source", "source", &mut arguments.source);
    }

    fn bigfile(&self, arguments: &mut BigfileArgs) {
        self.text("scenario.size", "size", &mut arguments.size);
        self.option("scenario.host", "host", &mut arguments.host);
        self.text("scenario.timeout", "timeout", &mut arguments.timeout);
    }

    fn option<T: From<String>>(&self, key: &str, option: &str, slot: &mut Option<T>) {
        if self.typed.source(option).is_none()
            && let Some(text) = self.file.text(key)
        {
            *slot = Some(T::from(text.to_owned()));
        }
    }

    fn text(&self, key: &str, option: &str, slot: &mut String) {
        if self.typed.source(option).is_none()
            && let Some(text) = self.file.text(key)
        {
            text.clone_into(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::key::{KEYS, Kind};

    const FILE: &str = "
project = \"mine\"
engine = \"docker\"
stack = \"confluent\"
timeout = \"5m\"
osqueryd = \"builtin\"
osquery-sha256 = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"
source = \"checkout\"
host-config = \"my.json\"

[images]
pull = \"never\"
registry = \"mirror.example.org\"
pull-silence = \"7s\"
lock-file = \"/demo/images.lock\"

[scenario]
size = \"64M\"
host = \"host1\"
timeout = \"3m\"
";

    /// The same, typed.
    const RUN: &str = "--project mine --engine docker --stack confluent --timeout 5m --osqueryd builtin --osquery-sha256 \
        0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef --pull never --registry mirror.example.org \
        --pull-silence 7s --lock-file /demo/images.lock --source /demo/checkout --host-config /demo/my.json";

    fn file(text: &str) -> SettingsFile {
        SettingsFile::parse(Path::new("/demo/osqdemo.toml"), text).expect("a right file")
    }

    fn typed(line: &str) -> (Cli, Typed) {
        let words = line.split_whitespace();
        Cli::read_from(std::iter::once("osqdemo").chain(words)).expect("a right line")
    }

    fn filled(line: &str, text: &str) -> String {
        let (mut cli, typed) = typed(line);
        cli.fill(&file(text), &typed);
        format!("{cli:?}")
    }

    #[test]
    fn a_file_means_what_the_options_mean() {
        let pull =
            "--pull never --registry mirror.example.org --pull-silence 7s --lock-file /demo/images.lock";
        let checksum = "0123456789abcdef".repeat(4);
        for (verb, options) in [
            ("up", RUN.to_owned()),
            (
                "smoke",
                format!("{RUN} --size 64M --host host1 --scenario-timeout 3m"),
            ),
            (
                "doctor",
                format!("--project mine --stack confluent --engine docker {pull}"),
            ),
            (
                "build",
                format!(
                    "--project mine --osqueryd builtin --osquery-sha256 {checksum} --source /demo/checkout"
                ),
            ),
            (
                "images",
                "--project mine --stack confluent --lock-file /demo/images.lock".to_owned(),
            ),
            ("images pull", format!("--project mine --stack confluent {pull}")),
            ("images lock", format!("--project mine --stack confluent {pull}")),
            (
                "scenario bigfile",
                "--project mine --size 64M --host host1 --timeout 3m".to_owned(),
            ),
            ("ps", "--project mine".to_owned()),
            ("wait", "--project mine".to_owned()),
        ] {
            let (cli, _) = typed(&format!("{verb} {options}"));
            assert_eq!(filled(verb, FILE), format!("{cli:?}"), "{verb}");
        }
    }

    /// Every verb that can be typed, with its options.
    fn verbs(command: &clap::Command, path: &str) -> Vec<(String, Vec<String>)> {
        let options = command.get_arguments().filter_map(clap::Arg::get_long);
        let here = (path.to_owned(), options.map(str::to_owned).collect());
        let inner = command
            .get_subcommands()
            .flat_map(|verb| verbs(verb, &format!("{path} {}", verb.get_name())));
        std::iter::once(here).chain(inner).collect()
    }

    #[test]
    fn no_verb_passes_over_a_setting_that_it_has_an_option_for() {
        use clap::CommandFactory;
        // How long to wait for what runs already, and the scenario's own limit, are other things than `timeout`; and
        // what is shown is shown with its origin.
        let is_other = |verb: &str, option: &str| match verb.trim() {
            "wait" | "scenario bigfile" => option == "timeout",
            "config show" => true,
            _ => false,
        };
        let mut followed = Vec::new();
        for (verb, options) in verbs(&Cli::command(), "") {
            for key in KEYS {
                let file_text = file(FILE).text(&key.path()).map(str::to_owned);
                let Some(value) = file_text.filter(|_| options.iter().any(|option| option == key.option))
                else {
                    continue;
                };
                if verb.is_empty() || is_other(&verb, key.option) {
                    continue;
                }
                let table = key.table.map_or_else(String::new, |table| format!("[{table}]\n"));
                let text = format!("{table}{} = \"{value}\"", key.name);
                let (cli, _) = typed(&format!("{verb} --{} {value}", key.option));
                assert_eq!(filled(&verb, &text), format!("{cli:?}"), "{verb}: {}", key.path());
                followed.push(format!("{} {}", verb.trim(), key.path()));
            }
        }
        for known in [
            "up host-config",
            "build source",
            "doctor images.registry",
            "bundle images.lock-file",
        ] {
            assert!(followed.iter().any(|one| one == known), "{known}: {followed:?}");
        }
    }

    #[test]
    fn what_is_typed_wins() {
        let options = "--project p --engine native --stack lite --timeout 1s --osqueryd auto --osquery-sha256 a --pull \
            missing --registry r.org --pull-silence 2m --lock-file l --size 1G --scenario-timeout 120s --host host2 --source \
            installed --host-config default";
        let line = format!("smoke {options}");
        let (cli, _) = typed(&line);
        assert_eq!(
            filled(&line, FILE),
            format!("{cli:?}"),
            "also where it is the default"
        );
    }

    #[test]
    fn a_stack_in_place_of_another_is_one_choice() {
        let with_file = "stack-file = \"mine.yaml\"";
        let (cli, _) = typed("up --stack lite");
        assert_eq!(filled("up --stack lite", with_file), format!("{cli:?}"));
        let (cli, _) = typed("up --stack-file x.yaml");
        assert_eq!(filled("up --stack-file x.yaml", FILE_STACK), format!("{cli:?}"));
        let (cli, _) = typed("up --stack-file /demo/mine.yaml");
        assert_eq!(filled("up", with_file), format!("{cli:?}"));
    }

    const FILE_STACK: &str = "stack = \"confluent\"";

    #[test]
    fn every_setting_has_its_option() {
        use clap::CommandFactory;
        let command = Cli::command();
        let show = command
            .find_subcommand("config")
            .and_then(|config| config.find_subcommand("show"))
            .expect("the verb");
        let has = |option: &str| {
            show.get_arguments()
                .chain(command.get_arguments())
                .any(|argument| argument.get_long() == Some(option))
        };
        for key in KEYS {
            assert!(key.kind == Kind::Ports || has(key.option), "{}", key.path());
        }
    }

    #[test]
    fn verbs_that_must_work_anywhere_follow_no_file() {
        for line in [
            "completions bash",
            "serve broker --data-dir d",
            "config schema",
            "man d",
            "supervise",
        ] {
            assert!(!typed(line).0.command.follows_settings_file(), "{line}");
        }
        for line in ["up", "down", "config show"] {
            assert!(typed(line).0.command.follows_settings_file(), "{line}");
        }
    }
}
