//! What became of the commands: the last of them.

use std::collections::BTreeMap;

use super::entity::CommandStatus;

/// How many commands are remembered. The oldest make room.
const REMEMBERED: usize = 10_000;

/// What became of the last commands, by command id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statuses {
    by_id: BTreeMap<String, (u64, CommandStatus)>,
    by_age: BTreeMap<u64, String>,
    next: u64,
}

impl Statuses {
    /// Notes what became of a command, in place of an earlier one of its id.
    pub(crate) fn insert(&mut self, command_id: &str, status: CommandStatus) {
        let place = self.next;
        self.next += 1;
        if let Some((earlier, _)) = self.by_id.insert(command_id.to_owned(), (place, status)) {
            self.by_age.remove(&earlier);
        }
        self.by_age.insert(place, command_id.to_owned());
        while self.by_age.len() > REMEMBERED {
            if let Some((_, oldest)) = self.by_age.pop_first() {
                self.by_id.remove(&oldest);
            }
        }
    }

    /// What became of a command.
    pub(crate) fn get(&self, command_id: &str) -> Option<&CommandStatus> {
        self.by_id.get(command_id).map(|(_, status)| status)
    }

    /// All that is remembered, by command id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &CommandStatus)> {
        self.by_id.iter().map(|(id, (_, status))| (id.as_str(), status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let mut statuses = Statuses::default();
        let status = || CommandStatus {
            status: "SUCCESS",
            message: String::new(),
            query_id: None,
        };
        for number in 0..REMEMBERED + 5 {
            statuses.insert(&format!("stream/S{number}/drop"), status());
            statuses.insert("stream/AGAIN/drop", status());
        }
        assert_eq!(statuses.iter().count(), REMEMBERED);
        assert!(statuses.get("stream/S5/drop").is_none());
        assert!(statuses.get("stream/S6/drop").is_some());
        assert!(statuses.get("stream/AGAIN/drop").is_some());
    }
}
