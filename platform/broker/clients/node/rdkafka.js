// node-rdkafka, which is librdkafka.
'use strict'
const assert = require('node:assert/strict')
const { promisify } = require('node:util')
const rdkafka = require('node-rdkafka')
const { Absent, main, unique, until } = require('./checks.js')

const TIMEOUT = 40_000

// Its functions end with a callback.
const call = (object, method, ...values) => promisify(object[method].bind(object))(...values)

async function connect (bootstrap) {
  const base = { 'bootstrap.servers': bootstrap }
  const administrator = rdkafka.AdminClient.create({ ...base })

  async function producing (settings) {
    const producer = new rdkafka.Producer({ ...base, 'linger.ms': 5, dr_cb: true, ...settings })
    const reports = []
    producer.on('delivery-report', (error, report) => reports.push(error || report))
    await call(producer, 'connect', {})
    producer.setPollInterval(20)
    return {
      producer,
      async send (topic, values, partition) {
        const before = reports.length
        for (const value of values) producer.produce(topic, partition, Buffer.from(value))
        await until(() => `${reports.length - before} of ${values.length} reports`, () => reports.length - before >= values.length)
        for (const report of reports.slice(before)) if (report instanceof Error || report.code) throw report
      }
    }
  }

  async function consuming (settings) {
    const consumer = new rdkafka.KafkaConsumer({ ...base, 'enable.auto.commit': false, ...settings }, { 'auto.offset.reset': 'earliest' })
    await call(consumer, 'connect', {})
    consumer.setDefaultConsumeTimeout(100)
    return consumer
  }

  const client = {
    name: 'node-rdkafka',
    version: `${require('node-rdkafka/package.json').version} (librdkafka ${rdkafka.librdkafkaVersion})`,
    create: (topic, partitions) =>
      call(administrator, 'createTopic', { topic, num_partitions: partitions, replication_factor: 1 }, TIMEOUT),

    async send (topic, values, { partition = 0, codec = 'none', idempotent = false }) {
      if (codec === 'zstd' && !rdkafka.features.includes('zstd')) {
        throw new Absent('node-rdkafka has zstd where libzstd\'s headers are when it is compiled')
      }
      const { producer, send } = await producing({ 'compression.codec': codec, 'enable.idempotence': idempotent })
      await send(topic, values, partition)
      await call(producer, 'disconnect')
    },

    async read (topic, { count, offset, end, time, committed = false, meanwhile }) {
      const consumer = await consuming({
        'group.id': unique('reader'),
        'isolation.level': committed ? 'read_committed' : 'read_uncommitted'
      })
      let from = offset ?? 0
      if (end) from = (await call(consumer, 'queryWatermarkOffsets', topic, 0, TIMEOUT)).highOffset
      if (time) from = (await call(consumer, 'offsetsForTimes', [{ topic, partition: 0, offset: time }], TIMEOUT))[0].offset
      consumer.assign([{ topic, partition: 0, offset: from }])
      if (meanwhile) await meanwhile()
      const found = []
      await until(() => `${found.length} of ${count} values`, async () => {
        for (const message of await call(consumer, 'consume', 500)) found.push(message.value.toString())
        return found.length >= count
      })
      await call(consumer, 'disconnect')
      return found
    },

    async transactional (id) {
      const { producer, send } = await producing({ 'transactional.id': id })
      await call(producer, 'initTransactions', TIMEOUT)
      return {
        close: () => call(producer, 'disconnect'),
        async begin () {
          await call(producer, 'beginTransaction')
          return {
            send: (topic, values) => send(topic, values, 0),
            async offsets (group, topic, partition, offset) {
              const consumer = await consuming({ 'group.id': group })
              await call(producer, 'sendOffsetsToTransaction', [{ topic, partition, offset }], consumer, TIMEOUT)
              await call(consumer, 'disconnect')
            },
            end: commits => call(producer, commits ? 'commitTransaction' : 'abortTransaction', TIMEOUT)
          }
        }
      }
    },

    async committed (group, topic, partition = 0) {
      const consumer = await consuming({ 'group.id': group })
      const [found] = await call(consumer, 'committed', [{ topic, partition }], TIMEOUT)
      await call(consumer, 'disconnect')
      return found.offset
    },

    async member (group, topic, { assignor = 'range', instance, protocol = 'classic' }) {
      if (assignor === 'sticky') throw new Absent('librdkafka has no eager sticky assignor')
      const settings = { 'group.id': group }
      if (protocol === 'classic') {
        Object.assign(settings, {
          'session.timeout.ms': 10000, 'heartbeat.interval.ms': 500, 'partition.assignment.strategy': assignor, rebalance_cb: true
        })
      } else {
        settings['group.protocol'] = protocol
      }
      if (instance) settings['group.instance.id'] = instance
      const consumer = await consuming(settings)
      const values = []
      let stopped = false
      consumer.subscribe([topic])
      const reading = (async () => {
        while (!stopped) for (const message of await call(consumer, 'consume', 100)) values.push(message.value.toString())
      })()
      reading.catch(() => {})
      return {
        values,
        assigned: () => consumer.assignments().map(place => place.partition).sort(),
        async commit () {
          const places = consumer.position().filter(place => place.offset >= 0)
          if (places.length) consumer.commitSync(places)
        },
        async close () {
          stopped = true
          await reading
          await call(consumer, 'disconnect')
        }
      }
    },

    admin: have => ({
      async topics () {
        const topic = unique('topic')
        await client.create(topic, 2)
        const consumer = await consuming({ 'group.id': unique('reader') })
        const described = async () => (await call(consumer, 'getMetadata', { allTopics: true, timeout: TIMEOUT })).topics.find(found => found.name === topic)
        const grown = count => until(() => `not ${count} partitions`, async () => (await described())?.partitions.length === count)
        await grown(2)
        await call(administrator, 'createPartitions', topic, 5, TIMEOUT)
        await grown(5)
        await call(administrator, 'deleteTopic', topic, TIMEOUT)
        await until(() => 'the topic is still there', async () => !await described())
        await call(consumer, 'disconnect')
      }
    })
  }
  return client
}

main(connect)
