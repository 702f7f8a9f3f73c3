//! Kafka's semantics, case by case, and against a slow and plain model.

use proptest::prelude::*;

use super::*;

fn acl(text: &str) -> Acl {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [permission, principal, operation, pattern, name] = words[..] else {
        panic!("{text}");
    };
    let operation = (2..=15)
        .filter_map(Operation::of_code)
        .find(|known| format!("{known:?}") == operation);
    Acl {
        resource: Resource::Topic,
        pattern: match pattern {
            "is" => Pattern::Literal,
            _ => Pattern::Prefixed,
        },
        name: name.to_owned(),
        principal: format!("User:{principal}"),
        host: "*".to_owned(),
        operation: operation.unwrap(),
        permission: match permission {
            "allow" => Permission::Allow,
            _ => Permission::Deny,
        },
    }
}

fn acls(without_acl: WithoutAcl, rules: &[&str]) -> Acls {
    let rules = rules.iter().map(|rule| acl(rule)).collect();
    Acls::new(rules, vec!["User:root".to_owned()], without_acl)
}

fn allow(acls: &Acls, user: &str, operation: Operation, name: &str) -> bool {
    let principal = Principal::user(user);
    let who = Client {
        principal: &principal,
        host: "10.0.0.1",
    };
    acls.allow(&who, operation, Resource::Topic, name)
}

use Operation::{Alter, AlterConfigs, Create, Describe, DescribeConfigs, Read, Write};

#[test]
fn a_resource_without_rules_is_as_the_configuration_says() {
    for (without_acl, expected) in [(WithoutAcl::Allow, true), (WithoutAcl::Deny, false)] {
        let acls = acls(without_acl, &["allow alice Read is lines"]);
        assert_eq!(allow(&acls, "bob", Read, "other"), expected);
        assert!(
            !allow(&acls, "bob", Read, "lines"),
            "with a rule it is for those it names"
        );
        assert!(allow(&acls, "alice", Read, "lines"));
        assert!(!allow(&acls, "alice", Write, "lines"));
        assert!(allow(&acls, "root", Write, "lines"), "a super user");
    }
}

#[test]
fn who_may_do_more_may_describe() {
    let acls = acls(
        WithoutAcl::Deny,
        &[
            "allow a Write is t",
            "allow b AlterConfigs is t",
            "allow c Create is t",
            "allow d All is t",
        ],
    );
    assert!(allow(&acls, "a", Describe, "t") && !allow(&acls, "a", DescribeConfigs, "t"));
    assert!(allow(&acls, "b", DescribeConfigs, "t") && !allow(&acls, "b", Describe, "t"));
    assert!(allow(&acls, "c", Create, "t") && !allow(&acls, "c", Describe, "t"));
    assert!(
        [Read, Write, Alter, AlterConfigs, Describe]
            .iter()
            .all(|operation| allow(&acls, "d", *operation, "t"))
    );
}

#[test]
fn a_denial_counts_first_and_implies_nothing() {
    let acls = acls(
        WithoutAcl::Allow,
        &[
            "allow * All from t",
            "deny alice Write is t1",
            "deny bob All is *",
        ],
    );
    assert!(allow(&acls, "alice", Write, "t2") && allow(&acls, "alice", Read, "t1"));
    assert!(!allow(&acls, "alice", Write, "t1") && allow(&acls, "alice", Describe, "t1"));
    assert!(!allow(&acls, "bob", Read, "t2"));
    assert!(!allow(&acls, "bob", Read, "elsewhere"));
    assert!(
        !allow(&acls, "alice", Read, "elsewhere"),
        "a rule is about every topic, and allows nothing"
    );
}

#[test]
fn a_rule_holds_for_its_host_and_its_kind() {
    let mut rule = acl("allow alice Read is t");
    rule.host = "10.0.0.2".to_owned();
    let here = Acls::new([rule.clone()].into(), Vec::new(), WithoutAcl::Allow);
    assert!(!allow(&here, "alice", Read, "t"));
    rule.host = "10.0.0.1".to_owned();
    rule.resource = Resource::Group;
    let group = Acls::new([rule].into(), Vec::new(), WithoutAcl::Deny);
    assert!(!allow(&group, "alice", Read, "t"));
}

#[test]
fn any_resource_will_do_where_one_is_allowed_and_not_denied() {
    let any = |without_acl, rules: &[&str]| {
        let principal = Principal::user("alice");
        let who = Client {
            principal: &principal,
            host: "10.0.0.1",
        };
        acls(without_acl, rules).allow_any(&who, Write, Resource::Topic)
    };
    assert!(any(WithoutAcl::Deny, &["allow alice Write is t"]));
    assert!(!any(WithoutAcl::Deny, &["allow bob Write is t"]));
    assert!(!any(
        WithoutAcl::Deny,
        &["allow alice Write is t", "deny * Write from t"]
    ));
    assert!(any(
        WithoutAcl::Deny,
        &["allow alice Write from t", "deny * Write is t"]
    ));
    assert!(any(WithoutAcl::Allow, &["deny alice Write is t"]));
    assert!(!any(WithoutAcl::Allow, &["deny alice All is *"]));
}

#[test]
fn a_filter_finds_what_it_names() {
    let rules: Vec<Acl> = [
        "allow a Read is lines",
        "allow a Read from li",
        "deny b Write is *",
    ]
    .map(acl)
    .into();
    let found = |filter: AclFilter| -> Vec<&str> {
        rules
            .iter()
            .filter(|rule| filter.matches(rule))
            .map(|rule| rule.name.as_str())
            .collect()
    };
    let named = |pattern| AclFilter {
        pattern,
        name: Some("lines".to_owned()),
        ..AclFilter::default()
    };
    assert_eq!(found(AclFilter::default()), ["lines", "li", "*"]);
    assert_eq!(found(named(NameFilter::Any)), ["lines"]);
    assert_eq!(found(named(NameFilter::Match)), ["lines", "li", "*"]);
    assert_eq!(
        found(named(NameFilter::Only(Pattern::Prefixed))),
        Vec::<&str>::new()
    );
    let prefixed = AclFilter {
        pattern: NameFilter::Only(Pattern::Prefixed),
        ..AclFilter::default()
    };
    assert_eq!(found(prefixed), ["li"]);
    let denying = AclFilter {
        principal: Some("User:b".to_owned()),
        permission: Some(Permission::Deny),
        operation: Some(Write),
        ..AclFilter::default()
    };
    assert_eq!(found(denying), ["*"]);
}

fn rules() -> impl Strategy<Value = Vec<Acl>> {
    let operations = prop::sample::select(vec![
        "All",
        "Read",
        "Write",
        "Describe",
        "Alter",
        "AlterConfigs",
        "DescribeConfigs",
    ]);
    let rule = ("allow|deny", "a|b|\\*", operations, "is|from", "a|ab|b|\\*").prop_map(
        |(permission, user, operation, pattern, name)| {
            acl(&format!("{permission} {user} {operation} {pattern} {name}"))
        },
    );
    prop::collection::vec(rule, 0..6)
}

proptest! {
    #[test]
    fn what_is_found_by_name_is_what_every_rule_was_asked_about(
        rules in rules(), user in "a|b|c", operation in 3..=11i8, name in "a|ab|abc|b|c",
    ) {
        let operation = Operation::of_code(operation).unwrap();
        let about: Vec<&Acl> = rules.iter().filter(|rule| match rule.pattern {
            Pattern::Literal => rule.name == name || rule.name == "*",
            Pattern::Prefixed => name.starts_with(&rule.name),
        }).collect();
        let mine = about.iter().filter(|rule| rule.principal == "User:*" || rule.principal == format!("User:{user}"));
        let allowed = mine.clone().any(|rule| rule.allows(operation));
        let denied = mine.clone().any(|rule| rule.denies(operation));
        let expected = !denied && (allowed || about.is_empty());
        let acls = Acls::new(rules.iter().cloned().collect(), Vec::new(), WithoutAcl::Allow);
        prop_assert_eq!(allow(&acls, &user, operation, &name), expected);
    }
}
