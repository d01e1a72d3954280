import assert from 'node:assert/strict'

import { Simulator } from 'headframe'

import { folder, start, until } from './run.mjs'

/** The racks of the two clusters: miners that are simulated, and work orders, which nobody asks anything. */
export const MINERS = 'miner-wm-m50s-hall-1'
export const ORDERS = 'inventory-work_order-office'
export const PERMS = ['miner:rw', 'actions:rw', 'comments:rw']
export const ANN = { email: 'ann@site', permissions: PERMS }
export const BOB = { email: 'bob@site', permissions: PERMS }

const POOL = { url: 'stratum+tcp://pool.example:3333', workerName: 'site', workerPassword: 'hunter2' }
const NORTH = {
  racks: [{ type: 'miner-wm-m50s', name: 'hall-1', driver: 'whatsminer', intervalMs: 400, config: { site: 'north' }, pools: [POOL] }],
  globalConfig: { nominalHashrate: 1_000_000, nominalPowerAvailability_MW: 1, isAutoSleepAllowed: false }
}
const SOUTH = {
  racks: [{ type: 'inventory-work_order', name: 'office' }],
  globalConfig: { nominalHashrate: 0, nominalPowerAvailability_MW: 0, isAutoSleepAllowed: true }
}
export const CLUSTERS = { north: { folder: 'store/north', site: NORTH }, south: { folder: 'store/south', site: SOUTH } }

/** Simulated miners, and what registers each. */
export async function miners (t, base, count) {
  const simulator = await Simulator.start({ seed: 7, base, whatsminers: count })
  t.after(() => simulator.close())
  const drafts = simulator.devices().map(({ address, ports, serial }, at) => ({
    rackId: MINERS,
    id: `m-${at}`,
    opts: { address, port: ports.rpc, password: 'admin' },
    info: { pos: `1-${at}`, container: 'c-1', serialNum: serial }
  }))
  return { simulator, drafts }
}

/** The stand-in over both clusters, with miners that have been read. */
export async function gateway (t, base, count, common = {}) {
  const { simulator, drafts } = await miners(t, base, count)
  const root = await folder(t, CLUSTERS, common)
  const worker = await start(t, root)
  for (const draft of drafts) assert.equal((await worker.call('north', 'registerThing', draft)).rack, MINERS)
  const read = (things) => things.length === count && things.every((thing) => thing.last?.snap?.stats?.power_w > 0)
  await until(() => worker.call('north', 'listThings', { status: 1 }), read)
  return { simulator, root, worker }
}
