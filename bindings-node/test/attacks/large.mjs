import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Simulator, Site, open } from 'headframe'

/** A device that answers with a GB, one with a sixteenth of it as one text, one that is well; and a site that polls others beside. */
const PIECE = 'x'.repeat(1 << 26)
const ANSWERS = {
  gigabyte: { success: true, extra: { all: Array(16).fill(PIECE) } },
  text: { success: true, extra: { text: PIECE } },
  well: { success: true, stats: { status: 'mining', power_w: 1_000 } }
}
const Large = { id: 'large', open: ({ name }) => ({ snapshot: () => ANSWERS[name] }) }

const folder = await mkdtemp(join(tmpdir(), 'headframe-large-'))
const simulator = await Simulator.start({ base: '127.82.2.1', whatsminers: 1 })
const [{ address, ports }] = simulator.devices()
const racks = [{ type: 'miner-wm-m50s', name: 'a', driver: 'whatsminer', intervalMs: 200 }]
const site = await Site.open(join(folder, 'site'), { racks }, { how: 'create' })
await site.register('miner-wm-m50s-a', [{ opts: { address, port: ports.rpc }, info: {} }], 'ann')
const before = site.counts().pollsDone

const told = []
for (const name of Object.keys(ANSWERS)) {
  const device = await open('large', { address: '127.0.0.1', name }, { drivers: [Large] })
  told.push(await device.snapshot({ withinMs: 60_000 }).then(({ stats }) => stats.power_w, (e) => [e.kind, e.message]))
  await device.close()
}
const polls = site.counts().pollsDone - before
await Promise.all([site.close(), simulator.close()])
await rm(folder, { recursive: true })
console.log(JSON.stringify({ told, polls }))
