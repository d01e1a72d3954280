// One part of the check `x-bindings`, in a process of its own:
//
//     node --expose-gc trust/main.mjs PART SEED COUNT
//
// It says one line of JSON for each thing that matters, `{"ended": true}` at the end, and works in the current folder.

import { fork } from 'node:child_process'
import { writeSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

import { Site, discover } from 'headframe'

import { Account, called, ending, hostile } from './calls.mjs'
import { rounds } from './rounds.mjs'
import { random, readers, world } from './world.mjs'

const PROGRAM = fileURLToPath(import.meta.url)

/** Says a line at once: the process may be gone in a moment. */
function say (line) {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

function tell ({ begun, reached, faults }, where = '') {
  for (const probe of reached) say({ probe })
  for (const fault of faults) say({ violation: where + fault })
  say({ calls: begun })
}

/** Random calls, with readers beside them, and the end of everything in the middle of calls. */
async function calls (seed, count) {
  const [pick, account] = [random(seed), new Account()]
  const of = await world(pick, await mkdtemp('calls-'))
  const stop = new AbortController()
  const reading = readers(of, stop.signal).map((one, n) => called(account, `reader ${n}`, () => one))
  await hostile(account, of, pick, count)
  // Half of the readers are ended by their signal, half by what they read.
  if (pick(2) === 0) stop.abort()
  await ending(account, of)
  stop.abort()
  await Promise.all(reading)
  return account
}

/** Threads that call at once; some end by themselves, some are torn in the middle. */
async function threads (seed, count) {
  const pick = random(seed)
  const started = (part, share) => {
    const counted = new Int32Array(new SharedArrayBuffer(8))
    const worker = new Worker(PROGRAM, { workerData: { part, seed: pick(2 ** 32), count: share, counted } })
    const ended = once(worker, 'exit').then(() => undefined)
    const told = Promise.race([once(worker, 'message').then(([account]) => account), ended])
    return { worker, told, counted, ended }
  }
  const whole = [1, 2].map(() => started('calls', Math.ceil(count / 2)))
  for (let n = 0; n < 3; n++) {
    const leaves = n === 2
    const [torn, calls] = [started(leaves ? 'leaves' : 'calls', 1_000), 1 + pick(60)]
    let ended = false
    torn.ended.then(() => { ended = true })
    torn.told.catch((e) => say({ violation: `a thread ended with ${e?.stack ?? e}` }))
    // It has begun, and goes on for long.
    while (!ended && (leaves || torn.counted[0] < calls)) await sleep(1)
    await torn.worker.terminate()
    const inTheMiddle = torn.counted[0] > torn.counted[1]
    if (inTheMiddle) say({ probe: leaves ? 'a thread left in the middle of calls' : 'a thread was torn in the middle of calls' })
  }
  for (const { told, ended } of whole) {
    const account = await told
    await ended
    if (account === undefined) say({ violation: 'a thread ended without a word' })
    else tell(account, 'thread, ')
  }
  say({ probe: 'called from threads' })
  // The first thread is none the worse for it.
  return await calls(pick(2 ** 32), 20)
}

/** In a thread: random calls, counted for those who look from outside. */
async function thread ({ part, seed, count, counted }) {
  const [pick, account] = [random(seed), new Account()]
  const looked = setInterval(() => { [counted[0], counted[1]] = [account.begun, account.ended] }, 1)
  const of = await world(pick, await mkdtemp('thread-'))
  const stop = new AbortController()
  const reading = readers(of, stop.signal)
  if (part === 'leaves') setTimeout(() => { counted.set([account.begun, account.ended]); process.exit() }, 20 + pick(300))
  await hostile(account, of, pick, count)
  stop.abort()
  await Promise.all([...reading, ending(account, of)])
  clearInterval(looked)
  parentPort.postMessage(account)
}

/** Ends the process with everything open: in the middle of all calls, or when the program has nothing more to do. */
async function leave (seed, how) {
  const [pick, account] = [random(seed), new Account()]
  const of = await world(pick, await mkdtemp('leave-'))
  if (how === 'drain') {
    const { site, device } = of
    await Promise.all([site.list(), device.snapshot(), discover(of.address).next(), site.subscribe().next()])
    // Readers that nobody reads hold nothing back, nor does a driver that is asked all the time.
    const left = [site.subscribe(), site.actions.watch()]
    say({ probe: left.length === 2 ? 'left with handles open' : 'left' })
    return say({ ended: true })
  }
  readers(of, new AbortController().signal)
  new Worker(PROGRAM, { workerData: { part: 'calls', seed: pick(2 ** 32), count: 1_000, counted: new Int32Array(2) } }).unref()
  setTimeout(() => {
    tell(account)
    say({ probe: account.begun > account.ended ? 'left in the middle of calls' : 'left' })
    say({ ended: true })
    process.exit(0)
  }, pick(800))
  await hostile(account, of, pick, 100_000)
}

/** A process that is forked in the middle of calls; it has no part in what its parent holds. */
async function forks (seed) {
  const [pick, account] = [random(seed), new Account()]
  const of = await world(pick, await mkdtemp('forks-'))
  const child = fork(PROGRAM, ['forked', String(pick(2 ** 32)), '20', join(of.folder, 'site')])
  child.on('message', (line) => say(line))
  const [[code, signal]] = await Promise.all([once(child, 'exit'), hostile(account, of, pick, 60)])
  if (code !== 0) say({ violation: `a forked process ended with ${code ?? signal}` })
  else say({ probe: 'forked' })
  await ending(account, of)
  return account
}

/** The forked one: its parent's site is refused, and its own calls work. */
async function forked (seed, count, site) {
  const refused = await Site.open(site, {}).then(() => 'no error', (e) => e.kind)
  if (refused !== 'Conflict') process.send({ violation: `the site of another process was opened: ${refused}` })
  for (const fault of (await calls(seed, count)).faults) process.send({ violation: `forked, ${fault}` })
  process.disconnect()
}

async function main (part, seed, count, site) {
  // What nobody handles would end the program without a word of what it was.
  for (const lost of ['uncaughtException', 'unhandledRejection']) {
    process.on(lost, (e) => {
      say({ violation: `${lost}: ${e?.stack ?? e}` })
      process.exit(1)
    })
  }
  if (part === 'forked') return await forked(seed, count, site)
  if (part === 'exit' || part === 'drain') return await leave(seed, part)
  if (part === 'rounds') return await rounds(random(seed), count, say)
  const parts = { calls, threads, forks }
  tell(await parts[part](seed, count))
  say({ ended: true })
}

if (!isMainThread) await thread(workerData)
else await main(process.argv[2], process.argv[3], Number(process.argv[4]), process.argv[5])
