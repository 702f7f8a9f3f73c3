//! The rows a table gives for one scan, packed into two vectors that are reused from scan to scan.

use std::fmt::{self, Write as _};

/// One cell; text lives in the buffer's shared byte vector.
#[derive(Debug, Clone, Copy)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text { start: u32, length: u32 },
}

/// What a cell holds, as handed to SQLite. Text is bytes: a command line need not be UTF-8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum CellValue<'buffer> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'buffer [u8]),
}

/// A growing set of rows of equal width. Cells that are never set are null, as columns osquery leaves out are.
#[derive(Debug)]
pub(crate) struct RowBuffer {
    width: usize,
    cells: Vec<Cell>,
    text: Vec<u8>,
}

impl RowBuffer {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            width,
            cells: Vec::new(),
            text: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.text.clear();
    }

    pub(crate) fn rows(&self) -> usize {
        self.cells.len() / self.width
    }

    /// Begins a row; the setters below fill the latest one.
    pub(crate) fn start_row(&mut self) {
        self.cells.resize(self.cells.len() + self.width, Cell::Null);
    }

    /// Takes the latest row back, for a process that vanished while it was read.
    pub(crate) fn drop_row(&mut self) {
        self.cells.truncate(self.cells.len().saturating_sub(self.width));
    }

    pub(crate) fn integer(&mut self, column: usize, value: i64) {
        *self.cell(column) = Cell::Integer(value);
    }

    pub(crate) fn real(&mut self, column: usize, value: f64) {
        *self.cell(column) = Cell::Real(value);
    }

    pub(crate) fn text(&mut self, column: usize, value: impl AsRef<[u8]>) {
        let start = self.text.len();
        self.text.extend_from_slice(value.as_ref());
        self.finish_text(column, start);
    }

    /// Formats straight into the buffer.
    pub(crate) fn display(&mut self, column: usize, value: impl fmt::Display) {
        struct Bytes<'text>(&'text mut Vec<u8>);
        impl fmt::Write for Bytes<'_> {
            fn write_str(&mut self, piece: &str) -> fmt::Result {
                self.0.extend_from_slice(piece.as_bytes());
                Ok(())
            }
        }
        let start = self.text.len();
        let written = write!(Bytes(&mut self.text), "{value}");
        if written.is_err() {
            self.text.truncate(start);
        }
        self.finish_text(column, start);
    }

    pub(crate) fn value(&self, row: usize, column: usize) -> CellValue<'_> {
        match self.cells.get(row * self.width + column) {
            None | Some(Cell::Null) => CellValue::Null,
            Some(Cell::Integer(value)) => CellValue::Integer(*value),
            Some(Cell::Real(value)) => CellValue::Real(*value),
            Some(Cell::Text { start, length }) => {
                CellValue::Text(&self.text[*start as usize..(*start + *length) as usize])
            }
        }
    }

    fn finish_text(&mut self, column: usize, start: usize) {
        // A scan whose text passes 4 GiB cannot be held by SQLite either; such a cell stays null.
        let (Ok(from), Ok(length)) = (u32::try_from(start), u32::try_from(self.text.len() - start)) else {
            return;
        };
        *self.cell(column) = Cell::Text { start: from, length };
    }

    fn cell(&mut self, column: usize) -> &mut Cell {
        let row = self.cells.len() - self.width;
        &mut self.cells[row + column]
    }
}
