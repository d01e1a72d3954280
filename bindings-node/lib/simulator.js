'use strict'

const native = require('./native.js')
const { json, now, raised, whole } = require('./error.js')

/**
 * @typedef {{seed?: number, base?: string, byPort?: number, cold?: boolean, whatsminers?: number, antminers?: number}} FleetConf
 * @typedef {{kind: 'hang' | 'refuse' | 'garbage' | 'halfJson' | 'flood' | 'mute' | 'ignoreWrites' | 'overheat' | 'poolsDead'}
 *   | {kind: 'cut', after: number} | {kind: 'drip', bytes: number, everyMs: number} | {kind: 'oversized', bytes: number}
 *   | {kind: 'slow', delayMs: number} | {kind: 'reboot', downMs: number} | {kind: 'drift', perHour: number}
 *   | {kind: 'boardLost', slot: number} | {kind: 'fanFailed', fan: number}} Fault
 * @typedef {{index: number, family: 'whatsminer' | 'antminer', model: string, mac: string, serial: string, address: string,
 *   ports: {rpc: number | null, web: number | null, v3: number | null, side: number | null}}} SimulatedDevice
 */

/**
 * Simulated devices on real sockets of the loopback interface, for tests.
 */
class Simulator {
  #native

  /** @param {import('../native.js').NativeSimulator} native */
  constructor (native) {
    this.#native = native
  }

  /**
   * Starts devices: one address each from `base` (127.20.0.1), or with `byPort` all on one address.
   *
   * @param {FleetConf} [conf]
   * @returns {Promise<Simulator>}
   */
  static async start (conf = {}) {
    return new Simulator(await raised(native.startSimulator(json('conf', conf))))
  }

  /** @returns {SimulatedDevice[]} */
  devices () {
    return JSON.parse(now(() => this.#native.devices()))
  }

  /**
   * What is really so with a device, and what it was told to do.
   *
   * @param {number} index
   * @returns {{ts: number, up: boolean, mining: boolean, asleep: boolean, power_w: number, nominal_mhs: number,
   *   executed: Record<string, number>, requests: number, connections: number}}
   */
  truth (index) {
    return JSON.parse(now(() => this.#native.truth(whole('index', index))))
  }

  /**
   * Lets a device do something wrong from now on.
   *
   * @param {number} index
   * @param {Fault} fault
   */
  fault (index, fault) {
    now(() => this.#native.fault(whole('index', index), json('fault', fault)))
  }

  /**
   * Ends what a device does wrong.
   *
   * @param {number} index
   */
  clear (index) {
    now(() => this.#native.clear(whole('index', index)))
  }

  /** Closes all ports. */
  async close () {
    await raised(this.#native.close())
  }

  async [Symbol.asyncDispose] () {
    await this.close()
  }
}

module.exports = { Simulator }
