-- The source streams: what osquery writes, one record a result line.
--
-- The extension sends each line to the topic named after its scheduled query, so a stream's topic is
-- the query's name. All lines have one shape (osquery's event format); what differs from query to query
-- is inside `columns`, an open map of text. The streams carry every attribute but `decorations` and
-- `numerics`, which the demo does not use; ksqlDB ignores JSON fields that it was not told of.
--
-- PARTITIONS and REPLICAS let ksqlDB create a topic that no host has written to yet. One partition, as in
-- the original: a host's lines stay in order, and two topics are co-partitioned by construction.

CREATE STREAM processes (
    name VARCHAR,
    hostIdentifier VARCHAR,
    calendarTime VARCHAR,
    unixTime BIGINT,
    epoch BIGINT,
    counter BIGINT,
    columns MAP<VARCHAR, VARCHAR>,
    action VARCHAR
) WITH (KAFKA_TOPIC='processes', VALUE_FORMAT='JSON', PARTITIONS=1, REPLICAS=1);

CREATE STREAM open_files (
    name VARCHAR,
    hostIdentifier VARCHAR,
    calendarTime VARCHAR,
    unixTime BIGINT,
    epoch BIGINT,
    counter BIGINT,
    columns MAP<VARCHAR, VARCHAR>,
    action VARCHAR
) WITH (KAFKA_TOPIC='open_files', VALUE_FORMAT='JSON', PARTITIONS=1, REPLICAS=1);

-- Two more of the nine topics, for one's own questions: who is logged in, and what listens where.

CREATE STREAM logged_in_users (
    name VARCHAR,
    hostIdentifier VARCHAR,
    calendarTime VARCHAR,
    unixTime BIGINT,
    epoch BIGINT,
    counter BIGINT,
    columns MAP<VARCHAR, VARCHAR>,
    action VARCHAR
) WITH (KAFKA_TOPIC='logged_in_users', VALUE_FORMAT='JSON', PARTITIONS=1, REPLICAS=1);

CREATE STREAM listening_ports (
    name VARCHAR,
    hostIdentifier VARCHAR,
    calendarTime VARCHAR,
    unixTime BIGINT,
    epoch BIGINT,
    counter BIGINT,
    columns MAP<VARCHAR, VARCHAR>,
    action VARCHAR
) WITH (KAFKA_TOPIC='listening_ports', VALUE_FORMAT='JSON', PARTITIONS=1, REPLICAS=1);
