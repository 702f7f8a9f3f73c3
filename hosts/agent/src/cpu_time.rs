//! How much processor time a query takes.

use crate::procfs::ProcFs;

/// The milliseconds one tick of `/proc/…/stat` stands for.
const MILLISECONDS_PER_TICK: u64 = 10;

/// A thread's processor time so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    pub(crate) user_ms: u64,
    pub(crate) system_ms: u64,
}

impl CpuTime {
    /// Zero where the kernel does not say.
    pub(crate) fn of_this_thread(proc: &ProcFs) -> Self {
        let mut reader = proc.reader();
        reader
            .read_global("thread-self/stat")
            .ok()
            .and_then(read)
            .unwrap_or_default()
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            user_ms: self.user_ms.saturating_sub(before.user_ms),
            system_ms: self.system_ms.saturating_sub(before.system_ms),
        }
    }
}

/// The 14th and 15th field of a `stat` file, counted behind the name, which may hold anything.
fn read(stat: &[u8]) -> Option<CpuTime> {
    let end_of_name = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(&stat[end_of_name..]).ok()?;
    let mut ticks = fields.split(' ').skip(12).map(str::parse::<u64>);
    let mut next = || Some(ticks.next()?.ok()? * MILLISECONDS_PER_TICK);
    Some(CpuTime {
        user_ms: next()?,
        system_ms: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_right_fields() {
        let stat = b"7 (a) b) S 1 2 3 0 -1 4194560 100 0 0 0 12 34 0 0 20 0 1 0 99";
        assert_eq!(
            read(stat),
            Some(CpuTime {
                user_ms: 120,
                system_ms: 340
            })
        );
        assert_eq!(read(b"7 (a"), None);
        let proc = ProcFs::open(None).unwrap();
        let now = CpuTime::of_this_thread(&proc);
        assert_eq!(now.since(now), CpuTime::default());
    }
}
