//! Groups and their offsets over restarts and time-outs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::super::consumer::tests::{LINES, Topics};
use super::super::group::tests::{joining, name};
use super::*;
use crate::storage::disk::simulated::SimulatedDisk;
use crate::storage::disk::{Mode, RealDisk};

pub(super) fn coordinator(folder: &Path) -> Coordinator {
    Coordinator::open(&RealDisk::shared(), folder, GroupTimings::default()).unwrap()
}

pub(super) fn claim(member_id: &StrBytes, generation: i32) -> Claim<'_> {
    Claim {
        member_id,
        instance_id: None,
        generation,
    }
}

pub(super) fn topics() -> Topics {
    Topics(vec![("lines", LINES, 4)], 1)
}

/// A stable group of one; the member's id.
fn join(coordinator: &Coordinator, group_id: &StrBytes) -> StrBytes {
    let mut answer = coordinator
        .join(group_id, joining(&StrBytes::new(), &["range"]), &topics())
        .unwrap();
    let joined = answer.try_recv().unwrap().unwrap();
    let assignments = vec![(joined.member_id.clone(), Bytes::from_static(b"everything"))];
    coordinator
        .sync(
            group_id,
            claim(&joined.member_id, 1),
            None,
            assignments,
            &topics(),
        )
        .unwrap();
    joined.member_id
}

pub(super) fn commit(
    coordinator: &Coordinator,
    group_id: &StrBytes,
    claim: Claim<'_>,
) -> Result<(), ResponseError> {
    let committed = Committed {
        offset: 5,
        leader_epoch: -1,
        metadata: StrBytes::new(),
        committed_at: 1_000_000,
    };
    coordinator.commit(group_id, claim, vec![((name("lines"), 0), committed)])
}

#[test]
fn members_and_their_offsets_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let group_id = name("readers");
    let first = coordinator(folder.path());
    let member_id = join(&first, &group_id);
    commit(&first, &group_id, claim(&member_id, 1)).unwrap();
    drop(first);

    let second = coordinator(folder.path());
    assert_eq!(second.heartbeat(&group_id, claim(&member_id, 1)), Ok(()));
    let description = second.describe(&group_id).unwrap();
    assert_eq!(description.state, "Stable");
    assert_eq!(description.members[0].assignment, "everything");
    assert_eq!(second.committed(&group_id).unwrap().partitions.len(), 1);
    assert_eq!(second.delete(&group_id), Err(ResponseError::NonEmptyGroup));
    second.leave(&group_id, &member_id, None).unwrap();
    assert_eq!(second.list()[0].state, "Empty");
    assert_eq!(second.delete(&group_id), Ok(()));
    assert!(second.list().is_empty());
    assert!(coordinator(folder.path()).list().is_empty());
}

#[test]
fn impossible_members_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = coordinator(folder.path());
    let refused = |group_id: &str, joining: Joining| {
        let answer = coordinator.join(&name(group_id), joining, &topics());
        answer.map(|_| ()).unwrap_err().code
    };
    let newcomer = joining(&StrBytes::new(), &["range"]);
    assert_eq!(refused("", newcomer.clone()), ResponseError::InvalidGroupId);
    // Kafka's bounds, to the millisecond.
    let with_session = |ms| Joining {
        session_timeout: Duration::from_millis(ms),
        ..newcomer.clone()
    };
    for ms in [1, 5_999, 1_800_001] {
        let code = refused("readers", with_session(ms));
        assert_eq!(code, ResponseError::InvalidSessionTimeout, "{ms}");
    }
    for ms in [6_000, 1_800_000] {
        let group_id = name(&format!("of {ms}"));
        assert!(
            coordinator.join(&group_id, with_session(ms), &topics()).is_ok(),
            "{ms}"
        );
    }
    let stranger = joining(&name("somebody"), &["range"]);
    assert_eq!(refused("readers", stranger), ResponseError::UnknownMemberId);
    let nobody = name("nobody");
    let late = commit(&coordinator, &name("readers"), claim(&nobody, 3));
    assert_eq!(late, Err(ResponseError::IllegalGeneration));
}

#[test]
fn offsets_of_abandoned_groups_are_forgotten_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = coordinator(folder.path());
    let (lone, busy) = (name("lone"), name("busy"));
    commit(&coordinator, &lone, claim(&StrBytes::new(), -1)).unwrap();
    let member_id = join(&coordinator, &busy);
    commit(&coordinator, &busy, claim(&member_id, 1)).unwrap();
    let committed_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000);
    let kept = GroupTimings::default().offsets_retention;
    coordinator.forget_abandoned(committed_at + kept);
    assert!(coordinator.committed(&lone).is_some());
    coordinator.forget_abandoned(committed_at + kept + Duration::from_secs(1));
    assert!(coordinator.committed(&lone).is_none());
    assert!(coordinator.committed(&busy).is_some());
}

#[test]
fn nothing_is_done_while_no_deadline_is_near() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = coordinator(folder.path());
    assert_eq!(coordinator.expire(Instant::now()), None);
    join(&coordinator, &name("readers"));
    let now = Instant::now();
    let next = coordinator.expire(now).unwrap();
    assert!(next > now + Duration::from_secs(9));
}

/// Heartbeats and commits do not wait for the disk.
#[test]
fn nothing_is_synced_with_the_groups_or_their_offsets_locked() {
    let simulated = Arc::new(SimulatedDisk::new(1));
    let disk: SharedDisk = Arc::clone(&simulated) as SharedDisk;
    let folder = Path::new("/data");
    disk.create_folder(folder).unwrap();
    let coordinator = Arc::new(Coordinator::open(&disk, folder, GroupTimings::default()).unwrap());
    let syncs = Arc::new(AtomicU64::new(0));
    simulated.look_while_syncing({
        let (coordinator, syncs) = (Arc::clone(&coordinator), Arc::clone(&syncs));
        move || {
            assert!(coordinator.groups.try_lock().is_ok(), "the groups are locked");
            assert!(
                coordinator.consumers.try_lock().is_ok(),
                "the assigned groups are locked"
            );
            assert!(coordinator.offsets.try_lock().is_ok(), "the offsets are locked");
            syncs.fetch_add(1, Ordering::Relaxed);
        }
    });
    let group_id = name("readers");
    let member_id = join(&coordinator, &group_id);
    // Until the journal is worth writing anew, and is.
    let mut written_anew = false;
    let mut before = 0;
    for _ in 0..10_000 {
        let committed = Committed {
            offset: 5,
            leader_epoch: -1,
            metadata: StrBytes::from_string("x".repeat(100_000)),
            committed_at: 1_000_000,
        };
        let offsets = vec![((name("lines"), 0), committed)];
        coordinator
            .commit(&group_id, claim(&member_id, 1), offsets)
            .unwrap();
        coordinator.flush().unwrap();
        let size = disk
            .open(&folder.join("offsets.journal"), Mode::Read)
            .unwrap()
            .size()
            .unwrap();
        written_anew = size < before;
        if written_anew {
            break;
        }
        before = size;
    }
    assert!(written_anew);
    assert!(syncs.load(Ordering::Relaxed) > 10);
}
