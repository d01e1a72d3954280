// Opens, uses and leaves everything again and again, and says what the process holds after each round.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { Site, discover, open } from 'headframe'

import { ANN, RIGHTS, readers, world } from './world.mjs'

/** How often is looked whether what nobody holds any more is gone, and how long apart, ms. */
const [LOOKS, APART_MS] = [200, 25]

/** What the process holds. */
function held () {
  const kib = Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
  return { kib, threads: readdirSync('/proc/self/task').length, files: readdirSync('/proc/self/fd').length }
}

/** One round. What is not closed is left to the collector. */
async function round (pick, close) {
  const folder = await mkdtemp('round-')
  const of = await world(pick, folder)
  const stop = new AbortController()
  const reading = readers(of, stop.signal)
  await of.device.snapshot()
  await of.odd.snapshot({ withinMs: 50 }).catch(() => {})
  await Promise.all([of.site.list({ status: true }), of.site.call({ user: ANN, permissions: RIGHTS }, 'listThings', {})])
  for await (const batch of of.site.subscribe()) if (batch.length > 0 && batch[0].snapshot !== undefined) break
  for await (const _ of discover(of.address, { ports: { simulated: true } })) break
  await (await open('whatsminer', of.opts)).close()
  stop.abort()
  await Promise.all(reading)
  if (close) await Promise.all([of.site.close(), of.device.close(), of.odd.close(), of.simulator.close()])
  return folder
}

/** Whether somebody may have a folder's site again: what was left open is gone then. */
async function free (folder) {
  for (let look = 0; look < LOOKS; look++) {
    global.gc()
    await sleep(APART_MS)
    try {
      await (await Site.open(`${folder}/site`, {})).close()
      return true
    } catch (e) {
      if (e.kind !== 'Conflict') return true
    }
  }
  return false
}

/**
 * @param {(most: number) => number} pick
 * @param {number} count
 * @param {(line: object) => void} say
 */
export async function rounds (pick, count, say) {
  if (!existsSync('/proc/self/task')) throw new Error('nobody says here what a process holds')
  for (let n = 0; n < count; n++) {
    const close = n % 2 === 0
    const folder = await round(pick, close)
    if (!await free(folder)) say({ violation: `round ${n}: nobody holds the site any more, and it is still open` })
    say({ probe: close ? 'closed' : 'collected' })
    await rm(folder, { recursive: true, force: true })
    global.gc()
    say({ held: held() })
  }
  say({ ended: true })
}
