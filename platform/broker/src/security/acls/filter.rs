//! Which rules somebody asks about.

use super::{Acl, Operation, Pattern, Permission, Resource};

/// What rules must be; whatever is `None` may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AclFilter {
    /// The kind of what they are about.
    pub(crate) resource: Option<Resource>,
    /// How their name is meant.
    pub(crate) pattern: NameFilter,
    /// Their name.
    pub(crate) name: Option<String>,
    /// Whom they are about.
    pub(crate) principal: Option<String>,
    /// From where these come.
    pub(crate) host: Option<String>,
    /// What these want to do.
    pub(crate) operation: Option<Operation>,
    /// What they say to that.
    pub(crate) permission: Option<Permission>,
}

/// How the names of rules are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum NameFilter {
    /// The rule has that name, however it is meant.
    #[default]
    Any,
    /// The rule would count for a resource of that name.
    Match,
    /// The rule has that name, meant so.
    Only(Pattern),
}

impl NameFilter {
    /// The one of that number in the protocol.
    pub(crate) fn of_code(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Any),
            2 => Some(Self::Match),
            code => Pattern::of_code(code).map(Self::Only),
        }
    }
}

impl AclFilter {
    /// Whether a rule is one of them.
    pub(crate) fn matches(&self, acl: &Acl) -> bool {
        let is =
            |wanted: &Option<String>, found: &String| wanted.as_ref().is_none_or(|wanted| wanted == found);
        self.resource.is_none_or(|wanted| wanted == acl.resource)
            && self.names(acl)
            && is(&self.principal, &acl.principal)
            && is(&self.host, &acl.host)
            && self.operation.is_none_or(|wanted| wanted == acl.operation)
            && self.permission.is_none_or(|wanted| wanted == acl.permission)
    }

    fn names(&self, acl: &Acl) -> bool {
        if let NameFilter::Only(pattern) = self.pattern
            && pattern != acl.pattern
        {
            return false;
        }
        let Some(name) = &self.name else {
            return true;
        };
        match (self.pattern, acl.pattern) {
            (NameFilter::Any | NameFilter::Only(_), _) => *name == acl.name,
            (NameFilter::Match, Pattern::Literal) => *name == acl.name || acl.name == super::EVERYTHING,
            (NameFilter::Match, Pattern::Prefixed) => name.starts_with(&acl.name),
        }
    }
}
