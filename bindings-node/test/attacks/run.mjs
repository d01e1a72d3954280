import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

const file = (name) => fileURLToPath(new URL(name, import.meta.url))

/** Runs a program of this folder to its end; one that does not end in a minute is killed, which is told. */
export async function program (name, args = [], options = []) {
  const child = spawn(process.execPath, [...options, file(name), ...args], { timeout: 60_000, killSignal: 'SIGKILL' })
  const said = { stdout: '', stderr: '' }
  for (const stream of Object.keys(said)) child[stream].setEncoding('utf8').on('data', (data) => { said[stream] += data })
  const [code, signal] = await new Promise((resolve) => child.once('close', (...how) => resolve(how)))
  return { code, signal, ...said }
}

/** A worker thread of this folder; `message` waits for the next thing that it says. */
export function thread (name, workerData) {
  const worker = new Worker(file(name), { workerData })
  const message = () => new Promise((resolve, reject) => {
    const failed = (e) => reject(e)
    worker.once('error', failed)
    worker.once('message', (said) => {
      worker.off('error', failed)
      resolve(said)
    })
  })
  return { worker, message }
}
