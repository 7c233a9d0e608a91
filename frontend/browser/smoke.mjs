// The main job in a real browser, once on every CRM: a manager opens a deal, creates a link, the customer pays on the
// acquirer's page, and the card, the fields, the timeline and the stage say so. Takes the demo's ready file.
import {readFileSync} from 'node:fs'
import {dirname} from 'node:path'
import {chromium} from 'playwright-core'

const ready = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const port = new URL(ready.standins_url).port
const deal = '3'
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
})

/** card opens the deal as the manager and returns the page and the frame of our card in it. */
async function card(context, tenant) {
  const page = await context.newPage()
  await page.goto(`http://${tenant.account}.localhost:${port}/`)
  await page.locator('[data-testid^=login-]').nth(1).click()
  const row = page.getByTestId(`deal-${deal}`)
  await row.locator('a').or(page.locator(`a[data-testid=deal-${deal}]`)).first().click()
  const frame = page.frameLocator('iframe').first()
  return {page, frame}
}

async function run(tenant) {
  const context = await browser.newContext({viewport: {width: 1200, height: 900}, locale: 'en-GB'})
  context.setDefaultTimeout(15_000)
  try {
    const {page, frame} = await card(context, tenant)
    await frame.getByTestId('create').dblclick() // one link however often it is pressed
    await frame.getByTestId('invoice').first().waitFor()
    const rows = await frame.getByTestId('invoice').count()
    if (rows !== 1) throw new Error(`a double click made ${rows} invoices`)
    const url = await frame.getByTestId('link').first().evaluate(e => e.getAttribute('href') ?? e.dataset.url ?? e.textContent)

    const pay = await context.newPage()
    await pay.goto(url)
    await pay.getByTestId('pay').click()
    await pay.waitForURL(/api\.vpos\.am/)
    await pay.getByTestId('pay').click()
    await pay.waitForURL(/\/p\//)
    await pay.locator('[data-testid=state][data-state=paid]').waitFor()

    await page.bringToFront()
    await frame.locator('[data-testid=status][data-status=paid]').or(frame.getByTestId('status').filter({hasText: /paid|оплачено/i})).first().waitFor()
    const note = page.getByTestId('note').first()
    await note.waitFor()
    const text = await note.textContent()
    if (!text.includes('AMD')) throw new Error(`the note does not name the currency: ${text}`)
    await page.getByTestId('stage').first().waitFor()
    console.log(`ok    ${tenant.crm}: link created, paid, verified, and the CRM says so`)
  } catch (error) {
    const shot = `${dirname(process.argv[2])}/smoke-${tenant.crm}.png`
    await context.pages()[0]?.screenshot({path: shot}).catch(() => {})
    console.log(`FAIL  ${tenant.crm}: ${error.message.split('\n')[0]} (see ${shot})`)
    return false
  } finally {
    await context.close()
  }
  return true
}

let good = true
for (const tenant of ready.tenants) good = await run(tenant) && good
await browser.close()
process.exit(good ? 0 : 1)
