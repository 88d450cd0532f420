// Runs the tests of the suite in SUITE against the cache at BASE and writes what
// came of each to RESULTS, in the suite's own form; with --only ID one test, and
// its traffic is shown; with --unchanged the tests as npm has them.
//   node client.mjs SUITE BASE RESULTS [--unchanged] [--only ID]
import fs from 'node:fs'
import http from 'node:http'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { groups } from './tests.mjs'

const options = { unchanged: { type: 'boolean' }, only: { type: 'string' } }
const { values: { unchanged, only }, positionals: [suite, base, file] } = parseArgs({ options, allowPositionals: true })
const { runTests, getResults } = await import(`${suite}/client/runner.mjs`)

// Most of the time is spent in the suite's pauses of three seconds, so many
// tests at once are quick. What they may be off by, a second or so, two cores
// keep easily at this number.
const AT_ONCE = 100
// The suite waits for ever, and one answer that never comes would hide all.
const PATIENCE_MS = 15_000

function byName (pairs) {
  const headers = { accept: '*/*', 'accept-encoding': 'gzip, deflate' }
  for (const [name, value] of pairs) {
    const key = name.toLowerCase()
    headers[key] = key in headers && !['accept', 'accept-encoding'].includes(key) ? [headers[key], value].flat() : value
  }
  return headers
}

function pairs (raw) {
  return Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at], raw[2 * at + 1]])
}

// What the suite knows of a response of fetch. Interim responses are fields of
// it: `interim` has their statuses, and interim-* their fields.
async function answer (message, interims) {
  const headers = new Headers(pairs(message.rawHeaders))
  for (const interim of interims) {
    headers.append('interim', interim.statusCode)
    pairs(interim.rawHeaders).forEach(([name, value]) => headers.append(`interim-${name}`, value))
  }
  const chunks = await message.toArray()
  return { status: message.statusCode, statusText: message.statusMessage, headers, text: async () => Buffer.concat(chunks).toString() }
}

// In place of fetch, which shows no interim responses: each request on a
// connection of its own, no redirect followed.
function send (url, { method, headers = [], body } = {}) {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? [] : [['content-length', `${Buffer.byteLength(body)}`]]
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const request = http.request(url, { method, headers: byName([...headers, ...length]), agent: false, signal })
    const interims = []
    request.on('information', interim => interims.push(interim))
    request.on('response', message => answer(message, interims).then(resolve, reject))
    request.on('error', reject)
    request.end(body)
  })
}

let chosen = await groups(suite, unchanged)
if (only !== undefined) {
  chosen = chosen.map(group => ({ ...group, tests: group.tests.filter(test => test.id === only) }))
  const tests = chosen.flatMap(group => group.tests)
  if (tests.length === 0) {
    console.error(`error: the suite has no test ${only}`)
    process.exit(1)
  }
  tests.forEach(test => { test.dump = true })
}

await runTests(chosen, send, false, base, AT_ONCE)
fs.writeFileSync(file, JSON.stringify(getResults(), null, 2))
