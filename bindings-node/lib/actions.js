'use strict'

const { given, invalid, json, now, raised, signalled, text, told } = require('./error.js')
const { stream } = require('./stream.js')

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
    return await told(this.#native.cancel(ident(id), text('by', by)))
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

module.exports = { Actions }
