import {expect, test} from 'vitest'
import {late} from '../src/card/invoice'
import {missing} from '../src/card/missing'
import {monthly, shares} from '../src/card/plan'
import {convert} from '../src/money'
import {amd, invoice, paid, sent} from './data.mjs'

test('parts add up to the whole and only the last one is odd', () => {
  for (const whole of [1, 99, 10_000, 12_345_678, 99_999_999_999]) {
    for (const n of [2, 3, 7, 36]) {
      const parts = shares(amd(whole), Array.from({length: n}, () => 1))
      expect(parts.reduce((a, b) => a + b, 0)).toBe(whole)
      expect(parts.slice(0, -1).every(part => part % 100 === 0)).toBe(true)
    }
  }
})

test('a month later is the same day, or the last of a short month', () => {
  expect(monthly('2025-01-31T10:00', 4)).toEqual(['2025-01-31T10:00', '2025-02-28T10:00', '2025-03-31T10:00', '2025-04-30T10:00'])
  expect(monthly('2025-11-15T09:30', 3)).toEqual(['2025-11-15T09:30', '2025-12-15T09:30', '2026-01-15T09:30'])
})

test('an amount in another currency is rounded as the server does it', () => {
  const usd = (minor: number) => ({minor, currency: 'USD'})
  expect(convert(usd(10_050), 'AMD', '387.5', true)).toEqual(amd(3_894_400))
  expect(convert(usd(10_050), 'AMD', '387.5', false)).toEqual(amd(3_894_375))
  expect(convert(usd(1), 'JPY', '150', false)).toEqual({minor: 2, currency: 'JPY'})
  for (const odd of ['', '0', '-1', '1e2', '387,5', '1.12345678901']) expect(convert(usd(100), 'AMD', odd, false), odd).toBeNull()
})

test('an action that is not there says why', () => {
  const why = (list: ReturnType<typeof missing>) => Object.fromEntries(list.map(m => [m.what, m.why]))
  expect(why(missing(invoice(), 'admin'))).toEqual({})
  expect(why(missing(sent({can: ['send', 'cancel']}), 'manager'))).toEqual({edit: 'why.sent', record: 'why.accountant'})
  expect(why(missing(paid({can: ['check']}), 'accountant'))).toEqual({cancel: 'why.money', refund: 'why.admin'})
  expect(why(missing(paid({give_back: undefined}), 'admin'))).toEqual({cancel: 'why.money', refund: 'why.outside'})
  expect(why(missing(paid({status: 'disputed', can: []}), 'admin'))).toEqual({cancel: 'why.money', refund: 'why.disputed'})
})

test('the CRM is late with what has waited for more than a minute', () => {
  const now = new Date('2025-03-10T09:00:00Z')
  const waiting = (waits_since: string | null) => paid({sync: {state: 'waiting', written_at: null, reason: '', next_try_at: null, waits_since}})
  expect(late(waiting(null), now)).toBe(false)
  expect(late(waiting('2025-03-10T08:58:59Z'), now)).toBe(true)
  expect(late(waiting('2025-03-10T08:59:00Z'), now)).toBe(false)
})
