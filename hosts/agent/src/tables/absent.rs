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
