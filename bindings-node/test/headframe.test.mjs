import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { HeadframeError, Simulator, Site, discover, open, version } from 'headframe'

const ADMIN = { user: 'ann@site', permissions: ['miner:rw', 'actions:rw'] }

/** A folder that goes away with the test. */
async function folder (t) {
  const path = await mkdtemp(join(tmpdir(), 'headframe-node-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

async function simulated (t, conf) {
  const simulator = await Simulator.start(conf)
  t.after(() => simulator.close())
  return simulator
}

test('the version is that of the package', async () => {
  const { default: about } = await import('headframe/package.json', { with: { type: 'json' } })
  assert.equal(version, about.version)
})

test('devices are discovered as they are found, and the scan ends with a summary', async (t) => {
  await simulated(t, { seed: 1, base: '127.41.0.1', whatsminers: 2, antminers: 1 })
  const found = []
  let summary
  for await (const event of discover('127.41.0.1-127.41.0.4', { ports: { simulated: true } })) {
    if (event.event === 'summary') summary = event.report
    else found.push(event)
  }
  assert.deepEqual(found.map((device) => device.driver).sort(), ['antminer', 'whatsminer', 'whatsminer'])
  assert.equal(summary.total, 4)
  assert.equal(summary.devices, 3)
})

test('a scan that is aborted says at once what it did not reach', async (t) => {
  const simulator = await simulated(t, { seed: 5, base: '127.46.0.1', whatsminers: 1 })
  simulator.fault(0, { kind: 'hang' })
  const signal = AbortSignal.timeout(100)
  const events = []
  for await (const event of discover('127.46.0.1', { ports: { simulated: true }, signal })) events.push(event)
  assert.deepEqual(events.map(({ event }) => event), ['summary'])
  // A range, as a new scan takes it.
  assert.equal(events[0].report.not_reached, '127.46.0.1')
})

test('a scan whose loop is left asks nobody any more', async (t) => {
  const first = await simulated(t, { base: '127.47.0.1', whatsminers: 1 })
  const last = await simulated(t, { base: '127.47.0.30', whatsminers: 1 })
  for await (const _ of discover('127.47.0.1-127.47.0.30', { ports: { simulated: true }, concurrency: 1 })) break
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.notEqual(first.truth(0).requests, 0)
  assert.equal(last.truth(0).requests, 0)
})

test('a wrong range is a typed error', async () => {
  await assert.rejects(async () => { for await (const _ of discover('10.0.0.0/99')) assert.fail() }, (e) => {
    assert(e instanceof HeadframeError)
    assert.equal(e.kind, 'Invalid')
    return true
  })
})

test('one device is opened, read and written to', async (t) => {
  const simulator = await simulated(t, { seed: 2, base: '127.42.0.1', whatsminers: 1 })
  const [{ address, ports }] = simulator.devices()
  const device = await open('whatsminer', { address, port: ports.rpc, password: 'admin' })
  const snapshot = await device.snapshot()
  assert(Math.abs(snapshot.stats.power_w - simulator.truth(0).power_w) < 200)
  assert(device.capability())
  const outcome = await device.execute({ name: 'setPowerMode', args: 'low' })
  assert.equal(outcome.state, 'verified')
  await device.close()
  await assert.rejects(device.snapshot(), { kind: 'Closed', code: 'ERR_CLOSED' })
})

test('a site finds, lists, streams, and writes what two people approved', async (t) => {
  const simulator = await simulated(t, { seed: 3, base: '127.43.0.1', whatsminers: 10 })
  const people = { 'ann@site': ADMIN.permissions, 'bob@site': ADMIN.permissions }
  const racks = [{ type: 'miner-wm-m50s', name: 'hall-1', driver: 'whatsminer', intervalMs: 500 }]
  const site = await Site.open(await folder(t), { racks, people }, { how: 'create' })
  t.after(() => site.close())
  const logins = [{ driver: 'whatsminer', opts: { password: 'admin' } }]
  const report = await site.find('127.43.0.1-127.43.0.10', 'ann@site', { ports: { simulated: true }, logins })
  assert.equal(report.registered.length, 10)

  const seen = new Map()
  for await (const batch of site.subscribe()) {
    for (const reading of batch) seen.set(reading.thing, reading)
    // Nothing is written to a device that cannot be told from another, and each poll says who it is.
    if (seen.size === 10 && site.counts().pollsDone >= 30) break
  }
  const [first] = seen.values()
  assert.equal(typeof first.snapshot.stats.power_w, 'number')
  assert.equal(first.about.error, null)

  const page = await site.list({ query: { type: 'miner-wm-m50s' }, limit: 4, status: true })
  assert.deepEqual([page.items.length, page.matched, page.failed], [4, 10, []])
  const rest = await site.list({ query: { type: 'miner-wm-m50s' }, limit: 100, cursor: page.next })
  assert.equal(rest.items.length, 6)
  assert.equal((await site.call(ADMIN, 'listThings', { limit: 100 })).length, 10)

  const [from, to] = [Date.now() - 60_000, Date.now() + 60_000]
  const power = { things: { tag: 't-miner' }, metric: 'stats.power_w', from, to }
  const raw = await site.series({ ...power, step: 'raw' })
  assert.equal(raw.columns.length, 10)
  assert(raw.columns.every(({ ts, values }) => ts.length === values.length && values.some((watts) => watts > 1_000)))
  const sum = await site.series({ ...power, step: 'whole', over: 'together', aggregate: 'mean' })
  assert(sum.columns[0].values[0] > 1_000 && sum.columns[0].coverage[0] > 0)
  await assert.rejects(site.series({ ...power, metric: 'stats.pwer_w' }), { code: 'ERR_METRIC_NOT_FOUND' })
  await assert.rejects(site.series({ ...power, step: { unit: 'D', zone: 'Mars/Base' } }), { kind: 'Invalid' })

  const { items, failed } = await site.statistics({ type: 'miner', tag: 't-miner', key: 'stat-rtd' })
  assert.deepEqual([items.length, failed], [1, []])
  assert(items[0].power_w_sum_aggr > 10_000, JSON.stringify(items))
  await assert.rejects(site.statistics({ type: 'miner', tag: 't-miner', key: 'stat-7m' }), { kind: 'Invalid' })

  const draft = { action: 'setPowerMode', params: ['sleep'], query: {}, why: 'price' }
  const preview = await site.actions.preview(draft, 'ann@site')
  assert.deepEqual([Object.values(preview.targets)[0].length, preview.terms.votes_for], [10, 2])
  const { id, errors } = await site.actions.push(draft, 'ann@site')
  assert.deepEqual(errors, [])
  await assert.rejects(site.actions.vote(id, { approve: true }, 'ann@site'), { code: 'ERR_VOTER_EXISTS' })
  const changes = site.actions.watch()
  await site.actions.vote(id, { approve: true }, 'bob@site')
  for await (const change of changes) if (!['APPROVED', 'EXECUTING'].includes(change.status)) break
  const done = await site.actions.get(id)
  assert.deepEqual([done.status, done.counts.ok], ['COMPLETED', 10], JSON.stringify(done.targets))
  assert(simulator.devices().every(({ index }) => simulator.truth(index).executed.power_off === 1))
  assert.equal(await site.actions.get(1), null)
  assert.deepEqual((await site.actions.query('done')).map((action) => action.id), [id])
  assert.deepEqual(await site.actions.query('voting'), [])

  // Nothing begins in a site that is halted, so that what is approved can still be held.
  await site.actions.halt('ann@site', 'smoke')
  const { id: back } = await site.actions.push({ action: 'setPowerMode', params: ['normal'], query: {} }, 'ann@site')
  await assert.rejects(site.actions.withdraw(back, 'ann@site'), { code: 'ERR_VOTER_IS_CREATOR' })
  await assert.rejects(site.actions.pause(back, 'bob@site'), { code: 'ERR_ACTION_DECIDED' })
  assert.equal((await site.actions.vote(back, { approve: true }, 'bob@site')).status, 'APPROVED')
  await assert.rejects(site.actions.stop(back, 'bob@site', 'smoke'), { code: 'ERR_ACTION_DECIDED' })
  assert.equal((await site.actions.pause(back, 'bob@site', 'smoke')).id, back)
  assert.equal((await site.actions.resume(back, 'bob@site')).id, back)
  assert.equal((await site.actions.cancel(back, 'ann@site')).status, 'CANCELLED')
  assert(simulator.devices().every(({ index }) => simulator.truth(index).executed.power_on === undefined))

  const [copy, restored] = [join(await folder(t), 'copy'), join(await folder(t), 'restored')]
  assert.equal((await site.backup(copy)).leftOut.length, 0)
  assert.equal((await Site.restore(copy, restored)).site, site.id)
  await assert.rejects(Site.restore(restored, copy), { code: 'ERR_BACKUP_EXISTS' })

  const ended = await site.close()
  assert.equal(ended.actionsBrokenOff, false)
  assert.equal(await site.close(), null)
  await assert.rejects(site.list(), { kind: 'Closed' })
  assert.throws(() => site.counts(), { kind: 'Closed' })
})

test('a page of thousands of things comes in parts, and is one page', async (t) => {
  const racks = [{ type: 'inventory-spare', name: 'shelf' }]
  const site = await Site.open(await folder(t), { racks, history: false }, { how: 'create' })
  t.after(() => site.close())
  const spares = Array.from({ length: 2_500 }, (_, n) => ({ id: `spare-${n}`, info: { serialNum: `Ä-${n}` } }))
  await site.register('inventory-spare-shelf', spares, 'ann@site')
  for (const limit of [999, 1_000, 1_001, 2_000, 2_499, 2_500]) {
    const page = await site.list({ sort: { id: 1 }, limit })
    assert.deepEqual([page.items.length, page.matched, page.failed], [limit, 2_500, []])
    assert.deepEqual(page.items.map(({ id }) => id), spares.slice(0, limit).map(({ id }) => id))
    assert(page.items.every(({ info }, n) => info.serialNum === `Ä-${n}`))
    assert.equal(page.next === null, limit === 2_500)
  }
  const page = await site.list({ sort: { id: 1 }, limit: 2_499 })
  const { items } = await site.list({ sort: { id: 1 }, limit: 2_499, cursor: page.next })
  assert.deepEqual(items.map(({ id }) => id), ['spare-2499'])
  await assert.rejects(site.list({ limit: 2_500 }, { signal: AbortSignal.abort(new Error('enough')) }), /enough/)
})

test('wrong input is a typed error', async (t) => {
  const site = await Site.open(await folder(t), {}, { how: 'create' })
  t.after(() => site.close())
  const cyclic = {}
  cyclic.self = cyclic
  const invalid = { name: 'HeadframeError', kind: 'Invalid' }
  await assert.rejects(site.list(cyclic), invalid)
  await assert.rejects(site.list({ limit: 10n }), invalid)
  await assert.rejects(site.list({ query: { a: { $gt: '\ud800' } } }), invalid)
  await assert.rejects(site.list({ limit: NaN }), (e) => e.kind === 'Invalid' || assert.fail(e))
  await assert.rejects(site.call(ADMIN, 7), invalid)
  await assert.rejects(site.call(ADMIN, 'noSuchMethod'), { code: 'UNKNOWN_METHOD' })
  await assert.rejects(site.call({ user: 'x', permissions: ['fly'] }, 'ping'), { code: 'ERR_PERMISSION_INVALID' })
  await assert.rejects(site.actions.get(2 ** 63), invalid)
  await assert.rejects(site.actions.vote(-1, { approve: true }, 'ann'), invalid)
  await assert.rejects(site.register('nowhere', [], 'ann'), { kind: 'NotFound' })
  await assert.rejects(Site.open('/nowhere/at/all', {}), { code: 'STORE_MISSING' })
  await assert.rejects(Site.open('x', { rackz: [] }), invalid)
})

test('a call is given up when its signal is aborted', async (t) => {
  const simulator = await simulated(t, { seed: 4, base: '127.44.0.1', whatsminers: 1 })
  simulator.fault(0, { kind: 'hang' })
  const [{ address, ports }] = simulator.devices()
  const device = await open('whatsminer', { address, port: ports.rpc })
  const signal = AbortSignal.timeout(50)
  await assert.rejects(device.snapshot({ signal }), { name: 'TimeoutError' })
  await device.close()
})
