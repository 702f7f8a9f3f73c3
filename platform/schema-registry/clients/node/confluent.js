// Confluent's registry client for Node and its serializers.
'use strict'
const {
  AvroDeserializer, AvroSerializer, Compatibility, HeaderSchemaIdSerializer, JsonDeserializer, JsonSerializer,
  ProtobufDeserializer, ProtobufSerializer, SchemaRegistryClient, SerdeType,
} = require('@confluentinc/schemaregistry')
const { create, createMutableRegistry } = require('@bufbuild/protobuf')
const { Int32ValueSchema, file_google_protobuf_wrappers } = require('@bufbuild/protobuf/wkt')
const { DOOR, NARROWER, HOUSE, JSON_DOOR, PROTOBUF_DOOR, VALUE, check, equal, refused, run } = require('./checks.js')

const avro = schema => ({ schemaType: 'AVRO', schema: JSON.stringify(schema) })
const coded = code => error => error.errorCode === code
const VALUES = SerdeType.VALUE

run('@confluentinc/schemaregistry', async (url, name) => {
  const fresh = () => new SchemaRegistryClient({ baseURLs: [url], maxRetries: 0 })
  await administration(fresh, name)
  await avroValues(fresh, `${name}-avro`)
  await jsonValues(fresh, `${name}-json`)
  await protobufValues(fresh, `${name}-protobuf`)
})

async function administration(fresh, name) {
  const client = fresh()
  const subject = `${name} a.b-value`
  const id = await client.register(subject, avro(DOOR), false)
  equal('a schema is registered once', await fresh().register(subject, avro(DOOR), false), id)
  check('a schema is found by its id', (await fresh().getBySubjectAndId(subject, id)).schema.includes('site'))
  equal('a schema is looked up', await fresh().getId(subject, avro(DOOR), false), id)
  equal('its version too', await fresh().getVersion(subject, avro(DOOR), false, false), 1)
  const latest = await client.getLatestSchemaMetadata(subject)
  equal('the latest version is known', [latest.id, latest.version], [id, 1])
  equal('by its GUID', (await fresh().getByGuid(latest.guid)).schema, latest.schema)
  equal('versions are listed', await client.getAllVersions(subject), [1])
  check('subjects are listed', (await client.getAllSubjects()).includes(subject))
  check('compatibility is asked', !(await client.testSubjectCompatibility(subject, avro(NARROWER))))
  check('of a version', !(await client.testCompatibility(subject, 1, avro(NARROWER))))
  await refused('what is incompatible is refused', () => client.register(subject, avro(NARROWER), false), coded(409))
  await refused('a subject has no level of its own', () => client.getCompatibility(subject), coded(40408))
  equal('the level of all', await client.getDefaultCompatibility(), 'BACKWARD')
  await client.updateCompatibility(subject, Compatibility.NONE)
  equal('a level is set and read', await client.getCompatibility(subject), 'NONE')
  check('with NONE everything goes', (await client.register(subject, avro(NARROWER), false)) !== id)
  const references = [{ name: 'site.Door', subject, version: 1 }]
  await client.register(`${name}-house`, { ...avro(HOUSE), references }, false)
  await refused('what is referred to stays', () => client.deleteSubjectVersion(subject, 1, false), coded(42206))
  equal('the referring subject is deleted', await client.deleteSubject(`${name}-house`, false), [1])
  equal('a version is deleted', await client.deleteSubjectVersion(subject, 2, false), 2)
  await refused('for good only after softly', () => fresh().deleteSubject(subject, true), coded(40405))
  equal('a subject is deleted softly', await client.deleteSubject(subject, false), [1])
  equal('and for good', (await client.deleteSubject(subject, true)).sort(), [1, 2])
  await refused('what is gone is not found', () => fresh().getLatestSchemaMetadata(subject), coded(40401))
}

async function avroValues(fresh, topic) {
  const client = fresh()
  await client.register(`${topic}-value`, avro(DOOR), false)
  const serializer = new AvroSerializer(client, VALUES, { useLatestVersion: true })
  const bytes = await serializer.serialize(topic, VALUE)
  equal('avro: magic byte', bytes[0], 0)
  equal('avro: the value comes back', await new AvroDeserializer(fresh(), VALUES, {}).deserialize(topic, bytes), VALUE)
  for (let nr = 0; nr < 10_000; nr++) await serializer.serialize(topic, { ...VALUE, nr })
  equal('avro: 10,000 values make one version', await fresh().getAllVersions(`${topic}-value`), [1])
  const inHeader = new AvroSerializer(client, VALUES, { useLatestVersion: true, schemaIdSerializer: HeaderSchemaIdSerializer })
  const headers = {}
  const bare = await inHeader.serialize(topic, VALUE, headers)
  equal('avro: the GUID is in a header', Object.keys(headers), ['__value_schema_id'])
  const found = await new AvroDeserializer(fresh(), VALUES, {}).deserialize(topic, bare, headers)
  equal('avro: a schema is found by its GUID', found, VALUE)
}

async function jsonValues(fresh, topic) {
  const client = fresh()
  await client.register(`${topic}-value`, { schemaType: 'JSON', schema: JSON.stringify(JSON_DOOR) }, false)
  const serializer = new JsonSerializer(client, VALUES, { useLatestVersion: true, validate: true })
  const bytes = await serializer.serialize(topic, { nr: 7 })
  const back = await new JsonDeserializer(fresh(), VALUES, { validate: true }).deserialize(topic, bytes)
  equal('json: the value comes back', back, { nr: 7 })
  await refused('json: what does not fit is refused', () => serializer.serialize(topic, { nr: 'seven' }), () => true)
}

async function protobufValues(fresh, topic) {
  const registry = createMutableRegistry(file_google_protobuf_wrappers)
  const serializer = new ProtobufSerializer(fresh(), VALUES, { autoRegisterSchemas: true, registry })
  const bytes = await serializer.serialize(topic, create(Int32ValueSchema, { value: 7 }))
  const back = await new ProtobufDeserializer(fresh(), VALUES, {}).deserialize(topic, bytes)
  equal('protobuf: the value comes back', back.value, 7)
  // A file that was registered as text; the client asks for its descriptor.
  const id = await fresh().register(`${topic}-text-value`, { schemaType: 'PROTOBUF', schema: PROTOBUF_DOOR }, false)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(id, 1)
  const door = Buffer.concat([head, Buffer.from([0, 8, 7])])
  const read = await new ProtobufDeserializer(fresh(), VALUES, {}).deserialize(`${topic}-text`, door)
  equal('protobuf: the value of a text comes back', read.nr, 7)
  equal('protobuf: the type is kept', (await fresh().getLatestSchemaMetadata(`${topic}-value`)).schemaType, 'PROTOBUF')
}
