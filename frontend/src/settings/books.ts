import {exponent, format} from '../money'
import type {Schemas} from '../state'
import type {Office} from './office'

export type Run = Schemas['Reconciliation']

/** One day with what was found at each acquirer. */
export interface Row { day: string; runs: Run[] }

/** rows gathers runs, the newest day first, by their day. */
export function rows(runs: Run[]): Row[] {
  const list: Row[] = []
  for (const run of runs) {
    const last = list.at(-1)
    if (last?.day === run.day) last.runs.push(run)
    else list.push({day: run.day, runs: [run]})
  }
  return list
}

/** under says whether a run has not ended yet. */
export const under = (run: Run): boolean => run.state !== 'done'

/** heard says whether all of a run was answered for. */
const heard = (run: Run): boolean => run.unanswered === 0 && run.crm_skipped === ''

/** agrees says whether a run ended and nothing is left to look at. */
export const agrees = (run: Run): boolean => run.state === 'done' && run.open === 0 && heard(run)

/** outcome is a run in a few words. */
export function outcome(run: Run, {say}: Office): string {
  if (run.state === 'waiting') return say('run.waiting')
  if (run.state === 'running') return say('run.running', {checked: run.checked, total: run.total})
  if (run.open > 0) return say('run.open', {n: run.open})
  if (!heard(run)) return say('run.partly')
  return run.total === 0 ? say('run.empty') : say('run.agrees', {n: run.total})
}

/** side words one side of a difference: the server writes statuses, kinds and decimal amounts such as "refund 70.00 AMD". */
export function side(text: string, {say, word}: Office): string {
  const money = /^(-?)(\d+)(?:\.(\d+))? ([A-Z]{3})$/
  const amount = (part: string) => part.replace(money, (whole, sign: string, major: string, fraction = '', currency: string) => {
    const digits = exponent(currency)
    const minor = Number(major + fraction.padEnd(digits, '0').slice(0, digits))
    return Number.isSafeInteger(minor) ? format({minor: sign ? -minor : minor, currency}, say.lang) : whole
  })
  const card = /^(\w*), paid (.*), refunded (.*), reference "/.exec(text)
  if (text === '') return say('side.nothing')
  if (text === 'no such deal') return say('side.gone')
  if (text.startsWith('not written')) return say('side.unwritten')
  if (card) return say('side.card', {status: word('status.' + card[1], say('side.nothing')), paid: amount(card[2] ?? ''), refunded: amount(card[3] ?? '')})
  if (money.test(text)) return amount(text)
  const [first = '', ...rest] = text.split(' ')
  const named = word('status.' + first, word('line.' + first, first))
  return rest.length > 0 ? `${named}, ${amount(rest.join(' '))}` : named
}
