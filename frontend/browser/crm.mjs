// What the browser tests share: the browser, the demo's ready file, and the way to a deal's card as the manager goes it.
import {readFileSync} from 'node:fs'
import {dirname} from 'node:path'
import {chromium} from 'playwright-core'

export const readyFile = process.argv[2]
export const ready = JSON.parse(readFileSync(readyFile, 'utf8'))
const port = new URL(ready.standins_url).port

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
})

/**
 * onEvery does a job once for each tenant, in a browsing context of its own, says how it went, and ends the process. What failed
 * is said with its place and pictured. job takes the context and the tenant; timeout is in milliseconds, for each step.
 */
export async function onEvery(tenants, name, did, timeout, job) {
  let good = true
  for (const tenant of tenants) {
    const context = await browser.newContext({viewport: {width: 1200, height: 900}, locale: 'en-GB'})
    context.setDefaultTimeout(timeout)
    try {
      await job(context, tenant)
      console.log(`ok    ${tenant.crm}: ${did}`)
    } catch (error) {
      const shot = `${dirname(readyFile)}/${name}-${tenant.crm}.png`
      await context.pages()[0]?.screenshot({path: shot}).catch(() => {})
      console.log(`FAIL  ${tenant.crm}: ${error.stack} (see ${shot})`)
      good = false
    } finally {
      await context.close()
    }
  }
  await browser.close()
  process.exit(good ? 0 : 1)
}

/** openCard opens a deal as the manager and returns the CRM's page and the frame of our card in it. */
export async function openCard(context, tenant, deal) {
  const page = await context.newPage()
  await page.goto(`http://${tenant.account}.localhost:${port}/`)
  await page.locator('[data-testid^=login-]').nth(1).click()
  await page.getByTestId(`deal-${deal}`).locator('a').or(page.locator(`a[data-testid=deal-${deal}]`)).first().click()
  return {page, frame: page.frameLocator('iframe').first()}
}

/** api calls our API with the tenant's key. */
export async function api(tenant, path) {
  const answer = await fetch(`${ready.app_url}/api/v1${path}`, {headers: {Authorization: `Bearer ${tenant.api_key}`}})
  if (!answer.ok) throw new Error(`${path} answers ${answer.status}`)
  return answer.json()
}

/** crmDeal is a deal as its CRM holds it. */
export async function crmDeal(tenant, id) {
  const state = await (await fetch(`${ready.control[tenant.account]}/state`)).json()
  return state.deals.find(deal => String(deal.id) === id)
}
