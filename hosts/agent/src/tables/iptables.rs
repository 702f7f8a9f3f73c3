//! `iptables`: the rules of the kernel's packet filter, as `iptables-save` tells them.

use super::{Machine, table, text_file};
use crate::program::Program;
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    FILTER_NAME "filter_name" Text,
    CHAIN "chain" Text,
    POLICY "policy" Text,
    TARGET "target" Text,
    PROTOCOL "protocol" Integer,
    SRC_PORT "src_port" Text,
    DST_PORT "dst_port" Text,
    SRC_IP "src_ip" Text,
    SRC_MASK "src_mask" Text,
    INIFACE "iniface" Text,
    INIFACE_MASK "iniface_mask" Text,
    DST_IP "dst_ip" Text,
    DST_MASK "dst_mask" Text,
    OUTIFACE "outiface" Text,
    OUTIFACE_MASK "outiface_mask" Text,
    MATCH "match" Text,
    PACKETS "packets" Integer,
    BYTES "bytes" Integer,
}

table! { Iptables "iptables" fill }

/// The tables that are in use. To ask for another one would load it into the kernel.
const IN_USE: &str = "/proc/net/ip_tables_names";
const PROGRAMS: [&str; 4] = [
    "/usr/sbin/iptables-legacy-save",
    "/sbin/iptables-legacy-save",
    "/usr/sbin/iptables-save",
    "/sbin/iptables-save",
];
const PROTOCOLS: [(&str, i64); 9] = [
    ("all", 0),
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("sctp", 132),
    ("udplite", 136),
];

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let tables = text_file::text(&machine.path(IN_USE));
    let Some(program) = Program::find(PROGRAMS.map(|path| machine.path(path))) else {
        return Ok(());
    };
    for table in text_file::lines(&tables) {
        match program.output(&["-c", "-t", table]) {
            Ok(text) => fill_table(table, &text, rows),
            Err(error) => machine.status.verbose(&|| format!("iptables: {error}")),
        }
    }
    Ok(())
}

/// `:CHAIN POLICY [packets:bytes]`, then `[packets:bytes] -A CHAIN …`.
fn fill_table(table: &str, text: &str, rows: &mut RowBuffer) {
    let rules: Vec<Rule<'_>> = text.lines().filter_map(Rule::parse).collect();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(chain) = words.next().and_then(|word| word.strip_prefix(':')) else {
            continue;
        };
        // A chain that a user made has none.
        let policy = words.next().filter(|policy| *policy != "-").unwrap_or_default();
        let counters = words.next().and_then(counters);
        let mut has_rule = false;
        for rule in rules.iter().filter(|rule| rule.chain == chain) {
            has_rule = true;
            start_row(table, chain, policy, rows);
            rule.fill(rows);
        }
        if !has_rule {
            start_row(table, chain, policy, rows);
            fill_counters(counters, rows);
        }
    }
}

fn start_row(table: &str, chain: &str, policy: &str, rows: &mut RowBuffer) {
    rows.start_row();
    rows.text(FILTER_NAME, table);
    rows.text(CHAIN, chain);
    rows.text(POLICY, policy);
}

fn fill_counters(counters: Option<(i64, i64)>, rows: &mut RowBuffer) {
    let (packets, bytes) = counters.unwrap_or_default();
    rows.integer(PACKETS, packets);
    rows.integer(BYTES, bytes);
}

/// `[packets:bytes]`
fn counters(word: &str) -> Option<(i64, i64)> {
    let (packets, bytes) = word.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
    Some((packets.parse().ok()?, bytes.parse().ok()?))
}

#[derive(Debug)]
struct Rule<'line> {
    chain: &'line str,
    counters: Option<(i64, i64)>,
    words: Vec<&'line str>,
}

impl<'line> Rule<'line> {
    fn parse(line: &'line str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let counters = counters(words.next()?);
        words.next().filter(|word| *word == "-A")?;
        Some(Self {
            chain: words.next()?,
            counters,
            words: words.collect(),
        })
    }

    /// What follows one of these options.
    fn value(&self, options: &[&str]) -> Option<&'line str> {
        let place = self.words.iter().position(|word| options.contains(word))?;
        self.words.get(place + 1).copied()
    }

    fn fill(&self, rows: &mut RowBuffer) {
        rows.text(TARGET, self.value(&["-j", "-g"]).unwrap_or_default());
        let protocol = self.value(&["-p"]).unwrap_or("all");
        let known = PROTOCOLS.iter().find(|(name, _)| *name == protocol);
        let number = known.map(|(_, number)| *number).or(protocol.parse().ok());
        if let Some(number) = number {
            rows.integer(PROTOCOL, number);
        }
        for (column, options) in [
            (SRC_PORT, &["--sport", "--sports"][..]),
            (DST_PORT, &["--dport", "--dports"]),
        ] {
            rows.text(column, self.value(options).unwrap_or_default());
        }
        for (address_column, mask_column, option) in [(SRC_IP, SRC_MASK, "-s"), (DST_IP, DST_MASK, "-d")] {
            let text = self.value(&[option]).unwrap_or("0.0.0.0/0");
            let (address, length) = text.split_once('/').unwrap_or((text, "32"));
            rows.text(address_column, address);
            rows.text(mask_column, mask(length));
        }
        for (name_column, mask_column, option) in
            [(INIFACE, INIFACE_MASK, "-i"), (OUTIFACE, OUTIFACE_MASK, "-o")]
        {
            let name = self.value(&[option]);
            rows.text(name_column, name.unwrap_or("all"));
            // The kernel compares a name with its end, and one that ends in `+` without.
            let compared = match name {
                None => 0,
                Some(name) => name.strip_suffix('+').map_or(name.len() + 1, str::len),
            };
            rows.text(mask_column, "FF".repeat(compared));
        }
        let has_match = self.words.contains(&"-m");
        rows.text(MATCH, if has_match { "yes" } else { "no" });
        fill_counters(self.counters, rows);
    }
}

/// `24` as `255.255.255.0`; a mask that is written out stays.
fn mask(length: &str) -> String {
    match length.parse::<u32>() {
        Ok(length) => {
            let bits = u32::MAX.checked_shl(32 - length.min(32)).unwrap_or(0);
            std::net::Ipv4Addr::from(bits).to_string()
        }
        Err(_) => length.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn rules_and_empty_chains_are_rows() {
        let folder = tempfile::tempdir().unwrap();
        let program = "#!/bin/sh\n[ \"$*\" = '-c -t filter' ] || exit 1\ncat <<'END'\n*filter\n:INPUT DROP [1:60]\n:OUTPUT ACCEPT [7:900]\n:OWN - [0:0]\n\
            [5:300] -A INPUT -s 10.1.0.0/16 -i lo -p tcp -m tcp --dport 22:23 -j ACCEPT\n[0:0] -A OWN -d 192.0.2.7/32 -o eth+ -j RETURN\nCOMMIT\nEND\n";
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/proc/net/ip_tables_names", "filter\n"),
                ("/usr/sbin/iptables-save", program),
            ],
        );
        database.make_executable("/usr/sbin/iptables-save");
        assert_eq!(
            database.values(
                "filter_name,chain,policy,target,protocol,dst_port,src_ip,src_mask,iniface,iniface_mask,dst_ip,dst_mask,outiface,outiface_mask,match,packets,bytes",
                "iptables"
            ),
            [
                "filter|INPUT|DROP|ACCEPT|6|22:23|10.1.0.0|255.255.0.0|lo|FFFFFF|0.0.0.0|0.0.0.0|all||yes|5|300",
                "filter|OUTPUT|ACCEPT|||||||||||||7|900",
                "filter|OWN||RETURN|0||0.0.0.0|0.0.0.0|all||192.0.2.7|255.255.255.255|eth+|FFFFFF|no|0|0",
            ]
        );
    }

    #[test]
    fn a_table_that_is_not_in_use_is_not_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[(
                "/usr/sbin/iptables-save",
                "#!/bin/sh\necho ':INPUT DROP [1:60]'\n",
            )],
        );
        database.make_executable("/usr/sbin/iptables-save");
        assert!(database.rows("select * from iptables").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_can_make_it_panic(text in "(:|\\[|\\]|-A |-s |/|[0-9]|X |\n){0,40}") {
            fill_table("filter", &text, &mut RowBuffer::new(COLUMNS.len()));
        }
    }
}
