//! Deleting: softly first, so that consumers still find what records were written with, then for good.

use std::sync::Arc;

use super::Registry;
use super::lookup::{Deleted, VersionId, exists, find, referrers};
use super::settings::may_change;
use crate::refusal::Refusal;
use crate::storage::{Record, SchemaRecord, State, Stored};
use crate::subject::Subject;

impl Registry {
    /// Deletes a version. Its number is answered.
    pub(crate) async fn delete_version(
        self: &Arc<Self>,
        subject: Subject,
        version: VersionId,
        permanent: bool,
    ) -> Result<u32, Refusal> {
        self.change(move |state| {
            let stored = find(state, &subject, version, true)?;
            if stored.is_deleted && !permanent {
                return Err(Refusal::version_soft_deleted(&subject, stored.version));
            }
            may_change(state, &subject)?;
            is_unused(state, stored)?;
            let records = if permanent {
                if !stored.is_deleted {
                    return Err(Refusal::version_not_soft_deleted(&subject, stored.version));
                }
                let is_last = state.versions(&subject).count() == 1;
                let mut records = vec![gone(stored)];
                records.extend(is_last.then(|| unset(state, &subject)).into_iter().flatten());
                records
            } else {
                let deleted = true;
                vec![Record::Schema(SchemaRecord {
                    deleted,
                    ..stored.record()
                })]
            };
            Ok((records, stored.version))
        })
        .await
    }

    /// Deletes a subject. The numbers of its versions are answered.
    pub(crate) async fn delete_subject(
        self: &Arc<Self>,
        subject: Subject,
        permanent: bool,
    ) -> Result<Vec<u32>, Refusal> {
        self.change(move |state| {
            if !exists(state, &subject, Deleted::With) {
                return Err(Refusal::subject_not_found(&subject));
            }
            if !permanent && !exists(state, &subject, Deleted::Without) {
                return Err(Refusal::subject_soft_deleted(&subject));
            }
            may_change(state, &subject)?;
            let concerned = |stored: &&Stored| permanent || !stored.is_deleted;
            let concerned: Vec<&Stored> = state.versions(&subject).filter(concerned).collect();
            for stored in &concerned {
                is_unused(state, stored)?;
            }
            let versions: Vec<u32> = concerned.iter().map(|stored| stored.version).collect();
            let records = if permanent {
                if concerned.iter().any(|stored| !stored.is_deleted) {
                    return Err(Refusal::subject_not_soft_deleted(&subject));
                }
                let gone = concerned.iter().map(|stored| gone(stored));
                gone.chain(unset(state, &subject)).collect()
            } else {
                vec![Record::DeleteSubject {
                    subject: subject.as_str().to_owned(),
                    version: versions.last().copied().unwrap_or_default(),
                }]
            };
            Ok((records, versions))
        })
        .await
    }
}

fn is_unused(state: &State, stored: &Stored) -> Result<(), Refusal> {
    match referrers(state, stored).next() {
        Some(_) => Err(Refusal::referenced(&stored.subject, stored.version)),
        None => Ok(()),
    }
}

fn gone(stored: &Stored) -> Record {
    Record::SchemaGone {
        subject: stored.subject.as_str().to_owned(),
        version: stored.version,
    }
}

/// What takes back the mode and the settings of a subject that is gone.
fn unset(state: &State, subject: &Subject) -> Vec<Record> {
    let name = Some(subject.as_str());
    let subject = || name.map(str::to_owned);
    let mode = state.mode(name).map(|_| Record::Mode {
        subject: subject(),
        mode: None,
    });
    let settings = state.settings(name).map(|_| Record::Config {
        subject: subject(),
        settings: None,
    });
    mode.into_iter().chain(settings).collect()
}
