//! Breaking text into the lines of a terminal, between its words. Only a word that no line can hold is broken. Pure: text
//! in, text out; how wide a character is, its neighbours have a say in.

use unicode_width::UnicodeWidthStr;

/// Cuts text into lines of at most `width` cells, between words; a word that is longer than a line is broken, behind a
/// sign where it has one. A character that is wider than a line gets one of its own. What does not fit into so many lines
/// is cut off, and a `…` says so.
pub fn wrap(text: &str, width: usize, most_lines: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while rest.width() > width {
        if lines.len() + 1 == most_lines {
            lines.push(cut(rest, width));
            return lines;
        }
        let end = line_end(rest, width);
        lines.push(rest[..end].to_owned());
        rest = &rest[end..];
        if rest.is_empty() {
            return lines;
        }
    }
    lines.push(rest.to_owned());
    lines
}

/// The cells that the longest word takes: what stands between two places where a line may end.
pub(super) fn longest_word(text: &str) -> usize {
    let (mut begin, mut longest) = (0, 0);
    for end in ends(text) {
        let word = &text[begin..end];
        let is_whole = word.contains(char::is_alphanumeric) && is_between_words(&text[..end], &text[end..]);
        if is_whole || end == text.len() {
            longest = longest.max(word.trim_end_matches(' ').width());
            begin = end;
        }
    }
    longest
}

/// The beginning of `text` with a `…`, together at most `width` cells.
fn cut(text: &str, width: usize) -> String {
    let fitting = ends(text).take_while(|&end| text[..end].width() < width);
    format!("{}…", &text[..fitting.last().unwrap_or(0)])
}

/// Where the first line of `text` ends: never at its beginning.
fn line_end(text: &str, width: usize) -> usize {
    let (mut end, mut word_end, mut sign_end) = (0, 0, 0);
    let mut is_worth_a_line = false;
    for next in ends(text) {
        // The whole line is measured each time: some characters change their width with their neighbours. A space at
        // its end is not seen.
        if text[..next].trim_end_matches(' ').width() > width && end > 0 {
            break;
        }
        let last = text[end..next].chars().next();
        end = next;
        is_worth_a_line |= last.is_some_and(char::is_alphanumeric);
        if is_worth_a_line && is_between_words(&text[..end], &text[end..]) {
            word_end = end;
        } else if is_worth_a_line && last.is_some_and(|c| c.is_ascii_punctuation()) {
            sign_end = end;
        }
    }
    // The text that remains may fit as it is; then there is nothing to break at.
    if end == text.len() {
        end
    } else {
        [word_end, sign_end, end]
            .into_iter()
            .find(|end| *end > 0)
            .unwrap_or(end)
    }
}

/// Whether a line may end here: behind a space, and behind a `/` or a `,` that another of its kind does not follow.
fn is_between_words(before: &str, after: &str) -> bool {
    before.ends_with(' ') || before.ends_with(['/', ',']) && !after.starts_with(['/', ',', ' '])
}

/// Behind each character of the text.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().map(|(at, c)| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_takes_too_many_lines_is_cut() {
        assert_eq!(wrap("one two three four", 9, 2), ["one two ", "three fo…"]);
        assert_eq!(wrap("one two three four", 9, 3), ["one two ", "three ", "four"]);
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing(text in "\\PC{0,80}", width in 24_usize..100) {
            prop_assert_eq!(wrap(&text, width, usize::MAX).concat(), text);
        }
    }
}
