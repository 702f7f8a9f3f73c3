//! The faults that are set, on record in the project's folder.

use std::fmt;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::chaos::fault::{FaultKind, Target, Way};
use crate::state::{ProjectFolder, StateError, remove_file, write_durably};

/// A fault that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SetFault {
    /// Its sort.
    pub(super) kind: FaultKind,
    /// What it is done to.
    pub(super) target: Target,
    /// Since when, in milliseconds since 1970.
    pub(super) since_ms: i64,
    /// How slow the way is, where that is the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) way: Option<Way>,
    /// How far the clock is wrong, where that is the fault, in milliseconds; behind where it is negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) step_ms: Option<i64>,
}

impl fmt::Display for SetFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind, self.target)?;
        if let Some(way) = self.way {
            write!(formatter, " {way}")?;
        }
        match self.step_ms {
            Some(step_ms) => write!(formatter, " by {step_ms:+} ms"),
            None => Ok(()),
        }
    }
}

/// All of them: at most one of each sort on each target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) faults: Vec<SetFault>,
}

impl Record {
    /// Reads them.
    pub(super) fn read(folder: &ProjectFolder) -> Result<Self, StateError> {
        let path = folder.faults_file();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|source| StateError::Damaged { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(StateError::io("read", &path, error)),
        }
    }

    /// Keeps them.
    pub(super) fn write(&self, folder: &ProjectFolder) -> Result<(), StateError> {
        let path = folder.faults_file();
        if self.faults.is_empty() {
            return remove_file(&path);
        }
        let text = serde_json::to_vec_pretty(self).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        write_durably(&path, &text)
    }

    /// Adds one, in the place of the same one.
    pub(super) fn put(&mut self, fault: SetFault) {
        self.faults
            .retain(|other| (other.kind, &other.target) != (fault.kind, &fault.target));
        self.faults.push(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::project::ProjectName;

    #[test]
    fn what_is_set_is_read_again_once() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ProjectFolder::new(home.path(), &ProjectName::default());
        folder.create().expect("a folder");
        assert_eq!(Record::read(&folder).expect("none"), Record::default());
        let fault = |since_ms| SetFault {
            kind: FaultKind::Stop,
            target: Target::try_from("host1/extension".to_owned()).expect("a target"),
            since_ms,
            way: None,
            step_ms: None,
        };
        let mut record = Record::default();
        record.put(fault(1));
        record.put(fault(2));
        record.write(&folder).expect("it is written");
        assert_eq!(Record::read(&folder).expect("it is read").faults, [fault(2)]);
        Record::default().write(&folder).expect("it is written");
        assert!(!folder.faults_file().exists());
    }
}
