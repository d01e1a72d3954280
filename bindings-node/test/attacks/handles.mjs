import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Actions, Device, HeadframeError, Reading, Simulator, Site, open } from 'headframe'

const require = createRequire(import.meta.url)
const native = require('../../native.js')

/** What became of a call: `ok`, or what was thrown. A call that neither answers nor fails is `hangs`. */
async function fate (call) {
  try {
    const late = new Promise((resolve) => setTimeout(resolve, 5_000, 'hangs').unref())
    const said = await Promise.race([(async () => { await call() })(), late])
    return said === 'hangs' ? 'hangs' : 'ok'
  } catch (e) {
    return e instanceof HeadframeError ? e.kind : e instanceof Error ? e.constructor.name : typeof e
  }
}

/** All functions of a class, its getters included, by name. */
function functions (of) {
  const all = Object.entries(Object.getOwnPropertyDescriptors(of.prototype))
  return all.flatMap(([name, { value, get }]) => {
    if (name === 'constructor') return []
    return [value, get].filter((one) => typeof one === 'function').map((one) => [`${of.name}.${name}`, one])
  })
}

/** Values of all kinds for parameters: of the right types, and of none that is. */
const ARGS = [[], [{}, {}, {}], ['{}', '{}', '{}'], [0, 0, 0], [2 ** 63, NaN, -1], ['\ud800', '\0', 'x'], [null, undefined, 7n], [Symbol('s'), () => {}, []]]

/** Each function with each receiver that is none of its own; counts what became of the calls. */
async function foreign (classes, receivers) {
  const fates = {}
  for (const of of classes) {
    for (const [name, call] of functions(of)) {
      for (const receiver of receivers) {
        if (receiver instanceof of && receiver.constructor === of && !receiver.odd) continue
        for (const args of ARGS) {
          const became = await fate(() => Reflect.apply(call, receiver, args))
          ;(fates[became] ??= new Set()).add(name)
        }
      }
    }
  }
  return Object.fromEntries(Object.entries(fates).map(([became, names]) => [became, [...names]]))
}

const folder = await mkdtemp(join(tmpdir(), 'headframe-handles-'))
const BASE = '127.82.0.1'
const simulator = await Simulator.start({ base: BASE, whatsminers: 1 })
const [{ address, ports }] = simulator.devices()
const site = await Site.open(join(folder, 'a'), {}, { how: 'create' })
const device = await open('whatsminer', { address, port: ports.rpc })

const swapped = (made, of) => Object.assign(Object.setPrototypeOf(made, of.prototype), { odd: true })
const empty = [Actions, Device, Reading, Simulator, Site].map((of) => swapped({}, of))
const receivers = [null, undefined, 7, 'x', Symbol('s'), {}, () => {}, Site, Site.prototype, new Proxy(site, {}), Object.create(site),
  site, site.actions, device, simulator, ...empty]
const own = await foreign([Actions, Device, Reading, Simulator, Site], receivers)

// The native classes themselves, which a program reaches by the file's path.
const drivers = new native.NativeDrivers()
const parts = {
  drivers,
  simulator: await native.startSimulator(JSON.stringify({ base: '127.82.1.1', whatsminers: 1 })),
  site: await drivers.openSite(join(folder, 'b'), '{}', 'create'),
  scan: await drivers.startScan('127.82.1.1', JSON.stringify({ ports: { simulated: true } }))
}
parts.readings = parts.site.subscribe(8)
parts.watch = parts.site.watch()
const classes = Object.values(native).filter((one) => typeof one === 'function' && one.prototype !== undefined && /^Native/.test(one.name))
const bare = classes.map((of) => swapped({}, of))
const spare = await native.startSimulator('{}')
const strange = [null, 7, {}, () => {}, ...classes, ...classes.map((of) => of.prototype), ...bare, Object.create(parts.site),
  new Proxy(parts.site, {}), swapped(spare, native.NativeSite), ...Object.values(parts)]
const inner = await foreign(classes, strange)

const made = {}
for (const of of classes) made[of.name] = await fate(() => new of())

// Whoever has the right receiver and wrong arguments.
const wrong = {}
for (const part of Object.values(parts)) {
  for (const [name, call] of functions(part.constructor)) {
    // These wait, or end what the next ones are asked of.
    if (/\.(next|close|stop|add)$/.test(name)) continue
    for (const args of ARGS) {
      const became = await fate(() => Reflect.apply(call, part, args))
      ;(wrong[became] ??= new Set()).add(name)
    }
  }
}

// Everything is closed, more than once, and used afterwards.
parts.scan.stop()
const closing = [parts.readings, parts.watch, parts.simulator].flatMap((part) => [part.close(), part.close(), part.close()])
closing.push(parts.site.close(1_000), parts.site.close(1_000))
const closed = await Promise.allSettled(closing)
const after = await Promise.all([parts.readings.next(1), parts.watch.next()])
const late = await fate(() => parts.site.counts())

await Promise.all([device.close(), simulator.close(), site.close()])
await rm(folder, { recursive: true, force: true })
console.log(JSON.stringify({
  own,
  inner,
  made,
  wrong: Object.keys(wrong),
  classes: classes.length,
  closed: closed.map(({ status }) => status),
  after,
  late
}))
