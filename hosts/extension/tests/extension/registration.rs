//! How the extension gets on osqueryd's list, and stays there.

use osquery_protocol::PluginRequest;
use osquery_protocol::plugin::LoggerRequest;

use crate::world::{PATIENCE, World, line, log, until};

#[test]
fn it_registers_with_its_plugins() {
    let world = World::configured();
    let (_osqueryd, _process, extension) = world.running();
    assert_eq!(
        (&*extension.info.name, &*extension.info.version),
        (&b"confluent"[..], &b"1.0.0"[..])
    );
    let plugins: Vec<String> = extension
        .registry
        .iter()
        .flat_map(|(registry, table)| table.keys().map(move |plugin| format!("{registry}/{plugin}")))
        .collect();
    assert_eq!(
        plugins,
        [
            "config/osquery_confluent_config",
            "logger/confluent_logger",
            "table/confluent_extension_stats"
        ]
    );
    let answer = extension
        .call("table", "processes", PluginRequest::new())
        .unwrap();
    assert!(answer.status.message.to_text().contains("table/processes"));
}

#[test]
fn its_statistics_are_a_table() {
    let world = World::configured();
    world.topic("processes");
    let (_osqueryd, _process, extension) = world.running();
    log(&extension, LoggerRequest::Line(line("processes", "/x").into()));
    world.records("processes", 1);
    let ask = |action: &str| {
        let request =
            PluginRequest::from([("action".into(), action.into()), ("context".into(), "{}".into())]);
        let answer = extension
            .call("table", "confluent_extension_stats", request)
            .unwrap();
        answer.status.is_success().then_some(answer.rows)
    };
    let value = |name: &str| {
        ask("generate").unwrap()[0][name.as_bytes()]
            .to_text()
            .into_owned()
    };
    until("the delivery in the books", || value("delivered") == "1");
    assert_eq!((value("lines").as_str(), value("accepted").as_str()), ("1", "1"));
    assert_eq!(value("waiting"), "0");
    assert_eq!(value("spool_dir"), world.spool().display().to_string());
    let columns = ask("columns").unwrap();
    let table = &extension.registry[b"table".as_slice()][b"confluent_extension_stats".as_slice()];
    assert_eq!(&columns, table);
    assert_eq!(columns.len(), ask("generate").unwrap()[0].len());
    assert!(columns.iter().all(|column| column[b"id".as_slice()] == *"column"));
    assert_eq!(ask("delete"), None);
}

#[test]
fn it_takes_the_originals_name_when_osqueryd_waits_for_it() {
    let world = World::configured();
    let osqueryd = world.osqueryd();
    osqueryd.set_option("extensions_require", "other, confluent_cloud");
    let process = world.start();
    let registered = osqueryd.wait_for_extension("confluent_cloud", PATIENCE);
    assert!(registered.is_some(), "{}", process.log());
}

#[test]
fn it_takes_the_name_that_the_configuration_says() {
    let world = World::configured();
    let mut configuration = world.configuration();
    configuration["extension_name"] = "confluent_cloud".into();
    world.configure(&configuration);
    let osqueryd = world.osqueryd();
    osqueryd.set_option("extensions_require", "confluent");
    let process = world.start();
    let registered = osqueryd.wait_for_extension("confluent_cloud", PATIENCE);
    assert!(registered.is_some(), "{}", process.log());
}

#[test]
fn it_waits_for_an_osqueryd_that_is_late() {
    let world = World::configured();
    let process = world.start();
    // It has failed to connect at least once when its configuration is in force and nobody listens.
    process.wait_for_log("not registered yet: cannot reach osqueryd");
    let osqueryd = world.osqueryd();
    assert!(
        osqueryd.wait_for_extension("confluent", PATIENCE).is_some(),
        "{}",
        process.log()
    );
}

#[test]
fn it_insists_when_it_is_refused() {
    let world = World::configured();
    let osqueryd = world.osqueryd();
    osqueryd.refuse_registrations(3, "Duplicate extension registered");
    let process = world.start();
    assert!(
        osqueryd.wait_for_extension("confluent", PATIENCE).is_some(),
        "{}",
        process.log()
    );
    assert_eq!(osqueryd.registration_attempts(), 4);
}

#[test]
fn without_osqueryd_it_gives_up_and_says_why() {
    let world = World::configured();
    let mut process = world.start();
    assert_eq!(process.end().code(), Some(4));
    let log = process.log();
    assert!(
        log.contains("cannot reach osqueryd at") && log.contains("hint:"),
        "{log}"
    );
}

#[test]
fn dropped_from_the_list_it_registers_again() {
    let world = World::configured();
    world.topic("processes");
    let (osqueryd, process, first) = world.running();
    osqueryd.drop_extension(first.uuid);
    until("another registration", || osqueryd.registration_attempts() > 1);
    let second = osqueryd.wait_for_extension("confluent", PATIENCE).unwrap();
    log(&second, LoggerRequest::Line(line("processes", "/again").into()));
    assert_eq!(world.records("processes", 1).len(), 1);
    process.wait_for_log("registering again");
}

#[test]
fn refused_when_it_comes_back_it_still_brings_its_lines_to_kafka() {
    let world = World::configured();
    world.topic("processes");
    let (osqueryd, mut process, first) = world.running();
    world.broker_down();
    log(&first, LoggerRequest::Line(line("processes", "/kept").into()));
    osqueryd.refuse_registrations(1000, "no");
    osqueryd.drop_extension(first.uuid);
    process.wait_for_log("registering again");
    world.broker_up();
    assert_eq!(process.end().code(), Some(4), "{}", process.log());
    assert_eq!(
        world.records("processes", 1)[0].1,
        line("processes", "/kept").into_bytes()
    );
}
