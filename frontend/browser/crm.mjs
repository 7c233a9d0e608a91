// What the browser tests share: the browser, the demo's ready file, and the way to a deal's card as the manager goes it.
import {readFileSync} from 'node:fs'
import {chromium} from 'playwright-core'

export const readyFile = process.argv[2]
export const ready = JSON.parse(readFileSync(readyFile, 'utf8'))
const port = new URL(ready.standins_url).port

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
})

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
