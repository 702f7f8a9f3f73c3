use std::collections::BTreeMap;

use super::*;
use crate::registry::Latest;

fn command(sequence: i64, again: Option<Again>) -> Command {
    Command {
        sequence,
        again,
        ..Command::default()
    }
}

fn sequences(read: &[(i64, Command)], is_first: bool) -> Vec<i64> {
    let commands = current(read.to_vec(), is_first).into_iter();
    commands.map(|(_, command)| command.sequence).collect()
}

#[test]
fn a_log_begins_with_what_was_written_once_more() {
    let again = |first, all| Some(Again { first, all });
    let mut read = vec![
        (0, command(0, None)),
        (1, command(1, None)),
        // A first attempt that was cut short.
        (2, command(0, again(2, None))),
        (3, command(3, None)),
        (4, command(0, again(4, None))),
        // Twice, by a producer that saw no answer.
        (5, command(0, again(4, None))),
        (6, command(3, again(4, None))),
    ];
    assert_eq!(sequences(&read, true), [0, 1, 3]);
    read.push((7, command(7, again(4, Some(2)))));
    assert_eq!(sequences(&read, true), [0, 3]);
    assert_eq!(sequences(&read, false), [0, 1, 3]);
    read.push((8, command(8, None)));
    assert_eq!(sequences(&read, true), [0, 3, 8]);
    assert_eq!(sequences(&read[7..], false), [8]);
    // One of them is missing.
    read[7] = (7, command(7, again(4, Some(3))));
    assert_eq!(sequences(&read, true), [0, 1, 3, 8]);
}

#[test]
fn what_is_left_behind_is_known_until_it_is_gone_and_of_no_more_topics_than_there_may_be() {
    let dropped = |sequence| Command {
        statement: "DROP STREAM s DELETE TOPIC;".to_owned(),
        sequence,
        leavings: Some(Leavings {
            topic: format!("t{sequence}"),
            latest: BTreeMap::from([(format!("t{sequence}-value"), Latest { version: 1, id: 7 })]),
        }),
        ..Command::default()
    };
    let mut left = LeftBehind::default();
    // The second once more, as a log that was written anew has it.
    let again = Command::left(2, dropped(2).leavings.unwrap());
    for command in [dropped(1), dropped(2), again, Command::cleaned(1, 3)] {
        let stored = serde_json::to_vec(&command).unwrap();
        left.note(&serde_json::from_slice(&stored).unwrap());
    }
    assert_eq!(left.0.keys().copied().collect::<Vec<_>>(), [2]);
    left.note(&Command::cleaned(2, 4));
    assert!(left.0.is_empty());
    let most = i64::try_from(MOST_LEFT).unwrap();
    for sequence in 0..most + 5 {
        left.note(&dropped(sequence));
    }
    assert_eq!((left.0.len(), left.0.keys().next()), (MOST_LEFT, Some(&5)));
}
