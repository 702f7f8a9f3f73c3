//! How lines of the log name what clients have named.

/// Of a longer name only the beginning is told.
const LONGEST: usize = 249;

/// A name as far as a line of the log tells it; a client may have made up any.
pub(crate) fn beginning(name: &str) -> &str {
    &name[..name.floor_char_boundary(LONGEST)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_fills_a_line() {
        assert_eq!(beginning("lines"), "lines");
        let long = "é".repeat(1000);
        assert_eq!(beginning(&long), "é".repeat(124));
    }
}
