//! `version_compare(one, other[, flavour])` and the collations `version`, `version_dpkg`, `version_rhel`, `version_arch`.
//!
//! Versions are compared piece by piece: runs of digits as numbers, everything else as text. In the packages' flavours an
//! epoch (`1:`) comes first and a tilde sorts before everything, even the end.

use std::cmp::Ordering;

use rusqlite::Connection;
use rusqlite::functions::Context;

use super::{PURE, text};

/// Whose versions they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Plain,
    Package,
}

pub(super) fn register(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.create_scalar_function("version_compare", 2, PURE, |context| {
        Ok(answer(context, Flavour::Plain))
    })?;
    connection.create_scalar_function("version_compare", 3, PURE, |context| {
        let flavour = match text(context, 2).unwrap_or_default().to_ascii_uppercase().as_str() {
            "DPKG" | "RHEL" | "ARCH" => Flavour::Package,
            _ => Flavour::Plain,
        };
        Ok(answer(context, flavour))
    })?;
    connection.create_collation("version", |one, other| compare(one, other, Flavour::Plain))?;
    for name in ["version_dpkg", "version_rhel", "version_arch"] {
        connection.create_collation(name, |one, other| compare(one, other, Flavour::Package))?;
    }
    Ok(())
}

/// -1, 0 or 1.
fn answer(context: &Context<'_>, flavour: Flavour) -> Option<i64> {
    let (one, other) = (text(context, 0)?, text(context, 1)?);
    Some(match compare(&one, &other, flavour) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    })
}

fn compare(one: &str, other: &str, flavour: Flavour) -> Ordering {
    if flavour == Flavour::Package {
        let ((one_epoch, one), (other_epoch, other)) = (epoch(one), epoch(other));
        return one_epoch
            .cmp(&other_epoch)
            .then_with(|| compare_pieces(one, other, flavour));
    }
    compare_pieces(one, other, flavour)
}

fn epoch(version: &str) -> (u64, &str) {
    let split = version
        .split_once(':')
        .and_then(|(epoch, rest)| Some((epoch.parse().ok()?, rest)));
    split.unwrap_or((0, version))
}

fn compare_pieces(mut one: &str, mut other: &str, flavour: Flavour) -> Ordering {
    loop {
        if one.is_empty() || other.is_empty() {
            let (before, rest) = match (one.is_empty(), other.is_empty()) {
                (true, true) => return Ordering::Equal,
                (true, false) => (Ordering::Less, other),
                _ => (Ordering::Greater, one),
            };
            let tilde = flavour == Flavour::Package && rest.starts_with('~');
            return if tilde { before.reverse() } else { before };
        }
        let (one_piece, one_rest) = piece(one);
        let (other_piece, other_rest) = piece(other);
        let order = match (is_number(one_piece), is_number(other_piece)) {
            (true, true) => {
                let digits = |piece: &str| piece.trim_start_matches('0').to_owned();
                let (one, other) = (digits(one_piece), digits(other_piece));
                one.len().cmp(&other.len()).then(one.cmp(&other))
            }
            (false, false) => {
                let rank = |piece: &str| -> Vec<i32> {
                    let weight = |byte: u8| match byte {
                        b'~' if flavour == Flavour::Package => -1,
                        byte => i32::from(byte),
                    };
                    piece.bytes().map(weight).collect()
                };
                rank(one_piece).cmp(&rank(other_piece))
            }
            // A number is newer than a word: 1.0.1 than 1.0.a, and 1.0 than 1.~rc1.
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
        };
        if order != Ordering::Equal {
            return order;
        }
        (one, other) = (one_rest, other_rest);
    }
}

fn is_number(piece: &str) -> bool {
    piece.starts_with(|first: char| first.is_ascii_digit())
}

/// A run of digits, a run of letters, or one other character.
fn piece(version: &str) -> (&str, &str) {
    let class = |character: char| {
        if character.is_ascii_digit() {
            0
        } else if character.is_alphabetic() {
            1
        } else {
            2
        }
    };
    let first = version.chars().next().map_or(2, class);
    let end = version
        .char_indices()
        .find(|&(at, character)| at > 0 && (first == 2 || class(character) != first))
        .map_or(version.len(), |(at, _)| at);
    version.split_at(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_ordered() {
        for (less, greater) in [
            ("1.2", "1.10"),
            ("1.0", "1.0.1"),
            ("1.0.9", "1.1"),
            ("2.0a", "2.0b"),
            ("5.4.0-26", "5.15.0-3"),
        ] {
            assert_eq!(
                compare(less, greater, Flavour::Plain),
                Ordering::Less,
                "{less} {greater}"
            );
        }
        for (less, greater) in [
            ("1.0~rc1", "1.0"),
            ("9.9", "1:0.1"),
            ("2.36-9+deb12u1", "2.36-9+deb12u4"),
            ("1.0-1~bpo1", "1.0-1"),
        ] {
            assert_eq!(
                compare(less, greater, Flavour::Package),
                Ordering::Less,
                "{less} {greater}"
            );
        }
        assert_eq!(compare("1.01", "1.1", Flavour::Plain), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn one_is_less_when_the_other_is_greater(one in "[0-2a~.:-]{0,6}", other in "[0-2a~.:-]{0,6}") {
            for flavour in [Flavour::Plain, Flavour::Package] {
                prop_assert_eq!(compare(&one, &other, flavour), compare(&other, &one, flavour).reverse());
                prop_assert_eq!(compare(&one, &one, flavour), Ordering::Equal);
            }
        }
    }
}
