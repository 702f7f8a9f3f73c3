//! Tables that fit the terminal, for rows that are all known and for rows that are still to come.
//!
//! Columns share the width fairly: narrow ones get what they need, wide ones an equal part of the rest, each at least
//! its longest word, and what does not fit is wrapped between words inside its column. When that leaves too little, each
//! row becomes a block of `name  value` lines; of rows that are still to come, from the first one on whose words the
//! columns cannot hold. Only a word that no line can hold is broken. Where there is no terminal nothing is wrapped, so
//! that lines can be searched. What values contain never reaches the terminal as a control sequence. Pure: text in,
//! text out.

use unicode_width::UnicodeWidthStr;

use crate::report::printable::printable;
use crate::report::wrapping::{longest_word, wrap};

/// Between two columns.
const GAP: &str = "  ";
/// A column that holds more than this many cells is not squeezed below it.
const NARROWEST: usize = 8;
/// A value is cut after this many lines: enough for a command line, too few to bury the rest.
const MOST_LINES: usize = 12;

/// How the rows of a table are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    headers: Vec<String>,
    shape: Shape,
    /// What takes over when the columns cannot hold a row's words; nothing where they stay whatever comes.
    narrow: Option<Shape>,
    /// Whether a row was laid out.
    is_begun: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// Columns side by side, each with its width and whether longer values are wrapped.
    Columns { widths: Vec<usize>, wraps: bool },
    /// One line a value: the width of the names, and that of the values.
    Blocks { names: usize, values: usize },
}

impl Shape {
    fn blocks(headers: &[String], width: usize) -> Self {
        let names = headers.iter().map(|name| name.width()).max().unwrap_or(0);
        let names = names.min(width / 2);
        let values = width.saturating_sub(names + GAP.len()).max(1);
        Self::Blocks { names, values }
    }

    /// Whether no word of these cells has to be broken. Blocks have nothing wider to give way to.
    fn holds(&self, cells: &[String]) -> bool {
        match self {
            Self::Columns { widths, wraps: true } => cells
                .iter()
                .zip(widths)
                .all(|(cell, width)| cell.width() <= *width || longest_word(cell) <= *width),
            Self::Columns { wraps: false, .. } | Self::Blocks { .. } => true,
        }
    }
}

/// How many cells a column would take.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// With every value on one line.
    whole: usize,
    /// With no word broken.
    word: usize,
}

impl Wanted {
    fn of(text: &str) -> Self {
        Self {
            whole: text.width(),
            word: longest_word(text),
        }
    }

    /// How much more than its longest word it would take.
    fn more(self) -> usize {
        self.whole.saturating_sub(self.word)
    }

    /// What takes both.
    fn or(self, other: Self) -> Self {
        Self {
            whole: self.whole.max(other.whole),
            word: self.word.max(other.word),
        }
    }
}

/// A whole table, with its header and without a line break at the end.
pub fn table(headers: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
    let mut wanted: Vec<Wanted> = headers.iter().map(|header| Wanted::of(header)).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    for row in &rows {
        for (wanted, cell) in wanted.iter_mut().zip(row) {
            *wanted = wanted.or(Wanted::of(cell));
        }
    }
    let mut layout = Layout::new(headers, &wanted, width);
    let lines: Vec<String> = rows.iter().map(|row| layout.row(row)).collect();
    format!("{}{}", lines.join("\n"), layout.end())
}

impl Layout {
    /// For rows that come later: `wanted` says how many cells a column's values usually take.
    pub fn streaming(columns: Vec<(String, usize)>, width: Option<usize>) -> Self {
        let (headers, wanted): (Vec<String>, Vec<Wanted>) = columns
            .into_iter()
            .map(|(header, usual)| {
                let header = printable(&header);
                let value = Wanted {
                    whole: usual,
                    word: usual.min(NARROWEST),
                };
                let wanted = Wanted::of(&header).or(value);
                (header, wanted)
            })
            .unzip();
        Self::new(headers, &wanted, width)
    }

    /// For rows whose columns all have this width, whatever the terminal has.
    pub fn fixed(headers: Vec<String>, width: usize) -> Self {
        let headers: Vec<String> = headers.iter().map(|header| printable(header)).collect();
        let shape = Shape::Columns {
            widths: vec![width; headers.len()],
            wraps: true,
        };
        Self {
            headers,
            shape,
            narrow: None,
            is_begun: false,
        }
    }

    fn new(headers: Vec<String>, wanted: &[Wanted], width: Option<usize>) -> Self {
        let Some(width) = width else {
            let shape = Shape::Columns {
                widths: wanted.iter().map(|wanted| wanted.whole).collect(),
                wraps: false,
            };
            return Self {
                headers,
                shape,
                narrow: None,
                is_begun: false,
            };
        };
        let blocks = Shape::blocks(&headers, width);
        let (shape, narrow) = match share(wanted, width) {
            Some(widths) => (Shape::Columns { widths, wraps: true }, Some(blocks)),
            None => (blocks, None),
        };
        Self {
            headers,
            shape,
            narrow,
            is_begun: false,
        }
    }

    /// The lines above the first row, without a line break at the end; nothing when rows are blocks.
    fn head(&self) -> String {
        match &self.shape {
            Shape::Columns { widths, wraps } => {
                let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
                format!(
                    "{}\n{}",
                    side_by_side(&self.headers, widths, *wraps),
                    rule.join(GAP)
                )
            }
            Shape::Blocks { .. } => String::new(),
        }
    }

    /// One row, the first one below the head; without a line break at the end.
    pub fn row(&mut self, cells: &[String]) -> String {
        let cells: Vec<String> = cells.iter().map(|cell| printable(cell)).collect();
        let mut lines = Vec::new();
        if !self.shape.holds(&cells)
            && let Some(narrow) = self.narrow.take()
        {
            self.shape = narrow;
            if self.is_begun {
                lines.push(String::new());
            }
        }
        if !self.is_begun {
            self.is_begun = true;
            lines.push(self.head());
            lines.retain(|head| !head.is_empty());
        }
        lines.push(self.laid_out(&cells));
        lines.join("\n")
    }

    /// What is shown after the last row: the head, where there was none.
    pub fn end(&self) -> String {
        if self.is_begun { String::new() } else { self.head() }
    }

    fn laid_out(&self, cells: &[String]) -> String {
        match &self.shape {
            Shape::Columns { widths, wraps } => side_by_side(cells, widths, *wraps),
            Shape::Blocks { names, values } => {
                let mut lines = Vec::new();
                for (header, cell) in self.headers.iter().zip(cells) {
                    lines.push(side_by_side(
                        &[header.clone(), cell.clone()],
                        &[*names, *values],
                        true,
                    ));
                }
                // An empty line keeps one row from the next.
                lines.push(String::new());
                lines.join("\n")
            }
        }
    }
}

/// The widths of columns that together, with the gaps, take at most `width` cells; `None` when a word would not fit into
/// its column.
fn share(wanted: &[Wanted], width: usize) -> Option<Vec<usize>> {
    let all = width.checked_sub(GAP.len() * wanted.len().saturating_sub(1))?;
    // A column begins with its longest word; what is left goes to those that want more, in equal parts.
    let mut widths: Vec<usize> = wanted.iter().map(|wanted| wanted.word).collect();
    let mut rest = all.checked_sub(widths.iter().sum())?;
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    // From the one on that wants least: what it leaves over goes to the others.
    order.sort_by_key(|&column| wanted[column].more());
    for (taken, &column) in order.iter().enumerate() {
        let part = rest / (wanted.len() - taken);
        let more = part.min(wanted[column].more());
        widths[column] += more;
        rest -= more;
    }
    Some(widths)
}

/// Cells next to each other; wrapped ones continue below themselves.
fn side_by_side(cells: &[String], widths: &[usize], wraps: bool) -> String {
    let columns: Vec<Vec<String>> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| {
            if wraps {
                wrap(cell, *width, MOST_LINES)
            } else {
                vec![cell.clone()]
            }
        })
        .collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    let mut lines = Vec::with_capacity(height);
    for index in 0..height {
        let mut line = String::new();
        for (at, (column, width)) in columns.iter().zip(widths).enumerate() {
            let part = column.get(index).map_or("", |part| part.trim_end_matches(' '));
            line.push_str(part);
            if at + 1 < columns.len() {
                let missing = width.saturating_sub(part.width());
                line.extend(std::iter::repeat_n(' ', missing));
                line.push_str(GAP);
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests;
