import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'

import { Simulator, Site, discover, open } from 'headframe'

/** What one of many threads does: all of them at once, each with its own. */
const TASKS = {
  async site (n) {
    const folder = await mkdtemp(join(tmpdir(), 'headframe-thread-'))
    const racks = [{ type: 'inventory-spare_part', name: 'shelf' }]
    const site = await Site.open(join(folder, 'site'), { racks }, { how: 'create' })
    const who = { user: `thread-${n}`, permissions: ['*:rw'] }
    const echoes = await Promise.all(Array.from({ length: 20 }, (_, i) => site.call(who, 'echo', { n, i })))
    const own = echoes.every((echo, i) => echo.n === n && echo.i === i)
    await Promise.all([site.close(), site.close()])
    await rm(folder, { recursive: true, force: true })
    return own
  },
  async simulator (n) {
    const base = `127.82.${n}.1`
    const simulator = await Simulator.start({ seed: n, base, whatsminers: 1 })
    const [{ address, ports }] = simulator.devices()
    const device = await open('whatsminer', { address, port: ports.rpc })
    const { stats } = await device.snapshot({ withinMs: 60_000 })
    await Promise.all([device.close(), simulator.close()])
    return stats.power_w > 0
  },
  async discover () {
    for await (const { event, report } of discover('127.82.255.1-127.82.255.2', { ports: { simulated: true } })) {
      if (event === 'summary') return report.total === 2
    }
    return false
  },
  /** A driver that never leaves its loop for a while: its thread cannot answer, and only it. */
  async busy () {
    const { readings, sited } = await import('./driver.mjs')
    const [{ address, ports }] = workerData.devices
    let [listening, spun] = [false, false]
    const Busy = {
      id: 'busy',
      open: () => ({
        snapshot () {
          if (spun || !listening) return { success: true, stats: { status: 'mining', power_w: 1_000 } }
          spun = true
          parentPort.postMessage('spinning')
          for (const until = Date.now() + workerData.ms; Date.now() < until;);
          parentPort.postMessage('done')
          return { success: true, stats: { status: 'mining', power_w: 1 } }
        }
      })
    }
    // A site of the library's own drivers in the same thread goes on beside it.
    const folder = await mkdtemp(join(tmpdir(), 'headframe-busy-'))
    const racks = [{ type: 'miner-wm-m50s', name: 'b', driver: 'whatsminer', intervalMs: 200 }]
    const other = await Site.open(join(folder, 'other'), { racks }, { how: 'create' })
    await other.register('miner-wm-m50s-b', [{ opts: { address, port: ports.rpc }, info: {} }], 'ann')
    const { site, gone } = await sited(Busy, ['busy'])
    const seen = readings(site, ['busy'], ({ busy }) => spun && busy.some(({ about }) => about.error) && busy.at(-1).about.error === null)
    listening = true
    const { busy } = await seen
    await Promise.all([site.close(), other.close()])
    await Promise.all([gone(), rm(folder, { recursive: true, force: true })])
    return busy.map(({ about, snapshot }) => about.error?.kind ?? snapshot.stats.power_w)
  }
}

parentPort.postMessage({ value: await TASKS[workerData.task](workerData.n) })
