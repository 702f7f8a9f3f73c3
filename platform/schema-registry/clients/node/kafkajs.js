// The registry client of kafkajs.
'use strict'
const { SchemaRegistry, SchemaType, COMPATIBILITY } = require('@kafkajs/confluent-schema-registry')
const { DOOR, NARROWER, HOUSE, JSON_DOOR, PROTOBUF_DOOR, VALUE, check, equal, refused, run } = require('./checks.js')

run('@kafkajs/confluent-schema-registry', async (url, name) => {
  const fresh = options => new SchemaRegistry({ host: url, retry: { retries: 0 } }, options)
  const registry = fresh()
  const subject = `${name} a.b-value`
  const { id } = await registry.register(DOOR, { subject })
  equal('a schema is registered once', (await fresh().register(DOOR, { subject })).id, id)
  equal('a schema is looked up', await fresh().getRegistryIdBySchema(subject, DOOR), id)
  equal('the latest version is known', await fresh().getLatestSchemaId(subject), id)
  equal('a version is found', await fresh().getRegistryId(subject, 1), id)
  // Which its register sets for a subject that has no level of its own.
  await refused('another level than the subject has', () =>
    fresh().register(DOOR, { subject, compatibility: COMPATIBILITY.FULL }), error => /does not match/.test(error.message))
  await refused('what is incompatible is refused', () => fresh().register(NARROWER, { subject }), error => error.status === 409)
  await refused('what is not there is not found', () => fresh().getLatestSchemaId(`${name}-none`), error => error.status === 404)
  await refused('nor an id that was never given', () => fresh().getSchema(2 ** 30), error => error.status === 404)

  const bytes = await registry.encode(id, VALUE)
  equal('avro: magic byte and id', [bytes[0], bytes.readInt32BE(1)], [0, id])
  equal('avro: the value comes back', await fresh().decode(bytes), VALUE)
  const narrow = { ...DOOR, fields: DOOR.fields.slice(0, 1) }
  equal('avro: read with another schema', await fresh().decode(bytes, { AVRO: { readerSchema: narrow } }), { nr: 7 })
  const house = await registry.register(
    { type: SchemaType.AVRO, schema: JSON.stringify(HOUSE), references: [{ name: 'site.Door', subject, version: 1 }] },
    { subject: `${name}-house` })
  const referring = await registry.encode(house.id, { door: VALUE })
  equal('avro: a referring value comes back', await fresh().decode(referring), { door: VALUE })

  const json = await registry.register({ type: SchemaType.JSON, schema: JSON.stringify(JSON_DOOR) }, { subject: `${name}-json` })
  equal('json: the value comes back', await fresh().decode(await registry.encode(json.id, { nr: 7 })), { nr: 7 })
  await refused('json: what does not fit is refused', () => registry.encode(json.id, { nr: 'seven' }), error => error.paths)
  const protobuf = await registry.register({ type: SchemaType.PROTOBUF, schema: PROTOBUF_DOOR }, { subject: `${name}-protobuf` })
  equal('protobuf: the value comes back', await fresh().decode(await registry.encode(protobuf.id, { nr: 7 })), { nr: 7 })
  check('each schema has its own id', new Set([id, house.id, json.id, protobuf.id]).size === 4)
})
