//! `usb_devices`: what is plugged into the machine's USB ports, hubs included.

use super::udev::Properties;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    USB_ADDRESS "usb_address" Integer,
    USB_PORT "usb_port" Integer,
    VENDOR "vendor" Text,
    VENDOR_ID "vendor_id" Text,
    VERSION "version" Text,
    MODEL "model" Text,
    MODEL_ID "model_id" Text,
    SERIAL "serial" Text,
    CLASS "class" Text,
    SUBCLASS "subclass" Text,
    PROTOCOL "protocol" Text,
    REMOVABLE "removable" Integer,
}

table! { UsbDevices "usb_devices" fill }

const DEVICES: &str = "/sys/bus/usb/devices";

fn fill(machine: &Machine, _: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for device in text_file::entries(&machine.path(DEVICES)) {
        let udev = Properties::read(machine, "usb", &device);
        // An interface of a device has no number of its own.
        let (Ok(bus), Ok(number)) = (udev.get("BUSNUM").parse(), udev.get("DEVNUM").parse()) else {
            continue;
        };
        rows.start_row();
        rows.integer(USB_ADDRESS, bus);
        rows.integer(USB_PORT, number);
        let attribute = |name: &str| text_file::line(&device.join(name));
        for (column, properties, of_sysfs) in [
            (VENDOR, &["ID_VENDOR_FROM_DATABASE"][..], "manufacturer"),
            (VENDOR_ID, &["ID_VENDOR_ID"], "idVendor"),
            (VERSION, &["ID_REVISION"], "bcdDevice"),
            (MODEL, &["ID_MODEL_FROM_DATABASE", "ID_MODEL"], "product"),
            (MODEL_ID, &["ID_MODEL_ID"], "idProduct"),
            (SERIAL, &["ID_SERIAL_SHORT"], "serial"),
        ] {
            let known = udev.first(properties);
            if known.is_empty() {
                rows.text(column, attribute(of_sysfs));
            } else {
                rows.text(column, known);
            }
        }
        let kind: Vec<&str> = udev.get("TYPE").split('/').collect();
        let [class, subclass, protocol] = kind[..].try_into().unwrap_or_default();
        rows.text(CLASS, class);
        rows.text(SUBCLASS, subclass);
        rows.text(PROTOCOL, protocol);
        let is_unknown = attribute("removable") == "unknown";
        rows.integer(REMOVABLE, if is_unknown { -1 } else { 1 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    const HUB: &str = "DRIVER=usb\nDEVTYPE=usb_device\nTYPE=9/0/1\nBUSNUM=001\nDEVNUM=002\n";
    const COLUMNS: &str = "usb_address,usb_port,vendor,vendor_id,version,model,model_id,serial,class,subclass,protocol,removable";

    #[test]
    fn udev_names_devices_and_interfaces_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/sys/bus/usb/devices/1-1/uevent", HUB),
                ("/sys/bus/usb/devices/1-1/dev", "189:1\n"),
                ("/sys/bus/usb/devices/1-1/removable", "unknown\n"),
                ("/sys/bus/usb/devices/1-1/product", "not this\n"),
                (
                    "/sys/bus/usb/devices/1-1:1.0/uevent",
                    "DEVTYPE=usb_interface\nTYPE=9/0/1\n",
                ),
                (
                    "/run/udev/data/c189:1",
                    "I:1\nE:ID_VENDOR_FROM_DATABASE=ACME\nE:ID_VENDOR_ID=1d6b\nE:ID_REVISION=0510\nE:ID_MODEL=Hub\n\
                     E:ID_MODEL_ID=0002\nE:ID_SERIAL_SHORT=s1\n",
                ),
            ],
        );
        assert_eq!(
            database.values(COLUMNS, "usb_devices"),
            ["1|2|ACME|1d6b|0510|Hub|0002|s1|9|0|1|-1"]
        );
    }

    #[test]
    fn without_udev_the_device_speaks_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/sys/bus/usb/devices/1-1/uevent", HUB),
                ("/sys/bus/usb/devices/1-1/removable", "removable\n"),
                ("/sys/bus/usb/devices/1-1/manufacturer", "ACME Ltd\n"),
                ("/sys/bus/usb/devices/1-1/idVendor", "1d6b\n"),
                ("/sys/bus/usb/devices/1-1/idProduct", "0002\n"),
            ],
        );
        assert_eq!(
            database.values(COLUMNS, "usb_devices"),
            ["1|2|ACME Ltd|1d6b|||0002||9|0|1|1"]
        );
    }
}
