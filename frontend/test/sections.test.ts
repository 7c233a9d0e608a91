import {flushPromises, mount} from '@vue/test-utils'
import {afterEach, beforeEach, expect, test, vi} from 'vitest'
import type {Component} from 'vue'
import {Api} from '../src/api'
import Acquirer from '../src/settings/Acquirer.vue'
import {agrees, outcome, rows, side} from '../src/settings/books'
import {dayIn, dayName, monthName, monthsBefore, shift} from '../src/settings/dates'
import Deals from '../src/settings/Deals.vue'
import Exceptions from '../src/settings/Exceptions.vue'
import Exports from '../src/settings/Exports.vue'
import Keys from '../src/settings/Keys.vue'
import Mailbox from '../src/settings/Mailbox.vue'
import Months from '../src/settings/Months.vue'
import {makeOffice, officeKey} from '../src/settings/office'
import Overview from '../src/settings/Overview.vue'
import People from '../src/settings/People.vue'
import Receipts from '../src/settings/Receipts.vue'
import Registers from '../src/settings/Registers.vue'
import {blank, cells, delimiterOf, encodingOf, missing, sample} from '../src/settings/register'
import Routing from '../src/settings/Routing.vue'
import Rules from '../src/settings/Rules.vue'
import Run from '../src/settings/Run.vue'
import {speak, type Words} from '../src/words'
import en from '../src/words/en.json'
import more from '../src/words/en.more.json'
import books from '../src/settings/words/en.books.json'
import own from '../src/settings/words/en.json'
import {answers, settings} from './settings.mjs'

type Answer = (method: string, path: string, body: unknown) => unknown
let calls: {method: string; path: string; body: unknown}[]
let keys: (string | undefined)[] // idempotency keys of what was sent
let answer: Answer
const mounted: {unmount: () => void}[] = []
const say = speak('en', {...en, ...more, ...own, ...books} as Words)

beforeEach(() => {
  vi.useFakeTimers({now: new Date('2026-03-10T09:00:00Z'), toFake: ['setTimeout', 'clearTimeout', 'Date']})
  calls = []
  keys = []
  answer = () => ({items: [], next: null})
})
afterEach(() => {
  mounted.splice(0).forEach(w => w.unmount())
  vi.useRealTimers()
})

const reach: typeof fetch = async (url, init) => {
  const method = init?.method ?? 'GET'
  const path = String(url).replace('/api/v1', '')
  const body = typeof init?.body === 'string' ? JSON.parse(init.body) as unknown : init?.body
  calls.push({method, path, body})
  if (method !== 'GET') keys.push((init?.headers as Record<string, string>)['Idempotency-Key'])
  const said = answer(method, path, body)
  return said instanceof Response ? said : new Response(JSON.stringify(said), {status: 200})
}
const refusal = (status: number, code: string) => new Response(JSON.stringify({code, title: '', detail: 'English detail', status}), {status})
const office = () => {
  const host = {lang: 'en', session: async () => 's', resize: vi.fn()}
  return makeOffice(new Api(host, 'en', '/api/v1', reach), host, say, settings)
}

// The kit's parts as plain elements, so that a section is tested for what it does, not for how the kit draws.
const plain = {
  B24Button: {props: ['label', 'disabled', 'loading', 'type'], template: '<button :type="type || \'button\'" :disabled="disabled">{{ label }}</button>'},
  B24FormField: {props: ['label', 'error'], template: '<div><span>{{ label }}</span><slot /><em v-if="error">{{ error }}</em></div>'},
  B24Input: {props: ['modelValue'], emits: ['update:modelValue'], template: '<input :value="modelValue" @input="$emit(\'update:modelValue\', $event.target.value)">'},
  B24Select: {props: {modelValue: {}, items: {}, multiple: Boolean}, emits: ['update:modelValue'],
    template: '<select :multiple="multiple" @change="$emit(\'update:modelValue\', multiple ? [$event.target.value] : $event.target.value)"><option v-for="i in items" :key="i.value ?? i" :value="i.value ?? i" :selected="(i.value ?? i) === modelValue">{{ i.label ?? i }}</option></select>'},
  B24Switch: {props: ['modelValue'], emits: ['update:modelValue'], template: '<input type="checkbox" :checked="modelValue" @change="$emit(\'update:modelValue\', $event.target.checked)">'},
  B24Alert: {props: ['title', 'description'], template: '<div role="alert">{{ title }} {{ description }}</div>'},
  B24Skeleton: {template: '<i />'},
}

async function show(section: Component, props: Record<string, unknown> = {}, around = office()) {
  const page = mount(section, {props, global: {provide: {[officeKey as symbol]: around}, stubs: plain}, attachTo: document.body})
  mounted.push(page)
  await flushPromises()
  const at = (id: string) => page.find(`[data-testid="${id}"]`)
  return {page, at, text: () => page.text().replace(/\u00a0/g, ' '), click: async (id: string) => {
    await at(id).trigger('click')
    await flushPromises()
  }, submit: async () => {
    await page.find('form').trigger('submit')
    await flushPromises()
  }}
}
const writes = () => calls.filter(c => c.method !== 'GET')

test('a pipeline\'s values go to the fields that were chosen, and saving says so first', async () => {
  answer = (method, path, body) => (method === 'PUT' ? body : (answers as Record<string, unknown>)[path])
  const {page, text, submit} = await show(Deals)
  const [sales, repeat] = page.findAll('[data-testid="fields"]')
  expect([sales?.attributes('open'), sales?.text().includes('all in Dealpay\'s own')]).toEqual([undefined, true])
  const options = (value: string) => repeat?.findAll(`[data-testid="place-${value}"] option`).map(o => o.text())
  expect([options('paid_at'), options('paid')]).toEqual([['Dealpay\'s own field', 'Nowhere'], ['Dealpay\'s own field', 'Nowhere', 'Accounting: status', 'Accounting: received']])
  await repeat?.find('[data-testid="place-status"]').setValue('UF_1')
  await repeat?.find('[data-testid="place-link"]').setValue('-')
  expect(options('paid'), 'a field takes one value').toEqual(['Dealpay\'s own field', 'Nowhere', 'Accounting: received'])
  expect(text()).toContain('2 changes to save')
  expect(text()).toContain('Repeat orders, Payment status: Dealpay\'s own field → Accounting: status')
  expect(text()).toContain('Open deals are not rewritten')
  await submit()
  expect((writes()[0]?.body as Record<string, unknown>).fields).toEqual({1: {status: 'UF_1', link: '-'}})
})

test('a key for an integrator is made once, however often it is asked for', async () => {
  let lost = true
  answer = method => (method === 'GET' ? {items: [], next: null} : lost ? refusal(503, 'store_away') : {key: {}, secret: 'dp_1'})
  const {at, submit} = await show(Keys)
  await at('key-name').setValue('Till')
  await submit()
  lost = false
  await submit()
  await at('key-name').setValue('Till')
  await submit()
  expect(at('secret').exists()).toBe(true)
  expect(keys[0]).toMatch(/^[0-9a-f]{32}$/)
  expect([keys[1] === keys[0], keys[2] === keys[0]], 'the same when it is tried again, another for another key').toEqual([true, false])
})

test('calendar days and months are the reader\'s', () => {
  expect([dayName('2026-03-31', 'en'), dayName('2026-03-31', 'hy'), monthName('2026-03', 'en'), monthName('2026-03', 'hy')]).toEqual(['Mar 31, 2026', '31 մրտ 2026', 'March 2026', 'մրտ 2026'])
  expect([shift('2026-03-01', -1), shift('2025-12-31', 1), dayIn('Asia/Yerevan', new Date('2026-03-09T21:00:00Z'))]).toEqual(['2026-02-28', '2026-01-01', '2026-03-10'])
  expect(monthsBefore('2026-02-10', 3)).toEqual(['2026-01', '2025-12', '2025-11'])
})

test('what two sides say is worded, never shown as a code', () => {
  const o = office()
  const text = (s: string) => side(s, o).replace(/\u00a0/g, ' ')
  expect(['1500.50 AMD', 'pending', 'refund 70.00 AMD', '', 'no such deal', 'not written: revoked', 'paid, paid 100.00 AMD, refunded 0.00 AMD, reference "x"'].map(text))
    .toEqual(['1,500.50 ֏', 'At the bank', 'Refund, 70 ֏', 'nothing', 'the deal is gone', 'not written', 'Paid, paid 100 ֏, refunded 0 ֏'])
})

test('a day shows what became of each acquirer', () => {
  const run = {id: 'r', day: '2026-03-09', acquirer: 'idram', state: 'done' as const, total: 3, checked: 3, repaired: 0, unanswered: 0, crm_skipped: '', asked_by: 'timer', started_at: null, finished_at: null, open: 0}
  const o = office()
  expect([run, {...run, open: 2}, {...run, unanswered: 1}, {...run, state: 'running' as const, checked: 1}, {...run, total: 0}].map(r => outcome(r, o)))
    .toEqual(['3 agree', '2 differences', 'Partly compared', 'Comparing, 1 of 3', 'Nothing to compare'])
  expect([run, {...run, open: 1}, {...run, crm_skipped: 'revoked'}].map(agrees)).toEqual([true, false, false])
  expect(rows([run, {...run, acquirer: 'arca'}, {...run, day: '2026-03-08'}]).map(r => [r.day, r.runs.length])).toEqual([['2026-03-09', 2], ['2026-03-08', 1]])
})

test('a register is looked into before anybody says how it is read', () => {
  expect(cells('a;"b;""c""";d', ';')).toEqual(['a', 'b;"c"', 'd'])
  expect([delimiterOf('a;b;c\n1;2;3'), delimiterOf('a,b\n'), delimiterOf('a\tb\tc')]).toEqual([';', ',', '\t'])
  expect(encodingOf(new TextEncoder().encode('Сумма'))).toBe('utf-8')
  expect(encodingOf(new Uint8Array([0xd1, 0xf3, 0xec, 0xec, 0xe0]))).toBe('windows-1251')
  expect(sample('\uFEFFReport\nOrder;Sum\n\n7;8\n', {delimiter: ';', skip: 1})).toEqual({headings: ['Order', 'Sum'], lines: [['7', '8']]})
  expect(missing(blank())).toEqual(['amount', 'date', 'reference'])
  expect(missing({...blank(), every: 'payout'})).toEqual(['amount', 'date'])
})

test('a move names the other invoice, and money given back by hand its way and its reference', async () => {
  const e = {id: 'e1', kind: 'wrong_amount', deal_id: '4', invoice_id: 'i', invoice_number: 'D-1', since: '2026-03-10T08:00:00Z', amount: {minor: 9000000, currency: 'AMD'}, what_happened: 'Another amount came.', what_to_do: 'Decide.', decisions: ['move', 'refund_outside', 'refunded', 'write_off']}
  answer = (method, path) => ({items: path === '/exceptions' && method === 'GET' ? [e] : [], next: null})
  const {at, text, click, submit} = await show(Exceptions)
  expect(text()).toContain('90,000 ֏')
  expect(at('decision-refunded').text()).toBe('It went through')
  await click('decision-move')
  await at('invoice').setValue(' D-2 ')
  await at('reason').setValue('wrong link')
  await submit()
  expect(writes()[0]?.body).toEqual({decision: 'move', reason: 'wrong link', invoice: 'D-2'})
  await click('decision-refund_outside')
  await at('reference').setValue('order 5')
  await at('reason').setValue('asked for cash')
  await submit()
  expect(writes()[1]?.body).toEqual({decision: 'refund_outside', reason: 'asked for cash', method: 'transfer', reference: 'order 5'})
  for (const [decision, reference] of [['refunded', ' line 7 '], ['write_off', '']]) {
    await click('decision-' + decision)
    await at('reference').setValue(reference)
    await at('reason').setValue('on the statement')
    await submit()
  }
  expect(writes().slice(2).map(w => w.body)).toEqual([{decision: 'refunded', reason: 'on the statement', reference: 'line 7'}, {decision: 'write_off', reason: 'on the statement'}])
})

test('a role is given after the page has said what changes', async () => {
  const people = [{id: '7', name: 'Nare', role: 'manager', administrator: false, seen_at: '2026-03-10T08:00:00Z', changed_by: ''}, {id: '1', name: 'Armen', role: 'admin', administrator: true, seen_at: '2026-03-10T08:00:00Z', changed_by: ''}]
  answer = () => ({items: people, next: null})
  const {at, text, submit} = await show(People)
  expect(at('role-1').exists()).toBe(false)
  expect(at('save').attributes('disabled')).toBeDefined()
  await at('role-7').setValue('accountant')
  expect(text()).toContain('Nare: Manager → Accountant')
  await submit()
  expect(writes()).toEqual([{method: 'PUT', path: '/people/7', body: {role: 'accountant'}}])
})

test('rules are kept together with what others saved meanwhile', async () => {
  const pay = {routes: [], rates: {'USD/AMD': '387.5'}, refund_limits: {}, templates: {}, deal_title: false}
  answer = (method, path, body) => (path === '/settings/payments' ? (method === 'PUT' ? body : pay) : {items: []})
  const {at, text, click, submit} = await show(Routing)
  await at('route-currency').setValue('USD')
  await at('route-acquirers').setValue(['vpos_am'])
  await click('route-add')
  expect(text()).toContain('New: USD, any pipeline: VPOS.am')
  pay.rates['USD/AMD'] = '390'
  await submit()
  expect(writes()[0]?.body).toEqual({...pay, routes: [{currency: 'USD', pipeline: '', acquirers: ['vpos_am']}]})
})

test('rates and limits are read as people write them', async () => {
  answer = (method, path, body) => (method === 'PUT' ? body : {routes: [], rates: {}, refund_limits: {}, templates: {}, deal_title: false})
  const {at, text, click, submit} = await show(Rules)
  await at('rate-from').setValue('USD')
  await at('rate-rate').setValue('387,5')
  await click('rate-add')
  await at('limit-amount').setValue('500 000')
  await click('limit-add')
  expect(text()).toContain('USD/AMD: none → 387.5')
  expect(text()).toContain('Refund without a second person, AMD: none → 500,000 ֏')
  await submit()
  expect(writes()[0]?.body).toMatchObject({rates: {'USD/AMD': '387.5'}, refund_limits: {AMD: 50000000}})
})

test('a mail server that does not answer is said in three parts, and nothing is kept', async () => {
  answer = method => (method === 'GET' ? refusal(404, 'not_found') : refusal(422, 'mail_unreachable'))
  const {at, text, submit} = await show(Mailbox)
  await at('mail-host').setValue('smtp.example.com')
  await at('mail-security').setValue('starttls')
  expect((at('mail-port').element as HTMLInputElement).value).toBe('587')
  await at('mail-sender').setValue('pay@example.com')
  await submit()
  expect(text()).toContain('The mail server cannot be reached It does not answer, or not in this way. Check server, port and connection; nothing was kept.')
  expect(at('mailbox').exists()).toBe(false)
})

test('a month and all before it are locked after the question', async () => {
  let locked: object[] = []
  answer = (method, path) => {
    if (method === 'POST') locked = [{month: '2026-01', locked_at: '2026-03-10T09:00:00Z', locked_by: 'user:1'}]
    const books = [{account: 'acquirer:vpos_am', amount: {minor: 5000000, currency: 'AMD'}}, {account: 'receivable', amount: {minor: -5000000, currency: 'AMD'}}]
    return path === '/people' ? {items: [{id: '1', name: 'Armen'}]} : path === '/balances' ? {items: books} : {items: locked, next: null}
  }
  const {at, text} = await show(Months)
  expect(at('balances').findAll('dt').map(dt => dt.text())).toEqual(['At VPOS.am', 'Claims on customers that were met'])
  expect(at('balances').findAll('dd').map(dd => dd.text().replace(/\u00a0/g, ' '))).toEqual(['50,000 ֏', '-50,000 ֏'])
  expect(at('month-2026-03').exists()).toBe(false)
  await at('month-2026-01').find('button').trigger('click')
  expect(text()).toContain('Lock January 2026 and every month before it?')
  await at('month-2026-01').find('.sure button').trigger('click')
  await flushPromises()
  expect(writes().map(c => c.path)).toEqual(['/periods/2026-01/lock'])
  expect(at('month-2026-01').text()).toContain('by Armen')
  expect(at('month-2025-12').text()).toContain('Locked')
  expect(at('month-2026-02').text()).not.toContain('Locked')
})

test('a receipt is noted on its payment', async () => {
  answer = method => (method === 'GET' ? {items: [{payment: 'p1', invoice_id: 'i1', invoice_number: 'D-1', deal_id: '4', amount: {minor: 5000000, currency: 'AMD'}, paid_at: '2026-03-10T08:00:00Z'}], next: null} : {})
  const {at, text, click, submit} = await show(Receipts)
  await click('note-receipt')
  await at('receipt-number').setValue('F-9')
  await submit()
  expect(writes()).toEqual([{method: 'POST', path: '/invoices/i1/receipts', body: {payment: 'p1', number: 'F-9', kind: 'final', state: 'issued'}}])
  expect(text()).toContain('Every payment has its receipt.')
})

test('what people said about money is listed and taken back by whoever may', async () => {
  const undone = new Set<string>()
  const {items} = (answers as Record<string, {items: {id: string}[]}>)['/acts'] ?? {items: []}
  answer = (method, path) => {
    if (method === 'POST') undone.add(path)
    if (path === '/acts') return {items: items.map(a => (undone.has(`/decisions/${a.id}/undo`) ? {...a, undone: true, may_undo: false} : a)), next: null}
    return (answers as Record<string, unknown>)[path] ?? {}
  }
  const {page, at, text, click} = await show(Exceptions)
  expect(text()).toContain('24,000 ֏ · Write off')
  expect(text()).toContain('10,000 ֏ · Received outside: Bank transfer · undone')
  expect(text()).toContain('Nare: Seen on the statement · BANK-17')
  expect(text()).toContain('5,000 ֏ · Refunds: Cash')
  expect(page.findAll('[data-testid="undo-act"]').length).toBe(2)
  const reads = () => calls.filter(c => c.path === '/exceptions').length
  const before = reads()
  await click('undo-act')
  expect(text()).toContain('Take this decision back?')
  await at('undo-reason').setValue(' It was another customer ')
  await at('act').find('form').trigger('submit')
  await flushPromises()
  expect(writes()).toEqual([{method: 'POST', path: '/decisions/d1/undo', body: {reason: 'It was another customer'}}])
  expect([page.findAll('[data-testid="undo-act"]').length, reads()], 'the exception is open again').toEqual([1, before + 1])
  expect(text()).toContain('Taken back on invoice D-1007.')
  await click('undo-act')
  expect(text()).toContain('Take back the record that 5,000 ֏ was given back?')
  await at('undo-reason').setValue('It never left')
  await page.findAll('[data-testid="act"]')[1]!.find('form').trigger('submit')
  await flushPromises()
  expect(writes().at(-1)).toEqual({method: 'POST', path: '/refunds/g5/undo', body: {reason: 'It never left'}})
})

test('an export goes on when its section is left, and says how far it is', async () => {
  let more: ReadableStreamDefaultController<Uint8Array> | undefined
  answer = () => new Response(new ReadableStream<Uint8Array>({start: c => { more = c }}), {headers: {'Content-Disposition': 'attachment; filename="dealpay-march.xlsx"'}})
  const kept: string[] = []
  URL.createObjectURL = () => 'blob:x'
  URL.revokeObjectURL = () => {}
  vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(function (this: HTMLAnchorElement) { kept.push(this.download) })
  const around = office()
  const first = await show(Exports, {}, around)
  await first.submit()
  more?.enqueue(new Uint8Array(7000))
  await flushPromises()
  expect(first.text()).toContain('7 kB so far. You may look at other sections')
  first.page.unmount()
  mounted.pop()
  more?.enqueue(new Uint8Array(5000))
  await flushPromises()
  const again = await show(Exports, {}, around)
  expect(again.text()).toContain('12 kB so far')
  more?.close()
  await flushPromises()
  expect([kept, calls.length]).toEqual([['dealpay-march.xlsx'], 1])
  expect(again.text()).toContain('dealpay-march.xlsx was downloaded, 12 kB.')
})

test('a right that the acquirer denied is said where its connection is seen', async () => {
  const acquirers = settings.acquirers.map(a => (a.acquirer === 'vpos_am' ? {...a, denied: ['refund']} : a))
  answer = (_, path) => (path === '/settings' ? {...settings, acquirers} : {items: [], next: null})
  const {at, click} = await show(Overview)
  expect(at('health-denied-vpos_am').exists()).toBe(false)
  await click('refresh')
  expect(at('health-denied-vpos_am').text()).toContain('VPOS.am says that this merchant may not refund.')
})

test('an acquirer that refuses the credentials is said where its connection is seen, with what to do', async () => {
  const acquirers = settings.acquirers.map(a => (a.acquirer === 'vpos_am' ? {...a, refused_at: '2025-03-10T07:00:00Z'} : a))
  answer = (_, path) => (path === '/settings' ? {...settings, acquirers} : {items: [], next: null})
  const {at, click} = await show(Overview)
  expect(at('health-refused-vpos_am').exists()).toBe(false)
  await click('refresh')
  expect(at('health-refused-vpos_am').text()).toContain('VPOS.am does not accept the credentials any more')
  const one = await show(Acquirer, {acquirer: acquirers[0]})
  expect(one.at('refused-vpos_am').text()).toContain('Enter the credentials that it gives you now')
  expect(one.text()).toContain('Needs repair')
  expect((await show(Acquirer, {acquirer: settings.acquirers[0]})).at('refused-vpos_am').exists()).toBe(false)
})

test('lines of a register that nobody mapped are said after its import', async () => {
  const register = {id: 'g1', acquirer: 'vpos_am', lines: 4, known: 0, unmatched: 0, skipped: {fee: 2, payout: 1}, first_day: null, last_day: null, imported_by: 'user:1', imported_at: '2026-03-10T08:00:00Z'}
  let imported: object[] = []
  answer = (method, path) => {
    if (path.endsWith('/mapping')) return {...blank(), columns: {...blank().columns, amount: 'a', date: 'd', reference: 'r', kind: 'k'}, kinds: {sale: 'payment'}}
    if (method === 'POST') imported = [register]
    return method === 'POST' ? register : {items: imported, next: null}
  }
  const {at, text, submit} = await show(Registers)
  const input = at('register-file').element as HTMLInputElement
  Object.defineProperty(input, 'files', {value: [new File(['a;d;r;k'], 'r.csv')]})
  await at('register-file').trigger('change')
  await flushPromises()
  await submit()
  const said = '3 lines of kinds that you did not map were left out: fee, payout.'
  expect(text()).toContain(said)
  expect(at('register').text()).toContain(said)
})

test('a comparison is followed to its end, and a difference explained', async () => {
  const run = {id: 'r1', day: '2026-03-09', acquirer: 'vpos_am', state: 'running', total: 2, checked: 1, repaired: 0, unanswered: 0, crm_skipped: '', asked_by: 'user:1', started_at: null, finished_at: null as string | null, open: 0}
  const m = {run_id: 'r1', n: 1, kind: 'amount_differs', attempt_id: null, deal_id: '4', reference: 'A1', ours: '1500.50 AMD', theirs: '1000.00 AMD', source: 'acquirer', owner: 'accountant', state: 'open', reason: '', found_at: '2026-03-10T08:00:00Z', changed_at: null, changed_by: ''}
  let mismatches: object[] = []
  answer = (method, path, body) => {
    if (method === 'POST') return {...m, ...body as object, owner: 'user:1'}
    return path.startsWith('/reconciliations') ? {run, totals: [{kind: 'capture', amount: {minor: 150050, currency: 'AMD'}}], mismatches, next: null} : {items: []}
  }
  const {at, text, click, submit} = await show(Run, {id: 'r1'})
  expect(text()).toContain('Comparing, 1 of 2')
  const well = answer
  answer = () => refusal(503, 'unavailable')
  await vi.advanceTimersByTimeAsync(2000)
  await flushPromises()
  expect(at('outcome').text()).toBe('Comparing, 1 of 2')
  answer = well // one look that failed is not the last one
  Object.assign(run, {state: 'done', checked: 2, open: 1, finished_at: '2026-03-10T09:00:00Z'})
  mismatches = [m]
  await vi.advanceTimersByTimeAsync(2000)
  await flushPromises()
  expect(at('outcome').text()).toBe('1 difference')
  expect(text()).toContain('Another amount')
  await click('judge-explained')
  await at('judge-reason').setValue('the bank rounds')
  await submit()
  expect(writes()).toEqual([{method: 'POST', path: '/reconciliations/r1/mismatches/1', body: {state: 'explained', reason: 'the bank rounds'}}])
  expect(at('outcome').text()).toBe('2 agree')
})

test('the overview names failures without codes and tries the chosen ones again', async () => {
  answer = (method, path) => (path === '/replay' ? {replayed: 1} : path === '/settings' ? settings : {items: [{}, {}], next: null})
  const {page, at, text} = await show(Overview)
  expect(text()).toContain('CRM update, deal 41')
  expect(text()).toContain('it refused the change.')
  expect(at('health-exceptions').text()).toContain('2 exceptions wait')
  expect(text()).toContain('Access to the CRM renewedMar 10, 2025, 11:00')
  await page.find('input[type=checkbox]').setValue(true)
  const button = page.findAll('button').find(b => b.text() === 'Try 1 again')
  await button?.trigger('click')
  await flushPromises()
  expect(writes()).toEqual([{method: 'POST', path: '/replay', body: {ids: [7]}}])
})
