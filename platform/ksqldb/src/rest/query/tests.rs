use super::*;
use std::sync::Arc;
use std::task::Waker;
use tokio::sync::Semaphore;

#[test]
fn an_answer_keeps_its_place_until_it_is_taken() {
    let places = Arc::new(Semaphore::new(1));
    let text = "x".repeat(2 * PART + 1);
    let mut body = AnswerBody {
        rest: text.clone().into(),
        place: Some(Arc::clone(&places).try_acquire_owned().unwrap()),
    };
    let mut task = Context::from_waker(Waker::noop());
    let mut taken = Vec::new();
    while let Poll::Ready(Some(Ok(part))) = Pin::new(&mut body).poll_next(&mut task) {
        assert_eq!(places.available_permits(), 0);
        taken.extend_from_slice(&part);
    }
    assert!(taken == text.as_bytes());
    assert_eq!(places.available_permits(), 1);
}
