import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const PROGRAM = fileURLToPath(new URL('../trust/main.mjs', import.meta.url))

/** What a part of the check `x-bindings` says, in a process and a folder of its own: a crash is an error here too. */
async function part (t, name, seed, count) {
  const cwd = await mkdtemp(join(tmpdir(), 'headframe-hostile-'))
  t.after(() => rm(cwd, { recursive: true, force: true }))
  const args = ['--expose-gc', PROGRAM, name, String(seed), String(count)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, timeout: 120_000 })
  const said = stdout.trim().split('\n').map((line) => JSON.parse(line))
  assert.deepEqual(said.filter(({ violation }) => violation), [])
  assert.deepEqual(said.at(-1), { ended: true })
  return { calls: said.reduce((sum, { calls = 0 }) => sum + calls, 0), reached: new Set(said.map(({ probe }) => probe)) }
}

test('whatever is given, the answer is one, or a typed error', async (t) => {
  const { calls, reached } = await part(t, 'calls', 1, 500)
  assert(calls >= 500)
  for (const probe of ['a closed handle was used', 'closed in the middle of calls', 'told Invalid', 'told Closed']) {
    assert(reached.has(probe), probe)
  }
})

test('the same from threads, of which some are torn in the middle of calls', async (t) => {
  const { reached } = await part(t, 'threads', 2, 200)
  assert(reached.has('a thread was torn in the middle of calls'))
})

test('a process ends with everything open, in the middle of calls', async (t) => {
  const { reached } = await part(t, 'exit', 3, 0)
  assert(reached.has('left in the middle of calls'))
})
