// What the suite has changed since the version that npm has. That one is from
// 2021; with these changes the tests are, in what they demand, those that
// cache-tests.fyi publishes results of: 160 required and 105 optimal ones.

const CACHED = { expected_type: 'cached' }
const NOT_CACHED = { expected_type: 'not_cached' }
const NOW = ['Date', 0]

// Tests that are gone.
const GONE = [
  'freshness-max-age-ignore-quoted-all', 'freshness-max-age-ignore-quoted-all-rev',
  'freshness-max-age-multiple-line', 'freshness-max-age-multiple-directive'
]

// Tests that are of another kind now.
const KINDS = {
  required: ['partial-use-stored-headers'],
  check: [
    ...['POST', 'PUT', 'DELETE', 'M-SEARCH'].flatMap(method => [`invalidate-${method}-location`, `invalidate-${method}-cl`]),
    ...['Content-Encoding', 'Content-Location', 'Content-MD5', 'Content-Range', 'Content-Security-Policy', 'Content-Type',
      'Clear-Site-Data', 'ETag', 'Expires', 'Public-Key-Pins', 'Set-Cookie', 'Set-Cookie2', 'X-Frame-Options',
      'X-XSS-Protection'].map(name => `304-etag-update-response-${name}`)
  ]
}

// What is stored at first where nothing else matters, then and now.
const FRESH_THEN = JSON.stringify([['Expires', 100000], ['Last-Modified', 0], ['Date', 0]])
const FRESH_NOW = { response_headers: [['Cache-Control', 'max-age=100000'], NOW], setup: true, pause_after: true }

// Fields that a 304 was not to update, and may now.
const MAY_UPDATE = ['Content-Encoding', 'Content-MD5', 'Content-Range', 'ETag']

// What a test needs to have passed: the first that fits. A test that is not
// named here needs what it needed.
const NEEDS = [
  [/^freshness-max-age-stale$|^headers-|^vary-match$|^invalidate-[A-Z-]+$|^query-|^other-(age-update-max|age-gen|date-update$|set-|cookie|fresh-|authorization$)/, 'freshness-max-age'],
  [/^status-\d+-fresh$|^partial-store-|^ccreq-(?!oic|max-stale$)|^pragma-(?!response-no-cache-heuristic)/, 'freshness-max-age'],
  [/^conditional-(lm-fresh|etag-(strong|weak)-respond$)/, 'freshness-max-age'],
  [/^conditional-(lm-stale|etag-(strong|weak)-generate(-weak)?$)|^ccreq-max-stale$|^head-writethrough$/, 'freshness-max-age-stale'],
  [/^stale-(close$|503|sie|while-revalidate$)/, 'freshness-max-age-stale'],
  [/^other-(age-update-expires|date-update-expires)/, 'freshness-expires-future'],
  [/^(other-heuristic|pragma-response-no-cache-heuristic)/, 'heuristic-200-cached'],
  [/^vary-(2-match$|no-match|omit|invalidate|cache-key|normalise|syntax)/, 'vary-match'],
  [/^vary-(2-|3-match$)/, 'vary-2-match'],
  [/^vary-3-/, 'vary-3-match'],
  [/^head-200-update$|^head-410-update$/, 'head-200-freshness-update'],
  [/^conditional-etag-vary-headers-mismatch$/, 'conditional-etag-vary-headers', 'vary-no-match']
]

function test (kind, id, requests, ...needs) {
  return { id, kind, name: id, depends_on: needs, requests }
}

// A request whose response is to be stored, three seconds before the next.
function first (headers, more = {}) {
  return { response_headers: headers, setup: true, pause_after: true, ...more }
}

// A field of the response that may be missing from what the client gets.
function hidden (name, value) {
  return [name, value, false]
}

// --- Age: a value that is no number is no value; of several the first counts.

function age (kind, name, values, then, lifetime = 3600) {
  const fields = values.map(value => hidden('Age', value))
  return test(kind, `age-parse-${name}`, [first([NOW, ['Cache-Control', `max-age=${lifetime}`], ...fields]), then], 'freshness-max-age-age')
}

const AGE = [
  age('required', 'nonnumeric', ['abc'], CACHED),
  age('required', 'negative', ['-7200'], CACHED),
  age('required', 'float', ['7200.0'], CACHED),
  age('required', 'large-minus-one', [`${2 ** 31 - 1}`], NOT_CACHED),
  age('required', 'large', [`${2 ** 31}`], NOT_CACHED),
  age('required', 'larger', [`${2 ** 31 + 1}`], NOT_CACHED),
  age('required', 'suffix', ['7200, 0'], NOT_CACHED),
  age('required', 'prefix', ['0, 7200'], CACHED),
  age('required', 'suffix-twoline', ['7200', '0'], NOT_CACHED),
  age('required', 'prefix-twoline', ['0', '7200'], CACHED),
  age('required', 'dup-0', ['0, 0'], CACHED),
  age('required', 'dup-0-twoline', ['0', '0'], CACHED),
  age('required', 'dup-old', ['3600', '3600'], CACHED, 10000),
  age('check', 'parameter', ['7200;foo=bar'], NOT_CACHED),
  age('check', 'numeric-parameter', ['7200;foo=111'], NOT_CACHED)
]

// --- Expires: RFC 9110 has three forms of a date, and what is none of them is in
// the past.

function expires (kind, name, then, ...dates) {
  const fields = dates.map(date => hidden('Expires', date))
  return test(kind, `freshness-expires-${name}`, [first([...fields, NOW]), then], 'freshness-expires-future')
}

const EXPIRES = [
  expires('optimal', '32bit', CACHED, 'Tue, 19 Jan 2038 14:14:08 GMT'),
  expires('optimal', 'far-future', CACHED, 'Sun, 21 Nov 2286 04:46:39 GMT'),
  expires('optimal', 'rfc850', CACHED, 'Thursday, 18-Aug-50 02:01:18 GMT'),
  expires('optimal', 'ansi-c', CACHED, 'Thu Aug  8 02:01:18 2050'),
  expires('optimal', 'wrong-case-weekday', CACHED, 'THU, 18 Aug 2050 02:01:18 GMT'),
  expires('optimal', 'wrong-case-month', CACHED, 'Thu, 18 AUG 2050 02:01:18 GMT'),
  expires('optimal', 'wrong-case-tz', CACHED, 'Thu, 18 Aug 2050 02:01:18 gMT'),
  expires('required', 'invalid-utc', NOT_CACHED, 'Thu, 18 Aug 2050 02:01:18 UTC'),
  expires('required', 'invalid-aest', NOT_CACHED, 'Thu, 18 Aug 2050 02:01:18 AEST'),
  expires('required', 'invalid-2-digit-year', NOT_CACHED, 'Thu, 18 Aug 50 02:01:18 GMT'),
  expires('required', 'invalid-no-comma', NOT_CACHED, 'Thu 18 Aug 2050 02:01:18 GMT'),
  expires('required', 'invalid-multiple-spaces', NOT_CACHED, 'Thu, 18  Aug  2050 02:01:18 GMT'),
  expires('required', 'invalid-date-dashes', NOT_CACHED, 'Thu, 18-Aug-2050 02:01:18 GMT'),
  expires('required', 'invalid-time-periods', NOT_CACHED, 'Thu, 18 Aug 2050 02.01.18 GMT'),
  expires('required', 'invalid-1-digit-hour', NOT_CACHED, 'Thu, 18 Aug 2050 2:01:18 GMT'),
  expires('required', 'invalid-multiple-lines', NOT_CACHED, 'Thu, 18 Aug 2050 2:01:18 GMT', 'Thu, 18 Aug 2050 2:01:19 GMT')
]

// --- Freshness, no-store, must-understand, Vary.

function storedDespite (id, directives) {
  const earlier = [['Cache-Control', 'max-age=10000'], ['Expires', 10000], NOW, ['A', '1']]
  const later = [['Cache-Control', directives], NOW, ['A', '2']]
  return test('required', id, [first(earlier), first(later), { ...CACHED, expected_response_headers: [['a', '1']] }], 'cc-resp-no-store')
}

function mustUnderstand (status, phrase, kind, then, ...needs) {
  const headers = [['Cache-Control', 'max-age=3600, no-store, must-understand']]
  return test(kind, `status-${status}-must-understand`, [{ response_status: [status, phrase], response_headers: headers, setup: true }, then], ...needs)
}

const RULES = [
  test('required', 'freshness-max-age-stale', [first([['Cache-Control', 'max-age=2'], NOW]), NOT_CACHED]),
  storedDespite('cc-resp-no-store-old-new', 'no-store'),
  storedDespite('cc-resp-no-store-old-max-age', 'no-store, max-age=0'),
  mustUnderstand(599, 'Whatever', 'required', NOT_CACHED, 'status-599-fresh'),
  mustUnderstand(200, 'OK', 'optimal', CACHED, 'status-200-fresh', 'cc-resp-no-store-fresh'),
  test('check', 'conditional-etag-vary-headers-mismatch', [
    first([['Expires', 10000], ['ETag', '"abcdef"'], NOW, ['Vary', 'Abc']], { request_headers: [['Abc', '123']] }),
    { request_headers: [['Abc', '456']], expected_request_headers: [['If-None-Match', '"abcdef"']] }
  ])
]

// --- Stale responses. The suite takes any status where the origin hangs up;
// ours is 502.

function notServedStale (directive) {
  const hangsUp = { disconnect: true, expected_status: 502, check_body: false, expected_response_headers_missing: ['server-request-count'] }
  return test('required', `stale-close-${directive}`, [first([['Cache-Control', `max-age=2, ${directive}`]]), hangsUp], 'stale-close')
}

const STALE = [
  ...['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=2'].map(notServedStale),
  test('optimal', 'stale-while-revalidate', [
    first([['Cache-Control', 'max-age=1, stale-while-revalidate=3600'], ['ETag', '"abc"']]), CACHED
  ]),
  test('required', 'stale-while-revalidate-window', [
    first([['Cache-Control', 'max-age=1, stale-while-revalidate=4'], ['ETag', '"abc"']]),
    first([hidden('Cache-Control', 'no-cache'), hidden('ETag', '"def"')], CACHED),
    { expected_response_headers: [['client-request-count', '3']] }
  ], 'stale-while-revalidate')
]

// --- Age and Date.

const MONTH = 30 * 24 * 60 * 60

const DATES = [
  test('check', 'other-age-delay', [
    { response_headers: [['Cache-Control', 'max-age=3600'], NOW], response_pause: 5, expected_response_headers: [['age', '>', 0]] }
  ]),
  test('required', 'other-date-update-expires', [
    first([['Expires', MONTH], NOW]), { ...CACHED, expected_response_headers: [NOW] }
  ]),
  test('check', 'other-date-update-expires-update', [
    first([['Expires', MONTH], NOW]), { ...CACHED, expected_response_headers: [['Expires', MONTH]] }
  ])
]

// --- CDN-Cache-Control, in place of Surrogate-Control.

const CDN = 'CDN-Cache-Control'

function cdn (kind, name, directives, others, then, ...needs) {
  return test(kind, `cdn-${name}`, [first([NOW, hidden(CDN, directives), ...others]), then], ...needs)
}

// Here the field has to reach the client, too.
function cdnSeen (kind, name, directives, others, then, ...needs) {
  return test(kind, `cdn-${name}`, [first([NOW, [CDN, directives], ...others]), then], ...needs)
}

const BRIEF = ['Cache-Control', 'max-age=1']
const LONG = [['Cache-Control', 'max-age=10000'], ['Expires', 10000]]
const NO_STORE = ['Cache-Control', 'no-store']
const FRESH = 'max-age=3600'

const CDN_TESTS = [
  cdn('optimal', 'max-age', FRESH, [], CACHED, 'freshness-none'),
  cdn('optimal', 'max-age-max', `max-age=${2 ** 31}`, [], CACHED, 'freshness-none'),
  cdn('optimal', 'max-age-max-plus', 'max-age=99999999999', [], CACHED, 'freshness-none'),
  cdn('required', 'max-age-age', FRESH, [['Age', '7200']], NOT_CACHED, 'cdn-max-age'),
  cdn('check', 'max-age-space-before-equals', 'max-age =100', [BRIEF], NOT_CACHED, 'cdn-max-age'),
  cdn('check', 'max-age-space-after-equals', 'max-age= 100', [BRIEF], NOT_CACHED, 'cdn-max-age'),
  cdn('required', 'max-age-0', 'max-age=0', [], NOT_CACHED, 'cdn-max-age'),
  cdn('optimal', 'max-age-extension', `foobar, ${FRESH}`, [], CACHED, 'cdn-max-age'),
  cdn('check', 'max-age-case-insensitive', 'MaX-aGe=3600', [], CACHED, 'cdn-max-age'),
  cdn('optimal', 'max-age-expires', FRESH, [['Expires', -10000]], CACHED, 'cdn-max-age'),
  cdn('optimal', 'max-age-cc-max-age-invalid-expires', FRESH, [hidden('Expires', '0')], CACHED, 'cdn-max-age'),
  cdn('required', 'max-age-0-expires', 'max-age=0', [['Expires', 10000]], NOT_CACHED, 'cdn-max-age'),
  cdn('optimal', 'max-age-short-cc-max-age', FRESH, [BRIEF], CACHED, 'cdn-max-age'),
  cdn('required', 'max-age-long-cc-max-age', 'max-age=1', [['Cache-Control', FRESH]], NOT_CACHED, 'cdn-max-age'),
  cdnSeen('required', 'private', 'private', LONG, NOT_CACHED),
  cdnSeen('required', 'no-cache', 'no-cache', LONG, NOT_CACHED),
  cdn('required', 'no-store-cc-fresh', 'no-store', LONG, NOT_CACHED, 'freshness-none'),
  cdn('required', 'fresh-cc-nostore', 'max-age=10000', [NO_STORE], CACHED, 'freshness-none'),
  cdn('required', 'cc-invalid-sh-type-unknown', 'max-age=10000, &&&&&', [NO_STORE], NOT_CACHED, 'cdn-max-age'),
  cdn('required', 'cc-invalid-sh-type-wrong', 'max-age="10000"', [NO_STORE], NOT_CACHED, 'cdn-max-age'),
  test('check', 'cdn-remove-header', [
    { response_headers: [...LONG, hidden(CDN, 'foo'), NOW], expected_response_headers: [[CDN, 'foo']] }
  ]),
  cdnSeen('check', 'remove-age-exceed', 'max-age=10000', [BRIEF], { expected_response_headers: ['Age'] }, 'cdn-max-age'),
  cdnSeen('check', 'date-update-exceed', 'max-age=10000', [BRIEF], { expected_response_headers: [NOW] }, 'cdn-max-age'),
  cdnSeen('check', 'expires-update-exceed', 'max-age=10000', [BRIEF, ['Expires', 1]], { expected_response_headers: [['Expires', 1]] }, 'cdn-max-age')
]

// --- Interim responses. `client.mjs` shows them as fields of the final one.

function interim (kind, name, status, fields, more, then) {
  const expected = [['interim', `${status}`], ...fields.map(([field]) => `interim-${field}`)]
  return test(kind, `interim-${name}`, [{
    interim_responses: [[status, fields]],
    response_headers: [['Cache-Control', 'max-age=100000'], NOW],
    expected_response_headers: expected,
    pause_after: true,
    ...more
  }, then])
}

const LINK = ['link', '</styles.css>; rel=preload; as=style']
const OTHER = ['x-my-header', 'test']
const WITHOUT_OTHER = { expected_response_headers_missing: ['x-my-header'] }

const INTERIM = [
  interim('optimal', '102', 102, [], {}, CACHED),
  interim('optimal', '103', 103, [LINK, OTHER], {}, CACHED),
  interim('required', 'not-cached', 103, [LINK], {}, { ...CACHED, expected_response_headers_missing: ['interim'] }),
  interim('optimal', 'no-header-reuse', 103, [LINK, OTHER], WITHOUT_OTHER, { ...CACHED, ...WITHOUT_OTHER })
]

const NEW_GROUPS = {
  'age-parse': AGE,
  'expires-parse': EXPIRES,
  rules: RULES,
  stale: STALE,
  dates: DATES,
  'cdn-cache-control': CDN_TESTS,
  interim: INTERIM
}

function fresh (test) {
  const [request, ...others] = test.requests
  if (JSON.stringify(request.response_headers) !== FRESH_THEN) return test
  return { ...test, requests: [{ ...request, ...FRESH_NOW }, ...others] }
}

function mayUpdate (test) {
  const name = MAY_UPDATE.find(name => test.id === `304-etag-update-response-${name}`)
  if (name === undefined) return test
  const value = test.requests[1].response_headers.find(([field]) => field === name)[1]
  const requests = test.requests.map((request, number) => ({
    ...request,
    response_headers: request.response_headers.map(header => header[0] !== name ? header : [name, number === 0 ? header[1] : value]),
    ...(number === 0 ? {} : { expected_response_headers: [[name, value]] })
  }))
  return { ...test, requests }
}

function changed (test) {
  const kind = Object.keys(KINDS).find(kind => KINDS[kind].includes(test.id)) ?? test.kind
  const needs = NEEDS.find(([ids]) => ids.test(test.id))
  const today = mayUpdate({ ...fresh(test), kind, depends_on: needs?.slice(1) ?? test.depends_on })
  // The suite writes into its tests: nothing may be in two of them.
  return JSON.parse(JSON.stringify(today))
}

// The groups of the version that npm has, as they are today.
export function today (groups) {
  const added = Object.entries(NEW_GROUPS).map(([id, tests]) => ({ id, name: id, tests }))
  const replaced = new Set([...GONE, ...added.flatMap(group => group.tests).map(test => test.id)])
  const kept = groups
    .filter(group => group.id !== 'surrogate-control')
    .map(group => ({ ...group, tests: group.tests.filter(test => !replaced.has(test.id)) }))
  return [...kept, ...added].map(group => ({ ...group, tests: group.tests.map(changed) }))
}
