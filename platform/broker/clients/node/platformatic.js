// @platformatic/kafka.
'use strict'
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { Absent, main, unique, until } = require('./checks.js')

const CONFIG_TOPIC = 2
const SET = 0
const RULE = { resourceType: 2, resourcePatternType: 3, principal: 'User:alice', host: '*', operation: 3, permissionType: 3 }

async function connect (bootstrap) {
  const kafka = await import('@platformatic/kafka')
  const base = { clientId: 'platformatic', bootstrapBrokers: [bootstrap], timeout: 30_000 }
  const admin = new kafka.Admin(base)
  const texts = { deserializers: kafka.stringDeserializers }
  const messages = (topic, values, partition) => values.map(value => ({ topic, partition, value }))
  const producing = settings => new kafka.Producer({ ...base, serializers: kafka.stringSerializers, ...settings })
  const grouped = { sessionTimeout: 10_000, rebalanceTimeout: 20_000, heartbeatInterval: 500, maxWaitTime: 200 }

  const client = {
    name: '@platformatic/kafka',
    // Its package does not show it.
    version: JSON.parse(fs.readFileSync(path.join(__dirname, 'node_modules/@platformatic/kafka/package.json'))).version,
    create: (topic, partitions) => admin.createTopics({ topics: [topic], partitions, replicas: 1 }),

    async send (topic, values, { partition = 0, codec = 'none', idempotent = false }) {
      if (codec === 'zstd' && !require('node:zlib').zstdCompressSync) {
        throw new Absent('@platformatic/kafka takes zstd from Node, which has it from 22.15 on')
      }
      const producer = producing({ idempotent })
      await producer.send({ messages: messages(topic, values, partition), compression: codec, acks: -1 })
      await producer.close()
    },

    async read (topic, { count, offset, end, time, committed = false, meanwhile }) {
      const consumer = new kafka.Consumer({ ...base, ...texts, ...grouped, groupId: unique('reader') })
      let from = offset
      if (end) from = (await consumer.listOffsets({ topics: [topic] })).get(topic)[0]
      if (time) from = (await consumer.listOffsets({ topics: [topic], timestamp: BigInt(time) })).get(topic)[0]
      const start = from === undefined ? { mode: 'earliest' } : { mode: 'manual', offsets: [{ topic, partition: 0, offset: BigInt(from) }] }
      const stream = await consumer.consume({ topics: [topic], ...start, autocommit: false, isolationLevel: committed ? 1 : 0 })
      const found = []
      stream.on('data', message => found.push(message.value))
      if (meanwhile) await meanwhile()
      await until(() => `${found.length} of ${count} values`, () => found.length >= count)
      await stream.close()
      await consumer.close()
      return found
    },

    async transactional (transactionalId) {
      const producer = producing({ idempotent: true, transactionalId })
      const members = []
      return {
        close: async () => {
          for (const member of members) await member.close(true)
          await producer.close()
        },
        async begin () {
          const transaction = await producer.beginTransaction()
          return {
            send: (topic, values) => transaction.send({ messages: messages(topic, values, 0) }),
            // It commits for what a member of the group has read.
            async offsets (groupId, topic, partition, offset) {
              if (!members.length) {
                members.push(new kafka.Consumer({ ...base, ...texts, ...grouped, groupId }))
                await members[0].consume({ topics: [topic], mode: 'latest', autocommit: false })
              }
              await transaction.addConsumer(members[0])
              const metadata = { consumer: { groupId, generationId: members[0].generationId, memberId: members[0].memberId, coordinatorId: members[0].coordinatorId } }
              await transaction.addOffset({ topic, partition, offset: BigInt(offset - 1), metadata })
            },
            end: commits => commits ? transaction.commit() : transaction.abort()
          }
        }
      }
    },

    async committed (groupId, topic) {
      const groups = [{ groupId, topics: [{ name: topic, partitionIndexes: [0] }] }]
      const found = await admin.listConsumerGroupOffsets({ groups })
      return Number(found[0].topics[0].partitions[0].committedOffset)
    },

    async member (groupId, topic, { assignor = 'roundrobin', instance, protocol = 'classic' }) {
      if (assignor !== 'roundrobin') throw new Absent(`@platformatic/kafka has no assignor ${assignor}`)
      const settings = { ...base, ...texts, groupId, maxWaitTime: 200 }
      if (protocol === 'classic') Object.assign(settings, grouped)
      else settings.groupProtocol = 'consumer'
      if (instance) settings.groupInstanceId = instance
      const consumer = new kafka.Consumer(settings)
      const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: false })
      const next = new Map()
      const values = []
      const assigned = () => (consumer.assignments ?? []).filter(part => part.topic === topic).flatMap(part => part.partitions)
      stream.on('data', message => {
        // It still hands over what a fetch brings that was under way when the partition went to another member.
        if (!assigned().includes(message.partition)) return
        values.push(message.value)
        next.set(message.partition, message.offset + 1n)
      })
      return {
        values,
        assigned: () => assigned().sort(),
        commit: () => consumer.commit({
          offsets: [...next].map(([partition, offset]) => ({ topic, partition, offset, leaderEpoch: -1 }))
        }),
        close: async () => {
          await stream.close()
          await consumer.close(true)
        }
      }
    },

    admin: have => ({
      async topics () {
        const topic = unique('topic')
        await client.create(topic, 2)
        const partitions = async () => (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic).partitionsCount
        assert.equal(await partitions(), 2)
        await admin.createPartitions({ topics: [{ name: topic, count: 5, assignments: null }] })
        assert.equal(await partitions(), 5)
        await admin.deleteTopics({ topics: [topic] })
        assert(!(await admin.listTopics()).includes(topic))
      },
      async settings () {
        const topic = unique('topic')
        await client.create(topic, 1)
        const resource = { resourceType: CONFIG_TOPIC, resourceName: topic }
        const configs = [{ name: 'retention.ms', configOperation: SET, value: '1234567' }]
        await admin.incrementalAlterConfigs({ resources: [{ ...resource, configs }] })
        const found = await admin.describeConfigs({ resources: [{ ...resource, configurationKeys: ['retention.ms'] }] })
        assert.equal(found[0].configs.find(entry => entry.name === 'retention.ms').value, '1234567')
      },
      async records () {
        const topic = unique('topic')
        await client.create(topic, 1)
        await client.send(topic, ['1', '2', '3'], {})
        await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 2n }] }] })
        assert.deepEqual(await client.read(topic, { count: 1 }), ['3'])
      },
      async groups () {
        const [topic, group] = [unique('topic'), unique('group')]
        await client.create(topic, 1)
        await client.send(topic, ['1'], {})
        const member = await client.member(group, topic, {})
        await have([member], ['1'])
        await member.commit()
        assert((await admin.listGroups()).has(group))
        assert.equal((await admin.describeGroups({ groups: [group] })).get(group).members.size, 1)
        await member.close()
        assert.equal(await client.committed(group, topic), 1)
        await admin.deleteGroups({ groups: [group] })
      },
      async cluster () {
        assert.equal((await admin.metadata({ topics: [] })).brokers.size, 1)
      },
      async ACLs () {
        const rule = { ...RULE, resourceName: unique('topic') }
        await admin.createAcls({ creations: [rule] })
        assert.equal((await admin.describeAcls({ filter: rule })).length, 1)
        assert.equal((await admin.deleteAcls({ filters: [rule] })).length, 1)
      }
    })
  }
  return client
}

main(connect)
