//! Requests about the settings of topics, groups and the broker.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as AlteredWhole;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as AlteredPart;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Authorized, Permits, take_out};
use crate::api::Call;
use crate::security::acls::{Operation, Resource};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

fn may(permits: &Permits<'_>, operation: Operation, kind: i8, name: &str) -> bool {
    match kind {
        TOPIC => permits.may(operation, Resource::Topic, name),
        GROUP => permits.may(operation, Resource::Group, name),
        BROKER | BROKER_LOGGER | CLIENT_METRICS => permits.may_cluster(operation),
        // What no broker has is refused by the handler.
        _ => true,
    }
}

/// The code and the message for what may not be done with the settings of such a thing.
fn denied(kind: i8) -> (i16, Option<StrBytes>) {
    let (code, message) = match kind {
        TOPIC => (
            ResponseError::TopicAuthorizationFailed,
            "Topic authorization failed.",
        ),
        GROUP => (
            ResponseError::GroupAuthorizationFailed,
            "Group authorization failed.",
        ),
        _ => (ResponseError::ClusterAuthorizationFailed, super::CLUSTER_DENIED),
    };
    (code.code(), Some(StrBytes::from_static_str(message)))
}

/// Requests with a list of things, each of which is answered for itself.
macro_rules! each_for_itself {
    ($($request:ident: $operation:ident, $response:ident.$results:ident, $result:ident;)*) => {
        $(
            impl Authorized for $request {
                type Denied = Vec<$result>;

                fn sift(&mut self, permits: &Permits<'_>, _: &Call) -> Result<Self::Denied, $response> {
                    let taken = take_out(&mut self.resources, |resource| {
                        let (kind, name) = (resource.resource_type, &resource.resource_name);
                        may(permits, Operation::$operation, kind, name)
                    });
                    let answers = taken.into_iter().map(|resource| {
                        let (code, message) = denied(resource.resource_type);
                        $result::default()
                            .with_error_code(code)
                            .with_error_message(message)
                            .with_resource_type(resource.resource_type)
                            .with_resource_name(resource.resource_name)
                    });
                    Ok(answers.collect())
                }

                fn complete(denied: Self::Denied, response: &mut $response, _: &Permits<'_>) {
                    response.$results.extend(denied);
                }
            }
        )*
    };
}

each_for_itself! {
    DescribeConfigsRequest: DescribeConfigs, DescribeConfigsResponse.results, DescribeConfigsResult;
    AlterConfigsRequest: AlterConfigs, AlterConfigsResponse.responses, AlteredWhole;
    IncrementalAlterConfigsRequest: AlterConfigs, IncrementalAlterConfigsResponse.responses, AlteredPart;
}
