import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { Site } from 'headframe'

import { ANN, BOB, CLUSTERS, MINERS, ORDERS, gateway } from './standin/clusters.mjs'
import { folder, start, until } from './standin/run.mjs'

/** A call that is never answered, in the worker: what waits for it has only its own time. */
const HUNG = `
  const { Site } = require(process.cwd() + '/lib/index.js')
  const call = Site.prototype.call
  Site.prototype.call = function (who, method, ...rest) {
    if (method !== 'echo') return call.call(this, who, method, ...rest)
    const { signal } = rest[1]
    return new Promise((resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
  // As a call that is under way does.
  const awake = setInterval(() => {}, 1_000)
`

test('the facility has what the gateway touches', async (t) => {
  const worker = await start(t, await folder(t, CLUSTERS))
  const about = await worker.ask('about')
  assert.match(about.rpcPublicKey, /^[0-9a-f]{64}$/)
  assert.equal(about.rpcClientKey, about.rpcPublicKey)
  assert.deepEqual(about.calledBack, { start: 1, stop: 0 })
  assert.deepEqual((await worker.call('north', 'listRacks', {})).map(({ id }) => id), [MINERS])
  assert.deepEqual((await worker.call('south', 'listRacks')).map(({ id }) => id), [ORDERS])
  for (const key of ['nowhere', '', '__proto__', 'constructor', about.rpcPublicKey.replace(/./, 'x')]) {
    await assert.rejects(worker.call(key, 'listRacks', {}), { message: 'ERR_CLUSTER_UNKNOWN' })
  }

  await t.test('the worker\'s own methods answer who has its key, as its health check does', async () => {
    const own = (method, params) => worker.call(about.rpcPublicKey, method, params)
    assert.equal(await own('ping', 'health'), 'health')
    assert.match(await own('getInstanceId'), /^wrk-node-http-[0-9a-f-]{36}$/)
    await assert.rejects(own('failing'), { message: '[HRPC_ERR]=ERR_OF_THE_WORKER' })
    await assert.rejects(own('listThings', {}), { message: 'UNKNOWN_METHOD' })
    const said = await worker.run(`
      const reply = async (...args) => String(await worker.net_r0.handleReply(...args))
      return [await reply('getInstanceId', Buffer.from('null')), await reply('failing', Buffer.from('{}')), await reply('ping', Buffer.from('{'))]
    `)
    assert.deepEqual(said.map((text) => JSON.parse(text)).map((text) => text.slice(0, 13)), ['wrk-node-http', '[HRPC_ERR]=ER', '[HRPC_ERR]=ER'])
  })

  await t.test('log downloads find no peers', async () => {
    assert.deepEqual(await worker.run(`
      const { net_r0: net } = worker
      await net.startSwarm()
      net.swarm.on('connection', () => {})
      const joined = net.swarm.join(Buffer.alloc(32), { server: false, client: true })
      await joined.destroy()
      return [...net.swarm.connections]
    `), [])
  })
})

test('whoever does what they like with an answer changes nobody else\'s', async (t) => {
  const { worker } = await gateway(t, '127.81.1.1', 2)
  const said = await worker.run(`
    const call = (method, params) => worker.net_r0.jRequest('north', method, params)
    const before = JSON.stringify(await call('listThings', { status: 1, fields: { id: 1, info: 1, tags: 1 } }))
    // Asked at once, they are different objects, too.
    const [a, b] = await Promise.all([call('listThings', {}), call('listThings', {})])
    const shared = a === b || a[0] === b[0] || a[0].tags === b[0].tags
    for (const thing of a) { thing.info.pos = 'mine'; thing.tags.length = 0; delete thing.rack; Object.freeze(thing) }
    a.push('mine')
    const racks = await call('listRacks', {})
    racks[0].info.mine = true
    const config = await call('getGlobalConfig', {})
    config.nominalHashrate = 'mine'
    // Parameters are the caller's again as soon as the call was made.
    const params = { query: { id: 'm-1' }, fields: { id: 1 } }
    const asked = call('listThings', params)
    params.query.id = 'm-0'
    params.fields = { info: 1 }
    return {
      shared,
      same: before === JSON.stringify(await call('listThings', { status: 1, fields: { id: 1, info: 1, tags: 1 } })),
      asked: (await asked).map((thing) => thing.id),
      racks: (await call('listRacks', {}))[0].info,
      config: (await call('getGlobalConfig', {})).nominalHashrate
    }
  `)
  assert.deepEqual(said, { shared: false, same: true, asked: ['m-1'], racks: {}, config: 1_000_000 })

  await t.test('names that JavaScript reads in its own way are names', async () => {
    const said = await worker.run(`
      const call = (method, params) => worker.net_r0.jRequest('north', method, params)
      const failed = (promise) => promise.then((value) => value, (e) => e.message)
      const hostile = JSON.parse('{"__proto__": {"polluted": 1, "toJSON": 1}, "constructor": {"prototype": {"polluted": 1}}, "a": 1}')
      const out = {
        echo: JSON.stringify(await call('echo', hostile)),
        query: await failed(call('listThings', { query: hostile })),
        fields: await failed(call('listThings', { fields: hostile })),
        settings: await failed(call('saveWrkSettings', { rackId: '${MINERS}', entries: hostile })),
        polluted: [{}.polluted, [].polluted, (() => {}).polluted]
      }
      out.kept = JSON.stringify(await call('getWrkSettings', { rackId: '${MINERS}' }))
      for (const params of [null, undefined, [], 7, 'x', Object.create(null), new Map([[1, 2]]), new Date(0), { a: undefined, b: NaN, c: -0 }]) {
        (out.echoes ??= []).push(await failed(call('echo', params)))
      }
      const cyclic = {}
      cyclic.self = cyclic
      const odd = [cyclic, { n: 1n }, { toJSON () { throw new Error('no') } }, { s: '\\ud800' }, () => {}, Symbol('x')]
      out.odd = await Promise.all(odd.map((params) => failed(call('listThings', params))))
      return out
    `)
    assert.equal(said.echo, '{"__proto__":{"polluted":1,"toJSON":1},"a":1,"constructor":{"prototype":{"polluted":1}}}')
    assert.deepEqual([said.query, said.polluted], [[], [null, null, null]])
    assert(Array.isArray(said.fields) || /^ERR_/.test(said.fields), JSON.stringify(said.fields))
    assert(typeof said.settings === 'object' || /^ERR_/.test(said.settings), JSON.stringify(said.settings))
    assert.deepEqual(said.echoes, [{}, {}, [], 7, 'x', {}, {}, '1970-01-01T00:00:00.000Z', { b: null, c: 0 }])
    assert.deepEqual(said.odd.map((one) => String(one).slice(0, 4)), Array(6).fill('ERR_'), JSON.stringify(said.odd))
  })
})

test('an orchestrator that does not answer costs its caller its time, and nobody else', async (t) => {
  const { simulator, worker } = await gateway(t, '127.81.2.1', 3, { rpcTimeout: 500 })
  // Of a device that hangs, nobody waits for more than what was read of it before.
  simulator.fault(0, { kind: 'hang' })
  await until(() => worker.call('north', 'listThings', { status: 1, query: { id: 'm-0' } }), ([thing]) => thing.last.err !== null)
  assert.equal((await worker.call('north', 'listThings', { status: 1 })).length, 3)

  const order = await worker.run(`${HUNG}
    const order = []
    const { net_r0: net } = worker
    const hung = net.jRequest('north', 'echo', {}, { timeout: 1_500 }).catch((e) => order.push(e.message))
    const other = net.jRequest('south', 'listRacks', {}).then(() => order.push('answer of the other'))
    setImmediate(() => order.push('turn of the loop'))
    await other
    for (let n = 0; n < 20; n++) await net.jRequest('north', 'listThings', { status: 1, limit: 1 })
    order.push('answers of the same')
    await hung
    clearInterval(awake)
    return order
  `)
  assert.deepEqual(order.slice(-3), ['answer of the other', 'answers of the same', 'ERR_TIMEOUT'])
  assert.deepEqual(order[0], 'turn of the loop')
  assert.deepEqual(await worker.ask('requestData', 'echo', {}), [{ error: 'ERR_TIMEOUT' }, { error: 'ERR_TIMEOUT' }])
  await assert.rejects(worker.ask('requestDataMap', 'echo', {}), { message: 'ERR_TIMEOUT' })
})

test('a time that is none is the usual one', async (t) => {
  const worker = await start(t, await folder(t, { south: CLUSTERS.south }))
  for (const timeout of [0, null, undefined, 1_000, '1000', 2 ** 31, 2 ** 40, Infinity]) {
    assert.equal((await worker.call('south', 'listRacks', {}, { timeout })).length, 1, `${timeout}`)
  }
  // What takes longer than it may is not waited for.
  const late = await worker.run(`
    const large = 'x'.repeat(10 << 20)
    return worker.net_r0.jRequest('south', 'echo', { large }, { timeout: 1 }).then(() => 'in time', (e) => e.message)
  `)
  assert.equal(late, 'ERR_TIMEOUT')
})

test('calls of many callers at once are each answered with their own', async (t) => {
  const worker = await start(t, await folder(t, CLUSTERS))
  const answered = await worker.run(`
    const call = (n) => worker.net_r0.jRequest(n % 2 ? 'north' : 'south', 'echo', { n })
    const answers = await Promise.all(Array.from({ length: 500 }, (_, n) => call(n)))
    return answers.every((answer, n) => answer.n === n)
  `)
  assert.equal(answered, true)
})

test('what was acknowledged before SIGTERM is there after it', async (t) => {
  const { root, worker } = await gateway(t, '127.81.3.1', 3)
  const { route } = worker
  await route('settings', { rackId: MINERS, entries: { shift: 'night' } })
  await route('comment', ANN, 'save', { rackId: MINERS, thingId: 'm-1', comment: 'hot' })
  const draft = { query: { id: { $in: ['m-0', 'm-2'] } }, action: 'setUpfreqSpeed', params: [1] }
  const { id } = (await route('push', ANN, draft)).find((answer) => answer.id !== null)
  await worker.call('north', 'setGlobalConfig', { isAutoSleepAllowed: true })
  await worker.call('south', 'registerThing', { rackId: ORDERS, id: 'w-1', info: { type: 1, deviceType: 'miner', deviceModel: 'm50s', deviceIdentifier: 'x' } })
  const read = await worker.call('north', 'listThings', { status: 1, fields: { 'last.ts': 1, 'last.snap.stats.power_w': 1 } })

  const ended = await worker.stop()
  assert.deepEqual([ended.code, ended.signal, ended.messages], [0, null, [{ stopped: { start: 1, stop: 1 } }]], ended.said)

  const who = { user: 'test', permissions: ['*:rw'] }
  const north = await Site.open(join(root, CLUSTERS.north.folder), { ...CLUSTERS.north.site, policy: 'mos', claims: true })
  t.after(() => north.close())
  const things = await north.call(who, 'listThings', { status: 1 })
  assert.deepEqual(things.map((thing) => thing.id), ['m-0', 'm-1', 'm-2'])
  assert.deepEqual(things[1].comments.map(({ comment, user }) => [comment, user]), [['hot', 'ann@site']])
  assert.equal((await north.call(who, 'getWrkSettings', { rackId: MINERS })).shift, 'night')
  assert.equal((await north.call(who, 'getGlobalConfig', {})).isAutoSleepAllowed, true)
  const action = await north.call(who, 'getAction', { id, type: 'voting' })
  assert.deepEqual([action.votesPos, action.targets[MINERS].calls.map((call) => call.id)], [['ann@site'], ['m-0', 'm-2']])
  for (const [at, { last }] of read.entries()) {
    const query = { type: 'miner', key: 'thing-5m', tag: `m-${at}`, start: last.ts, end: last.ts }
    const kept = await north.call(who, 'tailLog', query)
    assert.equal(kept.length, 1, `the reading of ${last.ts} is not there`)
    assert.equal(kept[0].snap.stats.power_w, last.snap.stats.power_w)
  }

  const south = await Site.open(join(root, CLUSTERS.south.folder), { ...CLUSTERS.south.site, policy: 'mos', claims: true })
  assert.deepEqual((await south.call(who, 'listThings', {})).map((thing) => thing.id), ['w-1'])
  await south.close()
  // The vote counts where it goes on.
  await north.close()
  const again = await start(t, root)
  assert.deepEqual((await again.route('vote', BOB, { id, approve: true })).map(({ res }) => res.error ?? res).sort(), [1, 'ERR_ACTION_ID_NOT_FOUND'])
})

test('it is stopped while it starts, with calls under way, and twice', async (t) => {
  const worker = await start(t, await folder(t, CLUSTERS))
  const said = await worker.run(`
    const { mkdtempSync, rmSync, cpSync } = require('node:fs')
    const root = mkdtempSync(require('node:os').tmpdir() + '/headframe-standin-')
    cpSync(worker.ctx.root + '/config', root + '/config', { recursive: true })
    const Facility = worker.net_r0.constructor
    const made = () => new Facility({ ctx: { root } }, { ns: 'r0', root }, {})
    const done = (facility, verb) => new Promise((resolve) => facility[verb]((e) => resolve(e?.message ?? verb)))
    const early = made()
    const first = await Promise.all([done(early, 'start'), done(early, 'stop')])
    // Everything is free again.
    const second = made()
    const again = await done(second, 'start')
    const calls = Array.from({ length: 50 }, () => second.jRequest('north', 'listThings', {}).then(() => 'answer', (e) => e.message))
    const stopped = await Promise.all([done(second, 'stop'), done(second, 'stop')])
    const ended = new Set(await Promise.all(calls))
    const after = await second.jRequest('north', 'listThings', {}).catch((e) => e.message)
    rmSync(root, { recursive: true })
    return { first, again, stopped, ended: [...ended], after }
  `)
  assert.deepEqual(said.ended.filter((one) => !['answer', 'ERR_CLOSED'].includes(one)), [])
  delete said.ended
  assert.deepEqual(said, { first: ['start', 'stop'], again: 'start', stopped: ['stop', 'stop'], after: 'ERR_CLUSTER_UNKNOWN' })
})

test('a cluster that cannot be opened is told once, and leaves the others free', async (t) => {
  const root = await folder(t, { ...CLUSTERS, wrong: { folder: 'store/wrong', site: { rackz: [] } } })
  await assert.rejects(start(t, root), /rackz/)
  await mkdir(join(root, 'store', 'wrong'), { recursive: true })
  await writeFile(join(root, 'config', 'facs', 'net.config.json'), JSON.stringify({ r0: { clusters: CLUSTERS } }))
  const worker = await start(t, root)
  assert.equal((await worker.call('north', 'listRacks', {})).length, 1)
})
