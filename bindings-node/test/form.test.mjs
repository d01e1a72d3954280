// Snapshots come as a form and values: what is put together is what the JSON says.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const { filled, planned, joined } = createRequire(import.meta.url)('../lib/form.js')

/** A form and values of a value, as the native part gives them. */
function parted (value) {
  const list = ['number']
  const form = JSON.stringify(value, (_, v) => v !== null && typeof v === 'object' ? v : list.push(v) - 1)
  return [planned(JSON.parse(form)), list]
}

test('a form and values make the object again', () => {
  const all = [
    { success: true, stats: { power_w: 3270, boards: [{ slot: 0, serial: 'a' }, { slot: 1, serial: null }], none: {}, no: [] } },
    { 7: 'a', b: { 3: [[1], [], [{ c: 2 }]] }, a: false },
    {}, [], [[]], 'text', null
  ]
  for (const value of all) {
    const [plan, list] = parted(value)
    for (let turn = 0; turn < 2; turn++) {
      assert.deepStrictEqual(filled(plan, list), value)
      assert.equal(JSON.stringify(filled(plan, list)), JSON.stringify(value))
    }
  }
})

test('names that are numbers, which JavaScript puts first, have their own values', () => {
  const plan = planned(JSON.parse('{"b":1,"19":2,"7":3}'))
  assert.deepEqual(filled(plan, ['number', 'of b', 'of 19', 'of 7']), { b: 'of b', 19: 'of 19', 7: 'of 7' })
})

test('objects of one form are apart', () => {
  const plan = planned({ a: { b: 0 } })
  const [one, two] = [filled(plan, [1]), filled(plan, [2])]
  one.a.b = 7
  one.a.c = 8
  assert.deepEqual([one, two], [{ a: { b: 7, c: 8 } }, { a: { b: 2 } }])
})

test('what has no form comes whole', () => {
  const all = joined('[null,{"__proto__":{"a":1}}]')
  assert.deepEqual(Object.keys(all), ['__proto__'])
  assert.equal(Object.getPrototypeOf(all), Object.prototype)
})
