import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const PACKAGE = fileURLToPath(new URL('..', import.meta.url))

/** A stand-in's folder: its configuration, and a program that does what MiningOS's gateway does. */
async function worker (t, clusters, program) {
  const root = await mkdtemp(join(tmpdir(), 'headframe-net-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  await mkdir(join(root, 'config', 'facs'), { recursive: true })
  await writeFile(join(root, 'config', 'facs', 'net.config.json'), JSON.stringify({ r0: { clusters } }))
  await writeFile(join(root, 'worker.js'), `
    const Facility = require('@tetherto/hp-svc-facs-net')
    const root = process.argv[2]
    const make = () => new Facility({ ctx: { root } }, { ns: 'r0', root }, {})
    const done = (facility, verb) => new Promise((resolve, reject) => facility[verb]((e) => e ? reject(e) : resolve()))
    ;(async () => { ${program} })().catch((e) => { console.error(e); process.exit(1) })
  `)
  return root
}

/** Runs the stand-in, with the one option that an owner adds to the command; gives what it printed as JSON. */
async function run (root) {
  const child = spawn(process.execPath, ['-r', 'headframe/miningos-net', join(root, 'worker.js'), root], { cwd: PACKAGE })
  let out = ''
  let err = ''
  child.stdout.on('data', (data) => { out += data })
  child.stderr.on('data', (data) => { err += data })
  const code = await new Promise((resolve) => child.on('close', resolve))
  assert.equal(code, 0, err)
  return JSON.parse(out)
}

const RACK = { type: 'miner-wm-m50s', name: 'hall-1', driver: 'whatsminer', intervalMs: 60_000 }
const SITE = { folder: 'store', site: { racks: [RACK] } }

test('the facility has what the gateway touches, and its orchestrators answer', async (t) => {
  const said = await run(await worker(t, { local: SITE, other: { folder: 'other' } }, `
    const facility = make()
    await done(facility, 'start')
    await facility.startRpcServer()
    facility.rpcServer.respond('ping', async (data) => data)
    const params = { limit: 5, overwriteCache: true }
    const things = await facility.jRequest('local', 'listThings', params, { timeout: 5000 })
    things.push('mine')
    const again = await facility.jRequest('local', 'listThings', params, { timeout: 5000 })
    const failed = (promise) => promise.then(() => null, (e) => e.message)
    console.log(JSON.stringify({
      key: facility.dht.defaultKeyPair.publicKey.length,
      same: facility.rpcServer.publicKey.equals(facility.dht.defaultKeyPair.publicKey),
      ping: String(await facility.handleReply('ping', Buffer.from('x'))),
      again,
      racks: (await facility.jRequest('local', 'listRacks', { type: 'miner' })).map((rack) => rack.id),
      others: await facility.jRequest('other', 'listRacks', {}),
      unknown: await failed(facility.jRequest('nowhere', 'listRacks', {})),
      method: await failed(facility.jRequest('local', 'noSuch', {})),
      wrong: await failed(facility.jRequest('local', 'getAction', { id: 7, type: 'done' })),
      pushed: await facility.jRequest('local', 'pushAction',
        { query: {}, action: 'reboot', params: [], voter: 'ann@site', authPerms: ['miner:rw', 'actions:rw'] }),
      count: (await Promise.all(Array.from({ length: 200 }, () => facility.jRequest('local', 'ping', 1)))).length,
      late: await late()
    }))
    await done(facility, 'stop')

    // An orchestrator that never answers.
    async function late () {
      const { Site } = require(process.cwd() + '/lib/index.js')
      const call = Site.prototype.call
      // As a call that is under way does.
      const awake = setInterval(() => {}, 1_000)
      Site.prototype.call = (who, method, params, { signal }) => new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
      const told = await failed(facility.jRequest('local', 'listThings', {}, { timeout: 20 }))
      Site.prototype.call = call
      clearInterval(awake)
      return told
    }
  `))
  assert.deepEqual(said, {
    key: 32,
    same: true,
    ping: 'x',
    again: [],
    racks: ['miner-wm-m50s-hall-1'],
    others: [],
    unknown: 'ERR_CLUSTER_UNKNOWN',
    method: 'UNKNOWN_METHOD',
    wrong: 'ERR_ACTION_ID_NOT_FOUND',
    pushed: { id: null, errors: ['ERR_ORK_ACTION_CALLS_EMPTY'] },
    count: 200,
    late: 'ERR_TIMEOUT'
  })
})

test('what was taken is durable after stop', async (t) => {
  const register = { rackId: 'miner-wm-m50s-hall-1', id: 'm-1', opts: { address: '127.45.0.1' }, info: {} }
  const root = await worker(t, { local: SITE }, `
    const first = make()
    await done(first, 'start')
    await first.jRequest('local', 'registerThing', ${JSON.stringify(register)})
    await done(first, 'stop')
    const second = make()
    await done(second, 'start')
    const things = await second.jRequest('local', 'listThings', {})
    await done(second, 'stop')
    console.log(JSON.stringify(things.map((thing) => thing.id)))
  `)
  assert.deepEqual(await run(root), ['m-1'])
})
