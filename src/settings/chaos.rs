//! What `osqdemo chaos` is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::chaos::error::ChaosError;
use crate::chaos::fault::{FaultKind, Round};
use crate::chaos::report::Replay;
use crate::cli::ChaosArgs;
use crate::engine::EngineKind;
use crate::error::Result;
use crate::input_file;
use crate::settings::{ReportTarget, RunSettings, Settings, parse_duration};
use crate::state::Remembered;

/// How many faults, unless the user says otherwise.
const USUAL_ROUNDS: u32 = 20;

/// More are not done in one run: the list and its times are kept until the end.
const MOST_ROUNDS: u32 = 100_000;

/// `osqdemo chaos`.
#[derive(Debug, Clone)]
pub struct ChaosSettings {
    /// How the stack is run.
    pub run: RunSettings,
    /// What the faults are drawn from.
    pub seed: u64,
    /// Which sorts.
    pub kinds: Vec<FaultKind>,
    /// Whether somebody said which. Otherwise what this project has nothing for is left out.
    pub is_chosen: bool,
    /// The list, where there is one already.
    pub given: Option<Vec<Round>>,
    /// Another build of osqdemo, which services are upgraded to.
    pub to: Option<PathBuf>,
    /// How many at most.
    pub most: u32,
    /// For how long.
    pub lasting: Option<Duration>,
    /// The reports to write.
    pub reports: Vec<ReportTarget>,
}

impl ChaosSettings {
    /// What is typed; the stack from wherever it has the word.
    ///
    /// # Errors
    /// When a value cannot be, or the list of faults cannot be read.
    pub fn resolve(arguments: &ChaosArgs, settings: &Settings, remembered: &Remembered) -> Result<Self> {
        let lasting = arguments.lasting.as_deref().map(parse_duration).transpose()?;
        let replay = arguments.replay.as_deref().map(read).transpose()?;
        let most = match (arguments.rounds, lasting.is_some() || replay.is_some()) {
            (Some(rounds), _) => rounds,
            (None, true) => MOST_ROUNDS,
            (None, false) => USUAL_ROUNDS,
        };
        if lasting.is_some_and(|lasting| lasting.is_zero()) {
            return Err(ChaosError::NoTime.into());
        }
        if most == 0 || most > MOST_ROUNDS {
            return Err(ChaosError::Rounds { most: MOST_ROUNDS }.into());
        }
        let kinds: Vec<FaultKind> = match &replay {
            Some(replay) => replay.rounds.iter().map(|round| round.kind).collect(),
            None => arguments
                .faults
                .iter()
                .map(|text| {
                    text.parse()
                        .map_err(|()| ChaosError::UnknownFault { text: text.clone() })
                })
                .collect::<std::result::Result<_, _>>()?,
        };
        let run = RunSettings::resolve(&arguments.run, settings, remembered)?;
        let engine = run.target.engine.value;
        let possible = FaultKind::on(engine, arguments.to.as_deref());
        let is_chosen = !kinds.is_empty();
        let mut kinds = if is_chosen { kinds } else { possible.clone() };
        if let Some(&kind) = kinds.iter().find(|kind| !possible.contains(kind)) {
            return Err(match (kind, engine) {
                (FaultKind::Upgrade, EngineKind::Native) => ChaosError::NoOtherBuild,
                _ => ChaosError::NotOn { kind, engine },
            }
            .into());
        }
        kinds.sort_unstable();
        kinds.dedup();
        Ok(Self {
            run,
            // Short enough to be typed again.
            seed: match &replay {
                Some(replay) => replay.seed,
                None => arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 32)),
            },
            kinds,
            is_chosen,
            given: replay.map(|replay| replay.rounds),
            to: arguments.to.clone(),
            most,
            lasting,
            reports: arguments
                .report
                .iter()
                .map(|text| ReportTarget::parse(text))
                .collect::<std::result::Result<_, _>>()?,
        })
    }
}

/// Reads the list of faults of an earlier run.
fn read(path: &Path) -> std::result::Result<Replay, ChaosError> {
    let failed = |reason: String| ChaosError::Replay {
        path: path.to_owned(),
        reason,
    };
    let text = input_file::read(path).map_err(|error| failed(error.to_string()))?;
    let replay: Replay = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    match replay.rounds.len() {
        0 => Err(failed("it has no faults".to_owned())),
        many if many > MOST_ROUNDS as usize => Err(failed(format!("it has more than {MOST_ROUNDS} faults"))),
        _ => match replay.rounds.iter().find(|round| !round.says_how()) {
            Some(round) => Err(failed(format!(
                "fault {}: `slow` has a `way` and `clock` a `step_ms`, and no other fault has",
                round.number
            ))),
            None => Ok(replay),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn resolved(line: &[&str]) -> Result<ChaosSettings> {
        let words = ["osqdemo", "chaos"].iter().chain(line);
        let Command::Chaos(arguments) = Cli::try_parse_from(words).expect("a right line").command else {
            panic!("another verb");
        };
        let settings = Settings::silent("/home".into());
        ChaosSettings::resolve(&arguments, &settings, &Remembered::default())
    }

    fn error(line: &[&str]) -> String {
        let failure = resolved(line).unwrap_err();
        let diagnosis = failure.diagnosis();
        format!(
            "{failure} [{}] exit {}",
            diagnosis.hints().join(" "),
            diagnosis.exit_code() as u8
        )
    }

    #[test]
    fn what_is_typed_counts() {
        let usual = resolved(&[]).unwrap();
        assert_eq!(
            (usual.most, usual.lasting, usual.kinds),
            (20, None, FaultKind::on(EngineKind::Native, None))
        );
        let long = resolved(&["--for", "10m", "--faults", "stop,kill,stop", "--seed", "7"]).unwrap();
        assert_eq!((long.most, long.seed), (MOST_ROUNDS, 7));
        assert_eq!(long.kinds, [FaultKind::Kill, FaultKind::Stop]);
        assert_eq!(long.lasting, Some(Duration::from_secs(600)));
        let docker = resolved(&["--engine", "docker"]).unwrap();
        assert_eq!(docker.kinds, FaultKind::on(EngineKind::Docker, None));
        let upgrade = resolved(&["--to", "/other/osqdemo", "--faults", "upgrade,supervisor"]).unwrap();
        assert_eq!(upgrade.kinds, [FaultKind::Supervisor, FaultKind::Upgrade]);
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        insta::assert_snapshot!(error(&["--for", "0s"]), @"`--for` leaves no time for a fault [] exit 2");
        insta::assert_snapshot!(error(&["--rounds", "0"]), @"`--rounds` must be from 1 to 100000 [] exit 2");
        insta::assert_snapshot!(error(&["--faults", "kil"]), @"there is no fault `kil` [did you mean `kill`?] exit 2");
        insta::assert_snapshot!(error(&["--faults", "slow,kill", "--engine", "docker"]), @"the fault `slow` is not possible on the docker engine: the network between its containers is the daemon's [run it with `--engine native`, or without this fault] exit 2");
        insta::assert_snapshot!(error(&["--faults", "disk"]), @"the fault `disk` is not possible on the native engine: a limited disk that outlives the service takes more rights than those of its user [leave it out] exit 2");
        insta::assert_snapshot!(error(&["--faults", "clock", "--engine", "docker"]), @"the fault `clock` is not possible on the docker engine: the programs in its containers read the machine's clock [run it with `--engine native`, or without this fault] exit 2");
        insta::assert_snapshot!(error(&["--faults", "upgrade"]), @"the fault `upgrade` takes another build of osqdemo [name its program with `--to PATH`] exit 2");
        insta::assert_snapshot!(error(&["--faults", "supervisor", "--engine", "docker"]), @"the fault `supervisor` is not possible on the docker engine: the daemon looks after its services, and is not the project's [run it with `--engine native`, or without this fault] exit 2");
        insta::assert_snapshot!(error(&["--for", "soon"]), @"`soon` is not a duration such as `500ms`, `30s`, `2m` or `1m30s` [] exit 2");
        insta::assert_snapshot!(error(&["--replay", "/nowhere"]), @"failed to read the list of faults `/nowhere`: No such file or directory (os error 2) [a report of `osqdemo chaos --report json=FILE` is such a list] exit 2");
    }

    #[test]
    fn a_list_is_read_again_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.json");
        let line = ["--replay", path.to_str().unwrap(), "--rounds", "1"];
        std::fs::write(
            &path,
            r#"{"seed":7,"rounds":[
                {"number":1,"after_ms":5,"kind":"stop","target":"host1/extension","hold_ms":9},
                {"number":2,"after_ms":5,"kind":"kill","target":"broker","hold_ms":0}]}"#,
        )
        .unwrap();
        let again = resolved(&line).unwrap();
        assert_eq!((again.seed, again.most), (7, 1));
        assert_eq!(
            again.given.unwrap()[0].to_string(),
            "stop host1/extension for 9 ms"
        );
        for wrong in [
            "",
            "[]",
            r#"{"seed":7,"rounds":[]}"#,
            r#"{"seed":7,"rounds":[{"number":1,"after_ms":5,"kind":"burn","target":"broker","hold_ms":0}]}"#,
            r#"{"seed":7,"rounds":[{"number":1,"after_ms":5,"kind":"kill","target":"host1/disk","hold_ms":0}]}"#,
            r#"{"seed":7,"rounds":[{"number":1,"after_ms":5,"kind":"slow","target":"host1","hold_ms":9}]}"#,
            r#"{"seed":7,"rounds":[{"number":1,"after_ms":5,"kind":"clock","target":"host1","hold_ms":9}]}"#,
            r#"{"seed":7,"rounds":[{"number":1,"after_ms":5,"kind":"partition","target":"host1","hold_ms":9,"way":{"delay_ms":5,"loss_percent":0}}]}"#,
        ] {
            std::fs::write(&path, wrong).unwrap();
            assert!(error(&line).ends_with("exit 2"), "{wrong}");
        }
    }
}
