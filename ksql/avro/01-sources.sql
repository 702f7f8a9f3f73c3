-- The source streams of lines in Avro (`osqdemo up --format avro`): they are told no columns.
--
-- The hosts register the schema of their lines in the Schema Registry before they write the first one, and ksqlDB reads
-- it there. It is one schema for all queries: what differs from query to query is inside `columns`, an open map of text,
-- so that the statements behind these are the same as for lines in JSON.
--
-- PARTITIONS and REPLICAS let ksqlDB create a topic that no host has written to yet.

CREATE STREAM processes WITH (KAFKA_TOPIC='processes', VALUE_FORMAT='AVRO', PARTITIONS=1, REPLICAS=1);

CREATE STREAM open_files WITH (KAFKA_TOPIC='open_files', VALUE_FORMAT='AVRO', PARTITIONS=1, REPLICAS=1);

-- Two more of the nine topics, for one's own questions: who is logged in, and what listens where.

CREATE STREAM logged_in_users WITH (KAFKA_TOPIC='logged_in_users', VALUE_FORMAT='AVRO', PARTITIONS=1, REPLICAS=1);

CREATE STREAM listening_ports WITH (KAFKA_TOPIC='listening_ports', VALUE_FORMAT='AVRO', PARTITIONS=1, REPLICAS=1);
