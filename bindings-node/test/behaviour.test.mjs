import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { check } from '../behaviour/case.mjs'
import { World, verbs } from '../behaviour/world.mjs'

/** The cases that all languages run: where the variable says, or beside the sources. */
const FOLDER = process.env.HEADFRAME_BEHAVIOUR ?? fileURLToPath(new URL('../../behaviour', import.meta.url))
/** What a case may need and this runner has not. */
const LACKS = []
/** The case with number n has the addresses 127.102.n.0/24. */
const BLOCK = '127.102'

const read = (name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8'))
const vocabulary = read('vocabulary.json')
const common = read('common.json')
const only = process.env.HEADFRAME_CASE ?? ''

/** Runs a case; throws what is wrong, and gives what it needs and is not there. */
async function run (told, number) {
  check(told, vocabulary)
  const lacks = told.needs?.find((need) => LACKS.includes(need))
  if (lacks !== undefined) return lacks
  const dir = await mkdtemp(join(tmpdir(), 'headframe-behaviour-'))
  const world = new World({ dir, net: `${BLOCK}.${number}`, common })
  try {
    await world.play(told)
  } finally {
    await world.end()
    await rm(dir, { recursive: true, force: true })
  }
}

let number = 0
for (const file of readdirSync(join(FOLDER, 'cases')).sort()) {
  for (const told of read(join('cases', file))) {
    const at = ++number
    const name = `${file}: ${told.name}`
    if (!name.includes(only)) continue
    test(name, async (t) => {
      const lacks = await run(told, at)
      if (lacks !== undefined) t.skip(`needs ${lacks}`)
    })
  }
}

test('the vocabulary has the verbs of this runner, and there are cases', () => {
  assert.deepEqual(Object.keys(vocabulary.verbs).sort(), [...verbs].sort())
  assert(number > 0, `${FOLDER} has no cases`)
})

for (const [at, { reported, ...told }] of read('wrong.json').entries()) {
  test(`wrong: ${told.name}`, async () => {
    await assert.rejects(run(told, 200 + at), (e) => {
      assert(e.message.includes(reported), e.message)
      return true
    })
  })
}
