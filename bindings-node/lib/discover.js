'use strict'

const { registry } = require('./driver.js')
const { given, json, raised, signalled, text } = require('./error.js')
const { stream } = require('./stream.js')

/**
 * Ports in place of the usual ones; those of simulated devices with `simulated`.
 *
 * @typedef {{simulated?: boolean, rpc?: number, web?: number, v3?: number, side?: number}} Ports
 */

/**
 * @typedef {{event: 'device', address: string, driver: string, make: string, model: string | null,
 *   firmware: string | null, mac: string | null, stock: boolean, opts: Record<string, any>}} FoundDevice
 * @typedef {{event: 'unknown', address: string, answers: any[], reason: string | null}} UnknownHost
 * @typedef {{event: 'summary', report: any}} ScanSummary
 */

/**
 * Looks for devices in a range of addresses, such as `10.0.0.0/24` or `10.0.0.1-10.0.0.50`, without any password. Each
 * comes as it is found; the last one is the summary. To end it early, leave the loop or abort the signal: a scan that was
 * aborted still gives its summary. `drivers` are further ones of one's own, which find their devices by their `probes`.
 *
 * @param {string} range
 * @param {{ports?: Ports, deadlineMs?: number, concurrency?: number, signal?: AbortSignal,
 *   drivers?: import('./driver.js').Driver[]}} [options]
 * @returns {AsyncGenerator<FoundDevice | UnknownHost | ScanSummary, void, void>}
 */
async function * discover (range, options) {
  const { signal: wanted, drivers, ...rest } = given('options', options)
  const signal = signalled(wanted)
  const scan = await raised(registry(drivers).startScan(text('range', range), json('options', rest)))
  const next = async () => {
    const event = await raised(scan.next())
    return event === null ? null : JSON.parse(event)
  }
  yield * stream(next, async () => scan.stop(), signal)
}

module.exports = { discover }
