import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'

import { HeadframeError, Simulator, Site, discover, open } from 'headframe'

import { only, resolve } from './case.mjs'
import { differences, known } from './pattern.mjs'

/** How long a step may take, ms. */
const WITHIN = 60_000
/** What an action is when nothing more becomes of it. */
const ENDED = ['COMPLETED', 'PARTIAL', 'FAILED', 'DENIED', 'CANCELLED', 'EXPIRED']
/** What a case may say of its devices. */
const DEVICES = ['seed', 'whatsminers', 'antminers', 'cold']

/** IPv4 addresses in their order. */
const place = (address) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const byAddress = (list, of) => list.sort((a, b) => place(of(a)) - place(of(b)))
/** What of these members was given. */
const options = (given, ...names) => Object.fromEntries(names.filter((name) => name in given).map((name) => [name, given[name]]))

/** What each verb does, with the world of the case. */
const VERBS = {
  async discover (world, given) {
    const found = { devices: [], unknown: [] }
    for await (const { event, ...told } of discover(given.range, options(given, 'ports', 'deadlineMs', 'concurrency'))) {
      if (event === 'summary') found.summary = told.report
      else found[event === 'device' ? 'devices' : 'unknown'].push(told)
    }
    byAddress(found.devices, ({ address }) => address)
    byAddress(found.unknown, ({ address }) => address)
    return found
  },
  async 'device.open' (world, { driver, opts }) {
    world.device = await open(driver, opts)
    return null
  },
  'device.capability': (world) => world.device.capability(),
  'device.snapshot': (world, given) => world.device.snapshot(given),
  'device.execute': (world, { command, ...rest }) => world.device.execute(command, rest),
  async 'device.close' (world) {
    await world.device.close()
    return null
  },
  async 'site.open' (world, { folder, conf, how }) {
    const site = await Site.open(folder, conf, how === undefined ? undefined : { how })
    await world.site?.close()
    world.site = site
    return { id: site.id }
  },
  'site.register': ({ site }, { rack, things, by }) => site.register(rack, things, by),
  async 'site.find' ({ site }, { range, by, ...rest }) {
    const report = await site.find(range, by, rest)
    byAddress(report.known, (address) => address)
    byAddress(report.refused, ({ address }) => address)
    return report
  },
  'site.list': ({ site }, { query }) => site.list(query),
  'site.call': ({ site }, { who, method, params }) => site.call(who, method, params),
  'site.series': ({ site }, { query }) => site.series(query),
  async 'site.readings' ({ site }, { things = 1, each = 1, match = {} }) {
    known(match)
    const got = []
    const whose = new Map()
    const enough = () => [...whose.values()].filter((n) => n >= each).length >= things
    for await (const batch of site.subscribe()) {
      for (const reading of batch) {
        const told = JSON.parse(JSON.stringify(reading))
        if (enough() || differences(match, told).length > 0) continue
        got.push(told)
        whose.set(told.thing, (whose.get(told.thing) ?? 0) + 1)
      }
      if (enough()) break
    }
    return got
  },
  'site.counts': ({ site }) => site.counts(),
  'site.backup': ({ site }, { folder }) => site.backup(folder),
  'site.restore': (world, { from, to }) => Site.restore(from, to),
  'site.close': ({ site }, given) => site.close(given),
  'actions.preview': ({ site }, { draft, by }) => site.actions.preview(draft, by),
  'actions.push': ({ site }, { draft, by }) => site.actions.push(draft, by),
  'actions.vote': ({ site }, { id, ballot, by }) => site.actions.vote(id, ballot, by),
  'actions.cancel': ({ site }, { id, by }) => site.actions.cancel(id, by),
  'actions.get': ({ site }, { id }) => site.actions.get(id),
  async 'actions.settled' ({ site }, { id }) {
    const changes = site.actions.watch()
    const over = (view) => ENDED.includes(view?.status)
    let view = await site.actions.get(id)
    if (!over(view)) {
      for await (const change of changes) {
        if (change.id === id || 'missed' in change) view = await site.actions.get(id)
        if (over(view)) break
      }
    }
    await changes.return()
    return view
  },
  'simulator.devices': ({ simulator }) => simulator.devices(),
  'simulator.truth': ({ simulator }, { index }) => simulator.truth(index),
  async 'simulator.fault' ({ simulator }, { index, fault }) {
    simulator.fault(index, fault)
    return null
  },
  async 'simulator.clear' ({ simulator }, { index }) {
    simulator.clear(index)
    return null
  },
  async 'file.copy' (world, { from, to }) {
    await copyFile(from, to)
    return null
  }
}

export const verbs = Object.keys(VERBS)

/** What a case has around it, and how its steps are done. */
export class World {
  constructor ({ dir, net, common }) {
    this.words = { dir, net }
    this.saved = { ...common }
  }

  /** Does all steps; throws what is wrong with the first that is not as expected. */
  async play ({ devices, site, steps }) {
    if (devices !== undefined) {
      const conf = this.#resolve(devices)
      only(conf, DEVICES)
      this.simulator = await Simulator.start({ ...conf, base: `${this.words.net}.1` })
    }
    if (site !== undefined) {
      await this.#answer('site.open', { folder: join(this.words.dir, 'site'), conf: site, how: 'create' })
    }
    for (const [at, step] of steps.entries()) {
      try {
        await this.#step(step)
      } catch (e) {
        throw new Error(`step ${at + 1} (${step.do}): ${e.message}`, { cause: e })
      }
    }
  }

  #resolve (told) {
    return resolve(told, this.saved, this.words)
  }

  async #step (step) {
    const [expected, refused] = ['expect', 'error'].map((name) => name in step ? this.#resolve(step[name]) : undefined)
    let answer
    try {
      answer = await this.#answer(step.do, step.with ?? {})
    } catch (e) {
      if (!(e instanceof HeadframeError)) throw e
      const { code, kind, op, message, sent, retryable, context } = e
      const told = { code, kind, op, message, sent, retryable, context }
      if (refused === undefined) throw new Error(`the error ${JSON.stringify(told)}`)
      return like(refused, told)
    }
    if (refused !== undefined) {
      throw new Error(`should be the error ${JSON.stringify(refused)}, is ${JSON.stringify(answer)}`)
    }
    if (expected !== undefined) like(expected, answer)
    if (step.as !== undefined) this.saved[step.as] = answer
  }

  async #answer (verb, given) {
    const resolved = this.#resolve(given)
    let timer
    const late = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('did not end')), WITHIN)
    })
    try {
      return await Promise.race([VERBS[verb](this, resolved), late])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends what the case left behind. */
  async end () {
    await this.device?.close()
    await this.site?.close()
    await this.simulator?.close()
  }
}

function like (pattern, value) {
  const found = differences(pattern, value)
  if (found.length > 0) throw new Error(found.join('; '))
}
