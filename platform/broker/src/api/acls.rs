//! DescribeAcls, CreateAcls, DeleteAcls: who may do what.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, NO_ERROR, Session, blocking};
use crate::security::acls::{Acl, AclFilter, CLUSTER, NameFilter, Operation, Pattern, Permission, Resource};
use crate::security::store::MAX_ACLS;
use crate::told::beginning;

/// Stands for anything in a filter.
const ANY: i8 = 1;
/// The longest name, principal and address of a rule, in bytes.
const MAX_BYTES: usize = 1024;

/// What is wrong with a rule or a filter.
type Invalid = &'static str;

/// Lists the rules that a filter matches.
pub(crate) async fn handle_describe(
    session: &Session,
    _call: &Call,
    request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    let filter = filter(
        (request.resource_type_filter, request.pattern_type_filter),
        request.resource_name_filter,
        (request.principal_filter, request.host_filter),
        (request.operation, request.permission_type),
    );
    let filter = match filter {
        Ok(filter) => filter,
        Err(reason) => {
            return DescribeAclsResponse::default()
                .with_error_code(ResponseError::InvalidRequest.code())
                .with_error_message(Some(StrBytes::from_static_str(reason)));
        }
    };
    let acls = session.node.security.acls();
    let mut resources: BTreeMap<_, Vec<AclDescription>> = BTreeMap::new();
    for acl in acls.all().iter().filter(|acl| filter.matches(acl)) {
        let described = AclDescription::default()
            .with_principal(owned(&acl.principal))
            .with_host(owned(&acl.host))
            .with_operation(acl.operation.code())
            .with_permission_type(acl.permission.code());
        let resource = (acl.resource, acl.pattern, &acl.name);
        resources.entry(resource).or_default().push(described);
    }
    let resources = resources.into_iter().map(|((resource, pattern, name), acls)| {
        DescribeAclsResource::default()
            .with_resource_type(resource.code())
            .with_pattern_type(pattern.code())
            .with_resource_name(owned(name))
            .with_acls(acls)
    });
    DescribeAclsResponse::default().with_resources(resources.collect())
}

/// Adds rules, each for itself; one that is there already is no error.
pub(crate) async fn handle_create(
    session: &Session,
    _call: &Call,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let wanted: Vec<Result<Acl, Invalid>> = request.creations.iter().map(rule).collect();
    let rules = wanted.clone();
    let node = Arc::clone(&session.node);
    let created = blocking(move || {
        node.security.change_acls(|acls| {
            let add = |acl: Result<Acl, Invalid>| {
                let acl = acl?;
                if acls.len() >= MAX_ACLS && !acls.contains(&acl) {
                    return Err("the broker keeps 10000 rules");
                }
                acls.insert(acl);
                Ok(())
            };
            wanted.into_iter().map(add).collect::<Vec<_>>()
        })
    });
    let results = match created.await {
        Some(Ok(results)) => results
            .into_iter()
            .zip(&rules)
            .map(|(result, rule)| match result {
                Ok(()) => {
                    if let Ok(rule) = rule {
                        tell_rule(session, rule, "a rule was made");
                    }
                    AclCreationResult::default().with_error_code(NO_ERROR)
                }
                Err(reason) => AclCreationResult::default()
                    .with_error_code(ResponseError::InvalidRequest.code())
                    .with_error_message(Some(StrBytes::from_static_str(reason))),
            })
            .collect(),
        failed => {
            let (code, message) = not_kept(failed.map(|failed| failed.map(|_| ())));
            let refused = AclCreationResult::default()
                .with_error_code(code)
                .with_error_message(message);
            vec![refused; request.creations.len()]
        }
    };
    CreateAclsResponse::default().with_results(results)
}

/// Takes away the rules that filters match.
pub(crate) async fn handle_delete(
    session: &Session,
    _call: &Call,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let asked = request.filters.len();
    let filters: Vec<Result<AclFilter, Invalid>> = request.filters.into_iter().map(deletion).collect();
    let node = Arc::clone(&session.node);
    let deleted = blocking(move || {
        node.security.change_acls(|acls| {
            let before = acls.clone();
            let matching = |filter: Result<AclFilter, Invalid>| -> Result<Vec<Acl>, Invalid> {
                let filter = filter?;
                Ok(before.iter().filter(|acl| filter.matches(acl)).cloned().collect())
            };
            let found: Vec<_> = filters.into_iter().map(matching).collect();
            for acl in found.iter().flatten().flatten() {
                acls.remove(acl);
            }
            found
        })
    });
    let results = match deleted.await {
        Some(Ok(results)) => results
            .into_iter()
            .map(|result| match result {
                Ok(acls) => {
                    for rule in &acls {
                        tell_rule(session, rule, "a rule was taken away");
                    }
                    let acls = acls.into_iter().map(described);
                    DeleteAclsFilterResult::default().with_matching_acls(acls.collect())
                }
                Err(reason) => DeleteAclsFilterResult::default()
                    .with_error_code(ResponseError::InvalidRequest.code())
                    .with_error_message(Some(StrBytes::from_static_str(reason))),
            })
            .collect(),
        failed => {
            let (code, message) = not_kept(failed.map(|failed| failed.map(|_| ())));
            let refused = DeleteAclsFilterResult::default()
                .with_error_code(code)
                .with_error_message(message);
            vec![refused; asked]
        }
    };
    DeleteAclsResponse::default().with_filter_results(results)
}

fn tell_rule(session: &Session, rule: &Acl, what: &'static str) {
    tell!(
        session,
        permission = ?rule.permission,
        of = ?beginning(&rule.principal),
        from = ?beginning(&rule.host),
        operation = ?rule.operation,
        resource = ?rule.resource,
        pattern = ?rule.pattern,
        name = ?beginning(&rule.name),
        "{what}"
    );
}

fn described(acl: Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_resource_type(acl.resource.code())
        .with_resource_name(StrBytes::from_string(acl.name))
        .with_pattern_type(acl.pattern.code())
        .with_principal(StrBytes::from_string(acl.principal))
        .with_host(StrBytes::from_string(acl.host))
        .with_operation(acl.operation.code())
        .with_permission_type(acl.permission.code())
}

fn not_kept(failed: Option<std::io::Result<()>>) -> (i16, Option<StrBytes>) {
    if let Some(Err(error)) = failed {
        tracing::error!(%error, "cannot keep the rules about who may do what");
    }
    let message = "the broker cannot keep the change: its log says why";
    let code = ResponseError::KafkaStorageError.code();
    (code, Some(StrBytes::from_static_str(message)))
}

fn rule(wanted: &AclCreation) -> Result<Acl, Invalid> {
    let resource = Resource::of_code(wanted.resource_type).ok_or("there is no such type of resource")?;
    let pattern = Pattern::of_code(wanted.resource_pattern_type).ok_or("a pattern is literal or prefixed")?;
    let operation = Operation::of_code(wanted.operation).ok_or("there is no such operation")?;
    let permission = Permission::of_code(wanted.permission_type).ok_or("a rule allows or denies")?;
    for (text, reason) in [
        (&wanted.resource_name, "a resource's name has 1 to 1024 bytes"),
        (&wanted.principal, "a principal has 1 to 1024 bytes"),
        (&wanted.host, "a host has 1 to 1024 bytes"),
    ] {
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(reason);
        }
    }
    if resource == Resource::Cluster && wanted.resource_name.as_str() != CLUSTER {
        return Err("the only cluster is called kafka-cluster");
    }
    let is_principal = wanted
        .principal
        .split_once(':')
        .is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty());
    if !is_principal {
        return Err("a principal is of the form User:NAME");
    }
    Ok(Acl {
        resource,
        pattern,
        name: wanted.resource_name.to_string(),
        principal: wanted.principal.to_string(),
        host: wanted.host.to_string(),
        operation,
        permission,
    })
}

fn deletion(wanted: DeleteAclsFilter) -> Result<AclFilter, Invalid> {
    filter(
        (wanted.resource_type_filter, wanted.pattern_type_filter),
        wanted.resource_name_filter,
        (wanted.principal_filter, wanted.host_filter),
        (wanted.operation, wanted.permission_type),
    )
}

fn filter(
    (resource, pattern): (i8, i8),
    name: Option<StrBytes>,
    (principal, host): (Option<StrBytes>, Option<StrBytes>),
    (operation, permission): (i8, i8),
) -> Result<AclFilter, Invalid> {
    fn known<T>(code: i8, of: impl Fn(i8) -> Option<T>, reason: Invalid) -> Result<Option<T>, Invalid> {
        match code {
            ANY => Ok(None),
            code => of(code).map(Some).ok_or(reason),
        }
    }
    let text = |text: Option<StrBytes>| text.map(|text| text.to_string());
    Ok(AclFilter {
        resource: known(resource, Resource::of_code, "there is no such type of resource")?,
        pattern: NameFilter::of_code(pattern).ok_or("there is no such type of pattern")?,
        name: text(name),
        principal: text(principal),
        host: text(host),
        operation: known(operation, Operation::of_code, "there is no such operation")?,
        permission: known(permission, Permission::of_code, "there is no such permission")?,
    })
}

fn owned(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
