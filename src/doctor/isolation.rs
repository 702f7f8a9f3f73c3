//! Whether the hosts can have namespaces of their own, and what is in the way: a switch of the kernel's, most often.

use std::env;
use std::fs;
use std::path::Path;

use crate::doctor::{Check, Status};
use crate::engine::native::isolation::{Isolation, UNSHARE};

/// What the system says about making namespaces.
struct Switches {
    /// Whether the program that makes them is on the PATH.
    has_unshare: bool,
    /// `user.max_user_namespaces`.
    most: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`: Ubuntu's, since 23.10.
    apparmor_restricts: Option<u64>,
    /// `kernel.unprivileged_userns_clone`: Debian's.
    unprivileged: Option<u64>,
}

impl Switches {
    fn of_this_machine() -> Self {
        let number = |name: &str| {
            let text = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
            text.trim().parse().ok()
        };
        let folders = env::var_os("PATH").unwrap_or_default();
        Self {
            has_unshare: env::split_paths(&folders).any(|folder| folder.join(UNSHARE[0]).exists()),
            most: number("user/max_user_namespaces"),
            apparmor_restricts: number("kernel/apparmor_restrict_unprivileged_userns"),
            unprivileged: number("kernel/unprivileged_userns_clone"),
        }
    }

    fn way_out(&self) -> &'static str {
        match self {
            Self {
                has_unshare: false, ..
            } => "for namespaces: install util-linux, which has `unshare`",
            Self { most: Some(0), .. } => "for namespaces: `sysctl user.max_user_namespaces=10000`, as root",
            Self {
                unprivileged: Some(0),
                ..
            } => "for namespaces: `sysctl kernel.unprivileged_userns_clone=1`, as root",
            Self {
                apparmor_restricts: Some(1),
                ..
            } => {
                "for namespaces: `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, as root, or an AppArmor profile \
                 for `unshare` with `userns`"
            }
            _ => {
                "for namespaces: on Ubuntu `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, as root, or an \
                 AppArmor profile for `unshare` with `userns`; in a container, privileges or a seccomp profile that \
                 let `unshare` work"
            }
        }
    }
}

/// The check, by what was found when namespaces were made once.
pub(super) fn check(isolation: &Isolation) -> Check {
    let (status, fix) = match isolation {
        Isolation::Namespaces => (Status::Pass, None),
        Isolation::Marked { .. } => (
            Status::Warn,
            Some(Switches::of_this_machine().way_out().to_owned()),
        ),
    };
    Check {
        category: "hosts",
        name: "isolation".to_owned(),
        status,
        message: isolation.to_string(),
        fix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_that_is_in_the_way_is_named() {
        let all_is_well = || Switches {
            has_unshare: true,
            most: Some(10000),
            apparmor_restricts: Some(0),
            unprivileged: None,
        };
        let named = |switches: Switches, name: &str| {
            assert!(switches.way_out().contains(name), "{}", switches.way_out());
        };
        named(
            Switches {
                has_unshare: false,
                ..all_is_well()
            },
            "util-linux",
        );
        named(
            Switches {
                most: Some(0),
                ..all_is_well()
            },
            "user.max_user_namespaces=",
        );
        let restricted = Switches {
            apparmor_restricts: Some(1),
            ..all_is_well()
        };
        named(
            restricted,
            "kernel.apparmor_restrict_unprivileged_userns=0`, as root, or",
        );
        named(
            Switches {
                unprivileged: Some(0),
                ..all_is_well()
            },
            "unprivileged_userns_clone=1",
        );
        // Nothing is known to be in the way: the two usual causes.
        named(all_is_well(), "AppArmor");
        named(all_is_well(), "seccomp");
    }
}
