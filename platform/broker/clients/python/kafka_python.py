"""kafka-python."""

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import admin as administration
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.structs import OffsetAndMetadata

import checks
from checks import DEADLINE, Absent, expect, unique, until

try:
    from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
except ImportError:
    StickyPartitionAssignor = None

# Version 3 has named and shaped its administration anew.
IS_NEW = hasattr(KafkaAdminClient, "list_groups")
ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor, "sticky": StickyPartitionAssignor}


def has(what, name):
    return name in what.DEFAULT_CONFIG


class Client:
    name = "kafka-python"
    version = kafka.__version__

    def __init__(self, bootstrap):
        self.base = {"bootstrap_servers": bootstrap}
        self._admin = None

    @property
    def admin(self):
        self._admin = self._admin or KafkaAdminClient(**self.base)
        return self._admin

    def create(self, topic, partitions):
        self.admin.create_topics([administration.NewTopic(topic, partitions, 1)])

    def send(self, topic, values, partition=None, codec="none", idempotent=False):
        settings = {"compression_type": None if codec == "none" else codec, "linger_ms": 5, "acks": "all"}
        if has(KafkaProducer, "enable_idempotence"):
            settings["enable_idempotence"] = idempotent
        elif idempotent:
            raise Absent("this version has no idempotent producer")
        try:
            producer = KafkaProducer(**self.base, **settings)
        except ValueError as error:
            raise Absent(f"kafka-python {self.version}: {error}") from error
        self._send(producer, topic, values, partition)
        producer.close()

    def _send(self, producer, topic, values, partition):
        futures = [producer.send(topic, value, partition=partition) for value in values]
        producer.flush(DEADLINE)
        for future in futures:
            future.get(DEADLINE)

    def read(self, topic, partition, start, count, committed=False, meanwhile=None):
        settings = {"isolation_level": "read_committed"} if committed else {}
        consumer = KafkaConsumer(**self.base, **settings, enable_auto_commit=False)
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        if start == "start":
            consumer.seek_to_beginning(place)
        elif start == "end":
            consumer.seek(place, consumer.end_offsets([place])[place])
        elif isinstance(start, tuple):
            consumer.seek(place, consumer.offsets_for_times({place: start[1]})[place].offset)
        else:
            consumer.seek(place, start)
        if meanwhile:
            meanwhile()
        found = []

        def enough():
            for records in consumer.poll(200).values():
                found.extend(record.value for record in records)
            return len(found) >= count

        until(lambda: f"{len(found)} of {count} values", enough)
        consumer.close()
        return found

    def committed(self, group, topic, partition):
        consumer = KafkaConsumer(**self.base, group_id=group)
        offset = consumer.committed(TopicPartition(topic, partition))
        consumer.close()
        return offset

    def transaction(self, id):
        if not has(KafkaProducer, "transactional_id"):
            raise Absent("this version has no transactions")
        client = self

        class Transaction:
            def __init__(self):
                self.producer = KafkaProducer(**client.base, transactional_id=id)
                self.producer.init_transactions()
                self.is_open = False

            def send(self, topic, values):
                if not self.is_open:
                    self.producer.begin_transaction()
                    self.is_open = True
                client._send(self.producer, topic, values, 0)

            def offsets(self, group, topic, partition, offset):
                place = OffsetAndMetadata(offset, "", -1)
                self.producer.send_offsets_to_transaction({TopicPartition(topic, partition): place}, group)

            def end(self, commits):
                self.is_open = False
                if commits:
                    self.producer.commit_transaction()
                else:
                    self.producer.abort_transaction()

        return Transaction()

    def member(self, group, topic, assignor=None, instance=None, protocol="classic"):
        if protocol != "classic":
            raise Absent("kafka-python does not have the newer group protocol")
        if assignor == "cooperative-sticky" or assignor and not ASSIGNORS[assignor]:
            raise Absent(f"kafka-python has no assignor {assignor}")
        settings = {"group_id": group, "auto_offset_reset": "earliest", "enable_auto_commit": False}
        settings |= {"session_timeout_ms": 10000, "heartbeat_interval_ms": 500}
        if assignor:
            settings["partition_assignment_strategy"] = [ASSIGNORS[assignor]]
        if instance:
            if not has(KafkaConsumer, "group_instance_id"):
                raise Absent("this version has no static members")
            settings["group_instance_id"] = instance
        consumer = KafkaConsumer(topic, **self.base, **settings)
        if IS_NEW:
            # Version 3.0.12 forgets a JoinGroup under way, and its heartbeats with it, where it leads a group whose topic
            # it learns of after its first assignment; on Apache Kafka as well.
            consumer.topics()

        class Member:
            def poll(self):
                return [record.value for records in consumer.poll(100).values() for record in records]

            def assigned(self):
                return [place.partition for place in consumer.assignment()]

            def commit(self):
                if consumer.assignment():
                    consumer.commit()

            def close(self):
                consumer.close()

        return Member()

    def admin_topics(self):
        topic = unique("topic")
        self.create(topic, 2)
        described = lambda: len(self.admin.describe_topics([topic])[0]["partitions"])
        expect(described(), 2, "partitions")
        self.admin.create_partitions({topic: administration.NewPartitions(5)})
        expect(described(), 5, "partitions")
        self.admin.delete_topics([topic])
        expect(topic in self.admin.list_topics(), False, "deleted topic")

    def admin_settings(self):
        topic = unique("topic")
        self.create(topic, 1)
        kind = administration.ConfigResourceType
        changed = administration.ConfigResource(kind.TOPIC, topic, {"retention.ms": "1234567"})
        self.admin.alter_configs([changed])
        found = self._settings(administration.ConfigResource(kind.TOPIC, topic))
        expect(found["retention.ms"], "1234567", "retention.ms")
        found = self._settings(administration.ConfigResource(kind.BROKER, "1"))
        expect("log.retention.ms" in found, True, "broker's settings")

    def _settings(self, resource):
        if IS_NEW:
            answers = self.admin.describe_configs([resource], config_filter="all")
            settings = answers[resource.resource_type.name.lower()][resource.name]
            return {name: setting["value"] for name, setting in settings.items()}
        answers = self.admin.describe_configs([resource])
        # Version 1.4 answers with one, later ones with a list.
        answer = answers[0] if isinstance(answers, list) else answers
        return {entry[0]: entry[1] for entry in answer.resources[0][4]}

    def admin_records(self):
        if not hasattr(self.admin, "delete_records"):
            raise Absent("this version cannot delete records")
        topic = unique("topic")
        self.create(topic, 1)
        self.send(topic, [b"1", b"2", b"3"], 0)
        self.admin.delete_records({TopicPartition(topic, 0): 2})
        expect(self.read(topic, 0, "start", 1), [b"3"], "values")

    def admin_groups(self):
        topic, group = unique("topic"), unique("group")
        self.create(topic, 1)
        self.send(topic, [b"1"], 0)
        member = checks.Reader(self, group, topic)
        until("a record", lambda: member.check() or member.values)
        member.commit()
        if IS_NEW:
            expect(group in [found["group_id"] for found in self.admin.list_groups()], True, "listed")
            expect(len(self.admin.describe_groups([group])[group]["members"]), 1, "members")
            member.close()
            offsets = self.admin.list_group_offsets(group)[group]
        else:
            expect(group in [found[0] for found in self.admin.list_consumer_groups()], True, "listed")
            expect(len(self.admin.describe_consumer_groups([group])[0].members), 1, "members")
            member.close()
            offsets = self.admin.list_consumer_group_offsets(group)
        expect(offsets[TopicPartition(topic, 0)].offset, 1, "offset")
        delete = self.admin.delete_groups if IS_NEW else self.admin.delete_consumer_groups
        delete([group])

    def admin_cluster(self):
        expect(len(self.admin.describe_cluster()["brokers"]), 1, "brokers")

    def admin_acls(self):
        pattern = administration.ResourcePattern(administration.ResourceType.TOPIC, unique("topic"))
        rule = ("User:alice", "*", administration.ACLOperation.READ, administration.ACLPermissionType.ALLOW)
        made = self.admin.create_acls([administration.ACL(*rule, pattern)])
        expect(len(made["succeeded"]), 1, "rules made")
        of = administration.ResourcePatternFilter(
            pattern.resource_type, pattern.resource_name, administration.ACLResourcePatternType.LITERAL)
        filter = administration.ACLFilter(None, None, rule[2], rule[3], of)
        expect(len(self.admin.describe_acls(filter)[0]), 1, "rules")
        self.admin.delete_acls([filter])
        expect(len(self.admin.describe_acls(filter)[0]), 0, "rules left")

    def admin_users(self):
        if not hasattr(self.admin, "alter_user_scram_credentials"):
            raise Absent("kafka-python makes users from 3.0 on")
        name = unique("user")
        user = administration.UserScramCredentialUpsertion(name, "SCRAM-SHA-512", "secret", iterations=8192)
        expect(self.admin.alter_user_scram_credentials([user]), {name: None}, "answer")
        found = self.admin.describe_user_scram_credentials([name])[name]["credential_infos"]
        expect([info["iterations"] for info in found], [8192], "rounds")


if __name__ == "__main__":
    checks.main(Client)
