import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { HeadframeError, Site, open } from 'headframe'

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
