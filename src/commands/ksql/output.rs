//! Where what statements answer is shown: standard output, and the file that is spooled into; how rows are laid out, as
//! `SET CLI` and `OUTPUT` have it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::KsqlCommandError;
use crate::error::{Failure, Result};
use crate::ksqldb::rows::Header;
use crate::report::Reporter;
use crate::report::output_size::output_width;
use crate::report::table::Layout;
use crate::settings::Format;

/// The widest column that can be asked for.
const WIDEST: usize = 10_000;

/// What becomes of a value that is wider than its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TooWide {
    Wraps,
    IsCut,
}

/// Where answers go.
pub(super) struct Output {
    pub(super) reporter: Reporter,
    format: Format,
    /// How wide every column is; nothing where they share the terminal.
    column_width: Option<usize>,
    too_wide: TooWide,
    spool: Option<Spool>,
}

struct Spool {
    path: PathBuf,
    file: File,
}

impl Output {
    pub(super) fn new(reporter: Reporter) -> Self {
        Self {
            format: reporter.format(),
            reporter,
            column_width: None,
            too_wide: TooWide::Wraps,
            spool: None,
        }
    }

    /// How results are written now.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The answer to `OUTPUT`: the choice, or what it is.
    pub(super) fn choose_format(&mut self, choice: Option<&str>) -> std::result::Result<String, String> {
        match choice.map(str::to_ascii_uppercase).as_deref() {
            None => {}
            Some("JSON") => self.format = Format::Json,
            Some("TABULAR") => self.format = Format::Text,
            Some(other) => return Err(format!("`{other}` is not an output: `JSON` or `TABULAR`")),
        }
        Ok(match self.format {
            Format::Json => "output is JSON".to_owned(),
            Format::Text => "output is TABULAR".to_owned(),
        })
    }

    /// Carries out `SET CLI`; what is wrong with it, or what is now.
    pub(super) fn set(&mut self, name: &str, value: &str) -> std::result::Result<String, String> {
        match name {
            "COLUMN-WIDTH" => match value.parse::<usize>() {
                Ok(0) => {
                    self.column_width = None;
                    Ok("columns share the width of the terminal".to_owned())
                }
                Ok(width) if width <= WIDEST => {
                    self.column_width = Some(width);
                    Ok(format!("columns are {width} wide"))
                }
                _ => Err(format!("`{value}` is not a width from 0 to {WIDEST}")),
            },
            "WRAP" => {
                self.too_wide = match value.to_ascii_uppercase().as_str() {
                    "ON" => TooWide::Wraps,
                    "OFF" => TooWide::IsCut,
                    _ => return Err(format!("`{value}` is neither `ON` nor `OFF`")),
                };
                Ok(match self.too_wide {
                    TooWide::Wraps => "what is too wide is wrapped".to_owned(),
                    TooWide::IsCut => "what is too wide is cut".to_owned(),
                })
            }
            other => Err(format!(
                "there is no setting `{other}`: `COLUMN-WIDTH` and `WRAP` are"
            )),
        }
    }

    /// Begins or ends to write everything into a file as well.
    pub(super) fn spool_into(
        &mut self,
        path: Option<&Path>,
    ) -> std::result::Result<String, KsqlCommandError> {
        let Some(path) = path else {
            return Ok(match self.spool.take() {
                Some(Spool { path, .. }) => format!("`{}` is written", path.display()),
                None => "nothing was spooled".to_owned(),
            });
        };
        let file = File::create(path).map_err(|source| KsqlCommandError::Spool {
            path: path.to_owned(),
            source,
        })?;
        let shown = format!(
            "what is shown goes into `{}` as well, until `SPOOL OFF`",
            path.display()
        );
        self.spool = Some(Spool {
            path: path.to_owned(),
            file,
        });
        Ok(shown)
    }

    /// Shows text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if let Some(Spool { path, file }) = &mut self.spool {
            let end = if text.ends_with('\n') { "" } else { "\n" };
            file.write_all(text.as_bytes())
                .and_then(|()| file.write_all(end.as_bytes()))
                .map_err(|source| {
                    let path = path.clone();
                    Failure::from(KsqlCommandError::Spool { path, source })
                })?;
        }
        self.reporter.text(text)
    }

    /// Shows a piece of data: as one line of JSON, or as text.
    pub(super) fn data<T: Serialize>(&mut self, record: &T, text: impl FnOnce() -> String) -> Result<()> {
        match self.format {
            Format::Text => self.text(&text()),
            Format::Json => {
                let line = serde_json::to_string(record)
                    .map_err(|source| Failure::from(crate::report::OutputError::Json { source }))?;
                self.text(&line)
            }
        }
    }

    /// How the rows of a query are laid out; `usual` says how wide the values of a type are.
    pub(super) fn layout(&self, header: &Header, usual: impl Fn(&str) -> usize) -> Layout {
        let columns = header.columns.iter();
        match self.column_width {
            Some(width) => Layout::fixed(columns.map(|column| column.name.clone()).collect(), width),
            None => {
                let columns = columns.map(|column| (column.name.clone(), usual(&column.sql_type)));
                Layout::streaming(columns.collect(), output_width())
            }
        }
    }

    /// A value as it may be shown.
    pub(super) fn cell(&self, text: String) -> String {
        match (self.too_wide, self.column_width) {
            (TooWide::IsCut, Some(width)) => cut_to(&text, width),
            _ => text,
        }
    }
}

/// As much of a text as takes this many cells of a terminal; `…` says that there is more.
fn cut_to(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let begin = text.chars().take_while(|c| {
        let cells = c.width().unwrap_or(0);
        let fits = cells <= left;
        left = left.saturating_sub(cells);
        fits
    });
    let mut cut: String = begin.collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_wide_says_that_there_is_more() {
        assert_eq!(cut_to("abc", 3), "abc");
        assert_eq!(cut_to("abcd", 3), "ab…");
        assert_eq!(cut_to("日本語", 4), "日…");
    }
}
