//! Where a setting comes from, and which of several places has the word. The order stands here and nowhere else: it is
//! that of [`Source`].

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::error::{Failure, Result};
use crate::settings::{SettingsFile, Variable};

/// Where a setting comes from, the strongest place first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The command line.
    Flag,
    /// This variable of the environment.
    Environment(&'static str),
    /// This settings file: what the user wrote down on purpose.
    File(PathBuf),
    /// The last `up` of the project: what was asked for last.
    Remembered,
    /// Nobody said anything.
    Default,
}

/// A value in force, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// What is in force.
    pub value: T,
    /// Who says so.
    pub source: Source,
}

/// What the places looked at so far say about one setting; the strongest of them is kept, in whatever order they are
/// asked. A place that cannot win is not asked: what is wrong in it hurts nobody.
pub(super) struct Layers<T>(Option<Setting<T>>);

impl Source {
    /// Whether the user said it for this run only.
    pub fn is_this_run(&self) -> bool {
        matches!(self, Self::Flag | Self::Environment(_))
    }

    /// The kind of place, in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment(_) => "environment",
            Self::File(_) => "file",
            Self::Remembered => "remembered",
            Self::Default => "default",
        }
    }

    /// A hint about where `what` comes from, when that is not in front of the user.
    pub fn hint(&self, what: &str) -> Option<String> {
        match self {
            Self::Flag | Self::Default => None,
            Self::Environment(variable) => Some(format!("{what} is from the variable `{variable}`")),
            Self::File(path) => Some(format!("{what} is from `{}`", path.display())),
            Self::Remembered => Some(format!("{what} is remembered from the last `up`")),
        }
    }
}

impl<T> Deref for Setting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Setting<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(formatter)
    }
}

/// Data show the value: where it comes from is what `config show` is for.
impl<T: Serialize> Serialize for Setting<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T> Layers<T> {
    /// What the command line says.
    pub(super) fn flag(value: Option<T>) -> Self {
        let source = Source::Flag;
        Self(value.map(|value| Setting { value, source }))
    }

    /// What the command line says, as text.
    pub(super) fn typed<E: Into<Failure>>(
        text: Option<&str>,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<Self> {
        text.map(parse).transpose().map(Self::flag).map_err(Into::into)
    }

    /// What a variable says.
    pub(super) fn or_variable<E: Into<Failure>>(
        self,
        variable: &Variable,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<Self> {
        let value = || variable.text().as_deref().map(parse).transpose();
        self.or(Source::Environment(variable.name), value)
            .map_err(Into::into)
    }

    /// The path that a variable names.
    pub(super) fn or_variable_path(self, variable: &Variable) -> Self
    where
        T: From<PathBuf>,
    {
        self.or_sound(Source::Environment(variable.name), || {
            variable.path().map(T::from)
        })
    }

    /// What the settings file says. It was checked when it was read.
    pub(super) fn or_file(
        self,
        file: Option<&SettingsFile>,
        value: impl FnOnce(&SettingsFile) -> Option<T>,
    ) -> Self {
        match file {
            Some(file) => self.or_sound(Source::File(file.path.clone()), || value(file)),
            None => self,
        }
    }

    /// What another setting, which is from there, says of this one.
    pub(super) fn or_from(self, source: Source, value: Option<T>) -> Self {
        self.or_sound(source, || value)
    }

    /// What the project remembers.
    pub(super) fn or_remembered(self, value: Option<T>) -> Self {
        self.or_sound(Source::Remembered, || value)
    }

    /// What is in force.
    pub(super) fn or_default(self, value: T) -> Setting<T> {
        self.0.unwrap_or(Setting {
            value,
            source: Source::Default,
        })
    }

    /// What is in force, if anybody said anything.
    pub(super) fn given(self) -> Option<Setting<T>> {
        self.0
    }

    fn or_sound(self, source: Source, value: impl FnOnce() -> Option<T>) -> Self {
        match self.or(source, || Ok::<_, Infallible>(value())) {
            Ok(layers) => layers,
            Err(never) => match never {},
        }
    }

    /// Asks a place, unless a stronger one has spoken.
    fn or<E>(
        self,
        source: Source,
        value: impl FnOnce() -> std::result::Result<Option<T>, E>,
    ) -> std::result::Result<Self, E> {
        match self.0 {
            Some(found) if found.source <= source => Ok(Self(Some(found))),
            weaker => {
                let stronger = value()?.map(|value| Setting { value, source });
                Ok(Self(stronger.or(weaker)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse_duration;

    /// All that can be said of one setting, place by place, strongest first.
    const SAID: [(&str, &str); 4] = [
        ("flag", "1s"),
        ("environment", "2s"),
        ("file", "3s"),
        ("remembered", "4s"),
    ];

    #[test]
    fn the_strongest_place_that_speaks_has_the_word() {
        for speaking in 0..1_u32 << SAID.len() {
            let said = |place: usize| (speaking & 1 << place != 0).then(|| SAID[place].1);
            let parsed = |place| said(place).map(|text| parse_duration(text).expect("a duration"));
            let timeout = said(2).map_or_else(String::new, |text| format!("timeout = \"{text}\""));
            let file = SettingsFile::parse("/demo/osqdemo.toml".as_ref(), &timeout).expect("a file");
            let variable = Variable::of("OSQDEMO_TIMEOUT", said(1));
            let expected = SAID
                .iter()
                .enumerate()
                .find(|(place, _)| said(*place).is_some())
                .map_or(("default", "5s"), |(_, said)| *said);
            let in_order = Layers::typed(said(0), parse_duration)
                .and_then(|layers| layers.or_variable(&variable, parse_duration))
                .map(|layers| layers.or_file(Some(&file), |file| file.timeout))
                .map(|layers| layers.or_remembered(parsed(3)));
            // Whatever is asked first.
            let in_disorder = Layers::typed(said(0), parse_duration)
                .map(|layers| layers.or_remembered(parsed(3)))
                .map(|layers| layers.or_file(Some(&file), |file| file.timeout))
                .and_then(|layers| layers.or_variable(&variable, parse_duration));
            for layers in [in_order, in_disorder] {
                let five = parse_duration("5s").expect("a duration");
                let setting = layers.expect("sound texts").or_default(five);
                let value = format!("{}s", setting.value.as_secs());
                assert_eq!(
                    (setting.source.word(), value.as_str()),
                    expected,
                    "{speaking:04b}"
                );
            }
        }
    }

    #[test]
    fn what_cannot_win_is_not_read() {
        let wrong = Variable::of("OSQDEMO_TIMEOUT", Some("soon"));
        let typed = Layers::typed(Some("1s"), parse_duration).expect("a duration");
        let setting = typed.or_variable(&wrong, parse_duration).expect("it is not read");
        assert_eq!(setting.given().expect("a value").source, Source::Flag);
        let nothing = Layers::typed(None, parse_duration).expect("nothing");
        assert!(nothing.or_variable(&wrong, parse_duration).is_err());
        let empty = Variable::of("OSQDEMO_TIMEOUT", Some(""));
        let nothing = Layers::typed(None, parse_duration).expect("nothing");
        let nothing = nothing.or_variable(&empty, parse_duration).expect("nothing");
        assert_eq!(nothing.given(), None, "an empty variable is none");
    }

    #[test]
    fn a_value_that_is_not_in_front_of_the_user_tells_where_it_is_from() {
        let hint = |source: Source| source.hint("engine `docker`").unwrap_or_default();
        assert_eq!(hint(Source::Flag), "");
        assert_eq!(
            hint(Source::File("osqdemo.toml".into())),
            "engine `docker` is from `osqdemo.toml`"
        );
        assert_eq!(
            hint(Source::Environment("OSQDEMO_ENGINE")),
            "engine `docker` is from the variable `OSQDEMO_ENGINE`"
        );
    }
}
