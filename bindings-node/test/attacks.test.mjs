import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { HeadframeError, Simulator, Site, open } from 'headframe'

import { Named, SNAPSHOTS, readings, sited } from './attacks/driver.mjs'
import { EXECUTES, writing } from './attacks/execute.mjs'
import { program, thread } from './attacks/run.mjs'
import { BOB, MINERS, gateway } from './standin/clusters.mjs'
import { until } from './standin/run.mjs'

/** What hangs is a failure. */
const WITHIN = { timeout: 90_000 }
const RIGHTS = ['miner:rw', 'actions:rw']

async function folder (t) {
  const path = await mkdtemp(join(tmpdir(), 'headframe-attacks-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

test('13: a handle that is foreign, swapped, made by nobody or closed is a typed error and no crash', WITHIN, async () => {
  const { code, signal, stdout, stderr } = await program('handles.mjs')
  assert.deepEqual([code, signal], [0, null], stderr)
  const { own, inner, made, wrong, classes, closed, after, late } = JSON.parse(stdout)
  // JavaScript itself refuses what is none of a class's objects; this package refuses wrong arguments before it looks.
  assert.deepEqual(Object.keys(own).sort(), ['Internal', 'Invalid', 'TypeError', 'ok'])
  assert.deepEqual(own.ok, ['Reading.toJSON'], 'it reads the members of whatever it is given')
  assert.deepEqual(Object.keys(inner).sort(), ['Error', 'TypeError', 'ok'])
  assert.deepEqual(inner.ok, ['NativeSimulator.close'], 'a simulator stays one under another prototype')
  assert.equal(classes, 9)
  const { NativeDrivers, ...rest } = made
  assert.deepEqual([NativeDrivers, [...new Set(Object.values(rest))]], ['ok', ['Error']])
  assert.deepEqual(wrong.filter((fate) => !['ok', 'Error', 'TypeError'].includes(fate)), [])
  assert.deepEqual([[...new Set(closed)], after, late], [['fulfilled'], [null, null], 'Error'])
})

test('13: closed by many at once while calls run, everything ends', WITHIN, async (t) => {
  const simulator = await Simulator.start({ base: '127.82.3.1', whatsminers: 2 })
  t.after(() => simulator.close())
  const racks = [{ type: 'miner-wm-m50s', name: 'a', driver: 'whatsminer', intervalMs: 200 }]
  const people = { ann: RIGHTS, bob: RIGHTS }
  const site = await Site.open(await folder(t), { racks, people }, { how: 'create' })
  const drafts = simulator.devices().map(({ address, ports }) => ({ opts: { address, port: ports.rpc }, info: {} }))
  await site.register('miner-wm-m50s-a', drafts, 'ann')
  const streams = Array.from({ length: 8 }, async () => { for await (const _ of site.subscribe()); return 'ended' })
  const watch = (async () => { for await (const _ of site.actions.watch()); return 'ended' })()
  const calls = Array.from({ length: 200 }, (_, n) => [
    () => site.list({ status: true }), () => site.call({ user: 'ann', permissions: ['*:rw'] }, 'listRacks'),
    () => site.actions.push({ action: 'setLED', params: [true], query: {} }, 'ann'), () => site.actions.get(n)
  ][n % 4]().then(() => 'answer', (e) => e instanceof HeadframeError ? e.kind : assert.fail(e)))
  const closed = await Promise.all(Array.from({ length: 10 }, () => site.close()))
  assert.equal(closed.filter((report) => report !== null).length, 1)
  const fates = new Set(await Promise.all(calls))
  assert.deepEqual([...fates].filter((fate) => !['answer', 'Closed'].includes(fate)), [])
  assert.deepEqual([...new Set(await Promise.all([...streams, watch]))], ['ended'])
  await assert.rejects(site.list(), { kind: 'Closed' })
})

test('14: whatever a driver does to be read is an error of its thing', WITHIN, async (t) => {
  const names = [...Object.keys(SNAPSHOTS), 'opensNull', 'opensOdd', 'opensBare', 'well']
  const { site, gone } = await sited(Named, names)
  t.after(gone)
  const seen = await readings(site, names, ({ well }) => well.length >= 4)
  await site.close()
  for (const name of names) {
    const [, kind] = SNAPSHOTS[name] ?? [, name === 'well' ? undefined : 'BadReply'] // eslint-disable-line no-sparse-arrays
    const told = new Set(seen[name].map(({ about }) => about.error?.kind))
    // A promise that nobody can settle any more may be collected, and is told before its time then.
    if (kind === 'Timeout') told.delete('Closed')
    assert.deepEqual([...told], [kind], name)
  }
})

test('14: whatever a driver does after it wrote, nothing is written twice, and nothing is told as not sent', WITHIN, async (t) => {
  const names = Object.keys(EXECUTES)
  const { driver, taken } = writing({ lost: true })
  await Promise.all(names.map(async (name) => {
    const device = await open('writing', { address: '127.0.0.1', name }, { drivers: [driver] })
    // Only what it shows could say that the device has it, and it shows nothing.
    const e = await device.execute({ name: 'setPowerMode', args: 'low' }, { withinMs: 3_000 }).then(() => assert.fail(name), (e) => e)
    assert.deepEqual([e instanceof HeadframeError, e.sent, taken[name]], [true, 'maybe', 1], `${name}: ${e}`)
    await device.close()
  }))

  const { driver: showing, taken: counted } = writing()
  // What never answers has the engine's time, which is long.
  const ending = names.filter((name) => name !== 'never')
  const { site, gone } = await sited(showing, ending)
  t.after(gone)
  await readings(site, ending)
  const draft = { action: 'setPowerMode', params: ['low'], query: {} }
  // Who a device is is known from its register.
  for (const [at, id] of ending.entries()) {
    const macAddress = `AA:BB:CC:00:00:${at + 16}`
    await site.call({ user: 'ann', permissions: ['*:rw'] }, 'updateThing', { id, info: { macAddress } })
  }
  const { id } = await site.actions.push(draft, 'ann')
  await site.actions.vote(id, { approve: true }, 'bob')
  const done = await until(() => site.actions.get(id), ({ status }) => !['VOTING', 'APPROVED', 'EXECUTING'].includes(status), 600)
  assert.deepEqual(counted, Object.fromEntries(ending.map((name) => [name, 1])), JSON.stringify(done.targets))
  await site.close()
})

test('14: a driver that answers with a GB is told that it is too long, and others are polled meanwhile', WITHIN, async () => {
  const { code, signal, stdout, stderr } = await program('large.mjs', [], ['--max-old-space-size=2048'])
  assert.deepEqual([code, signal], [0, null], stderr)
  const { told: [gigabyte, text, well], polls } = JSON.parse(stdout)
  assert.deepEqual([gigabyte[0], text[0], well], ['BadReply', 'BadReply', 1_000])
  assert.match(text[1], /too long/)
  assert(polls > 3, `${polls} polls`)
})

test('14: a driver that never leaves its loop stops its own thread only', WITHIN, async (t) => {
  const simulator = await Simulator.start({ base: '127.82.4.1', whatsminers: 1 })
  t.after(() => simulator.close())
  const { worker, message } = thread('thread.mjs', { task: 'busy', n: 0, ms: 2_000, devices: simulator.devices() })
  t.after(() => worker.terminate())
  assert.equal(await message(), 'spinning')
  let done = false
  const ended = message().then((said) => { done = true; return said })
  // Its thread stands still; what the library does for the site in that thread goes on, and so does this one.
  const before = simulator.truth(0).requests
  await until(async () => simulator.truth(0).requests, (requests) => requests > before + 5)
  assert.equal(done, false, 'it was over before the others went on')
  assert.equal(await ended, 'done')
  const { value } = await message()
  assert.deepEqual([value.includes('Timeout'), value.at(-1)], [true, 1_000])
})

test('14: a driver that calls back into its own site, and at last closes it, waits for nobody', WITHIN, async (t) => {
  const who = { user: 'ann', permissions: ['*:rw'] }
  const did = {}
  let site
  const calls = {
    list: async () => (await site.list({ status: true })).items.length,
    call: async () => (await site.call(who, 'listThings', { status: 1 })).length,
    counts: async () => site.counts().things,
    register: async () => (await site.register('miner-back-a', [{ opts: { address: '127.0.0.1', name: 'made' }, info: {} }], 'ann')).length,
    push: async () => (await site.actions.push({ action: 'reboot', params: [], query: { id: 'list' } }, 'ann')).errors.length,
    subscribe: async () => { for await (const batch of site.subscribe()) return batch.length },
    close: async () => await site.close({ withinMs: 500 }) !== undefined
  }
  const Back = {
    id: 'back',
    open: ({ name }) => ({
      async snapshot () {
        const others = Object.keys(calls).every((other) => other === 'close' || other in did)
        if (name in calls && (name !== 'close' || others)) did[name] ??= await calls[name]()
        return { success: true, stats: { status: 'mining', power_w: 1 } }
      }
    })
  }
  const made = await sited(Back, Object.keys(calls), { deadlineMs: 5_000 })
  t.after(made.gone)
  site = made.site
  for await (const _ of site.subscribe());
  // It was closed, by a thing that was being asked.
  await assert.rejects(site.list(), { kind: 'Closed' })
  await until(async () => did.close, (closed) => closed === true)
  assert(did.list >= 7 && did.call >= 7 && did.counts >= 7 && did.register === 1 && typeof did.push === 'number' && did.subscribe >= 1, JSON.stringify(did))
})

test('14: a driver that calls back into its site while it writes', WITHIN, async (t) => {
  let site
  const { driver, taken } = writing({
    site: async () => {
      await Promise.all([site.list({ status: true }), site.actions.preview({ action: 'setPowerMode', params: ['normal'], query: {} }, 'bob')])
      return { requests: ['low'] }
    }
  })
  const made = await sited(driver, ['never-heard-of'])
  t.after(made.gone)
  site = made.site
  await readings(site, ['never-heard-of'])
  await site.call({ user: 'ann', permissions: ['*:rw'] }, 'updateThing', { id: 'never-heard-of', info: { macAddress: 'AA:BB:CC:00:00:15' } })
  const { id } = await site.actions.push({ action: 'setPowerMode', params: ['low'], query: {} }, 'ann')
  const done = await until(() => site.actions.get(id), ({ status }) => !['APPROVED', 'EXECUTING'].includes(status), 400)
  assert.deepEqual([done.status, taken['never-heard-of']], ['COMPLETED', 1], JSON.stringify(done.targets))
  await site.close()
})

/** A site whose people bring their rights with each call, as the gateway's clusters are. */
async function claiming (t, base) {
  const simulator = await Simulator.start({ base, whatsminers: 1 })
  t.after(() => simulator.close())
  const racks = [{ type: 'miner-wm-m50s', name: 'a', driver: 'whatsminer', intervalMs: 200 }]
  const site = await Site.open(await folder(t), { racks, claims: true, policy: 'mos' }, { how: 'create' })
  t.after(() => site.close())
  const [{ address, ports }] = simulator.devices()
  await site.register('miner-wm-m50s-a', [{ id: 'm', opts: { address, port: ports.rpc, password: 'admin' }, info: {} }], 'ann')
  await readings(site, ['m'])
  return { simulator, site }
}

test('16: what a body says of its voter and rights counts for nothing in a plain call', WITHIN, async (t) => {
  const { simulator, site } = await claiming(t, '127.82.8.1')
  const forged = { voter: 'boss', user: 'boss', authPerms: ['*:rw'], gateway: true, permissions: ['*:rw'] }
  const draft = { action: 'setUpfreqSpeed', params: [1], query: {}, ...forged }
  const call = (user, permissions, method, params) => site.call({ user, permissions }, method, params)
  // Without the right of the method nothing begins; without that of the things nothing is stored.
  await assert.rejects(call('eve', ['miner:rw'], 'pushAction', draft), { kind: 'Forbidden', code: 'ERR_MISSING_WRITE_PERMISSIONS' })
  const denied = await call('eve', ['miner:r', 'actions:rw'], 'pushAction', draft)
  assert.deepEqual([denied.id, denied.errors[0]], [null, 'miner-wm-m50s-a: ERR_ACTION_DENIED'])
  const { id, data } = await call('ann', RIGHTS, 'pushAction', draft)
  assert.deepEqual(data.votesPos, ['ann'])
  // A second person is needed, and a name in a body is none.
  await assert.rejects(call('ann', RIGHTS, 'voteAction', { id, approve: true, ...forged, voter: 'bob' }), { code: 'ERR_VOTER_EXISTS' })
  await assert.rejects(call('eve', ['container:rw', 'actions:rw'], 'voteAction', { id, approve: true, ...forged }), { code: 'ERR_ACTION_DENIED' })
  const [cancel] = await call('eve', RIGHTS, 'cancelActionsBatch', { ids: [id], ...forged, voter: 'ann' })
  assert.equal(cancel.success, false)
  assert.equal((await call('ann', RIGHTS, 'getAction', { id, type: 'voting' })).votesPos.length, 1)
  assert.deepEqual(simulator.truth(0).executed, {})
})

test('16: the gateway is believed who somebody is, and not that they may', WITHIN, async (t) => {
  const { simulator, worker } = await gateway(t, '127.82.9.1', 1)
  const call = (method, params) => worker.call('north', method, params)
  const push = (email, permissions, action = 'setUpfreqSpeed', params = [1]) =>
    call('pushAction', { query: {}, action, params, voter: email, authPerms: permissions, gateway: false, quorum: 0, votesPos: ['boss', BOB.email] })
  for (const rights of [[], ['miner:r'], ['container:rw', 'actions:rw'], ['*:r'], ['minerpool:rw']]) {
    const { id, errors } = await push('eve@site', rights, 'setLED', [true])
    assert.deepEqual([id, errors.at(-1)], [null, 'ERR_ORK_ACTION_CALLS_EMPTY'], JSON.stringify(rights))
  }
  const { id, data } = await push('ann@site', RIGHTS)
  assert.deepEqual(data.votesPos, ['ann@site'])
  const vote = (voter, authPerms) => call('voteAction', { id, approve: true, voter, authPerms }).catch((e) => e.message)
  // The quorum is of people, however they are written, and each needs the rights.
  for (const same of ['ann@site', 'ANN@site', ' ann@site ', 'a\u200bnn@site']) assert.equal(await vote(same, ['miner']), 'ERR_VOTER_EXISTS', same)
  assert.deepEqual([await vote('eve@site', ['container']), await vote('eve@site', ['*']), await vote('eve@site', [])], Array(3).fill('ERR_ACTION_DENIED'))
  assert.equal((await call('getAction', { id, type: 'voting' })).targets[MINERS].calls.length, 1)
  assert.deepEqual(simulator.truth(0).executed, {})
})
