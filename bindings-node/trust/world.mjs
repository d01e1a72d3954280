// What hostile calls are made on: a site, devices and simulators, open ones and closed ones.

import { join } from 'node:path'
import { threadId } from 'node:worker_threads'

import { HeadframeError, Simulator, Site, discover, open } from 'headframe'

/** Someone who may do everything, and another one for the second vote. */
export const [ANN, BOB] = ['ann@site', 'bob@site']
export const RIGHTS = ['miner:rw', 'actions:rw', 'container:rw', 'inventory:rw']
/** How long a device has for what is asked of it, ms. */
export const WITHIN_MS = 1_500

const RACKS = [
  { type: 'miner-wm', name: 'a', driver: 'whatsminer', intervalMs: 300, deadlineMs: 250 },
  { type: 'miner-odd', name: 'b', driver: 'odd', intervalMs: 300, deadlineMs: 250, allowDuplicateIps: true }
]

/**
 * Numbers that a seed gives: the next one below `most`.
 *
 * @param {bigint | number | string} seed
 * @returns {(most: number) => number}
 */
export function random (seed) {
  let state = BigInt(seed)
  return (most) => {
    state = BigInt.asUintN(64, state + 0x9e37_79b9_7f4a_7c15n)
    let mixed = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58_476d_1ce4_e5b9n)
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d0_49bb_1331_11ebn)
    return Number(BigInt.asUintN(32, mixed ^ (mixed >> 31n))) % most
  }
}

/** A driver that keeps to nothing: it throws, hangs, and answers what nobody asked. */
export class Odd {
  static id = 'odd'
  static #asked = 0

  static async open ({ odd, hangs, plain }) {
    const thing = new Odd()
    if (odd) thing.capability = { commands: 'none' }
    if (plain) thing.snapshot = () => ({ success: true, stats: { status: 'mining', power_w: 1 } })
    if (hangs) thing.snapshot = () => new Promise(() => {})
    return thing
  }

  #any () {
    const n = Odd.#asked++ % 9
    if (n === 0) return new Promise(() => {})
    if (n === 1) throw new HeadframeError('not now', { kind: 'Unreachable' })
    if (n === 2) throw undefined
    if (n === 3) return 'x'.repeat(5 << 20)
    const fails = { toJSON () { throw new Error('no') } }
    return [{ success: true, stats: { status: 'mining', power_w: 1 } }, null, 7n, fails, []][n - 4]
  }

  snapshot () { return this.#any() }
  async observe () { return this.#any() }
  execute () { return this.#any() }
  close () { return this.#any() }
}

/**
 * Simulated devices on addresses that nobody else has.
 *
 * @param {import('headframe').FleetConf} conf
 */
export async function simulated (conf) {
  for (let n = 0; ; n++) {
    const base = `127.${90 + n % 8}.${process.pid % 250}.${(threadId * 10 + Math.floor(n / 8)) % 240 + 1}`
    try {
      return await Simulator.start({ base, ...conf })
    } catch (e) {
      if (n === 64) throw e
    }
  }
}

/**
 * Everything that calls are made on, in a folder.
 *
 * @param {(most: number) => number} pick
 * @param {string} folder
 */
export async function world (pick, folder) {
  const conf = { racks: RACKS, people: { [ANN]: RIGHTS, [BOB]: RIGHTS } }
  const drivers = [Odd]
  const site = await Site.open(join(folder, 'site'), conf, { how: 'create', drivers })
  const closed = await Site.open(join(folder, 'closed'), {}, { how: 'create' })
  const simulator = await simulated({ seed: pick(1_000), whatsminers: 1, antminers: 1 })
  const gone = await simulated({ whatsminers: 1 })
  const [{ address, ports }] = simulator.devices()
  const opts = { address, port: ports.rpc, password: 'admin' }
  const device = await open('whatsminer', opts)
  const shut = await open('whatsminer', opts)
  const odd = await open('odd', { address: '127.0.0.1' }, { drivers })
  const hung = await open('odd', { address: '127.0.0.1', hangs: true }, { drivers })
  // Nothing can be written to it.
  const plain = await open('odd', { address: '127.0.0.1', plain: true }, { drivers })
  const things = ['x', 'y'].map((id) => ({ id, opts: { address: '127.0.0.1' }, info: {} }))
  await site.register('miner-wm-a', [{ id: 'm', opts, info: {} }], ANN)
  await site.register('miner-odd-b', things, ANN)
  await Promise.all([closed.close(), gone.close(), shut.close()])
  return { folder, conf, drivers, site, closed, simulator, gone, device, shut, odd, hung, plain, address, opts }
}

/**
 * Opens what reads along: readings, changes of actions, a scan. Nothing ends them but `stop`, or the end of what they read.
 *
 * @param {Awaited<ReturnType<typeof world>>} of
 * @param {AbortSignal} signal
 */
export function readers (of, signal) {
  const read = async (stream) => { for await (const _ of stream); }
  const ports = { simulated: true }
  return [
    read(of.site.subscribe({ signal, capacity: 8, most: 2 })),
    read(of.site.actions.watch({ signal })),
    read(discover(`${of.address.replace(/\d+$/, '0')}/22`, { ports, signal, concurrency: 4 }))
  ]
}
