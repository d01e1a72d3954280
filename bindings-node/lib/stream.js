'use strict'

/**
 * What `next` gives, one after the other, until it gives null. `stop` is called when the signal is aborted, when the reader
 * leaves its loop, and at the end.
 *
 * @template T
 * @param {() => Promise<T | null>} next
 * @param {() => Promise<void>} stop
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<T, void, void>}
 */
async function * stream (next, stop, signal) {
  /** @type {Promise<void> | undefined} */
  let stopped
  const end = () => {
    stopped ??= stop()
    // Whoever reads is told below; until then it would count as an error that nobody handles, and end the process.
    stopped.catch(() => {})
  }
  if (signal?.aborted) end()
  signal?.addEventListener('abort', end, { once: true })
  try {
    for (let one; (one = await next()) !== null;) yield one
  } finally {
    signal?.removeEventListener('abort', end)
    end()
    await stopped
  }
}

module.exports = { stream }
