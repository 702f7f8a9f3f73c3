//! Random numbers, from the keyed hash that the standard library seeds by the operating system.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    static STATE: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
}

/// 64 random bits.
pub(super) fn next() -> u64 {
    STATE.with(|(hasher, counter)| {
        counter.set(counter.get().wrapping_add(1));
        hasher.hash_one(counter.get())
    })
}

/// A number from 0 (included) to 1 (excluded).
pub(super) fn fraction() -> f64 {
    // A DOUBLE has 53 bits of precision.
    (next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A random UUID (RFC 9562, version 4).
pub(super) fn uuid() -> String {
    let bits = u128::from(next()) << 64 | u128::from(next());
    let version = 0x4_u128 << 76;
    let variant = 0b10_u128 << 62;
    uuid_of(bits & !(0xf_u128 << 76) & !(0b11_u128 << 62) | version | variant)
}

/// The UUID of these bits.
pub(super) fn uuid_of(bits: u128) -> String {
    let digits = format!("{bits:032x}");
    let (a, b, c, d, e) = (
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_stay_in_range_and_spread() {
        let numbers: Vec<f64> = (0..1000).map(|_| fraction()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        assert!(numbers.iter().any(|number| *number < 0.1) && numbers.iter().any(|number| *number > 0.9));
    }

    #[test]
    fn uuids_have_version_and_variant_and_differ() {
        let one = uuid();
        let bytes = one.as_bytes();
        assert_eq!(one.len(), 36);
        assert_eq!(
            (bytes[8], bytes[13], bytes[18], bytes[23]),
            (b'-', b'-', b'-', b'-')
        );
        assert_eq!(bytes[14], b'4');
        assert!(b"89ab".contains(&bytes[19]));
        assert_ne!(one, uuid());
        assert_eq!(
            uuid_of(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
            "00112233-4455-6677-8899-aabbccddeeff"
        );
    }
}
