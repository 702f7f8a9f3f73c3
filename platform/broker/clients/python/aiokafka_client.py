"""aiokafka, whose tasks run in a loop in a thread of its own."""

import asyncio
import threading

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import admin as administration
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.structs import OffsetAndMetadata

import checks
from checks import DEADLINE, Absent, expect, unique, until

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor, "sticky": StickyPartitionAssignor}


class Client:
    name = "aiokafka"
    version = aiokafka.__version__

    def __init__(self, bootstrap):
        self.base = {"bootstrap_servers": bootstrap}
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.admin = self.call(administration.AIOKafkaAdminClient, **self.base)
        self.do(self.admin.start())

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(2 * DEADLINE)

    def call(self, function, *arguments, **settings):
        """Calls a function within the loop, as aiokafka wants it."""

        async def calls():
            return function(*arguments, **settings)

        return self.do(calls())

    def create(self, topic, partitions):
        self.do(self.admin.create_topics([administration.NewTopic(topic, partitions, 1)]))

    def send(self, topic, values, partition=None, codec="none", idempotent=False):
        settings = {"compression_type": None if codec == "none" else codec, "acks": "all"}
        producer = self.call(AIOKafkaProducer, **self.base, **settings, enable_idempotence=idempotent, linger_ms=5)
        self.do(producer.start())
        self._send(producer, topic, values, partition)
        self.do(producer.stop())

    def _send(self, producer, topic, values, partition):
        async def send():
            sent = [await producer.send(topic, value, partition=partition) for value in values]
            await asyncio.gather(*sent)

        self.do(send())

    def read(self, topic, partition, start, count, committed=False, meanwhile=None):
        level = "read_committed" if committed else "read_uncommitted"
        consumer = self.call(AIOKafkaConsumer, **self.base, isolation_level=level, enable_auto_commit=False)
        self.do(consumer.start())
        place = TopicPartition(topic, partition)
        self.call(consumer.assign, [place])
        if start == "start":
            self.do(consumer.seek_to_beginning(place))
        elif start == "end":
            self.call(consumer.seek, place, self.do(consumer.end_offsets([place]))[place])
        elif isinstance(start, tuple):
            self.call(consumer.seek, place, self.do(consumer.offsets_for_times({place: start[1]}))[place].offset)
        else:
            self.call(consumer.seek, place, start)
        if meanwhile:
            meanwhile()
        found = []

        def enough():
            for records in self.do(consumer.getmany(timeout_ms=200)).values():
                found.extend(record.value for record in records)
            return len(found) >= count

        until(lambda: f"{len(found)} of {count} values", enough)
        self.do(consumer.stop())
        return found

    def committed(self, group, topic, partition):
        consumer = self.call(AIOKafkaConsumer, **self.base, group_id=group, enable_auto_commit=False)
        self.do(consumer.start())
        place = TopicPartition(topic, partition)
        self.call(consumer.assign, [place])
        offset = self.do(consumer.committed(place))
        self.do(consumer.stop())
        return offset

    def transaction(self, id):
        client = self

        class Transaction:
            def __init__(self):
                self.producer = client.call(AIOKafkaProducer, **client.base, transactional_id=id)
                client.do(self.producer.start())
                self.is_open = False

            def send(self, topic, values):
                if not self.is_open:
                    client.do(self.producer.begin_transaction())
                    self.is_open = True
                client._send(self.producer, topic, values, 0)

            def offsets(self, group, topic, partition, offset):
                place = {TopicPartition(topic, partition): OffsetAndMetadata(offset, "")}
                client.do(self.producer.send_offsets_to_transaction(place, group))

            def end(self, commits):
                self.is_open = False
                client.do(self.producer.commit_transaction() if commits else self.producer.abort_transaction())

        return Transaction()

    def member(self, group, topic, assignor=None, instance=None, protocol="classic"):
        if protocol != "classic":
            raise Absent("aiokafka does not have the newer group protocol")
        if assignor == "cooperative-sticky":
            raise Absent("aiokafka has no assignor cooperative-sticky")
        settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
        settings |= {"session_timeout_ms": 10000, "heartbeat_interval_ms": 500}
        if assignor:
            settings["partition_assignment_strategy"] = [ASSIGNORS[assignor]]
        if instance:
            settings["group_instance_id"] = instance
        consumer = self.call(AIOKafkaConsumer, topic, **self.base, group_id=group, **settings)
        self.do(consumer.start())
        client = self

        class Member:
            def poll(self):
                polled = client.do(consumer.getmany(timeout_ms=100))
                return [record.value for records in polled.values() for record in records]

            def assigned(self):
                return [place.partition for place in consumer.assignment()]

            def commit(self):
                if consumer.assignment():
                    client.do(consumer.commit())

            def close(self):
                client.do(consumer.stop())

        return Member()

    def admin_topics(self):
        topic = unique("topic")
        self.create(topic, 2)
        described = lambda: len(self.do(self.admin.describe_topics([topic]))[0]["partitions"])
        expect(described(), 2, "partitions")
        self.do(self.admin.create_partitions({topic: administration.NewPartitions(5)}))
        expect(described(), 5, "partitions")
        self.do(self.admin.delete_topics([topic]))
        expect(topic in self.do(self.admin.list_topics()), False, "deleted topic")

    def admin_settings(self):
        topic = unique("topic")
        self.create(topic, 1)
        changed = ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "1234567"})
        self.do(self.admin.alter_configs([changed]))
        answers = self.do(self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
        found = {entry[0]: entry[1] for entry in answers[0].resources[0][4]}
        expect(found["retention.ms"], "1234567", "retention.ms")

    def admin_records(self):
        topic = unique("topic")
        self.create(topic, 1)
        self.send(topic, [b"1", b"2", b"3"], 0)
        before = administration.RecordsToDelete(before_offset=2)
        self.do(self.admin.delete_records({TopicPartition(topic, 0): before}))
        expect(self.read(topic, 0, "start", 1), [b"3"], "values")

    def admin_groups(self):
        topic, group = unique("topic"), unique("group")
        self.create(topic, 1)
        self.send(topic, [b"1"], 0)
        member = checks.Reader(self, group, topic)
        until("a record", lambda: member.check() or member.values)
        member.commit()
        expect(group in [found[0] for found in self.do(self.admin.list_consumer_groups())], True, "listed")
        described = self.do(self.admin.describe_consumer_groups([group]))[0].to_object()["groups"][0]
        expect(len(described["members"]), 1, "members")
        member.close()
        offsets = self.do(self.admin.list_consumer_group_offsets(group))
        expect(offsets[TopicPartition(topic, 0)].offset, 1, "offset")

    def admin_cluster(self):
        expect(len(self.do(self.admin.describe_cluster())["brokers"]), 1, "brokers")

    def admin_acls(self):
        raise Absent("aiokafka cannot make rules")

    def admin_users(self):
        raise Absent("aiokafka cannot make users")


if __name__ == "__main__":
    checks.main(Client)
