import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ANN, BOB, MINERS, gateway } from './standin/clusters.mjs'
import { until } from './standin/run.mjs'

const COUNT = 3
const HOUR_MS = 3_600_000
const ALL = Array.from({ length: COUNT }, (_, at) => `m-${at}`)
const by = (who) => ({ voter: who.email, authPerms: who.permissions })

/** Lists that stay empty, and writes that are refused, as long as the site has no source of them. */
const WITHOUT_SOURCE = {
  getWrkExtData: [{ type: 'minerpool', query: { key: 'stats' } }, []],
  setWrkExtData: [{ type: 'electricity', key: 'availableEnergy', value: [{ ts: 1, mwh: 30 }] }, 'ERR_NOT_CONFIGURED'],
  listFirmwares: [{}, []],
  storeFile: [{ type: 'work_order', rackId: MINERS, workOrderId: 'w', name: 'a', mime: 'text/plain', contentBase64: 'YQ==', user: ANN.email },
    'ERR_NOT_CONFIGURED'],
  loadFile: [{ type: 'work_order', rackId: MINERS, workOrderId: 'w', fileId: 'f' }, 'ERR_NOT_CONFIGURED'],
  removeFile: [{ type: 'work_order', rackId: MINERS, workOrderId: 'w', fileId: 'f', user: ANN.email }, 'ERR_NOT_CONFIGURED']
}

/** What each of the gateway's methods says of nothing: the code of the error, or what its answer is. */
const OF_NOTHING = {
  listThings: Array.isArray,
  getThingsCount: (count) => count === COUNT,
  listRacks: Array.isArray,
  tailLog: 'ERR_TYPE_INVALID',
  tailLogMulti: 'ERR_KEYS_INVALID',
  tailLogCustomRangeAggr: 'ERR_KEYS_INVALID',
  getHistoricalLogs: 'ERR_LOG_TYPE_INVALID',
  getWrkExtData: 'ERR_TYPE_INVALID',
  setWrkExtData: 'ERR_TYPE_INVALID',
  getGlobalConfig: (config) => config.nominalHashrate > 0,
  setGlobalConfig: 'ERR_CONFIG_INVALID',
  pushAction: 'ERR_QUERY_INVALID',
  pushActionsBatch: 'ERR_PAYLOAD_INVALID',
  voteAction: 'ERR_VOTER_INVALID',
  cancelActionsBatch: 'ERR_VOTER_INVALID',
  getAction: 'ERR_SUBDB_UNKOWN',
  getActionsBatch: 'ERR_PAYLOAD_INVALID',
  queryActions: 'ERR_QUERIES_INVALID',
  getWrkConf: 'ERR_TYPE_INVALID',
  getThingConf: 'ERR_TYPE_INVALID',
  getWrkSettings: 'ERR_RACK_ID_INVALID',
  saveWrkSettings: 'ERR_RACK_ID_INVALID',
  saveThingComment: 'ERR_RACK_ID_INVALID',
  editThingComment: 'ERR_RACK_ID_INVALID',
  deleteThingComment: 'ERR_RACK_ID_INVALID',
  getConfigs: 'ERR_TYPE_INVALID',
  listFirmwares: Array.isArray,
  storeFile: 'ERR_NOT_CONFIGURED',
  loadFile: 'ERR_NOT_CONFIGURED',
  removeFile: 'ERR_NOT_CONFIGURED',
  registerRack: 'ERR_RACK_ID_INVALID',
  forgetRacks: 'ERR_INVALID',
  forgetThings: 'ERR_QUERY_INVALID',
  echo: (same) => typeof same === 'object'
}

/** Methods that say what they are from one answer to the next, whatever happens beside. */
const STEADY = {
  listThings: { query: { rack: MINERS }, fields: { id: 1 }, sort: { id: -1 }, offset: 1, limit: 2 },
  getThingsCount: { query: { tags: { $in: ['t-miner'] } }, status: 1 },
  tailLog: { key: 'stat-5m', type: 'miner', tag: 't-miner', start: 1, end: 2, limit: 5, offset: 0 },
  tailLogMulti: { keys: [{ key: 'stat-5m', type: 'miner', tag: 't-miner' }], start: 1, end: 2, limit: 1 },
  getHistoricalLogs: { logType: 'info', start: 1, end: Date.now() + HOUR_MS, startExcl: 1, offset: 0, limit: 2 },
  getAction: { id: 7, type: 'done' },
  getWrkExtData: { type: 'minerpool', query: { key: 'transactions', start: 1, end: 2 } }
}

test('every method that the gateway calls', async (t) => {
  const { simulator, worker } = await gateway(t, '127.81.4.1', COUNT)
  const call = (method, params) => worker.call('north', method, params)
  const told = (method, params) => call(method, params).catch((e) => e.message)
  const ids = (things) => things.map(({ id }) => id)

  await t.test('says of nothing what is missing', async () => {
    assert.equal(Object.keys(OF_NOTHING).length, 34)
    for (const [method, want] of Object.entries(OF_NOTHING)) {
      for (const nothing of [{}, null, undefined, { overwriteCache: true, foo: { $bad: 1 } }]) {
        const said = await told(method, nothing)
        if (typeof want === 'string') assert.equal(said, want, method)
        else assert(want(said), `${method}: ${JSON.stringify(said)}`)
      }
      for (const wrong of [[], 7, 'x', true]) {
        const said = await told(method, wrong)
        if (method === 'echo') assert.deepEqual(said, wrong)
        else assert.match(String(said), /^ERR_(INVALID|NOT_CONFIGURED)$/, `${method} of ${JSON.stringify(wrong)}`)
      }
    }
  })

  await t.test('takes a number that came through a URL', async () => {
    const texts = (value) => typeof value === 'number' ? String(value) : value
    for (const [method, params] of Object.entries(STEADY)) {
      const url = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, texts(value)]))
      assert.deepEqual(await told(method, url), await told(method, params), method)
    }
  })

  await t.test('without a source says so', async () => {
    for (const [method, [params, want]] of Object.entries(WITHOUT_SOURCE)) assert.deepEqual(await told(method, params), want, method)
  })

  await t.test('listThings, getThingsCount', async () => {
    const things = await call('listThings', { query: { tags: { $in: ['t-miner'] } }, status: 1 })
    assert.deepEqual(ids(things), ALL)
    for (const [at, { rack, type, code, tags, info, address, comments, last, opts }] of things.entries()) {
      assert.deepEqual([rack, type, info.container, comments, opts], [MINERS, 'miner-wm-m50s', 'c-1', [], undefined])
      assert(code.startsWith('WM-M50S-') && tags.includes('t-miner') && tags.includes('container-c-1') && address)
      const truth = simulator.truth(at)
      assert(Math.abs(last.snap.stats.power_w - truth.power_w) < 300 && last.ts > 0)
      assert(Math.abs(last.snap.stats.hashrate_mhs.t_5m / truth.nominal_mhs - 1) < 0.2)
    }
    assert.deepEqual(await call('listThings', { query: { id: 'none' }, status: 1 }), [])
    const page = await call('listThings', STEADY.listThings)
    assert.deepEqual(page, [{ id: 'm-1', rack: MINERS }, { id: 'm-0', rack: MINERS }])
    assert.equal(await call('getThingsCount', { query: { 'last.snap.stats.power_w': { $gt: 0 } }, status: 1 }), COUNT)
    for (const query of [{ 'opts.password': 'admin' }, { $where: '1' }, { a: { $regex: '(' } }, 7]) {
      assert.equal(await told('listThings', { query }), 'ERR_QUERY_INVALID')
      assert.equal(await told('getThingsCount', { query }), 'ERR_QUERY_INVALID')
    }
  })

  await t.test('listRacks, registerRack, forgetRacks', async () => {
    assert.equal(await call('registerRack', { id: 'far', type: 'miner-x', info: { rpcPublicKey: 'ab', at: 'x' } }), 1)
    const racks = await call('listRacks', { type: 'miner', overwriteCache: false })
    assert.deepEqual(racks, [{ id: 'far', info: { at: 'x' }, type: 'miner-x' }, { id: MINERS, info: {}, type: 'miner-wm-m50s' }])
    assert.deepEqual(await call('listRacks', { type: 'toaster' }), [])
    assert.equal(await call('forgetRacks', { ids: ['far', 'none'] }), 1)
    assert.deepEqual(ids(await call('listRacks')), [MINERS])
  })

  await t.test('tailLog, tailLogMulti: what is so now, and what was read', async () => {
    const nominal = ALL.reduce((sum, _, at) => sum + simulator.truth(at).nominal_mhs, 0)
    const now = { key: 'stat-rtd', type: 'miner', tag: 't-miner', limit: 1, start: Date.now() - HOUR_MS }
    const aggrFields = { hashrate_mhs_1m_sum_aggr: 1, hashrate_mhs_1m_cnt_aggr: 1, power_w_sum_aggr: 1 }
    const rows = await until(() => call('tailLog', { ...now, aggrFields, mergeSitesData: true, applyAggrCrossthg: false }),
      ([row]) => row?.hashrate_mhs_1m_cnt_aggr === COUNT)
    assert.equal(rows.length, 1)
    assert(Math.abs(rows[0].hashrate_mhs_1m_sum_aggr / nominal - 1) < 0.2 && rows[0].power_w_sum_aggr > 1_000)
    assert.deepEqual([rows[0].aggrCount, rows[0].aggrIntervals, rows[0].aggrTsRange], [1, 1, ''])
    const none = { key: 'stat-rtd', type: 'container', tag: 't-container' }
    const all = await call('tailLogMulti', { keys: [now, none, now], limit: 1, aggrFields: { power_w_sum_aggr: 1 } })
    assert.deepEqual(all.map((rows) => rows.length), [1, 0, 1])
    assert(all[0][0].power_w_sum_aggr > 1_000)

    const thing = { key: 'thing-5m', type: 'miner', tag: 'm-1', fields: { ts: 1, 'snap.stats.power_w': 1 } }
    const readings = await until(() => call('tailLog', thing), (readings) => readings.length >= 3)
    assert(readings.every(({ ts }, at) => at === 0 || ts > readings[at - 1].ts), 'oldest first')
    assert.deepEqual(Object.keys(readings[0]).sort(), ['snap', 'ts'])
    const [, middle] = readings
    assert.deepEqual(await call('tailLog', { ...thing, start: String(middle.ts), end: middle.ts }), [middle])
    assert.equal((await call('tailLog', { ...thing, limit: '2' })).length, 2)

    const day = { key: 'stat-1D', type: 'miner', tag: 't-miner', start: Date.now() - 48 * HOUR_MS, end: Date.now() }
    const grouped = { groupRange: '1D', shouldCalculateAvg: 'true', aggrFields: { type_cnt: 1 } }
    assert.deepEqual([await call('tailLog', day), await call('tailLog', { ...day, key: 'stat-3h', ...grouped })], [[], []])
    for (const [wrong, code] of [[{ type: 'toaster' }, 'ERR_TYPE_AGGR_INVALID'], [{ key: 'stat-2m' }, /^ERR_/], [{ tag: '' }, /^ERR_/],
      [{ start: 'x' }, 'ERR_INVALID'], [{ limit: -1 }, 'ERR_INVALID'], [{ groupRange: '1X' }, /^ERR_/]]) {
      await assert.rejects(call('tailLog', { ...day, ...wrong }), { message: code }, JSON.stringify(wrong))
    }
  })

  await t.test('tailLogCustomRangeAggr', async () => {
    const range = { startDate: new Date(Date.now() - 24 * HOUR_MS).toISOString(), endDate: new Date().toISOString() }
    const keys = [{ type: 'miner', ...range, fields: { hashrate_mhs_5m_sum_aggr: 1 }, shouldReturnDailyData: 1 }, { type: 'toaster', ...range }]
    assert.deepEqual(await call('tailLogCustomRangeAggr', { keys, overwriteCache: true }),
      [{ type: 'miner', data: [], error: null }, { type: 'toaster', data: {}, error: 'ERR_TYPE_AGGR_INVALID' }])
  })

  await t.test('getHistoricalLogs', async () => {
    const logs = await call('getHistoricalLogs', { logType: 'info', limit: 2, offset: 0, query: { 'thing.id': 'm-2' } })
    assert.deepEqual(logs.map(({ what, id, thing }) => [what, id, thing.info.container]), [['register', 'm-2', 'c-1']])
    assert.deepEqual(await call('getHistoricalLogs', { logType: 'alerts', start: 1, end: Date.now(), tag: 't-miner' }), [])
  })

  await t.test('getGlobalConfig, setGlobalConfig', async () => {
    assert.deepEqual(await call('getGlobalConfig', { fields: { nominalHashrate: 1, isAutoSleepAllowed: 1 } }),
      { nominalHashrate: 1_000_000, isAutoSleepAllowed: false })
    assert.equal((await call('setGlobalConfig', { isAutoSleepAllowed: true })).isAutoSleepAllowed, true)
    assert.equal((await call('getGlobalConfig', {})).isAutoSleepAllowed, true)
    for (const wrong of ['true', 1, null]) assert.equal(await told('setGlobalConfig', { isAutoSleepAllowed: wrong }), 'ERR_CONFIG_INVALID')
  })

  await t.test('getWrkConf, getThingConf, getConfigs', async () => {
    assert.deepEqual(await call('getWrkConf', { type: 'miner', fields: { site: 1 } }), [{ rackId: MINERS, config: { site: 'north' } }])
    const [{ requestValue }] = await call('getThingConf', { type: 'miner', requestType: 'nextAvailableCode' })
    assert.match(requestValue, /^WM-M50S-\d{4}$/)
    // Without the pool's password.
    const pools = [{ url: 'stratum+tcp://pool.example:3333', workerName: 'site' }]
    assert.deepEqual(await call('getThingConf', { type: 'miner', requestType: 'poolConfig' }), [{ rackId: MINERS, requestValue: pools }])
    assert.equal(await told('getThingConf', { type: 'miner', requestType: 'x' }), 'ERR_INVALID_REQUEST_TYPE')
    assert.deepEqual(await call('getConfigs', { type: 'pool' }), [{ id: MINERS, rackId: MINERS, type: 'miner-wm-m50s', poolUrls: pools }])
    assert.deepEqual(await call('getConfigs', { type: 'pool', query: { id: 'none' }, fields: { type: 1 } }), [])
    assert.deepEqual(await call('getConfigs', { type: 'container' }), [])
  })

  await t.test('getWrkSettings, saveWrkSettings', async () => {
    assert.deepEqual(await call('getWrkSettings', { rackId: MINERS }), {})
    assert.deepEqual(await call('saveWrkSettings', { rackId: MINERS, entries: { a: 1, b: { c: 'ü' } } }), { a: 1, b: { c: 'ü' } })
    assert.deepEqual(await call('saveWrkSettings', { rackId: MINERS, entries: { a: null } }), { b: { c: 'ü' } })
    assert.deepEqual([await call('getWrkSettings', { rackId: 'none' }), await call('saveWrkSettings', { rackId: 'none', entries: { a: 1 } })], [0, 0])
    // It would be taken for a failure.
    assert.equal(await told('saveWrkSettings', { rackId: MINERS, entries: { error: 'x' } }), 'ERR_ENTRIES_INVALID')
  })

  await t.test('saveThingComment, editThingComment, deleteThingComment', async () => {
    const of = { rackId: MINERS, thingId: 'm-0', user: ANN.email }
    assert.equal(await call('saveThingComment', { ...of, comment: 'hot', pos: '1-0' }), 1)
    const comments = async () => (await call('listThings', { query: { id: 'm-0' }, fields: { comments: 1 } }))[0].comments
    const [{ id, ts, user, comment }] = await comments()
    assert.deepEqual([user, comment], [ANN.email, 'hot'])
    assert.equal(await told('editThingComment', { ...of, id, comment: 'x', user: BOB.email }), 'ERR_COMMENT_ACCESS_DENIED')
    assert.equal(await told('editThingComment', { ...of, id, comment: 'x', user: null }), 'ERR_COMMENT_ACCESS_DENIED')
    assert.equal(await call('editThingComment', { ...of, id, comment: 'cold' }), 1)
    assert.equal((await comments())[0].comment, 'cold')
    assert.equal(await call('deleteThingComment', { ...of, ts: String(ts) }), 1)
    assert.deepEqual(await comments(), [])
    assert.equal(await call('saveThingComment', { ...of, rackId: 'none', comment: 'x' }), 0)
  })

  await t.test('pushAction, voteAction, getAction, queryActions: two people, and what became of it', async () => {
    const draft = { query: { id: 'm-0' }, action: 'setUpfreqSpeed', params: [1], ...by(ANN) }
    const { id, data, errors } = await call('pushAction', draft)
    assert.deepEqual([typeof id, errors, data.id, data.votesPos, data.votesNeg], ['number', [], id, [ANN.email], []])
    assert.deepEqual(data.payload[0], [1])
    for (const given of [id, String(id)]) {
      const view = await call('getAction', { id: given, type: 'voting' })
      assert.deepEqual([view.params, view.requiredPerms, ids(view.targets[MINERS].calls)], [[1], ['miner'], ['m-0']])
    }
    const lists = await call('queryActions', { queries: [{ type: 'voting', filter: { gte: String(id) }, opts: { reverse: true, limit: 10 } }, { type: 'done' }] })
    assert.deepEqual([ids(lists.voting), lists.done], [[id], []])

    const vote = { id, approve: true, voter: BOB.email, authPerms: ['miner', 'actions'] }
    const voter = (who) => told('voteAction', { ...vote, voter: who })
    assert.equal(await voter(ANN.email), 'ERR_VOTER_EXISTS')
    // A person is who it is however the name is written, and nobody is nobody.
    assert.deepEqual(await Promise.all([' ANN@site', null, '', {}, undefined].map(voter)),
      ['ERR_VOTER_EXISTS', ...Array(4).fill('ERR_VOTER_INVALID')])
    assert.equal(await told('voteAction', { ...vote, authPerms: ['container'] }), 'ERR_ACTION_DENIED')
    assert.equal(await told('voteAction', { ...vote, approve: 'true' }), 'ERR_PAYLOAD_APPROVE_REQUIRED')
    assert.equal(await call('voteAction', { ...vote, id: String(id) }), 1)
    const done = await until(() => told('getAction', { id, type: 'done' }), ({ status }) => status !== undefined)
    assert.deepEqual([done.status, done.votesPos], ['COMPLETED', [ANN.email, BOB.email]], JSON.stringify(done.targets))
    assert('result' in done.targets[MINERS].calls[0])
    assert.equal(await told('voteAction', vote), 'ERR_ACTION_DECIDED')
    assert.equal(await told('voteAction', { ...vote, id: 7 }), 'ERR_ACTION_ID_NOT_FOUND')
  })

  await t.test('pushAction: what is refused stores nothing, and touches no device', async () => {
    const before = ALL.map((_, at) => simulator.truth(at).executed)
    const draft = { query: { id: 'm-1' }, action: 'reboot', params: [], ...by(ANN) }
    const empty = async (more) => (await call('pushAction', { ...draft, ...more })).errors
    assert.deepEqual(await empty({ query: { id: 'none' } }), ['ERR_ORK_ACTION_CALLS_EMPTY'])
    assert.deepEqual(await empty({ action: 'fly' }), ['ERR_ACTION_UNKOWN', 'ERR_ORK_ACTION_CALLS_EMPTY'])
    assert.deepEqual(await empty({ authPerms: ['miner:r', 'actions:rw'] }), [`${MINERS}: ERR_ACTION_DENIED`, 'ERR_ORK_ACTION_CALLS_EMPTY'])
    assert.deepEqual(await empty({ authPerms: ['miner'] }), ['ERR_AUTH_PERMS_INVALID', 'ERR_ORK_ACTION_CALLS_EMPTY'])
    assert.deepEqual(await empty({ authPerms: null }), ['ERR_PAYLOAD_AUTH_PERMS_REQUIRED', 'ERR_ORK_ACTION_CALLS_EMPTY'])
    assert.equal(await told('pushAction', { ...draft, voter: undefined }), 'ERR_VOTER_INVALID')
    assert.deepEqual(ids((await call('queryActions', { queries: [{ type: 'done', query: { action: 'reboot' } }] })).done), [])
    assert.deepEqual(ALL.map((_, at) => simulator.truth(at).executed), before)
  })

  await t.test('pushActionsBatch, getActionsBatch, cancelActionsBatch', async () => {
    const draft = { query: { id: 'm-2' }, action: 'setUpfreqSpeed', params: [2] }
    const batch = { batchActionsPayload: [draft, { ...draft, query: { id: 'none' } }], batchActionUID: '1764000000000', suffix: 'move', ...by(ANN) }
    const answers = await call('pushActionsBatch', batch)
    assert.deepEqual(answers.map(({ id, errors }) => [id === null, errors.length]), [[false, 0], [true, 1]])
    const [{ id }] = answers
    const queries = [{ type: 'voting' }]
    const [group] = (await call('queryActions', { queries, groupBatch: true, suffix: 'move' })).voting
    assert.match(group.batchActionUID, /^\d+-1764000000000-move$/)
    assert.deepEqual(ids(group.actions), [id])
    assert.deepEqual((await call('queryActions', { queries, suffix: 'other' })).voting, [])
    const found = await call('getActionsBatch', { ids: [String(id), '7'] })
    assert.deepEqual(found.map(({ type, action }) => [type, String(action.id)]), [['voting', String(id)]])
    // Only who pushed it.
    const denied = await call('cancelActionsBatch', { ids: [String(id)], voter: BOB.email })
    assert.deepEqual([denied[0].success, denied[0].error.startsWith(`ERR_CANCEL_BATCH_ACTION-ID-${id} ERR_`)], [false, true])
    assert.deepEqual(await call('cancelActionsBatch', { ids: [String(id), '7'], voter: ANN.email }),
      [{ id: String(id), success: true }, { id: '7', success: false, error: 'ERR_CANCEL_BATCH_ACTION-ID-7 ERR_ACTION_ID_NOT_FOUND' }])
    assert.equal((await call('getAction', { id, type: 'done' })).status, 'CANCELLED')
    assert.deepEqual(await call('pushActionsBatch', { batchActionsPayload: [], ...by(ANN) }), [])
  })

  await t.test('forgetThings', async () => {
    assert.equal(await call('forgetThings', { query: { id: 'm-2' } }), 1)
    assert.equal(await call('forgetThings', { all: true }), COUNT - 1)
    assert.deepEqual([await call('listThings', { status: 1 }), await call('getThingsCount', { query: {} })], [[], 0])
  })
})
