//! `etc_services`: the lines of `/etc/services`.

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    PORT "port" Integer,
    PROTOCOL "protocol" Text,
    ALIASES "aliases" Text,
    COMMENT "comment" Text,
}

table! { EtcServices "etc_services" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let text = text_file::text(&machine.path("/etc/services"));
    for line in text_file::lines(&text) {
        let (service, comment) = line.split_once('#').unwrap_or((line, ""));
        let mut words = service.split_whitespace();
        let (Some(name), Some((port, protocol))) =
            (words.next(), words.next().and_then(|word| word.split_once('/')))
        else {
            continue;
        };
        rows.start_row();
        rows.text(NAME, name);
        if let Ok(port) = port.parse() {
            rows.integer(PORT, port);
        }
        rows.text(PROTOCOL, protocol);
        rows.text(ALIASES, words.collect::<Vec<_>>().join(" "));
        rows.text(COMMENT, comment.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn lines_have_a_port_and_aliases() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[(
                "/etc/services",
                "# head\nhttp 80/tcp www web # World Wide Web\nbad\nssh\t22/tcp\n",
            )],
        );
        assert_eq!(
            database.values("name,port,protocol,aliases,comment", "etc_services"),
            ["http|80|tcp|www web|World Wide Web", "ssh|22|tcp||"]
        );
    }
}
