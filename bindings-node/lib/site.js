'use strict'

/**
 * @typedef {{type: string, name: string, driver?: string, intervalMs?: number, deadlineMs?: number, tags?: string[],
 *   allowDuplicateIps?: boolean, config?: Record<string, any>, pools?: any[]}} RackSpec
 * @typedef {{racks?: RackSpec[], policy?: 'safe' | 'mos' | Record<string, any>, people?: Record<string, string[]>,
 *   claims?: boolean, history?: boolean, mosCompatible?: boolean, globalConfig?: Record<string, any>}} SiteConf
 * @typedef {{user: string, permissions: string[], gateway?: boolean}} Principal
 * @typedef {{driver: string, opts?: Record<string, string>}} Login
 * @typedef {{code: string, kind: string, op: string, message: string, sent: 'no' | 'maybe', retryable: boolean,
 *   context: Record<string, string>}} ErrorRow
 * @typedef {{query?: Record<string, any>, fields?: Record<string, any>, sort?: Record<string, 1 | -1>, offset?: number,
 *   limit?: number, cursor?: string, status?: boolean}} Query
 * @typedef {{things: {ids: string[]} | {tag: string} | {query: Record<string, any>}, metric: string, from: number, to: number,
 *   step?: 'raw' | 'whole' | number | {unit: 'H' | 'D' | 'W' | 'M', count?: number, zone?: string},
 *   over?: 'each' | 'together', aggregate?: 'mean' | 'sum' | 'min' | 'max' | 'last' | 'energy', limit?: number,
 *   intervalMs?: number}} SeriesQuery
 * @typedef {{type: string, tag: string, key?: 'stat-rtd' | 'stat-1m' | 'stat-5m' | 'stat-15m' | 'stat-30m' | 'stat-3h' | 'stat-1D'
 *   | 'thing-5m', start?: number, end?: number, offset?: number, limit?: number, fields?: Record<string, 1 | 0>,
 *   aggrFields?: Record<string, 1 | 0>, aggrTimes?: {start: number, end: number}[], groupRange?: string,
 *   shouldCalculateAvg?: boolean}} StatisticsQuery
 */

const native = require('./native.js')
const { Actions, READER } = require('./actions.js')
const { registry } = require('./driver.js')
const { given, json, now, raised, signalled, text, told, whole, written } = require('./error.js')
const { readings } = require('./readings.js')

/**
 * A whole site in this process: racks that collect their things, history, and the action engine, the only way to write
 * to devices.
 */
class Site {
  #native

  /** @param {import('../native.js').NativeSite} native */
  constructor (native) {
    this.#native = native
    /** Proposes writes, votes on them, and tells what became of them. */
    this.actions = new Actions(native)
  }

  /**
   * Opens the site in a folder. A store that is missing or damaged is an error: with `create` a new site is made, with
   * `openOrCreate` where the folder is empty.
   *
   * @param {string} folder
   * @param {SiteConf} conf
   * @param {{how?: 'open' | 'create' | 'openOrCreate', drivers?: import('./driver.js').Driver[]}} [options]
   * @returns {Promise<Site>}
   */
  static async open (folder, conf, options) {
    const { how = 'open', drivers } = given('options', options)
    const opened = registry(drivers).openSite(text('folder', folder), json('conf', conf), text('how', how))
    return new Site(await raised(opened))
  }

  /** Its id, made when its store was created. */
  get id () {
    return now(() => this.#native.id())
  }

  /**
   * Calls one of MiningOS's methods; `docs/rpc.md` has them.
   *
   * @param {Principal} who
   * @param {string} method
   * @param {any} [params]
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<any>}
   */
  async call (who, method, params = {}, options = undefined) {
    const { signal } = given('options', options)
    const until = signalled(signal)
    const called = this.#native.call(json('who', who), text('method', method), written('params', params))
    return await told(called, until)
  }

  /**
   * Registers things in a rack, each judged alone, durable together.
   *
   * @param {string} rack
   * @param {Record<string, any>[]} things
   * @param {string} by who does it
   * @returns {Promise<({thing: any} | {error: ErrorRow})[]>}
   */
  async register (rack, things, by) {
    return await told(this.#native.register(text('rack', rack), json('things', things), text('by', by)))
  }

  /**
   * Scans a range and registers what is recognised, in the first rack whose driver is the device's.
   *
   * @param {string} range
   * @param {string} by who does it
   * @param {{ports?: import('./discover.js').Ports, logins?: Login[], signal?: AbortSignal}} [options]
   * @returns {Promise<{scan: any, registered: any[], known: string[], moved: any[],
   *   refused: {address: string, error: ErrorRow}[]}>}
   */
  async find (range, by, options) {
    const { signal, ...rest } = given('options', options)
    const until = signalled(signal)
    return await told(this.#native.find(text('range', range), json('options', rest), text('by', by)), until)
  }

  /**
   * Lists things of all racks. `next` is the cursor of the next page; racks that failed are named.
   *
   * @param {Query} [query]
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<{items: any[], matched: number, next: string | null, failed: {rack: string, error: ErrorRow}[]}>}
   */
  async list (query = {}, options = undefined) {
    const { signal } = given('options', options)
    const until = signalled(signal)
    const listing = await raised(this.#native.list(json('query', query)), until)
    // One part is read while the next is written.
    const part = (/** @type {number} */ number) =>
      number < listing.parts ? raised(listing.part(number), until) : undefined
    let next = part(0)
    const page = JSON.parse(listing.head)
    for (let number = 1; next !== undefined; number++) {
      const things = await next
      next = part(number)
      page.items.push(...JSON.parse(things))
    }
    return page
  }

  /**
   * All readings of all racks from now on, in batches of those that are there, `most` at a time: as long as a batch is
   * held, so are its snapshots that were read. `capacity` are kept for a reader that is slower; each reading says how many
   * were missed before it.
   *
   * @param {{capacity?: number, most?: number, signal?: AbortSignal}} [options]
   * @returns {AsyncGenerator<import('./readings.js').Reading[], void, void>}
   */
  subscribe (options) {
    const { capacity = 65_536, most = 256, signal } = given('options', options)
    const until = signalled(signal)
    const reader = now(() => this.#native.subscribe(whole('capacity', capacity)))
    return readings(reader, whole('most', most), until)
  }

  /**
   * One number of things over time: as it was said, or by steps of the clock or of a zone's calendar. What is not known is
   * null, and `coverage` says which part of a step is known.
   *
   * @param {SeriesQuery} query
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<{steps: [number, number][], columns: {thing: string | null, values: (number | null)[],
   *   coverage?: number[], contributors?: number[], ts?: number[]}[], failed: any[], removedBefore: number | null}>}
   */
  async series (query, options) {
    const { signal } = given('options', options)
    const until = signalled(signal)
    return await told(this.#native.series(json('query', query)), until)
  }

  /**
   * Rows of the statistics of all racks of a type, oldest first: what the things with a tag did in each window of time.
   * `docs/statistics.md` has the results by family. Racks that failed are named.
   *
   * @param {StatisticsQuery} query
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<{items: any[], failed: {rackId: string, error: string}[]}>}
   */
  async statistics (query, options) {
    const { signal } = given('options', options)
    const until = signalled(signal)
    const asked = json('query', { key: 'stat-5m', ...given('query', query), partial: true })
    return await told(this.#native.call(READER, 'tailLog', asked), until)
  }

  /**
   * Copies the site into an empty folder while everything goes on. The site's key is not copied: keep it apart.
   *
   * @param {string} folder
   * @returns {Promise<{site: string, taken: number, revision: number, files: number, bytes: number, samples: number,
   *   leftOut: [string, string][]}>}
   */
  async backup (folder) {
    return await told(this.#native.backup(text('folder', folder)))
  }

  /**
   * Writes a backup into an empty folder, after all of it was verified.
   *
   * @param {string} from
   * @param {string} to
   * @returns {Promise<{site: string, taken: number, revision: number, files: number, bytes: number, auditEntries: number,
   *   leftOut: string[]}>}
   */
  static async restore (from, to) {
    return await told(native.restoreSite(text('from', from), text('to', to)))
  }

  /**
   * How the collectors of all racks do, summed up; of latenesses the worst.
   *
   * @returns {{things: number, online: number, offline: number, error: number, stale: number, never: number, slow: number,
   *   inFlight: number, waiting: number, pollsDone: number, pollsFailed: number, pollsLate: number, pollsCut: number,
   *   ticksMissed: number, sinkDropped: number, eventsMissed: number, latenessP50Ms: number, latenessP99Ms: number}}
   */
  counts () {
    return JSON.parse(now(() => this.#native.counts()))
  }

  /**
   * Ends it in order: calls of actions and polls under way have `withinMs` to end, and everything collected is durable
   * then. What is called meanwhile ends as closed.
   *
   * @param {{withinMs?: number}} [options]
   * @returns {Promise<{finished: number, aborted: number, undelivered: number, actionsBrokenOff: boolean} | null>}
   */
  async close (options) {
    const { withinMs = 10_000 } = given('options', options)
    const ended = await raised(this.#native.close(whole('withinMs', withinMs)))
    return ended === null ? null : JSON.parse(ended)
  }

  async [Symbol.asyncDispose] () {
    await this.close()
  }
}

module.exports = { Site }
