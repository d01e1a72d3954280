import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { Site } from 'headframe'

import { program, thread } from './attacks/run.mjs'

/** How many threads call at once; `HEADFRAME_THREADS` sets another number. */
const THREADS = Number(process.env.HEADFRAME_THREADS ?? 64)

/** What hangs is a failure. */
const WITHIN = { timeout: 90_000 }

async function folder (t) {
  const path = await mkdtemp(join(tmpdir(), 'headframe-threads-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

test('15: 64 threads call at once, each with what is its own', WITHIN, async (t) => {
  const tasks = ['site', 'simulator', 'discover', 'site']
  const threads = Array.from({ length: THREADS }, (_, n) => thread('thread.mjs', { task: tasks[n % tasks.length], n: n + 10 }))
  t.after(() => Promise.all(threads.map(({ worker }) => worker.terminate())))
  const said = await Promise.all(threads.map(({ message }) => message()))
  assert.deepEqual(said.map(({ value }) => value), Array(THREADS).fill(true))
})

test('15: a thread that is torn down in the middle of anything leaves its site free, and others alone', WITHIN, async () => {
  const { code, signal, stdout, stderr } = await program('torn.mjs')
  assert.deepEqual([code, signal], [0, null], stderr)
  const things = JSON.parse(stdout)
  assert.deepEqual([Object.keys(things).length, [...new Set(Object.values(things))]], [8, [1]], stdout)
})

for (const [how, code, signal] of [['exit', 7, null], ['throw', 1, null], ['reject', 1, null], ['kill', null, 'SIGKILL']]) {
  test(`15: a process that ends by ${how} while a site streams ends at once, and its site opens again`, WITHIN, async (t) => {
    const path = await folder(t)
    const ended = await program('ends.mjs', [how, path, '127.82.6.1'])
    assert.deepEqual([ended.code, ended.signal], [code, signal], ended.stderr)
    assert.match(ended.stdout, /streams/)
    const racks = [{ type: 'miner-wm-m50s', name: 'a', driver: 'whatsminer' }]
    const site = await Site.open(join(path, 'site'), { racks })
    assert.equal((await site.list()).items.length, 4)
    await site.close()
  })
}

test('15: a child of a process with a live site has its own, and not its parent\'s', WITHIN, async (t) => {
  const ended = await program('ends.mjs', ['fork', await folder(t), '127.82.6.1'])
  assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr)
  const { taken, code, things } = JSON.parse(ended.stdout.trim().split('\n').at(-1))
  assert.deepEqual([taken, code, things], ['STORE_LOCKED', 0, 4])
})
