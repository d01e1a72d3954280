'use strict'

/**
 * The gateway's routes that the smoke checks go through, each with its calls and with what its handler reads of the answers. A
 * route that throws is the gateway's status 400.
 */
const TEN_MINUTES_MS = 600_000

const SITE_STATUS = flags('hashrate_mhs_1m_sum_aggr', 'nominal_hashrate_mhs_sum_aggr', 'alerts_aggr',
  'online_or_minor_error_miners_amount_aggr', 'not_mining_miners_amount_aggr', 'offline_or_sleeping_miners_amount_aggr',
  'hashrate_mhs_1m_cnt_aggr', 'container_nominal_miner_capacity_sum_aggr')
const DEVICE = flags('id', 'type', 'code', 'ip', 'tags', 'info', 'rack')
const MINER = flags('id', 'type', 'code', 'info', 'tags', 'rack', 'comments', 'last.alerts', 'last.snap.stats', 'last.snap.config',
  'last.snap.model', 'last.uptime', 'last.ts', 'opts.address', 'ts')
const SEARCHED = ['id', 'opts.address', 'info.serialNum', 'info.macAddress', 'info.container', 'code', 'type']
const POOL_STATS = { type: 'minerpool', query: { key: 'stats' } }

function flags (...names) {
  return Object.fromEntries(names.map((name) => [name, 1]))
}

const sum = (list, of) => list.reduce((total, one) => total + (of(one) ?? 0), 0)
const json = (text) => text === undefined ? undefined : JSON.parse(text)

/** Reads of things and of what was kept of them. */
const reads = (worker, proxy) => ({
  site: async () => ({ site: worker.conf.site }),

  listThings: ({ query, fields, sort, ...rest }) => proxy.requestDataMap('listThings',
    { ...rest, query: json(query), fields: json(fields), sort: json(sort) }),

  siteStatus: async () => {
    const key = (type, tag) => ({ key: 'stat-rtd', type, tag })
    const keys = [key('miner', 't-miner'), key('powermeter', 't-powermeter'), key('container', 't-container')]
    const [tails, pools, configs, meters] = await Promise.all([
      proxy.requestDataMap('tailLogMulti',
        { keys, limit: 1, start: Date.now() - TEN_MINUTES_MS, aggrFields: SITE_STATUS }),
      proxy.requestDataMap('getWrkExtData', POOL_STATS),
      proxy.requestDataMap('getGlobalConfig', { fields: flags('nominalHashrate', 'nominalPowerAvailability_MW') }),
      proxy.requestDataMap('listThings',
        { query: { 'info.pos': { $eq: 'site' }, tags: { $in: ['t-powermeter'] } }, status: 1, limit: 100 })
    ])
    const of = (at, name) => sum(tails, (tail) => tail[at][0]?.[name])
    const power = sum(meters.flat(), (meter) => meter.last?.snap?.stats?.power_w)
    return {
      hashrate: { value: of(0, 'hashrate_mhs_1m_sum_aggr'), nominal: sum(configs, (config) => config.nominalHashrate) },
      power: { value: power },
      miners: {
        online: of(0, 'online_or_minor_error_miners_amount_aggr'),
        offline: of(0, 'offline_or_sleeping_miners_amount_aggr'),
        containerCapacity: of(2, 'container_nominal_miner_capacity_sum_aggr')
      },
      pools: { totalHashrate: sum(pools.flat(), (row) => sum(row.stats, (account) => account.hashrate)) }
    }
  },

  miners: async ({ filter, search, sort, offset = 0, limit = 50 }) => {
    const found = search && { $or: SEARCHED.map((name) => ({ [name]: { $regex: search, $options: 'i' } })) }
    const query = { $and: [{ tags: { $in: ['t-miner'] } }, filter, found].filter(Boolean) }
    const [pages, counts] = await Promise.all([
      proxy.requestDataMap('listThings', { query, fields: MINER, status: 1, sort, limit: offset + limit }),
      proxy.requestDataMap('getThingsCount', { query, status: 1 })
    ])
    const things = pages.flat().filter((thing) => thing.rack.startsWith('miner'))
    const data = things.slice(offset, offset + limit).map((thing) => ({
      id: thing.id,
      address: thing.address,
      status: thing.last?.snap?.stats?.status,
      hashrate: thing.last?.snap?.stats?.hashrate_mhs,
      rack: thing.rack
    }))
    return { data, totalCount: sum(counts, (count) => count), offset, limit }
  },

  cabinets: async () => {
    const query = { tags: { $in: ['t-miner'] } }
    return (await proxy.requestDataAllPages('listThings', { query, fields: DEVICE }, 3)).flat().map((thing) => thing.id)
  },

  hashrate: async ({ start, end, groupBy }) => {
    if (groupBy !== undefined) {
      const name = `hashrate_mhs_5m_${groupBy}_group_sum`
      const rows = await proxy.requestData('tailLog', { type: 'miner', tag: 't-miner', key: 'stat-1D', start, end,
        fields: { [name]: 1 }, aggrFields: { [`${name}_aggr`]: 1 } })
      return { log: rows[0].reduce((log, row) => [...log, { ts: row.ts }], []) }
    }
    const key = { type: 'miner', startDate: new Date(start).toISOString(), endDate: new Date(end).toISOString(),
      fields: { hashrate_mhs_5m_sum_aggr: 1 }, shouldReturnDailyData: 1 }
    const answers = await proxy.requestData('tailLogCustomRangeAggr', { keys: [key] })
    const days = answers.flatMap((answer) => answer[0].error ? [] : answer[0].data)
    return { log: days.map(({ ts, val }) => ({ ts, hashrateMhs: val.hashrate_mhs_5m_sum_aggr })) }
  },

  alerts: async () => {
    const query = { status: 1, query: { 'last.alerts': { $ne: null }, 'last.alerts.createdAt': { $exists: true } }, limit: 1000,
      fields: { ...flags('last.alerts', 'info.container', 'type', 'id', 'code') } }
    // Without a timeout, as the gateway's own timer asks.
    const orks = Object.values(worker.conf.orks)
    const all = await Promise.all(orks.map((ork) => worker.net_r0.jRequest(ork.rpcPublicKey, 'listThings', query)))
    return all.flat().flatMap((thing) => thing.last.alerts.map((alert) => ({ ...alert, id: thing.id })))
  },

  missing: () => proxy.requestDataMap('noSuchMethod', {})
})

/** Actions, and what else is written. `session` is who was signed in. */
const writes = (_, proxy) => ({
  actions: ({ queries, ...rest }) => proxy.requestData('queryActions', { ...rest, queries: json(queries) }),

  action: ({ type, id }) => proxy.requestData('getAction', { id, type }),

  push: (session, { query, action, params }) => proxy.requestData('pushAction',
    { query, action, params, voter: session.email, authPerms: session.permissions },
    (answer, all) => all.push(answer.error ? { id: null, errors: [answer.error] } : answer)),

  pushBatch: (session, { payload, uid }) => proxy.requestData('pushActionsBatch',
    { batchActionsPayload: payload, batchActionUID: uid, voter: session.email, authPerms: session.permissions },
    (answer, all) => all.push(answer.error ? { id: null, errors: [answer.error] } : answer)),

  vote: (session, { id, approve }) => proxy.requestData('voteAction',
    // The levels are taken off, as the gateway does.
    { id, approve, voter: session.email, authPerms: session.permissions.map((entry) => entry.split(':')[0]) },
    (res, all) => all.push({ res: res.error ? { success: false, error: res.error } : res })),

  cancel: (session, { ids }) => proxy.requestData('cancelActionsBatch', { ids: ids.split(','), voter: session.email },
    (res, all) => all.push({ res: res.error ? { success: false, error: res.error } : res })),

  batch: ({ ids }) => proxy.requestData('getActionsBatch', { ids: ids.split(',') },
    (answer, all) => { if (!answer.error) all.push(...answer) }),

  comment: (session, verb, body) => proxy.requestData(`${verb}ThingComment`, { ...body, user: session.email },
    (res, all) => all.push(res.error ? { error: res.error } : { success: res })),

  settings: ({ rackId, entries }) => proxy.requestData(entries ? 'saveWrkSettings' : 'getWrkSettings', { rackId, entries },
    (res, all) => all.push(res.error ? { error: res.error } : { success: res }))
})

function routes (worker) {
  return { ...reads(worker, worker.proxy), ...writes(worker, worker.proxy) }
}

module.exports = { routes }
