// The settings pages in a real browser, as the administrator of a CRM uses them: connects an acquirer with wrong and right
// credentials, maps a stage, routes, connects a mail server, imports a register and sees what differs, locks a month, takes
// an export, gives a role; in amoCRM chooses a field, in Kommo the look of links. Every section is looked at for what readers
// with a screen reader or weak eyes would meet. Takes
// the demo's ready file; with SHOTS=folder it leaves pictures there.
import {mkdir} from 'node:fs/promises'
import {createServer} from 'node:net'
import AxeBuilder from '@axe-core/playwright'
import {api, crmDeal, logIn, must, newContext, onEvery, ready, serious} from './crm.mjs'

const shots = process.env.SHOTS
const day = offset => new Date(Date.now() + 4 * 3_600_000 + offset * 86_400_000).toISOString().slice(0, 10) // in Yerevan

/** mailServer takes any letter, so that there is a server to be let in to. */
function mailServer() {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.write('220 mail\r\n')
    socket.on('data', data => {
      const said = data.toString().slice(0, 4).toUpperCase()
      socket.write(said === 'EHLO' ? '250-mail\r\n250 8BITMIME\r\n' : said === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n')
      if (said === 'QUIT') socket.end()
    })
  })
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)))
}

/** open opens the settings page as one of the CRM's users. */
async function open(context, tenant, user) {
  const {page, base} = await logIn(context, tenant, user)
  if (tenant.crm === 'bitrix24') await page.goto(base + '/market/app/')
  else {
    await page.goto(base + '/settings/widgets/')
    await page.getByTestId('advanced').first().click()
  }
  return {page, frame: page.frameLocator('iframe').first()}
}

/**
 * choose opens one of the kit's selects and takes an option. It waits until the list is gone and the select has the focus
 * again, which comes after a fading: a key pressed before that would open the list once more. Of several options that may
 * be taken at once, Escape ends the taking.
 */
async function choose(frame, testid, option, several = false) {
  const select = frame.getByTestId(testid).first()
  await select.click()
  await (typeof option === 'string' ? frame.getByRole('option', {name: option, exact: true}).first() : option).click()
  if (several) await option.press('Escape')
  await select.and(frame.locator('[data-state=closed]:focus')).waitFor()
}

async function jobs(frame, page, tenant) {
  const go = async (section, tab) => {
    await frame.getByTestId(`section-${section}`).press('Enter')
    if (tab) await frame.getByTestId(`tab-${tab}`).press('Enter')
  }
  const keep = async () => { // by keyboard, as many do
    await frame.getByTestId('save').press('Enter')
    await frame.getByText('Saved.', {exact: true}).waitFor()
  }

  await go('acquirers')
  await frame.getByTestId('connect-idram').press('Enter')
  await frame.locator('[name=account]').fill('100000114')
  await frame.locator('[name=secret]').fill('')
  await frame.getByTestId('keep').press('Enter') // the browser itself asks for what is missing
  await frame.getByTestId('acquirer-idram').locator('[name=secret]').fill('demo-idram-secret')
  await frame.getByTestId('keep').press('Enter')
  await frame.getByText('Idram is connected.').waitFor()
  await frame.getByTestId('connect-stripe').press('Enter')
  for (const [name, value] of Object.entries({secret_key: 'sk_test_wrong', webhook_secret: 'whsec_test_demo'})) await frame.locator(`[name=${name}]`).fill(value)
  await frame.getByTestId('keep').press('Enter')
  await frame.getByText('The credentials do not work').waitFor()
  await frame.locator('[name=secret_key]').fill('sk_test_demo')
  await frame.getByTestId('keep').press('Enter')
  await frame.getByText('Stripe is connected.').waitFor()
  await page.waitForLoadState('networkidle') // the list of acquirers is read again
  await choose(frame, 'route-currency', 'USD')
  await choose(frame, 'route-acquirers', frame.getByRole('option', {name: 'Stripe'}), true)
  await frame.getByTestId('route-add').press('Enter')
  await keep()
  must((await api(tenant, '/settings/payments')).routes[0].acquirers[0] === 'stripe', 'the rule was not kept')

  await go('exceptions') // the payment of a wrong amount
  const decide = async () => {
    await frame.getByTestId('decision-accept').press('Enter')
    await frame.getByTestId('reason').fill('The customer paid the rest in the shop')
    await frame.getByTestId('confirm').press('Enter')
  }
  await decide()
  const act = frame.getByTestId('act')
  await act.filter({hasText: 'Accept the payment'}).waitFor()
  await act.getByTestId('undo-act').press('Enter')
  await frame.getByTestId('undo-confirm').press('Enter') // the browser itself asks for the reason
  await frame.getByTestId('undo-reason').fill('It was another customer')
  await frame.getByTestId('undo-confirm').press('Enter')
  await act.filter({hasText: 'undone'}).waitFor()
  await frame.getByTestId('exception').waitFor() // it waits for a person again
  await decide()
  await act.nth(1).waitFor()

  await go('deals')
  await choose(frame, 'stage-awaiting_payment', frame.getByRole('option', {name: /\(won\)/}).first())
  await frame.getByText('cannot win a deal').first().waitFor()
  must(await frame.getByTestId('save').isDisabled(), 'a deal that is not paid could be won')
  await choose(frame, 'stage-awaiting_payment', 'Do not move')
  await choose(frame, 'stage-expired', frame.getByRole('option').nth(2))
  await frame.getByText('1 change to save').waitFor()
  await keep()
  await frame.getByTestId('fields').first().locator('summary').press('Enter')
  await choose(frame, 'place-status', 'Accounting: status')
  await frame.getByText('Open deals are not rewritten').waitFor()
  await keep()
  const {fields} = (await api(tenant, '/settings')).settings
  must(/^UF_CRM_/.test(fields['0']?.status), 'the field was not kept')

  await go('links', 'mail')
  const server = await mailServer()
  try {
    await frame.getByTestId('mail-host').fill('nowhere.localhost')
    await choose(frame, 'mail-security', 'Not encrypted, without a password')
    await frame.getByTestId('mail-port').fill('1')
    await frame.getByTestId('mail-sender').fill('pay@example.com')
    await frame.getByTestId('mail-save').press('Enter')
    await frame.getByText('The mail server cannot be reached').waitFor()
    await frame.getByTestId('mail-host').fill('localhost')
    await frame.getByTestId('mail-port').fill(String(server.address().port))
    await frame.getByTestId('mail-save').press('Enter')
    await frame.getByTestId('mailbox').waitFor()
  } finally {
    server.close()
  }
  await frame.getByTestId('tab-messages').press('Enter')
  await frame.getByTestId('message-begin').press('Enter')
  await keep()
  await frame.getByTestId('tab-rules').press('Enter')
  await choose(frame, 'rate-from', 'USD')
  await frame.getByTestId('rate-rate').fill('387,5')
  await frame.getByTestId('rate-add').press('Enter')
  await frame.getByTestId('limit-amount').fill('500000')
  await frame.getByTestId('limit-add').press('Enter')
  await keep()

  await go('books', 'registers')
  await choose(frame, 'register-acquirer', 'VPOS.am')
  await frame.getByTestId('register-file').setInputFiles({name: 'register.csv', mimeType: 'text/csv',
    buffer: Buffer.from(`Order;Amount;Fee;Settled\nSTRANGE-1;1500.00;15.00;${day(-1)}\n`)})
  for (const [column, heading] of Object.entries({amount: 'Amount', date: 'Settled', reference: 'Order', fee: 'Fee'})) await choose(frame, `column-${column}`, heading)
  await frame.getByTestId('register-import').press('Enter')
  await frame.getByText('1 new line was imported.').waitFor()
  await frame.getByTestId('tab-days').press('Enter')
  await choose(frame, 'compare-acquirer', 'VPOS.am')
  await frame.getByTestId('compare').press('Enter')
  await frame.getByTestId('mismatch').waitFor()
  await frame.getByTestId('judge-explained').press('Enter')
  await frame.getByTestId('judge-reason').fill('Paid to another shop of ours')
  await frame.getByTestId('judge').press('Enter')
  await frame.getByText('Paid to another shop of ours').waitFor()
  await frame.getByTestId('tab-exports').press('Enter')
  const download = page.waitForEvent('download')
  await frame.getByTestId('export').press('Enter')
  must(/\.xlsx$/.test((await download).suggestedFilename()), 'no workbook came')
  await frame.getByTestId('tab-months').press('Enter')
  const month = frame.locator('[data-testid^=month-]').nth(1)
  await month.getByRole('button').click()
  await month.getByRole('button', {name: 'Lock', exact: true}).click()
  await month.getByText('Locked').waitFor()

  await go('people')
  await choose(frame, /^role-/, 'Accountant')
  await keep()

  await go('audit')
  await choose(frame, 'audit-action', 'People')
  await frame.getByTestId('audit-search').press('Enter')
  await frame.getByTestId('entry').filter({hasText: 'Role changed'}).waitFor()
}

/** soon waits until something is so. */
async function soon(is, what) {
  for (let tries = 0; !await is(); tries++) {
    must(tries < 80, what)
    await new Promise(resolve => setTimeout(resolve, 250))
  }
}

/** saved presses Save and waits until the server has it; no words are looked for, since each administrator reads his own. */
async function saved(frame, tenant, is, what) {
  await frame.getByTestId('save').press('Enter')
  await soon(async () => is((await api(tenant, '/settings')).settings), what)
  await frame.getByRole('status').first().waitFor()
}

// What an administrator of amoCRM and one of Kommo come for, by where things stand and not by their words.
const errands = {
  /** amocrm has the accountants' own field say what is paid, and sees it said in a deal. */
  async amocrm(frame, tenant) {
    await frame.getByTestId('section-deals').press('Enter')
    await frame.getByTestId('fields').first().locator('summary').press('Enter')
    await choose(frame, 'place-status', 'Accounting: status')
    await saved(frame, tenant, s => Object.values(s.fields).some(lines => lines.status), 'the field was not kept')
    await pay(tenant, '6', 'paid')
    await soon(async () => (await crmDeal(tenant, '6')).fields[101] === 'Paid', 'the field of the deal does not say that it is paid')
  },
  /** kommo gives links a name, a colour and a day, and sees them on the pay page. */
  async kommo(frame, tenant) {
    await frame.getByTestId('section-links').press('Enter')
    await frame.getByTestId('tab-page').press('Enter')
    await frame.getByTestId('merchant').fill('Oak & Stone')
    await frame.getByTestId('link-hours').fill('0')
    must(await frame.getByTestId('save').isDisabled(), 'a link could live for no time')
    await frame.getByTestId('link-hours').fill('24')
    await frame.getByTestId('accent').fill('#0f766e')
    await saved(frame, tenant, s => s.merchant === 'Oak & Stone' && s.link_hours === 24, 'the page was not kept')
    const made = await api(tenant, '/invoices', 'POST', {deal_id: '6', amount: {minor: 1_000_000, currency: 'AMD'}})
    const page = await (await fetch(made.url)).text()
    must(page.includes('Oak &amp; Stone') && page.includes('#0f766e'), 'the pay page does not show the name and the colour')
    const hours = (new Date(made.expires_at) - Date.now()) / 3_600_000
    must(hours > 23.5 && hours <= 24, `the link lives for ${hours} hours`)
  },
}

const parts = [['overview'], ['acquirers'], ['deals'], ['links', 'page'], ['links', 'messages'], ['links', 'mail'], ['links', 'rules'], ['people'], ['exceptions'],
  ['books', 'days'], ['books', 'differences'], ['books', 'registers'], ['books', 'exports'], ['books', 'receipts'], ['books', 'months'], ['audit'], ['keys']]

/** inspect goes through all sections and requires that no reader is shut out, and that nothing is wider than its frame. */
async function inspect(page, frame, name) {
  for (const [section, tab] of parts) {
    if (await frame.getByTestId('jump').isVisible()) await frame.getByTestId('jump').selectOption(section)
    else await frame.getByTestId(`section-${section}`).press('Enter')
    if (tab) await frame.getByTestId(`tab-${tab}`).press('Enter')
    await page.waitForLoadState('networkidle')
    const inner = page.frames().find(f => f !== page.mainFrame() && /settings|market|app/.test(f.url())) ?? page.frames().at(-1)
    const wide = await inner.evaluate(() => document.documentElement.scrollWidth > innerWidth)
    must(!wide, `${section} ${tab ?? ''} is wider than its frame`)
    const bad = serious(await new AxeBuilder({page}).include(['iframe', '.settings']).analyze())
    must(bad === '', `${section} ${tab ?? ''}: ${bad}`)
    if (shots) await page.locator('iframe').first().screenshot({path: `${shots}/${name}-${section}${tab ? '-' + tab : ''}.png`})
  }
}

/** pay makes a link in a deal and does what a customer does with it. */
async function pay(tenant, deal, outcome) {
  const made = await api(tenant, '/invoices', 'POST', {deal_id: deal, amount: {minor: 1_000_000, currency: 'AMD'}})
  const paying = await fetch(`${made.url}/pay`, {method: 'POST', redirect: 'manual'})
  const url = paying.headers.get('location')
  const paid = await fetch(`${ready.control[tenant.acquirer]}/pay`, {method: 'POST', body: JSON.stringify({url, outcome, notices: 1}), headers: {'Content-Type': 'application/json'}})
  must(paid.ok, `paying answered ${paid.status}`)
  await soon(async () => (await api(tenant, `/invoices/${made.id}`)).status !== 'awaiting_payment', 'a payment was not learnt of')
}

/** trouble leaves something to look at: a payment of the wrong amount, and one that is right. */
async function trouble(tenant) {
  await pay(tenant, '4', 'wrong_amount')
  await pay(tenant, '5', 'paid')
}

const done = {
  bitrix24: 'an administrator did everything on the settings page, and every section is readable',
  amocrm: "an administrator had the accountants' own field say what is paid, and every section is readable",
  kommo: 'an administrator gave links a name, a colour and a day',
}

if (shots) await mkdir(shots, {recursive: true})
await onEvery(ready.tenants.filter(t => !process.env.ONLY || t.crm === process.env.ONLY), 'settings', 40_000, async (context, tenant, browser) => {
  const visitor = await newContext(browser, 40_000)
  try {
    await trouble(tenant)
    const refused = await open(visitor, tenant, 1)
    if (tenant.crm === 'bitrix24') await refused.frame.getByText('Not for your role').waitFor()
    const {page, frame} = await open(context, tenant, 0)
    await page.setViewportSize({width: 1440, height: 1000})
    await frame.getByTestId('health-crm').waitFor()
    if (tenant.crm === 'bitrix24') await jobs(frame, page, tenant) // in English; the administrator of amoCRM reads Russian
    else await errands[tenant.crm](frame, tenant)
    if (tenant.crm !== 'kommo') await inspect(page, frame, tenant.crm) // Kommo's pages are amoCRM's
    if (tenant.crm === 'bitrix24') {
      await refused.page.reload()
      await refused.frame.getByTestId('section-books').waitFor()
      must(await refused.frame.getByTestId('section-acquirers').count() === 0, 'an accountant sees the acquirers')
    }
    return done[tenant.crm]
  } finally {
    await visitor.close()
  }
})
