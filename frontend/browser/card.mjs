// How long a manager on a slow line waits for the first status: opens deal cards through a throttled browser and prints one
// JSON line with the median, beside the least that the line allows for the same bytes. Takes the demo's ready file.
import {api, dealLink, launch, newContext, logIn, ready} from './crm.mjs'

const rounds = Number(process.argv[3] ?? 7)
const line = {latency: 150, bytesPerSecond: 1_600_000 / 8, cpu: 4} // what browsers' own tools call slow 4G, on a small phone's processor
const deal = '3'
const browser = await launch('--disable-site-isolation-trials', '--disable-features=IsolateOrigins,site-per-process')

/** watch notes, in every frame, when the first status stands in the document. */
function watch() {
  new MutationObserver((_, observer) => {
    if (!document.querySelector('[data-testid=status]')) return
    window.firstStatus = performance.now()
    observer.disconnect()
  }).observe(document, {childList: true, subtree: true})
}

/** open opens a deal as the manager with an empty cache and returns when the first status was there, and the bytes it took. */
async function open(tenant) {
  const context = await newContext(browser, 30_000)
  await context.addInitScript(watch)
  try {
    const {page} = await logIn(context, tenant, 1)
    const link = await dealLink(page, deal).evaluate(a => a.href) // a click would measure the list, too
    const wire = await context.newCDPSession(page)
    await wire.send('Network.enable')
    await wire.send('Network.emulateNetworkConditions', {offline: false, latency: line.latency, downloadThroughput: line.bytesPerSecond, uploadThroughput: line.bytesPerSecond / 2})
    await wire.send('Emulation.setCPUThrottlingRate', {rate: line.cpu})
    await page.goto(link, {waitUntil: 'commit'})
    await page.frameLocator('iframe').first().getByTestId('status').first().waitFor()
    for (const frame of page.frames()) {
      const seen = await frame.evaluate(() => window.firstStatus && {
        at: window.firstStatus,
        bytes: [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
          .filter(e => e.responseEnd <= window.firstStatus).reduce((sum, e) => sum + e.transferSize, 0),
      })
      if (seen) return seen
    }
    throw new Error('no frame showed a status')
  } finally {
    await context.close()
  }
}

for (const tenant of ready.tenants) await api(tenant, '/invoices', 'POST', {deal_id: deal}) // a status to show
const median = list => list.sort((a, b) => a - b)[Math.floor(list.length / 2)]
const seen = []
for (let i = 0; i < rounds; i++) for (const tenant of ready.tenants) seen.push(await open(tenant))
await browser.close()
const bytes = median(seen.map(s => s.bytes))
const least = 2 * line.latency + bytes / line.bytesPerSecond * 1000 // a round trip for the document, one for what it names
console.log(JSON.stringify({value: median(seen.map(s => s.at)), least, bytes, n: seen.length}))
