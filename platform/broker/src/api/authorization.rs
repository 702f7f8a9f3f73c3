//! What of a request its client may do: every request says so itself, by [`Authorized`], or the broker does not compile.
//!
//! A request is sifted before its handler sees it. What its client may not do is taken out and answered here; the handler
//! does the rest and knows nothing of it. Where nobody is kept from anything, nothing is asked.
//!
//! The operations are those of Apache Kafka's own brokers for the same request.

mod cluster;
mod groups;
mod records;
mod settings;
mod topics;
mod transactions;

use std::sync::Arc;
use std::time::Instant;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::Request;
use uuid::Uuid;

use super::{Call, Session};
use crate::security::Principal;
use crate::security::acls::{Acls, CLUSTER, Client, Operation, Resource};
use crate::told::beginning;

/// What a client is told beside the code, in Kafka's words.
const CLUSTER_DENIED: &str = "Cluster authorization failed.";

/// A request of which not everybody may do everything.
pub(crate) trait Authorized: Request {
    /// The answers to what was taken out.
    type Denied;

    /// Takes out of the request what its client may not do; the answer to all of it where nothing can be left.
    fn sift(&mut self, permits: &Permits<'_>, call: &Call) -> Result<Self::Denied, Self::Response>;

    /// Puts the answers to what was taken out into the answer to the rest, and takes out of that what its client may not
    /// see.
    fn complete(denied: Self::Denied, response: &mut Self::Response, permits: &Permits<'_>) {
        let _ = (denied, response, permits);
    }
}

/// What the client of a session may do.
pub(crate) struct Permits<'a> {
    session: &'a Session,
    acls: Arc<Acls>,
    principal: Principal,
}

impl<'a> Permits<'a> {
    /// Of a session; `None` where everybody may do everything.
    pub(crate) fn of(session: &'a Session) -> Option<Self> {
        let acls = session.node.security.acls();
        (!acls.allow_everything()).then(|| Self {
            session,
            acls,
            principal: session.authentication.principal(),
        })
    }

    /// Whether the client may do that; it is told to the log where it may not.
    pub(crate) fn may(&self, operation: Operation, resource: Resource, name: &str) -> bool {
        let may = self.sees(operation, resource, name);
        if !may {
            self.tell(operation, resource, name);
        }
        may
    }

    /// The same about a topic that is named by its id where that is not nil. Of one that is not there everything may be
    /// asked: it is answered that it is not.
    fn may_topic(&self, operation: Operation, name: &TopicName, id: Uuid) -> bool {
        if id.is_nil() {
            return self.may(operation, Resource::Topic, &name.0);
        }
        let topic = self.session.node.topics.by_id(id);
        topic.is_none_or(|topic| self.may(operation, Resource::Topic, &topic.name))
    }

    /// The same about the cluster.
    fn may_cluster(&self, operation: Operation) -> bool {
        self.may(operation, Resource::Cluster, CLUSTER)
    }

    /// Whether the client may do that with any resource of that kind.
    fn may_any(&self, operation: Operation, resource: Resource) -> bool {
        self.acls.allow_any(&self.client(), operation, resource)
    }

    /// Whether the client may do that, where it did not ask for it by name.
    fn sees(&self, operation: Operation, resource: Resource, name: &str) -> bool {
        self.acls.allow(&self.client(), operation, resource, name)
    }

    /// Those of some operations, a bit each, that the client may do.
    fn operations(&self, all: i32, resource: Resource, name: &str) -> i32 {
        let may =
            |bit: &i8| Operation::of_code(*bit).is_some_and(|operation| self.sees(operation, resource, name));
        (0..31)
            .filter(|bit| all & (1 << bit) != 0)
            .filter(may)
            .fold(0, |operations, bit| operations | (1 << bit))
    }

    fn client(&self) -> Client<'_> {
        Client {
            principal: &self.principal,
            host: self.session.host(),
        }
    }

    fn tell(&self, operation: Operation, resource: Resource, name: &str) {
        let name = beginning(name).escape_debug();
        if self.session.node.complaints.may_tell(Instant::now()) {
            tracing::warn!(principal = %self.principal, ?operation, ?resource, %name, "a client may not do what it asks for");
        }
    }
}

/// Takes out of a list what may not be done.
fn take_out<T>(list: &mut Vec<T>, may: impl Fn(&T) -> bool) -> Vec<T> {
    list.extract_if(.., |wanted| !may(wanted)).collect()
}

/// Requests that everybody may send.
macro_rules! open_to_all {
    ($($request:ty),* $(,)?) => {
        $(
            impl Authorized for $request {
                type Denied = ();

                fn sift(&mut self, _: &Permits<'_>, _: &Call) -> Result<(), Self::Response> {
                    Ok(())
                }
            }
        )*
    };
}

open_to_all! {
    kafka_protocol::messages::ApiVersionsRequest,
    kafka_protocol::messages::SaslHandshakeRequest,
    kafka_protocol::messages::SaslAuthenticateRequest,
    // Nobody gets a token.
    kafka_protocol::messages::CreateDelegationTokenRequest,
    kafka_protocol::messages::RenewDelegationTokenRequest,
    kafka_protocol::messages::ExpireDelegationTokenRequest,
    kafka_protocol::messages::DescribeDelegationTokenRequest,
}
