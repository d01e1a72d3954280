// A driver of one's own: a class that does its own I/O. The site polls it, and gives each of its things a deadline.
//
//     node examples/driver.mjs

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { HeadframeError, Site } from 'headframe'

class Heater {
  static id = 'heater'
  static make = 'Example'

  static async open ({ address, port }) {
    return new Heater(`http://${address}:${port}/state`)
  }

  constructor (url) {
    this.url = url
  }

  async snapshot () {
    const reply = await fetch(this.url)
    if (reply.status === 401) throw new HeadframeError('the password is wrong', { kind: 'Unauthenticated' })
    const { watts, on } = await reply.json()
    // What the device does not tell is left out: it is never 0.
    return { success: true, stats: { status: on ? 'mining' : 'sleeping', power_w: watts } }
  }
}

// What stands on the wall.
const device = createServer((_, reply) => reply.end(JSON.stringify({ watts: 1_950, on: true })))
await new Promise((resolve) => device.listen(0, '127.0.0.1', resolve))

const folder = await mkdtemp(join(tmpdir(), 'headframe-driver-'))
const racks = [{ type: 'miner-heater', name: 'house', driver: 'heater', intervalMs: 500 }]
const site = await Site.open(folder, { racks }, { how: 'create', drivers: [Heater] })
try {
  const opts = { address: '127.0.0.1', port: device.address().port }
  await site.register('miner-heater-house', [{ id: 'heater-1', opts, info: {} }], 'ann@site')
  let readings = 0
  for await (const batch of site.subscribe()) {
    for (const { thing, snapshot } of batch) console.log(`${thing}: ${snapshot.stats.power_w} W`)
    if ((readings += batch.length) >= 3) break
  }
} finally {
  await site.close()
  device.close()
  await rm(folder, { recursive: true, force: true })
}
