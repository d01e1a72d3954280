// A write is proposed, looked at, approved by a second person, and watched to its end.
//
//     node examples/approve.mjs

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Simulator, Site } from 'headframe'

const rights = ['miner:rw', 'actions:rw']
const folder = await mkdtemp(join(tmpdir(), 'headframe-approve-'))
const simulator = await Simulator.start({ base: '127.51.0.1', whatsminers: 10 })
const site = await Site.open(folder, {
  racks: [{ type: 'miner-wm', name: 'hall-1', driver: 'whatsminer', intervalMs: 500 }],
  people: { 'ann@site': rights, 'bob@site': rights }
}, { how: 'create' })

try {
  const logins = [{ driver: 'whatsminer', opts: { password: 'admin' } }]
  await site.find('127.51.0.1-127.51.0.10', 'ann@site', { ports: { simulated: true }, logins })
  // Each has said who it is after its second poll; nothing is written to a device that cannot be told from another.
  for await (const _ of site.subscribe()) if (site.counts().pollsDone >= 30) break

  const draft = { action: 'setPowerMode', params: ['sleep'], query: { type: 'miner-wm' }, why: 'transformer work' }
  const { size, terms } = await site.actions.preview(draft, 'ann@site')
  console.log(`${size.targets} miners that draw ${size.kw.toFixed(1)} kW; ${terms.votes_for} votes are needed`)

  const changes = site.actions.watch()
  const { id } = await site.actions.push(draft, 'ann@site')
  const { digest } = await site.actions.get(id)
  // Bob votes for what he saw: were it changed meanwhile, his vote would be refused.
  await site.actions.vote(id, { approve: true, digest }, 'bob@site')
  for await (const change of changes) {
    if (change.id !== id) continue
    console.log(`${change.status}: ${change.counts.ok} of ${change.counts.total} done`)
    if (['COMPLETED', 'PARTIAL', 'FAILED'].includes(change.status)) break
  }
} finally {
  await site.close()
  await simulator.close()
  await rm(folder, { recursive: true, force: true })
}
