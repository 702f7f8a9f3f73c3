//! The units of systemd, as `systemctl` tells them: it speaks D-Bus, so that the agent need not.

use std::collections::HashMap;

use super::Machine;
use crate::program::{Program, ProgramError};

const SYSTEMCTL: &str = "/usr/bin/systemctl";
const PROPERTIES: &str =
    "Id,Description,LoadState,ActiveState,SubState,UnitFileState,Following,Job,FragmentPath,User,SourcePath";

/// One unit: its properties under systemd's names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unit(HashMap<String, String>);

impl Unit {
    /// A property, or nothing where the unit has none of that name.
    pub(super) fn get(&self, property: &str) -> &str {
        self.0.get(property).map_or("", String::as_str)
    }
}

/// All units that systemd has loaded.
pub(super) fn units(machine: &Machine) -> Result<Vec<Unit>, ProgramError> {
    let properties = format!("--property={PROPERTIES}");
    let program = Program::new(&machine.path(SYSTEMCTL));
    Ok(parse(&program.output(&[
        "show",
        "--all",
        "--no-pager",
        &properties,
        "*",
    ])?))
}

/// `Key=value` lines, units apart by an empty line.
fn parse(text: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut unit = Unit::default();
    for line in text.lines().chain([""]) {
        match line.split_once('=') {
            Some((key, value)) => {
                unit.0.insert(key.to_owned(), value.to_owned());
            }
            // Without an id it is the manager itself.
            None if unit.0.contains_key("Id") => units.push(std::mem::take(&mut unit)),
            None => unit = Unit::default(),
        }
    }
    units
}

#[cfg(test)]
pub(super) mod for_tests {
    /// A `systemctl` that says what a real one does of two units.
    pub(crate) const SYSTEMCTL: &str = "#!/bin/sh\n[ \"$1 $2\" = 'show --all' ] || exit 1\ncat <<'END'\n\
        Id=ssh.service\nDescription=OpenBSD Secure Shell server\nLoadState=loaded\nActiveState=active\nSubState=running\n\
        UnitFileState=enabled\nFollowing=\nJob=17\nFragmentPath=/lib/systemd/system/ssh.service\nUser=jay\n\n\
        Id=dev-sda.device\nDescription=QEMU = disk\nLoadState=loaded\nActiveState=active\nSubState=plugged\n\
        Following=sys-block-sda.device\nEND\n";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_can_make_it_panic(text in "(Id|=|\n|x){0,30}") {
            parse(&text);
        }
    }
}
