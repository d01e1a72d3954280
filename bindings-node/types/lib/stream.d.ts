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
export function stream<T>(next: () => Promise<T | null>, stop: () => Promise<void>, signal?: AbortSignal): AsyncGenerator<T, void, void>;
