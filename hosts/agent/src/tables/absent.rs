//! Tables that osqueryd has and the agent has not, and why: said wherever a statement names one.

const ABSENT: [(&str, &str); 7] = [
    ("process_events", AUDITED),
    ("socket_events", AUDITED),
    ("user_events", AUDITED),
    ("process_file_events", AUDITED),
    ("bpf_process_events", AUDITED),
    ("yara", YARA),
    ("yara_events", YARA),
];
const AUDITED: &str = "it holds events of the kernel's audit or BPF, which this agent does not collect";
const YARA: &str = "this agent has no YARA rules; a genuine osqueryd has";

/// Why a table is not there, where that is known.
pub(crate) fn why(table: &str) -> Option<&'static str> {
    let known = ABSENT
        .iter()
        .find(|(absent, _)| table.eq_ignore_ascii_case(absent));
    known.map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn each_of_them_is_refused_by_name_and_with_the_reason() {
        let database = TestDatabase::open();
        for table in [
            "process_events",
            "socket_events",
            "user_events",
            "process_file_events",
            "bpf_process_events",
            "yara",
            "yara_events",
        ] {
            let why = why(table).expect(table);
            let expected = format!("no such table: {table} ({why})");
            assert_eq!(database.error(&format!("select * from {table}")), expected);
            let joined = format!("select 1 from time join {} using (time)", table.to_uppercase());
            assert!(database.error(&joined).contains(why), "{joined}");
        }
        assert_eq!(
            database.error("select * from not_there"),
            "no such table: not_there"
        );
    }
}
