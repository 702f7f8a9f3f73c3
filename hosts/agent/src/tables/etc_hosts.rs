//! `etc_hosts`: the lines of `/etc/hosts`.

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    ADDRESS "address" Text,
    HOSTNAMES "hostnames" Text,
}

table! { EtcHosts "etc_hosts" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let text = text_file::text(&machine.path("/etc/hosts"));
    for line in text_file::lines(&text) {
        let mut words = line.split_whitespace();
        rows.start_row();
        rows.text(ADDRESS, words.next().unwrap_or_default());
        let names: Vec<&str> = words.take_while(|word| !word.starts_with('#')).collect();
        rows.text(HOSTNAMES, names.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn lines_have_an_address_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[(
                "/etc/hosts",
                "127.0.0.1 localhost  lo # note\n# none\n\n::1\tip6\n",
            )],
        );
        assert_eq!(
            database.values("address,hostnames", "etc_hosts"),
            ["127.0.0.1|localhost lo", "::1|ip6"]
        );
    }
}
