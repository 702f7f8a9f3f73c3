//! What the prompt says to `help`, as the terminal has room for it: in two columns, else one below the other. Pure: a width
//! in, text out.

use crate::report::wrapping::wrap;

const INTRODUCTION: &str = "Statements end with `;` and may span several lines. Ctrl-C ends a running query, Ctrl-D or `exit` the prompt.";
const OWN: &str = "On a line of their own, with or without `;`:";

/// What can be typed (in the narrow form each on a line of its own), and what comes of it.
type Entry = (&'static [&'static str], &'static str);

const STATEMENTS: [Entry; 5] = [
    (
        &["LIST STREAMS;", "LIST TOPICS;", "LIST QUERIES;"],
        "what there is",
    ),
    (&["DESCRIBE proc;"], "the columns of a stream"),
    (
        &["PRINT 'processes' FROM BEGINNING LIMIT 3;"],
        "the records of a topic",
    ),
    (&["SELECT * FROM proc EMIT CHANGES;"], "rows as they come"),
    (
        &["SET 'auto.offset.reset'='earliest';"],
        "start with the oldest rows",
    ),
];
const VARIABLE: Entry = (&["DEFINE name = 'value';"], "a variable, used as ${name}");

const COMMANDS: [Entry; 8] = [
    (
        &["exit", "quit", "help", "history"],
        "at any time, also in the midst of a statement",
    ),
    (&["RUN SCRIPT 'file.sql'"], "the statements of a file"),
    (
        &["SPOOL 'file'", "SPOOL OFF"],
        "what is shown goes into a file as well",
    ),
    (&["OUTPUT JSON", "OUTPUT TABULAR"], "how results are shown"),
    (
        &["SET CLI COLUMN-WIDTH 20"],
        "every column this wide; 0: as the terminal has room",
    ),
    (&["SET CLI WRAP OFF"], "what is too wide is cut"),
    (
        &["SERVER", "SERVER http://host:8088", "VERSION"],
        "which server; another one; what it is",
    ),
    (&["CLEAR"], "an empty screen"),
];

/// The help in lines of at most `width` cells; without a width, as wide as it is.
pub(super) fn help(width: Option<usize>) -> String {
    let statements: Vec<Entry> = STATEMENTS.into_iter().chain([VARIABLE]).collect();
    let forms = statements.iter().chain(&COMMANDS).map(|(forms, _)| joined(forms));
    let widest = forms.map(|forms| forms.len()).max().unwrap_or(0);
    let begin = INDENT.len() + widest + GAP.len();
    // How much the second column has; nothing where it would be too narrow for words.
    let left = match width {
        Some(width) => width.checked_sub(begin).filter(|left| *left >= NARROWEST),
        None => Some(usize::MAX),
    };
    let entries = |entries: &[Entry]| -> Vec<String> {
        let mut lines = Vec::new();
        for (forms, meaning) in entries {
            if let Some(left) = left {
                let first = format!("{INDENT}{:<widest$}{GAP}", joined(forms));
                lines.extend(indented(meaning, left, &first, &" ".repeat(begin)));
                continue;
            }
            let left = width.unwrap_or(usize::MAX).saturating_sub(MEANING.len());
            for form in *forms {
                lines.extend(indented(form, left, INDENT, MEANING));
            }
            lines.extend(indented(meaning, left, MEANING, MEANING));
        }
        lines
    };
    let text = |text: &str| match width {
        Some(width) => indented(text, width, "", ""),
        None => vec![text.to_owned()],
    };
    let nothing = || vec![String::new()];
    [
        text(INTRODUCTION),
        nothing(),
        entries(&statements),
        nothing(),
        text(OWN),
        nothing(),
        entries(&COMMANDS),
    ]
    .concat()
    .join("\n")
}

const INDENT: &str = "  ";
/// Before a meaning that stands below its command, and before the rest of a command that takes two lines.
const MEANING: &str = "    ";
const GAP: &str = "   ";
/// What a column of meanings takes at least.
const NARROWEST: usize = 24;

fn joined(forms: &[&str]) -> String {
    forms.join("  ")
}

/// A text in lines of at most `width` cells, and what stands before them.
fn indented(text: &str, width: usize, first: &str, rest: &str) -> Vec<String> {
    let lines = wrap(text, width.max(1), usize::MAX);
    let indents = [first].into_iter().chain(std::iter::repeat(rest));
    lines
        .iter()
        .zip(indents)
        .map(|(line, indent)| format!("{indent}{}", line.trim_end_matches(' ')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_the_terminal_between_words() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let whole = help(None);
        for width in [40, 60, 80, 100, 200] {
            let narrow = help(Some(width));
            let widest = narrow.lines().map(str::len).max();
            assert!(widest.is_some_and(|widest| widest <= width), "{width}: {narrow}");
            // The same words in the same order: none is broken, none is lost.
            assert_eq!(words(&narrow), words(&whole));
        }
        insta::assert_snapshot!(help(Some(40)), @r"
        Statements end with `;` and may span
        several lines. Ctrl-C ends a running
        query, Ctrl-D or `exit` the prompt.

          LIST STREAMS;
          LIST TOPICS;
          LIST QUERIES;
            what there is
          DESCRIBE proc;
            the columns of a stream
          PRINT 'processes' FROM BEGINNING
            LIMIT 3;
            the records of a topic
          SELECT * FROM proc EMIT CHANGES;
            rows as they come
          SET 'auto.offset.reset'='earliest';
            start with the oldest rows
          DEFINE name = 'value';
            a variable, used as ${name}

        On a line of their own, with or without
        `;`:

          exit
          quit
          help
          history
            at any time, also in the midst of a
            statement
          RUN SCRIPT 'file.sql'
            the statements of a file
          SPOOL 'file'
          SPOOL OFF
            what is shown goes into a file as
            well
          OUTPUT JSON
          OUTPUT TABULAR
            how results are shown
          SET CLI COLUMN-WIDTH 20
            every column this wide; 0: as the
            terminal has room
          SET CLI WRAP OFF
            what is too wide is cut
          SERVER
          SERVER http://host:8088
          VERSION
            which server; another one; what it
            is
          CLEAR
            an empty screen
        ");
        insta::assert_snapshot!(help(Some(80)), @r"
        Statements end with `;` and may span several lines. Ctrl-C ends a running query,
        Ctrl-D or `exit` the prompt.

          LIST STREAMS;  LIST TOPICS;  LIST QUERIES;   what there is
          DESCRIBE proc;                               the columns of a stream
          PRINT 'processes' FROM BEGINNING LIMIT 3;    the records of a topic
          SELECT * FROM proc EMIT CHANGES;             rows as they come
          SET 'auto.offset.reset'='earliest';          start with the oldest rows
          DEFINE name = 'value';                       a variable, used as ${name}

        On a line of their own, with or without `;`:

          exit  quit  help  history                    at any time, also in the midst of
                                                       a statement
          RUN SCRIPT 'file.sql'                        the statements of a file
          SPOOL 'file'  SPOOL OFF                      what is shown goes into a file as
                                                       well
          OUTPUT JSON  OUTPUT TABULAR                  how results are shown
          SET CLI COLUMN-WIDTH 20                      every column this wide; 0: as the
                                                       terminal has room
          SET CLI WRAP OFF                             what is too wide is cut
          SERVER  SERVER http://host:8088  VERSION     which server; another one; what
                                                       it is
          CLEAR                                        an empty screen
        ");
    }
}
