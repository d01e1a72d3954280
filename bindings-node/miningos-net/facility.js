'use strict'

const { createHash } = require('node:crypto')
const { readFileSync } = require('node:fs')
const path = require('node:path')

const { HeadframeError, Site } = require('../lib/index.js')

/** The gateway has signed its callers in itself: who acts, and with which rights, stands in the body of each call. */
const GATEWAY = { user: 'app-node', permissions: ['*:rw'], gateway: true }
/** As MiningOS's own. */
const TIMEOUT_MS = 15_000
/** Longer than that a timer cannot wait. */
const LONGEST_MS = 2 ** 31 - 1
const CLOSE_WITHIN_MS = 10_000
/** What an error begins with that went through a reply. */
const FAILED = '[HRPC_ERR]='

/**
 * Orchestrators by name, as `clusters` in the member `r0` of `config/facs/net.config.json`. `folder` is relative to the
 * worker's root.
 *
 * @typedef {{folder: string, site?: import('../lib/site.js').SiteConf}} Cluster
 * @typedef {(...args: any[]) => any} Handler
 */

/**
 * MiningOS's net facility, with orchestrators in this process instead of a network.
 */
class NetFacility {
  /** @type {Map<string, import('../lib/site.js').Site>} */
  #sites = new Map()
  /** @type {Map<string, Handler>} */
  #handlers = new Map()
  /** @type {Promise<void>} */
  #opened = Promise.resolve()

  /**
   * @param {any} caller the worker
   * @param {Record<string, any>} [opts]
   * @param {any} [ctx]
   */
  constructor (caller, opts = {}, ctx = undefined) {
    this.caller = caller
    this.opts = opts
    this.ctx = ctx
    this.root = opts.root ?? caller?.ctx?.root ?? process.cwd()
    this.conf = configured(this.root, opts.ns ?? 'r0')
    const publicKey = createHash('sha256').update(`headframe ${this.root}`).digest()
    /** Nobody dials in; its key is shown in the worker's status. */
    this.dht = { defaultKeyPair: { publicKey } }
    this.rpcServer = {
      publicKey,
      dht: this.dht,
      respond: (/** @type {string} */ name, /** @type {Handler} */ handler) => { this.#handlers.set(name, handler) }
    }
    this.swarm = silent()
  }

  /**
   * Opens the sites.
   *
   * @param {(error?: unknown) => void} cb
   */
  start (cb) {
    this.#opened = this.#open()
    this.#opened.then(() => cb(), cb)
  }

  /**
   * Ends the sites: everything they took is durable then. Those that are just being opened are ended, too.
   *
   * @param {(error?: unknown) => void} cb
   */
  stop (cb) {
    this.#opened.catch(() => {}).then(() => this.#close()).then(() => cb(), cb)
  }

  async startRpcServer () {}

  async startSwarm () {}

  /**
   * What the worker's own method answers; workers register with `rpcServer.respond` what calls this.
   *
   * @param {string} method
   * @param {Buffer} request
   * @returns {Promise<Buffer>}
   */
  async handleReply (method, request) {
    try {
      return packed(await this.caller[method](unpacked(request)))
    } catch (e) {
      return packed(`${FAILED}${e instanceof Error ? e.message : String(e)}`)
    }
  }

  /**
   * Calls a method of an orchestrator; with the worker's own key, as its health check has it, one of the worker's.
   *
   * @param {string} key the name of a cluster
   * @param {string} method
   * @param {any} [params]
   * @param {{timeout?: number}} [options]
   * @returns {Promise<any>}
   */
  async jRequest (key, method, params = {}, { timeout } = {}) {
    const site = this.#sites.get(key)
    if (site === undefined) return await this.#own(key, method, params)
    const withinMs = Math.min(timeout || TIMEOUT_MS, LONGEST_MS)
    try {
      return await site.call(caller(params), method, params, { signal: AbortSignal.timeout(withinMs) })
    } catch (e) {
      throw told(e)
    }
  }

  /**
   * @param {string} key
   * @param {string} method
   * @param {any} params
   */
  async #own (key, method, params) {
    if (key !== this.rpcServer.publicKey.toString('hex')) throw new Error('ERR_CLUSTER_UNKNOWN')
    const handler = this.#handlers.get(method)
    if (handler === undefined) throw new Error('UNKNOWN_METHOD')
    const answer = unpacked(await handler(packed(params)))
    if (typeof answer === 'string' && answer.startsWith(FAILED)) throw new Error(answer)
    return answer
  }

  async #open () {
    /** @type {[string, Cluster][]} */
    const clusters = Object.entries(this.conf.clusters ?? {})
    try {
      for (const [name, { folder, site = {} }] of clusters) {
        const conf = { policy: /** @type {const} */ ('mos'), claims: true, ...site }
        this.#sites.set(name, await Site.open(path.resolve(this.root, folder), conf, { how: 'openOrCreate' }))
      }
    } catch (e) {
      await this.#close().catch(() => {})
      throw e
    }
  }

  /** Ends all sites, also when one of them fails. */
  async #close () {
    const sites = [...this.#sites.values()]
    this.#sites.clear()
    const ended = await Promise.allSettled(sites.map((site) => site.close({ withinMs: CLOSE_WITHIN_MS })))
    const failed = ended.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
}

/**
 * The facility's part of its configuration; nothing when there is no file.
 *
 * @param {string} root
 * @param {string} ns
 * @returns {{clusters?: Record<string, Cluster>}}
 */
function configured (root, ns) {
  const file = path.join(root, 'config', 'facs', 'net.config.json')
  let text
  try {
    text = readFileSync(file, 'utf8')
  } catch (e) {
    if (/** @type {NodeJS.ErrnoException} */ (e).code === 'ENOENT') return {}
    throw e
  }
  return JSON.parse(text)[ns] ?? {}
}

/**
 * The gateway, under the name of the person for whom it calls, where it says so: comments and files are theirs.
 *
 * @param {any} params
 */
function caller (params) {
  const user = params?.user
  return typeof user === 'string' && user !== '' ? { ...GATEWAY, user } : GATEWAY
}

/** @param {any} value @returns {Buffer} */
function packed (value) {
  return Buffer.from(JSON.stringify(value ?? null))
}

/** @param {Buffer} bytes */
function unpacked (bytes) {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    throw new Error('ERR_FACS_NET_DATA_FORMAT')
  }
}

/**
 * An error as the gateway's callers are told it: its code.
 *
 * @param {unknown} e
 * @returns {Error}
 */
function told (e) {
  if (e instanceof HeadframeError) return new Error(e.code, { cause: e })
  if (e instanceof Error && e.name === 'TimeoutError') return new Error('ERR_TIMEOUT', { cause: e })
  return e instanceof Error ? e : new Error(String(e))
}

/** A swarm without peers: what is downloaded over it is told to be unavailable. */
function silent () {
  return {
    connections: new Set(),
    on () {},
    join () {
      return { async destroy () {} }
    }
  }
}

module.exports = NetFacility
