//! What libudev says of a device: the kernel's own properties in `uevent`, and above them those of udev's database. Where no
//! udev runs, as in most containers, only the first are there.

use std::collections::HashMap;
use std::path::Path;

use super::{Machine, text_file};

/// Where udev keeps what its rules found out, a file a device.
const DATABASE: &str = "/run/udev/data";

/// The properties of one device.
#[derive(Debug, Default)]
pub(super) struct Properties(HashMap<String, String>);

impl Properties {
    /// Those of the device that sysfs has at `device`, of `subsystem` (`block`, `pci`, `usb`).
    pub(super) fn read(machine: &Machine, subsystem: &str, device: &Path) -> Self {
        let kernels = text_file::text(&device.join("uevent"));
        let numbers = text_file::line(&device.join("dev"));
        let udevs = text_file::text(&machine.path(&format!(
            "{DATABASE}/{}",
            if numbers.is_empty() {
                let name = device.file_name().unwrap_or_default().to_string_lossy();
                format!("+{subsystem}:{name}")
            } else {
                let kind = if subsystem == "block" { 'b' } else { 'c' };
                format!("{kind}{numbers}")
            }
        )));
        let kernels = kernels.lines().filter_map(|line| line.split_once('='));
        let udevs = udevs
            .lines()
            .filter_map(|line| line.strip_prefix("E:")?.split_once('='));
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Self(kernels.chain(udevs).map(owned).collect())
    }

    /// A property's value, empty where the device has none.
    pub(super) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// The value of the first of these that has one.
    pub(super) fn first(&self, keys: &[&str]) -> &str {
        let values = keys.iter().map(|key| self.get(key));
        values.into_iter().find(|value| !value.is_empty()).unwrap_or("")
    }
}
