'use strict'

/**
 * What `next` gives, one after the other, until it gives null. `stop` is called when the signal is aborted, when the reader
 * leaves its loop, and at the end.
 *
 * @template T
 * @param {() => Promise<T | null>} next
 * @param {() => void} stop
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<T, void, void>}
 */
async function * stream (next, stop, signal) {
  if (signal?.aborted) stop()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    for (let one; (one = await next()) !== null;) yield one
  } finally {
    signal?.removeEventListener('abort', stop)
    stop()
  }
}

module.exports = { stream }
