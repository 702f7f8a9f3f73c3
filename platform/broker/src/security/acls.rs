//! Who may do what: Kafka's ACLs, with the semantics of its `StandardAuthorizer`.
//!
//! A super user may do everything. A rule that denies counts before one that allows. Where rules are about a resource and
//! none of them allows, it is denied; where none is about it, the configuration decides. Who is allowed to read, write,
//! delete or alter is allowed to describe, who may alter settings may see them.

mod filter;

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

pub(crate) use self::filter::{AclFilter, NameFilter};
use super::Principal;
use crate::config::WithoutAcl;

/// The name of the only cluster.
pub(crate) const CLUSTER: &str = "kafka-cluster";
const EVERYTHING: &str = "*";
const EVERYBODY: &str = "User:*";

macro_rules! coded {
    ($(#[$about:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub(crate) enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            /// The number the protocol gives it.
            pub(crate) fn code(self) -> i8 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The one of that number.
            pub(crate) fn of_code(code: i8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

coded! {
    /// A kind of thing that rules are about.
    Resource {
        /// A topic.
        Topic = 2,
        /// A group of consumers.
        Group = 3,
        /// The cluster as a whole.
        Cluster = 4,
        /// A transactional id.
        TransactionalId = 5,
        /// A delegation token, which nobody gives out here.
        DelegationToken = 6,
        /// A user, about whose tokens it is.
        User = 7,
    }
}

coded! {
    /// Which of them a rule's name stands for.
    Pattern {
        /// The one of that name; all for `*`.
        Literal = 3,
        /// Those whose names begin so.
        Prefixed = 4,
    }
}

coded! {
    /// What somebody wants to do.
    Operation {
        /// Every one of the others.
        All = 2,
        /// Read.
        Read = 3,
        /// Write.
        Write = 4,
        /// Create.
        Create = 5,
        /// Delete.
        Delete = 6,
        /// Change.
        Alter = 7,
        /// See that it is there, and how it is.
        Describe = 8,
        /// What brokers ask of each other.
        ClusterAction = 9,
        /// See its settings.
        DescribeConfigs = 10,
        /// Change its settings.
        AlterConfigs = 11,
        /// Write with numbers against duplicates.
        IdempotentWrite = 12,
        /// Make tokens of a user.
        CreateTokens = 13,
        /// See tokens of a user.
        DescribeTokens = 14,
        /// Prepare a transaction that somebody else ends.
        TwoPhaseCommit = 15,
    }
}

coded! {
    /// What a rule says.
    Permission {
        /// No.
        Deny = 2,
        /// Yes.
        Allow = 3,
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Acl {
    /// The kind of what it is about.
    pub(crate) resource: Resource,
    /// How the name is meant.
    pub(crate) pattern: Pattern,
    /// The name.
    pub(crate) name: String,
    /// Whom it is about: `User:NAME`, `User:*`.
    pub(crate) principal: String,
    /// From where they come: an address, `*`.
    pub(crate) host: String,
    /// What they want to do.
    pub(crate) operation: Operation,
    /// What it says to that.
    pub(crate) permission: Permission,
}

impl Acl {
    fn is_about(&self, who: &Client<'_>) -> bool {
        (self.principal == EVERYBODY || self.principal == who.principal.as_str())
            && (self.host == EVERYTHING || self.host == who.host)
    }

    fn denies(&self, operation: Operation) -> bool {
        self.permission == Permission::Deny
            && (self.operation == Operation::All || self.operation == operation)
    }

    fn allows(&self, operation: Operation) -> bool {
        use Operation::{All, Alter, AlterConfigs, Delete, Describe, DescribeConfigs, Read, Write};
        let implies = match operation {
            Describe => matches!(self.operation, Read | Write | Delete | Alter),
            DescribeConfigs => self.operation == AlterConfigs,
            _ => false,
        };
        self.permission == Permission::Allow
            && (self.operation == All || self.operation == operation || implies)
    }
}

/// Who wants something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'a> {
    /// The principal.
    pub(crate) principal: &'a Principal,
    /// The address it comes from.
    pub(crate) host: &'a str,
}

/// Rules by their names.
type Index = HashMap<Resource, HashMap<String, Vec<Acl>>>;

/// All rules, found by what they are about.
#[derive(Debug, Default)]
pub(crate) struct Acls {
    all: BTreeSet<Acl>,
    literal: Index,
    prefixed: Index,
    /// How long the names of prefixed rules are, so that a name is not tried at each of its bytes.
    prefix_lengths: BTreeSet<usize>,
    super_users: Vec<String>,
    without_acl: WithoutAcl,
}

impl Acls {
    /// Those rules.
    pub(crate) fn new(all: BTreeSet<Acl>, super_users: Vec<String>, without_acl: WithoutAcl) -> Self {
        let mut acls = Self {
            super_users,
            without_acl,
            ..Self::default()
        };
        for acl in &all {
            let index = match acl.pattern {
                Pattern::Literal => &mut acls.literal,
                Pattern::Prefixed => &mut acls.prefixed,
            };
            let by_name = index.entry(acl.resource).or_default();
            by_name.entry(acl.name.clone()).or_default().push(acl.clone());
            if acl.pattern == Pattern::Prefixed {
                acls.prefix_lengths.insert(acl.name.len());
            }
        }
        acls.all = all;
        acls
    }

    /// The same with other rules.
    pub(crate) fn with(&self, all: BTreeSet<Acl>) -> Self {
        Self::new(all, self.super_users.clone(), self.without_acl)
    }

    /// The rules.
    pub(crate) fn all(&self) -> &BTreeSet<Acl> {
        &self.all
    }

    /// Whether everybody may do everything, so that nobody need be asked about.
    pub(crate) fn allow_everything(&self) -> bool {
        self.all.is_empty() && self.without_acl == WithoutAcl::Allow
    }

    /// Whether a client may do that with the resource of that name.
    pub(crate) fn allow(
        &self,
        who: &Client<'_>,
        operation: Operation,
        resource: Resource,
        name: &str,
    ) -> bool {
        if self.allow_everything() || self.is_super_user(who) {
            return true;
        }
        let (mut any, mut allowed) = (false, false);
        for acl in self.about(resource, name) {
            any = true;
            if acl.is_about(who) {
                if acl.denies(operation) {
                    return false;
                }
                allowed |= acl.allows(operation);
            }
        }
        allowed || (!any && self.without_acl == WithoutAcl::Allow)
    }

    /// Whether a client may do that with any resource of a kind, whatever its name.
    pub(crate) fn allow_any(&self, who: &Client<'_>, operation: Operation, resource: Resource) -> bool {
        if self.allow_everything() || self.is_super_user(who) {
            return true;
        }
        let rules = || {
            self.all
                .iter()
                .filter(|acl| acl.resource == resource && acl.is_about(who))
        };
        let denied = |acl: &Acl| {
            rules().any(|other| {
                other.denies(operation)
                    && match (other.pattern, acl.pattern) {
                        (Pattern::Literal, _) if other.name == EVERYTHING => true,
                        (Pattern::Literal, Pattern::Literal) => other.name == acl.name,
                        (Pattern::Literal, Pattern::Prefixed) => false,
                        (Pattern::Prefixed, _) => acl.name.starts_with(&other.name),
                    }
            })
        };
        let denied_all = || {
            rules()
                .any(|acl| acl.denies(operation) && acl.pattern == Pattern::Literal && acl.name == EVERYTHING)
        };
        rules().any(|acl| acl.allows(operation) && !denied(acl))
            || (self.without_acl == WithoutAcl::Allow && !denied_all())
    }

    fn is_super_user(&self, who: &Client<'_>) -> bool {
        self.super_users.iter().any(|name| name == who.principal.as_str())
    }

    fn about<'a>(&'a self, resource: Resource, name: &'a str) -> impl Iterator<Item = &'a Acl> {
        let of_kind = |index: &'a Index| index.get(&resource);
        let (literals, prefixes) = (of_kind(&self.literal), of_kind(&self.prefixed));
        let literal = move |name: &str| literals.and_then(|rules| rules.get(name));
        let of_all = (name != EVERYTHING).then(|| literal(EVERYTHING)).flatten();
        let prefixed = self
            .prefix_lengths
            .range(..=name.len())
            .filter_map(move |length| {
                let beginning = name.get(..*length)?;
                prefixes.and_then(|rules| rules.get(beginning))
            });
        literal(name).into_iter().chain(of_all).chain(prefixed).flatten()
    }
}

#[cfg(test)]
mod tests;
