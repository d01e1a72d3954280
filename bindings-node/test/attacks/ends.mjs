import { fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Simulator, Site } from 'headframe'

/** A program with a site that is streamed from, and how it ends: `node ends.mjs <how> <folder> <base>`. */
const [how, folder, base] = process.argv.slice(2)

if (how === 'child') {
  // What a child of a program with a live site can do: nothing to the parent's, and everything to its own.
  const taken = await Site.open(join(folder, 'site'), {}).then(() => 'opened', ({ code }) => code)
  const own = await Site.open(join(folder, 'own'), {}, { how: 'create' })
  await own.close()
  process.send({ taken })
  process.disconnect()
} else {
  const simulator = await Simulator.start({ base, whatsminers: 4 })
  const racks = [{ type: 'miner-wm-m50s', name: 'a', driver: 'whatsminer', intervalMs: 100 }]
  const site = await Site.open(join(folder, 'site'), { racks }, { how: 'openOrCreate' })
  if (site.counts().things === 0) {
    await site.register('miner-wm-m50s-a', simulator.devices().map(({ address, ports }, at) => ({ id: `m-${at}`, opts: { address, port: ports.rpc }, info: {} })), 'ann')
  }
  const streams = Array.from({ length: 4 }, async () => {
    let batches = 0
    for await (const _ of site.subscribe()) if (++batches >= 5) return
  })
  const calls = Array.from({ length: 50 }, () => site.list({ status: true }))
  await Promise.all(streams)
  const streaming = async () => { for await (const _ of site.subscribe()); }
  streaming()
  site.actions.watch().next()
  console.log('streams')
  if (how === 'exit') process.exit(7)
  if (how === 'throw') setImmediate(() => { throw new Error('nobody caught this') })
  if (how === 'reject') Promise.reject(new Error('nobody caught this'))
  if (how === 'kill') process.kill(process.pid, 'SIGKILL')
  if (how === 'fork') {
    const child = fork(fileURLToPath(import.meta.url), ['child', folder])
    const told = await new Promise((resolve) => child.once('message', resolve))
    const code = await new Promise((resolve) => child.once('close', resolve))
    // The parent's goes on.
    const before = site.counts().pollsDone
    for await (const _ of site.subscribe()) if (site.counts().pollsDone > before) break
    console.log(JSON.stringify({ ...told, code, things: (await site.list()).items.length }))
    await site.close()
    await simulator.close()
  }
  await Promise.allSettled(calls)
}
