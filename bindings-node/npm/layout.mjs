// Lays out what is published: `node npm/layout.mjs FOLDER` in a built package makes FOLDER/headframe, which has no native part
// and names those of all platforms, and FOLDER/headframe-PLATFORM for each native part that is there. On a release each
// platform builds its own; that of the package itself is published last.

import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = dirname(fileURLToPath(import.meta.url))
const PACKAGE = join(HERE, '..')
const [to] = process.argv.slice(2)
if (to === undefined) throw new Error('names the folder to write to')

const json = async (file) => JSON.parse(await readFile(file, 'utf8'))
const platforms = (await readdir(HERE, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name)
await rm(to, { recursive: true, force: true })

const { scripts, devDependencies, ...main } = await json(join(PACKAGE, 'package.json'))
main.files = main.files.filter((name) => !name.endsWith('.node'))
main.optionalDependencies = Object.fromEntries(platforms.map((name) => [`headframe-${name}`, main.version]))
await mkdir(join(to, 'headframe'), { recursive: true })
for (const name of [...main.files, 'README.md']) await cp(join(PACKAGE, name), join(to, 'headframe', name), { recursive: true })
await writeFile(join(to, 'headframe', 'package.json'), `${JSON.stringify(main, null, 2)}\n`)

const built = (name) => `headframe.${name}.node`
const there = await readdir(PACKAGE)
for (const name of platforms.filter((name) => there.includes(built(name)))) {
  await cp(join(HERE, name), join(to, `headframe-${name}`), { recursive: true })
  await cp(join(PACKAGE, built(name)), join(to, `headframe-${name}`, built(name)))
}
