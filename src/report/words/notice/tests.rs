use super::*;
use crate::events::Place;
use crate::stack::ServiceName;

#[test]
fn what_is_wrong_with_a_stream_is_told_with_the_way_out() {
    let told = |doubt| {
        let at = Place {
            file: "demo.sql".to_owned(),
            line: 3,
            column: 1,
        };
        let found = Doubtful {
            name: "proc".to_owned(),
            kind: "STREAM".to_owned(),
            doubt,
        };
        warning(&Warning::StatementDoubtful { at, found }, None)
    };
    insta::assert_snapshot!(told(Doubt::OtherDefinition), @"demo.sql:3:1: `proc` is there with another definition, and stays so; `osqdemo ksql 'DROP STREAM proc;'` and `osqdemo up` make it anew");
    insta::assert_snapshot!(told(Doubt::QueryTerminated), @"demo.sql:3:1: `proc` is there, but its query was terminated; `osqdemo ksql 'DROP STREAM proc;'` and `osqdemo up` make it anew");
    let paused = Doubt::QueryPaused {
        query_id: "CSAS_PROC_4".to_owned(),
    };
    insta::assert_snapshot!(told(paused), @"demo.sql:3:1: `proc` is there, but its query is paused; `osqdemo ksql 'RESUME CSAS_PROC_4;'` lets it go on");
}

#[test]
fn an_osqueryd_that_is_gone_is_told_with_what_runs_instead() {
    let told = |instead: &str| {
        let (path, instead) = ("/opt/osqueryd".to_owned(), instead.to_owned());
        warning(&Warning::OsquerydGone { path, instead }, None)
    };
    insta::assert_snapshot!(told("builtin"), @"`/opt/osqueryd`, which the hosts ran, is no program any more: they run the built-in agent from now on; `osqdemo up --osqueryd PATH` insists on one");
    insta::assert_snapshot!(told("/usr/bin/osqueryd"), @"`/opt/osqueryd`, which the hosts ran, is no program any more: they run `/usr/bin/osqueryd` from now on; `osqdemo up --osqueryd PATH` insists on one");
}

#[test]
fn a_port_that_moved_is_told_with_how_to_insist() {
    let told = |obstacle| {
        let service = ServiceName::new("broker");
        let (from, to) = (9092, 20006);
        warning(
            &Warning::PortMoved(PortMoved {
                service,
                from,
                to,
                obstacle,
            }),
            None,
        )
    };
    let reason = "taken".to_owned();
    insta::assert_snapshot!(told(PortObstacle::Unusable { reason }), @"port 9092 of broker is not usable: taken: broker gets port 20006, remembered by this project; `--port broker=9092` insists");
    let service = ServiceName::new("ksqldb-server");
    insta::assert_snapshot!(told(PortObstacle::Service { service }), @"port 9092 of broker is that of ksqldb-server: broker gets port 20006, remembered by this project");
}

#[test]
fn what_directives_changed_is_told_with_the_way_back() {
    let set = |before: Option<&str>| {
        let (property, value) = ("a".to_owned(), "2".to_owned());
        let before = before.map(str::to_owned);
        session(&SessionChange::PropertySet {
            property,
            value,
            before,
        })
    };
    insta::assert_snapshot!(set(None), @"set property `a` to `2`; `UNSET 'a';` reverts it");
    insta::assert_snapshot!(set(Some("1")), @"changed property `a` from `1` to `2`; `UNSET 'a';` reverts it");
}
