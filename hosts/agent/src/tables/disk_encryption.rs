//! `disk_encryption`: which block devices are encrypted, themselves or by what they lie on.

use super::block_devices::{block_devices, encryption_of};
use super::{Machine, table};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text index,
    UUID "uuid" Text ignore_case,
    ENCRYPTED "encrypted" Integer,
    TYPE "type" Text,
    ENCRYPTION_STATUS "encryption_status" Text,
    _UID "uid" Text hidden,
    _USER_UUID "user_uuid" Text ignore_case hidden,
    _FILEVAULT_STATUS "filevault_status" Text hidden,
}

table! { DiskEncryption "disk_encryption" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let devices = block_devices(machine);
    for device in &devices {
        let encryption = encryption_of(device, &devices);
        rows.start_row();
        rows.text(NAME, device.path());
        rows.text(UUID, device.uuid());
        rows.integer(ENCRYPTED, i64::from(encryption.is_some()));
        // Its cipher is the kernel's secret unless the mapping is asked for with root's rights.
        rows.text(TYPE, encryption.unwrap_or_default());
        let status = if encryption.is_some() {
            "encrypted"
        } else {
            "not encrypted"
        };
        rows.text(ENCRYPTION_STATUS, status);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::block_devices::for_tests::machine_with_a_disk;

    #[test]
    fn what_lies_on_an_encrypted_device_is_encrypted() {
        let folder = tempfile::tempdir().unwrap();
        let database = machine_with_a_disk(folder.path());
        assert_eq!(
            database.values("name,uuid,encrypted,type,encryption_status", "disk_encryption"),
            [
                "/dev/dm-0|ABCD-1|1|LUKS2|encrypted",
                "/dev/dm-1||1|LUKS2|encrypted",
                "/dev/sda||0||not encrypted",
                "/dev/sda1||0||not encrypted",
            ]
        );
    }
}
