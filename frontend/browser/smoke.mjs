// The main job in a real browser, once on every CRM: a manager opens a deal, creates a link, the customer pays on the
// acquirer's page, and the card, the fields, the timeline and the stage say so. Takes the demo's ready file.
import {must, onEvery, openCard, paysHere, ready} from './crm.mjs'

const deal = '3'

await onEvery(ready.tenants, 'smoke', 40_000, async (context, tenant) => {
  const {page, frame} = await openCard(context, tenant, deal)
  await frame.getByTestId('create').dblclick() // one link however often it is pressed
  await frame.getByTestId('invoice').first().waitFor()
  const rows = await frame.getByTestId('invoice').count()
  must(rows === 1, `a double click made ${rows} invoices`)
  const url = await frame.getByTestId('link').first().evaluate(e => e.getAttribute('href') ?? e.dataset.url ?? e.textContent)

  await paysHere(await context.newPage(), url)

  await page.bringToFront()
  await frame.locator('[data-testid=status][data-status=paid]').or(frame.getByTestId('status').filter({hasText: /paid|оплачено/i})).first().waitFor()
  const note = page.getByTestId('note').first()
  await note.waitFor()
  const text = await note.textContent()
  must(text.includes('AMD'), `the note does not name the currency: ${text}`)
  await page.getByTestId('stage').first().waitFor()
  return 'link created, paid, verified, and the CRM says so'
})
