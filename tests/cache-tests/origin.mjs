// Starts the origin of the suite in the folder given, on a free port of
// 127.0.0.1 and not, as it would by itself, of every address. It prints where.
// Interim responses and pauses, which tests have that are newer than the
// suite's origin (since.mjs), are seen to here.
import http from 'node:http'
import net from 'node:net'
import process from 'node:process'

const suite = process.argv[2]
const { configs } = await import(`${suite}/server/utils.mjs`)

function asked (request) {
  const [, kind, test] = request.url.split(/[/?]/)
  return kind === 'test' ? configs.get(test)?.[request.headers['req-num'] - 1] : undefined
}

function writeInterim (response, [status, fields]) {
  if (status === 102) response.writeProcessing()
  else response.writeEarlyHints(Object.fromEntries(fields))
}

const createServer = http.createServer
http.createServer = answer => createServer((request, response) => {
  const { interim_responses: interim = [], response_pause: seconds = 0 } = asked(request) ?? {}
  interim.forEach(one => writeInterim(response, one))
  setTimeout(() => answer(request, response), seconds * 1000)
})
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function () {
  return listen.call(this, 0, '127.0.0.1')
}
process.env.npm_config_protocol = 'http'
process.env.npm_config_port = '1' // only its own base for relative URLs
process.env.npm_config_pidfile = '/dev/null'
process.chdir(suite)
await import(`${suite}/server/server.mjs`)
