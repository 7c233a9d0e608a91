// Takes pictures of the pages in their states and says what readers with a screen reader or weak eyes would meet:
// npm run shots [filter]. The pictures go to test/shots.
import {mkdir} from 'node:fs/promises'
import AxeBuilder from '@axe-core/playwright'
import {chromium} from 'playwright-core'
import {cards} from './data.mjs'
import {serve} from './server.mjs'

const filter = process.argv[2] ?? ''
const out = process.env.SHOTS ? process.env.SHOTS + '/' : new URL('./shots/', import.meta.url).pathname
await mkdir(out, {recursive: true})
const server = await serve()
const browser = await chromium.launch({executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox']})

async function shot(name, path, width, {scheme = 'light', act} = {}) {
  if (!name.includes(filter)) return
  const context = await browser.newContext({viewport: {width, height: 600}, colorScheme: scheme, deviceScaleFactor: 2})
  const page = await context.newPage()
  page.on('console', message => message.type() === 'error' && console.log(name, message.text()))
  page.on('pageerror', error => console.log(name, error.message))
  await page.goto(server.url + path)
  await page.locator('.balance, .notice, .settings').first().waitFor()
  await page.evaluate(() => document.fonts.ready)
  await page.waitForTimeout(path.startsWith('/card') ? 300 : 1500) // what is fetched behind the first screen
  if (act) await act(page)
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
  if (wide) console.log(name, 'is wider than its frame')
  const {violations} = width === 245 ? {violations: []} : await new AxeBuilder({page}).analyze()
  for (const v of violations) console.log(name, v.id, v.help, v.nodes.slice(0, 2).map(n => n.target.join(' ')).join(' | '))
  await page.screenshot({path: `${out}${name}.png`, fullPage: true})
  await context.close()
}

for (const state of Object.keys(cards)) {
  for (const width of [245, 400, 700]) await shot(`card-${state}-${width}`, `/card?state=${state}`, width)
}
await shot('card-needs-hy-245', '/card?state=needs&lang=hy', 245)
await shot('card-open-ru-245', '/card?state=late&lang=ru', 245, {act: async page => {
  await page.locator('.row-main').first().click()
  await page.waitForTimeout(400)
}})
await shot('card-first-hy-245', '/card?state=first&lang=hy', 245)
await shot('card-mixed-ru-245', '/card?state=mixed&lang=ru', 245)
for (const state of Object.keys(cards)) await shot(`card-${state}-dark-700`, `/card?state=${state}`, 700, {scheme: 'dark'})
await shot('card-mixed-dark-400', '/card?state=mixed', 400, {scheme: 'dark'})
await shot('card-needs-dark-245', '/card?state=needs', 245, {scheme: 'dark'})
await shot('card-open-400', '/card?state=late', 400, {act: async page => {
  await page.locator('.row-main').first().click()
  await page.getByTestId('menu').first().click()
  await page.waitForTimeout(400)
}})
await shot('card-refund-245', '/card?state=paid', 245, {act: async page => {
  await page.getByTestId('menu').first().click()
  await page.getByTestId('refund').click()
}})
await shot('card-plan-deposit-245', '/card?state=first', 245, {act: async page => {
  await page.getByTestId('kind-deposit').click()
  await page.getByTestId('plan').waitFor()
}})
for (const width of [400, 700]) {
  await shot(`card-plan-parts-${width}`, '/card?state=first', width, {act: async page => {
    await page.getByTestId('kind-parts').click()
    await page.getByTestId('plan').waitFor()
  }})
}
await shot('card-ways-ru-245', '/card?state=unsent&lang=ru', 245, {act: async page => {
  await page.getByTestId('ways').click()
  await page.getByTestId('channels').waitFor()
}})
await shot('card-ways-400', '/card?state=resend', 400, {act: async page => {
  await page.getByTestId('ways').click()
  await page.getByTestId('channels').waitFor()
}})
await shot('card-menu-400', '/card?state=resend', 400, {act: async page => {
  await page.getByTestId('menu').first().click()
  await page.locator('.menu').waitFor()
}})
await shot('card-move-245', '/card?state=needs&lang=hy', 245, {act: page => page.getByTestId('decision-move').click()})
await shot('card-decide-245', '/card?state=needs', 245, {act: page => page.getByTestId('decision-refund').click()})
const sections = ['overview', 'acquirers', 'deals', 'links/page', 'links/messages', 'links/mail', 'links/rules', 'people', 'exceptions', 'books/days', 'books/differences', 'books/registers',
  'books/exports', 'books/receipts', 'books/months', 'audit', 'keys']
for (const section of sections) {
  const name = section.replace('/', '-')
  for (const width of [400, 1200]) await shot(`settings-${name}-${width}`, `/settings#${section}`, width)
  await shot(`settings-${name}-hy-400`, `/settings?lang=hy#${section}`, 400)
  await shot(`settings-${name}-ru-dark-1200`, `/settings?lang=ru#${section}`, 1200, {scheme: 'dark'})
}
for (const [lang, width] of [['en', 400], ['hy', 400], ['en', 1200]]) {
  await shot(`settings-fields-${lang}-${width}`, `/settings?lang=${lang}#deals`, width, {act: async page => {
    await page.getByTestId('fields').first().locator('summary').press('Enter')
    await page.getByTestId('place-paid').first().click()
    await page.getByRole('option').nth(3).click()
    await page.waitForTimeout(300)
  }})
}
await shot('settings-connect-400', '/settings?lang=hy#acquirers', 400, {act: page => page.getByTestId('connect-idram').click()})
await shot('settings-dark-1200', '/settings?lang=ru#overview', 1200, {scheme: 'dark'})
await shot('settings-refused-1200', '/settings#deals', 1200, {act: async page => {
  await page.getByTestId('stage-awaiting_payment').first().click()
  await page.getByRole('option', {name: 'Deal won (won)'}).click()
}})
await browser.close()
server.close()
