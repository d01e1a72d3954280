'use strict'

/**
 * `node -r headframe/miningos-net worker.js …`: whoever requires MiningOS's net facility gets one whose orchestrators run in
 * this process. Nothing else is changed, and nothing has to be installed in its place.
 */
const Module = require('node:module')
const path = require('node:path')

const REPLACED = '@tetherto/hp-svc-facs-net'
const FACILITY = path.join(__dirname, 'facility.js')

const loader = /** @type {any} */ (Module)
const resolve = loader._resolveFilename

/** @param {string} request @param {any[]} rest */
loader._resolveFilename = function (request, ...rest) {
  return request === REPLACED ? FACILITY : resolve.call(this, request, ...rest)
}

module.exports = require('./facility.js')
