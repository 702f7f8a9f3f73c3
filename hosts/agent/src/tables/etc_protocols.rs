//! `etc_protocols`: the lines of `/etc/protocols`.

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    NUMBER "number" Integer,
    ALIAS "alias" Text,
    COMMENT "comment" Text,
}

table! { EtcProtocols "etc_protocols" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let text = text_file::text(&machine.path("/etc/protocols"));
    for line in text_file::lines(&text) {
        let (protocol, comment) = line.split_once('#').unwrap_or((line, ""));
        let mut words = protocol.split_whitespace();
        let (Some(name), Some(Ok(number))) = (words.next(), words.next().map(str::parse)) else {
            continue;
        };
        rows.start_row();
        rows.text(NAME, name);
        rows.integer(NUMBER, number);
        rows.text(ALIAS, words.next().unwrap_or_default());
        rows.text(COMMENT, comment.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn lines_have_a_number_and_an_alias() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[(
                "/etc/protocols",
                "ip\t0\tIP\t# internet protocol\nbad x\nudp 17\n",
            )],
        );
        assert_eq!(
            database.values("name,number,alias,comment", "etc_protocols"),
            ["ip|0|IP|internet protocol", "udp|17||"]
        );
    }
}
