'use strict'

/**
 * What went wrong, and what to do about it. Every error of this package is one.
 */
class HeadframeError extends Error {
  /**
   * @param {string} message
   * @param {{code?: string, kind?: string, op?: string, sent?: 'no' | 'maybe', retryable?: boolean,
   *   context?: Record<string, string>, cause?: unknown}} [about]
   */
  constructor (message, about = {}) {
    super(message, 'cause' in about ? { cause: about.cause } : undefined)
    this.name = 'HeadframeError'
    /** Stable; MiningOS's where it has one, such as `ERR_ACTION_DECIDED`. */
    this.code = about.code ?? 'ERR_INTERNAL'
    /** What to do about it: `Invalid`, `NotFound`, `Conflict`, `Unsupported`, `Unauthenticated`, `Forbidden`,
     * `Unreachable`, `Timeout`, `RateLimited`, `Rejected`, `BadReply`, `Corrupt`, `Closed` or `Internal`. */
    this.kind = about.kind ?? 'Internal'
    /** What failed, such as `action.push`. */
    this.op = about.op ?? 'node'
    /** Whether a device or store may have what was written all the same: `no` or `maybe`. */
    this.sent = about.sent ?? 'no'
    /** Whether the same call may do better later. */
    this.retryable = about.retryable ?? false
    /** On which thing, which field, and the like. */
    this.context = about.context ?? {}
  }
}

/**
 * An error of the native part as one of ours.
 *
 * @param {unknown} error
 * @returns {HeadframeError}
 */
function made (error) {
  if (error instanceof HeadframeError) return error
  const text = error instanceof Error ? error.message : String(error)
  try {
    const told = JSON.parse(text)
    return new HeadframeError(told.message, told)
  } catch {
    return new HeadframeError(text, { cause: error })
  }
}

/**
 * @param {string} field
 * @param {string} why
 * @param {unknown} [cause]
 * @returns {HeadframeError}
 */
function invalid (field, why, cause) {
  const about = { code: 'ERR_INVALID', kind: 'Invalid', context: { field } }
  return new HeadframeError(`${field}: ${why}`, cause === undefined ? about : { ...about, cause })
}

/**
 * The members of an object that a caller gave, or none.
 *
 * @template {object} T
 * @param {string} field
 * @param {T | undefined} value
 * @returns {T}
 */
function given (field, value) {
  if (value === undefined) return /** @type {T} */ ({})
  if (value === null || typeof value !== 'object') throw invalid(field, 'takes an object')
  try {
    return { ...value }
  } catch (e) {
    throw invalid(field, e instanceof Error ? e.message : String(e), e)
  }
}

/**
 * A signal that a caller gave, or none.
 *
 * @param {unknown} signal
 * @returns {AbortSignal | undefined}
 */
function signalled (signal) {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw invalid('signal', 'takes an AbortSignal')
}

/**
 * JSON of what a caller gave. A number that JSON has not is refused: as null it would be taken for one that was not given.
 *
 * @param {string} field
 * @param {unknown} value
 * @returns {string}
 */
function json (field, value) {
  return written(field, value, (key, value) => {
    if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${key} is ${value}`)
    return value
  })
}

/**
 * JSON as MiningOS's transport makes it: NaN is null.
 *
 * @param {string} field
 * @param {unknown} value
 * @param {(key: string, value: any) => any} [replacer]
 * @returns {string}
 */
function written (field, value, replacer) {
  let text
  try {
    text = JSON.stringify(value, replacer)
  } catch (e) {
    throw invalid(field, e instanceof Error ? e.message : String(e), e)
  }
  if (text === undefined) throw invalid(field, 'cannot be written as JSON')
  return text
}

/**
 * @param {string} field
 * @param {unknown} value
 * @returns {string}
 */
function text (field, value) {
  if (typeof value !== 'string') throw invalid(field, 'takes a text')
  return value
}

/**
 * A whole number of some size.
 *
 * @param {string} field
 * @param {unknown} value
 * @param {number} [most]
 * @returns {number}
 */
function whole (field, value, most = 0xffffffff) {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > most) {
    throw invalid(field, `takes a whole number from 0 to ${most}`)
  }
  return value
}

/**
 * What a promise of the native part gives, JSON, with errors made ours; rejects as soon as the signal is aborted.
 *
 * @param {Promise<string>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
async function told (promise, signal) {
  return JSON.parse(await raised(promise, signal))
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
async function raised (promise, signal) {
  if (signal === undefined) {
    try {
      return await promise
    } catch (e) {
      throw made(e)
    }
  }
  return await new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    const ended = () => signal.removeEventListener('abort', abort)
    promise.then(
      (value) => { ended(); resolve(value) },
      (e) => { ended(); reject(made(e)) }
    )
  })
}

/**
 * @template T
 * @param {() => T} call
 * @returns {T}
 */
function now (call) {
  try {
    return call()
  } catch (e) {
    throw made(e)
  }
}

module.exports = { HeadframeError, given, invalid, json, now, raised, signalled, text, told, whole, written }
