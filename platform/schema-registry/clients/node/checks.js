// What a client of the registry saw, and the schemas that all of them use.
'use strict'
const { randomBytes } = require('node:crypto')
const { isDeepStrictEqual } = require('node:util')

const DOOR = {
  type: 'record',
  name: 'Door',
  namespace: 'site',
  doc: 'A door.',
  fields: [
    { name: 'nr', type: 'int' },
    { name: 'open', type: ['null', 'boolean'], default: null },
    { name: 'seen', type: { type: 'map', values: 'string' }, default: {} },
  ],
}
const NARROWER = { ...DOOR, fields: [{ name: 'nr', type: 'string' }] }
const HOUSE = { type: 'record', name: 'House', fields: [{ name: 'door', type: 'site.Door' }] }
const JSON_DOOR = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Door',
  type: 'object',
  properties: { nr: { type: 'integer' } },
  required: ['nr'],
}
const PROTOBUF_DOOR = 'syntax = "proto3";\npackage site;\n\nmessage Door {\n  int32 nr = 1;\n}\n'
const VALUE = { nr: 7, open: true, seen: { by: 'Zoë' } }

let done = 0

function check(what, holds) {
  if (!holds) throw new Error(what)
  done++
}

function equal(what, found, wanted) {
  // A class's values are compared as what they hold.
  const plain = value => (value && typeof value === 'object' ? JSON.parse(JSON.stringify(value)) : value)
  if (!isDeepStrictEqual(plain(found), plain(wanted))) {
    throw new Error(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`)
  }
  done++
}

// A call fails in a way that `test` knows.
async function refused(what, call, test) {
  let error
  try {
    await call()
  } catch (thrown) {
    error = thrown
  }
  if (!error) throw new Error(`${what}: it was taken`)
  if (!test(error)) throw new Error(`${what}: refused otherwise: ${error.stack}`)
  done++
}

// Runs the checks of a package against the registry whose address is the program's argument.
async function run(name, checks) {
  const [url] = process.argv.slice(2)
  try {
    await checks(url, `clients-${randomBytes(4).toString('hex')}`)
  } catch (error) {
    console.error(`failed: ${error.stack}`)
    process.exit(1)
  }
  const { version } = JSON.parse(require('node:fs').readFileSync(`${__dirname}/node_modules/${name}/package.json`))
  console.log(`${name} ${version}: ${done} checks passed`)
  process.exit(0)
}

module.exports = { DOOR, NARROWER, HOUSE, JSON_DOOR, PROTOBUF_DOOR, VALUE, check, equal, refused, run }
