import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Worker, isMainThread, parentPort } from 'node:worker_threads'
import { fileURLToPath } from 'node:url'

import { HeadframeError, Simulator, Site, discover, open } from 'headframe'

/** Calls in each thread; `HEADFRAME_CALLS` sets another number. */
const CALLS = Number(process.env.HEADFRAME_CALLS ?? 1_500)

/** Numbers that a seed gives. */
function random (seed) {
  let state = seed >>> 0
  return (most) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * most)
  }
}

const cyclic = { a: [] }
cyclic.a.push(cyclic)
let deep = 0
for (let n = 0; n < 20_000; n++) deep = [deep]
const fails = { toJSON () { throw new Error('no') } }
const proxy = new Proxy({}, { get () { throw new Error('no') }, ownKeys () { throw new Error('no') } })

const VALUES = [
  undefined, null, true, false, 0, -0, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 32, 2 ** 53, 2 ** 63, -(2 ** 63), 10n, 2n ** 70n,
  '', 'ann@site', 'open', 'rack', '\0', '\ud800', 'é\u{1F600}', 'x'.repeat(300_000), Symbol('s'), () => {}, [], {}, cyclic, deep, fails, proxy,
  new Date(NaN), new Map([[1, 2]]), new Uint8Array(8), Object.create(null), { query: { $where: 1 } }, { limit: 2 ** 63 },
  { query: { a: { $regex: '(a+)+$' } } }, [{ id: 'x', info: {}, opts: {} }], { approve: true }, { approve: 'yes', digest: 7 },
  { action: 'reboot', query: {}, params: [] }, { things: { ids: ['a'] }, metric: 'm', from: 0, to: 1 }, { name: 'reboot' },
  { user: 'a', permissions: ['*:rw'] }, { ports: { rpc: 70_000 } }, { withinMs: -1 }, { capacity: 0, most: 0 }, { signal: 7 },
  { drivers: [{}] }, { kind: 'hang' }, { kind: 'cut', after: -1 }
]

/** Everything that can be called, with handles that are open and closed. */
function callable ({ site, closed, simulator, device }) {
  const of = (thing, ...names) => names.map((name) => [name, (...args) => thing[name](...args)])
  const sites = [site, closed].flatMap((one) => [
    ...of(one, 'call', 'register', 'find', 'list', 'series', 'counts', 'backup'),
    ['subscribe', async (...args) => { await one.subscribe(...args).return() }],
    ...of(one.actions, 'push', 'preview', 'vote', 'cancel', 'get'),
    ['watch', async (...args) => { await one.actions.watch(...args).return() }]
  ])
  return [
    ...sites,
    ...of(simulator, 'truth', 'fault', 'clear', 'devices'),
    ...of(device, 'snapshot', 'execute', 'capability'),
    ['Site.open', (...args) => Site.open(...args)],
    ['Site.restore', (...args) => Site.restore(...args)],
    ['open', (...args) => open(...args)],
    ['Simulator.start', async (...args) => { await (await Simulator.start(...args)).close() }],
    ['discover', async (...args) => { for await (const _ of discover(...args)) break }]
  ]
}

/** Calls anything with anything; an error that is none of ours, and of nobody's signal, is a fault. */
async function hostile (seed, calls) {
  const folder = await mkdtemp(join(tmpdir(), 'headframe-hostile-'))
  const pick = random(seed)
  const made = await Promise.all([Site.open(join(folder, 'a'), {}, { how: 'create' }), Site.open(join(folder, 'b'), {}, { how: 'create' })])
  const simulator = await Simulator.start({ base: `127.53.${seed % 250}.1`, whatsminers: 1 })
  const [{ address, ports }] = simulator.devices()
  const device = await open('whatsminer', { address, port: ports.rpc })
  await made[1].close()
  const all = callable({ site: made[0], closed: made[1], simulator, device })
  const faults = []
  let refused = 0
  for (let n = 0; n < calls; n++) {
    const [name, call] = all[pick(all.length)]
    const args = Array.from({ length: pick(4) }, () => VALUES[pick(VALUES.length)])
    try {
      await Promise.race([call(...args), new Promise((resolve) => setTimeout(resolve, 2_000).unref())])
    } catch (e) {
      refused++
      if (!(e instanceof HeadframeError)) {
        faults.push(`seed ${seed}, call ${n}, ${name}: ${e?.stack ?? String(e)}`)
      }
    }
  }
  await Promise.all([device.close(), simulator.close(), made[0].close()])
  await rm(folder, { recursive: true, force: true })
  return { faults, refused }
}

if (isMainThread) {
  // A text can be the name of a folder: it is one in here.
  const folder = await mkdtemp(join(tmpdir(), 'headframe-hostile-cwd-'))
  const before = process.cwd()
  process.chdir(folder)
  after(async () => {
    process.chdir(before)
    await rm(folder, { recursive: true, force: true })
  })

  test('whatever is given, the answer is one, or a typed error', async () => {
    const { faults, refused } = await hostile(1, CALLS)
    assert.deepEqual(faults, [])
    assert(refused > CALLS / 4, `${refused} of ${CALLS} were refused`)
  })

  test('the same from worker threads, which may end at any time', async () => {
    const done = (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    const workers = [2, 3].map((seed) => new Worker(fileURLToPath(import.meta.url), { argv: [String(seed)] }))
    const torn = new Worker(fileURLToPath(import.meta.url), { argv: ['4'] })
    setTimeout(() => torn.terminate(), 1_000)
    for (const { faults } of await Promise.all(workers.map(done))) assert.deepEqual(faults, [])
  })
} else {
  parentPort.postMessage(await hostile(Number(process.argv[2]), CALLS))
}
