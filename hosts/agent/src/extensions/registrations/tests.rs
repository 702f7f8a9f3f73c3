use super::*;

fn registrations() -> Registrations {
    let status = StatusLog::default();
    let database = Database::open([], &status).unwrap();
    Registrations::new(
        Flags::default(),
        Arc::new(Mutex::new(database)),
        Shutdown::default(),
        status,
        AgentStatus::default(),
    )
}

fn info(name: &str, sdk: &str) -> ExtensionInfo {
    ExtensionInfo {
        name: name.into(),
        sdk_version: sdk.into(),
        ..ExtensionInfo::default()
    }
}

fn plugins(registry: &str, item: &str) -> Registry {
    Registry::from([(registry.into(), BTreeMap::from([(item.into(), Vec::new())]))])
}

#[test]
fn refusals_are_osqueryds() {
    let list = registrations();
    let registered = list.register(info("confluent", "5.0.0"), plugins("logger", "confluent_logger"));
    assert!(registered.is_success() && registered.uuid > 0 && registered.uuid < 1 << 16);
    assert_eq!(list.route("logger", "confluent_logger"), Some(registered.uuid));
    let message = |status: Status| status.message.to_text().into_owned();
    assert_eq!(
        message(list.register(info("confluent", "5.0.0"), plugins("logger", "other"))),
        "Duplicate extension registered"
    );
    assert_eq!(
        message(list.register(info("two", "5.0.0"), plugins("logger", "confluent_logger"))),
        "Duplicate registry item exists: confluent_logger"
    );
    assert_eq!(
        message(list.register(info("two", "5.0.0"), plugins("logger", "filesystem"))),
        "Duplicate registry item exists: filesystem"
    );
    assert_eq!(
        message(list.register(info("two", "5.0.0"), plugins("loger", "x"))),
        "Unknown registry name: loger"
    );
    assert_eq!(
        message(list.register(info("two", "1.7.6"), plugins("logger", "x"))),
        "Extension SDK version too old: 1.7.6"
    );
    for sdk in ["0.0.0", "Unknown", "1.7.7", ""] {
        let status = list.register(info(sdk, sdk), plugins("logger", &format!("logger-{sdk}")));
        assert!(status.is_success(), "{sdk}");
    }
    assert!(list.deregister(registered.uuid).is_success());
    assert!(!list.deregister(registered.uuid).is_success());
    assert_eq!(list.route("logger", "confluent_logger"), None);
}

#[test]
fn extensions_can_ask_what_osqueryd_answers() {
    let list = registrations();
    assert_eq!(list.extensions()[&0].name, "core");
    let options = list.options();
    assert_eq!(options[&ByteString::from("schedule_splay_percent")].value, "10");
    let rows = list.query(&"select 7 as a, null as b".into()).rows;
    assert_eq!(
        rows,
        [BTreeMap::from([
            ("a".into(), "7".into()),
            ("b".into(), "".into())
        ])]
    );
    assert!(!list.query(&"select".into()).status.is_success());
    let columns = list.query_columns(&"select 1 as a, 'x' as b".into()).rows;
    assert_eq!(columns.len(), 2);
    assert!(columns[0].contains_key(b"a".as_slice()));
}

#[test]
fn a_wait_ends_with_the_registration_it_waits_for() {
    let list = Arc::new(registrations());
    let shutdown = Shutdown::default();
    assert!(!list.wait_until(Duration::from_millis(5), &shutdown, |state| {
        state.has_extension("late")
    }));
    let waiting = Arc::clone(&list);
    let waiter = std::thread::spawn(move || {
        waiting.wait_until(Duration::from_secs(60), &Shutdown::default(), |state| {
            state.has_extension("late")
        })
    });
    list.register(info("late", "5.0.0"), Registry::new());
    assert!(waiter.join().unwrap());
}
