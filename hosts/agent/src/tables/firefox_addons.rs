//! `firefox_addons`: the add-ons of the users' Firefox profiles.

use serde_json::Value;

use super::homes::homes;
use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    UID "uid" BigInt additional,
    NAME "name" Text,
    IDENTIFIER "identifier" Text index,
    CREATOR "creator" Text,
    TYPE "type" Text,
    VERSION "version" Text version,
    DESCRIPTION "description" Text,
    SOURCE_URL "source_url" Text,
    VISIBLE "visible" Integer,
    ACTIVE "active" Integer,
    DISABLED "disabled" Integer,
    AUTOUPDATE "autoupdate" Integer,
    LOCATION "location" Text,
    PATH "path" Text,
}

table! { FirefoxAddons "firefox_addons" fill }

/// Where profiles are, below a home: as a package of the distribution, of snap, and of flatpak.
const PROFILES: [&str; 3] = [
    ".mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
];
const TEXTS: [(usize, &str); 8] = [
    (NAME, "/defaultLocale/name"),
    (IDENTIFIER, "/id"),
    (CREATOR, "/defaultLocale/creator"),
    (TYPE, "/type"),
    (VERSION, "/version"),
    (DESCRIPTION, "/defaultLocale/description"),
    (SOURCE_URL, "/sourceURI"),
    (LOCATION, "/location"),
];
const SWITCHES: [(usize, &str); 3] = [
    (VISIBLE, "/visible"),
    (ACTIVE, "/active"),
    (AUTOUPDATE, "/applyBackgroundUpdates"),
];
/// There are several ways to switch an add-on off.
const OFF: [&str; 3] = ["softDisabled", "appDisabled", "userDisabled"];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let namespace = MountNamespace::own(machine);
    for home in homes(scan, UID, &namespace)? {
        for folder in PROFILES {
            for profile in text_file::entries(&home.path.join(folder)) {
                let text = text_file::text(&profile.join("extensions.json"));
                let Ok(document) = serde_json::from_str::<Value>(&text) else {
                    continue;
                };
                for addon in document["addons"].as_array().into_iter().flatten() {
                    fill_addon(home.uid, addon, rows);
                }
            }
        }
    }
    Ok(())
}

fn fill_addon(uid: i64, addon: &Value, rows: &mut RowBuffer) {
    rows.start_row();
    rows.integer(UID, uid);
    for (column, member) in TEXTS {
        let text = addon.pointer(member).and_then(Value::as_str);
        rows.text(column, text.unwrap_or_default());
    }
    for (column, member) in SWITCHES {
        // Some are numbers; 2 of `applyBackgroundUpdates` is "as all are".
        let value = addon.pointer(member);
        let number = value.and_then(|value| value.as_i64().or(value.as_bool().map(i64::from)));
        if let Some(number) = number {
            rows.integer(column, number);
        }
    }
    let is_off = OFF.iter().any(|member| addon[*member] == true);
    rows.integer(DISABLED, i64::from(is_off));
    rows.text(PATH, addon["path"].as_str().unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn addons_are_those_of_the_profiles() {
        let folder = tempfile::tempdir().unwrap();
        let addons = r#"{"addons":[
            {"id":"a@x","type":"extension","version":"1.2","location":"app-profile","visible":true,"active":true,
             "userDisabled":false,"applyBackgroundUpdates":1,"sourceURI":"https://x/a.xpi","path":"/p/a.xpi",
             "defaultLocale":{"name":"A","creator":"Jay","description":"does"}},
            {"id":"b@x","active":false,"userDisabled":true,"defaultLocale":{}}]}"#;
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/etc/passwd", "jay:x:1000:1000::/home/jay:\n"),
                ("/home/jay/.mozilla/firefox/x.default/extensions.json", addons),
                ("/home/jay/.mozilla/firefox/bad/extensions.json", "{"),
            ],
        );
        assert_eq!(
            database.values(
                "uid,name,identifier,creator,type,version,description,source_url,visible,active,disabled,autoupdate,location,path",
                "firefox_addons where uid = 1000"
            ),
            [
                "1000|A|a@x|Jay|extension|1.2|does|https://x/a.xpi|1|1|0|1|app-profile|/p/a.xpi",
                "1000||b@x|||||||0|1|||",
            ]
        );
    }
}
