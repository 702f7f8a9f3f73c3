//! What stands for topics that do not say so themselves: as the broker was started with, unless it was altered since.

use std::collections::BTreeMap;

use super::{InvalidSetting, TopicSettings};
use crate::config::RetentionDefaults;

/// The values of settings that topics do not override.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    pub(super) configured: RetentionDefaults,
    /// By the topics' names for them.
    altered: BTreeMap<String, String>,
}

impl Defaults {
    /// What the broker was started with, and what was altered, which is checked as topics' own settings are.
    pub(crate) fn new(
        configured: RetentionDefaults,
        altered: BTreeMap<String, String>,
    ) -> Result<Self, InvalidSetting> {
        let configured = Self::from(configured);
        TopicSettings::new(altered.clone(), &configured)?;
        Ok(Self {
            altered,
            ..configured
        })
    }

    /// The same, with others altered.
    pub(crate) fn altered_to(&self, altered: BTreeMap<String, String>) -> Result<Self, InvalidSetting> {
        Self::new(self.configured.clone(), altered)
    }

    /// What was altered, by the topics' names for it.
    pub(crate) fn altered(&self) -> &BTreeMap<String, String> {
        &self.altered
    }
}

impl From<RetentionDefaults> for Defaults {
    fn from(configured: RetentionDefaults) -> Self {
        Self {
            configured,
            altered: BTreeMap::new(),
        }
    }
}
