import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createPage } from 'node:http'
import { createServer, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { HeadframeError, Site, discover, open } from 'headframe'

/** Asks a device one line over TCP. */
function ask (port, line) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let said = ''
    socket.setEncoding('utf8').on('data', (data) => { said += data }).on('end', () => resolve(said)).on('error', reject)
    socket.end(line)
  })
}

/** A driver that does its own I/O. */
class Acme {
  static id = 'acme'
  static make = 'Acme'

  static async open ({ port, hangs = false }) {
    return new Acme(port, hangs)
  }

  capability = {
    commands: [{
      name: 'setPowerMode',
      reply: 'expected',
      read_back: { kind: 'value', field: 'config.power_mode', within_s: 5 },
      undo: 'before',
      restart: 'none'
    }],
    power_modes: ['low', 'normal']
  }

  constructor (port, hangs) {
    this.port = port
    this.hangs = hangs
  }

  async snapshot () {
    if (this.hangs) await new Promise(() => {})
    const { watts, mode } = JSON.parse(await ask(this.port, 'state'))
    return { success: true, stats: { status: 'mining', power_w: watts }, config: { power_mode: mode } }
  }

  async observe () {
    const { mac, mode } = JSON.parse(await ask(this.port, 'state'))
    return { identity: { mac }, now: { name: 'setPowerMode', args: mode } }
  }

  async execute (action, [mode]) {
    if (action !== 'setPowerMode') throw new HeadframeError('no such command', { kind: 'Unsupported' })
    return { requests: [`mode ${mode}`], reply: await ask(this.port, `mode ${mode}`) }
  }
}

/** The device: it keeps its mode. */
async function device (t) {
  const state = { mac: 'AA:BB:CC:00:00:01', watts: 3_000, mode: 'normal' }
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let line = ''
    socket.setEncoding('utf8').on('data', (data) => { line += data }).on('end', () => {
      if (line.startsWith('mode ')) {
        state.mode = line.slice(5)
        state.watts = state.mode === 'low' ? 2_000 : 3_000
      }
      socket.end(JSON.stringify(state))
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return server.address().port
}

test('a device of a driver of one\'s own is read and written to', async (t) => {
  const port = await device(t)
  const acme = await open('acme', { address: '127.0.0.1', port }, { drivers: [Acme] })
  assert.equal((await acme.snapshot()).stats.power_w, 3_000)
  const outcome = await acme.execute({ name: 'setPowerMode', args: 'low' })
  assert.deepEqual([outcome.state, outcome.receipt.requests], ['verified', ['mode low']])
  assert.equal((await acme.snapshot()).stats.power_w, 2_000)
  await assert.rejects(acme.execute({ name: 'reboot' }), { kind: 'Unsupported' })
  await acme.close()
})

test('what a driver throws is told by its kind', async () => {
  const thrown = async (error) => {
    const driver = { id: 'throws', open: async () => ({ snapshot: async () => { throw error } }) }
    const opened = await open('throws', { address: '127.0.0.1' }, { drivers: [driver] })
    return await opened.snapshot().then(() => assert.fail(), (e) => e.kind)
  }
  assert.equal(await thrown(new HeadframeError('wrong password', { kind: 'Unauthenticated' })), 'Unauthenticated')
  assert.equal(await thrown(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })), 'Unreachable')
  assert.equal(await thrown('anything'), 'BadReply')
  const odd = { id: 'odd', open: async () => ({ snapshot: async () => ({ stats: 'none' }) }) }
  const opened = await open('odd', { address: '127.0.0.1' }, { drivers: [odd] })
  await assert.rejects(opened.snapshot(), { kind: 'BadReply' })
  await assert.rejects(open('x', {}, { drivers: [{ id: 'x' }] }), { kind: 'Invalid' })
})

test('a thing that never answers costs itself its deadline, and nobody else', async (t) => {
  const port = await device(t)
  const folder = await mkdtemp(join(tmpdir(), 'headframe-driver-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const racks = [{ type: 'miner-acme', name: 'a', driver: 'acme', intervalMs: 400, deadlineMs: 300, allowDuplicateIps: true }]
  const site = await Site.open(folder, { racks }, { how: 'create', drivers: [Acme] })
  t.after(() => site.close())
  const thing = (id, hangs) => ({ id, opts: { address: '127.0.0.1', port, hangs }, info: {} })
  const made = await site.register('miner-acme-a', [thing('well', false), thing('hangs', true)], 'ann')
  assert(made.every(({ thing }) => thing), JSON.stringify(made))
  const seen = { well: [], hangs: [] }
  for await (const batch of site.subscribe()) {
    for (const reading of batch) seen[reading.thing].push(reading.about.error?.kind ?? reading.snapshot.stats.power_w)
    if (seen.well.length >= 4 && seen.hangs.length >= 1) break
  }
  assert.deepEqual([...new Set(seen.well)], [3_000])
  assert.deepEqual([...new Set(seen.hangs)], ['Timeout'])
})

/** A driver whose devices are found by what their page says. */
class Kiln {
  static id = 'kiln'
  static make = 'Kiln'
  static docs = '# Kiln'
  static probes = [{ get: '/hello', says: 'kiln', at: '/device', not: ['oven'], model: '/model', mac: '/mac' }]

  static async open ({ address, port }) {
    if (typeof address !== 'string') throw new HeadframeError('it has none', { kind: 'Invalid', context: { field: 'address' } })
    const said = async () => await (await fetch(`http://${address}:${port ?? 80}/hello`)).json()
    return { snapshot: async () => ({ success: true, stats: { status: 'mining', power_w: (await said()).watts } }) }
  }
}

/** Devices that say so on one port of several addresses. */
async function pages (t, said) {
  let port = 0
  for (const [address, text] of Object.entries(said)) {
    const server = createPage((request, reply) => {
      reply.statusCode = request.url === '/hello' ? 200 : 404
      reply.end(text)
    })
    await new Promise((resolve) => server.listen(port, address, resolve))
    t.after(() => server.close())
    port = server.address().port
  }
  return port
}

test('a driver of one\'s own finds its devices by their probes', async (t) => {
  const kiln = { device: 'Kiln', model: 'K3', mac: '02:4B:49:4C:4E:01', watts: 900 }
  const port = await pages(t, {
    '127.110.250.1': JSON.stringify(kiln),
    '127.110.250.2': JSON.stringify({ ...kiln, also: 'an oven' }),
    '127.110.250.3': JSON.stringify({ device: 'other', note: 'kiln' }),
    '127.110.250.4': '<html>kiln</html>'
  })
  const found = []
  for await (const event of discover('127.110.250.1-127.110.250.4', { ports: { web: port }, drivers: [Kiln] })) {
    if (event.event === 'device') found.push(event)
  }
  assert.deepEqual(found.map(({ address, driver, make, model, mac, stock }) => [address, driver, make, model, mac, stock]),
    [['127.110.250.1', 'kiln', 'Kiln', 'K3', '02:4B:49:4C:4E:01', true]])
  assert.deepEqual(found[0].opts, { address: '127.110.250.1', port })

  const folder = await mkdtemp(join(tmpdir(), 'headframe-driver-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const racks = [{ type: 'miner-kiln', name: 'a', driver: 'kiln', intervalMs: 300 }]
  const site = await Site.open(folder, { racks }, { how: 'create', drivers: [Kiln] })
  t.after(() => site.close())
  const report = await site.find('127.110.250.1-127.110.250.4', 'ann', { ports: { web: port } })
  assert.deepEqual([report.registered.length, report.registered[0].info.model], [1, 'K3'])
  for await (const batch of site.subscribe()) {
    assert.deepEqual(batch[0].snapshot.stats.power_w, 900)
    break
  }
})

test('what is wrong with a driver\'s probes or options is named', async () => {
  const field = async (driver, opts = { address: '127.110.250.9' }) =>
    await open('kiln', opts, { drivers: [driver] }).then(() => assert.fail(), (e) => [e.kind, e.context.field])
  const asks = (probes) => ({ id: 'kiln', open: Kiln.open, probes })
  assert.deepEqual(await field(asks([{ says: 'kiln' }])), ['Invalid', 'probes[0]'])
  assert.deepEqual(await field(asks([{ get: 'hello', says: 'kiln' }])), ['Invalid', 'probes[0].get'])
  assert.deepEqual(await field(asks([{ get: '/', says: 'kiln', port: 'ssh' }])), ['Invalid', 'probes[0].port'])
  assert.deepEqual(await field(asks('kiln')), ['Invalid', 'probes'])
  assert.deepEqual(await field({ ...asks([]), docs: 7 }), ['Invalid', 'docs'])
  assert.deepEqual(await field(Kiln, {}), ['Invalid', 'address'])
})
