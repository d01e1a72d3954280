// What the npm package costs: `cargo run --release -p headframe-benches --bin bindings -- --lang node`.
// Its argument is the folder of the package. Simulated devices live in a process of their own.

import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const { Simulator, Site } = createRequire(import.meta.url)(process.argv[2])
const WHO = { user: 'bench', permissions: ['*:rw'] }
const MINERS = 2_000
const LISTED = 10_000
const CALLS = 20_000
const BASE = '127.60.0.1'

if (process.argv[3] === 'simulator') {
  await Simulator.start({ seed: 1, base: BASE, whatsminers: MINERS })
  process.send('ready')
  setInterval(() => {}, 1_000_000)
} else {
  console.log(JSON.stringify(await measured()))
}

async function measured () {
  const simulator = fork(fileURLToPath(import.meta.url), [process.argv[2], 'simulator'])
  const folder = await mkdtemp(join(tmpdir(), 'headframe-bench-'))
  try {
    await new Promise((resolve, reject) => simulator.once('message', resolve).once('exit', reject))
    return await of(folder, simulator)
  } finally {
    simulator.kill()
    await rm(folder, { recursive: true, force: true })
  }
}

async function of (folder, simulator) {
  const racks = [
    { type: 'miner-wm-m50s', name: 'polled', driver: 'whatsminer', intervalMs: 1_000 },
    { type: 'inventory-spare', name: 'listed' }
  ]
  const site = await Site.open(folder, { racks, history: false }, { how: 'create' })
  const spare = (n) => ({ id: `spare-${n}`, info: { container: `c-${n % 40}`, pos: `${n}`, serialNum: `s${n}` } })
  await site.register('inventory-spare-listed', Array.from({ length: LISTED }, (_, n) => spare(n)), 'bench')

  const call_us_p50 = await alone(site)
  const call_us_64_in_flight = await together(site)
  const list_ms = median(await Promise.all(Array.from({ length: 1 }, () => listed(site))))

  const { registered } = await site.find('127.60.0.1-127.60.7.255', 'bench', { ports: { simulated: true } })
  if (registered.length !== MINERS) throw new Error(`${registered.length} devices were found`)
  const snapshots_per_s = await drained(site, simulator, (reading) => reading.thing.length + reading.ts)
  const plain_per_s = await drained(site, simulator, (reading) => reading.snapshot.stats.power_w ?? 0)
  const rss_mb = Math.round(process.memoryUsage().rss / 1e5) / 10
  await site.close()
  return { lang: 'node', call_us_p50, call_us_64_in_flight, snapshots_per_s, plain_per_s, list_ms, rss_mb }
}

/** One call after the other, µs. */
async function alone (site) {
  const times = []
  for (let n = 0; n < CALLS; n++) {
    const start = process.hrtime.bigint()
    await site.call(WHO, 'ping', n)
    times.push(Number(process.hrtime.bigint() - start) / 1e3)
  }
  return round(median(times))
}

/** 64 at any time, µs for each. */
async function together (site) {
  let left = CALLS * 5
  const all = left
  const worker = async () => { while (left-- > 0) await site.call(WHO, 'ping', left) }
  const start = process.hrtime.bigint()
  await Promise.all(Array.from({ length: 64 }, worker))
  return round(Number(process.hrtime.bigint() - start) / 1e3 / all)
}

/** All things at once, ms. */
async function listed (site) {
  const times = []
  for (let n = 0; n < 15; n++) {
    const start = process.hrtime.bigint()
    const { items } = await site.list({ query: { type: 'inventory-spare' }, limit: LISTED })
    times.push(Number(process.hrtime.bigint() - start) / 1e6)
    if (items.length !== LISTED) throw new Error(`${items.length} things were listed`)
  }
  return round(median(times))
}

/** Readings that waited, a second. The devices stand still meanwhile: 2,000 polls a second would take both cores. */
async function drained (site, simulator, look) {
  const rates = []
  for (let turn = 0; turn < 3; turn++) {
    const reader = site.subscribe({ capacity: 65_536 })
    await new Promise((resolve) => setTimeout(resolve, 10_000))
    simulator.kill('SIGSTOP')
    // Polls under way end.
    await new Promise((resolve) => setTimeout(resolve, 200))
    let [seen, sum] = [0, 0]
    const start = process.hrtime.bigint()
    for await (const batch of reader) {
      for (const reading of batch) sum += look(reading)
      seen += batch.length
      // The last batch of those that waited.
      if (batch.length < 256) break
    }
    if (!(sum > 0) || seen < MINERS) throw new Error(`${seen} readings, and a sum of ${sum}`)
    rates.push(seen / (Number(process.hrtime.bigint() - start) / 1e9))
    simulator.kill('SIGCONT')
    // Things that missed a poll are asked less often, until they answer again.
    await new Promise((resolve) => setTimeout(resolve, 12_000))
  }
  return Math.round(median(rates))
}

function median (values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}

function round (value) {
  return Math.round(value * 100) / 100
}
