//! Gentoo's packages: `/var/db/pkg/CATEGORY/NAME-VERSION`, a folder each with a file for each thing to know.

use std::path::PathBuf;

use super::{Machine, text_file};

const INSTALLED: &str = "/var/db/pkg";

/// A package that is installed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Package {
    /// With its category.
    pub(super) name: String,
    pub(super) version: String,
    folder: PathBuf,
}

impl Package {
    /// What one of its files says.
    pub(super) fn fact(&self, file: &str) -> String {
        text_file::line(&self.folder.join(file))
    }
}

pub(super) fn packages(machine: &Machine) -> Vec<Package> {
    let categories = text_file::entries(&machine.path(INSTALLED)).into_iter();
    categories
        .flat_map(|category| {
            let name = category.file_name().unwrap_or_default().to_string_lossy();
            let of_category = format!("{name}/");
            let packages = text_file::entries(&category).into_iter();
            packages.filter(|folder| folder.is_dir()).map(move |folder| {
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                let (name, version) = split_version(&name);
                Package {
                    name: format!("{of_category}{name}"),
                    version: version.to_owned(),
                    folder,
                }
            })
        })
        .collect()
}

/// `name-1.2-r3`: a version begins behind a hyphen with a digit, and may end in a revision of the ebuild.
pub(super) fn split_version(package: &str) -> (&str, &str) {
    let is_revision = |text: &str| {
        let number = text.strip_prefix('r').unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let without_revision = match package.rsplit_once('-') {
        Some((before, revision)) if is_revision(revision) => before,
        _ => package,
    };
    match without_revision.rsplit_once('-') {
        Some((name, version)) if version.starts_with(|first: char| first.is_ascii_digit()) => {
            (name, &package[name.len() + 1..])
        }
        _ => (package, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_hyphens_and_digits_and_a_version_a_revision() {
        for (package, name, version) in [
            ("bash-5.2_p37", "bash", "5.2_p37"),
            ("gtk+-3.24.42-r1", "gtk+", "3.24.42-r1"),
            ("font-alias-1.0.5", "font-alias", "1.0.5"),
            ("python-exec-2.4.10-r11", "python-exec", "2.4.10-r11"),
            ("lib-r2", "lib-r2", ""),
            ("nameless", "nameless", ""),
            ("", "", ""),
        ] {
            assert_eq!(split_version(package), (name, version), "{package}");
        }
    }
}
