'use strict'

const native = require('./native.js')
const { now } = require('./error.js')

/**
 * How a snapshot is made of a list of values: an object or a list of such plans, or the place of a value.
 *
 * @typedef {{names: string[] | null, of: Plan[]} | number} Plan
 */

/**
 * Plans by the number of their form. What things of one kind say is made by one.
 *
 * @type {Plan[]}
 */
const plans = []

/**
 * What the native part gave in parts: the number of a form and all values, or null and all.
 *
 * @param {string} parted
 * @returns {any}
 */
function joined (parted) {
  const list = JSON.parse(parted)
  const [number] = list
  if (number === null) return list[1]
  plans[number] ??= planned(JSON.parse(/** @type {string} */ (now(() => native.form(number)))))
  return filled(plans[number], list)
}

/**
 * @param {object | number} form
 * @returns {Plan}
 */
function planned (form) {
  if (typeof form === 'number') return form
  return { names: Array.isArray(form) ? null : Object.keys(form), of: Object.values(form).map(planned) }
}

/**
 * @param {Plan} plan
 * @param {unknown[]} values
 * @returns {unknown}
 */
function filled (plan, values) {
  if (typeof plan === 'number') return values[plan]
  const { names, of } = plan
  if (names === null) {
    const list = []
    for (const one of of) list.push(typeof one === 'number' ? values[one] : filled(one, values))
    return list
  }
  /** @type {Record<string, unknown>} */
  const object = {}
  for (let n = 0; n < of.length; n++) {
    const one = of[n]
    object[names[n]] = typeof one === 'number' ? values[one] : filled(one, values)
  }
  return object
}

module.exports = { joined, planned, filled }
