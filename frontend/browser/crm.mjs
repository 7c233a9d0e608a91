// What the browser tests share: the browser, the demo's ready file, and the way to a deal's card as the manager goes it.
import {readFileSync} from 'node:fs'
import {dirname} from 'node:path'
import {chromium} from 'playwright-core'

export const readyFile = process.argv[2]
export const ready = JSON.parse(readFileSync(readyFile, 'utf8'))
const port = new URL(ready.standins_url).port

/** launch starts the browser, with more switches where a measurement needs them. */
export const launch = (...more) => chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', ...more],
})

/** must ends a test that finds something else than it should. */
export function must(good, what) {
  if (!good) throw new Error(what)
}

/** newContext is a browsing context of its own, with so many milliseconds for each step. */
export async function newContext(browser, timeout, options = {}) {
  const context = await browser.newContext({viewport: {width: 1200, height: 900}, locale: 'en-GB', ...options})
  context.setDefaultTimeout(timeout)
  return context
}

/**
 * onEvery does a job once for each tenant, in a browsing context of its own, says how it went, and ends the process. What failed
 * is said with its place and pictured. job takes the context, the tenant and the browser and returns what was seen, in words;
 * timeout is in milliseconds, for each step.
 */
export async function onEvery(tenants, name, timeout, job) {
  const browser = await launch()
  let good = true
  for (const tenant of tenants) {
    const context = await newContext(browser, timeout)
    try {
      console.log(`ok    ${tenant.crm}: ${await job(context, tenant, browser)}`)
    } catch (error) {
      const shot = `${dirname(readyFile)}/${name}-${tenant.crm}.png`
      await context.pages()[0]?.screenshot({path: shot, fullPage: true}).catch(() => {})
      console.log(`FAIL  ${tenant.crm}: ${error.stack} (see ${shot})`)
      good = false
    } finally {
      await context.close()
    }
  }
  await browser.close()
  process.exit(good ? 0 : 1)
}

/** logIn opens the CRM as one of its users, the first being the administrator, and returns its page and its address. */
export async function logIn(context, tenant, user) {
  const page = await context.newPage()
  const base = `http://${tenant.account}.localhost:${port}`
  await page.goto(`${base}/`)
  await page.locator('[data-testid^=login-]').nth(user).click()
  return {page, base}
}

/** dealLink is where the CRM's list leads to a deal. */
export function dealLink(page, deal) {
  return page.locator(`[data-testid="deal-${deal}"] a, a[data-testid="deal-${deal}"]`).first()
}

/** openDeal opens a deal of the CRM's list and returns the frame of our card in it. */
export async function openDeal(page, deal) {
  await dealLink(page, deal).click()
  return page.frameLocator('iframe').first()
}

/** openCard opens a deal as the manager and returns the CRM's page and the frame of our card in it. */
export async function openCard(context, tenant, deal) {
  const {page} = await logIn(context, tenant, 1)
  return {page, frame: await openDeal(page, deal)}
}

/** api calls our API with the tenant's key. */
export async function api(tenant, path, method = 'GET', body = undefined) {
  const answer = await fetch(`${ready.app_url}/api/v1${path}`, {method, body: body && JSON.stringify(body),
    headers: {Authorization: `Bearer ${tenant.api_key}`, 'Content-Type': 'application/json', 'Idempotency-Key': `browser-${Math.random()}`}})
  must(answer.ok, `${method} ${path} answered ${answer.status}: ${answer.ok ? '' : await answer.clone().text()}`)
  return answer.json()
}

/** crmDeal is a deal as its CRM holds it. */
export async function crmDeal(tenant, id) {
  const state = await (await fetch(`${ready.control[tenant.account]}/state`)).json()
  return state.deals.find(deal => String(deal.id) === id)
}

/** paysHere presses Pay on our page and on the acquirer's, and waits until our page says that the money came. */
export async function paysHere(page, url) {
  await page.goto(url)
  await page.getByTestId('pay').click()
  await page.waitForURL(/api\.vpos\.am/)
  await page.getByTestId('pay').click()
  await page.waitForURL(/\/p\//)
  await page.locator('[data-testid=state][data-state=paid]').waitFor()
}

/** serious are what axe calls serious or critical, in words. */
export function serious({violations}) {
  return violations.filter(v => v.impact === 'serious' || v.impact === 'critical').map(v => `${v.id} at ${v.nodes[0]?.target.join(' ')}`).join('; ')
}
