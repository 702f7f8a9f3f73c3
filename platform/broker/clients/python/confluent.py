"""confluent-kafka, which is librdkafka."""

import confluent_kafka
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import admin as administration

import checks
from checks import DEADLINE, Absent, expect, unique, until


LIBRARY = tuple(map(int, confluent_kafka.libversion()[0].split(".")[:2]))


def done(futures):
    return {key: future.result(DEADLINE) for key, future in futures.items()}


class Client:
    name = "confluent-kafka"
    version = f"{confluent_kafka.version()[0] if isinstance(confluent_kafka.version(), tuple) else confluent_kafka.version()} (librdkafka {confluent_kafka.libversion()[0]})"

    def __init__(self, bootstrap):
        self.base = {"bootstrap.servers": bootstrap}
        self.admin = administration.AdminClient(dict(self.base))

    def create(self, topic, partitions):
        done(self.admin.create_topics([administration.NewTopic(topic, partitions, 1)]))

    def send(self, topic, values, partition=None, codec="none", idempotent=False):
        settings = {"compression.type": codec, "enable.idempotence": idempotent, "linger.ms": 5}
        self._send(Producer(self.base | settings), topic, values, partition)

    def _send(self, producer, topic, values, partition):
        failures = []
        report = lambda error, _: error and failures.append(error)
        where = {} if partition is None else {"partition": partition}
        for value in values:
            producer.produce(topic, value, on_delivery=report, **where)
        expect(producer.flush(DEADLINE), 0, "messages without an answer")
        expect(failures, [], "messages refused")

    def read(self, topic, partition, start, count, committed=False, meanwhile=None):
        consumer = Consumer(self.base | {
            "group.id": unique("reader"),
            "enable.auto.commit": False,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
        })
        offset = {"start": confluent_kafka.OFFSET_BEGINNING}.get(start, start)
        if start == "end":
            offset = consumer.get_watermark_offsets(TopicPartition(topic, partition), DEADLINE)[1]
        elif isinstance(start, tuple):
            offset = consumer.offsets_for_times([TopicPartition(topic, partition, start[1])], DEADLINE)[0].offset
        consumer.assign([TopicPartition(topic, partition, offset)])
        if meanwhile:
            meanwhile()
        found = []

        def enough():
            for message in consumer.consume(500, 0.1):
                if message.error():
                    raise KafkaException(message.error())
                found.append(message.value())
            return len(found) >= count

        until(lambda: f"{len(found)} of {count} values", enough)
        consumer.close()
        return found

    def committed(self, group, topic, partition):
        consumer = Consumer(self.base | {"group.id": group})
        offset = consumer.committed([TopicPartition(topic, partition)], DEADLINE)[0].offset
        consumer.close()
        return offset

    def transaction(self, id):
        client = self

        class Transaction:
            def __init__(self):
                self.producer = Producer(client.base | {"transactional.id": id})
                self.producer.init_transactions(DEADLINE)
                self.is_open = False

            def begin(self):
                if not self.is_open:
                    self.producer.begin_transaction()
                    self.is_open = True

            def send(self, topic, values):
                self.begin()
                client._send(self.producer, topic, values, 0)

            def offsets(self, group, topic, partition, offset):
                consumer = Consumer(client.base | {"group.id": group})
                metadata = consumer.consumer_group_metadata()
                place = TopicPartition(topic, partition, offset)
                self.producer.send_offsets_to_transaction([place], metadata, DEADLINE)
                consumer.close()

            def end(self, commits):
                self.is_open = False
                if commits:
                    self.producer.commit_transaction(DEADLINE)
                else:
                    self.producer.abort_transaction(DEADLINE)

        return Transaction()

    def member(self, group, topic, assignor=None, instance=None, protocol="classic"):
        if assignor == "sticky":
            raise Absent("librdkafka has no eager sticky assignor")
        if protocol != "classic" and LIBRARY < (2, 4):
            raise Absent("librdkafka has the newer group protocol from 2.4 on")
        settings = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        if protocol != "classic":
            settings["group.protocol"] = protocol
        if protocol == "classic":
            settings |= {"session.timeout.ms": 10000, "heartbeat.interval.ms": 500}
            settings["partition.assignment.strategy"] = assignor or "range"
        if instance:
            settings["group.instance.id"] = instance
        consumer = Consumer(self.base | settings)
        consumer.subscribe([topic])

        class Member:
            def poll(self):
                messages = consumer.consume(100, 0.1)
                for message in messages:
                    if message.error():
                        raise KafkaException(message.error())
                return [message.value() for message in messages]

            def assigned(self):
                return [place.partition for place in consumer.assignment()]

            def commit(self):
                if any(place.offset >= 0 for place in consumer.position(consumer.assignment())):
                    consumer.commit(asynchronous=False)

            def close(self):
                consumer.close()

        return Member()

    def admin_topics(self):
        topic = unique("topic")
        self.create(topic, 2)
        described = lambda: len(self.admin.list_topics(topic=topic, timeout=DEADLINE).topics[topic].partitions)
        expect(described(), 2, "partitions")
        done(self.admin.create_partitions([administration.NewPartitions(topic, 5)]))
        expect(described(), 5, "partitions")
        names = confluent_kafka.TopicCollection([topic])
        expect(len(done(self.admin.describe_topics(names))[topic].partitions), 5, "partitions")
        done(self.admin.delete_topics([topic]))
        expect(topic in self.admin.list_topics(timeout=DEADLINE).topics, False, "deleted topic")

    def admin_settings(self):
        topic = unique("topic")
        self.create(topic, 1)
        resource = administration.ConfigResource(administration.ConfigResource.Type.TOPIC, topic)
        resource.add_incremental_config(administration.ConfigEntry(
            "retention.ms", "1234567", incremental_operation=administration.AlterConfigOpType.SET))
        done(self.admin.incremental_alter_configs([resource]))
        asked = administration.ConfigResource(administration.ConfigResource.Type.TOPIC, topic)
        settings = done(self.admin.describe_configs([asked]))[asked]
        expect(settings["retention.ms"].value, "1234567", "retention.ms")
        broker = administration.ConfigResource(administration.ConfigResource.Type.BROKER, "1")
        expect("log.retention.ms" in done(self.admin.describe_configs([broker]))[broker], True, "broker's settings")

    def admin_records(self):
        topic = unique("topic")
        self.create(topic, 1)
        self.send(topic, [b"1", b"2", b"3"], 0)
        done(self.admin.delete_records([TopicPartition(topic, 0, 2)]))
        expect(self.read(topic, 0, "start", 1), [b"3"], "values")

    def admin_groups(self):
        topic, group = unique("topic"), unique("group")
        self.create(topic, 1)
        self.send(topic, [b"1"], 0)
        member = checks.Reader(self, group, topic)
        until("a record", lambda: member.check() or member.values)
        member.commit()
        listed = [found.group_id for found in self.admin.list_consumer_groups().result(DEADLINE).valid]
        expect(group in listed, True, "listed")
        asked = {"include_authorized_operations": True} if LIBRARY >= (2, 3) else {}
        described = done(self.admin.describe_consumer_groups([group], **asked))[group]
        expect(len(described.members), 1, "members")
        if asked:
            expect(bool(described.authorized_operations), True, "authorized operations")
        member.close()
        request = [confluent_kafka.ConsumerGroupTopicPartitions(group)]
        offsets = done(self.admin.list_consumer_group_offsets(request))[group]
        expect([place.offset for place in offsets.topic_partitions], [1], "offsets")
        done(self.admin.delete_consumer_groups([group]))

    def admin_cluster(self):
        cluster = self.admin.describe_cluster(include_authorized_operations=True).result(DEADLINE)
        expect(len(cluster.nodes), 1, "nodes")
        expect(bool(cluster.authorized_operations), True, "authorized operations")

    def admin_acls(self):
        # On a topic of its own, or everything else would be denied to everybody.
        of = (administration.ResourceType.TOPIC, unique("topic"), administration.ResourcePatternType.LITERAL)
        rule = (administration.AclOperation.READ, administration.AclPermissionType.ALLOW)
        done(self.admin.create_acls([administration.AclBinding(*of, "User:alice", "*", *rule)]))
        found = administration.AclBindingFilter(*of, None, None, *rule)
        expect(len(self.admin.describe_acls(found).result(DEADLINE)), 1, "rules")
        expect(len(done(self.admin.delete_acls([found]))[found]), 1, "rules deleted")

    def admin_users(self):
        name = unique("user")
        mechanism = administration.ScramMechanism.SCRAM_SHA_512
        info = administration.ScramCredentialInfo(mechanism, 8192)
        user = administration.UserScramCredentialUpsertion(name, info, b"secret")
        done(self.admin.alter_user_scram_credentials([user]))
        found = done(self.admin.describe_user_scram_credentials([name]))[name]
        expect([info.iterations for info in found.scram_credential_infos], [8192], "rounds")
        gone = administration.UserScramCredentialDeletion(name, mechanism)
        done(self.admin.alter_user_scram_credentials([gone]))


if __name__ == "__main__":
    checks.main(Client)
