import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { Simulator } from 'headframe'

const PACKAGE = fileURLToPath(new URL('..', import.meta.url))

/** What an example prints; it has to end by itself. */
async function example (name, ...args) {
  const { stdout } = await promisify(execFile)(process.execPath, [`examples/${name}.mjs`, ...args],
    { cwd: PACKAGE, timeout: 60_000 })
  return stdout.trim().split('\n')
}

test('quickstart finds miners, and two people put some to sleep', async () => {
  const [found, ...seconds] = await example('quickstart', '10')
  assert.equal(found, '20 miners were found')
  const [before, after] = [seconds[3], seconds[9]].map((line) => Number(/: (.*) kW/.exec(line)[1]))
  assert(before > 50 && after < before * 0.6, seconds.join('\n'))
})

test('watch shows what is there, and says what is wrong with a range', async (t) => {
  const simulator = await Simulator.start({ base: '127.52.0.1', whatsminers: 1, antminers: 1 })
  t.after(() => simulator.close())
  const lines = await example('watch', '127.52.0.1-127.52.0.3', '--simulated')
  assert.equal(lines.at(-1), '2 of 3 addresses are miners')
  assert(lines.some((line) => /: mining, \d+ W$/.test(line)), lines.join('\n'))
  await assert.rejects(example('watch', '10.0.0.0/99'), { code: 2 })
  await assert.rejects(example('watch'), { code: 2 })
})

test('approve ends with every miner asleep', async () => {
  const lines = await example('approve')
  assert.match(lines[0], /^10 miners that draw \d+\.\d kW; 2 votes are needed$/)
  assert.equal(lines.at(-1), 'COMPLETED: 10 of 10 done')
})

test('a driver of one\'s own is polled', async () => {
  assert.deepEqual((await example('driver')).slice(0, 3), Array(3).fill('heater-1: 1950 W'))
})
