//! `portage_use`: the USE flags with which Gentoo's packages were built.

use super::{Machine, portage, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    PACKAGE "package" Text,
    VERSION "version" Text version,
    USE "use" Text,
}

table! { PortageUse "portage_use" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for package in portage::packages(machine) {
        for flag in package.fact("USE").split_ascii_whitespace() {
            rows.start_row();
            rows.text(PACKAGE, &package.name);
            rows.text(VERSION, &package.version);
            rows.text(USE, flag);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn each_flag_is_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("/var/db/pkg/net-misc/curl-8.10.1/USE", "amd64 http2 ssl\n"),
            ("/var/db/pkg/net-misc/wget-1.24.5/USE", "\n"),
        ];
        let database = TestDatabase::seeded(folder.path(), &files);
        assert_eq!(
            database.values("package,version,use", "portage_use where version > '8.9'"),
            [
                "net-misc/curl|8.10.1|amd64",
                "net-misc/curl|8.10.1|http2",
                "net-misc/curl|8.10.1|ssl",
            ]
        );
    }
}
