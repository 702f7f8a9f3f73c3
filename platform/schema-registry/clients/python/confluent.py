#!/usr/bin/env python3
"""The Python client of a Schema Registry and its serializers, against any registry and broker.

    pip install 'confluent-kafka[avro,json,protobuf,schemaregistry]'
    platform/schema-registry/clients/python/confluent.py --url http://127.0.0.1:8081 --broker 127.0.0.1:9092

Uses subjects and topics of its own, and ends with 1 where something is not as it should be.
"""
import argparse
import inspect
import sys
import uuid

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DOOR = """{"type": "record", "name": "Door", "namespace": "site", "doc": "A door.", "fields": [
  {"name": "nr", "type": "int"},
  {"name": "open", "type": ["null", "boolean"], "default": null},
  {"name": "seen", "type": {"type": "map", "values": "string"}, "default": {}}]}"""
NARROWER = DOOR.replace('"int"', '"string"')
JSON_DOOR = """{"$schema": "http://json-schema.org/draft-07/schema#", "title": "Door", "type": "object",
  "properties": {"nr": {"type": "integer"}}, "required": ["nr"]}"""
VALUE = {"nr": 7, "open": True, "seen": {"by": "Zoë"}}

done = []


def check(what, holds):
    if not holds:
        sys.exit(f"failed: {what}")
    done.append(what)


def refused(call, code):
    try:
        call()
    except SchemaRegistryError as error:
        return error.error_code == code
    return False


def through_kafka(broker, topic, value, headers):
    """What a consumer gets of a record."""
    producer = Producer({"bootstrap.servers": broker})
    producer.produce(topic, value=value, headers=headers)
    check(f"{topic}: the record is acknowledged", producer.flush(30) == 0)
    consumer = Consumer({"bootstrap.servers": broker, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(30)
    consumer.close()
    check(f"{topic}: the record is read", message is not None and message.error() is None)
    return message


def registry(client, name):
    subject = f"{name} a.b-value"
    first = client.register_schema(subject, Schema(DOOR, "AVRO"))
    check("a schema is registered once", client.register_schema(subject, Schema(DOOR, "AVRO")) == first)
    check("a schema is found by its id", "site" in client.get_schema(first).schema_str)
    check("a schema is looked up", client.lookup_schema(subject, Schema(DOOR, "AVRO")).version == 1)
    check("the latest version is known", client.get_latest_version(subject).schema_id == first)
    check("versions are listed", client.get_versions(subject) == [1])
    check("subjects are listed", subject in client.get_subjects())
    check("compatibility is asked", not client.test_compatibility(subject, Schema(NARROWER, "AVRO")))
    fresh = SchemaRegistryClient({"url": arguments.url})
    check("what is incompatible is refused", any(
        refused(lambda: fresh.register_schema(subject, Schema(NARROWER, "AVRO")), code) for code in (409, 40901)))
    check("a level is set", client.set_compatibility(subject, "NONE") is not None)
    check("a level is read", client.get_compatibility(subject) == "NONE")
    second = client.register_schema(subject, Schema(NARROWER, "AVRO"))
    check("with NONE everything goes", second != first)
    house = '{"type": "record", "name": "House", "fields": [{"name": "door", "type": "site.Door"}]}'
    reference = SchemaReference("site.Door", subject, 1)
    check("references are taken", client.register_schema(f"{name}-house", Schema(house, "AVRO", [reference])) > 0)
    check("what is referred to stays", refused(lambda: client.delete_version(subject, 1), 42206))
    client.delete_subject(f"{name}-house")
    check("a version is deleted", client.delete_version(subject, 2) == 2)
    check("a subject is deleted for good", delete_for_good(client, subject)[0] == 1)
    check("what is gone is not found", refused(lambda: fresh.get_latest_version(subject), 40401))


def delete_for_good(client, subject):
    """Clients of old delete softly first on their own."""
    try:
        return client.delete_subject(subject, permanent=True)
    except SchemaRegistryError as error:
        check("for good only after softly", error.error_code == 40405)
    check("a subject is deleted softly", client.delete_subject(subject) == [1])
    return client.delete_subject(subject, permanent=True)


def avro(client, broker, topic):
    context = SerializationContext(topic, MessageField.VALUE, headers=[])
    serialize = AvroSerializer(client, DOOR)
    message = through_kafka(broker, topic, serialize(VALUE, context), None)
    check("avro: magic byte", message.value()[0] == 0)
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": arguments.url}))
    check("avro: the value comes back", deserialize(message.value(), context) == VALUE)
    check("avro: null stays null", serialize(None, context) is None)
    for number in range(10_000):
        serialize({"nr": number, "open": None, "seen": {}}, context)
    check("avro: 10,000 values make one version", client.get_versions(f"{topic}-value") == [1])
    found = AvroSerializer(client, DOOR, conf={"auto.register.schemas": False})
    check("avro: a registered schema is found", found(VALUE, context)[:5] == message.value()[:5])
    latest = AvroSerializer(client, DOOR, conf={"auto.register.schemas": False, "use.latest.version": True})
    check("avro: the latest schema is used", latest(VALUE, context)[:5] == message.value()[:5])


def avro_in_a_header(client, broker, topic):
    try:
        from confluent_kafka.schema_registry import header_schema_id_serializer
    except ImportError:
        return
    context = SerializationContext(topic, MessageField.VALUE, headers=[])
    serialize = AvroSerializer(client, DOOR, conf={"schema.id.serializer": header_schema_id_serializer})
    value = serialize(VALUE, context)
    message = through_kafka(broker, topic, value, context.headers)
    check("avro: the GUID is in a header", message.headers()[0][0] == "__value_schema_id")
    reading = SerializationContext(topic, MessageField.VALUE, headers=message.headers())
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": arguments.url}))
    check("avro: a schema is found by its GUID", deserialize(message.value(), reading) == VALUE)


def json_schema(client, broker, topic):
    context = SerializationContext(topic, MessageField.VALUE, headers=[])
    value = {"nr": 7}
    message = through_kafka(broker, topic, JSONSerializer(JSON_DOOR, client)(value, context), None)
    deserialize = JSONDeserializer(None, schema_registry_client=SchemaRegistryClient({"url": arguments.url}))
    check("json: the value comes back", deserialize(message.value(), context) == value)


def door_message():
    """The class of a message, as `protoc` would have made it."""
    file = descriptor_pb2.FileDescriptorProto(name="door.proto", package="site", syntax="proto3")
    field = file.message_type.add(name="Door").field.add(name="nr", number=1)
    field.type, field.label = field.TYPE_INT32, field.LABEL_OPTIONAL
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("site.Door"))


def protobuf(client, broker, topic):
    context = SerializationContext(topic, MessageField.VALUE, headers=[])
    door = door_message()
    serialize = ProtobufSerializer(door, client, {"use.deprecated.format": False})
    message = through_kafka(broker, topic, serialize(door(nr=7), context), None)
    parameters = inspect.signature(ProtobufDeserializer.__init__).parameters
    more = {"schema_registry_client": client} if "schema_registry_client" in parameters else {}
    deserialize = ProtobufDeserializer(door, {"use.deprecated.format": False}, **more)
    check("protobuf: the value comes back", deserialize(message.value(), context).nr == 7)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--url", required=True)
parser.add_argument("--broker", required=True)
arguments = parser.parse_args()
own = f"clients-{uuid.uuid4().hex[:8]}"
own_client = SchemaRegistryClient({"url": arguments.url})
registry(own_client, own)
for part in (avro, avro_in_a_header, json_schema, protobuf):
    part(own_client, arguments.broker, f"{own}-{part.__name__}")
print(f"confluent-kafka {confluent_kafka.__version__}: {len(done)} checks passed")
