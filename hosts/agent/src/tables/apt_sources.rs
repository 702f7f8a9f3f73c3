//! `apt_sources`: the repositories that apt has been told of and has lists of.

use std::path::Path;

use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::sql::{RowBuffer, Scan, TableError, columns};

columns! {
    NAME "name" Text,
    SOURCE "source" Text,
    BASE_URI "base_uri" Text,
    RELEASE "release" Text,
    VERSION "version" Text dpkg_version,
    MAINTAINER "maintainer" Text,
    COMPONENTS "components" Text,
    ARCHITECTURES "architectures" Text,
    PID_WITH_NAMESPACE "pid_with_namespace" Integer additional hidden,
}

table! { AptSources "apt_sources" fill }

const LIST: &str = "/etc/apt/sources.list";
const FOLDER: &str = "/etc/apt/sources.list.d";
/// What apt fetched of each repository.
const FETCHED: &str = "/var/lib/apt/lists";
/// Columns and the fields of a `Release` file that they come from.
const FIELDS: [(usize, &str); 5] = [
    (RELEASE, "Codename"),
    (VERSION, "Version"),
    (MAINTAINER, "Origin"),
    (COMPONENTS, "Components"),
    (ARCHITECTURES, "Architectures"),
];

/// A repository: an address, and the suite below it.
#[derive(Debug, PartialEq, Eq)]
struct Repository {
    uri: String,
    suite: String,
}

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    for namespace in MountNamespace::of_scan(scan, PID_WITH_NAMESPACE, machine) {
        let files = text_file::entries(&namespace.path(FOLDER));
        let of_kind = |kind: &str| {
            let files = files.iter().filter(move |file| {
                file.extension()
                    .is_some_and(|extension| extension.as_encoded_bytes() == kind.as_bytes())
            });
            files.cloned().collect::<Vec<_>>()
        };
        let lists = [namespace.path(LIST)].into_iter().chain(of_kind("list"));
        for file in lists {
            for repository in text_file::text(&file).lines().filter_map(of_line) {
                fill_repository(&namespace, &file, &repository, rows);
            }
        }
        for file in of_kind("sources") {
            for stanza in text_file::stanzas(&without_comments(&text_file::text(&file))) {
                for repository in of_stanza(&stanza) {
                    fill_repository(&namespace, &file, &repository, rows);
                }
            }
        }
    }
    Ok(())
}

fn fill_repository(namespace: &MountNamespace, file: &Path, repository: &Repository, rows: &mut RowBuffer) {
    let Repository { uri, suite } = repository;
    let Some((_, host)) = uri.split_once("://") else {
        return;
    };
    // `deb.debian.org_debian_dists_bookworm_InRelease`; a suite with a slash is a path of its own.
    let below = if suite.contains('/') { "" } else { "dists_" };
    let prefix = format!("{host}_{below}{}_", suite.trim_matches('/')).replace('/', "_");
    let fetched = text_file::entries(&namespace.path(FETCHED));
    let release = fetched.iter().find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix(&*prefix)
            .is_some_and(|rest| rest == "InRelease" || rest == "Release")
    });
    // What apt never fetched is no repository yet; osquery leaves it out, too.
    let Some(release) = release else { return };
    let text = text_file::text(release);
    rows.start_row();
    rows.display(NAME, format_args!("{host} {suite}"));
    rows.text(SOURCE, namespace.inner(file));
    rows.text(BASE_URI, uri);
    for line in text
        .lines()
        .take_while(|line| *line != "-----BEGIN PGP SIGNATURE-----")
    {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if let Some((column, _)) = FIELDS.iter().find(|(_, field)| *field == name) {
            rows.text(*column, value.trim());
        }
    }
    namespace.fill(PID_WITH_NAMESPACE, None, rows);
}

/// `deb [arch=amd64 …] URI SUITE COMPONENT…`; those of sources are left out.
fn of_line(line: &str) -> Option<Repository> {
    let line = line.split('#').next()?;
    let mut words = line.split_whitespace();
    words.next().filter(|kind| *kind == "deb")?;
    let mut word = words.next()?;
    if word.starts_with('[') {
        while !word.contains(']') {
            word = words.next()?;
        }
        word = words.next()?;
    }
    repository(word, words.next()?)
}

/// The same as fields of several addresses and suites.
fn of_stanza(stanza: &[(&str, String)]) -> Vec<Repository> {
    let words = |name: &str| text_file::field(stanza, name).split_whitespace();
    let is_enabled = !matches!(text_file::field(stanza, "Enabled"), "no" | "false" | "off" | "0");
    if !is_enabled || !words("Types").any(|kind| kind == "deb") {
        return Vec::new();
    }
    words("URIs")
        .flat_map(|uri| words("Suites").filter_map(move |suite| repository(uri, suite)))
        .collect()
}

fn repository(uri: &str, suite: &str) -> Option<Repository> {
    uri.contains("://").then(|| Repository {
        uri: uri.trim_end_matches('/').to_owned(),
        suite: suite.to_owned(),
    })
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tables::fixture::TestDatabase;

    #[test]
    fn repositories_of_both_formats_are_those_that_apt_has_lists_of() {
        let folder = tempfile::tempdir().unwrap();
        let release = "Origin: Debian\nVersion: 12.4\nCodename: bookworm\nArchitectures: all amd64\nComponents: main contrib\n";
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                (
                    "/etc/apt/sources.list",
                    "# deb http://no/x y main\ndeb [arch=amd64 signed-by=/k] http://deb.debian.org/debian/ bookworm main # c\n\
                     deb-src http://deb.debian.org/debian bookworm main\ndeb http://never.fetched/x stable main\n",
                ),
                (
                    "/etc/apt/sources.list.d/own.sources",
                    "Types: deb\n# why\nURIs: https://own.example/apt\nSuites: stable flat/\nComponents: main\n\nTypes: deb\nEnabled: no\nURIs: https://own.example/apt\nSuites: stable\n",
                ),
                (
                    "/var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_InRelease",
                    release,
                ),
                (
                    "/var/lib/apt/lists/own.example_apt_dists_stable_Release",
                    "Codename: own\n-----BEGIN PGP SIGNATURE-----\nVersion: 9\n",
                ),
                ("/var/lib/apt/lists/own.example_apt_flat_Release", ""),
            ],
        );
        assert_eq!(
            database.values(
                "name,source,base_uri,release,version,maintainer,components,architectures",
                "apt_sources"
            ),
            [
                "deb.debian.org/debian bookworm|/etc/apt/sources.list|http://deb.debian.org/debian|bookworm|12.4|Debian|main contrib|all amd64",
                "own.example/apt stable|/etc/apt/sources.list.d/own.sources|https://own.example/apt|own||||",
                "own.example/apt flat/|/etc/apt/sources.list.d/own.sources|https://own.example/apt|||||",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_line_can_make_it_panic(line in "(deb |\\[|\\]|a://b/|#| |x){0,12}") {
            let _ = of_line(&line);
        }
    }
}
