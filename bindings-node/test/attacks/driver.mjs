import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { HeadframeError, Site } from 'headframe'

const cyclic = {}
cyclic.self = cyclic
const hostile = { toString () { throw this }, get message () { throw this }, get code () { throw this } }
const fails = new Proxy({}, { get () { throw new Error('no') }, getPrototypeOf () { throw hostile }, ownKeys () { throw new Error('no') } })

/** What a thing's `snapshot` does, and the kind of error that this is told as. */
export const SNAPSHOTS = {
  never: [() => new Promise(() => {}), 'Timeout'],
  thenable: [() => ({ then () {} }), 'Timeout'],
  throws: [() => { throw new Error('broken') }, 'BadReply'],
  throwsNothing: [() => { throw undefined }, 'BadReply'],
  throwsHostile: [() => { throw hostile }, 'BadReply'],
  throwsProxy: [() => { throw fails }, 'BadReply'],
  throwsKind: [() => { throw new HeadframeError('x', { kind: 'no such kind', sent: 'perhaps', code: 7 }) }, 'BadReply'],
  throwsCyclic: [() => { throw new HeadframeError('x', { kind: cyclic, code: 1n }) }, 'BadReply'],
  rejectsNothing: [() => Promise.reject(), 'BadReply'], // eslint-disable-line prefer-promise-reject-errors
  nothing: [() => {}, 'BadReply'],
  null: [() => null, 'BadReply'],
  number: [() => 7, 'BadReply'],
  text: [() => '{"success":true}', 'BadReply'],
  list: [() => [], 'BadReply'],
  call: [() => () => {}, 'BadReply'],
  big: [() => ({ success: true, stats: { power_w: 7n } }), 'BadReply'],
  symbol: [() => Symbol('s'), 'BadReply'],
  cyclic: [() => cyclic, 'BadReply'],
  proxy: [() => fails, 'BadReply'],
  infinite: [() => ({ success: true, stats: { power_w: Infinity, status: 7 } }), 'BadReply'],
  surrogate: [() => ({ success: true, stats: { status: '\ud800' } }), 'BadReply'],
  odd: [() => ({ success: 'yes', stats: [], config: 7 }), 'BadReply'],
  deep: [() => { let deep = 0; for (let n = 0; n < 5_000; n++) deep = [deep]; return { success: true, extra: { deep } } }, 'BadReply'],
  long: [() => ({ success: true, extra: { text: 'x'.repeat(5 << 20) } }), 'BadReply']
}

/** A driver whose things do what their name says; one named `well` is well. */
export const Named = {
  id: 'named',
  async open ({ name }) {
    if (name === 'opensNull') return null
    if (name === 'opensOdd') return { capability: { commands: 'all' }, snapshot: async () => ({}) }
    if (name === 'opensBare') return {}
    const [snapshot] = SNAPSHOTS[name] ?? [() => ({ success: true, stats: { status: 'mining', power_w: 1_000 } })]
    return { snapshot }
  }
}

/** A site whose rack is of a driver, and the things that are registered in it, by the names of their options. */
export async function sited (driver, names, { intervalMs = 300, deadlineMs = 250 } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'headframe-attack-'))
  const racks = [{ type: `miner-${driver.id}`, name: 'a', driver: driver.id, intervalMs, deadlineMs, allowDuplicateIps: true }]
  const people = { ann: ['miner:rw', 'actions:rw'], bob: ['miner:rw', 'actions:rw'] }
  const site = await Site.open(join(folder, 'site'), { racks, people }, { how: 'create', drivers: [driver] })
  const drafts = names.map((name) => ({ id: name, opts: { address: '127.0.0.1', name }, info: {} }))
  const made = await site.register(`miner-${driver.id}-a`, drafts, 'ann')
  assert(made.every(({ thing }) => thing), JSON.stringify(made))
  return { site, gone: () => rm(folder, { recursive: true, force: true }) }
}

/** The first readings of things, until all have one and `more` is so. */
export async function readings (site, names, more = () => true) {
  const seen = Object.fromEntries(names.map((name) => [name, []]))
  const all = () => names.every((name) => seen[name].length > 0) && more(seen)
  for await (const batch of site.subscribe()) {
    for (const reading of batch) seen[reading.thing]?.push(reading)
    if (all()) return seen
  }
  return assert.fail('the site ended')
}
