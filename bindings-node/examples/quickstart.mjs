// A site of simulated miners: found, collected, shown once a second, and in part put to sleep by two people.
//
//     node examples/quickstart.mjs [seconds]

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { Simulator, Site } from 'headframe'

const seconds = Number(process.argv[2] ?? 10)
const rights = ['miner:rw', 'actions:rw']
const folder = await mkdtemp(join(tmpdir(), 'headframe-quickstart-'))
const simulator = await Simulator.start({ base: '127.50.0.1', whatsminers: 12, antminers: 8 })
const site = await Site.open(folder, {
  racks: [
    { type: 'miner-wm', name: 'hall-1', driver: 'whatsminer', intervalMs: 1_000 },
    { type: 'miner-am', name: 'hall-1', driver: 'antminer', intervalMs: 1_000 }
  ],
  people: { 'ann@site': rights, 'bob@site': rights }
}, { how: 'create' })

try {
  // Only devices that were recognised get a password.
  const logins = [
    { driver: 'whatsminer', opts: { password: 'admin' } },
    { driver: 'antminer', opts: { username: 'root', password: 'root' } }
  ]
  const { registered } = await site.find('127.50.0.1-127.50.0.20', 'ann@site', { ports: { simulated: true }, logins })
  console.log(`${registered.length} miners were found`)
  const asleep = seconds >> 1
  for (let second = 1; second <= seconds; second++) {
    await sleep(1_000)
    if (second === asleep) {
      const query = { type: 'miner-wm' }
      const { id } = await site.actions.push({ action: 'setPowerMode', params: ['sleep'], query, why: 'price' }, 'ann@site')
      await site.actions.vote(id, { approve: true }, 'bob@site')
    }
    const { items } = await site.list({ status: true, limit: 100 })
    const stats = items.map((item) => item.last?.snap?.stats ?? {})
    const known = stats.filter((of) => typeof of.power_w === 'number')
    const kw = known.reduce((sum, of) => sum + of.power_w, 0) / 1_000
    // What is not known is not counted as 0: the sum says of how many it is.
    console.log(`${second} s: ${kw.toFixed(1)} kW of ${known.length}/${items.length} miners`)
  }
} finally {
  await site.close()
  await simulator.close()
  await rm(folder, { recursive: true, force: true })
}
