//! `kernel_info`: the kernel that runs, and how it was started.

use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    VERSION "version" Text version,
    ARGUMENTS "arguments" Text,
    PATH "path" Text,
    DEVICE "device" Text,
}

table! { KernelInfo "kernel_info" fill }

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let version = text_file::line(&machine.path("/proc/version"));
    let command_line = text_file::line(&machine.path("/proc/cmdline"));
    rows.start_row();
    // `Linux version 6.1.0-13-amd64 (…) …`
    rows.text(VERSION, version.split(' ').nth(2).unwrap_or_default());
    let mut arguments = Vec::new();
    for word in command_line.split(' ').filter(|word| !word.is_empty()) {
        if let Some(path) = word.strip_prefix("BOOT_IMAGE=") {
            rows.text(PATH, path);
        } else if let Some(device) = word.strip_prefix("root=") {
            rows.text(DEVICE, device);
        } else {
            arguments.push(word);
        }
    }
    rows.text(ARGUMENTS, arguments.join(" "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn the_command_line_is_taken_apart() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/proc/version", "Linux version 6.1.0-13-amd64 (debian) #1 SMP\n"),
                (
                    "/proc/cmdline",
                    "BOOT_IMAGE=/boot/vmlinuz root=/dev/vda1 ro quiet\n",
                ),
            ],
        );
        assert_eq!(
            database.values("version,arguments,path,device", "kernel_info"),
            ["6.1.0-13-amd64|ro quiet|/boot/vmlinuz|/dev/vda1"]
        );
    }
}
