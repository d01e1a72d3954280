'use strict'

/**
 * How the gateway's routes ask orchestrators: all that are configured, so many at a time. What is asked and what is answered is
 * JSON that went over a wire, so that nobody shares an object with anybody; this side makes no copies, the facility has to.
 */
class Proxy {
  #worker

  constructor (worker) {
    this.#worker = worker
  }

  async #ask (ork, method, params) {
    const timeout = this.#worker.conf.rpcTimeout || 15_000
    return await this.#worker.net_r0.jRequest(ork.rpcPublicKey, method, params, { timeout })
  }

  /** As they answer; one that fails is `{error}`. With `each` the route says what is kept. */
  async requestData (method, params, each = (answer, all) => all.push(answer)) {
    const all = []
    await this.#each(async (ork) => {
      let answer
      try {
        answer = await this.#ask(ork, method, params)
      } catch (e) {
        answer = { error: e.message }
      }
      each(answer, all)
    })
    return all
  }

  /** In the order of the configuration; one that fails, and the request fails. */
  async requestDataMap (method, params) {
    return await this.#each((ork) => this.#ask(ork, method, params))
  }

  /** All pages of each. */
  async requestDataAllPages (method, params, limit = 100) {
    return await this.#each(async (ork) => {
      const all = []
      for (let offset = 0; ; offset += limit) {
        const page = await this.#ask(ork, method, { ...params, limit, offset })
        if (!Array.isArray(page)) return all
        all.push(...page)
        if (page.length < limit) return all
      }
    })
  }

  /** `work` for each orchestrator, at most so many at once. */
  async #each (work) {
    const orks = Object.values(this.#worker.conf.orks)
    const answers = new Array(orks.length)
    let next = 0
    const lane = async () => {
      while (next < orks.length) {
        const at = next++
        answers[at] = await work(orks[at])
      }
    }
    await Promise.all(Array.from({ length: this.#worker.conf.rpcConcurrencyLimit || 2 }, lane))
    return answers
  }
}

module.exports = { Proxy }
