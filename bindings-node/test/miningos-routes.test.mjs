import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ANN, BOB, MINERS, ORDERS, gateway } from './standin/clusters.mjs'
import { until } from './standin/run.mjs'

const COUNT = 7
const DAY_MS = 86_400_000

/** The gateway's smoke checks, as the calls of their routes over two clusters, of which one has no miners. */
test('the gateway\'s routes get what they read', async (t) => {
  const { simulator, worker } = await gateway(t, '127.81.0.1', COUNT)
  const { route } = worker

  await t.test('GET /auth/site', async () => assert.deepEqual(await route('site'), { site: 'test' }))

  await t.test('GET /auth/list-things', async () => {
    // As a URL has them: the status is a text.
    const things = await route('listThings',
      { status: '1', query: '{"tags":{"$in":["t-miner"]}}', fields: '{"id":1}', limit: 5, overwriteCache: true })
    assert.deepEqual(things.map((page) => page.length), [5, 0])
    // The rack is there whatever is asked for, and what was not asked for is not.
    for (const thing of things[0]) assert.deepEqual(Object.keys(thing).sort(), ['id', 'rack'])
    const [all] = await route('listThings', { status: '1', query: '{"tags":{"$in":["t-miner"]}}', sort: '{"id":-1}' })
    assert.deepEqual(all.map(({ id }) => id), Array.from({ length: COUNT }, (_, at) => `m-${COUNT - 1 - at}`))
    assert(all.every(({ last }) => last.snap.stats.power_w > 0))
    const [still] = await route('listThings', { query: '{"id":"m-0"}' })
    assert.equal('last' in still[0], false, 'readings come with a status only')
  })

  await t.test('GET /auth/site/status/live', async () => {
    const truth = simulator.devices().map(({ index }) => simulator.truth(index).nominal_mhs)
    const rated = truth.reduce((sum, one) => sum + one, 0)
    const status = await until(() => route('siteStatus'), ({ miners }) => miners.online === COUNT)
    assert(status.hashrate.value > rated * 0.8 && status.hashrate.value < rated * 1.2, `${status.hashrate.value} of ${rated}`)
    assert.equal(status.hashrate.nominal, 1_000_000)
    assert.deepEqual([status.miners.offline, status.pools.totalHashrate, status.power.value], [0, 0, 0])
  })

  await t.test('GET /auth/miners', async () => {
    const page = await route('miners', { limit: 3, offset: 2 })
    assert.deepEqual([page.data.length, page.totalCount], [3, COUNT])
    for (const miner of page.data) assert.deepEqual([miner.status, miner.hashrate.t_5m > 0, miner.rack], ['mining', true, MINERS])
    const found = await route('miners', { search: 'M-4', filter: { 'info.container': { $in: ['c-1'] } } })
    assert.deepEqual([found.data.map(({ id }) => id), found.totalCount], [['m-4'], 1])
    const there = await route('miners', { filter: { 'opts.address': '127.81.0.3' }, sort: { 'opts.address': -1 } })
    assert.deepEqual(there.data.map(({ id, address }) => [id, address]), [['m-2', '127.81.0.3']])
    await assert.rejects(route('miners', { filter: { 'opts.password': { $regex: '^a' } } }), { message: 'ERR_QUERY_INVALID' })
    // What somebody types goes to the query as it is: it takes no time, or is refused.
    await assert.rejects(route('miners', { search: '(' }), /^Error: ERR_/)
    assert.equal((await route('miners', { search: '(a+)+$' })).totalCount, 0)
  })

  await t.test('GET /auth/cabinets: all pages', async () => {
    assert.deepEqual(await route('cabinets'), Array.from({ length: COUNT }, (_, at) => `m-${at}`))
  })

  await t.test('GET /auth/metrics/hashrate', async () => {
    const [start, end] = [Date.now() - 3 * DAY_MS, Date.now()]
    assert.deepEqual(await route('hashrate', { start, end }), { log: [] })
    for (const groupBy of ['type', 'container', 'pdu_rack']) assert.deepEqual(await route('hashrate', { start, end, groupBy }), { log: [] })
  })

  await t.test('the alerts that are told every five seconds', async () => {
    // Things have none yet.
    assert.deepEqual(await route('alerts'), [])
  })

  await t.test('a method that is not there is status 400, and no crash', async () => {
    await assert.rejects(route('missing'), { message: 'UNKNOWN_METHOD' })
    assert.deepEqual(await worker.ask('requestData', 'noSuchMethod', {}), [{ error: 'UNKNOWN_METHOD' }, { error: 'UNKNOWN_METHOD' }])
  })

  await t.test('GET /auth/actions/done/<unknown>', async () => {
    const none = { error: 'ERR_ACTION_ID_NOT_FOUND' }
    for (const id of [7, '7', -1, 'x']) assert.deepEqual(await route('action', { type: 'done', id }), [none, none])
  })

  await t.test('POST voting, vote, cancel', async () => {
    const draft = { query: { id: { $in: ['m-1', 'm-2'] } }, action: 'setUpfreqSpeed', params: [1] }
    const [first, second] = await route('push', ANN, draft)
    const pushed = [first, second].find(({ id }) => id !== null)
    assert.deepEqual([pushed.errors, pushed.data.votesPos, pushed.data.reqVotesPos], [[], ['ann@site'], 2], JSON.stringify([first, second]))
    // The other cluster has nothing like it.
    const other = [first, second].find(({ id }) => id === null)
    assert.equal(other.errors.at(-1), 'ERR_ORK_ACTION_CALLS_EMPTY')

    const [{ voting }] = (await route('actions', { queries: '[{"type":"voting"}]' })).filter(({ voting }) => voting.length > 0)
    assert.deepEqual(voting.map(({ id }) => id), [pushed.id])
    assert.deepEqual(voting[0].targets[MINERS].calls.map(({ id }) => id), ['m-1', 'm-2'])

    const results = (answers) => answers.map(({ res }) => res.error ?? res).sort()
    assert.deepEqual(results(await route('vote', ANN, { id: pushed.id, approve: true })), ['ERR_ACTION_ID_NOT_FOUND', 'ERR_VOTER_EXISTS'])
    assert.deepEqual(results(await route('vote', BOB, { id: pushed.id, approve: true })), [1, 'ERR_ACTION_ID_NOT_FOUND'])
    const done = await until(() => route('action', { type: 'done', id: pushed.id }), (all) => all.some(({ error }) => !error))
    const action = done.find(({ error }) => !error)
    assert.equal(action.status, 'COMPLETED', JSON.stringify(action.targets))
    assert.deepEqual(results(await route('vote', BOB, { id: pushed.id, approve: false })), ['ERR_ACTION_DECIDED', 'ERR_ACTION_ID_NOT_FOUND'])

    const [again] = (await route('push', ANN, draft)).filter(({ id }) => id !== null)
    const cancelled = await route('cancel', ANN, { ids: `${again.id},7` })
    const rows = cancelled.flatMap(({ res }) => res).filter(({ success }) => success)
    assert.deepEqual(rows, [{ id: String(again.id), success: true }])
    const batch = await route('batch', { ids: `${pushed.id},${again.id},7` })
    assert.deepEqual(batch.map(({ type, action }) => [type, action.id, action.status]),
      [['done', pushed.id, 'COMPLETED'], ['done', again.id, 'CANCELLED']])
  })

  await t.test('POST voting/batch', async () => {
    const draft = { query: { id: 'm-3' }, action: 'setLED', params: [true] }
    const answers = await route('pushBatch', ANN, { payload: [draft, { ...draft, query: { id: 'none' } }], uid: '1764000000000' })
    const [ours] = answers.filter((answer) => answer.some(({ id }) => id !== null))
    assert.deepEqual(ours.map(({ id }) => id === null), [false, true])
    const { id } = ours[0]
    await until(() => route('action', { type: 'done', id: String(id) }), (all) => all.some(({ status }) => status === 'COMPLETED'))
    assert(simulator.truth(3).executed.set_led >= 1 || Object.keys(simulator.truth(3).executed).length > 0)
    const groups = await route('actions', { queries: '[{"type":"done"}]', groupBatch: true })
    const [group] = groups.flatMap(({ done }) => done).filter(({ batchActionUID, actions }) => batchActionUID && actions)
    assert.deepEqual(group.actions.map((action) => action.id), [id])
  })

  await t.test('comments', async () => {
    const of = { rackId: MINERS, thingId: 'm-5' }
    const saved = await route('comment', ANN, 'save', { ...of, comment: 'hot', pos: '1-5' })
    assert.deepEqual(saved.map(({ success }) => success).sort(), [0, 1], 'of the cluster without the rack 0')
    const [[thing]] = await route('listThings', { query: '{"id":"m-5"}', fields: '{"comments":1}' })
    const [comment] = thing.comments
    assert.deepEqual([comment.comment, comment.user], ['hot', 'ann@site'])
    const others = await route('comment', BOB, 'edit', { ...of, id: comment.id, comment: 'mine' })
    assert(others.some(({ error }) => error === 'ERR_COMMENT_ACCESS_DENIED'), JSON.stringify(others))
    assert.deepEqual((await route('comment', ANN, 'edit', { ...of, id: comment.id, comment: 'cold' })).map(({ success }) => success).sort(), [0, 1])
    assert.deepEqual((await route('comment', ANN, 'delete', { ...of, ts: String(comment.ts) })).map(({ success }) => success).sort(), [0, 1])
    const wrong = await route('comment', ANN, 'delete', { ...of, id: 'none' })
    assert(wrong.some(({ error }) => /^ERR_/.test(error)), JSON.stringify(wrong))
  })

  await t.test('settings of racks', async () => {
    for (const rackId of [MINERS, ORDERS]) {
      const saved = await route('settings', { rackId, entries: { [rackId]: 1 } })
      assert.equal(saved.filter(({ success }) => success?.[rackId] === 1).length, 1, JSON.stringify(saved))
      assert.equal((await route('settings', { rackId })).filter(({ success }) => success?.[rackId] === 1).length, 1)
    }
    assert.deepEqual(await route('settings', { rackId: 'nowhere' }), [{ success: 0 }, { success: 0 }])
  })
})
