// The checks of `checks.txt`, in terms of what a client offers; each client has a file that says how it does that.
//
// A client is an object with the methods used below; what it does not have it answers by throwing `Absent`.
'use strict'
const fs = require('node:fs')
const { randomBytes } = require('node:crypto')
const { setTimeout: sleep } = require('node:timers/promises')
const assert = require('node:assert/strict')

const DEADLINE = 40_000

class Absent extends Error {}

const unique = what => `${what}-${randomBytes(4).toString('hex')}`
const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => String(from + index))

async function until (what, condition) {
  for (const end = Date.now() + DEADLINE; ; await sleep(20)) {
    const found = await condition()
    if (found) return found
    if (Date.now() > end) throw new Error(`not within ${DEADLINE} ms: ${what()}`)
  }
}

async function share (members, partitions) {
  const held = () => members.map(member => member.assigned())
  await until(() => `partitions ${JSON.stringify(held())}`, () => {
    const all = held()
    return all.every(some => some.length > 0) && new Set(all.flat()).size === partitions && all.flat().length === partitions
  })
}

async function have (members, wanted) {
  const values = () => members.flatMap(member => member.values).sort()
  await until(() => `${values().length} of ${wanted.length} values`, () => values().length >= wanted.length)
  assert.deepEqual(values(), [...wanted].sort())
}

class Checks {
  constructor (client) { this.client = client }

  async topic (partitions = 1) {
    const name = unique('topic')
    await this.client.create(name, partitions)
    return name
  }

  async sends (count, codec, idempotent) {
    const topic = await this.topic()
    const values = numbers(0, count).map(number => `${codec} ${number} `.repeat(10))
    await this.client.send(topic, values, { codec, idempotent })
    assert.deepEqual(await this.client.read(topic, { count }), values)
  }

  async transactions () {
    const topic = await this.topic()
    const producer = await this.client.transactional(unique('id'))
    const every = []
    const kept = []
    for (const [number, commits] of [true, false, true].entries()) {
      const values = numbers(number * 10, number * 10 + 10)
      every.push(...values)
      if (commits) kept.push(...values)
      const transaction = await producer.begin()
      await transaction.send(topic, values)
      await transaction.end(commits)
    }
    await producer.close()
    assert.deepEqual(await this.client.read(topic, { count: kept.length, committed: true }), kept)
    assert.deepEqual(await this.client.read(topic, { count: every.length }), every)
  }

  async offsets () {
    const [topic, group] = [await this.topic(), unique('group')]
    const producer = await this.client.transactional(unique('id'))
    for (const [offset, commits, left] of [[3, true, 3], [7, false, 3], [5, true, 5]]) {
      const transaction = await producer.begin()
      await transaction.send(topic, ['copy'])
      await transaction.offsets(group, topic, 0, offset)
      await transaction.end(commits)
      assert.equal(await this.client.committed(group, topic, 0), left)
    }
    await producer.close()
  }

  async consume (from) {
    const topic = await this.topic()
    await this.client.send(topic, numbers(0, 10), {})
    if (from === 'the start') assert.deepEqual(await this.client.read(topic, { count: 10 }), numbers(0, 10))
    if (from === 'an offset') assert.deepEqual(await this.client.read(topic, { count: 3, offset: 7 }), numbers(7, 10))
    const later = () => this.client.send(topic, ['later'], {})
    if (from === 'the end') {
      assert.deepEqual(await this.client.read(topic, { count: 1, end: true, meanwhile: later }), ['later'])
    }
    if (from === 'a time') {
      const time = Date.now() + 1
      await until(() => 'the clock', () => Date.now() > time)
      await later()
      assert.deepEqual(await this.client.read(topic, { count: 1, time }), ['later'])
    }
  }

  async group (assignor, protocol = 'classic') {
    const [topic, group] = [await this.topic(4), unique('group')]
    const members = []
    try {
      for (let number = 0; number < 2; number++) members.push(await this.client.member(group, topic, { assignor, protocol }))
      await share(members, 4)
      for (let partition = 0; partition < 4; partition++) {
        await this.client.send(topic, numbers(partition * 10, partition * 10 + 10), { partition })
      }
      await have(members, numbers(0, 40))
      for (const member of members) await member.commit()
      await members.pop().close()
      await share(members, 4)
    } finally {
      for (const member of members) await member.close()
    }
  }

  async goOn () {
    const [topic, group] = [await this.topic(), unique('group')]
    for (const values of [['1', '2'], ['3']]) {
      await this.client.send(topic, values, {})
      const member = await this.client.member(group, topic, {})
      await have([member], values)
      await member.commit()
      await member.close()
    }
  }

  async static () {
    const [topic, group] = [await this.topic(4), unique('group')]
    const join = instance => this.client.member(group, topic, { instance })
    let [one, two] = [await join('one'), await join('two')]
    await share([one, two], 4)
    const before = [one.assigned(), two.assigned()]
    await two.close()
    two = await join('two')
    await until(() => `partitions ${two.assigned()}`, () => String(two.assigned()) === String(before[1]))
    assert.deepEqual(one.assigned(), before[0])
    await one.close()
    await two.close()
  }

  check (name) {
    const words = name.split(' ')
    if (words[0] === 'produce') return this.sends(200, words[1], false)
    if (words[0] === 'idempotent') return this.sends(1000, 'none', true)
    if (words[0] === 'transactions') return this.transactions()
    if (words[0] === 'offsets') return this.offsets()
    if (words[0] === 'consume') return this.consume(words.slice(2).join(' '))
    if (words[0] === 'commit') return this.goOn()
    if (words[0] === 'static') return this.static()
    if (name === 'group protocol consumer') return this.group(undefined, 'consumer')
    if (words[0] === 'group') return this.group(words[1])
    const administration = this.client.admin(have)[words[1]]
    if (!administration) throw new Absent(`${this.client.name} has no administration of ${words[1]}`)
    return administration()
  }
}

/** `PROGRAM BOOTSTRAP CHECKS.TXT [PART OF A NAME]` */
async function main (connect) {
  const [bootstrap, list, part = ''] = process.argv.slice(2)
  const client = await connect(bootstrap)
  console.log(`client\t${client.name}\t${client.version}`)
  const checks = new Checks(client)
  let status = 0
  for (const line of fs.readFileSync(list, 'utf8').split('\n')) {
    const name = line.split('\t')[0]
    if (!name || !name.includes(part)) continue
    const started = Date.now()
    try {
      await checks.check(name)
      console.log(`${name}\tok\t${((Date.now() - started) / 1000).toFixed(1)} s`)
    } catch (error) {
      if (error instanceof Absent) {
        console.log(`${name}\tabsent\t${error.message}`)
      } else {
        status = 1
        console.error(error)
        console.log(`${name}\tfailed\t${String(error).replace(/\s+/g, ' ').slice(0, 300)}`)
      }
    }
  }
  process.exit(status)
}

module.exports = { Absent, main, unique, until }
