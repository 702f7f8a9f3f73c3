//! Where the objects of an array begin and end in bytes that come piece by piece.

use super::rows::{Malformed, excerpt};

/// Finds the objects of an array in a growing buffer, looking at every byte once.
#[derive(Debug, Default)]
pub(super) struct ObjectScanner {
    /// The next byte to look at.
    at: usize,
    /// Where the current object began.
    start: Option<usize>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    is_open: bool,
    is_closed: bool,
}

impl ObjectScanner {
    /// The bounds of the next whole object in `buffer`.
    pub(super) fn next_object(&mut self, buffer: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
        while let Some(&byte) = buffer.get(self.at) {
            self.at += 1;
            let Some(start) = self.start else {
                self.between_objects(byte, buffer)?;
                continue;
            };
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.start = None;
                        return Ok(Some((start, self.at)));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn between_objects(&mut self, byte: u8, buffer: &[u8]) -> Result<(), Malformed> {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {}
            b'[' if !self.is_open => self.is_open = true,
            b']' if self.is_open && !self.is_closed => self.is_closed = true,
            b'{' if !self.is_closed => {
                self.start = Some(self.at - 1);
                self.depth = 1;
            }
            _ => {
                return Err(Malformed::NotAnObject {
                    excerpt: excerpt(&buffer[self.at - 1..]),
                });
            }
        }
        Ok(())
    }

    /// How many bytes were looked at, where no object is being read.
    pub(super) fn seen_between(&self) -> usize {
        if self.start.is_none() { self.at } else { 0 }
    }

    /// Whether the array came to its end.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The first `consumed` bytes of the buffer are gone.
    pub(super) fn shift(&mut self, consumed: usize) {
        self.at -= consumed;
        self.start = self.start.map(|start| start - consumed);
    }
}
