// Counts RESULTS by kind and by what came of each test, and holds them against
// EXCEPTIONS: the tests that are known not to pass, each with the reason.
//   node judge.mjs SUITE RESULTS [EXCEPTIONS] [--unchanged]
import fs from 'node:fs'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { groups } from './tests.mjs'

const KINDS = ['required', 'optimal', 'check']
// How a test can end. All but the first are counted as not passed; the last four
// say nothing about the cache, and hide what the test would have found.
const PASSED = 'passed'
const FAILED = 'failed'
const ENDS = [PASSED, FAILED, 'setup', 'dependency', 'harness', 'untested']

const options = { unchanged: { type: 'boolean' } }
const { values: { unchanged }, positionals: [suite, resultsFile, exceptionsFile] } = parseArgs({ options, allowPositionals: true })
const tests = new Map()
for (const group of await groups(suite, unchanged)) {
  for (const test of group.tests) tests.set(test.id, { ...test, kind: test.kind ?? 'required' })
}
const results = JSON.parse(fs.readFileSync(resultsFile, 'utf8'))

function end (id) {
  const result = results[id]
  if (result === undefined) return 'untested'
  if ((tests.get(id)?.depends_on ?? []).some(other => end(other) !== PASSED)) return 'dependency'
  if (result === true) return PASSED
  return { Setup: 'setup', Assertion: FAILED }[result[0]] ?? 'harness'
}

function why (id) {
  if (end(id) !== 'dependency') return results[id]?.[1] ?? ''
  return `needs ${tests.get(id).depends_on.filter(other => end(other) !== PASSED).join(', ')}`
}

function ofKind (kind) {
  return [...tests.values()].filter(test => test.kind === kind).map(test => test.id)
}

function showCounts () {
  for (const kind of KINDS) {
    const ids = ofKind(kind)
    const counts = ENDS.map(name => [name, ids.filter(id => end(id) === name).length])
    const shown = counts.filter(([name, count]) => count > 0 || name === PASSED).map(([name, count]) => `${count} ${name}`)
    console.log(`${kind}: ${ids.length} tests, ${shown.join(', ')}`)
  }
}

function show (title, ids, text) {
  if (ids.length > 0) console.log(`\n${title}:`)
  ids.forEach(id => console.log(`  ${tests.get(id)?.kind ?? 'unknown'} ${id}: ${text(id)}`))
}

function exceptions (file) {
  const lines = fs.readFileSync(file, 'utf8').split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(lines.map(line => [line.split(' ', 1)[0], line.replace(/^\S+ */, '')]))
}

showCounts()
const judged = [...ofKind('required'), ...ofKind('optimal')]
const notPassed = judged.filter(id => end(id) !== PASSED)
if (exceptionsFile === undefined) {
  show('not passed', notPassed, id => `${end(id)}: ${why(id)}`)
} else {
  const known = exceptions(exceptionsFile)
  const strangers = [...known.keys()].filter(id => !judged.includes(id))
  const worse = notPassed.filter(id => !known.has(id))
  show('not passed, as known', notPassed.filter(id => known.has(id)), id => known.get(id))
  show('listed as not passing, and passes: take it off the list', judged.filter(id => known.has(id) && end(id) === PASSED), id => known.get(id))
  show('listed, but the suite has no such test', strangers, id => known.get(id))
  show('NOT PASSED', worse, id => `${end(id)}: ${why(id)}`)
  if (worse.length > 0 || strangers.length > 0) process.exitCode = 1
}
