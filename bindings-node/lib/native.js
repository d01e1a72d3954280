'use strict'

const { HeadframeError } = require('./error.js')

/** The native part for this platform. */
module.exports = loaded()

/** @returns {typeof import('../native.js')} */
function loaded () {
  try {
    return require('../native.js')
  } catch (e) {
    const platform = `${process.platform}-${process.arch}`
    const text = `the native part for ${platform} cannot be loaded: install the package again without --omit=optional, ` +
      'or make it with `npm ci && npm run build` in bindings-node of the sources'
    throw new HeadframeError(text, {
      code: 'ERR_BINARY_MISSING', kind: 'Unsupported', op: 'node.load', context: { platform, node: process.version }, cause: e
    })
  }
}
