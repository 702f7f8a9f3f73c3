//! Which column a member of an object belongs to.

use super::decode::Field;

/// What is known of the fields' names before anything is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum FieldNames {
    /// All are ASCII without lower-case letters, as ksqlDB has them where they are not quoted: whatever its case, a
    /// member belongs to one of them at most.
    Upper,
    /// Any.
    Any,
}

impl FieldNames {
    pub(in super::super) fn of<F: Field>(fields: &[F]) -> Self {
        let is_upper = |field: &F| {
            let mut bytes = field.name().bytes();
            bytes.all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase())
        };
        if fields.iter().all(is_upper) {
            Self::Upper
        } else {
            Self::Any
        }
    }
}

/// The field a member belongs to, and whether its name matches exactly.
pub(super) fn find<F: Field>(fields: &[F], name: &str) -> Option<(usize, bool)> {
    let mut folded = None;
    if name.is_ascii() {
        for (index, field) in fields.iter().enumerate() {
            let column = field.name().as_bytes();
            if column.len() != name.len() {
                continue;
            }
            if column == name.as_bytes() {
                return Some((index, true));
            }
            let upper = name.bytes().map(|byte| byte.to_ascii_uppercase());
            if folded.is_none() && upper.eq(column.iter().copied()) {
                folded = Some((index, false));
            }
        }
        return folded;
    }
    let upper = name.to_uppercase();
    for (index, field) in fields.iter().enumerate() {
        if field.name() == name {
            return Some((index, true));
        }
        if folded.is_none() && field.name() == upper {
            folded = Some((index, false));
        }
    }
    folded
}

/// The same of names that are [`FieldNames::Upper`]. The search begins at the likely one.
pub(super) fn find_upper<F: Field>(fields: &[F], likely: usize, name: &str) -> Option<(usize, bool)> {
    let (before, after) = fields.split_at(likely.min(fields.len()));
    let after = after
        .iter()
        .enumerate()
        .map(|(index, field)| (before.len() + index, field));
    for (index, field) in after.chain(before.iter().enumerate()) {
        let (column, name) = (field.name().as_bytes(), name.as_bytes());
        if column.len() == name.len() && is_upper_of(column, name) {
            return Some((index, column == name));
        }
    }
    // The upper case of some other letters is ASCII.
    if name.is_ascii() { None } else { find(fields, name) }
}

/// Whether that is a name's upper case, where both are of the same length. Bytes that are not ASCII have none.
fn is_upper_of(column: &[u8], name: &[u8]) -> bool {
    let is_same =
        |column: &[u8; 8], name: &[u8; 8]| u64::from_le_bytes(*column) == upper(u64::from_le_bytes(*name));
    // The last eight may overlap the ones before.
    if let (Some(last), Some(last_of_name)) = (column.last_chunk(), name.last_chunk()) {
        let mut eights = column.as_chunks().0.iter().zip(name.as_chunks().0);
        return is_same(last, last_of_name) && eights.all(|(column, name)| is_same(column, name));
    }
    column
        .iter()
        .zip(name)
        .all(|(column, name)| *column == name.to_ascii_uppercase())
}

/// Eight bytes in upper case.
fn upper(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let low = eight & !HIGHS;
    // The highest bit of each byte that is above `z`, and from `a` on.
    let above = low + ONES * u64::from(0x7f - b'z');
    let from = low + ONES * u64::from(0x80 - b'a');
    let is_lower = (from & !above) & !eight & HIGHS;
    // Bit 5 tells the cases apart.
    eight ^ (is_lower >> 2)
}
