//! The rows a table gives for one scan, packed into two vectors that are reused from scan to scan.

use std::fmt::{self, Write as _};

use super::table::Scan;

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

/// A growing set of rows of equal width. Cells that are never set are null here; columns that the statement does not use
/// take no place.
#[derive(Debug)]
pub(crate) struct RowBuffer {
    /// Each column's place in a row.
    places: Vec<Option<usize>>,
    /// How many cells a row has; at least one, so that rows without a used column can be counted.
    width: usize,
    cells: Vec<Cell>,
    text: Vec<u8>,
    is_cut: bool,
}

/// What one scan may take in memory. Users of a machine decide what is in many files that tables read.
const LARGEST: usize = 256 << 20;

impl RowBuffer {
    /// For a table with so many columns, all of them used.
    pub(crate) fn new(columns: usize) -> Self {
        Self {
            places: (0..columns).map(Some).collect(),
            width: columns.max(1),
            cells: Vec::new(),
            text: Vec::new(),
            is_cut: false,
        }
    }

    /// Drops all rows; those that follow have the columns that a scan uses.
    pub(crate) fn begin(&mut self, scan: &Scan) {
        self.cells.clear();
        self.text.clear();
        self.is_cut = false;
        let mut width = 0;
        for (column, place) in self.places.iter_mut().enumerate() {
            *place = scan.uses(column).then_some(width);
            width += usize::from(place.is_some());
        }
        self.width = width.max(1);
    }

    /// Whether rows were left out because there were too many.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(crate) fn rows(&self) -> usize {
        self.cells.len() / self.width
    }

    /// Begins a row; the setters below fill the latest one.
    pub(crate) fn start_row(&mut self) {
        if self.cells.len() * size_of::<Cell>() + self.text.len() > LARGEST {
            // The latest row is filled again and again.
            self.is_cut = true;
            self.drop_row();
        }
        self.cells.resize(self.cells.len() + self.width, Cell::Null);
    }

    /// Takes the latest row back, for a process that vanished while it was read.
    pub(crate) fn drop_row(&mut self) {
        self.cells.truncate(self.cells.len().saturating_sub(self.width));
    }

    pub(crate) fn integer(&mut self, column: usize, value: i64) {
        self.set(column, Cell::Integer(value));
    }

    pub(crate) fn real(&mut self, column: usize, value: f64) {
        self.set(column, Cell::Real(value));
    }

    pub(crate) fn text(&mut self, column: usize, value: impl AsRef<[u8]>) {
        if self.is_cut || self.place(column).is_none() {
            return;
        }
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
        if self.is_cut || self.place(column).is_none() {
            return;
        }
        let start = self.text.len();
        let written = write!(Bytes(&mut self.text), "{value}");
        if written.is_err() {
            self.text.truncate(start);
        }
        self.finish_text(column, start);
    }

    pub(crate) fn value(&self, row: usize, column: usize) -> CellValue<'_> {
        let place = self.place(column);
        match place.and_then(|place| self.cells.get(row * self.width + place)) {
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
        self.set(column, Cell::Text { start: from, length });
    }

    fn set(&mut self, column: usize, cell: Cell) {
        if let Some(place) = self.place(column) {
            let row = self.cells.len() - self.width;
            self.cells[row + place] = cell;
        }
    }

    fn place(&self, column: usize) -> Option<usize> {
        self.places.get(column).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_an_end_take_a_bounded_memory() {
        let mut rows = RowBuffer::new(2);
        let text = "x".repeat(8 << 20);
        for number in 0..100 {
            rows.start_row();
            rows.integer(0, number);
            rows.text(1, &text);
        }
        assert!(rows.is_cut());
        assert!(rows.text.len() <= LARGEST + text.len(), "{}", rows.text.len());
        assert!(rows.rows() < 100);
        rows.begin(&Scan::new(0b10, Vec::new()));
        rows.start_row();
        rows.integer(0, 1);
        rows.text(1, "again");
        assert_eq!(
            (rows.is_cut(), rows.value(0, 1)),
            (false, CellValue::Text(b"again"))
        );
    }
}
