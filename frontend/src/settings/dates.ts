import {months} from '../when'

const noon = (day: string) => new Date(day + 'T12:00:00Z')

/** dayName writes a calendar day such as 2026-03-31 in the reader's language. */
export function dayName(day: string, lang: string): string {
  const [year, month, date] = day.split('-')
  if (lang === 'hy') return `${Number(date)} ${months[Number(month) - 1]} ${year}`
  return new Intl.DateTimeFormat(lang, {day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC'}).format(noon(day))
}

/** monthName writes a month such as 2026-03. */
export function monthName(month: string, lang: string): string {
  if (lang === 'hy') return `${months[Number(month.slice(5)) - 1]} ${month.slice(0, 4)}`
  return new Intl.DateTimeFormat(lang, {month: 'long', year: 'numeric', timeZone: 'UTC'}).format(noon(month + '-15'))
}

/** dayIn is the calendar day of a moment in a time zone. */
export function dayIn(zone: string, moment: Date): string {
  return new Intl.DateTimeFormat('en-CA', {timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit'}).format(moment)
}

/** shift is the day that many days later. */
export function shift(day: string, days: number): string {
  return new Date(noon(day).getTime() + days * 86_400_000).toISOString().slice(0, 10)
}

/** monthsBefore lists the given number of months before the one of a day, the newest first. */
export function monthsBefore(day: string, count: number): string[] {
  const [year = 0, month = 1] = day.split('-').map(Number)
  return Array.from({length: count}, (_, i) => new Date(Date.UTC(year, month - 2 - i, 15)).toISOString().slice(0, 7))
}
