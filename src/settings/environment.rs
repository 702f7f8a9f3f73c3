//! The variables of the environment that stand for options.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// A variable that stands for an option. An empty one is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    value: Option<OsString>,
}

/// The variables that stand for options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub(super) project: Variable,
    pub(super) config: Variable,
    pub(super) engine: Variable,
    pub(super) osquery_sha256: Variable,
    pub(super) registry: Variable,
    pub(super) lock_file: Variable,
}

impl Variable {
    /// What it says.
    pub(super) fn text(&self) -> Option<String> {
        let value = self.value.as_ref()?;
        Some(value.to_string_lossy().into_owned())
    }

    /// The path that it names.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.value.as_ref().map(PathBuf::from)
    }

    /// One with this value.
    #[cfg(test)]
    pub(super) fn of(name: &'static str, value: Option<&str>) -> Self {
        Self::new(name, &|_| value.map(OsString::from))
    }

    fn new(name: &'static str, value: &dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            name,
            value: value(name).filter(|value| !value.is_empty()),
        }
    }
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        Self::of(&|name| env::var_os(name))
    }

    /// One in which nothing is said.
    pub fn silent() -> Self {
        Self::of(&|_| None)
    }

    /// The one that gives these values.
    pub(super) fn of(value: &dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            project: Variable::new("OSQDEMO_PROJECT", value),
            config: Variable::new("OSQDEMO_CONFIG", value),
            engine: Variable::new("OSQDEMO_ENGINE", value),
            osquery_sha256: Variable::new("OSQDEMO_OSQUERY_SHA256", value),
            registry: Variable::new("OSQDEMO_REGISTRY", value),
            lock_file: Variable::new("OSQDEMO_IMAGES_LOCK", value),
        }
    }
}
