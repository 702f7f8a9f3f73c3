use super::*;

#[test]
fn nonces_differ_and_are_safe_in_a_shell() {
    let (first, second) = (nonce(), nonce());
    assert_ne!(first, second);
    assert!(first.len() == 12 && first.chars().all(|c| c.is_ascii_hexdigit()));
}
