// kafkajs.
'use strict'
const assert = require('node:assert/strict')
const kafkajs = require('kafkajs')
const SnappyCodec = require('kafkajs-snappy')
const { Absent, main, unique, until } = require('./checks.js')

kafkajs.CompressionCodecs[kafkajs.CompressionTypes.Snappy] = SnappyCodec
const codecs = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }

async function connect (bootstrap) {
  const kafka = new kafkajs.Kafka({ brokers: [bootstrap], logLevel: kafkajs.logLevel.NOTHING })
  const administrator = kafka.admin()
  await administrator.connect()
  const messages = (topic, values, partition) => ({ topic, messages: values.map(value => ({ value, partition })) })

  const client = {
    name: 'kafkajs',
    version: require('kafkajs/package.json').version,
    create: (topic, numPartitions) =>
      administrator.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }] }),

    async send (topic, values, { partition = 0, codec = 'none', idempotent = false }) {
      const compression = kafkajs.CompressionTypes[codecs[codec]]
      if (codec !== 'none' && codec !== 'gzip' && codec !== 'snappy') {
        throw new Absent(`kafkajs has no ${codec} of its own; what adds it is compiled`)
      }
      const producer = kafka.producer({ idempotent, allowAutoTopicCreation: false })
      await producer.connect()
      await producer.send({ ...messages(topic, values, partition), compression, acks: -1 })
      await producer.disconnect()
    },

    // kafkajs reads in groups only; seeking says where from.
    async read (topic, { count, offset, end, time, committed = false, meanwhile }) {
      const consumer = kafka.consumer({ groupId: unique('reader'), readUncommitted: !committed, maxWaitTimeInMs: 200 })
      const found = []
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      let from = offset
      if (end) from = (await administrator.fetchTopicOffsets(topic))[0].high
      if (time) from = (await administrator.fetchTopicOffsetsByTimestamp(topic, time))[0].offset
      await consumer.run({
        eachMessage: async ({ message }) => {
          if (from === undefined || BigInt(message.offset) >= BigInt(from)) found.push(message.value.toString())
        }
      })
      if (from !== undefined) consumer.seek({ topic, partition: 0, offset: String(from) })
      if (meanwhile) await meanwhile()
      await until(() => `${found.length} of ${count} values`, () => found.length >= count)
      await consumer.disconnect()
      return found
    },

    async transactional (transactionalId) {
      const producer = kafka.producer({ transactionalId, maxInFlightRequests: 1, idempotent: true })
      await producer.connect()
      return {
        close: () => producer.disconnect(),
        async begin () {
          const transaction = await producer.transaction()
          return {
            send: (topic, values) => transaction.send(messages(topic, values, 0)),
            offsets: (consumerGroupId, topic, partition, offset) =>
              transaction.sendOffsets({ consumerGroupId, topics: [{ topic, partitions: [{ partition, offset: String(offset) }] }] }),
            end: commits => commits ? transaction.commit() : transaction.abort()
          }
        }
      }
    },

    async committed (groupId, topic) {
      const found = await administrator.fetchOffsets({ groupId, topics: [topic] })
      return Number(found[0].partitions[0].offset)
    },

    async member (groupId, topic, { assignor = 'roundrobin', instance, protocol = 'classic' }) {
      if (protocol !== 'classic') throw new Absent('kafkajs does not have the newer group protocol')
      if (instance) throw new Absent('kafkajs has no static members')
      if (assignor !== 'roundrobin') throw new Absent(`kafkajs has no assignor ${assignor}`)
      const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 500, maxWaitTimeInMs: 200 })
      const next = new Map()
      let assigned = []
      const values = []
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => { assigned = payload.memberAssignment[topic] || [] })
      consumer.on(consumer.events.REBALANCING, () => { assigned = [] })
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachMessage: async ({ partition, message }) => {
          values.push(message.value.toString())
          next.set(partition, String(BigInt(message.offset) + 1n))
        }
      })
      return {
        values,
        assigned: () => [...assigned].sort(),
        commit: () => consumer.commitOffsets([...next].map(([partition, offset]) => ({ topic, partition, offset }))),
        close: () => consumer.disconnect()
      }
    },

    admin: have => ({
      async topics () {
        const topic = unique('topic')
        await client.create(topic, 2)
        const partitions = async () => (await administrator.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
        assert.equal(await partitions(), 2)
        await administrator.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
        assert.equal(await partitions(), 5)
        await administrator.deleteTopics({ topics: [topic] })
        assert(!(await administrator.listTopics()).includes(topic))
      },
      async settings () {
        const name = unique('topic')
        await client.create(name, 1)
        const type = kafkajs.ConfigResourceTypes.TOPIC
        const configEntries = [{ name: 'retention.ms', value: '1234567' }]
        await administrator.alterConfigs({ validateOnly: false, resources: [{ type, name, configEntries }] })
        const found = await administrator.describeConfigs({ includeSynonyms: true, resources: [{ type, name }] })
        const setting = found.resources[0].configEntries.find(entry => entry.configName === 'retention.ms')
        assert.equal(setting.configValue, '1234567')
      },
      async records () {
        const topic = unique('topic')
        await client.create(topic, 1)
        await client.send(topic, ['1', '2', '3'], {})
        // It looks for the leader in what it remembers, before it asks.
        await administrator.fetchTopicOffsets(topic)
        await administrator.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] })
        assert.deepEqual(await client.read(topic, { count: 1 }), ['3'])
      },
      async groups () {
        const [topic, group] = [unique('topic'), unique('group')]
        await client.create(topic, 1)
        await client.send(topic, ['1'], {})
        const member = await client.member(group, topic, {})
        await have([member], ['1'])
        await member.commit()
        assert((await administrator.listGroups()).groups.some(found => found.groupId === group))
        assert.equal((await administrator.describeGroups([group])).groups[0].members.length, 1)
        await member.close()
        assert.equal(await client.committed(group, topic), 1)
        await administrator.deleteGroups([group])
      },
      async cluster () {
        assert.equal((await administrator.describeCluster()).brokers.length, 1)
      },
      async ACLs () {
        const rule = {
          resourceType: kafkajs.AclResourceTypes.TOPIC,
          resourceName: unique('topic'),
          resourcePatternType: kafkajs.ResourcePatternTypes.LITERAL,
          principal: 'User:alice',
          host: '*',
          operation: kafkajs.AclOperationTypes.READ,
          permissionType: kafkajs.AclPermissionTypes.ALLOW
        }
        await administrator.createAcls({ acl: [rule] })
        assert.equal((await administrator.describeAcls(rule)).resources.length, 1)
        assert.equal((await administrator.deleteAcls({ filters: [rule] })).filterResponses[0].matchingAcls.length, 1)
      }
    })
  }
  return client
}

main(connect)
