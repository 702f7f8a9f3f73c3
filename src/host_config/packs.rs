//! Packs that are added to the hosts' configuration by their file or their name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use osquery_configuration::parse_json_bytes;
use serde_json::{Map, Value, json};

use crate::host_config::{DEFAULT, DEFAULT_NAME, HostConfig, HostConfigError};
use crate::input_file;
use crate::near_names;

/// osqdemo's own packs.
const EMBEDDED: [(&str, &str); 2] = [
    (
        "host-inventory",
        include_str!("../../hosts/image/packs/host-inventory.json"),
    ),
    (
        "incident-response",
        include_str!("../../hosts/image/packs/incident-response.json"),
    ),
];

/// Where osquery's packages put their packs.
const OF_OSQUERY: [&str; 2] = ["/opt/osquery/share/osquery/packs", "/usr/share/osquery/packs"];
/// The same, from the folder of an osqueryd that was unpacked elsewhere.
const BESIDE_OSQUERYD: &str = "../share/osquery/packs";

/// The endings of a pack's file.
const ENDINGS: [&str; 2] = ["conf", "json"];

/// The packs that come with the osquery of the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShippedPacks {
    /// They are in folders of this machine.
    In(Vec<PathBuf>),
    /// They were read out of the hosts' image, by the name of their file.
    Read(BTreeMap<String, Vec<u8>>),
}

impl ShippedPacks {
    /// Those of an osquery on this machine; `osqueryd` is its program where that was named.
    pub fn of_this_machine(osqueryd: Option<&Path>) -> Self {
        let beside = osqueryd
            .and_then(Path::parent)
            .map(|folder| folder.join(BESIDE_OSQUERYD));
        Self::In(beside.into_iter().chain(OF_OSQUERY.map(PathBuf::from)).collect())
    }
}

/// Packs by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddedPacks(Map<String, Value>);

impl AddedPacks {
    /// Reads packs: `pack` is a file, or a name that is looked for in the folder, among those of the hosts' osquery, and
    /// among osqdemo's own. A pack is named after its file.
    ///
    /// # Errors
    /// When one is not there, or is not JSON.
    pub fn read(
        packs: &[String],
        folder: Option<&Path>,
        shipped: &ShippedPacks,
    ) -> Result<Self, HostConfigError> {
        let mut read = Map::new();
        for pack in packs {
            let (name, path, bytes) = find(pack, folder, shipped)?;
            let document = parse_json_bytes(&bytes).map_err(|error| HostConfigError::NotJson {
                path: path.clone(),
                line: error.line,
                column: error.column,
                reason: error.reason,
            })?;
            if !document.is_object() {
                return Err(HostConfigError::Shape {
                    path,
                    member: "the pack".to_owned(),
                    expected: "an object".to_owned(),
                });
            }
            read.insert(name, document);
        }
        Ok(Self(read))
    }

    /// A configuration, or the default one, with them. A pack of a name that it has is replaced.
    pub fn added_to(&self, base: Option<HostConfig>) -> HostConfig {
        let mut own = base.unwrap_or_else(|| HostConfig {
            path: PathBuf::from(DEFAULT_NAME),
            // The embedded file is valid, which a test holds.
            document: serde_json::from_str(DEFAULT).unwrap_or_default(),
            findings: Vec::new(),
        });
        if let Some(source) = own.document.get_mut("source").and_then(Value::as_object_mut) {
            let packs = source.entry("packs").or_insert_with(|| json!({}));
            if !packs.is_object() {
                *packs = json!({});
            }
            if let Some(packs) = packs.as_object_mut() {
                packs.extend(self.0.clone());
            }
        }
        own
    }
}

/// A pack's name, where it is, and what it says.
fn find(
    pack: &str,
    folder: Option<&Path>,
    shipped: &ShippedPacks,
) -> Result<(String, PathBuf, Vec<u8>), HostConfigError> {
    let as_file = Path::new(pack);
    if pack.contains('/') || as_file.is_file() {
        let name = as_file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let bytes = input_file::read(as_file).map_err(|source| HostConfigError::Read {
            path: as_file.to_owned(),
            source,
        })?;
        return Ok((name, as_file.to_owned(), bytes));
    }
    let of_osquery = match shipped {
        ShippedPacks::In(folders) => &folders[..],
        ShippedPacks::Read(_) => &[],
    };
    let folders: Vec<&Path> = folder
        .into_iter()
        .chain(of_osquery.iter().map(PathBuf::as_path))
        .collect();
    let files = folders
        .iter()
        .flat_map(|folder| ENDINGS.map(|ending| folder.join(format!("{pack}.{ending}"))));
    for path in files {
        if let Ok(bytes) = input_file::read(&path) {
            return Ok((pack.to_owned(), path, bytes));
        }
    }
    if let ShippedPacks::Read(files) = shipped {
        for name in ENDINGS.map(|ending| format!("{pack}.{ending}")) {
            if let Some(bytes) = files.get(&name) {
                return Ok((pack.to_owned(), PathBuf::from(name), bytes.clone()));
            }
        }
    }
    if let Some((name, text)) = EMBEDDED.iter().find(|(name, _)| *name == pack) {
        return Ok(((*name).to_owned(), PathBuf::from(name), text.as_bytes().to_vec()));
    }
    let mut hints = near_names::hint("packs", pack, &known(&folders, shipped));
    if matches!(shipped, ShippedPacks::Read(files) if files.is_empty()) {
        hints.push(
            "`osqdemo build` makes the hosts' image: the packs of the osquery in it are known by name then"
                .to_owned(),
        );
    }
    Err(HostConfigError::NoPack {
        name: pack.to_owned(),
        hints,
    })
}

fn known(folders: &[&Path], shipped: &ShippedPacks) -> Vec<String> {
    let mut names: Vec<String> = EMBEDDED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let in_folders = folders.iter().flat_map(|folder| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    });
    let read = match shipped {
        ShippedPacks::In(_) => None,
        ShippedPacks::Read(files) => Some(files.keys().map(PathBuf::from)),
    };
    let files = in_folders.chain(read.into_iter().flatten()).filter(|path| {
        path.extension()
            .is_some_and(|found| ENDINGS.iter().any(|ending| found == *ending))
    });
    names.extend(files.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())));
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Diagnose;
    use crate::exit_code::ExitCode;

    #[test]
    fn a_pack_is_a_file_or_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("mine.conf");
        std::fs::write(&file, "{ # note\n \"queries\": {} }").expect("a pack");
        std::fs::write(folder.path().join("incident-response.json"), "{}").expect("a pack");
        std::fs::write(folder.path().join("broken.conf"), "{").expect("a pack");
        let read = |packs: &[&str], path: Option<&Path>| {
            let packs: Vec<String> = packs.iter().map(|pack| (*pack).to_owned()).collect();
            AddedPacks::read(&packs, path, &ShippedPacks::In(Vec::new()))
        };
        let file = file.display().to_string();
        let packs = read(&[&file, "incident-response"], None).expect("packs").0;
        assert_eq!(packs["mine"], json!({ "queries": {} }));
        assert!(packs["incident-response"]["queries"].is_object());
        let packs = read(&["incident-response", "mine"], Some(folder.path()))
            .expect("packs")
            .0;
        assert_eq!(packs["incident-response"], json!({}), "the folder comes first");

        let own = read(&["mine"], Some(folder.path()))
            .expect("packs")
            .added_to(None);
        assert_eq!(
            own.document["source"]["packs"],
            json!({ "mine": { "queries": {} } })
        );
        let own = read(&["incident-response"], Some(folder.path()))
            .expect("packs")
            .added_to(Some(own));
        assert_eq!(own.document["source"]["packs"].as_object().map(Map::len), Some(2));

        let error = read(&["incident"], None).expect_err("no such pack");
        assert_eq!(error.exit_code(), ExitCode::Usage);
        assert_eq!(error.to_string(), "there is no pack `incident`");
        assert!(
            error.hints()[0].contains("incident-response"),
            "{:?}",
            error.hints()
        );
        let error = read(&["broken"], Some(folder.path()))
            .expect_err("no JSON")
            .to_string();
        assert!(error.contains("broken.conf:1:1: EOF"), "{error}");
        let error = read(&["/no/such.conf"], None).expect_err("no file").to_string();
        assert!(error.contains("/no/such.conf"), "{error}");
    }

    #[test]
    fn a_name_may_be_one_of_the_hosts_osquery() {
        let unpacked = tempfile::tempdir().expect("a folder");
        let share = unpacked.path().join("opt/osquery/share/osquery/packs");
        std::fs::create_dir_all(&share).expect("a folder");
        std::fs::create_dir(unpacked.path().join("opt/osquery/bin")).expect("a folder");
        std::fs::write(share.join("it-compliance.conf"), r#"{ "queries": {} }"#).expect("a pack");
        let named = ["it-compliance".to_owned()];
        let osqueryd = unpacked.path().join("opt/osquery/bin/osqueryd");
        let on_this_machine = ShippedPacks::of_this_machine(Some(&osqueryd));
        let in_the_image = ShippedPacks::Read(BTreeMap::from([(
            "it-compliance.conf".to_owned(),
            br#"{ "queries": {} }"#.to_vec(),
        )]));
        for shipped in [on_this_machine, in_the_image] {
            let packs = AddedPacks::read(&named, None, &shipped).expect("packs").0;
            assert_eq!(packs["it-compliance"], json!({ "queries": {} }), "{shipped:?}");
            let near = AddedPacks::read(&["it-complience".to_owned()], None, &shipped);
            let hints = near.expect_err("no such pack").hints();
            assert!(hints[0].contains("it-compliance"), "{hints:?}");
        }
        let not_made = ShippedPacks::Read(BTreeMap::new());
        let hints = AddedPacks::read(&named, None, &not_made)
            .expect_err("no image")
            .hints();
        assert!(
            hints.iter().any(|hint| hint.contains("osqdemo build")),
            "{hints:?}"
        );
    }
}
