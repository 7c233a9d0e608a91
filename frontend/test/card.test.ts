import {flushPromises, mount} from '@vue/test-utils'
import {afterEach, beforeEach, expect, test, vi} from 'vitest'
import {Api} from '../src/api'
import Card from '../src/card/Card.vue'
import type {Card as CardView} from '../src/state'
import {speak, type Words} from '../src/words'
import en from '../src/words/en.json'
import more from '../src/words/en.more.json'
import {amd, card, cards, exception, history, invoice, message, now, paid, sent} from './data.mjs'

type Answers = (method: string, path: string, body: Record<string, unknown>) => unknown
let calls: {method: string; path: string; body: Record<string, unknown>; key?: string}[]
let current: CardView | null
let answers: Answers
let copied: string[]
const open: {unmount: () => void}[] = []

beforeEach(() => {
  vi.useFakeTimers({now: new Date(now), toFake: ['setTimeout', 'clearTimeout', 'Date']})
  calls = []
  copied = []
  answers = (method, path) => (method === 'POST' ? sent({id: path.split('/')[2]}) : path.endsWith('/history') ? history : current)
  Object.defineProperty(navigator, 'clipboard', {configurable: true, value: {writeText: async (text: string) => { copied.push(text) }}})
})
afterEach(() => {
  open.splice(0).forEach(w => w.unmount())
  vi.useRealTimers()
})

const send: typeof fetch = async (url, init) => {
  const path = String(url).replace('/api/v1', '')
  const body = JSON.parse(String(init?.body ?? '{}')) as Record<string, unknown>
  const method = init?.method ?? 'GET'
  calls.push({method, path, body, key: (init?.headers as Record<string, string>)['Idempotency-Key']})
  const said = path.includes('/message?') ? message : await answers(method, path, body)
  if (said instanceof Error) throw said
  if (said instanceof Response) return said
  return new Response(JSON.stringify(said), {status: 200})
}

async function show(view: CardView | null, problem: object | null = null) {
  current = view
  const host = {lang: 'en', session: async () => 's', resize: vi.fn(), openSettings: vi.fn()}
  const state = {host: '', page: 'card', lang: 'en', session: 's', expires_at: '', deal_id: '1', parent_origin: '', card: view, settings: null, problem}
  const api = new Api(host, 'en', '/api/v1', send)
  const page = mount(Card, {props: {state, api, host, say: speak('en', {...en, ...more} as Words), more: async () => {}} as never, attachTo: document.body})
  open.push(page)
  if (view || problem) {
    await vi.dynamicImportSettled()
    await flushPromises()
  }
  const at = (id: string) => page.find(`[data-testid="${id}"]`)
  return {page, at, host, text: () => page.text().replace(/\u00a0/g, ' ')}
}
const posts = () => calls.filter(c => c.method !== 'GET')

test('a deal whose only invoice was cancelled owes nothing, rather than nothing of nothing', async () => {
  const {at} = await show(cards.cancelled ?? null)
  expect(at('balance').text()).toBe('Nothing is due yet')
  expect(at('status').text()).toBe('Cancelled')
})

test('the first card ever helps, and is filled in from the deal', async () => {
  const {at, text} = await show(cards.first ?? null)
  expect(text()).toContain('Nothing is due yet')
  expect(text()).toContain('The payment appears here by itself.')
  expect((at('amount').element as HTMLInputElement).value).toBe('150\u00a0000')
  expect((at('expires').element as HTMLInputElement).value).toBe('2025-03-13T12:00')
})

test('pressing twice makes one invoice, and a retry after a lost answer keeps its key', async () => {
  const {at, page, text} = await show(cards.first ?? null)
  await at('amount').setValue('50 000,50')
  answers = method => (method === 'POST' ? new TypeError('lost') : current)
  await page.find('form.create').trigger('submit')
  await page.find('form.create').trigger('submit')
  await flushPromises()
  expect(text()).toContain('No connection')
  const made = invoice()
  current = card({status: 'awaiting_payment', due: amd(5000000), outstanding: amd(5000000), invoices: [made]}, {defaults: {amount: amd(0), purpose: '', expires_at: now}})
  answers = method => (method === 'POST' ? made : current)
  await page.find('form.create').trigger('submit')
  await flushPromises()
  expect(posts().length).toBe(2)
  expect(posts()[0]?.key).toBe(posts()[1]?.key)
  expect(posts()[0]?.body).toEqual({deal_id: '1', amount: amd(5000050), purpose: 'Kitchen, oak', expires_at: '2025-03-13T08:00:00Z'})
  await vi.dynamicImportSettled()
  await flushPromises()
  expect(at('link').attributes('href')).toBe(made.url)
})

test('another amount is another invoice, so it gets another key', async () => {
  const {at, page} = await show(cards.first ?? null)
  answers = method => (method === 'POST' ? new TypeError('lost') : current)
  await page.find('form.create').trigger('submit')
  await flushPromises()
  await at('amount').setValue('7')
  await page.find('form.create').trigger('submit')
  await flushPromises()
  expect(posts()[0]?.key).not.toBe(posts()[1]?.key)
})

test('an amount or a time that cannot be used is explained and not sent', async () => {
  const {at, page, text} = await show(cards.first ?? null)
  await at('amount').setValue('abc')
  await at('expires').setValue('2025-03-01T10:00')
  await page.find('form.create').trigger('submit')
  expect(text()).toContain('Enter an amount such as 150,000 ֏.')
  expect(text()).toContain('Choose a time that is still to come.')
  expect(at('amount').attributes('aria-invalid')).toBe('true')
  expect(posts()).toEqual([])
})

test('sending copies the whole message and logs it; afterwards it is resent', async () => {
  const {at, text} = await show(cards.unsent ?? null)
  expect(at('send').text()).toBe('Copy message to send')
  await flushPromises()
  answers = method => (method === 'POST' ? sent() : current)
  await at('send').trigger('click')
  await flushPromises()
  expect(copied).toEqual([message.text])
  expect(posts()).toMatchObject([{path: '/invoices/i1/send', body: {channel: 'copy'}}])
  expect(at('send').text()).toBe('Copied')
  await vi.advanceTimersByTimeAsync(3000)
  expect(at('send').text()).toBe('Copy message to resend')
  expect(text()).toContain('Last sent 11:58 · you')
})

test('when the browser forbids copying, the text is there to copy by hand', async () => {
  Object.defineProperty(navigator, 'clipboard', {configurable: true, value: undefined})
  const {at, page} = await show(cards.unsent ?? null)
  answers = () => sent()
  await at('copy').trigger('click')
  await flushPromises()
  expect((page.find('textarea').element as HTMLTextAreaElement).value).toBe(invoice().url)
})

test('a decision asks for its reason with the consequence in the question', async () => {
  const {at, page, text} = await show(cards.needs ?? null)
  expect(text()).toContain('Paid twice')
  await at('decision-refund').trigger('click')
  expect(text()).toContain('This cannot be undone.')
  await at('reason').setValue('The customer asked')
  answers = (method, path) => (path.includes('/exceptions/') ? exception() : current)
  current = cards.paid ?? null
  await page.find('form.ask').trigger('submit')
  await flushPromises()
  expect(posts()).toMatchObject([{path: '/exceptions/e1/resolve', body: {decision: 'refund', reason: 'The customer asked'}}])
  expect(at('exception').exists()).toBe(false)
})

test('when all is paid nothing is left to do', async () => {
  const {at, text} = await show(cards.paid ?? null)
  expect(text()).toContain('Paid 50,000 of 50,000 ֏')
  expect(at('create').exists() || at('send').exists()).toBe(false)
  expect(at('status').attributes('data-status')).toBe('paid')
  expect(at('clocks').exists()).toBe(false)
})

test('a late CRM says why and when it is tried again, by itself', async () => {
  const {text} = await show(cards.late ?? null)
  expect(text()).toContain('in CRM not yet')
  expect(text()).toContain('The CRM is not up to date yet: it is busy. Next try 12:06.')
})

test('an opened row shows attempts, sendings and history', async () => {
  const {page, text} = await show(cards.paid ?? null)
  await page.find('.row-main').trigger('click')
  await vi.dynamicImportSettled()
  await flushPromises()
  expect(text()).toContain('VPOS.am')
  expect(text()).toContain('reference 18273645')
  expect(text()).toContain('copied to a chat you')
  expect(text()).toContain('Link sent')
  expect(text()).toContain('in CRM 12:04')
})

test('a decision is taken back by who may make it, with a reason', async () => {
  const made = {id: 'x1', decision: 'accept', undone: false, by: 'user:7', reason: 'The deal stands', reference: '', at: now}
  const decided = (undone: boolean) => paid({decisions: [{...made, undone}, {...made, id: 'x2', decision: 'write_off'}]})
  const view = cards.paid as CardView
  const {page, at, text} = await show({...view, role: 'manager', deal: {...view.deal, invoices: [decided(false)]}} as CardView)
  await page.find('.row-main').trigger('click')
  await vi.dynamicImportSettled()
  await flushPromises()
  expect(page.findAll('[data-testid="undo-decision"]').length).toBe(1)
  await at('undo-decision').trigger('click')
  expect(text()).toContain('The payment waits for a person again')
  await at('reason').setValue('It does not')
  current = {...view, role: 'manager', deal: {...view.deal, invoices: [decided(true)]}} as CardView
  answers = (method, path) => (method === 'POST' ? decided(true) : path.endsWith('/history') ? history : current)
  await page.find('form.ask').trigger('submit')
  await flushPromises()
  expect(posts()).toMatchObject([{path: '/decisions/x1/undo', body: {reason: 'It does not'}}])
  expect(at('decisions').text()).toContain('undone')
})

test('a refund recorded by hand is taken back by an administrator, one of the acquirer is not', async () => {
  const made = {id: 'r1', amount: amd(500000), status: 'done', method: 'cash', reference: 'KO-1', reason: 'The card is closed', asked_by: 'user:1', approved_by: '', created_at: '2025-03-10T08:00:00Z'}
  const refunded = (status: string) => paid({refunds: [{...made, status}, {...made, id: 'r2', method: 'api'}]})
  const view = cards.paid as CardView
  const {page, at, text} = await show({...view, deal: {...view.deal, invoices: [refunded('done')]}} as CardView)
  await page.find('.row-main').trigger('click')
  await vi.dynamicImportSettled()
  await flushPromises()
  expect(page.findAll('[data-testid="undo-refund"]').length).toBe(1)
  await at('undo-refund').trigger('click')
  expect(text()).toContain('Take back the record that 5,000 ֏ was given back?')
  await at('reason').setValue('It never left')
  answers = (method, path) => (method === 'POST' ? refunded('undone') : path.endsWith('/history') ? {items: [], next: null} : {...view, deal: {...view.deal, invoices: [refunded('undone')]}})
  await page.find('form.ask').trigger('submit')
  await flushPromises()
  expect(posts()).toMatchObject([{path: '/refunds/r1/undo', body: {reason: 'It never left'}}])
  expect([at('refunds').text().includes('taken back'), at('undo-refund').exists()]).toEqual([true, false])
})

test('a refund cannot be more than what was taken, and says the amount', async () => {
  const {at, page, text} = await show(cards.paid ?? null)
  await at('menu').trigger('click')
  await vi.dynamicImportSettled()
  await at('refund').trigger('click')
  await at('refund-amount').setValue('60000')
  expect(text()).toContain('At most 50,000 ֏.')
  expect(at('confirm').attributes('disabled')).toBeDefined()
  await at('refund-amount').setValue('15000')
  expect(text()).toContain("Refund 15,000 ֏ to the card of Customer? This cannot be undone.")
  await at('reason').setValue('Returned')
  answers = method => (method === 'POST' ? paid({status: 'partially_refunded', refunded: amd(1500000)}) : current)
  await page.find('form.ask').trigger('submit')
  await flushPromises()
  expect(posts()).toMatchObject([{path: '/invoices/i0/refunds', body: {amount: amd(1500000), reason: 'Returned'}}])
  expect(posts()[0]?.key).toBeTruthy()
})

test('only what the server allows is offered', async () => {
  const {at, page} = await show(card({status: 'cancelled', due: amd(0), invoices: [invoice({status: 'cancelled', can: []})]}))
  expect(at('menu').exists()).toBe(false)
  expect(page.findAll('[data-testid="invoice"]').length).toBe(1)
  expect(at('create').exists()).toBe(true)
})

test('without an acquirer the card says who can connect one', async () => {
  expect((await show(cards.notready ?? null)).text()).toContain('Ask an administrator')
  const admin = await show(card({}, {ready: false}))
  expect(admin.text()).toContain('Open settings')
  expect(admin.at('create').exists()).toBe(false)
})

test('without rights there is a sentence and no card', async () => {
  const {text, at} = await show(null, {type: '', status: 403, code: 'deal_hidden', title: 'Forbidden', detail: '', request_id: ''})
  expect(text()).toContain('This deal is not yours to see')
  expect(at('balance').exists()).toBe(false)
  expect(calls).toEqual([])
})

test('test mode is always said', async () => {
  expect((await show(cards.needs ?? null)).at('test-badge').text()).toContain('no real money')
  expect((await show(cards.paid ?? null)).at('test-badge').exists()).toBe(false)
})

test('the card loads when the server had nothing, and keeps what it knows when the net is gone', async () => {
  current = cards.unsent ?? null
  let give: (view: unknown) => void = () => {}
  answers = () => new Promise(resolve => { give = resolve })
  const {page, at, text} = await show(null)
  expect(page.find('.skeleton').exists()).toBe(true)
  give(cards.unsent)
  await vi.advanceTimersByTimeAsync(0)
  await flushPromises()
  expect(at('balance').exists() || text().includes('Nothing')).toBe(true)
  answers = () => new TypeError('gone')
  await vi.advanceTimersByTimeAsync(4_100)
  await flushPromises()
  expect(at('offline').text()).toContain('No connection. This is how it was at 12:05')
  answers = () => current
  await vi.advanceTimersByTimeAsync(4_100)
  await flushPromises()
  expect(at('offline').exists()).toBe(false)
})

test('it asks often while something may change and rarely otherwise', async () => {
  await show(cards.unsent ?? null)
  await vi.advanceTimersByTimeAsync(12_500)
  expect(calls.filter(c => c.path === '/card').length).toBe(3)
  calls = []
  open.splice(0).forEach(w => w.unmount())
  await show(cards.paid ?? null)
  await vi.advanceTimersByTimeAsync(40_000)
  expect(calls.length).toBe(0)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(calls.length).toBe(1)
})

const click = async (page: Awaited<ReturnType<typeof show>>['page'], id: string) => {
  await page.find(`[data-testid="${id}"]`).trigger('click')
  await vi.dynamicImportSettled()
  await flushPromises()
}

test('deposit and rest are two links in one click, and their amounts are on screen before', async () => {
  const {at, page, text} = await show(cards.first ?? null)
  await click(page, 'kind-deposit')
  await at('plan-percent').setValue(30)
  expect(text()).toContain('Deposit45,000 ֏')
  expect(text()).toContain('Rest105,000 ֏')
  expect(at('create').text()).toBe('Create 2 links')
  answers = method => (method === 'POST' ? {items: cards.plan?.deal.invoices, next: null} : current)
  current = cards.plan ?? null
  await page.find('form.create').trigger('submit')
  await page.find('form.create').trigger('submit')
  await flushPromises()
  expect(posts()).toMatchObject([{path: '/deals/1/plan', body: {amount: amd(15000000), parts: [{amount_minor: 4500000, purpose: 'Deposit: Kitchen, oak'}, {purpose: 'Rest: Kitchen, oak'}]}}])
  expect(posts()[0]?.key).toBeTruthy()
})

test('instalments are due a month apart, and one out of order is not sent', async () => {
  const {at, page, text} = await show(cards.first ?? null)
  await click(page, 'kind-parts')
  const due = () => page.findAll('[data-testid="plan"] input[type="datetime-local"]')
  expect(due().map(field => (field.element as HTMLInputElement).value)).toEqual(['2025-03-13T12:00', '2025-04-13T12:00', '2025-05-13T12:00'])
  await due()[1]?.setValue('2025-03-12T12:00')
  expect(text()).toContain('a due date after the one before it')
  expect(at('create').attributes('disabled')).toBeDefined()
  await due()[1]?.setValue('2025-04-20T12:00')
  await page.find('form.create').trigger('submit')
  await flushPromises()
  expect(posts()[0]?.body.parts).toEqual([
    {amount_minor: 5000000, due_at: '2025-03-13T08:00:00Z', purpose: 'Part 1 of 3: Kitchen, oak'}, {amount_minor: 5000000, due_at: '2025-04-20T08:00:00Z', purpose: 'Part 2 of 3: Kitchen, oak'},
    {due_at: '2025-05-13T08:00:00Z', purpose: 'Part 3 of 3: Kitchen, oak'}])
})

test('of a plan the part that is due first is sent first', async () => {
  const {at, text} = await show(cards.plan ?? null)
  expect(at('link').exists()).toBe(true)
  expect(text().indexOf('Deposit: Kitchen, oak')).toBeLessThan(text().indexOf('Rest: Kitchen, oak'))
})

test('what expired gets a new link for the same debt', async () => {
  const {at, page, text} = await show(cards.expired ?? null)
  expect(text()).toContain('The link expired Feb 4, 14:00.')
  expect((at('amount').element as HTMLInputElement).value).toBe('50\u00a0000')
  await page.find('form.create').trigger('submit')
  await flushPromises()
  expect(posts()).toMatchObject([{path: '/invoices/i1/replace', body: {amount: amd(5000000), expires_at: '2025-03-13T08:00:00Z'}}])
  expect(posts()[0]?.key).toBeTruthy()
})

test('a deal in dollars shows both amounts; only a rate that a person changed is the person\'s', async () => {
  const {at, page, text} = await show(cards.dollars ?? null)
  expect((at('rate').element as HTMLInputElement).value).toBe('387.5')
  expect(text()).toContain('The customer pays 193,750 ֏.')
  await page.find('form.create').trigger('submit')
  await flushPromises()
  expect(posts()[0]?.body.exchange).toEqual({currency: 'AMD'})
  await at('rate').setValue('400,25')
  expect(text()).toContain('The customer pays 200,125 ֏.')
  await page.find('form.create').trigger('submit')
  await flushPromises()
  expect(posts()[1]?.body.exchange).toEqual({currency: 'AMD', rate: '400.25'})
  await at('rate').setValue('much')
  await page.find('form.create').trigger('submit')
  expect(text()).toContain('Enter how many AMD one USD is')
  expect(posts().length).toBe(2)
})

test('other ways open with the message and are logged by their name; e-mail goes out by itself where a server is connected', async () => {
  const {at, page, text} = await show(cards.unsent ?? null)
  await click(page, 'ways')
  answers = method => (method === 'POST' ? sent() : current)
  await at('email').setValue('someone@example.com')
  await at('email-send').trigger('submit')
  await page.find('form.mail').trigger('submit')
  await flushPromises()
  expect(decodeURIComponent(at('way-whatsapp').attributes('href') ?? '')).toContain(message.text)
  page.element.addEventListener('click', (event: Event) => event.preventDefault(), true) // it would leave for the other program
  await at('way-telegram').trigger('click')
  await flushPromises()
  expect(posts().map(p => p.body)).toEqual([{channel: 'email', language: 'en', to: 'someone@example.com'}, {channel: 'telegram', language: 'en'}])
  expect(text()).toContain('Logged: by Telegram.')
})

test('without a mail server e-mail is written in the person\'s own program, to an address', async () => {
  const {at, page} = await show({...cards.unsent, mail: false, contact: null} as never)
  await click(page, 'ways')
  answers = method => (method === 'POST' ? sent() : current)
  page.element.addEventListener('click', (event: Event) => event.preventDefault(), true)
  await at('way-email').trigger('click')
  await flushPromises()
  expect(posts()).toEqual([])
  await at('email').setValue('someone@example.com')
  expect(at('way-email').attributes('href')).toContain('mailto:someone%40example.com?subject=')
  await at('way-email').trigger('click')
  await flushPromises()
  expect(posts().map(p => p.body)).toEqual([{channel: 'email', language: 'en', to: 'someone@example.com'}])
})

test('money is moved to another invoice by choosing it', async () => {
  const deal = {...cards.needs?.deal, invoices: [...(cards.needs?.deal.invoices ?? []), sent({id: 'i9', number: 'D-1050'})]}
  const {at, page} = await show(card(deal as never))
  await click(page, 'decision-move')
  expect((at('move-to').element as HTMLSelectElement).value).toBe('i9')
  await at('reason').setValue('Meant for the other')
  await page.find('form.ask').trigger('submit')
  await flushPromises()
  expect(posts()[0]?.body).toEqual({decision: 'move', reason: 'Meant for the other', invoice: 'i9'})
})

test('what is still to go is not said while money waits for a decision', async () => {
  const deal = {...cards.needs?.deal, due: amd(625000), paid: amd(300000), outstanding: amd(625000)}
  expect((await show(card(deal as never))).text()).not.toContain('to go')
  expect((await show(card({...deal, status: 'awaiting_payment', outstanding: amd(325000)} as never))).text()).toContain('3,250 ֏ to go')
})

test('a decision may name the document that stands behind it', async () => {
  for (const decision of ['accept', 'not_ours', 'write_off', 'refunded', 'not_refunded']) {
    calls = []
    const {at, page} = await show(card({...cards.needs?.deal, exceptions: [{...(cards.needs as CardView).deal.exceptions[0], decisions: [decision]}]} as never))
    await click(page, 'decision-' + decision)
    await at('reason').setValue('Seen')
    await at('reference').setValue('line 7')
    await page.find('form.ask').trigger('submit')
    await flushPromises()
    expect(posts()[0]?.body).toEqual({decision, reason: 'Seen', reference: 'line 7'})
  }
})

test('what another role decides is named, and whoever asked for a refund does not approve it', async () => {
  const manager = await show(cards.manager ?? null)
  expect(manager.at('decision-refund').exists()).toBe(false)
  expect(manager.at('reserved').text()).toBe('Only an administrator can: refund, move.')
  const other = await show(cards.approval ?? null)
  expect(other.at('decision-approve').exists()).toBe(true)
  expect(other.text()).toContain('Asked for by user 1: The order was cancelled')
  const asker = await show({...cards.approval, me: 'user:1'} as CardView)
  expect(asker.at('decision-approve').exists()).toBe(false)
  expect(asker.at('decision-reject').exists()).toBe(true)
  expect(asker.text()).toContain('another administrator has to approve it')
})

test('where the acquirer gives nothing back, what people gave back is noted with its reference', async () => {
  const give_back = {most: amd(5000000), acquirer: 'idram', methods: ['transfer', 'cash'] as ('transfer' | 'cash')[], partial: false, open: false}
  const {at, page, text} = await show(card({status: 'paid', due: amd(5000000), paid: amd(5000000), invoices: [paid({give_back})]}))
  await click(page, 'menu')
  await click(page, 'refund')
  expect(at('no-api').text()).toContain('Idram cannot give money back by itself.')
  await at('refund-method').setValue('cash')
  expect(text()).toContain('Record that 50,000 ֏ went back in cash?')
  await at('reason').setValue('Returned')
  await at('reference').setValue('KO-7')
  await page.find('form.ask').trigger('submit')
  await flushPromises()
  expect(posts()[0]?.body).toEqual({amount: amd(5000000), reason: 'Returned', method: 'cash', reference: 'KO-7'})
})

test('a refund above the limit says that a second person is needed, and one under way says so', async () => {
  const give_back = {most: amd(5000000), acquirer: 'vpos_am', methods: ['api'] as 'api'[], partial: true, limit: 1000000, open: false}
  const {at, page} = await show(card({status: 'paid', due: amd(5000000), paid: amd(5000000), invoices: [paid({give_back})]}))
  await click(page, 'menu')
  await click(page, 'refund')
  expect(at('second-person').text().replace(/\u00a0/g, ' ')).toContain('Above 10,000 ֏ a second administrator')
  await at('refund-amount').setValue('9000')
  expect(at('second-person').exists()).toBe(false)
  const open = await show(cards.approval ?? null)
  expect(open.at('refund-open').text().replace(/\u00a0/g, ' ')).toContain('A refund of 50,000 ֏ waits for a second administrator.')
  await click(open.page, 'menu')
  expect(open.at('no-refund').text()).toContain('one is under way')
})

test('an opened row shows by what evidence, and no code of the acquirer', async () => {
  const {at, page, text} = await show(cards.paid ?? null)
  await page.find('.row-main').trigger('click')
  await vi.dynamicImportSettled()
  await flushPromises()
  const lines = page.findAll('[data-testid="evidence"] span').map(line => line.text())
  expect(lines).toEqual(['the acquirer’s answer to our question', 'notice 5b1e-09ac', 'request 01a2-77f3'])
  expect(text()).not.toContain('captured')
  expect(at('history').exists()).toBe(true)
})

test('a late CRM is tried again at the reader\'s word', async () => {
  const {page} = await show(cards.late ?? null)
  answers = method => (method === 'POST' ? paid() : cards.paid)
  await click(page, 'check-now')
  expect(posts()).toMatchObject([{path: '/invoices/i0/check'}])
})

test('a deal whose amount changed after the link was made says so', async () => {
  expect((await show(cards.drift ?? null)).at('drift').text().replace(/\u00a0/g, ' ')).toContain('The deal now says 180,000 ֏; the newest link was made when it said 150,000 ֏.')
})

test('what came beyond all that was asked for is said', async () => {
  const over = card({status: 'paid', due: amd(5000000), paid: amd(5100000), overpaid: amd(100000), invoices: [paid()]}, {defaults: {amount: null, purpose: '', expires_at: now}})
  expect((await show(over)).text()).toContain('1,000 ֏ more came than was asked for.')
})

test('a fiscal receipt is noted on a payment', async () => {
  const {at, page} = await show(cards.paid ?? null)
  await click(page, 'menu')
  await click(page, 'receipt')
  await at('receipt-number').setValue('FR-100')
  answers = method => (method === 'POST' ? paid() : current)
  await page.find('form.ask').trigger('submit')
  await flushPromises()
  expect(posts()).toMatchObject([{path: '/invoices/i0/receipts', body: {number: 'FR-100', kind: 'final', state: 'issued'}}])
})
