//! Bodies of requests: how long each may be and take, and how much of all of them is held at a time.
//!
//! The bound on one body bounds nothing while anybody may send a thousand of them. So a body takes its room as it comes,
//! and gives it back when its request is answered. A body for which there is none is refused at once: one that waited
//! for it would hold what it has, and bodies would wait for each other.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Why a body is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than one may be.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// What one may have, in bytes.
        limit: usize,
    },
    /// It did not come in time.
    #[error("the request was not sent within {deadline:?}")]
    TooSlow {
        /// The time it may take.
        deadline: Duration,
    },
    /// The bodies of other requests take all the room.
    #[error("requests that are not answered yet fill the {room} bytes there are for them; hint: try again")]
    NoRoom {
        /// What all may have together, in bytes.
        room: usize,
    },
    /// It ended before it should.
    #[error("the body ended too early: {reason}")]
    Broken {
        /// Why.
        reason: String,
    },
}

/// The room for bodies, and the bounds of each.
#[derive(Debug, Clone)]
pub struct Bodies {
    limit: usize,
    room: usize,
    deadline: Duration,
    left: Arc<Semaphore>,
}

/// A body, and its room for as long as it is kept.
#[derive(Debug)]
pub struct Taken {
    /// What was sent.
    pub bytes: Bytes,
    /// Gives the room back when it is dropped.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Room for bodies of at most `limit` bytes each, `room` bytes together, and `deadline` from the head of the
    /// request to the end of its body.
    pub fn new(limit: usize, room: usize, deadline: Duration) -> Self {
        Self {
            limit,
            room,
            deadline,
            left: Arc::new(Semaphore::new(room)),
        }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// [`BodyError`] says which bound it went beyond.
    pub async fn take(&self, body: Body) -> Result<Taken, BodyError> {
        let taken = timeout(self.deadline, self.read(body)).await;
        taken.unwrap_or(Err(BodyError::TooSlow {
            deadline: self.deadline,
        }))
    }

    async fn read(&self, body: Body) -> Result<Taken, BodyError> {
        let mut body = body.into_data_stream();
        let (mut kept, mut held, mut refused) = (Vec::new(), None, None);
        let mut length = 0;
        while let Some(part) = body.next().await {
            let part = part.map_err(|error| BodyError::Broken {
                reason: error.to_string(),
            })?;
            length += part.len();
            if refused.is_some() {
                // A client that still sends while its connection is closed may never see the answer: as much again is
                // read and thrown away.
                if length > 2 * self.limit {
                    break;
                }
                continue;
            }
            match self.hold(part.len(), length, &mut held) {
                Ok(()) => kept.extend_from_slice(&part),
                Err(error) => {
                    (kept, held) = (Vec::new(), None);
                    refused = Some(error);
                }
            }
        }
        match refused {
            Some(error) => Err(error),
            None => Ok(Taken {
                bytes: kept.into(),
                room: held,
            }),
        }
    }

    fn hold(
        &self,
        more: usize,
        length: usize,
        held: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<(), BodyError> {
        if length > self.limit {
            return Err(BodyError::TooLong { limit: self.limit });
        }
        let no_room = BodyError::NoRoom { room: self.room };
        let places = u32::try_from(more).map_err(|_| no_room.clone())?;
        let permit = Arc::clone(&self.left).try_acquire_many_owned(places);
        let permit = permit.map_err(|_| no_room)?;
        match held {
            Some(held) => held.merge(permit),
            None => *held = Some(permit),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn all_bodies_together_have_so_much_room_and_give_it_back() {
        let bodies = Bodies::new(10, 15, LONG);
        let first = bodies.take(Body::from("0123456789")).await.unwrap();
        assert_eq!(first.bytes, "0123456789");
        let small = bodies.take(Body::from("01234")).await.unwrap();
        let refused = bodies.take(Body::from("0")).await.unwrap_err();
        assert_eq!(refused, BodyError::NoRoom { room: 15 });
        assert_eq!(bodies.take(Body::empty()).await.unwrap().bytes, "");
        drop(first);
        assert!(bodies.take(Body::from("0123456789")).await.is_ok());
        drop(small);
        assert_eq!(bodies.left.available_permits(), 15);
    }

    #[tokio::test]
    async fn a_body_that_is_refused_holds_nothing() {
        let bodies = Bodies::new(10, 15, LONG);
        for _ in 0..10 {
            let refused = bodies.take(Body::from("01234567890")).await.unwrap_err();
            assert_eq!(refused, BodyError::TooLong { limit: 10 });
        }
        assert_eq!(bodies.left.available_permits(), 15);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let deadline = Duration::from_millis(20);
        let bodies = Bodies::new(10, 15, deadline);
        let begin = futures_util::stream::iter([Ok::<_, std::io::Error>("01234")]);
        let body = Body::from_stream(begin.chain(futures_util::stream::pending()));
        let refused = bodies.take(body).await.unwrap_err();
        assert_eq!(refused, BodyError::TooSlow { deadline });
        assert_eq!(bodies.left.available_permits(), 15);
    }

    #[tokio::test]
    async fn a_body_that_goes_on_behind_its_bound_is_read_no_further_than_as_much_again() {
        let bodies = Bodies::new(10, 100, LONG);
        let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("01234"));
        let refused = bodies.take(Body::from_stream(endless)).await.unwrap_err();
        assert_eq!(refused, BodyError::TooLong { limit: 10 });
    }
}
