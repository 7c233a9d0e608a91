// The main job in a real browser, once on every CRM: a manager opens a deal, creates a link, the customer pays on the
// acquirer's page, and the card, the fields, the timeline and the stage say so. Takes the demo's ready file.
import {onEvery, openCard, ready} from './crm.mjs'

const deal = '3'

await onEvery(ready.tenants, 'smoke', 'link created, paid, verified, and the CRM says so', 40_000, async (context, tenant) => {
  const {page, frame} = await openCard(context, tenant, deal)
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
})
