//! `pci_devices`: what is on the machine's PCI buses; the names come from `pci.ids`, else from udev's database.

use std::collections::HashMap;

use super::udev::Properties;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    PCI_SLOT "pci_slot" Text,
    PCI_CLASS "pci_class" Text,
    DRIVER "driver" Text,
    VENDOR "vendor" Text,
    VENDOR_ID "vendor_id" Text,
    MODEL "model" Text,
    MODEL_ID "model_id" Text,
    PCI_CLASS_ID "pci_class_id" Text,
    PCI_SUBCLASS_ID "pci_subclass_id" Text,
    PCI_SUBCLASS "pci_subclass" Text,
    SUBSYSTEM_VENDOR_ID "subsystem_vendor_id" Text,
    SUBSYSTEM_VENDOR "subsystem_vendor" Text,
    SUBSYSTEM_MODEL_ID "subsystem_model_id" Text,
    SUBSYSTEM_MODEL "subsystem_model" Text,
}

table! { PciDevices "pci_devices" fill }

const DEVICES: &str = "/sys/bus/pci/devices";
/// Where distributions put the list of PCI's identifiers.
const NAMES: [&str; 3] = [
    "/usr/share/misc/pci.ids",
    "/usr/share/hwdata/pci.ids",
    "/usr/share/pci.ids",
];

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let devices: Vec<Properties> = text_file::entries(&machine.path(DEVICES))
        .iter()
        .map(|device| Properties::read(machine, "pci", device))
        .collect();
    if devices.is_empty() {
        return Ok(());
    }
    let list = NAMES
        .iter()
        .find_map(|path| text_file::read(&machine.path(path)).ok());
    let list = String::from_utf8_lossy(list.as_deref().unwrap_or_default());
    let names = names(&list);
    for device in devices {
        rows.start_row();
        for (column, property) in [
            (PCI_SLOT, "PCI_SLOT_NAME"),
            (PCI_CLASS, "ID_PCI_CLASS_FROM_DATABASE"),
            (PCI_SUBCLASS, "ID_PCI_SUBCLASS_FROM_DATABASE"),
            (DRIVER, "DRIVER"),
        ] {
            rows.text(column, device.get(property));
        }
        let (vendor, model) = identifiers(device.get("PCI_ID"));
        let name = |key: &str, property: &str| {
            let known = names.get(key).copied();
            known.unwrap_or_else(|| device.get(property)).to_owned()
        };
        rows.text(VENDOR, name(&vendor, "ID_VENDOR_FROM_DATABASE"));
        rows.text(
            MODEL,
            name(&format!("{vendor} {model}"), "ID_MODEL_FROM_DATABASE"),
        );
        if vendor.is_empty() {
            rows.text(VENDOR_ID, "0");
            rows.text(MODEL_ID, "0");
        } else {
            rows.display(VENDOR_ID, format_args!("0x{vendor}"));
            rows.display(MODEL_ID, format_args!("0x{model}"));
        }
        let (their_vendor, their_model) = identifiers(device.get("PCI_SUBSYS_ID"));
        if !their_vendor.is_empty() {
            rows.display(SUBSYSTEM_VENDOR_ID, format_args!("0x{their_vendor}"));
            rows.display(SUBSYSTEM_MODEL_ID, format_args!("0x{their_model}"));
            for (column, key) in [
                (SUBSYSTEM_VENDOR, their_vendor.clone()),
                (
                    SUBSYSTEM_MODEL,
                    format!("{vendor} {model} {their_vendor} {their_model}"),
                ),
            ] {
                if let Some(name) = names.get(&*key) {
                    rows.text(column, *name);
                }
            }
        }
        // Class, subclass and interface, without a zero before the first: `C0330`, `10802`.
        let class = device.get("PCI_CLASS");
        if let (5..=6, Ok(number)) = (class.len(), u32::from_str_radix(class, 16)) {
            let [_, class, subclass, _] = number.to_be_bytes();
            rows.display(PCI_CLASS_ID, format_args!("0x{class:02x}"));
            rows.display(PCI_SUBCLASS_ID, format_args!("0x{subclass:02x}"));
        }
    }
    Ok(())
}

/// `1AF4:1045` as vendor and model in small letters; nothing of what is not of that form.
fn identifiers(pair: &str) -> (String, String) {
    match pair.split_once(':') {
        Some((vendor, model)) if !vendor.is_empty() && !model.is_empty() && !model.contains(':') => {
            (vendor.to_ascii_lowercase(), model.to_ascii_lowercase())
        }
        _ => Default::default(),
    }
}

/// The names of `pci.ids` by their identifiers: `vendor`, `vendor model` and `vendor model vendor model`, the last of a
/// subsystem. Its classes, which stand behind vendor `ffff`, are udev's to name.
fn names(list: &str) -> HashMap<String, &str> {
    let mut names = HashMap::new();
    let (mut vendor, mut model) = ("", "");
    for line in list.lines() {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        let text = line.trim_start_matches('\t');
        let depth = line.len() - text.len();
        let length = if depth == 2 { 9 } else { 4 };
        let Some((key, name)) = text.split_at_checked(length) else {
            continue;
        };
        let name = name.trim_start();
        let key = match depth {
            0 if key == "ffff" => break,
            0 => {
                (vendor, model) = (key, "");
                key.to_owned()
            }
            1 => {
                model = key;
                format!("{vendor} {key}")
            }
            2 => format!("{vendor} {model} {key}"),
            _ => continue,
        };
        names.entry(key).or_insert(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::tables::fixture::TestDatabase;

    const LIST: &str = "# a comment\n1af4  Red Hat, Inc.\n\t1000  Virtio network device\n\t\t1af4 0001  Net, too\n\
                        \t1045  Virtio balloon\n8086  Intel\nffff  Illegal\nC 00  Unclassified\n";
    const NET: &str = "DRIVER=virtio-pci\nPCI_CLASS=20000\nPCI_ID=1AF4:1000\nPCI_SUBSYS_ID=1AF4:0001\nPCI_SLOT_NAME=0000:00:01.0\n";

    #[test]
    fn names_come_from_the_list_and_classes_from_udev() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/sys/bus/pci/devices/0000:00:01.0/uevent", NET),
                (
                    "/sys/bus/pci/devices/0000:00:02.0/uevent",
                    "PCI_CLASS=FF\nPCI_ID=broken\n",
                ),
                ("/usr/share/misc/pci.ids", LIST),
                (
                    "/run/udev/data/+pci:0000:00:01.0",
                    "E:ID_PCI_CLASS_FROM_DATABASE=Network controller\nE:ID_PCI_SUBCLASS_FROM_DATABASE=Ethernet\n\
                     E:ID_VENDOR_FROM_DATABASE=not this\n",
                ),
                (
                    "/run/udev/data/+pci:0000:00:02.0",
                    "E:ID_VENDOR_FROM_DATABASE=ACME\n",
                ),
            ],
        );
        assert_eq!(
            database.values(
                "pci_slot,pci_class,driver,vendor,vendor_id,model,model_id,pci_class_id,pci_subclass_id,pci_subclass,\
                 subsystem_vendor_id,subsystem_vendor,subsystem_model_id,subsystem_model",
                "pci_devices"
            ),
            [
                "0000:00:01.0|Network controller|virtio-pci|Red Hat, Inc.|0x1af4|Virtio network device|0x1000|0x02|0x00|\
                 Ethernet|0x1af4|Red Hat, Inc.|0x0001|Net, too",
                "|||ACME|0||0|||||||"
            ]
        );
    }

    #[test]
    fn without_a_list_the_identifiers_remain() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[("/sys/bus/pci/devices/0000:00:01.0/uevent", NET)],
        );
        assert_eq!(
            database.values("vendor,vendor_id,model,model_id", "pci_devices"),
            ["|0x1af4||0x1000"]
        );
    }

    proptest! {
        #[test]
        fn any_list_is_read_to_its_end(list in "[\t#0-9a-f é\n]{0,200}") {
            super::names(&list);
        }
    }
}
