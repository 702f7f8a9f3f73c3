use proptest::prelude::*;

use super::*;

fn cells(row: &[&str]) -> Vec<String> {
    row.iter().map(|cell| (*cell).to_owned()).collect()
}

fn example(width: Option<usize>) -> String {
    table(
        &["HOST", "PROC", "FILE"],
        &[
            cells(&["host2", "/usr/bin/head", "/home/jay/myfile-8f3a77c01b22d94e"]),
            cells(&[
                "host1",
                "/usr/lib/systemd/systemd-journald",
                "/var/log/日本語/user.journal",
            ]),
        ],
        width,
    )
}

#[test]
fn a_wide_terminal_gives_each_column_what_it_needs() {
    insta::assert_snapshot!(example(Some(200)), @r"
    HOST   PROC                               FILE
    ─────  ─────────────────────────────────  ─────────────────────────────────
    host2  /usr/bin/head                      /home/jay/myfile-8f3a77c01b22d94e
    host1  /usr/lib/systemd/systemd-journald  /var/log/日本語/user.journal
    ");
    assert_eq!(example(None), example(Some(200)));
    assert_eq!(example(Some(80)), example(Some(200)));
}

#[test]
fn sixty_columns_wrap_the_wide_ones() {
    insta::assert_snapshot!(example(Some(60)), @r"
        HOST   PROC                    FILE
        ─────  ──────────────────────  ─────────────────────────────
        host2  /usr/bin/head           /home/jay/
                                       myfile-8f3a77c01b22d94e
        host1  /usr/lib/systemd/       /var/log/日本語/user.journal
               systemd-journald
        ");
}

#[test]
fn forty_columns_are_too_few_for_these_words() {
    insta::assert_snapshot!(example(Some(40)), @r"
        HOST  host2
        PROC  /usr/bin/head
        FILE  /home/jay/myfile-8f3a77c01b22d94e

        HOST  host1
        PROC  /usr/lib/systemd/systemd-journald
        FILE  /var/log/日本語/user.journal
        ");
}

#[test]
fn too_many_columns_become_blocks() {
    insta::assert_snapshot!(example(Some(20)), @r"
        HOST  host2
        PROC  /usr/bin/head
        FILE  /home/jay/
              myfile-
              8f3a77c01b22d9
              4e

        HOST  host1
        PROC  /usr/lib/
              systemd/
              systemd-
              journald
        FILE  /var/log/
              日本語/
              user.journal
        ");
}

#[test]
fn streamed_rows_share_the_width_before_they_are_seen() {
    let columns = vec![
        ("HOST".to_owned(), 40),
        ("N".to_owned(), 11),
        ("FILE".to_owned(), 40),
    ];
    let mut layout = Layout::streaming(columns.clone(), Some(40));
    insta::assert_snapshot!(
            format!("{}\n{}\n{}", layout.row(&cells(&["host2", "7", "/home/jay/myfile-8f3a"])), layout.row(&cells(&["a", "null", ""])), layout.row(&cells(&["host2", "8", "/home/jay/myfile-8f3a77c01b22d94e"]))),
            @r"
        HOST          N            FILE
        ────────────  ───────────  ─────────────
        host2         7            /home/jay/
                                   myfile-8f3a
        a             null

        HOST  host2
        N     8
        FILE  /home/jay/myfile-8f3a77c01b22d94e
        ");
    let mut unlimited = Layout::streaming(columns, None);
    assert_eq!(
        unlimited
            .row(&cells(&["x".repeat(50).as_str(), "1", "y"]))
            .lines()
            .count(),
        3,
        "the head, and the row"
    );
}

#[test]
fn a_very_long_value_is_cut() {
    let text = table(&["X"], &[cells(&["y".repeat(10_000).as_str()])], Some(40));
    assert_eq!(text.lines().count(), MOST_LINES);
    assert!(text.trim_end().ends_with('…'));
}

proptest! {
    #[test]
    fn any_table_fits_any_width(
        headers in prop::collection::vec("\\PC{0,12}", 1..8),
        values in prop::collection::vec(any::<String>(), 0..24),
        width in 0_usize..300,
    ) {
        let rows: Vec<Vec<String>> = values.chunks(headers.len()).map(<[String]>::to_vec).collect();
        let names: Vec<&str> = headers.iter().map(String::as_str).collect();
        let text = table(&names, &rows, Some(width));
        for line in text.lines() {
            // A wide character does not fit a narrower column; names and values take a cell each at least.
            prop_assert!(line.width() <= width.max(8), "{line:?} in {width}");
        }
    }

    #[test]
    fn a_word_is_broken_only_where_no_line_holds_it(
        rows in prop::collection::vec(prop::collection::vec("[a-z]{1,14}([ /][a-z0-9]{1,14}){0,4}", 3), 1..4),
        width in 22_usize..100,
    ) {
        let text = table(&["HOST", "PROC", "FILE"], &rows, Some(width));
        // The narrowest line is that of a value in a block: each of these words fits.
        let shown = text.replace(['/', ' '], "\n");
        for word in rows.iter().flatten().flat_map(|cell| cell.split([' ', '/'])) {
            prop_assert!(shown.lines().any(|line| line == word), "{word} in {text}");
        }
    }
}
