// What a person meets beside the main job, in a real browser on every CRM: two links in one click with the keyboard alone, a
// customer who comes back without paying, one whose phone runs no script, evidence in the opened row, and pages that a screen
// reader can read. Takes the demo's ready file.
import AxeBuilder from '@axe-core/playwright'
import {api, crmDeal, must, newContext, onEvery, openCard, paysHere, ready, serious} from './crm.mjs'

const deal = '4'

/** readable refuses what axe calls serious or critical; within is a selector, of our frame in the CRM's page where there is one. */
async function readable(page, what, within) {
  const axe = new AxeBuilder({page})
  const bad = serious(await (within ? axe.include(within) : axe).analyze())
  must(bad === '', `${what}: ${bad}`)
}

/** plan makes deposit and rest without a mouse and returns the link of the deposit, which is the one to send first. */
async function plan({page, frame}) {
  await frame.getByTestId('kind-deposit').focus()
  await page.keyboard.press('Enter')
  await frame.getByTestId('plan-percent').fill('30')
  await frame.getByTestId('create').focus()
  await page.keyboard.press('Enter')
  await page.keyboard.press('Enter') // pressing twice makes one plan
  await frame.getByTestId('link').first().waitFor()
  must(await frame.getByTestId('invoice').count() === 2, `a plan of two made ${await frame.getByTestId('invoice').count()} invoices`)
  await readable(page, 'the card with links', ['iframe', 'main'])
  await frame.getByTestId('send').focus()
  await page.keyboard.press('Enter')
  await frame.locator('.send p.muted').first().waitFor()
  return frame.getByTestId('link').first().getAttribute('href')
}

/** comesBack presses Pay, returns without paying, and checks that this changed nothing. */
async function comesBack(context, tenant, url, before) {
  const pay = await context.newPage()
  await pay.goto(url)
  await readable(pay, 'the pay page')
  await pay.getByTestId('pay').click()
  await pay.waitForURL(/api\.vpos\.am/)
  await pay.goto(`${url}/back`)
  await pay.locator('[data-testid=state][data-state=checking]').waitFor()
  await readable(pay, 'the page that waits')
  const now = await api(tenant, `/deals/${deal}`)
  must(now.paid.minor === 0 && now.invoices.every(i => i.status === 'awaiting_payment'), 'coming back without paying changed the invoice')
  const held = await crmDeal(tenant, deal)
  must(held.stage === before.stage && held.notes.length === before.notes.length, 'coming back without paying changed the deal in the CRM')
  await pay.close()
}

/** paysWithoutScript pays with JavaScript switched off, and waits for the page to say so by itself. */
async function paysWithoutScript(browser, url) {
  const context = await newContext(browser, 60_000, {javaScriptEnabled: false, viewport: {width: 360, height: 740}, locale: 'ru-RU'})
  try {
    await paysHere(await context.newPage(), url)
  } finally {
    await context.close()
  }
}

await onEvery(ready.tenants, 'people', 60_000, async (context, tenant, browser) => {
  const before = await crmDeal(tenant, deal)
  const card = await openCard(context, tenant, deal)
  await card.frame.getByTestId('create').waitFor()
  await readable(card.page, 'the first card', ['iframe', 'main'])
  const url = await plan(card)
  await comesBack(context, tenant, url, before)
  const rest = (await api(tenant, `/deals/${deal}`)).invoices.find(i => i.url !== url)
  await paysWithoutScript(browser, rest.url)
  await card.page.bringToFront()
  const paid = card.frame.locator('[data-testid=invoice][data-status=paid]')
  await paid.waitFor()
  await paid.locator('.row-main').focus()
  await card.page.keyboard.press('Enter')
  await card.frame.getByTestId('evidence').first().waitFor()
  await readable(card.page, 'the opened row', ['iframe', 'main'])
  const whole = await api(tenant, `/deals/${deal}`)
  must(whole.paid.minor + whole.outstanding.minor === whole.due.minor && whole.paid.minor > 0, 'deposit and rest do not make the whole')
  return 'deposit and rest by keyboard, a return without paying, paid without script, readable'
})
