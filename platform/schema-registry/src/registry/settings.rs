//! Compatibility levels, further settings, and modes: of a subject, of a context, of everything.

use std::sync::Arc;

use osqdemo_avro::compatibility::Level;
use serde_json::{Map, Value as Json};

use super::Registry;
use crate::refusal::Refusal;
use crate::storage::{Mode, Record, Settings, State};
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// Settings in a request: those fields that it has, `null` for one that is to go.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingsRequest(pub(crate) Map<String, Json>);

/// The places where something may be set for a subject, the nearest first.
fn scopes(subject: &Subject) -> impl Iterator<Item = Option<&str>> {
    let context = (subject.context() != DEFAULT_CONTEXT).then(|| subject.prefix());
    [Some(Some(subject.as_str())), context.map(Some), Some(None)]
        .into_iter()
        .flatten()
}

/// A setting as it holds for a subject.
pub(super) fn setting<'s>(state: &'s State, subject: &Subject, name: &str) -> Option<&'s Json> {
    scopes(subject).find_map(|scope| state.settings(scope)?.0.get(name))
}

/// The level that holds for a subject.
pub(super) fn level(state: &State, subject: &Subject) -> Level {
    let word = setting(state, subject, "compatibilityLevel").and_then(Json::as_str);
    word.and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The mode that holds for a subject.
pub(super) fn mode(state: &State, subject: &Subject) -> Mode {
    let everything = state.mode(None);
    if everything == Some(Mode::ReadOnlyOverride) {
        return Mode::ReadOnlyOverride;
    }
    scopes(subject)
        .find_map(|scope| state.mode(scope))
        .unwrap_or(Mode::ReadWrite)
}

/// Refuses a change of a subject that may only be read.
pub(super) fn may_change(state: &State, subject: &Subject) -> Result<(), Refusal> {
    if mode(state, subject).is_read_only() {
        return Err(Refusal::not_permitted(format!(
            "Subject {subject} in context {} is in read-only mode",
            subject.prefix()
        )));
    }
    Ok(())
}

/// Settings as they are shown: with the level that holds where none was set.
fn shown(settings: Option<&Settings>, fills_in: bool) -> Map<String, Json> {
    let mut shown = settings.cloned().unwrap_or_default().0;
    if fills_in {
        let level = || Level::default().word().into();
        shown.entry("compatibilityLevel").or_insert_with(level);
    }
    shown
}

impl Registry {
    /// The settings of everything.
    pub(crate) fn settings(&self) -> Result<Map<String, Json>, Refusal> {
        Ok(shown(self.state()?.settings(None), true))
    }

    /// The settings of a subject; those of its context or of everything only where that was asked for.
    pub(crate) fn settings_of(
        &self,
        subject: &Subject,
        or_general: bool,
    ) -> Result<Map<String, Json>, Refusal> {
        let state = self.state()?;
        if or_general {
            let found = scopes(subject).find_map(|scope| state.settings(scope));
            return Ok(shown(found, true));
        }
        let own = state.settings(Some(subject.as_str()));
        own.map(|own| shown(Some(own), false))
            .ok_or_else(|| Refusal::no_level(subject))
    }

    /// Changes the fields of settings that the request has. What they are then is answered.
    pub(crate) async fn set_settings(
        self: &Arc<Self>,
        subject: Option<Subject>,
        SettingsRequest(mut request): SettingsRequest,
    ) -> Result<Map<String, Json>, Refusal> {
        if let Some(level) = request.remove("compatibility") {
            let word = match &level {
                Json::Null => Json::Null,
                level => {
                    let level = level.as_str().and_then(|word| word.parse::<Level>().ok());
                    level.ok_or_else(Refusal::invalid_level)?.word().into()
                }
            };
            request.insert("compatibilityLevel".to_owned(), word);
        }
        if let Some(subject) = &subject
            && !subject.is_valid()
        {
            return Err(Refusal::invalid_subject(subject));
        }
        self.change(move |state| {
            let scope = subject.as_ref().map(Subject::as_str);
            let mut settings = state.settings(scope).cloned().unwrap_or_default();
            for (name, value) in request {
                if value.is_null() {
                    settings.0.remove(&name);
                } else {
                    settings.0.insert(name, value);
                }
            }
            let now = shown(Some(&settings), scope.is_none());
            let record = Record::Config {
                subject: scope.map(str::to_owned),
                settings: Some(settings),
            };
            Ok((vec![record], now))
        })
        .await
    }

    /// Takes settings back. What they were is answered.
    pub(crate) async fn delete_settings(
        self: &Arc<Self>,
        subject: Option<Subject>,
    ) -> Result<Map<String, Json>, Refusal> {
        self.change(move |state| {
            let scope = subject.as_ref().map(Subject::as_str);
            let old = match (&subject, state.settings(scope)) {
                (Some(subject), None) => return Err(Refusal::subject_not_found(subject)),
                (_, old) => shown(old, scope.is_none()),
            };
            let record = Record::Config {
                subject: scope.map(str::to_owned),
                settings: None,
            };
            Ok((vec![record], old))
        })
        .await
    }

    /// The mode of everything.
    pub(crate) fn mode(&self) -> Result<Mode, Refusal> {
        Ok(self.state()?.mode(None).unwrap_or(Mode::ReadWrite))
    }

    /// The mode of a subject; that of its context or of everything only where that was asked for.
    pub(crate) fn mode_of(&self, subject: &Subject, or_general: bool) -> Result<Mode, Refusal> {
        let state = self.state()?;
        if or_general {
            return Ok(mode(&state, subject));
        }
        state
            .mode(Some(subject.as_str()))
            .ok_or_else(|| Refusal::no_mode(subject))
    }

    /// Sets a mode.
    pub(crate) async fn set_mode(
        self: &Arc<Self>,
        subject: Option<Subject>,
        mode: Mode,
        force: bool,
    ) -> Result<(), Refusal> {
        if let Some(subject) = &subject
            && !subject.is_valid()
        {
            return Err(Refusal::invalid_subject(subject));
        }
        self.change(move |state| {
            let scope = subject.as_ref().map(Subject::as_str);
            let concerns = |other: &Subject| match &subject {
                None => true,
                Some(subject) if subject.name().is_empty() => other.context() == subject.context(),
                Some(subject) => other == subject,
            };
            let exists = || {
                state
                    .all()
                    .any(|stored| !stored.is_deleted && concerns(&stored.subject))
            };
            if mode == Mode::Import && state.mode(scope) != Some(Mode::Import) && !force && exists() {
                return Err(Refusal::not_permitted(
                    "Cannot import since found existing subjects",
                ));
            }
            let record = Record::Mode {
                subject: scope.map(str::to_owned),
                mode: Some(mode),
            };
            Ok((vec![record], ()))
        })
        .await
    }

    /// Takes a mode back. What it was is answered.
    pub(crate) async fn delete_mode(self: &Arc<Self>, subject: Option<Subject>) -> Result<Mode, Refusal> {
        self.change(move |state| {
            let scope = subject.as_ref().map(Subject::as_str);
            let old = match (&subject, state.mode(scope)) {
                (Some(subject), None) => return Err(Refusal::subject_not_found(subject)),
                (_, old) => old.unwrap_or(Mode::ReadWrite),
            };
            let record = Record::Mode {
                subject: scope.map(str::to_owned),
                mode: None,
            };
            Ok((vec![record], old))
        })
        .await
    }
}
