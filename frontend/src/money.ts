import type {Money} from './state'

// Decimals of the currencies that do not have two (ISO 4217), the same as the server's.
const exponents: Record<string, number> = {CLP: 0, JPY: 0, KRW: 0, VND: 0, PYG: 0, KWD: 3, BHD: 3, OMR: 3, JOD: 3, TND: 3}

// Their sign stands after the amount in every language, as people at home write it.
const after: Record<string, string> = {AMD: '֏', RUB: '₽', KZT: '₸', GEL: '₾'}

// Browsers know no Armenian; its amounts are written like the Russian ones.
const locale = (lang: string): string => (lang === 'hy' ? 'ru' : lang)

/** The largest amount the server takes, in minor units. */
export const maxMinor = 1_000_000_000_000

export const exponent = (currency: string): number => exponents[currency] ?? 2

/** decimal writes minor units as major ones, "1500.50", without passing through a float. */
export function decimal(m: Money): string {
  const exp = exponent(m.currency)
  const sign = m.minor < 0 ? '-' : ''
  const digits = String(Math.abs(m.minor)).padStart(exp + 1, '0')
  return exp === 0 ? sign + digits : `${sign}${digits.slice(0, -exp)}.${digits.slice(-exp)}`
}

/** editable is the amount for a field: thousands apart, no zeros after the point when there are no decimals. */
export function editable(m: Money): string {
  return brief(m).replace(/\d(?=(\d{3})+(\.|$))(?<!\..*)/g, '$&\u00a0')
}

// brief is decimal without a fraction of zeros.
const brief = (m: Money): string => decimal(m).replace(/\.0+$/, '')

/** format writes an amount with its currency in the reader's language; decimals only when there are some. */
export function format(m: Money, lang: string, bare = false): string {
  const text = brief(m) as Intl.StringNumericLiteral
  const digits = text.includes('.') ? exponent(m.currency) : 0
  const options = {minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: 'always'} as const
  const number = () => new Intl.NumberFormat(locale(lang), options).format(text)
  if (bare) return number()
  if (after[m.currency]) return `${number()}\u00a0${after[m.currency]}`
  try {
    return new Intl.NumberFormat(locale(lang), {...options, style: 'currency', currency: m.currency, currencyDisplay: 'narrowSymbol'}).format(text)
  } catch {
    return `${number()}\u00a0${m.currency}` // a code the browser does not know
  }
}

/** suffixed says whether the currency's sign follows the amount, so that "50 of 150 ֏" reads well. */
export const suffixed = (currency: string): boolean => currency in after

/** sign is what stands beside an amount field. */
export const sign = (currency: string): string => after[currency] ?? currency

/**
 * parse reads what a person typed, in major units: "1500", "1 500,50", "1,500.50". It returns null for anything that
 * is not a positive amount the currency can have. A lone separator before exactly three digits groups thousands.
 */
export function parse(typed: string, currency: string): Money | null {
  const exp = exponent(currency)
  const text = typed.replace(/[\s'’\u00a0\u202f]/g, '')
  if (!/^\d[\d.,]*$/.test(text)) return null
  const [whole, fraction] = split(text, exp)
  if (whole === null || !/^\d+$/.test(whole) || !/^\d*$/.test(fraction) || fraction.length > exp) return null
  const minor = Number(whole + fraction.padEnd(exp, '0'))
  return Number.isSafeInteger(minor) && minor > 0 && minor <= maxMinor ? {minor, currency} : null
}

// split cuts typed digits into whole and fraction and takes the grouping out; null when the grouping is not one.
function split(text: string, exp: number): [string | null, string] {
  const last = Math.max(text.lastIndexOf('.'), text.lastIndexOf(','))
  if (last < 0) return [text, '']
  const mark = text[last] as string
  const tail = text.slice(last + 1)
  const once = text.indexOf(mark) === last
  const mixed = /\./.test(text) && /,/.test(text)
  const grouping = !once || (!mixed && tail.length === 3 && exp !== 3) || exp === 0
  const groups = grouping ? text : text.slice(0, last)
  if (grouping && mixed && !once) return [null, '']
  if (!/^\d+$/.test(groups) && !/^\d{1,3}([.,]\d{3})+$/.test(groups)) return [null, '']
  return [groups.replace(/[.,]/g, ''), grouping ? '' : tail]
}

/**
 * convert turns an amount into another currency by a rate such as "387.5", rounded half up as the server does: to whole
 * units where those are all that is taken. It returns null when the rate is none.
 */
export function convert(m: Money, currency: string, rate: string, whole: boolean): Money | null {
  if (!/^\d{1,9}(\.\d{1,10})?$/.test(rate)) return null
  const [major = '', fraction = ''] = rate.split('.')
  const unit = whole ? 10n ** BigInt(exponent(currency)) : 1n
  const numerator = BigInt(m.minor) * BigInt(major + fraction) * 10n ** BigInt(exponent(currency))
  const denominator = 10n ** BigInt(fraction.length + exponent(m.currency)) * unit
  const minor = Number((numerator * 2n + denominator) / (denominator * 2n) * unit)
  return minor > 0 && minor <= maxMinor ? {minor, currency} : null
}
