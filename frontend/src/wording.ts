import {problem, Problem} from './api'
import {NoSession} from './host'
import type {Say} from './words'

/** Trouble is a problem in three short parts: what happened, why, what to do. */
export interface Trouble { title: string; detail: string }

// The problems that have words of their own, by the server's code, then by HTTP status.
const byCode: Record<string, string> = {
  opening_not_confirmed: 'session', deal_hidden: 'hidden', not_connected: 'connect', no_acquirer: 'noacquirer',
  acquirer_unavailable: 'acquirer', crm_busy: 'crm', crm_unavailable: 'crm', being_checked: 'checking', locked: 'locked',
  acquirer_refused: 'declined', deal_not_found: 'missing', role: 'forbidden', second_person_needed: 'second', address_unusable: 'address',
  invoice_unknown: 'other', invoice_not_open: 'other', amount_too_large: 'much', refund_too_large: 'much', amount_fraction: 'fraction',
}
const byStatus: Record<number, string> = {0: 'offline', 400: 'refused', 401: 'session', 403: 'forbidden', 404: 'missing', 409: 'state', 422: 'refused', 429: 'busy'}

/** wording turns whatever was thrown into words for a person. The server's own detail is English. */
export function wording(thrown: unknown, say: Say): Trouble {
  const p: Problem = thrown instanceof NoSession ? new Problem(401, 'session', '', '') : problem(thrown)
  const known = byCode[p.code] ?? (say.has(`problem.${p.code}.title`) ? p.code : undefined)
  let key = known ?? byStatus[p.status] ?? (p.status > 501 ? 'away' : 'broken')
  if (!say.has(`problem.${key}.title`)) key = 'broken' // the rest of the words could not be loaded
  const detail = !known && say.lang === 'en' && p.status >= 400 && p.status < 500 && p.detail && key !== 'session' ? p.detail : say(`problem.${key}.detail`)
  return {title: say(`problem.${key}.title`), detail}
}
