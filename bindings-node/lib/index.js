'use strict'

const native = require('./native.js')
const { Actions } = require('./actions.js')
const { Device, open } = require('./device.js')
const { discover } = require('./discover.js')
const { HeadframeError } = require('./error.js')
const { Reading } = require('./readings.js')
const { Simulator } = require('./simulator.js')
const { Site } = require('./site.js')

/** The version of the library. */
const version = native.version()

module.exports = { Actions, Device, HeadframeError, Reading, Simulator, Site, discover, open, version }
