import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

import { Simulator, Site, discover, open } from 'headframe'

/** What a thread is in the middle of when it is torn down. */
const TASKS = {
  streaming: async ({ site }) => { for await (const _ of site.subscribe()); },
  watching: async ({ site }) => { for await (const _ of site.actions.watch()); },
  listing: async ({ site }) => { for (;;) await Promise.all(Array.from({ length: 50 }, () => site.list({ status: true }))) },
  calling: async ({ site }) => { for (;;) await site.call({ user: 'ann', permissions: ['*:rw'] }, 'saveWrkSettings', { rackId: RACK, entries: { now: Date.now() } }) },
  reading: async ({ device }) => { for (;;) await device.snapshot() },
  scanning: async () => { for (;;) for await (const _ of discover('127.82.10.1-127.82.10.9', { ports: { simulated: true } })); },
  simulating: async ({ made }) => { for (let n = 0; ; n++) made.push(await Simulator.start({ base: `127.82.11.${n % 200 + 1}`, whatsminers: 1 }).catch(() => null)) },
  closing: async ({ site }) => { site.list().catch(() => {}); await site.close() }
}
const RACK = 'miner-wm-m50s-a'
const racks = [{ type: 'miner-wm-m50s', name: 'a', driver: 'whatsminer', intervalMs: 100 }]

async function main () {
  const folder = await mkdtemp(join(tmpdir(), 'headframe-torn-'))
  const simulator = await Simulator.start({ base: '127.82.10.1', whatsminers: 2 })
  const other = await Site.open(join(folder, 'other'), {}, { how: 'create' })
  const devices = simulator.devices()
  const things = {}
  for (const task of Object.keys(TASKS)) {
    const own = join(folder, task)
    const torn = async () => {
      const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { task, own, devices } })
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      await new Promise((resolve) => setTimeout(resolve, 50))
      await worker.terminate()
      await other.list()
    }
    for (let n = 0; n < 2; n++) await torn()
    // Nothing of the thread holds its folder for long, and what it registered is there.
    for (let n = 0; n < 100 && things[task] === undefined; n++) {
      const site = await Site.open(own, { racks }).catch(() => new Promise((resolve) => setTimeout(resolve, 50, null)))
      if (site === null) continue
      things[task] = (await site.list()).items.length
      await site.close()
    }
  }
  await Promise.all([other.close(), simulator.close()])
  await rm(folder, { recursive: true, force: true })
  console.log(JSON.stringify(things))
}

async function torn () {
  const { task, own, devices: [{ address, ports }] } = workerData
  let site
  // The one before it may not have let go yet.
  while (site === undefined) site = await Site.open(own, { racks }, { how: 'openOrCreate' }).catch(() => undefined)
  if (site.counts().things === 0) await site.register(RACK, [{ id: 'm', opts: { address, port: ports.rpc }, info: {} }], 'ann')
  const device = await open('whatsminer', { address, port: ports.rpc })
  parentPort.postMessage(task)
  await TASKS[task]({ site, device, made: [] })
  // It goes nowhere by itself.
  setInterval(() => {}, 1_000)
}

await (isMainThread ? main() : torn())
