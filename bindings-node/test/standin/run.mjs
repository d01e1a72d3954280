import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))
const WORKER = fileURLToPath(new URL('worker.js', import.meta.url))

/** A folder as the gateway has one, with the clusters of its facility; it goes away with the test. */
export async function folder (t, clusters, common = {}) {
  const root = await mkdtemp(join(tmpdir(), 'headframe-standin-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  await mkdir(join(root, 'config', 'facs'), { recursive: true })
  const orks = Object.fromEntries(Object.keys(clusters).map((name) => [name, { rpcPublicKey: name }]))
  const files = { 'facs/net.config.json': { r0: { clusters } }, 'common.json': { site: 'test', orks, ...common } }
  for (const [name, content] of Object.entries(files)) await writeFile(join(root, 'config', name), JSON.stringify(content))
  return root
}

/**
 * Starts the stand-in with the one option that an owner adds to the command. What it is asked is answered, or rejected with
 * the text of the worker's error.
 */
export async function start (t, root) {
  const child = fork(WORKER, [root], { execArgv: ['-r', 'headframe/miningos-net'], cwd: PACKAGE, silent: true })
  let said = ''
  child.stdout.on('data', (data) => { said += data })
  child.stderr.on('data', (data) => { said += data })
  const waiting = new Map()
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })))
  const messages = []
  const started = new Promise((resolve) => {
    child.on('message', (message) => {
      if (message.started) return resolve()
      const asked = waiting.get(message.id)
      if (asked === undefined) return messages.push(message)
      waiting.delete(message.id)
      if ('error' in message) asked.reject(new Error(message.error))
      else asked.resolve(message.value)
    })
  })
  t.after(() => { child.kill('SIGKILL') })
  const gone = ended.then((how) => {
    for (const { reject } of waiting.values()) reject(new Error(`the worker ended with ${JSON.stringify(how)}: ${said}`))
    return how
  })
  await Promise.race([started, gone.then((how) => assert.fail(`${JSON.stringify(how)}: ${said}`))])
  let last = 0
  const ask = (verb, ...args) => new Promise((resolve, reject) => {
    const id = ++last
    waiting.set(id, { resolve, reject })
    child.send({ id, verb, args })
  })
  const handle = (name) => (...args) => ask(name, ...args)
  return {
    ask,
    call: handle('call'),
    route: handle('route'),
    run: handle('run'),
    kill: (signal) => child.kill(signal),
    /** As a service manager ends it; gives how it ended and what it said last. */
    async stop () {
      child.kill('SIGTERM')
      const how = await gone
      return { ...how, said, messages }
    }
  }
}

/** Asks until the answer is as it should be. */
export async function until (ask, fits, tries = 200) {
  let answer
  for (let n = 0; n < tries; n++) {
    answer = await ask()
    if (fits(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail(`it never was as it should be: ${JSON.stringify(answer)?.slice(0, 2_000)}`)
}
