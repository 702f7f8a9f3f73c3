//! `block_devices`: disks, their partitions, and what is mapped onto them, as sysfs and udev's database have them.

use std::path::Path;

use super::udev::Properties;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text index,
    PARENT "parent" Text,
    VENDOR "vendor" Text,
    MODEL "model" Text,
    SERIAL "serial" Text,
    SIZE "size" BigInt,
    BLOCK_SIZE "block_size" Integer,
    UUID "uuid" Text ignore_case,
    TYPE "type" Text,
    LABEL "label" Text,
}

table! { BlockDevices "block_devices" fill }

const DEVICES: &str = "/sys/class/block";

/// One device, by its own name and those of what it is a part of or mapped onto.
#[derive(Debug, Default)]
pub(super) struct BlockDevice {
    /// `sda1`, without `/dev/`.
    name: String,
    parent: Option<String>,
    /// Those that a mapped device lies on.
    below: Vec<String>,
    /// Device-mapper's id, which begins with what made the mapping.
    mapping: String,
    udev: Properties,
}

impl BlockDevice {
    pub(super) fn path(&self) -> String {
        format!("/dev/{}", self.name)
    }

    pub(super) fn uuid(&self) -> &str {
        self.udev.get("ID_FS_UUID")
    }

    /// `LUKS2` and the like, of a device that is an encrypted one's open side.
    fn encryption(&self) -> Option<&str> {
        self.mapping.strip_prefix("CRYPT-")?.split('-').next()
    }
}

/// How a device is encrypted: itself, or what it is a part of or lies on.
pub(super) fn encryption_of<'devices>(
    device: &'devices BlockDevice,
    devices: &'devices [BlockDevice],
) -> Option<&'devices str> {
    // Mappings on mappings end; a chain that does not is no chain.
    const DEEPEST: usize = 16;
    let mut level = vec![device];
    for _ in 0..DEEPEST {
        if let Some(kind) = level.iter().find_map(|device| device.encryption()) {
            return Some(kind);
        }
        let names = level
            .iter()
            .flat_map(|device| device.below.iter().chain(&device.parent));
        let names: Vec<&String> = names.collect();
        level = devices
            .iter()
            .filter(|other| names.contains(&&other.name))
            .collect();
    }
    None
}

pub(super) fn block_devices(machine: &Machine) -> Vec<BlockDevice> {
    let devices = text_file::entries(&machine.path(DEVICES)).into_iter();
    devices
        .map(|path| BlockDevice {
            name: name_of(&path),
            parent: parent_of(&path),
            below: text_file::entries(&path.join("slaves"))
                .iter()
                .map(|path| name_of(path))
                .collect(),
            mapping: text_file::line(&path.join("dm/uuid")),
            udev: Properties::read(machine, "block", &path),
        })
        .collect()
}

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for device in block_devices(machine) {
        let folder = machine.path(DEVICES).join(&device.name);
        let line = |file: &str| text_file::line(&folder.join(file));
        rows.start_row();
        rows.text(NAME, device.path());
        let parent = device.parent.iter().chain(device.below.first()).next();
        if let Some(parent) = parent {
            rows.display(PARENT, format_args!("/dev/{parent}"));
        }
        let of_udev = device.udev.first(&["ID_MODEL_FROM_DATABASE", "ID_MODEL"]);
        let of_sysfs = line("device/model");
        let model = if of_udev.is_empty() { &of_sysfs } else { of_udev };
        for (column, value) in [
            (VENDOR, &*line("device/vendor")),
            (MODEL, model),
            (SERIAL, &*line("device/wwid")),
            (UUID, device.uuid()),
            (TYPE, device.udev.get("ID_FS_TYPE")),
            (LABEL, device.udev.get("ID_FS_LABEL")),
        ] {
            rows.text(column, value);
        }
        for (column, file) in [(SIZE, "size"), (BLOCK_SIZE, "queue/logical_block_size")] {
            if let Ok(number) = line(file).parse() {
                rows.integer(column, number);
            }
        }
    }
    Ok(())
}

/// A partition lies in the folder of its disk.
fn parent_of(path: &Path) -> Option<String> {
    let device = path.canonicalize().ok()?;
    device
        .join("partition")
        .exists()
        .then(|| device.parent().map(name_of))
        .flatten()
}

fn name_of(path: &Path) -> String {
    // sysfs has `!` where a name has a slash.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.replace('!', "/")
}

#[cfg(test)]
pub(super) mod for_tests {
    use std::path::Path;

    use crate::tables::fixture::TestDatabase;

    /// A disk with a partition, on which an encrypted volume lies.
    pub(crate) fn machine_with_a_disk(folder: &Path) -> TestDatabase {
        let database = TestDatabase::seeded(
            folder,
            &[
                ("/sys/devices/pci/block/sda/dev", "8:0\n"),
                ("/sys/devices/pci/block/sda/size", "2048\n"),
                ("/sys/devices/pci/block/sda/queue/logical_block_size", "512\n"),
                ("/sys/devices/pci/block/sda/device/vendor", "ACME    \n"),
                ("/sys/devices/pci/block/sda/device/wwid", "naa.5000\n"),
                ("/sys/devices/pci/block/sda/sda1/dev", "8:1\n"),
                ("/sys/devices/pci/block/sda/sda1/partition", "1\n"),
                ("/sys/devices/pci/block/sda/sda1/size", "1024\n"),
                ("/sys/devices/virtual/block/dm-0/dev", "254:0\n"),
                ("/sys/devices/virtual/block/dm-0/size", "1000\n"),
                (
                    "/sys/devices/virtual/block/dm-0/dm/uuid",
                    "CRYPT-LUKS2-0a1b-root\n",
                ),
                ("/sys/devices/virtual/block/dm-0/slaves/sda1/dev", "8:1\n"),
                ("/sys/devices/virtual/block/dm-1/dm/uuid", "LVM-x\n"),
                ("/sys/devices/virtual/block/dm-1/slaves/dm-0/dev", "254:0\n"),
                ("/run/udev/data/b8:0", "S:disk\nE:ID_MODEL=Fast_Disk\n"),
                (
                    "/run/udev/data/b254:0",
                    "E:ID_FS_UUID=ABCD-1\nE:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=root\n",
                ),
            ],
        );
        let class = folder.join("sys/class/block");
        std::fs::create_dir_all(&class).unwrap();
        for (name, device) in [
            ("sda", "pci/block/sda"),
            ("sda1", "pci/block/sda/sda1"),
            ("dm-0", "virtual/block/dm-0"),
            ("dm-1", "virtual/block/dm-1"),
        ] {
            std::os::unix::fs::symlink(format!("../../devices/{device}"), class.join(name)).unwrap();
        }
        database
    }
}

#[cfg(test)]
mod tests {
    use super::for_tests::machine_with_a_disk;

    #[test]
    fn disks_partitions_and_mappings_know_what_they_are_part_of() {
        let folder = tempfile::tempdir().unwrap();
        let database = machine_with_a_disk(folder.path());
        assert_eq!(
            database.values(
                "name,parent,vendor,model,serial,size,block_size,uuid,type,label",
                "block_devices"
            ),
            [
                "/dev/dm-0|/dev/sda1||||1000||ABCD-1|ext4|root",
                "/dev/dm-1|/dev/dm-0||||||||",
                "/dev/sda||ACME|Fast_Disk|naa.5000|2048|512|||",
                "/dev/sda1|/dev/sda||||1024||||",
            ]
        );
        assert_eq!(
            database.values("name", "block_devices where uuid = 'abcd-1'"),
            ["/dev/dm-0"]
        );
    }
}
