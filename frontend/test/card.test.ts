import {flushPromises, mount} from '@vue/test-utils'
import {afterEach, beforeEach, expect, test, vi} from 'vitest'
import {Api} from '../src/api'
import Card from '../src/card/Card.vue'
import type {Card as CardView} from '../src/state'
import {speak, type Words} from '../src/words'
import en from '../src/words/en.json'
import more from '../src/words/en.more.json'
import {amd, card, cards, exception, history, invoice, now, paid, sent} from './data.mjs'

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
  answers = (_, path) => (path.endsWith('/history') ? history : current)
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
  const said = answers(method, path, body)
  if (said instanceof Error) throw said
  if (said instanceof Response) return said
  return new Response(JSON.stringify(said), {status: 200})
}

function show(view: CardView | null, problem: object | null = null) {
  current = view
  const host = {lang: 'en', session: async () => 's', resize: vi.fn(), openSettings: vi.fn()}
  const state = {host: '', page: 'card', lang: 'en', session: 's', expires_at: '', deal_id: '1', parent_origin: '', card: view, settings: null, problem}
  const api = new Api(host, 'en', '/api/v1', send)
  const page = mount(Card, {props: {state, api, host, say: speak('en', {...en, ...more} as Words), more: async () => {}} as never, attachTo: document.body})
  open.push(page)
  const at = (id: string) => page.find(`[data-testid="${id}"]`)
  return {page, at, host, text: () => page.text().replace(/\u00a0/g, ' ')}
}
const posts = () => calls.filter(c => c.method !== 'GET')

test('the first card ever helps, and is filled in from the deal', () => {
  const {at, text} = show(cards.first ?? null)
  expect(text()).toContain('Nothing invoiced yet')
  expect(text()).toContain('The payment appears here by itself.')
  expect((at('amount').element as HTMLInputElement).value).toBe('150\u00a0000')
  expect((at('expires').element as HTMLInputElement).value).toBe('2025-03-13T12:00')
})

test('pressing twice makes one invoice, and a retry after a lost answer keeps its key', async () => {
  const {at, page, text} = show(cards.first ?? null)
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
  expect(at('link').attributes('href')).toBe(made.url)
})

test('another amount is another invoice, so it gets another key', async () => {
  const {at, page} = show(cards.first ?? null)
  answers = method => (method === 'POST' ? new TypeError('lost') : current)
  await page.find('form.create').trigger('submit')
  await flushPromises()
  await at('amount').setValue('7')
  await page.find('form.create').trigger('submit')
  await flushPromises()
  expect(posts()[0]?.key).not.toBe(posts()[1]?.key)
})

test('an amount or a time that cannot be used is explained and not sent', async () => {
  const {at, page, text} = show(cards.first ?? null)
  await at('amount').setValue('abc')
  await at('expires').setValue('2025-03-01T10:00')
  await page.find('form.create').trigger('submit')
  expect(text()).toContain('Enter an amount such as 150,000 ֏.')
  expect(text()).toContain('Choose a time that is still to come.')
  expect(at('amount').attributes('aria-invalid')).toBe('true')
  expect(posts()).toEqual([])
})

test('sending copies the whole message and logs it; afterwards it is resent', async () => {
  const {at, text} = show(cards.unsent ?? null)
  expect(at('send').text()).toBe('Copy message to send')
  answers = method => (method === 'POST' ? sent() : current)
  await at('send').trigger('click')
  await flushPromises()
  expect(copied[0]?.replace(/\u00a0/g, ' ')).toBe('Oak & Stone: Deposit for the kitchen, 50,000 ֏. Pay here until Mar 13, 12:00: https://pay.example.com/p/Zk3v9QmN2xW8yT4rB6cD1f')
  expect(posts()).toMatchObject([{path: '/invoices/i1/send', body: {channel: 'copy'}}])
  expect(at('send').text()).toBe('Copied')
  await vi.advanceTimersByTimeAsync(3000)
  expect(at('send').text()).toBe('Copy message to resend')
  expect(text()).toContain('Last sent 11:58')
})

test('when the browser forbids copying, the text is there to copy by hand', async () => {
  Object.defineProperty(navigator, 'clipboard', {configurable: true, value: undefined})
  const {at, page} = show(cards.unsent ?? null)
  answers = () => sent()
  await at('copy').trigger('click')
  await flushPromises()
  expect((page.find('textarea').element as HTMLTextAreaElement).value).toBe(invoice().url)
})

test('a decision asks for its reason with the consequence in the question', async () => {
  const {at, page, text} = show(cards.needs ?? null)
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

test('when all is paid nothing is left to do', () => {
  const {at, text} = show(cards.paid ?? null)
  expect(text()).toContain('Paid 50,000 of 50,000 ֏')
  expect(at('create').exists() || at('send').exists()).toBe(false)
  expect(at('status').attributes('data-status')).toBe('paid')
  expect(at('clocks').exists()).toBe(false)
})

test('a late CRM says why and when it is tried again, by itself', () => {
  const {text} = show(cards.late ?? null)
  expect(text()).toContain('in CRM not yet')
  expect(text()).toContain('The CRM is not up to date yet: it is busy. Next try 12:06.')
})

test('an opened row shows attempts, sendings and history', async () => {
  const {page, text} = show(cards.paid ?? null)
  await page.find('.row-main').trigger('click')
  await vi.dynamicImportSettled()
  await flushPromises()
  expect(text()).toContain('VPOS.am')
  expect(text()).toContain('reference 18273645')
  expect(text()).toContain('copied to a chat user 7')
  expect(text()).toContain('Link sent')
  expect(text()).toContain('in CRM 12:04')
})

test('a refund cannot be more than what was taken, and says the amount', async () => {
  const {at, page, text} = show(cards.paid ?? null)
  await at('menu').trigger('click')
  await vi.dynamicImportSettled()
  await at('refund').trigger('click')
  await at('refund-amount').setValue('60000')
  expect(text()).toContain('At most 50,000 ֏.')
  expect(at('confirm').attributes('disabled')).toBeDefined()
  await at('refund-amount').setValue('15000')
  expect(text()).toContain("Refund 15,000 ֏ to the customer's card? This cannot be undone.")
  await at('reason').setValue('Returned')
  answers = method => (method === 'POST' ? paid({status: 'partially_refunded', refunded: amd(1500000)}) : current)
  await page.find('form.ask').trigger('submit')
  await flushPromises()
  expect(posts()).toMatchObject([{path: '/invoices/i0/refunds', body: {amount: amd(1500000), reason: 'Returned'}}])
  expect(posts()[0]?.key).toBeTruthy()
})

test('only what the server allows is offered', async () => {
  const {at, page} = show(card({status: 'cancelled', due: amd(0), invoices: [invoice({status: 'cancelled', can: []})]}))
  expect(at('menu').exists()).toBe(false)
  expect(page.findAll('[data-testid="invoice"]').length).toBe(1)
  expect(at('create').exists()).toBe(true)
})

test('without an acquirer the card says who can connect one', () => {
  expect(show(cards.notready ?? null).text()).toContain('Ask an administrator')
  const admin = show(card({}, {ready: false}))
  expect(admin.text()).toContain('Open settings')
  expect(admin.at('create').exists()).toBe(false)
})

test('without rights there is a sentence and no card', () => {
  const {text, at} = show(null, {type: '', status: 403, code: 'deal_hidden', title: 'Forbidden', detail: '', request_id: ''})
  expect(text()).toContain('This deal is not yours to see')
  expect(at('balance').exists()).toBe(false)
  expect(calls).toEqual([])
})

test('test mode is always said', () => {
  expect(show(cards.needs ?? null).at('test-badge').text()).toContain('no real money')
  expect(show(cards.paid ?? null).at('test-badge').exists()).toBe(false)
})

test('the card loads when the server had nothing, and keeps what it knows when the net is gone', async () => {
  current = cards.unsent ?? null
  const {page, at, text} = show(null)
  expect(page.find('.skeleton').exists()).toBe(true)
  current = cards.unsent ?? null
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
  show(cards.unsent ?? null)
  await vi.advanceTimersByTimeAsync(12_500)
  expect(calls.length).toBe(3)
  calls = []
  open.splice(0).forEach(w => w.unmount())
  show(cards.paid ?? null)
  await vi.advanceTimersByTimeAsync(40_000)
  expect(calls.length).toBe(0)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(calls.length).toBe(1)
})
