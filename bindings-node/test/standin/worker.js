'use strict'

/**
 * A stand-in of MiningOS's gateway, as far as it has to do with orchestrators: the life of its worker, its data proxy and the
 * calls of its routes. It is started as the gateway is, `node -r headframe/miningos-net worker.js <folder>`, and a test asks it
 * over the channel of `fork`.
 */
const { randomUUID } = require('node:crypto')
const { readFileSync } = require('node:fs')
const path = require('node:path')

const Facility = require('@tetherto/hp-svc-facs-net')
const { Proxy } = require('./proxy.js')
const { routes } = require('./routes.js')

class Worker {
  /** How often the facility called back. */
  calledBack = { start: 0, stop: 0 }

  constructor (root) {
    this.ctx = { root, env: 'production', wtype: 'wrk-node-http' }
    this.conf = JSON.parse(readFileSync(path.join(root, 'config', 'common.json'), 'utf8'))
    this.net_r0 = new Facility(this, { ns: 'r0', label: 'r0', root, fac_store: {} }, { env: this.ctx.env })
    this.proxy = new Proxy(this)
    this.routes = routes(this)
  }

  getInstanceId () {
    this.instance ??= `${this.ctx.wtype}-${randomUUID()}`
    return this.instance
  }

  async failing () {
    throw new Error('ERR_OF_THE_WORKER')
  }

  #facility (verb) {
    return new Promise((resolve, reject) => {
      this.net_r0[verb]((e) => {
        this.calledBack[verb]++
        if (e) reject(e)
        else resolve()
      })
    })
  }

  async start () {
    await this.#facility('start')
    await this.net_r0.startRpcServer()
    const { rpcServer } = this.net_r0
    rpcServer.respond('ping', (x) => x)
    for (const name of ['getInstanceId', 'failing']) rpcServer.respond(name, (request) => this.net_r0.handleReply(name, request))
    // What the gateway itself does once more.
    await this.net_r0.startRpcServer()
    this.status = {
      rpcPublicKey: rpcServer.publicKey.toString('hex'),
      rpcClientKey: this.net_r0.dht.defaultKeyPair.publicKey.toString('hex')
    }
  }

  async stop () {
    await this.#facility('stop')
  }
}

/** What a test asks for: a verb, and what goes with it. */
const VERBS = {
  /** One call of the facility, as it is. */
  call: (worker, ork, method, params, options) => worker.net_r0.jRequest(ork, method, params, options),
  requestData: (worker, ...args) => worker.proxy.requestData(...args),
  requestDataMap: (worker, ...args) => worker.proxy.requestDataMap(...args),
  requestDataAllPages: (worker, ...args) => worker.proxy.requestDataAllPages(...args),
  route: (worker, name, ...args) => worker.routes[name](...args),
  about: (worker) => ({ ...worker.status, calledBack: worker.calledBack }),
  /** A program of a test, which has the worker. */
  run: (worker, program) => new Function('worker', 'require', `return (async () => { ${program} })()`)(worker, require)
}

async function main () {
  const worker = new Worker(process.argv[2])
  // As the worker's: whatever nobody took ends it.
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (e) => {
      console.error(event, e)
      process.exit(1)
    })
  }
  process.once('SIGTERM', async () => {
    await worker.stop()
    process.send({ stopped: worker.calledBack })
    // Nothing else may hold the process.
    process.disconnect()
  })
  await worker.start()
  process.on('message', async ({ id, verb, args }) => {
    try {
      process.send({ id, value: await VERBS[verb](worker, ...args) })
    } catch (e) {
      process.send({ id, error: e instanceof Error ? e.message : `no error: ${e}` })
    }
  })
  process.send({ started: true })
}

main().catch((e) => {
  console.error(e)
  process.exitCode = 1
  process.disconnect()
})
