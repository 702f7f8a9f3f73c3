//! Patterns of Java's `DateTimeFormatter`, such as `yyyy-MM-dd'T'HH:mm:ss.SSSX`.
//!
//! Weeks (`Y`, `w`, `W`, `e`, `c`) are those of the locale of ksqlDB's server: they begin with Sunday, and the year's
//! first one with January 1. They can be written, not read.

use super::super::FunctionError;

/// A pattern, ready to format and to parse.
#[derive(Debug, PartialEq)]
pub(crate) struct Pattern {
    /// The pattern as it was written.
    pub(super) source: String,
    /// What it consists of.
    pub(super) items: Vec<Item>,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// A text as it is.
    Literal(String),
    /// A number of at least and at most so many digits.
    Number {
        field: Field,
        minimum: usize,
        maximum: usize,
    },
    /// The last two digits of a year; when parsed, of the years 2000 to 2099.
    TwoDigitYear(Field),
    /// The fraction of a second, so many digits.
    Fraction(usize),
    /// A name of the month, the day of the week, the quarter or the era.
    Name(Named, Style),
    /// `AM` or `PM`
    HalfDay,
    /// The offset from UTC.
    Offset(OffsetStyle),
    /// `GMT+8` or, in full, `GMT+08:00`.
    LocalizedOffset(Style),
    /// The zone's identifier, such as `Europe/London`.
    ZoneId,
    /// The zone's name, such as `BST`.
    ZoneName,
    /// `ppd`: the part after the `p`s, with spaces before it up to so many characters.
    Padded(usize, Box<Item>),
    /// `[…]`: left out where it cannot be formatted, or does not match.
    Optional(Vec<Item>),
}

/// What a number of a pattern counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Year,
    YearOfEra,
    Quarter,
    Month,
    Day,
    DayOfYear,
    WeekYear,
    WeekOfYear,
    WeekOfMonth,
    DayOfWeek,
    /// 0 to 23
    Hour,
    /// 1 to 24
    ClockHour,
    /// 0 to 11
    HalfDayHour,
    /// 1 to 12
    HalfDayClockHour,
    Minute,
    Second,
    Nanosecond,
    MillisecondOfDay,
    NanosecondOfDay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Month,
    Weekday,
    Quarter,
    Era,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Short,
    Full,
    Narrow,
}

/// How an offset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetStyle {
    /// What stands for no offset at all.
    pub(super) zero: Zero,
    /// Whether colons stand between the parts.
    pub(super) colons: bool,
    /// Which parts there are.
    pub(super) parts: OffsetParts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    Letter,
    Digits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OffsetParts {
    /// Hours, and minutes unless they are 0.
    Hours,
    Minutes,
    /// Hours and minutes, and seconds unless they are 0.
    Seconds,
}

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn parse(source: &str) -> Result<Self, FunctionError> {
        Self::compile(source, false)
    }

    /// Reads one that was let in: once `zzzz` was, and read as `z`.
    pub(crate) fn parse_let_in(source: &str) -> Result<Self, FunctionError> {
        Self::compile(source, true)
    }

    fn compile(source: &str, is_let_in: bool) -> Result<Self, FunctionError> {
        let invalid =
            |reason: String| FunctionError::new(format!("invalid date pattern `{source}`: {reason}"));
        // The last list is the innermost open `[`.
        let mut open: Vec<Vec<Item>> = vec![Vec::new()];
        let mut characters = source.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\'' => {
                    let literal =
                        quoted(&mut characters).ok_or_else(|| invalid("a quote is not closed".into()))?;
                    push(&mut open, Item::Literal(literal));
                }
                '[' if open.len() > DEEPEST => return Err(invalid("it is nested too deeply".into())),
                '[' => open.push(Vec::new()),
                ']' => {
                    let optional = open.pop().filter(|_| !open.is_empty());
                    let optional = optional.ok_or_else(|| invalid("a `]` closes no `[`".into()))?;
                    push(&mut open, Item::Optional(optional));
                }
                '{' | '}' | '#' => return Err(invalid(format!("`{character}` is reserved"))),
                letter if letter.is_ascii_alphabetic() => {
                    let mut count = 1 + repetitions(&mut characters, letter);
                    let (mut letter, mut width) = (letter, None);
                    if letter == 'p' {
                        let padded = characters.next_if(char::is_ascii_alphabetic);
                        width = Some(count);
                        letter = padded.ok_or_else(|| invalid("nothing follows the padding".into()))?;
                        count = 1 + repetitions(&mut characters, letter);
                    }
                    if (letter, count) == ('z', 4) {
                        if is_let_in {
                            count = 1;
                        } else {
                            return Err(invalid(
                                "the full names of time zones (`zzzz`) are not known here; `z` is their short names"
                                    .into(),
                            ));
                        }
                    }
                    let item = item(letter, count).ok_or_else(|| {
                        if KNOWN_LETTERS.contains(letter) {
                            invalid(format!("Too many pattern letters: {letter}"))
                        } else {
                            invalid(format!("Unknown pattern letter: {letter}"))
                        }
                    })?;
                    push(
                        &mut open,
                        match width {
                            Some(width) => Item::Padded(width, Box::new(item)),
                            None => item,
                        },
                    );
                }
                other => push(&mut open, Item::Literal(other.to_string())),
            }
        }
        // What is still open at the end is closed there, as in Java.
        while open.len() > 1 {
            let optional = open.pop().unwrap_or_default();
            push(&mut open, Item::Optional(optional));
        }
        Ok(Self {
            source: source.to_owned(),
            items: open.pop().unwrap_or_default(),
        })
    }
}

/// The letters that mean something.
const KNOWN_LETTERS: &str = "GuyDMLdQqYwWEecahKkHmsSAnNVzOXxZpBgv";

/// How deep optional parts may stand in each other.
const DEEPEST: usize = 16;

fn push(open: &mut [Vec<Item>], item: Item) {
    let Some(items) = open.last_mut() else {
        return;
    };
    match (items.last_mut(), item) {
        (Some(Item::Literal(before)), Item::Literal(text)) => before.push_str(&text),
        (_, item) => items.push(item),
    }
}

/// How often the letter goes on.
fn repetitions(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, letter: char) -> usize {
    std::iter::from_fn(|| characters.next_if_eq(&letter)).count()
}

/// The rest of a quoted text, or the quote that two quotes in a row stand for.
fn quoted(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    if characters.next_if_eq(&'\'').is_some() {
        return Some("'".to_owned());
    }
    let mut text = String::new();
    loop {
        match characters.next()? {
            '\'' if characters.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' => return Some(text),
            other => text.push(other),
        }
    }
}

/// The item that a letter repeated so often stands for.
fn item(letter: char, count: usize) -> Option<Item> {
    let number = |field, minimum, maximum| Item::Number {
        field,
        minimum,
        maximum,
    };
    // Fields of one or two digits: `d` takes as many as there are, `dd` exactly two.
    let short = |field| match count {
        1 => Some(number(field, 1, 19)),
        2 => Some(number(field, 2, 2)),
        _ => None,
    };
    let name = |named| {
        let style = match count {
            1..=3 => Style::Short,
            4 => Style::Full,
            5 => Style::Narrow,
            _ => return None,
        };
        Some(Item::Name(named, style))
    };
    match letter {
        'u' | 'y' => {
            let field = if letter == 'u' {
                Field::Year
            } else {
                Field::YearOfEra
            };
            match count {
                2 => Some(Item::TwoDigitYear(field)),
                1..=19 => Some(number(field, count, 19)),
                _ => None,
            }
        }
        'M' | 'L' if count <= 2 => short(Field::Month),
        'M' | 'L' => name(Named::Month),
        'Q' | 'q' if count <= 2 => short(Field::Quarter),
        'Q' | 'q' => name(Named::Quarter),
        'd' => short(Field::Day),
        'D' => match count {
            1..=3 => Some(number(Field::DayOfYear, count, 3)),
            _ => None,
        },
        'Y' => match count {
            2 => Some(Item::TwoDigitYear(Field::WeekYear)),
            1..=19 => Some(number(Field::WeekYear, count, 19)),
            _ => None,
        },
        'w' => short(Field::WeekOfYear),
        'W' => (count == 1).then(|| number(Field::WeekOfMonth, 1, 1)),
        'e' if count <= 2 => short(Field::DayOfWeek),
        'c' if count == 1 => short(Field::DayOfWeek),
        'c' if count == 2 => None,
        'E' | 'e' | 'c' => name(Named::Weekday),
        'G' => name(Named::Era),
        'a' => (count == 1).then_some(Item::HalfDay),
        'H' => short(Field::Hour),
        'k' => short(Field::ClockHour),
        'K' => short(Field::HalfDayHour),
        'h' => short(Field::HalfDayClockHour),
        'm' => short(Field::Minute),
        's' => short(Field::Second),
        'S' => (count <= 9).then_some(Item::Fraction(count)),
        'A' => (count <= 19).then(|| number(Field::MillisecondOfDay, count, 19)),
        'n' => (count <= 19).then(|| number(Field::Nanosecond, count, 19)),
        'N' => (count <= 19).then(|| number(Field::NanosecondOfDay, count, 19)),
        'V' => (count == 2).then_some(Item::ZoneId),
        'z' => (count <= 3).then_some(Item::ZoneName),
        'O' => match count {
            1 => Some(Item::LocalizedOffset(Style::Short)),
            4 => Some(Item::LocalizedOffset(Style::Full)),
            _ => None,
        },
        'X' | 'x' | 'Z' => offset(letter, count),
        _ => None,
    }
}

fn offset(letter: char, count: usize) -> Option<Item> {
    let style = |zero, colons, parts| Some(Item::Offset(OffsetStyle { zero, colons, parts }));
    let zero = if letter == 'X' { Zero::Letter } else { Zero::Digits };
    match (letter, count) {
        ('Z', 1..=3) => style(Zero::Digits, false, OffsetParts::Minutes),
        ('Z', 4) => Some(Item::LocalizedOffset(Style::Full)),
        ('Z', 5) => style(Zero::Letter, true, OffsetParts::Seconds),
        ('X' | 'x', 1) => style(zero, false, OffsetParts::Hours),
        ('X' | 'x', 2) => style(zero, false, OffsetParts::Minutes),
        ('X' | 'x', 3) => style(zero, true, OffsetParts::Minutes),
        ('X' | 'x', 4) => style(zero, false, OffsetParts::Seconds),
        ('X' | 'x', 5) => style(zero, true, OffsetParts::Seconds),
        _ => None,
    }
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

impl Named {
    /// The names in the order of their numbers, the first one being that of 1 (of the era before Christ: 0).
    pub(super) fn names(self, style: Style) -> Vec<&'static str> {
        match (self, style) {
            (Self::Month, Style::Full) => MONTHS.to_vec(),
            (Self::Month, Style::Short) => MONTHS.iter().map(|name| &name[..3]).collect(),
            (Self::Month, Style::Narrow) => MONTHS.iter().map(|name| &name[..1]).collect(),
            (Self::Weekday, Style::Full) => WEEKDAYS.to_vec(),
            (Self::Weekday, Style::Short) => WEEKDAYS.iter().map(|name| &name[..3]).collect(),
            (Self::Weekday, Style::Narrow) => WEEKDAYS.iter().map(|name| &name[..1]).collect(),
            (Self::Quarter, Style::Full) => vec!["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"],
            (Self::Quarter, Style::Short) => vec!["Q1", "Q2", "Q3", "Q4"],
            (Self::Quarter, Style::Narrow) => vec!["1", "2", "3", "4"],
            (Self::Era, Style::Full) => vec!["Before Christ", "Anno Domini"],
            (Self::Era, Style::Short) => vec!["BC", "AD"],
            (Self::Era, Style::Narrow) => vec!["B", "A"],
        }
    }
}

#[cfg(test)]
mod tests;
