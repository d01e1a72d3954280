'use strict'

const { registry } = require('./driver.js')
const { given, json, now, raised, signalled, text, told, whole } = require('./error.js')

/**
 * One device, opened by its owner outside any site.
 */
class Device {
  #native

  /** @param {import('../native.js').NativeDevice} native */
  constructor (native) {
    this.#native = native
  }

  /** What it can do: its commands, with what each takes. */
  capability () {
    return JSON.parse(now(() => this.#native.capability()))
  }

  /**
   * What it says now. What could not be read is absent, and `missing` says why.
   *
   * @param {{withinMs?: number, signal?: AbortSignal}} [options]
   * @returns {Promise<any>}
   */
  async snapshot (options) {
    const { withinMs = 30_000, signal } = given('options', options)
    const until = signalled(signal)
    return await told(this.#native.snapshot(whole('withinMs', withinMs)), until)
  }

  /**
   * Carries out a write, such as `{ name: 'setPowerMode', args: 'low' }`: sends once, and reads back until the effect
   * shows.
   *
   * @param {{name: string, args?: any}} command
   * @param {{withinMs?: number, signal?: AbortSignal}} [options]
   * @returns {Promise<{state: string, before?: any, receipt?: any}>}
   */
  async execute (command, options) {
    const { withinMs = 600_000, signal } = given('options', options)
    const until = signalled(signal)
    const asked = json('command', command)
    return await told(this.#native.execute(asked, whole('withinMs', withinMs)), until)
  }

  /** Ends its connections. */
  async close () {
    await raised(this.#native.close())
  }

  async [Symbol.asyncDispose] () {
    await this.close()
  }
}

/**
 * Opens a device with a driver, such as `whatsminer`, and its options.
 *
 * @param {string} driver
 * @param {{address: string, [option: string]: any}} opts
 * @param {{drivers?: import('./driver.js').Driver[], signal?: AbortSignal}} [options] `drivers` are further ones of one's own
 * @returns {Promise<Device>}
 */
async function open (driver, opts, options) {
  const { drivers, signal } = given('options', options)
  const until = signalled(signal)
  const opened = registry(drivers).openDevice(text('driver', driver), json('opts', opts))
  return new Device(await raised(opened, until))
}

module.exports = { Device, open }
