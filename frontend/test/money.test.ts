import {describe, expect, test} from 'vitest'
import {decimal, editable, format, maxMinor, parse} from '../src/money'

const amd = (minor: number) => ({minor, currency: 'AMD'})

describe('amounts people type', () => {
  test.each([
    ['150000', 'AMD', 15000000], ['150 000', 'AMD', 15000000], ['150\u00a0000,50', 'AMD', 15000050], ['1,500.50', 'USD', 150050], ['1.500,50', 'BRL', 150050],
    ['1,500', 'AMD', 150000], ['1.500', 'AMD', 150000], ['1,5', 'AMD', 150], ['1.50', 'AMD', 150], ['0.01', 'USD', 1], ['1,234,567', 'USD', 123456700],
    ['1500', 'JPY', 1500], ['1,500', 'JPY', 1500], ['1.234', 'KWD', 1234], ["1'500", 'USD', 150000], ['10000000000', 'AMD', maxMinor],
  ])('%s %s is %i minor units', (typed, currency, minor) => {
    expect(parse(typed, currency)).toEqual({minor, currency})
  })

  test.each([
    ['', 'AMD'], ['0', 'AMD'], ['-5', 'AMD'], ['abc', 'AMD'], ['1.234567', 'AMD'], ['1.5.5', 'AMD'], ['1,23,456', 'AMD'], ['1e5', 'AMD'], ['.5', 'AMD'],
    ['1.5', 'JPY'], ['10000000000.01', 'AMD'], ['99999999999999999999', 'AMD'], ['٥', 'AMD'],
  ])('%s %s is refused', (typed, currency) => {
    expect(parse(typed, currency)).toBeNull()
  })

  test('what is written can be typed back, exactly', () => {
    for (const minor of [1, 99, 100, 101, 15000000, 15000010, 123456789, 999_999_999_999, maxMinor]) {
      for (const currency of ['AMD', 'USD', 'JPY', 'KWD']) {
        expect(parse(editable({minor, currency}), currency), `${minor} ${currency}`).toEqual({minor, currency})
        expect(parse(decimal({minor, currency}), currency)?.minor ?? 0, `${minor} ${currency}`).toBe(minor)
      }
    }
  })
})

describe('amounts people read', () => {
  test('have their currency, and decimals only when there are some', () => {
    expect(format(amd(15000000), 'en')).toBe('150,000\u00a0֏')
    expect(format(amd(15000050), 'en')).toBe('150,000.50\u00a0֏')
    expect(format(amd(15000000), 'en', true)).toBe('150,000')
    expect(format({minor: 1550, currency: 'USD'}, 'en')).toBe('$15.50')
    expect(format({minor: 1500, currency: 'JPY'}, 'en')).toBe('¥1,500')
    expect(format(amd(15000050), 'hy')).toMatch(/^150\s000,50\s֏$/)
    expect(format(amd(15000000), 'ru')).toMatch(/^150\s000\s֏$/)
  })

  test('stay exact beyond what a float holds', () => {
    expect(format({minor: 900719925474099, currency: 'USD'}, 'en')).toBe('$9,007,199,254,740.99')
  })

  test('survive a currency nobody knows', () => {
    expect(format({minor: 100, currency: 'nope'}, 'en')).toBe('1\u00a0nope')
  })
})
