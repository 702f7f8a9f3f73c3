//! `chrome_extensions`: the extensions of the users' Chrome and of the browsers that are made of it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::homes::{Home, homes};
use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::digests::sha256;
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    BROWSER_TYPE "browser_type" Text,
    UID "uid" BigInt index,
    NAME "name" Text,
    PROFILE "profile" Text,
    PROFILE_PATH "profile_path" Text,
    REFERENCED_IDENTIFIER "referenced_identifier" Text,
    IDENTIFIER "identifier" Text,
    VERSION "version" Text version,
    DESCRIPTION "description" Text,
    DEFAULT_LOCALE "default_locale" Text,
    CURRENT_LOCALE "current_locale" Text,
    UPDATE_URL "update_url" Text,
    AUTHOR "author" Text,
    PERSISTENT "persistent" Integer,
    PATH "path" Text,
    PERMISSIONS "permissions" Text,
    PERMISSIONS_JSON "permissions_json" Text hidden,
    OPTIONAL_PERMISSIONS "optional_permissions" Text,
    OPTIONAL_PERMISSIONS_JSON "optional_permissions_json" Text hidden,
    MANIFEST_HASH "manifest_hash" Text ignore_case,
    REFERENCED "referenced" BigInt,
    FROM_WEBSTORE "from_webstore" Text,
    STATE "state" Text,
    INSTALL_TIME "install_time" Text,
    INSTALL_TIMESTAMP "install_timestamp" BigInt,
    MANIFEST_JSON "manifest_json" Text hidden,
    KEY "key" Text hidden,
    LOCALE "locale" Text hidden,
}

table! { ChromeExtensions "chrome_extensions" fill }

/// The browsers, and where each keeps its profiles below a home.
const BROWSERS: [(&str, &str); 9] = [
    ("chrome", ".config/google-chrome"),
    ("chrome", ".config/google-chrome-beta"),
    ("chromium", ".config/chromium"),
    ("chromium", "snap/chromium/common/chromium"),
    ("brave", ".config/BraveSoftware/Brave-Browser"),
    ("edge", ".config/microsoft-edge"),
    ("edge_beta", ".config/microsoft-edge-beta"),
    ("yandex", ".config/yandex-browser"),
    ("opera", ".config/opera"),
];
/// The files in which a profile keeps its extensions.
const PREFERENCES: [&str; 2] = ["Preferences", "Secure Preferences"];
/// Chrome counts microseconds from the beginning of 1601.
const SECONDS_BEFORE_1970: i64 = 11_644_473_600;
const TEXTS: [(usize, &str); 6] = [
    (VERSION, "version"),
    (DEFAULT_LOCALE, "default_locale"),
    (LOCALE, "default_locale"),
    (CURRENT_LOCALE, "current_locale"),
    (UPDATE_URL, "update_url"),
    (KEY, "key"),
];

/// A browser's folder for one of its users.
struct Profile {
    folder: PathBuf,
    /// What the user calls it.
    name: String,
    /// The profile's own list of extensions, by their identifiers.
    settings: Vec<(String, Value)>,
}

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let namespace = MountNamespace::own(machine);
    for home in homes(scan, UID, &namespace)? {
        for (browser, below) in BROWSERS {
            fill_browser(&namespace, &home, (browser, below), rows);
        }
    }
    Ok(())
}

/// What `opera_extensions` has, in its order.
pub(super) const COLUMNS_OF_OPERA: [usize; 10] = [
    UID,
    NAME,
    IDENTIFIER,
    VERSION,
    DESCRIPTION,
    LOCALE,
    UPDATE_URL,
    AUTHOR,
    PERSISTENT,
    PATH,
];

/// The rows of Opera, with those columns.
pub(super) fn of_opera(
    scan: &Scan,
    uid_column: usize,
    namespace: &MountNamespace,
) -> Result<RowBuffer, TableError> {
    let used = COLUMNS_OF_OPERA.iter().fold(0, |used, column| used | 1 << column);
    let mut rows = RowBuffer::new(COLUMNS.len());
    rows.begin(&Scan::new(used, Vec::new()));
    for home in homes(scan, uid_column, namespace)? {
        for browser in BROWSERS.into_iter().filter(|(browser, _)| *browser == "opera") {
            fill_browser(namespace, &home, browser, &mut rows);
        }
    }
    match rows.is_cut() {
        true => Err(TableError::reading("all extensions of Opera")(
            std::io::ErrorKind::FileTooLarge.into(),
        )),
        false => Ok(rows),
    }
}

fn fill_browser(
    namespace: &MountNamespace,
    home: &Home,
    (browser, below): (&str, &str),
    rows: &mut RowBuffer,
) {
    let browser_folder = home.path.join(below);
    // Opera keeps its one profile in the folder itself.
    let folders = text_file::entries(&browser_folder).into_iter();
    for folder in folders.chain([browser_folder]) {
        if let Some(profile) = Profile::read(folder) {
            fill_profile(namespace, home, browser, &profile, rows);
        }
    }
}

fn fill_profile(
    namespace: &MountNamespace,
    home: &Home,
    browser: &str,
    profile: &Profile,
    rows: &mut RowBuffer,
) {
    let installed = profile.folder.join("Extensions");
    let mut seen = Vec::new();
    let add = |folder: PathBuf, setting: Option<&(String, Value)>, rows: &mut RowBuffer| {
        let Ok(text) = text_file::read(&folder.join("manifest.json")) else {
            return;
        };
        let Ok(manifest) = serde_json::from_slice::<Value>(&text) else {
            return;
        };
        rows.start_row();
        rows.text(BROWSER_TYPE, browser);
        rows.integer(UID, home.uid);
        rows.text(PROFILE, &profile.name);
        rows.text(PROFILE_PATH, namespace.inner(&profile.folder));
        rows.text(PATH, namespace.inner(&folder));
        rows.text(MANIFEST_HASH, sha256(&text));
        rows.text(MANIFEST_JSON, &text);
        fill_manifest(&folder, &manifest, rows);
        fill_setting(setting, rows);
    };
    for setting in &profile.settings {
        let Some(path) = setting.1["path"].as_str().filter(|path| !path.is_empty()) else {
            continue;
        };
        let folder = match path.starts_with('/') {
            true => namespace.path(path),
            false => installed.join(path),
        };
        seen.push(folder.clone());
        add(folder, Some(setting), rows);
    }
    // What is there although the profile does not know it.
    for extension in text_file::entries(&installed) {
        for version in text_file::entries(&extension) {
            if !seen.contains(&version) {
                add(version, None, rows);
            }
        }
    }
}

fn fill_manifest(folder: &Path, manifest: &Value, rows: &mut RowBuffer) {
    for (column, member) in TEXTS {
        rows.text(column, manifest[member].as_str().unwrap_or_default());
    }
    for (column, member) in [(NAME, "name"), (DESCRIPTION, "description")] {
        rows.text(column, localized(folder, manifest, member));
    }
    let author = &manifest["author"];
    let author = author.as_str().or_else(|| author["email"].as_str());
    rows.text(AUTHOR, author.unwrap_or_default());
    let is_persistent = manifest["background"]["persistent"].as_bool().unwrap_or(false);
    rows.integer(PERSISTENT, i64::from(is_persistent));
    for (column, json_column, member) in [
        (PERMISSIONS, PERMISSIONS_JSON, "permissions"),
        (
            OPTIONAL_PERMISSIONS,
            OPTIONAL_PERMISSIONS_JSON,
            "optional_permissions",
        ),
    ] {
        let list = &manifest[member];
        let names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        rows.text(column, names.collect::<Vec<_>>().join(", "));
        if !list.is_null() {
            rows.display(json_column, list);
        }
    }
    rows.text(IDENTIFIER, identifier(manifest).unwrap_or_default());
}

fn fill_setting(setting: Option<&(String, Value)>, rows: &mut RowBuffer) {
    rows.integer(REFERENCED, i64::from(setting.is_some()));
    let Some((identifier, setting)) = setting else {
        return;
    };
    rows.text(REFERENCED_IDENTIFIER, identifier);
    if let Some(from_webstore) = setting["from_webstore"].as_bool() {
        rows.text(FROM_WEBSTORE, if from_webstore { "true" } else { "false" });
    }
    if let Some(state) = setting["state"].as_i64() {
        rows.display(STATE, state);
    }
    let time = ["first_install_time", "install_time"]
        .iter()
        .find_map(|member| setting[*member].as_str());
    if let Some(time) = time {
        rows.text(INSTALL_TIME, time);
        if let Ok(microseconds) = time.parse::<i64>() {
            rows.integer(INSTALL_TIMESTAMP, microseconds / 1_000_000 - SECONDS_BEFORE_1970);
        }
    }
}

impl Profile {
    /// `None` for a folder that is no profile.
    fn read(folder: PathBuf) -> Option<Self> {
        let documents: Vec<Value> = PREFERENCES
            .iter()
            .filter_map(|file| serde_json::from_slice(&text_file::read(&folder.join(file)).ok()?).ok())
            .collect();
        let name = documents
            .iter()
            .find_map(|document| document["profile"]["name"].as_str());
        let name = name.unwrap_or_default().to_owned();
        let mut settings: Vec<(String, Value)> = Vec::new();
        for document in &documents {
            let listed = document["extensions"]["settings"].as_object();
            let listed = listed.into_iter().flatten();
            // Both files may have an extension; the first one counts.
            for (identifier, setting) in listed {
                if settings.iter().all(|(known, _)| known != identifier) {
                    settings.push((identifier.clone(), setting.clone()));
                }
            }
        }
        (!documents.is_empty()).then_some(Self {
            folder,
            name,
            settings,
        })
    }
}

/// A text of the manifest; `__MSG_name__` stands for one in the language that the manifest calls its own.
fn localized(folder: &Path, manifest: &Value, member: &str) -> String {
    let text = manifest[member].as_str().unwrap_or_default();
    let named = text
        .strip_prefix("__MSG_")
        .and_then(|text| text.strip_suffix("__"));
    let message = named.and_then(|name| {
        let locale = manifest["default_locale"].as_str()?;
        // A locale is a folder's name and no way out of the extension.
        let locale = Path::new(locale).file_name()?;
        let file = folder.join("_locales").join(locale).join("messages.json");
        let messages: Value = serde_json::from_slice(&text_file::read(&file).ok()?).ok()?;
        let (_, message) = messages
            .as_object()?
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(message["message"].as_str()?.to_owned())
    });
    message.unwrap_or_else(|| text.to_owned())
}

/// What Chrome calls an extension: half of its key's SHA-256, in letters from `a` to `p`.
fn identifier(manifest: &Value) -> Option<String> {
    use base64::Engine as _;
    let key = manifest["key"].as_str()?;
    let key = base64::engine::general_purpose::STANDARD.decode(key).ok()?;
    let digits = sha256(&key);
    let letters = digits.chars().take(32).filter_map(|digit| {
        let value = digit.to_digit(16)?;
        char::from_u32(u32::from(b'a') + value)
    });
    Some(letters.collect())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn extensions_are_those_of_the_profiles() {
        let folder = tempfile::tempdir().unwrap();
        let profile = "/home/jay/.config/google-chrome/Default";
        let file = |path: &str| format!("{profile}/{path}");
        let files = [
            (
                "/etc/passwd".to_owned(),
                "jay:x:1000:1000::/home/jay:\n".to_owned(),
            ),
            (
                file("Preferences"),
                r#"{"profile":{"name":"Work"},"extensions":{"settings":{"abcd":{"path":"abcd/1.0_0","state":1,
                    "from_webstore":true,"first_install_time":"13300000000000000"},"gone":{"path":"gone/1"},"own":{}}}}"#
                    .to_owned(),
            ),
            (
                file("Extensions/abcd/1.0_0/manifest.json"),
                r#"{"name":"__MSG_appName__","version":"1.0","default_locale":"en","permissions":["tabs","storage"],
                    "optional_permissions":["history"],"update_url":"https://u","background":{"persistent":true},"key":"AAAA"}"#
                    .to_owned(),
            ),
            (
                file("Extensions/abcd/1.0_0/_locales/en/messages.json"),
                r#"{"AppName":{"message":"App"}}"#.to_owned(),
            ),
            (
                file("Extensions/left/2/manifest.json"),
                r#"{"name":"Left","version":"2","author":"Jay"}"#.to_owned(),
            ),
        ];
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        let database = TestDatabase::seeded(folder.path(), &files);
        assert_eq!(
            database.values(
                "browser_type,uid,name,profile,profile_path,referenced_identifier,identifier,version,default_locale,update_url,author,persistent,path,permissions,permissions_json,optional_permissions,referenced,from_webstore,state,install_time,install_timestamp",
                "chrome_extensions where uid = 1000"
            ),
            [
                // The identifier is of `printf '\0\0\0' | sha256sum`.
                format!(
                    "chrome|1000|App|Work|{profile}|abcd|hajoiamiieihkcebbobooenpljpcckig|1.0|en|https://u||1|{profile}/Extensions/abcd/1.0_0|tabs, storage|[\"tabs\",\"storage\"]|history|1|true|1|13300000000000000|1655526400"
                ),
                format!("chrome|1000|Left|Work|{profile}|||2|||Jay|0|{profile}/Extensions/left/2||||0||||"),
            ]
        );
    }
}
