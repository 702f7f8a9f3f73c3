//! The properties of a ksqlDB server 7.9.8, with what they are where nobody sets them: `LIST PROPERTIES` shows them all,
//! and clients look there for what they may set. Few of them mean something here; `docs/ksqldb.md` says which.

/// A property of the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Default {
    pub(super) name: &'static str,
    pub(super) value: Option<&'static str>,
    /// Whether a request may set it.
    pub(super) is_editable: bool,
    /// Whether it is about one query (or about the server).
    pub(super) is_of_query: bool,
    /// Whether every server's configuration sets it.
    pub(super) is_given: bool,
}

impl Default {
    const fn given(mut self) -> Self {
        self.is_given = true;
        self
    }
}

const fn server(name: &'static str, value: Option<&'static str>) -> Default {
    Default {
        name,
        value,
        is_editable: false,
        is_of_query: false,
        is_given: false,
    }
}

const fn tunable(name: &'static str, value: Option<&'static str>) -> Default {
    let mut property = server(name, value);
    property.is_editable = true;
    property
}

const fn query(name: &'static str, value: Option<&'static str>) -> Default {
    let mut property = tunable(name, value);
    property.is_of_query = true;
    property
}

/// By name; those that depend on how this server runs are not among them.
pub(super) const DEFAULTS: &[Default] = &[
    server("enable.fips", Some("false")).given(),
    server("ksql.access.validator.enable", Some("auto")),
    server("ksql.assert.schema.default.timeout.ms", Some("1000")),
    server("ksql.assert.topic.default.timeout.ms", Some("1000")),
    server("ksql.authorization.cache.expiry.time.secs", Some("30")),
    server("ksql.authorization.cache.max.entries", Some("10000")),
    query("ksql.cast.strings.preserve.nulls", Some("true")),
    server("ksql.client.ip_port.configuration.enabled", Some("false")),
    server("ksql.connect.basic.auth.credentials.file", Some("")),
    server("ksql.connect.basic.auth.credentials.reload", Some("false")),
    server("ksql.connect.basic.auth.credentials.source", Some("NONE")),
    server("ksql.connect.request.headers.plugin", None),
    server("ksql.connect.request.timeout.ms", Some("5000")),
    server("ksql.connect.worker.config", Some("")),
    server("ksql.create.or.replace.enabled", Some("true")),
    server("ksql.deployment.type", Some("selfManaged")),
    server("ksql.endpoint.migrate.query", Some("true")),
    server("ksql.error.classifier.regex", Some("")),
    server("ksql.extension.dir", Some("/var/lib/ksql")).given(),
    server("ksql.fetch.remote.hosts.max.timeout.seconds", Some("10")),
    server("ksql.headers.columns.enabled", Some("true")),
    server(
        "ksql.hidden.topics",
        Some(
            "_confluent.*,__confluent.*,_schemas,__consumer_offsets,__transaction_state,connect-configs,connect-offsets,connect-status,connect-statuses",
        ),
    ),
    server("ksql.insert.into.values.enabled", Some("true")),
    server("ksql.internal.topic.min.insync.replicas", Some("1")),
    server("ksql.internal.topic.replicas", Some("1")),
    server("ksql.json_sr.converter.deserializer.enabled", Some("true")),
    server("ksql.lambdas.enabled", Some("true")),
    server("ksql.metastore.backup.location", Some("")),
    server("ksql.metrics.extension", None),
    server("ksql.metrics.tags.custom", Some("")),
    query("ksql.nested.error.set.null", Some("true")),
    server("ksql.new.query.planner.enabled", Some("false")),
    server("ksql.output.topic.name.prefix", Some("")),
    server("ksql.persistence.default.format.key", Some("KAFKA")),
    server("ksql.persistence.default.format.value", None),
    server("ksql.persistence.wrap.single.values", None),
    server("ksql.persistent.prefix", Some("query_")),
    server("ksql.properties.overrides.denylist", Some("")),
    server("ksql.proxy.protocol.local.mode.enabled", Some("false")),
    server("ksql.pull.queries.enable", Some("true")),
    server("ksql.query.cleanup.shutdown.timeout.ms", Some("30000")),
    server("ksql.query.error.max.queue.size", Some("10")),
    server("ksql.query.persistent.max.bytes.buffering.total", Some("-1")),
    server("ksql.query.pull.enable.standby.reads", Some("false")),
    server("ksql.query.pull.forwarding.timeout.ms", Some("20000")),
    server("ksql.query.pull.interpreter.enabled", Some("true")),
    server("ksql.query.pull.limit.clause.enabled", Some("true")),
    query(
        "ksql.query.pull.max.allowed.offset.lag",
        Some("9223372036854775807"),
    ),
    server("ksql.query.pull.max.concurrent.requests", Some("2147483647")),
    server(
        "ksql.query.pull.max.hourly.bandwidth.megabytes",
        Some("2147483647"),
    ),
    server("ksql.query.pull.max.qps", Some("2147483647")),
    server("ksql.query.pull.metrics.enabled", Some("true")),
    server("ksql.query.pull.range.scan.enabled", Some("true")),
    server("ksql.query.pull.router.thread.pool.size", Some("50")),
    server("ksql.query.pull.stream.enabled", Some("true")),
    query("ksql.query.pull.table.scan.enabled", Some("true")),
    server("ksql.query.pull.thread.pool.size", Some("50")),
    server("ksql.query.push.v2.alos.enabled", Some("true")),
    server("ksql.query.push.v2.catchup.consumer.msg.window", Some("50")),
    server("ksql.query.push.v2.continuation.tokens.enabled", Some("false")),
    server("ksql.query.push.v2.enabled", Some("false")),
    server("ksql.query.push.v2.interpreter.enabled", Some("true")),
    server("ksql.query.push.v2.latest.reset.age.ms", Some("30000")),
    server("ksql.query.push.v2.max.catchup.consumers", Some("5")),
    server(
        "ksql.query.push.v2.max.hourly.bandwidth.megabytes",
        Some("2147483647"),
    ),
    server("ksql.query.push.v2.metrics.enabled", Some("true")),
    server("ksql.query.push.v2.new.latest.delay.ms", Some("5000")),
    server("ksql.query.push.v2.registry.installed", Some("false")),
    server("ksql.query.retry.backoff.initial.ms", Some("15000")),
    query("ksql.query.retry.backoff.max.ms", Some("900000")),
    server("ksql.query.status.running.threshold.seconds", Some("300")),
    server("ksql.query.transient.max.bytes.buffering.total", Some("-1")),
    server("ksql.queryanonymizer.cluster_namespace", None),
    server("ksql.queryanonymizer.logs_enabled", Some("true")),
    server(
        "ksql.readonly.topics",
        Some(
            "_confluent.*,__confluent.*,_schemas,__consumer_offsets,__transaction_state,connect-configs,connect-offsets,connect-status,connect-statuses",
        ),
    ),
    server("ksql.runtime.feature.shared.enabled", Some("false")),
    server("ksql.security.extension.class", None),
    server("ksql.shared.runtimes.count", Some("2")),
    server(
        "ksql.sink.window.change.log.additional.retention",
        Some("1000000"),
    ),
    server("ksql.source.table.materialization.enabled", Some("true")),
    tunable("ksql.streams.cache.max.bytes.buffering", Some("10000000")).given(),
    tunable("ksql.streams.commit.interval.ms", Some("2000")).given(),
    server(
        "ksql.streams.default.deserialization.exception.handler",
        Some("io.confluent.ksql.errors.LogMetricAndContinueExceptionHandler"),
    )
    .given(),
    server(
        "ksql.streams.default.production.exception.handler",
        Some("io.confluent.ksql.errors.ProductionExceptionHandlerUtil$LogAndFailProductionExceptionHandler"),
    )
    .given(),
    server("ksql.streams.num.stream.threads", Some("4")).given(),
    server("ksql.streams.shutdown.timeout.ms", Some("300000")).given(),
    server("ksql.streams.state.dir", Some("/var/lib/ksql")).given(),
    server("ksql.streams.topology.optimization", Some("all")).given(),
    server("ksql.suppress.buffer.size.bytes", Some("-1")),
    server("ksql.suppress.enabled", Some("true")),
    query("ksql.timestamp.throw.on.invalid", Some("false")),
    server("ksql.transient.prefix", Some("transient_")),
    server("ksql.transient.query.cleanup.service.enable", Some("true")),
    server(
        "ksql.transient.query.cleanup.service.initial.delay.seconds",
        Some("600"),
    ),
    server("ksql.transient.query.cleanup.service.period.seconds", Some("600")),
    server("ksql.udf.collect.metrics", Some("false")),
    server("ksql.udf.enable.security.manager", Some("true")),
    server("ksql.udfs.enabled", Some("true")),
    server("ksql.variable.substitution.enable", Some("true")),
    server("ksql.websocket.connection.max.timeout.ms", Some("3600000")),
    server("metric.reporters", Some("")),
];
