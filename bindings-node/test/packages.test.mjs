import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { test } from 'node:test'

import * as esm from 'headframe'

const require = createRequire(import.meta.url)
const read = async (name) => JSON.parse(await readFile(new URL(`../${name}`, import.meta.url), 'utf8'))

/** What Rust calls a platform, and what Node calls it. */
const PLATFORMS = {
  'x86_64-unknown-linux-gnu': ['linux', 'x64', 'glibc'],
  'aarch64-unknown-linux-gnu': ['linux', 'arm64', 'glibc'],
  'x86_64-unknown-linux-musl': ['linux', 'x64', 'musl'],
  'aarch64-apple-darwin': ['darwin', 'arm64', undefined],
  'x86_64-pc-windows-msvc': ['win32', 'x64', undefined]
}

test('the package, its native part and those of all platforms have one version', async () => {
  const main = await read('package.json')
  assert.equal(main.version, esm.version)
  assert.deepEqual(main.napi.targets.toSorted(), Object.keys(PLATFORMS).toSorted())
  const entries = await readdir(new URL('../npm', import.meta.url), { withFileTypes: true })
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  assert.equal(folders.length, main.napi.targets.length)
  const loader = await readFile(new URL('../native.js', import.meta.url), 'utf8')
  for (const folder of folders) {
    const platform = await read(`npm/${folder}/package.json`)
    const file = `headframe.${folder}.node`
    assert.deepEqual(
      [platform.name, platform.version, platform.main, platform.files, platform.engines],
      [`headframe-${folder}`, main.version, file, [file], main.engines]
    )
    const told = [platform.os, platform.cpu, platform.libc].map((list) => list?.[0])
    const target = Object.entries(PLATFORMS).find(([, known]) => known.every((value, at) => value === told[at]))
    assert(target !== undefined && main.napi.targets.includes(target[0]), `${folder}: no target is ${told}`)
    assert(loader.includes(`require('${platform.name}')`), `${folder}: the loader does not look for it`)
  }
})

test('both kinds of modules have the same members', () => {
  const cjs = require('headframe')
  const { default: all, ...named } = esm
  assert.equal(all, cjs)
  assert.deepEqual(Object.keys(named).toSorted(), Object.keys(cjs).toSorted())
  for (const name of Object.keys(named)) assert.equal(named[name], cjs[name], name)
})
