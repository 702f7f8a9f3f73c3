//! A part of `make bench` rewrites its own section of `docs/figures.md`, and only that.

#[path = "../benches/figures/sections.rs"]
mod sections;

use std::path::Path;

const ORDER: [&str; 3] = ["pipeline", "docker", "broker"];

#[test]
fn one_section_is_replaced_and_the_others_stay() {
    let document = "# Figures\n\nWords.\n\n## pipeline\n\nold\n\n### more\n\n## by hand\n\nstays\n";
    let replaced = sections::replace(document, "pipeline", &ORDER, "new\n");
    assert_eq!(
        replaced,
        "# Figures\n\nWords.\n\n## pipeline\n\nnew\n\n## by hand\n\nstays\n"
    );
    assert_eq!(sections::replace(&replaced, "pipeline", &ORDER, "new"), replaced);
}

#[test]
fn a_new_section_comes_where_its_part_stands() {
    let document = sections::replace("# Figures\n", "broker", &ORDER, "b");
    let document = sections::replace(&document, "pipeline", &ORDER, "p");
    let document = sections::replace(&document, "docker", &ORDER, "d");
    assert_eq!(
        document,
        "# Figures\n\n## pipeline\n\np\n\n## docker\n\nd\n\n## broker\n\nb\n"
    );
}

#[test]
fn every_section_is_a_part_that_is_measured() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = include_str!("../docs/figures.md");
    for heading in document.lines().filter_map(|line| line.strip_prefix("## ")) {
        let parts = root.join("benches/figures");
        assert!(
            parts.join(format!("{heading}.rs")).exists() || parts.join(heading).is_dir(),
            "nothing measures `{heading}`"
        );
    }
}
