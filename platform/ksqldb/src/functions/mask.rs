//! The `MASK` family: texts made unreadable, character by character.

use super::arguments::{Kind, accepts, argument, text, whole};
use super::{FunctionError, ScalarFunction, utf16};
use crate::types::SqlType;
use crate::value::Value;

pub(super) static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "MASK",
        "The text with each upper-case letter, lower-case letter, digit and other character replaced by a \
         mask: X, x, n and - unless others are given; NULL as a mask keeps the characters.",
        |arguments| masked_type(arguments, &[Kind::String]),
        |arguments| masked(arguments, 1, |_, _| true),
    )
    .with_own_nulls(),
    of_part(
        "MASK_LEFT",
        "As MASK, for so many characters on the left.",
        |arguments| part(arguments, |index, count, _| index < count),
    ),
    of_part(
        "MASK_RIGHT",
        "As MASK, for so many characters on the right.",
        |arguments| part(arguments, |index, count, length| index + count >= length),
    ),
    of_part(
        "MASK_KEEP_LEFT",
        "As MASK, for all but so many characters on the left.",
        |arguments| part(arguments, |index, count, _| index >= count),
    ),
    of_part(
        "MASK_KEEP_RIGHT",
        "As MASK, for all but so many characters on the right.",
        |arguments| part(arguments, |index, count, length| index + count < length),
    ),
];

const fn of_part(name: &'static str, description: &'static str, call: super::Call) -> ScalarFunction {
    let return_type = |arguments: &[Option<SqlType>]| masked_type(arguments, &[Kind::String, Kind::Integer]);
    ScalarFunction::new(name, description, return_type, call).with_own_nulls()
}

fn masked_type(arguments: &[Option<SqlType>], fixed: &[Kind]) -> Option<SqlType> {
    let (first, masks) = arguments.split_at_checked(fixed.len())?;
    let masks_fit = masks.is_empty() || accepts(masks, &[Kind::String; 4], &[]);
    (accepts(first, fixed, &[]) && masks_fit).then_some(SqlType::String)
}

/// `is_masked` sees a character's place, the count that was given, and the text's length.
fn part(
    arguments: &[Value],
    is_masked: impl Fn(usize, usize, usize) -> bool,
) -> Result<Value, FunctionError> {
    if argument(arguments, 0)?.is_null() || argument(arguments, 1)?.is_null() {
        return Ok(Value::Null);
    }
    let given = whole(arguments, 1)?;
    let count = usize::try_from(given)
        .map_err(|_| FunctionError::new(format!("the number of characters must not be negative: {given}")))?;
    masked(arguments, 2, |index, length| is_masked(index, count, length))
}

fn masked(
    arguments: &[Value],
    first_mask: usize,
    is_masked: impl Fn(usize, usize) -> bool,
) -> Result<Value, FunctionError> {
    if argument(arguments, 0)?.is_null() {
        return Ok(Value::Null);
    }
    let text = text(arguments, 0)?;
    let masks = Masks::from(arguments, first_mask)?;
    let length = utf16::length(text);
    let mut result = String::with_capacity(text.len());
    let mut index = 0;
    for character in text.chars() {
        match masks.of(character).filter(|_| is_masked(index, length)) {
            // A character of two code units counts and is masked as two.
            Some(mask) => (0..character.len_utf16()).for_each(|_| result.push(mask)),
            None => result.push(character),
        }
        index += character.len_utf16();
    }
    Ok(Value::string(result))
}

/// What replaces each sort of character; `None` keeps it.
struct Masks {
    upper: Option<char>,
    lower: Option<char>,
    digit: Option<char>,
    other: Option<char>,
}

impl Masks {
    fn from(arguments: &[Value], first: usize) -> Result<Self, FunctionError> {
        let mask = |place: usize, default: char| match arguments.get(first + place) {
            None => Ok(Some(default)),
            Some(Value::Null) => Ok(None),
            Some(_) => {
                let mask = text(arguments, first + place)?;
                let mut characters = mask.chars();
                match (characters.next(), characters.next()) {
                    (Some(character), None) => Ok(Some(character)),
                    _ => Err(FunctionError::new(format!(
                        "a mask must be a single character, not `{mask}`"
                    ))),
                }
            }
        };
        Ok(Self {
            upper: mask(0, 'X')?,
            lower: mask(1, 'x')?,
            digit: mask(2, 'n')?,
            other: mask(3, '-')?,
        })
    }

    fn of(&self, character: char) -> Option<char> {
        if character.is_uppercase() {
            self.upper
        } else if character.is_lowercase() {
            self.lower
        } else if character.is_numeric() {
            self.digit
        } else {
            self.other
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{call, failing_call, i, result_type, s};
    use super::*;

    #[test]
    fn the_documented_examples() {
        let text = s("My Test $123");
        assert_eq!(call("MASK", [text.clone()]), s("Xx-Xxxx--nnn"));
        let masks = [text.clone(), s("*"), Value::Null, s("1"), Value::Null];
        assert_eq!(call("MASK", masks), s("*y *est $111"));
        for (name, expected) in [
            ("MASK_KEEP_LEFT", "My Txxx--nnn"),
            ("MASK_KEEP_RIGHT", "Xx-Xxxx-$123"),
            ("MASK_LEFT", "Xx-Xest $123"),
            ("MASK_RIGHT", "My Test -nnn"),
        ] {
            assert_eq!(call(name, [text.clone(), i(4)]), s(expected), "{name}");
            assert_eq!(call(name, [Value::Null, i(4)]), Value::Null);
            assert!(failing_call(name, [text.clone(), i(-1)]).is_err());
        }
        assert_eq!(
            call("MASK_LEFT", [text, i(100), s("A"), s("b"), s("0"), s("_")]),
            s("Ab_Abbb__000")
        );
        for mask in ["", "ab"] {
            let masks = [s("x"), s(mask), s("b"), s("c"), s("d")];
            assert!(failing_call("MASK", masks).is_err());
        }
        assert_eq!(call("MASK", [Value::Null]), Value::Null);
        assert_eq!(result_type("MASK", [SqlType::String, SqlType::String]), None);
    }

    proptest! {
        #[test]
        fn left_and_right_add_up(text in any::<String>(), count in 0..10_i32) {
            let length = utf16::length(&text);
            let masked = call("MASK", [s(&text)]);
            let Value::Integer(masked_length) = call("LEN", [masked.clone()]) else {
                panic!("no length");
            };
            prop_assert_eq!(masked_length as usize, length);
            let kept = call("MASK_LEFT", [s(&text), i(0)]);
            prop_assert_eq!(kept, s(&text));
            prop_assert_eq!(call("MASK_KEEP_LEFT", [s(&text), i(0)]), masked);
            let _ = call("MASK_RIGHT", [s(&text), i(count)]);
        }
    }
}
