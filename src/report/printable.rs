//! Text that others wrote, as a terminal may have it. Pure.

/// A text that can do nothing to a terminal: control characters, and those that change the direction of
/// writing, are spelled out.
pub fn printable(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_harmful) {
        return text.to_owned();
    }
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// The same of a line of a log, in which tabs are usual and do no harm.
pub fn printable_line(line: &str) -> String {
    let parts: Vec<String> = line.split('\t').map(printable).collect();
    parts.join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_steer_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[31m\nb\u{202e}\té"),
            "a\\u{1b}[31m\\nb\\u{202e}\\té"
        );
        assert_eq!(
            printable_line("\tat x\u{1b}]0;title\u{7}\r"),
            "\tat x\\u{1b}]0;title\\u{7}\\r"
        );
    }
}
