// Calls of anything with anything: what every binding is called with by the check `x-bindings` and by the package's own test.

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { HeadframeError, Simulator, Site, discover, open } from 'headframe'

import { ANN, BOB, RIGHTS, WITHIN_MS } from './world.mjs'

const native = createRequire(import.meta.url)('../native.js')

/** How long any call may take, ms: a search that meets a device that hangs takes 20 s. */
const BOUND_MS = 60_000
const LATE = Symbol('late')
/** How many calls are under way at once. */
const AT_ONCE = 12
const PORTS = { simulated: true }
const KINDS = [
  'Invalid', 'NotFound', 'Conflict', 'Unsupported', 'Unauthenticated', 'Forbidden', 'Unreachable', 'Timeout', 'RateLimited',
  'Rejected', 'BadReply', 'Corrupt', 'Closed'
]
const METHODS = [
  'echo', 'ping', 'listRacks', 'getWrkConf', 'getThingConf', 'getWrkSettings', 'saveWrkSettings', 'listThings',
  'getThingsCount', 'registerThing', 'updateThing', 'forgetThings', 'saveThingComment', 'getHistoricalLogs', 'tailLog',
  'tailLogMulti', 'getWrkExtData', 'mergeThings', 'getThingMap', 'setThingMap', 'getGlobalConfig', 'setGlobalConfig',
  'pushAction', 'voteAction', 'withdrawVote', 'getAction', 'queryActions', 'pauseAction', 'stopAction', 'getStops',
  'verifyAudit', 'exportAudit', 'noSuchMethod'
]

const cyclic = { a: [] }
cyclic.a.push(cyclic)
let deep = 0
for (let n = 0; n < 20_000; n++) deep = [deep]
const fails = { toJSON () { throw new Error('no') } }
const proxy = new Proxy({}, { get () { throw new Error('no') }, ownKeys () { throw new Error('no') } })

const VALUES = [
  undefined, null, true, false, 0, -0, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 32, 2 ** 53, 2 ** 63, -(2 ** 63), 10n, 2n ** 70n,
  '', 'ann@site', 'open', 'rack', 'odd', '\0', '\ud800', 'é\u{1F600}', 'x'.repeat(300_000), Symbol('s'), () => {}, [], {},
  cyclic, deep, fails, proxy, new Date(NaN), new Map([[1, 2]]), new Uint8Array(8), Object.create(null), { query: { $where: 1 } },
  { limit: 2 ** 63 }, { query: { a: { $regex: '(a+)+$' } } }, [{ id: 'x', info: {}, opts: {} }], { approve: true },
  { approve: 'yes', digest: 7 }, { action: 'reboot', query: {}, params: [] }, { name: 'reboot' }, { kind: 'hang' },
  { things: { ids: ['a'] }, metric: 'm', from: 0, to: 1 }, { user: 'a', permissions: ['*:rw'] }, { ports: { rpc: 70_000 } },
  { withinMs: -1 }, { capacity: 0, most: 0 }, { signal: 7 }, { drivers: [{}] }, { how: 'create' }, { kind: 'cut', after: -1 },
  { kind: 'garbage' }
]

/** What the calls so far came to. */
export class Account {
  begun = 0
  ended = 0
  refused = 0
  /** @type {Set<string>} */
  reached = new Set()
  /** @type {string[]} */
  faults = []
}

/** The reason of a signal that a call was given; nothing where there is no such signal. */
function reason (args) {
  for (const arg of args) {
    try {
      if (arg?.signal?.aborted) return arg.signal.reason
    } catch { /* It is a value that cannot be looked at. */ }
  }
  return undefined
}

/** What is wrong with an error; nothing where all is well. */
function judged (e, args, reached) {
  if (e !== undefined && e === reason(args)) {
    reached.add('a signal fired')
    return undefined
  }
  if (!(e instanceof HeadframeError)) return `not an error of ours: ${e?.stack ?? String(e)}`
  reached.add(`told ${e.kind}`)
  const typed = KINDS.includes(e.kind) && typeof e.code === 'string' && e.code !== 'ERR_INTERNAL' && typeof e.op === 'string' &&
    ['no', 'maybe'].includes(e.sent) && typeof e.retryable === 'boolean' && typeof e.context === 'object'
  return typed ? undefined : `${e.stack}, ${JSON.stringify(e)}`
}

/**
 * Makes a call and judges what comes of it; never rejects.
 *
 * @param {Account} account
 * @param {string} name
 * @param {(...args: any[]) => any} call
 * @param {any[]} args
 */
export async function called (account, name, call, args = []) {
  const number = account.begun++
  let timer
  const late = new Promise((resolve) => { timer = setTimeout(resolve, BOUND_MS, LATE) })
  const fault = (why) => account.faults.push(`call ${number}, ${name}: ${why}`)
  try {
    // Even what throws at once is an answer.
    const told = (async () => await call(...args))()
    if (await Promise.race([told, late]) === LATE) fault(`no answer in ${BOUND_MS} ms`)
  } catch (e) {
    account.refused++
    const why = judged(e, args, account.reached)
    if (why !== undefined) fault(why)
  } finally {
    clearTimeout(timer)
    account.ended++
  }
}

/** What arguments are drawn from. */
function drawn (of, pick) {
  const one = (...list) => list[pick(list.length)]
  return {
    one,
    any: () => VALUES[pick(VALUES.length)],
    signal: () => one(undefined, AbortSignal.timeout(pick(50)), AbortSignal.abort()),
    by: () => one(ANN, BOB, 'nobody@site'),
    who: () => ({ user: ANN, permissions: one(RIGHTS, []), gateway: one(true, false) }),
    id: () => one(1, 2, String(pick(9)), Date.now()),
    folder: () => join(of.folder, `f${pick(6)}`),
    range: () => one(of.address, `${of.address}/31`, '127.0.0.1-127.0.0.1'),
    // One handle in four is closed.
    site: () => one(of.site, of.site, of.site, of.closed),
    simulator: () => one(of.simulator, of.simulator, of.simulator, of.gone),
    device: () => one(of.device, of.device, of.odd, of.shut)
  }
}

/** What can be called of a site, and what it takes. */
function sites (of, pick) {
  const { one, signal, by, who, id, folder, range, site } = drawn(of, pick)
  const on = (verb, like) => [`site.${verb}`, (...args) => site()[verb](...args), like]
  const act = (verb, like) => [`actions.${verb}`, (...args) => site().actions[verb](...args), like]
  const params = () => one({}, { type: 'miner-wm' }, { id: 'm', rackId: 'miner-wm-a' })
  const things = () => [{ id: one('x', 'z'), opts: { address: '127.0.0.1' }, info: {} }]
  const logins = () => [{ driver: 'whatsminer', opts: { password: one('admin', 'wrong') } }]
  const series = () => ({
    things: one({ tag: 't-miner' }, { ids: ['m'] }),
    metric: one('stats.power_w', 'stats.none'),
    from: Date.now() - 60_000,
    to: Date.now(),
    step: one('raw', 'whole', 1_000, { unit: 'D', zone: 'Europe/Prague' })
  })
  const draft = () => ({
    action: one('setPowerMode', 'reboot'), params: [one('sleep', 'low')], query: one({}, { tags: 't-miner' }), why: 'why'
  })
  return [
    on('call', () => [who(), one(...METHODS), params(), { signal: signal() }]),
    on('register', () => ['miner-odd-b', things(), by()]),
    on('find', () => [range(), by(), { ports: PORTS, logins: logins(), signal: signal() }]),
    on('list', () => [{ query: {}, status: true, limit: pick(5) }, { signal: signal() }]),
    on('series', () => [series(), { signal: signal() }]),
    on('statistics', () => [{ type: 'miner', tag: 't-miner', key: one('stat-rtd', 'stat-1m', 'none') }, { signal: signal() }]),
    on('counts', () => []),
    on('backup', () => [folder()]),
    ['site.id', () => site().id, () => []],
    ['site.subscribe', (...args) => glance(site().subscribe(...args)), () => [{ capacity: 1 + pick(8), signal: signal() }]],
    act('push', () => [draft(), by()]),
    act('preview', () => [draft(), by()]),
    act('vote', () => [id(), { approve: one(true, false) }, by()]),
    act('cancel', () => [id(), by()]),
    act('withdraw', () => [id(), by()]),
    act('pause', () => [id(), by(), 'why']),
    act('resume', () => [id(), by()]),
    act('stop', () => [id(), by(), 'why']),
    act('query', () => [one('voting', 'ready', 'executing', 'done', 'none'), { limit: pick(5), reverse: one(true, false) }]),
    act('get', () => [id()]),
    ['actions.watch', (...args) => glance(site().actions.watch(...args)), () => [{ signal: AbortSignal.timeout(pick(200)) }]]
  ]
}

/** What else can be called. */
function others (of, pick) {
  const { one, any, signal, folder, range, simulator, device } = drawn(of, pick)
  const on = (verb, like) => [`simulator.${verb}`, (...args) => simulator()[verb](...args), like]
  const { drivers, opts, conf } = of
  const fault = () => one({ kind: 'hang' }, { kind: 'garbage' }, { kind: 'cut', after: pick(9) }, { kind: 'slow', delayMs: 9 })
  const opened = (verb, like) => [verb.name, async (...args) => maybe(await verb(...args), pick(2)), like]
  return [
    on('truth', () => [pick(3)]),
    on('fault', () => [pick(3), fault()]),
    on('clear', () => [pick(3)]),
    on('devices', () => []),
    ['device.capability', () => device().capability(), () => []],
    ['device.snapshot', (options) => device().snapshot(soon(options)), () => [{ withinMs: pick(WITHIN_MS), signal: signal() }]],
    ['device.execute', (command, options) => device().execute(command, soon(options)),
      () => [{ name: one('setPowerMode', 'reboot'), args: one('low', undefined) }]],
    opened(async function openSite (...args) { return await Site.open(...args) },
      () => [folder(), one(conf, {}), { how: one('open', 'create', 'openOrCreate'), drivers }]),
    opened(open,
      () => [one('whatsminer', 'antminer', 'odd', 'none'), { ...opts, odd: one(true, false) }, { drivers, signal: signal() }]),
    opened(async function simulate (...args) { return await Simulator.start(...args) },
      () => [{ base: of.address, byPort: one(undefined, 20_000 + pick(20_000)), whatsminers: pick(3), antminers: pick(2) }]),
    ['Site.restore', (...args) => Site.restore(...args), () => [folder(), folder()]],
    ['discover', (...args) => first(discover(...args), pick(2)),
      () => [range(), { ports: PORTS, deadlineMs: pick(400), concurrency: pick(9), signal: signal() }]],
    // Nobody gets at the native part; it has to stand all the same. Its errors are made ours above it.
    ['native', (...args) => raw(one('startScan', 'startSimulator', 'restoreSite', 'NativeDrivers', 'NativeSite'), args, any),
      () => []]
  ]
}

/** Gives a device no more time than a check has, where the options are nothing worse. */
function soon (options = {}) {
  try {
    const plain = options !== null && Object.getPrototypeOf(options) === Object.prototype
    return plain && !Object.hasOwn(options, 'withinMs') ? { ...options, withinMs: WITHIN_MS } : options
  } catch {
    return options
  }
}

/** Reads a stream until it has given `most`, and leaves it. */
async function first (stream, most) {
  for await (const _ of stream) if (most-- <= 0) break
}

/** Waits a moment for what a stream gives next; one that nobody ends goes on until its site is closed. */
async function glance (stream) {
  const next = stream.next()
  await Promise.race([next, sleep(20)])
  next.then(() => stream.return(), () => {})
}

/** Closes a handle, or leaves it to the collector. */
async function maybe (handle, close) {
  if (close) await handle.close()
}

async function raw (name, args, any) {
  try {
    if (name === 'NativeDrivers') return new native.NativeDrivers().add(any(), any())
    if (name === 'startScan') return await new native.NativeDrivers().startScan(...args)
    if (name === 'NativeSite') return new native.NativeSite().counts()
    await native[name](...args)
  } catch { /* It stood. */ }
}

/** The same arguments but for one, or for a member of one. */
function spoiled (args, pick) {
  const at = pick(args.length + 1)
  const [any, arg] = [VALUES[pick(VALUES.length)], args[at]]
  const spoil = () => {
    const keys = arg !== null && typeof arg === 'object' ? Object.keys(arg) : []
    if (keys.length === 0 || pick(3) === 0) return any
    const key = keys[pick(keys.length)]
    return Array.isArray(arg) ? arg.with?.(Number(key), any) ?? [any] : { ...arg, [key]: any }
  }
  const copy = [...args]
  copy[at] = spoil()
  return copy
}

/** What the rare paths are reached by for certain: each call, and the kind of its error. */
function certain (of) {
  return [
    ['Closed', () => of.closed.list()],
    ['Closed', () => of.closed.counts()],
    ['Closed', () => of.closed.actions.push({ action: 'reboot', query: {} }, ANN)],
    ['Closed', () => of.shut.snapshot()],
    ['Closed', () => of.shut.capability()],
    ['Closed', () => of.gone.devices()],
    ['Invalid', () => of.site.list(cyclic)],
    ['Invalid', () => first(discover('10.0.0.0/99'), 0)],
    ['Invalid', () => Simulator.start({ whatsminers: 2 ** 40 })],
    ['NotFound', () => of.site.register('nowhere', [], ANN)],
    ['NotFound', () => open('none', {})],
    ['Conflict', () => Site.open(join(of.folder, 'site'), of.conf, { drivers: of.drivers })],
    ['Forbidden', () => of.site.call({ user: 'eve', permissions: [] }, 'setGlobalConfig', {})],
    ['Unsupported', () => of.plain.execute({ name: 'reboot' }, { withinMs: WITHIN_MS })],
    ['Timeout', () => of.hung.snapshot({ withinMs: 20 })],
    ['AbortError', () => of.site.find(of.address, ANN, { ports: PORTS, signal: AbortSignal.abort() })]
  ]
}

/**
 * Calls anything with anything, many at once. The order of the calls comes from `pick`.
 *
 * @param {Account} account
 * @param {any} of what `world` made
 * @param {(most: number) => number} pick
 * @param {number} calls
 */
export async function hostile (account, of, pick, calls) {
  const all = [...sites(of, pick), ...others(of, pick)]
  const rare = certain(of)
  const underWay = new Set()
  for (let n = 0; n < calls; n++) {
    if (underWay.size >= AT_ONCE) await Promise.race(underWay)
    const wanted = n % 3 === 0 ? rare.shift() : undefined
    let call
    if (wanted !== undefined) {
      call = called(account, `${wanted[1]}`, expected(account, ...wanted))
    } else {
      const [name, verb, like] = all[pick(all.length)]
      const args = [
        () => Array.from({ length: pick(4) }, () => VALUES[pick(VALUES.length)]), like, () => spoiled(like(), pick)
      ][pick(3)]()
      call = called(account, name, verb, args)
    }
    underWay.add(call)
    call.then(() => underWay.delete(call))
  }
  await Promise.all(underWay)
}

/** A call that has to end with an error of a kind, or with the reason of its signal. */
function expected (account, kind, call) {
  return async () => {
    try {
      await call()
    } catch (e) {
      if (e?.name === kind) return account.reached.add('a signal fired')
      if (e?.kind !== kind) throw new Error(`${kind} was expected`, { cause: e })
      if (kind === 'Closed') account.reached.add('a closed handle was used')
      throw e
    }
    throw new Error(`${kind} was expected`)
  }
}

/** Closes everything at once, in the middle of calls, and uses it afterwards. */
export async function ending (account, of) {
  const { site, simulator, device, odd } = of
  const begin = (when) => [
    called(account, `${when} site.list`, () => site.list()),
    called(account, `${when} site.backup`, () => site.backup(join(of.folder, `backup-${when}`))),
    called(account, `${when} site.call`, () => site.call({ user: ANN, permissions: RIGHTS }, 'listThings', {})),
    called(account, `${when} actions.push`, () => site.actions.push({ action: 'reboot', query: {} }, ANN)),
    called(account, `${when} site.subscribe`, () => first(site.subscribe(), Infinity)),
    called(account, `${when} actions.watch`, () => first(site.actions.watch(), Infinity)),
    called(account, `${when} device.snapshot`, () => device.snapshot({ withinMs: WITHIN_MS })),
    called(account, `${when} odd.snapshot`, () => odd.snapshot({ withinMs: WITHIN_MS })),
    called(account, `${when} simulator.truth`, () => simulator.truth(0))
  ]
  const meanwhile = begin('while closing')
  const closing = [site, site, device, odd, simulator, simulator].map((one, n) =>
    called(account, `close ${n}`, () => one.close(one === site ? { withinMs: 2_000 } : undefined)))
  await Promise.all([...meanwhile, ...closing])
  account.reached.add('closed in the middle of calls')
  await Promise.all(begin('after closing'))
}
