/** Clock writes moments in the reader's language and the tenant's time zone. */
export interface Clock { lang: string; zone: string }

const dayKey = (date: Date, zone: string) =>
  new Intl.DateTimeFormat('en-CA', {timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit'}).format(date)

/** Browsers know no Armenian, so its months are here. */
export const months = ['հնվ', 'փտվ', 'մրտ', 'ապր', 'մյս', 'հնս', 'հլս', 'օգս', 'սեպ', 'հոկ', 'նոյ', 'դեկ']

/** when writes a moment briefly: the time alone today, otherwise the day too, and the year when it is another. */
export function when(iso: string, {lang, zone}: Clock, now: Date): string {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return ''
  const time = {hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: zone} as const
  const day = dayKey(date, zone)
  const today = dayKey(now, zone)
  if (day === today) return new Intl.DateTimeFormat(lang, time).format(date)
  const sameYear = day.slice(0, 4) === today.slice(0, 4)
  if (lang === 'hy') {
    const [year, month = '', dayOfMonth = ''] = day.split('-')
    return `${Number(dayOfMonth)} ${months[Number(month) - 1]}${sameYear ? '' : ` ${year}`}, ${new Intl.DateTimeFormat('ru', time).format(date)}`
  }
  return new Intl.DateTimeFormat(lang, {...time, day: 'numeric', month: 'short', ...(sameYear ? {} : {year: 'numeric'})}).format(date)
}

// offset returns how far the zone's wall clock is ahead of UTC at a moment, in milliseconds.
function offset(moment: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric',
  }).formatToParts(moment)
  const part = (type: string) => Number(parts.find(p => p.type === type)?.value)
  const wall = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'))
  return wall - Math.floor(moment / 60_000) * 60_000
}

/** toField writes a moment for a datetime-local field, as the clock on the tenant's wall shows it. */
export function toField(iso: string, zone: string): string {
  const moment = Date.parse(iso)
  return Number.isNaN(moment) ? '' : new Date(moment + offset(moment, zone)).toISOString().slice(0, 16)
}

/** fromField reads a datetime-local field set by the tenant's wall clock; empty when there is no such time. */
export function fromField(value: string, zone: string): string {
  const wall = Date.parse(value + 'Z')
  if (Number.isNaN(wall)) return ''
  const guess = wall - offset(wall, zone)
  // Around a clock change the offset at the guess is the right one.
  return new Date(wall - offset(guess, zone)).toISOString().replace('.000Z', 'Z')
}

/** usableZone is the zone, or UTC when the browser does not know it. */
export function usableZone(zone: string): string {
  try {
    new Intl.DateTimeFormat('en', {timeZone: zone})
    return zone || 'UTC'
  } catch {
    return 'UTC'
  }
}
