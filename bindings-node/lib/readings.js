'use strict'

const { setImmediate: turned } = require('node:timers/promises')

const { now, raised } = require('./error.js')
const { joined } = require('./form.js')
const { stream } = require('./stream.js')

/**
 * What one poll of a thing brought. Its snapshot is read when it is asked for.
 */
class Reading {
  #batch
  #at
  /** @type {any} */
  #snapshot

  /**
   * @param {import('../native.js').NativeBatch} batch
   * @param {number} at
   */
  constructor (batch, at) {
    this.#batch = batch
    this.#at = at
  }

  /** Whose it is. */
  get thing () {
    return /** @type {string} */ (this.#batch.thing(this.#at))
  }

  /** When the poll ended, ms since 1970. */
  get ts () {
    return /** @type {number} */ (this.#batch.ts(this.#at))
  }

  /** How many readings this reader missed right before it, because it was too slow. */
  get missed () {
    return this.#batch.missed(this.#at)
  }

  /**
   * Its number among those of the thing, how the thing stood, how long the poll took, and the error when it failed.
   *
   * @returns {{seq: number, link: string, tookMs: number, error: import('./site.js').ErrorRow | null}}
   */
  get about () {
    return JSON.parse(/** @type {string} */ (now(() => this.#batch.about(this.#at))))
  }

  /**
   * The snapshot, under MiningOS's keys. What is not known is absent, and `missing` says why.
   *
   * @returns {any}
   */
  get snapshot () {
    this.#snapshot ??= joined(/** @type {string} */ (now(() => this.#batch.snapshot(this.#at))))
    return this.#snapshot
  }

  toJSON () {
    return { thing: this.thing, ts: this.ts, missed: this.missed, ...this.about, snapshot: this.snapshot }
  }
}

/**
 * @param {import('../native.js').NativeReadings} reader
 * @param {number} most
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<Reading[], void, void>}
 */
function readings (reader, most, signal) {
  const next = async () => {
    const ready = now(() => reader.ready(most))
    // What is there is given at once, yet never without a turn for all else that waits.
    const batch = ready === null ? await raised(reader.next(most)) : await turned(ready)
    if (batch === null) return null
    const { length } = batch
    const list = []
    for (let at = 0; at < length; at++) list.push(new Reading(batch, at))
    return list
  }
  return stream(next, () => raised(reader.close()), signal)
}

module.exports = { Reading, readings }
