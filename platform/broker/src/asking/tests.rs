//! What is made of the answers of brokers.

use super::*;

#[test]
fn only_a_group_that_is_gone_is_left_out() {
    let described = |code: i16, state: &str| {
        Group::described(
            "classic",
            &GroupId::default(),
            code,
            state.to_owned(),
            std::iter::empty(),
        )
    };
    assert_eq!(described(ResponseError::GroupIdNotFound.code(), ""), None);
    assert_eq!(described(0, "Dead"), None);
    assert_eq!(described(0, "Empty").map(|group| group.refusal), Some(None));
    for error in [
        ResponseError::GroupAuthorizationFailed,
        ResponseError::CoordinatorLoadInProgress,
        ResponseError::NotCoordinator,
    ] {
        let group = described(error.code(), "").expect("it is there");
        let refusal = group.refusal.expect("why nothing is told of it");
        assert_eq!(refusal, error.to_string());
    }
}
