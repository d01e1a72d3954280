// Looks for miners in a range of addresses, and shows what each says. It writes nothing.
//
//     HEADFRAME_PASSWORD=… node examples/watch.mjs 10.0.0.0/24 [--simulated]

import { HeadframeError, discover, open } from 'headframe'

const [range, ...flags] = process.argv.slice(2)
if (range === undefined) {
  console.error('watch: say which addresses, such as 10.0.0.0/24')
  process.exit(2)
}
const simulated = flags.includes('--simulated')
const password = process.env.HEADFRAME_PASSWORD

try {
  for await (const found of discover(range, { ports: { simulated } })) {
    if (found.event === 'device') await show(found)
    if (found.event === 'summary') console.log(`${found.report.devices} of ${found.report.total} addresses are miners`)
  }
} catch (e) {
  if (!(e instanceof HeadframeError)) throw e
  console.error(`watch: ${e.message}`)
  process.exit(e.kind === 'Invalid' ? 2 : 1)
}

async function show ({ address, driver, model, opts }) {
  const device = await open(driver, password === undefined ? opts : { ...opts, password })
  try {
    const { stats } = await device.snapshot({ withinMs: 10_000 })
    console.log(`${address} ${model ?? 'unknown model'}: ${stats.status}, ${stats.power_w ?? '?'} W`)
  } catch (e) {
    console.log(`${address} ${model ?? 'unknown model'}: ${e.code}`)
  } finally {
    await device.close()
  }
}
