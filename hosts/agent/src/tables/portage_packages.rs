//! `portage_packages`: Gentoo's packages that are installed.

use super::{Machine, portage, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    PACKAGE "package" Text,
    VERSION "version" Text,
    SLOT "slot" Text,
    BUILD_TIME "build_time" BigInt,
    REPOSITORY "repository" Text,
    EAPI "eapi" BigInt,
    SIZE "size" BigInt,
    WORLD "world" Integer,
}

table! { PortagePackages "portage_packages" fill }

/// What was asked for by name, and not only needed by others.
const WORLD_FILE: &str = "/var/lib/portage/world";
const TEXTS: [(usize, &str); 2] = [(SLOT, "SLOT"), (REPOSITORY, "repository")];
const NUMBERS: [(usize, &str); 3] = [(BUILD_TIME, "BUILD_TIME"), (EAPI, "EAPI"), (SIZE, "SIZE")];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let world = text_file::text(&machine.path(WORLD_FILE));
    // `category/name`, or `category/name:slot`.
    let world: Vec<&str> = text_file::lines(&world)
        .map(|line| line.split(':').next().unwrap_or_default())
        .collect();
    for package in portage::packages(machine) {
        rows.start_row();
        rows.text(PACKAGE, &package.name);
        rows.text(VERSION, &package.version);
        for (column, file) in TEXTS {
            if scan.uses(column) {
                rows.text(column, package.fact(file));
            }
        }
        for (column, file) in NUMBERS {
            if scan.uses(column)
                && let Ok(number) = package.fact(file).parse()
            {
                rows.integer(column, number);
            }
        }
        rows.integer(WORLD, i64::from(world.contains(&package.name.as_str())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn packages_have_what_their_files_say() {
        let folder = tempfile::tempdir().unwrap();
        let bash = "/var/db/pkg/app-shells/bash-5.2_p37-r1";
        let file = |name: &str| format!("{bash}/{name}");
        let files = [
            (file("SLOT"), "0\n"),
            (file("BUILD_TIME"), "1730000000\n"),
            (file("repository"), "gentoo\n"),
            (file("EAPI"), "8\n"),
            (file("SIZE"), "9876543\n"),
            ("/var/db/pkg/dev-lang/python-3.12.7/SLOT".to_owned(), "3.12\n"),
            ("/var/db/pkg/dev-libs/left-2/SIZE".to_owned(), "many\n"),
            ("/var/db/pkg/README".to_owned(), "no category\n"),
            (
                "/var/lib/portage/world".to_owned(),
                "# wanted\napp-shells/bash\ndev-lang/python:3.12\n",
            ),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let database = TestDatabase::seeded(folder.path(), &files);
        assert_eq!(
            database.values(
                "package,version,slot,build_time,repository,eapi,size,world",
                "portage_packages"
            ),
            [
                "app-shells/bash|5.2_p37-r1|0|1730000000|gentoo|8|9876543|1",
                "dev-lang/python|3.12.7|3.12|||||1",
                "dev-libs/left|2||||||0",
            ]
        );
    }

    #[test]
    fn a_machine_without_portage_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(folder.path(), &[]);
        assert!(database.rows("select * from portage_packages").is_empty());
        assert!(database.rows("select * from portage_use").is_empty());
    }
}
