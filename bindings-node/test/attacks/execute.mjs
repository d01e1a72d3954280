/** What a thing's `execute` does after the device took what was written. */
const cyclic = {}
cyclic.self = cyclic

export const EXECUTES = {
  shape: () => ({ requests: 7 }),
  number: () => 7,
  call: () => () => {},
  cyclic: () => cyclic,
  surrogate: () => ({ reply: '\ud800' }),
  long: () => ({ requests: ['x'.repeat(5 << 20)] }),
  throws: () => { throw new Error('broken') },
  throwsHostile: () => { throw { toString () { throw this } } }, // eslint-disable-line no-throw-literal
  rejectsNothing: () => Promise.reject(), // eslint-disable-line prefer-promise-reject-errors
  never: () => new Promise(() => {})
}

const COMMAND = {
  name: 'setPowerMode',
  reply: 'expected',
  read_back: { kind: 'value', field: 'config.power_mode', within_s: 2 },
  undo: 'before',
  restart: 'none'
}

/** A driver whose devices count what they take. With `lost` they take it and show nothing. */
export function writing ({ lost = false, site = () => undefined } = {}) {
  const taken = {}
  const driver = {
    id: 'writing',
    async open ({ name }) {
      let mode = 'normal'
      taken[name] ??= 0
      const last = String(Object.keys(EXECUTES).indexOf(name) + 16).padStart(2, '0')
      return {
        capability: { commands: [COMMAND], power_modes: ['low', 'normal'] },
        snapshot: () => ({ success: true, stats: { status: 'mining', power_w: 1 }, config: { power_mode: mode } }),
        observe: () => ({ identity: { mac: `AA:BB:CC:00:00:${last}` }, now: { name: 'setPowerMode', args: mode } }),
        execute: async (_, [wanted]) => {
          taken[name]++
          if (!lost) mode = wanted
          return EXECUTES[name]?.() ?? await site(name)
        }
      }
    }
  }
  return { driver, taken }
}
