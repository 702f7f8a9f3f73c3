//! What is known of each image: one entry of [`IMAGES`] an image and line of versions. Read from the images' public
//! sources; a stack that uses another property, or another version, adds it here.

use super::naming::Naming;

/// An image and what it makes of its environment.
pub(super) struct Image {
    /// Its repository.
    repository: &'static str,
    /// How the tags begin that this is true of.
    tags: &'static [&'static str],
    naming: Naming,
    /// The prefixes of variables that become properties, with what the property begins with.
    prefixes: &'static [(&'static str, &'static str)],
    /// One of each must be there, and have a value.
    pub(super) required: &'static [&'static [&'static str]],
    /// What ends the container where it is set.
    pub(super) deadly: &'static [&'static str],
    /// What the scripts of the image read: the JVM's options, loggers, how long they wait.
    pub(super) for_scripts: &'static [&'static str],
    /// The properties that its program reads, of those that our stacks set.
    pub(super) properties: &'static [&'static str],
    /// The programs that a health check may call.
    pub(super) tools: &'static [&'static str],
}

impl Image {
    /// Whether that is this image, such as `confluentinc/cp-server:7.9.9`.
    pub(super) fn is(&self, image: &str) -> bool {
        let tag = image
            .strip_prefix(self.repository)
            .and_then(|rest| rest.strip_prefix(':'));
        tag.is_some_and(|tag| self.tags.iter().any(|line| tag.starts_with(line)))
    }

    /// The property that a variable becomes; none where it becomes nothing.
    pub(super) fn property(&self, variable: &str) -> Option<String> {
        self.prefixes.iter().find_map(|(prefix, begin)| {
            let rest = variable.strip_prefix(prefix)?;
            Some(format!("{begin}{}", self.naming.property(rest)))
        })
    }
}

/// The programs whose presence differs between the images.
pub(super) const TOOLS: &[&str] = &["bash", "curl", "grep", "nc", "python", "ub", "wget"];

const TOOLS_OF_7: &[&str] = &["bash", "curl", "grep", "nc", "python", "wget"];
const TOOLS_OF_8: &[&str] = &["bash", "curl", "grep", "ub"];

/// The ones of the broker that Confluent's and Apache's share.
const DEADLY_TO_BROKERS: &[&str] = &[
    "KAFKA_PORT",
    "KAFKA_HOST",
    "KAFKA_ADVERTISED_PORT",
    "KAFKA_ADVERTISED_HOST",
];

const REGISTRY_PROPERTIES: &[&str] = &["host.name", "kafkastore.bootstrap.servers", "listeners"];
const REGISTRY_SCRIPTS: &[&str] = &["SCHEMA_REGISTRY_HEAP_OPTS", "SCHEMA_REGISTRY_CUB_KAFKA_TIMEOUT"];

const KSQLDB_REQUIRED: &[&[&str]] = &[&["KSQL_BOOTSTRAP_SERVERS", "KSQL_KSQL_STREAMS_BOOTSTRAP_SERVERS"]];
const KSQLDB_PROPERTIES: &[&str] = &[
    "bootstrap.servers",
    "cache.max.bytes.buffering",
    "confluent.support.metrics.enable",
    "ksql.connect.url",
    "ksql.logging.processing.stream.auto.create",
    "ksql.logging.processing.topic.auto.create",
    "ksql.logging.processing.topic.replication.factor",
    "ksql.schema.registry.url",
    "ksql.streams.num.stream.threads",
    "listeners",
];

const CONTROL_CENTER_PROPERTIES: &[&str] = &[
    "bootstrap.servers",
    "confluent.controlcenter.alertmanager.config.file",
    "confluent.controlcenter.alertmanager.url",
    "confluent.controlcenter.connect.connect-default.cluster",
    "confluent.controlcenter.connect.healthcheck.endpoint",
    "confluent.controlcenter.internal.topics.partitions",
    "confluent.controlcenter.ksql.ksqldb1.advertised.url",
    "confluent.controlcenter.ksql.ksqldb1.url",
    "confluent.controlcenter.mode.enable",
    "confluent.controlcenter.prometheus.enable",
    "confluent.controlcenter.prometheus.rules.file",
    "confluent.controlcenter.prometheus.url",
    "confluent.controlcenter.replication.factor",
    "confluent.controlcenter.schema.registry.url",
    "confluent.controlcenter.ui.autoupdate.enable",
    "confluent.controlcenter.usage.data.collection.enable",
];

/// Every image that a stack of ours may name.
pub(super) const IMAGES: &[Image] = &[
    Image {
        repository: "confluentinc/cp-zookeeper",
        tags: &["7.9."],
        naming: Naming::Dub,
        // A fixed list, which the scripts read; the rest is dropped in silence.
        prefixes: &[],
        required: &[&["ZOOKEEPER_CLIENT_PORT", "ZOOKEEPER_SECURE_CLIENT_PORT"]],
        deadly: &[],
        for_scripts: &[
            "ZOOKEEPER_CLIENT_PORT",
            "ZOOKEEPER_TICK_TIME",
            "ZOOKEEPER_ADMIN_ENABLE_SERVER",
            "KAFKA_OPTS",
            "KAFKA_HEAP_OPTS",
        ],
        properties: &[],
        tools: TOOLS_OF_7,
    },
    Image {
        repository: "confluentinc/cp-server",
        tags: &["7.9."],
        naming: Naming::Dub,
        prefixes: &[("KAFKA_", ""), ("CONFLUENT_METRICS_", "confluent.metrics.")],
        required: &[&["KAFKA_ZOOKEEPER_CONNECT"], &["KAFKA_ADVERTISED_LISTENERS"]],
        deadly: DEADLY_TO_BROKERS,
        for_scripts: &["KAFKA_HEAP_OPTS", "KAFKA_CUB_ZK_TIMEOUT", "KAFKA_LOG4J_LOGGERS"],
        properties: &[
            "advertised.listeners",
            "broker.id",
            "confluent.balancer.enable",
            "confluent.license.topic.replication.factor",
            "confluent.reporters.telemetry.auto.enable",
            "confluent.support.metrics.enable",
            "confluent.telemetry.enabled",
            "group.initial.rebalance.delay.ms",
            "inter.broker.listener.name",
            "listener.security.protocol.map",
            "listeners",
            "offsets.topic.replication.factor",
            "transaction.state.log.min.isr",
            "transaction.state.log.replication.factor",
            "zookeeper.connect",
        ],
        tools: TOOLS_OF_7,
    },
    Image {
        repository: "confluentinc/cp-server",
        tags: &["8.2."],
        naming: Naming::Ub,
        prefixes: &[("KAFKA_", "")],
        required: &[
            &["KAFKA_PROCESS_ROLES"],
            &["CLUSTER_ID"],
            &["KAFKA_ADVERTISED_LISTENERS"],
            // Not by the image: it makes wrong ones from the advertised ones.
            &["KAFKA_LISTENERS"],
        ],
        deadly: DEADLY_TO_BROKERS,
        for_scripts: &["CLUSTER_ID", "KAFKA_HEAP_OPTS", "KAFKA_LOG4J_LOGGERS"],
        properties: &[
            "advertised.listeners",
            "confluent.balancer.enable",
            "confluent.consumer.lag.emitter.enabled",
            "confluent.license.topic.replication.factor",
            "confluent.reporters.telemetry.auto.enable",
            "confluent.telemetry.enabled",
            "confluent.telemetry.exporter.c3plusplus.api.key",
            "confluent.telemetry.exporter.c3plusplus.api.secret",
            "confluent.telemetry.exporter.c3plusplus.buffer.batch.items.max",
            "confluent.telemetry.exporter.c3plusplus.buffer.inflight.submissions.max",
            "confluent.telemetry.exporter.c3plusplus.buffer.pending.batches.max",
            "confluent.telemetry.exporter.c3plusplus.client.base.url",
            "confluent.telemetry.exporter.c3plusplus.client.compression",
            "confluent.telemetry.exporter.c3plusplus.enabled",
            "confluent.telemetry.exporter.c3plusplus.metrics.include",
            "confluent.telemetry.exporter.c3plusplus.type",
            "confluent.telemetry.metrics.collector.interval.ms",
            "confluent.telemetry.remoteconfig.confluent.enabled",
            "controller.listener.names",
            "controller.quorum.voters",
            "group.initial.rebalance.delay.ms",
            "inter.broker.listener.name",
            "listener.security.protocol.map",
            "listeners",
            "metric.reporters",
            "node.id",
            "offsets.topic.replication.factor",
            "process.roles",
            "share.coordinator.state.topic.min.isr",
            "share.coordinator.state.topic.replication.factor",
            "transaction.state.log.min.isr",
            "transaction.state.log.replication.factor",
        ],
        tools: TOOLS_OF_8,
    },
    Image {
        repository: "apache/kafka",
        tags: &["4."],
        naming: Naming::Apache,
        prefixes: &[("KAFKA_", "")],
        // With one variable of ours the image's own defaults are gone, all of them.
        required: &[
            &["KAFKA_NODE_ID"],
            &["KAFKA_PROCESS_ROLES"],
            &["KAFKA_CONTROLLER_QUORUM_VOTERS"],
            &["KAFKA_CONTROLLER_LISTENER_NAMES"],
            &["KAFKA_LISTENERS"],
            &["KAFKA_ADVERTISED_LISTENERS"],
            // Not by the image: its own folder is not the volume.
            &["KAFKA_LOG_DIRS"],
            &["CLUSTER_ID"],
        ],
        deadly: DEADLY_TO_BROKERS,
        for_scripts: &["CLUSTER_ID", "KAFKA_HEAP_OPTS"],
        properties: &[
            "advertised.listeners",
            "controller.listener.names",
            "controller.quorum.voters",
            "group.initial.rebalance.delay.ms",
            "inter.broker.listener.name",
            "listener.security.protocol.map",
            "listeners",
            "log.dirs",
            "node.id",
            "offsets.topic.replication.factor",
            "process.roles",
            "share.coordinator.state.topic.min.isr",
            "share.coordinator.state.topic.replication.factor",
            "transaction.state.log.min.isr",
            "transaction.state.log.replication.factor",
        ],
        tools: &["bash", "grep", "nc", "wget"],
    },
    Image {
        repository: "confluentinc/cp-schema-registry",
        tags: &["7.9."],
        naming: Naming::Dub,
        prefixes: &[("SCHEMA_REGISTRY_", "")],
        required: &[
            &["SCHEMA_REGISTRY_HOST_NAME"],
            &[
                "SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS",
                "SCHEMA_REGISTRY_KAFKASTORE_CONNECTION_URL",
            ],
        ],
        deadly: &["SCHEMA_REGISTRY_PORT"],
        for_scripts: REGISTRY_SCRIPTS,
        properties: REGISTRY_PROPERTIES,
        tools: TOOLS_OF_7,
    },
    Image {
        repository: "confluentinc/cp-schema-registry",
        tags: &["8.2."],
        naming: Naming::Ub,
        prefixes: &[("SCHEMA_REGISTRY_", "")],
        required: &[
            &["SCHEMA_REGISTRY_HOST_NAME"],
            &["SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS"],
        ],
        deadly: &["SCHEMA_REGISTRY_PORT"],
        for_scripts: REGISTRY_SCRIPTS,
        properties: REGISTRY_PROPERTIES,
        tools: TOOLS_OF_8,
    },
    Image {
        repository: "confluentinc/cp-ksqldb-server",
        tags: &["7.9."],
        naming: Naming::Dub,
        prefixes: &[("KSQL_", "")],
        required: KSQLDB_REQUIRED,
        deadly: &[],
        // The broker list makes the appender of the processing log.
        for_scripts: &["KSQL_HEAP_OPTS", "KSQL_LOG4J_PROCESSING_LOG_BROKERLIST"],
        properties: KSQLDB_PROPERTIES,
        tools: TOOLS_OF_7,
    },
    Image {
        repository: "confluentinc/cp-ksqldb-server",
        tags: &["8.2."],
        naming: Naming::Ub,
        prefixes: &[("KSQL_", "")],
        required: KSQLDB_REQUIRED,
        deadly: &[],
        for_scripts: &["KSQL_HEAP_OPTS"],
        properties: KSQLDB_PROPERTIES,
        tools: TOOLS_OF_8,
    },
    Image {
        repository: "confluentinc/cp-enterprise-control-center",
        tags: &["7.9."],
        naming: Naming::Dub,
        prefixes: CONTROL_CENTER_PREFIXES,
        required: CONTROL_CENTER_REQUIRED,
        deadly: &[],
        for_scripts: CONTROL_CENTER_SCRIPTS,
        properties: CONTROL_CENTER_PROPERTIES,
        tools: TOOLS_OF_7,
    },
    Image {
        repository: "confluentinc/cp-enterprise-control-center-next-gen",
        tags: &["2.6."],
        naming: Naming::Ub,
        prefixes: CONTROL_CENTER_PREFIXES,
        required: CONTROL_CENTER_REQUIRED,
        deadly: &[],
        for_scripts: CONTROL_CENTER_SCRIPTS,
        properties: CONTROL_CENTER_PROPERTIES,
        // Its base has no curl.
        tools: &["bash", "ub"],
    },
    Image {
        repository: "confluentinc/cp-enterprise-prometheus",
        tags: &["2.6."],
        naming: Naming::Ub,
        // Its start script reads them, and makes options of them.
        prefixes: &[],
        required: MONITORING_REQUIRED,
        deadly: &[],
        for_scripts: MONITORING_SCRIPTS,
        properties: &[],
        tools: TOOLS_OF_MONITORING,
    },
    Image {
        repository: "confluentinc/cp-enterprise-alertmanager",
        tags: &["2.6."],
        naming: Naming::Ub,
        prefixes: &[],
        required: MONITORING_REQUIRED,
        deadly: &[],
        for_scripts: MONITORING_SCRIPTS,
        properties: &[],
        tools: TOOLS_OF_MONITORING,
    },
    Image {
        repository: "confluentinc/cp-server-connect",
        tags: &["7.9."],
        naming: Naming::Dub,
        prefixes: &[("CONNECT_", "")],
        required: CONNECT_REQUIRED,
        deadly: &[],
        for_scripts: CONNECT_SCRIPTS,
        properties: CONNECT_PROPERTIES,
        tools: TOOLS_OF_7,
    },
    Image {
        repository: "confluentinc/cp-server-connect",
        tags: &["8.2."],
        naming: Naming::Ub,
        prefixes: &[("CONNECT_", "")],
        required: CONNECT_REQUIRED,
        deadly: &[],
        for_scripts: CONNECT_SCRIPTS,
        properties: CONNECT_PROPERTIES,
        tools: TOOLS_OF_8,
    },
];

/// Its own settings have the program's name before them; two of what every client of Kafka has do not.
const CONTROL_CENTER_PREFIXES: &[(&str, &str)] = &[
    ("CONTROL_CENTER_BOOTSTRAP_", "bootstrap."),
    ("CONTROL_CENTER_", "confluent.controlcenter."),
];
const CONTROL_CENTER_REQUIRED: &[&[&str]] = &[
    &["CONTROL_CENTER_BOOTSTRAP_SERVERS"],
    &["CONTROL_CENTER_REPLICATION_FACTOR"],
];
const CONTROL_CENTER_SCRIPTS: &[&str] = &["CONTROL_CENTER_HEAP_OPTS", "CONTROL_CENTER_CUB_KAFKA_TIMEOUT"];

/// Not by the images: the files in the folder of their own are those of a single machine.
const MONITORING_REQUIRED: &[&[&str]] = &[&["CONFIG_PATH"]];
const MONITORING_SCRIPTS: &[&str] = &["CONFIG_PATH", "SHOULD_LOG_TO_FILE", "LOG_FILE"];
const TOOLS_OF_MONITORING: &[&str] = &["bash"];

const CONNECT_REQUIRED: &[&[&str]] = &[
    &["CONNECT_BOOTSTRAP_SERVERS"],
    &["CONNECT_GROUP_ID"],
    &["CONNECT_CONFIG_STORAGE_TOPIC"],
    &["CONNECT_OFFSET_STORAGE_TOPIC"],
    &["CONNECT_STATUS_STORAGE_TOPIC"],
    &["CONNECT_KEY_CONVERTER"],
    &["CONNECT_VALUE_CONVERTER"],
    &["CONNECT_REST_ADVERTISED_HOST_NAME"],
];
const CONNECT_SCRIPTS: &[&str] = &["KAFKA_HEAP_OPTS", "CONNECT_CUB_KAFKA_TIMEOUT"];
const CONNECT_PROPERTIES: &[&str] = &[
    "bootstrap.servers",
    "config.storage.replication.factor",
    "config.storage.topic",
    "group.id",
    "key.converter",
    "offset.storage.partitions",
    "offset.storage.replication.factor",
    "offset.storage.topic",
    "plugin.path",
    "rest.advertised.host.name",
    "status.storage.partitions",
    "status.storage.replication.factor",
    "status.storage.topic",
    "value.converter",
    "value.converter.schemas.enable",
];
