//! Strings by UTF-16 code units, as Java counts them, with a short cut for ASCII.

/// How many code units the text has.
pub(super) fn length(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    }
}

/// The code units from `start` to before `end`. A character cut in half becomes U+FFFD.
pub(super) fn slice(text: &str, start: usize, end: usize) -> String {
    if text.is_ascii() {
        return text[start..end].to_owned();
    }
    let units: Vec<u16> = text.encode_utf16().skip(start).take(end - start).collect();
    String::from_utf16_lossy(&units)
}

/// The code units.
pub(super) fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// The text of code units; half characters become U+FFFD.
pub(super) fn text(units: &[u16]) -> String {
    String::from_utf16_lossy(units)
}
