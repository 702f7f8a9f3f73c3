use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn the_first_of_eight_is_found(bytes in prop::array::uniform8(prop_oneof![
        any::<u8>(),
        prop::sample::select(&b"\"\\ !#[]\x1f\x20\x7f\x80\xff"[..]),
    ])) {
        let naive = bytes.iter().position(|byte| is_special(*byte));
        prop_assert_eq!(first_special(u64::from_le_bytes(bytes)), naive);
    }
}

#[test]
fn a_run_ends_at_a_quote_wherever_it_is() {
    for length in 0..40 {
        let text = format!("\"{}\"x", "ä".repeat(length));
        let mut reader = Reader::new(&text);
        assert_eq!(reader.string().unwrap(), "ä".repeat(length));
        assert!(Reader::new(&text[..text.len() - 2]).string().is_err());
    }
}
