'use strict'

const { given, invalid, json, now, raised, signalled, text, told } = require('./error.js')
const { stream } = require('./stream.js')

/** Whoever holds the site may read all of it. */
const READER = JSON.stringify({ user: 'headframe', permissions: ['*:r'] })

/**
 * @typedef {{action: string, params?: any[], query: Record<string, any>, rackType?: string, clientKey?: string,
 *   why?: string}} Draft
 * @typedef {{approve: boolean, digest?: string, clientKey?: string, why?: string}} Ballot
 * @typedef {{id: number, action: string, status: string, counts: Record<string, number>, rev: number}
 *   | {missed: number}} Watched
 */

/**
 * Writes that people propose and approve; each is carried out at most once on each thing.
 */
class Actions {
  #native

  /** @param {import('../native.js').NativeSite} native */
  constructor (native) {
    this.#native = native
  }

  /**
   * Proposes a write on the things that match a query. `id` is null when nothing matches, and `errors` names what fell
   * out.
   *
   * @param {Draft} draft
   * @param {string} by who proposes it
   * @returns {Promise<{id: number | null, errors: string[]}>}
   */
  async push (draft, by) {
    return await told(this.#native.push(json('draft', { params: [], ...given('draft', draft) }), text('by', by)))
  }

  /**
   * What a push would do now: the things that it would touch, the power that they draw, and who has to approve it. Nothing
   * is stored.
   *
   * @param {Draft} draft
   * @param {string} by who would propose it
   * @returns {Promise<{targets: Record<string, string[]>, racks: any[], size: any, terms?: any, errors: string[]}>}
   */
  async preview (draft, by) {
    return await told(this.#native.preview(json('draft', { params: [], ...given('draft', draft) }), text('by', by)))
  }

  /**
   * Votes on an action; gives it.
   *
   * @param {number | string} id
   * @param {Ballot} ballot
   * @param {string} by who votes
   * @returns {Promise<any>}
   */
  async vote (id, ballot, by) {
    return await told(this.#native.vote(ident(id), json('ballot', ballot), text('by', by)))
  }

  /**
   * Cancels an action that has not begun; gives it.
   *
   * @param {number | string} id
   * @param {string} by who pushed it
   * @returns {Promise<any>}
   */
  async cancel (id, by) {
    return await this.#change(id, 'cancel', by)
  }

  /**
   * Takes a vote back while the action waits for votes; gives the action.
   *
   * @param {number | string} id
   * @param {string} by who voted
   * @returns {Promise<any>}
   */
  async withdraw (id, by) {
    return await this.#change(id, 'withdraw', by)
  }

  /**
   * Lets an action begin no more calls until it is resumed; gives it.
   *
   * @param {number | string} id
   * @param {string} by
   * @param {string} [why]
   * @returns {Promise<any>}
   */
  async pause (id, by, why) {
    return await this.#change(id, 'pause', by, why)
  }

  /**
   * Lets a paused action go on; gives it.
   *
   * @param {number | string} id
   * @param {string} by
   * @returns {Promise<any>}
   */
  async resume (id, by) {
    return await this.#change(id, 'resume', by)
  }

  /**
   * Ends an action that runs: calls that have not begun end as failed. Gives it.
   *
   * @param {number | string} id
   * @param {string} by
   * @param {string} [why]
   * @returns {Promise<any>}
   */
  async stop (id, by, why) {
    return await this.#change(id, 'stop', by, why)
  }

  /**
   * Stops all writes of the site, at once and without a vote. Two people lift it: the method `liftStop` of `Site.call`.
   *
   * @param {string} by
   * @param {string} [why]
   * @returns {Promise<void>}
   */
  async halt (by, why) {
    await raised(this.#native.halt(why === undefined ? undefined : text('why', why), text('by', by)))
  }

  /**
   * @param {number | string} id
   * @param {string} how
   * @param {string} by
   * @param {string} [why]
   * @returns {Promise<any>}
   */
  async #change (id, how, by, why) {
    const reason = why === undefined ? undefined : text('why', why)
    return await told(this.#native.change(ident(id), how, reason, text('by', by)))
  }

  /**
   * Actions by what became of them, oldest first: `voting`, `ready`, `executing` or `done`. `filter` takes ids
   * (`{ gt, gte, lt, lte }`), `query` what they must match.
   *
   * @param {'voting' | 'ready' | 'executing' | 'done'} type
   * @param {{filter?: Record<string, number>, query?: Record<string, any>, fields?: Record<string, 0 | 1>, limit?: number,
   *   reverse?: boolean}} [options]
   * @returns {Promise<any[]>}
   */
  async query (type, options) {
    const { limit, reverse, ...rest } = given('options', options)
    const asked = json('options', { queries: [{ ...rest, type: text('type', type), opts: { limit, reverse } }] })
    return (await told(this.#native.call(READER, 'queryActions', asked)))[type]
  }

  /**
   * One action with its targets, and what became of each; null when there is none.
   *
   * @param {number | string} id
   * @returns {Promise<any>}
   */
  async get (id) {
    const view = await raised(this.#native.action(ident(id)))
    return view === null ? null : JSON.parse(view)
  }

  /**
   * What becomes of all actions from now on. A reader that is too slow is told how many changes it missed.
   *
   * @param {{signal?: AbortSignal}} [options]
   * @returns {AsyncGenerator<Watched, void, void>}
   */
  watch (options) {
    const { signal } = given('options', options)
    const until = signalled(signal)
    const watch = now(() => this.#native.watch())
    const next = async () => {
      const change = await raised(watch.next())
      return change === null ? null : JSON.parse(change)
    }
    return stream(next, () => raised(watch.close()), until)
  }
}

/**
 * @param {unknown} id
 * @returns {string}
 */
function ident (id) {
  if (typeof id === 'string') return id
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return String(id)
  throw invalid('id', 'takes the id of an action')
}

module.exports = { Actions, READER }
