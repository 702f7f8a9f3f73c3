//! `opera_extensions`: those of Opera alone, as osquery had them before `chrome_extensions` had every browser's. Packs still
//! ask for it.

use super::mount_namespace::MountNamespace;
use super::{Machine, chrome_extensions, table};
use crate::sql::{CellValue, RowBuffer, Scan, TableError, columns};

columns! {
    UID "uid" BigInt additional,
    _NAME "name" Text,
    _IDENTIFIER "identifier" Text index,
    _VERSION "version" Text,
    _DESCRIPTION "description" Text,
    _LOCALE "locale" Text,
    _UPDATE_URL "update_url" Text,
    _AUTHOR "author" Text,
    _PERSISTENT "persistent" Integer,
    _PATH "path" Text,
}

table! { OperaExtensions "opera_extensions" fill }

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let namespace = MountNamespace::own(machine);
    let all = chrome_extensions::of_opera(scan, UID, &namespace)?;
    for row in 0..all.rows() {
        rows.start_row();
        for (column, other) in chrome_extensions::COLUMNS_OF_OPERA.into_iter().enumerate() {
            match all.value(row, other) {
                CellValue::Integer(value) => rows.integer(column, value),
                CellValue::Text(text) => rows.text(column, text),
                CellValue::Real(_) | CellValue::Null => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn only_operas_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let profile = "/home/jay/.config/opera";
        let manifest = r#"{"name":"Notes","version":"2.1","description":"Keeps notes","default_locale":"en",
            "update_url":"https://u","author":"Jay","background":{"persistent":true},"key":"AAAA"}"#;
        let files = [
            (
                "/etc/passwd".to_owned(),
                "jay:x:1000:1000::/home/jay:\nroot:x:0:0::/root:\n",
            ),
            (format!("{profile}/Preferences"), r#"{"profile":{"name":"Own"}}"#),
            (
                format!("{profile}/Extensions/notes/2.1_0/manifest.json"),
                manifest,
            ),
            ("/home/jay/.config/chromium/Default/Preferences".to_owned(), "{}"),
            (
                "/home/jay/.config/chromium/Default/Extensions/other/1/manifest.json".to_owned(),
                r#"{"name":"Other","version":"1"}"#,
            ),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let database = TestDatabase::seeded(folder.path(), &files);
        let expected = [format!(
            "1000|Notes|hajoiamiieihkcebbobooenpljpcckig|2.1|Keeps notes|en|https://u|Jay|1|{profile}/Extensions/notes/2.1_0"
        )];
        let columns = "uid,name,identifier,version,description,locale,update_url,author,persistent,path";
        assert_eq!(
            database.values(columns, "opera_extensions where uid = 1000"),
            expected
        );
        let joined = database.rows("select o.* from users join opera_extensions o using (uid)");
        assert_eq!((joined.len(), joined[0]["name"].as_str()), (1, "Notes"));
    }
}
