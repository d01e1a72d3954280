'use strict'

const native = require('./native.js')
const { HeadframeError, invalid, json, now } = require('./error.js')

/**
 * A device as a driver of one's own opened it. What it does not answer before the deadline of its poll costs that poll, and
 * nothing else. It throws what went wrong; a `HeadframeError` says with `kind` and `sent` what to do about it.
 *
 * @typedef {{
 *   capability?: any,
 *   snapshot: () => any,
 *   observe?: (action: string) => {identity: {mac?: string, serial?: string}, now?: any, uptimeS?: number, version?: number}
 *     | Promise<{identity: {mac?: string, serial?: string}, now?: any, uptimeS?: number, version?: number}>,
 *   execute?: (action: string, params: any[]) => {requests?: string[], reply?: string}
 *     | Promise<{requests?: string[], reply?: string}>,
 *   close?: () => void | Promise<void>
 * }} DriverThing
 */

/**
 * How devices of a driver are found: what is asked, and a text that stands in their reply, whatever the case. `get` is the path
 * of a page, `command` one of the cgminer-style API. With `at`, a JSON pointer such as `/VERSION/0/Type`, or `realm` or `location`
 * of a page, the text has to stand at the beginning there. One probe that fits is enough; a word of `not`, in any reply, is
 * another's device. `model`, `firmware` and `mac` are JSON pointers to what the device tells of itself. `stock` is false for a
 * firmware that stands in for the maker's own; `port` names another port than the usual one.
 *
 * @typedef {{get?: string, command?: string, says: string, at?: string, not?: string[], model?: string, firmware?: string,
 *   mac?: string, stock?: boolean, port?: 'web' | 'rpc' | 'side' | 'v3'}} Probe
 */

/**
 * A driver of one's own: a class, or any object with these members. `id` is what racks and things name it by, `docs` a page for
 * its users. What its `probes` find has `address` in its options, and `port` where that is not the usual one; of further kinds of
 * ports `rpc_port` and the like. `open` says with `context: { field }` of an `Invalid` error which option it cannot use.
 *
 * @typedef {{id: string, kind?: string, make?: string, docs?: string, probes?: Probe[],
 *   open: (opts: any) => DriverThing | Promise<DriverThing>}} Driver
 */

/**
 * The library's drivers, and those of one's own.
 *
 * @param {Driver[]} [drivers]
 * @returns {import('../native.js').NativeDrivers}
 */
function registry (drivers = []) {
  if (!Array.isArray(drivers)) throw invalid('drivers', 'takes a list')
  const all = now(() => new native.NativeDrivers())
  for (const driver of drivers) {
    if (typeof driver?.id !== 'string' || typeof driver.open !== 'function') {
      throw invalid('drivers', 'takes drivers, each with an id and open()')
    }
    const { id, kind = 'miner', make = id, docs = '', probes = [] } = driver
    const about = json('drivers', { id, kind, make, docs, probes })
    now(() => all.add(about, served(driver)))
  }
  return all
}

/**
 * @param {Driver} driver
 * @returns {(op: string, thing: number, json: string) => Promise<string>}
 */
function served (driver) {
  /** @type {Map<number, DriverThing>} */
  const things = new Map()
  let last = 0
  /** @param {string} op @param {number} at @param {string} question */
  const ask = async (op, at, question) => {
    if (op === 'open') {
      const thing = await driver.open(JSON.parse(question).opts)
      things.set(++last, thing)
      return { thing: last, capability: thing.capability ?? null }
    }
    const thing = things.get(at)
    if (thing === undefined) throw new HeadframeError('the thing was closed', { code: 'ERR_CLOSED', kind: 'NotFound' })
    if (op === 'snapshot') return await thing.snapshot()
    if (op === 'close') {
      things.delete(at)
      return await thing.close?.() ?? null
    }
    if (op === 'observe' && thing.observe !== undefined) return await thing.observe(JSON.parse(question))
    if (op === 'execute' && thing.execute !== undefined) {
      const { action, params } = JSON.parse(question)
      return await thing.execute(action, params) ?? {}
    }
    throw new HeadframeError(`the driver has no ${op}`, { code: 'ERR_UNSUPPORTED', kind: 'Unsupported' })
  }
  return async (op, at, question) => {
    try {
      return JSON.stringify({ ok: await ask(op, at, question) ?? null })
    } catch (e) {
      return refused(op, e)
    }
  }
}

/**
 * @param {string} op
 * @param {unknown} e
 */
function refused (op, e) {
  try {
    return JSON.stringify({ error: told(op, e) })
  } catch {
    // What was thrown throws itself when it is looked at.
    return JSON.stringify({ error: { kind: 'BadReply', message: 'the driver threw what cannot be told', sent: unclear(op) } })
  }
}

/**
 * @param {string} op
 * @param {any} e
 */
function told (op, e) {
  const message = e instanceof Error ? e.message : String(e)
  if (e instanceof HeadframeError) {
    const field = e.context?.field
    return { kind: e.kind, code: e.code, message, sent: e.sent, field: typeof field === 'string' ? field : '' }
  }
  const code = typeof e?.code === 'string' ? e.code : ''
  const unreachable = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ECONNRESET', 'ENOTFOUND'].includes(code)
  return { kind: unreachable ? 'Unreachable' : 'BadReply', code, message, sent: unclear(op) }
}

/**
 * Of a write that failed in a way that the driver does not tell nobody knows whether the device has it.
 *
 * @param {string} op
 */
function unclear (op) {
  return op === 'execute' ? 'maybe' : 'no'
}

module.exports = { registry }
